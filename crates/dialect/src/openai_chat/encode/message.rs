//! Turns as messages.
//!
//! Answers of tools stand right behind the message that called them, each in a message of its own and
//! as text; their pictures and documents follow in one message of the user. System and developer turns
//! stand where they stood.

use serde_json::value::RawValue;

use crate::canonical::{
    Block, Document, DocumentSource, Image, ImageSource, Losses, Opaque, Request, Role, Target, Text, ToolKind,
    ToolResult, Turn, refused,
};
use crate::openai_chat::object::{Object, object};
use crate::openai_chat::stream::unpack;
use crate::request::RequestError;

/// What messages are written with.
struct Writer<'a> {
    target: &'a Target<'a>,
    losses: &'a mut Losses,
    messages: Vec<Object>,
}

/// The messages of a request.
pub(super) fn messages(
    request: &Request,
    target: &Target<'_>,
    losses: &mut Losses,
) -> Result<Vec<Object>, RequestError> {
    let mut writer = Writer { target, losses, messages: Vec::new() };
    if !request.instructions.is_empty() {
        writer.content("system", &request.instructions.iter().collect::<Vec<_>>())?;
    }
    for turns in request.turns.chunk_by(|a, b| a.role != Role::Assistant && b.role != Role::Assistant) {
        match turns {
            [Turn { role: Role::Assistant, blocks }] => writer.assistant(blocks)?,
            turns => writer.others(turns)?,
        }
    }
    Ok(writer.messages)
}

