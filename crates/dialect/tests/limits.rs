//! Streams under the limits of their own requests, in every pair of dialects: none is cut, each is billed as its
//! provider counts, and the figures of what is seen do not depend on where a stream is split.
//!
//! The recordings are no part of this repository: `RECORDED_DIR` names their folder.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "the fuzz targets use the rest")]
mod exercise;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use billing::hold::{HoldRequest, OutputBound};
use billing::ledger::SettledBy;
use billing::money::{NanoUsd, PicoUsd};
use billing::price::{Price, Rates};
use billing::reported::{Bounds, Reported};
use billing::running::{Next, Running};
use billing::usage::Usage;
use dialect::Dialect;
use dialect::client::ClientRequest;
use dialect::relay::{End, Meter};
use dialect::tokens::Figures;
use dialect::visible::measured;
use exercise::{CLIENTS, DIALECTS, identity, rewrite};
use proptest::prelude::*;
use serde_json::{Value, json};

/// What the models of the catalogue write at most where the client sets no limit, in tokens.
const MODEL_OUTPUT: u64 = 16_384;
const MODEL_WINDOW: u64 = 128_000;

/// How a stream went.
struct Went {
    end: End,
    meter: Meter,
    next: Next,
}

/// Runs a stream as the Worker does: after each piece the rule says whether it goes on. The hold covers the limit.
fn run<'a>(request: &ClientRequest<'_>, way: Dialect, limit: u64, pieces: impl IntoIterator<Item = &'a [u8]>) -> Went {
    let mut relay = request.relay(request.pair(way, true), rewrite(), identity(request));
    for piece in pieces {
        let step = relay.push(piece);
        let meter = relay.meter();
        let Figures { lower, estimate, upper } = meter.visible;
        assert!(lower <= estimate && estimate <= upper, "{:?}", meter.visible);
        if let Some(end) = step.end {
            return Went { end, meter, next: Next::GoOn };
        }
        let next = Running { least: lower, likely: estimate, covered: Some(limit), limit }.next();
        if next != Next::GoOn {
            relay.stop_at_limit();
            return Went { end: End::Limit, meter, next };
        }
    }
    let end = relay.finish().end.unwrap();
    Went { end, meter: relay.meter(), next: Next::GoOn }
}

/// The bill of a stream of which the client was handed `delivered`.
fn bill_of(meter: &Meter, delivered: Figures, limit: u64, hides: bool) -> (Usage, SettledBy) {
    let bounds = Bounds { likely_input: 7, most_input: MODEL_WINDOW, most_output: limit, hides };
    measured(&bounds, meter.visible, delivered).usage(meter.reported)
}

fn bill(meter: &Meter, limit: u64, hides: bool) -> (Usage, SettledBy) {
    bill_of(meter, meter.visible, limit, hides)
}

/// A recorded stream.
struct Recording {
    name: String,
    way: Dialect,
    text: String,
    /// The limit of its request, in tokens of all choices, else the model's.
    limit: u64,
}

fn recordings() -> Vec<Recording> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/recorded");
    let root = PathBuf::from(std::env::var("RECORDED_DIR").unwrap_or_else(|_| default.into()));
    let folders = [
        (Dialect::OpenaiChat, "openai-chat"),
        (Dialect::OpenaiChat, "compat-quirks"),
        (Dialect::OpenaiResponses, "openai-responses"),
        (Dialect::AnthropicMessages, "anthropic"),
    ];
    folders.iter().flat_map(|(way, folder)| streams_of(*way, &root.join(folder))).collect()
}

fn streams_of(way: Dialect, folder: &Path) -> Vec<Recording> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        // Past the test runner, which shows no output of a test that passes.
        let _ = writeln!(std::io::stderr(), "skipped: {} is not there (RECORDED_DIR)", folder.display());
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "sse"));
    paths.sort();
    assert!(!paths.is_empty(), "{} holds no stream", folder.display());
    let read = |path: PathBuf| {
        let request = std::fs::read_to_string(path.with_extension("req.json")).unwrap_or_else(|_| "{}".into());
        let request: Value = serde_json::from_str(&request).unwrap();
        let fields = ["max_completion_tokens", "max_tokens", "max_output_tokens"];
        let limit = fields.iter().find_map(|field| request[*field].as_u64()).unwrap_or(MODEL_OUTPUT);
        Recording {
            name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
            way,
            text: std::fs::read_to_string(&path).unwrap(),
            limit: limit * request["n"].as_u64().unwrap_or(1),
        }
    };
    paths.into_iter().map(read).collect()
}

