//! A whole answer: passed on with the few bytes of it that are ours to change, read into the pivot, or
//! written out of it.

use super::object::{Object, object};
use super::relay::chunk::{Choice, Chunk};
use super::seen::Seen;
use super::stream::Decoder;
use super::{said, state, usage, words};
use crate::canonical::{Answer, Block, Fold, Identity, Losses, Owner, ToolKind, unwrapped_input};
use crate::envelope::Envelope;
use crate::json_text;
use crate::rewrite::{NotAnAnswer, Passed, Rewrite};
use crate::tokens::Vocabulary;

/// Reads a whole chat completion.
///
/// # Errors
/// [`NotAnAnswer`].
pub fn read(body: &str, rewrite: &Rewrite, vocabulary: Vocabulary) -> Result<Passed, NotAnAnswer> {
    let (envelope, choices) = whole(body)?;
    let mut seen = Seen::new(vocabulary);
    for choice in choices {
        seen.read(&choice, "message");
    }
    let mut edits = envelope.edit();
    rewrite.apply(&envelope, &mut edits);
    if let (Some(owner), Some(choices)) =
        (&rewrite.owner, envelope.present("choices").filter(|json| state::may_be_in(json)))
        && let Some(choices) = state::tagged(choices, "message", owner)
    {
        edits.set("choices", &choices);
    }
    Ok(Passed {
        usage: envelope.present("usage").and_then(usage::parse),
        body: if edits.is_empty() { body.to_owned() } else { edits.finish() },
        visible: seen.figures(),
    })
}

/// The members of a whole answer, and its choices that can be read. The one rule for whole answers in this dialect,
/// whether they pass or are translated: an answer is an object with a list of choices and without an error. How many
/// choices there are, and what they say, does not matter: an answer that is odd is charged as its usage says.
fn whole(body: &str) -> Result<(Envelope<'_>, Vec<Choice<'_>>), NotAnAnswer> {
    let envelope = Envelope::parse(body).map_err(|_| NotAnAnswer)?;
    let chunk = Chunk::parse(body).ok_or(NotAnAnswer)?;
    envelope.array("choices").ok().flatten().ok_or(NotAnAnswer)?;
    let choices = chunk.choices();
    if chunk.is_error(&choices) { Err(NotAnAnswer) } else { Ok((envelope, choices)) }
}

/// Reads a whole chat completion into the pivot: its first choice, as the stream's decoder would read the
/// same message in one delta. `owner`: who made the state in it.
///
/// # Errors
/// [`NotAnAnswer`].
pub fn decode(body: &str, owner: &Owner) -> Result<Answer, NotAnAnswer> {
    let (_, choices) = whole(body)?;
    let chunk = Chunk::parse(body).ok_or(NotAnAnswer)?;
    let mut events = Vec::new();
    let mut decoder = Decoder::new(owner.clone());
    // What stands beside the choices, and the id.
    decoder.chunk(&chunk, &[], &mut events);
    // An answer that says nothing is an answer, as it is where it passes: its provider has counted it.
    let choice = choices.first();
    if let Some(message) = choice.and_then(|choice| choice.get("message")) {
        decoder.message(message, choice.and_then(|choice| choice.get("logprobs")), &mut events);
    }
    let reason = choice.and_then(|choice| choice.get("finish_reason")).and_then(json_text::text);
    decoder.stop(reason.as_deref(), &mut events);
    let mut fold = Fold::default();
    for event in &events {
        fold.push(event);
    }
    Ok(fold.finish())
}

/// Writes a whole chat completion, and says what it cannot hold.
#[must_use]
pub fn encode(answer: &Answer, identity: &Identity) -> (String, Losses) {
    let finish = answer.stop.as_ref().map(|stop| words::finish_reason(stop.reason));
    let mut said = Said { finish: finish.unwrap_or("length"), ..Said::default() };
    answer.blocks.iter().for_each(|block| said.block(block, identity));
    let logprobs = (!said.logprobs.is_empty()).then(|| said::logprobs(&said.logprobs));
    let message = said.message();
    let choice = object([("index", &0), ("message", &message), ("logprobs", &logprobs), ("finish_reason", &finish)]);
    let mut body = object([
        ("id", &format!("chatcmpl-{}", identity.id)),
        ("object", &"chat.completion"),
        ("created", &identity.created_s),
        ("model", &identity.model),
        ("choices", &[choice]),
    ]);
    let tier = answer.service_tier.as_deref().map(words::service_tier);
    if tier == Some(None) {
        said.losses.add("service_tier");
    }
    body.set_some("service_tier", tier.flatten());
    body.set_json("usage", answer.usage.map(|reported| usage::detailed(&reported.usage, None)).as_deref());
    (body.json(), said.losses)
}

