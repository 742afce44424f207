//! The output items of an upstream's stream, and how much of each has been told.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::decoder::string;
use super::output::{BETWEEN_PARTS, Output, joined, list, parts};
use crate::canonical::{Delta, Event, Opaque, Open, Owner, ToolKind};
use crate::json_text::Joiner;
use crate::openai_responses::item::citation;

/// A block that has been opened, and how far it was told.
#[derive(Debug, Default)]
struct Told {
    block: usize,
    /// Bytes of its text or input.
    bytes: usize,
    joiner: Joiner,
    annotations: usize,
    logprobs: usize,
}

/// An output item.
#[derive(Debug, Default)]
struct State {
    kind: Kind,
    /// Its blocks by their content index; an item that has one has it at 0.
    blocks: BTreeMap<u64, Told>,
    /// Whether reasoning is told by its summary, and the part that was told last.
    source: Option<(bool, u64)>,
    done: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Kind {
    Message,
    Reasoning,
    Function,
    Custom,
    /// What a provider runs itself, and what nobody knows.
    #[default]
    Other,
}

/// All items of an answer.
#[derive(Debug)]
pub(in crate::openai_responses) struct Items {
    owner: Owner,
    states: BTreeMap<u64, State>,
    ids: BTreeMap<String, u64>,
    next_block: usize,
    /// A tool of the client's was called.
    pub called: bool,
    /// The model refused.
    pub refused: bool,
}

/// Types of items that no other dialect can hold, by the names under which they are counted.
const LOST: [&str; 14] = [
    "web_search_call",
    "file_search_call",
    "code_interpreter_call",
    "image_generation_call",
    "computer_call",
    "mcp_call",
    "mcp_list_tools",
    "mcp_approval_request",
    "local_shell_call",
    "shell_call",
    "apply_patch_call",
    "tool_search_call",
    "compaction",
    "program",
];

impl Items {
    pub fn new(owner: Owner) -> Self {
        Self { owner, states: BTreeMap::new(), ids: BTreeMap::new(), next_block: 0, called: false, refused: false }
    }

    /// The item that an event names: by its index, else by its id, else the latest.
    pub fn find(&self, index: Option<u64>, id: Option<&str>) -> u64 {
        let by_id = || id.and_then(|id| self.ids.get(id).copied());
        let latest = || self.states.last_key_value().map_or(0, |(latest, _)| *latest);
        index.or_else(by_id).unwrap_or_else(latest)
    }

    /// Where an item of the whole output is: by its id, else at its position if that holds one of its
    /// kind (some providers change the ids), else behind all others.
    pub fn place(&self, position: u64, output: &Output<'_>) -> u64 {
        let by_id = string(output.id).and_then(|id| self.ids.get(&id).copied());
        let fits = self.states.get(&position).is_none_or(|state| state.kind == Kind::of(output));
        by_id.unwrap_or_else(|| if fits { position } else { self.next() })
    }

    fn next(&self) -> u64 {
        self.states.last_key_value().map_or(0, |(latest, _)| latest.saturating_add(1))
    }

    /// Closes what is open.
    pub fn close_all(&mut self, events: &mut Vec<Event>) {
        for state in self.states.values_mut().filter(|state| !state.done) {
            state.close(events);
        }
    }

    /// An item begins.
    pub fn added(&mut self, index: Option<u64>, output: &Output<'_>, events: &mut Vec<Event>) -> u64 {
        let id = string(output.id);
        let known = id.as_deref().and_then(|id| self.ids.get(id).copied());
        let at = index.or(known).unwrap_or_else(|| self.next());
        if self.states.contains_key(&at) {
            return at;
        }
        let kind = Kind::of(output);
        self.ids.extend(id.map(|id| (id, at)));
        self.states.insert(at, State { kind, ..State::default() });
        if matches!(kind, Kind::Function | Kind::Custom) {
            let kind = if kind == Kind::Function { ToolKind::Function } else { ToolKind::Custom };
            let id = string(output.call_id).or_else(|| string(output.id)).unwrap_or_default();
            let name = string(output.name).unwrap_or_default();
            self.called = true;
            self.open(at, 0, Open::ToolUse { id, name, kind }, events);
        }
        at
    }

