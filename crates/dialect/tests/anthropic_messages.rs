//! Streams of messages through the decoder, the encoder and the relay: the recorded ones, where
//! `RECORDED_DIR` names their folder, and some of our own. What is expected is read here from the files
//! as plain JSON values, in another way than the code under test reads them.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::io::Write;
use std::path::PathBuf;

use billing::money::NanoUsd;
use billing::usage::Usage;
use dialect::anthropic_messages::relay::PassThrough;
use dialect::anthropic_messages::stream::{Decoder, Encoder};
use dialect::anthropic_messages::{answer, usage};
use dialect::canonical::{Answer, Block, Decode, Event, Fold, Identity, Owner, StopReason, ToolNames, UpstreamError};
use dialect::relay::{End, Forward, Relay};
use dialect::rewrite::Rewrite;
use dialect::sse::Parser;
use dialect::tokens::Vocabulary;
use dialect::translate::Translation;
use proptest::prelude::*;
use serde_json::{Value, json};

#[path = "grammar/anthropic_messages.rs"]
mod grammar;

fn streams() -> Vec<(String, String)> {
    let own = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/anthropic_messages"));
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/recorded");
    let root = std::env::var("RECORDED_DIR").unwrap_or_else(|_| default.into());
    let recorded = PathBuf::from(root).join("anthropic");
    let mut files = Vec::new();
    for folder in [own, recorded] {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            let _ = writeln!(std::io::stderr(), "skipped: {} is not there (RECORDED_DIR)", folder.display());
            continue;
        };
        let paths = entries.map(|entry| entry.unwrap().path());
        let paths = paths.filter(|path| path.extension().is_some_and(|ending| ending == "sse"));
        let read = |path: PathBuf| {
            (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(&path).unwrap())
        };
        files.extend(paths.map(read));
    }
    files.sort();
    assert!(files.len() >= 2, "fixtures are missing");
    files
}

fn identity() -> Identity {
    Identity {
        id: "1a2b".into(),
        created_s: 0,
        model: "our-model".into(),
        owner: Owner::new("own"),
        likely_input: 77,
        vocabulary: Vocabulary::default(),
        include_usage: false,
        tool_names: ToolNames::default(),
        echo: Vec::new(),
    }
}

fn cost() -> NanoUsd {
    NanoUsd::new(2_500).unwrap()
}

fn events_of(text: &str) -> Result<Vec<Event>, UpstreamError> {
    let mut decoder = Decoder::new(Owner::new("own"));
    let mut parser = Parser::default();
    let mut events = Vec::new();
    for frame in parser.push(text.as_bytes()).unwrap() {
        if decoder.push(&frame, &mut events)? {
            break;
        }
    }
    decoder.finish(&mut events);
    Ok(events)
}

fn fold(events: &[Event]) -> Answer {
    let mut fold = Fold::default();
    events.iter().for_each(|event| fold.push(event));
    fold.finish()
}

/// The whole message that the official reader makes of a stream.
fn message_of(text: &str) -> Value {
    let mut message = Value::Null;
    let mut inputs: Vec<String> = Vec::new();
    for data in text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]") {
        let event: Value = serde_json::from_str(data).unwrap();
        let at = usize::try_from(event["index"].as_u64().unwrap_or(0)).unwrap();
        match event["type"].as_str().unwrap() {
            "message_start" => message = event["message"].clone(),
            "content_block_start" => {
                message["content"].as_array_mut().unwrap().push(event["content_block"].clone());
                inputs.push(String::new());
            }
            "content_block_delta" => {
                let block = &mut message["content"][at];
                let delta = &event["delta"];
                for member in ["text", "thinking"] {
                    if let Some(more) = delta[member].as_str() {
                        let so_far = block[member].as_str().unwrap_or_default().to_owned();
                        block[member] = json!(so_far + more);
                    }
                }
                if delta["signature"].is_string() {
                    block["signature"] = delta["signature"].clone();
                }
                inputs[at] += delta["partial_json"].as_str().unwrap_or_default();
                if !inputs[at].is_empty() && event["delta"]["type"] == "input_json_delta" {
                    block["partial"] = json!(inputs[at]);
                }
                if delta["citation"].is_object() {
                    if !block["citations"].is_array() {
                        block["citations"] = json!([]);
                    }
                    block["citations"].as_array_mut().unwrap().push(delta["citation"].clone());
                }
            }
            "message_delta" => {
                for key in ["stop_reason", "stop_sequence"] {
                    message[key] = event["delta"][key].clone();
                }
                for (key, value) in event["usage"].as_object().unwrap() {
                    if !value.is_null() {
                        message["usage"][key] = value.clone();
                    }
                }
            }
            _ => {}
        }
    }
    for block in message["content"].as_array_mut().unwrap() {
        if let Some(partial) = block.as_object_mut().unwrap().remove("partial") {
            block["input"] = serde_json::from_str(partial.as_str().unwrap()).unwrap();
        }
    }
    message
}

