//! Shapes of other dialects in a chat request, as Cursor sends them: what they are told by, and how they
//! are measured.

use super::wire::measure_content;
use crate::envelope::Envelope;
use crate::measure::InputMeasure;
use crate::policy;
use crate::request::{RequestError, as_array, as_string};

/// Parts that no chat request has: blocks of Anthropic's, parts of responses.
const FOREIGN_PARTS: [&str; 9] = [
    "document",
    "image",
    "input_file",
    "input_image",
    "input_text",
    "output_text",
    "redacted_thinking",
    "tool_result",
    "tool_use",
];

/// Items of a responses body that are words and JSON, and so measured by their length.
const TEXT_ITEMS: [&str; 5] =
    ["custom_tool_call", "custom_tool_call_output", "function_call", "function_call_output", "reasoning"];

/// Whether the body is one of `/v1/responses`, as Cursor posts them to the address of chat completions.
#[must_use]
pub fn is_responses_body(envelope: &Envelope<'_>) -> bool {
    let messages = envelope.present("messages");
    let no_messages = messages.is_none_or(|json| as_array(json).is_some_and(|messages| messages.is_empty()));
    no_messages && envelope.present("input").is_some()
}

/// Whether a tool stands in the flat form of responses or in Anthropic's.
pub(super) fn has_foreign_tools(envelope: &Envelope<'_>) -> Result<bool, RequestError> {
    let is_flat = |json: &str| {
        let fields = Envelope::parse(json).ok();
        fields.is_some_and(|tool| tool.present("name").is_some() && tool.present("function").is_none())
    };
    Ok(envelope.array("tools")?.unwrap_or_default().into_iter().any(is_flat))
}

/// Whether a part is of another dialect. Mistral has a part `thinking` too, whose content is an array.
pub(super) fn is_foreign_part(kind: &str, fields: &Envelope<'_>) -> bool {
    let words = || fields.present("thinking").is_some_and(|thinking| thinking.starts_with('"'));
    FOREIGN_PARTS.contains(&kind) || (kind == "thinking" && words())
}

/// Measures an Anthropic `tool_result`.
pub(super) fn measure_result(input: &mut InputMeasure, path: &str, fields: &Envelope<'_>) -> Result<(), RequestError> {
    fields.members().filter(|(key, _)| *key != "content").for_each(|(_, value)| input.text(value));
    let Some(content) = fields.present("content") else { return Ok(()) };
    let is_result = |part: &str| {
        let fields = Envelope::parse(part).ok();
        let kind = fields.as_ref().and_then(|part| part.present("type")).and_then(as_string);
        kind.is_some_and(|kind| kind == "tool_result")
    };
    if as_array(content).is_some_and(|parts| parts.into_iter().any(is_result)) {
        return Err(RequestError::field(path, "a tool's result holds another"));
    }
    measure_content(input, &format!("{path}.content"), content, &mut true)
}

/// Measures the `input` of a responses body, and refuses items that name state at a provider.
pub(super) fn measure_items(input: &mut InputMeasure, json: &str) -> Result<(), RequestError> {
    let Some(items) = as_array(json) else {
        if !json.starts_with('"') {
            return Err(RequestError::wrong_type("input", "a string or an array of items"));
        }
        input.text(&as_string(json).unwrap_or_else(|| json.into()));
        return Ok(());
    };
    for (at, json) in items.into_iter().enumerate() {
        let path = format!("input[{at}]");
        let item =
            Envelope::parse(json).map_err(|_| RequestError::wrong_type(&path, "an object with each field once"))?;
        match (item.string("type")?.as_deref(), item.present("content")) {
            (None | Some("message"), Some(content)) => {
                measure_content(input, &format!("{path}.content"), content, &mut true)?;
            }
            (Some("item_reference"), _) => {
                return Err(RequestError::field(
                    format!("{path}.type"),
                    format!("`{path}` names something stored at a provider, which is not available here"),
                ));
            }
            (Some(kind), _) if TEXT_ITEMS.contains(&kind) => match item.present("output") {
                Some(output) => measure_content(input, &format!("{path}.output"), output, &mut true)?,
                None => input.text(json),
            },
            (kind, _) => match policy::check_part(&path, kind.unwrap_or_default(), json)? {
                policy::Media::Images => input.image(),
                policy::Media::Unmeasured => input.unmeasured(),
            },
        }
    }
    Ok(())
}
