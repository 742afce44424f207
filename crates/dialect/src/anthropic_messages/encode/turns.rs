//! The conversation, in the order that this dialect asks for: turns of one role are one, and the results
//! of tools follow directly on their calls.

use std::borrow::Cow;
use std::collections::BTreeMap;

use data_encoding::BASE64;
use serde_json::value::RawValue;

use super::body::{Block as Out, Cache, Enabled, Message, Source};
use crate::anthropic_messages::answer::input_of;
use crate::anthropic_messages::blocks::is_own_citation;
use crate::canonical::{
    Block, Document, DocumentSource, Image, ImageSource, Losses, Opaque, Owner, Role, Text, ToolKind, ToolResult,
    ToolUse, Turn, refused,
};
use crate::request::RequestError;

/// How deep blocks are nested: results hold documents, which hold blocks.
pub const MAX_DEPTH: usize = 4;

/// Writes turns.
pub struct Writer<'w> {
    /// Whose state may go.
    pub owner: &'w Owner,
    /// What was left out.
    pub losses: &'w mut Losses,
}

/// The calls of a conversation, in order, with the last result of each.
#[derive(Default)]
struct Calls<'a> {
    results: Vec<Option<&'a ToolResult>>,
    /// Where the latest call of an id stands.
    latest: BTreeMap<&'a str, usize>,
}

impl Writer<'_> {
    /// The system blocks.
    pub fn system<'a>(&mut self, blocks: &'a [Block]) -> Result<Vec<Out<'a>>, RequestError> {
        let mut out = Vec::new();
        for block in blocks {
            match self.block(block, Role::System, MAX_DEPTH)? {
                Some(text @ Out::Text { .. }) => out.push(text),
                Some(_) => self.losses.add("system"),
                None => {}
            }
        }
        Ok(out)
    }

    /// The messages.
    pub fn messages<'a>(&mut self, turns: &'a [Turn]) -> Result<Vec<Message<'a>>, RequestError> {
        let mut calls = self.calls(turns).results.into_iter();
        let mut messages: Vec<Message<'a>> = Vec::new();
        let mut pending: Vec<(String, &'a ToolResult)> = Vec::new();
        let mut ids = Ids::default();
        for turn in turns {
            let role = match turn.role {
                Role::System | Role::Developer => "system",
                Role::User => "user",
                Role::Assistant => "assistant",
            };
            let mut content = Vec::new();
            for block in &turn.blocks {
                match block {
                    // They stand where their calls are.
                    Block::ToolResult(_) => {}
                    Block::ToolUse(call) if turn.role == Role::Assistant => {
                        let id = ids.give(&call.id);
                        pending.extend(calls.next().flatten().map(|result| (id.clone(), result)));
                        content.push(self.call(id, call)?);
                    }
                    block => content.extend(self.block(block, turn.role, MAX_DEPTH)?),
                }
            }
            if turn.role != Role::Assistant {
                self.results(&mut pending, &mut messages)?;
            }
            push(&mut messages, role, content);
        }
        self.results(&mut pending, &mut messages)?;
        Ok(messages)
    }

    /// Finds the result of each call. Of several for one call the last counts, and one without a call
    /// is an error to the provider.
    fn calls<'a>(&mut self, turns: &'a [Turn]) -> Calls<'a> {
        let mut calls = Calls::default();
        for turn in turns {
            for block in &turn.blocks {
                match block {
                    Block::ToolUse(call) if turn.role == Role::Assistant => {
                        calls.latest.insert(&call.id, calls.results.len());
                        calls.results.push(None);
                    }
                    Block::ToolResult(result) => {
                        let at = calls.latest.get(result.id.as_str());
                        match at.and_then(|at| calls.results.get_mut(*at)) {
                            Some(slot) => {
                                if slot.replace(result).is_some() {
                                    self.losses.add("tool_result");
                                }
                            }
                            None => self.losses.add("tool_result"),
                        }
                    }
                    _ => {}
                }
            }
        }
        calls
    }

    fn results<'a>(
        &mut self,
        pending: &mut Vec<(String, &'a ToolResult)>,
        messages: &mut Vec<Message<'a>>,
    ) -> Result<(), RequestError> {
        let mut content = Vec::new();
        for (id, result) in pending.drain(..) {
            let mut inner = Vec::new();
            for block in &result.content {
                inner.extend(self.block(block, Role::User, MAX_DEPTH)?);
            }
            content.push(Out::ToolResult {
                tool_use_id: id,
                content: inner,
                is_error: result.is_error,
                cache_control: result.cache.map(Cache::of),
            });
        }
        push(messages, "user", content);
        Ok(())
    }

    fn block<'a>(&mut self, block: &'a Block, role: Role, depth: usize) -> Result<Option<Out<'a>>, RequestError> {
        Ok(match block {
            Block::Text(text) => self.text(text),
            Block::Refusal(text) => plain(text),
            Block::Image(_) | Block::Document(_) if role != Role::User => {
                self.losses.add(if matches!(block, Block::Image(_)) { "image" } else { "document" });
                None
            }
            Block::Image(Image { source, detail, cache }) => {
                if detail.as_deref().is_some_and(|detail| detail != "auto") {
                    self.losses.add("detail");
                }
                let source = match source {
                    ImageSource::Base64 { media_type, data } => Source::Base64 { media_type, data },
                    ImageSource::Url(url) => Source::Url { url },
                };
                Some(Out::Image { source, cache_control: cache.map(Cache::of) })
            }
            Block::Document(document) => Some(self.document(document, depth)?),
            Block::Reasoning { text, opaque } => match opaque {
                Some(opaque) if self.may_go(opaque) => Some(Out::Thinking { thinking: text, signature: &opaque.data }),
                _ => self.lost("thinking"),
            },
            Block::Redacted(opaque) if self.may_go(opaque) => Some(Out::RedactedThinking { data: &opaque.data }),
            Block::Redacted(_) => self.lost("redacted_thinking"),
            Block::ToolUse(_) => self.lost("tool_use"),
            Block::ToolResult(_) => self.lost("tool_result"),
        })
    }

    fn call<'a>(&mut self, id: String, call: &'a ToolUse) -> Result<Out<'a>, RequestError> {
        let input = self.input(call)?;
        Ok(Out::ToolUse { id, name: &call.name, input, cache_control: call.cache.map(Cache::of) })
    }

    /// A provider's state goes to its owner alone, and only if there is some.
    fn may_go(&self, opaque: &Opaque) -> bool {
        opaque.is_of(self.owner) && !opaque.data.is_empty()
    }

    fn lost<'a>(&mut self, name: &str) -> Option<Out<'a>> {
        self.losses.add(name);
        None
    }

    fn text<'a>(&mut self, text: &'a Text) -> Option<Out<'a>> {
        let mut citations = Vec::new();
        for citation in &text.citations {
            match RawValue::from_string(citation.raw.clone()) {
                Ok(raw) if is_own_citation(&citation.raw) => citations.push(raw),
                _ => self.losses.add("citations"),
            }
        }
        let mut out = plain(&text.text)?;
        if let Out::Text { citations: slot, cache_control, .. } = &mut out {
            *slot = citations;
            *cache_control = text.cache.map(Cache::of);
        }
        Some(out)
    }

    fn document<'a>(&mut self, document: &'a Document, depth: usize) -> Result<Out<'a>, RequestError> {
        let source = match &document.source {
            DocumentSource::Base64 { media_type, data } if media_type == "application/pdf" => {
                Source::Base64 { media_type, data }
            }
            DocumentSource::Base64 { media_type, data } => {
                let bytes = media_type.starts_with("text/").then(|| BASE64.decode(data.as_bytes()).ok()).flatten();
                let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(|| refused("document"))?;
                Source::Text { media_type: "text/plain", data: Cow::Owned(text) }
            }
            DocumentSource::Url(url) => Source::Url { url },
            DocumentSource::Text(text) => Source::Text { media_type: "text/plain", data: Cow::Borrowed(text) },
            DocumentSource::Blocks(blocks) => {
                let deeper = depth.checked_sub(1).ok_or_else(|| refused("document"))?;
                let mut content = Vec::new();
                for block in blocks {
                    content.extend(self.block(block, Role::User, deeper)?);
                }
                Source::Content { content }
            }
        };
        Ok(Out::Document {
            source,
            title: document.title.as_deref(),
            context: document.context.as_deref(),
            citations: document.citations.then_some(Enabled { enabled: true }),
            cache_control: document.cache.map(Cache::of),
        })
    }

    /// The input of a call.
    fn input(&mut self, call: &ToolUse) -> Result<Box<RawValue>, RequestError> {
        let json = input_of(call);
        let given = call.input.trim();
        if call.kind == ToolKind::Function && !matches!(given, "" | "null") && json != given {
            self.losses.add("tool_use.input");
        }
        RawValue::from_string(json).map_err(|_| refused("tool_use.input"))
    }
}

