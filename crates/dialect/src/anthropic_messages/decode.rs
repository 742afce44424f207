//! A client's request into the pivot.

mod content;

use crate::canonical::{
    ClientTool, Effort, Format, Losses, MAX_TOOLS, Metadata, Reasoning, ReasoningMode, Request, Role, Sampling, Tool,
    ToolChoice, ToolKind, ToolNames, Turn, refused,
};
use crate::envelope::Envelope;
use crate::request::{Facts, RequestError, as_string};

use content::{Reader, cache_mark};

/// Fields that are read here, or by the gateway before, or mean nothing for the answer.
const KNOWN_FIELDS: [&str; 17] = [
    "cache_control",
    "max_tokens",
    "messages",
    "metadata",
    "model",
    "output_config",
    "output_format",
    "service_tier",
    "stop_sequences",
    "stream",
    "system",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
    "top_p",
];

/// Members of a tool that are read.
const TOOL_FIELDS: [&str; 6] = ["name", "description", "input_schema", "type", "strict", "cache_control"];

/// Reads a request that `MessagesRequest::parse` has accepted.
///
/// # Errors
/// [`RequestError`] where it is wrong, or means something that no other dialect can say.
pub(super) fn request(envelope: &Envelope<'_>, facts: &Facts<'_>) -> Result<Request, RequestError> {
    // To fill a cache and answer nothing is what no other dialect can say.
    if facts.max_output == Some(0) {
        return Err(refused("max_tokens"));
    }
    let mut losses = Losses::default();
    for (key, value) in envelope.members() {
        if value != "null" && !KNOWN_FIELDS.contains(&key) {
            losses.add(key);
        }
    }
    let mut tool_names = ToolNames::default();
    let tools = tools(envelope, &mut tool_names, &mut losses)?;
    let (tool_choice, parallel_tool_calls) = tool_choice(envelope, &tool_names, &mut losses)?;
    let mut reader = Reader { names: &tool_names, losses: &mut losses };
    let instructions = match envelope.present("system") {
        Some(system) => reader.content("system", system)?,
        None => Vec::new(),
    };
    let turns = turns(envelope, &mut reader)?;
    let number = |key: &str| envelope.present(key).map(str::to_owned);
    let (reasoning, format) = reasoning_and_format(envelope, &mut losses)?;
    let stop = envelope.array("stop_sequences")?.unwrap_or_default();
    Ok(Request {
        instructions,
        turns,
        tools,
        tool_choice,
        parallel_tool_calls,
        max_output: facts.max_output,
        sampling: Sampling {
            temperature: number("temperature"),
            top_p: number("top_p"),
            top_k: number("top_k"),
            ..Sampling::default()
        },
        stop: stop.into_iter().map(stop_sequence).collect::<Result<_, _>>()?,
        reasoning,
        format,
        metadata: metadata(envelope, &mut losses)?,
        cache: cache_mark(envelope),
        stream: facts.stream,
        tool_names,
        losses,
        ..Request::default()
    })
}

fn stop_sequence(json: &str) -> Result<String, RequestError> {
    let text = as_string(json).ok_or_else(|| RequestError::wrong_type("stop_sequences", "an array of strings"))?;
    Ok(text.into_owned())
}

/// An object member; `None` when absent or `null`.
fn object<'a>(envelope: &Envelope<'a>, key: &str) -> Result<Option<Envelope<'a>>, RequestError> {
    let read =
        |json| Envelope::parse(json).map_err(|_| RequestError::wrong_type(key, "an object with each field once"));
    envelope.present(key).map(read).transpose()
}

fn turns(envelope: &Envelope<'_>, reader: &mut Reader<'_>) -> Result<Vec<Turn>, RequestError> {
    let mut turns = Vec::new();
    for (at, message) in envelope.array("messages")?.unwrap_or_default().into_iter().enumerate() {
        let path = format!("messages[{at}]");
        let message =
            Envelope::parse(message).map_err(|_| RequestError::wrong_type(&path, "an object with each field once"))?;
        let role = match message.string("role")?.as_deref() {
            Some("assistant") => Role::Assistant,
            Some("system") => Role::System,
            _ => Role::User,
        };
        for (key, value) in message.members() {
            if value != "null" && !matches!(key, "role" | "content" | "id" | "type") {
                reader.losses.add(&format!("messages.{key}"));
            }
        }
        let content = message.present("content").unwrap_or("\"\"");
        turns.push(Turn { role, blocks: reader.content(&format!("{path}.content"), content)? });
    }
    Ok(turns)
}

