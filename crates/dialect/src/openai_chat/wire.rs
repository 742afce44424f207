//! A chat request as the gateway must understand it: what it asks for, and how large it can become.
//! What of it passes to an upstream stands in `fields.rs`.

use super::fields::FIELDS;
use super::mixed::is_responses_body;
use super::{decode, mixed, state};
use crate::canonical::{Losses, Request, refused};
use crate::envelope::{Edits, Envelope};
use crate::measure::InputMeasure;
use crate::passes;
use crate::policy;
use crate::request::{Facts, Outgoing, RequestError, as_array, as_string};

/// Fields that bound the output, the current name first.
pub const LIMIT_FIELDS: [&str; 2] = ["max_completion_tokens", "max_tokens"];

/// The one that servers which know only one of them know.
pub const DEFAULT_LIMIT_FIELD: &str = "max_tokens";

/// Fields with which a client can have a model reason out of sight: OpenAI's, Groq's, OpenRouter's, Anthropic's,
/// Alibaba's and those of servers with a chat template.
const HIDING_FIELDS: [&str; 7] = [
    "reasoning_effort",
    "reasoning_format",
    "include_reasoning",
    "reasoning",
    "thinking",
    "enable_thinking",
    "chat_template_kwargs",
];

/// Tokens that a provider puts around one message, and around the request.
const MESSAGE_OVERHEAD: u64 = 8;
/// Tokens of the instructions that a provider adds when tools are given: the largest that a provider
/// documents is about 700.
const TOOLS_OVERHEAD: u64 = 800;
/// The longest `stream_options` that say nothing but what they are for, in bytes.
const MAX_SHORT_BYTES: usize = 96;
/// The most choices of one request; OpenAI's own limit.
const MAX_CHOICES: u64 = 128;

/// A chat request.
#[derive(Debug)]
pub struct ChatRequest<'a> {
    /// What the gateway reads of it.
    pub facts: Facts<'a>,
    /// The body is no clean chat request, but holds shapes of other dialects (Cursor), or state that a
    /// decoder packed: it is never passed through, but decoded and encoded anew for whatever upstream.
    pub mixed: bool,
    envelope: Envelope<'a>,
}

impl<'a> ChatRequest<'a> {
    /// Reads a request body.
    ///
    /// # Errors
    /// [`RequestError`] where a field that the gateway reads is missing or of the wrong type, and where
    /// the request asks for something that changes the provider's price and has no price here.
    pub fn parse(body: &'a str) -> Result<Self, RequestError> {
        let envelope = Envelope::parse(body)?;
        let model = envelope.string("model")?.ok_or_else(|| RequestError::missing("model"))?;
        let responses_body = is_responses_body(&envelope);
        let messages = envelope.array("messages")?;
        if messages.is_none() && !responses_body {
            return Err(RequestError::missing("messages"));
        }
        let messages = messages.unwrap_or_default();
        if messages.is_empty() && !responses_body {
            return Err(RequestError::field("messages", "the field `messages` must not be empty"));
        }
        policy::check(&envelope)?;
        let stream = envelope.boolean("stream")?.unwrap_or(false);
        let include_usage = match envelope.present("stream_options") {
            Some(options) => {
                let options = Envelope::parse(options)
                    .map_err(|_| RequestError::wrong_type("stream_options", "an object with each field once"))?;
                options.boolean("include_usage")?.unwrap_or(false)
            }
            None => false,
        };
        let n = envelope.positive("n")?.unwrap_or(1);
        if n > MAX_CHOICES {
            return Err(RequestError::field("n", format!("the field `n` must be at most {MAX_CHOICES}")));
        }
        let mut max_output = None;
        for field in LIMIT_FIELDS {
            // Both given: which one counts differs between upstreams, so the larger bounds the cost.
            max_output = max_output.max(envelope.positive(field)?);
        }
        let mut mixed = responses_body || mixed::has_foreign_tools(&envelope)?;
        let input = measure(&envelope, &messages, &mut mixed)?;
        // An escape of a character that nobody escapes hides the mark, and is taken for it.
        let one_hour_marks = ["\"1h\"", "\\u0031", "\\u0068"].into_iter().any(|mark| body.contains(mark));
        let may_hide_reasoning = HIDING_FIELDS.into_iter().any(|field| envelope.present(field).is_some());
        let least_output = None;
        let facts = Facts {
            model,
            stream,
            include_usage,
            n,
            max_output,
            least_output,
            input,
            one_hour_marks,
            may_hide_reasoning,
        };
        Ok(Self { facts, mixed, envelope })
    }

