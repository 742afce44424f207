//! A client's chat request into the pivot.
//!
//! What has no place there is counted by its name, and refused where the answer would not be what was
//! asked for. Cursor's mixed shapes are read too: Anthropic's blocks, parts and flat tools of responses.

mod message;
mod part;
mod tool;

use crate::canonical::{
    Effort, Format, Losses, Metadata, Reasoning, ReasoningMode, Request, Sampling, ToolNames, refused,
};
use crate::envelope::Envelope;
use crate::request::{Facts, RequestError, as_array};
use crate::{json_text, openai_chat::words};

/// Fields that are read here or in the modules below.
const READ: [&str; 26] = [
    "cache_control",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "metadata",
    "n",
    "parallel_tool_calls",
    "presence_penalty",
    "prompt_cache_key",
    "reasoning",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seed",
    "stop",
    "temperature",
    "tool_choice",
    "tools",
    "top_k",
    "top_logprobs",
    "top_p",
];

/// More of them, and fields that say nothing of the answer: what the gateway itself decides, and what
/// every request of this dialect is.
const PASSED_OVER: [&str; 12] = [
    "enable_thinking",
    "include_reasoning",
    "modalities",
    "model",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "thinking",
    "type",
    "user",
    "verbosity",
];

/// Fields of some servers that say what the answer is to be, or what it is to be made of: where a server does
/// not know one, the request is refused.
pub(super) const REFUSED: [&str; 10] = [
    "chat_template",
    "documents",
    "grammar",
    "guided_choice",
    "guided_grammar",
    "guided_json",
    "guided_regex",
    "instructions",
    "structured_outputs",
    "system",
];

/// Reads a request.
///
/// # Errors
/// [`RequestError`] where a field is of the wrong type, or asks for what the pivot cannot hold.
pub(super) fn request(envelope: &Envelope<'_>, facts: &Facts<'_>) -> Result<Request, RequestError> {
    if facts.n != 1 {
        return Err(refused("n"));
    }
    let mut losses = Losses::default();
    for (key, value) in envelope.members() {
        if !matches!(value, "null" | "false") && !READ.contains(&key) && !PASSED_OVER.contains(&key) {
            if REFUSED.contains(&key) {
                return Err(refused(key));
            }
            losses.add(key);
        }
    }
    let mut tool_names = ToolNames::default();
    let tools = tool::tools(envelope, &mut tool_names, &mut losses)?;
    let (tool_choice, sequential) = tool::choice(envelope, &tool_names)?;
    let turns = message::turns(envelope, &tool_names, &mut losses)?;
    let logprobs = envelope.boolean("logprobs")?.unwrap_or(false);
    Ok(Request {
        instructions: Vec::new(),
        turns,
        tools,
        tool_choice,
        parallel_tool_calls: envelope.boolean("parallel_tool_calls")?.or(sequential.then_some(false)),
        tool_names,
        max_output: facts.max_output,
        sampling: sampling(envelope)?,
        stop: stop(envelope)?,
        reasoning: reasoning(envelope)?,
        format: format(envelope)?,
        verbosity: text(envelope, "verbosity")?,
        logprobs: if logprobs { Some(whole_number(envelope, "top_logprobs")?.unwrap_or(0)) } else { None },
        metadata: Metadata {
            user: text(envelope, "safety_identifier")?.or(text(envelope, "user")?),
            labels: envelope.present("metadata").map(str::to_owned),
        },
        cache: envelope.present("cache_control").and_then(words::cache_mark),
        prompt_cache_key: text(envelope, "prompt_cache_key")?,
        stream: facts.stream,
        losses,
    })
}

/// A string member; half a character in it is replaced.
fn text(fields: &Envelope<'_>, key: &str) -> Result<Option<String>, RequestError> {
    let read = |json| json_text::text(json).ok_or_else(|| RequestError::wrong_type(key, "a string"));
    fields.present(key).map(read).transpose()
}

/// A member that must be there, and a string.
fn needed(fields: &Envelope<'_>, path: &str, key: &str) -> Result<String, RequestError> {
    let path = || format!("{path}.{key}");
    let json = fields.present(key).ok_or_else(|| RequestError::missing(&path()))?;
    json_text::text(json).ok_or_else(|| RequestError::wrong_type(&path(), "a string"))
}

/// The members of an object.
fn object<'a>(json: &'a str, path: &str) -> Result<Envelope<'a>, RequestError> {
    Envelope::parse(json).map_err(|_| RequestError::wrong_type(path, "an object with each field once"))
}

/// A whole number of at least 0.
fn whole_number(fields: &Envelope<'_>, key: &str) -> Result<Option<u64>, RequestError> {
    let read = |json: &str| json.parse().map_err(|_| RequestError::wrong_type(key, "a whole number"));
    fields.present(key).map(read).transpose()
}

