//! Responses as upstreams write them and clients read them: recorded streams of providers, and fixtures
//! of our own, so that the suite stands without the recordings (`RECORDED_DIR` names their folder).
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::io::Write;
use std::path::PathBuf;

use billing::money::NanoUsd;
use billing::usage::Usage;
use dialect::canonical::{
    Answer, Block, Decode, Delta, Encode, Event, Fold, Identity, Open, Owner, Stop, StopReason, ToolKind, ToolNames,
};
use dialect::openai_responses::relay::PassThrough;
use dialect::openai_responses::stream::{Decoder, Encoder};
use dialect::openai_responses::wire::ResponsesRequest;
use dialect::openai_responses::{answer, usage};
use dialect::relay::{End, Forward, Relay};
use dialect::rewrite::Rewrite;
use dialect::sse::Parser;
use dialect::tokens::Vocabulary;
use dialect::translate::Translation;
use proptest::prelude::*;
use serde_json::Value;

#[path = "grammar/openai_responses.rs"]
mod grammar;

const EVERYTHING: &str = include_str!("fixtures/openai_responses/everything.sse");
const WHOLE: &str = include_str!("fixtures/openai_responses/everything.json");
const SPARSE: &str = include_str!("fixtures/openai_responses/sparse.sse");
const FAILED: &str = include_str!("fixtures/openai_responses/failed.sse");

/// The members that a response must have, by the Open Responses specification.
const MEMBERS: &str = "id object created_at completed_at status incomplete_details model previous_response_id \
    instructions output error tools tool_choice truncation parallel_tool_calls text top_p presence_penalty \
    frequency_penalty top_logprobs temperature reasoning usage max_output_tokens max_tool_calls store background \
    service_tier metadata safety_identifier prompt_cache_key";

fn owner() -> Owner {
    Owner::new("a1")
}

fn identity() -> Identity {
    let request = r#"{"model":"m","input":"hi","temperature":0.50,"tools":[
        {"type":"namespace","name":"look","tools":[{"type":"function","name":"up"}]},
        {"type":"custom","name":"patch"}]}"#;
    let request = ResponsesRequest::parse(request).unwrap();
    Identity {
        id: "r7".into(),
        created_s: 1_700_000_000,
        model: "our/model".into(),
        owner: owner(),
        likely_input: 3,
        vocabulary: Vocabulary::default(),
        include_usage: true,
        tool_names: request.decode().unwrap().tool_names,
        echo: request.echo(),
    }
}

/// The recorded streams; none, and a word of it, where they are absent.
fn recorded() -> Vec<(String, String)> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/recorded");
    let root = std::env::var("RECORDED_DIR").unwrap_or_else(|_| default.into());
    let folder = PathBuf::from(root).join("openai-responses");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        // Past the test runner, which shows no output of a test that passes.
        let _ = writeln!(std::io::stderr(), "skipped: {} is not there (RECORDED_DIR)", folder.display());
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "sse"));
    let mut files: Vec<(String, String)> = paths
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(path).unwrap()))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

fn streams() -> Vec<(String, String)> {
    let ours = [("everything", EVERYTHING), ("sparse", SPARSE)];
    let ours = ours.into_iter().map(|(name, file)| (name.to_owned(), file.to_owned()));
    ours.chain(recorded()).collect()
}

fn values(stream: &str) -> Vec<Value> {
    let data = stream.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim);
    data.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
}

fn decoded(stream: &str) -> (Answer, bool) {
    let mut parser = Parser::default();
    let mut decoder = Decoder::new(owner());
    let (mut events, mut ended) = (Vec::new(), false);
    for frame in parser.push(stream.as_bytes()).unwrap() {
        match decoder.push(&frame, &mut events) {
            Ok(end) => ended |= end,
            Err(_) => break,
        }
    }
    decoder.finish(&mut events);
    let mut fold = Fold::default();
    events.iter().for_each(|event| fold.push(event));
    (fold.finish(), ended)
}

