//! Sessions of customers: access tokens of Supabase Auth. <https://supabase.com/docs/guides/auth/jwts>
//!
//! The one rule: which algorithms count is configuration, and a key verifies by its own algorithm alone. So a
//! token's header chooses among what is allowed, and never what is done with a key.

mod cache;
mod fetch;
mod jwks;

use jwt_compact::Claims;
use serde::Deserialize;
use worker::Headers;

use crate::auth;
use crate::config::Sessions;
use crate::context::Context;
use crate::error::{ApiError, Code};
use crate::token::{self, Audience, TokenError, Untrusted};
use jwks::KeySet;

/// The `role` and `aud` of a signed-in customer.
const CUSTOMER: &str = "authenticated";
/// The longest id of a key that is looked for, in bytes; those of Supabase are UUIDs.
const MAX_KEY_ID_BYTES: usize = 128;

/// How a session may be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// By the project's shared secret.
    Hs256,
    /// By a key of the project on the curve P-256.
    Es256,
    /// By an RSA key of the project.
    Rs256,
}

impl Algorithm {
    /// By its name in RFC 7518.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Hs256, Self::Es256, Self::Rs256].into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// Its name in RFC 7518.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }
}

/// A signed-in customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The user's UUID, in lower case.
    pub user_id: String,
    /// The user's e-mail address, if there is one. Never logged.
    pub email: Option<String>,
    /// When the token was issued, in seconds since the epoch.
    pub issued_at_s: i64,
}

#[derive(Debug, Clone, Deserialize)]
struct SessionClaims {
    iss: String,
    sub: String,
    aud: Audience,
    role: String,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    is_anonymous: bool,
    /// The application to which the user gave this token by OAuth.
    #[serde(default)]
    client_id: Option<String>,
}

/// The session of a request, whether or not its user has an account. Whether it was ended since it was issued is
/// the account's to say.
///
/// # Errors
/// `invalid_api_key`; `internal_error` with 503 while the project's keys cannot be had.
pub async fn of(headers: &Headers, context: &Context) -> Result<Session, ApiError> {
    let sessions = context.config.sessions.as_ref().ok_or_else(refused)?;
    let bearer = auth::bearer(headers)?.ok_or_else(refused)?;
    let now_ms = context.started_ms;
    let session = match named_key(&bearer, sessions).map_err(|_| refused())? {
        Some(key_id) => verify(&bearer, sessions, &*fetch::keys(&key_id, sessions).await?, now_ms),
        None => verify(&bearer, sessions, &KeySet::default(), now_ms),
    };
    session.map_err(|_| refused())
}

/// No session, or one that is none.
#[must_use]
pub fn refused() -> ApiError {
    ApiError::new(Code::InvalidApiKey, "Sign in to use the console.")
}

/// The id of the project's key that a token says it is signed with; `None`: by the shared secret.
///
/// # Errors
/// [`TokenError`] for what cannot be a session whatever the keys are.
fn named_key(token: &str, sessions: &Sessions) -> Result<Option<String>, TokenError> {
    let token = token::read(token)?;
    match algorithm(&token, sessions)? {
        Algorithm::Hs256 => Ok(None),
        Algorithm::Es256 | Algorithm::Rs256 => {
            let key_id = token.header().key_id.as_ref().filter(|id| id.len() <= MAX_KEY_ID_BYTES);
            key_id.cloned().map(Some).ok_or(TokenError::UnknownKey)
        }
    }
}

fn algorithm(token: &Untrusted<'_>, sessions: &Sessions) -> Result<Algorithm, TokenError> {
    let named = Algorithm::named(token.algorithm());
    named.filter(|algorithm| sessions.algorithms.contains(algorithm)).ok_or(TokenError::Algorithm)
}

/// The session that a token is.
///
/// # Errors
/// [`TokenError`]. The project's own keys `anon` and `service_role` may be signed with the same secret: their role
/// and missing subject refuse them. Users without an identity (`is_anonymous`) and applications that act for a user
/// by OAuth (`client_id`) are no customers.
fn verify(token: &str, sessions: &Sessions, keys: &KeySet, now_ms: i64) -> Result<Session, TokenError> {
    let token = token::read(token)?;
    let claims: Claims<SessionClaims> = match algorithm(&token, sessions)? {
        Algorithm::Hs256 => token::hs256(&token, sessions.secret.as_deref().ok_or(TokenError::Algorithm)?)?,
        algorithm @ (Algorithm::Es256 | Algorithm::Rs256) => {
            let key_id = token.header().key_id.as_deref().ok_or(TokenError::UnknownKey)?;
            keys.get(key_id).ok_or(TokenError::UnknownKey)?.verify(algorithm, &token)?
        }
    };
    token::in_time(&claims, now_ms)?;
    let issued_at_s = claims.issued_at.ok_or(TokenError::Time)?.timestamp();
    let SessionClaims { iss, sub, aud, role, email, is_anonymous, client_id } = claims.custom;
    let is_customer = role == CUSTOMER && aud.has(CUSTOMER) && !is_anonymous && client_id.is_none();
    if iss != sessions.issuer() || !is_customer || !is_uuid(&sub) {
        return Err(TokenError::Claims);
    }
    let email = email.filter(|email| !email.is_empty());
    Ok(Session { user_id: sub.to_ascii_lowercase(), email, issued_at_s })
}

/// The canonical form of a UUID, in lower or upper case.
fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests;