fn tools(envelope: &Envelope<'_>, names: &mut ToolNames, losses: &mut Losses) -> Result<Vec<Tool>, RequestError> {
    let mut tools = Vec::new();
    for (at, json) in envelope.array("tools")?.unwrap_or_default().into_iter().enumerate() {
        if at >= MAX_TOOLS {
            return Err(RequestError::field("tools", format!("there may be at most {MAX_TOOLS} tools")));
        }
        let path = format!("tools[{at}]");
        let tool =
            Envelope::parse(json).map_err(|_| RequestError::wrong_type(&path, "an object with each field once"))?;
        // A tool with a version has no schema of its own: only its vendor's models know it.
        if !matches!(tool.string("type")?.as_deref(), None | Some("custom")) {
            return Err(refused(&format!("{path}.type")));
        }
        let name = tool.string("name")?.ok_or_else(|| RequestError::missing(&format!("{path}.name")))?;
        for (key, value) in tool.members() {
            if !TOOL_FIELDS.contains(&key) && !matches!(value, "null" | "false" | "[]") {
                losses.add(&format!("tools.{key}"));
            }
        }
        tools.push(Tool {
            name: names.declare(ClientTool { name: name.into_owned(), ..ClientTool::default() }),
            description: tool.string("description")?.map(|text| text.into_owned()),
            kind: ToolKind::Function,
            schema: tool.present("input_schema").map(str::to_owned),
            strict: tool.boolean("strict")?,
            cache: cache_mark(&tool),
        });
    }
    Ok(tools)
}

fn tool_choice(
    envelope: &Envelope<'_>,
    names: &ToolNames,
    losses: &mut Losses,
) -> Result<(Option<ToolChoice>, Option<bool>), RequestError> {
    let Some(choice) = object(envelope, "tool_choice")? else { return Ok((None, None)) };
    for (key, _) in choice.members() {
        if !matches!(key, "type" | "name" | "disable_parallel_tool_use") {
            losses.add(&format!("tool_choice.{key}"));
        }
    }
    let kind = match choice.string("type")?.as_deref() {
        Some("auto") => ToolChoice::Auto,
        Some("any") => ToolChoice::Required,
        Some("none") => ToolChoice::None,
        Some("tool") => {
            let name = choice.string("name")?.ok_or_else(|| RequestError::missing("tool_choice.name"))?;
            ToolChoice::Named(names.upstream_name(&name, None))
        }
        _ => return Err(RequestError::wrong_type("tool_choice.type", "auto, any, tool or none")),
    };
    Ok((Some(kind), choice.boolean("disable_parallel_tool_use")?.map(|disabled| !disabled)))
}

/// How much to reason, and the form of the answer: `thinking`, `output_config` and the older
/// `output_format`.
fn reasoning_and_format(
    envelope: &Envelope<'_>,
    losses: &mut Losses,
) -> Result<(Option<Reasoning>, Option<Format>), RequestError> {
    let mut reasoning = match object(envelope, "thinking")? {
        Some(thinking) => Some(read_thinking(&thinking, losses)?),
        None => None,
    };
    let mut format = envelope.present("output_format").map(read_format).transpose()?;
    if let Some(config) = object(envelope, "output_config")? {
        for (key, value) in config.members().filter(|(_, value)| *value != "null") {
            match key {
                "effort" => match as_string(value).as_deref().and_then(Effort::parse) {
                    Some(effort) => reasoning.get_or_insert_default().effort = Some(effort),
                    None => losses.add("output_config.effort"),
                },
                "format" => format = Some(read_format(value)?),
                key => losses.add(&format!("output_config.{key}")),
            }
        }
    }
    Ok((reasoning, format))
}

fn read_thinking(thinking: &Envelope<'_>, losses: &mut Losses) -> Result<Reasoning, RequestError> {
    let mode = match thinking.string("type")?.as_deref() {
        Some("enabled") => ReasoningMode::Enabled,
        Some("adaptive") => ReasoningMode::Adaptive,
        Some("disabled") => ReasoningMode::Disabled,
        _ => {
            // `between_tools`, and what comes after it: where a model reasons is its own choice elsewhere.
            losses.add("thinking.type");
            ReasoningMode::Adaptive
        }
    };
    let shown = match thinking.string("display")?.as_deref() {
        Some("omitted") => Some(false),
        Some("summarized") => Some(true),
        Some(_) => {
            losses.add("thinking.display");
            None
        }
        None => None,
    };
    for (key, value) in thinking.members() {
        if value != "null" && !matches!(key, "type" | "budget_tokens" | "display") {
            losses.add(&format!("thinking.{key}"));
        }
    }
    Ok(Reasoning { mode, effort: None, budget_tokens: thinking.positive("budget_tokens")?, shown })
}

fn read_format(json: &str) -> Result<Format, RequestError> {
    let wrong = || RequestError::wrong_type("output_config.format", "a format of type json_schema with its schema");
    let format = Envelope::parse(json).map_err(|_| wrong())?;
    let schema =
        format.present("schema").filter(|_| format.get("type") == Some("\"json_schema\"")).ok_or_else(wrong)?;
    let name = format.string("name")?.map(|name| name.into_owned());
    Ok(Format::JsonSchema { name, description: None, schema: schema.to_owned(), strict: Some(true) })
}

fn metadata(envelope: &Envelope<'_>, losses: &mut Losses) -> Result<Metadata, RequestError> {
    let Some(metadata) = object(envelope, "metadata")? else { return Ok(Metadata::default()) };
    for key in metadata.keys().filter(|key| *key != "user_id") {
        losses.add(&format!("metadata.{key}"));
    }
    let user = metadata.string("user_id")?.map(|user| user.into_owned());
    Ok(Metadata { user, labels: None })
}

#[cfg(test)]
mod tests;
