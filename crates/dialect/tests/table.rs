//! One table of cases and targets: what an upstream is sent of a client's request, and what a client is told
//! of an upstream's answer. A snapshot holds the wire text with what was counted and what was lost.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "the fuzz targets use the rest")]
mod exercise;
#[path = "matrix/heard.rs"]
#[expect(dead_code, reason = "the matrix uses the rest")]
mod heard;
#[path = "openai_chat/read.rs"]
#[expect(dead_code, reason = "the tests of chat completions use the rest")]
mod read;

use dialect::Dialect;
use dialect::canonical::Target;
use dialect::client::ClientRequest;
use dialect::request::Outgoing;
use exercise::{CLIENTS, DIALECTS, identity, owner, rewrite};

const CODEX: &str = include_str!("fixtures/openai_responses/codex.json");
const COMPLETION: &str = r#"{"model":"m","prompt":["Once"],"max_tokens":50,"temperature":0.70,"stop":"END","stream":true,"user":"u1","echo":false}"#;

/// The streams, each with what a snapshot calls it.
const STREAMS: [(Dialect, &str, &str); 3] = [
    (Dialect::OpenaiChat, "chat", include_str!("fixtures/openai_chat/reasoning-details.sse")),
    (Dialect::OpenaiResponses, "responses", include_str!("fixtures/openai_responses/everything.sse")),
    (Dialect::AnthropicMessages, "messages", include_str!("fixtures/anthropic_messages/01-tools.sse")),
];

/// JSON text with each member of the whole, and each item of those, on a line of its own; nothing else of it
/// changes.
fn lines(json: &str) -> String {
    let (mut out, mut depth, mut in_string, mut escaped) = (String::new(), 0, false, false);
    for c in json.chars() {
        match c {
            _ if in_string => (in_string, escaped) = (escaped || c != '"', !escaped && c == '\\'),
            '"' => in_string = true,
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            _ => {}
        }
        out.push(c);
        if c == ',' && !in_string && depth <= 2 {
            out.push('\n');
            (0..depth).for_each(|_| out.push(' '));
        }
    }
    out
}

fn sent(request: &ClientRequest<'_>, way: Dialect) -> String {
    let owner = owner();
    let outgoing = Outgoing { model: Some("up"), owner: Some(&owner), ..Outgoing::default() };
    let target = Target {
        model: "up",
        owner: &owner,
        reasons: true,
        adaptive_thinking: true,
        lowered_output: None,
        max_output: 64_000,
        limit_field: "max_completion_tokens",
        stream_options: true,
    };
    match request.encode(request.pair(way, true), &outgoing, &target) {
        Ok(encoded) => format!("{}\n\nlost: {}", lines(&encoded.body), encoded.losses),
        Err(error) => format!("refused: {} ({:?})", error.message, error.param),
    }
}

fn short(way: Dialect) -> &'static str {
    STREAMS.iter().find(|(of, ..)| *of == way).unwrap().1
}

#[test]
fn what_upstreams_are_sent() {
    // The tags in the fixture are those of its own test.
    let codex = CODEX.replace("oi-a1-", "oi-owner000-");
    let chat = include_str!("fixtures/openai_chat/everything.req.json");
    let cases = [
        ("chat", ClientRequest::chat(chat)),
        ("completions", ClientRequest::completions(COMPLETION)),
        ("codex", ClientRequest::responses(&codex)),
        ("claude-code", ClientRequest::messages(include_str!("fixtures/anthropic_messages/claude-code.json"))),
    ];
    for (name, request) in cases {
        let request = request.unwrap();
        for way in DIALECTS {
            insta::assert_snapshot!(format!("request_{name}_to_{}", short(way)), sent(&request, way));
        }
    }
}

#[test]
fn what_clients_are_told() {
    for (way, from, stream) in STREAMS {
        for (client, parse, body) in CLIENTS {
            let request = parse(body).unwrap();
            let mut relay = request.relay(request.pair(way, true), rewrite(), identity(&request));
            let out = exercise::relayed(relay.as_mut(), stream.as_bytes(), stream.len());
            let meter = relay.meter();
            let whole = heard::whole_body(way, stream);
            let (passed, losses) =
                request.read(request.pair(way, true), &whole, &rewrite(), &identity(&request)).unwrap();
            let told = format!(
                "{}counted: {:?}, something was seen: {}\nlost: {}\n\nwhole:\n{}\n\ncounted: {:?}, something was seen: {}\nlost: {losses}",
                String::from_utf8(out).unwrap(),
                meter.reported.map(|reported| reported.usage),
                meter.visible.estimate > 0,
                relay.losses(),
                lines(&passed.body),
                passed.usage.map(|reported| reported.usage),
                passed.visible.estimate > 0,
            );
            insta::assert_snapshot!(format!("answer_{from}_to_{client}"), told);
        }
    }
}
