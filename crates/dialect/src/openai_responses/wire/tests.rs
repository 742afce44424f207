use super::*;
use crate::canonical::Owner;

const HELLO: &str = r#"{"model":"m","store":false,"input":"hi"}"#;

fn with(members: &str) -> String {
    HELLO.replace("\"input\"", &format!("{members},\"input\""))
}

fn with_input(input: &str) -> String {
    HELLO.replace("\"hi\"", input)
}

fn sent(body: &str, outgoing: &Outgoing<'_>) -> (String, String) {
    let (body, losses) = ResponsesRequest::parse(body).unwrap().pass_through(outgoing).unwrap();
    (body, losses.to_string())
}

#[test]
fn a_whole_request_passes_unchanged() {
    for members in [
        r#""temperature": 0.70, "top_logprobs": 123456789012345678901234567890"#,
        r#""metadata":{"b":1.0,"a":[1e400]},"truncation":"auto","reasoning":{"effort":"low"}"#,
        r#""tools":[{"type":"function","name":"f","parameters":{}},{"type":"namespace","name":"n","tools":[]}]"#,
        r#""tools":[{"type":"local_shell"},{"type":"shell","environment":{"type":"local"}}],"tool_choice":"required""#,
        r#""include":["reasoning.encrypted_content"],"stream":true,"background":false"#,
        // Free, and at the same price however long a cache lives.
        r#""moderation":{"model":"omni-moderation-latest"},"prompt_cache_retention":"24h","context_management":[]"#,
    ] {
        assert_eq!(sent(&with(members), &Outgoing::default()), (with(members), String::new()));
    }
    let items = with_input(
        r#"[{"role":"user","content":"a\u0061"},{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gAAA"}]"#,
    );
    assert_eq!(sent(&items, &Outgoing::default()).0, items);
}

