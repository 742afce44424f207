//! What is seen of a chat answer that passes, in chunks or whole: every choice, every call.
//!
//! The one rule: a text is counted once. Where a server writes its reasoning under several names, one of them counts.

use std::collections::BTreeMap;

use super::relay::chunk::{Choice, last};
use super::stream::{Detail, hash};
use crate::envelope::Envelope;
use crate::json_text;
use crate::request::as_array;
use crate::tokens::{Figures, Vocabulary};
use crate::visible::{Kind, Place, Visible};

/// The part of a choice's text that holds the words of a refusal.
const REFUSAL: u64 = 1;
/// The call that stands in the legacy `function_call`.
const LEGACY_CALL: u64 = u64::MAX;

/// An answer that passes.
#[derive(Debug, Default)]
pub(super) struct Seen {
    visible: Visible,
    /// The name that each call told last, by choice and call: some servers repeat it in every chunk.
    names: BTreeMap<(u64, u64), String>,
    /// The call that each choice wrote last.
    latest: BTreeMap<u64, u64>,
}

impl Seen {
    /// An answer that has said nothing, of a model with this vocabulary.
    pub(super) fn new(vocabulary: Vocabulary) -> Self {
        Self { visible: Visible::new(vocabulary), ..Self::default() }
    }

    /// The figures of all choices together.
    pub(super) fn figures(&self) -> Figures {
        self.visible.figures()
    }

    /// Reads a choice of a chunk, or of a whole answer; `member`: where its words stand.
    pub(super) fn read(&mut self, choice: &Choice<'_>, member: &str) {
        let Some(Ok(said)) = choice.get(member).map(Envelope::parse_any) else { return };
        let index = choice.index();
        let get = |key| last(&said, key);
        self.reasoning(index, &said);
        if let Some(content) = get("content") {
            self.content(index, content);
        }
        if let Some(refusal) = get("refusal") {
            self.text(index, Kind::Text, REFUSAL, refusal);
        }
        for call in get("tool_calls").and_then(as_array).unwrap_or_default() {
            if let Ok(call) = Envelope::parse_any(call) {
                self.call(index, &call);
            }
        }
        if let Some(Ok(call)) = get("function_call").map(Envelope::parse_any) {
            self.called(index, LEGACY_CALL, &call);
        }
    }

    fn text(&mut self, choice: u64, kind: Kind, part: u64, json: &str) {
        if json.starts_with('"') {
            self.visible.push_json(Place { choice, kind, part }, json);
        }
    }

    /// Reasoning as text, under one of its names, or as encrypted state where no text is shown.
    fn reasoning(&mut self, choice: u64, said: &Envelope<'_>) {
        let details = last(said, "reasoning_details").and_then(as_array).unwrap_or_default();
        let details: Vec<Detail> = details.into_iter().filter_map(Detail::read).collect();
        let says = |json: &&str| !matches!(*json, "null" | "\"\"");
        let mut texts: Vec<&str> = details.iter().filter_map(|detail| detail.text.as_deref()).filter(says).collect();
        if texts.is_empty() {
            let named = ["reasoning_content", "reasoning"].into_iter().filter_map(|key| last(said, key));
            texts.extend(named.filter(says).take(1));
        }
        for text in texts {
            self.text(choice, Kind::Reasoning, 0, text);
        }
        if !self.visible.has(Place { choice, kind: Kind::Reasoning, part: 0 }) {
            for detail in details {
                self.visible.push_state(&detail.member("data").unwrap_or_default());
            }
        }
    }

    /// The content: text, or parts of text and reasoning.
    fn content(&mut self, choice: u64, json: &str) {
        for part in as_array(json).unwrap_or_default() {
            let Ok(part) = Envelope::parse_any(part) else { continue };
            if let Some(text) = last(&part, "text") {
                self.text(choice, Kind::Text, 0, text);
            }
            let thinking = last(&part, "thinking");
            for thought in thinking.and_then(as_array).unwrap_or_else(|| thinking.into_iter().collect()) {
                let inner = Envelope::parse_any(thought).ok();
                let text = inner.as_ref().and_then(|inner| last(inner, "text")).unwrap_or(thought);
                self.text(choice, Kind::Reasoning, 0, text);
            }
        }
        self.text(choice, Kind::Text, 0, json);
    }

    /// A fragment of a call. It belongs to the call of its index, else of its id, else to the latest.
    fn call(&mut self, choice: u64, fragment: &Envelope<'_>) {
        let index = last(fragment, "index").and_then(|index| index.parse().ok());
        let id = last(fragment, "id").filter(|id| *id != "\"\"").map(hash);
        let call = index.or(id).or_else(|| self.latest.get(&choice).copied()).unwrap_or(0);
        self.latest.insert(choice, call);
        for member in ["function", "custom"] {
            if let Some(Ok(called)) = last(fragment, member).map(Envelope::parse_any) {
                self.called(choice, call, &called);
            }
        }
    }

