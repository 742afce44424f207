//! What a client of any dialect hears of a stream or a whole answer, read from plain JSON values.

use dialect::Dialect;
use serde_json::{Value, json};

use crate::read;

/// What is the same in every dialect.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Heard {
    /// Text, then what was said in refusing.
    pub words: String,
    pub thinking: String,
    /// Name and input of each call; the input as JSON where it is some.
    pub calls: Vec<(String, Value)>,
    /// `end`, `length`, `tools` or `refused`; empty: nobody said.
    pub stop: &'static str,
    pub failed: bool,
    /// All input, cached, written, output, reasoning.
    pub usage: Option<[u64; 5]>,
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn input(text: &str) -> Value {
    let empty = if text.trim().is_empty() { "{}" } else { text };
    serde_json::from_str(empty).unwrap_or_else(|_| json!(text))
}

fn values(stream: &str) -> Vec<Value> {
    let data = stream.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim);
    data.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
}

fn counts(usage: &Value, names: [&str; 5]) -> Option<[u64; 5]> {
    usage.is_object().then(|| names.map(|name| usage.pointer(name).and_then(Value::as_u64).unwrap_or(0)))
}

impl Heard {
    /// Gathers a stream.
    pub fn stream(dialect: Dialect, stream: &str) -> Self {
        match dialect {
            Dialect::OpenaiChat => Self::chat(read::Heard::read(stream), read::last_usage(stream)),
            Dialect::OpenaiResponses => {
                let events = values(stream);
                let last = events.iter().rfind(|event| event["response"].is_object());
                let mut heard = last.map_or_else(Self::default, |event| Self::response(&event["response"]));
                heard.failed |= events.iter().any(|event| event["type"] == "error");
                heard
            }
            _ => Self::message(&message(stream), stream.contains("event: error")),
        }
    }

    /// Reads a whole answer.
    pub fn whole(dialect: Dialect, body: &str) -> Self {
        let body: Value = serde_json::from_str(body).unwrap();
        match dialect {
            Dialect::OpenaiChat => Self::chat(read::Heard::read_whole(&body), Some(body["usage"].clone())),
            Dialect::OpenaiResponses => Self::response(&body),
            _ => Self::message(&body, false),
        }
    }

    fn chat(heard: read::Heard, usage: Option<Value>) -> Self {
        let stop = match heard.finish.as_deref() {
            None => "",
            Some("length") => "length",
            Some("content_filter") => "refused",
            Some(_) => "end",
        };
        let refused = !heard.refusal.is_empty();
        let calls = heard.tools.iter().map(|(_, name, text)| (name.clone(), input(text))).collect();
        let usage = usage.and_then(|usage| {
            let cached = if usage["prompt_cache_hit_tokens"].is_u64() {
                "/prompt_cache_hit_tokens"
            } else {
                "/prompt_tokens_details/cached_tokens"
            };
            let written = "/prompt_tokens_details/cache_write_tokens";
            let reasoning = "/completion_tokens_details/reasoning_tokens";
            counts(&usage, ["/prompt_tokens", cached, written, "/completion_tokens", reasoning])
        });
        let words = heard.text + &heard.refusal;
        let thinking = heard.reasoning;
        Self { words, thinking, calls, stop, failed: heard.failed, usage }.stopped(refused)
    }

    fn response(response: &Value) -> Self {
        let mut heard = Self::default();
        let mut refused = false;
        for item in response["output"].as_array().into_iter().flatten() {
            let joined = |key: &str| {
                let parts = item[key].as_array().cloned().unwrap_or_default();
                parts.iter().map(|part| text(&part["text"])).collect::<Vec<_>>().join("\n\n")
            };
            match text(&item["type"]) {
                "message" => {
                    for part in item["content"].as_array().unwrap() {
                        refused |= part["type"] == "refusal";
                        heard.words += text(&part[if part["type"] == "refusal" { "refusal" } else { "text" }]);
                    }
                }
                "reasoning" => {
                    let summary = joined("summary");
                    heard.thinking += &if summary.is_empty() { joined("content") } else { summary };
                }
                kind @ ("function_call" | "custom_tool_call") => {
                    let key = if kind == "function_call" { "arguments" } else { "input" };
                    heard.calls.push((text(&item["name"]).to_owned(), input(text(&item[key]))));
                }
                _ => {}
            }
        }
        heard.stop = match (text(&response["status"]), text(&response["incomplete_details"]["reason"])) {
            ("completed", _) => "end",
            ("incomplete", "content_filter") => "refused",
            ("incomplete", _) => "length",
            _ => "",
        };
        heard.failed = response["status"] == "failed";
        let [cached, written] =
            ["cached_tokens", "cache_write_tokens"].map(|name| format!("/input_tokens_details/{name}"));
        let names = ["/input_tokens", &cached, &written, "/output_tokens", "/output_tokens_details/reasoning_tokens"];
        heard.usage = counts(&response["usage"], names);
        heard.stopped(refused)
    }

