//! Messages as turns.

use std::collections::BTreeMap;

use super::part::Reader;
use super::{needed, object, text};
use crate::canonical::{
    Block, CacheMark, Image, Losses, Role, Text, ToolKind, ToolNames, ToolResult, ToolUse, Turn, refused,
};
use crate::envelope::Envelope;
use crate::openai_chat::words;
use crate::request::{RequestError, as_array};

/// Members of a message that are read, or that say nothing which the model would read: what an answer
/// of ours carries back.
const KNOWN: [&str; 15] = [
    "annotations",
    "cache_control",
    "content",
    "function_call",
    "id",
    "name",
    "reasoning",
    "reasoning_content",
    "reasoning_details",
    "refusal",
    "role",
    "status",
    "tool_call_id",
    "tool_calls",
    "type",
];

/// Calls in the legacy form, which has no ids.
#[derive(Default)]
struct Legacy {
    calls: usize,
    /// The id of the latest call of each name.
    latest: BTreeMap<String, String>,
}

/// The turns of a request. The answers of tools that follow one another are one turn.
pub(super) fn turns(
    envelope: &Envelope<'_>,
    names: &ToolNames,
    losses: &mut Losses,
) -> Result<Vec<Turn>, RequestError> {
    let mut turns: Vec<Turn> = Vec::new();
    let mut legacy = Legacy::default();
    let mut kinds = BTreeMap::new();
    let mut after_tool = false;
    for (at, json) in envelope.array("messages")?.unwrap_or_default().into_iter().enumerate() {
        let path = format!("messages[{at}]");
        let fields = object(json, &path)?;
        let role = needed(&fields, &path, "role")?;
        let is_tool = matches!(role.as_str(), "tool" | "function");
        let mut message = Message { fields: &fields, path: &path, names, losses };
        message.count_unknown(is_tool)?;
        let turn = match role.as_str() {
            "system" => Turn { role: Role::System, blocks: message.said()? },
            "developer" => Turn { role: Role::Developer, blocks: message.said()? },
            "user" => Turn { role: Role::User, blocks: message.said()? },
            "assistant" => {
                let blocks = message.assistant(&mut legacy)?;
                kinds.extend(blocks.iter().filter_map(|block| match block {
                    Block::ToolUse(call) => Some((call.id.clone(), call.kind)),
                    _ => None,
                }));
                Turn { role: Role::Assistant, blocks }
            }
            "tool" | "function" => {
                let result = message.result(&role, &legacy, &kinds)?;
                match turns.last_mut() {
                    Some(last) if after_tool => {
                        last.blocks.push(result);
                        continue;
                    }
                    _ => Turn { role: Role::User, blocks: vec![result] },
                }
            }
            _ => return Err(refused(&format!("{path}.role"))),
        };
        after_tool = is_tool;
        turns.push(turn);
    }
    Ok(turns)
}

/// One message.
struct Message<'a> {
    fields: &'a Envelope<'a>,
    path: &'a str,
    names: &'a ToolNames,
    losses: &'a mut Losses,
}

