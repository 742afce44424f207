//! `chat_completion`: its arguments as a body of chat completions, which is asked for as a stream, and the
//! answer as a result.

use billing::usage::Usage;
use dialect::canonical::{Answer, Block, Decode, Delta, Event, Fold, Open, Owner};
use dialect::envelope::Envelope;
use dialect::openai_chat::finish_reason;
use dialect::openai_chat::stream::Decoder;
use dialect::sse;
use serde_json::{Map, Value, json};

/// What the tool takes of a body of chat completions.
const FIELDS: [&str; 12] = [
    "model",
    "messages",
    "max_tokens",
    "temperature",
    "top_p",
    "stop",
    "seed",
    "reasoning_effort",
    "response_format",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
];

/// Those of them that are whole numbers.
const WHOLE: [&str; 2] = ["max_tokens", "seed"];

/// What is told of an answer beside what it says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// Decimal USD.
    pub cost: Option<String>,
    /// Decimal USD, for callers that may read the account.
    pub balance: Option<String>,
    /// What the output limit was lowered to.
    pub max_tokens: Option<u64>,
    /// What was left out, by name and count.
    pub dropped: Option<String>,
    /// The request's id.
    pub request_id: String,
}

/// The body for `POST /v1/chat/completions`, with the bytes of the arguments and for a stream.
///
/// # Errors
/// What is wrong, as a sentence.
pub fn body(arguments: &str) -> Result<String, String> {
    let envelope = Envelope::parse(arguments).map_err(|error| format!("The arguments do not fit: {error}."))?;
    if let Some(unknown) = envelope.keys().find(|key| !FIELDS.contains(key)) {
        let shown: String = unknown.chars().take(64).collect();
        return Err(format!("chat_completion has no argument {shown}. It takes {}.", FIELDS.join(", ")));
    }
    let mut edits = envelope.edit();
    for (name, json) in envelope.members() {
        // Absent, as in every other tool.
        if matches!(json, "null" | "\"\"") {
            edits.remove(name);
        } else if let Some(whole) = whole(json).filter(|_| WHOLE.contains(&name)) {
            edits.set(name, &whole);
        }
    }
    edits.set("stream", "true");
    edits.set("stream_options", r#"{"include_usage":true}"#);
    Ok(edits.finish())
}

/// A whole number that is written with a point or an exponent, as providers read it: without them.
fn whole(json: &str) -> Option<String> {
    let number: f64 = json.parse().ok().filter(|_| json.contains(['.', 'e', 'E']))?;
    // A double without a fraction is written without a point and without an exponent.
    let text = number.to_string();
    text.parse::<i64>().is_ok().then_some(text)
}

/// The model that the arguments name.
#[must_use]
pub fn model(arguments: &str) -> String {
    let envelope = Envelope::parse(arguments).ok();
    let model = envelope.and_then(|envelope| serde_json::from_str(envelope.get("model")?).ok());
    model.unwrap_or_default()
}

/// The result of the tool.
#[must_use]
pub fn result(model: &str, answer: &Answer, told: &Told) -> Value {
    let (mut text, mut refusal, mut calls) = (String::new(), String::new(), Vec::new());
    for block in &answer.blocks {
        match block {
            Block::Text(said) => text.push_str(&said.text),
            Block::Refusal(said) => refusal.push_str(said),
            Block::ToolUse(call) => calls.push(json!({ "id": call.id, "name": call.name, "arguments": call.input })),
            // Reasoning is the model's own, and the tool does not ask for pictures.
            _ => {}
        }
    }
    let finish = answer.stop.as_ref().map_or("length", |stop| finish_reason(stop.reason));
    let mut members = Map::new();
    let mut set = |name: &str, value: Value| drop(members.insert(name.into(), value));
    set("model", model.into());
    set("text", text.into());
    set("tool_calls", calls.into());
    set("finish_reason", finish.into());
    set("request_id", told.request_id.as_str().into());
    let texts = [("cost_usd", &told.cost), ("balance_usd", &told.balance), ("dropped", &told.dropped)];
    for (name, value) in texts {
        value.iter().for_each(|value| set(name, value.as_str().into()));
    }
    told.max_tokens.iter().for_each(|limit| set("max_tokens", (*limit).into()));
    answer.usage.iter().for_each(|counted| set("usage", usage(&counted.usage)));
    if !refusal.is_empty() {
        set("refusal", refusal.into());
    }
    Value::Object(members)
}

fn usage(usage: &Usage) -> Value {
    json!({
        "input_tokens": usage.total_input(),
        "cache_read_tokens": usage.cache_read,
        "cache_write_tokens": usage.cache_write_5m.saturating_add(usage.cache_write_1h),
        "output_tokens": usage.output,
        "reasoning_tokens": usage.reasoning,
    })
}

/// A streamed chat completion that is being read.
pub struct Stream {
    parser: sse::Parser,
    decoder: Decoder,
    fold: Fold,
    cost: Option<String>,
    broken: bool,
    /// The block that is text, not reasoning or a refusal.
    text: Option<usize>,
    chars: u64,
}

impl Default for Stream {
    fn default() -> Self {
        Self {
            parser: sse::Parser::default(),
            decoder: Decoder::new(Owner::new("")),
            fold: Fold::default(),
            cost: None,
            broken: false,
            text: None,
            chars: 0,
        }
    }
}

impl Stream {
    /// Reads bytes; the text that they say.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        let Ok(frames) = self.parser.push(bytes) else {
            self.broken = true;
            return String::new();
        };
        let mut said = String::new();
        for frame in frames {
            let mut events = Vec::new();
            self.broken |= self.decoder.push(&frame, &mut events).is_err();
            events.iter().for_each(|event| self.take(event, &mut said));
            if let Some(cost) = frame.data().and_then(|data| cost_of(&data)) {
                self.cost = Some(cost);
            }
        }
        said
    }

    /// How much has come, in characters: reasoning and the arguments of tools too.
    #[must_use]
    pub fn chars(&self) -> u64 {
        self.chars
    }

    /// The answer and its cost; `None`: it broke off.
    #[must_use]
    pub fn finish(mut self) -> Option<(Answer, Option<String>)> {
        let mut events = Vec::new();
        self.decoder.finish(&mut events);
        events.iter().for_each(|event| self.take(event, &mut String::new()));
        let answer = self.fold.finish();
        (!self.broken && answer.stop.is_some()).then_some((answer, self.cost))
    }

    fn take(&mut self, event: &Event, said: &mut String) {
        self.fold.push(event);
        match event {
            Event::Open { index, block: Open::Text } => self.text = Some(*index),
            Event::Delta { index, delta: Delta::Text(text) | Delta::Input(text) } => {
                if self.text == Some(*index) {
                    said.push_str(text);
                }
                let chars = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
                self.chars = self.chars.saturating_add(chars);
            }
            _ => {}
        }
    }
}