    fn message(message: &Value, failed: bool) -> Self {
        let mut heard = Self { failed, ..Self::default() };
        for block in message["content"].as_array().into_iter().flatten() {
            match text(&block["type"]) {
                "text" => heard.words += text(&block["text"]),
                "thinking" => heard.thinking += text(&block["thinking"]),
                "tool_use" => heard.calls.push((text(&block["name"]).to_owned(), block["input"].clone())),
                _ => {}
            }
        }
        heard.stop = match text(&message["stop_reason"]) {
            "" => "",
            "max_tokens" | "model_context_window_exceeded" => "length",
            "refusal" => "refused",
            _ => "end",
        };
        let usage = &message["usage"];
        let [input, cached, written, output] =
            ["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens"]
                .map(|name| usage[name].as_u64().unwrap_or(0));
        heard.usage = usage.is_object().then_some([input + cached + written, cached, written, output, 0]);
        heard.stopped(false)
    }

    /// A stop that calls tools, or comes after a refusal, is one whatever word stands for it.
    fn stopped(mut self, refused: bool) -> Self {
        match self.stop {
            "end" if !self.calls.is_empty() => self.stop = "tools",
            "end" if refused => self.stop = "refused",
            _ => {}
        }
        self
    }

    /// Whether anything of it was seen.
    pub fn is_visible(&self) -> bool {
        !(self.words.is_empty() && self.thinking.is_empty() && self.calls.is_empty())
    }
}

/// The whole answer that a stream of `dialect` would have been.
pub fn whole_body(dialect: Dialect, stream: &str) -> String {
    match dialect {
        Dialect::OpenaiChat => read::whole_body(stream),
        Dialect::OpenaiResponses => values(stream).last().unwrap()["response"].to_string(),
        _ => message(stream).to_string(),
    }
}

/// The message that a stream of messages builds up, by the rules of the official SDKs.
fn message(stream: &str) -> Value {
    let mut message = json!({"content": [], "usage": null});
    let mut inputs: std::collections::BTreeMap<usize, String> = std::collections::BTreeMap::new();
    for event in values(stream) {
        let at = event["index"].as_u64().unwrap_or(0) as usize;
        let delta = &event["delta"];
        match text(&event["type"]) {
            "message_start" => message = event["message"].clone(),
            "content_block_start" => message["content"].as_array_mut().unwrap().push(event["content_block"].clone()),
            "content_block_delta" => {
                let block = &mut message["content"][at];
                for key in ["text", "thinking", "signature"].into_iter().filter(|key| delta[*key].is_string()) {
                    block[key] = json!(format!("{}{}", text(&block[key]), text(&delta[key])));
                }
                if delta["type"] == "citations_delta" {
                    let mut citations = block["citations"].as_array().cloned().unwrap_or_default();
                    citations.push(delta["citation"].clone());
                    block["citations"] = json!(citations);
                }
                *inputs.entry(at).or_default() += text(&delta["partial_json"]);
            }
            "message_delta" => {
                let fields = [("stop_reason", &delta["stop_reason"]), ("stop_sequence", &delta["stop_sequence"])];
                fields.into_iter().for_each(|(key, value)| message[key] = value.clone());
                for (key, value) in
                    event["usage"].as_object().into_iter().flatten().filter(|(_, value)| !value.is_null())
                {
                    message["usage"][key] = value.clone();
                }
            }
            _ => {}
        }
    }
    for (at, said) in inputs.iter().filter(|(_, said)| !said.is_empty()) {
        message["content"][at]["input"] = input(said);
    }
    message
}
