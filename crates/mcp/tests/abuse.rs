//! What both eras take and refuse, as tables: the exact status and code of each.

use mcp::{Asked, Exchange, Headers, Opened, Reply};
use serde_json::{Value, json};

const MODERN: &str = "2026-07-28";

/// What became of a body: its status and JSON-RPC code (0: none), or `Ok` with what is asked for.
fn open(headers: &Headers, body: &str) -> Result<Asked, (u16, i64)> {
    let refused = |reply: Reply| {
        let body: Option<Value> = reply.body.and_then(|body| serde_json::from_str(&body).ok());
        (reply.status, body.and_then(|body| body.pointer("/error/code")?.as_i64()).unwrap_or(0))
    };
    match Exchange::open(headers, body) {
        Ok(Opened::Request(exchange)) => Ok(exchange.asked),
        Ok(Opened::Done(reply)) | Err(reply) => Err(refused(reply)),
    }
}

fn sent(version: Option<&str>, method: Option<&str>, name: Option<&str>) -> Headers {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    Headers { protocol_version: owned(version), method: owned(method), name: owned(name) }
}

fn meta() -> Value {
    json!({ "io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {} })
}

#[test]
fn what_is_no_message_is_refused() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for (body, expected) in [
        ("", (400, -32700)),
        ("{", (400, -32700)),
        ("nul", (400, -32700)),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping"} x"#, (400, -32700)),
        ("[]", (400, -32600)),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, (400, -32600)),
        ("null", (400, -32600)),
        ("1", (400, -32600)),
        (&deep, (400, -32600)),
        ("{}", (400, -32600)),
        (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, (400, -32600)),
        (r#"{"id":1,"method":"ping"}"#, (400, -32600)),
        (r#"{"jsonrpc":"2.0","id":1}"#, (400, -32600)),
        (r#"{"jsonrpc":"2.0","id":1,"method":1}"#, (400, -32600)),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, (400, -32600)),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, (400, -32600)),
        (r#"{"jsonrpc":"2.0","id":1e3,"method":"ping"}"#, (400, -32600)),
        (r#"{"jsonrpc":"2.0","id":true,"method":"ping"}"#, (400, -32600)),
        (r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, (400, -32600)),
        (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#, (400, -32600)),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#, (400, -32602)),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":1}}"#, (400, -32602)),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":[]}}"#, (400, -32602)),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{},"_meta":{}}}"#, (400, -32602)),
    ] {
        assert_eq!(open(&Headers::default(), body).unwrap_err(), expected, "{body:.80}");
    }
    // What nobody reads is passed over, however deep it is: a million parts of it take no memory either.
    for params in [
        format!(r#"{{"_meta":{{"x":{deep}}}}}"#),
        format!(r#"{{"_meta":{{"progressToken":{deep}}}}}"#),
        format!(r#"{{"name":{deep},"uri":{deep}}}"#),
    ] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{params}}}"#);
        assert!(matches!(open(&Headers::default(), &body), Ok(Asked::Ping)), "{params:.60}");
    }
    let params = format!(r#"{{"name":"choose_model","arguments":{{"task":"x","other":{deep}}}}}"#);
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{params}}}"#);
    assert!(matches!(open(&Headers::default(), &body), Ok(Asked::GetPrompt(..))));
    for id in [format!("\"{}\"", "x".repeat(255)), "1".repeat(257)] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
        assert_eq!(open(&Headers::default(), &body).unwrap_err(), (400, -32600), "an id of {}", id.len());
    }
    let longest = format!(r#"{{"jsonrpc":"2.0","id":"{}","method":"ping"}}"#, "x".repeat(254));
    assert!(matches!(open(&Headers::default(), &longest), Ok(Asked::Ping)));
}

#[test]
fn notifications_and_answers_are_taken_and_nothing_is_said() {
    for body in [
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#,
        r#"{"jsonrpc":"2.0","method":"nobody/knows"}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":""}}"#,
    ] {
        assert_eq!(open(&Headers::default(), body).unwrap_err(), (202, 0), "{body}");
    }
}

#[test]
fn an_id_goes_back_as_it_came() {
    for id in ["1", "-7", "123456789012345678901234567890", "\"a\\u00e9\"", "\"\""] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
        let Ok(Opened::Request(exchange)) = Exchange::open(&Headers::default(), &body) else { panic!("{body}") };
        let reply = exchange.plain(&[]).unwrap();
        assert_eq!(reply.body.unwrap(), format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#));
    }
}

#[test]
fn a_legacy_request_is_refused_by_its_method() {
    for (method, params, expected) in [
        ("nothing", json!({}), (200, -32601)),
        ("server/discover", json!({}), (400, -32602)),
        ("logging/setLevel", json!({ "level": "debug" }), (200, -32601)),
        ("resources/subscribe", json!({ "uri": "oneinterface://models" }), (200, -32601)),
        ("initialize", json!({}), (200, -32602)),
        ("tools/list", json!({ "cursor": "x" }), (200, -32602)),
        ("tools/list", json!({ "cursor": 1 }), (200, -32602)),
        ("tools/call", json!({}), (200, -32602)),
        ("tools/call", json!({ "name": "nothing" }), (200, -32602)),
        ("resources/read", json!({}), (200, -32602)),
        ("prompts/get", json!({ "name": "nothing" }), (200, -32602)),
        ("completion/complete", json!({}), (200, -32602)),
        (
            "completion/complete",
            json!({ "ref": { "type": "ref/resource", "uri": "x" }, "argument": { "name": "id", "value": "" } }),
            (200, -32602),
        ),
    ] {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        for version in [None, Some("2025-03-26"), Some("2025-06-18"), Some("2025-11-25")] {
            assert_eq!(open(&sent(version, None, None), &body).unwrap_err(), expected, "{version:?} {body}");
        }
        // `initialize` negotiates, whatever the header says.
        if !matches!(method, "server/discover" | "initialize") {
            assert_eq!(open(&sent(Some("2024-01-01"), None, None), &body).unwrap_err(), (400, -32022), "{body}");
        }
    }
}

#[test]
fn a_modern_request_says_the_same_in_its_headers_and_its_body() {
    let list = |meta: Value| json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": { "_meta": meta } });
    let with = |key: &str, value: Value| {
        let mut meta = meta();
        meta[key] = value;
        list(meta)
    };
    let version = "io.modelcontextprotocol/protocolVersion";
    let capabilities = "io.modelcontextprotocol/clientCapabilities";
    let bare = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    let own = sent(Some(MODERN), Some("tools/list"), None);
    for (headers, body, expected) in [
        (&own, list(meta()), None),
        (&sent(Some(" 2026-07-28 "), Some("\ttools/list "), None), list(meta()), None),
        (&own, bare.clone(), Some((400, -32602))),
        (&own, list(json!({})), Some((400, -32602))),
        (&own, with(version, json!(1)), Some((400, -32602))),
        (&own, with(capabilities, json!(null)), Some((400, -32602))),
        (&own, with(version, json!("2025-11-25")), Some((400, -32020))),
        (&sent(None, Some("tools/list"), None), list(meta()), Some((400, -32020))),
        (&sent(Some("2025-11-25"), Some("tools/list"), None), list(meta()), Some((400, -32020))),
        (&sent(Some(MODERN), None, None), list(meta()), Some((400, -32020))),
        (&sent(Some(MODERN), Some("TOOLS/LIST"), None), list(meta()), Some((400, -32020))),
        (&sent(Some(MODERN), Some("prompts/list"), None), list(meta()), Some((400, -32020))),
        (&sent(Some("2099-01-01"), Some("tools/list"), None), with(version, json!("2099-01-01")), Some((400, -32022))),
        // A client of the era before may send the header of the method too.
        (&sent(Some("2025-11-25"), Some("tools/list"), None), bare, None),
    ] {
        assert_eq!(open(headers, &body.to_string()).err(), expected, "{headers:?} {body}");
    }
}

#[test]
fn a_modern_request_names_what_it_calls() {
    for (method, params, name, expected) in [
        ("tools/call", json!({ "name": "get_balance" }), Some("get_balance"), None),
        ("tools/call", json!({ "name": "get_balance" }), Some("  get_balance "), None),
        ("tools/call", json!({ "name": "get_balance" }), Some("=?base64?Z2V0X2JhbGFuY2U=?="), None),
        ("tools/call", json!({ "name": "get_balance" }), Some("=?base64?Z2V0X2JhbGFuY2U?="), Some((400, -32020))),
        ("tools/call", json!({ "name": "get_balance" }), Some("=?base64?!!?="), Some((400, -32020))),
        ("tools/call", json!({ "name": "get_balance" }), Some("get_usage"), Some((400, -32020))),
        ("tools/call", json!({ "name": "get_balance" }), None, Some((400, -32020))),
        ("tools/call", json!({}), None, Some((400, -32602))),
        ("tools/call", json!({ "name": "nothing" }), Some("nothing"), Some((400, -32602))),
        ("resources/read", json!({ "uri": "oneinterface://models" }), Some("oneinterface://models"), None),
        ("resources/read", json!({ "uri": "oneinterface://models" }), None, Some((400, -32020))),
        ("prompts/get", json!({ "name": "explain_spend" }), Some("explain_spend"), None),
        ("prompts/get", json!({ "name": "explain_spend" }), Some("choose_model"), Some((400, -32020))),
        ("initialize", json!({ "protocolVersion": MODERN }), None, Some((404, -32601))),
        ("ping", json!({}), None, Some((404, -32601))),
        ("nothing", json!({}), None, Some((404, -32601))),
    ] {
        let mut params = params;
        params["_meta"] = meta();
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        let headers = sent(Some(MODERN), Some(method), name);
        assert_eq!(open(&headers, &body).err(), expected, "{name:?} {body}");
    }
}

#[test]
fn results_are_wrapped_as_their_era_has_it() {
    let modern = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "get_balance", "_meta": meta() } });
    let legacy = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "get_balance" } });
    for (headers, body, is_modern) in [
        (sent(Some(MODERN), Some("tools/call"), Some("get_balance")), modern, true),
        (Headers::default(), legacy, false),
    ] {
        let Ok(Opened::Request(exchange)) = Exchange::open(&headers, &body.to_string()) else { panic!("{body}") };
        let read = |reply: Reply| serde_json::from_str::<Value>(&reply.body.unwrap()).unwrap()["result"].clone();
        let told = read(exchange.tool_result(json!({ "balance_usd": "1" })));
        assert_eq!(told["structuredContent"], json!({ "balance_usd": "1" }));
        assert_eq!(told["content"], json!([{ "type": "text", "text": "{\"balance_usd\":\"1\"}" }]));
        assert_eq!((told.get("resultType").is_some(), told.get("_meta").is_some()), (is_modern, is_modern));
        assert!(told.get("ttlMs").is_none());
        let refused = read(exchange.tool_error("Do this."));
        assert_eq!((&refused["isError"], &refused["content"][0]["text"]), (&json!(true), &json!("Do this.")));
        assert!(refused.get("structuredContent").is_none());
        assert!(exchange.progress(1, "x").is_none());
    }
}

