//! Content blocks of a client's messages into those of the pivot.

use crate::anthropic_messages::blocks::citation;
use crate::canonical::{
    Block, CacheMark, Document, DocumentSource, Image, ImageSource, Losses, Opaque, Text, ToolKind, ToolNames,
    ToolResult, ToolUse, refused,
};
use crate::envelope::Envelope;
use crate::json_text;
use crate::request::{RequestError, as_array};

/// How deep content is nested: results of tools hold documents, which hold blocks.
const MAX_DEPTH: usize = 4;

/// Reads blocks.
pub struct Reader<'r> {
    /// The names of the tools.
    pub names: &'r ToolNames,
    /// What has no place.
    pub losses: &'r mut Losses,
}

impl Reader<'_> {
    /// The content of a message: a string, or an array of blocks.
    pub fn content(&mut self, path: &str, json: &str) -> Result<Vec<Block>, RequestError> {
        self.nested(path, json, MAX_DEPTH)
    }

    fn nested(&mut self, path: &str, json: &str, depth: usize) -> Result<Vec<Block>, RequestError> {
        if json.starts_with('"') {
            return Ok(vec![Block::text(json_text::text(json).unwrap_or_default())]);
        }
        let deeper = depth.checked_sub(1).ok_or_else(|| RequestError::field(path, "the content is nested too deep"))?;
        let items = as_array(json).ok_or_else(|| RequestError::wrong_type(path, "a string or an array of blocks"))?;
        let mut blocks = Vec::new();
        for (at, json) in items.into_iter().enumerate() {
            let path = format!("{path}[{at}]");
            let fields =
                Envelope::parse(json).map_err(|_| RequestError::wrong_type(&path, "an object with each field once"))?;
            blocks.extend(self.block(&path, &fields, deeper)?);
        }
        Ok(blocks)
    }

    /// One block; `None`: it has no place, and is counted.
    fn block(&mut self, path: &str, fields: &Envelope<'_>, depth: usize) -> Result<Option<Block>, RequestError> {
        let kind = fields.string("type")?.unwrap_or_default();
        let text = |key: &str| fields.present(key).and_then(json_text::text);
        let needed = |key: &str| text(key).ok_or_else(|| RequestError::missing(&format!("{path}.{key}")));
        let cache = cache_mark(fields);
        Ok(Some(match kind.as_ref() {
            "text" => {
                let citations = fields.present("citations").and_then(as_array).unwrap_or_default();
                Block::Text(Text {
                    text: needed("text")?,
                    citations: citations.into_iter().map(citation).collect(),
                    logprobs: Vec::new(),
                    cache,
                })
            }
            "image" => Block::Image(Image { source: image_source(path, fields)?, detail: None, cache }),
            "document" => Block::Document(self.document(path, fields, depth, cache)?),
            "search_result" => {
                let content = fields.present("content").unwrap_or("[]");
                let blocks = self.nested(&format!("{path}.content"), content, depth)?;
                Block::Document(Document {
                    source: DocumentSource::Blocks(blocks),
                    title: text("title"),
                    context: text("source"),
                    citations: cites(fields),
                    cache,
                })
            }
            "thinking" => {
                let signature = text("signature").filter(|signature| !signature.is_empty());
                let opaque = signature.map(|signature| Opaque::parse(&signature));
                Block::Reasoning { text: text("thinking").unwrap_or_default(), opaque }
            }
            "redacted_thinking" => Block::Redacted(Opaque::parse(&needed("data")?)),
            "tool_use" => {
                if fields.present("caller").is_some_and(|caller| !caller.contains("\"direct\"")) {
                    self.losses.add("caller");
                }
                Block::ToolUse(ToolUse {
                    id: needed("id")?,
                    name: self.names.upstream_name(&needed("name")?, None),
                    input: fields.present("input").unwrap_or("{}").to_owned(),
                    kind: ToolKind::Function,
                    cache,
                })
            }
            "tool_result" => {
                let content = match fields.present("content") {
                    Some(content) => self.nested(&format!("{path}.content"), content, depth)?,
                    None => Vec::new(),
                };
                let is_error = fields.boolean("is_error")?.unwrap_or(false);
                Block::ToolResult(ToolResult {
                    id: needed("tool_use_id")?,
                    content,
                    is_error,
                    kind: ToolKind::Function,
                    cache,
                })
            }
            kind => {
                // What a provider's own tools did cannot be told to another: its conclusions are in the text.
                self.losses.add(kind);
                return Ok(None);
            }
        }))
    }

    fn document(
        &mut self,
        path: &str,
        fields: &Envelope<'_>,
        depth: usize,
        cache: Option<CacheMark>,
    ) -> Result<Document, RequestError> {
        let path = format!("{path}.source");
        let source = source(&path, fields)?;
        let text = |key: &str| source.present(key).and_then(json_text::text).unwrap_or_default();
        let source = match source.string("type")?.as_deref() {
            Some("base64") => DocumentSource::Base64 { media_type: text("media_type"), data: text("data") },
            Some("url") => DocumentSource::Url(text("url")),
            Some("text") => DocumentSource::Text(text("data")),
            Some("content") => {
                let content = source.present("content").unwrap_or("[]");
                DocumentSource::Blocks(self.nested(&format!("{path}.content"), content, depth)?)
            }
            _ => return Err(refused(&path)),
        };
        let own = |key: &str| fields.present(key).and_then(json_text::text);
        Ok(Document { source, title: own("title"), context: own("context"), citations: cites(fields), cache })
    }
}

fn source<'a>(path: &str, fields: &Envelope<'a>) -> Result<Envelope<'a>, RequestError> {
    let source = fields.present("source").ok_or_else(|| RequestError::missing(path))?;
    Envelope::parse(source).map_err(|_| RequestError::wrong_type(path, "an object with each field once"))
}

fn image_source(path: &str, fields: &Envelope<'_>) -> Result<ImageSource, RequestError> {
    let path = format!("{path}.source");
    let source = source(&path, fields)?;
    let text = |key: &str| source.present(key).and_then(json_text::text).unwrap_or_default();
    match source.string("type")?.as_deref() {
        Some("base64") => Ok(ImageSource::Base64 { media_type: text("media_type"), data: text("data") }),
        Some("url") => Ok(ImageSource::Url(text("url"))),
        _ => Err(refused(&path)),
    }
}

/// Whether a document may be cited.
fn cites(fields: &Envelope<'_>) -> bool {
    let citations = fields.present("citations").and_then(|json| Envelope::parse(json).ok());
    citations.is_some_and(|citations| citations.get("enabled") == Some("true"))
}

/// The cache mark of a block, a tool or a request.
pub fn cache_mark(fields: &Envelope<'_>) -> Option<CacheMark> {
    let mark = Envelope::parse(fields.present("cache_control")?).ok()?;
    let hour = mark.present("ttl").and_then(json_text::borrowed).is_some_and(|ttl| ttl == "1h");
    Some(if hour { CacheMark::OneHour } else { CacheMark::FiveMinutes })
}