impl Writer<'_> {
    /// The turns between two of the assistant: the answers of tools first, for nothing may stand between
    /// them and their calls.
    fn others(&mut self, turns: &[Turn]) -> Result<(), RequestError> {
        let mut results: Vec<&ToolResult> = Vec::new();
        let mut at_id = std::collections::BTreeMap::new();
        for block in turns.iter().flat_map(|turn| &turn.blocks) {
            let Block::ToolResult(result) = block else { continue };
            let at = *at_id.entry(result.id.as_str()).or_insert(results.len());
            match results.get_mut(at) {
                Some(earlier) => {
                    self.losses.add("tool_result");
                    *earlier = result;
                }
                None => results.push(result),
            }
        }
        let mut media = Vec::new();
        for result in results {
            self.result(result, &mut media);
        }
        if !media.is_empty() {
            self.content("user", &media)?;
        }
        for turn in turns {
            let others = turn.blocks.iter().filter(|block| !matches!(block, Block::ToolResult(_)));
            let others: Vec<&Block> = others.collect();
            let role = match turn.role {
                Role::System => "system",
                Role::Developer => "developer",
                Role::User | Role::Assistant => "user",
            };
            if !others.is_empty() || turn.blocks.is_empty() {
                self.content(role, &others)?;
            }
        }
        Ok(())
    }

    /// A tool's answer; what of it is no text is added to `media`.
    fn result<'a>(&mut self, result: &'a ToolResult, media: &mut Vec<&'a Block>) {
        if result.is_error {
            self.losses.add("is_error");
        }
        let mut texts = Vec::new();
        for block in &result.content {
            match block {
                Block::Text(text) => texts.push(text.text.as_str()),
                Block::Image(_) | Block::Document(_) => media.push(block),
                _ => self.losses.add("tool_result"),
            }
        }
        let mut message = object([("role", &"tool"), ("tool_call_id", &result.id)]);
        match texts.as_slice() {
            [] => message.set("content", ""),
            [text] => message.set("content", text),
            texts => message.set("content", &texts.iter().map(|text| text_part(text)).collect::<Vec<_>>()),
        }
        self.messages.push(message);
    }

    /// A message of content alone.
    fn content(&mut self, role: &'static str, blocks: &[&Block]) -> Result<(), RequestError> {
        let mut message = object([("role", &role)]);
        if let [Block::Text(text)] = blocks {
            message.set("content", &text.text);
        } else {
            let mut parts = Vec::new();
            for block in blocks {
                self.part(block, &mut parts)?;
            }
            if parts.is_empty() {
                message.set("content", "");
            } else {
                message.set("content", &parts);
            }
        }
        self.messages.push(message);
        Ok(())
    }

    fn part(&mut self, block: &Block, parts: &mut Vec<Object>) -> Result<(), RequestError> {
        match block {
            Block::Text(Text { text, .. }) | Block::Refusal(text) => parts.push(text_part(text)),
            Block::Image(image) => parts.push(image_part(image)),
            Block::Document(document) => self.document(document, parts)?,
            Block::Reasoning { .. } | Block::Redacted(_) => self.losses.add("reasoning"),
            Block::ToolUse(_) => return Err(refused("tool_use")),
            Block::ToolResult(_) => return Err(refused("tool_result")),
        }
        Ok(())
    }

    fn document(&mut self, document: &Document, parts: &mut Vec<Object>) -> Result<(), RequestError> {
        if document.citations {
            self.losses.add("citations");
        }
        if document.context.is_some() {
            self.losses.add("context");
        }
        match &document.source {
            DocumentSource::Base64 { media_type, data } => {
                let name = if media_type == "application/pdf" { "document.pdf" } else { "document" };
                let name = document.title.as_deref().unwrap_or(name);
                let file = object([("filename", &name), ("file_data", &format!("data:{media_type};base64,{data}"))]);
                parts.push(object([("type", &"file"), ("file", &file)]));
            }
            DocumentSource::Text(text) => {
                self.count_title(document);
                parts.push(text_part(text));
            }
            DocumentSource::Blocks(blocks) => {
                self.count_title(document);
                for block in blocks {
                    match block {
                        Block::Text(Text { text, .. }) => parts.push(text_part(text)),
                        Block::Image(image) => parts.push(image_part(image)),
                        _ => return Err(refused("document")),
                    }
                }
            }
            // No server fetches one.
            DocumentSource::Url(_) => return Err(refused("document")),
        }
        Ok(())
    }

    fn count_title(&mut self, document: &Document) {
        if document.title.is_some() {
            self.losses.add("title");
        }
    }

    /// A turn of the model. What it said in several blocks is one text, as a chat stream would have it.
    fn assistant(&mut self, blocks: &[Block]) -> Result<(), RequestError> {
        let mut content: Option<String> = None;
        let mut refusal: Option<String> = None;
        let mut reasoning = String::new();
        let mut details: Vec<Box<RawValue>> = Vec::new();
        let mut calls: Vec<Object> = Vec::new();
        for block in blocks {
            match block {
                Block::Text(text) => content.get_or_insert_default().push_str(&text.text),
                Block::Refusal(text) => refusal.get_or_insert_default().push_str(text),
                Block::Reasoning { text, opaque } => match opaque.as_ref().filter(|o| o.is_of(self.target.owner)) {
                    Some(Opaque { data, .. }) if data.is_empty() => reasoning.push_str(text),
                    own => self.details(own, text, &mut details),
                },
                Block::Redacted(opaque) => {
                    self.details(Some(opaque).filter(|opaque| opaque.is_of(self.target.owner)), "", &mut details);
                }
                Block::ToolUse(call) => {
                    let (member, key) = match call.kind {
                        ToolKind::Function => ("function", "arguments"),
                        ToolKind::Custom => ("custom", "input"),
                    };
                    let without = call.kind == ToolKind::Function && call.input.trim().is_empty();
                    let input = if without { "{}" } else { &call.input };
                    let called = object([("name", &call.name), (key, &input)]);
                    calls.push(object([("id", &call.id), ("type", &member), (member, &called)]));
                }
                Block::Image(_) => return Err(refused("image")),
                Block::Document(_) => return Err(refused("document")),
                Block::ToolResult(_) => return Err(refused("tool_result")),
            }
        }
        // Where nothing is left of a turn it is none, least of all one to go on with.
        let says = content.is_some() || refusal.is_some() || !(reasoning.is_empty() && details.is_empty());
        if !says && calls.is_empty() && !blocks.is_empty() {
            return Ok(());
        }
        let mut message = object([("role", &"assistant")]);
        if content.is_none() && refusal.is_none() && calls.is_empty() {
            content = Some(String::new());
        }
        message.set("content", &content);
        message.set_some("refusal", refusal.as_ref());
        message.set_some("reasoning_content", Some(&reasoning).filter(|text| !text.is_empty()));
        message.set_some("reasoning_details", Some(&details).filter(|details| !details.is_empty()));
        message.set_some("tool_calls", Some(&calls).filter(|calls| !calls.is_empty()));
        self.messages.push(message);
        Ok(())
    }

    /// Reasoning with the state that this very provider packed; anything else is left out.
    fn details(&mut self, own: Option<&Opaque>, text: &str, details: &mut Vec<Box<RawValue>>) {
        match own.and_then(|opaque| unpack(&opaque.data, text)) {
            Some(unpacked) => details.extend(unpacked),
            None => self.losses.add("reasoning"),
        }
    }
}

fn text_part(text: &str) -> Object {
    object([("type", &"text"), ("text", &text)])
}

fn image_part(image: &Image) -> Object {
    let url = match &image.source {
        ImageSource::Base64 { media_type, data } => format!("data:{media_type};base64,{data}"),
        ImageSource::Url(url) => url.clone(),
    };
    let mut image_url = object([("url", &url)]);
    image_url.set_some("detail", image.detail.as_ref());
    object([("type", &"image_url"), ("image_url", &image_url)])
}
