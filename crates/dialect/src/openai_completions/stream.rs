//! A stream of completions for a client: the text of the answer and nothing else.

use billing::money::NanoUsd;
use billing::usage::Usage;

use super::answer::{choice, completion, finish_reason, logprobs};
use crate::canonical::{Delta, Encode, Event, Identity, Losses, Open, StopReason};
use crate::envelope::Envelope;
use crate::openai_chat::error::ErrorBody;
use crate::openai_chat::usage;
use crate::openai_responses::error::{CODE, MESSAGE};
use crate::relay::End;
use crate::sse::Frame;

/// Writes the stream of one answer.
#[derive(Debug)]
pub struct Encoder {
    identity: Identity,
    /// For each block, whether it is text.
    told: Vec<bool>,
    /// Characters of the text so far, and of that part of it that log probabilities belong to.
    chars: usize,
    counted_chars: usize,
    stop: Option<StopReason>,
    losses: Losses,
}

impl Encoder {
    /// A stream that begins.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        Self { identity, told: Vec::new(), chars: 0, counted_chars: 0, stop: None, losses: Losses::default() }
    }

    fn chunk(&self, bytes: &mut Vec<u8>, choices: &str, more: &str) {
        // JSON texts of an upstream may stand on several lines.
        let data = completion(&self.identity, choices, more).replace(['\n', '\r'], " ");
        bytes.extend_from_slice(Frame::data_line(&data).raw());
    }
}

impl Encode for Encoder {
    fn push(&mut self, event: &Event, bytes: &mut Vec<u8>) {
        match event {
            Event::Open { index, block } if *index == self.told.len() => {
                let told = matches!(block, Open::Text | Open::Refusal);
                self.told.push(told);
                if !told {
                    self.losses.add(if matches!(block, Open::ToolUse { .. }) { "tool_calls" } else { "reasoning" });
                }
            }
            Event::Delta { index, delta } if self.told.get(*index) == Some(&true) => match delta {
                Delta::Text(text) => {
                    self.chars = self.chars.saturating_add(text.chars().count());
                    self.chunk(bytes, &choice(text, None, None), "");
                }
                Delta::Logprobs(entries) => {
                    let json = logprobs(entries, self.counted_chars);
                    self.counted_chars = self.chars;
                    self.chunk(bytes, &choice("", Some(&json), None), "");
                }
                Delta::Citation(_) => self.losses.add("citation"),
                Delta::Input(_) | Delta::Opaque(_) => {}
            },
            Event::Stop(stop) => self.stop = Some(stop.reason),
            _ => {}
        }
    }

    fn tail(&mut self, end: End, used: &Usage, cost: NanoUsd) -> Vec<u8> {
        let mut bytes = Vec::new();
        let finish = match end {
            End::Complete => self.stop.map_or("stop", finish_reason),
            End::Limit => "length",
            End::Truncated | End::Failed => {
                let error = ErrorBody::new(CODE, MESSAGE).envelope();
                bytes.extend_from_slice(Frame::data_line(&error).raw());
                return bytes;
            }
        };
        self.chunk(&mut bytes, &choice("", None, Some(finish)), "");
        if self.identity.include_usage {
            let counts = usage::to_json(used);
            let with_cost = Envelope::parse(&counts).map(|counts| {
                let mut edits = counts.edit();
                edits.set("cost", &cost.to_string());
                edits.finish()
            });
            self.chunk(&mut bytes, "", &format!(",\"usage\":{}", with_cost.unwrap_or_else(|_| counts.clone())));
        }
        bytes.extend_from_slice(Frame::data_line("[DONE]").raw());
        bytes
    }

    fn losses(&self) -> &Losses {
        &self.losses
    }
}
