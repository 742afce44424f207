//! What a chat stream must be for its clients.

use std::collections::BTreeMap;

use serde_json::Value;

/// Checks a stream that the gateway wrote: one choice, all of OpenAI's rules of order.
///
/// # Errors
/// The first rule that is broken.
pub fn check(bytes: &[u8]) -> Result<(), String> {
    let text = std::str::from_utf8(bytes).map_err(|e| e.to_string())?;
    let mut state = State::default();
    for event in text.split_inclusive("\n\n") {
        let data = event.strip_prefix("data: ").and_then(|line| line.strip_suffix("\n\n"));
        let data = data.filter(|data| !data.contains('\n')).ok_or(format!("no data line: {event:?}"))?;
        state.event(data).map_err(|rule| format!("{rule}: {data}"))?;
    }
    if state.over { Ok(()) } else { Err("the stream has no end".into()) }
}

#[derive(Default)]
struct State {
    /// `id`, `created`, `model` of all chunks.
    identity: Option<[Value; 3]>,
    /// The kind of each call.
    calls: Vec<String>,
    /// How many annotations and details of reasoning there were.
    items: BTreeMap<String, u64>,
    finished: bool,
    usage: bool,
    over: bool,
}

fn ensure(holds: bool, rule: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(rule.to_owned()) }
}

impl State {
    fn event(&mut self, data: &str) -> Result<(), String> {
        ensure(!self.over, "something behind the end")?;
        if data == "[DONE]" {
            self.over = true;
            return ensure(self.finished, "an end without a finish_reason");
        }
        let chunk: Value = serde_json::from_str(data).map_err(|e| e.to_string())?;
        if chunk.get("error").is_some() {
            self.over = true;
            ensure(chunk.as_object().is_some_and(|chunk| chunk.len() == 1), "an error beside something")?;
            return ensure(chunk["error"]["message"].is_string(), "an error without a message");
        }
        ensure(chunk["object"] == "chat.completion.chunk" && chunk["created"].is_i64(), "object, created")?;
        let identity = ["id", "created", "model"].map(|key| chunk[key].clone());
        let first = self.identity.is_none();
        ensure(self.identity.get_or_insert(identity.clone()) == &identity, "id, created and model stay")?;
        ensure(!self.usage, "a chunk behind the usage")?;
        match chunk["choices"].as_array().map(Vec::as_slice) {
            Some([]) => {
                self.usage = true;
                ensure(self.finished, "usage before the finish_reason")?;
                let counts = ["prompt_tokens", "completion_tokens", "total_tokens"];
                ensure(counts.iter().all(|count| chunk["usage"][count].is_u64()), "usage without counts")
            }
            Some([choice]) => self.choice(choice, first),
            _ => Err("choices".into()),
        }
    }

    fn choice(&mut self, choice: &Value, first: bool) -> Result<(), String> {
        ensure(!self.finished, "a choice behind its finish_reason")?;
        ensure(choice["index"] == 0, "index")?;
        let delta = choice["delta"].as_object().ok_or("delta")?;
        ensure(delta.contains_key("role") == first, "the role stands in the first delta alone")?;
        for (key, value) in delta {
            match key.as_str() {
                "role" => ensure(value == "assistant", "role")?,
                "content" | "refusal" | "reasoning_content" => {
                    ensure(value.as_str().is_some_and(|text| first || !text.is_empty()), "a text that says nothing")?;
                }
                "reasoning_details" | "annotations" => {
                    let next = self.items.entry(key.clone()).or_default();
                    for item in value.as_array().ok_or("no array")? {
                        ensure(item["type"].is_string(), "an item without a type")?;
                        ensure(item["index"] == *next, "the index of an item")?;
                        *next += 1;
                    }
                }
                "tool_calls" => value.as_array().ok_or("tool_calls")?.iter().try_for_each(|call| self.call(call))?,
                _ => return Err(format!("unknown `{key}`")),
            }
        }
        match &choice["finish_reason"] {
            Value::Null => {}
            Value::String(reason) => {
                self.finished = true;
                ensure(["stop", "length", "tool_calls", "content_filter"].contains(&reason.as_str()), "finish_reason")?;
                ensure(delta.is_empty(), "a finish_reason beside words")?;
            }
            _ => return Err("finish_reason".into()),
        }
        let logprobs = &choice["logprobs"];
        let tokens =
            || logprobs["content"].as_array().is_some_and(|all| all.iter().all(|one| one["token"].is_string()));
        ensure(logprobs.is_null() || tokens(), "logprobs")
    }

    fn call(&mut self, call: &Value) -> Result<(), String> {
        let index = call["index"].as_u64().ok_or("a call without index")? as usize;
        let kind = if call.get("custom").is_some() { "custom" } else { "function" };
        ensure(index <= self.calls.len(), "an index is left out")?;
        let called = &call[kind];
        let input = &called[if kind == "custom" { "input" } else { "arguments" }];
        ensure(input.is_string(), "a call without input")?;
        if index == self.calls.len() {
            self.calls.push(kind.to_owned());
            ensure(call["type"] == kind, "type")?;
            let named = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
            return ensure(named(&call["id"]) && named(&called["name"]), "a call without id or name");
        }
        ensure(self.calls[index] == kind, "another kind")?;
        ensure(call.get("id").is_none() && called.get("name").is_none(), "id or name again")
    }
}
