//! Output items as we write them: one item a block.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::canonical::{Citation, ClientTool, Identity, Opaque, Open, ToolKind, unwrapped_input};
use crate::envelope::quoted;
use crate::json_text;

/// A JSON object of members that are JSON texts already.
pub(super) fn object(members: &[(&str, String)]) -> String {
    let members: Vec<String> = members.iter().map(|(key, json)| format!("{}:{json}", quoted(key))).collect();
    format!("{{{}}}", members.join(","))
}

/// A JSON array of JSON texts.
pub(super) fn array(items: &[String]) -> String {
    format!("[{}]", items.join(","))
}

/// An item that grows.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// With the prefix of its type.
    pub id: String,
    /// What it is.
    pub content: Content,
    /// Whether it grows no more.
    pub closed: bool,
    /// Whether that was before its end.
    pub cut: bool,
}

/// What an item is.
#[derive(Debug, Clone)]
pub(super) enum Content {
    /// A message of one text, of so many characters.
    Text { text: String, chars: usize, annotations: Vec<String>, logprobs: Vec<String> },
    /// A message of one refusal.
    Refusal(String),
    /// Reasoning, its text as a summary.
    Reasoning { text: String, encrypted: Option<String> },
    /// The call of a tool of the client's.
    Call { call_id: String, tool: ClientTool, input: String, wrapped: bool },
}

/// What marks reasoning that is not shown, before its data: other reasoning may have an empty text too.
const REDACTED: &str = "redacted.";

/// How clients hold reasoning that is not shown.
fn redacted(opaque: &Opaque) -> String {
    Opaque { owner: opaque.owner.clone(), data: format!("{REDACTED}{}", opaque.data) }.tagged()
}

/// The data of reasoning that is not shown, if `opaque` is that.
pub(super) fn unredacted(opaque: &Opaque) -> Option<Opaque> {
    let data = opaque.data.strip_prefix(REDACTED)?;
    opaque.owner.as_ref()?;
    Some(Opaque { owner: opaque.owner.clone(), data: data.to_owned() })
}

impl Item {
    /// The item of a block that begins, the `number`-th of its answer.
    pub fn begin(identity: &Identity, number: usize, block: &Open) -> Self {
        let (prefix, content) = match block {
            Open::Text => {
                ("msg", Content::Text { text: String::new(), chars: 0, annotations: Vec::new(), logprobs: Vec::new() })
            }
            Open::Refusal => ("msg", Content::Refusal(String::new())),
            // Its text has an owner even where there is no state behind it.
            Open::Reasoning => {
                let encrypted = Opaque::made_by(&identity.owner, "").tagged();
                ("rs", Content::Reasoning { text: String::new(), encrypted: Some(encrypted) })
            }
            Open::Redacted(opaque) => {
                ("rs", Content::Reasoning { text: String::new(), encrypted: Some(redacted(opaque)) })
            }
            Open::ToolUse { id, name, kind } => {
                let tool = identity.tool_names.client(name);
                let tool = ClientTool { kind: if *kind == ToolKind::Custom { *kind } else { tool.kind }, ..tool };
                let prefix = if tool.kind == ToolKind::Custom { "ctc" } else { "fc" };
                let wrapped = *kind == ToolKind::Function && tool.kind == ToolKind::Custom;
                (prefix, Content::Call { call_id: id.clone(), tool, input: String::new(), wrapped })
            }
        };
        Self { id: format!("{prefix}_{}{number}", identity.id), content, closed: false, cut: false }
    }

    /// Whether it is a function's call whose arguments break off.
    pub fn is_cut(&self) -> bool {
        match &self.content {
            Content::Call { tool, input, .. } if tool.kind == ToolKind::Function && !input.is_empty() => {
                serde_json::from_str::<serde::de::IgnoredAny>(input).is_err()
            }
            _ => false,
        }
    }

