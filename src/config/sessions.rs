//! Where customers sign in: the variables of a Supabase project.

use data_encoding::BASE64URL_NOPAD;

use super::{ConfigError, secret};
use crate::session::Algorithm;

/// Where customers sign in, and how their sessions are checked.
#[derive(Clone, PartialEq, Eq)]
pub struct Sessions {
    /// The project's address, without a slash at its end.
    pub url: String,
    /// How sessions may be signed.
    pub algorithms: Vec<Algorithm>,
    /// The shared secret of HS256.
    pub secret: Option<Vec<u8>>,
    /// The project's public key, for the web app.
    pub anon_key: Option<String>,
    /// By whom one may sign in, for the web app: `google`, `github` …
    pub oauth_providers: Vec<String>,
}

impl Sessions {
    /// The exact `iss`.
    #[must_use]
    pub fn issuer(&self) -> String {
        format!("{}/auth/v1", self.url)
    }

    /// Where the project publishes its keys.
    #[must_use]
    pub fn jwks_url(&self) -> String {
        format!("{}/auth/v1/.well-known/jwks.json", self.url)
    }
}

/// Never shows its secret.
impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sessions({}, {:?})", self.url, self.algorithms)
    }
}

/// Reads the variables; `None`: nobody can sign in.
///
/// # Errors
/// [`ConfigError`] at the first that is wrong.
pub fn read(get: &impl Fn(&str) -> Option<String>) -> Result<Option<Sessions>, ConfigError> {
    let text = get("SUPABASE_JWT_SECRET");
    let Some(url) = get("SUPABASE_URL") else {
        let needs_it = text.is_some() || get("SUPABASE_JWT_ALGORITHMS").is_some();
        return if needs_it {
            Err(ConfigError { name: "SUPABASE_URL", problem: "is required to check sessions" })
        } else {
            Ok(None)
        };
    };
    let secret = text.map(|text| secret("SUPABASE_JWT_SECRET", &text)).transpose()?;
    let algorithms = algorithms(get("SUPABASE_JWT_ALGORITHMS").as_deref(), secret.is_some())?;
    let url = url.trim_end_matches('/').to_owned();
    if algorithms.iter().any(|algorithm| *algorithm != Algorithm::Hs256) && !is_private(&url) {
        return Err(ConfigError {
            name: "SUPABASE_URL",
            problem: "must be https, or on this machine: keys come from there",
        });
    }
    let anon_key = get("SUPABASE_ANON_KEY");
    if anon_key.as_deref().is_some_and(is_secret_key) {
        return Err(ConfigError {
            name: "SUPABASE_ANON_KEY",
            problem: "is a secret key of the project: everybody sees this one",
        });
    }
    let providers = get("OAUTH_PROVIDERS").unwrap_or_default();
    let oauth_providers: Vec<String> = words(&providers).map(str::to_owned).collect();
    if oauth_providers
        .iter()
        .any(|name| !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'))
    {
        return Err(ConfigError {
            name: "OAUTH_PROVIDERS",
            problem: "must be names as Supabase has them: google, github",
        });
    }
    Ok(Some(Sessions { url, algorithms, secret, anon_key, oauth_providers }))
}

/// Without a word: the shared secret where there is one, else the project's own keys.
fn algorithms(text: Option<&str>, has_secret: bool) -> Result<Vec<Algorithm>, ConfigError> {
    let fail = |problem| ConfigError { name: "SUPABASE_JWT_ALGORITHMS", problem };
    let Some(text) = text else {
        return Ok(if has_secret { vec![Algorithm::Hs256] } else { vec![Algorithm::Es256, Algorithm::Rs256] });
    };
    let named: Option<Vec<Algorithm>> = words(text).map(Algorithm::named).collect();
    let algorithms = named.filter(|named| !named.is_empty()).ok_or(fail("must be of HS256, ES256 and RS256"))?;
    if algorithms.contains(&Algorithm::Hs256) && !has_secret {
        return Err(fail("has HS256, which needs SUPABASE_JWT_SECRET"));
    }
    Ok(algorithms)
}

/// Words between commas and white space.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ' ', '\t', '\n']).filter(|word| !word.is_empty())
}

/// Whether nobody on the way can change what comes from there.
fn is_private(url: &str) -> bool {
    let loopback = |rest: &str| {
        let host = rest.split('/').next().unwrap_or_default();
        ["127.0.0.1", "localhost", "[::1]"]
            .iter()
            .any(|name| host.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(':')))
    };
    url.starts_with("https://") || url.strip_prefix("http://").is_some_and(loopback)
}