/// The output that the provider counted last, read as plain JSON.
fn told_output(stream: &str) -> Option<u64> {
    let data = stream.lines().filter_map(|line| line.strip_prefix("data:"));
    let events = data.filter_map(|data| serde_json::from_str::<Value>(data).ok());
    let usages = events.flat_map(|event| [&event["usage"], &event["response"]["usage"]].map(Value::clone));
    let names = ["completion_tokens", "output_tokens"];
    usages.filter_map(|usage| names.iter().find_map(|name| usage[*name].as_u64())).next_back()
}

/// The kind of text that a recording mostly consists of.
fn kind(stream: &str) -> &'static str {
    let has = |word: &str| stream.contains(word);
    let hidden = ["\"reasoning_tokens\":", "\"thinking_tokens\":"].iter().any(|name| {
        stream.match_indices(name).any(|(at, name)| {
            let digits = stream[at + name.len()..].trim_start();
            digits.starts_with(|c: char| c.is_ascii_digit() && c != '0')
        })
    });
    if hidden || has("redacted_thinking") {
        "reasoning, shown or not"
    } else if has("\"refusal\":\"") || has("response.refusal") {
        "refusal"
    } else if has("arguments") || has("input_json_delta") || has("custom_tool_call") {
        "tool calls"
    } else {
        "text"
    }
}

#[test]
fn recorded_streams_are_not_cut_at_their_own_limits_and_are_billed_as_their_providers_count() {
    // The provider's count, and the figures of what was seen.
    let mut errors: BTreeMap<(&str, &str), Vec<(u64, Figures)>> = BTreeMap::new();
    for recording in recordings() {
        let Recording { name, way, text, limit } = &recording;
        for (client, parse, body) in CLIENTS {
            let request = parse(body).unwrap();
            let name = format!("{name} to a client of {client}");
            let went = run(&request, *way, *limit, text.split_inclusive("\n\n").map(str::as_bytes));
            assert_eq!(went.next, Next::GoOn, "{name} is cut at {limit}: {:?}", went.meter.visible);
            assert_ne!(went.end, End::Limit, "{name}");
            let Some(told) = told_output(text).filter(|_| went.end == End::Complete) else { continue };
            let reasons = kind(text).starts_with("reasoning");
            let (usage, by) = bill(&went.meter, *limit, reasons);
            // A total that counts more than its parts says that reasoning was left out of the output.
            assert!(usage.output >= told, "{name}: {usage:?}, told {told}");
            assert_eq!((by, Some(usage)), (SettledBy::Upstream, went.meter.reported.map(|r| r.usage)), "{name}");
            assert!(went.meter.visible.lower <= usage.output, "{name}: {:?} of {told}", went.meter.visible);
            let how = if request.pair(*way, true).passes { "passed" } else { "translated" };
            errors.entry((kind(text), how)).or_default().push((usage.output, went.meter.visible));
        }
    }
    for ((kind, how), found) in errors {
        let sum = |of: fn(&(u64, Figures)) -> u64| found.iter().map(of).sum::<u64>();
        let (told, figures) =
            (sum(|one| one.0), [sum(|one| one.1.lower), sum(|one| one.1.estimate), sum(|one| one.1.upper)]);
        println!(
            "{kind}, {how}: {} streams, {told} tokens told; lower bound {}, estimate {} ({:+} %), upper bound {}",
            found.len(),
            figures[0],
            figures[1],
            (figures[1] as i64 - told as i64) * 100 / (told.max(1) as i64),
            figures[2],
        );
    }
}

