//! The pieces of an answer as a client reads them, alike in chunks and in whole answers.

use serde_json::value::RawValue;

use super::object::{Object, object, raw};
use crate::canonical::{Citation, ClientTool, Opaque, ToolKind, ToolNames};

/// The annotation for a citation; `None` where it names no address. `text_start`: where its text begins
/// in the content, in characters.
pub(super) fn annotation(citation: &Citation, text_start: u64) -> Option<Object> {
    let mut fields = Object::default();
    let (start, end) = citation.range.unwrap_or_default();
    fields.set("start_index", &text_start.saturating_add(start));
    fields.set("end_index", &text_start.saturating_add(end));
    fields.set("url", citation.url.as_ref()?);
    // The member is required, and a page may have no title.
    fields.set("title", citation.title.as_deref().unwrap_or_default());
    Some(object([("type", &"url_citation"), ("url_citation", &fields)]))
}

/// The detail of reasoning that is shown: its whole text, and the state with the tag of its owner.
pub(super) fn reasoning_detail(text: &str, opaque: &Opaque, index: u64) -> Object {
    object([("type", &"reasoning.text"), ("text", &text), ("signature", &opaque.tagged()), ("index", &index)])
}

/// The detail of reasoning that is not shown.
pub(super) fn redacted_detail(opaque: &Opaque, index: u64) -> Object {
    object([("type", &"reasoning.encrypted"), ("data", &opaque.tagged()), ("index", &index)])
}

/// A tool as the client called it, and whether its input must be taken out of the JSON in which an
/// upstream that knows functions alone was told to put it.
pub(super) fn called(names: &ToolNames, name: &str, kind: ToolKind) -> (ClientTool, bool) {
    let mut client = names.client(name);
    let wrapped = client.kind == ToolKind::Custom && kind == ToolKind::Function;
    if kind == ToolKind::Custom {
        client.kind = kind;
    }
    (client, wrapped)
}

/// The arguments of a function: other dialects say nothing where it takes none, and this one's clients
/// read JSON. What the output limit cut off stays as it is.
pub(super) fn whole_input<'a>(input: &'a str, finish_reason: &str) -> &'a str {
    if input.trim().is_empty() && finish_reason != "length" { "{}" } else { input }
}

/// What is called and with what.
pub(super) fn call(id: &str, tool: &ClientTool, input: &str) -> Object {
    match tool.kind {
        ToolKind::Function => {
            let function = object([("name", &tool.name), ("arguments", &input)]);
            object([("id", &id), ("type", &"function"), ("function", &function)])
        }
        ToolKind::Custom => {
            let custom = object([("name", &tool.name), ("input", &input)]);
            object([("id", &id), ("type", &"custom"), ("custom", &custom)])
        }
    }
}

/// `{"content": […], "refusal": null}`
pub(super) fn logprobs(tokens: &[String]) -> Object {
    let tokens: Vec<Box<RawValue>> = tokens.iter().filter_map(|token| raw(token)).collect();
    object([("content", &tokens), ("refusal", &())])
}
