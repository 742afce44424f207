//! Whole answers: passed on, read, and written.

use std::borrow::Cow;

use crate::canonical::{Answer, Encode, Event, Fold, Identity, Losses, Owner};
use crate::envelope::Envelope;
use crate::openai_responses::response::Status;
use crate::openai_responses::state;
use crate::openai_responses::stream::{Decoder, Encoder, Ending, Response, string};
use crate::openai_responses::usage;
use crate::rewrite::{NotAnAnswer, Passed, Rewrite};
use crate::tokens::Vocabulary;
use crate::translate::Count;

/// The events of a whole answer.
fn events(body: &str, owner: &Owner) -> Result<Vec<Event>, NotAnAnswer> {
    let response: Response<'_> = serde_json::from_str(body).map_err(|_| NotAnAnswer)?;
    let failed = response.error.is_some_and(|error| error.get() != "null");
    if !body.trim_start().starts_with('{')
        || failed
        || response.output.is_none_or(|output| !output.get().starts_with('['))
    {
        return Err(NotAnAnswer);
    }
    let ending = match string(response.status).as_deref() {
        Some("failed" | "cancelled" | "queued" | "in_progress") => return Err(NotAnAnswer),
        Some("incomplete") => Ending::Incomplete,
        _ => Ending::Completed,
    };
    let mut events = Vec::new();
    Decoder::new(owner.clone()).ending(&response, ending, &mut events);
    Ok(events)
}

/// Reads a whole response that is passed on.
///
/// # Errors
/// [`NotAnAnswer`].
pub fn read(body: &str, rewrite: &Rewrite, vocabulary: Vocabulary) -> Result<Passed, NotAnAnswer> {
    let envelope = Envelope::parse(body).map_err(|_| NotAnAnswer)?;
    let owner = rewrite.owner.as_ref().map_or_else(|| Cow::Owned(Owner::new("")), Cow::Borrowed);
    let mut count = Count::new(vocabulary);
    events(body, &owner)?.iter().for_each(|event| count.read(event));
    let mut edits = envelope.edit();
    rewrite.apply(&envelope, &mut edits);
    if let (Some(owner), Some(output)) = (&rewrite.owner, envelope.present("output"))
        && let Some(output) = state::tagged_output(output, owner)
    {
        edits.set("output", &output);
    }
    let meter = count.meter();
    Ok(Passed { body: edits.finish(), usage: meter.reported, visible: meter.visible })
}

/// Reads a whole response of an upstream.
///
/// # Errors
/// [`NotAnAnswer`].
pub fn decode(body: &str, owner: &Owner) -> Result<Answer, NotAnAnswer> {
    let mut fold = Fold::default();
    events(body, owner)?.iter().for_each(|event| fold.push(event));
    Ok(fold.finish())
}

/// Writes a whole response for a client, and says what it cannot hold.
#[must_use]
pub fn encode(answer: &Answer, identity: &Identity) -> (String, Losses) {
    let mut encoder = Encoder::new(identity.clone());
    let mut bytes = Vec::new();
    for event in answer.events() {
        encoder.push(&event, &mut bytes);
        bytes.clear();
    }
    let status = if answer.stop.is_some() { encoder.status() } else { Status::Completed };
    let body = encoder.response(status, answer.usage.map(|reported| usage::to_json(&reported.usage, None)));
    (body, encoder.losses().clone())
}