#[test]
fn recorded_streams_are_seen_alike_however_their_bytes_are_split() {
    for Recording { name, way, text, limit } in recordings() {
        for (client, parse, body) in CLIENTS {
            let request = parse(body).unwrap();
            let whole = run(&request, way, limit, [text.as_bytes()]).meter;
            for size in [1, 7, 100] {
                let pieces = run(&request, way, limit, text.as_bytes().chunks(size)).meter;
                assert_eq!(pieces, whole, "{name} to a client of {client} in pieces of {size}");
            }
        }
    }
}

/// Texts of an answer, before they are split into deltas.
#[derive(Debug, Clone, Default)]
struct Said {
    reasoning: String,
    text: String,
    calls: Vec<(String, String)>,
}

/// The place that is `cut` of 2^32 parts into something so long.
fn place(cut: u32, length: usize) -> usize {
    usize::try_from((u64::from(cut) * u64::try_from(length).unwrap()) >> 32).unwrap()
}

/// So many cuts at equal distances.
fn even(cuts: u32) -> Vec<u32> {
    (0..cuts).map(|n| u32::MAX / cuts * n).collect()
}

/// The pieces of a text between the characters at `cuts`; some are empty.
fn pieces(text: &str, cuts: &[u32]) -> Vec<String> {
    let mut bounds: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    bounds.push(text.len());
    let mut at: Vec<usize> = cuts.iter().map(|cut| bounds[place(*cut, bounds.len())]).chain([0, text.len()]).collect();
    at.sort_unstable();
    at.windows(2).map(|ends| text[ends[0]..ends[1]].to_owned()).collect()
}

fn event(data: &Value) -> String {
    match data["type"].as_str() {
        Some(kind) => format!("event: {kind}\ndata: {data}\n\n"),
        None => format!("data: {data}\n\n"),
    }
}

impl Said {
    /// The answer as a stream of a dialect, its texts split at `cuts`, without a usage. With `n` choices each says it.
    fn stream(&self, way: Dialect, cuts: &[u32], n: u64) -> String {
        match way {
            Dialect::OpenaiChat => {
                (0..n).map(|choice| self.chat(choice, cuts)).collect::<String>() + "data: [DONE]\n\n"
            }
            Dialect::OpenaiResponses => self.responses(cuts),
            _ => self.messages(cuts),
        }
    }

