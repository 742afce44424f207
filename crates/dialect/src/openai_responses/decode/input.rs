//! The items of the input as turns: what stands side by side and is of one side makes one turn.

use serde_json::value::RawValue;

use super::object;
use crate::canonical::{
    Block, Document, DocumentSource, Image, ImageSource, Losses, Opaque, Role, Text, ToolKind, ToolResult, ToolUse,
    Turn, refused,
};
use crate::envelope::Envelope;
use crate::json_text;
use crate::openai_responses::item::{citation, unredacted};
use crate::openai_responses::tools::{Declared, required, within};
use crate::openai_responses::wire::CLIENT_RUN;
use crate::request::{RequestError, as_array, as_string};

/// What comes next to what makes one turn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Group {
    /// Reasoning, messages and calls of the model.
    Assistant,
    /// What tools answered.
    Results,
    /// A message, which is a turn of its own.
    Message,
}

struct Reader<'a> {
    declared: &'a Declared,
    turns: Vec<Turn>,
    last: Group,
    losses: &'a mut Losses,
}

/// The turns of a request.
pub(super) fn turns(
    envelope: &Envelope<'_>,
    declared: &Declared,
    losses: &mut Losses,
) -> Result<Vec<Turn>, RequestError> {
    let input = envelope.present("input").ok_or_else(|| RequestError::missing("input"))?;
    if input.starts_with('"') {
        let text = json_text::text(input).ok_or_else(|| RequestError::wrong_type("input", "text"))?;
        return Ok(vec![Turn { role: Role::User, blocks: vec![Block::text(text)] }]);
    }
    let mut reader = Reader { declared, turns: Vec::new(), last: Group::Message, losses };
    for (at, item) in as_array(input).unwrap_or_default().into_iter().enumerate() {
        let path = format!("input[{at}]");
        reader.item(&path, &object(&path, item)?)?;
    }
    Ok(reader.turns)
}