/// What is compared of a block: its kind, its text or name, and its input or state.
fn gist(block: &Block) -> Option<Value> {
    Some(match block {
        Block::Text(text) => {
            let raw: Vec<Value> = text.citations.iter().map(|c| serde_json::from_str(&c.raw).unwrap()).collect();
            json!(["text", text.text, raw])
        }
        Block::Reasoning { text, opaque } => {
            json!(["thinking", text, opaque.as_ref().map(|o| o.data.clone()).unwrap_or_default()])
        }
        Block::Redacted(opaque) => json!(["redacted_thinking", opaque.data, null]),
        Block::ToolUse(call) => {
            json!(["tool_use", [call.id, call.name], serde_json::from_str::<Value>(&call.input).unwrap()])
        }
        _ => return None,
    })
}

fn expected_gist(block: &Value) -> Option<Value> {
    Some(match block["type"].as_str().unwrap() {
        "text" => json!(["text", block["text"], block["citations"].as_array().cloned().unwrap_or_default()]),
        "thinking" => json!(["thinking", block["thinking"], block["signature"].as_str().unwrap_or_default()]),
        "redacted_thinking" => json!(["redacted_thinking", block["data"], null]),
        "tool_use" => json!(["tool_use", [block["id"], block["name"]], block["input"]]),
        _ => return None,
    })
}

#[test]
fn streams_are_read_as_the_official_reader_reads_them() {
    for (name, text) in streams() {
        let answer = fold(&events_of(&text).unwrap());
        let message = message_of(&text);
        let blocks: Vec<Value> = answer.blocks.iter().filter_map(gist).collect();
        let expected: Vec<Value> = message["content"].as_array().unwrap().iter().filter_map(expected_gist).collect();
        assert_eq!(blocks, expected, "{name}");
        let stop = answer.stop.unwrap();
        let words = [
            (StopReason::EndTurn, "end_turn"),
            (StopReason::MaxTokens, "max_tokens"),
            (StopReason::StopSequence, "stop_sequence"),
            (StopReason::ToolUse, "tool_use"),
            (StopReason::Refusal, "refusal"),
        ];
        let reason = words.iter().find(|(reason, _)| *reason == stop.reason).unwrap().1;
        assert_eq!(json!(reason), message["stop_reason"], "{name}");
        assert_eq!(json!(stop.sequence), message["stop_sequence"], "{name}");
        let used = answer.usage.unwrap().usage;
        let told = &message["usage"];
        let number = |pointer: &str| told.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
        assert_eq!(
            [used.input, used.cache_read, used.cache_write_5m + used.cache_write_1h, used.output, used.reasoning],
            [
                number("/input_tokens"),
                number("/cache_read_input_tokens"),
                number("/cache_creation_input_tokens"),
                number("/output_tokens"),
                number("/output_tokens_details/thinking_tokens"),
            ],
            "{name}"
        );
        assert_eq!(used.cache_write_1h, number("/cache_creation/ephemeral_1h_input_tokens"), "{name}");
    }
}

#[test]
fn a_folded_stream_equals_the_whole_answer() {
    for (name, text) in streams() {
        let events = events_of(&text).unwrap();
        let mut folded = fold(&events);
        let mut whole = answer::decode(&message_of(&text).to_string(), &Owner::new("own")).unwrap();
        // Numbers and white space of inputs went through the reader above, and a reason told apart is none here.
        for answer in [&mut folded, &mut whole] {
            answer.losses = dialect::canonical::Losses::default();
            for block in &mut answer.blocks {
                if let Block::ToolUse(call) = block {
                    call.input = serde_json::from_str::<Value>(&call.input).unwrap().to_string();
                }
            }
        }
        assert_eq!(folded, whole, "{name}");
        assert_eq!(fold(&folded.events()), folded, "{name}");
    }
}

fn translated(chunks: &[&[u8]]) -> (Vec<u8>, End) {
    let decoder = Box::new(Decoder::new(Owner::new("own")));
    relayed(Translation::new(decoder, Box::new(Encoder::new(identity())), Vocabulary::default()), chunks)
}

