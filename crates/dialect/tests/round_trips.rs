//! Requests from one dialect through another and back mean what they meant. What is compared: who says what,
//! tool calls and results, pictures, tools and their choice, the limit, and what sets how tokens are drawn and
//! where the answer ends, as far as the dialect between can hold it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use dialect::Dialect;
use dialect::anthropic_messages::{self as messages, wire::MessagesRequest};
use dialect::canonical::{
    Block, Image, ImageSource, Owner, Request, Role, Sampling, Target, Tool, ToolChoice, ToolKind, ToolResult, ToolUse,
    Turn,
};
use dialect::openai_chat::{self as chat, wire::ChatRequest};
use dialect::openai_responses::{self as responses, wire::ResponsesRequest};
use proptest::prelude::*;
use serde_json::Value;

const DIALECTS: [Dialect; 3] = [Dialect::AnthropicMessages, Dialect::OpenaiChat, Dialect::OpenaiResponses];

/// Writes a request in a dialect.
fn encode(dialect: Dialect, request: &Request) -> String {
    let owner = Owner::new("o");
    let target = Target {
        model: "m",
        owner: &owner,
        reasons: false,
        adaptive_thinking: false,
        lowered_output: None,
        max_output: 8_192,
        limit_field: "max_tokens",
        stream_options: true,
    };
    let encoded = match dialect {
        Dialect::AnthropicMessages => messages::encode::encode(request, &target),
        Dialect::OpenaiResponses => responses::encode::encode(request, &target),
        _ => chat::encode::encode(request, &target),
    };
    encoded.unwrap().body
}

/// Reads one of a client.
fn decode(dialect: Dialect, body: &str) -> Request {
    let decoded = match dialect {
        Dialect::AnthropicMessages => MessagesRequest::parse(body).unwrap().decode(),
        Dialect::OpenaiResponses => ResponsesRequest::parse(body).unwrap().decode(),
        _ => ChatRequest::parse(body).unwrap().decode(),
    };
    decoded.unwrap()
}

