//! A whole answer, and how a stream folds into one.

use billing::reported::Reported;

use super::block::{Block, Text, ToolUse};
use super::event::{Delta, Event, Open, Stop};
use super::loss::Losses;

/// A whole answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// What it says, in order.
    pub blocks: Vec<Block>,
    /// Why the model stopped; `None`: it was cut.
    pub stop: Option<Stop>,
    /// What the provider counted.
    pub usage: Option<Reported>,
    /// The service tier that the provider says it used.
    pub service_tier: Option<String>,
    /// What was left out of it.
    pub losses: Losses,
}

/// An answer that grows by events. Any sequence is folded; what does not fit is passed over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fold {
    answer: Answer,
}

impl Fold {
    /// Takes one more event in.
    pub fn push(&mut self, event: &Event) {
        match event {
            Event::Open { index, block } => {
                if *index == self.answer.blocks.len() {
                    self.answer.blocks.push(begin(block));
                }
            }
            Event::Delta { index, delta } => {
                if let Some(block) = self.answer.blocks.get_mut(*index) {
                    extend(block, delta);
                }
            }
            Event::Close { .. } => {}
            Event::Usage(usage) => self.answer.usage = Some(*usage),
            Event::ServiceTier(tier) => self.answer.service_tier = Some(tier.clone()),
            Event::Stop(stop) => self.answer.stop = Some(stop.clone()),
            Event::Lost(name) => self.answer.losses.add(name),
        }
    }

    /// The answer so far.
    #[must_use]
    pub fn answer(&self) -> &Answer {
        &self.answer
    }

    /// The answer.
    #[must_use]
    pub fn finish(self) -> Answer {
        self.answer
    }
}

fn begin(block: &Open) -> Block {
    match block {
        Open::Text => Block::Text(Text::default()),
        Open::Refusal => Block::Refusal(String::new()),
        Open::Reasoning => Block::Reasoning { text: String::new(), opaque: None },
        Open::Redacted(opaque) => Block::Redacted(opaque.clone()),
        Open::ToolUse { id, name, kind } => Block::ToolUse(ToolUse {
            id: id.clone(),
            name: name.clone(),
            input: String::new(),
            kind: *kind,
            cache: None,
        }),
    }
}

fn extend(block: &mut Block, delta: &Delta) {
    match (block, delta) {
        (Block::Text(Text { text, .. }) | Block::Refusal(text) | Block::Reasoning { text, .. }, Delta::Text(more))
        | (Block::ToolUse(ToolUse { input: text, .. }), Delta::Input(more)) => text.push_str(more),
        (Block::Text(text), Delta::Citation(citation)) => text.citations.push(citation.clone()),
        (Block::Text(text), Delta::Logprobs(logprobs)) => text.logprobs.extend_from_slice(logprobs),
        (Block::Reasoning { opaque, .. }, Delta::Opaque(made)) => *opaque = Some(made.clone()),
        _ => {}
    }
}

impl Answer {
    /// The events of a stream that folds into this answer.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        let mut next = 0_usize;
        for block in &self.blocks {
            let index = next;
            let (open, deltas) = match block {
                Block::Text(text) => {
                    let mut deltas = text_delta(&text.text);
                    deltas.extend(text.citations.iter().cloned().map(Delta::Citation));
                    deltas.extend((!text.logprobs.is_empty()).then(|| Delta::Logprobs(text.logprobs.clone())));
                    (Open::Text, deltas)
                }
                Block::Refusal(text) => (Open::Refusal, text_delta(text)),
                Block::Reasoning { text, opaque } => {
                    let mut deltas = text_delta(text);
                    deltas.extend(opaque.iter().cloned().map(Delta::Opaque));
                    (Open::Reasoning, deltas)
                }
                Block::Redacted(opaque) => (Open::Redacted(opaque.clone()), Vec::new()),
                Block::ToolUse(ToolUse { id, name, input, kind, .. }) => {
                    let input = if input.is_empty() { Vec::new() } else { vec![Delta::Input(input.clone())] };
                    (Open::ToolUse { id: id.clone(), name: name.clone(), kind: *kind }, input)
                }
                // No model answers with these.
                Block::Image(_) | Block::Document(_) | Block::ToolResult(_) => continue,
            };
            events.push(Event::Open { index, block: open });
            events.extend(deltas.into_iter().map(|delta| Event::Delta { index, delta }));
            events.push(Event::Close { index });
            next = next.saturating_add(1);
        }
        events.extend(self.service_tier.clone().map(Event::ServiceTier));
        events.extend(self.usage.map(Event::Usage));
        events.extend(self.stop.clone().map(Event::Stop));
        events
    }
}

fn text_delta(text: &str) -> Vec<Delta> {
    if text.is_empty() { Vec::new() } else { vec![Delta::Text(text.to_owned())] }
}
