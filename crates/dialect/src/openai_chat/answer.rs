//! A whole answer: what it used, and the few bytes of it that are ours to change.

use super::usage;
use crate::envelope::Envelope;
use crate::rewrite::{NotAnAnswer, Passed, Rewrite};
use crate::tokens;

/// Reads a whole chat completion.
///
/// # Errors
/// [`NotAnAnswer`].
pub fn read(body: &str, rewrite: &Rewrite) -> Result<Passed, NotAnAnswer> {
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
    Ok(Passed {
        usage: envelope.present("usage").and_then(usage::parse),
        body: if edits.is_empty() { body.to_owned() } else { edits.finish() },
        visible_output,
    })
}

#[cfg(test)]
mod tests {
    use billing::usage::Usage;

    use super::*;

    #[test]
    fn an_answer_keeps_every_byte_but_what_is_ours() {
        let body = r#"{ "id":"x","provider":"Azure","model":"openai/gpt-4o","choices":[{"message":{"content":"hello"}}],"usage":{"cost":1e-6,"prompt_tokens":3,"cost_details":{},"completion_tokens":1} }"#;
        assert_eq!(read(body, &Rewrite::default()).unwrap().body, body);
        let rewrite = Rewrite {
            model: Some("gpt-4o".into()),
            strip: ["provider", "usage.cost", "usage.cost_details"].map(String::from).to_vec(),
            owner: None,
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