/// What a request means, whatever its form.
#[derive(Debug, PartialEq)]
struct Meaning {
    /// Who says what; what one says in several turns or blocks is one.
    said: Vec<(&'static str, String)>,
    tools: Vec<(String, Option<String>, Value)>,
    choice: Option<ToolChoice>,
    parallel: Option<bool>,
    max_output: Option<u64>,
    stop: Vec<String>,
    sampling: [Option<String>; 2],
    stream: bool,
}

impl Meaning {
    fn of(request: &Request) -> Self {
        let mut said: Vec<(&'static str, String)> = Vec::new();
        let mut say = |who: &'static str, what: String| match said.last_mut() {
            Some((last, text)) if *last == who && matches!(who, "system" | "user" | "assistant") => {
                text.push_str(&what)
            }
            _ => said.push((who, what)),
        };
        let instructions = Turn { role: Role::System, blocks: request.instructions.clone() };
        for turn in [&instructions].into_iter().chain(&request.turns) {
            let who = match turn.role {
                Role::System | Role::Developer => "system",
                Role::User => "user",
                Role::Assistant => "assistant",
            };
            for block in &turn.blocks {
                match block {
                    Block::Text(text) => say(who, text.text.clone()),
                    Block::Image(image) => say("image", format!("{:?}", image.source)),
                    Block::ToolUse(call) => {
                        let input: Value = serde_json::from_str(&call.input).unwrap();
                        say("call", format!("{} {} {input}", call.id, call.name));
                    }
                    Block::ToolResult(result) => {
                        let texts = result.content.iter().map(|block| match block {
                            Block::Text(text) => text.text.as_str(),
                            _ => "?",
                        });
                        say("result", format!("{} {}", result.id, texts.collect::<String>()));
                    }
                    other => say("other", format!("{other:?}")),
                }
            }
        }
        let schema =
            |tool: &Tool| tool.schema.as_deref().map_or(Value::Null, |json| serde_json::from_str(json).unwrap());
        let tools = request.tools.iter().map(|tool| (tool.name.clone(), tool.description.clone(), schema(tool)));
        Self {
            said,
            tools: tools.collect(),
            choice: request.tool_choice.clone(),
            parallel: request.parallel_tool_calls,
            max_output: request.max_output,
            stop: request.stop.clone(),
            sampling: [request.sampling.temperature.clone(), request.sampling.top_p.clone()],
            stream: request.stream,
        }
    }
}

fn word() -> impl Strategy<Value = String> {
    "[a-zé👍\"\\\\]{1,8}"
}

fn text() -> impl Strategy<Value = Block> {
    word().prop_map(Block::text)
}

fn image() -> impl Strategy<Value = Block> {
    let source = prop_oneof![
        Just(ImageSource::Url("https://example.com/a.png".into())),
        Just(ImageSource::Base64 { media_type: "image/png".into(), data: "iVBO".into() }),
    ];
    source.prop_map(|source| Block::Image(Image { source, detail: None, cache: None }))
}

/// What the user asks, what the model says and calls, and the results of that.
fn exchange() -> impl Strategy<Value = (Vec<Block>, String, Vec<(bool, String)>)> {
    let question = prop::collection::vec(prop_oneof![3 => text(), 1 => image()], 1..3);
    (question, word(), prop::collection::vec((any::<bool>(), word()), 0..3))
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    prop::collection::vec(exchange(), 1..4).prop_map(|exchanges| {
        let mut turns = Vec::new();
        let mut number = 0;
        for (question, answer, calls) in exchanges {
            turns.push(Turn { role: Role::User, blocks: question });
            let mut blocks = vec![Block::text(answer)];
            let mut results = Vec::new();
            for (first, word) in calls {
                number += 1;
                let (id, name) = (format!("call_{number}"), if first { "read" } else { "write" });
                let input = serde_json::json!({"word": word, "n": number}).to_string();
                blocks.push(Block::ToolUse(ToolUse {
                    id: id.clone(),
                    name: name.into(),
                    input,
                    kind: ToolKind::Function,
                    cache: None,
                }));
                results.push(Block::ToolResult(ToolResult {
                    id,
                    content: vec![Block::text(word)],
                    is_error: false,
                    kind: ToolKind::Function,
                    cache: None,
                }));
            }
            turns.push(Turn { role: Role::Assistant, blocks });
            turns.extend((!results.is_empty()).then_some(Turn { role: Role::User, blocks: results }));
        }
        turns.push(Turn { role: Role::User, blocks: vec![Block::text("go on")] });
        turns
    })
}

fn tool(name: &str, description: Option<String>) -> Tool {
    let schema = r#"{"type":"object","properties":{"n":{"type":"integer","maximum":12345678901234567890}}}"#;
    Tool {
        name: name.into(),
        description,
        kind: ToolKind::Function,
        schema: Some(schema.into()),
        strict: None,
        cache: None,
    }
}

fn request() -> impl Strategy<Value = Request> {
    let choice = prop_oneof![
        Just(None),
        Just(Some(ToolChoice::Auto)),
        Just(Some(ToolChoice::None)),
        Just(Some(ToolChoice::Required)),
        Just(Some(ToolChoice::Named("read".into()))),
    ];
    // Responses take no limit below 16.
    let settings = (16_u64..9_000, prop::option::of(Just("0.70")), prop::option::of(word()), any::<bool>());
    (prop::option::of(word()), turns(), prop::option::of(word()), choice, settings).prop_map(
        |(instructions, turns, description, tool_choice, (max_output, temperature, stop, stream))| Request {
            instructions: instructions.into_iter().map(Block::text).collect(),
            turns,
            tools: vec![tool("read", description), tool("write", None)],
            tool_choice,
            max_output: Some(max_output),
            sampling: Sampling { temperature: temperature.map(str::to_owned), ..Sampling::default() },
            stop: stop.into_iter().collect(),
            stream,
            ..Request::default()
        },
    )
}

proptest! {
    #[test]
    fn a_request_through_another_dialect_and_back_means_what_it_meant(mut request in request()) {
        for own in DIALECTS {
            for between in DIALECTS.into_iter().filter(|between| *between != own) {
                if own == Dialect::OpenaiResponses || between == Dialect::OpenaiResponses {
                    // It has no such field, and a request with one is refused.
                    request.stop.clear();
                }
                let body = encode(own, &request);
                let meant = Meaning::of(&decode(own, &body));
                let sent = encode(between, &decode(own, &body));
                let back = encode(own, &decode(between, &sent));
                prop_assert_eq!(Meaning::of(&decode(own, &back)), meant, "{:?} by {:?}:\n{}\n{}", own, between, body, sent);
            }
        }
    }

    #[test]
    fn a_request_that_is_written_reads_back(mut request in request()) {
        for dialect in DIALECTS {
            if dialect == Dialect::OpenaiResponses {
                request.stop.clear();
            }
            let read = decode(dialect, &encode(dialect, &request));
            prop_assert_eq!(Meaning::of(&read), Meaning::of(&request), "{:?}", dialect);
        }
    }
}
