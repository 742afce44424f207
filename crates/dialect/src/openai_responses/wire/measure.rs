//! How large the input of a request is.

use super::CLIENT_RUN;
use crate::envelope::Envelope;
use crate::measure::InputMeasure;
use crate::openai_responses::fields::LEFT_OUT;
use crate::openai_responses::tools::{Fate, fate, within};
use crate::policy::{self, no_state, not_priced};
use crate::request::{RequestError, as_array, as_string};

/// Tokens that a provider puts around one item, and around the request.
const ITEM_OVERHEAD: u64 = 8;
/// Tokens of the instructions that a provider adds when tools are given: the largest that a provider
/// documents is about 700.
const TOOLS_OVERHEAD: u64 = 800;

/// Measures a request, and refuses what in its items is priced otherwise or names state at a provider.
pub(super) fn measure(envelope: &Envelope<'_>) -> Result<InputMeasure, RequestError> {
    let mut input = InputMeasure::default();
    input.exact(ITEM_OVERHEAD);
    let given = envelope.present("input").ok_or_else(|| RequestError::missing("input"))?;
    if given.starts_with('"') {
        input.text(as_string(given).as_deref().unwrap_or(given));
    } else {
        let items = as_array(given).ok_or_else(|| RequestError::wrong_type("input", "a string or an array"))?;
        if items.is_empty() {
            return Err(RequestError::field("input", "the field `input` must not be empty"));
        }
        for (at, item) in items.into_iter().enumerate() {
            measure_item(&mut input, &format!("input[{at}]"), item)?;
        }
    }
    if let Some(instructions) = envelope.string("instructions")? {
        input.text(&instructions);
    }
    for (key, value) in envelope.members().filter(|(_, value)| *value != "null") {
        match key {
            "input" | "instructions" | "model" => {}
            "tools" => {
                input.exact(TOOLS_OVERHEAD);
                input.text(value);
            }
            "text" => input.text(value),
            _ => input.beside(value),
        }
    }
    Ok(input)
}

fn measure_item(input: &mut InputMeasure, path: &str, json: &str) -> Result<(), RequestError> {
    let item = Envelope::parse(json).map_err(|_| RequestError::wrong_type(path, "an object with each field once"))?;
    let kind = item.string("type").map_err(|error| within(path, error))?;
    let is_message = kind.is_none() && item.present("role").is_some();
    input.exact(ITEM_OVERHEAD);
    let measured_apart = match kind.as_deref() {
        Some("function_call_output" | "custom_tool_call_output") => "output",
        None | Some("message" | "agent_message") => "content",
        _ => "",
    };
    if !measured_apart.is_empty() {
        item.members().filter(|(key, _)| *key != measured_apart).for_each(|(_, value)| input.beside(value));
    }
    match kind.as_deref() {
        _ if is_message => measure_content(input, path, "content", &item),
        Some("message" | "agent_message") => measure_content(input, path, "content", &item),
        // Without a type and a role it is a reference as well.
        None | Some("item_reference") => Err(no_state(path)),
        Some("function_call" | "custom_tool_call") => {
            input.text(json);
            Ok(())
        }
        Some("function_call_output" | "custom_tool_call_output") => measure_content(input, path, "output", &item),
        Some("reasoning" | "compaction") => {
            for (key, value) in item.members() {
                if key == "encrypted_content" {
                    // Four letters of base64 are three bytes, and a token is seldom less than that.
                    input.exact(u64::try_from(value.len()).unwrap_or(u64::MAX).div_ceil(4));
                } else {
                    input.text(value);
                }
            }
            Ok(())
        }
        // A run of the model of its own, see `check_context`.
        Some("compaction_trigger") => Err(not_priced(path)),
        // Tools that come within the conversation are tools like those at the top.
        Some("additional_tools" | "tool_search_output") => {
            for (at, tool) in item.array("tools")?.unwrap_or_default().into_iter().enumerate() {
                let path = format!("{path}.tools[{at}]");
                if fate(&path, tool)? == Fate::LeftOut {
                    return Err(not_priced(&path));
                }
            }
            input.text(json);
            Ok(())
        }
        Some(kind @ "web_search_call") => {
            policy::check_part(path, kind, json)?;
            input.text(json);
            Ok(())
        }
        // Nothing of it is sent.
        Some(kind) if LEFT_OUT.contains(&kind) => policy::check_part(path, kind, json).map(|_| ()),
        Some(kind) if CLIENT_RUN.contains(&kind) => {
            if json.contains("container") {
                policy::check_part(path, kind, json)?;
            }
            input.text(json);
            Ok(())
        }
        Some(kind) => {
            match policy::check_part(path, kind, json)? {
                policy::Media::Images => input.image(),
                policy::Media::Unmeasured => input.unmeasured(),
            }
            Ok(())
        }
    }
}

fn measure_content(input: &mut InputMeasure, path: &str, key: &str, item: &Envelope<'_>) -> Result<(), RequestError> {
    let path = format!("{path}.{key}");
    let content = item.present(key).ok_or_else(|| RequestError::missing(&path))?;
    if content.starts_with('"') {
        // A lone surrogate is no text that can be read: its bytes bound its tokens.
        input.text(as_string(content).as_deref().unwrap_or(content));
        return Ok(());
    }
    let parts = as_array(content).ok_or_else(|| RequestError::wrong_type(&path, "a string or an array of parts"))?;
    for (at, part) in parts.into_iter().enumerate() {
        let path = format!("{path}[{at}]");
        let fields =
            Envelope::parse(part).map_err(|_| RequestError::wrong_type(&path, "an object with each field once"))?;
        match fields.string("type").map_err(|error| within(&path, error))?.as_deref() {
            Some(
                "input_text" | "output_text" | "text" | "refusal" | "summary_text" | "reasoning_text"
                | "encrypted_content",
            ) => {
                input.text(part);
            }
            Some(kind) => match policy::check_part(&path, kind, part)? {
                policy::Media::Images => {
                    input.image();
                    policy::measure_beside(input, "", part);
                }
                policy::Media::Unmeasured => input.unmeasured(),
            },
            None => return Err(RequestError::missing(&format!("{path}.type"))),
        }
    }
    Ok(())
}
