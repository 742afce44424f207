//! Completions of old as clients read them.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use billing::money::NanoUsd;
use billing::usage::Usage;
use dialect::canonical::{Identity, Owner, ToolNames};
use dialect::openai_completions::{answer, stream::Encoder};
use dialect::openai_responses::{self, stream::Decoder};
use dialect::relay::{End, Forward, Relay};
use dialect::tokens::Vocabulary;
use dialect::translate::Translation;
use serde_json::{Value, json};

const EVERYTHING: &str = include_str!("fixtures/openai_responses/everything.sse");
const WHOLE: &str = include_str!("fixtures/openai_responses/everything.json");

fn identity(include_usage: bool) -> Identity {
    Identity {
        id: "r7".into(),
        created_s: 1_700_000_000,
        model: "our/model".into(),
        owner: Owner::new("a1"),
        likely_input: 3,
        vocabulary: Vocabulary::default(),
        include_usage,
        tool_names: ToolNames::default(),
        echo: Vec::new(),
    }
}

fn streamed(upstream: &str, include_usage: bool) -> (Vec<Value>, bool, End, String) {
    let decoder = Box::new(Decoder::new(Owner::new("a1")));
    let mut relay = Translation::new(decoder, Box::new(Encoder::new(identity(include_usage))), Vocabulary::default());
    let mut steps = vec![relay.push(upstream.as_bytes())];
    if steps[0].end.is_none() {
        steps.push(relay.finish());
    }
    let end = steps.last().unwrap().end.unwrap();
    let mut out = Vec::new();
    for step in steps {
        if let Forward::Bytes(bytes) = step.forward {
            out.extend(bytes);
        }
    }
    out.extend(relay.tail(&Usage { input: 4, output: 5, ..Usage::default() }, NanoUsd::ZERO));
    let out = String::from_utf8(out).unwrap();
    let data: Vec<&str> = out.split_terminator("\n\n").map(|frame| frame.strip_prefix("data: ").unwrap()).collect();
    let done = data.last() == Some(&"[DONE]");
    let chunks = data.iter().filter(|data| **data != "[DONE]").map(|data| serde_json::from_str(data).unwrap());
    (chunks.collect(), done, end, relay.losses())
}

#[test]
fn a_stream_is_the_text_of_the_answer() {
    for include_usage in [true, false] {
        let (mut chunks, done, end, losses) = streamed(EVERYTHING, include_usage);
        assert!(done && end == End::Complete);
        assert_eq!(losses, "citation=1, phase=1, reasoning=1, tool_calls=2, web_search_call=1");
        if include_usage {
            let last = chunks.pop().unwrap();
            let usage = json!({"prompt_tokens": 4, "completion_tokens": 5, "total_tokens": 9, "cost": 0});
            assert_eq!((&last["choices"], &last["usage"]), (&json!([]), &usage));
        }
        for chunk in &chunks {
            assert_eq!((&chunk["id"], &chunk["object"]), (&json!("cmpl-r7"), &json!("text_completion")));
            assert_eq!((&chunk["model"], &chunk["choices"][0]["index"]), (&json!("our/model"), &json!(0)));
        }
        let text: String = chunks.iter().map(|chunk| chunk["choices"][0]["text"].as_str().unwrap()).collect();
        assert_eq!(text, "Grüße 👍No.");
        let logprobs: Vec<&Value> =
            chunks.iter().map(|c| &c["choices"][0]["logprobs"]).filter(|l| !l.is_null()).collect();
        assert_eq!(
            logprobs[0],
            &json!({"tokens":["Grüße"],"token_logprobs":[-0.25],"top_logprobs":[{}],"text_offset":[0]})
        );
        assert_eq!(logprobs[1]["text_offset"], json!([5]));
        assert_eq!(chunks.last().unwrap()["choices"][0]["finish_reason"], "stop");
    }
}

#[test]
fn a_cut_ends_in_an_error() {
    let cut = EVERYTHING.split("event: response.completed").next().unwrap();
    let (chunks, done, end, _) = streamed(cut, true);
    assert!(!done && end == End::Truncated);
    assert_eq!(chunks.last().unwrap()["error"]["code"], "upstream_unavailable");
}

#[test]
fn a_whole_answer_is_one_choice() {
    let given = openai_responses::answer::decode(WHOLE, &Owner::new("a1")).unwrap();
    let body: Value = serde_json::from_str(&answer::encode(&given, &identity(false)).0).unwrap();
    assert_eq!(
        body,
        json!({
            "id": "cmpl-r7", "object": "text_completion", "created": 1_700_000_000, "model": "our/model",
            "choices": [{
                "text": "Grüße 👍No.", "index": 0, "finish_reason": "stop",
                "logprobs": {
                    "tokens": ["Grüße", " 👍"], "token_logprobs": [-0.25, -0.25],
                    "top_logprobs": [{}, {}], "text_offset": [0, 5]
                }
            }],
            "usage": {"prompt_tokens": 40, "completion_tokens": 30, "total_tokens": 70}
        })
    );
}