/// What an answer says, for comparison: texts, refusals, reasoning, calls.
fn said(answer: &Answer) -> Vec<[String; 4]> {
    let blocks = answer.blocks.iter().map(|block| match block {
        Block::Text(text) => ["text".into(), text.text.clone(), String::new(), String::new()],
        Block::Refusal(text) => ["refusal".into(), text.clone(), String::new(), String::new()],
        Block::Reasoning { text, .. } => ["reasoning".into(), text.clone(), String::new(), String::new()],
        Block::ToolUse(call) => {
            let kind = if call.kind == ToolKind::Custom { "custom" } else { "function" };
            [kind.into(), call.input.clone(), call.name.clone(), call.id.clone()]
        }
        other => panic!("{other:?}"),
    });
    blocks.filter(|block| !(block[0] == "reasoning" && block[1].is_empty())).collect()
}

/// The same, read from the last response object of a stream.
fn said_by(response: &Value) -> Vec<[String; 4]> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut said = Vec::new();
    for item in response["output"].as_array().unwrap() {
        let joined = |key: &str| {
            let parts = item[key].as_array().cloned().unwrap_or_default();
            parts.iter().map(|part| text(&part["text"])).collect::<Vec<_>>().join("\n\n")
        };
        match item["type"].as_str().unwrap() {
            "message" => {
                for part in item["content"].as_array().unwrap() {
                    let refusal = part["type"] == "refusal";
                    let kind = if refusal { "refusal" } else { "text" };
                    said.push([kind.into(), text(&part[kind]), String::new(), String::new()]);
                }
            }
            "reasoning" => {
                let summary = joined("summary");
                let shown = if summary.is_empty() { joined("content") } else { summary };
                said.push(["reasoning".into(), shown, String::new(), String::new()]);
            }
            "function_call" => {
                said.push(["function".into(), text(&item["arguments"]), text(&item["name"]), text(&item["call_id"])]);
            }
            "custom_tool_call" => {
                said.push(["custom".into(), text(&item["input"]), text(&item["name"]), text(&item["call_id"])]);
            }
            _ => {}
        }
    }
    said.retain(|block| !(block[0] == "reasoning" && block[1].is_empty()));
    said
}

fn last_response(stream: &str) -> Value {
    values(stream).into_iter().rfind(|event| !event["response"].is_null()).unwrap()["response"].clone()
}

fn assert_usage(name: &str, counted: Option<Usage>, reported: &Value) {
    let counted = counted.unwrap_or_else(|| panic!("{name}: no usage"));
    let number = |pointer: &str| reported.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    let expected = [
        number("/input_tokens"),
        number("/input_tokens_details/cached_tokens"),
        number("/input_tokens_details/cache_write_tokens"),
        number("/output_tokens"),
        number("/output_tokens_details/reasoning_tokens"),
    ];
    let seen = [counted.total_input(), counted.cache_read, counted.cache_write_5m, counted.output, counted.reasoning];
    assert_eq!(seen, expected, "{name}: all input, cached, written, output, reasoning");
}

/// Everything that a client gets of a stream in these pieces, how it ended, and what was counted.
fn relayed<'a>(mut relay: Box<dyn Relay>, pieces: impl Iterator<Item = &'a [u8]>) -> (String, End, Option<Usage>) {
    let mut out = Vec::new();
    let mut end = None;
    for piece in pieces {
        let step = relay.push(piece);
        match step.forward {
            Forward::Same => out.extend_from_slice(piece),
            Forward::Bytes(bytes) => out.extend(bytes),
        }
        end = step.end;
        if end.is_some() {
            break;
        }
    }
    let end = end.unwrap_or_else(|| {
        let step = relay.finish();
        if let Forward::Bytes(bytes) = step.forward {
            out.extend(bytes);
        }
        step.end.unwrap()
    });
    let usage = relay.meter().reported.map(|reported| reported.usage);
    out.extend(relay.tail(&usage.unwrap_or_default(), NanoUsd::ZERO));
    (String::from_utf8(out).unwrap(), end, usage)
}

fn pass_through(rewrite: Rewrite) -> Box<dyn Relay> {
    Box::new(PassThrough::new(rewrite, Vocabulary::default()))
}

fn translation() -> Box<dyn Relay> {
    Box::new(Translation::new(
        Box::new(Decoder::new(owner())),
        Box::new(Encoder::new(identity())),
        Vocabulary::default(),
    ))
}

fn assert_whole(name: &str, out: &str) {
    grammar::check(out.as_bytes()).unwrap_or_else(|problem| panic!("{name}: {problem}\n{out}"));
}

