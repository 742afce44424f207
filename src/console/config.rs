//! `GET /console/api/config`: what the web app must know before anybody has signed in. All of it is public.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use worker::{Request, Response};

use crate::context::Context;
use crate::error::ApiError;

/// What the web app must know.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ConfigView {
    /// The Supabase project; null: nobody can sign in.
    supabase_url: Option<String>,
    /// Its public key.
    supabase_anon_key: Option<String>,
    /// By whom one may sign in beside e-mail, as Supabase calls them.
    oauth_providers: Vec<String>,
    /// The origin of the API.
    base_url: String,
    /// Whether credit can be bought.
    payments: bool,
}

/// Shows it.
///
/// # Errors
/// The platform's.
#[utoipa::path(get, path = "/console/api/config", tag = "account", operation_id = "getConfig",
    responses((status = 200, body = ConfigView)))]
pub fn get(request: &Request, context: &Context) -> Result<Response, ApiError> {
    let sessions = context.config.sessions.as_ref();
    Ok(Response::from_json(&ConfigView {
        supabase_url: sessions.map(|sessions| sessions.url.clone()),
        supabase_anon_key: sessions.and_then(|sessions| sessions.anon_key.clone()),
        oauth_providers: sessions.map(|sessions| sessions.oauth_providers.clone()).unwrap_or_default(),
        base_url: request.url()?.origin().ascii_serialization(),
        payments: context.config.payments.is_some(),
    })?)
}