    /// The body for the upstream: the client's own bytes but for what must differ. What is left out is the
    /// reasoning of other providers, and what is on no list.
    ///
    /// # Errors
    /// [`RequestError`] for a part of a kind that is on no list.
    pub fn pass_through(&self, outgoing: &Outgoing<'_>) -> Result<(String, Losses), RequestError> {
        let mut losses = Losses::default();
        let mut edits = self.envelope.edit();
        let messages = self.envelope.present("messages").filter(|json| state::may_be_in(json));
        if let Some((messages, left_out)) = messages.and_then(|json| state::untagged(json, outgoing.owner)) {
            edits.set("messages", &messages);
            (0..left_out).for_each(|_| losses.add("reasoning"));
        }
        if let Some(model) = outgoing.model {
            edits.set("model", &crate::envelope::quoted(model));
        }
        if outgoing.without_stream_options {
            edits.remove("stream_options");
        } else if self.facts.stream && !self.facts.include_usage {
            let options = self.envelope.present("stream_options").and_then(|text| Envelope::parse(text).ok());
            let with_usage = options.map(|options| {
                let mut edits = options.edit();
                edits.set("include_usage", "true");
                edits.finish()
            });
            edits.set("stream_options", with_usage.as_deref().unwrap_or("{\"include_usage\":true}"));
        }
        self.limit(outgoing, &mut edits);
        policy::edit(&self.envelope, &mut edits);
        let knows = |field: &&str| outgoing.passes.iter().any(|name| name == field);
        let means_more = |field: &&str| self.envelope.present(field).is_some_and(|value| value != "false");
        if let Some(field) = decode::REFUSED.into_iter().find(|field| means_more(field) && !knows(field)) {
            return Err(refused(field));
        }
        let body = passes::listed(edits.finish(), FIELDS, outgoing.passes, &mut losses)?;
        Ok((body, losses))
    }

    /// Sets the output limit where it is lowered, in every field that the client used. A model that knows
    /// one field would pass over a limit in the other one, or reject it, so that one is renamed.
    fn limit(&self, outgoing: &Outgoing<'_>, edits: &mut Edits<'_>) {
        let lowered = outgoing.lowered_output.map(|limit| limit.to_string());
        let used: Vec<&str> = LIMIT_FIELDS.into_iter().filter(|field| self.envelope.present(field).is_some()).collect();
        let fields = match (outgoing.limit_field, used.as_slice()) {
            (Some(known), [other]) if *other != known => {
                let limit = lowered.as_deref().or(self.envelope.present(other)).unwrap_or_default();
                edits.remove(other);
                return edits.set(known, limit);
            }
            (known, []) => vec![known.unwrap_or(DEFAULT_LIMIT_FIELD)],
            _ => used,
        };
        if let Some(limit) = lowered {
            fields.into_iter().for_each(|field| edits.set(field, &limit));
        }
    }

    /// The request in the pivot, for an upstream of another dialect, and for any where it is mixed.
    ///
    /// # Errors
    /// [`RequestError`] where a field is of the wrong type, or asks for what the pivot cannot hold.
    pub fn decode(&self) -> Result<Request, RequestError> {
        if is_responses_body(&self.envelope) {
            return Err(refused("input"));
        }
        decode::request(&self.envelope, &self.facts)
    }
}

fn measure(envelope: &Envelope<'_>, messages: &[&str], mixed: &mut bool) -> Result<InputMeasure, RequestError> {
    let mut input = InputMeasure::default();
    for (at, message) in messages.iter().enumerate() {
        let path = format!("messages[{at}]");
        let message =
            Envelope::parse(message).map_err(|_| RequestError::wrong_type(&path, "an object with each field once"))?;
        if message.string("role")?.is_none() {
            return Err(RequestError::missing(&format!("{path}.role")));
        }
        input.exact(MESSAGE_OVERHEAD);
        for (key, value) in message.members().filter(|(_, value)| *value != "null") {
            if key == "content" {
                measure_content(&mut input, &format!("{path}.content"), value, mixed)?;
            } else {
                policy::check_message_field(&path, key)?;
                *mixed |= key == "reasoning_details" && state::is_packed(value);
                input.text(value);
            }
        }
    }
    if is_responses_body(envelope) {
        mixed::measure_items(&mut input, envelope.present("input").unwrap_or_default())?;
        input.text(envelope.present("instructions").unwrap_or_default());
    }
    for (key, value) in envelope.members().filter(|(_, value)| *value != "null") {
        match key {
            "messages" => {}
            "model" | "stream_options" if value.len() <= MAX_SHORT_BYTES => {}
            "input" | "instructions" if is_responses_body(envelope) => {}
            "tools" | "functions" => {
                input.exact(TOOLS_OVERHEAD);
                input.text(value);
            }
            "response_format" | "documents" => input.text(value),
            "prediction" => input.prediction(value),
            _ => input.beside(value),
        }
    }
    Ok(input)
}

