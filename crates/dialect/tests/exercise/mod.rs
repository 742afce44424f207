//! What every input must survive, whoever made it: the fuzz targets and the test that replays their
//! corpus run the same functions. A defect shows as a panic.

use billing::money::NanoUsd;
use billing::usage::Usage;
use dialect::Dialect;
use dialect::canonical::{Identity, Owner, Target, ToolNames};
use dialect::client::{ClientRequest, Pair};
use dialect::envelope::Envelope;
use dialect::relay::{Forward, Relay};
use dialect::request::{Outgoing, RequestError};
use dialect::rewrite::Rewrite;
use dialect::sse::Parser;
use dialect::tokens::Vocabulary;

/// The dialects that carry text.
pub const DIALECTS: [Dialect; 3] = [Dialect::OpenaiChat, Dialect::OpenaiResponses, Dialect::AnthropicMessages];

/// Reads a client's body.
pub type Parse = for<'a> fn(&'a str) -> Result<ClientRequest<'a>, RequestError>;

/// The routes of clients, each with a small body for it that asks for a stream.
pub const CLIENTS: [(&str, Parse, &str); 4] = [
    (
        "chat",
        |body| ClientRequest::chat(body),
        r#"{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hi"}]}"#,
    ),
    (
        "completions",
        |body| ClientRequest::completions(body),
        r#"{"model":"m","stream":true,"stream_options":{"include_usage":true},"prompt":"hi"}"#,
    ),
    ("responses", |body| ClientRequest::responses(body), r#"{"model":"m","stream":true,"input":"hi"}"#),
    (
        "messages",
        |body| ClientRequest::messages(body),
        r#"{"model":"m","stream":true,"max_tokens":100,"messages":[{"role":"user","content":"hi"}]}"#,
    ),
];

/// Whose state upstreams make in these tests.
pub fn owner() -> Owner {
    Owner::new("owner000")
}

/// What answers are called in these tests.
pub fn identity(request: &ClientRequest<'_>) -> Identity {
    Identity {
        id: "0123".into(),
        created_s: 1_700_000_000,
        model: "m".into(),
        owner: owner(),
        likely_input: 7,
        vocabulary: Vocabulary::default(),
        include_usage: request.facts().include_usage,
        tool_names: ToolNames::default(),
        echo: request.echo(),
    }
}

/// What is rewritten in answers that pass.
pub fn rewrite() -> Rewrite {
    Rewrite { model: Some("m".into()), strip: vec!["provider".into(), "usage.cost".into()], owner: Some(owner()) }
}

/// Anything may be sent to any route, and what is read must be sendable to every upstream or refused.
pub fn request(body: &str) {
    for (_, parse, _) in CLIENTS {
        let Ok(request) = parse(body) else { continue };
        for way in DIALECTS {
            for lowered in [None, Some(300)] {
                let pair = request.pair(way, lowered.is_none());
                let (owner, target_owner) = (owner(), owner());
                let outgoing = Outgoing {
                    model: Some("up"),
                    lowered_output: lowered,
                    limit_field: None,
                    without_stream_options: false,
                    owner: Some(&owner),
                    passes: &[],
                };
                let target = Target {
                    model: "up",
                    owner: &target_owner,
                    reasons: lowered.is_none(),
                    adaptive_thinking: lowered.is_some(),
                    lowered_output: lowered,
                    max_output: 8_192,
                    limit_field: "max_tokens",
                    stream_options: true,
                };
                if let Ok(encoded) = request.encode(pair, &outgoing, &target) {
                    assert!(Envelope::parse(&encoded.body).is_ok(), "{way:?}: {}", encoded.body);
                }
            }
        }
        let _ = request.echo();
    }
}

/// Runs a stream of an upstream through a relay, cut into pieces of `piece` bytes, and returns what the
/// client gets.
pub fn relayed(relay: &mut dyn Relay, input: &[u8], piece: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut ended = false;
    for chunk in input.chunks(piece.max(1)) {
        let step = relay.push(chunk);
        match step.forward {
            Forward::Same => out.extend_from_slice(chunk),
            Forward::Bytes(bytes) => out.extend(bytes),
        }
        if step.end.is_some() {
            ended = true;
            break;
        }
    }
    if !ended && let Forward::Bytes(bytes) = relay.finish().forward {
        out.extend(bytes);
    }
    out.extend(relay.tail(&Usage { input: 3, output: 2, ..Usage::default() }, NanoUsd::ZERO));
    out
}

/// How a request reaches an upstream, by the byte that chose the client too.
fn pair(request: &ClientRequest<'_>, choice: u8) -> Pair {
    let choice = usize::from(choice) / CLIENTS.len();
    request.pair(DIALECTS[choice % DIALECTS.len()], (choice / DIALECTS.len()).is_multiple_of(2))
}

/// The first two bytes choose the pair and the pieces; the rest is the upstream's stream.
pub fn stream(bytes: &[u8]) {
    let [choice, piece, input @ ..] = bytes else { return };
    let (_, parse, body) = CLIENTS[usize::from(*choice) % CLIENTS.len()];
    let request = parse(body).unwrap();
    let pair = pair(&request, *choice);
    let make = || request.relay(pair, rewrite(), identity(&request));
    let whole = relayed(make().as_mut(), input, input.len());
    let pieces = relayed(make().as_mut(), input, usize::from(*piece));
    assert_eq!(String::from_utf8_lossy(&whole), String::from_utf8_lossy(&pieces), "{pair:?}");
    let mut stopped = make();
    let _ = stopped.push(input);
    stopped.stop_at_limit();
    assert!(!stopped.tail(&Usage::default(), NanoUsd::ZERO).is_empty());
}

/// The first byte chooses the pair; the rest is the upstream's answer.
pub fn answer(bytes: &[u8]) {
    let Some((choice, input)) = bytes.split_first() else { return };
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (_, parse, body) = CLIENTS[usize::from(*choice) % CLIENTS.len()];
    let request = parse(body).unwrap();
    let pair = pair(&request, *choice);
    if let Ok((passed, _)) = request.read(pair, text, &rewrite(), &identity(&request)) {
        assert!(Envelope::parse(&passed.body).is_ok(), "{}", passed.body);
    }
}

/// Frames keep their bytes, however the input is cut.
pub fn sse(bytes: &[u8]) {
    let Some((piece, input)) = bytes.split_first() else { return };
    let mut parser = Parser::default();
    let mut raw = Vec::new();
    for chunk in input.chunks(usize::from(*piece).max(1)) {
        let Ok(frames) = parser.push(chunk) else { return };
        for frame in frames {
            let _ = (frame.data(), frame.event(), frame.is_well_formed());
            raw.extend_from_slice(frame.raw());
        }
    }
    raw.extend(parser.finish().map(|frame| frame.raw().to_vec()).unwrap_or_default());
    assert_eq!(raw, input);
}

/// Edits change what they name and nothing else.
pub fn envelope(text: &str) {
    let Ok(envelope) = Envelope::parse(text) else { return };
    assert_eq!(envelope.edit().finish(), text);
    let mut edits = envelope.edit();
    edits.set("model", "\"x\"");
    edits.remove("stream");
    let edited = edits.finish();
    let edited = Envelope::parse(&edited).unwrap();
    assert_eq!((edited.get("model"), edited.get("stream")), (Some("\"x\""), None));
    for (key, value) in envelope.members().filter(|(key, _)| !["model", "stream"].contains(key)) {
        assert_eq!(edited.get(key), Some(value), "{key}");
    }
}
