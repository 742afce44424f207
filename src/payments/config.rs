//! What the operator sets of payments.

use catalog::BaseUrl;

use crate::config::ConfigError;

/// Where Stripe answers unless the operator says otherwise.
const DEFAULT_API_URL: &str = "https://api.stripe.com";

/// How Stripe is asked, and how it is known.
#[derive(Clone, PartialEq, Eq)]
pub struct Payments {
    /// Where the secret key may go: `https`, or this machine.
    pub api_url: BaseUrl,
    /// The secret key, `sk_…` or a restricted one, `rk_…`.
    pub secret_key: String,
    /// Secrets that sign webhooks, `whsec_…`; several while one is changed for the next.
    pub webhook_secrets: Vec<String>,
    /// Whether the key moves real money. What Stripe tells must be of the same mode.
    pub live: bool,
    /// The web app's origin, where Checkout returns to; `None`: the origin that was asked.
    pub console_url: Option<String>,
}

/// Never shows its secrets.
impl std::fmt::Debug for Payments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Payments({}, live: {})", self.api_url.as_str(), self.live)
    }
}

/// Reads the variables of payments through `get`, which takes an empty one for absent; `None`: nobody can pay.
///
/// # Errors
/// [`ConfigError`] at the first variable that is wrong.
pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Option<Payments>, ConfigError> {
    let fail = |name, problem| ConfigError { name, problem };
    let url = |name: &'static str, text: &str| {
        text.parse::<BaseUrl>().map_err(|_| fail(name, "must be a plain https URL, or http on this machine"))
    };
    let (secret_key, secrets) = match (get("STRIPE_SECRET_KEY"), get("STRIPE_WEBHOOK_SECRETS")) {
        (Some(key), Some(secrets)) => (key, secrets),
        (None, None) => return Ok(None),
        (None, Some(_)) => return Err(fail("STRIPE_SECRET_KEY", "is required with STRIPE_WEBHOOK_SECRETS")),
        (Some(_), None) => return Err(fail("STRIPE_WEBHOOK_SECRETS", "is required with STRIPE_SECRET_KEY")),
    };
    let mode = secret_key.strip_prefix("sk_").or_else(|| secret_key.strip_prefix("rk_"));
    let live = match mode.and_then(|rest| rest.split_once('_')) {
        Some(("live", _)) => true,
        Some(("test", _)) => false,
        _ => return Err(fail("STRIPE_SECRET_KEY", "must begin with sk_live_, sk_test_, rk_live_ or rk_test_")),
    };
    let webhook_secrets: Vec<String> = secrets.split(',').map(|secret| secret.trim().to_owned()).collect();
    if webhook_secrets.iter().any(|secret| !secret.starts_with("whsec_") || secret.len() < LEAST_SECRET_BYTES) {
        return Err(fail("STRIPE_WEBHOOK_SECRETS", "must be whsec_… secrets of at least 32 characters, with commas"));
    }
    let console_url = get("CONSOLE_URL").map(|text| url("CONSOLE_URL", &text)).transpose()?;
    Ok(Some(Payments {
        api_url: url("STRIPE_API_URL", &get("STRIPE_API_URL").unwrap_or_else(|| DEFAULT_API_URL.into()))?,
        secret_key,
        webhook_secrets,
        live,
        console_url: console_url.map(|url| url.as_str().to_owned()),
    }))
}

/// Who knows a webhook's secret makes money, so a short one is refused as every other secret is.
const LEAST_SECRET_BYTES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: (&str, &str) = ("STRIPE_SECRET_KEY", "sk_test_1");
    const SECRET: (&str, &str) = ("STRIPE_WEBHOOK_SECRETS", "whsec_0123456789abcdef0123456789");

    fn read_all(variables: &[(&str, &str)]) -> Result<Option<Payments>, ConfigError> {
        read(|name| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn a_key_and_a_webhook_secret_are_enough() {
        assert_eq!(read_all(&[]), Ok(None));
        let payments = read_all(&[KEY, SECRET]).unwrap().unwrap();
        assert_eq!((payments.api_url.as_str(), payments.live), ("https://api.stripe.com", false));
        assert!(!format!("{payments:?}").contains("sk_test"));
        let two = format!("{0} , {0}", SECRET.1);
        let live = read_all(&[("STRIPE_SECRET_KEY", "rk_live_1"), ("STRIPE_WEBHOOK_SECRETS", &two)]).unwrap().unwrap();
        assert_eq!((live.live, live.webhook_secrets.len()), (true, 2));
    }

    #[test]
    fn a_wrong_variable_is_named() {
        for (variables, name) in [
            (vec![KEY], "STRIPE_WEBHOOK_SECRETS"),
            (vec![SECRET], "STRIPE_SECRET_KEY"),
            (vec![("STRIPE_SECRET_KEY", "pk_test_1"), SECRET], "STRIPE_SECRET_KEY"),
            (vec![KEY, ("STRIPE_WEBHOOK_SECRETS", "whsec_short")], "STRIPE_WEBHOOK_SECRETS"),
            (vec![KEY, SECRET, ("STRIPE_API_URL", "http://api.stripe.com")], "STRIPE_API_URL"),
            (vec![KEY, SECRET, ("STRIPE_API_URL", "https://me@api.stripe.com")], "STRIPE_API_URL"),
            (vec![KEY, SECRET, ("CONSOLE_URL", "console")], "CONSOLE_URL"),
        ] {
            assert_eq!(read_all(&variables).unwrap_err().name, name, "{variables:?}");
        }
        assert!(read_all(&[KEY, SECRET, ("STRIPE_API_URL", "http://127.0.0.1:12111")]).is_ok());
    }
}
