use super::*;
use crate::canonical::{Citation, ClientTool, Owner, ToolKind, ToolNames};
use crate::tokens::Vocabulary;

fn encoder() -> Encoder {
    let mut tool_names = ToolNames::default();
    tool_names.declare(ClientTool { name: "my tool".into(), ..ClientTool::default() });
    Encoder::new(Identity {
        id: "1a".into(),
        created_s: 0,
        model: "our-model".into(),
        owner: Owner::new("own"),
        likely_input: 77,
        vocabulary: Vocabulary::default(),
        include_usage: false,
        tool_names,
        echo: Vec::new(),
    })
}

fn open(index: usize, block: Open) -> Event {
    Event::Open { index, block }
}

fn said(index: usize, text: &str) -> Event {
    Event::Delta { index, delta: Delta::Text(text.into()) }
}

fn input(index: usize, json: &str) -> Event {
    Event::Delta { index, delta: Delta::Input(json.into()) }
}

fn call(id: &str, name: &str) -> Open {
    Open::ToolUse { id: id.into(), name: name.into(), kind: ToolKind::Function }
}

/// The data of the events that are written for these, the tail included.
fn written(events: &[Event], end: End) -> Vec<serde_json::Value> {
    let mut encoder = encoder();
    let mut bytes = Vec::new();
    events.iter().for_each(|event| encoder.push(event, &mut bytes));
    bytes.extend(encoder.tail(end, &Usage { input: 5, output: 6, ..Usage::default() }, NanoUsd::ZERO));
    let text = String::from_utf8(bytes).unwrap();
    text.lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect()
}

/// `start 0 text`, `delta 0 text_delta` and so on.
fn course(events: &[Event], end: End) -> Vec<String> {
    let word = |event: &serde_json::Value| {
        let index = &event["index"];
        match event["type"].as_str().unwrap() {
            "content_block_start" => format!("start {index} {}", event["content_block"]["type"].as_str().unwrap()),
            "content_block_delta" => format!("delta {index} {}", event["delta"]["type"].as_str().unwrap()),
            "content_block_stop" => format!("stop {index}"),
            "message_delta" => format!("end {}", event["delta"]["stop_reason"].as_str().unwrap()),
            other => other.to_owned(),
        }
    };
    written(events, end).iter().map(word).collect()
}

#[test]
fn blocks_that_are_open_at_once_are_written_one_after_another() {
    let stop = Event::Stop(Stop { reason: StopReason::ToolUse, sequence: None });
    let events = [
        open(0, call("a", "f")),
        open(1, call("b", "f")),
        input(1, "{\"x\":"),
        input(0, "{}"),
        input(1, "1}"),
        Event::Close { index: 1 },
        open(2, Open::Text),
        said(2, "so"),
        Event::Close { index: 0 },
        said(2, "on"),
        Event::Close { index: 2 },
        stop,
    ];
    assert_eq!(
        course(&events, End::Complete),
        [
            "message_start",
            "start 0 tool_use",
            "stop 0",
            "start 1 tool_use",
            "delta 1 input_json_delta",
            "delta 1 input_json_delta",
            "stop 1",
            "start 2 text",
            "delta 2 text_delta",
            "delta 2 text_delta",
            "stop 2",
            "end tool_use",
            "message_stop",
        ]
    );
}

#[test]
fn a_limit_closes_what_is_open_and_what_waits() {
    let events = [open(0, Open::Text), said(0, "a"), open(1, Open::Text), said(1, "b")];
    let course = course(&events, End::Limit);
    assert_eq!(
        course[1..],
        [
            "start 0 text",
            "delta 0 text_delta",
            "stop 0",
            "start 1 text",
            "delta 1 text_delta",
            "stop 1",
            "end max_tokens",
            "message_stop",
        ]
    );
    let nothing = written(&[], End::Limit);
    assert_eq!(nothing.len(), 3);
}

#[test]
fn trap_09_the_beginning_tells_the_input() {
    let first = |event: Event| written(&[event], End::Complete)[0]["message"]["usage"]["input_tokens"].clone();
    assert_eq!(first(open(0, Open::Text)), 77);
    assert_eq!(first(Event::Usage(Usage::default().into())), 77);
    assert_eq!(first(Event::Usage(Usage { input: 9, ..Usage::default() }.into())), 9);
}