impl Message<'_> {
    /// Counts what is not read. The name of a tool's answer is that of the tool, which its id tells too.
    fn count_unknown(&mut self, is_tool: bool) -> Result<(), RequestError> {
        for (key, _) in self.fields.members().filter(|(_, value)| !matches!(*value, "null" | "false")) {
            match key {
                "name" | "is_error" if is_tool => {}
                "name" => self.losses.add(key),
                // The model is to go on with this message, not to answer it.
                "prefix" | "partial" => return Err(refused(&format!("{}.{key}", self.path))),
                key if KNOWN.contains(&key) => {}
                key => self.losses.add(key),
            }
        }
        Ok(())
    }

    fn reader(&mut self) -> Reader<'_> {
        Reader { names: self.names, losses: self.losses, depth: 0 }
    }

    /// The content, with the mark of the message.
    fn said(&mut self) -> Result<Vec<Block>, RequestError> {
        let path = format!("{}.content", self.path);
        let content = self.fields.present("content");
        let mut blocks = content.map_or(Ok(Vec::new()), |json| self.reader().content(json, &path))?;
        if let Some(mark) = self.fields.present("cache_control").and_then(words::cache_mark)
            && !blocks.last_mut().is_some_and(|last| set_mark(last, mark))
        {
            self.losses.add("cache_control");
        }
        Ok(blocks)
    }

    fn assistant(&mut self, legacy: &mut Legacy) -> Result<Vec<Block>, RequestError> {
        let mut blocks = Vec::new();
        let fields = self.fields;
        if let Some(details) = fields.present("reasoning_details") {
            self.reader().reasoning_details(details, &mut blocks);
        }
        // The same words stand in both; with the details comes the state behind them.
        let text_of_details =
            blocks.iter().any(|block| matches!(block, Block::Reasoning { text, .. } if !text.is_empty()));
        let shown = text(fields, "reasoning_content")?.filter(|text| !text.is_empty()).or(text(fields, "reasoning")?);
        if let Some(shown) = shown.filter(|text| !text.is_empty() && !text_of_details) {
            blocks.insert(0, Block::Reasoning { text: shown, opaque: None });
        }
        blocks.extend(self.said()?);
        let refusal = text(fields, "refusal")?.filter(|text| !text.is_empty());
        blocks.extend(refusal.map(Block::Refusal));
        let path = format!("{}.tool_calls", self.path);
        if let Some(json) = fields.present("tool_calls") {
            let calls = as_array(json).ok_or_else(|| RequestError::wrong_type(&path, "an array"))?;
            for (at, json) in calls.into_iter().enumerate() {
                blocks.push(self.call(json, &format!("{path}[{at}]"))?);
            }
        }
        if let Some(json) = fields.present("function_call") {
            let path = format!("{}.function_call", self.path);
            let call = object(json, &path)?;
            let name = needed(&call, &path, "name")?;
            let id = format!("call_{}", legacy.calls);
            legacy.calls = legacy.calls.saturating_add(1);
            legacy.latest.insert(name.clone(), id.clone());
            blocks.push(self.called(id, &name, arguments(&call, &path, "arguments")?, ToolKind::Function));
        }
        Ok(blocks)
    }

    fn call(&self, json: &str, path: &str) -> Result<Block, RequestError> {
        let fields = object(json, path)?;
        let id = needed(&fields, path, "id")?;
        let (member, input, kind) = match fields.present("custom") {
            Some(_) => ("custom", "input", ToolKind::Custom),
            None => ("function", "arguments", ToolKind::Function),
        };
        let path = format!("{path}.{member}");
        let called = object(fields.present(member).ok_or_else(|| RequestError::missing(&path))?, &path)?;
        let name = needed(&called, &path, "name")?;
        Ok(self.called(id, &name, arguments(&called, &path, input)?, kind))
    }

    fn called(&self, id: String, name: &str, input: String, kind: ToolKind) -> Block {
        Block::ToolUse(ToolUse { id, name: self.names.upstream_name(name, None), input, kind, cache: None })
    }

    fn result(
        &mut self,
        role: &str,
        legacy: &Legacy,
        kinds: &BTreeMap<String, ToolKind>,
    ) -> Result<Block, RequestError> {
        let id = if role == "tool" {
            needed(self.fields, self.path, "tool_call_id")?
        } else {
            let name = needed(self.fields, self.path, "name")?;
            legacy.latest.get(&name).cloned().ok_or_else(|| {
                RequestError::field(format!("{}.name", self.path), "no call of this function stands before its answer")
            })?
        };
        let path = format!("{}.content", self.path);
        let content = self.fields.present("content");
        Ok(Block::ToolResult(ToolResult {
            content: content.map_or(Ok(Vec::new()), |json| self.reader().content(json, &path))?,
            is_error: self.fields.present("is_error") == Some("true"),
            kind: kinds.get(&id).copied().unwrap_or_default(),
            cache: self.fields.present("cache_control").and_then(words::cache_mark),
            id,
        }))
    }
}

/// A call's input: a string, as the dialect has it, or the object that some clients send.
fn arguments(fields: &Envelope<'_>, path: &str, key: &str) -> Result<String, RequestError> {
    match fields.present(key) {
        Some(json) if json.starts_with('{') => Ok(json.to_owned()),
        Some(_) => needed(fields, path, key),
        None => Ok(String::new()),
    }
}

/// Sets the mark of a block that can bear one and has none.
fn set_mark(block: &mut Block, mark: CacheMark) -> bool {
    match block {
        Block::Text(Text { cache, .. }) | Block::Image(Image { cache, .. }) => {
            cache.get_or_insert(mark);
            true
        }
        _ => false,
    }
}