#[test]
fn streams_are_decoded_to_what_their_last_response_says() {
    for (name, file) in streams() {
        let (answer, ended) = decoded(&file);
        let response = last_response(&file);
        assert!(ended, "{name}");
        assert_eq!(said(&answer), said_by(&response), "{name}");
        let expected = match response["incomplete_details"]["reason"].as_str() {
            Some(_) => StopReason::MaxTokens,
            None if said_by(&response).iter().any(|block| !block[2].is_empty()) => StopReason::ToolUse,
            None => StopReason::EndTurn,
        };
        assert_eq!(answer.stop, Some(Stop { reason: expected, sequence: None }), "{name}");
        assert_usage(&name, answer.usage.map(|reported| reported.usage), &response["usage"]);
        let deltas: String = values(&file)
            .iter()
            .filter(|event| event["type"] == "response.output_text.delta")
            .map(|event| event["delta"].as_str().unwrap().to_owned())
            .collect();
        let texts: String =
            said(&answer).iter().filter(|block| block[0] == "text").map(|block| block[1].clone()).collect();
        assert!(texts.starts_with(&deltas), "{name}");
    }
}

#[test]
fn a_folded_stream_is_the_whole_answer() {
    let (folded, _) = decoded(EVERYTHING);
    assert_eq!(folded, answer::decode(WHOLE, &owner()).unwrap());
    let Block::Reasoning { text, opaque } = &folded.blocks[0] else { panic!("{folded:?}") };
    assert_eq!((text.as_str(), opaque.as_ref().unwrap().tagged().as_str()), ("First.\n\nThen.", "oi-a1-rs_1.gAAA-_="));
    let Block::Text(text) = &folded.blocks[1] else { panic!("{folded:?}") };
    assert_eq!((text.logprobs.len(), text.citations[0].range), (2, Some((0, 2))));
    assert_eq!(folded.losses.to_string(), "phase=1, web_search_call=1");
    for (name, file) in recorded() {
        let (folded, _) = decoded(&file);
        let whole = answer::decode(&last_response(&file).to_string(), &owner()).unwrap();
        assert_eq!(said(&folded), said(&whole), "{name}");
        assert_eq!((folded.stop, folded.usage, folded.losses), (whole.stop, whole.usage, whole.losses), "{name}");
    }
}

#[test]
fn a_stream_passes_with_every_byte_that_is_not_ours() {
    for (name, file) in streams() {
        let (out, end, usage) = relayed(pass_through(Rewrite::default()), std::iter::once(file.as_bytes()));
        assert_eq!(end, End::Complete, "{name}");
        assert_usage(&name, usage, &last_response(&file)["usage"]);
        let named = |event: &Value| event["type"].as_str().unwrap().starts_with("response.");
        let expected: Vec<Value> = values(&file).into_iter().filter(named).collect();
        if expected.iter().all(|event| event["sequence_number"].is_u64()) {
            let file = file.replace(": keepalive\n", ": keep-alive\n");
            assert_eq!(out.replace(",\"cost\":0}", "}"), file, "{name}");
            assert_whole(&name, &out);
        }
        let mut seen = values(&out);
        assert_eq!(seen.last().unwrap()["response"]["usage"]["cost"], 0, "{name}");
        for (number, (event, theirs)) in seen.iter_mut().zip(&expected).enumerate() {
            assert_eq!(event["sequence_number"], number, "{name}");
            match theirs.get("sequence_number") {
                Some(number) => event["sequence_number"] = number.clone(),
                None => drop(event.as_object_mut().unwrap().remove("sequence_number")),
            }
            if let Some(usage) = event.pointer_mut("/response/usage").and_then(Value::as_object_mut) {
                usage.remove("cost");
            }
            assert_eq!(event, theirs, "{name}");
        }
        assert_eq!(seen.len(), expected.len(), "{name}");
    }
}

