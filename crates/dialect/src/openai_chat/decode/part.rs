//! The content of a message: a string, or parts. Those of chat, of responses and Anthropic's blocks are
//! told apart by their `type`.

use super::{needed, object, text};
use crate::canonical::{
    Block, Document, DocumentSource, Image, ImageSource, Losses, Opaque, Text, ToolKind, ToolNames, ToolResult,
    ToolUse, refused,
};
use crate::envelope::Envelope;
use crate::json_text;
use crate::openai_chat::{state, words};
use crate::request::{RequestError, as_array};

/// How deep content may stand in content: a document in the result of a tool.
const MAX_DEPTH: usize = 4;

/// What content is read with.
pub(super) struct Reader<'a> {
    pub(super) names: &'a ToolNames,
    pub(super) losses: &'a mut Losses,
    pub(super) depth: usize,
}

impl Reader<'_> {
    /// The blocks of a content.
    pub(super) fn content(&mut self, json: &str, path: &str) -> Result<Vec<Block>, RequestError> {
        if let Some(text) = json_text::text(json) {
            return Ok(if text.is_empty() { Vec::new() } else { vec![Block::text(text)] });
        }
        let parts = as_array(json).ok_or_else(|| RequestError::wrong_type(path, "a string or an array of parts"))?;
        if self.depth >= MAX_DEPTH {
            return Err(RequestError::field(path, "the content is nested too deep"));
        }
        self.depth = self.depth.saturating_add(1);
        let parts = parts.into_iter().enumerate();
        let blocks = parts.map(|(at, part)| self.part(part, &format!("{path}[{at}]"))).collect();
        self.depth = self.depth.saturating_sub(1);
        blocks
    }

    fn part(&mut self, json: &str, path: &str) -> Result<Block, RequestError> {
        if let Some(text) = json_text::text(json) {
            return Ok(Block::text(text));
        }
        let fields = object(json, path)?;
        let cache = fields.present("cache_control").and_then(words::cache_mark);
        let kind = needed(&fields, path, "type")?;
        Ok(match kind.as_str() {
            "text" | "input_text" | "output_text" => {
                Block::Text(Text { text: needed(&fields, path, "text")?, cache, ..Text::default() })
            }
            "refusal" => Block::Refusal(needed(&fields, path, "refusal")?),
            "image_url" | "input_image" | "image" => Block::Image(Image { cache, ..image(&fields, path)? }),
            "file" | "input_file" => Block::Document(Document { cache, ..file(&fields, path)? }),
            "document" => Block::Document(Document { cache, ..self.document(&fields, path)? }),
            "thinking" => thinking(&fields, path)?,
            "redacted_thinking" => Block::Redacted(Opaque::parse(&needed(&fields, path, "data")?)),
            "tool_use" => Block::ToolUse(ToolUse {
                id: needed(&fields, path, "id")?,
                name: self.names.upstream_name(&needed(&fields, path, "name")?, None),
                input: fields.present("input").unwrap_or("{}").to_owned(),
                kind: ToolKind::Function,
                cache,
            }),
            "tool_result" => {
                let content = fields.present("content").map(|json| self.content(json, &format!("{path}.content")));
                Block::ToolResult(ToolResult {
                    id: needed(&fields, path, "tool_use_id")?,
                    content: content.transpose()?.unwrap_or_default(),
                    is_error: fields.boolean("is_error")?.unwrap_or(false),
                    kind: ToolKind::Function,
                    cache,
                })
            }
            // A part that nobody here can read may be what the request is about.
            _ => return Err(refused(path)),
        })
    }

    /// Anthropic's document.
    fn document(&mut self, fields: &Envelope<'_>, path: &str) -> Result<Document, RequestError> {
        let path = format!("{path}.source");
        let source = object(fields.present("source").ok_or_else(|| RequestError::missing(&path))?, &path)?;
        let content = |reader: &mut Self| {
            let content = source.present("content").unwrap_or("[]");
            reader.content(content, &format!("{path}.content"))
        };
        let citations = fields.present("citations").map(|json| object(json, &path)).transpose()?;
        Ok(Document {
            source: match needed(&source, &path, "type")?.as_str() {
                "base64" => DocumentSource::Base64 {
                    media_type: needed(&source, &path, "media_type")?,
                    data: needed(&source, &path, "data")?,
                },
                "url" => DocumentSource::Url(needed(&source, &path, "url")?),
                "text" => DocumentSource::Text(needed(&source, &path, "data")?),
                "content" => DocumentSource::Blocks(content(self)?),
                _ => return Err(refused(&path)),
            },
            title: text(fields, "title")?,
            context: text(fields, "context")?,
            citations: citations.is_some_and(|fields| fields.present("enabled") == Some("true")),
            cache: None,
        })
    }

    /// `reasoning_details`: one block each.
    pub(super) fn reasoning_details(&mut self, json: &str, blocks: &mut Vec<Block>) {
        for detail in as_array(json).unwrap_or_default() {
            let Some(detail) = crate::openai_chat::stream::Detail::read(detail) else {
                self.losses.add("reasoning_details");
                continue;
            };
            let shown = detail.text.as_deref().and_then(json_text::text).unwrap_or_default();
            blocks.push(match (detail.kind.as_str(), state::opaque(&detail)) {
                ("reasoning.encrypted", Some(opaque)) => Block::Redacted(opaque),
                (_, opaque) => Block::Reasoning { text: shown, opaque },
            });
        }
    }
}

