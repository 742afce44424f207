//! `chat_completion`: a model is asked by the same path as over the API, always for a stream, and what
//! comes is folded into one result.
//!
//! The one rule: a client that leaves has left the model too. The platform notices a leaving by writing
//! alone, so the answer is a body that grows from the model's first word on: a stream of events where the
//! client takes one, with progress where it asked for any; else JSON with white space before it.

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
use crate::body::Body;
use crate::clock;
use crate::console::caller::Caller;
use crate::context::Context;
use crate::error::{ApiError, Code};
use crate::inference::pipeline::{Inference, Served, serve};
use crate::inference::pump::{FIRST_WRITE_MS, WRITE_MS};
use crate::inference::stream::{Sink, Source};
use crate::upstream::{AnthropicHeaders, within};

/// As usage rows name it.
const ENDPOINT: &str = "/mcp";

/// How long a client that is told nothing waits for a sign of life, in milliseconds. A leaving is found by
/// it, and the model costs money until then.
const BEAT_MS: u64 = 1_000;

/// How long a client that wants progress waits for any, in milliseconds: most give up after a minute.
const NEWS_MS: u64 = 10_000;

/// Calls the tool.
///
/// # Errors
/// `invalid_api_key` with 401, where the key ended meanwhile.
pub async fn call(arguments: Body, turn: Turn, context: &Context) -> Result<Served, ApiError> {
    let model = chat::model(&arguments);
    match ask(arguments, &turn, context).await {
        Ok(served) => folded(served, model, turn, context),
        Err(failed) => respond(&turn.exchange.tool_error(&failed.told()?)),
    }
}

async fn ask(arguments: Body, turn: &Turn, context: &Context) -> Result<Served, Failed> {
    let body = chat::body(&arguments)?;
    let body = arguments.replaced(body);
    let request = ClientRequest::chat(&body).map_err(ApiError::from)?;
    let anthropic = AnthropicHeaders::default();
    let inference = Inference { endpoint: ENDPOINT, request, body: &body, anthropic, leaving: turn.leaving.clone() };
    Ok(serve(&inference, turn.caller.payer(), context).await?)
}

/// Hands over the body that grows, and what fills it beside the pump.
fn folded(served: Served, model: String, turn: Turn, context: &Context) -> Result<Served, ApiError> {
    let Served { response, rest } = served;
    let told = told(response.headers(), context)?;
    let source = Source::new(response.body()).ok_or_else(ApiError::internal)?;
    let (sink, readable) = Sink::new().map_err(worker::Error::from)?;
    let Turn { exchange, caller, takes_events, .. } = turn;
    let now_ms = clock::now_ms();
    let mut listener = Listener {
        sink,
        exchange,
        takes_events,
        has_read: false,
        written_at_ms: now_ms,
        progress: chat::Progress::default(),
        progress_at_ms: now_ms,
    };
    let telling = async move {
        if tell(&source, &mut listener, &caller, &model, told).await.is_err() {
            // Nobody reads any more: the pump is to notice it at its next write.
            source.cancel().await;
        }
    };
    let rest: LocalBoxFuture<'static, ()> = match rest {
        Some(pump) => Box::pin(async move {
            let ((), ()) = join(pump, telling).await;
        }),
        None => Box::pin(telling),
    };
    let headers = Headers::new();
    headers.set("content-type", if takes_events { "text/event-stream; charset=utf-8" } else { "application/json" })?;
    let response = Response::builder().with_headers(headers).stream(readable);
    Ok(Served { response, rest: Some(rest) })
}

/// What the headers of an answer tell.
fn told(headers: &Headers, context: &Context) -> Result<Told, ApiError> {
    let max_tokens = headers.get("x-oneinterface-max-tokens")?.and_then(|limit| limit.parse().ok());
    Ok(Told {
        cost: None,
        balance: None,
        max_tokens,
        dropped: headers.get("x-oneinterface-dropped")?,
        request_id: context.request_id.clone(),
    })
}

