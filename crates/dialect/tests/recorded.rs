//! Real answers of real providers through the relay. The expected bytes and counts are made here, in
//! another way than the code under test makes them, from the rules in the documentation of
//! `openai_chat::stream`.
//!
//! The recordings are no part of this repository: `RECORDED_DIR` names their folder.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::io::Write;
use std::path::PathBuf;

use billing::money::NanoUsd;
use billing::usage::Usage;
use data_encoding::BASE64;
use dialect::openai_chat;
use dialect::openai_chat::relay::PassThrough;
use dialect::openai_embeddings;
use dialect::openai_embeddings::wire::Encoding;
use dialect::relay::{End, Forward, Relay};
use dialect::rewrite::{NotAnAnswer, Rewrite};
use dialect::tokens::Vocabulary;
use serde_json::Value;

/// Random splits of each file, beside byte by byte and one piece.
const SPLITS: u64 = 20;

/// The files of `folder` with this ending and their texts; none, and a word of it, where they are absent.
fn recorded(folder: &str, ending: &str) -> Vec<(String, String)> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/recorded");
    let root = std::env::var("RECORDED_DIR").unwrap_or_else(|_| default.into());
    let folder = PathBuf::from(root).join(folder);
    let Ok(entries) = std::fs::read_dir(&folder) else {
        // Past the test runner, which shows no output of a test that passes.
        let _ = writeln!(std::io::stderr(), "skipped: {} is not there (RECORDED_DIR)", folder.display());
        return Vec::new();
    };
    let mut files: Vec<(String, String)> = entries
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path))
        .filter(|(name, _)| name.ends_with(ending) && !name.ends_with(".req.json"))
        .map(|(name, path)| (name, std::fs::read_to_string(path).unwrap()))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{} holds no *{ending}", folder.display());
    files
}

/// What a client must get of `file`, and how the relay must call its end.
fn expected(file: &str, include_usage: bool) -> (String, End) {
    let mut out = String::new();
    let mut finished = false;
    for event in file.split_inclusive("\n\n") {
        let Some(data) = data_of(event) else {
            // No recording has another field without data.
            out.push_str(if event.starts_with(": ") { ": keep-alive\n\n" } else { event });
            continue;
        };
        if data == "[DONE]" {
            return (out + event, End::Complete);
        }
        let chunk: Value = serde_json::from_str(data).unwrap();
        if !chunk["error"].is_null() {
            return (out, End::Failed);
        }
        finished |= chunk["choices"].as_array().unwrap().iter().any(|choice| !choice["finish_reason"].is_null());
        if include_usage || !is_usage_only(&chunk) {
            out.push_str(event);
        }
    }
    if finished { (out + "data: [DONE]\n\n", End::Complete) } else { (out, End::Truncated) }
}

/// The data of an event; every recorded one has a single line of it.
fn data_of(event: &str) -> Option<&str> {
    let mut lines = event.lines().filter_map(|line| line.strip_prefix("data:"));
    let data = lines.next()?;
    assert_eq!(lines.next(), None, "{event}");
    Some(data.trim())
}

fn is_usage_only(chunk: &Value) -> bool {
    let plain = "id object created model system_fingerprint service_tier obfuscation choices usage";
    chunk["choices"] == Value::Array(Vec::new())
        && !chunk["usage"].is_null()
        && chunk.as_object().unwrap().keys().all(|key| plain.split(' ').any(|known| known == key))
}

/// Everything in the file that is JSON.
fn chunks(file: &str) -> impl Iterator<Item = Value> {
    file.split("\n\n").filter_map(data_of).filter_map(|data| serde_json::from_str(data).ok())
}

/// The last usage in the file, as the provider wrote it.
fn last_usage(file: &str) -> Option<Value> {
    chunks(file).map(|chunk| chunk["usage"].clone()).filter(|usage| !usage.is_null()).last()
}

fn assert_same_usage(name: &str, counted: Usage, reported: &Value) {
    let number = |pointer: &str| reported.pointer(pointer).and_then(Value::as_u64);
    let cached = number("/prompt_tokens_details/cached_tokens").or(number("/prompt_cache_hit_tokens")).unwrap_or(0);
    let reasoning = number("/completion_tokens_details/reasoning_tokens").unwrap_or(0);
    let expected = [number("/prompt_tokens").unwrap(), cached, number("/completion_tokens").unwrap_or(0), reasoning];
    let seen = [counted.total_input(), counted.cache_read, counted.output, counted.reasoning];
    assert_eq!(seen, expected, "{name}: all input, cached, output, reasoning");
    let written = number("/prompt_tokens_details/cache_write_tokens").unwrap_or(0);
    assert_eq!((counted.cache_write_5m, counted.cache_write_1h, counted.web_searches), (written, 0, 0), "{name}");
}

