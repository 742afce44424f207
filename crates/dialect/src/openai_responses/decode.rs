//! A client's request for a response, read into the pivot.

mod input;

use crate::canonical::{Block, Effort, Format, Losses, Metadata, Reasoning, ReasoningMode, Request, Sampling, refused};
use crate::envelope::Envelope;
use crate::openai_responses::tools::{Declared, within};
use crate::openai_responses::wire::LIMIT_FIELD;
use crate::request::RequestError;

/// Fields that are read here, or that say nothing of the answer: what is kept where, who asks, and how
/// the stream is padded.
const KNOWN_FIELDS: [&str; 27] = [
    "background",
    "client_metadata",
    "conversation",
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "metadata",
    "model",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
];

/// Reads a request. `losses` are those that reading the wire found.
pub(super) fn decode(envelope: &Envelope<'_>, losses: &Losses) -> Result<Request, RequestError> {
    let mut losses = losses.clone();
    for (key, value) in envelope.members() {
        let default =
            matches!((key, value), ("truncation", "\"disabled\"") | ("prompt_cache_retention", "\"in_memory\""));
        if !KNOWN_FIELDS.contains(&key) && !default && !matches!(value, "null" | "false") {
            losses.add(key);
        }
    }
    let tools = envelope.array("tools")?.unwrap_or_default();
    let declared = Declared::read(&tools, &mut losses)?;
    let turns = input::turns(envelope, &declared, &mut losses)?;
    let text = match envelope.present("text") {
        Some(text) => Some(object("text", text)?),
        None => None,
    };
    let logprobs = envelope.array("include")?.unwrap_or_default().contains(&"\"message.output_text.logprobs\"");
    let top_logprobs = match envelope.present("top_logprobs") {
        Some(top) => top.parse().map_err(|_| RequestError::wrong_type("top_logprobs", "a whole number"))?,
        None => 0,
    };
    let user = match envelope.string("safety_identifier")? {
        Some(user) => Some(user),
        None => envelope.string("user")?,
    };
    Ok(Request {
        instructions: envelope
            .string("instructions")?
            .filter(|text| !text.is_empty())
            .map(Block::text)
            .into_iter()
            .collect(),
        turns,
        tool_choice: envelope.present("tool_choice").map(|choice| declared.choice(choice)).transpose()?,
        tools: declared.tools,
        parallel_tool_calls: envelope.boolean("parallel_tool_calls")?,
        tool_names: declared.names,
        max_output: envelope.positive(LIMIT_FIELD)?,
        sampling: Sampling {
            temperature: number(envelope, "temperature")?,
            top_p: number(envelope, "top_p")?,
            ..Sampling::default()
        },
        stop: Vec::new(),
        reasoning: reasoning(envelope, &mut losses)?,
        format: text.as_ref().map_or(Ok(None), format)?,
        verbosity: match &text {
            Some(text) => text.string("verbosity")?.map(String::from),
            None => None,
        },
        logprobs: logprobs.then_some(top_logprobs),
        metadata: Metadata {
            user: user.map(String::from),
            labels: envelope.present("metadata").filter(|labels| *labels != "{}").map(str::to_owned),
        },
        cache: None,
        prompt_cache_key: envelope.string("prompt_cache_key")?.map(String::from),
        stream: envelope.boolean("stream")?.unwrap_or(false),
        losses,
    })
}

fn object<'a>(path: &str, json: &'a str) -> Result<Envelope<'a>, RequestError> {
    Envelope::parse(json).map_err(|_| RequestError::wrong_type(path, "an object with each field once"))
}

/// A number as it was written.
fn number(envelope: &Envelope<'_>, key: &str) -> Result<Option<String>, RequestError> {
    let Some(json) = envelope.present(key) else { return Ok(None) };
    match json.as_bytes().first() {
        Some(b'-' | b'0'..=b'9') => Ok(Some(json.to_owned())),
        _ => Err(RequestError::wrong_type(key, "a number")),
    }
}

fn reasoning(envelope: &Envelope<'_>, losses: &mut Losses) -> Result<Option<Reasoning>, RequestError> {
    let Some(json) = envelope.present("reasoning") else { return Ok(None) };
    let fields = object("reasoning", json)?;
    let effort = match fields.string("effort").map_err(|error| within("reasoning", error))? {
        Some(word) => Some(
            Effort::parse(&word)
                .ok_or_else(|| RequestError::wrong_type("reasoning.effort", "an effort that is known here"))?,
        ),
        None => None,
    };
    if fields.string("context").is_ok_and(|context| context.is_some_and(|context| context != "auto")) {
        losses.add("reasoning.context");
    }
    let summary = ["summary", "generate_summary"].into_iter().any(|key| fields.present(key).is_some());
    if effort.is_none() && !summary {
        return Ok(None);
    }
    let mode = if effort == Some(Effort::None) { ReasoningMode::Disabled } else { ReasoningMode::Default };
    Ok(Some(Reasoning { mode, effort, budget_tokens: None, shown: summary.then_some(true) }))
}

fn format(text: &Envelope<'_>) -> Result<Option<Format>, RequestError> {
    let Some(json) = text.present("format") else { return Ok(None) };
    let fields = object("text.format", json)?;
    match fields.string("type")?.as_deref() {
        None | Some("text") => Ok(None),
        Some("json_object") => Ok(Some(Format::JsonObject)),
        Some("json_schema") => Ok(Some(Format::JsonSchema {
            name: fields.string("name")?.map(String::from),
            description: fields.string("description")?.map(String::from),
            schema: fields.present("schema").unwrap_or("{}").to_owned(),
            strict: fields.boolean("strict")?,
        })),
        Some(_) => Err(refused("text.format")),
    }
}
