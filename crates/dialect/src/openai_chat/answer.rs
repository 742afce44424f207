//! A whole answer: what it used, and the few bytes of it that are ours to change.

use std::collections::BTreeSet;

use billing::usage::Usage;

use super::usage;
use crate::envelope::{Edits, Envelope, quoted};
use crate::tokens;

/// What is set back or taken out of an upstream's answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rewrite {
    /// Our id of the model, where the upstream knows it by another.
    pub model: Option<String>,
    /// Dotted names of the fields that this upstream is known to add (`provider`, `usage.cost`).
    pub strip: Vec<String>,
}

/// What a whole answer says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The body to hand on: the upstream's own, but for the [`Rewrite`].
    pub body: String,
    /// What the provider counted.
    pub usage: Option<Usage>,
    /// An estimate of the visible output, in tokens, for answers without a usage.
    pub visible_output: u64,
}

/// The body is no answer: not a JSON object, or an error with a success status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the upstream's body is not an answer")]
pub struct NotAnAnswer;

/// Reads a whole chat completion.
///
/// # Errors
/// [`NotAnAnswer`].
pub fn read(body: &str, rewrite: &Rewrite) -> Result<Answer, NotAnAnswer> {
    let envelope = Envelope::parse(body).map_err(|_| NotAnAnswer)?;
    if envelope.present("error").is_some() {
        return Err(NotAnAnswer);
    }
    let choices = envelope.array("choices").ok().flatten().ok_or(NotAnAnswer)?;
    let mut visible_output: u64 = 0;
    for choice in choices {
        let Ok(choice) = Envelope::parse_any(choice) else { continue };
        if choice.all("error").next().is_some() {
            return Err(NotAnAnswer);
        }
        let visible = choice.all("message").next_back().map_or(0, tokens::estimate);
        visible_output = visible_output.saturating_add(visible);
    }
    let mut edits = envelope.edit();
    rewrite.apply(&envelope, &mut edits);
    Ok(Answer {
        usage: envelope.present("usage").and_then(usage::parse),
        body: if edits.is_empty() { body.to_owned() } else { edits.finish() },
        visible_output,
    })
}

impl Rewrite {
    /// Whether nothing is ever to be changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.model.is_none() && self.strip.is_empty()
    }

    /// Adds the edits that `envelope`, an answer or a chunk, needs.
    pub fn apply(&self, envelope: &Envelope<'_>, edits: &mut Edits<'_>) {
        if let Some(model) = &self.model
            && envelope.all("model").any(|theirs| theirs.starts_with('"') && theirs != "\"\"")
        {
            edits.set("model", &quoted(model));
        }
        for name in self.strip.iter().filter(|name| !name.contains('.')) {
            edits.remove(name);
        }
        // Of a parent that goes as a whole nothing is left to go.
        let whole = |parent: &str| self.strip.iter().any(|name| name == parent);
        let nested = self.strip.iter().filter_map(|name| name.split_once('.'));
        let nested: Vec<(&str, &str)> = nested.filter(|(parent, _)| !whole(parent)).collect();
        let parents: BTreeSet<&str> = nested.iter().map(|(parent, _)| *parent).collect();
        for parent in parents {
            let Some(Ok(inner)) = envelope.all(parent).next_back().map(Envelope::parse_any) else { continue };
            let mut inner_edits = inner.edit();
            nested.iter().filter(|(of, _)| *of == parent).for_each(|(_, field)| inner_edits.remove(field));
            if !inner_edits.is_empty() {
                edits.set(parent, &inner_edits.finish());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_keeps_every_byte_but_what_is_ours() {
        let body = r#"{ "id":"x","provider":"Azure","model":"openai/gpt-4o","choices":[{"message":{"content":"hello"}}],"usage":{"cost":1e-6,"prompt_tokens":3,"cost_details":{},"completion_tokens":1} }"#;
        assert_eq!(read(body, &Rewrite::default()).unwrap().body, body);
        let rewrite = Rewrite {
            model: Some("gpt-4o".into()),
            strip: ["provider", "usage.cost", "usage.cost_details"].map(String::from).to_vec(),
        };
        let answer = read(body, &rewrite).unwrap();
        assert_eq!(
            answer.body,
            r#"{ "id":"x","model":"gpt-4o","choices":[{"message":{"content":"hello"}}],"usage":{"prompt_tokens":3,"completion_tokens":1} }"#
        );
        assert_eq!(answer.usage, Some(Usage { input: 3, output: 1, ..Usage::default() }));
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for body in [
            r#"{"choices":[{"error":{"message":"x"}}]}"#,
            r#"{"choices":[{"error":{"message":"x"},"error":null}]}"#,
            "",
            "<html>",
            "[]",
            r#"{"error":{"message":"x"}}"#,
            r#"{"choices":null}"#,
            "{}",
        ] {
            assert_eq!(read(body, &Rewrite::default()), Err(NotAnAnswer), "{body}");
        }
    }
}
