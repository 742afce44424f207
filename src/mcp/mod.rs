//! `POST /mcp`: the account and every model as tools, by the Model Context Protocol.
//!
//! The one rule: a tool does nothing that the API does not do, and by the same way: keys by the console's
//! functions, models by the one path to an upstream, with its hold.

mod chat;
mod origin;
mod tools;

use ::mcp::resource;
use ::mcp::{Asked, Exchange, Headers, Opened, Reply};
use worker::{Request, Response};

use crate::console::caller::Caller;
use crate::context::Context;
use crate::error::{ApiError, Code};
use crate::inference::leaving::Leaving;
use crate::inference::pipeline::Served;
use crate::{auth, body};

/// Serves one message.
///
/// # Errors
/// What is refused before it is a message: `invalid_request` with 403 for a foreign origin, and 413;
/// `invalid_api_key` with 401.
pub async fn post(request: &mut Request, context: &Context) -> Result<Served, ApiError> {
    origin::check(request)?;
    serve(request, context).await.map_err(|error| if of_transport(&error) { who_are_you() } else { error })
}

async fn serve(request: &mut Request, context: &Context) -> Result<Served, ApiError> {
    let caller = Caller::any(request.headers(), context).await?;
    let may_pay = async || auth::has_credit(&caller.client, context).await;
    let text = body::read(request, &caller.routing_id, may_pay).await?;
    let sent = request.headers();
    let headers = Headers {
        protocol_version: sent.get("mcp-protocol-version")?,
        method: sent.get("mcp-method")?,
        name: sent.get("mcp-name")?,
    };
    let takes_events = sent.get("accept")?.is_some_and(|accept| accept.contains("text/event-stream"));
    let mut exchange = match Exchange::open(&headers, &text) {
        Ok(Opened::Request(exchange)) => *exchange,
        Ok(Opened::Done(reply)) | Err(reply) => return respond(&reply),
    };
    if let Some(reply) = exchange.plain(&caller.permissions()) {
        return respond(&reply);
    }
    let leaving = Leaving::of(request);
    if let Asked::CallTool(tool, arguments) = &mut exchange.asked {
        // A body may be large: neither it nor its arguments are kept twice, and its room is theirs.
        let (tool, arguments) = (*tool, text.replaced(std::mem::take(arguments)));
        return tools::call(tool, arguments, Turn { exchange, caller, takes_events, leaving }, context).await;
    }
    let turn = Turn { exchange, caller, takes_events, leaving };
    match &turn.exchange.asked {
        Asked::ReadResource(Ok(wanted)) => {
            let found = match turn.may(wanted.permission()) {
                Ok(()) => tools::read(wanted, &turn.caller, context).await?,
                Err(problem) => return respond(&turn.exchange.fault(&::mcp::Fault::invalid_params(problem))),
            };
            respond(&match found {
                Some(value) => turn.exchange.result(resource::contents(wanted, &value)),
                None => turn.exchange.no_such_resource(&wanted.uri()),
            })
        }
        Asked::ReadResource(Err(uri)) => respond(&turn.exchange.no_such_resource(uri)),
        Asked::CompleteModel(beginning) => {
            let ids = tools::model_ids(beginning, &turn, context).await?;
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            respond(&turn.exchange.result(resource::completion(&ids)))
        }
        _ => Err(ApiError::internal()),
    }
}

/// A message with who sent it.
struct Turn {
    exchange: Exchange,
    caller: Caller,
    /// Whether the client takes an answer that is a stream of events.
    takes_events: bool,
    /// The client's leaving.
    leaving: Leaving,
}

impl Turn {
    /// Whether the caller may do it; else a sentence that says what to do.
    fn may(&self, permission: billing::ledger::Permission) -> Result<(), String> {
        if self.caller.permissions().contains(&permission) {
            return Ok(());
        }
        let name = serde_json::to_value(permission).unwrap_or_default();
        let name = name.as_str().unwrap_or_default();
        Err(format!("This API key does not have the permission {name}. Use a key that has it, or make one in Console."))
    }
}

/// The HTTP answer.
fn respond(reply: &Reply) -> Result<Served, ApiError> {
    let response = match &reply.body {
        None => Response::empty()?,
        Some(body) => {
            let response = Response::ok(body)?;
            response.headers().set("content-type", "application/json")?;
            response
        }
    };
    Ok(response.with_status(reply.status).into())
}

/// What a client is told that sent no key, or one that has ended: most show it to their user.
fn who_are_you() -> ApiError {
    let sentence = "No valid API key was sent. An MCP client sends one in the header `Authorization: Bearer oi_…` (or \
                    `x-api-key: oi_…`); the session token of the account's owner works in its place. Make a key in Console.";
    ApiError::new(Code::InvalidApiKey, sentence)
}

/// What the caller must be told over HTTP, not as a result: its key has ended.
fn of_transport(error: &ApiError) -> bool {
    error.code == Code::InvalidApiKey && error.status == 401
}