impl Reader<'_> {
    fn push(&mut self, group: Group, role: Role, blocks: Vec<Block>) {
        match self.turns.last_mut() {
            Some(turn) if group != Group::Message && group == self.last => turn.blocks.extend(blocks),
            _ => self.turns.push(Turn { role, blocks }),
        }
        self.last = group;
    }

    fn item(&mut self, path: &str, item: &Envelope<'_>) -> Result<(), RequestError> {
        let string = |key| item.string(key).map_err(|error| within(path, error));
        match string("type")?.as_deref() {
            None | Some("message") => self.message(path, item),
            Some(kind @ ("function_call" | "custom_tool_call")) => {
                let custom = kind == "custom_tool_call";
                let name = required(item, path, "name")?;
                let name = self.declared.upstream_name(&name, string("namespace")?.as_deref());
                let block = Block::ToolUse(ToolUse {
                    id: required(item, path, "call_id")?,
                    name,
                    input: said(item, path, if custom { "input" } else { "arguments" })?,
                    kind: if custom { ToolKind::Custom } else { ToolKind::Function },
                    cache: None,
                });
                self.push(Group::Assistant, Role::Assistant, vec![block]);
                Ok(())
            }
            Some(kind @ ("function_call_output" | "custom_tool_call_output")) => {
                let kind = if kind == "custom_tool_call_output" { ToolKind::Custom } else { ToolKind::Function };
                let content = self.content(path, "output", item)?;
                let id = required(item, path, "call_id")?;
                let result = ToolResult { id, content, is_error: false, kind, cache: None };
                self.push(Group::Results, Role::User, vec![Block::ToolResult(result)]);
                Ok(())
            }
            Some("reasoning") => {
                self.reasoning(path, item)?;
                Ok(())
            }
            // What they say is nowhere else in the request.
            Some("additional_tools" | "compaction") => Err(refused(&format!("{path}.type"))),
            Some(kind) if CLIENT_RUN.contains(&kind) || kind.starts_with("computer_call") => {
                Err(refused(&format!("{path}.type")))
            }
            Some(kind) => {
                self.losses.add(kind);
                Ok(())
            }
        }
    }

    fn message(&mut self, path: &str, item: &Envelope<'_>) -> Result<(), RequestError> {
        let role = match required(item, path, "role")?.as_str() {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" => Role::System,
            "developer" => Role::Developer,
            _ => return Err(RequestError::wrong_type(&format!("{path}.role"), "a role that is known here")),
        };
        if item.string("phase").is_ok_and(|phase| phase.is_some_and(|phase| phase != "final_answer")) {
            self.losses.add("phase");
        }
        let blocks = self.content(path, "content", item)?;
        let group = if role == Role::Assistant { Group::Assistant } else { Group::Message };
        self.push(group, role, blocks);
        Ok(())
    }

    fn reasoning(&mut self, path: &str, item: &Envelope<'_>) -> Result<(), RequestError> {
        let joined = |key: &str| {
            let parts = item.present(key).and_then(as_array).unwrap_or_default();
            let texts =
                parts.into_iter().filter_map(|part| Envelope::parse(part).ok()?.present("text").and_then(as_string));
            texts.filter(|text| !text.is_empty()).map(String::from).collect::<Vec<_>>().join("\n\n")
        };
        let text = Some(joined("summary")).filter(|text| !text.is_empty()).unwrap_or_else(|| joined("content"));
        let held = item.string("encrypted_content").map_err(|error| within(path, error))?;
        let opaque = held.filter(|held| !held.is_empty()).map(|held| Opaque::parse(&held));
        let block = match opaque.as_ref().and_then(unredacted).filter(|_| text.is_empty()) {
            Some(redacted) => Block::Redacted(redacted),
            None if text.is_empty() && opaque.as_ref().is_none_or(|opaque| opaque.data.is_empty()) => {
                self.losses.add("reasoning");
                return Ok(());
            }
            None => Block::Reasoning { text, opaque },
        };
        self.push(Group::Assistant, Role::Assistant, vec![block]);
        Ok(())
    }

    /// A string, or an array of parts.
    fn content(&mut self, path: &str, key: &str, item: &Envelope<'_>) -> Result<Vec<Block>, RequestError> {
        let path = format!("{path}.{key}");
        let content = item.present(key).ok_or_else(|| RequestError::missing(&path))?;
        if content.starts_with('"') {
            let text = json_text::text(content).ok_or_else(|| RequestError::wrong_type(&path, "text"))?;
            return Ok(vec![Block::text(text)]);
        }
        let parts = as_array(content).ok_or_else(|| RequestError::wrong_type(&path, "a string or an array"))?;
        let mut blocks = Vec::with_capacity(parts.len());
        for (at, part) in parts.into_iter().enumerate() {
            let path = format!("{path}[{at}]");
            blocks.push(self.part(&path, &object(&path, part)?)?);
        }
        Ok(blocks)
    }

    fn part(&mut self, path: &str, part: &Envelope<'_>) -> Result<Block, RequestError> {
        let string = |key| part.string(key).map(|text| text.map(String::from)).map_err(|error| within(path, error));
        if part.present("prompt_cache_breakpoint").is_some() {
            self.losses.add("prompt_cache_breakpoint");
        }
        match string("type")?.as_deref() {
            Some("input_text" | "output_text" | "text") => {
                let citations = part.present("annotations").and_then(as_array).unwrap_or_default();
                let citations = citations.into_iter().filter_map(|raw| serde_json::from_str::<&RawValue>(raw).ok());
                let citations = citations.filter_map(citation).collect();
                Ok(Block::Text(Text { text: said(part, path, "text")?, citations, ..Text::default() }))
            }
            Some("refusal") => Ok(Block::Refusal(said(part, path, "refusal")?)),
            Some("input_image") => {
                let url = required(part, path, "image_url")?;
                let source = match data_url(&url) {
                    Some((media_type, data)) => ImageSource::Base64 { media_type, data },
                    None => ImageSource::Url(url),
                };
                Ok(Block::Image(Image { source, detail: string("detail")?, cache: None }))
            }
            Some("input_file") => {
                let source = match (string("file_data")?, string("file_url")?) {
                    (Some(data), _) => match data_url(&data) {
                        Some((media_type, data)) => DocumentSource::Base64 { media_type, data },
                        None => DocumentSource::Base64 { media_type: "application/pdf".to_owned(), data },
                    },
                    (None, Some(url)) => DocumentSource::Url(url),
                    (None, None) => return Err(RequestError::missing(&format!("{path}.file_data"))),
                };
                let title = string("filename")?;
                if string("detail")?.is_some_and(|detail| detail != "auto") {
                    self.losses.add("input_file.detail");
                }
                Ok(Block::Document(Document { source, title, context: None, citations: false, cache: None }))
            }
            _ => Err(refused(&format!("{path}.type"))),
        }
    }
}

/// A text that must be there; half a character in it, as of an output that was cut, is replaced.
fn said(fields: &Envelope<'_>, path: &str, key: &str) -> Result<String, RequestError> {
    let path = || format!("{path}.{key}");
    let json = fields.present(key).ok_or_else(|| RequestError::missing(&path()))?;
    json_text::text(json).ok_or_else(|| RequestError::wrong_type(&path(), "a string"))
}

/// The media type and the base64 of a data URL.
fn data_url(url: &str) -> Option<(String, String)> {
    let (kind, data) = url.strip_prefix("data:")?.split_once(',')?;
    let media_type = kind.strip_suffix(";base64")?;
    let media_type = media_type.split(';').next().unwrap_or(media_type);
    Some((media_type.to_owned(), data.to_owned()))
}
