use serde_json::{Value, json};

use super::*;
use crate::canonical::{
    Block, CacheMark, Effort, Format, Opaque, Owner, Reasoning, ReasoningMode, Sampling, Text, ToolResult, ToolUse,
    Turn,
};

fn owner() -> Owner {
    Owner::new("a1")
}

fn target(owner: &Owner) -> Target<'_> {
    Target {
        model: "claude-up",
        owner,
        reasons: true,
        adaptive_thinking: false,
        lowered_output: None,
        max_output: 8_000,
        limit_field: "max_tokens",
        stream_options: false,
    }
}

fn written(request: &Request) -> (Value, String) {
    written_for(request, |_| ())
}

fn written_for(request: &Request, change: impl FnOnce(&mut Target<'_>)) -> (Value, String) {
    let owner = owner();
    let mut target = target(&owner);
    change(&mut target);
    let encoded = encode(request, &target).unwrap();
    (serde_json::from_str(&encoded.body).unwrap(), encoded.losses.to_string())
}

fn turn(role: Role, blocks: Vec<Block>) -> Turn {
    Turn { role, blocks }
}

fn user(text: &str) -> Turn {
    turn(Role::User, vec![Block::text(text)])
}

fn call(id: &str, input: &str) -> Block {
    Block::ToolUse(ToolUse {
        id: id.into(),
        name: "f".into(),
        input: input.into(),
        kind: ToolKind::Function,
        cache: None,
    })
}

fn result(id: &str, text: &str) -> Block {
    Block::ToolResult(ToolResult {
        id: id.into(),
        content: vec![Block::text(text)],
        is_error: false,
        kind: ToolKind::Function,
        cache: None,
    })
}

fn marked(text: &str, cache: CacheMark) -> Block {
    Block::Text(Text { cache: Some(cache), ..Text::plain(text) })
}

fn tool(name: &str) -> Tool {
    Tool {
        name: name.into(),
        description: None,
        kind: ToolKind::Function,
        schema: Some(r#"{"properties":{"n":{"const":123456789012345678901234567890}}}"#.into()),
        strict: None,
        cache: None,
    }
}

fn of(turns: Vec<Turn>) -> Request {
    Request { turns, ..Request::default() }
}

#[test]
fn system_and_developer_turns_stand_where_they_stood() {
    let mut request = of(vec![
        turn(Role::Developer, vec![Block::text("first")]),
        user("a"),
        user("b"),
        turn(Role::System, vec![Block::text("mid")]),
        turn(Role::Assistant, vec![Block::text("c ")]),
    ]);
    request.instructions = vec![Block::text("instructions")];
    let (body, losses) = written(&request);
    let text = |text: &str| json!({"type": "text", "text": text});
    assert_eq!(
        body,
        json!({
            "model": "claude-up",
            "max_tokens": 8000,
            "system": [text("instructions"), text("first")],
            "messages": [
                {"role": "user", "content": [text("a"), text("b")]},
                {"role": "system", "content": [text("mid")]},
                {"role": "assistant", "content": [text("c ")]},
            ],
        })
    );
    assert_eq!(losses, "");
}

#[test]
fn trap_12_results_follow_their_calls_and_of_two_the_last_counts() {
    let request = of(vec![
        user("go"),
        turn(Role::Assistant, vec![call("call.1", "{\"a\": 1}"), call("call_2", "")]),
        turn(Role::System, vec![Block::text("note")]),
        turn(Role::User, vec![Block::text("and"), result("call_2", "two"), result("call.1", "old")]),
        turn(Role::User, vec![result("call.1", "one"), result("nobody", "x")]),
    ]);
    let (body, losses) = written(&request);
    let result = |id: &str, text: &str| json!({"type": "tool_result", "tool_use_id": id, "content": [{"type": "text", "text": text}]});
    assert_eq!(
        body["messages"],
        json!([
            {"role": "user", "content": [{"type": "text", "text": "go"}]},
            {"role": "assistant", "content": [
                {"type": "tool_use", "id": "call_1", "name": "f", "input": {"a": 1}},
                {"type": "tool_use", "id": "call_2", "name": "f", "input": {}},
            ]},
            {"role": "user", "content": [result("call_1", "one"), result("call_2", "two")]},
            {"role": "system", "content": [{"type": "text", "text": "note"}]},
            {"role": "user", "content": [{"type": "text", "text": "and"}]},
        ])
    );
    assert_eq!(losses, "tool_result=2");
}

#[test]
fn the_same_id_twice_means_two_calls_with_a_result_each() {
    let request = of(vec![
        turn(Role::Assistant, vec![call("c", "{}")]),
        turn(Role::User, vec![result("c", "one")]),
        turn(Role::Assistant, vec![call("c", "{}")]),
        turn(Role::User, vec![result("c", "two")]),
    ]);
    let (body, losses) = written(&request);
    let told = |at: usize| body["messages"][at]["content"][0]["content"][0]["text"].clone();
    assert_eq!((told(1), told(3), losses.as_str()), (json!("one"), json!("two"), ""));
    let ids = |at: usize, key: &str| body["messages"][at]["content"][0][key].clone();
    assert_eq!((ids(0, "id"), ids(1, "tool_use_id")), (json!("c"), json!("c")));
    assert_eq!((ids(2, "id"), ids(3, "tool_use_id")), (json!("c_2"), json!("c_2")));
}

#[test]
fn tools_have_a_schema_and_a_choice_that_exists() {
    let mut request = of(vec![user("x")]);
    request.tools = vec![
        tool("f"),
        Tool { kind: ToolKind::Custom, schema: Some("{\"type\":\"grammar\"}".into()), ..tool("patch") },
        Tool { schema: None, ..tool("none") },
    ];
    request.parallel_tool_calls = Some(false);
    let owner = owner();
    let encoded = encode(&request, &target(&owner)).unwrap();
    assert!(
        encoded.body.contains(r#"{"properties":{"n":{"const":123456789012345678901234567890}},"type":"object"}"#),
        "{}",
        encoded.body
    );
    assert!(encoded.body.contains(TEXT_SCHEMA) && encoded.body.contains(EMPTY_SCHEMA));
    assert!(encoded.body.contains(r#""tool_choice":{"type":"auto","disable_parallel_tool_use":true}"#));
    assert_eq!(encoded.losses.to_string(), "tools.format=1");
    for (choice, expected) in [
        (ToolChoice::Named("f".into()), json!({"type": "tool", "name": "f", "disable_parallel_tool_use": true})),
        (ToolChoice::Required, json!({"type": "any", "disable_parallel_tool_use": true})),
        (ToolChoice::None, json!({"type": "none"})),
        (
            ToolChoice::Allowed { required: true, names: vec!["f".into()] },
            json!({"type": "any", "disable_parallel_tool_use": true}),
        ),
    ] {
        request.tool_choice = Some(choice);
        assert_eq!(written(&request).0["tool_choice"], expected);
    }
    assert_eq!(written(&request).0["tools"].as_array().unwrap().len(), 1);
    request.tool_choice = Some(ToolChoice::Named("absent".into()));
    assert_eq!(encode(&request, &target(&owner)).unwrap_err().param.as_deref(), Some("tool_choice"));
    let none = Request { tool_choice: Some(ToolChoice::Auto), ..of(vec![user("x")]) };
    assert_eq!(written(&none).0.get("tool_choice"), None);
}

#[test]
fn custom_calls_and_broken_arguments_are_objects() {
    let custom = Block::ToolUse(ToolUse {
        id: "c".into(),
        name: "patch".into(),
        input: "*** Begin \"x\"".into(),
        kind: ToolKind::Custom,
        cache: None,
    });
    let (body, losses) = written(&of(vec![turn(Role::Assistant, vec![custom, call("d", "{\"cut\":")])]));
    let input = |at: usize| body["messages"][0]["content"][at]["input"].clone();
    assert_eq!(input(0), json!({"input": "*** Begin \"x\""}));
    assert_eq!((input(1), losses.as_str()), (json!({"input": "{\"cut\":"}), "tool_use.input=1"));
}

#[test]
fn trap_11_state_goes_to_its_owner_only() {
    let reasoning = |owner: Option<&str>| Block::Reasoning {
        text: "hm".into(),
        opaque: Some(Opaque { owner: owner.map(Owner::new), data: "Eq".into() }),
    };
    let bare = Block::Reasoning { text: "hm".into(), opaque: None };
    let redacted = Block::Redacted(Opaque { owner: Some(Owner::new("b2")), data: "Zz".into() });
    let blocks = vec![reasoning(Some("a1")), reasoning(Some("b2")), reasoning(None), bare, redacted, Block::text("so")];
    let (body, losses) = written(&of(vec![turn(Role::Assistant, blocks)]));
    assert_eq!(
        body["messages"][0]["content"],
        json!([{"type": "thinking", "thinking": "hm", "signature": "Eq"}, {"type": "text", "text": "so"}])
    );
    assert_eq!(losses, "redacted_thinking=1, thinking=3");
}

#[test]
fn trap_13_marks_are_four_at_most_and_hours_come_first() {
    use CacheMark::{FiveMinutes, OneHour};
    let mut request = of((0..4).map(|_| turn(Role::User, vec![marked("x", OneHour)])).collect());
    request.instructions = vec![marked("s", FiveMinutes)];
    let (body, losses) = written(&request);
    assert_eq!(body["system"][0]["cache_control"], json!({"type": "ephemeral"}));
    let content = body["messages"][0]["content"].as_array().unwrap();
    let marks: Vec<&Value> = content.iter().map(|block| &block["cache_control"]).collect();
    let mark = json!({"type": "ephemeral"});
    assert_eq!(marks, [&Value::Null, &mark, &mark, &mark]);
    assert_eq!(losses, "cache_control=1, cache_control.ttl=3");
}

#[test]
fn reasoning_fits_the_model_and_the_conversation() {
    let reasoning = |mode, effort, budget_tokens| Some(Reasoning { mode, effort, budget_tokens, shown: None });
    let ask =
        |effort| Request { reasoning: reasoning(ReasoningMode::Default, Some(effort), None), ..of(vec![user("x")]) };
    let (body, _) = written(&ask(Effort::Low));
    assert_eq!(body["thinking"], json!({"type": "enabled", "budget_tokens": 4096}));
    let (body, _) = written(&ask(Effort::High));
    assert_eq!(body["thinking"]["budget_tokens"], 8_000 - 1_024);
    let (body, losses) = written_for(&ask(Effort::XHigh), |target| target.adaptive_thinking = true);
    assert_eq!(
        (&body["thinking"], &body["output_config"]),
        (&json!({"type": "adaptive"}), &json!({"effort": "xhigh"}))
    );
    assert_eq!(losses, "");
    for effort in [Effort::None, Effort::Minimal] {
        assert_eq!(written(&ask(effort)).0["thinking"], json!({"type": "disabled"}));
    }
    let (body, losses) = written_for(&ask(Effort::High), |target| target.reasons = false);
    assert_eq!((body.get("thinking"), losses.as_str()), (None, "thinking=1"));
    let (body, losses) = written_for(&ask(Effort::High), |target| target.lowered_output = Some(1_500));
    assert_eq!((body.get("thinking"), losses.as_str()), (None, "thinking=1"));
    let mut looping = ask(Effort::High);
    looping.turns.push(turn(Role::Assistant, vec![call("c", "{}")]));
    looping.turns.push(turn(Role::User, vec![result("c", "x")]));
    assert_eq!(written(&looping).1, "thinking=1");
    assert_eq!(written_for(&looping, |target| target.adaptive_thinking = true).1, "");
    let mut forced = ask(Effort::High);
    forced.tools = vec![tool("f")];
    forced.tool_choice = Some(ToolChoice::Required);
    assert_eq!(written(&forced).1, "thinking=1");
}

#[test]
fn sampling_stays_within_what_the_provider_takes() {
    let draw = |temperature: &str| Request {
        sampling: Sampling { temperature: Some(temperature.into()), seed: Some("7".into()), ..Sampling::default() },
        stop: vec!["END".into(), "\n".into()],
        ..of(vec![user("x")])
    };
    let owner = owner();
    let encoded = encode(&draw("0.70"), &target(&owner)).unwrap();
    assert!(encoded.body.contains("\"temperature\":0.70"), "{}", encoded.body);
    assert_eq!(encoded.losses.to_string(), "seed=1, stop=1");
    let (body, losses) = written(&draw("1.6"));
    assert_eq!((&body["temperature"], &body["stop_sequences"]), (&json!(1), &json!(["END"])));
    assert_eq!(losses, "seed=1, stop=1, temperature=1");
    let thinking = Some(Reasoning { effort: Some(Effort::Low), ..Reasoning::default() });
    let (body, losses) = written(&Request { reasoning: thinking, ..draw("0.2") });
    assert_eq!((body.get("temperature"), losses.as_str()), (None, "seed=1, stop=1, temperature=1"));
    let logprobs = Request { logprobs: Some(0), ..draw("1") };
    assert_eq!(encode(&logprobs, &target(&owner)).unwrap_err().param.as_deref(), Some("logprobs"));
}

#[test]
fn the_form_of_the_answer_is_a_schema_or_counted() {
    let schema = Format::JsonSchema {
        name: Some("n".into()),
        description: None,
        schema: r#"{"z":1,"a":2.50}"#.into(),
        strict: Some(true),
    };
    let owner = owner();
    let request = Request { format: Some(schema), ..of(vec![user("x")]) };
    let encoded = encode(&request, &target(&owner)).unwrap();
    assert!(encoded.body.contains(r#""format":{"type":"json_schema","schema":{"z":1,"a":2.50}}"#), "{}", encoded.body);
    let object = Request { format: Some(Format::JsonObject), ..of(vec![user("x")]) };
    assert_eq!(written(&object).1, "response_format=1");
}

#[test]
fn what_the_provider_refuses_as_empty_is_left_out() {
    let turns = vec![user(""), turn(Role::Assistant, vec![Block::text(" ")]), user("x")];
    let (body, _) = written(&of(turns));
    assert_eq!(body["messages"], json!([{"role": "user", "content": [{"type": "text", "text": "x"}]}]));
}