/// What a client gets of `pieces`, how the stream ended, and the usage.
fn relayed<'a>(pieces: impl Iterator<Item = &'a [u8]>, include_usage: bool) -> (String, End, Option<Usage>) {
    let mut relay = PassThrough::new(include_usage, Rewrite::default(), Vocabulary::default());
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
        match step.forward {
            Forward::Same => panic!("there is nothing that it could be the same as"),
            Forward::Bytes(bytes) => out.extend(bytes),
        }
        step.end.unwrap()
    });
    let usage = relay.meter().reported.map(|reported| reported.usage);
    out.extend(relay.tail(&Usage::default(), NanoUsd::ZERO));
    // The cost is ours to add to the last usage; what is beside it is compared.
    (String::from_utf8(out).unwrap().replace(",\"cost\":0}", "}"), end, usage)
}

/// Pieces of 1 to 64 bytes, the same for the same seed (xorshift64).
fn pieces(bytes: &[u8], seed: u64) -> impl Iterator<Item = &[u8]> {
    let (mut rest, mut state) = (bytes, seed);
    std::iter::from_fn(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let (piece, behind) = rest.split_at_checked((state % 64) as usize + 1).unwrap_or((rest, &[]));
        rest = behind;
        (!piece.is_empty()).then_some(piece)
    })
}

fn check(name: &str, file: &str, how: &str, include_usage: bool, result: (String, End, Option<Usage>)) {
    let name = format!("{name}, {how}, include_usage {include_usage}");
    let (out, end, usage) = result;
    let (body, expected_end) = expected(file, include_usage);
    assert_eq!(end, expected_end, "{name}");
    if end == End::Complete {
        assert_eq!(out, body, "{name}");
    } else {
        let event = out.strip_prefix(&body).unwrap_or_else(|| panic!("{name}: {out}"));
        let error: Value = serde_json::from_str(data_of(event).unwrap()).unwrap();
        assert_eq!(error["error"]["code"], "upstream_unavailable", "{name}");
        assert_eq!(error["error"]["type"], "oneinterface_error", "{name}");
        for theirs in chunks(file).filter_map(|chunk| chunk["error"]["message"].as_str().map(str::to_owned)) {
            assert!(!out.contains(&theirs), "{name}: the provider's text reached the client");
        }
    }
    match (usage, last_usage(file)) {
        (Some(counted), Some(reported)) => assert_same_usage(&name, counted, &reported),
        (counted, reported) => assert_eq!((counted, reported), (None, None), "{name}"),
    }
}

#[test]
fn recorded_chat_streams_are_relayed_and_counted() {
    for (name, file) in ["openai-chat", "compat-quirks"].into_iter().flat_map(|folder| recorded(folder, ".sse")) {
        let bytes = file.as_bytes();
        for asked in [true, false] {
            let run = |how: &str, result| check(&name, &file, how, asked, result);
            run("one piece", relayed(std::iter::once(bytes), asked));
            run("byte by byte", relayed(bytes.chunks(1), asked));
            run("event by event", relayed(file.split_inclusive("\n\n").map(str::as_bytes), asked));
            (1..=SPLITS).for_each(|seed| run(&format!("seed {seed}"), relayed(pieces(bytes, seed), asked)));
        }
    }
}

#[test]
fn recorded_errors_are_never_answers() {
    for (name, body) in recorded("errors", ".json") {
        let rewrite = Rewrite::default();
        assert_eq!(openai_chat::answer::read(&body, &rewrite, Vocabulary::default()), Err(NotAnAnswer), "{name}");
        for encoding in [Encoding::Float, Encoding::Base64] {
            assert_eq!(openai_embeddings::answer::read(&body, encoding, &rewrite), Err(NotAnAnswer), "{name}");
        }
    }
}

#[test]
fn recorded_embeddings_come_in_either_encoding() {
    for (name, body) in recorded("embeddings", ".json") {
        let theirs: Value = serde_json::from_str(&body).unwrap();
        let given = if theirs["data"][0]["embedding"].is_string() { Encoding::Base64 } else { Encoding::Float };
        for asked in [Encoding::Float, Encoding::Base64] {
            let answer = openai_embeddings::answer::read(&body, asked, &Rewrite::default()).unwrap();
            if asked == given {
                assert_eq!(answer.body, body, "{name} passes untouched");
            }
            let ours: Value = serde_json::from_str(&answer.body).unwrap();
            assert_eq!(vectors(&ours, asked), vectors(&theirs, given), "{name} as {asked:?}");
            let without_vectors = |mut body: Value| {
                body["data"].as_array_mut().unwrap().iter_mut().for_each(|item| item["embedding"] = Value::Null);
                body
            };
            assert_eq!(without_vectors(ours), without_vectors(theirs.clone()), "{name}");
            assert_same_usage(&name, answer.usage.unwrap().usage, &theirs["usage"]);
        }
    }
}

/// The bits of every vector.
fn vectors(body: &Value, encoding: Encoding) -> Vec<Vec<u32>> {
    let items = body["data"].as_array().unwrap().iter().map(|item| &item["embedding"]);
    let vector = |embedding: &Value| match encoding {
        Encoding::Float => {
            embedding.as_array().unwrap().iter().map(|float| (float.as_f64().unwrap() as f32).to_bits()).collect()
        }
        Encoding::Base64 => {
            let bytes = BASE64.decode(embedding.as_str().unwrap().as_bytes()).unwrap();
            bytes.chunks_exact(4).map(|quad| u32::from_le_bytes(quad.try_into().unwrap())).collect()
        }
    };
    items.map(vector).collect()
}