#[test]
fn progress_names_the_token_that_was_given() {
    for (token, named) in [
        (json!(7), true),
        (json!("a"), true),
        (json!(null), false),
        (json!({}), false),
        (json!(1.5), false),
        // It would come back with each progress.
        (json!("x".repeat(255)), false),
    ] {
        let params = json!({ "name": "get_balance", "_meta": { "progressToken": token } });
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }).to_string();
        let Ok(Opened::Request(exchange)) = Exchange::open(&Headers::default(), &body) else { panic!("{body}") };
        let told = exchange.progress(3, "").map(|text| serde_json::from_str::<Value>(&text).unwrap());
        let expected = json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progressToken": token, "progress": 3 } });
        assert_eq!(told, named.then_some(expected));
    }
}

#[test]
fn a_client_is_told_nothing_long_of_what_it_sent() {
    let long = "x".repeat(100_000);
    for (method, params) in [
        (long.as_str(), json!({})),
        ("tools/call", json!({ "name": long })),
        ("tools/call", json!({ "name": "get_balance", "arguments": [long] })),
        ("tools/call", json!({ "name": ["get_balance"] })),
        ("resources/read", json!({ "uri": { "x": long } })),
        ("prompts/get", json!({ "name": "choose_model", "arguments": [long] })),
        ("tools/list", json!({ "cursor": long })),
        (
            "completion/complete",
            json!({ "ref": { "type": "ref/prompt", "name": long }, "argument": { "name": "x", "value": "" } }),
        ),
    ] {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        let Err(reply) = Exchange::open(&Headers::default(), &body) else { panic!("{method:.20} was taken") };
        let told = reply.body.unwrap();
        assert!(told.len() < 600 && told.contains("\"error\""), "{told:.1000}");
    }
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": { "uri": long } }).to_string();
    let Ok(Opened::Request(exchange)) = Exchange::open(&Headers::default(), &body) else { panic!() };
    let Asked::ReadResource(Err(uri)) = &exchange.asked else { panic!("{:?}", exchange.asked) };
    assert!(exchange.no_such_resource(uri).body.unwrap().len() < 600);
    let meta = json!({ "io.modelcontextprotocol/protocolVersion": long });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping", "params": { "_meta": meta } }).to_string();
    let reply = Exchange::open(&sent(Some(&long), Some("ping"), None), &body).unwrap_err();
    assert!(reply.body.unwrap().len() < 600);
}

#[test]
fn issue_13_initialize_negotiates_whatever_the_header_says() {
    let params =
        json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "c", "version": "1" } });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params }).to_string();
    for version in [None, Some("2024-11-05"), Some("2025-11-25"), Some(MODERN), Some("1999-01-01"), Some(""), Some("x")]
    {
        let Ok(Opened::Request(exchange)) = Exchange::open(&sent(version, None, None), &body) else {
            panic!("{version:?}")
        };
        let reply: Value = serde_json::from_str(&exchange.plain(&[]).unwrap().body.unwrap()).unwrap();
        assert_eq!(reply["result"]["protocolVersion"], "2025-06-18", "{version:?}");
    }
}
