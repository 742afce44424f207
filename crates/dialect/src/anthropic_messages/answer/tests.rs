use serde_json::Value;

use super::*;
use crate::canonical::{Citation, ClientTool, ToolKind, ToolNames, ToolUse};
use crate::tokens::Vocabulary;

const BODY: &str = r#"{ "id":"msg_1","type":"message","provider":"Azure","role":"assistant","model":"up","content":[ {"type":"thinking","thinking":"hm","signature":"Eq"}, {"type":"text","text":"so \u00e9"},{"type":"tool_use","id":"t","name":"f","input":{"n": 1e400}}],"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":3,"cache_read_input_tokens":2,"output_tokens":7} }"#;

fn identity() -> Identity {
    let mut tool_names = ToolNames::default();
    tool_names.declare(ClientTool { name: "my tool".into(), ..ClientTool::default() });
    Identity {
        id: "1a".into(),
        created_s: 0,
        model: "our-model".into(),
        owner: Owner::new("own"),
        likely_input: 77,
        vocabulary: Vocabulary::default(),
        include_usage: false,
        tool_names,
        echo: Vec::new(),
    }
}

#[test]
fn an_answer_that_passes_keeps_every_byte_but_what_is_ours() {
    let plain = read(BODY, &Rewrite::default(), Vocabulary::default()).unwrap();
    assert_eq!(plain.body, BODY);
    assert_eq!(plain.usage, Some(Usage { input: 3, cache_read: 2, output: 7, ..Usage::default() }.into()));
    assert!((5..20).contains(&plain.visible.estimate), "{}", plain.visible.estimate);
    let rewrite = Rewrite { model: Some("ours".into()), strip: vec!["provider".into()], owner: Some(Owner::new("a1")) };
    let expected =
        BODY.replace("\"provider\":\"Azure\",", "").replace("\"up\"", "\"ours\"").replace("\"Eq\"", "\"oi-a1-Eq\"");
    assert_eq!(read(BODY, &rewrite, Vocabulary::default()).unwrap().body, expected);
}

#[test]
fn what_is_no_answer_is_an_error() {
    for body in [
        "",
        "<html>",
        "[]",
        "{}",
        r#"{"content":null}"#,
        r#"{"content":["x"]}"#,
        r#"{"type":"error","error":{"type":"api_error","message":"x"}}"#,
        r#"{"type":"error","content":[]}"#,
    ] {
        assert_eq!(read(body, &Rewrite::default(), Vocabulary::default()), Err(NotAnAnswer), "{body}");
        assert_eq!(decode(body, &Owner::new("a1")), Err(NotAnAnswer), "{body}");
    }
}

#[test]
fn an_answer_reads_and_writes_the_same() {
    let owner = Owner::new("own");
    let answer = decode(BODY, &owner).unwrap();
    assert_eq!(answer.stop, Some(Stop { reason: StopReason::ToolUse, sequence: None }));
    let written = encode(&answer, &identity()).0;
    assert!(written.contains(r#""input":{"n": 1e400}"#) && written.contains(r#""signature":"oi-own-Eq""#), "{written}");
    let mut again = decode(&written, &owner).unwrap();
    if let Some(Block::Reasoning { opaque: Some(opaque), .. }) = again.blocks.first_mut() {
        opaque.data = opaque.data.trim_start_matches("oi-own-").to_owned();
    }
    assert_eq!(again, answer);
}

#[test]
fn what_only_others_know_has_a_form_here() {
    let called = |name: &str, input: &str, kind| {
        Block::ToolUse(ToolUse { id: String::new(), name: name.into(), input: input.into(), kind, cache: None })
    };
    let call = |name: &str, input: &str| called(name, input, ToolKind::Function);
    let answer = Answer {
        blocks: vec![
            Block::Reasoning { text: "hm".into(), opaque: None },
            Block::Refusal("no".into()),
            call("my_tool", "{\"cut\":"),
            call("f", ""),
            call("f", " null"),
            call("f", "[1]"),
            called("patch", "a \"b\"\n", ToolKind::Custom),
        ],
        stop: Some(Stop { reason: StopReason::EndTurn, sequence: None }),
        ..Answer::default()
    };
    let written: Value = serde_json::from_str(&encode(&answer, &identity()).0).unwrap();
    assert_eq!(
        written["content"],
        json!([
            {"type": "thinking", "thinking": "hm", "signature": "oi-own-"},
            {"type": "text", "text": "no"},
            {"type": "tool_use", "id": "toolu_1a2", "name": "my tool", "input": {"input": "{\"cut\":"}},
            {"type": "tool_use", "id": "toolu_1a3", "name": "f", "input": {}},
            {"type": "tool_use", "id": "toolu_1a4", "name": "f", "input": {}},
            {"type": "tool_use", "id": "toolu_1a5", "name": "f", "input": {"input": "[1]"}},
            {"type": "tool_use", "id": "toolu_1a6", "name": "patch", "input": {"input": "a \"b\"\n"}},
        ])
    );
    assert_eq!((&written["id"], &written["model"]), (&json!("msg_1a"), &json!("our-model")));
    assert_eq!((&written["stop_reason"], &written["usage"]["input_tokens"]), (&json!("refusal"), &json!(77)));
    let cut: Value = serde_json::from_str(&encode(&Answer::default(), &identity()).0).unwrap();
    assert_eq!(cut["stop_reason"], "max_tokens");
}

#[test]
fn what_has_no_form_is_counted() {
    let citation = |url: Option<&str>| Citation {
        url: url.map(String::from),
        title: None,
        cited_text: None,
        range: None,
        raw: "{}".into(),
    };
    let text = Text {
        text: "so".into(),
        citations: vec![citation(None), citation(Some("https://a.b"))],
        logprobs: vec!["{}".into()],
        ..Text::default()
    };
    let (written, losses) = encode(&Answer { blocks: vec![Block::Text(text)], ..Answer::default() }, &identity());
    assert_eq!(losses.to_string(), "citations=1, logprobs=1");
    let written: Value = serde_json::from_str(&written).unwrap();
    assert_eq!(written["content"][0]["citations"].as_array().map(Vec::len), Some(1));
}
