//! One Interface at the edge: HTTP, D1, fetch and time. Wire formats are `dialect`'s and money is
//! `billing`'s; this crate brings requests, upstreams and accounts together.
//!
//! A request runs under `waitUntil` as a whole, and hands its response back through a channel: when the
//! client leaves before a response exists, the platform cancels the handler, but not this.

pub mod auth;
pub mod body;
pub mod body_memory;
pub mod breaker;
pub mod breakers;
pub mod clock;
pub mod config;
pub mod console;
pub mod context;
pub mod cors;
pub mod d1;
pub mod entropy;
pub mod error;
pub mod fetch;
pub mod floods;
pub mod hand_over;
pub mod ids;
pub mod inference;
pub mod keys;
pub mod mcp;
pub mod operator;
pub mod pages;
pub mod payments;
pub mod private;
pub mod redeliver;
pub mod refusals;
pub mod retry_after;
pub mod router;
pub mod routes;
pub mod seal;
mod session;
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
use crate::private::Audience;
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
        if let Some(context) = served.context
            && let Err(panicked) = caught(payments::charge::charge_due(&context)).await
        {
            console_error!("{}: {panicked} while a top-up was charged", context.request_id);
        }
    });
    match response.await {
        Ok(response) => response,
        Err(oneshot::Canceled) => ApiError::internal().into_response(Envelope::OpenAi, ""),
    }
}

#[event(scheduled)]
async fn scheduled(_event: worker::ScheduledEvent, env: Env, _platform: worker::ScheduleContext) {
    let (run_id, context) = Context::new(env, None);
    let result = match context {
        Ok(context) => {
            // The one does not wait for the other to work.
            let results = [caught(redeliver::run(&context)).await, caught(payments::reconcile::run(&context)).await];
            let told = |result: Result<worker::Result<()>, Panicked>| match result {
                Ok(result) => result.map_err(|error| error.to_string()),
                Err(panicked) => Err(panicked.to_string()),
            };
            results.into_iter().map(told).fold(Ok(()), Result::and)
        }
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
    /// Where there is one: it may have noted what is to be done once the response is out.
    context: Option<Context>,
}

/// Answers every request, with our id on it.
async fn handle(mut request: Request, env: Env, hand_over: &HandOver) -> Handled {
    // As it came: the typed method takes an unknown one for GET.
    let (method, path) = (request.inner().method(), request.path());
    let (request_id, mut context) = Context::new(env, context::address(request.headers()));
    let (result, flood) = match &mut context {
        Ok(context) => {
            context.early = Some(early(hand_over, &request_id, &method, &path));
            let served = caught(serve(&mut request, &method, &path, context)).await;
            let result = served.unwrap_or_else(|Panicked| {
                console_error!("{request_id}: a panic ended it; its hold, if it has one, will expire");
                Err(ApiError::internal())
            });
            let is_refused = result.as_ref().is_err_and(|error| error.status == 401);
            (result, if is_refused { floods::note(request.headers(), context).await } else { None })
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
    let response = response.and_then(|response| finish(response, &request_id, &method, &path));
    Handled { response, rest, context: context.ok() }
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
        Route::Key => Ok(routes::key::get(request.headers(), context).await?.into()),
        Route::Credits => Ok(routes::credits::get(request.headers(), context).await?.into()),
        Route::Generation => Ok(routes::generation::get(request, context).await?.into()),
        Route::Activity => Ok(routes::activity::get(request, context).await?.into()),
        Route::Quote => Ok(routes::quote::post(request, context).await?.into()),
        Route::ConsoleAccount if method == "POST" => {
            Ok(console::account::create(request.headers(), context).await?.into())
        }
        Route::ConsoleAccount => Ok(console::account::get(request.headers(), context).await?.into()),
        Route::ConsoleSessions => Ok(console::account::end_sessions(request.headers(), context).await?.into()),
        Route::ConsoleConfig => Ok(console::config::get(request, context)?.into()),
        Route::ConsoleKeys if method == "POST" => {
            let body = console::read_form(request, context).await?;
            Ok(console::keys::create(request.headers(), &body, context).await?.into())
        }
        Route::ConsoleKeys => Ok(console::keys::list(request.headers(), context).await?.into()),
        Route::ConsoleKey(id) if method == "DELETE" => {
            Ok(console::keys::revoke(&id, request.headers(), context).await?.into())
        }
        Route::ConsoleKey(id) => {
            let body = console::read_form(request, context).await?;
            Ok(console::keys::update(&id, request.headers(), &body, context).await?.into())
        }
        Route::ConsoleKeyRotation(id) => {
            let body = console::read_form(request, context).await?;
            Ok(console::keys::rotate(&id, request.headers(), &body, context).await?.into())
        }
        Route::ConsoleBalance => Ok(console::balance::get(request.headers(), context).await?.into()),
        Route::ConsoleLive => console::live::get(request, context).await,
        Route::ConsoleJournal => Ok(console::journal::list(request.headers(), &request.url()?, context).await?.into()),
        Route::ConsoleUsage => Ok(console::usage::list(request.headers(), &request.url()?, context).await?.into()),
        Route::ConsoleDaily => Ok(console::daily::list(request.headers(), &request.url()?, context).await?.into()),
        Route::ConsoleExport => console::export::csv(request.headers(), &request.url()?, context).await,
        Route::ConsoleModels => Ok(console::models::list(context).await?.into()),
        Route::ConsoleTopUps if method == "POST" => {
            let body = console::read_form(request, context).await?;
            Ok(payments::checkout::create(request.headers(), &request.url()?, &body, context).await?.into())
        }
        Route::ConsoleTopUps => Ok(payments::topups::list(request.headers(), &request.url()?, context).await?.into()),
        Route::ConsoleAutoTopUp if method == "PUT" => {
            let body = console::read_form(request, context).await?;
            Ok(payments::auto::put(request.headers(), &body, context).await?.into())
        }
        Route::ConsoleAutoTopUp => Ok(payments::auto::get(request.headers(), context).await?.into()),
        Route::ConsoleAutoTopUpAttempt => Ok(payments::auto::cancel(request.headers(), context).await?.into()),
        Route::ConsoleTopUpMethod => Ok(payments::auto::remove_method(request.headers(), context).await?.into()),
        Route::StripeWebhook => Ok(payments::webhook::post(request, context).await?.into()),
        Route::OperatorEntries => {
            operator::authorize(request.headers(), context)?;
            let body = body::read_form(request, operator::CALLER).await?;
            Ok(operator::enter(request.headers(), &body, context).await?.into())
        }
        Route::OperatorAudit => {
            operator::authorize(request.headers(), context)?;
            let body = body::read_form(request, operator::CALLER).await?;
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
        Route::Page => Ok(pages::get(request, context).await?.into()),
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
    Audience::of(router::known(path).as_ref()).mark(&headers)?;
    if method == "HEAD" {
        return Ok(Response::empty()?.with_status(response.status_code()).with_headers(headers));
    }
    Ok(response.with_headers(headers))
}
