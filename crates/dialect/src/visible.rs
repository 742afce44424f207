//! How much of an answer was seen, in tokens.
//!
//! The one rule: what is counted is the decoded text, never the JSON around it, and each text is counted as a whole.
//! So the figures do not depend on where a provider splits a text into deltas.

use std::collections::BTreeMap;

use billing::reported::{Bounds, Measured};

use crate::json_text::Joiner;
use crate::tokens::{Counter, Figures, Vocabulary};
use crate::unicode_escapes::Decoder;

/// What a text of an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Text, and the words of a refusal.
    Text,
    /// Reasoning that is shown.
    Reasoning,
    /// The name of the tool that a call names.
    Name,
    /// The input of a tool's call.
    Arguments,
}

/// One text of an answer: its choice, its kind, and its number among the texts of that kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The choice.
    pub choice: u64,
    /// What it is.
    pub kind: Kind,
    /// Its number; texts of one kind may arrive interleaved, as those of parallel calls do.
    pub part: u64,
}

/// The most texts that are counted apart: further ones are counted as one, so that a stream of many small parts costs
/// no memory.
const MAX_PARTS: usize = 1_024;

/// Reasoning that is shown is often a summary, which can be longer than what it sums up and is not what the provider
/// counts: one of the recorded summaries has 100 tokens where 40 were counted. So only so much of the lower bound of
/// shown reasoning is certain: one in so many tokens, behind the first ones.
const SUMMARY_TOKENS_PER_TOKEN: u64 = 8;
/// See [`SUMMARY_TOKENS_PER_TOKEN`].
const SUMMARY_FIRST_TOKENS: u64 = 512;

/// How many bytes of a provider's encrypted state stand for a token of the reasoning in it.
const STATE_BYTES_PER_TOKEN: u64 = 8;

/// The texts of an answer.
#[derive(Debug, Clone, Default)]
pub struct Visible {
    vocabulary: Vocabulary,
    parts: BTreeMap<Place, Part>,
    /// Bytes of encrypted reasoning.
    state_bytes: u64,
}

#[derive(Debug, Clone)]
struct Part {
    counter: Counter,
    /// Joins a character that two deltas share.
    joiner: Joiner,
    /// Decodes the escapes in arguments; `None` for every other kind.
    escapes: Option<Decoder>,
}

impl Part {
    fn push(&mut self, text: &str) {
        match &mut self.escapes {
            Some(decoder) if !decoder.is_plain(text) => self.counter.push(&decoder.push(text)),
            Some(_) | None => self.counter.push(text),
        }
    }
}

impl Visible {
    /// An answer that has said nothing, of a model with this vocabulary.
    #[must_use]
    pub fn new(vocabulary: Vocabulary) -> Self {
        Self { vocabulary, parts: BTreeMap::new(), state_bytes: 0 }
    }

    /// Appends a piece of a text.
    pub fn push(&mut self, place: Place, text: &str) {
        if !text.is_empty() {
            self.part(place).push(text);
        }
    }

    /// Appends a piece that is a JSON string; any other JSON is text itself.
    pub fn push_json(&mut self, place: Place, json: &str) {
        if matches!(json, "null" | "\"\"") {
            return;
        }
        let part = self.part(place);
        match part.joiner.push(json) {
            Some(text) => part.push(&text),
            None => part.push(json),
        }
    }

    /// Takes in a provider's encrypted reasoning: its words are hidden, but it is no shorter than they are.
    pub fn push_state(&mut self, state: &str) {
        self.state_bytes = self.state_bytes.saturating_add(u64::try_from(state.len()).unwrap_or(u64::MAX));
    }

    /// Whether there is a text in this place.
    #[must_use]
    pub fn has(&self, place: Place) -> bool {
        self.parts.contains_key(&place)
    }

    /// The figures of all texts together.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let state =
            Figures { lower: 0, estimate: self.state_bytes.div_ceil(STATE_BYTES_PER_TOKEN), upper: self.state_bytes };
        let of = |(place, part): (&Place, &Part)| match place.kind {
            Kind::Reasoning => of_reasoning(part.counter.figures()),
            Kind::Text | Kind::Name | Kind::Arguments => part.counter.figures(),
        };
        self.parts.iter().map(of).fold(state, sum)
    }

    fn part(&mut self, place: Place) -> &mut Part {
        let full = self.parts.len() >= MAX_PARTS && !self.parts.contains_key(&place);
        let place = if full { Place { choice: u64::MAX, kind: Kind::Text, part: u64::MAX } } else { place };
        let counter = Counter::new(self.vocabulary);
        let escapes = (place.kind == Kind::Arguments).then(Decoder::default);
        self.parts.entry(place).or_insert_with(|| Part { counter, joiner: Joiner::default(), escapes })
    }
}

