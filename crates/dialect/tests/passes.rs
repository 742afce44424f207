//! What of a request reaches an upstream of the same dialect: neighbours of the fields that order something, or
//! name what a provider keeps.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use dialect::Dialect;
use dialect::canonical::{Owner, Target};
use dialect::client::ClientRequest;
use dialect::request::{Outgoing, RequestError};
use dialect::tokens::Vocabulary;

type Parse = for<'a> fn(&'a str) -> Result<ClientRequest<'a>, RequestError>;

/// What is sent for a body, with what was left out of it.
fn send(parse: Parse, dialect: Dialect, body: &str, passes: &[&str]) -> Result<(String, String), RequestError> {
    let request = parse(body)?;
    let owner = Owner::new("o");
    let passes: Vec<String> = passes.iter().map(|name| (*name).to_owned()).collect();
    let outgoing = Outgoing { owner: Some(&owner), passes: &passes, ..Outgoing::default() };
    let target = Target {
        model: "m",
        owner: &owner,
        reasons: true,
        adaptive_thinking: true,
        lowered_output: None,
        max_output: 1_000,
        limit_field: "max_tokens",
        stream_options: true,
    };
    let pair = request.pair(dialect, true);
    assert!(pair.passes, "{body}");
    let encoded = request.encode(pair, &outgoing, &target)?;
    Ok((encoded.body, encoded.losses.to_string()))
}

struct Table {
    parse: Parse,
    dialect: Dialect,
    /// A body in which `MORE` stands for more members.
    body: &'static str,
}

impl Table {
    /// `(members, what is left of them, the losses)`.
    fn left(&self, rows: &[(&str, &str, &str)]) {
        for (members, left, losses) in rows {
            let (sent, lost) = send(self.parse, self.dialect, &self.body.replace("MORE", members), &[]).unwrap();
            assert_eq!((sent, lost.as_str()), (self.body.replace("MORE", left), *losses), "{members}");
        }
    }

    /// `(members, the field that the error names)`.
    fn refused(&self, rows: &[(&str, &str)]) {
        for (members, param) in rows {
            let sent = send(self.parse, self.dialect, &self.body.replace("MORE", members), &[]);
            let named = sent.as_ref().err().map(|error| error.param.as_deref());
            assert_eq!(named, Some(Some(*param)), "{members}: {sent:?}");
        }
    }
}