    /// An item is whole.
    pub fn done(&mut self, index: Option<u64>, output: &Output<'_>, events: &mut Vec<Event>) {
        let at = self.added(index, output, events);
        let Some(state) = self.states.get(&at).filter(|state| !state.done) else { return };
        match state.kind {
            Kind::Message => self.whole_message(at, output, events),
            Kind::Reasoning => self.whole_reasoning(at, output, events),
            Kind::Function => self.whole_input(at, output.arguments, events),
            Kind::Custom => self.whole_input(at, output.input, events),
            Kind::Other => {
                let kind = string(output.kind).unwrap_or_default();
                let name = LOST.into_iter().find(|name| *name == kind).unwrap_or("item");
                events.push(Event::Lost(name));
            }
        }
        if let Some(state) = self.states.get_mut(&at) {
            state.close(events);
        }
    }

    fn whole_message(&mut self, at: u64, output: &Output<'_>, events: &mut Vec<Event>) {
        if string(output.phase).is_some_and(|phase| phase != "final_answer") {
            events.push(Event::Lost("phase"));
        }
        for (index, part) in (0..).zip(parts(output.content)) {
            match string(part.kind).as_deref() {
                Some("refusal") => self.whole_text(at, index, true, part.refusal, events),
                Some("output_text" | "text") => {
                    self.whole_text(at, index, false, part.text, events);
                    let told = |items: &Self| items.told(at, index).map(|told| (told.annotations, told.logprobs));
                    let Some((annotations, logprobs)) = told(self) else { continue };
                    for annotation in list(part.annotations).into_iter().skip(annotations) {
                        self.annotation(at, index, Some(annotation), events);
                    }
                    if logprobs == 0 {
                        self.logprobs(at, index, part.logprobs, events);
                    }
                }
                _ => events.push(Event::Lost("part")),
            }
        }
    }

    fn whole_reasoning(&mut self, at: u64, output: &Output<'_>, events: &mut Vec<Event>) {
        let source = self.states.get(&at).and_then(|state| state.source).map(|(summary, _)| summary);
        let text = match source {
            Some(true) => joined(output.summary),
            Some(false) => joined(output.content),
            None => Some(joined(output.summary)).filter(|text| !text.is_empty()).unwrap_or(joined(output.content)),
        };
        let encrypted = string(output.encrypted_content).filter(|data| !data.is_empty());
        if text.is_empty() && encrypted.is_none() {
            return;
        }
        self.open(at, 0, Open::Reasoning, events);
        self.rest(at, 0, &text, Delta::Text, events);
        if let (Some(encrypted), Some(told)) = (encrypted, self.told(at, 0)) {
            let data = format!("{}.{encrypted}", string(output.id).unwrap_or_default());
            let delta = Delta::Opaque(Opaque::made_by(&self.owner, data));
            events.push(Event::Delta { index: told.block, delta });
        }
    }

    /// A piece of a message.
    pub fn text(&mut self, at: u64, part: u64, refusal: bool, delta: Option<&RawValue>, events: &mut Vec<Event>) {
        self.open_text(at, part, refusal, delta, events);
        self.piece(at, part, delta, Delta::Text, events);
    }

    /// The whole text of a part.
    pub fn whole_text(&mut self, at: u64, part: u64, refusal: bool, text: Option<&RawValue>, events: &mut Vec<Event>) {
        let Some(whole) = string(text) else { return };
        self.open_text(at, part, refusal, text, events);
        self.rest(at, part, &whole, Delta::Text, events);
    }

    fn open_text(&mut self, at: u64, part: u64, refusal: bool, text: Option<&RawValue>, events: &mut Vec<Event>) {
        if text.is_none_or(|text| text.get() == "\"\"") {
            return;
        }
        let state = self.states.entry(at).or_insert_with(|| State { kind: Kind::Message, ..State::default() });
        if state.kind != Kind::Message || state.done {
            return;
        }
        self.refused |= refusal;
        self.open(at, part, if refusal { Open::Refusal } else { Open::Text }, events);
    }

    /// Log probabilities of the text that has come.
    pub fn logprobs(&mut self, at: u64, part: u64, logprobs: Option<&RawValue>, events: &mut Vec<Event>) {
        let Some(told) = self.told_mut(at, part) else { return };
        let logprobs: Vec<String> = list(logprobs).into_iter().map(|one| one.get().to_owned()).collect();
        if !logprobs.is_empty() {
            told.logprobs = told.logprobs.saturating_add(logprobs.len());
            events.push(Event::Delta { index: told.block, delta: Delta::Logprobs(logprobs) });
        }
    }

