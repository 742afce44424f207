//! What every phase of one request may use: the environment, its meaning, and the request's identity.

use std::net::IpAddr;
use std::rc::Rc;

use account::client::AccountClient;
use worker::{Env, Headers};

use crate::config::{Config, ConfigError};
use crate::inference::waiting::Early;
use crate::payments::charge::DueTopUps;
use crate::{clock, entropy, ids};

/// The durable object binding of `wrangler.toml`.
const ACCOUNT_BINDING: &str = "ACCOUNT";

thread_local! {
    /// The environment of an isolate never changes, so it is read once. It holds nothing of any account.
    static CONFIG: std::cell::OnceCell<Rc<Config>> = const { std::cell::OnceCell::new() };
}

/// One request.
pub struct Context {
    /// Bindings and secrets.
    pub env: Env,
    /// What the environment means.
    pub config: Rc<Config>,
    /// Minted here: nothing that a client sends becomes an id.
    pub request_id: String,
    /// When the request came, in milliseconds since the epoch.
    pub started_ms: i64,
    /// Where it came from, as the platform says. Compared with what a key allows, and never logged or kept.
    pub address: Option<IpAddr>,
    /// Accounts that name an automatic top-up meanwhile: they are looked after once the response is out.
    pub due_top_ups: DueTopUps,
    /// Hands a response over before the request is done, where that can be.
    pub early: Option<Box<Early>>,
}

impl Context {
    /// The context of a request that has just come, and its id even when the rest fails.
    pub fn new(env: Env, address: Option<IpAddr>) -> (String, Result<Self, ContextError>) {
        let started_ms = clock::now_ms();
        let random = match entropy::random() {
            Ok(random) => random,
            Err(error) => return ("req_unknown".into(), Err(ContextError::Entropy(error))),
        };
        let request_id = ids::request_id(started_ms, random);
        match config(&env) {
            Ok(config) => {
                let due_top_ups = DueTopUps::default();
                let context =
                    Self { env, config, request_id: request_id.clone(), started_ms, address, due_top_ups, early: None };
                (request_id, Ok(context))
            }
            Err(error) => (request_id, Err(ContextError::Config(error))),
        }
    }

    /// The object of the account with this routing id.
    ///
    /// # Errors
    /// The platform's, when the binding is missing.
    pub fn account(&self, routing_id: &str) -> worker::Result<AccountClient> {
        Ok(AccountClient::new(self.env.durable_object(ACCOUNT_BINDING)?, routing_id))
    }
}

/// Where a request comes from: the platform sets this header, whatever the client sent.
#[must_use]
pub fn address(headers: &Headers) -> Option<IpAddr> {
    headers.get("cf-connecting-ip").ok()??.parse().ok()
}

/// Why no request can be served.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// The operator has to mend a variable.
    #[error("configuration: {0}")]
    Config(#[from] ConfigError),
    /// The platform failed.
    #[error("{0}")]
    Entropy(String),
}

fn config(env: &Env) -> Result<Rc<Config>, ConfigError> {
    if let Some(config) = CONFIG.with(|cell| cell.get().cloned()) {
        return Ok(config);
    }
    let config = Rc::new(Config::read(|name| env.var(name).ok().map(|var| var.to_string()))?);
    Ok(CONFIG.with(|cell| cell.get_or_init(|| config).clone()))
}
