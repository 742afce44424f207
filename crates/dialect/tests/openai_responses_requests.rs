//! Requests for responses, read into the pivot and written for an upstream.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use dialect::canonical::{
    Block, CacheMark, Document, DocumentSource, Effort, Format, Image, ImageSource, Opaque, Owner, Reasoning,
    ReasoningMode, Request, Role, Target, Text, Tool, ToolChoice, ToolKind, ToolResult, ToolUse, Turn,
};
use dialect::openai_responses::encode::encode;
use dialect::openai_responses::wire::ResponsesRequest;
use proptest::prelude::*;
use serde_json::{Value, json};

const CODEX: &str = include_str!("fixtures/openai_responses/codex.json");

fn decode(body: &str) -> Request {
    ResponsesRequest::parse(body).unwrap().decode().unwrap()
}

fn target<'a>(owner: &'a Owner, reasons: bool) -> Target<'a> {
    Target {
        model: "up",
        owner,
        reasons,
        adaptive_thinking: false,
        lowered_output: None,
        max_output: 8_000,
        limit_field: "max_output_tokens",
        stream_options: true,
    }
}

fn encoded(request: &Request, owner: &str, reasons: bool) -> (Value, String, String) {
    let owner = Owner::new(owner);
    let encoded = encode(request, &target(&owner, reasons)).unwrap();
    (serde_json::from_str(&encoded.body).unwrap(), encoded.body, encoded.losses.to_string())
}

