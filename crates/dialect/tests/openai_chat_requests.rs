//! Chat requests into the pivot and out of it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::PathBuf;

use dialect::canonical::{
    Block, CacheMark, Document, DocumentSource, Effort, Image, ImageSource, Losses, Opaque, Owner, Reasoning,
    ReasoningMode, Request, Role, Target, Text, Tool, ToolChoice, ToolKind, ToolResult, ToolUse, Turn,
};
use dialect::openai_chat::encode::encode;
use dialect::openai_chat::wire::ChatRequest;
use proptest::prelude::*;
use serde_json::{Value, json};

const EVERYTHING: &str = include_str!("fixtures/openai_chat/everything.req.json");

fn owner() -> Owner {
    Owner::new("up1")
}

fn target(owner: &Owner) -> Target<'_> {
    Target {
        model: "m",
        owner,
        reasons: true,
        adaptive_thinking: false,
        lowered_output: None,
        max_output: 1_000,
        limit_field: "max_completion_tokens",
        stream_options: true,
    }
}

fn decoded(body: &str) -> Request {
    ChatRequest::parse(body).unwrap().decode().unwrap_or_else(|error| panic!("{error}: {body}"))
}

fn with_messages(members: &str, messages: &str) -> String {
    format!(r#"{{"model":"m",{members}"messages":{messages}}}"#)
}

fn with(members: &str) -> String {
    with_messages(&format!("{members},"), r#"[{"role":"user","content":"hi"}]"#)
}

/// The body for an upstream, and what was lost.
fn encoded(request: &Request) -> (Value, String) {
    let owner = owner();
    let encoded = encode(request, &target(&owner)).unwrap();
    (serde_json::from_str(&encoded.body).unwrap(), encoded.losses.to_string())
}

fn user(blocks: Vec<Block>) -> Turn {
    Turn { role: Role::User, blocks }
}

fn call(id: &str) -> Block {
    let (name, input) = ("f".to_owned(), String::new());
    Block::ToolUse(ToolUse { id: id.into(), name, input, kind: ToolKind::Function, cache: None })
}

fn result(id: &str, content: Vec<Block>, is_error: bool) -> Block {
    Block::ToolResult(ToolResult { id: id.into(), content, is_error, kind: ToolKind::Function, cache: None })
}

fn image() -> Block {
    let source = ImageSource::Base64 { media_type: "image/png".into(), data: "iVBO".into() };
    Block::Image(Image { source, detail: None, cache: None })
}

#[test]
fn a_request_that_this_dialect_can_say_comes_back_as_it_was() {
    let request = decoded(EVERYTHING);
    assert_eq!(request.losses, Losses::default());
    let owner = owner();
    let encoded = encode(&request, &target(&owner)).unwrap();
    assert_eq!(encoded.losses, Losses::default());
    let parse = |body: &str| serde_json::from_str::<Value>(body).unwrap();
    assert_eq!(parse(&encoded.body), parse(EVERYTHING));
    // What a JSON value would have rounded.
    for number in ["\"seed\":123456789012345678901234567890", "\"temperature\":0.70", "\"top_p\":1e-1"] {
        assert!(encoded.body.contains(number), "{}", encoded.body);
    }
    assert_eq!(encoded.body.matches("123456789012345678901234567890").count(), 3);
    assert_eq!(decoded(&encoded.body), request);
}

#[test]
fn recorded_requests_keep_their_meaning() {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/recorded");
    let root = PathBuf::from(std::env::var("RECORDED_DIR").unwrap_or_else(|_| default.into()));
    for folder in ["openai-chat", "compat-quirks"] {
        let Ok(entries) = std::fs::read_dir(root.join(folder)) else {
            eprintln!("skipped: {folder} is not there (RECORDED_DIR)");
            continue;
        };
        for path in entries.map(|entry| entry.unwrap().path()) {
            let body = std::fs::read_to_string(&path).unwrap();
            let name = path.display();
            // Refused or counted, as other tests show.
            let held = !["\"n\": 2", "\"provider\"", "\"cache_control\""].iter().any(|other| body.contains(other));
            if path.to_str().unwrap().ends_with(".req.json") && held {
                let request = decoded(&body);
                let encoded = encode(&request, &target(&owner())).unwrap();
                assert_eq!((&encoded.losses, &request.losses), (&Losses::default(), &Losses::default()), "{name}");
                let again = Request { reasoning: request.reasoning.clone(), ..decoded(&encoded.body) };
                assert!(again == request, "{name}: {}", encoded.body);
            }
        }
    }
}

#[test]
fn answers_of_tools_stand_behind_their_calls_and_pictures_behind_them() {
    let request = Request {
        instructions: vec![Block::text("a"), Block::text("b")],
        turns: vec![
            Turn { role: Role::Assistant, blocks: vec![Block::text("x"), Block::text("y"), call("t1"), call("t2")] },
            user(vec![
                Block::text("before"),
                result("t1", vec![Block::text("old")], false),
                result("t2", vec![image(), Block::text("seen")], true),
            ]),
            user(vec![result("t1", vec![Block::text("new")], false)]),
            Turn { role: Role::System, blocks: vec![Block::text("mind")] },
            user(vec![result("t3", Vec::new(), false)]),
        ],
        ..Request::default()
    };
    let (body, losses) = encoded(&request);
    let function = json!({"name": "f", "arguments": "{}"});
    assert_eq!(
        body["messages"],
        json!([
            {"role": "system", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            {"role": "assistant", "content": "xy", "tool_calls": [
                {"id": "t1", "type": "function", "function": function},
                {"id": "t2", "type": "function", "function": function},
            ]},
            {"role": "tool", "tool_call_id": "t1", "content": "new"},
            {"role": "tool", "tool_call_id": "t2", "content": "seen"},
            {"role": "tool", "tool_call_id": "t3", "content": ""},
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}]},
            {"role": "user", "content": "before"},
            {"role": "system", "content": "mind"},
        ])
    );
    assert_eq!(losses, "is_error=1, tool_result=1");
}