#[test]
fn nothing_is_stored_and_what_must_differs() {
    let outgoing = Outgoing { model: Some("up"), lowered_output: Some(300), ..Outgoing::default() };
    for (given, expected) in [
        (r#"{"model":"m","input":"hi"}"#, r#"{"model":"up","input":"hi","max_output_tokens":300,"store":false}"#),
        (
            r#"{"model":"m","store":null,"input":"hi","max_output_tokens":9000}"#,
            r#"{"model":"up","store":false,"input":"hi","max_output_tokens":300}"#,
        ),
        (
            r#"{"model":"m","store":true,"service_tier":"auto","input":"hi"}"#,
            r#"{"model":"up","store":false,"service_tier":"default","input":"hi","max_output_tokens":300}"#,
        ),
    ] {
        assert_eq!(sent(given, &outgoing).0, expected);
    }
}

#[test]
fn the_search_that_codex_always_offers_is_left_out_and_named() {
    let body = with(
        r#""tools":[{"type":"function","name":"f"}, {"type":"web_search","external_web_access":true}],"include":["web_search_call.action.sources", "reasoning.encrypted_content"],"tool_choice":"auto""#,
    );
    let (out, losses) = sent(&body, &Outgoing::default());
    let expected = with(
        r#""tools":[{"type":"function","name":"f"}],"include":["reasoning.encrypted_content"],"tool_choice":"auto""#,
    );
    assert_eq!((out, losses.as_str()), (expected, "include=1, web_search=1"));
    assert_eq!(ResponsesRequest::parse(&body).unwrap().decode().unwrap().losses.to_string(), "include=1, web_search=1");
}

#[test]
fn trap_11_encrypted_content_goes_to_its_owner_alone() {
    let input = |own: &str| {
        with_input(&format!(
            r#"[ {{"role":"user","content":"a"}}, {own}{{"type":"function_call_output","call_id":"c","output":""}} ]"#
        ))
    };
    let held = |id: &str, data: &str| {
        format!(r#"{{"type":"reasoning","id":"{id}","summary":[],"encrypted_content":"{data}"}}, "#)
    };
    let stored = r#"{"type":"reasoning","id":"rs_3","summary":[]}, "#;
    assert_eq!(sent(&input(stored), &Outgoing::default()), (input(""), "reasoning=1".to_owned()));
    let body = input(&(held("rs_1", "oi-a1-rs_1.gAAA") + &held("rs_2", "oi-b2-rs_2.gBBB")));
    let (owner, other) = (Owner::new("a1"), Owner::new("c3"));
    let to = |owner| Outgoing { owner: Some(owner), ..Outgoing::default() };
    assert_eq!(sent(&body, &to(&owner)), (input(&held("rs_1", "gAAA")), "reasoning=1".to_owned()));
    assert_eq!(sent(&body, &to(&other)), (input(""), "reasoning=2".to_owned()));
}

#[test]
fn what_changes_the_price_or_names_state_is_refused_by_name() {
    for (members, param) in [
        (r#""background":true"#, "background"),
        (r#""previous_response_id":"resp_1""#, "previous_response_id"),
        (r#""conversation":{"id":"conv_1"}"#, "conversation"),
        (r#""prompt":{"id":"pmpt_1"}"#, "prompt"),
        (r#""service_tier":"flex""#, "service_tier"),
        (r#""Store":true"#, "Store"),
        (r#""reasoning":{"mode":"pro"}"#, "reasoning.mode"),
        (r#""tools":[{"type":"file_search"}]"#, "tools[0].type"),
        (r#""tools":[{"type":"code_interpreter","container":{"type":"auto"}}]"#, "container"),
        (r#""tools":[{"type":"mcp","server_url":"https://x"}]"#, "tools[0].type"),
        (r#""tools":[{"type":"image_generation"}]"#, "tools[0].type"),
        (r#""tools":[{"type":"shell","environment":{"type":"container_auto"}}]"#, "tools[0].type"),
        (r#""tools":[{"type":"tool_search"}]"#, "tools[0].type"),
        (r#""tools":[{"type":"namespace","name":"n","tools":[{"type":"mcp"}]}]"#, "tools[0].tools[0].type"),
        (r#""tools":[{"name":"f"}]"#, "tools[0].type"),
        (r#""context_management":[{"type":"compaction","compact_threshold":1000}]"#, "context_management[0]"),
        (r#""context_management":{"type":"compaction"}"#, "context_management"),
        (r#""tools":[{"type":"web_search"}],"tool_choice":{"type":"web_search"}"#, "tool_choice"),
        (r#""tools":[{"type":"web_search"}],"tool_choice":"required""#, "tool_choice"),
        (r#""tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"type":"mcp"}]}"#, "tool_choice"),
    ] {
        let error = ResponsesRequest::parse(&with(members)).unwrap_err();
        assert_eq!(error.param.as_deref(), Some(param), "{members}");
    }
    for (input, param) in [
        (r#"[{"type":"item_reference","id":"msg_1"}]"#, "input[0]"),
        (r#"[{"id":"msg_1"}]"#, "input[0]"),
        (r#"[{"type":"compaction_trigger"}]"#, "input[0]"),
        (r#"[{"role":"user","content":[{"type":"input_image","file_id":"f"}]}]"#, "input[0].content[0].file_id"),
        (r#"[{"role":"user","content":[{"type":"input_audio","input_audio":{}}]}]"#, "input[0].content[0]"),
        (
            r#"[{"type":"function_call_output","call_id":"c","output":[{"type":"input_file","file_id":"f"}]}]"#,
            "input[0].output[0].file_id",
        ),
        (r#"[{"role":"user"}]"#, "input[0].content"),
        (r#"[{"role":"user","content":[{}]}]"#, "input[0].content[0].type"),
        ("[]", "input"),
        ("7", "input"),
        ("null", "input"),
    ] {
        let error = ResponsesRequest::parse(&with_input(input)).unwrap_err();
        assert_eq!(error.param.as_deref(), Some(param), "{input}");
    }
}

#[test]
fn facts_and_measures() {
    let image = format!("data:image/png;base64,{}", "A".repeat(1_000_000));
    let body = with_input(&format!(
        r#"[{{"role":"user","content":[{{"type":"input_text","text":"look"}},{{"type":"input_image","image_url":"{image}"}},{{"type":"input_file","file_data":"data:application/pdf;base64,AA"}}]}},{{"type":"function_call_output","call_id":"c","output":[{{"type":"input_image","image_url":"https://x/y.png"}}]}}]"#
    ));
    let input = ResponsesRequest::parse(&body).unwrap().facts.input;
    assert_eq!((input.images, input.unmeasured), (2, 1));
    assert!(input.text_bytes < 200);
    for (members, hides) in [
        (r#""top_p":1"#, false),
        (r#""reasoning":{"effort":"high"}"#, true),
        (r#""reasoning":{"effort":"high","summary":"auto"}"#, true),
        (r#""reasoning":{"effort":"none"}"#, false),
    ] {
        let body = with(members);
        let request = ResponsesRequest::parse(&body).unwrap();
        assert_eq!(request.facts.may_hide_reasoning, hides, "{members}");
        assert!(request.facts.include_usage && request.facts.n == 1);
    }
}

#[test]
fn tools_within_the_conversation_are_priced_as_those_at_the_top() {
    let body = |kind: &str, tool: &str| {
        format!(
            r#"{{"model":"m","input":[{{"role":"user","content":"x"}},{{"type":"{kind}","role":"developer","execution":"client","tools":[{{"type":"function","name":"f"}},{tool}]}}]}}"#
        )
    };
    for kind in ["additional_tools", "tool_search_output"] {
        for hosted in ["web_search", "mcp", "image_generation", "code_interpreter"] {
            let error = ResponsesRequest::parse(&body(kind, &format!(r#"{{"type":"{hosted}"}}"#))).unwrap_err();
            assert!(error.param.as_deref().is_some_and(|param| param.starts_with("input[1].tools[1]")), "{error:?}");
        }
        let own = body(kind, r#"{"type":"custom","name":"g"}"#);
        let request = ResponsesRequest::parse(&own).unwrap();
        assert_eq!(request.facts.input.unmeasured, 0);
        assert!(request.decode().is_err());
    }
}
