//! The response object, with every member that clients count on. One builder for whole answers and for
//! the events of a stream.

use super::error;
use super::item::{Item, array, object};
use crate::canonical::{Identity, StopReason};
use crate::envelope::quoted;

/// How far a response is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// It is being made.
    InProgress,
    /// It is whole.
    Completed,
    /// It ended early, for this reason.
    Incomplete(&'static str),
    /// It broke off.
    Failed,
}

/// What stops mean in responses.
pub(super) fn status_of(stop: StopReason) -> Status {
    match stop {
        StopReason::EndTurn
        | StopReason::StopSequence
        | StopReason::ToolUse
        | StopReason::Refusal
        | StopReason::PauseTurn => Status::Completed,
        StopReason::MaxTokens | StopReason::ContextWindow => Status::Incomplete(MAX_OUTPUT_TOKENS),
        StopReason::ContentFilter => Status::Incomplete(CONTENT_FILTER),
    }
}

/// What responses say of an answer that ended early, the other way round.
pub(super) fn stop_of(reason: &str) -> StopReason {
    if reason == CONTENT_FILTER { StopReason::ContentFilter } else { StopReason::MaxTokens }
}

/// The reason of an answer at its output limit.
pub(super) const MAX_OUTPUT_TOKENS: &str = "max_output_tokens";
const CONTENT_FILTER: &str = "content_filter";

impl Status {
    pub fn word(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete(_) => "incomplete",
            Self::Failed => "failed",
        }
    }

    /// What an item is that was open when the response ended so.
    pub fn of_open_item(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete(_) | Self::Failed => "incomplete",
        }
    }
}

/// How an item stands in a response of this status.
fn state(item: &Item, status: Status) -> &'static str {
    match (item.closed, item.cut) {
        (true, false) => "completed",
        (true, true) => "incomplete",
        (false, _) => status.of_open_item(),
    }
}

/// A response object. `usage` is a JSON text; `tier` is the provider's service tier.
pub(super) fn response(
    identity: &Identity,
    status: Status,
    output: &[Item],
    usage: Option<String>,
    tier: Option<&str>,
) -> String {
    let null = || "null".to_owned();
    let items: Vec<String> = output.iter().map(|item| item.json(false, state(item, status))).collect();
    let details = match status {
        Status::Incomplete(reason) => object(&[("reason", quoted(reason))]),
        _ => null(),
    };
    let failure = if status == Status::Failed { error::of_response() } else { null() };
    let id = format!("resp_{}", identity.id);
    let mut members = vec![
        ("id", quoted(&id)),
        ("object", quoted("response")),
        ("created_at", identity.created_s.to_string()),
        // There is no clock here.
        ("completed_at", null()),
        ("status", quoted(status.word())),
        ("error", failure),
        ("incomplete_details", details),
        ("model", quoted(&identity.model)),
        ("output", array(&items)),
        ("usage", usage.unwrap_or_else(null)),
    ];
    let echoed = identity.echo.iter().filter(|(key, _)| tier.is_none() || key != "service_tier");
    members.extend(echoed.map(|(key, json)| (key.as_str(), json.clone())));
    members.extend(tier.map(|tier| ("service_tier", quoted(tier))));
    object(&members)
}