/// The message of an answer.
#[derive(Debug, Default)]
struct Said {
    finish: &'static str,
    content: Option<String>,
    /// Its length, in characters: ranges of citations count from its beginning.
    content_chars: u64,
    refusal: Option<String>,
    reasoning: Option<String>,
    details: Vec<Object>,
    calls: Vec<Object>,
    annotations: Vec<Object>,
    logprobs: Vec<String>,
    losses: Losses,
}

impl Said {
    fn block(&mut self, block: &Block, identity: &Identity) {
        let next_detail = u64::try_from(self.details.len()).unwrap_or(u64::MAX);
        match block {
            Block::Text(text) => {
                self.content.get_or_insert_default().push_str(&text.text);
                let start = self.content_chars;
                let chars = u64::try_from(text.text.chars().count()).unwrap_or(u64::MAX);
                self.content_chars = start.saturating_add(chars);
                for citation in &text.citations {
                    match said::annotation(citation, start) {
                        Some(annotation) => self.annotations.push(annotation),
                        None => self.losses.add("citations"),
                    }
                }
                self.logprobs.extend_from_slice(&text.logprobs);
            }
            Block::Refusal(text) => self.refusal.get_or_insert_default().push_str(text),
            Block::Reasoning { text, opaque } => {
                self.reasoning.get_or_insert_default().push_str(text);
                let detail = opaque.as_ref().map(|opaque| said::reasoning_detail(text, opaque, next_detail));
                self.details.extend(detail);
            }
            Block::Redacted(opaque) => self.details.push(said::redacted_detail(opaque, next_detail)),
            Block::ToolUse(call) => {
                let (tool, wrapped) = said::called(&identity.tool_names, &call.name, call.kind);
                let unwrapped = wrapped.then(|| unwrapped_input(&call.input));
                let input = match tool.kind {
                    ToolKind::Function => said::whole_input(&call.input, self.finish),
                    ToolKind::Custom => unwrapped.as_deref().unwrap_or(&call.input),
                };
                self.calls.push(said::call(&call.id, &tool, input));
            }
            // No model answers with these.
            Block::Image(_) | Block::Document(_) | Block::ToolResult(_) => {}
        }
    }

    fn message(&self) -> Object {
        let mut message = object([("role", &"assistant"), ("content", &self.content), ("refusal", &self.refusal)]);
        message.set_some("reasoning_content", self.reasoning.as_ref());
        for (key, pieces) in
            [("reasoning_details", &self.details), ("tool_calls", &self.calls), ("annotations", &self.annotations)]
        {
            message.set_some(key, Some(pieces).filter(|pieces| !pieces.is_empty()));
        }
        message
    }
}

#[cfg(test)]
mod tests {
    use billing::usage::Usage;

    use super::*;
    use crate::canonical::{Citation, ClientTool, Opaque, Stop, StopReason, Text, ToolNames, ToolUse};

    #[test]
    fn an_answer_keeps_every_byte_but_what_is_ours() {
        let body = r#"{ "id":"x","provider":"Azure","model":"openai/gpt-4o","choices":[{"message":{"content":"hello"}}],"usage":{"cost":1e-6,"prompt_tokens":3,"cost_details":{},"completion_tokens":1} }"#;
        assert_eq!(read(body, &Rewrite::default(), Vocabulary::default()).unwrap().body, body);
        let rewrite = Rewrite {
            model: Some("gpt-4o".into()),
            strip: ["provider", "usage.cost", "usage.cost_details"].map(String::from).to_vec(),
            owner: None,
        };
        let answer = read(body, &rewrite, Vocabulary::default()).unwrap();
        assert_eq!(
            answer.body,
            r#"{ "id":"x","model":"gpt-4o","choices":[{"message":{"content":"hello"}}],"usage":{"prompt_tokens":3,"completion_tokens":1} }"#
        );
        assert_eq!(answer.usage, Some(Usage { input: 3, output: 1, ..Usage::default() }.into()));
    }

    fn identity() -> Identity {
        let mut tool_names = ToolNames::default();
        tool_names.declare(ClientTool { name: "patch".into(), namespace: None, kind: ToolKind::Custom });
        Identity {
            id: "x".into(),
            created_s: 7,
            model: "ours".into(),
            owner: Owner::new("up"),
            likely_input: 0,
            vocabulary: Vocabulary::default(),
            include_usage: false,
            tool_names,
            echo: Vec::new(),
        }
    }

