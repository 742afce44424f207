use super::*;
use crate::canonical::Owner;

const HELLO: &str = r#"{"model":"claude","max_tokens":100,"messages":[{"role":"user","content":"hi"}]}"#;

fn with(members: &str) -> String {
    HELLO.replace("\"messages\"", &format!("{members},\"messages\""))
}

fn with_messages(messages: &str) -> String {
    format!(r#"{{"model":"m","max_tokens":9,"messages":{messages}}}"#)
}

fn sent(body: &str, outgoing: Outgoing<'_>) -> String {
    MessagesRequest::parse(body).unwrap().pass_through(&outgoing).unwrap().0
}

#[test]
fn a_whole_request_passes_unchanged() {
    let long = "x".repeat(1 << 20);
    for members in [
        r#""temperature": 0.70,"tools":[{"name":"t","input_schema":{"b":1.0,"a":[1e400]}}]"#.to_owned(),
        r#""top_k": 123456789012345678901234567890"#.to_owned(),
        r#""thinking":{"type":"adaptive","display":"updates"},"context_management":{"edits":[]},"diagnostics":{}"#
            .into(),
        r#""tools":[{"name":"Bash","input_schema":{"$schema":"x"}},{"type":"bash_20250124","name":"bash"}]"#.into(),
        r#""service_tier":"standard_only","metadata":{"user_id":"\u0061\u0061"},"speed":null"#.into(),
        format!(r#""system":"{long}""#),
    ] {
        let body = with(&members);
        let owner = Owner::new("a1");
        let outgoing = Outgoing { owner: Some(&owner), ..Outgoing::default() };
        assert_eq!(sent(&body, outgoing), body);
        assert!(MessagesRequest::parse(&body).unwrap().pass_through(&outgoing).unwrap().1.is_empty());
    }
}

#[test]
fn what_is_ours_to_change_is_changed_in_place() {
    let lowered = Outgoing { model: Some("up"), lowered_output: Some(30), ..Outgoing::default() };
    assert_eq!(sent(HELLO, lowered), HELLO.replace("claude", "up").replace("100", "30"));
    let body = with(r#""service_tier":"auto""#);
    assert_eq!(sent(&body, Outgoing::default()), body.replace("auto", "standard_only"));
}

#[test]
fn the_facts_are_read() {
    let body = with(r#""stream":true,"thinking":{"type":"enabled","budget_tokens":2000},"cache_control":{"ttl":"1h"}"#);
    let facts = MessagesRequest::parse(&body).unwrap().facts;
    assert!(facts.stream && facts.include_usage && facts.one_hour_marks && facts.may_hide_reasoning);
    assert_eq!((facts.max_output, facts.least_output, facts.n), (Some(100), Some(3_024), 1));
    let warm = MessagesRequest::parse(&HELLO.replace("100", "0")).unwrap().facts.max_output;
    assert_eq!(warm, Some(0));
}

#[test]
fn wrong_requests_name_the_field() {
    for (body, param) in [
        (r#"{"model":"m","messages":[{"role":"user","content":"x"}]}"#.to_owned(), "max_tokens"),
        (HELLO.replace("100", "-1"), "max_tokens"),
        (HELLO.replace("100", "1.5"), "max_tokens"),
        (with_messages("[]"), "messages"),
        (with_messages(r#"[{"content":"x"}]"#), "messages[0].role"),
        (with_messages(r#"[{"role":"tool","content":"x"}]"#), "messages[0].role"),
        (with_messages(r#"[{"role":"user"}]"#), "messages[0].content"),
        (with_messages(r#"[{"role":"user","content":[{}]}]"#), "messages[0].content[0].type"),
        (with(r#""speed":"fast""#), "speed"),
        (with(r#""inference_geo":"us""#), "inference_geo"),
        (with(r#""service_tier":"priority""#), "service_tier"),
        (with(r#""Max_Tokens":1"#), "Max_Tokens"),
        (with(r#""mcp_servers":[{}]"#), "mcp_servers"),
        (with(r#""container":"c""#), "container"),
        (with(r#""fallbacks":[{}]"#), "fallbacks"),
        (with(r#""thread":{}"#), "thread"),
        (with(r#""tools":[{"type":"web_search_20250305","name":"web_search"}]"#), "tools[0].type"),
        (with(r#""tools":[{"type":"code_execution_20260120","name":"x"}]"#), "tools[0].type"),
        (with(r#""tools":[{"input_schema":{}}]"#), "tools[0].name"),
        (
            with_messages(r#"[{"role":"user","content":[{"type":"image","source":{"type":"file","file_id":"f"}}]}]"#),
            "messages[0].content[0].file_id",
        ),
        (
            with_messages(
                r#"[{"role":"user","content":[{"type":"document","source":{"type":"file","file_id":"f"}}]}]"#,
            ),
            "messages[0].content[0].source.file_id",
        ),
        (
            with_messages(
                r#"[{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"image","source":{"file_id":"f"}}]}]}]"#,
            ),
            "messages[0].content[0].content[0].file_id",
        ),
        (
            with_messages(r#"[{"role":"user","content":[{"type":"container_upload","file_id":"f"}]}]"#),
            "messages[0].content[0]",
        ),
    ] {
        let error = MessagesRequest::parse(&body).unwrap_err();
        assert_eq!(error.param.as_deref(), Some(param), "{body}: {error}");
    }
}

#[test]
fn input_is_measured_by_its_kinds() {
    let measure = |content: &str| {
        let body = with_messages(&format!(r#"[{{"role":"user","content":{content}}}]"#));
        let input = MessagesRequest::parse(&body).unwrap().facts.input;
        (input.images, input.unmeasured, input.text_bytes > 20)
    };
    let text = "a text of more than twenty bytes";
    assert_eq!(measure(&format!("\"{text}\"")), (0, 0, true));
    let image = r#"{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}"#;
    assert_eq!(measure(&format!("[{image}]")), (1, 0, false));
    let nested = format!(
        r#"[{{"type":"tool_result","tool_use_id":"t","content":[{image},{{"type":"text","text":"{text}"}}]}}]"#
    );
    assert_eq!(measure(&nested), (1, 0, true));
    let document = |source: &str| measure(&format!(r#"[{{"type":"document","source":{source}}}]"#));
    assert_eq!(document(r#"{"type":"base64","media_type":"application/pdf","data":"AAAA"}"#), (0, 1, false));
    assert_eq!(document(r#"{"type":"url","url":"https://x"}"#), (0, 1, false));
    assert_eq!(document(&format!(r#"{{"type":"text","data":"{text}"}}"#)), (0, 0, true));
    assert_eq!(document(&format!(r#"{{"type":"content","content":[{image}]}}"#)), (1, 0, false));
    let arguments = format!(r#"[{{"type":"tool_use","id":"t","name":"f","input":{{"path":"file://{text}"}}}}]"#);
    assert_eq!(measure(&arguments), (0, 0, true));
}

#[test]
fn a_count_needs_no_limit() {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"hello"}],"tools":[]}"#;
    let count = CountRequest::parse(body).unwrap();
    assert_eq!((count.model.as_ref(), count.input.text_bytes > 4), ("m", true));
    assert_eq!(count_answer(7), r#"{"input_tokens":7}"#);
}

#[test]
fn trap_11_reasoning_goes_to_its_owner_and_to_nobody_else() {
    let block = |signature: &str| format!(r#"{{"type":"thinking","thinking":"hm", "signature":"{signature}"}}"#);
    let redacted = |data: &str| format!(r#"{{"type":"redacted_thinking","data":"{data}"}}"#);
    let text = r#"{"type":"text","text":"ok"}"#;
    let body = |blocks: &[&str]| {
        with_messages(&format!(
            r#"[{{"role":"user","content":"a"}},{{"content": [{}] ,"role":"assistant"}},{{"role":"user","content":"b"}}]"#,
            blocks.join(" , ")
        ))
    };
    let owner = Owner::new("a1");
    let outgoing = Outgoing { owner: Some(&owner), ..Outgoing::default() };
    let own = body(&[&block("oi-a1-Eq+/=="), &redacted("oi-a1-Zz"), text]);
    assert_eq!(sent(&own, outgoing), own.replace("oi-a1-", ""));
    let untagged = body(&[&block("Eq"), text]);
    assert_eq!(sent(&untagged, outgoing), untagged);
    let foreign = body(&[&block("oi-b2-Eq"), &redacted("oi-b2-Zz"), text]);
    assert_eq!(sent(&foreign, outgoing), body(&[text]));
    let dropped = MessagesRequest::parse(&foreign).unwrap().pass_through(&outgoing).unwrap();
    assert_eq!(dropped.1.to_string(), "redacted_thinking=1, thinking=1");
    let alone = body(&[&block("oi-b2-Eq")]);
    assert_eq!(
        sent(&alone, outgoing),
        with_messages(r#"[{"role":"user","content":"a"},{"role":"user","content":"b"}]"#)
    );
}

#[test]
fn trap_13_marks_beyond_the_fourth_go_the_oldest_of_the_messages_first() {
    let mark = r#","cache_control":{"type":"ephemeral"}"#;
    let body = |marks: &[bool]| {
        let messages: Vec<String> = marks
            .iter()
            .map(|marked| {
                let mark = if *marked { mark } else { "" };
                format!(r#"{{"role":"user","content":[{{"type":"text","text":"x"{mark}}}]}}"#)
            })
            .collect();
        format!(
            r#"{{"model":"m","max_tokens":9,"system":[{{"type":"text","text":"s"{mark}}}],"tools":[{{"name":"f","input_schema":{{}}{mark}}}],"messages":[{}]}}"#,
            messages.join(",")
        )
    };
    let given = body(&[true, true, true, true]);
    assert_eq!(sent(&given, Outgoing::default()), body(&[false, false, true, true]));
    let dropped = MessagesRequest::parse(&given).unwrap().pass_through(&Outgoing::default()).unwrap();
    assert_eq!(dropped.1.to_string(), "cache_control=2");
    let text = format!(r#"{{"type":"text","text":"x"{mark}}}"#);
    let nested = format!(
        r#"[{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"t","content":[{text}]}},{{"type":"document","source":{{"type":"content","content":[{text},{text},{text},{text}]}}}}]}}]"#
    );
    assert_eq!(sent(&with_messages(&nested), Outgoing::default()), with_messages(&nested.replacen(mark, "", 1)));
    let fits = body(&[false, true, true]);
    assert_eq!(sent(&fits, Outgoing::default()), fits);
    assert_eq!(Excess::of(6, 3, 1), Excess { ahead: 3, messages: 3 });
}

#[test]
fn the_version_fits_the_sampling() {
    assert_eq!(version(Some("2026-10-21"), false), "2026-10-21");
    assert_eq!(version(Some("2026-10-21"), true), "2023-06-01");
    assert_eq!(version(Some("2023-06-01"), false), "2023-06-01");
    assert_eq!(version(None, false), "2023-06-01");
    assert!(MessagesRequest::parse(&with(r#""top_k":4"#)).unwrap().has_sampling());
    assert!(!MessagesRequest::parse(HELLO).unwrap().has_sampling());
}

#[test]
fn a_compaction_is_not_ordered_and_clearing_is() {
    let clear = with(r#""context_management":{"edits":[{"type":"clear_thinking_20251015","keep":"all"}]}"#);
    assert_eq!(sent(&clear, Outgoing::default()), clear);
    for (members, param) in [
        (r#""context_management":{"edits":[{"type":"compact_20260112"}]}"#, "context_management.edits[0]"),
        (r#""context_management":{"edits":[{"type":"clear_x"},{}]}"#, "context_management.edits[1]"),
        (r#""context_management":7"#, "context_management"),
        (r#""compaction":{}"#, "compaction"),
    ] {
        assert_eq!(MessagesRequest::parse(&with(members)).unwrap_err().param.as_deref(), Some(param), "{members}");
    }
}

#[test]
fn what_a_provider_fetched_may_be_a_document() {
    let fetched = r#"{"type":"web_fetch_tool_result","tool_use_id":"s","content":{"type":"web_fetch_result","url":"https://a","content":{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"AAAA"}}}}"#;
    let body = with_messages(&format!(r#"[{{"role":"assistant","content":[{fetched}]}}]"#));
    assert_eq!(MessagesRequest::parse(&body).unwrap().facts.input.unmeasured, 1);
}

#[test]
fn a_tool_that_is_added_on_the_way_is_checked_as_one_at_the_top() {
    let changed = |block: &str| with_messages(&format!(r#"[{{"role":"system","content":[{block}]}}]"#));
    let adds = |definition: &str| {
        format!(r#"{{"type":"tool_addition","tool":{{"type":"tool_definition","definition":{definition}}}}}"#)
    };
    let hosted = adds(r#"{"type":"web_search_20260318","name":"web_search"}"#);
    for block in [hosted.clone(), format!(r#"{{"type":"compaction","content":"x","tool_changes":[{hosted}]}}"#)] {
        let error = MessagesRequest::parse(&changed(&block)).unwrap_err();
        assert!(error.param.as_deref().is_some_and(|param| param.ends_with("tool.definition.type")), "{error:?}");
    }
    for block in [
        adds(r#"{"name":"f","input_schema":{}}"#),
        r#"{"type":"tool_removal","tool":{"type":"tool_reference","name":"f"}}"#.to_owned(),
    ] {
        assert_eq!(MessagesRequest::parse(&changed(&block)).unwrap().facts.input.unmeasured, 0, "{block}");
    }
}