#[test]
fn the_signature_ends_the_reasoning_and_says_whose_it_is() {
    let opaque = Event::Delta { index: 0, delta: Delta::Opaque(Opaque::made_by(&Owner::new("b2"), "Eq")) };
    let signed = written(&[open(0, Open::Reasoning), opaque, said(0, "hm"), Event::Close { index: 0 }], End::Complete);
    assert_eq!(signed[2]["delta"]["thinking"], "hm");
    assert_eq!(signed[3]["delta"]["signature"], "oi-b2-Eq");
    let bare = written(&[open(0, Open::Reasoning), said(0, "hm"), Event::Close { index: 0 }], End::Complete);
    assert_eq!(bare[3]["delta"]["signature"], "oi-own-");
    let redacted = open(0, Open::Redacted(Opaque::made_by(&Owner::new("b2"), "Zz")));
    assert_eq!(written(&[redacted], End::Complete)[1]["content_block"]["data"], "oi-b2-Zz");
}

#[test]
fn calls_bear_the_client_s_names_and_always_an_id() {
    let events = written(&[open(0, call("", "my_tool")), Event::Close { index: 0 }], End::Complete);
    let block = &events[1]["content_block"];
    assert_eq!((&block["name"], &block["id"]), (&json!("my tool"), &json!("toolu_1a0")));
}

#[test]
fn refusals_stop_as_such_and_sequences_are_named() {
    let refused = [open(0, Open::Refusal), said(0, "no"), Event::Close { index: 0 }];
    assert_eq!(course(&refused, End::Complete)[4], "end refusal");
    let stop = Event::Stop(Stop { reason: StopReason::StopSequence, sequence: Some("END".into()) });
    let events = written(&[stop], End::Complete);
    assert_eq!(events[1]["delta"], json!({"stop_reason": "stop_sequence", "stop_sequence": "END"}));
    assert_eq!((&events[1]["usage"]["output_tokens"], &events[1]["usage"]["cost"]), (&json!(6), &json!(0)));
}

/// The input that a client joins from the deltas of a call.
fn joined(kind: ToolKind, pieces: &[&str], end: End) -> String {
    let mut events = vec![open(0, Open::ToolUse { id: "a".into(), name: "f".into(), kind })];
    events.extend(pieces.iter().map(|piece| input(0, piece)));
    if end == End::Complete {
        events.push(Event::Close { index: 0 });
    }
    let deltas = written(&events, end);
    deltas.iter().filter_map(|event| event["delta"]["partial_json"].as_str()).collect()
}

#[test]
fn the_input_of_a_call_is_always_an_object() {
    for (kind, pieces, expected) in [
        (ToolKind::Function, &[][..], ""),
        (ToolKind::Function, &["{}"], ""),
        (ToolKind::Function, &["null"], ""),
        (ToolKind::Function, &["", "nu", "ll"], ""),
        (ToolKind::Function, &[" ", "{\"a\"", ":1}"], " {\"a\":1}"),
        (ToolKind::Function, &["[1", ",2]"], r#"{"input":"[1,2]"}"#),
        (ToolKind::Function, &["\"a\""], r#"{"input":"\"a\""}"#),
        (ToolKind::Custom, &[], r#"{"input":""}"#),
        (ToolKind::Custom, &["a \"b", "\"\n", "é👍"], r#"{"input":"a \"b\"\né👍"}"#),
    ] {
        assert_eq!(joined(kind, pieces, End::Complete), expected, "{pieces:?}");
        assert_eq!(joined(kind, pieces, End::Limit), expected, "{pieces:?}");
    }
}

#[test]
fn what_has_no_form_is_counted() {
    let citation = Citation { url: None, title: None, cited_text: None, range: None, raw: "{}".into() };
    let mut encoder = encoder();
    let mut bytes = Vec::new();
    for event in [
        open(0, Open::Text),
        Event::Delta { index: 0, delta: Delta::Citation(citation) },
        Event::Delta { index: 0, delta: Delta::Logprobs(vec!["{}".into()]) },
    ] {
        encoder.push(&event, &mut bytes);
    }
    assert_eq!(encoder.losses().to_string(), "citations=1, logprobs=1");
}

#[test]
fn a_broken_stream_ends_in_an_error() {
    for end in [End::Truncated, End::Failed] {
        assert_eq!(course(&[open(0, Open::Text)], end), ["message_start", "start 0 text", "error"]);
    }
}

#[test]
fn an_empty_object_within_an_input_is_told() {
    let events = [open(0, call("t", "f")), input(0, r#"{"a":"#), input(0, "{}"), input(0, "}")];
    let pieces: String =
        written(&events, End::Complete).iter().filter_map(|event| event["delta"]["partial_json"].as_str()).collect();
    assert_eq!(pieces, r#"{"a":{}}"#);
}