    #[test]
    fn a_whole_answer_is_written_with_all_that_it_says() {
        let call = |name: &str, input: &str| {
            let (id, name, input) = ("t".into(), name.into(), input.into());
            Block::ToolUse(ToolUse { id, name, input, kind: ToolKind::Function, cache: None })
        };
        let citation = |url: Option<&str>| Citation {
            url: url.map(str::to_owned),
            title: None,
            cited_text: None,
            range: Some((1, 2)),
            raw: String::new(),
        };
        let cited = Text { citations: vec![citation(Some("https://a")), citation(None)], ..Text::plain("\u{e9}b") };
        let opaque = Opaque::made_by(&Owner::new("up"), "EqQB");
        let answer = Answer {
            blocks: vec![
                Block::Reasoning { text: "why".into(), opaque: Some(opaque.clone()) },
                Block::Redacted(opaque),
                Block::text("\u{e9}"),
                Block::Text(cited),
                call("patch", r#"{"input":"a\nb"}"#),
                call("f", ""),
            ],
            stop: Some(Stop { reason: StopReason::ToolUse, sequence: None }),
            usage: Some(Usage { input: 1, cache_read: 2, cache_write_1h: 3, output: 4, ..Usage::default() }.into()),
            service_tier: Some("standard".into()),
            ..Answer::default()
        };
        let expected = concat!(
            r#"{"id":"chatcmpl-x","object":"chat.completion","created":7,"model":"ours","choices":[{"index":0,"message":{"#,
            r#""role":"assistant","content":"ééb","refusal":null,"reasoning_content":"why","reasoning_details":["#,
            r#"{"type":"reasoning.text","text":"why","signature":"oi-up-EqQB","index":0},"#,
            r#"{"type":"reasoning.encrypted","data":"oi-up-EqQB","index":1}],"tool_calls":["#,
            r#"{"id":"t","type":"custom","custom":{"name":"patch","input":"a\nb"}},"#,
            r#"{"id":"t","type":"function","function":{"name":"f","arguments":"{}"}}],"annotations":["#,
            r#"{"type":"url_citation","url_citation":{"start_index":2,"end_index":3,"url":"https://a","title":""}}]},"#,
            r#""logprobs":null,"finish_reason":"tool_calls"}],"service_tier":"default","usage":{"prompt_tokens":6,"#,
            r#""completion_tokens":4,"total_tokens":10,"prompt_tokens_details":{"cached_tokens":2,"#,
            r#""cache_write_tokens":3},"completion_tokens_details":{"reasoning_tokens":0}}}"#
        );
        let (written, losses) = encode(&answer, &identity());
        assert_eq!((written.as_str(), losses.to_string().as_str()), (expected, "citations=1"));
    }

    #[test]
    fn only_the_first_choice_is_read_and_errors_are_none() {
        let owner = Owner::new("up");
        let body = r#"{"choices":[{"message":{"content":"a"},"finish_reason":"stop"},{"message":{"content":"b"}}]}"#;
        assert_eq!(decode(body, &owner).unwrap().blocks, [Block::text("a")]);
        for body in [
            r#"{"choices":[{"message":{"content":"x"},"error":{"message":"x"}}]}"#,
            r#"{"error":{"message":"x"},"choices":[{"message":{}}]}"#,
            r#"{"object":"error","choices":[{"message":{}}]}"#,
            "[]",
            "<html>",
        ] {
            assert_eq!(decode(body, &owner), Err(NotAnAnswer), "{body}");
        }
    }

    #[test]
    fn an_odd_answer_is_one_whether_it_passes_or_is_translated_and_costs_the_same() {
        let usage = r#""usage":{"prompt_tokens":7,"completion_tokens":3}"#;
        let counted = Usage { input: 7, output: 3, ..Usage::default() };
        for choices in [
            "[]",
            "[{}]",
            "[null]",
            "[1]",
            r#"[{"message":null}]"#,
            r#"[{"message":{}}]"#,
            r#"[{"finish_reason":"x"}]"#,
        ] {
            let body = format!(r#"{{"choices":{choices},{usage}}}"#);
            let passed = read(&body, &Rewrite::default(), Vocabulary::default()).unwrap();
            let decoded = decode(&body, &Owner::new("up")).unwrap();
            assert_eq!((passed.usage, decoded.usage), (Some(counted.into()), Some(counted.into())), "{choices}");
            assert_eq!((passed.visible.upper, decoded.blocks.len(), decoded.stop.is_some()), (0, 0, true), "{choices}");
        }
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
            assert_eq!(read(body, &Rewrite::default(), Vocabulary::default()), Err(NotAnAnswer), "{body}");
            assert_eq!(decode(body, &Owner::new("up")), Err(NotAnAnswer), "{body}");
        }
    }
}