#[test]
fn what_is_ours_in_a_passed_stream() {
    let rewrite = Rewrite { model: Some("our/model".into()), strip: vec!["metadata".into()], owner: Some(owner()) };
    for (name, file) in streams() {
        let (out, _, _) = relayed(pass_through(rewrite.clone()), std::iter::once(file.as_bytes()));
        for event in values(&out) {
            let response = &event["response"];
            assert!(response.is_null() || (response["model"] == "our/model" && response.get("metadata").is_none()));
            let items = response["output"].as_array().cloned().unwrap_or_default();
            for item in items.iter().chain([&event["item"]]) {
                let held = item["encrypted_content"].as_str().unwrap_or_default();
                let tag = format!("oi-a1-{}.", item["id"].as_str().unwrap_or_default());
                assert!(held.is_empty() || held.starts_with(&tag), "{name}: {held}");
            }
        }
        if !out.contains("custom_tool_test") && name != "sparse" {
            assert_whole(&name, &out);
        }
    }
    let read = answer::read(WHOLE, &Rewrite { owner: None, ..rewrite.clone() }, Vocabulary::default()).unwrap();
    assert_eq!(read.body, WHOLE.replace("up-model", "our/model"));
    let tagged = answer::read(WHOLE, &rewrite, Vocabulary::default()).unwrap();
    assert_eq!(tagged.body, read.body.replace("\"gAAA-_=\"", "\"oi-a1-rs_1.gAAA-_=\""));
    assert_eq!(tagged.usage, usage::parse(&last_response(EVERYTHING)["usage"].to_string()));
    assert!(tagged.visible.estimate > 10);
}

#[test]
fn the_words_of_a_comment_are_ours() {
    let (first, rest) = EVERYTHING.split_once("\n\n").unwrap();
    let stream = format!(": their words\n\n: their words\n{first}\n\n{rest}");
    let (out, ..) = relayed(pass_through(Rewrite::default()), [stream.as_bytes()].into_iter());
    assert!(out.starts_with(": keep-alive\n\n: keep-alive\nevent: ") && !out.contains("their words"), "{out}");
}

#[test]
fn a_translated_stream_is_one_of_ours() {
    for (name, file) in streams() {
        let (out, end, usage) = relayed(translation(), std::iter::once(file.as_bytes()));
        assert_eq!(end, End::Complete, "{name}");
        assert_whole(&name, &out);
        let response = last_response(&out);
        for member in MEMBERS.split_whitespace() {
            assert!(response.get(member).is_some(), "{name}: {member}");
        }
        assert_eq!((&response["model"], &response["temperature"]), (&"our/model".into(), &0.5.into()), "{name}");
        let restored = |said: Vec<[String; 4]>| said.into_iter().map(|b| [b[0].clone(), b[1].clone(), b[3].clone()]);
        assert!(restored(said_by(&response)).eq(restored(said_by(&last_response(&file)))), "{name}");
        assert_usage(&name, usage, &response["usage"]);
        assert_eq!(response["usage"]["cost"], 0);
        for theirs in ["resp_up1", "up-model", "rs_1\"", "words of a provider"] {
            assert!(!out.contains(theirs), "{name}: {theirs}");
        }
    }
    let (out, _, _) = relayed(translation(), std::iter::once(EVERYTHING.as_bytes()));
    let call = &last_response(&out)["output"][3];
    assert_eq!((&call["name"], &call["namespace"]), (&"up".into(), &"look".into()));
}

#[test]
fn a_cut_anywhere_ends_in_an_error_and_what_failed_is_not_faked() {
    for (name, file) in streams() {
        let frames: Vec<&str> = file.split_inclusive("\n\n").collect();
        let is_terminal =
            |frame: &&str| frame.contains("event: response.completed") || frame.contains("event: response.incomplete");
        let terminal = frames.iter().position(is_terminal).unwrap();
        for cut in 0..=terminal {
            let cut: String = frames[..cut].concat();
            for (passes, relay) in [(true, pass_through(Rewrite::default())), (false, translation())] {
                let (out, end, _) = relayed(relay, std::iter::once(cut.as_bytes()));
                assert_eq!(end, End::Truncated, "{name}");
                // What a provider leaves out of its events is not made up where they pass.
                if !(passes && name == "sparse") {
                    assert_whole(&name, &out);
                }
                let last = values(&out).pop().unwrap();
                assert!(last["type"] == "error" || last["type"] == "response.failed", "{name}: {last}");
                assert!(out.contains("event: error\n"), "{name}: {out}");
            }
        }
    }
    for relay in [pass_through(Rewrite::default()), translation()] {
        let (out, end, usage) = relayed(relay, std::iter::once(FAILED.as_bytes()));
        assert_eq!((end, usage.unwrap().output), (End::Failed, 30));
        assert!(!out.contains("secret") && out.contains("upstream_unavailable"), "{out}");
        assert_whole("failed", &out);
    }
}