/// Whether this is a key of a Supabase project that opens everything, in the new form or the old one, a token.
fn is_secret_key(text: &str) -> bool {
    let payload = text.split('.').nth(1).and_then(|part| BASE64URL_NOPAD.decode(part.as_bytes()).ok());
    let claims = payload.and_then(|json| serde_json::from_slice::<serde_json::Value>(&json).ok());
    let is_service = claims.is_some_and(|claims| claims.get("role").is_some_and(|role| role == "service_role"));
    text.starts_with("sb_secret_") || is_service
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    const URL: (&str, &str) = ("SUPABASE_URL", "https://p.example/");

    fn given(variables: &[(&str, &str)]) -> Result<Option<Sessions>, ConfigError> {
        read(&|name| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn what_counts_follows_from_what_is_set() {
        use Algorithm::{Es256, Hs256, Rs256};
        let secret = ("SUPABASE_JWT_SECRET", SECRET);
        let list = |text| ("SUPABASE_JWT_ALGORITHMS", text);
        for (variables, expected) in [
            (vec![URL], vec![Es256, Rs256]),
            (vec![URL, secret], vec![Hs256]),
            (vec![URL, secret, list("HS256,ES256")], vec![Hs256, Es256]),
            (vec![URL, secret, list("ES256")], vec![Es256]),
            (vec![URL, list("RS256, ES256")], vec![Rs256, Es256]),
            (vec![("SUPABASE_URL", "http://127.0.0.1:54321")], vec![Es256, Rs256]),
            // Nothing is fetched from there.
            (vec![("SUPABASE_URL", "http://p.example"), secret], vec![Hs256]),
        ] {
            let sessions = given(&variables).unwrap().unwrap();
            assert_eq!(sessions.algorithms, expected, "{variables:?}");
            assert!(!format!("{sessions:?}").contains(SECRET));
        }
        assert_eq!(given(&[]), Ok(None));
        let sessions = given(&[URL, ("OAUTH_PROVIDERS", "google, github"), ("SUPABASE_ANON_KEY", "sb_publishable_x")]);
        let sessions = sessions.unwrap().unwrap();
        assert_eq!(sessions.issuer(), "https://p.example/auth/v1");
        assert_eq!(sessions.jwks_url(), "https://p.example/auth/v1/.well-known/jwks.json");
        assert_eq!(sessions.oauth_providers, ["google", "github"]);
        assert_eq!(sessions.anon_key.as_deref(), Some("sb_publishable_x"));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let service = format!("e30.{}.x", BASE64URL_NOPAD.encode(br#"{"role":"service_role"}"#));
        for (variables, name) in [
            (vec![("SUPABASE_JWT_SECRET", SECRET)], "SUPABASE_URL"),
            (vec![("SUPABASE_JWT_ALGORITHMS", "ES256")], "SUPABASE_URL"),
            (vec![("SUPABASE_URL", "http://p.example")], "SUPABASE_URL"),
            (vec![("SUPABASE_URL", "http://127.0.0.1.evil.example")], "SUPABASE_URL"),
            (vec![("SUPABASE_URL", "p.example")], "SUPABASE_URL"),
            (vec![URL, ("SUPABASE_JWT_SECRET", "short")], "SUPABASE_JWT_SECRET"),
            (vec![URL, ("SUPABASE_JWT_ALGORITHMS", "HS256")], "SUPABASE_JWT_ALGORITHMS"),
            (vec![URL, ("SUPABASE_JWT_ALGORITHMS", "none")], "SUPABASE_JWT_ALGORITHMS"),
            (vec![URL, ("SUPABASE_JWT_ALGORITHMS", ",")], "SUPABASE_JWT_ALGORITHMS"),
            (vec![URL, ("SUPABASE_ANON_KEY", "sb_secret_x")], "SUPABASE_ANON_KEY"),
            (vec![URL, ("SUPABASE_ANON_KEY", &service)], "SUPABASE_ANON_KEY"),
            (vec![URL, ("OAUTH_PROVIDERS", "Google!")], "OAUTH_PROVIDERS"),
        ] {
            assert_eq!(given(&variables).unwrap_err().name, name, "{variables:?}");
        }
    }
}