    /// The item as it is now: empty when it is `added`, else with `status`.
    pub fn json(&self, added: bool, status: &str) -> String {
        let id = ("id", quoted(&self.id));
        let status = ("status", quoted(status));
        match &self.content {
            Content::Text { .. } | Content::Refusal(_) => {
                let content = if added { Vec::new() } else { vec![self.part(false)] };
                object(&[
                    id,
                    ("type", quoted("message")),
                    status,
                    ("role", quoted("assistant")),
                    ("content", array(&content)),
                ])
            }
            Content::Reasoning { text, encrypted } => {
                let summary = if added || text.is_empty() { Vec::new() } else { vec![self.part(false)] };
                let mut members = vec![id, ("type", quoted("reasoning")), status, ("summary", array(&summary))];
                let encrypted = encrypted.as_deref().filter(|_| !added);
                members.push(("encrypted_content", encrypted.map_or("null".to_owned(), quoted)));
                object(&members)
            }
            Content::Call { call_id, tool, input, .. } => {
                let custom = tool.kind == ToolKind::Custom;
                let input = if added { "" } else { input };
                let (kind, field) = if custom { ("custom_tool_call", "input") } else { ("function_call", "arguments") };
                let mut members = vec![
                    id,
                    ("type", quoted(kind)),
                    status,
                    ("call_id", quoted(call_id)),
                    ("name", quoted(&tool.name)),
                    (field, quoted(input)),
                ];
                members.extend(tool.namespace.as_deref().map(|namespace| ("namespace", quoted(namespace))));
                object(&members)
            }
        }
    }

    /// The one part of a message, or of a summary; empty when it is `added`.
    pub fn part(&self, added: bool) -> String {
        match &self.content {
            _ if added => match &self.content {
                Content::Text { .. } => object(&[
                    ("type", quoted("output_text")),
                    ("text", quoted("")),
                    ("annotations", array(&[])),
                    ("logprobs", array(&[])),
                ]),
                Content::Refusal(_) => object(&[("type", quoted("refusal")), ("refusal", quoted(""))]),
                _ => object(&[("type", quoted("summary_text")), ("text", quoted(""))]),
            },
            Content::Text { text, annotations, logprobs, .. } => object(&[
                ("type", quoted("output_text")),
                ("text", quoted(text)),
                ("annotations", array(annotations)),
                ("logprobs", array(logprobs)),
            ]),
            Content::Refusal(text) => object(&[("type", quoted("refusal")), ("refusal", quoted(text))]),
            Content::Reasoning { text, .. } => object(&[("type", quoted("summary_text")), ("text", quoted(text))]),
            Content::Call { .. } => object(&[]),
        }
    }

    /// Takes the text out of the arguments of a function that stands for a custom tool.
    pub fn unwrap_input(&mut self) {
        let Content::Call { input, wrapped, .. } = &mut self.content else { return };
        if std::mem::take(wrapped) {
            *input = unwrapped_input(input);
        }
    }
}

/// An annotation of a text of `length` characters; `None` where responses cannot say it.
pub(super) fn annotation(citation: &Citation, length: usize) -> Option<String> {
    let url = citation.url.as_deref()?;
    let (start, end) = citation.range.unwrap_or((0, u64::try_from(length).unwrap_or(u64::MAX)));
    Some(object(&[
        ("type", quoted("url_citation")),
        ("url", quoted(url)),
        ("title", quoted(citation.title.as_deref().unwrap_or_default())),
        ("start_index", start.to_string()),
        ("end_index", end.to_string()),
    ]))
}

/// What is read of an annotation.
#[derive(Debug, Default, Deserialize)]
struct Annotation<'a> {
    #[serde(borrow, default)]
    url: Option<&'a RawValue>,
    #[serde(borrow, default)]
    title: Option<&'a RawValue>,
    #[serde(borrow, default)]
    filename: Option<&'a RawValue>,
    #[serde(borrow, default)]
    start_index: Option<&'a RawValue>,
    #[serde(borrow, default)]
    end_index: Option<&'a RawValue>,
}

/// Reads an annotation; `None`: it is no object.
pub(super) fn citation(raw: &RawValue) -> Option<Citation> {
    let annotation: Annotation<'_> = serde_json::from_str(raw.get()).ok()?;
    let string = |json: Option<&RawValue>| json_text::text(json?.get());
    let index = |json: Option<&RawValue>| json.and_then(|json| json.get().parse::<u64>().ok());
    Some(Citation {
        url: string(annotation.url),
        title: string(annotation.title).or_else(|| string(annotation.filename)),
        cited_text: None,
        range: index(annotation.start_index).zip(index(annotation.end_index)),
        raw: raw.get().to_owned(),
    })
}