fn sampling(envelope: &Envelope<'_>) -> Result<Sampling, RequestError> {
    let number = |key: &str| match envelope.present(key) {
        Some(json) if json.starts_with(|c: char| c == '-' || c.is_ascii_digit()) => Ok(Some(json.to_owned())),
        Some(_) => Err(RequestError::wrong_type(key, "a number")),
        None => Ok(None),
    };
    let logit_bias = envelope.present("logit_bias");
    if logit_bias.is_some_and(|json| !json.starts_with('{')) {
        return Err(RequestError::wrong_type("logit_bias", "an object"));
    }
    Ok(Sampling {
        temperature: number("temperature")?,
        top_p: number("top_p")?,
        top_k: number("top_k")?,
        frequency_penalty: number("frequency_penalty")?,
        presence_penalty: number("presence_penalty")?,
        seed: number("seed")?,
        logit_bias: logit_bias.map(str::to_owned),
    })
}

fn stop(envelope: &Envelope<'_>) -> Result<Vec<String>, RequestError> {
    let Some(json) = envelope.present("stop") else { return Ok(Vec::new()) };
    let texts = as_array(json).unwrap_or_else(|| vec![json]);
    let texts: Option<Vec<String>> = texts.into_iter().map(json_text::text).collect();
    texts.ok_or_else(|| RequestError::wrong_type("stop", "a string or an array of strings"))
}

/// Reasoning as OpenAI asks for it (`reasoning_effort`), OpenRouter (`reasoning`, `include_reasoning`),
/// Anthropic's and `DeepSeek`'s likes (`thinking`) and Alibaba (`enable_thinking`). The first that says
/// something is heard.
fn reasoning(envelope: &Envelope<'_>) -> Result<Option<Reasoning>, RequestError> {
    let effort = |fields: &Envelope<'_>, key: &str, path: &str| match fields.present(key).map(json_text::text) {
        None => Ok(None),
        // Groq's word for what a model does by itself.
        Some(Some(word)) if word == "default" => Ok(None),
        Some(word) => word
            .and_then(|word| Effort::parse(&word))
            .map(Some)
            .ok_or_else(|| RequestError::field(path, format!("the field `{path}` is no effort that is known"))),
    };
    let mut asked =
        Reasoning { effort: effort(envelope, "reasoning_effort", "reasoning_effort")?, ..Reasoning::default() };
    let switch = |on: bool| if on { ReasoningMode::Enabled } else { ReasoningMode::Disabled };
    if let Some(json) = envelope.present("reasoning") {
        let fields = object(json, "reasoning")?;
        asked.effort = asked.effort.or(effort(&fields, "effort", "reasoning.effort")?);
        asked.budget_tokens = whole_number(&fields, "max_tokens")?;
        asked.mode = fields.boolean("enabled")?.map_or(asked.mode, switch);
        let summary = fields.present("summary").map(|_| true);
        asked.shown = fields.boolean("exclude")?.map(|hidden| !hidden).or(summary);
    }
    if let Some(json) = envelope.present("thinking") {
        let fields = object(json, "thinking")?;
        let mode = match text(&fields, "type")?.as_deref() {
            Some("enabled") => ReasoningMode::Enabled,
            Some("disabled") => ReasoningMode::Disabled,
            Some("adaptive" | "auto") => ReasoningMode::Adaptive,
            _ => return Err(RequestError::wrong_type("thinking.type", "`enabled`, `disabled` or `adaptive`")),
        };
        asked.mode = if asked.mode == ReasoningMode::Default { mode } else { asked.mode };
        asked.budget_tokens = asked.budget_tokens.or(whole_number(&fields, "budget_tokens")?);
    }
    if let Some(on) = envelope.boolean("enable_thinking")?
        && asked.mode == ReasoningMode::Default
    {
        asked.mode = switch(on);
    }
    if asked.effort == Some(Effort::None) {
        asked.mode = ReasoningMode::Disabled;
    }
    asked.shown = asked.shown.or(envelope.boolean("include_reasoning")?);
    Ok(Some(asked).filter(|asked| *asked != Reasoning::default()))
}

fn format(envelope: &Envelope<'_>) -> Result<Option<Format>, RequestError> {
    let Some(json) = envelope.present("response_format") else { return Ok(None) };
    let fields = object(json, "response_format")?;
    match needed(&fields, "response_format", "type")?.as_str() {
        "text" => Ok(None),
        "json_object" => Ok(Some(Format::JsonObject)),
        "json_schema" => {
            let path = "response_format.json_schema";
            let described = object(fields.present("json_schema").ok_or_else(|| RequestError::missing(path))?, path)?;
            // Without a schema any object is one.
            let Some(schema) = described.present("schema") else { return Ok(Some(Format::JsonObject)) };
            Ok(Some(Format::JsonSchema {
                name: text(&described, "name")?,
                description: text(&described, "description")?,
                schema: schema.to_owned(),
                strict: described.boolean("strict")?,
            }))
        }
        _ => Err(refused("response_format.type")),
    }
}
