//! The tool calls of a stream: which fragment belongs to which call.
//!
//! Servers disagree on `index` and `id`: some leave the index out or give all calls the same one, some
//! change the id from chunk to chunk. The rule: a fragment belongs to the latest call of its index (of
//! its id, where it has no index), unless it names a tool under another id and that call is complete or
//! of another tool.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::complete::Completeness;
use crate::canonical::{Delta, Event, Open, ToolKind};
use crate::json_text::{self, Joiner};

/// No answer has more calls; what is beyond is lost.
const MAX_CALLS: usize = 256;

/// A fragment of a call, or a whole one.
#[derive(Default, Deserialize)]
pub(super) struct Fragment<'a> {
    #[serde(borrow, default)]
    index: Option<&'a RawValue>,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    function: Option<&'a RawValue>,
    #[serde(borrow, default)]
    custom: Option<&'a RawValue>,
}

/// What is called and with what, of either kind; legacy `function_call` is one of these too.
#[derive(Default, Deserialize)]
struct Called<'a> {
    #[serde(borrow, default)]
    name: Option<&'a RawValue>,
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
}

/// One call.
#[derive(Debug)]
struct Call {
    /// Its index on the wire, as JSON text.
    slot: Option<String>,
    id: Option<String>,
    name: String,
    kind: ToolKind,
    /// The block, once it has begun.
    block: Option<usize>,
    open: bool,
    joiner: Joiner,
    /// Input that came before the name.
    held: String,
    complete: Completeness,
}

/// All calls so far.
#[derive(Debug, Default)]
pub(super) struct Calls(Vec<Call>);

/// A call that is to begin as a block.
pub(super) struct Begin(usize);

impl Calls {
    /// Whether there is one.
    pub(super) fn any(&self) -> bool {
        !self.0.is_empty()
    }

    /// Takes a fragment in: what of it is a call whose block has to begin first, see [`Self::begin`].
    pub(super) fn read(&mut self, json: &str, events: &mut Vec<Event>) -> Option<Begin> {
        let Ok(fragment) = serde_json::from_str::<Fragment<'_>>(json) else {
            events.push(Event::Lost("tool_calls"));
            return None;
        };
        let kind = if fragment.custom.is_some() { ToolKind::Custom } else { ToolKind::Function };
        let called = fragment.custom.or(fragment.function);
        let called = called.and_then(|json| serde_json::from_str(json.get()).ok()).unwrap_or_default();
        let slot = fragment.index.map(RawValue::get).filter(|index| *index != "null");
        let id = fragment.id.and_then(|id| json_text::text(id.get())).filter(|id| !id.is_empty());
        self.take(slot, id, kind, &called, events)
    }

    /// Takes in a fragment of the one call of the legacy `function_call`.
    pub(super) fn read_legacy(&mut self, json: &str, events: &mut Vec<Event>) -> Option<Begin> {
        let called = serde_json::from_str(json).unwrap_or_default();
        self.take(Some("function_call"), None, ToolKind::Function, &called, events)
    }

    fn take(
        &mut self,
        slot: Option<&str>,
        id: Option<String>,
        kind: ToolKind,
        called: &Called<'_>,
        events: &mut Vec<Event>,
    ) -> Option<Begin> {
        let name = called.name.and_then(|name| json_text::text(name.get())).filter(|name| !name.is_empty());
        let input = called.arguments.or(called.input).map(RawValue::get).filter(|input| *input != "null");
        let at = match self.find(slot, id.as_deref(), name.as_deref(), input.is_some_and(|input| input != "\"\"")) {
            Some(at) => at,
            None if self.0.len() < MAX_CALLS => {
                self.0.push(Call {
                    slot: slot.map(str::to_owned),
                    id: id.clone(),
                    name: String::new(),
                    kind,
                    block: None,
                    open: false,
                    joiner: Joiner::default(),
                    held: String::new(),
                    complete: Completeness::default(),
                });
                self.0.len().saturating_sub(1)
            }
            None => {
                events.push(Event::Lost("tool_calls"));
                return None;
            }
        };
        let call = self.0.get_mut(at)?;
        if call.block.is_none() {
            call.id = call.id.take().or(id);
            call.name = name.unwrap_or(std::mem::take(&mut call.name));
        }
        if let Some(input) = input {
            // Some servers give the arguments as the object that they are.
            let text = call.joiner.push(input).unwrap_or_else(|| input.to_owned());
            call.add(&text, events);
        }
        (call.block.is_none() && !call.name.is_empty()).then_some(Begin(at))
    }

    /// Where the call is that a fragment goes on with.
    fn find(&self, slot: Option<&str>, id: Option<&str>, name: Option<&str>, has_input: bool) -> Option<usize> {
        let at = match (slot, id) {
            (Some(_), _) => self.0.iter().rposition(|call| call.slot.as_deref() == slot),
            (None, Some(_)) => self.0.iter().rposition(|call| call.id.as_deref() == id),
            (None, None) if name.is_some() => None,
            (None, None) => self.0.len().checked_sub(1),
        }?;
        let call = self.0.get(at)?;
        let is_another = match (name, id) {
            (None, _) => false,
            (Some(name), Some(_)) => {
                call.id.as_deref() != id && call.block.is_some() && (call.complete.is_complete() || call.name != name)
            }
            (Some(_), None) => call.complete.is_complete() && has_input,
        };
        (!is_another).then_some(at)
    }

    /// Begins a call as the block `index`. `id`: what to call it where the server gave it no id.
    pub(super) fn begin(&mut self, begin: &Begin, index: usize, id: String, events: &mut Vec<Event>) {
        let Some(call) = self.0.get_mut(begin.0) else { return };
        call.block = Some(index);
        call.open = true;
        let block = Open::ToolUse { id: call.id.get_or_insert(id).clone(), name: call.name.clone(), kind: call.kind };
        events.push(Event::Open { index, block });
        let held = std::mem::take(&mut call.held);
        call.add(&held, events);
    }

    /// Ends the calls that are complete: another block begins.
    pub(super) fn close_complete(&mut self, events: &mut Vec<Event>) {
        let complete = |call: &&mut Call| call.kind == ToolKind::Function && call.complete.is_complete();
        self.0.iter_mut().filter(complete).for_each(|call| call.close(events));
    }

    /// Ends all calls.
    pub(super) fn close_all(&mut self, events: &mut Vec<Event>) {
        for call in &mut self.0 {
            if call.block.is_none() && (!call.held.is_empty() || call.id.is_some()) {
                events.push(Event::Lost("tool_calls"));
                call.held.clear();
                call.id = None;
            }
            call.close(events);
        }
    }
}

impl Call {
    fn add(&mut self, text: &str, events: &mut Vec<Event>) {
        if text.is_empty() {
            return;
        }
        match self.block {
            None => self.held.push_str(text),
            Some(index) if self.open => {
                self.complete.push(text);
                events.push(Event::Delta { index, delta: Delta::Input(text.to_owned()) });
            }
            Some(_) if text.trim().is_empty() => {}
            Some(_) => events.push(Event::Lost("tool_calls")),
        }
    }

    fn close(&mut self, events: &mut Vec<Event>) {
        let Some(index) = self.block.filter(|_| self.open) else { return };
        if let Some(c) = self.joiner.finish() {
            self.add(&c.to_string(), events);
        }
        self.open = false;
        events.push(Event::Close { index });
    }
}
