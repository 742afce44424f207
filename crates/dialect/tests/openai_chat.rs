//! Chat streams through the pivot and back: what a client reads is what the upstream said.
//!
//! Both streams are read here by a simple reader of JSON values that knows nothing of the code under
//! test. The recordings are no part of this repository: `RECORDED_DIR` names their folder.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "grammar/openai_chat.rs"]
mod grammar;
#[path = "openai_chat/read.rs"]
mod read;

use std::path::{Path, PathBuf};

use billing::money::NanoUsd;
use billing::usage::Usage;
use dialect::canonical::{
    Answer, Block, ClientTool, Decode, Event, Fold, Identity, Opaque, Owner, ToolKind, ToolNames,
};
use dialect::openai_chat::answer;
use dialect::openai_chat::stream::{Decoder, Encoder};
use dialect::relay::{End, Forward, Relay};
use dialect::sse::Parser;
use dialect::tokens::Vocabulary;
use dialect::translate::Translation;
use proptest::prelude::*;
use read::{Heard, last_usage, whole_body};
use serde_json::Value;

fn owner() -> Owner {
    Owner::new("up1")
}

fn identity(include_usage: bool) -> Identity {
    let mut tool_names = ToolNames::default();
    let custom = ClientTool { name: "wrapped".into(), namespace: None, kind: ToolKind::Custom };
    tool_names.declare(custom);
    Identity {
        id: "x1".into(),
        created_s: 1_700_000_000,
        model: "our-model".into(),
        owner: owner(),
        likely_input: 5,
        vocabulary: Vocabulary::default(),
        include_usage,
        tool_names,
        echo: Vec::new(),
    }
}

fn files(folder: &Path) -> Vec<(String, String)> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        eprintln!("skipped: {} is not there (RECORDED_DIR)", folder.display());
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "sse"));
    let name = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let mut files: Vec<_> = paths.map(|path| (name(&path), std::fs::read_to_string(&path).unwrap())).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files
}

fn fixtures() -> Vec<(String, String)> {
    files(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/openai_chat")))
}

/// Our fixtures and, where they are there, the recorded streams of the dialect.
fn streams() -> Vec<(String, String)> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/recorded");
    let root = PathBuf::from(std::env::var("RECORDED_DIR").unwrap_or_else(|_| default.into()));
    let recorded = ["openai-chat", "compat-quirks"].into_iter().flat_map(|folder| files(&root.join(folder)));
    fixtures().into_iter().chain(recorded).collect()
}

fn events(file: &str) -> Vec<Event> {
    let mut decoder = Decoder::new(owner());
    let mut events = Vec::new();
    for frame in Parser::default().push(file.as_bytes()).unwrap() {
        if !matches!(decoder.push(&frame, &mut events), Ok(false)) {
            break;
        }
    }
    decoder.finish(&mut events);
    events
}

fn folded(file: &str) -> Answer {
    let mut fold = Fold::default();
    events(file).iter().for_each(|event| fold.push(event));
    fold.finish()
}

/// What a client gets of `pieces`, how the stream ended, and the usage.
fn translated<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, include_usage: bool) -> (String, End, Option<Usage>) {
    let encoder = Encoder::new(identity(include_usage));
    let mut relay = Translation::new(Box::new(Decoder::new(owner())), Box::new(encoder), Vocabulary::default());
    let mut out = Vec::new();
    let mut end = None;
    let mut take = |forward| match forward {
        Forward::Bytes(bytes) => out.extend(bytes),
        Forward::Same => panic!("two dialects have no bytes in common"),
    };
    for piece in pieces {
        let step = relay.push(piece);
        take(step.forward);
        end = step.end;
        if end.is_some() {
            break;
        }
    }
    if end.is_none() {
        let step = relay.finish();
        take(step.forward);
        end = step.end;
    }
    let usage = relay.meter().reported.map(|reported| reported.usage);
    out.extend(relay.tail(&usage.unwrap_or_default(), NanoUsd::new(1_500).unwrap()));
    (String::from_utf8(out).unwrap(), end.unwrap(), usage)
}