fn relayed(mut relay: impl Relay, chunks: &[&[u8]]) -> (Vec<u8>, End) {
    let mut out = Vec::new();
    let mut end = None;
    for chunk in chunks {
        let step = relay.push(chunk);
        match step.forward {
            Forward::Same => out.extend_from_slice(chunk),
            Forward::Bytes(bytes) => out.extend(bytes),
        }
        end = step.end;
        if end.is_some() {
            break;
        }
    }
    if end.is_none() {
        let step = relay.finish();
        let Forward::Bytes(bytes) = step.forward else { panic!("nothing was pushed") };
        out.extend(bytes);
        end = step.end;
    }
    let used = relay.meter().reported.unwrap_or_default().usage;
    out.extend(relay.tail(&used, cost()));
    (out, end.unwrap())
}

#[test]
fn what_is_written_keeps_the_grammar_and_the_meaning() {
    for (name, text) in streams() {
        let (out, end) = translated(&[text.as_bytes()]);
        assert_eq!(end, End::Complete, "{name}");
        grammar::check(&out).unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
        let out = String::from_utf8(out).unwrap();
        assert!(out.contains(r#""cost":0.0000025}"#), "{name}");
        let read = |text: &str| fold(&events_of(text).unwrap());
        let (mut before, mut after) = (read(&text), read(&out));
        // What clients hold is tagged, and the words of the provider are gone.
        for answer in [&mut before, &mut after] {
            answer.losses = dialect::canonical::Losses::default();
            for block in &mut answer.blocks {
                if let Block::Reasoning { opaque: Some(opaque), .. } | Block::Redacted(opaque) = block {
                    opaque.data = opaque.data.trim_start_matches("oi-own-").to_owned();
                }
            }
        }
        assert_eq!(after, before, "{name}");
        assert!(!out.contains("Usage Policy"), "{name}");
    }
}

#[test]
fn a_cut_at_every_event_ends_in_an_error_or_completely() {
    for (name, text) in streams() {
        let borders: Vec<usize> = text.match_indices("\n\n").map(|(at, _)| at + 2).collect();
        for border in borders {
            let cut = &text[..border];
            let stopped = cut.contains("\"stop_reason\":\"");
            for (out, end) in [
                translated(&[cut.as_bytes()]),
                relayed(PassThrough::new(5, Rewrite::default(), Vocabulary::default()), &[cut.as_bytes()]),
            ] {
                assert_eq!(end, if stopped { End::Complete } else { End::Truncated }, "{name} at {border}");
                let out = String::from_utf8(out).unwrap();
                let last = if stopped { "event: message_stop\n" } else { "event: error\n" };
                assert_eq!(out.matches(last).count(), 1, "{name} at {border}: {out}");
            }
        }
    }
}

#[test]
fn what_is_passed_keeps_every_byte_but_for_the_stated_rules() {
    for (name, text) in streams() {
        let (out, end) = relayed(PassThrough::new(5, Rewrite::default(), Vocabulary::default()), &[text.as_bytes()]);
        assert_eq!(end, End::Complete, "{name}");
        let out = String::from_utf8(out).unwrap();
        grammar_but_for_servers(&name, &out);
        let events = |text: &str| -> Vec<String> {
            text.split_inclusive("\n\n").map(str::to_owned).filter(|event| event.starts_with("event")).collect()
        };
        let kept = events(&text).into_iter().filter(|event| !event.starts_with("event: data"));
        let mut differing = Vec::new();
        for (before, after) in kept.zip(events(&out)) {
            if before != after {
                differing.push(before.lines().next().unwrap().to_owned());
            }
        }
        let starts_empty = message_of(&text[..text.find("\n\n").unwrap()])["usage"]["input_tokens"] == 0;
        let mut expected = vec!["event: message_delta".to_owned()];
        if starts_empty {
            expected.insert(0, "event: message_start".into());
        }
        assert_eq!(differing, expected, "{name}");
    }
}

/// Streams with tools of the provider itself hold kinds of deltas that only they have.
fn grammar_but_for_servers(name: &str, out: &str) {
    grammar::check(out.as_bytes()).unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
}

#[test]
fn a_passed_stream_is_rewritten_and_tagged() {
    for (name, text) in streams() {
        let rewrite = Rewrite {
            model: Some("our-model".into()),
            strip: vec!["provider".into(), "usage.cost".into(), "usage.cost_details".into(), "usage.is_byok".into()],
            owner: Some(Owner::new("own")),
        };
        let (out, _) = relayed(PassThrough::new(5, rewrite, Vocabulary::default()), &[text.as_bytes()]);
        let out = String::from_utf8(out).unwrap();
        grammar::check(out.as_bytes()).unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
        let (before, after) = (message_of(&text), message_of(&out));
        assert_eq!(after["model"], "our-model", "{name}");
        assert!(!out.contains("Amazon Bedrock") && !out.contains("cost_details"), "{name}");
        for (before, after) in before["content"].as_array().unwrap().iter().zip(after["content"].as_array().unwrap()) {
            for member in ["signature", "data"] {
                let tagged = before[member].as_str().filter(|state| !state.is_empty());
                let tagged = tagged.map(|state| format!("oi-own-{state}"));
                if let Some(tagged) = tagged {
                    assert_eq!(after[member], tagged, "{name}");
                }
            }
        }
    }
}

#[test]
fn usage_of_ours_is_read_as_it_was_written() {
    let used = Usage { input: 3, cache_write_1h: 9, output: 4, ..Usage::default() };
    assert_eq!(usage::parse(&usage::to_json(&used, None, None)), Some(used.into()));
}

#[test]
fn the_grammar_refuses_what_is_wrong() {
    let (_, right) = streams().into_iter().find(|(name, _)| name == "01-tools.sse").unwrap();
    assert_eq!(grammar::check(right.as_bytes()), Ok(()));
    for (from, to) in [
        ("\"index\":2", "\"index\":3"),
        ("event: message_start", "event: message_begin"),
        ("\"stop_reason\":\"tool_use\"", "\"stop_reason\":null"),
        ("signature_delta", "text_delta"),
        ("\"input\":{}", "\"input\":null"),
        ("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n", ""),
        ("event: message_stop\n", "event: data\ndata: [DONE]\n\nevent: message_stop\n"),
        ("event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":1}\n\n", ""),
    ] {
        let wrong = right.replace(from, to);
        assert_ne!(wrong, right, "{from}");
        assert!(grammar::check(wrong.as_bytes()).is_err(), "{from} as {to}");
    }
}

/// Splits `bytes` at random places.
fn split(bytes: &[u8], seed: u64) -> Vec<&[u8]> {
    let mut chunks = Vec::new();
    let (mut rest, mut state) = (bytes, seed | 1);
    while !rest.is_empty() {
        state = next(state);
        let length = usize::try_from(state >> 58).unwrap().clamp(1, rest.len());
        let (chunk, more) = rest.split_at(length);
        chunks.push(chunk);
        rest = more;
    }
    chunks
}

fn next(state: u64) -> u64 {
    state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_split_of_the_bytes_gives_the_same_output(seed in any::<u64>()) {
        for (name, text) in streams() {
            let bytes = text.as_bytes();
            let chunks = split(bytes, seed);
            prop_assert_eq!(translated(&chunks), translated(&[bytes]), "{}", name);
            let pass = || PassThrough::new(5, Rewrite::default(), Vocabulary::default());
            prop_assert_eq!(relayed(pass(), &chunks), relayed(pass(), &[bytes]), "{}", name);
        }
    }

    /// Whatever a broken upstream sends, what is written keeps the grammar.
    #[test]
    fn events_that_are_broken_lost_or_out_of_order_never_break_the_grammar(seed in any::<u64>()) {
        let mut state = seed | 1;
        for (name, text) in streams() {
            let mut events: Vec<String> = text.split_inclusive("\n\n").map(str::to_owned).collect();
            for _ in 0..3 {
                state = next(state);
                let at = usize::try_from(state >> 40).unwrap() % events.len();
                match (state >> 33) % 5 {
                    0 => drop(events.remove(at)),
                    1 => events.insert(at, events[at].clone()),
                    2 => {
                        let other = usize::try_from(state >> 20).unwrap() % events.len();
                        events.swap(at, other);
                    }
                    3 => events[at] = events[at].replace("\"index\":0", "\"index\":7").replace("_delta", "_start"),
                    _ => {
                        let cut = events[at].len() / 2;
                        let cut = (0..=cut).rev().find(|cut| events[at].is_char_boundary(*cut)).unwrap();
                        events[at].truncate(cut);
                    }
                }
                if events.is_empty() {
                    events.push(String::new());
                }
            }
            let broken = events.concat();
            let (out, _) = translated(&[broken.as_bytes()]);
            if let Err(wrong) = grammar::check(&out) {
                panic!("{name}: {wrong}\n{broken}");
            }
            let (out, end) = relayed(PassThrough::new(5, Rewrite::default(), Vocabulary::default()), &[broken.as_bytes()]);
            let out = String::from_utf8(out).unwrap();
            let last = out.trim_end().rsplit("data: ").next().unwrap();
            let last: Value = serde_json::from_str(last).unwrap();
            prop_assert_eq!(&last["type"], if end == End::Complete { "message_stop" } else { "error" }, "{}", name);
        }
    }
}
