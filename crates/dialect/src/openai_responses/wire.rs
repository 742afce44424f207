//! A request for a response as the gateway must understand it: what it asks for, and how large it can
//! become. Everything else in it is the upstream's business and passes through.

use crate::canonical::{self, Losses};
use crate::envelope::{Envelope, quoted};
use crate::measure::InputMeasure;
use crate::openai_responses::decode;
use crate::openai_responses::state::{self, Went};
use crate::openai_responses::tools::{self, Fate, within};
use crate::policy::{self, no_state, not_priced};
use crate::request::{Facts, Outgoing, RequestError, as_array, as_string};

/// The field that bounds the output.
pub const LIMIT_FIELD: &str = "max_output_tokens";

/// Fields that the gateway decides on.
const DECIDED_FIELDS: [&str; 11] = [
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "model",
    "reasoning",
    "service_tier",
    "store",
    "stream",
    "tool_choice",
    "tools",
];

/// What of `include` is no result of a tool that a provider runs.
const INCLUDED: [&str; 3] =
    ["reasoning.encrypted_content", "message.output_text.logprobs", "message.input_image.image_url"];

/// Items that are calls of tools which the client runs, and what they answered.
pub(super) const CLIENT_RUN: [&str; 8] = [
    "local_shell_call",
    "local_shell_call_output",
    "shell_call",
    "shell_call_output",
    "apply_patch_call",
    "apply_patch_call_output",
    "tool_search_call",
    "tool_search_output",
];

/// Tokens that a provider puts around one item, and around the request.
const ITEM_OVERHEAD: u64 = 8;
/// Tokens of the instructions that a provider adds when tools are given: the largest that a provider
/// documents is about 700.
const TOOLS_OVERHEAD: u64 = 800;

/// A request for a response.
#[derive(Debug)]
pub struct ResponsesRequest<'a> {
    /// What the gateway reads of it.
    pub facts: Facts<'a>,
    pub(super) envelope: Envelope<'a>,
    /// Members that go out otherwise than they came, and what is lost by it.
    edits: Vec<(&'static str, String)>,
    losses: Losses,
}

impl<'a> ResponsesRequest<'a> {
    /// Reads a request body.
    ///
    /// # Errors
    /// [`RequestError`] where a field that the gateway reads is missing or of the wrong type, and where
    /// the request asks for something that has no price here, or names state at a provider.
    pub fn parse(body: &'a str) -> Result<Self, RequestError> {
        let envelope = Envelope::parse(body)?;
        let model = envelope.string("model")?.ok_or_else(|| RequestError::missing("model"))?;
        policy::check_fields(&envelope, &DECIDED_FIELDS)?;
        let mut edits = Vec::new();
        let mut losses = Losses::default();
        if let Some(tools) = kept_tools(&envelope, &mut losses)? {
            edits.push(("tools", tools));
        }
        if let Some(include) = kept_include(&envelope, &mut losses)? {
            edits.push(("include", include));
        }
        let may_hide_reasoning = hides_reasoning(&envelope)?;
        let input = measure(&envelope)?;
        let facts = Facts {
            model,
            stream: envelope.boolean("stream")?.unwrap_or(false),
            include_usage: true,
            n: 1,
            max_output: envelope.positive(LIMIT_FIELD)?,
            least_output: None,
            input,
            one_hour_marks: false,
            may_hide_reasoning,
        };
        Ok(Self { facts, envelope, edits, losses })
    }

    /// The body for an upstream of the same dialect, the client's own bytes but for what must differ, and
    /// what was left out of it.
    #[must_use]
    pub fn pass_through(&self, outgoing: &Outgoing<'_>) -> (String, Losses) {
        let mut losses = self.losses.clone();
        let mut edits = self.envelope.edit();
        if let Some(model) = outgoing.model {
            edits.set("model", &quoted(model));
        }
        if let Some((limit, _)) = outgoing.lowered_output {
            edits.set(LIMIT_FIELD, &limit.to_string());
        }
        for (key, json) in &self.edits {
            edits.set(key, json);
        }
        policy::edit(&self.envelope, &mut edits);
        // What is absent means that the answer is stored.
        if self.envelope.present("store").is_none() {
            edits.set("store", "false");
        }
        if let Some(input) = self.envelope.present("input").filter(|input| state::may_be_in(input)) {
            let input = state::edited(input, |item| {
                let went = state::untagged(item, outgoing.owner);
                if matches!(went, Went::Out) {
                    losses.add("reasoning");
                }
                went
            });
            input.iter().for_each(|input| edits.set("input", input));
        }
        (edits.finish(), losses)
    }

    /// The request as any other dialect can be told it.
    ///
    /// # Errors
    /// [`RequestError`] where that would change what it means.
    pub fn decode(&self) -> Result<canonical::Request, RequestError> {
        decode::decode(&self.envelope, &self.losses)
    }