pub(super) fn measure_content(
    input: &mut InputMeasure,
    path: &str,
    content: &str,
    mixed: &mut bool,
) -> Result<(), RequestError> {
    if let Some(text) = as_string(content) {
        input.text(&text);
        return Ok(());
    }
    // A lone surrogate is no text that can be read, but it is a string: its bytes bound its tokens.
    if content.starts_with('"') {
        input.text(content);
        return Ok(());
    }
    let parts = as_array(content).ok_or_else(|| RequestError::wrong_type(path, "a string or an array of parts"))?;
    for (at, part) in parts.into_iter().enumerate() {
        let path = format!("{path}[{at}]");
        if part.starts_with('"') {
            input.text(part);
            continue;
        }
        let part_fields =
            Envelope::parse(part).map_err(|_| RequestError::wrong_type(&path, "an object with each field once"))?;
        let kind = part_fields.string("type")?;
        *mixed |= kind.as_deref().is_some_and(|kind| mixed::is_foreign_part(kind, &part_fields));
        match kind.as_deref() {
            Some("tool_use" | "redacted_thinking") => input.text(part),
            Some("tool_result") => mixed::measure_result(input, &path, &part_fields)?,
            Some("text" | "input_text" | "output_text" | "refusal" | "thinking") => input.text(part),
            Some(kind) => match policy::check_part(&path, kind, part)? {
                policy::Media::Images => {
                    input.image();
                    policy::measure_beside(input, "", part);
                }
                policy::Media::Unmeasured => input.unmeasured(),
            },
            None => return Err(RequestError::missing(&format!("{path}.type"))),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::Vocabulary;

    const HELLO: &str = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}"#;

    fn with(members: &str) -> String {
        HELLO.replace("\"messages\"", &format!("{members},\"messages\""))
    }

    fn encode(body: &str, outgoing: Outgoing<'_>) -> String {
        ChatRequest::parse(body).unwrap().pass_through(&outgoing).unwrap().0
    }

    #[test]
    fn a_whole_request_passes_unchanged() {
        for members in [
            r#""seed": 123456789012345678901234567890"#,
            r#""metadata":{"b":1.0,"a":[1e400]},"temperature":0.70"#,
            r#""tools":[{"type":"function","function":{"name":"f","parameters":{}}}],"logprobs":true"#,
            r#""stream":false,"stream_options":null"#,
        ] {
            assert_eq!(encode(&with(members), Outgoing::default()), with(members));
        }
    }

    #[test]
    fn trap_04_usage_is_always_asked_for_in_a_stream() {
        for (given, sent) in [
            (r#""stream":true"#, r#""include_usage":true"#),
            (
                r#""stream":true,"stream_options":{"include_obfuscation":false}"#,
                r#"{"include_obfuscation":false,"include_usage":true}"#,
            ),
            (r#""stream":true,"stream_options":{"include_usage":false}"#, r#""stream_options":{"include_usage":true}"#),
            (r#""stream":true,"stream_options":null"#, r#""stream_options":{"include_usage":true}"#),
        ] {
            let sent_body = encode(&with(given), Outgoing::default());
            assert!(sent_body.contains(sent), "{sent_body}");
            assert!(!ChatRequest::parse(&with(given)).unwrap().facts.include_usage);
            assert!(ChatRequest::parse(&sent_body).unwrap().facts.include_usage);
        }
    }

    #[test]
    fn stream_options_are_removed_for_an_upstream_that_rejects_them() {
        let without = Outgoing { without_stream_options: true, ..Outgoing::default() };
        for options in
            [r#"{"include_usage":true}"#, r#"{"include_usage":false}"#, r#"{"include_obfuscation":false}"#, "null"]
        {
            let body = with(&format!(r#""stream":true,"stream_options":{options}"#));
            assert_eq!(encode(&body, without), with(r#""stream":true"#));
        }
        for members in [r#""stream":true"#, r#""stream":false"#] {
            assert_eq!(encode(&with(members), without), with(members));
        }
    }

    #[test]
    fn the_limit_is_lowered_in_the_field_that_the_client_used() {
        let lowered = Outgoing { model: Some("up"), lowered_output: Some(300), ..Outgoing::default() };
        assert_eq!(encode(HELLO, lowered), HELLO.replace("gpt-4o", "up").replace("]}", r#"],"max_tokens":300}"#));
        let body = with(r#""max_completion_tokens":9000"#);
        assert_eq!(encode(&body, lowered), body.replace("gpt-4o", "up").replace("9000", "300"));
    }

    #[test]
    fn the_limit_goes_into_the_field_that_the_model_knows() {
        let knows = |limit_field, lowered_output| Outgoing {
            lowered_output,
            limit_field: Some(limit_field),
            ..Outgoing::default()
        };
        for (known, other) in [("max_tokens", "max_completion_tokens"), ("max_completion_tokens", "max_tokens")] {
            let limited = |field: &str, limit: u64| HELLO.replace("]}", &format!(r#"],"{field}":{limit}}}"#));
            assert_eq!(encode(&limited(other, 9_000), knows(known, None)), limited(known, 9_000));
            assert_eq!(encode(&limited(other, 9_000), knows(known, Some(300))), limited(known, 300));
            assert_eq!(encode(&limited(known, 9_000), knows(known, Some(300))), limited(known, 300));
            assert_eq!(encode(HELLO, knows(known, Some(300))), limited(known, 300));
            assert_eq!(encode(HELLO, knows(known, None)), HELLO);
            // With both the upstream has the one that it knows.
            let both = with(r#""max_tokens":9000,"max_completion_tokens":9000"#);
            assert_eq!(encode(&both, knows(known, None)), both);
            assert_eq!(encode(&both, knows(known, Some(300))), both.replace("9000", "300"));
        }
    }

    #[test]
    fn a_prediction_counts_as_output() {
        let plain = ChatRequest::parse(HELLO).unwrap().facts.input;
        let body = with(r#""prediction":{"type":"content","content":"one two three"}"#);
        let input = ChatRequest::parse(&body).unwrap().facts.input;
        assert!(input.predicted(Vocabulary::Common) > 3, "{input:?}");
        let bound = |input: &InputMeasure| input.bound(Vocabulary::Common, None, 0);
        assert_eq!((bound(&input), plain.predicted(Vocabulary::Common)), (bound(&plain), 0));
    }

    #[test]
    fn wrong_requests_name_the_field() {
        for (body, param) in [
            ("{}".to_owned(), Some("model")),
            (r#"{"model":1,"messages":[]}"#.to_owned(), Some("model")),
            (r#"{"model":"m"}"#.to_owned(), Some("messages")),
            (r#"{"model":"m","messages":[]}"#.to_owned(), Some("messages")),
            (r#"{"model":"m","messages":"hi"}"#.to_owned(), Some("messages")),
            (r#"{"model":"m","messages":["hi"]}"#.to_owned(), Some("messages[0]")),
            (r#"{"model":"m","messages":[{"content":"hi"}]}"#.to_owned(), Some("messages[0].role")),
            (r#"{"model":"m","messages":[{"role":"user","content":7}]}"#.to_owned(), Some("messages[0].content")),
            (
                r#"{"model":"m","messages":[{"role":"user","content":[{}]}]}"#.to_owned(),
                Some("messages[0].content[0].type"),
            ),
            (with(r#""stream":"yes""#), Some("stream")),
            (with(r#""n":0"#), Some("n")),
            (with(r#""n":1000000"#), Some("n")),
            (with(r#""max_tokens":-1"#), Some("max_tokens")),
            (with(r#""max_tokens":1.5"#), Some("max_tokens")),
            (with(r#""stream_options":[]"#), Some("stream_options")),
            (with(r#""model":"other""#), Some("model")),
            (r#"{"model":"m","messages":[{"role":"user","content":"a"}]"#.to_owned(), None),
        ] {
            let error = ChatRequest::parse(&body).unwrap_err();
            assert_eq!(error.param.as_deref(), param, "{body}: {error}");
        }
    }

    #[test]
    fn images_are_not_text_and_documents_cannot_be_measured() {
        let image = format!("data:image/png;base64,{}", "A".repeat(5_000_000));
        let body = format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":[{{"type":"text","text":"look"}},{{"type":"image_url","image_url":{{"url":"{image}"}}}}]}}]}}"#
        );
        let input = ChatRequest::parse(&body).unwrap().facts.input;
        assert_eq!((input.images, input.unmeasured), (1, 0));
        assert!(input.bound(Vocabulary::Common, Some(1_105), 128_000) < 1_300);
        let body = r#"{"model":"m","messages":[{"role":"user","content":[{"type":"file","file":{"file_data":"data:application/pdf;base64,AAAA"}}]}]}"#;
        assert_eq!(ChatRequest::parse(body).unwrap().facts.input.unmeasured, 1);
    }
}
