//! `POST /v1/chat/completions`

use catalog::Dialect;
use dialect::openai_chat::answer;
use dialect::openai_chat::wire::ChatRequest;
use worker::Request;

use crate::context::Context;
use crate::error::ApiError;
use crate::inference::pipeline::{Inference, Served, StreamOptions, serve};
use crate::{auth, body};

/// Serves a chat request, streamed or whole.
///
/// # Errors
/// [`ApiError`].
pub async fn post(request: &mut Request, context: &Context) -> Result<Served, ApiError> {
    let key = auth::api_key(request.headers(), context)?;
    let text = body::read(request).await?;
    let chat = ChatRequest::parse(&text)?;
    let inference = Inference {
        dialect: Dialect::OpenaiChat,
        endpoint: "/v1/chat/completions",
        model: &chat.model,
        stream: chat.stream.then_some(StreamOptions { include_usage: chat.include_usage }),
        input: chat.input,
        one_hour_marks: chat.one_hour_marks,
        may_hide_reasoning: chat.may_hide_reasoning,
        output: Some((chat.n, chat.max_output)),
        encode: &|outgoing| chat.encode(outgoing),
        read: &answer::read,
    };
    serve(&inference, &key, context).await
}
