use super::*;
use crate::anthropic_messages::wire::MessagesRequest;
use crate::canonical::{Block, CacheMark, Document, DocumentSource, Image, ImageSource, Opaque, Owner, ToolResult};

fn decode(members: &str) -> Result<Request, RequestError> {
    let body = format!(r#"{{"model":"m","max_tokens":900,{members}}}"#);
    MessagesRequest::parse(&body)?.decode()
}

fn with(members: &str) -> Request {
    decode(&format!(r#"{members},"messages":[{{"role":"user","content":"hi"}}]"#)).unwrap()
}

fn blocks(content: &str) -> (Vec<Block>, String) {
    let request = decode(&format!(r#""messages":[{{"role":"user","content":{content}}}]"#)).unwrap();
    (request.turns[0].blocks.clone(), request.losses.to_string())
}

#[test]
fn what_claude_code_sends_is_understood() {
    let request = decode(
        r#""thinking":{"type":"adaptive","display":"omitted"},"context_management":{"edits":[]},"output_config":{"effort":"high"},
        "system":[{"type":"text","text":"billing"},{"type":"text","text":"s","cache_control":{"type":"ephemeral","ttl":"1h"}}],
        "metadata":{"user_id":"{\"device\":1}"},"stream":true,
        "tools":[{"name":"Bash","description":"d","input_schema":{"$schema":"x","type":"object"}},{"name":"Deferred","input_schema":{},"defer_loading":true}],
        "messages":[{"role":"user","content":[{"type":"text","text":"hi","cache_control":{"type":"ephemeral"}}]},
                    {"role":"system","content":"mid","output_config":{"effort":"low"}},
                    {"role":"assistant","content":"so"}]"#,
    )
    .unwrap();
    let roles: Vec<Role> = request.turns.iter().map(|turn| turn.role).collect();
    assert_eq!(roles, [Role::User, Role::System, Role::Assistant]);
    assert_eq!(request.instructions.len(), 2);
    assert_eq!(request.instructions[1].cache(), Some(CacheMark::OneHour));
    assert_eq!(request.turns[0].blocks[0].cache(), Some(CacheMark::FiveMinutes));
    let reasoning = Reasoning {
        mode: ReasoningMode::Adaptive,
        effort: Some(Effort::High),
        budget_tokens: None,
        shown: Some(false),
    };
    assert_eq!(request.reasoning, Some(reasoning));
    assert_eq!(request.metadata.user.as_deref(), Some(r#"{"device":1}"#));
    assert_eq!(request.tools.iter().map(|tool| tool.name.as_str()).collect::<Vec<_>>(), ["Bash", "Deferred"]);
    assert_eq!(request.tools[0].schema.as_deref(), Some(r#"{"$schema":"x","type":"object"}"#));
    assert!(request.stream && request.max_output == Some(900));
    let losses = "context_management=1, messages.output_config=1, tools.defer_loading=1";
    assert_eq!(request.losses.to_string(), losses);
}

#[test]
fn blocks_keep_what_they_hold() {
    let image = |data: &str| {
        Block::Image(Image {
            source: ImageSource::Base64 { media_type: "image/png".into(), data: data.into() },
            detail: None,
            cache: None,
        })
    };
    let png = r#"{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AA"}}"#;
    let (read, losses) = blocks(&format!(
        r#"[{{"type":"tool_result","tool_use_id":"t","is_error":true,"content":[{{"type":"text","text":"no"}},{png}]}},{png}]"#
    ));
    let result = ToolResult {
        id: "t".into(),
        content: vec![Block::text("no"), image("AA")],
        is_error: true,
        kind: ToolKind::Function,
        cache: None,
    };
    assert_eq!((read, losses.as_str()), (vec![Block::ToolResult(result), image("AA")], ""));
    let (read, _) = blocks(
        r#"[{"type":"search_result","source":"https://a","title":"T","content":[{"type":"text","text":"x"}],"citations":{"enabled":true}}]"#,
    );
    let found = Document {
        source: DocumentSource::Blocks(vec![Block::text("x")]),
        title: Some("T".into()),
        context: Some("https://a".into()),
        citations: true,
        cache: None,
    };
    assert_eq!(read, [Block::Document(found)]);
    let (read, _) = blocks(r#"[{"type":"document","source":{"type":"text","media_type":"text/plain","data":"d"}}]"#);
    assert!(matches!(&read[0], Block::Document(Document { source: DocumentSource::Text(text), .. }) if text == "d"));
}

#[test]
fn reasoning_reads_whose_it_is_and_inputs_stay_text() {
    let (read, _) = blocks(
        r#"[{"type":"thinking","thinking":"hm","signature":"oi-a1-Eq"},{"type":"thinking","thinking":"x","signature":""},
            {"type":"redacted_thinking","data":"Zz"},
            {"type":"tool_use","id":"t","name":"f","input":{"n": 123456789012345678901234567890},"caller":{"type":"direct"}}]"#,
    );
    let signed = Opaque { owner: Some(Owner::new("a1")), data: "Eq".into() };
    assert_eq!(read[0], Block::Reasoning { text: "hm".into(), opaque: Some(signed) });
    assert_eq!(read[1], Block::Reasoning { text: "x".into(), opaque: None });
    assert_eq!(read[2], Block::Redacted(Opaque { owner: None, data: "Zz".into() }));
    let Block::ToolUse(call) = &read[3] else { panic!("a call") };
    assert_eq!(call.input, r#"{"n": 123456789012345678901234567890}"#);
}

#[test]
fn what_has_no_place_is_counted_by_its_name() {
    let (read, losses) = blocks(
        r#"[{"type":"server_tool_use","id":"s","name":"web_search","input":{}},
            {"type":"web_search_tool_result","tool_use_id":"s","content":[]},{"type":"hologram"},{"type":"text","text":"x"}]"#,
    );
    assert_eq!(read, [Block::text("x")]);
    assert_eq!(losses, "hologram=1, server_tool_use=1, web_search_tool_result=1");
    let request = with(
        r#""diagnostics":{},"thinking":{"type":"between_tools","display":"updates"},"output_config":{"effort":"wild","task_budget":{}},
        "tools":[{"name":"f","input_schema":{},"input_examples":[{}],"eager_input_streaming":true,"allowed_callers":["direct"],"defer_loading":false}]"#,
    );
    assert_eq!(
        request.losses.to_string(),
        "diagnostics=1, output_config.effort=1, output_config.task_budget=1, thinking.display=1, thinking.type=1, \
         tools.allowed_callers=1, tools.eager_input_streaming=1, tools.input_examples=1"
    );
}

#[test]
fn settings_have_their_places() {
    let request = with(
        r#""temperature":0.70,"top_p":0.9,"top_k":40,"stop_sequences":["\n\n","END"],"cache_control":{"type":"ephemeral"},
        "output_config":{"format":{"type":"json_schema","schema":{"b":1,"a":2.0}}},"service_tier":"auto",
        "tool_choice":{"type":"tool","name":"my tool","disable_parallel_tool_use":true},"tools":[{"name":"my tool","input_schema":{}}]"#,
    );
    let sampling = Sampling {
        temperature: Some("0.70".into()),
        top_p: Some("0.9".into()),
        top_k: Some("40".into()),
        ..Sampling::default()
    };
    assert_eq!(request.sampling, sampling);
    assert_eq!(request.stop, ["\n\n", "END"]);
    assert_eq!(request.cache, Some(CacheMark::FiveMinutes));
    let Some(Format::JsonSchema { schema, .. }) = &request.format else { panic!("a schema") };
    assert_eq!(schema, r#"{"b":1,"a":2.0}"#);
    assert_eq!(request.tool_choice, Some(ToolChoice::Named("my_tool".into())));
    assert_eq!(request.tool_names.client("my_tool").name, "my tool");
    assert_eq!(request.parallel_tool_calls, Some(false));
    assert!(request.losses.is_empty(), "{}", request.losses);
    for (choice, expected) in [("auto", ToolChoice::Auto), ("any", ToolChoice::Required), ("none", ToolChoice::None)] {
        let request = with(&format!(r#""tool_choice":{{"type":"{choice}"}}"#));
        assert_eq!((request.tool_choice, request.parallel_tool_calls), (Some(expected), None));
    }
}

#[test]
fn what_means_something_that_cannot_be_said_is_refused() {
    for (members, param) in [
        (r#""tools":[{"type":"bash_20250124","name":"bash"}]"#, "tools[0].type"),
        (r#""tool_choice":{"type":"some"}"#, "tool_choice.type"),
        (r#""output_config":{"format":{"type":"grammar"}}"#, "output_config.format"),
        (r#""metadata":7"#, "metadata"),
        (r#""stop_sequences":["a",7]"#, "stop_sequences"),
    ] {
        let error = decode(&format!(r#"{members},"messages":[{{"role":"user","content":"x"}}]"#)).unwrap_err();
        assert_eq!(error.param.as_deref(), Some(param));
    }
    let deep = format!("{}\"x\"{}", r#"[{"type":"tool_result","tool_use_id":"t","content":"#.repeat(9), "}]".repeat(9));
    assert!(decode(&format!(r#""messages":[{{"role":"user","content":{deep}}}]"#)).is_err());
}

#[test]
fn an_answer_of_nothing_and_tools_without_number_are_refused() {
    let body = r#"{"model":"m","max_tokens":0,"messages":[{"role":"user","content":"hi"}]}"#;
    let error = MessagesRequest::parse(body).unwrap().decode().unwrap_err();
    assert_eq!(error.param.as_deref(), Some("max_tokens"));
    let tools = vec![r#"{"name":"\u00e9"}"#; crate::canonical::MAX_TOOLS + 1].join(",");
    let error = decode(&format!(r#""tools":[{tools}],"messages":[{{"role":"user","content":"hi"}}]"#)).unwrap_err();
    assert_eq!(error.param.as_deref(), Some("tools"));
}
