//! A completion request: one prompt, which becomes one turn of the user's.

use crate::canonical::{Block, Losses, Metadata, Request, Role, Sampling, Turn, refused};
use crate::envelope::Envelope;
use crate::measure::InputMeasure;
use crate::policy;
use crate::request::{Facts, RequestError, as_array, as_string};

/// The output limit of a request that gives none, by OpenAI's documentation.
const DEFAULT_MAX_TOKENS: u64 = 16;
/// Tokens that a provider puts around the one message.
const OVERHEAD: u64 = 16;
/// Fields that the gateway decides on.
const DECIDED_FIELDS: [&str; 8] = ["best_of", "echo", "max_tokens", "model", "n", "prompt", "stream", "stream_options"];
/// Fields that are read, or that say nothing of the answer.
const KNOWN_FIELDS: [&str; 19] = [
    "best_of",
    "echo",
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "max_tokens",
    "model",
    "n",
    "presence_penalty",
    "prompt",
    "seed",
    "service_tier",
    "stop",
    "store",
    "stream",
    "stream_options",
    "suffix",
    "temperature",
    "top_p",
];

/// A completion request.
#[derive(Debug)]
pub struct CompletionRequest<'a> {
    /// What the gateway reads of it.
    pub facts: Facts<'a>,
    envelope: Envelope<'a>,
    prompt: String,
}

impl<'a> CompletionRequest<'a> {
    /// Reads a request body.
    ///
    /// # Errors
    /// [`RequestError`] where a field is missing or of the wrong type, asks for something that has no
    /// price here, or for what only models of old could do.
    pub fn parse(body: &'a str) -> Result<Self, RequestError> {
        let envelope = Envelope::parse(body)?;
        let model = envelope.string("model")?.ok_or_else(|| RequestError::missing("model"))?;
        // `prompt` is a stored prompt elsewhere, and `best_of` has a value that asks for nothing.
        let rest = envelope.members().filter(|(key, _)| !matches!(*key, "prompt" | "best_of"));
        let members: Vec<String> = rest.map(|(key, json)| format!("{}:{json}", crate::envelope::quoted(key))).collect();
        let rest = format!("{{{}}}", members.join(","));
        policy::check_fields(&Envelope::parse(&rest)?, &DECIDED_FIELDS)?;
        let n = envelope.positive("n")?.unwrap_or(1);
        if n > 1 {
            return Err(refused("n"));
        }
        if envelope.positive("best_of")?.is_some_and(|best_of| best_of > 1) {
            return Err(refused("best_of"));
        }
        if envelope.boolean("echo")? == Some(true) {
            return Err(refused("echo"));
        }
        if envelope.string("suffix")?.is_some_and(|suffix| !suffix.is_empty()) {
            return Err(refused("suffix"));
        }
        let prompt = prompt(&envelope)?;
        let mut input = InputMeasure::default();
        input.exact(OVERHEAD);
        input.text(&prompt);
        for (key, value) in envelope.members() {
            if !matches!(key, "prompt" | "model" | "stream_options") {
                input.beside(value);
            }
        }
        let include_usage = match envelope.present("stream_options") {
            Some(options) => {
                let options = Envelope::parse(options)
                    .map_err(|_| RequestError::wrong_type("stream_options", "an object with each field once"))?;
                options.boolean("include_usage")?.unwrap_or(false)
            }
            None => false,
        };
        let facts = Facts {
            model,
            stream: envelope.boolean("stream")?.unwrap_or(false),
            include_usage,
            n,
            max_output: Some(envelope.positive("max_tokens")?.unwrap_or(DEFAULT_MAX_TOKENS)),
            least_output: None,
            input,
            one_hour_marks: false,
            may_hide_reasoning: false,
        };
        Ok(Self { facts, envelope, prompt })
    }