#[test]
fn trap_11_reasoning_goes_back_to_its_owner_alone() {
    let own = |data: &str| Opaque::made_by(&owner(), data);
    let packed = r#"[{"type":"reasoning.text","signature":"s","index":0}]"#;
    for (opaque, expected, losses) in [
        (Some(own("")), json!({"role": "assistant", "content": "hi", "reasoning_content": "why"}), ""),
        (
            Some(own(packed)),
            json!({"role": "assistant", "content": "hi", "reasoning_details":
                [{"type": "reasoning.text", "text": "why", "signature": "s", "index": 0}]}),
            "",
        ),
        (Some(own("EqQB")), json!({"role": "assistant", "content": "hi"}), "reasoning=1"),
        (
            Some(Opaque::made_by(&Owner::new("other"), packed)),
            json!({"role": "assistant", "content": "hi"}),
            "reasoning=1",
        ),
        (Some(Opaque::parse(packed)), json!({"role": "assistant", "content": "hi"}), "reasoning=1"),
        (None, json!({"role": "assistant", "content": "hi"}), "reasoning=1"),
    ] {
        let blocks = vec![Block::Reasoning { text: "why".into(), opaque: opaque.clone() }, Block::text("hi")];
        let turns = vec![Turn { role: Role::Assistant, blocks }];
        let (body, lost) = encoded(&Request { turns, ..Request::default() });
        assert_eq!((&body["messages"][0], lost.as_str()), (&expected, losses), "{opaque:?}");
    }
}