#[test]
fn a_stream_at_its_limit_is_closed_anywhere() {
    let frames: Vec<&str> = EVERYTHING.split_inclusive("\n\n").collect();
    for cut in 2..frames.len() - 1 {
        for mut relay in [pass_through(Rewrite::default()), translation()] {
            let piece: String = frames[..cut].concat();
            let mut out = match relay.push(piece.as_bytes()).forward {
                Forward::Same => piece.into_bytes(),
                Forward::Bytes(bytes) => bytes,
            };
            relay.stop_at_limit();
            out.extend(relay.tail(&Usage { input: 1, output: 2, ..Usage::default() }, NanoUsd::ZERO));
            let out = String::from_utf8(out).unwrap();
            assert_whole(&format!("limit behind {cut}"), &out);
            let response = last_response(&out);
            assert_eq!(response["incomplete_details"]["reason"], "max_output_tokens");
            assert_eq!((&response["usage"]["total_tokens"], &response["usage"]["cost"]), (&3.into(), &0.into()));
        }
    }
}

#[test]
fn trap_05_every_last_event_is_read_for_usage() {
    let usage = r#"{"input_tokens":9,"output_tokens":7,"input_tokens_details":{"cached_tokens":4}}"#;
    let counted = Some(Usage { input: 5, cache_read: 4, output: 7, ..Usage::default() });
    for kind in ["completed", "incomplete", "failed"] {
        let event = format!(r#"{{"type":"response.{kind}","response":{{"output":[],"usage":{usage}}}}}"#);
        let stream = format!("data: {event}\n\n");
        assert_eq!(decoded(&stream).0.usage.map(|reported| reported.usage), counted, "{kind}");
        for relay in [pass_through(Rewrite::default()), translation()] {
            assert_eq!(relayed(relay, std::iter::once(stream.as_bytes())).2, counted, "{kind}");
        }
    }
}

#[test]
fn half_an_emoji_waits_for_the_other_half() {
    let stream = concat!(
        r#"data: {"type":"response.output_item.added","output_index":0,"item":{"type":"message","id":"m"}}"#,
        "\n\n",
        r#"data: {"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"a\ud83d"}"#,
        "\n\n",
        r#"data: {"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"\udc4db"}"#,
        "\n\n",
    );
    let (answer, ended) = decoded(stream);
    assert!(!ended);
    assert_eq!(said(&answer), [["text".to_owned(), "a👍b".into(), String::new(), String::new()]]);
}

#[test]
fn hostile_streams_are_errors_or_nothing() {
    for (data, ok) in [
        ("<html>", false),
        ("[]", false),
        (r#"{"type":"error","message":"x"}"#, false),
        (r#"{"error":{"message":"x"}}"#, false),
        (r#"{"type":"response.failed"}"#, false),
        (r#"{"type":"response.completed"}"#, false),
        (r#"{"type":"vendor.debug"}"#, true),
        (r#"{"type":"response.output_text.delta","delta":7}"#, true),
        (r#"{"type":"response.output_item.done","output_index":18446744073709551615,"item":{"type":"x"}}"#, true),
        (r#"{"type":"response.output_item.added","item":{"type":[]},"output_index":-1}"#, true),
        ("[DONE]", true),
    ] {
        let mut decoder = Decoder::new(owner());
        let frame = Parser::default().push(format!("data: {data}\n\n").as_bytes()).unwrap().remove(0);
        assert_eq!(decoder.push(&frame, &mut Vec::new()).is_ok(), ok, "{data}");
    }
}

/// A custom tool that an upstream knows as a function: the text is taken out of the arguments.
#[test]
fn a_client_gets_its_own_tools_back() {
    use dialect::canonical::{ClientTool, Delta, Event, Opaque, Open};
    let mut names = ToolNames::default();
    let patch = names.declare(ClientTool { name: "patch".into(), namespace: None, kind: ToolKind::Custom });
    let spawn =
        names.declare(ClientTool { name: "spawn".into(), namespace: Some("agents".into()), kind: ToolKind::Function });
    let call = |id: &str, name: &str| Open::ToolUse { id: id.into(), name: name.into(), kind: ToolKind::Function };
    let events = [
        Event::Open { index: 0, block: Open::Redacted(Opaque::made_by(&owner(), "EqQ")) },
        Event::Close { index: 0 },
        Event::Open { index: 1, block: Open::Reasoning },
        Event::Delta { index: 1, delta: Delta::Text("Hm.".into()) },
        Event::Close { index: 1 },
        Event::Open { index: 2, block: call("call_1", &patch) },
        Event::Delta { index: 2, delta: Delta::Input(r#"{"input":"a\n"#.into()) },
        Event::Delta { index: 2, delta: Delta::Input(r#"\"b\""}"#.into()) },
        Event::Close { index: 2 },
        Event::Open { index: 3, block: call("call_2", &spawn) },
        Event::Delta { index: 3, delta: Delta::Input("{}".into()) },
        Event::Close { index: 3 },
        // Cut off in the middle of an escape.
        Event::Open { index: 4, block: call("call_3", &patch) },
        Event::Delta { index: 4, delta: Delta::Input(r#"{"input":"half\"#.into()) },
        Event::Close { index: 4 },
        Event::Stop(Stop { reason: StopReason::ToolUse, sequence: None }),
    ];
    let mut encoder = Encoder::new(Identity { tool_names: names, echo: Vec::new(), ..identity() });
    let mut bytes = Vec::new();
    events.iter().for_each(|event| encoder.push(event, &mut bytes));
    let used = Usage { input: 5, cache_read: 2, output: 3, ..Usage::default() };
    bytes.extend(encoder.tail(End::Complete, &used, NanoUsd::ZERO));
    grammar::check(&bytes).unwrap();
    insta::assert_snapshot!(String::from_utf8(bytes).unwrap());
}

#[test]
fn a_whole_answer_reads_back() {
    let given = answer::decode(WHOLE, &owner()).unwrap();
    let written = answer::encode(&given, &identity()).0;
    let response: Value = serde_json::from_str(&written).unwrap();
    for member in MEMBERS.split_whitespace() {
        assert!(response.get(member).is_some(), "{member}");
    }
    let again = answer::decode(&written, &owner()).unwrap();
    assert_eq!(
        (again.usage, again.stop.clone(), again.service_tier.clone()),
        (given.usage, given.stop.clone(), given.service_tier.clone())
    );
    let contents = |answer: &Answer| {
        said(answer).into_iter().map(|b| [b[0].clone(), b[1].clone(), b[3].clone()]).collect::<Vec<_>>()
    };
    assert_eq!(contents(&again), contents(&given));
    for (status, details, reason) in [
        ("incomplete", r#"{"reason":"content_filter"}"#, StopReason::ContentFilter),
        ("incomplete", r#"{"reason":"max_output_tokens"}"#, StopReason::MaxTokens),
        ("completed", "null", StopReason::EndTurn),
    ] {
        let body = format!(r#"{{"status":"{status}","incomplete_details":{details},"output":[]}}"#);
        let answer = answer::decode(&body, &owner()).unwrap();
        assert_eq!(answer.stop.as_ref().unwrap().reason, reason);
        let again: Value = serde_json::from_str(&answer::encode(&answer, &identity()).0).unwrap();
        assert_eq!(
            (&again["status"], &again["incomplete_details"]),
            (&status.into(), &serde_json::from_str(details).unwrap())
        );
    }
    for body in ["", "[]", "{}", r#"{"output":[],"error":{"message":"x"}}"#, r#"{"output":[],"status":"failed"}"#] {
        assert!(
            answer::decode(body, &owner()).is_err()
                && answer::read(body, &Rewrite::default(), Vocabulary::default()).is_err(),
            "{body}"
        );
    }
}

/// A provider that numbers its items otherwise than its last response, and calls them otherwise.
#[test]
fn a_call_that_breaks_off_is_told_as_incomplete() {
    let mut encoder = Encoder::new(identity());
    let mut out = Vec::new();
    let block = Open::ToolUse { id: "c".into(), name: "f".into(), kind: ToolKind::Function };
    let stop = Stop { reason: StopReason::MaxTokens, sequence: None };
    for event in [
        Event::Open { index: 0, block },
        Event::Delta { index: 0, delta: Delta::Input("{\"a\": {".into()) },
        Event::Close { index: 0 },
        Event::Stop(stop),
    ] {
        encoder.push(&event, &mut out);
    }
    out.extend(encoder.tail(End::Complete, &Usage::default(), NanoUsd::ZERO));
    assert_eq!(grammar::check(&out), Ok(()));
    let out = String::from_utf8(out).unwrap();
    let last = last_response(&out);
    assert_eq!((&last["status"], &last["output"][0]["status"]), (&"incomplete".into(), &"incomplete".into()));
    let done = values(&out).into_iter().find(|value| value["type"] == "response.output_item.done").unwrap();
    assert_eq!(done["item"]["status"], "incomplete");
}

#[test]
fn nothing_is_told_twice() {
    let message =
        |id: &str| format!(r#"{{"type":"message","id":"{id}","content":[{{"type":"output_text","text":"Hello"}}]}}"#);
    for (index, id) in [(1, "msg_a"), (0, "msg_b")] {
        let stream = format!(
            "data: {}\n\ndata: {}\n\ndata: {}\n\n",
            format_args!(
                r#"{{"type":"response.output_item.added","output_index":{index},"item":{}}}"#,
                message("msg_a")
            ),
            format_args!(
                r#"{{"type":"response.output_text.delta","output_index":{index},"content_index":0,"delta":"Hel"}}"#
            ),
            format_args!(r#"{{"type":"response.completed","response":{{"output":[{}]}}}}"#, message(id)),
        );
        let (answer, ended) = decoded(&stream);
        assert!(ended);
        assert_eq!(said(&answer), [["text".to_owned(), "Hello".into(), String::new(), String::new()]], "{index} {id}");
        assert_eq!(answer.usage, None);
    }
}

#[test]
fn recorded_errors_are_never_answers() {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/recorded");
    let root = std::env::var("RECORDED_DIR").unwrap_or_else(|_| default.into());
    let Ok(entries) = std::fs::read_dir(PathBuf::from(root).join("errors")) else { return };
    for path in entries.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "json"))
    {
        let body = std::fs::read_to_string(&path).unwrap();
        assert!(answer::decode(&body, &owner()).is_err(), "{}", path.display());
        assert!(answer::read(&body, &Rewrite::default(), Vocabulary::default()).is_err(), "{}", path.display());
    }
}

fn splits(bytes: &[u8], cuts: Vec<usize>) -> Vec<&[u8]> {
    let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|w| &bytes[w[0]..w[1]]).collect()
}

#[test]
fn recorded_streams_are_the_same_in_any_pieces() {
    let rewrite = Rewrite { model: Some("our/model".into()), strip: Vec::new(), owner: Some(owner()) };
    for (name, file) in recorded() {
        let bytes = file.as_bytes();
        for relay in [|_: &Rewrite| translation(), |rewrite: &Rewrite| pass_through(rewrite.clone())] {
            let whole = relayed(relay(&rewrite), std::iter::once(bytes));
            for size in [1, 7, 64, 1_000] {
                assert_eq!(relayed(relay(&rewrite), bytes.chunks(size)), whole, "{name} by {size}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn whatever_comes_in_what_order_what_goes_out_is_a_stream(order in proptest::collection::vec(0usize..100, 0..60), limit: bool) {
        let frames: Vec<&str> = EVERYTHING.split_inclusive("\n\n").chain(SPARSE.split_inclusive("\n\n")).collect();
        let mut relay = translation();
        let mut out = Vec::new();
        let mut end = None;
        for frame in order.iter().filter_map(|at| frames.get(*at)) {
            let step = relay.push(frame.as_bytes());
            if let Forward::Bytes(bytes) = step.forward {
                out.extend(bytes);
            }
            end = step.end;
            if end.is_some() {
                break;
            }
        }
        if end.is_none() && limit {
            relay.stop_at_limit();
        } else if end.is_none()
            && let Forward::Bytes(bytes) = relay.finish().forward
        {
            out.extend(bytes);
        }
        out.extend(relay.tail(&Usage::default(), NanoUsd::ZERO));
        let checked = grammar::check(&out);
        prop_assert!(checked.is_ok(), "{}\n{}", checked.unwrap_err(), String::from_utf8_lossy(&out));
    }

    #[test]
    fn any_split_gives_the_same_output(cuts in proptest::collection::vec(0usize..20_000, 0..12)) {
        for file in [EVERYTHING, SPARSE, FAILED] {
            let bytes = file.as_bytes();
            let pieces = splits(bytes, cuts.clone());
            for relay in [translation as fn() -> Box<dyn Relay>, || pass_through(Rewrite::default())] {
                let whole = relayed(relay(), std::iter::once(bytes));
                prop_assert_eq!(relayed(relay(), pieces.iter().copied()), whole);
            }
        }
    }
}
