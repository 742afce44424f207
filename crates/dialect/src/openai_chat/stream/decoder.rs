//! An upstream's chunks as events. A whole answer is read by the same code: its message is one delta.
//!
//! Of several choices the first alone is read: a client that asks for more is refused before.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::calls::{Begin, Calls};
use super::details::Detail;
use super::speech::{Kind, Speech};
use crate::canonical::{Citation, Decode, Delta, Event, Owner, Stop, StopReason, UpstreamError};
use crate::envelope::Envelope;
use crate::json_text;
use crate::openai_chat::relay::chunk::{Choice, Chunk};
use crate::openai_chat::words;
use crate::request::as_array;
use crate::sse::Frame;

/// Reads an upstream's stream.
#[derive(Debug)]
pub struct Decoder {
    owner: Owner,
    /// The number of the next block.
    next: usize,
    /// The block of words that is open.
    speech: Option<Speech>,
    calls: Calls,
    /// The usage stands where the dialect has it, so that a vendor's second place is not read.
    usage_in_place: bool,
    service_tier: Option<String>,
    /// Made of the answer's id, for calls without one.
    seed: Option<u64>,
    stopped: bool,
    lost_citations: bool,
}

/// What a delta, or a whole message, says.
#[derive(Default, Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning_details: Option<&'a RawValue>,
    #[serde(borrow, default)]
    refusal: Option<&'a RawValue>,
    #[serde(borrow, default)]
    annotations: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow, default)]
    function_call: Option<&'a RawValue>,
    #[serde(borrow, default)]
    audio: Option<&'a RawValue>,
}

impl Decoder {
    /// A stream that begins, of state made by `owner`.
    #[must_use]
    pub fn new(owner: Owner) -> Self {
        Self {
            owner,
            next: 0,
            speech: None,
            calls: Calls::default(),
            usage_in_place: false,
            service_tier: None,
            seed: None,
            stopped: false,
            lost_citations: false,
        }
    }
}

impl Decode for Decoder {
    fn push(&mut self, frame: &Frame, events: &mut Vec<Event>) -> Result<bool, UpstreamError> {
        let Some(data) = frame.data() else { return Ok(false) };
        if data.trim() == "[DONE]" {
            self.stop(None, events);
            return Ok(true);
        }
        let error_event = frame.event().as_deref() == Some("error");
        let chunk = Chunk::parse(&data).ok_or(UpstreamError)?;
        let choices = chunk.choices();
        if error_event || chunk.is_error(&choices) {
            return Err(UpstreamError);
        }
        self.chunk(&chunk, &choices, events);
        Ok(false)
    }

    fn finish(&mut self, events: &mut Vec<Event>) {
        self.close_all(events);
    }
}