#[test]
fn what_a_client_keeps_of_an_answer_is_read_back_with_its_owner() {
    let opaque = Opaque::made_by(&owner(), "[]");
    let held = json!([{"role": "assistant", "content": "hi", "reasoning_content": "why", "reasoning_details": [
        {"type": "reasoning.text", "text": "why", "signature": opaque.tagged(), "index": 0},
        {"type": "reasoning.encrypted", "data": opaque.tagged(), "index": 1},
    ]}]);
    let body = with_messages("", &held.to_string());
    let request = ChatRequest::parse(&body).unwrap();
    assert!(request.mixed, "packed state is never passed through");
    let blocks = &request.decode().unwrap().turns.first().unwrap().blocks.clone();
    let reasoning = Block::Reasoning { text: "why".into(), opaque: Some(opaque.clone()) };
    assert_eq!(*blocks, [reasoning, Block::Redacted(opaque), Block::text("hi")]);
    let plain = with_messages("", r#"[{"role":"assistant","content":"hi","reasoning":"why"}]"#);
    let untagged = Block::Reasoning { text: "why".into(), opaque: None };
    assert_eq!(decoded(&plain).turns.first().unwrap().blocks, [untagged, Block::text("hi")]);
    assert!(!ChatRequest::parse(&plain).unwrap().mixed);
}

#[test]
fn reasoning_is_asked_for_in_many_ways_and_sent_as_an_effort() {
    let disabled = ReasoningMode::Disabled;
    for (members, expected, sent) in [
        (
            r#""reasoning_effort":"minimal""#,
            Some((ReasoningMode::Default, Some(Effort::Minimal), None)),
            Some("minimal"),
        ),
        (r#""reasoning_effort":"none""#, Some((disabled, Some(Effort::None), None)), Some("none")),
        (r#""reasoning_effort":"max""#, Some((ReasoningMode::Default, Some(Effort::Max), None)), Some("xhigh")),
        (r#""reasoning_effort":"default""#, None, None),
        (r#""reasoning":{"effort":"low"}"#, Some((ReasoningMode::Default, Some(Effort::Low), None)), Some("low")),
        (r#""reasoning":{"max_tokens":5000}"#, Some((ReasoningMode::Default, None, Some(5_000))), Some("medium")),
        (r#""reasoning":{"enabled":false}"#, Some((disabled, None, None)), Some("none")),
        (
            r#""thinking":{"type":"enabled","budget_tokens":1024}"#,
            Some((ReasoningMode::Enabled, None, Some(1_024))),
            Some("low"),
        ),
        (r#""thinking":{"type":"adaptive"}"#, Some((ReasoningMode::Adaptive, None, None)), None),
        (r#""enable_thinking":true"#, Some((ReasoningMode::Enabled, None, None)), None),
    ] {
        let request = decoded(&with(members));
        let read = request.reasoning.as_ref().map(|asked| (asked.mode, asked.effort, asked.budget_tokens));
        assert_eq!((read, request.losses.to_string()), (expected, String::new()), "{members}");
        assert_eq!(encoded(&request).0["reasoning_effort"].as_str(), sent, "{members}");
    }
    let owner = owner();
    let plain = Target { reasons: false, ..target(&owner) };
    for (mode, losses) in [(ReasoningMode::Enabled, "reasoning=1"), (disabled, "")] {
        let reasoning = Some(Reasoning { mode, effort: None, ..Reasoning::default() });
        let encoded = encode(&Request { reasoning, ..Request::default() }, &plain).unwrap();
        assert!(!encoded.body.contains("reasoning"), "{}", encoded.body);
        assert_eq!(encoded.losses.to_string(), losses);
    }
}

#[test]
fn a_choice_of_tools_is_read_in_every_form() {
    let tools = r#""tools":[{"type":"function","function":{"name":"f"}},{"type":"custom","custom":{"name":"c"}}]"#;
    for (choice, expected, sent) in [
        (r#""none""#, ToolChoice::None, json!("none")),
        (r#""any""#, ToolChoice::Required, json!("required")),
        (
            r#"{"type":"function","function":{"name":"f"}}"#,
            ToolChoice::Named("f".into()),
            json!({"type": "function", "function": {"name": "f"}}),
        ),
        (
            r#"{"type":"custom","name":"c"}"#,
            ToolChoice::Named("c".into()),
            json!({"type": "custom", "custom": {"name": "c"}}),
        ),
        (
            r#"{"type":"tool","name":"f","disable_parallel_tool_use":true}"#,
            ToolChoice::Named("f".into()),
            json!({"type": "function", "function": {"name": "f"}}),
        ),
        (
            r#"{"type":"allowed_tools","mode":"auto","tools":[{"type":"function","name":"f"}]}"#,
            ToolChoice::Allowed { required: false, names: vec!["f".into()] },
            json!({"type": "allowed_tools", "allowed_tools":
                {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]}}),
        ),
    ] {
        let request = decoded(&with(&format!(r#"{tools},"tool_choice":{choice}"#)));
        assert_eq!(request.tool_choice, Some(expected), "{choice}");
        assert_eq!(request.parallel_tool_calls, choice.contains("disable").then_some(false));
        assert_eq!(encoded(&request).0["tool_choice"], sent, "{choice}");
    }
}

#[test]
fn trap_12_a_choice_names_an_absent_tool() {
    let owner = owner();
    for choice in [
        ToolChoice::Named("gone".into()),
        ToolChoice::Allowed { required: true, names: vec!["f".into(), "gone".into()] },
    ] {
        let tool = Tool {
            name: "f".into(),
            description: None,
            kind: ToolKind::Function,
            schema: None,
            strict: None,
            cache: None,
        };
        let request = Request { tools: vec![tool], tool_choice: Some(choice), ..Request::default() };
        assert_eq!(encode(&request, &target(&owner)).unwrap_err().param.as_deref(), Some("tool_choice"));
    }
    let (body, losses) = encoded(&Request { tool_choice: Some(ToolChoice::Required), ..Request::default() });
    assert_eq!((body.get("tool_choice"), losses.as_str()), (None, "tool_choice=1"));
}

#[test]
fn legacy_functions_get_ids() {
    let body = with_messages(
        r#""functions":[{"name":"f","parameters":{}}],"function_call":{"name":"f"},"#,
        r#"[{"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}},
            {"role":"function","name":"f","content":"done"}]"#,
    );
    let (body, losses) = encoded(&decoded(&body));
    assert_eq!(losses, "");
    assert_eq!(body["messages"][0]["tool_calls"][0]["id"], body["messages"][1]["tool_call_id"]);
    assert_eq!(body["tool_choice"]["function"]["name"], "f");
    let orphan = with_messages("", r#"[{"role":"function","name":"f","content":"x"}]"#);
    let error = ChatRequest::parse(&orphan).unwrap().decode().unwrap_err();
    assert_eq!(error.param.as_deref(), Some("messages[0].name"));
}

#[test]
fn mixed_shapes_are_told_and_read() {
    let messages = json!([
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "hm", "signature": "EqQB"},
            {"type": "tool_use", "id": "t1", "name": "Read", "input": {"file_id": "a"}, "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        ]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "t1", "is_error": true, "content": [
                {"type": "text", "text": "no"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}},
            ]},
            {"type": "input_text", "text": "go"},
            {"type": "input_image", "image_url": "https://example.com/a.png"},
        ]},
    ]);
    let tools = json!([
        {"name": "Read", "description": "d", "input_schema": {"type": "object"}},
        {"type": "function", "name": "flat", "parameters": {"type": "object"}, "strict": false},
        {"type": "custom", "name": "ApplyPatch", "format": {"type": "grammar", "syntax": "lark", "definition": "d"}},
    ]);
    let body = with_messages(&format!(r#""tools":{tools},"#), &messages.to_string());
    let parsed = ChatRequest::parse(&body).unwrap();
    assert!(parsed.mixed && parsed.facts.input.unmeasured == 0 && parsed.facts.input.images == 2);
    let request = parsed.decode().unwrap();
    let [assistant, user] = request.turns.as_slice() else { panic!() };
    assert!(matches!(&assistant.blocks[..], [
        Block::Reasoning { text, opaque: Some(Opaque { owner: None, .. }) },
        Block::ToolUse(ToolUse { input, cache: Some(CacheMark::OneHour), .. }),
    ] if text == "hm" && input == r#"{"file_id":"a"}"#));
    assert!(matches!(&user.blocks[..], [
        Block::ToolResult(ToolResult { is_error: true, content, .. }), Block::Text(_), Block::Image(_),
    ] if content.len() == 2));
    let (sent, losses) = encoded(&request);
    assert_eq!(losses, "cache_control=1, is_error=1, reasoning=1");
    let names: Vec<&Value> = sent["tools"].as_array().unwrap().iter().map(|tool| &tool["type"]).collect();
    assert_eq!(names, ["function", "function", "custom"]);
    assert_eq!(sent["tools"][2]["custom"]["format"]["grammar"]["definition"], "d");
    assert_eq!(sent["messages"][0]["tool_calls"][0]["function"]["arguments"], r#"{"file_id":"a"}"#);
    for (members, mixed) in [
        (r#""tools":[{"type":"function","function":{"name":"f"}}]"#, false),
        (r#""tools":[{"type":"function","name":"f"}]"#, true),
    ] {
        assert_eq!(ChatRequest::parse(&with(members)).unwrap().mixed, mixed, "{members}");
    }
}

#[test]
fn a_responses_body_is_told_and_measured() {
    let body = r#"{"model":"m","messages":[],"input":[{"role":"user","content":[{"type":"input_text","text":"hi"}]},
        {"type":"function_call","call_id":"c","name":"f","arguments":"{}"},
        {"type":"function_call_output","call_id":"c","output":[{"type":"input_image","image_url":"data:image/png;base64,AA"}]}]}"#;
    let request = ChatRequest::parse(body).unwrap();
    assert!(request.mixed);
    assert_eq!((request.facts.input.images, request.facts.input.unmeasured), (1, 0));
    assert!(ChatRequest::parse(r#"{"model":"m","input":"hi"}"#).unwrap().mixed);
    for (item, param) in [
        (r#"{"type":"item_reference","id":"x"}"#, "input[0].type"),
        (
            r#"{"type":"message","role":"user","content":[{"type":"input_file","file_id":"x"}]}"#,
            "input[0].content[0].file_id",
        ),
        (r#"{"type":"computer_call_output","output":{"file_id":"x"}}"#, "input[0].file_id"),
    ] {
        let error = ChatRequest::parse(&format!(r#"{{"model":"m","input":[{item}]}}"#)).unwrap_err();
        assert_eq!(error.param.as_deref(), Some(param), "{item}");
    }
}

#[test]
fn what_changes_the_meaning_is_refused_and_the_rest_is_counted() {
    for (body, param) in [
        (with(r#""n":2"#), "n"),
        (with(r#""response_format":{"type":"regex"}"#), "response_format.type"),
        (with(r#""tool_choice":"odd""#), "tool_choice"),
        (with(r#""temperature":"hot""#), "temperature"),
        (with(r#""stop":7"#), "stop"),
        (with(r#""guided_json":{"type":"object"}"#), "guided_json"),
        (with_messages("", r#"[{"role":"assistant","content":"x","prefix":true}]"#), "messages[0].prefix"),
        (with(r#""reasoning_effort":"huge""#), "reasoning_effort"),
        (with_messages("", r#"[{"role":"critic","content":"x"}]"#), "messages[0].role"),
        (
            with_messages("", r#"[{"role":"user","content":[{"type":"video_url","video_url":{"url":"https://x"}}]}]"#),
            "messages[0].content[0]",
        ),
        (with_messages("", r#"[{"role":"tool","content":"x"}]"#), "messages[0].tool_call_id"),
    ] {
        let error = ChatRequest::parse(&body).unwrap().decode().unwrap_err();
        assert_eq!(error.param.as_deref(), Some(param), "{body}: {error}");
    }
    let body = with_messages(
        r#""prediction":{"type":"content","content":"x"},"top_k":5,"metadata":{"a":"b"},"prompt_cache_key":"k","store":true,"x_new":1,"x_off":false,"#,
        r#"[{"role":"user","name":"ann","content":[{"type":"text","text":"hi","cache_control":{"type":"ephemeral"}}]}]"#,
    );
    let request = decoded(&body);
    assert_eq!(request.losses.to_string(), "name=1, prediction=1, x_new=1");
    let mark = Block::Text(Text { cache: Some(CacheMark::FiveMinutes), ..Text::plain("hi") });
    assert_eq!(request.turns, [user(vec![mark])]);
    let losses = encoded(&request).1;
    assert_eq!(losses, "cache_control=1, metadata=1, name=1, prediction=1, prompt_cache_key=1, top_k=1, x_new=1");
}

#[test]
fn documents_are_files_or_text_and_never_an_address() {
    let document = |source| Document { source, title: None, context: None, citations: false, cache: None };
    let pdf = DocumentSource::Base64 { media_type: "application/pdf".into(), data: "JVBE".into() };
    let text = DocumentSource::Text("plain".into());
    let blocks = vec![Block::Document(document(pdf)), Block::Document(document(text))];
    let (body, losses) = encoded(&Request { turns: vec![user(blocks)], ..Request::default() });
    assert_eq!(
        body["messages"][0]["content"],
        json!([
            {"type": "file", "file": {"filename": "document.pdf", "file_data": "data:application/pdf;base64,JVBE"}},
            {"type": "text", "text": "plain"},
        ])
    );
    assert_eq!(losses, "");
    let url = document(DocumentSource::Url("https://example.com/a.pdf".into()));
    let request = Request { turns: vec![user(vec![Block::Document(url)])], ..Request::default() };
    assert_eq!(encode(&request, &target(&owner())).unwrap_err().param.as_deref(), Some("document"));
}

#[test]
fn the_lowered_limit_is_sent_in_the_field_of_the_upstream() {
    let owner = owner();
    let target = Target { lowered_output: Some(7), limit_field: "max_tokens", stream_options: false, ..target(&owner) };
    let request = Request { max_output: Some(900), stream: true, ..Request::default() };
    assert_eq!(encode(&request, &target).unwrap().body, r#"{"model":"m","messages":[],"stream":true,"max_tokens":7}"#);
}

proptest! {
    #[test]
    fn conversations_come_back_as_they_were(turns in proptest::collection::vec(turns(), 0..5)) {
        let request = Request { turns: turns.into_iter().flatten().collect(), ..Request::default() };
        let owner = owner();
        let encoded = encode(&request, &target(&owner)).unwrap();
        prop_assert_eq!(&encoded.losses, &Losses::default());
        prop_assume!(!request.turns.is_empty());
        prop_assert_eq!(decoded(&encoded.body), request, "{}", encoded.body);
    }
}

/// What one side says, with the answers of the tools that it calls.
fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let text = || ".{1,8}".prop_map(Block::text);
    let asked = proptest::collection::vec(prop_oneof![3 => text(), 1 => Just(image())], 1..4);
    let said = |role| proptest::collection::vec(text(), 1..4).prop_map(move |blocks| vec![Turn { role, blocks }]);
    let answer = proptest::collection::vec(proptest::collection::vec(text(), 0..3), 0..4);
    let called = (proptest::option::of(text()), ".{1,8}", answer).prop_map(|(said, refusal, answers)| {
        let ids: Vec<String> = (0..answers.len()).map(|at| format!("t{at}")).collect();
        let mut blocks: Vec<Block> = said.into_iter().collect();
        blocks.push(Block::Refusal(refusal));
        blocks.extend(ids.iter().map(|id| match call(id) {
            Block::ToolUse(call) => Block::ToolUse(ToolUse { input: format!("{{\"id\":\"{id}\"}}"), ..call }),
            other => other,
        }));
        let results = ids.iter().zip(answers).map(|(id, content)| result(id, content, false));
        let results = user(results.collect());
        let mut turns = vec![Turn { role: Role::Assistant, blocks }];
        turns.extend((!results.blocks.is_empty()).then_some(results));
        turns
    });
    prop_oneof![asked.prop_map(|blocks| vec![user(blocks)]), said(Role::System), said(Role::Developer), called,]
}
