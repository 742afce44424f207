//! A request for a response as the gateway must understand it: what it asks for, and how large it can
//! become. What of it passes to an upstream stands in `fields.rs`.

mod measure;

use crate::canonical::{self, Losses};
use crate::envelope::{Envelope, quoted};
use crate::items::{self, Item};
use crate::openai_responses::decode;
use crate::openai_responses::fields::FIELDS;
use crate::openai_responses::state;
use crate::openai_responses::tools::{self, Fate};
use crate::passes;
use crate::policy::{self, not_priced};
use crate::request::{Facts, Outgoing, RequestError, as_string};

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
        check_context(&envelope)?;
        let mut edits = Vec::new();
        let mut losses = Losses::default();
        if let Some(tools) = kept_tools(&envelope, &mut losses)? {
            edits.push(("tools", tools));
        }
        if let Some(include) = kept_include(&envelope, &mut losses)? {
            edits.push(("include", include));
        }
        let may_hide_reasoning = hides_reasoning(&envelope)?;
        let input = measure::measure(&envelope)?;
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
    ///
    /// # Errors
    /// [`RequestError`] for an item or a part of a kind that is on no list.
    pub fn pass_through(&self, outgoing: &Outgoing<'_>) -> Result<(String, Losses), RequestError> {
        let mut losses = self.losses.clone();
        let mut edits = self.envelope.edit();
        if let Some(model) = outgoing.model {
            edits.set("model", &quoted(model));
        }
        if let Some(limit) = outgoing.lowered_output {
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
            let input = items::edit(input, |_, item| {
                let went = state::untagged(item, outgoing.owner);
                if matches!(went, Item::Drop) {
                    let kind = Envelope::parse(item).ok().and_then(|item| item.present("type").and_then(as_string));
                    losses.add(kind.as_deref().unwrap_or("reasoning"));
                }
                went
            });
            input.iter().for_each(|input| edits.set("input", &input.json));
        }
        let body = passes::listed(edits.finish(), FIELDS, outgoing.passes, &mut losses)?;
        Ok((body, losses))
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
    let kept = |_: usize, _: &str| if fates.next() == Some(Fate::LeftOut) { Item::Drop } else { Item::Keep };
    let edited = envelope.present("tools").filter(|_| left_out).and_then(|tools| items::edit(tools, kept));
    Ok(edited.map(|edited| edited.json))
}

/// Refuses what is done to the context: all that OpenAI has is a compaction, a run of the model of its own,
/// whose output no limit of the request bounds and no document says to be part of the usage.
fn check_context(envelope: &Envelope<'_>) -> Result<(), RequestError> {
    match envelope.array("context_management")?.unwrap_or_default().first() {
        Some(_) => Err(not_priced("context_management[0]")),
        None => Ok(()),
    }
}

/// What of `include` goes out, where that is not all of it.
fn kept_include(envelope: &Envelope<'_>, losses: &mut Losses) -> Result<Option<String>, RequestError> {
    envelope.array("include")?;
    let Some(include) = envelope.present("include") else { return Ok(None) };
    let edited = items::edit(include, |_, name| {
        if as_string(name).is_some_and(|name| INCLUDED.contains(&name.as_ref())) {
            return Item::Keep;
        }
        losses.add("include");
        Item::Drop
    });
    Ok(edited.map(|edited| edited.json))
}

/// Whether reasoning is asked for: what is shown of it is at most a summary, and all of it is billed.
fn hides_reasoning(envelope: &Envelope<'_>) -> Result<bool, RequestError> {
    // An item can change the effort amid the conversation.
    let is_changed = envelope.present("input").is_some_and(|input| input.contains("configuration_update"));
    let Some(json) = envelope.present("reasoning") else { return Ok(is_changed) };
    let reasoning =
        Envelope::parse(json).map_err(|_| RequestError::wrong_type("reasoning", "an object with each field once"))?;
    policy::check_fields(&reasoning, &["mode", "effort"])?;
    // `pro` answers from several runs, and bills the input of all of them.
    if reasoning.string("mode")?.is_some_and(|mode| mode != "standard") {
        return Err(not_priced("reasoning.mode"));
    }
    Ok(is_changed || reasoning.string("effort")?.is_none_or(|effort| effort != "none"))
}

#[cfg(test)]
mod tests;