    /// The request as any dialect can be told it.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn decode(&self) -> Result<Request, RequestError> {
        let envelope = &self.envelope;
        let mut losses = Losses::default();
        for (key, value) in envelope.members() {
            if !KNOWN_FIELDS.contains(&key) && key != "user" && !matches!(value, "null" | "false") {
                losses.add(key);
            }
        }
        let raw = |key: &str| envelope.present(key).map(str::to_owned);
        let logprobs = match envelope.present("logprobs") {
            Some(top) => Some(top.parse().map_err(|_| RequestError::wrong_type("logprobs", "a whole number"))?),
            None => None,
        };
        Ok(Request {
            turns: vec![Turn { role: Role::User, blocks: vec![Block::text(self.prompt.clone())] }],
            max_output: self.facts.max_output,
            sampling: Sampling {
                temperature: raw("temperature"),
                top_p: raw("top_p"),
                top_k: None,
                frequency_penalty: raw("frequency_penalty"),
                presence_penalty: raw("presence_penalty"),
                seed: raw("seed"),
                logit_bias: raw("logit_bias"),
            },
            stop: stop(envelope)?,
            logprobs,
            metadata: Metadata { user: envelope.string("user")?.map(String::from), labels: None },
            stream: self.facts.stream,
            losses,
            ..Request::default()
        })
    }
}

/// A string, or an array of one.
fn prompt(envelope: &Envelope<'_>) -> Result<String, RequestError> {
    let json = envelope.present("prompt").ok_or_else(|| RequestError::missing("prompt"))?;
    let one = match as_array(json).as_deref() {
        None => json,
        Some([one]) => one,
        Some(_) => return Err(refused("prompt")),
    };
    let text = as_string(one).ok_or_else(|| RequestError::wrong_type("prompt", "a string"))?;
    Ok(text.into_owned())
}

fn stop(envelope: &Envelope<'_>) -> Result<Vec<String>, RequestError> {
    let Some(json) = envelope.present("stop") else { return Ok(Vec::new()) };
    let texts = as_array(json).unwrap_or_else(|| vec![json]);
    let wrong = || RequestError::wrong_type("stop", "a string or an array of strings");
    texts.into_iter().map(|text| as_string(text).map(String::from).ok_or_else(wrong)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_becomes_a_turn_with_a_limit() {
        for prompt in [r#""Say \"hi\"""#, r#"["Say \"hi\""]"#] {
            let body = format!(
                r#"{{"model":"m","prompt":{prompt},"temperature":0.10,"stop":"\n","logprobs":2,"stream":true,"stream_options":{{"include_usage":true}},"x_new":1}}"#
            );
            let request = CompletionRequest::parse(&body).unwrap();
            assert!(request.facts.stream && request.facts.include_usage);
            assert_eq!(request.facts.max_output, Some(16));
            let decoded = request.decode().unwrap();
            assert_eq!(decoded.turns, [Turn { role: Role::User, blocks: vec![Block::text("Say \"hi\"")] }]);
            assert_eq!(decoded.sampling.temperature.as_deref(), Some("0.10"));
            assert_eq!(
                (decoded.stop, decoded.logprobs, decoded.max_output),
                (vec!["\n".to_owned()], Some(2), Some(16))
            );
            assert_eq!(decoded.losses.to_string(), "x_new=1");
        }
    }

    #[test]
    fn what_only_models_of_old_could_do_is_refused_by_name() {
        for (members, param) in [
            (r#""prompt":["a","b"]"#, "prompt"),
            (r#""prompt":[1,2]"#, "prompt"),
            (r#""prompt":[[1]]"#, "prompt"),
            (r#""prompt":7"#, "prompt"),
            (r#""x":1"#, "prompt"),
            (r#""prompt":"a","n":2"#, "n"),
            (r#""prompt":"a","best_of":2"#, "best_of"),
            (r#""prompt":"a","echo":true"#, "echo"),
            (r#""prompt":"a","suffix":"b""#, "suffix"),
            (r#""prompt":"a","service_tier":"flex""#, "service_tier"),
            (r#""prompt":"a","previous_response_id":"x""#, "previous_response_id"),
        ] {
            let body = format!(r#"{{"model":"m",{members}}}"#);
            let error = CompletionRequest::parse(&body).unwrap_err();
            assert_eq!(error.param.as_deref(), Some(param), "{body}");
        }
        let harmless = r#"{"model":"m","prompt":"a","n":1,"best_of":1,"echo":false,"suffix":"","max_tokens":9}"#;
        assert_eq!(CompletionRequest::parse(harmless).unwrap().facts.max_output, Some(9));
    }
}
