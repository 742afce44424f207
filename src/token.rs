//! Signed tokens (JSON Web Tokens, RFC 7519): what those of customers' sessions ([`crate::session`]) and those of
//! operators have in common. By `jwt-compact`.
//!
//! The algorithm is the configuration's and the key's, never the token's own. Time is an argument.

use jwt_compact::alg::{Hs256, Hs256Key};
use jwt_compact::{AlgorithmExt, Claims, UntrustedToken};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer};

/// The longest token that is looked at, in bytes: sessions of Supabase have about one kilobyte, and what a project
/// adds to the claims of its users. HTTP headers could bring eight times as much.
pub const MAX_TOKEN_BYTES: usize = 16 << 10;

/// How far the issuer's clock may be from ours, in milliseconds: machines that keep time are within a second of
/// each other.
pub const LEEWAY_MS: i64 = 30_000;

/// The `aud` of an operator's token.
const OPERATOR: &str = "operator";

/// Why a token opens nothing. A caller only learns that it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a token, or too long for one.
    #[error("not a token")]
    Malformed,
    /// Of an algorithm that is not configured.
    #[error("another algorithm")]
    Algorithm,
    /// Its key is not known, or is one for another algorithm.
    #[error("an unknown key")]
    UnknownKey,
    /// Signed by somebody else, or its claims are no claims.
    #[error("the signature or the form of the claims is wrong")]
    Signature,
    /// Its time is over, has not come, or is not told.
    #[error("out of its time")]
    Time,
    /// For somebody or something else.
    #[error("the issuer, audience, role or subject is wrong")]
    Claims,
}

/// A token that has the form of one, and nothing else yet.
pub type Untrusted<'a> = UntrustedToken<'a, Header>;

/// What of the header is read beside the algorithm and the key's id.
#[derive(Debug, Clone, Deserialize)]
pub struct Header {
    /// Extensions that must be understood (RFC 7515, section 4.1.11): none is.
    #[serde(default, deserialize_with = "is_there")]
    crit: bool,
}

fn is_there<'de, D: Deserializer<'de>>(value: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(value).map(|_| true)
}

/// Reads a token without believing it.
///
/// # Errors
/// [`TokenError::Malformed`]: it is too long, has not three parts of base64url without padding, a member of its
/// header stands twice, it is of another type, or must be understood in a way that nobody here does.
pub fn read(text: &str) -> Result<Untrusted<'_>, TokenError> {
    if text.len() > MAX_TOKEN_BYTES {
        return Err(TokenError::Malformed);
    }
    let token = Untrusted::try_from(text).map_err(|_| TokenError::Malformed)?;
    let header = token.header();
    let is_jwt = header.token_type.as_ref().is_none_or(|typ| typ.eq_ignore_ascii_case("JWT"));
    if is_jwt && !header.other_fields.crit { Ok(token) } else { Err(TokenError::Malformed) }
}

/// The claims of a token that `secret` signed by HS256.
///
/// # Errors
/// [`TokenError::Signature`], also for a token of another algorithm.
pub fn hs256<T: DeserializeOwned>(token: &Untrusted<'_>, secret: &[u8]) -> Result<Claims<T>, TokenError> {
    let key = Hs256Key::new(secret);
    let token = Hs256.validator::<T>(&key).validate(token).map_err(|_| TokenError::Signature)?;
    Ok(token.into_parts().1)
}

/// Whether the claims count at `now_ms`, give or take [`LEEWAY_MS`]: they must have an end.
///
/// # Errors
/// [`TokenError::Time`].
pub fn in_time<T>(claims: &Claims<T>, now_ms: i64) -> Result<(), TokenError> {
    let latest_ms = now_ms.saturating_add(LEEWAY_MS);
    let expires = claims.expiration.ok_or(TokenError::Time)?.timestamp_millis();
    let has_begun = [claims.not_before, claims.issued_at].iter().flatten().all(|at| at.timestamp_millis() <= latest_ms);
    if has_begun && now_ms < expires.saturating_add(LEEWAY_MS) { Ok(()) } else { Err(TokenError::Time) }
}

/// One audience or several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    /// `"aud": "…"`
    One(String),
    /// `"aud": ["…", …]`
    Several(Vec<String>),
}

impl Audience {
    /// Whether `audience` is among them.
    #[must_use]
    pub fn has(&self, audience: &str) -> bool {
        match self {
            Self::One(one) => one == audience,
            Self::Several(several) => several.iter().any(|one| one == audience),
        }
    }
}

#[derive(Deserialize)]
struct OperatorClaims {
    aud: Audience,
}

/// Whether `token` is an operator's.
///
/// # Errors
/// [`TokenError`] when it is not.
pub fn operator(token: &str, secret: &[u8], now_ms: i64) -> Result<(), TokenError> {
    let claims = hs256::<OperatorClaims>(&read(token)?, secret)?;
    in_time(&claims, now_ms)?;
    if claims.custom.aud.has(OPERATOR) { Ok(()) } else { Err(TokenError::Claims) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
    const NOW_MS: i64 = 1_800_000_000_000;

    #[test]
    fn an_operator_is_who_the_secret_says() {
        let sign = |claims: Value, secret: &[u8]| {
            let claims: Claims<Value> = serde_json::from_value(claims).unwrap();
            Hs256.token(&jwt_compact::Header::empty(), &claims, &Hs256Key::new(secret)).unwrap()
        };
        let (now_s, other) = (NOW_MS / 1_000, b"another secret of thirty-two byte");
        for (claims, secret, expected) in [
            (json!({"aud": "operator", "exp": now_s + 60}), SECRET, Ok(())),
            (json!({"aud": ["x", "operator"], "exp": now_s + 60}), SECRET, Ok(())),
            (json!({"aud": "authenticated", "exp": now_s + 60}), SECRET, Err(TokenError::Claims)),
            (json!({"aud": "operator", "exp": now_s - 30}), SECRET, Err(TokenError::Time)),
            (json!({"aud": "operator"}), SECRET, Err(TokenError::Time)),
            (json!({"exp": now_s + 60}), SECRET, Err(TokenError::Signature)),
            (json!({"aud": "operator", "exp": now_s + 60}), other, Err(TokenError::Signature)),
        ] {
            assert_eq!(operator(&sign(claims.clone(), secret), SECRET, NOW_MS), expected, "{claims}");
        }
    }
}