/// How far a client has been told that an answer has come. Each figure is more than the one before, as the
/// protocol demands, also where nothing came in between.
#[derive(Debug, Default)]
pub struct Progress {
    heard: u64,
    told: u64,
}

impl Progress {
    /// What to tell now that so many characters have come; `None`: nothing has since the last time, and
    /// `in_silence` it is not to be told.
    pub fn next(&mut self, chars: u64, in_silence: bool) -> Option<u64> {
        if chars <= self.heard && !in_silence {
            return None;
        }
        self.heard = chars;
        self.told = chars.max(self.told.saturating_add(1));
        Some(self.told)
    }
}

/// The `usage.cost` of a chunk, as it stands there.
fn cost_of(data: &str) -> Option<String> {
    let chunk = Envelope::parse_any(data).ok()?;
    let usage = Envelope::parse_any(chunk.present("usage")?).ok()?;
    usage.present("cost").map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_the_bytes_of_the_arguments() {
        let arguments =
            r#"{"model": "m", "messages": [{"role":"user", "content":"\u00e9"}], "seed": 12345678901234567890}"#;
        let streamed = body(arguments).unwrap();
        assert!(streamed.contains(r#""content":"\u00e9"}], "seed": 12345678901234567890"#), "{streamed}");
        assert!(streamed.contains(r#""stream":true,"stream_options":{"include_usage":true}"#), "{streamed}");
    }

    #[test]
    fn issue_13_whole_floats_are_integers_and_empty_strings_are_absent() {
        for (arguments, expected) in [
            (r#"{"model":"m","max_tokens":7.0}"#, r#"{"model":"m","max_tokens":7,"#),
            (r#"{"model":"m","max_tokens":7e0,"seed":-5.0}"#, r#"{"model":"m","max_tokens":7,"seed":-5,"#),
            (
                r#"{"model":"m","max_tokens":7.5,"temperature":1.0}"#,
                r#"{"model":"m","max_tokens":7.5,"temperature":1.0,"#,
            ),
            (r#"{"model":"m","reasoning_effort":"","stop":"","tool_choice":null}"#, r#"{"model":"m","#),
        ] {
            let expected = format!(r#"{expected}"stream":true,"stream_options":{{"include_usage":true}}}}"#);
            assert_eq!(body(arguments), Ok(expected), "{arguments}");
        }
    }

    #[test]
    fn what_the_tool_does_not_take_is_named() {
        for (arguments, problem) in [
            (r#"{"model":"m","stream":true}"#, "no argument stream"),
            (r#"{"model":"m","n":100}"#, "no argument n."),
            (r#"{"model":"m","service_tier":"priority"}"#, "no argument service_tier"),
            (r#"{"model":"m","model":"n"}"#, "twice"),
            ("[]", "do not fit"),
        ] {
            let told = body(arguments).unwrap_err();
            assert!(told.contains(problem), "{arguments}: {told}");
        }
    }

    const CHUNKS: &str = concat!(
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Gr\u{fc}\"},\"finish_reason\":null}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"n.\"},\"finish_reason\":null}]}\n\n",
        "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":2,\"total_tokens\":12,",
        "\"prompt_tokens_details\":{\"cached_tokens\":4},\"cost\":0.0000039}}\n\n",
        "data: [DONE]\n\n",
    );

    #[test]
    fn a_stream_is_told_as_one_result() {
        for size in [1, 7, 4_096] {
            let mut stream = Stream::default();
            let said: String = CHUNKS.as_bytes().chunks(size).map(|chunk| stream.push(chunk)).collect();
            assert_eq!((said.as_str(), stream.chars()), ("Gr\u{fc}n.", 5), "{size}");
            let (answer, cost) = stream.finish().unwrap();
            let told = Told { cost, request_id: "req_1".into(), ..Told::default() };
            assert_eq!(
                result("m", &answer, &told).to_string(),
                r#"{"cost_usd":"0.0000039","finish_reason":"stop","model":"m","request_id":"req_1","text":"Grün.","tool_calls":[],"usage":{"cache_read_tokens":4,"cache_write_tokens":0,"input_tokens":10,"output_tokens":2,"reasoning_tokens":0}}"#
            );
        }
    }

    #[test]
    fn progress_grows_and_nothing_that_came_is_left_out() {
        let mut progress = Progress::default();
        for (chars, in_silence, told) in [
            (0, false, None),
            (5, false, Some(5)),
            (5, false, None),
            (5, true, Some(6)),
            (5, true, Some(7)),
            // One more character is less than what was told already, and is told.
            (6, false, Some(8)),
            (20, true, Some(20)),
        ] {
            assert_eq!(progress.next(chars, in_silence), told, "{chars} {in_silence}");
        }
    }

    #[test]
    fn a_stream_that_breaks_off_is_no_answer() {
        let cut = CHUNKS.split_once("data: {\"choices\":[{\"index\":0,\"delta\":{},").unwrap().0;
        let mut stream = Stream::default();
        stream.push(cut.as_bytes());
        stream.push(b"data: {\"error\":{\"message\":\"x\"}}\n\n");
        assert!(stream.finish().is_none());
        let mut stream = Stream::default();
        stream.push(cut.as_bytes());
        assert!(stream.finish().is_none());
    }

    #[test]
    fn calls_of_tools_and_refusals_are_told() {
        let call =
            r#"{"index":0,"id":"call_1","type":"function","function":{"name":"look","arguments":"{\"at\": 1}"}}"#;
        let mut stream = Stream::default();
        for (delta, finish) in [
            (r#"{"role":"assistant","refusal":"No."}"#.to_owned(), "null"),
            (format!(r#"{{"tool_calls":[{call}]}}"#), "null"),
            ("{}".to_owned(), r#""tool_calls""#),
        ] {
            let chunk = format!(r#"{{"choices":[{{"index":0,"delta":{delta},"finish_reason":{finish}}}]}}"#);
            stream.push(format!("data: {chunk}\n\n").as_bytes());
        }
        let (answer, cost) = stream.finish().unwrap();
        let told = Told { cost, max_tokens: Some(256), request_id: "req_1".into(), ..Told::default() };
        let result = result("m", &answer, &told);
        assert_eq!(result["tool_calls"], json!([{ "id": "call_1", "name": "look", "arguments": "{\"at\": 1}" }]));
        assert_eq!((&result["refusal"], &result["finish_reason"]), (&json!("No."), &json!("tool_calls")));
        assert_eq!((&result["max_tokens"], result.get("cost_usd")), (&json!(256), None));
    }
}
