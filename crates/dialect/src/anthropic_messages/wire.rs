//! A messages request as the gateway must understand it: what it asks for, and how large it can become.
//! What of it passes to an upstream stands in `fields.rs`.

mod input;

use std::borrow::Cow;

use super::decode;
use super::fields::{CLIENT_TOOLS, FIELDS};
use super::trim::{MAX_MARKS, Trim};
use crate::canonical::{self, Losses};
use crate::envelope::{Envelope, quoted};
use crate::measure::InputMeasure;
use crate::passes;
use crate::policy;
use crate::request::{Facts, Outgoing, RequestError};

/// Fields that the gateway decides on, for a server that ignores case.
const DECIDED_FIELDS: [&str; 9] =
    ["cache_control", "max_tokens", "messages", "model", "service_tier", "stream", "system", "thinking", "tools"];

/// Beta fields that change the price, or name state kept at the provider.
const REFUSED_FIELDS: [&str; 3] = ["billing_policy", "compaction", "thread"];

/// What an answer needs beside the budget of its thinking, in tokens.
const ANSWER_BESIDE_THINKING: u64 = 1_024;

/// The last version that takes `temperature`, `top_p` and `top_k`.
const VERSION_WITH_SAMPLING: &str = "2023-06-01";
/// The current version.
const VERSION: &str = "2026-10-21";

/// A messages request.
#[derive(Debug)]
pub struct MessagesRequest<'a> {
    /// What the gateway reads of it.
    pub facts: Facts<'a>,
    envelope: Envelope<'a>,
}

impl<'a> MessagesRequest<'a> {
    /// Reads a request body.
    ///
    /// # Errors
    /// [`RequestError`] where a field that the gateway reads is missing or of the wrong type, and where
    /// the request asks for something that changes the provider's price and has no price here.
    pub fn parse(body: &'a str) -> Result<Self, RequestError> {
        let (envelope, model, input) = begin(body)?;
        let limit = envelope.present("max_tokens").ok_or_else(|| RequestError::missing("max_tokens"))?;
        // Zero is allowed: it fills the cache and answers nothing.
        let limit: u64 = serde_json::from_str(limit)
            .map_err(|_| RequestError::wrong_type("max_tokens", "a whole number of at least 0"))?;
        let stream = envelope.boolean("stream")?.unwrap_or(false);
        let thinking = match envelope.present("thinking") {
            Some(json) => Some(
                Envelope::parse(json)
                    .map_err(|_| RequestError::wrong_type("thinking", "an object with each field once"))?,
            ),
            None => None,
        };
        let budget = match &thinking {
            Some(thinking) => thinking.positive("budget_tokens")?,
            None => None,
        };
        let thinks = thinking.as_ref().is_some_and(|thinking| thinking.get("type") != Some("\"disabled\""));
        let facts = Facts {
            model,
            stream,
            include_usage: true,
            n: 1,
            max_output: Some(limit),
            least_output: budget.map(|budget| budget.saturating_add(ANSWER_BESIDE_THINKING)),
            input,
            // An escape of a character that nobody escapes hides the mark, and is taken for it.
            one_hour_marks: ["\"1h\"", "\\u0031", "\\u0068"].into_iter().any(|mark| body.contains(mark)),
            may_hide_reasoning: thinks,
        };
        Ok(Self { facts, envelope })
    }

    /// The body for the upstream: the client's own bytes but for what must differ. What is left out are
    /// cache marks beyond those that a request may carry, the reasoning of other providers, and what is on no
    /// list.
    ///
    /// # Errors
    /// [`RequestError`] for a block, a tool or an edit of a kind that is on no list.
    pub fn pass_through(&self, outgoing: &Outgoing<'_>) -> Result<(String, Losses), RequestError> {
        pass_through(&self.envelope, outgoing)
    }

    /// The request in the pivot.
    ///
    /// # Errors
    /// [`RequestError`] where it is wrong, or means something that no other dialect can say.
    pub fn decode(&self) -> Result<canonical::Request, RequestError> {
        decode::request(&self.envelope, &self.facts)
    }

