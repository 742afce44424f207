//! An embeddings request as the gateway must understand it.

use super::fields::FIELDS;
use crate::canonical::Losses;
use crate::envelope::{Envelope, quoted};
use crate::measure::InputMeasure;
use crate::passes;
use crate::policy;
use crate::request::{Facts, Outgoing, RequestError, as_array, as_string};

/// How vectors are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// An array of numbers.
    Float,
    /// Little-endian 32-bit floats in base64: what both OpenAI SDKs ask for by themselves.
    Base64,
}

/// An embeddings request.
#[derive(Debug)]
pub struct EmbeddingsRequest<'a> {
    /// What the gateway reads of it.
    pub facts: Facts<'a>,
    /// How the client wants its vectors.
    pub encoding: Encoding,
    envelope: Envelope<'a>,
}

impl<'a> EmbeddingsRequest<'a> {
    /// Reads a request body.
    ///
    /// # Errors
    /// [`RequestError`] where a field that the gateway reads is missing or of the wrong type.
    pub fn parse(body: &'a str) -> Result<Self, RequestError> {
        let envelope = Envelope::parse(body)?;
        policy::check_fields(&envelope, &["model", "input", "encoding_format", "dimensions", "service_tier"])?;
        let model = envelope.string("model")?.ok_or_else(|| RequestError::missing("model"))?;
        let encoding = match envelope.string("encoding_format")?.as_deref() {
            None | Some("float") => Encoding::Float,
            Some("base64") => Encoding::Base64,
            Some(_) => return Err(RequestError::wrong_type("encoding_format", "`float` or `base64`")),
        };
        envelope.positive("dimensions")?;
        let json = envelope.present("input").ok_or_else(|| RequestError::missing("input"))?;
        let mut input = InputMeasure::default();
        measure(&mut input, json)?;
        for (key, value) in envelope.members() {
            if !matches!(key, "input" | "model") {
                input.beside(value);
            }
        }
        let facts = Facts {
            model,
            stream: false,
            include_usage: false,
            n: 1,
            max_output: None,
            least_output: None,
            input,
            one_hour_marks: false,
            may_hide_reasoning: false,
        };
        Ok(Self { facts, encoding, envelope })
    }

    /// The body for the upstream: the client's own bytes but for the model, where the upstream knows it
    /// by another id, and what is on no list.
    ///
    /// # Errors
    /// [`RequestError`] for an object in which a member stands twice.
    pub fn pass_through(&self, outgoing: &Outgoing<'_>) -> Result<(String, Losses), RequestError> {
        let mut losses = Losses::default();
        let mut edits = self.envelope.edit();
        if let Some(model) = outgoing.model {
            edits.set("model", &quoted(model));
        }
        let body = passes::listed(edits.finish(), FIELDS, outgoing.passes, &mut losses)?;
        Ok((body, losses))
    }
}

fn measure(input: &mut InputMeasure, json: &str) -> Result<(), RequestError> {
    const WANTED: &str = "a string, an array of strings, or an array or arrays of token numbers";
    let wrong = |path: &str| RequestError::wrong_type(path, WANTED);
    if json.starts_with('"') {
        input.text(as_string(json).as_deref().unwrap_or(json));
        return Ok(());
    }
    let items = as_array(json).ok_or_else(|| wrong("input"))?;
    if items.is_empty() {
        return Err(RequestError::field("input", "the field `input` must not be empty"));
    }
    for (at, item) in items.into_iter().enumerate() {
        if item.starts_with('"') {
            input.text(as_string(item).as_deref().unwrap_or(item));
        } else if let Ok(tokens) = serde_json::from_str::<Vec<u64>>(item) {
            input.exact(u64::try_from(tokens.len()).unwrap_or(u64::MAX));
        } else if serde_json::from_str::<u64>(item).is_ok() {
            input.exact(1);
        } else {
            return Err(wrong(&format!("input[{at}]")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::Vocabulary;

    fn parse(members: &str) -> Result<InputMeasure, RequestError> {
        EmbeddingsRequest::parse(&format!("{{\"model\":\"e\"{members}}}")).map(|request| request.facts.input)
    }

    #[test]
    fn every_shape_of_input_is_measured() {
        assert_eq!(parse(",\"input\":\"hello world\"").unwrap().likely(Vocabulary::Common, None), 2);
        assert_eq!(parse(",\"input\":[\"hello\",\"world\"]").unwrap().text_bytes, 10);
        assert_eq!(parse(",\"input\":[1,2,3]").unwrap().exact_tokens, 3);
        assert_eq!(parse(",\"input\":[[1,2],[3]]").unwrap().exact_tokens, 3);
    }

    #[test]
    fn wrong_requests_name_the_field() {
        for (members, param) in [
            ("", "input"),
            (",\"input\":null", "input"),
            (",\"input\":7", "input"),
            (",\"input\":[]", "input"),
            (",\"input\":[{}]", "input[0]"),
            (",\"input\":[1,-2]", "input[1]"),
            (",\"input\":\"a\",\"encoding_format\":\"hex\"", "encoding_format"),
            (",\"input\":\"a\",\"dimensions\":0", "dimensions"),
            (",\"input\":\"a\",\"Input\":\"long\"", "Input"),
            (",\"input\":\"a\",\"service_tier\":\"priority\"", "service_tier"),
        ] {
            assert_eq!(parse(members).unwrap_err().param.as_deref(), Some(param), "{members}");
        }
    }

    #[test]
    fn only_the_model_is_edited() {
        let body = r#"{ "input":["a\u00e9"], "model":"e","user":"u","dimensions":256 }"#;
        let request = EmbeddingsRequest::parse(body).unwrap();
        let sent = |outgoing| request.pass_through(&outgoing).unwrap().0;
        assert_eq!(sent(Outgoing::default()), body);
        let renamed = Outgoing { model: Some("up/e"), ..Outgoing::default() };
        assert_eq!(sent(renamed), body.replace("\"e\"", "\"up/e\""));
    }
}