    fn chat(&self, choice: u64, cuts: &[u32]) -> String {
        let chunk = |delta: Value, finish: Option<&str>| {
            let choices = json!([{"index": choice, "delta": delta, "finish_reason": finish}]);
            event(
                &json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices, "obfuscation": "Xy9"}),
            )
        };
        let mut out = chunk(json!({"role": "assistant", "content": ""}), None);
        out.extend(pieces(&self.reasoning, cuts).iter().map(|piece| chunk(json!({"reasoning_content": piece}), None)));
        for piece in pieces(&self.text, cuts) {
            out += &chunk(json!({"content": piece}), None);
        }
        let call = |index: usize, call: Value| json!({"tool_calls": [{"index": index, "function": call}]});
        for (index, (name, _)) in self.calls.iter().enumerate() {
            let begin = json!({"tool_calls": [{"index": index, "id": format!("call_{index}"), "type": "function", "function": {"name": name, "arguments": ""}}]});
            out += &chunk(begin, None);
        }
        // Parallel calls are written at the same time.
        let inputs: Vec<Vec<String>> = self.calls.iter().map(|(_, input)| pieces(input, cuts)).collect();
        for at in 0..=cuts.len() {
            for (index, pieces) in inputs.iter().enumerate() {
                out.extend(pieces.get(at).map(|piece| chunk(call(index, json!({"arguments": piece})), None)));
            }
        }
        out + &chunk(json!({}), Some("stop"))
    }

    fn responses(&self, cuts: &[u32]) -> String {
        let mut out =
            event(&json!({"type": "response.created", "response": {"id": "r", "status": "in_progress", "output": []}}));
        let mut at = 0;
        let mut item = |out: &mut String, item: Value, kind: &str, text: &str| {
            *out += &event(&json!({"type": "response.output_item.added", "output_index": at, "item": item}));
            for piece in pieces(text, cuts) {
                *out += &event(
                    &json!({"type": kind, "output_index": at, "content_index": 0, "summary_index": 0, "delta": piece}),
                );
            }
            at += 1;
        };
        if !self.reasoning.is_empty() {
            item(
                &mut out,
                json!({"type": "reasoning", "id": "rs", "summary": []}),
                "response.reasoning_summary_text.delta",
                &self.reasoning,
            );
        }
        if !self.text.is_empty() {
            item(
                &mut out,
                json!({"type": "message", "id": "m", "role": "assistant", "content": []}),
                "response.output_text.delta",
                &self.text,
            );
        }
        for (at, (name, input)) in self.calls.iter().enumerate() {
            let call = json!({"type": "function_call", "id": format!("f{at}"), "call_id": format!("c{at}"), "name": name, "arguments": ""});
            item(&mut out, call, "response.function_call_arguments.delta", input);
        }
        out + &event(
            &json!({"type": "response.completed", "response": {"id": "r", "status": "completed", "output": []}}),
        )
    }

    fn messages(&self, cuts: &[u32]) -> String {
        let mut out = event(
            &json!({"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant", "content": []}}),
        );
        let mut at = 0;
        let mut block = |out: &mut String, block: Value, delta: fn(&str) -> Value, text: &str| {
            *out += &event(&json!({"type": "content_block_start", "index": at, "content_block": block}));
            for piece in pieces(text, cuts) {
                *out += &event(&json!({"type": "content_block_delta", "index": at, "delta": delta(&piece)}));
            }
            *out += &event(&json!({"type": "content_block_stop", "index": at}));
            at += 1;
        };
        if !self.reasoning.is_empty() {
            let delta: fn(&str) -> Value = |piece| json!({"type": "thinking_delta", "thinking": piece});
            block(&mut out, json!({"type": "thinking", "thinking": ""}), delta, &self.reasoning);
        }
        if !self.text.is_empty() {
            let delta: fn(&str) -> Value = |piece| json!({"type": "text_delta", "text": piece});
            block(&mut out, json!({"type": "text", "text": ""}), delta, &self.text);
        }
        for (at, (name, input)) in self.calls.iter().enumerate() {
            let delta: fn(&str) -> Value = |piece| json!({"type": "input_json_delta", "partial_json": piece});
            block(
                &mut out,
                json!({"type": "tool_use", "id": format!("t{at}"), "name": name, "input": {}}),
                delta,
                input,
            );
        }
        let delta = json!({"stop_reason": "end_turn", "stop_sequence": null});
        out + &event(&json!({"type": "message_delta", "delta": delta})) + &event(&json!({"type": "message_stop"}))
    }
}