    /// Whether it sets how tokens are drawn: see [`version`].
    #[must_use]
    pub fn has_sampling(&self) -> bool {
        has_sampling(&self.envelope)
    }
}

/// The marks that are too many, from the first on: of tools and system, and of messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Excess {
    pub ahead: usize,
    pub messages: usize,
}

impl Excess {
    /// For so many marks; that of the request as a whole always stays.
    pub(super) fn of(ahead: usize, messages: usize, of_request: usize) -> Self {
        let room = MAX_MARKS.saturating_sub(of_request);
        let room_for_messages = room.saturating_sub(ahead);
        Self { ahead: ahead.saturating_sub(room), messages: messages.saturating_sub(room_for_messages) }
    }
}

fn has_sampling(envelope: &Envelope<'_>) -> bool {
    ["temperature", "top_p", "top_k"].into_iter().any(|field| envelope.present(field).is_some())
}

/// What every request of this dialect is checked for, with or without a limit of its output.
fn begin(body: &str) -> Result<(Envelope<'_>, Cow<'_, str>, InputMeasure), RequestError> {
    let envelope = Envelope::parse(body)?;
    let model = envelope.string("model")?.ok_or_else(|| RequestError::missing("model"))?;
    let messages = envelope.array("messages")?.ok_or_else(|| RequestError::missing("messages"))?;
    if messages.is_empty() {
        return Err(RequestError::field("messages", "the field `messages` must not be empty"));
    }
    policy::check_fields(&envelope, &DECIDED_FIELDS)?;
    if let Some(field) = REFUSED_FIELDS.into_iter().find(|field| envelope.present(field).is_some()) {
        return Err(policy::not_priced(field));
    }
    check_context(&envelope)?;
    check_tools(&envelope)?;
    let input = input::measure(&envelope, &messages)?;
    Ok((envelope, model, input))
}

fn pass_through(envelope: &Envelope<'_>, outgoing: &Outgoing<'_>) -> Result<(String, Losses), RequestError> {
    let (body, mut losses) = edited(envelope, outgoing);
    let body = passes::listed(body, FIELDS, outgoing.passes, &mut losses)?;
    Ok((body, losses))
}

fn edited(envelope: &Envelope<'_>, outgoing: &Outgoing<'_>) -> (String, Losses) {
    let mut edits = envelope.edit();
    if let Some(model) = outgoing.model {
        edits.set("model", &quoted(model));
    }
    if let Some(limit) = outgoing.lowered_output {
        edits.set("max_tokens", &limit.to_string());
    }
    // `auto` would let the provider take the priority capacity of the operator.
    if matches!(envelope.present("service_tier"), Some("\"auto\"" | "\"default\"")) {
        edits.set("service_tier", "\"standard_only\"");
    }
    let mut losses = Losses::default();
    let source = envelope.source();
    let many_marks = source.matches("cache_control").nth(MAX_MARKS).is_some();
    let has_state = outgoing.owner.is_some() && source.contains("thinking");
    if !many_marks && !has_state {
        return (edits.finish(), losses);
    }
    let excess = if many_marks { excess(envelope) } else { Excess::default() };
    let mut ahead = Trim::new(None, 0..excess.ahead);
    for field in ["tools", "system"] {
        if let Some(edited) = envelope.present(field).and_then(|json| ahead.blocks(json)) {
            edits.set(field, &edited.json);
        }
    }
    let mut messages = Trim::new(outgoing.owner, 0..excess.messages);
    if let Some(edited) = envelope.present("messages").and_then(|json| messages.messages(json)) {
        edits.set("messages", &edited);
    }
    losses.merge(&ahead.losses);
    losses.merge(&messages.losses);
    (edits.finish(), losses)
}

