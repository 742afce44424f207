//! How fast streams are translated, and with how many allocations: every pair of dialects, against the
//! bare reading of frames as the baseline. `npm run bench`.
#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use billing::money::NanoUsd;
use billing::usage::Usage;
use dialect::Dialect;
use dialect::canonical::{Delta, Encode, Event, Identity, Open, Owner, Stop, StopReason, ToolKind, ToolNames};
use dialect::client::ClientRequest;
use dialect::relay::End;
use dialect::rewrite::Rewrite;
use dialect::sse::Parser;
use dialect::tokens::Vocabulary;
use dialect::{anthropic_messages, openai_chat, openai_responses};
use divan::counter::{BytesCount, ItemsCount};

#[global_allocator]
static ALLOCATIONS: divan::AllocProfiler = divan::AllocProfiler::system();

/// Text deltas of one stream.
const DELTAS: usize = 2_000;
/// What comes in one read of the network.
const READ_BYTES: usize = 4_096;

const PAIRS: [(&str, &str); 9] = [
    ("chat", "chat"),
    ("chat", "responses"),
    ("chat", "messages"),
    ("responses", "chat"),
    ("responses", "responses"),
    ("responses", "messages"),
    ("messages", "chat"),
    ("messages", "responses"),
    ("messages", "messages"),
];

fn main() {
    divan::main();
}

fn identity(include_usage: bool) -> Identity {
    Identity {
        id: "0123".into(),
        created_s: 1_700_000_000,
        model: "m".into(),
        owner: Owner::new("owner000"),
        likely_input: 7,
        vocabulary: Vocabulary::default(),
        include_usage,
        tool_names: ToolNames::default(),
        echo: Vec::new(),
    }
}

/// Text of the length that providers put into one delta, then a tool call whose arguments come in pieces.
fn events() -> Vec<Event> {
    let mut events = vec![Event::Open { index: 0, block: Open::Text }];
    events.extend((0..DELTAS).map(|_| Event::Delta { index: 0, delta: Delta::Text(" quick brown".into()) }));
    events.push(Event::Close { index: 0 });
    let block = Open::ToolUse { id: "call_1".into(), name: "read".into(), kind: ToolKind::Function };
    events.push(Event::Open { index: 1, block });
    let pieces = ["{\"path\":", "\"src/", "lib.rs\"}"];
    events.extend(pieces.map(|piece| Event::Delta { index: 1, delta: Delta::Input(piece.into()) }));
    events.push(Event::Close { index: 1 });
    events.push(Event::Usage(Usage { input: 20, output: 4_000, ..Usage::default() }.into()));
    events.push(Event::Stop(Stop { reason: StopReason::ToolUse, sequence: None }));
    events
}

/// A stream as an upstream of the dialect writes it.
fn stream(dialect: &str) -> Vec<u8> {
    let mut encoder: Box<dyn Encode> = match dialect {
        "chat" => Box::new(openai_chat::stream::Encoder::new(identity(true))),
        "responses" => Box::new(openai_responses::stream::Encoder::new(identity(true))),
        _ => Box::new(anthropic_messages::stream::Encoder::new(identity(true))),
    };
    let mut bytes = Vec::new();
    events().iter().for_each(|event| encoder.push(event, &mut bytes));
    bytes.extend(encoder.tail(End::Complete, &Usage { input: 20, output: 4_000, ..Usage::default() }, NanoUsd::ZERO));
    bytes
}

fn frames(bytes: &[u8]) -> usize {
    Parser::default().push(bytes).unwrap().len()
}

fn client(dialect: &str) -> ClientRequest<'static> {
    match dialect {
        "chat" => ClientRequest::chat(
            r#"{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hi"}]}"#,
        ),
        "responses" => ClientRequest::responses(r#"{"model":"m","stream":true,"input":"hi"}"#),
        _ => ClientRequest::messages(
            r#"{"model":"m","stream":true,"max_tokens":100,"messages":[{"role":"user","content":"hi"}]}"#,
        ),
    }
    .unwrap()
}

fn way(dialect: &str) -> Dialect {
    match dialect {
        "chat" => Dialect::OpenaiChat,
        "responses" => Dialect::OpenaiResponses,
        _ => Dialect::AnthropicMessages,
    }
}

/// The baseline: frames are found, and nothing is done with them.
#[divan::bench(args = ["chat", "responses", "messages"])]
fn frames_alone(bencher: divan::Bencher<'_, '_>, upstream: &str) {
    let bytes = stream(upstream);
    bencher.counter(BytesCount::new(bytes.len())).counter(ItemsCount::new(frames(&bytes))).bench_local(|| {
        let mut parser = Parser::default();
        bytes.chunks(READ_BYTES).map(|chunk| parser.push(chunk).unwrap().len()).sum::<usize>()
    });
}

/// From the first dialect to the second; where they are the same, bytes pass.
#[divan::bench(args = PAIRS)]
fn relay(bencher: divan::Bencher<'_, '_>, (upstream, downstream): (&str, &str)) {
    let bytes = stream(upstream);
    let request = client(downstream);
    bencher.counter(BytesCount::new(bytes.len())).counter(ItemsCount::new(frames(&bytes))).bench_local(|| {
        let rewrite = Rewrite { owner: Some(Owner::new("owner000")), ..Rewrite::default() };
        let mut relay = request.relay(request.pair(way(upstream), true), rewrite, identity(true));
        let ended = bytes.chunks(READ_BYTES).any(|chunk| relay.push(chunk).end.is_some());
        assert!(ended);
        relay.tail(&Usage::default(), NanoUsd::ZERO)
    });
}
