//! Every stream of every upstream dialect, to clients of every dialect: our own fixtures, and the recorded
//! streams where they are there (`RECORDED_DIR` names their folder). What is expected is read from the files
//! as plain JSON, in another way than the code under test reads them.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "grammar/openai_chat.rs"]
mod chat_grammar;
#[path = "grammar/anthropic_messages.rs"]
mod messages_grammar;
#[path = "grammar/openai_responses.rs"]
mod responses_grammar;

#[expect(dead_code, reason = "the fuzz targets use the rest")]
mod exercise;
#[path = "matrix/heard.rs"]
mod heard;
#[path = "openai_chat/read.rs"]
#[expect(dead_code, reason = "the tests of chat completions use the rest")]
mod read;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use billing::money::NanoUsd;
use billing::reported::Reported;
use billing::usage::Usage;
use dialect::Dialect;
use dialect::client::ClientRequest;
use dialect::relay::{End, Forward, Meter};
use dialect::rewrite::Rewrite;
use exercise::{CLIENTS, identity};
use heard::{Heard, whole_body};
use proptest::prelude::*;

/// One stream of an upstream.
struct Stream {
    name: String,
    way: Dialect,
    text: String,
}

static STREAMS: LazyLock<Vec<Stream>> = LazyLock::new(|| {
    let own = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures"));
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/recorded");
    let recorded = PathBuf::from(std::env::var("RECORDED_DIR").unwrap_or_else(|_| default.into()));
    let folders = [
        (Dialect::OpenaiChat, own.join("openai_chat")),
        (Dialect::OpenaiResponses, own.join("openai_responses")),
        (Dialect::AnthropicMessages, own.join("anthropic_messages")),
        (Dialect::OpenaiChat, recorded.join("openai-chat")),
        (Dialect::OpenaiChat, recorded.join("compat-quirks")),
        (Dialect::OpenaiResponses, recorded.join("openai-responses")),
        (Dialect::AnthropicMessages, recorded.join("anthropic")),
    ];
    let streams: Vec<Stream> = folders.iter().flat_map(|(way, folder)| streams_of(*way, folder)).collect();
    assert!(streams.len() >= 10, "fixtures are missing");
    streams
});

fn streams_of(way: Dialect, folder: &Path) -> Vec<Stream> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        // Past the test runner, which shows no output of a test that passes.
        let _ = writeln!(std::io::stderr(), "skipped: {} is not there (RECORDED_DIR)", folder.display());
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let streams = paths.into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "sse"));
    let read = |path: PathBuf| Stream {
        name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
        way,
        text: std::fs::read_to_string(&path).unwrap(),
    };
    streams.map(read).collect()
}

/// What the client gets of `pieces`, how the stream ended and what was counted.
fn relayed<'a>(
    request: &ClientRequest<'_>,
    way: Dialect,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (String, End, Meter) {
    let rewrite = Rewrite { owner: Some(exercise::owner()), ..Rewrite::default() };
    let mut relay = request.relay(request.pair(way, true), rewrite, identity(request));
    let mut out = Vec::new();
    let mut end = None;
    for piece in pieces {
        let step = relay.push(piece);
        match step.forward {
            Forward::Same => out.extend_from_slice(piece),
            Forward::Bytes(bytes) => out.extend(bytes),
        }
        end = step.end;
        if end.is_some() {
            break;
        }
    }
    let end = end.unwrap_or_else(|| {
        let step = relay.finish();
        let Forward::Bytes(bytes) = step.forward else { panic!("nothing was pushed") };
        out.extend(bytes);
        step.end.unwrap()
    });
    let meter = relay.meter();
    out.extend(relay.tail(&meter.reported.unwrap_or_default().usage, NanoUsd::ZERO));
    (String::from_utf8(out).unwrap(), end, meter)
}

