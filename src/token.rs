//! Signed tokens of people: sessions of customers, and those of operators. HS256 by `jwt-compact`.
//!
//! The algorithm is the configuration's, never the token's own. Time is an argument.

use jwt_compact::alg::{Hs256, Hs256Key};
use jwt_compact::{AlgorithmExt, UntrustedToken};
use serde::{Deserialize, Serialize};

use crate::config::Sessions;

/// The `role` and `aud` of a signed-in customer, as Supabase writes them.
const CUSTOMER: &str = "authenticated";
/// The `aud` of an operator's token.
const OPERATOR: &str = "operator";

/// Why a token opens nothing. For the log: a caller only learns that it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a token, or of another algorithm.
    #[error("not an HS256 token")]
    Malformed,
    /// Signed by somebody else.
    #[error("the signature is wrong")]
    Signature,
    /// Its time is over, or it has none.
    #[error("expired, or without an expiry")]
    Expired,
    /// For somebody or something else.
    #[error("the issuer, audience, role or subject is wrong")]
    Claims,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Claims {
    #[serde(default)]
    iss: Option<String>,
    #[serde(default)]
    sub: Option<String>,
    #[serde(default)]
    role: Option<String>,
    #[serde(default)]
    aud: Option<Audience>,
}

/// One audience or several.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Claims {
    fn is_for(&self, audience: &str) -> bool {
        match &self.aud {
            Some(Audience::One(one)) => one == audience,
            Some(Audience::Several(several)) => several.iter().any(|one| one == audience),
            None => false,
        }
    }
}

/// The user (`sub`, a UUID) of a session token.
///
/// # Errors
/// [`TokenError`]. The legacy keys `anon` and `service_role` are signed with the same secret: their
/// role and missing subject refuse them.
pub fn session_user(token: &str, sessions: &Sessions, now_ms: i64) -> Result<String, TokenError> {
    let claims = verify(token, &sessions.secret, now_ms)?;
    let user = claims.sub.clone().filter(|sub| is_uuid(sub)).ok_or(TokenError::Claims)?;
    let issued = claims.iss.as_deref() == Some(&sessions.issuer);
    let customer = claims.role.as_deref() == Some(CUSTOMER) && claims.is_for(CUSTOMER);
    if issued && customer { Ok(user) } else { Err(TokenError::Claims) }
}

/// Whether `token` is an operator's.
///
/// # Errors
/// [`TokenError`] when it is not.
pub fn operator(token: &str, secret: &[u8], now_ms: i64) -> Result<(), TokenError> {
    if verify(token, secret, now_ms)?.is_for(OPERATOR) { Ok(()) } else { Err(TokenError::Claims) }
}

fn verify(token: &str, secret: &[u8], now_ms: i64) -> Result<Claims, TokenError> {
    let token = UntrustedToken::new(token).map_err(|_| TokenError::Malformed)?;
    if token.algorithm() != "HS256" {
        return Err(TokenError::Malformed);
    }
    let validator = Hs256.validator::<Claims>(&Hs256Key::new(secret)).validate(&token);
    let token = validator.map_err(|_| TokenError::Signature)?;
    let expires = token.claims().expiration.ok_or(TokenError::Expired)?;
    if expires.timestamp_millis() <= now_ms {
        return Err(TokenError::Expired);
    }
    Ok(token.claims().custom.clone())
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
mod tests {
    use jwt_compact::Header;
    use serde_json::{Value, json};

    use super::*;

    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
    const USER: &str = "6f1c1a2e-9a53-4f0e-8f7b-0d6c1a2b3c4d";
    const NOW_MS: i64 = 1_800_000_000_000;

    fn sessions() -> Sessions {
        Sessions { issuer: "https://p.example/auth/v1".into(), secret: SECRET.to_vec() }
    }

    fn sign(claims: Value, secret: &[u8]) -> String {
        let claims: jwt_compact::Claims<Value> = serde_json::from_value(claims).unwrap();
        Hs256.token(&Header::empty(), &claims, &Hs256Key::new(secret)).unwrap()
    }

    fn claims(change: Value) -> Value {
        let mut claims = json!({
            "iss": "https://p.example/auth/v1", "sub": USER, "aud": "authenticated", "role": "authenticated",
            "exp": NOW_MS / 1_000 + 60,
        });
        let object = claims.as_object_mut().unwrap();
        for (key, value) in change.as_object().unwrap() {
            match value {
                Value::Null => drop(object.remove(key)),
                value => drop(object.insert(key.clone(), value.clone())),
            }
        }
        claims
    }

    #[test]
    fn a_session_names_its_user() {
        let user = session_user(&sign(claims(json!({})), SECRET), &sessions(), NOW_MS);
        assert_eq!(user.as_deref(), Ok(USER));
        let several = sign(claims(json!({"aud": ["other", "authenticated"]})), SECRET);
        assert!(session_user(&several, &sessions(), NOW_MS).is_ok());
    }

    #[test]
    fn every_other_token_is_refused() {
        for (change, error) in [
            (json!({"iss": "https://other.example/auth/v1"}), TokenError::Claims),
            (json!({"aud": "anon"}), TokenError::Claims),
            (json!({"aud": null}), TokenError::Claims),
            (json!({"role": "service_role"}), TokenError::Claims),
            (json!({"role": "anon", "sub": null}), TokenError::Claims),
            (json!({"sub": "1"}), TokenError::Claims),
            (json!({"exp": NOW_MS / 1_000}), TokenError::Expired),
            (json!({"exp": null}), TokenError::Expired),
        ] {
            assert_eq!(
                session_user(&sign(claims(change.clone()), SECRET), &sessions(), NOW_MS),
                Err(error),
                "{change}"
            );
        }
        let other = sign(claims(json!({})), b"another secret of thirty-two byte");
        assert_eq!(session_user(&other, &sessions(), NOW_MS), Err(TokenError::Signature));
        // {"alg":"none"} and {"alg":"ES256"}
        for header in ["eyJhbGciOiJub25lIn0", "eyJhbGciOiJFUzI1NiJ9"] {
            let valid = sign(claims(json!({})), SECRET);
            let (_, rest) = valid.split_once('.').unwrap();
            assert_eq!(session_user(&format!("{header}.{rest}"), &sessions(), NOW_MS), Err(TokenError::Malformed));
        }
        assert_eq!(session_user("", &sessions(), NOW_MS), Err(TokenError::Malformed));
    }

    #[test]
    fn a_customer_is_no_operator() {
        assert_eq!(operator(&sign(claims(json!({})), SECRET), SECRET, NOW_MS), Err(TokenError::Claims));
        assert_eq!(operator(&sign(claims(json!({"aud": "operator"})), SECRET), SECRET, NOW_MS), Ok(()));
    }
}