/// What is known of an answer without its provider: its `bounds`, what was seen of it, and as much of that as the client
/// was handed. Nothing is billed beyond the limit and what was delivered, however much an upstream sends.
#[must_use]
pub fn measured(bounds: &Bounds, seen: Figures, delivered: Figures) -> Measured {
    let Bounds { likely_input, most_input, most_output, hides } = *bounds;
    Measured {
        likely_input,
        most_input,
        least_output: seen.lower,
        likely_output: seen.estimate.min(most_output.saturating_add(delivered.estimate)),
        most_output: most_output.saturating_add(delivered.upper),
        hides,
    }
}

/// The figures of reasoning, by those of its text.
fn of_reasoning(shown: Figures) -> Figures {
    let certain = shown.lower.saturating_sub(SUMMARY_FIRST_TOKENS).checked_div(SUMMARY_TOKENS_PER_TOKEN);
    Figures { lower: certain.unwrap_or(0), ..shown }
}

fn sum(one: Figures, other: Figures) -> Figures {
    Figures {
        lower: one.lower.saturating_add(other.lower),
        estimate: one.estimate.saturating_add(other.estimate),
        upper: one.upper.saturating_add(other.upper),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(kind: Kind, part: u64) -> Place {
        Place { choice: 0, kind, part }
    }

    #[test]
    fn a_text_is_counted_as_a_whole_wherever_it_is_split() {
        let json = r#"{"text": "the gateway \ud83d\udc67 数据"}"#;
        let quoted = serde_json::to_string(json).unwrap();
        let (mut whole, mut pieces) = (Visible::default(), Visible::default());
        whole.push(place(Kind::Arguments, 0), json);
        for c in json.chars() {
            pieces.push_json(place(Kind::Arguments, 0), &serde_json::to_string(&c.to_string()).unwrap());
            // Another call is written at the same time.
            pieces.push(place(Kind::Arguments, 1), "");
        }
        assert_eq!(whole.figures(), pieces.figures());
        let mut as_json = Visible::default();
        as_json.push_json(place(Kind::Arguments, 0), &quoted);
        assert_eq!(as_json.figures(), whole.figures());
    }

    /// A server that escapes every character beyond ASCII in arguments made a call of 1,000 tokens count as 7,000.
    #[test]
    fn arguments_count_alike_whether_a_server_escapes_them_or_not() {
        let plain = format!(r#"{{"text":"{}"}}"#, "Привет, как дела сегодня? 数据 👧 ".repeat(50));
        let escaped: String = plain
            .encode_utf16()
            .map(|unit| match u8::try_from(unit) {
                Ok(ascii) if ascii.is_ascii() => char::from(ascii).to_string(),
                _ => format!("\\u{unit:04x}"),
            })
            .collect();
        let figures = |arguments: &str| {
            let mut visible = Visible::default();
            visible.push_json(place(Kind::Arguments, 0), &serde_json::to_string(arguments).unwrap());
            visible.figures()
        };
        assert!(escaped.is_ascii() && escaped.len() > plain.len());
        assert_eq!(figures(&escaped), figures(&plain));
    }

    #[test]
    fn a_character_that_two_deltas_share_is_counted_once() {
        let (mut whole, mut halves) = (Visible::default(), Visible::default());
        whole.push(place(Kind::Text, 0), "a\u{1f467}");
        for half in [r#""a\ud83d""#, r#""""#, r#""\udc67""#] {
            halves.push_json(place(Kind::Text, 0), half);
        }
        assert_eq!(whole.figures(), halves.figures());
    }

    #[test]
    fn parts_beyond_the_most_are_counted_as_one() {
        let mut visible = Visible::default();
        for part in 0..10_000 {
            visible.push(place(Kind::Arguments, part), "a word");
        }
        assert_eq!(visible.parts.len(), MAX_PARTS + 1);
        assert!(visible.figures().estimate >= 10_000, "{:?}", visible.figures());
    }

    #[test]
    fn a_summary_of_reasoning_proves_little_and_endless_reasoning_much() {
        let figures = |words: usize| {
            let mut visible = Visible::default();
            visible.push(place(Kind::Reasoning, 0), &" word".repeat(words));
            visible.figures()
        };
        let summary = figures(500);
        assert!(summary.lower == 0 && summary.estimate >= 400, "{summary:?}");
        let endless = figures(1_000_000);
        assert!(endless.lower > 1_000 && endless.lower <= endless.estimate / 8, "{endless:?}");
    }

    #[test]
    fn encrypted_reasoning_is_no_proof_of_tokens() {
        let mut visible = Visible::default();
        visible.push_state(&"x".repeat(80));
        assert_eq!(visible.figures(), Figures { lower: 0, estimate: 10, upper: 80 });
    }
}
