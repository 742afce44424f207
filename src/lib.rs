//! One Interface at the edge: HTTP, D1, fetch and time. Wire formats are `dialect`'s and money is
//! `billing`'s; this crate brings requests, upstreams and accounts together.
//!
//! A request runs under `waitUntil` as a whole, and hands its response back through a channel: when the
//! client leaves before a response exists, the platform cancels the handler, but not this.

pub mod auth;
pub mod body;
pub mod breaker;
pub mod breakers;
pub mod budget;
pub mod clock;
pub mod config;
pub mod console;
pub mod context;
pub mod cors;
pub mod d1;
pub mod entropy;
pub mod error;
pub mod floods;
pub mod hand_over;
pub mod ids;
pub mod inference;
pub mod keys;
pub mod mcp;
pub mod operator;
pub mod redeliver;
pub mod refusals;
pub mod retry_after;
pub mod router;
pub mod routes;
pub mod token;
pub mod upstream;

use account::panics::{Panicked, caught};
use futures::channel::oneshot;
use worker::{Env, Request, Response, console_error};
use worker_macros::event;

use crate::context::Context;
use crate::error::{ApiError, Envelope};
use crate::hand_over::HandOver;
use crate::inference::pipeline::Served;
use crate::inference::waiting::Early;
use crate::router::Route;

// Named, or the class would not be part of the module.
pub use account::Account;

#[event(fetch)]
async fn fetch(request: Request, env: Env, platform: worker::Context) -> worker::Result<Response> {
    let (sender, response) = oneshot::channel();
    platform.wait_until(async move {
        let hand_over = HandOver::new(sender);
        // Boxed, so that what a request needs to begin is not kept for as long as its stream runs.
        let served = Box::pin(handle(request, env, &hand_over)).await;
        hand_over.give(served.response);
        if let Some(rest) = served.rest {
            rest.await;
        }
    });
    match response.await {
        Ok(response) => response,
        Err(oneshot::Canceled) => ApiError::internal().into_response(Envelope::OpenAi, ""),
    }
}

#[event(scheduled)]
async fn scheduled(_event: worker::ScheduledEvent, env: Env, _platform: worker::ScheduleContext) {
    let (run_id, context) = Context::new(env);
    let result = match context {
        Ok(context) => match caught(redeliver::run(&context)).await {
            Ok(result) => result.map_err(|error| error.to_string()),
            Err(panicked) => Err(panicked.to_string()),
        },
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = result {
        console_error!("cron {run_id}: {error}");
    }
}

/// What [`handle`] made, with the platform's own failures still in it.
struct Handled {
    response: worker::Result<Response>,
    rest: Option<futures::future::LocalBoxFuture<'static, ()>>,
}

/// Answers every request, with our id on it.
async fn handle(mut request: Request, env: Env, hand_over: &HandOver) -> Handled {
    // As it came: the typed method takes an unknown one for GET.
    let (method, path) = (request.inner().method(), request.path());
    let (request_id, context) = Context::new(env);
    let (result, flood) = match context {
        Ok(mut context) => {
            context.early = Some(early(hand_over, &request_id, &method, &path));
            let served = caught(serve(&mut request, &method, &path, &context)).await;
            let result = served.unwrap_or_else(|Panicked| {
                console_error!("{request_id}: a panic ended it; its hold, if it has one, will expire");
                Err(ApiError::internal())
            });
            let is_refused = result.as_ref().is_err_and(|error| error.status == 401);
            (result, if is_refused { floods::note(request.headers(), &context).await } else { None })
        }
        Err(error) => {
            console_error!("{request_id}: {error}");
            (Err(ApiError::internal()), None)
        }
    };
    let (response, rest) = match (result, flood) {
        (Ok(Served { response, rest }), _) => (Ok(response), rest),
        // Its body is not worth reading.
        (Err(_), Some(flood)) => (flood.into_response(Envelope::of(&path), &request_id), None),
        (Err(error), None) => {
            body::discard(&request).await;
            (error.into_response(Envelope::of(&path), &request_id), None)
        }
    };
    Handled { response: response.and_then(|response| finish(response, &request_id, &method, &path)), rest }
}

/// Hands a response over before its request is done, as any other in the end.
fn early(hand_over: &HandOver, request_id: &str, method: &str, path: &str) -> Box<Early> {
    let hand_over = hand_over.clone();
    let [request_id, method, path] = [request_id, method, path].map(str::to_owned);
    Box::new(move |response| hand_over.give(finish(response, &request_id, &method, &path)))
}

async fn serve(request: &mut Request, method: &str, path: &str, context: &Context) -> Result<Served, ApiError> {
    if method == "OPTIONS" && cors::covers(path) {
        return Ok(cors::preflight(request.headers())?.into());
    }
    match router::route(method, path)? {
        Route::ChatCompletions => routes::chat_completions::post(request, context).await,
        Route::Completions => routes::completions::post(request, context).await,
        Route::Responses => routes::responses::post(request, context).await,
        Route::StoredResponse => Err(routes::responses::not_stored()),
        Route::Messages => routes::messages::post(request, context).await,
        Route::CountTokens => Ok(routes::count_tokens::post(request, context).await?.into()),
        Route::Hello => Ok(Response::ok("ok")?.into()),
        Route::Embeddings => routes::embeddings::post(request, context).await,
        Route::Models => Ok(routes::models::list(request.headers(), context).await?.into()),
        Route::Model(id) => Ok(routes::models::get(&id, request.headers(), context).await?.into()),
        Route::ConsoleAccount => Ok(console::account(request.headers(), context).await?.into()),
        Route::ConsoleKeys if method == "POST" => {
            let body = body::read_form(request).await?;
            Ok(console::keys::create(request.headers(), &body, context).await?.into())
        }
        Route::ConsoleKeys => Ok(console::keys::list(request.headers(), context).await?.into()),
        Route::ConsoleKey(id) if method == "DELETE" => {
            Ok(console::keys::revoke(&id, request.headers(), context).await?.into())
        }
        Route::ConsoleKey(id) => {
            let body = body::read_form(request).await?;
            Ok(console::keys::update(&id, request.headers(), &body, context).await?.into())
        }
        Route::OperatorEntries => {
            let body = body::read_form(request).await?;
            Ok(operator::enter(request.headers(), &body, context).await?.into())
        }
        Route::OperatorAudit => {
            let body = body::read_form(request).await?;
            Ok(operator::audit(request.headers(), &body, context).await?.into())
        }
        Route::OperatorAccounts => {
            let url = request.url()?;
            let after = url.query_pairs().find(|(name, _)| name == "after").map(|(_, id)| id.into_owned());
            let after = after.unwrap_or_default();
            Ok(operator::accounts(request.headers(), &after, context).await?.into())
        }
        Route::OperatorUpstreams => Ok(operator::upstreams(request.headers(), context).await?.into()),
        Route::Mcp => mcp::post(request, context).await,
        Route::Health => Ok(Response::ok("ok")?.into()),
    }
}

/// The headers that every answer has, and no body for `HEAD`.
fn finish(response: Response, request_id: &str, method: &str, path: &str) -> worker::Result<Response> {
    let headers = response.headers().clone();
    headers.set("x-request-id", request_id)?;
    if Envelope::of(path) == Envelope::Anthropic {
        headers.set("request-id", request_id)?;
    }
    if cors::covers(path) {
        cors::allow(&headers)?;
    }
    if method == "HEAD" {
        return Ok(Response::empty()?.with_status(response.status_code()).with_headers(headers));
    }
    Ok(response.with_headers(headers))
}