#[test]
fn a_client_reads_what_the_upstream_said() {
    for (name, file) in streams() {
        let (out, end, usage) = translated([file.as_bytes()], true);
        grammar::check(out.as_bytes()).unwrap_or_else(|rule| panic!("{name}: {rule}"));
        let (theirs, ours) = (Heard::read(&file), Heard::read(&out));
        assert_eq!(end, if theirs.failed { End::Failed } else { End::Complete }, "{name}");
        assert_eq!(ours.failed, theirs.failed, "{name}");
        assert_eq!(ours.words(), theirs.words(), "{name}");
        // Its calls are in the legacy form and in a wrapping: the snapshot shows them.
        if name != "custom-tool" {
            assert_eq!(ours.tools, theirs.clone().with_whole_inputs().tools, "{name}");
        }
        assert_eq!(ours.logprobs, theirs.logprobs, "{name}");
        if !theirs.failed {
            let calls = !theirs.tools.is_empty() && theirs.finish.as_deref() != Some("length");
            let expected = if calls { Some("tool_calls".to_owned()) } else { theirs.finish };
            assert_eq!(ours.finish, expected, "{name}");
            let usage_chunk = last_usage(&out).unwrap();
            assert_eq!(usage_chunk["cost"].to_string(), "1.5e-6", "{name}");
            match (usage, last_usage(&file)) {
                (Some(counted), Some(reported)) => {
                    read::assert_same_usage(&name, counted, &reported);
                    read::assert_same_usage(&name, counted, &usage_chunk);
                }
                (counted, reported) => assert_eq!((counted, reported), (None, None), "{name}"),
            }
        }
        let (without, ..) = translated([file.as_bytes()], false);
        assert_eq!(last_usage(&without), None, "{name}");
        grammar::check(without.as_bytes()).unwrap_or_else(|rule| panic!("{name}: {rule}"));
    }
}

#[test]
fn a_stream_folds_into_the_whole_answer() {
    for (name, file) in streams() {
        let heard = Heard::read(&file);
        // What is cut has no whole answer; one block after another is what a message can say.
        let mixed = name.starts_with("custom-tool") || name.starts_with("reasoning-details");
        if heard.failed || mixed {
            continue;
        }
        let whole = answer::decode(&whole_body(&file), &owner()).unwrap();
        let folded = folded(&file);
        assert_eq!(folded.blocks, whole.blocks, "{name}");
        assert_eq!((&folded.stop, folded.usage), (&whole.stop, whole.usage), "{name}");
        assert_eq!(answer::decode(&answer::encode(&whole, &identity(true)).0, &owner()).unwrap().usage, whole.usage);
        // The same answer, streamed and whole, as a client reads it.
        let (streamed, ..) = translated([file.as_bytes()], true);
        let body: Value = serde_json::from_str(&answer::encode(&folded, &identity(true)).0).unwrap();
        let heard = Heard::read(&streamed);
        assert_eq!(Heard::read_whole(&body), heard, "{name}");
    }
}

#[test]
fn fixtures_say_what_they_say() {
    for (name, file) in fixtures() {
        let (out, end, usage) = translated([file.as_bytes()], true);
        let decoded: Vec<String> = events(&file).iter().map(|event| format!("{event:?}")).collect();
        insta::assert_snapshot!(
            format!("openai_chat_{name}"),
            format!("{}\n\n{out}{end:?} {usage:?}", decoded.join("\n"))
        );
    }
}

#[test]
fn a_cut_at_any_event_is_an_error_and_closes_what_is_open() {
    for (name, file) in streams() {
        let borders: Vec<usize> = file.match_indices("\n\n").map(|(at, _)| at + 2).collect();
        let mut said_before = String::new();
        for border in borders {
            let cut = &file[..border];
            let (out, end, _) = translated([cut.as_bytes()], true);
            grammar::check(out.as_bytes()).unwrap_or_else(|rule| panic!("{name} cut at {border}: {rule}"));
            let heard = Heard::read(&out);
            assert_eq!(heard.failed, matches!(end, End::Truncated | End::Failed), "{name} cut at {border}");
            assert!(heard.failed || heard.finish.is_some(), "{name}");
            assert!(heard.text.starts_with(said_before.trim_end_matches('\u{fffd}')), "{name} cut at {border}");
            said_before = heard.text;
            let open = |events: &[Event]| {
                let opened = events.iter().filter(|event| matches!(event, Event::Open { .. })).count();
                opened - events.iter().filter(|event| matches!(event, Event::Close { .. })).count()
            };
            assert_eq!(open(&events(cut)), 0, "{name} cut at {border}");
        }
    }
}

#[test]
fn any_split_of_the_bytes_gives_the_same_output() {
    for (name, file) in streams() {
        let whole = translated([file.as_bytes()], true);
        for size in [1, 2, 3, 7, 64, 1_000] {
            assert_eq!(translated(file.as_bytes().chunks(size), true), whole, "{name} by {size}");
        }
    }
}