    /// The fields of the request that a response repeats, with their JSON texts; defaults where absent.
    #[must_use]
    pub fn echo(&self) -> Vec<(String, String)> {
        let given = ECHOED.into_iter().map(|(key, default)| {
            let edited = self.edits.iter().find(|(edited, _)| *edited == key).map(|(_, json)| json.as_str());
            let json = edited.or(self.envelope.present(key)).unwrap_or(default);
            (key.to_owned(), json.to_owned())
        });
        let fixed = [
            ("store", "false"),
            ("background", "false"),
            ("previous_response_id", "null"),
            ("service_tier", "\"default\""),
        ];
        let fixed = fixed.into_iter().map(|(key, json)| (key.to_owned(), json.to_owned()));
        given.chain(fixed).collect()
    }
}

/// What a response repeats of its request, and what it says where the request says nothing.
const ECHOED: [(&str, &str); 17] = [
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("max_tool_calls", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("prompt_cache_key", "null"),
    ("reasoning", "{\"effort\":null,\"summary\":null}"),
    ("safety_identifier", "null"),
    ("temperature", "1.0"),
    ("text", "{\"format\":{\"type\":\"text\"}}"),
    ("tool_choice", "\"auto\""),
    ("tools", "[]"),
    ("top_logprobs", "0"),
    ("top_p", "1.0"),
    ("truncation", "\"disabled\""),
    ("presence_penalty", "0.0"),
    ("frequency_penalty", "0.0"),
];

/// The tools that go out, where that is not all of them.
fn kept_tools(envelope: &Envelope<'_>, losses: &mut Losses) -> Result<Option<String>, RequestError> {
    let tools = envelope.array("tools")?.unwrap_or_default();
    let mut fates = Vec::with_capacity(tools.len());
    for (at, tool) in tools.iter().enumerate() {
        fates.push(tools::fate(&format!("tools[{at}]"), tool)?);
    }
    let left_out = fates.contains(&Fate::LeftOut);
    tools::check_choice(envelope.present("tool_choice"), fates.contains(&Fate::Kept), left_out)?;
    fates.iter().filter(|fate| **fate == Fate::LeftOut).for_each(|_| losses.add("web_search"));
    let mut fates = fates.into_iter();
    let kept = |_: &str| if fates.next() == Some(Fate::LeftOut) { Went::Out } else { Went::Same };
    Ok(envelope.present("tools").filter(|_| left_out).and_then(|tools| state::edited(tools, kept)))
}

/// What of `include` goes out, where that is not all of it.
fn kept_include(envelope: &Envelope<'_>, losses: &mut Losses) -> Result<Option<String>, RequestError> {
    envelope.array("include")?;
    let Some(include) = envelope.present("include") else { return Ok(None) };
    Ok(state::edited(include, |name| {
        if as_string(name).is_some_and(|name| INCLUDED.contains(&name.as_ref())) {
            return Went::Same;
        }
        losses.add("include");
        Went::Out
    }))
}

/// Whether reasoning is asked for and no summary of it.
fn hides_reasoning(envelope: &Envelope<'_>) -> Result<bool, RequestError> {
    let Some(json) = envelope.present("reasoning") else { return Ok(false) };
    let reasoning =
        Envelope::parse(json).map_err(|_| RequestError::wrong_type("reasoning", "an object with each field once"))?;
    policy::check_fields(&reasoning, &["mode", "effort"])?;
    // `pro` answers from several runs, and bills the input of all of them.
    if reasoning.string("mode")?.is_some_and(|mode| mode != "standard") {
        return Err(not_priced("reasoning.mode"));
    }
    Ok(["summary", "generate_summary"].into_iter().all(|key| reasoning.present(key).is_none()))
}

fn measure(envelope: &Envelope<'_>) -> Result<InputMeasure, RequestError> {
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
    if let Some(tools) = envelope.present("tools") {
        input.exact(TOOLS_OVERHEAD);
        input.text(tools);
    }
    input.text(envelope.present("text").unwrap_or_default());
    Ok(input)
}

fn measure_item(input: &mut InputMeasure, path: &str, json: &str) -> Result<(), RequestError> {
    let item = Envelope::parse(json).map_err(|_| RequestError::wrong_type(path, "an object with each field once"))?;
    let kind = item.string("type").map_err(|error| within(path, error))?;
    let is_message = kind.is_none() && item.present("role").is_some();
    input.exact(ITEM_OVERHEAD);
    match kind.as_deref() {
        _ if is_message => measure_content(input, path, "content", &item),
        Some("message") => measure_content(input, path, "content", &item),
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
            Some("input_text" | "output_text" | "text" | "refusal" | "summary_text" | "reasoning_text") => {
                input.text(part);
            }
            Some(kind) => match policy::check_part(&path, kind, part)? {
                policy::Media::Images => input.image(),
                policy::Media::Unmeasured => input.unmeasured(),
            },
            None => return Err(RequestError::missing(&format!("{path}.type"))),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
