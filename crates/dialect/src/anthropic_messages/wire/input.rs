//! How much input a messages request carries, and that no part of it names state at a provider.

use crate::envelope::Envelope;
use crate::measure::InputMeasure;
use crate::policy::{self, Media};
use crate::request::{RequestError, as_array, as_string};

/// Tokens that a provider puts around one message, and around the request.
const MESSAGE_OVERHEAD: u64 = 8;
/// Tokens of the instructions that a provider adds when tools are given: the largest that a provider
/// documents is about 700.
const TOOLS_OVERHEAD: u64 = 800;
/// How deep content is nested: results of tools hold documents, which hold blocks.
const MAX_DEPTH: usize = 4;

/// Measures system, messages and tools.
pub fn measure(envelope: &Envelope<'_>, messages: &[&str]) -> Result<InputMeasure, RequestError> {
    let mut input = InputMeasure::default();
    if let Some(system) = envelope.present("system") {
        input.exact(MESSAGE_OVERHEAD);
        content(&mut input, "system", system, MAX_DEPTH)?;
    }
    for (at, message) in messages.iter().enumerate() {
        let path = format!("messages[{at}]");
        let message =
            Envelope::parse(message).map_err(|_| RequestError::wrong_type(&path, "an object with each field once"))?;
        let role = message.string("role")?.ok_or_else(|| RequestError::missing(&format!("{path}.role")))?;
        if !matches!(role.as_ref(), "user" | "assistant" | "system") {
            return Err(RequestError::wrong_type(&format!("{path}.role"), "user, assistant or system"));
        }
        if message.present("content").is_none() {
            return Err(RequestError::missing(&format!("{path}.content")));
        }
        input.exact(MESSAGE_OVERHEAD);
        for (key, value) in message.members().filter(|(_, value)| *value != "null") {
            if key == "content" {
                content(&mut input, &format!("{path}.content"), value, MAX_DEPTH)?;
            } else {
                policy::check_message_field(&path, key)?;
                input.text(value);
            }
        }
    }
    for (key, value) in envelope.members().filter(|(_, value)| *value != "null") {
        match key {
            "system" | "messages" | "model" => {}
            "tools" => {
                input.exact(TOOLS_OVERHEAD);
                input.text(value);
            }
            "output_config" | "output_format" => input.text(value),
            _ => input.beside(value),
        }
    }
    Ok(input)
}

fn content(input: &mut InputMeasure, path: &str, json: &str, depth: usize) -> Result<(), RequestError> {
    if let Some(text) = as_string(json) {
        input.text(&text);
        return Ok(());
    }
    // A lone surrogate is no text that can be read, but it is a string: its bytes bound its tokens.
    if json.starts_with('"') {
        input.text(json);
        return Ok(());
    }
    let Some(deeper) = depth.checked_sub(1) else {
        return Err(RequestError::field(path, "the content is nested too deep"));
    };
    let blocks = as_array(json).ok_or_else(|| RequestError::wrong_type(path, "a string or an array of blocks"))?;
    for (at, json) in blocks.into_iter().enumerate() {
        let path = format!("{path}[{at}]");
        block(input, &path, json, deeper)?;
    }
    Ok(())
}

fn block(input: &mut InputMeasure, path: &str, json: &str, depth: usize) -> Result<(), RequestError> {
    let fields = Envelope::parse(json).map_err(|_| RequestError::wrong_type(path, "an object with each field once"))?;
    let kind = fields.string("type")?.ok_or_else(|| RequestError::missing(&format!("{path}.type")))?;
    match kind.as_ref() {
        "text" | "thinking" | "redacted_thinking" | "tool_use" | "search_result" | "tool_reference"
        | "browser_state" => input.text(json),
        "tool_result" => {
            fields.members().filter(|(key, _)| *key != "content").for_each(|(_, value)| input.text(value));
            if let Some(inner) = fields.present("content") {
                content(input, &format!("{path}.content"), inner, depth)?;
            }
        }
        "document" => document(input, path, json, &fields, depth)?,
        "tool_addition" | "tool_removal" => {
            check_change(path, &fields)?;
            input.text(json);
        }
        "compaction" => {
            for (at, change) in fields.array("tool_changes")?.unwrap_or_default().into_iter().enumerate() {
                let path = format!("{path}.tool_changes[{at}]");
                check_change(&path, &object(&path, change)?)?;
            }
            // Its encrypted content is longer than what it stands for.
            policy::check_part(path, &kind, json)?;
            input.text(json);
        }
        "container_upload" => return Err(policy::no_state(path)),
        kind => match policy::check_part(path, kind, json)? {
            Media::Images => {
                input.image();
                policy::measure_beside(input, "", json);
            }
            // What the provider itself said is text, however it is packed; what it fetched may be a document.
            Media::Unmeasured if kind == "web_fetch_tool_result" => input.unmeasured(),
            Media::Unmeasured if kind == "server_tool_use" || kind.ends_with("_tool_result") => input.text(json),
            Media::Unmeasured => input.unmeasured(),
        },
    }
    Ok(())
}

/// Checks a change of the tools within the conversation: one that defines a tool is as one at the top.
fn check_change(path: &str, change: &Envelope<'_>) -> Result<(), RequestError> {
    let path = format!("{path}.tool");
    let Some(tool) = change.present("tool") else { return Ok(()) };
    match object(&path, tool)?.present("definition") {
        Some(definition) => super::check_tool(&format!("{path}.definition"), definition),
        None => Ok(()),
    }
}

fn object<'a>(path: &str, json: &'a str) -> Result<Envelope<'a>, RequestError> {
    Envelope::parse(json).map_err(|_| RequestError::wrong_type(path, "an object with each field once"))
}

fn document(
    input: &mut InputMeasure,
    path: &str,
    json: &str,
    fields: &Envelope<'_>,
    depth: usize,
) -> Result<(), RequestError> {
    let path = format!("{path}.source");
    let source = fields.present("source").ok_or_else(|| RequestError::missing(&path))?;
    let source =
        Envelope::parse(source).map_err(|_| RequestError::wrong_type(&path, "an object with each field once"))?;
    match source.string("type")?.as_deref() {
        Some("text") => input.text(json),
        Some("content") => {
            content(input, &format!("{path}.content"), source.present("content").unwrap_or("\"\""), depth)?;
        }
        _ => {
            policy::check_part(&path, "document", source.source())?;
            input.unmeasured();
        }
    }
    for (key, value) in fields.members().filter(|(key, value)| *key != "source" && *value != "null") {
        match key {
            "title" | "context" => input.text(value),
            _ => input.beside(value),
        }
    }
    Ok(())
}