fn said() -> impl Strategy<Value = Said> {
    let text = prop_oneof![
        "[a-zA-Z0-9 .,\n\"\\\\{}]{0,120}",
        "[\u{4e00}-\u{4eff}，。]{0,60}",
        "[а-я ]{0,80}",
        "\\PC{0,60}",
        Just(String::new())
    ];
    let input = prop_oneof![r#"\{"[a-z]{1,9}":"[a-z ]{0,40}"\}"#, r#"\{"n":[0-9]{1,20}\}"#];
    let calls = prop::collection::vec(("[a-z_]{1,20}", input), 0..4);
    (text.clone(), text, calls).prop_map(|(reasoning, text, calls)| Said { reasoning, text, calls })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_is_seen_does_not_depend_on_where_deltas_or_bytes_are_split(
        said in said(),
        cuts in prop::collection::vec(any::<u32>(), 0..30),
        bytes in prop::collection::vec(any::<u32>(), 0..12),
        n in 1_u64..3,
    ) {
        for way in DIALECTS {
            let one_delta = said.stream(way, &[], n);
            let many_deltas = said.stream(way, &cuts, n);
            for (client, parse, body) in CLIENTS {
                let request = parse(body).unwrap();
                let seen = |stream: &str| run(&request, way, u64::MAX, [stream.as_bytes()]).meter.visible;
                let whole = seen(&one_delta);
                prop_assert_eq!(seen(&many_deltas), whole, "{:?} to {}: deltas", way, client);
                let stream = many_deltas.as_bytes();
                let mut at: Vec<usize> = bytes.iter().map(|cut| place(*cut, stream.len())).chain([0, stream.len()]).collect();
                at.sort_unstable();
                let pieces: Vec<&[u8]> = at.windows(2).map(|ends| &stream[ends[0]..ends[1]]).collect();
                prop_assert_eq!(run(&request, way, u64::MAX, pieces).meter.visible, whole, "{:?} to {}: bytes", way, client);
            }
        }
    }
}

/// Texts of which each piece is about a token, with the number of their tokens.
fn at_the_limit() -> Vec<(&'static str, Said, u64)> {
    let text = |piece: &str| Said { text: piece.repeat(900), ..Said::default() };
    let call = |piece: &str| {
        let input = format!(r#"{{"text":"{}"}}"#, piece.repeat(900));
        Said { calls: vec![("write_file".to_owned(), input)], ..Said::default() }
    };
    vec![
        ("Chinese", text("数"), 900),
        ("Russian", text(" шлюз"), 1_800),
        ("JSON", text("{\"a\":1},"), 4_500),
        ("code", text("if (x) { y(); }\n"), 7_200),
        ("prose", text(" word"), 900),
        ("reasoning", Said { reasoning: " word".repeat(900), ..Said::default() }, 900),
        ("the arguments of a call", call(" word"), 905),
        ("Chinese arguments", call("数"), 905),
        ("a word and a name", Said { text: "a".into(), calls: vec![("f".into(), "{}".into())], ..Said::default() }, 3),
    ]
}

#[test]
fn issue_13_a_stream_that_uses_its_whole_limit_is_not_cut_in_any_pair() {
    let cuts = even(900);
    for (name, said, limit) in at_the_limit() {
        for way in DIALECTS {
            let stream = said.stream(way, &cuts, 1);
            for (client, parse, body) in CLIENTS {
                let request = parse(body).unwrap();
                let went = run(&request, way, limit, stream.split_inclusive("\n\n").map(str::as_bytes));
                assert_eq!(
                    (went.end, went.next),
                    (End::Complete, Next::GoOn),
                    "{name}: {way:?} to {client}, {:?}",
                    went.meter.visible
                );
            }
        }
    }
}

#[test]
fn issue_13_a_stream_that_ignores_its_limit_is_stopped_and_billed_by_the_estimate() {
    let said = Said { text: " word".repeat(20_000), ..Said::default() };
    let stream = said.stream(Dialect::OpenaiChat, &even(500), 1);
    for (client, parse, body) in CLIENTS {
        let request = parse(body).unwrap();
        let went = run(&request, Dialect::OpenaiChat, 100, stream.split_inclusive("\n\n").map(str::as_bytes));
        assert_eq!((went.end, went.next), (End::Limit, Next::Stop), "{client}");
        let (usage, by) = bill(&went.meter, 100, false);
        assert_eq!((usage.output, by), (went.meter.visible.estimate, SettledBy::Estimate), "{client}");
        assert!(usage.output > 100 && usage.output < 20_000, "{client}: {usage:?}");
    }
}

#[test]
fn issue_13_reports_are_merged_alike_in_every_dialect() {
    let text = "one two three four five six seven eight nine ten";
    let report = |way: Dialect, (input, output): (u64, u64)| match way {
        Dialect::OpenaiChat => {
            event(&json!({"choices": [], "usage": {"prompt_tokens": input, "completion_tokens": output}}))
        }
        _ => event(
            &json!({"type": "message_delta", "delta": {}, "usage": {"input_tokens": input, "output_tokens": output}}),
        ),
    };
    let said = Said { text: text.into(), ..Said::default() };
    for way in [Dialect::OpenaiChat, Dialect::AnthropicMessages] {
        for (reports, expected) in [
            (vec![(100, 12)], (100, 12)),
            (vec![(100, 5), (100, 12)], (100, 12)),
            (vec![(100, 12), (1, 1)], (100, 12)),
            (vec![(100, 12), (0, 0)], (100, 12)),
            (vec![(0, 0), (100, 12)], (100, 12)),
            (vec![(100, 12), (100, 12), (100, 12)], (100, 12)),
        ] {
            let stream = said.stream(way, &[], 1);
            let last = if way == Dialect::OpenaiChat { "data: [DONE]" } else { "event: message_stop" };
            let at = stream.find(last).unwrap();
            let told: String = reports.iter().map(|one| report(way, *one)).collect();
            let stream = format!("{}{told}{}", &stream[..at], &stream[at..]);
            for (client, parse, body) in CLIENTS {
                let request = parse(body).unwrap();
                let meter = run(&request, way, 1_000, [stream.as_bytes()]).meter;
                let expected: Reported = Usage { input: expected.0, output: expected.1, ..Usage::default() }.into();
                assert_eq!(meter.reported, Some(expected), "{way:?} to {client}: {reports:?}");
            }
        }
    }
}

#[test]
fn issue_13_nothing_is_billed_beyond_the_limit_and_what_was_delivered() {
    let limit = 16_000;
    for (name, text) in [("prose", " word".repeat(300_000)), ("Chinese", "数据".repeat(250_000))] {
        let said = Said { text, ..Said::default() };
        for way in DIALECTS {
            let stream = said.stream(way, &[], 1);
            let event = stream.split_inclusive("\n\n").find(|event| event.len() > 100_000).unwrap();
            for (client, parse, body) in CLIENTS {
                let request = parse(body).unwrap();
                let at = stream.find(event).unwrap() + event.len();
                let went = run(&request, way, limit, [&stream.as_bytes()[..at]]);
                assert!(went.meter.visible.estimate > 200_000, "{name}: {way:?} to {client}");
                for (delivered, most) in
                    [(Figures::default(), limit), (Figures { lower: 9, estimate: 10, upper: 11 }, limit + 10)]
                {
                    let (usage, _) = bill_of(&went.meter, delivered, limit, false);
                    assert!(usage.output <= most, "{name}: {way:?} to {client}: {usage:?}");
                }
            }
        }
    }
}

#[test]
fn issue_13_a_budget_of_five_cents_is_not_cut_at_half_a_cent() {
    let rates = Rates {
        input: PicoUsd::new(2_500_000).unwrap(),
        output: Some(PicoUsd::new(10_000_000).unwrap()),
        ..Rates::default()
    };
    let price = Price { effective_at_ms: 0, rates, long_input: None };
    let (budget, limit) = (NanoUsd::new(50_000_000).unwrap(), MODEL_OUTPUT);
    let output = OutputBound { wanted: 4_096, least: 256, choices: 1 };
    let hold = HoldRequest::new(&price, 80, false, Some(output)).unwrap();
    // 3,000 tokens of arguments, of which each is a chunk: three cents.
    let input = format!(r#"{{"text":"{}"}}"#, " word".repeat(3_000));
    let said = Said { calls: vec![("write_file".into(), input)], ..Said::default() };
    for way in DIALECTS {
        let stream = said.stream(way, &even(3_000), 1);
        for (client, parse, body) in CLIENTS {
            let request = parse(body).unwrap();
            let mut relay = request.relay(request.pair(way, true), rewrite(), identity(&request));
            let mut covered = hold.grant(budget).unwrap().output;
            for event in stream.split_inclusive("\n\n") {
                let _ = relay.push(event.as_bytes());
                let Figures { lower, estimate, .. } = relay.meter().visible;
                let next = |covered| Running { least: lower, likely: estimate, covered, limit }.next();
                if next(covered) != Next::GoOn {
                    covered = hold.up_to((covered.unwrap() + 4_096).min(limit), budget).unwrap().output;
                }
                assert!(!matches!(next(covered), Next::GrowOrStop | Next::Stop), "{way:?} to {client} at {estimate}");
            }
        }
    }
}
