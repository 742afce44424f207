//! A content block of an answer, as it begins in a stream or stands whole in an answer.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::canonical::{Citation, Delta, Opaque, Open, Owner, ToolKind, UpstreamError};
use crate::json_text;

/// A block that begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// One that other dialects know.
    Block {
        /// What it is.
        open: Open,
        /// What it holds from its beginning.
        deltas: Vec<Delta>,
        /// The input of a tool's call, where it is not empty: it stands for deltas that never come.
        input: Option<String>,
    },
    /// One that no other dialect can hold, by its name.
    Lost(&'static str),
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow, default)]
    r#type: Option<&'a RawValue>,
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
    #[serde(borrow, default)]
    citations: Option<&'a RawValue>,
    #[serde(borrow, default)]
    thinking: Option<&'a RawValue>,
    #[serde(borrow, default)]
    signature: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    name: Option<&'a RawValue>,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
}

/// The JSON object as a `T`; `None` where it is none. (Alone, `serde` takes an array for a struct too.)
pub fn object<'a, T: Deserialize<'a>>(json: &'a str) -> Option<T> {
    if json.trim_start().starts_with('{') { serde_json::from_str(json).ok() } else { None }
}

/// Reads the block `json`, whose state is that of `owner`.
///
/// # Errors
/// [`UpstreamError`]: it is no block.
pub fn begin(json: &str, owner: &Owner) -> Result<Begun, UpstreamError> {
    let wire: Wire<'_> = object(json).ok_or(UpstreamError)?;
    let string = |json: Option<&RawValue>| json.and_then(|json| json_text::text(json.get())).unwrap_or_default();
    let text_delta = |text: String| if text.is_empty() { Vec::new() } else { vec![Delta::Text(text)] };
    let block = |open, deltas| Begun::Block { open, deltas, input: None };
    Ok(match string(wire.r#type).as_str() {
        "text" => {
            let mut deltas = text_delta(string(wire.text));
            let citations = wire.citations.and_then(|json| crate::request::as_array(json.get())).unwrap_or_default();
            deltas.extend(citations.into_iter().map(|json| Delta::Citation(citation(json))));
            block(Open::Text, deltas)
        }
        "thinking" => {
            let mut deltas = text_delta(string(wire.thinking));
            let signature = string(wire.signature);
            deltas.extend((!signature.is_empty()).then(|| Delta::Opaque(Opaque::made_by(owner, signature))));
            block(Open::Reasoning, deltas)
        }
        "redacted_thinking" => block(Open::Redacted(Opaque::made_by(owner, string(wire.data))), Vec::new()),
        "tool_use" => {
            let input = wire.input.map(|json| json.get().to_owned());
            Begun::Block {
                open: Open::ToolUse { id: string(wire.id), name: string(wire.name), kind: ToolKind::Function },
                deltas: Vec::new(),
                input: input.filter(|json| !is_empty_object(json)),
            }
        }
        kind => Begun::Lost(lost_name(kind)),
    })
}

/// The name under which a block that cannot be told is counted.
fn lost_name(kind: &str) -> &'static str {
    match kind {
        "server_tool_use" | "mcp_tool_use" => "server_tool_use",
        "container_upload" => "container_upload",
        "compaction" => "compaction",
        _ if kind.ends_with("_tool_result") => "server_tool_result",
        _ => "content_block",
    }
}

/// Whether it is `{}`, `null` or nothing.
fn is_empty_object(json: &str) -> bool {
    matches!(json.trim(), "" | "null")
        || json.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).is_some_and(|inner| inner.trim().is_empty())
}

/// Reads a citation; what it does not know stays in its raw text.
pub fn citation(json: &str) -> Citation {
    #[derive(Default, Deserialize)]
    struct Wire<'a> {
        #[serde(borrow, default)]
        url: Option<&'a RawValue>,
        #[serde(borrow, default)]
        title: Option<&'a RawValue>,
        #[serde(borrow, default)]
        document_title: Option<&'a RawValue>,
        #[serde(borrow, default)]
        cited_text: Option<&'a RawValue>,
    }
    let wire: Wire<'_> = object(json).unwrap_or_default();
    let string = |json: Option<&RawValue>| json.and_then(|json| serde_json::from_str(json.get()).ok());
    Citation {
        url: string(wire.url),
        title: string(wire.title).or_else(|| string(wire.document_title)),
        cited_text: string(wire.cited_text),
        range: None,
        raw: json.to_owned(),
    }
}

/// The citation as this dialect writes it; `None`: it has no form for it.
pub fn citation_json(citation: &Citation) -> Option<String> {
    if is_own_citation(&citation.raw) {
        return Some(citation.raw.clone());
    }
    let url = citation.url.as_deref()?;
    let json = serde_json::json!({
        "type": "web_search_result_location",
        "url": url,
        "title": citation.title,
        "cited_text": citation.cited_text.as_deref().unwrap_or_default(),
        "encrypted_index": "",
    });
    Some(json.to_string())
}

/// Whether it is written in this dialect.
pub fn is_own_citation(raw: &str) -> bool {
    #[derive(Deserialize)]
    struct Wire {
        r#type: String,
    }
    // The names of its kinds all end so: `char_location`, `web_search_result_location` and so on.
    object::<Wire>(raw).is_some_and(|wire| wire.r#type.ends_with("_location"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_read_whole_and_what_nobody_knows_has_a_name() {
        let owner = Owner::new("a1");
        let read = |json: &str| begin(json, &owner).unwrap();
        let Begun::Block { open, deltas, .. } = read(r#"{"type":"thinking","thinking":"hm","signature":"Eq"}"#) else {
            panic!("a block")
        };
        let signed = Delta::Opaque(Opaque::made_by(&owner, "Eq"));
        assert_eq!((open, deltas), (Open::Reasoning, vec![Delta::Text("hm".into()), signed]));
        let Begun::Block { input, .. } = read(r#"{"type":"tool_use","id":"t","name":"f","input":{"a": 1e400}}"#) else {
            panic!("a block")
        };
        assert_eq!(input.as_deref(), Some(r#"{"a": 1e400}"#));
        for (kind, name) in [
            ("server_tool_use", "server_tool_use"),
            ("web_search_tool_result", "server_tool_result"),
            ("hologram", "content_block"),
        ] {
            assert_eq!(read(&format!(r#"{{"type":"{kind}"}}"#)), Begun::Lost(name));
        }
        assert_eq!(begin("[]", &owner), Err(UpstreamError));
    }

    #[test]
    fn citations_of_the_web_have_a_form_and_others_only_in_their_own_dialect() {
        let own = r#"{"type":"char_location","cited_text":"x","document_title":"T"}"#;
        assert_eq!(citation(own).title.as_deref(), Some("T"));
        assert_eq!(citation_json(&citation(own)).as_deref(), Some(own));
        let web = Citation { url: Some("https://a.b".into()), ..citation(r#"{"type":"url_citation"}"#) };
        assert!(citation_json(&web).unwrap().contains("web_search_result_location"));
        assert_eq!(citation_json(&citation("{}")), None);
    }
}
