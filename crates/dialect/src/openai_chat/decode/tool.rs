//! Tools and the choice of them: chat's own form, the flat form of responses, and Anthropic's.

use super::{needed, object, text};
use crate::canonical::{ClientTool, Losses, MAX_TOOLS, Tool, ToolChoice, ToolKind, ToolNames, refused};
use crate::envelope::Envelope;
use crate::json_text;
use crate::openai_chat::words;
use crate::request::{RequestError, as_array};

/// Where the schema of a function stands, by dialect.
const SCHEMA_FIELDS: [&str; 2] = ["parameters", "input_schema"];

/// The tools of a request, declared in `names`.
pub(super) fn tools(
    envelope: &Envelope<'_>,
    names: &mut ToolNames,
    losses: &mut Losses,
) -> Result<Vec<Tool>, RequestError> {
    let mut tools = Vec::new();
    for field in ["tools", "functions"] {
        for (at, json) in envelope.array(field)?.unwrap_or_default().into_iter().enumerate() {
            if tools.len() >= MAX_TOOLS {
                return Err(RequestError::field("tools", format!("there may be at most {MAX_TOOLS} tools")));
            }
            tools.push(tool(json, &format!("{field}[{at}]"), names, losses)?);
        }
    }
    Ok(tools)
}

fn tool(json: &str, path: &str, names: &mut ToolNames, losses: &mut Losses) -> Result<Tool, RequestError> {
    let outer = object(json, path)?;
    let kind = match text(&outer, "type")?.as_deref() {
        Some("custom") if SCHEMA_FIELDS.iter().all(|field| outer.present(field).is_none()) => ToolKind::Custom,
        _ => ToolKind::Function,
    };
    let member = if kind == ToolKind::Custom { "custom" } else { "function" };
    let path = if outer.present(member).is_some() { format!("{path}.{member}") } else { path.to_owned() };
    let inner = outer.present(member).map(|json| object(json, &path)).transpose()?;
    let fields = inner.as_ref().unwrap_or(&outer);
    let name = needed(fields, &path, "name")?;
    let schema = match kind {
        ToolKind::Function => SCHEMA_FIELDS.iter().find_map(|field| fields.present(field)).map(str::to_owned),
        ToolKind::Custom => fields.present("format").map(flat_format),
    };
    for (of, known) in [(Some(&outer), &["type", "function", "custom", "cache_control"][..]), (inner.as_ref(), &[])] {
        let known = known.iter().chain(&["name", "description", "strict", "parameters", "input_schema", "format"]);
        let known: Vec<&&str> = known.collect();
        let unknown = of.into_iter().flat_map(Envelope::members);
        unknown
            .filter(|(key, value)| !matches!(*value, "null" | "false") && !known.iter().any(|name| **name == *key))
            .for_each(|(key, _)| losses.add(key));
    }
    Ok(Tool {
        name: names.declare(ClientTool { name, namespace: None, kind }),
        description: text(fields, "description")?,
        kind,
        schema,
        strict: fields.boolean("strict")?,
        cache: outer.present("cache_control").and_then(words::cache_mark),
    })
}

/// The `format` of a custom tool in the flat form of responses: chat puts a grammar into a member.
fn flat_format(json: &str) -> String {
    let fields = Envelope::parse(json).ok();
    let grammar = fields.as_ref().and_then(|fields| fields.present("grammar")).map(Envelope::parse);
    let Some(Ok(grammar)) = grammar else { return json.to_owned() };
    let mut edits = grammar.edit();
    edits.set("type", "\"grammar\"");
    edits.finish()
}

/// Which tool to call, and whether one at a time is asked for in the same breath.
pub(super) fn choice(envelope: &Envelope<'_>, names: &ToolNames) -> Result<(Option<ToolChoice>, bool), RequestError> {
    let field = if envelope.present("tool_choice").is_some() { "tool_choice" } else { "function_call" };
    let Some(json) = envelope.present(field) else { return Ok((None, false)) };
    if let Some(word) = json_text::text(json) {
        return Ok((Some(by_word(&word).ok_or_else(|| refused(field))?), false));
    }
    let fields = object(json, field)?;
    let sequential = fields.boolean("disable_parallel_tool_use")?.unwrap_or(false);
    let choice = match text(&fields, "type")?.as_deref() {
        Some("allowed_tools") => allowed(&fields, field, names)?,
        Some("function" | "custom" | "tool") | None => {
            ToolChoice::Named(names.upstream_name(&named(&fields, field)?, None))
        }
        Some(word) => by_word(word).ok_or_else(|| refused(&format!("{field}.type")))?,
    };
    Ok((Some(choice), sequential))
}

fn by_word(word: &str) -> Option<ToolChoice> {
    Some(match word {
        "none" => ToolChoice::None,
        "auto" => ToolChoice::Auto,
        // Mistral's and Anthropic's word is `any`.
        "required" | "any" => ToolChoice::Required,
        _ => return None,
    })
}

/// The name in a choice, or in one of the tools that it allows.
fn named(fields: &Envelope<'_>, path: &str) -> Result<String, RequestError> {
    let inner = fields.present("function").or(fields.present("custom"));
    match inner {
        Some(json) => needed(&object(json, path)?, path, "name"),
        None => needed(fields, path, "name"),
    }
}

fn allowed(fields: &Envelope<'_>, path: &str, names: &ToolNames) -> Result<ToolChoice, RequestError> {
    let inner = fields.present("allowed_tools").map(|json| object(json, path)).transpose()?;
    let fields = inner.as_ref().unwrap_or(fields);
    let path = format!("{path}.tools");
    let tools = fields.present("tools").and_then(as_array);
    let tools = tools.ok_or_else(|| RequestError::wrong_type(&path, "an array"))?;
    let name = |json: &&str| Ok(names.upstream_name(&named(&object(json, &path)?, &path)?, None));
    let required = text(fields, "mode")?.as_deref() == Some("required");
    Ok(ToolChoice::Allowed { required, names: tools.iter().map(name).collect::<Result<_, RequestError>>()? })
}