/// Anthropic's thinking, or Mistral's.
fn thinking(fields: &Envelope<'_>, path: &str) -> Result<Block, RequestError> {
    let json = fields.present("thinking").unwrap_or("\"\"");
    let text_of = |part: &&str| {
        let text = object(part, path).ok().and_then(|fields| fields.present("text").and_then(json_text::text));
        text.unwrap_or_default()
    };
    let shown = match as_array(json) {
        Some(parts) => parts.iter().map(text_of).collect(),
        None => needed(fields, path, "thinking")?,
    };
    Ok(Block::Reasoning { text: shown, opaque: text(fields, "signature")?.as_deref().map(Opaque::parse) })
}

/// A data URL's type and base64.
fn data_url(url: &str) -> Option<(String, String)> {
    let (media_type, data) = url.strip_prefix("data:")?.split_once(";base64,")?;
    Some((media_type.split(';').next().unwrap_or_default().to_owned(), data.to_owned()))
}

fn image(fields: &Envelope<'_>, path: &str) -> Result<Image, RequestError> {
    let by_url = |url: &str| match data_url(url) {
        Some((media_type, data)) => ImageSource::Base64 { media_type, data },
        None => ImageSource::Url(url.to_owned()),
    };
    if let Some(source) = fields.present("source") {
        let path = format!("{path}.source");
        let source = object(source, &path)?;
        let source = match needed(&source, &path, "type")?.as_str() {
            "base64" => ImageSource::Base64 {
                media_type: needed(&source, &path, "media_type")?,
                data: needed(&source, &path, "data")?,
            },
            "url" => by_url(&needed(&source, &path, "url")?),
            _ => return Err(refused(&path)),
        };
        return Ok(Image { source, detail: None, cache: None });
    }
    let json = fields.present("image_url").ok_or_else(|| RequestError::missing(&format!("{path}.image_url")))?;
    let (url, detail) = match json_text::text(json) {
        Some(url) => (url, text(fields, "detail")?),
        None => {
            let inner = object(json, path)?;
            (needed(&inner, path, "url")?, text(&inner, "detail")?)
        }
    };
    Ok(Image { source: by_url(&url), detail, cache: None })
}

/// A file of chat, whose fields stand in a member, or of responses.
fn file(fields: &Envelope<'_>, path: &str) -> Result<Document, RequestError> {
    let inner = fields.present("file").map(|json| object(json, path)).transpose()?;
    let fields = inner.as_ref().unwrap_or(fields);
    let is_address = |text: &str| text.starts_with("https://") || text.starts_with("http://");
    let source = match (text(fields, "file_data")?, text(fields, "file_url")?) {
        (Some(url), _) | (None, Some(url)) if is_address(&url) => DocumentSource::Url(url),
        (Some(data), _) => {
            // Bare base64 is what the reference calls it, and PDF the one type that it names.
            let (media_type, data) = data_url(&data).unwrap_or_else(|| ("application/pdf".to_owned(), data.clone()));
            DocumentSource::Base64 { media_type, data }
        }
        _ => return Err(RequestError::missing(&format!("{path}.file_data"))),
    };
    Ok(Document { source, title: text(fields, "filename")?, context: None, citations: false, cache: None })
}
