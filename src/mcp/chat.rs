//! `chat_completion`: a model is asked by the same path as over the API, and its answer read back.
//!
//! Where the client wants to hear of progress the answer is a stream of events, and what comes is told as
//! it comes; a client that leaves such a stream has left the model's too.

use ::mcp::Exchange;
use ::mcp::chat::{self, Told};
use billing::ledger::Permission;
use dialect::client::ClientRequest;
use dialect::sse::write_named;
use futures::future::{Either, LocalBoxFuture, join, select};
use serde_json::Value;
use worker::{Headers, Response};

use super::tools::{Failed, balance};
use super::{Turn, respond};
use crate::clock;
use crate::console::caller::Caller;
use crate::context::Context;
use crate::error::{ApiError, Code};
use crate::inference::pipeline::{Inference, Served, serve};
use crate::inference::stream::{Sink, Source};
use crate::upstream::AnthropicHeaders;

/// As usage rows name it.
const ENDPOINT: &str = "/mcp";

/// How long a client is left without news, in milliseconds: most give up after a minute of silence.
const NEWS_MS: u64 = 10_000;

/// Calls the tool.
///
/// # Errors
/// `invalid_api_key` with 401, where the key ended meanwhile.
pub async fn call(arguments: &str, turn: Turn, context: &Context) -> Result<Served, ApiError> {
    let stream = turn.takes_events && turn.exchange.progress_token.is_some();
    match ask(arguments, stream, &turn, context).await {
        Ok(served) if stream => streamed(served, chat::model(arguments), turn, context),
        Ok(served) => match whole(served, &chat::model(arguments), context).await {
            Ok(value) => respond(&turn.exchange.tool_result(value)),
            Err(error) => respond(&turn.exchange.tool_error(&Failed::from(error).told()?)),
        },
        Err(failed) => respond(&turn.exchange.tool_error(&failed.told()?)),
    }
}

async fn ask(arguments: &str, stream: bool, turn: &Turn, context: &Context) -> Result<Served, Failed> {
    let no_key = || "chat_completion takes an API key, not a session: make one with create_api_key.".to_owned();
    let key = turn.caller.key().ok_or_else(no_key)?;
    let body = chat::body(arguments, stream)?;
    let request = ClientRequest::chat(&body).map_err(ApiError::from)?;
    let anthropic = AnthropicHeaders::default();
    Ok(serve(&Inference { endpoint: ENDPOINT, request, anthropic, leaving: turn.leaving.clone() }, key, context)
        .await?)
}

/// The result of a whole answer.
async fn whole(served: Served, model: &str, context: &Context) -> Result<Value, ApiError> {
    let mut response = served.response;
    let told = told(response.headers(), context)?;
    let body = response.text().await?;
    let answer = chat::read(&body).map_err(|_| ApiError::internal())?;
    Ok(chat::result(model, &answer, &told))
}

/// What the headers of an answer tell.
fn told(headers: &Headers, context: &Context) -> Result<Told, ApiError> {
    let max_tokens = headers.get("x-oneinterface-max-tokens")?.and_then(|limit| limit.parse().ok());
    Ok(Told {
        cost: headers.get("x-oneinterface-cost")?,
        balance: headers.get("x-oneinterface-balance")?,
        max_tokens,
        dropped: headers.get("x-oneinterface-dropped")?,
        request_id: context.request_id.clone(),
    })
}

/// Hands over a stream of events, and what fills it beside the pump.
fn streamed(served: Served, model: String, turn: Turn, context: &Context) -> Result<Served, ApiError> {
    let Served { response, rest } = served;
    let told = told(response.headers(), context)?;
    let source = Source::new(response.body()).ok_or_else(ApiError::internal)?;
    let (sink, readable) = Sink::new().map_err(worker::Error::from)?;
    let Turn { exchange, caller, .. } = turn;
    let news = async move {
        if tell(&source, &sink, &exchange, &caller, &model, told).await.is_err() {
            // Nobody reads any more: the pump is to notice it at its next write.
            source.cancel().await;
        }
    };
    let rest: LocalBoxFuture<'static, ()> = match rest {
        Some(pump) => Box::pin(async move {
            let ((), ()) = join(pump, news).await;
        }),
        None => Box::pin(news),
    };
    let headers = Headers::new();
    headers.set("content-type", "text/event-stream; charset=utf-8")?;
    headers.set("cache-control", "no-cache")?;
    let response = Response::builder().with_headers(headers).stream(readable);
    Ok(Served { response, rest: Some(rest) })
}

/// Tells of what comes, and at the end the result.
///
/// # Errors
/// The client has gone.
async fn tell(
    source: &Source,
    sink: &Sink,
    exchange: &Exchange,
    caller: &Caller,
    model: &str,
    told: Told,
) -> Result<(), Gone> {
    let mut stream = chat::Stream::default();
    // What was told last: each progress must be more than the one before.
    let mut told_of = 0_u64;
    loop {
        let mut read = Box::pin(source.read());
        let read = loop {
            match select(read, Box::pin(clock::sleep_ms(NEWS_MS))).await {
                Either::Left((read, _)) => break read,
                Either::Right(((), waiting)) => {
                    told_of = told_of.saturating_add(1);
                    write(sink, exchange.progress(told_of, "")).await?;
                    read = waiting;
                }
            }
        };
        let Ok(Some(chunk)) = read else { break };
        let said = stream.push(&chunk.to_vec());
        let reached = stream.chars();
        if reached > told_of {
            told_of = reached;
            write(sink, exchange.progress(told_of, &said)).await?;
        }
    }
    let reply = match stream.finish() {
        Some((answer, cost)) => {
            let may = caller.permissions().contains(&Permission::AccountRead);
            let left = if may { balance(caller).await.ok() } else { None };
            let left = left.and_then(|left| left.get("balance_usd").and_then(Value::as_str).map(str::to_owned));
            exchange.tool_result(chat::result(model, &answer, &Told { cost, balance: left, ..told }))
        }
        None => {
            let message =
                "The provider ended the answer before it was complete. What was produced is charged. Try again.";
            let error = ApiError::new(Code::UpstreamUnavailable, message);
            exchange.tool_error(&format!("{} ({})", error.message, error.code.text()))
        }
    };
    write(sink, reply.body).await?;
    sink.close().await.map_err(|_| Gone)
}

/// The client reads no more.
struct Gone;

async fn write(sink: &Sink, message: Option<String>) -> Result<(), Gone> {
    let Some(message) = message else { return Ok(()) };
    let mut event = Vec::new();
    write_named(&mut event, "message", &message);
    sink.write(&event).await.map_err(|_| Gone)
}
