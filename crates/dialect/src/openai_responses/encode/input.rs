//! The conversation as input items.

use crate::canonical::{
    Block, Document, DocumentSource, Image, ImageSource, Losses, Opaque, Request, Role, Target, Text, ToolKind,
    ToolResult, ToolUse, Turn,
};
use crate::envelope::quoted;
use crate::openai_responses::item::{annotation, array, object};

/// Writes the items of the input.
pub(super) struct Writer<'a> {
    pub target: &'a Target<'a>,
    pub request: &'a Request,
    pub items: Vec<String>,
    pub losses: &'a mut Losses,
}

impl Writer<'_> {
    /// The instructions as text; what is more than text becomes a message of the developer's.
    pub fn instructions(&mut self) -> Option<String> {
        let blocks = &self.request.instructions;
        let texts: Option<Vec<&str>> = blocks
            .iter()
            .map(|block| if let Block::Text(text) = block { Some(text.text.as_str()) } else { None })
            .collect();
        match texts {
            Some(texts) if texts.is_empty() => None,
            Some(texts) => Some(quoted(&texts.join("\n\n"))),
            None => {
                self.message("developer", blocks);
                None
            }
        }
    }

    /// The items of one turn.
    pub fn turn(&mut self, turn: &Turn) {
        let role = match turn.role {
            Role::System => "system",
            Role::Developer => "developer",
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        // Runs of content make messages; calls, results and reasoning are items between them.
        let mut run: Vec<Block> = Vec::new();
        for block in &turn.blocks {
            let item = match block {
                Block::ToolUse(call) => Some(call_item(call)),
                Block::ToolResult(result) => Some(self.result_item(result)),
                Block::Reasoning { opaque, .. } => self.reasoning_item(block, opaque.as_ref()),
                Block::Redacted(opaque) => self.reasoning_item(block, Some(opaque)),
                _ => {
                    run.push(block.clone());
                    continue;
                }
            };
            self.message(role, &std::mem::take(&mut run));
            self.items.extend(item);
        }
        self.message(role, &run);
    }

    fn message(&mut self, role: &str, blocks: &[Block]) {
        if blocks.is_empty() {
            return;
        }
        let parts: Vec<String> = blocks.iter().filter_map(|block| self.part(block, role == "assistant")).collect();
        let content = array(&parts);
        self.items.push(object(&[("type", quoted("message")), ("role", quoted(role)), ("content", content)]));
    }

    /// A part of a message; `None`: it has no place in one, and was counted.
    fn part(&mut self, block: &Block, of_assistant: bool) -> Option<String> {
        match block {
            Block::Text(Text { text, citations, .. }) if of_assistant => {
                let length = text.chars().count();
                let annotations: Vec<String> = citations.iter().filter_map(|one| annotation(one, length)).collect();
                (annotations.len()..citations.len()).for_each(|_| self.losses.add("citation"));
                Some(object(&[
                    ("type", quoted("output_text")),
                    ("text", quoted(text)),
                    ("annotations", array(&annotations)),
                ]))
            }
            Block::Text(text) => Some(input_text(&text.text)),
            Block::Refusal(text) => Some(object(&[("type", quoted("refusal")), ("refusal", quoted(text))])),
            Block::Image(_) | Block::Document(_) if of_assistant => {
                self.losses.add("image");
                None
            }
            Block::Image(image) => Some(image_part(image)),
            Block::Document(document) => Some(self.document_part(document)),
            Block::Reasoning { .. } | Block::Redacted(_) | Block::ToolUse(_) | Block::ToolResult(_) => {
                self.losses.add("block");
                None
            }
        }
    }

    fn document_part(&mut self, document: &Document) -> String {
        if document.citations {
            self.losses.add("document.citations");
        }
        let about = [document.title.as_deref(), document.context.as_deref()];
        match &document.source {
            DocumentSource::Base64 { media_type, data } => {
                if document.context.is_some() {
                    self.losses.add("document.context");
                }
                let name = document.title.as_deref().unwrap_or("document.pdf");
                let data = format!("data:{media_type};base64,{data}");
                object(&[("type", quoted("input_file")), ("filename", quoted(name)), ("file_data", quoted(&data))])
            }
            DocumentSource::Url(url) => {
                about.into_iter().flatten().for_each(|_| self.losses.add("document.title"));
                object(&[("type", quoted("input_file")), ("file_url", quoted(url))])
            }
            DocumentSource::Text(text) => {
                let parts: Vec<&str> = about.into_iter().flatten().chain([text.as_str()]).collect();
                input_text(&parts.join("\n\n"))
            }
            DocumentSource::Blocks(blocks) => {
                let mut texts: Vec<&str> = about.into_iter().flatten().collect();
                for block in blocks {
                    match block {
                        Block::Text(text) => texts.push(&text.text),
                        _ => self.losses.add("document.content"),
                    }
                }
                input_text(&texts.join("\n\n"))
            }
        }
    }

    fn result_item(&mut self, result: &ToolResult) -> String {
        if result.is_error {
            self.losses.add("is_error");
        }
        let kind = if result.kind == ToolKind::Custom { "custom_tool_call_output" } else { "function_call_output" };
        let output = match result.content.as_slice() {
            [] => quoted(""),
            [Block::Text(text)] => quoted(&text.text),
            blocks => array(&blocks.iter().filter_map(|block| self.part(block, false)).collect::<Vec<_>>()),
        };
        object(&[("type", quoted(kind)), ("call_id", quoted(&result.id)), ("output", output)])
    }

    /// Reasoning goes back to its maker alone, and only with the state behind it.
    fn reasoning_item(&mut self, block: &Block, opaque: Option<&Opaque>) -> Option<String> {
        let own = opaque.filter(|opaque| self.target.reasons && opaque.is_of(self.target.owner));
        let Some((id, encrypted)) =
            own.and_then(|opaque| opaque.data.split_once('.')).filter(|(_, encrypted)| !encrypted.is_empty())
        else {
            self.losses.add("reasoning");
            return None;
        };
        let summary = match block {
            Block::Reasoning { text, .. } if !text.is_empty() => {
                vec![object(&[("type", quoted("summary_text")), ("text", quoted(text))])]
            }
            _ => Vec::new(),
        };
        let mut members = vec![("type", quoted("reasoning"))];
        members.extend((!id.is_empty()).then(|| ("id", quoted(id))));
        members.extend([("summary", array(&summary)), ("encrypted_content", quoted(encrypted))]);
        Some(object(&members))
    }
}

fn input_text(text: &str) -> String {
    object(&[("type", quoted("input_text")), ("text", quoted(text))])
}

fn image_part(image: &Image) -> String {
    let url = match &image.source {
        ImageSource::Base64 { media_type, data } => format!("data:{media_type};base64,{data}"),
        ImageSource::Url(url) => url.clone(),
    };
    let detail = image.detail.as_deref().unwrap_or("auto");
    object(&[("type", quoted("input_image")), ("image_url", quoted(&url)), ("detail", quoted(detail))])
}

fn call_item(call: &ToolUse) -> String {
    let (kind, field) = match call.kind {
        ToolKind::Function => ("function_call", "arguments"),
        ToolKind::Custom => ("custom_tool_call", "input"),
    };
    object(&[
        ("type", quoted(kind)),
        ("call_id", quoted(&call.id)),
        ("name", quoted(&call.name)),
        (field, quoted(&call.input)),
    ])
}