#[test]
fn a_session_of_codex_is_understood() {
    let request = decode(CODEX);
    let roles: Vec<Role> = request.turns.iter().map(|turn| turn.role).collect();
    assert_eq!(roles, [Role::Developer, Role::User, Role::Assistant, Role::User, Role::Assistant]);
    let [reasoning, text, exec, spawn, patch] = request.turns[2].blocks.as_slice() else { panic!("{request:?}") };
    let opaque = Some(Opaque::made_by(&Owner::new("a1"), "rs_up.gAAA"));
    assert_eq!(reasoning, &Block::Reasoning { text: "Look first.".into(), opaque });
    assert_eq!(text, &Block::text("Looking."));
    let call = |id: &str, name: &str, input: &str, kind| {
        Block::ToolUse(ToolUse { id: id.into(), name: name.into(), input: input.into(), kind, cache: None })
    };
    assert_eq!(exec, &call("call_1", "exec_command", r#"{"cmd":"ls"}"#, ToolKind::Function));
    assert_eq!(spawn, &call("call_2", "multi_agent_v1__spawn", "{}", ToolKind::Function));
    assert_eq!(patch, &call("call_3", "apply_patch", "*** Begin", ToolKind::Custom));
    let kinds: Vec<(ToolKind, usize)> = request.turns[3]
        .blocks
        .iter()
        .map(|block| match block {
            Block::ToolResult(result) => (result.kind, result.content.len()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(kinds, [(ToolKind::Function, 1), (ToolKind::Function, 2), (ToolKind::Custom, 1)]);
    assert_eq!(request.turns[4].blocks, [Block::Redacted(Opaque::made_by(&Owner::new("b2"), "EqQB"))]);
    let image = ImageSource::Base64 { media_type: "image/png".into(), data: "iVBORw0KGgo=".into() };
    assert_eq!(
        request.turns[1].blocks[1],
        Block::Image(Image { source: image, detail: Some("high".into()), cache: None })
    );

    let names: Vec<&str> = request.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!(names, ["exec_command", "multi_agent_v1__spawn", "apply_patch"]);
    assert!(request.tools[0].schema.as_ref().unwrap().contains("123456789012345678901"));
    assert_eq!(request.tool_names.client("multi_agent_v1__spawn").namespace.as_deref(), Some("multi_agent_v1"));
    assert_eq!(
        request.reasoning,
        Some(Reasoning {
            mode: ReasoningMode::Default,
            effort: Some(Effort::High),
            budget_tokens: None,
            shown: Some(true)
        })
    );
    assert!(
        matches!(&request.format, Some(Format::JsonSchema { schema, strict: Some(true), .. }) if schema.contains("1.50"))
    );
    assert_eq!((request.sampling.temperature.as_deref(), request.max_output), (Some("0.70"), Some(900)));
    assert_eq!((request.verbosity.as_deref(), request.prompt_cache_key.as_deref()), (Some("low"), Some("0198")));
    assert_eq!(
        (request.metadata.user.as_deref(), request.metadata.labels.as_deref()),
        (Some("u1"), Some(r#"{"a":"b"}"#))
    );
    assert_eq!(request.losses.to_string(), "truncation=1, web_search=1, web_search_call=1");
}

#[test]
fn what_is_written_reads_back_the_same() {
    let request = decode(CODEX);
    let (value, body, losses) = encoded(&request, "a1", true);
    assert_eq!(losses, "reasoning=1, truncation=1, web_search=1, web_search_call=1");
    assert_eq!((&value["store"], &value["include"]), (&json!(false), &json!(["reasoning.encrypted_content"])));
    assert_eq!(
        value["input"][2],
        json!({"type":"reasoning","id":"rs_up","summary":[{"type":"summary_text","text":"Look first."}],"encrypted_content":"gAAA"})
    );
    assert_eq!(
        value["tools"][1],
        json!({"type":"function","name":"multi_agent_v1__spawn","parameters":{"type":"object","properties":{}},"strict":false})
    );
    for kept in ["123456789012345678901", "1.50", "0.70"] {
        assert!(body.contains(kept), "{body}");
    }
    let mut again = decode(&body);
    // What went out has no owner and no namespace any more.
    assert_eq!(
        again.turns[2].blocks[0],
        Block::Reasoning { text: "Look first.".into(), opaque: Some(Opaque::parse("gAAA")) }
    );
    again.turns[2].blocks[0] = request.turns[2].blocks[0].clone();
    let mut expected = request.clone();
    expected.turns.pop();
    if let Block::ToolResult(result) = &mut expected.turns[3].blocks[1]
        && let Block::Image(image) = &mut result.content[1]
    {
        image.detail = Some("auto".into());
    }
    again.losses = expected.losses.clone();
    again.tool_names = expected.tool_names.clone();
    assert_eq!(again, expected);

    let (value, _, losses) = encoded(&request, "c3", false);
    assert!(value.get("reasoning").is_none() && value.get("include").is_none(), "{value}");
    assert!(losses.starts_with("reasoning=2"), "{losses}");
}

#[test]
fn what_other_dialects_ask_for() {
    let owner = Owner::new("a1");
    let cache = Some(CacheMark::OneHour);
    let pdf = DocumentSource::Base64 { media_type: "application/pdf".into(), data: "JVBE".into() };
    let document = |source, title: Option<&str>| {
        Block::Document(Document { source, title: title.map(Into::into), context: None, citations: false, cache: None })
    };
    let result = ToolResult {
        id: "t1".into(),
        content: vec![Block::text("no such file")],
        is_error: true,
        kind: ToolKind::Function,
        cache,
    };
    let mut request = Request {
        instructions: vec![Block::text("a"), Block::Text(Text { cache, ..Text::plain("b") })],
        turns: vec![
            Turn { role: Role::User, blocks: vec![Block::ToolResult(result), document(pdf, Some("x.pdf"))] },
            Turn {
                role: Role::User,
                blocks: vec![
                    document(DocumentSource::Url("https://x/y.pdf".into()), None),
                    document(DocumentSource::Text("plain".into()), Some("T")),
                ],
            },
        ],
        tools: vec![Tool {
            name: "f".into(),
            description: None,
            kind: ToolKind::Function,
            schema: None,
            strict: None,
            cache: None,
        }],
        tool_choice: Some(ToolChoice::Allowed { required: true, names: vec!["f".into()] }),
        max_output: Some(1),
        reasoning: Some(Reasoning {
            mode: ReasoningMode::Enabled,
            budget_tokens: Some(20_000),
            ..Reasoning::default()
        }),
        logprobs: Some(3),
        ..Request::default()
    };
    request.sampling.top_k = Some("40".into());
    request.metadata.user = Some("x".repeat(65));
    let (value, _, losses) = encoded(&request, "a1", true);
    assert_eq!(losses, "cache_control=2, is_error=1, safety_identifier=1, top_k=1");
    assert_eq!(
        value,
        json!({
            "model": "up",
            "input": [
                {"type":"function_call_output","call_id":"t1","output":"no such file"},
                {"type":"message","role":"user","content":[{"type":"input_file","filename":"x.pdf","file_data":"data:application/pdf;base64,JVBE"}]},
                {"type":"message","role":"user","content":[
                    {"type":"input_file","file_url":"https://x/y.pdf"},
                    {"type":"input_text","text":"T\n\nplain"}]}
            ],
            "instructions": "a\n\nb",
            "store": false,
            "max_output_tokens": 16,
            "tools": [{"type":"function","name":"f","parameters":{"type":"object","properties":{}},"strict":false}],
            "tool_choice": {"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"f"}]},
            "reasoning": {"effort":"high","summary":"auto"},
            "include": ["reasoning.encrypted_content","message.output_text.logprobs"],
            "top_logprobs": 3
        })
    );
    request.stop = vec!["END".into()];
    assert_eq!(encode(&request, &target(&owner, true)).unwrap_err().param.as_deref(), Some("stop"));
}

#[test]
fn trap_12_a_choice_of_an_absent_tool_is_refused() {
    for choice in [
        r#"{"type":"function","name":"absent"}"#,
        r#"{"type":"allowed_tools","mode":"auto","tools":[{"type":"function","name":"absent"}]}"#,
        r#"{"type":"function","name":"spawn"}"#,
    ] {
        let body = CODEX.replace(r#""tool_choice":"auto""#, &format!(r#""tool_choice":{choice}"#));
        let error = ResponsesRequest::parse(&body).unwrap().decode().unwrap_err();
        assert_eq!(error.param.as_deref(), Some("tool_choice"), "{choice}");
    }
}

#[test]
fn tools_that_only_this_dialect_knows_are_left_out_and_counted() {
    let request = decode(
        r#"{"model":"m","input":"a","tool_choice":"required","tools":[{"type":"tool_search","execution":"client","description":"d","parameters":{"type":"object"}},{"type":"local_shell"},{"type":"function","name":"f","defer_loading":true}]}"#,
    );
    let names: Vec<&str> = request.tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!((names.as_slice(), request.tool_choice), (["f"].as_slice(), Some(ToolChoice::Required)));
    assert_eq!(request.losses.to_string(), "defer_loading=1, local_shell=1, tool_search=1");
    let left = decode(r#"{"model":"m","input":"a","tool_choice":"auto","tools":[{"type":"apply_patch"}]}"#);
    assert!(left.tools.is_empty() && left.tool_choice == Some(ToolChoice::Auto), "{left:?}");
}

#[test]
fn what_cannot_be_told_is_refused_by_name() {
    for (members, param) in [
        (r#""input":"a","tools":[{"type":"local_shell"}],"tool_choice":"required""#, "tool_choice"),
        (r#""input":"a","tools":[{"type":"local_shell"}],"tool_choice":{"type":"local_shell"}"#, "tool_choice"),
        (r#""input":"a","tool_choice":{"type":"apply_patch"}"#, "tool_choice"),
        (r#""input":"a","tool_choice":{"type":"function","name":"absent"}"#, "tool_choice"),
        (r#""input":"a","reasoning":{"effort":"huge"}"#, "reasoning.effort"),
        (r#""input":"a","temperature":"hot""#, "temperature"),
        (r#""input":[{"type":"compaction","encrypted_content":"x"}]"#, "input[0].type"),
        (r#""input":[{"type":"local_shell_call","action":{}}]"#, "input[0].type"),
        (r#""input":[{"role":"narrator","content":"a"}]"#, "input[0].role"),
        (r#""input":[{"type":"function_call","name":"f","arguments":"{}"}]"#, "input[0].call_id"),
        (r#""input":[{"role":"user","content":[{"type":"input_video"}]}]"#, "input[0].content[0].type"),
    ] {
        let body = format!(r#"{{"model":"m",{members}}}"#);
        let error = ResponsesRequest::parse(&body).unwrap().decode().unwrap_err();
        assert_eq!(error.param.as_deref(), Some(param), "{body}: {error}");
    }
    let named = decode(
        r#"{"model":"m","input":"a","tools":[{"type":"custom","name":"p"}],"tool_choice":{"type":"custom","name":"p"},"include":["message.output_text.logprobs"],"max_tool_calls":3}"#,
    );
    assert_eq!(named.tool_choice, Some(ToolChoice::Named("p".into())));
    assert_eq!((named.logprobs, named.losses.to_string().as_str()), (Some(0), "max_tool_calls=1"));
}

/// Any item that a conversation may hold, as JSON.
fn item() -> impl Strategy<Value = Value> {
    let text = "[ -~äé👍\\n\"\\\\]{0,12}";
    prop_oneof![
        (prop_oneof![Just("user"), Just("system"), Just("developer")], text)
            .prop_map(|(role, text)| json!({"role": role, "content": [{"type": "input_text", "text": text}]})),
        text.prop_map(
            |text| json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]})
        ),
        (text, "[a-z]{1,6}").prop_map(|(text, id)| {
            json!({"type": "function_call", "call_id": id, "name": "f", "arguments": json!({"a": text}).to_string()})
        }),
        (text, "[a-z]{1,6}")
            .prop_map(|(text, id)| json!({"type": "custom_tool_call_output", "call_id": id, "output": text})),
        (text, "[a-z]{1,6}")
            .prop_map(|(text, id)| json!({"type": "function_call_output", "call_id": id, "output": text})),
        "[a-zA-Z0-9_-]{1,9}".prop_map(|data| {
            json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": format!("oi-a1-rs_1.{data}")})
        }),
    ]
}

proptest! {
    #[test]
    fn a_round_trip_keeps_the_meaning(items in proptest::collection::vec(item(), 1..8)) {
        let body = json!({"model": "m", "input": items}).to_string();
        let request = decode(&body);
        let (_, written, losses) = encoded(&request, "a1", true);
        prop_assert_eq!(losses, "");
        let tagged = written.replace("\"encrypted_content\":\"", "\"encrypted_content\":\"oi-a1-rs_1.");
        let again = decode(&tagged);
        prop_assert_eq!(again.turns, request.turns);
    }
}

#[test]
fn half_a_character_in_a_text_is_replaced() {
    let request = decode(
        r#"{"model":"m","input":[{"role":"user","content":"a\ud83d"},{"role":"user","content":[{"type":"input_text","text":"b\ud83d"}]},
        {"type":"function_call","call_id":"c","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c","output":"cut \ud83d"}]}"#,
    );
    let texts: Vec<&Block> = request.turns[..2].iter().flat_map(|turn| &turn.blocks).collect();
    assert_eq!(texts, [&Block::text("a\u{fffd}"), &Block::text("b\u{fffd}")]);
    assert!(
        matches!(&request.turns[3].blocks[0], Block::ToolResult(ToolResult { content, .. }) if *content == [Block::text("cut \u{fffd}")])
    );
}