/// A text block; `None`: the provider refuses one without a letter.
fn plain(text: &str) -> Option<Out<'_>> {
    if text.trim().is_empty() {
        return None;
    }
    Some(Out::Text { text, citations: Vec::new(), cache_control: None })
}

/// Appends to the last turn where it has the same role. What is empty is no turn.
fn push<'a>(messages: &mut Vec<Message<'a>>, role: &'static str, content: Vec<Out<'a>>) {
    if content.is_empty() {
        return;
    }
    match messages.last_mut() {
        Some(last) if last.role == role => last.content.extend(content),
        _ => messages.push(Message { role, content }),
    }
}

/// The ids of calls as the provider takes them: of its letters, and each once.
#[derive(Default)]
struct Ids {
    /// How often each has been wanted.
    given: BTreeMap<String, u64>,
}

impl Ids {
    /// The id for the next call that has this one.
    fn give(&mut self, id: &str) -> String {
        let base = tool_id(id);
        loop {
            let wanted = self.given.entry(base.clone()).or_default();
            *wanted = wanted.saturating_add(1);
            if *wanted == 1 {
                return base;
            }
            let next = format!("{base}_{wanted}");
            if !self.given.contains_key(&next) {
                self.given.insert(next.clone(), 1);
                return next;
            }
        }
    }
}

/// The id in the letters that the provider takes.
fn tool_id(id: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if id.is_empty() { "toolu_0".to_owned() } else { id.chars().map(|c| if fits(c) { c } else { '_' }).collect() }
}