#[test]
fn a_limit_ends_what_is_open_at_the_output_limit() {
    let file =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/openai_chat/split-emoji.sse"));
    let file = file.unwrap();
    let encoder = Encoder::new(identity(true));
    let mut relay = Translation::new(Box::new(Decoder::new(owner())), Box::new(encoder), Vocabulary::default());
    let Forward::Bytes(mut out) = relay.push(&file.as_bytes()[..file.find("udc67\\\"").unwrap()]).forward else {
        panic!()
    };
    relay.stop_at_limit();
    out.extend(relay.tail(&Usage { input: 7, output: 3, ..Usage::default() }, NanoUsd::ZERO));
    grammar::check(&out).unwrap();
    let heard = Heard::read(std::str::from_utf8(&out).unwrap());
    assert_eq!((heard.finish.as_deref(), heard.failed), (Some("length"), false));
    assert_eq!(last_usage(std::str::from_utf8(&out).unwrap()).unwrap()["prompt_tokens"], 7);
}

#[test]
fn errors_in_every_form_end_the_stream_and_no_word_of_them_crosses() {
    for event in [
        "event: error\ndata: {\"message\":\"secret\"}\n\n",
        "data: {\"error\":{\"message\":\"secret\"}}\n\n",
        "data: {\"choices\":[{\"index\":0,\"error\":{\"message\":\"secret\"}}]}\n\n",
        "data: {\"object\":\"error\",\"message\":\"secret\"}\n\n",
        "data: secret\n\n",
        "data: [\"secret\"]\n\n",
    ] {
        let before = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\n";
        let (out, end, _) = translated([before.as_bytes(), event.as_bytes()], true);
        assert_eq!(end, End::Failed, "{event}");
        assert!(out.contains("\"hi\"") && out.contains("upstream_unavailable") && !out.contains("secret"), "{out}");
        grammar::check(out.as_bytes()).unwrap();
    }
}

#[test]
fn trap_11_state_is_tagged_with_its_owner() {
    let (_, file) = fixtures().into_iter().find(|(name, _)| name == "reasoning-details").unwrap();
    let answer = folded(&file);
    let opaques: Vec<&Opaque> = answer
        .blocks
        .iter()
        .filter_map(|block| match block {
            Block::Reasoning { opaque, .. } => opaque.as_ref(),
            Block::Redacted(opaque) => Some(opaque),
            _ => None,
        })
        .collect();
    assert_eq!(opaques.len(), 3);
    assert!(opaques.iter().all(|opaque| opaque.is_of(&owner())));
    let (out, ..) = translated([file.as_bytes()], true);
    assert!(!out.contains("\"signature\":\"c2ln\""), "{out}");
}

proptest! {
    #[test]
    fn nothing_panics_and_the_grammar_holds_whatever_comes(frames in proptest::collection::vec(frame(), 0..12)) {
        let file: String = frames.into_iter().map(|data| format!("data: {data}\n\n")).collect();
        let (out, ..) = translated([file.as_bytes()], true);
        prop_assert_eq!(grammar::check(out.as_bytes()), Ok(()), "{}\n{}", file, out);
        let (pieces, ..) = translated(file.as_bytes().chunks(5), true);
        prop_assert_eq!(pieces, out);
    }
}

/// A chunk of a server that may be odd.
fn frame() -> impl Strategy<Value = String> {
    let delta = prop_oneof![
        Just(r#"{"content":"a\ud83d"}"#),
        Just(r#"{"content":"\udc67"}"#),
        Just(r#"{"content":[{"type":"thinking","thinking":[{"type":"text","text":"t"}]},{"type":"odd"}]}"#),
        Just(r#"{"reasoning_content":"r"}"#),
        Just(r#"{"reasoning_details":[{"type":"reasoning.encrypted","data":"d"}]}"#),
        Just(r#"{"refusal":"no"}"#),
        Just(r#"{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]}"#),
        Just(r#"{"tool_calls":[{"index":0,"id":"b","function":{"name":"g","arguments":"{"}}]}"#),
        Just(r#"{"tool_calls":[{"function":{"arguments":"}"}}]}"#),
        Just(r#"{"tool_calls":[{"index":3,"custom":{"name":"c","input":"x"}}]}"#),
        Just(r#"{"tool_calls":[7,{"index":5,"id":"n","function":{"arguments":{"a":1}}}]}"#),
        Just(r#"{"function_call":{"name":"w","arguments":null},"annotations":[{"type":"file_citation"}]}"#),
        Just("null"),
        Just("7"),
    ];
    let finish = prop_oneof![4 => Just("null"), 1 => Just("\"stop\""), 1 => Just("\"tool_calls\"")];
    let chunk = (delta, finish).prop_map(|(delta, finish)| {
        format!(r#"{{"id":"z","choices":[{{"delta":{delta},"finish_reason":{finish}}}]}}"#)
    });
    prop_oneof![
        20 => chunk,
        1 => Just("[DONE]".to_owned()),
        1 => Just(r#"{"choices":{},"choices":[]}"#.to_owned()),
        1 => Just(r#"{"choices":[],"usage":{"prompt_tokens":1}}"#.to_owned()),
    ]
}
