//! A simple reader of chat streams and answers, as an SDK would gather one.

use billing::usage::Usage;
use serde_json::{Value, json};

/// What was heard of the first choice.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Heard {
    pub text: String,
    pub reasoning: String,
    pub refusal: String,
    /// Id, name and input of each call.
    pub tools: Vec<(String, String, String)>,
    pub logprobs: Vec<Value>,
    pub annotations: Vec<Value>,
    pub finish: Option<String>,
    pub failed: bool,
}

/// The JSON of a stream; half an emoji, which no reader of JSON takes, is marked and joined.
fn chunks(file: &str) -> Vec<Value> {
    let mark = |data: &str| {
        data.replace("\\ud83d\"", "<half>\"").replace("\\ud83d\\\"", "<half>\\\"").replace("\"\\udc67", "\"<rest>")
    };
    let data = file.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim);
    data.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(&mark(data)).unwrap()).collect()
}

fn joined(text: &str) -> String {
    text.replace("<half><rest>", "\u{1f467}")
}

pub fn last_usage(file: &str) -> Option<Value> {
    let chunks = chunks(file);
    let vendor = |chunk: &Value| chunk["x_groq"]["usage"].clone();
    let last = |of: &dyn Fn(&Value) -> Value| chunks.iter().map(of).filter(|usage| !usage.is_null()).last();
    last(&|chunk| chunk["usage"].clone()).or_else(|| last(&vendor))
}

pub fn assert_same_usage(name: &str, counted: Usage, reported: &Value) {
    let number = |pointer: &str| reported.pointer(pointer).and_then(Value::as_u64);
    let cached = number("/prompt_tokens_details/cached_tokens").or(number("/prompt_cache_hit_tokens")).unwrap_or(0);
    let written = number("/prompt_tokens_details/cache_write_tokens").unwrap_or(0);
    let reasoning = number("/completion_tokens_details/reasoning_tokens").unwrap_or(0);
    let expected =
        [number("/prompt_tokens").unwrap(), cached, written, number("/completion_tokens").unwrap(), reasoning];
    let seen = [counted.total_input(), counted.cache_read, counted.cache_write_5m, counted.output, counted.reasoning];
    assert_eq!(seen, expected, "{name}: all input, cached, written, output, reasoning");
}

impl Heard {
    /// Gathers a stream.
    pub fn read(file: &str) -> Self {
        let mut heard = Self::default();
        let mut slots: Vec<String> = Vec::new();
        for chunk in chunks(file) {
            heard.failed |= chunk.get("error").is_some();
            for choice in chunk["choices"].as_array().into_iter().flatten().filter(|choice| choice["index"] == 0) {
                heard.message(&choice["delta"]);
                heard.calls(&choice["delta"], &mut slots);
                heard.beside(choice);
            }
        }
        for text in [&mut heard.text, &mut heard.reasoning, &mut heard.refusal] {
            *text = joined(text);
        }
        heard.tools.iter_mut().for_each(|(_, _, input)| *input = joined(input));
        heard
    }

    /// Reads a whole answer.
    pub fn read_whole(body: &Value) -> Self {
        let mut heard = Self::default();
        let choice = &body["choices"][0];
        heard.message(&choice["message"]);
        heard.calls(&choice["message"], &mut Vec::new());
        heard.beside(choice);
        heard
    }

    /// A function that takes nothing is called with `{}`.
    pub fn with_whole_inputs(mut self) -> Self {
        if !self.failed && self.finish.as_deref() != Some("length") {
            let empty = self.tools.iter_mut().filter(|(_, _, input)| input.is_empty());
            empty.for_each(|(_, _, input)| "{}".clone_into(input));
        }
        self
    }

    pub fn words(&self) -> [&str; 3] {
        [&self.text, &self.reasoning, &self.refusal]
    }

    fn message(&mut self, message: &Value) {
        let string = |key: &str| message[key].as_str().unwrap_or_default();
        self.text += string("content");
        self.refusal += string("refusal");
        self.reasoning += message["reasoning_content"].as_str().unwrap_or(string("reasoning"));
        for part in message["content"].as_array().into_iter().flatten() {
            self.text += part["text"].as_str().unwrap_or_default();
            for thought in part["thinking"].as_array().into_iter().flatten() {
                self.reasoning += thought["text"].as_str().unwrap();
            }
        }
        for annotation in message["annotations"].as_array().into_iter().flatten() {
            self.annotations.push(annotation["url_citation"].clone());
        }
    }

    fn calls(&mut self, message: &Value, slots: &mut Vec<String>) {
        let legacy = message["function_call"].as_object().map(|call| json!({"index": "legacy", "function": call}));
        for call in message["tool_calls"].as_array().into_iter().flatten().chain(&legacy) {
            let called = call.get("custom").unwrap_or(&call["function"]);
            let string = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let input = string(&called["arguments"]) + &string(&called["input"]);
            let name = string(&called["name"]);
            let slot = call["index"].to_string();
            // A fragment names no tool, or stands in the place of a call that is not whole.
            match slots.iter().rposition(|known| *known == slot) {
                Some(at) if name.is_empty() => self.tools[at].2 += &input,
                _ => {
                    slots.push(slot);
                    self.tools.push((string(&call["id"]), name, input));
                }
            }
        }
    }

    fn beside(&mut self, choice: &Value) {
        self.logprobs.extend(choice["logprobs"]["content"].as_array().into_iter().flatten().cloned());
        let finish = choice["finish_reason"].as_str().map(str::to_owned);
        self.finish = self.finish.take().or(finish);
    }
}

/// The whole answer that a stream would have been.
pub fn whole_body(file: &str) -> String {
    let heard = Heard::read(file);
    let chunks = chunks(file);
    let calls: Vec<Value> = heard
        .tools
        .iter()
        .map(|(id, name, input)| json!({"id": id, "type": "function", "function": {"name": name, "arguments": input}}))
        .collect();
    let annotation = |cited: &Value| json!({"type": "url_citation", "url_citation": cited});
    let some = |text: &str| if text.is_empty() { Value::Null } else { json!(text) };
    let details = chunks.iter().flat_map(|chunk| chunk["choices"][0]["delta"]["reasoning_details"].as_array().cloned());
    let details: Vec<Value> = details.flatten().collect();
    json!({
        "id": chunks[0]["id"],
        "choices": [{
            "index": 0,
            "message": {
                "role": "assistant",
                "content": some(&heard.text),
                "reasoning_content": some(&heard.reasoning),
                "reasoning_details": details,
                "refusal": some(&heard.refusal),
                "tool_calls": calls,
                "annotations": heard.annotations.iter().map(annotation).collect::<Vec<_>>(),
            },
            "logprobs": {"content": heard.logprobs},
            "finish_reason": heard.finish,
        }],
        "usage": last_usage(file),
    })
    .to_string()
}