/// How many marks are too many. Those of tools and system stay first, for they stand for the most;
/// of the messages' the last ones stay, for they stand where the conversation goes on.
fn excess(envelope: &Envelope<'_>) -> Excess {
    let mut ahead = Trim::new(None, 0..0);
    for field in ["tools", "system"] {
        envelope.present(field).and_then(|json| ahead.blocks(json));
    }
    let mut messages = Trim::new(None, 0..0);
    envelope.present("messages").and_then(|json| messages.messages(json));
    let of_request = usize::from(envelope.present("cache_control").is_some());
    Excess::of(ahead.marks, messages.marks, of_request)
}

/// Refuses edits of the context but those that only clear some of it. A compaction is a call of the model
/// of its own, which the provider bills beside the usage that it reports at the top.
fn check_context(envelope: &Envelope<'_>) -> Result<(), RequestError> {
    let Some(json) = envelope.present("context_management") else { return Ok(()) };
    let wrong = |path: &str| RequestError::wrong_type(path, "an object with each field once");
    let context = Envelope::parse(json).map_err(|_| wrong("context_management"))?;
    for (at, edit) in context.array("edits")?.unwrap_or_default().into_iter().enumerate() {
        let path = format!("context_management.edits[{at}]");
        let kind = Envelope::parse(edit).map_err(|_| wrong(&path))?.string("type")?;
        if !kind.is_some_and(|kind| kind.starts_with("clear_")) {
            return Err(policy::not_priced(&path));
        }
    }
    Ok(())
}

fn check_tools(envelope: &Envelope<'_>) -> Result<(), RequestError> {
    for (at, tool) in envelope.array("tools")?.unwrap_or_default().into_iter().enumerate() {
        check_tool(&format!("tools[{at}]"), tool)?;
    }
    Ok(())
}

/// Refuses a tool that the provider runs.
fn check_tool(path: &str, json: &str) -> Result<(), RequestError> {
    let tool = Envelope::parse(json).map_err(|_| RequestError::wrong_type(path, "an object with each field once"))?;
    policy::check_spelling(&tool, &["type", "name"])?;
    if tool.string("name")?.is_none() {
        return Err(RequestError::missing(&format!("{path}.name")));
    }
    match tool.string("type")?.as_deref() {
        None | Some("custom") => Ok(()),
        Some(kind) if CLIENT_TOOLS.into_iter().any(|name| passes::matches(name, kind)) => Ok(()),
        Some(_) => Err(policy::not_priced(&format!("{path}.type"))),
    }
}

/// The body of a count of tokens, which needs no `max_tokens`.
#[derive(Debug)]
pub struct CountRequest<'a> {
    /// The model as the client names it.
    pub model: Cow<'a, str>,
    /// What would be sent.
    pub input: InputMeasure,
    envelope: Envelope<'a>,
}

impl<'a> CountRequest<'a> {
    /// Reads a request body.
    ///
    /// # Errors
    /// As [`MessagesRequest::parse`].
    pub fn parse(body: &'a str) -> Result<Self, RequestError> {
        let (envelope, model, input) = begin(body)?;
        Ok(Self { model, input, envelope })
    }

    /// As [`MessagesRequest::pass_through`], for an upstream that counts.
    ///
    /// # Errors
    /// As there.
    pub fn pass_through(&self, outgoing: &Outgoing<'_>) -> Result<String, RequestError> {
        Ok(pass_through(&self.envelope, outgoing)?.0)
    }

    /// As [`MessagesRequest::has_sampling`].
    #[must_use]
    pub fn has_sampling(&self) -> bool {
        has_sampling(&self.envelope)
    }
}

/// `{"input_tokens":N}`
#[must_use]
pub fn count_answer(tokens: u64) -> String {
    format!("{{\"input_tokens\":{tokens}}}")
}

/// The `anthropic-version` for an upstream: the last that takes sampling fields where the request has
/// some, or where the client speaks it.
#[must_use]
pub fn version(client: Option<&str>, has_sampling: bool) -> &'static str {
    match client {
        _ if has_sampling => VERSION_WITH_SAMPLING,
        Some(VERSION) => VERSION,
        // Nobody who speaks an older version, or none, expects the newer one's rules.
        _ => VERSION_WITH_SAMPLING,
    }
}

#[cfg(test)]
mod tests;
