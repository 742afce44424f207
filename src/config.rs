//! Configuration: raw text from the environment, and what it means. Nothing else reads a variable.
//! Every variable is explained in `docs/configuration.md`.

mod sessions;

use billing::money::NanoUsd;

use crate::keys::Pepper;
use crate::payments::config::{self as payments, Payments};
pub use sessions::Sessions;

/// The shortest secret that signs anything, in bytes.
const LEAST_SECRET_BYTES: usize = 32;

/// What the environment means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Accepted key versions; new keys get the first.
    pub peppers: Vec<Pepper>,
    /// Where each provider secret may be sent: (name, host).
    pub secret_hosts: Vec<(String, String)>,
    /// Whether models without a price, or with price zero, are served.
    pub allow_unpriced_models: bool,
    /// Sign-in; `None`: the console is closed.
    pub sessions: Option<Sessions>,
    /// Signs operator tokens; `None`: the operator's routes are closed.
    pub operator_secret: Option<Vec<u8>>,
    /// What a new account is given.
    pub welcome_credit: NanoUsd,
    /// Stripe; `None`: nobody can pay.
    pub payments: Option<Payments>,
}

/// A variable that is missing or makes no sense. The Worker answers nothing until it is mended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {problem}")]
pub struct ConfigError {
    /// The variable.
    pub name: &'static str,
    /// What is wrong with it, without its value.
    pub problem: &'static str,
}

impl Config {
    /// Reads every variable through `get`; an empty one counts as absent.
    ///
    /// # Errors
    /// [`ConfigError`] at the first variable that is wrong.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let get = |name: &str| get(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        // Read by the account object; a wrong one is found here, where it can be said.
        if get("OUTBOX_FLUSH_SECONDS").is_some_and(|text| account::flush::flush_seconds(&text).is_none()) {
            return Err(ConfigError {
                name: "OUTBOX_FLUSH_SECONDS",
                problem: "must be seconds: 60-600, or one number",
            });
        }
        Ok(Self {
            peppers: peppers(get("KEY_PEPPERS"))?,
            payments: payments::read(get)?,
            secret_hosts: secret_hosts(&get("SECRET_HOSTS").unwrap_or_default())?,
            allow_unpriced_models: flag("ALLOW_UNPRICED_MODELS", get("ALLOW_UNPRICED_MODELS"))?,
            sessions: sessions::read(&get)?,
            operator_secret: get("OPERATOR_SECRET").map(|text| secret("OPERATOR_SECRET", &text)).transpose()?,
            welcome_credit: NanoUsd::from_usd(&get("WELCOME_CREDIT_USD").unwrap_or_else(|| "0".into()))
                .map_err(|_| ConfigError { name: "WELCOME_CREDIT_USD", problem: "must be a decimal number of USD" })?,
        })
    }

    /// Whether `secret` may be sent to `host`.
    #[must_use]
    pub fn may_send(&self, secret: &str, host: &str) -> bool {
        self.secret_hosts.iter().any(|(name, allowed)| name == secret && allowed == host)
    }
}

fn peppers(text: Option<String>) -> Result<Vec<Pepper>, ConfigError> {
    let fail = |problem| ConfigError { name: "KEY_PEPPERS", problem };
    let text = text.ok_or(fail("is required: a version character, a colon and a secret, as 1:…"))?;
    let mut peppers: Vec<Pepper> = Vec::new();
    for part in text.split(',') {
        let (version, text) = part.trim().split_once(':').ok_or(fail("must be version:secret pairs with commas"))?;
        let mut chars = version.chars();
        let (Some(version), None) = (chars.next().filter(char::is_ascii_alphanumeric), chars.next()) else {
            return Err(fail("each version must be one letter or digit"));
        };
        if peppers.iter().any(|pepper| pepper.version == version) {
            return Err(fail("each version may stand once"));
        }
        peppers.push(Pepper { version, secret: secret("KEY_PEPPERS", text)? });
    }
    Ok(peppers)
}

fn secret_hosts(text: &str) -> Result<Vec<(String, String)>, ConfigError> {
    let pair = |pair: &str| {
        let (name, host) = pair.split_once('=')?;
        (!name.is_empty() && !host.is_empty()).then(|| (name.to_owned(), host.to_owned()))
    };
    text.split_whitespace()
        .map(|text| pair(text).ok_or(ConfigError { name: "SECRET_HOSTS", problem: "must be NAME=host pairs" }))
        .collect()
}

fn secret(name: &'static str, text: &str) -> Result<Vec<u8>, ConfigError> {
    if text.len() < LEAST_SECRET_BYTES {
        return Err(ConfigError { name, problem: "is too short: at least 32 characters" });
    }
    Ok(text.as_bytes().to_vec())
}

fn flag(name: &'static str, text: Option<String>) -> Result<bool, ConfigError> {
    match text.as_deref() {
        None | Some("0" | "false" | "off") => Ok(false),
        Some("1" | "true" | "on") => Ok(true),
        Some(_) => Err(ConfigError { name, problem: "must be true or false" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEPPER: &str = "0123456789abcdef0123456789abcdef";

    fn read(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let find = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        Config::read(find)
    }

    #[test]
    fn a_pepper_is_enough() {
        let config = read(&[("KEY_PEPPERS", &format!("2:{PEPPER},1:{PEPPER}"))]).unwrap();
        assert_eq!(config.peppers.iter().map(|p| p.version).collect::<String>(), "21");
        assert!(!config.allow_unpriced_models && config.sessions.is_none() && config.operator_secret.is_none());
        assert!(!format!("{config:?}").contains(PEPPER));
    }

    #[test]
    fn a_wrong_variable_is_named() {
        let pepper = ("KEY_PEPPERS", &*format!("1:{PEPPER}"));
        for (variables, name) in [
            (vec![], "KEY_PEPPERS"),
            (vec![("KEY_PEPPERS", PEPPER)], "KEY_PEPPERS"),
            (vec![("KEY_PEPPERS", "1:short")], "KEY_PEPPERS"),
            (vec![("KEY_PEPPERS", &*format!("1:{PEPPER},1:{PEPPER}"))], "KEY_PEPPERS"),
            (vec![pepper, ("SECRET_HOSTS", "OPENAI_API_KEY")], "SECRET_HOSTS"),
            (vec![pepper, ("ALLOW_UNPRICED_MODELS", "perhaps")], "ALLOW_UNPRICED_MODELS"),
            (vec![pepper, ("WELCOME_CREDIT_USD", "-1")], "WELCOME_CREDIT_USD"),
            (vec![pepper, ("SUPABASE_JWT_SECRET", PEPPER)], "SUPABASE_URL"),
            (vec![pepper, ("OPERATOR_SECRET", "short")], "OPERATOR_SECRET"),
            (vec![pepper, ("OUTBOX_FLUSH_SECONDS", "soon")], "OUTBOX_FLUSH_SECONDS"),
        ] {
            assert_eq!(read(&variables).unwrap_err().name, name, "{variables:?}");
        }
    }

    #[test]
    fn a_secret_goes_to_its_own_host_alone() {
        let config = read(&[
            ("KEY_PEPPERS", &format!("1:{PEPPER}")),
            ("SECRET_HOSTS", "A=a.example A=b.example:8443 B=b.example"),
        ])
        .unwrap();
        assert!(config.may_send("A", "a.example") && config.may_send("A", "b.example:8443"));
        assert!(!config.may_send("B", "a.example") && !config.may_send("C", "a.example") && !config.may_send("A", ""));
    }
}
