//! The Worker's side: one command to an account's object.

use billing::ledger::{Answer, Command, Refusal};
use worker::wasm_bindgen::JsValue;
use worker::{Method, ObjectNamespace, Request, RequestInit};

use crate::protocol::{Call, Outcome, Reply, VERSION};

/// How often a command is sent before the caller gives up. Commands are idempotent, so a lost answer
/// is asked for again.
const ATTEMPTS: u32 = 3;

/// No answer came.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The object sheds load: do not retry.
    #[error("the account object is overloaded")]
    Overloaded,
    /// Anything else, after all attempts.
    #[error("the account object did not answer: {0}")]
    Failed(String),
}

/// An account's object, by the routing id in its keys and the generation of the object.
#[derive(Debug, Clone)]
pub struct AccountClient {
    namespace: ObjectNamespace,
    name: String,
}

impl AccountClient {
    /// The object of the account with this routing id. The generation changes when an account is moved.
    #[must_use]
    pub fn new(namespace: ObjectNamespace, routing_id: &str, generation: u32) -> Self {
        Self { namespace, name: format!("{routing_id}.{generation}") }
    }

    /// Sends a command; each attempt goes over a stub of its own, for a stub is broken by an error.
    ///
    /// # Errors
    /// [`CallError`] when no answer came; a refusal is an answer.
    pub async fn call(&self, command: Command) -> Result<Result<Answer, Refusal>, CallError> {
        let body =
            serde_json::to_string(&Call { v: VERSION, command }).map_err(|e| CallError::Failed(e.to_string()))?;
        let mut last = String::new();
        for _ in 0..ATTEMPTS {
            match self.attempt(&body).await {
                Ok(reply) if reply.v == VERSION => {
                    return Ok(match reply.result {
                        Outcome::Answer(answer) => Ok(answer),
                        Outcome::Refused(refusal) => Err(refusal),
                    });
                }
                Ok(reply) => return Err(CallError::Failed(format!("the object speaks version {}", reply.v))),
                Err(error) => {
                    last = error.to_string();
                    if last.to_ascii_lowercase().contains("overloaded") {
                        return Err(CallError::Overloaded);
                    }
                }
            }
        }
        Err(CallError::Failed(last))
    }

    async fn attempt(&self, body: &str) -> worker::Result<Reply> {
        let mut init = RequestInit::new();
        init.with_method(Method::Post).with_body(Some(JsValue::from_str(body)));
        let request = Request::new_with_init("http://account/", &init)?;
        let mut response = self.namespace.get_by_name(&self.name)?.fetch_with_request(request).await?;
        let text = response.text().await?;
        if response.status_code() != 200 {
            return Err(format!("status {}: {text}", response.status_code()).into());
        }
        Ok(serde_json::from_str(&text)?)
    }
}