    /// What is called and with what.
    fn called(&mut self, choice: u64, call: u64, called: &Envelope<'_>) {
        if let Some(name) = last(called, "name").and_then(json_text::text).filter(|name| !name.is_empty())
            && self.names.get(&(choice, call)) != Some(&name)
        {
            self.visible.push(Place { choice, kind: Kind::Name, part: call }, &name);
            self.names.insert((choice, call), name);
        }
        if let Some(input) = last(called, "arguments").or_else(|| last(called, "input")) {
            // Some servers give the arguments as the object that they are.
            self.visible.push_json(Place { choice, kind: Kind::Arguments, part: call }, input);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens;

    fn estimate(deltas: &[&str]) -> u64 {
        let mut seen = Seen::new(Vocabulary::default());
        for delta in deltas {
            let choice = format!(r#"{{"index":0,"delta":{delta}}}"#);
            seen.read(&Choice::parse(&choice).unwrap(), "delta");
        }
        seen.figures().estimate
    }

    fn of(texts: &[&str]) -> u64 {
        texts.iter().map(|text| tokens::figures(text, Vocabulary::default()).estimate).sum()
    }

    #[test]
    fn every_text_is_counted_once_and_the_json_around_it_is_not() {
        let words = "one two three four five six";
        let json = serde_json::to_string(words).unwrap();
        let cases: Vec<(&str, Vec<String>, Vec<&str>)> = vec![
            ("content", vec![format!(r#"{{"role":"assistant","content":{json}}}"#)], vec![words]),
            ("nothing", vec![r#"{"content":"","refusal":null,"tool_calls":[]}"#.into(), "{}".into()], vec![]),
            ("a refusal", vec![format!(r#"{{"content":null,"refusal":{json}}}"#)], vec![words]),
            ("reasoning twice", vec![format!(r#"{{"reasoning":{json},"reasoning_content":{json}}}"#)], vec![words]),
            (
                "reasoning in details too",
                vec![format!(
                    r#"{{"reasoning":{json},"reasoning_details":[{{"type":"reasoning.text","text":{json}}},{{"type":"reasoning.encrypted","data":"QUJD"}}]}}"#
                )],
                vec![words],
            ),
            (
                "parts",
                vec![format!(
                    r#"{{"content":[{{"type":"thinking","thinking":[{{"type":"text","text":{json}}}]}},{{"type":"text","text":{json}}}]}}"#
                )],
                vec![words, words],
            ),
            (
                "a call in pieces",
                vec![
                    r#"{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"get","arguments":""}}]}"#.into(),
                    r#"{"tool_calls":[{"index":0,"function":{"name":"get","arguments":"{\"a\""}}]}"#.into(),
                    r#"{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}"#.into(),
                ],
                vec!["get", r#"{"a":1}"#],
            ),
            (
                "two calls at once",
                vec![
                    r#"{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"{\"city\""}},{"index":1,"function":{"name":"f","arguments":"{\"city\""}}]}"#.into(),
                    r#"{"tool_calls":[{"index":0,"function":{"arguments":":\"Paris\"}"}},{"index":1,"function":{"arguments":":\"Rome\"}"}}]}"#.into(),
                ],
                vec!["f", "f", r#"{"city":"Paris"}"#, r#"{"city":"Rome"}"#],
            ),
            (
                "calls without an index",
                vec![r#"{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}},{"id":"b","function":{"name":"f","arguments":"{}"}}]}"#.into()],
                vec!["f", "f", "{}", "{}"],
            ),
            ("arguments as an object", vec![r#"{"tool_calls":[{"index":0,"function":{"name":"f","arguments":{"a":1}}}]}"#.into()], vec!["f", r#"{"a":1}"#]),
            ("a custom tool", vec![r#"{"tool_calls":[{"index":0,"type":"custom","custom":{"name":"sh","input":"ls -l"}}]}"#.into()], vec!["sh", "ls -l"]),
            ("the legacy call", vec![r#"{"function_call":{"name":"f","arguments":"{}"}}"#.into()], vec!["f", "{}"]),
            ("noise", vec![format!(r#"{{"content":{json},"obfuscation":"xYzAbC0123456789","annotations":[]}}"#)], vec![words]),
        ];
        for (name, deltas, texts) in cases {
            let deltas: Vec<&str> = deltas.iter().map(String::as_str).collect();
            assert_eq!(estimate(&deltas), of(&texts), "{name}");
        }
    }

    #[test]
    fn hidden_reasoning_is_counted_by_its_state_alone() {
        let data = "x".repeat(800);
        let delta = format!(r#"{{"reasoning_details":[{{"type":"reasoning.encrypted","data":"{data}"}}]}}"#);
        assert_eq!(estimate(&[&delta]), 100);
    }

    #[test]
    fn the_choices_of_a_chunk_are_counted_apart() {
        let mut seen = Seen::new(Vocabulary::default());
        for index in [0, 1, 0, 1] {
            let choice = format!(r#"{{"index":{index},"delta":{{"content":"interna"}}}}"#);
            seen.read(&Choice::parse(&choice).unwrap(), "delta");
        }
        assert_eq!(seen.figures().estimate, 2 * of(&["internainterna"]));
    }
}