    /// A citation.
    pub fn annotation(&mut self, at: u64, part: u64, raw: Option<&RawValue>, events: &mut Vec<Event>) {
        let (Some(raw), Some(told)) = (raw, self.told_mut(at, part)) else { return };
        let Some(citation) = citation(raw) else { return };
        told.annotations = told.annotations.saturating_add(1);
        events.push(Event::Delta { index: told.block, delta: Delta::Citation(citation) });
    }

    /// A piece of reasoning; only its summary or only its content is told, whichever comes first.
    pub fn reasoning(&mut self, at: u64, summary: bool, part: u64, delta: Option<&RawValue>, events: &mut Vec<Event>) {
        let state = self.states.entry(at).or_insert_with(|| State { kind: Kind::Reasoning, ..State::default() });
        if state.kind != Kind::Reasoning || state.done {
            return;
        }
        let (of_summary, last) = *state.source.get_or_insert((summary, part));
        if of_summary != summary || delta.is_none_or(|delta| delta.get() == "\"\"") {
            return;
        }
        state.source = Some((summary, part));
        self.open(at, 0, Open::Reasoning, events);
        if last != part && self.told(at, 0).is_some_and(|told| told.bytes > 0) {
            self.say(at, 0, BETWEEN_PARTS, Delta::Text, events);
        }
        self.piece(at, 0, delta, Delta::Text, events);
    }

    /// A piece of what a tool is called with.
    pub fn input(&mut self, at: u64, delta: Option<&RawValue>, events: &mut Vec<Event>) {
        if self.is_call(at) {
            self.piece(at, 0, delta, Delta::Input, events);
        }
    }

    /// All that a tool is called with.
    pub fn whole_input(&mut self, at: u64, input: Option<&RawValue>, events: &mut Vec<Event>) {
        if self.is_call(at)
            && let Some(whole) = string(input)
        {
            self.rest(at, 0, &whole, Delta::Input, events);
        }
    }

    fn is_call(&self, at: u64) -> bool {
        self.states.get(&at).is_some_and(|state| !state.done && matches!(state.kind, Kind::Function | Kind::Custom))
    }

    fn told(&self, at: u64, part: u64) -> Option<&Told> {
        self.states.get(&at)?.blocks.get(&part)
    }

    fn told_mut(&mut self, at: u64, part: u64) -> Option<&mut Told> {
        self.states.get_mut(&at).filter(|state| !state.done)?.blocks.get_mut(&part)
    }

    fn open(&mut self, at: u64, part: u64, block: Open, events: &mut Vec<Event>) {
        let Some(state) = self.states.get_mut(&at) else { return };
        if let std::collections::btree_map::Entry::Vacant(place) = state.blocks.entry(part) {
            place.insert(Told { block: self.next_block, ..Told::default() });
            events.push(Event::Open { index: self.next_block, block });
            self.next_block = self.next_block.saturating_add(1);
        }
    }

    /// Tells a piece that came as a JSON string.
    fn piece(
        &mut self,
        at: u64,
        part: u64,
        delta: Option<&RawValue>,
        say: fn(String) -> Delta,
        events: &mut Vec<Event>,
    ) {
        let (Some(delta), Some(told)) = (delta, self.told_mut(at, part)) else { return };
        if let Some(text) = told.joiner.push(delta.get()) {
            self.say(at, part, &text, say, events);
        }
    }

    /// Tells what has not been told of `whole`.
    fn rest(&mut self, at: u64, part: u64, whole: &str, say: fn(String) -> Delta, events: &mut Vec<Event>) {
        let Some(told) = self.told_mut(at, part) else { return };
        told.joiner = Joiner::default();
        let rest = whole.get(told.bytes..).unwrap_or_default().to_owned();
        self.say(at, part, &rest, say, events);
    }

    fn say(&mut self, at: u64, part: u64, text: &str, say: fn(String) -> Delta, events: &mut Vec<Event>) {
        if let Some(told) = self.told_mut(at, part).filter(|_| !text.is_empty()) {
            told.bytes = told.bytes.saturating_add(text.len());
            events.push(Event::Delta { index: told.block, delta: say(text.to_owned()) });
        }
    }
}

impl Kind {
    fn of(output: &Output<'_>) -> Self {
        match string(output.kind).as_deref() {
            Some("message") => Self::Message,
            Some("reasoning") => Self::Reasoning,
            Some("function_call") => Self::Function,
            Some("custom_tool_call") => Self::Custom,
            _ => Self::Other,
        }
    }
}

impl State {
    fn close(&mut self, events: &mut Vec<Event>) {
        self.done = true;
        events.extend(self.blocks.values().map(|told| Event::Close { index: told.block }));
    }
}