/// Runs `check` for every stream and every client: `passes` tells whether the bytes pass.
fn every_pair(check: impl Fn(&str, &Stream, &ClientRequest<'_>, bool)) {
    for stream in STREAMS.iter() {
        for (client, parse, body) in CLIENTS {
            let request = parse(body).unwrap();
            let name = format!("{} to a client of {client}", stream.name);
            check(&name, stream, &request, request.pair(stream.way, true).passes);
        }
    }
}

/// The dialect in which a client reads; completions, which hold text alone, are none of them.
fn reads(request: &ClientRequest<'_>) -> Option<Dialect> {
    let dialect = request.dialect();
    (dialect != Dialect::OpenaiChat || request.pair(dialect, true).passes).then_some(dialect)
}

fn check_grammar(name: &str, request: &ClientRequest<'_>, passes: bool, out: &str) {
    let checked = match reads(request) {
        // Chunks of the many servers that speak it keep no such order.
        Some(Dialect::OpenaiChat) if passes => Ok(()),
        // Nor does one that leaves events out.
        Some(Dialect::OpenaiResponses) if passes && name.starts_with("sparse") => Ok(()),
        Some(Dialect::OpenaiChat) => chat_grammar::check(out.as_bytes()),
        Some(Dialect::OpenaiResponses) => responses_grammar::check(out.as_bytes()),
        Some(_) => messages_grammar::check(out.as_bytes()),
        None => completions(out),
    };
    checked.unwrap_or_else(|rule| panic!("{name}: {rule}\n{out}"));
}

/// The grammar of completions: chunks of text, one reason at most, and one end.
fn completions(out: &str) -> Result<(), String> {
    let body = out.strip_suffix("\n\n").ok_or("the last event is not terminated")?;
    let events: Vec<&str> = body.split("\n\n").map(|event| event.strip_prefix("data: ").unwrap_or(event)).collect();
    let (last, chunks) = events.split_last().ok_or("there is no event")?;
    if *last != "[DONE]" && !last.contains("\"error\"") {
        return Err(format!("no end: {last}"));
    }
    for chunk in chunks {
        let chunk: serde_json::Value = serde_json::from_str(chunk).map_err(|e| format!("{e}: {chunk}"))?;
        let texts = chunk["choices"].as_array().ok_or("no choices")?.iter().all(|choice| choice["text"].is_string());
        if chunk["object"] != "text_completion" || !texts {
            return Err(format!("no completion: {chunk}"));
        }
    }
    Ok(())
}

/// What of an upstream's stream a client of another dialect can be told.
fn told(mut said: Heard, from: Dialect, to: Dialect) -> Heard {
    // Responses tell a refusal by its words alone.
    if said.stop == "refused" && said.words.is_empty() && to == Dialect::OpenaiResponses && from != to {
        said.stop = "end";
    }
    comparable(said, from, to)
}

/// What of it can be compared: Anthropic's calls take objects, so that what is cut off, and the text of a
/// custom tool, stands in one.
fn comparable(mut heard: Heard, from: Dialect, to: Dialect) -> Heard {
    heard.usage = None;
    if to == Dialect::AnthropicMessages && from != to {
        // There an input is an object: none is an empty one, and a text stands in one.
        for (_, input) in heard.calls.iter_mut().filter(|(_, input)| !input.is_object()) {
            *input = if input.is_null() { serde_json::json!({}) } else { serde_json::json!({ "input": input }) };
        }
    }
    heard
}

#[test]
fn what_is_said_is_heard_in_every_dialect() {
    every_pair(|name, stream, request, passes| {
        let (out, end, meter) = relayed(request, stream.way, [stream.text.as_bytes()]);
        check_grammar(name, request, passes, &out);
        let said = Heard::stream(stream.way, &stream.text);
        let counted = meter.reported.map(|Reported { usage, .. }| {
            let Usage { cache_read, cache_write_5m, cache_write_1h, output, reasoning, .. } = usage;
            [usage.total_input(), cache_read, cache_write_5m + cache_write_1h, output, reasoning]
        });
        let reasoning_apart =
            |counts: Option<[u64; 5]>| counts.map(|counts| (counts[0], counts[1], counts[2], counts[3]));
        assert_eq!(reasoning_apart(counted), reasoning_apart(said.usage), "{name}");
        assert_eq!(matches!(end, End::Truncated | End::Failed), said.failed || said.stop.is_empty(), "{name}: {end:?}");
        let Some(dialect) = reads(request) else {
            let text = said.words.is_empty() || said.failed || out.contains("\"text\":\"");
            return assert!(text, "{name}: {out}");
        };
        let heard = Heard::stream(dialect, &out);
        let in_wire = heard.usage.map(|counts| (counts[0], counts[3]));
        if end == End::Complete && !(passes && dialect == Dialect::OpenaiChat) {
            assert_eq!(in_wire, Some(counted.map_or((0, 0), |counts| (counts[0], counts[3]))), "{name}");
        }
        if end == End::Complete {
            assert_eq!(comparable(heard, stream.way, dialect), told(said, stream.way, dialect), "{name}");
        } else {
            assert!(heard.failed, "{name}\n{out}");
        }
    });
}

#[test]
fn a_stream_says_what_the_whole_answer_says() {
    every_pair(|name, stream, request, passes| {
        let said = Heard::stream(stream.way, &stream.text);
        let Some(dialect) = reads(request).filter(|_| !passes && !said.failed && !said.stop.is_empty()) else { return };
        let rewrite = Rewrite::default();
        let body = whole_body(stream.way, &stream.text);
        let (passed, _) = request.read(request.pair(stream.way, true), &body, &rewrite, &identity(request)).unwrap();
        let (out, ..) = relayed(request, stream.way, [stream.text.as_bytes()]);
        let (streamed, whole) = (Heard::stream(dialect, &out), Heard::whole(dialect, &passed.body));
        assert_eq!(comparable(whole, stream.way, dialect), comparable(streamed, stream.way, dialect), "{name}");
        assert_eq!(passed.visible.estimate > 0, said.is_visible(), "{name}");
    });
}

#[test]
fn a_cut_at_any_event_ends_in_an_error_and_what_was_seen_is_counted() {
    every_pair(|name, stream, request, passes| {
        for (at, _) in stream.text.match_indices("\n\n") {
            let (out, end, meter) = relayed(request, stream.way, [&stream.text.as_bytes()[..at + 2]]);
            let name = format!("{name}, cut at {at}");
            let Some(dialect) = reads(request) else {
                completions(&out).unwrap_or_else(|rule| panic!("{name}: {rule}"));
                continue;
            };
            check_grammar(&name, request, passes, &out);
            let heard = Heard::stream(dialect, &out);
            assert_eq!(heard.failed, matches!(end, End::Truncated | End::Failed), "{name}: {end:?}\n{out}");
            assert!(meter.visible.estimate > 0 || !heard.is_visible(), "{name}\n{out}");
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_split_of_the_bytes_gives_the_same_output(
        stream in any::<prop::sample::Index>(),
        at in 0..CLIENTS.len(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let stream = stream.get(&STREAMS);
        let bytes = stream.text.as_bytes();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.index(bytes.len())).chain([0, bytes.len()]).collect();
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|ends| &bytes[ends[0]..ends[1]]).collect();
        let (client, parse, body) = CLIENTS[at];
        let request = parse(body).unwrap();
        let whole = relayed(&request, stream.way, [bytes]);
        prop_assert_eq!(relayed(&request, stream.way, pieces), whole, "{} to {}", stream.name, client);
    }
}