/// Tells of what comes, and at the end the result.
///
/// # Errors
/// The client has gone.
async fn tell(source: &Source, listener: &mut Listener, caller: &Caller, model: &str, told: Told) -> Result<(), Gone> {
    let mut stream = chat::Stream::default();
    loop {
        let mut read = Box::pin(source.read());
        let read = loop {
            match select(read, Box::pin(clock::sleep_ms(BEAT_MS))).await {
                Either::Left((read, _)) => break read,
                Either::Right(((), waiting)) => {
                    listener.hear(stream.chars(), "").await?;
                    read = waiting;
                }
            }
        };
        let Ok(Some(chunk)) = read else { break };
        let said = stream.push(&chunk.to_vec());
        listener.hear(stream.chars(), &said).await?;
    }
    let Some((answer, cost)) = stream.finish() else {
        let message = "The provider ended the answer before it was complete. What was produced is charged. Try again.";
        let error = ApiError::new(Code::UpstreamUnavailable, message);
        return listener
            .end(|exchange| exchange.tool_error(&format!("{} ({})", error.message, error.code.text())))
            .await;
    };
    let may = caller.permissions().contains(&Permission::AccountRead);
    let left = if may { balance(caller).await.ok() } else { None };
    let left = left.and_then(|left| left.get("balance_usd").and_then(Value::as_str).map(str::to_owned));
    let told = Told { cost, balance: left, ..told };
    listener.end(|exchange| exchange.tool_result(chat::result(model, &answer, &told))).await
}

/// The client, as it is written to.
struct Listener {
    sink: Sink,
    exchange: Exchange,
    takes_events: bool,
    /// Whether it has read anything yet.
    has_read: bool,
    /// When it was last written to, in milliseconds since the epoch.
    written_at_ms: i64,
    progress: chat::Progress,
    /// When it was last told of progress, in milliseconds since the epoch.
    progress_at_ms: i64,
}

/// The client reads no more.
struct Gone;

impl Listener {
    /// The answer has reached so many characters, the last of them being `said`: progress where there is any
    /// and it is wanted, else a sign of life when it is time for one.
    async fn hear(&mut self, reached: u64, said: &str) -> Result<(), Gone> {
        let now_ms = clock::now_ms();
        let is_due = |since_ms: i64, after_ms: u64| now_ms.saturating_sub(since_ms).unsigned_abs() >= after_ms;
        let next = self.progress.next(reached, is_due(self.progress_at_ms, NEWS_MS)).filter(|_| self.takes_events);
        if let Some(message) = next.and_then(|next| self.exchange.progress(next, said)) {
            self.progress_at_ms = now_ms;
            return self.write(&event(&message)).await;
        }
        if is_due(self.written_at_ms, BEAT_MS) {
            let beat: &[u8] = if self.takes_events { b": keep-alive\n\n" } else { b"\n" };
            return self.write(beat).await;
        }
        Ok(())
    }

    /// The answer to its request, and the end.
    async fn end(&mut self, reply: impl FnOnce(&Exchange) -> ::mcp::Reply) -> Result<(), Gone> {
        let body = reply(&self.exchange).body.unwrap_or_default();
        if self.takes_events {
            self.write(&event(&body)).await?;
        } else {
            self.write(body.as_bytes()).await?;
        }
        self.sink.close().await.map_err(|_| Gone)
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        let patience_ms = if self.has_read { WRITE_MS } else { FIRST_WRITE_MS };
        let written = within(patience_ms, self.sink.write(bytes)).await;
        written.ok_or(Gone)?.map_err(|_| Gone)?;
        (self.has_read, self.written_at_ms) = (true, clock::now_ms());
        Ok(())
    }
}

fn event(message: &str) -> Vec<u8> {
    let mut event = Vec::new();
    write_named(&mut event, "message", message);
    event
}
