//! The grammar of a messages stream, strictly: every event named as its type, blocks one after another
//! and numbered from 0, deltas of the kind of their block, one stop reason, and one end.

use serde_json::Value;

/// Checks a whole stream.
///
/// # Errors
/// What is wrong, and where.
pub fn check(bytes: &[u8]) -> Result<(), String> {
    let text = std::str::from_utf8(bytes).map_err(|e| e.to_string())?;
    let body = text.strip_suffix("\n\n").ok_or("the last event is not terminated")?;
    let mut state = State::default();
    for event in body.split("\n\n") {
        if event.trim_start_matches('\n').starts_with(':') {
            continue;
        }
        state.event(event).map_err(|wrong| format!("{wrong} in {event}"))?;
    }
    if state.over { Ok(()) } else { Err("the stream has no end".into()) }
}

#[derive(Default)]
struct State {
    started: bool,
    /// Number, kind, and whether it has a signature.
    open: Option<(u64, String, bool)>,
    next: u64,
    stopped: bool,
    over: bool,
}

impl State {
    fn event(&mut self, event: &str) -> Result<(), String> {
        let mut lines = event.trim_start_matches('\n').lines();
        let name = lines.next().and_then(|line| line.strip_prefix("event: ")).ok_or("no event name")?;
        let data = lines.next().and_then(|line| line.strip_prefix("data: ")).ok_or("no data")?;
        if lines.next().is_some() {
            return Err("a third line".into());
        }
        let data: Value = serde_json::from_str(data).map_err(|e| e.to_string())?;
        let field = |path: &str| data.pointer(path).cloned().unwrap_or(Value::Null);
        if field("/type").as_str() != Some(name) {
            return Err("name and type differ".into());
        }
        if self.over {
            return Err("something after the end".into());
        }
        match name {
            "ping" => return Ok(()),
            "error" => {
                let whole = field("/error/type").is_string() && field("/error/message").is_string();
                self.over = true;
                return if whole { Ok(()) } else { Err("an error without type or message".into()) };
            }
            "message_start" => {
                if std::mem::replace(&mut self.started, true) {
                    return Err("a second message_start".into());
                }
                let message = field("/message");
                let strings = ["id", "model"].iter().all(|key| message.get(key).is_some_and(Value::is_string));
                let right = strings
                    && field("/message/role") == "assistant"
                    && field("/message/type") == "message"
                    && field("/message/content") == Value::Array(Vec::new())
                    && field("/message/stop_reason").is_null()
                    && field("/message/usage/input_tokens").is_u64()
                    && field("/message/usage/output_tokens").is_u64();
                return if right { Ok(()) } else { Err("no message".into()) };
            }
            _ if !self.started => return Err("something before message_start".into()),
            _ => {}
        }
        let index = field("/index").as_u64();
        match name {
            "content_block_start" => self.block_start(index, &field("/content_block")),
            "content_block_delta" => self.block_delta(index, &field("/delta")),
            "content_block_stop" => match self.open.take() {
                Some((open, ..)) if index == Some(open) => Ok(()),
                _ => Err("a stop of no open block".into()),
            },
            "message_delta" => {
                if self.open.is_some() {
                    return Err("a message_delta within a block".into());
                }
                if !field("/usage/output_tokens").is_u64() {
                    return Err("a message_delta without usage".into());
                }
                if field("/delta/stop_reason").is_string() && std::mem::replace(&mut self.stopped, true) {
                    return Err("a second stop reason".into());
                }
                Ok(())
            }
            "message_stop" => {
                self.over = true;
                if self.stopped { Ok(()) } else { Err("a message_stop without a stop reason".into()) }
            }
            _ => Err("an unknown event".into()),
        }
    }

    fn block_start(&mut self, index: Option<u64>, block: &Value) -> Result<(), String> {
        if self.open.is_some() || self.stopped || index != Some(self.next) {
            return Err("a block out of order".into());
        }
        let kind = block.get("type").and_then(Value::as_str).ok_or("a block without type")?;
        let strings: &[&str] = match kind {
            "text" => &["text"],
            "thinking" => &["thinking", "signature"],
            "redacted_thinking" => &["data"],
            "tool_use" | "server_tool_use" => &["id", "name"],
            kind if kind.ends_with("_tool_result") => &["tool_use_id"],
            _ => return Err("an unknown block".into()),
        };
        if !strings.iter().all(|key| block.get(key).is_some_and(Value::is_string)) {
            return Err("an incomplete block".into());
        }
        if kind == "tool_use" && !block.get("input").is_some_and(Value::is_object) {
            return Err("a call without input".into());
        }
        self.open = Some((self.next, kind.to_owned(), false));
        self.next += 1;
        Ok(())
    }

    fn block_delta(&mut self, index: Option<u64>, delta: &Value) -> Result<(), String> {
        let (open, kind, signed) = self.open.as_mut().ok_or("a delta of no block")?;
        if index != Some(*open) || *signed {
            return Err("a delta of another block, or behind the signature".into());
        }
        let (of, member) = match delta.get("type").and_then(Value::as_str) {
            Some("text_delta") => ("text", "text"),
            Some("thinking_delta") => ("thinking", "thinking"),
            Some("signature_delta") => ("thinking", "signature"),
            Some("input_json_delta") => ("tool_use", "partial_json"),
            Some("citations_delta") => {
                let right = kind == "text" && delta.get("citation").is_some_and(Value::is_object);
                return if right { Ok(()) } else { Err("a citation that is none".into()) };
            }
            _ => return Err("an unknown delta".into()),
        };
        *signed = member == "signature";
        let right = kind.ends_with(of) && delta.get(member).is_some_and(Value::is_string);
        if right { Ok(()) } else { Err("a delta of another kind".into()) }
    }
}