const CHAT: Table = Table {
    parse: |body| ClientRequest::chat(body),
    dialect: Dialect::OpenaiChat,
    body: r#"{"model":"m","stream":false,MORE"messages":[{"role":"user","content":"hi"}]}"#,
};
const CHAT_PART: Table = Table { body: r#"{"model":"m","messages":[{"role":"user","content":[MORE]}]}"#, ..CHAT };
const CHAT_MESSAGE: Table = Table { body: r#"{"model":"m","messages":[{"role":"user",MORE"content":"hi"}]}"#, ..CHAT };
const RESPONSES: Table = Table {
    parse: |body| ClientRequest::responses(body),
    dialect: Dialect::OpenaiResponses,
    body: r#"{"model":"m","store":false,MORE"input":"hi"}"#,
};
const ITEM: Table =
    Table { body: r#"{"model":"m","store":false,"input":[{"role":"user","content":"hi"}MORE]}"#, ..RESPONSES };
const MESSAGES: Table = Table {
    parse: |body| ClientRequest::messages(body),
    dialect: Dialect::AnthropicMessages,
    body: r#"{"model":"m","max_tokens":9,MORE"messages":[{"role":"user","content":"hi"}]}"#,
};
const BLOCK: Table =
    Table { body: r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":[MORE]}]}"#, ..MESSAGES };
const EMBEDDINGS: Table = Table {
    parse: |body| ClientRequest::embeddings(body),
    dialect: Dialect::OpenaiEmbeddings,
    body: r#"{"model":"m",MORE"input":"hi"}"#,
};

#[test]
fn what_a_chat_request_may_not_order_is_left_out() {
    CHAT.left(&[
        (r#""chat_template_kwargs":{"x":"y"},"#, "", "chat_template_kwargs=1"),
        (r#""top_k":1,"min_p":0.1,"#, "", "min_p=1, top_k=1"),
        (r#""reasoning":{"effort":"high"},"#, "", "reasoning=1"),
        (r#""google_search":{},"#, "", "google_search=1"),
        (r#""n_predict":100000,"min_tokens":9,"ignore_eos":true,"#, "", "ignore_eos=1, min_tokens=1, n_predict=1"),
        (r#""vl_high_resolution_images":true,"#, "", "vl_high_resolution_images=1"),
        (r#""max_to\u212aens":100000,"#, "", "other=1"),
        (r#""\u017ftream":true,"#, "", "other=1"),
        (r#""user ":"u","#, "", "other=1"),
        (r#""a_field":null,"#, "", ""),
        (
            r#""stream_options":{"Include_Usage":false,"include_usage":true},"#,
            r#""stream_options":{"include_usage":true},"#,
            "stream_options.Include_Usage=1",
        ),
        (
            r#""tools":[{"type":"function","function":{"name":"f","google_search":{},"parameters":{"x":{"google_search":1}}}}],"#,
            r#""tools":[{"type":"function","function":{"name":"f","parameters":{"x":{"google_search":1}}}}],"#,
            "tools.function.google_search=1",
        ),
        (
            r#""tools":[{"type":"function","google_search":{},"url_context":{},"function":{"name":"f"}}],"#,
            r#""tools":[{"type":"function","function":{"name":"f"}}],"#,
            "tools.google_search=1, tools.url_context=1",
        ),
        (
            r#""response_format":{"type":"json_object","search":true},"#,
            r#""response_format":{"type":"json_object"},"#,
            "response_format.search=1",
        ),
        (
            r#""tool_choice":{"type":"function","function":{"name":"f","server":"x"}},"#,
            r#""tool_choice":{"type":"function","function":{"name":"f"}},"#,
            "tool_choice.function.server=1",
        ),
        (r#""temperature":{"x":1},"#, "", "temperature=1"),
    ]);
    CHAT.refused(&[
        (r#""enable_code_interpreter":true,"#, "enable_code_interpreter"),
        (r#""Enable_Search":true,"#, "Enable_Search"),
        (r#""search_options":{"forced_search":true},"#, "search_options"),
        (r#""preset":"pro-search","#, "preset"),
        (r#""multi_agent":true,"#, "multi_agent"),
        (r#""tools":[{"type":"web_search_preview"}],"#, "tools[0].type"),
        (r#""tools":[{"google_search":{}}],"#, "tools[0].type"),
        (r#""vector_store_ids":["vs"],"#, "vector_store_ids"),
        // Where a server does not know them the answer would be another one.
        (r#""guided_json":{"type":"object"},"#, "guided_json"),
        (r#""grammar":"root ::= x","#, "grammar"),
    ]);
    CHAT_MESSAGE.left(&[
        (r#""cache":"x","#, "", "messages.cache=1"),
        (r#""images":["AAAA"],"#, "", "messages.images=1"),
        (r#""name":"n","partial":true,"prefix":true,"#, r#""name":"n","partial":true,"prefix":true,"#, ""),
    ]);
    CHAT_MESSAGE.refused(&[(r#""audio":{"id":"audio_1"},"#, "messages[0].audio")]);
    CHAT_PART.left(&[
        (
            r#"{"type":"image_url","image_url":{"url":"https://x/y.png","max_pixels":9999999}}"#,
            r#"{"type":"image_url","image_url":{"url":"https://x/y.png"}}"#,
            "messages.content.image_url.max_pixels=1",
        ),
        (r#"{"type":"text","text":"a","search":true}"#, r#"{"type":"text","text":"a"}"#, "messages.content.search=1"),
    ]);
    CHAT_PART.refused(&[
        (r#"{"type":"hologram","hologram":{}}"#, "messages[0].content[0].type"),
        (r#"{"type":"Text","text":"a"}"#, "messages[0].content[0].type"),
        (r#"{"type":"text","text":"a"},{"type":"web_search_call","id":"ws_1"}"#, "messages[0].content[1].type"),
    ]);
}

#[test]
fn what_the_catalogue_lists_for_an_upstream_passes_to_it_as_it_came() {
    let members = r#""top_k": 1e1,"chat_template_kwargs":{"a":[1.0,{"b":null}]},"min_p":0.10,"#;
    let body = CHAT.body.replace("MORE", members);
    let (sent, lost) = send(CHAT.parse, CHAT.dialect, &body, &["top_k", "chat_template_kwargs"]).unwrap();
    assert_eq!((sent, lost.as_str()), (body.replace(r#""min_p":0.10,"#, ""), "min_p=1"));
    // Only at the top: a name within an object is another one.
    let body = CHAT.body.replace("MORE", r#""stream_options":{"top_k":1},"#);
    assert_eq!(send(CHAT.parse, CHAT.dialect, &body, &["top_k"]).unwrap().1, "stream_options.top_k=1");
    // What changes the price is refused, whatever a list says.
    let body = CHAT.body.replace("MORE", r#""enable_search":true,"#);
    assert!(send(CHAT.parse, CHAT.dialect, &body, &["enable_search"]).is_err());
    let body = CHAT.body.replace("MORE", r#""grammar":"root ::= x","#);
    assert_eq!(send(CHAT.parse, CHAT.dialect, &body, &["grammar"]).unwrap().0, body);
}

#[test]
fn every_byte_of_a_field_that_is_sent_counts_in_the_bound() {
    let long = format!("\"{}\"", "word ".repeat(80_000));
    for table in [&CHAT, &RESPONSES, &MESSAGES, &EMBEDDINGS] {
        for field in ["chat_template_kwargs", "user", "metadata", "stop", "stop_sequences", "prompt_cache_key"] {
            for value in [long.clone(), format!("[{long}]"), format!("{{\"x\":{long}}}")] {
                let body = table.body.replace("MORE", &format!("\"{field}\":{value},"));
                let Ok(request) = (table.parse)(&body) else { continue };
                let bound = request.facts().input.bound(Vocabulary::default(), Some(1), 1);
                assert!(bound >= 80_000, "{:?} {field}: {bound}", table.dialect);
            }
        }
    }
}

#[test]
fn addresses_hidden_from_a_plain_look_are_refused() {
    let hidden = [
        "gs://bucket/file",
        "ms://file",
        "s3://bucket",
        "file:///etc/passwd",
        "file:/etc/passwd",
        "GS://bucket/file",
        " gs://bucket/file",
        r"\tgs://bucket/file",
        r"g\ts://bucket/file",
        r"gs\n://bucket/file",
        r"gs:\r//bucket/file",
        r"\u0001gs://bucket/file",
        r"\u0000\u001f gs://bucket/file",
        r"\u0067s://bucket/file",
        r"ht\u0001tp://x/y",
        r"\u00a0gs://bucket/file",
        "blob:https://x/y",
        "attachment:1",
        "file-abc123",
        "/home/user/picture.png",
        "//host/picture.png",
        r"d\tata:audio/wav;base64,AAAA",
    ];
    for address in hidden {
        for part in [
            format!(r#"{{"type":"image_url","image_url":{{"url":"{address}"}}}}"#),
            format!(r#"{{"type":"image_url","image_url":"{address}"}}"#),
            format!(r#"{{"type":"video_url","video_url":{{"url":"{address}"}}}}"#),
            format!(r#"{{"type":"document_url","document_url":"{address}"}}"#),
        ] {
            CHAT_PART.refused(&[(&part, "messages[0].content[0]")]);
        }
        let part = format!(r#"{{"type":"input_image","image_url":"{address}"}}"#);
        let message = format!(r#",{{"role":"user","content":[{part}]}}"#);
        ITEM.refused(&[(&message, "input[1].content[0]")]);
        let file = format!(r#",{{"role":"user","content":[{{"type":"input_file","file_url":"{address}"}}]}}"#);
        ITEM.refused(&[(&file, "input[1].content[0]")]);
        let block = format!(r#"{{"type":"image","source":{{"type":"url","url":"{address}"}}}}"#);
        BLOCK.refused(&[(&block, "messages[0].content[0]")]);
        let block = format!(r#"{{"type":"document","source":{{"type":"url","url":"{address}"}}}}"#);
        BLOCK.refused(&[(&block, "messages[0].content[0].source")]);
    }
    let inline = "iVBORw0KGgoAAAANSUhEUgAA".repeat(9);
    for address in
        ["https://x/y.png", "HTTP://x/y.png", r"\thttps://x/y.png", "data:image/png;base64,AAAA", inline.as_str()]
    {
        let part = format!(r#"{{"type":"image_url","image_url":{{"url":"{address}"}}}}"#);
        CHAT_PART.left(&[(&part, &part, "")]);
    }
}

#[test]
fn what_a_request_for_a_response_may_not_order_is_left_out() {
    RESPONSES.left(&[
        (r#""access_programs":{"cyber":"daybreak_red"},"#, "", "access_programs=1"),
        (r#""image":{"context_compression":"disabled"},"#, "", "image=1"),
        (r#""a_field_of_tomorrow":{},"#, "", "a_field_of_tomorrow=1"),
        (
            r#""tools":[{"type":"function","name":"f","allowed_callers":["programmatic"],"google_search":{}}],"#,
            r#""tools":[{"type":"function","name":"f"}],"#,
            "tools.allowed_callers=1, tools.google_search=1",
        ),
        (r#""text":{"verbosity":"low","Format":{}},"#, r#""text":{"verbosity":"low"},"#, "text.Format=1"),
    ]);
    RESPONSES.refused(&[
        (r#""tools":[{"type":"programmatic_tool_calling"}],"#, "tools[0].type"),
        (r#""tools":[{"type":"computer_hosted_20260101"}],"#, "tools[0].type"),
        (r#""multi_agent":{"agents":3},"#, "multi_agent"),
        (r#""prompt_cache_options":{"ttl":"12h"},"#, "prompt_cache_options"),
    ]);
    ITEM.left(&[
        (r#",{"type":"image_generation_call","id":"ig_1","status":"completed","result":null}"#, "", "image_generation_call=1"),
        (r#",{"type":"mcp_call","id":"mcp_1","name":"n","server_label":"s","arguments":"{}"}"#, "", "mcp_call=1"),
        (r#",{"type":"program","id":"p","call_id":"c","code":"x","fingerprint":"f"}"#, "", "program=1"),
        (
            r#",{"type":"function_call","call_id":"c","name":"f","arguments":"{}","caller":{"type":"program","caller_id":"p"}}"#,
            r#",{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}"#,
            "input.caller=1",
        ),
        (
            r#",{"role":"assistant","content":[{"type":"output_text","text":"a","annotations":[{"type":"file_citation","file_id":"f","index":1}]}]}"#,
            r#",{"role":"assistant","content":[{"type":"output_text","text":"a","annotations":[{"type":"file_citation","index":1}]}]}"#,
            "input.content.annotations.file_id=1",
        ),
        (
            r#",{"type":"agent_message","author":"a","recipient":"b","content":[{"type":"input_text","text":"x"}]}"#,
            r#",{"type":"agent_message","author":"a","recipient":"b","content":[{"type":"input_text","text":"x"}]}"#,
            "",
        ),
    ]);
    ITEM.refused(&[
        (r#",{"type":"computer_hosted_call","id":"ch_1"}"#, "input[1].type"),
        (r#",{"type":"item_reference","id":"msg_1"}"#, "input[1]"),
        (r#",{"type":"code_interpreter_call","id":"ci","container_id":"cntr"}"#, "input[1].container_id"),
        (
            r#",{"type":"shell_call","call_id":"c","action":{"commands":[]},"environment":{"type":"container_reference","container_id":"x"}}"#,
            "input[1].container_id",
        ),
        (r#",{"role":"user","content":[{"type":"input_hologram"}]}"#, "input[1].content[0].type"),
    ]);
}

#[test]
fn what_a_messages_request_may_not_order_is_left_out() {
    MESSAGES.left(&[
        (r#""betas":["x"],"#, "", "betas=1"),
        (
            r#""diagnostics":{"previous_message_id":"msg_1"},"#,
            r#""diagnostics":{},"#,
            "diagnostics.previous_message_id=1",
        ),
        (r#""seed":1,"response_format":{"type":"json_object"},"#, "", "response_format=1, seed=1"),
        (
            r#""tools":[{"name":"f","input_schema":{},"allowed_callers":["code_execution_20260120"]}],"#,
            r#""tools":[{"name":"f","input_schema":{}}],"#,
            "tools.allowed_callers=1",
        ),
        (
            r#""output_config":{"effort":"low","speed":"fast"},"#,
            r#""output_config":{"effort":"low"},"#,
            "output_config.speed=1",
        ),
        (
            r#""thinking":{"type":"adaptive","display":"omitted","model":"dear"},"#,
            r#""thinking":{"type":"adaptive","display":"omitted"},"#,
            "thinking.model=1",
        ),
    ]);
    MESSAGES.refused(&[
        (r#""tools":[{"type":"bash_code_execution_20250825","name":"bash"}],"#, "tools[0].type"),
        (r#""tools":[{"type":"memory_store_20260101","name":"memory"}],"#, "tools[0].type"),
        (r#""tools":[{"type":"computer_hosted_20260101","name":"computer"}],"#, "tools[0].type"),
        (r#""tools":[{"type":"text_editor_code_execution_20250825","name":"x"}],"#, "tools[0].type"),
        (r#""tools":[{"type":"bash_2025012","name":"bash"}],"#, "tools[0].type"),
        (r#""tools":[{"type":"bash_20250124_hosted","name":"bash"}],"#, "tools[0].type"),
        (r#""tools":[{"type":"browser_toolset_20260801","name":"b"}],"#, "tools[0].type"),
        (
            r#""context_management":{"edits":[{"type":"clear_and_compact_20260101"}]},"#,
            "context_management.edits[0].type",
        ),
        (r#""user_profile_id":"p","#, "user_profile_id"),
        (r#""fallback_credit_token":"t","#, "fallback_credit_token"),
    ]);
    let client_tools = r#""tools":[{"type":"bash_20250124","name":"bash"},{"type":"text_editor_20250728","name":"str_replace_based_edit_tool","max_characters":9},{"type":"memory_20250818","name":"memory"},{"type":"computer_20251124","name":"computer","display_width_px":1,"display_height_px":1}],"#;
    MESSAGES.left(&[(client_tools, client_tools, "")]);
    BLOCK.left(&[(
        r#"{"type":"tool_use","id":"t","name":"f","input":{"caller":1},"caller":{"type":"code_execution_20260120","tool_id":"srvtoolu_1"}}"#,
        r#"{"type":"tool_use","id":"t","name":"f","input":{"caller":1}}"#,
        "messages.content.caller=1",
    )]);
    BLOCK.refused(&[
        (r#"{"type":"computer_hosted_use","id":"x"}"#, "messages[0].content[0].type"),
        (r#"{"type":"container_upload","file_id":"f"}"#, "messages[0].content[0]"),
        (
            r#"{"type":"code_execution_tool_result","tool_use_id":"s","content":{"content":[{"type":"code_execution_output","file_id":"f"}]}}"#,
            "messages[0].content[0].file_id",
        ),
        (r#"{"type":"hologram"}"#, "messages[0].content[0].type"),
    ]);
}

#[test]
fn what_an_embeddings_request_may_not_order_is_left_out() {
    EMBEDDINGS.left(&[
        (r#""dimensions":3,"user":"u","task":"x","#, r#""dimensions":3,"user":"u","#, "task=1"),
        (r#""Dimensions_":3,"#, "", "Dimensions_=1"),
    ]);
    EMBEDDINGS.refused(&[(r#""service_tier":"flex","#, "service_tier"), (r#""batch":true,"#, "batch")]);
}

/// A nested block costs another look at all that is below it, before anything is paid.
#[test]
fn blocks_that_are_nested_without_end_are_refused() {
    let nested = |levels: usize, block: &dyn Fn(&str) -> String| {
        let content = (0..levels).fold(r#"{"type":"text","text":"x"}"#.to_owned(), |inner, _| block(&inner));
        let body = format!(r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":[{content}]}}]}}"#);
        send(MESSAGES.parse, MESSAGES.dialect, &body, &[]).is_ok()
    };
    let result = |inner: &str| format!(r#"{{"type":"search_result","source":"s","title":"t","content":[{inner}]}}"#);
    let document = |inner: &str| {
        format!(
            r#"{{"type":"document","source":{{"type":"text","media_type":"text/plain","data":"d","content":[{inner}]}}}}"#
        )
    };
    assert!(nested(1, &result) && nested(1, &document));
    for block in [&result as &dyn Fn(&str) -> String, &document] {
        assert!(!nested(46, block));
    }
    assert!(!nested(2, &result), "a search result holds text alone");
}