impl Decoder {
    /// Reads a chunk that is no error.
    pub(in crate::openai_chat) fn chunk(&mut self, chunk: &Chunk<'_>, choices: &[Choice<'_>], events: &mut Vec<Event>) {
        if self.seed.is_none() {
            self.seed = chunk.get("id").map(hash);
        }
        let tier = chunk.get("service_tier").and_then(json_text::text);
        if tier.is_some() && tier != self.service_tier {
            self.service_tier.clone_from(&tier);
            events.extend(tier.map(Event::ServiceTier));
        }
        for choice in choices.iter().filter(|choice| choice.index() == 0) {
            if let Some(message) = choice.get("delta") {
                self.message(message, choice.get("logprobs"), events);
            }
            if let Some(reason) = choice.get("finish_reason").and_then(json_text::text) {
                self.stop(Some(&reason), events);
            }
        }
        self.usage(chunk, events);
        if chunk.get("citations").is_some() && !self.lost_citations {
            self.lost_citations = true;
            events.push(Event::Lost("citations"));
        }
    }

    fn usage(&mut self, chunk: &Chunk<'_>, events: &mut Vec<Event>) {
        let in_place = chunk.usage();
        self.usage_in_place |= in_place.is_some();
        let reported = if self.usage_in_place { in_place } else { chunk.vendor_usage() };
        events.extend(reported.map(Event::Usage));
    }

    /// Reads what a delta or a message says.
    pub(in crate::openai_chat) fn message(&mut self, json: &str, logprobs: Option<&str>, events: &mut Vec<Event>) {
        let Ok(message) = serde_json::from_str::<Message<'_>>(json) else {
            events.push(Event::Lost("delta"));
            return;
        };
        let details = message.reasoning_details.and_then(|json| as_array(json.get())).unwrap_or_default();
        let details: Vec<Detail> = details.into_iter().filter_map(Detail::read).collect();
        let in_details = details.iter().any(|detail| detail.text.as_ref().is_some_and(|text| text != "\"\""));
        // Some servers write the same words under both names.
        let named = [message.reasoning_content, message.reasoning].into_iter().flatten().map(RawValue::get);
        if let Some(reasoning) = named.into_iter().find(|json| !matches!(*json, "null" | "\"\""))
            && !in_details
        {
            self.speak(Kind::Reasoning, reasoning, events);
        }
        details.into_iter().for_each(|detail| self.detail(detail, events));
        if let Some(content) = message.content {
            self.content(content.get(), events);
        }
        for annotation in message.annotations.and_then(|json| as_array(json.get())).unwrap_or_default() {
            self.annotation(annotation, events);
        }
        if let Some(logprobs) = logprobs {
            self.logprobs(logprobs, events);
        }
        if let Some(refusal) = message.refusal {
            self.speak(Kind::Refusal, refusal.get(), events);
        }
        for call in message.tool_calls.and_then(|json| as_array(json.get())).unwrap_or_default() {
            let begin = self.calls.read(call, events);
            self.begin_call(begin, events);
        }
        if let Some(call) = message.function_call.filter(|json| says(json)) {
            let begin = self.calls.read_legacy(call.get(), events);
            self.begin_call(begin, events);
        }
        if message.audio.is_some_and(says) {
            events.push(Event::Lost("audio"));
        }
    }

    /// The content: text, or parts (Mistral).
    fn content(&mut self, json: &str, events: &mut Vec<Event>) {
        if !json.starts_with('[') {
            return self.speak(Kind::Text, json, events);
        }
        let parts = as_array(json).unwrap_or_default();
        for part in parts {
            let fields = Envelope::parse(part).ok();
            let member = |key| fields.as_ref().and_then(|fields| fields.present(key));
            match (member("type"), member("text"), member("thinking")) {
                (Some("\"text\""), Some(text), _) => self.speak(Kind::Text, text, events),
                (Some("\"thinking\""), _, Some(thinking)) => {
                    for thought in as_array(thinking).unwrap_or_else(|| vec![thinking]) {
                        let fields = Envelope::parse(thought).ok();
                        let text = fields.as_ref().and_then(|fields| fields.present("text")).unwrap_or(thought);
                        self.speak(Kind::Reasoning, text, events);
                    }
                }
                _ => events.push(Event::Lost("content")),
            }
        }
    }

    /// A piece of words: a JSON string; anything else says nothing.
    fn speak(&mut self, kind: Kind, json: &str, events: &mut Vec<Event>) {
        if !json.starts_with('"') || json == "\"\"" {
            return;
        }
        if self.speech.as_ref().is_none_or(|speech| speech.kind != kind) && !self.begin_speech(kind, events) {
            return;
        }
        let Some(speech) = &mut self.speech else { return };
        speech.json(json, &mut self.next, events);
    }

    fn detail(&mut self, detail: Detail, events: &mut Vec<Event>) {
        let open = self.speech.as_ref().is_some_and(|speech| speech.takes(&detail));
        if !open && !self.begin_speech(Kind::Reasoning, events) {
            return;
        }
        let Some(speech) = &mut self.speech else { return };
        speech.detail(detail, &mut self.next, events);
    }

    /// The text block that is open.
    fn open_text(&self) -> Option<usize> {
        self.speech.as_ref().filter(|speech| speech.kind == Kind::Text).and_then(|speech| speech.index)
    }

    fn annotation(&self, json: &str, events: &mut Vec<Event>) {
        match (self.open_text(), citation(json)) {
            (Some(index), Some(citation)) => events.push(Event::Delta { index, delta: Delta::Citation(citation) }),
            _ => events.push(Event::Lost("annotations")),
        }
    }

    fn logprobs(&self, json: &str, events: &mut Vec<Event>) {
        let Ok(fields) = Envelope::parse(json) else { return };
        let of = |key: &str| fields.array(key).ok().flatten().unwrap_or_default();
        let tokens: Vec<String> = of("content").into_iter().map(str::to_owned).collect();
        match self.open_text() {
            _ if tokens.is_empty() => {}
            Some(index) => events.push(Event::Delta { index, delta: Delta::Logprobs(tokens) }),
            None => events.push(Event::Lost("logprobs")),
        }
        if !of("refusal").is_empty() {
            events.push(Event::Lost("logprobs"));
        }
    }

    /// Closes what is complete and begins a block of words. `false`: the answer has stopped.
    fn begin_speech(&mut self, kind: Kind, events: &mut Vec<Event>) -> bool {
        if self.stopped {
            events.push(Event::Lost("content"));
            return false;
        }
        self.close_speech(events);
        self.calls.close_complete(events);
        self.speech = Some(Speech::new(kind));
        true
    }

    fn begin_call(&mut self, begin: Option<Begin>, events: &mut Vec<Event>) {
        let Some(begin) = begin else { return };
        if self.stopped {
            events.push(Event::Lost("tool_calls"));
            return;
        }
        self.close_speech(events);
        self.calls.close_complete(events);
        let index = self.next;
        self.next = self.next.saturating_add(1);
        // Another answer's calls in the same conversation must be called otherwise.
        let id = format!("call_{:016x}{index}", self.seed.unwrap_or_default());
        self.calls.begin(&begin, index, id, events);
    }

    fn close_speech(&mut self, events: &mut Vec<Event>) {
        if let Some(speech) = self.speech.take() {
            speech.close(&self.owner, &mut self.next, events);
        }
    }

    fn close_all(&mut self, events: &mut Vec<Event>) {
        self.close_speech(events);
        self.calls.close_all(events);
    }

    /// The model has stopped; `None`: the stream ends and nobody has said why.
    pub(in crate::openai_chat) fn stop(&mut self, reason: Option<&str>, events: &mut Vec<Event>) {
        if std::mem::replace(&mut self.stopped, true) {
            return;
        }
        self.close_all(events);
        let reason = match reason.map_or(StopReason::EndTurn, words::stop_reason) {
            // With a tool that had to be called the reason is `stop`; other dialects name the call.
            StopReason::EndTurn if self.calls.any() => StopReason::ToolUse,
            reason => reason,
        };
        events.push(Event::Stop(Stop { reason, sequence: None }));
    }
}

/// A `url_citation`; `None` where it is another kind.
fn citation(json: &str) -> Option<Citation> {
    let outer = Envelope::parse(json).ok()?;
    let fields = Envelope::parse(outer.present("url_citation")?).ok()?;
    let text = |key: &str| fields.present(key).and_then(json_text::text);
    let number = |key: &str| fields.present(key).and_then(|number| number.parse().ok());
    Some(Citation {
        url: Some(text("url")?),
        title: text("title"),
        cited_text: text("content"),
        range: number("start_index").zip(number("end_index")),
        raw: json.to_owned(),
    })
}

/// FNV-1a.
pub(in crate::openai_chat) fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, b| (hash ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

/// Whether a member says something.
fn says(json: &RawValue) -> bool {
    json.get() != "null"
}
