//! `POST /v1/embeddings`

use catalog::Dialect;
use dialect::openai_embeddings::answer;
use dialect::openai_embeddings::wire::EmbeddingsRequest;
use worker::Request;

use crate::context::Context;
use crate::error::ApiError;
use crate::inference::pipeline::{Inference, Served, serve};
use crate::{auth, body};

/// Serves an embeddings request.
///
/// # Errors
/// [`ApiError`].
pub async fn post(request: &mut Request, context: &Context) -> Result<Served, ApiError> {
    let key = auth::api_key(request.headers(), context)?;
    let text = body::read(request).await?;
    let embeddings = EmbeddingsRequest::parse(&text)?;
    let encoding = embeddings.encoding;
    let inference = Inference {
        dialect: Dialect::OpenaiEmbeddings,
        endpoint: "/v1/embeddings",
        model: &embeddings.model,
        stream: None,
        input: embeddings.input,
        one_hour_marks: false,
        may_hide_reasoning: false,
        output: None,
        encode: &|outgoing| embeddings.encode(outgoing.model),
        read: &|body, rewrite| answer::read(body, encoding, rewrite),
    };
    serve(&inference, &key, context).await
}
