//! The Worker's side: one command to an account's object.

use std::cell::RefCell;
use std::collections::BTreeMap;

use billing::ledger::{Answer, Command, Refusal};
use worker::wasm_bindgen::JsValue;
use worker::{Method, ObjectNamespace, Request, RequestInit};

use crate::audit::Report;
use crate::protocol::{Ask, Call, Outcome, Reply, VERSION};

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

/// An account's object, by the routing id in its keys.
#[derive(Debug, Clone)]
pub struct AccountClient {
    namespace: ObjectNamespace,
    routing_id: String,
}

/// The generation of an object that was never moved.
const FIRST_GENERATION: u32 = 1;

thread_local! {
    /// Where accounts were moved to, as far as this isolate was told. Never their state.
    static MOVED: RefCell<BTreeMap<String, u32>> = const { RefCell::new(BTreeMap::new()) };
}

impl AccountClient {
    /// The object of the account with this routing id.
    #[must_use]
    pub fn new(namespace: ObjectNamespace, routing_id: &str) -> Self {
        Self { namespace, routing_id: routing_id.to_owned() }
    }

    /// The routing id that this was made with.
    #[must_use]
    pub fn routing_id(&self) -> &str {
        &self.routing_id
    }

    /// Sends a command.
    ///
    /// # Errors
    /// [`CallError`] when no answer came; a refusal is an answer.
    pub async fn call(&self, command: Command) -> Result<Result<Answer, Refusal>, CallError> {
        match self.follow(Ask::Command(command)).await? {
            Outcome::Answer(answer) => Ok(Ok(answer)),
            Outcome::Refused(refusal) => Ok(Err(refusal)),
            other => Err(CallError::Failed(format!("unexpected: {other:?}"))),
        }
    }

    /// Has the account audited, and D1 filled again where it lacks rows.
    ///
    /// # Errors
    /// [`CallError`] when no answer came; a refusal is an answer.
    pub async fn audit(&self, repair: bool) -> Result<Result<Report, Refusal>, CallError> {
        match self.follow(Ask::Audit { repair }).await? {
            Outcome::Report(report) => Ok(Ok(*report)),
            Outcome::Refused(refusal) => Ok(Err(refusal)),
            other => Err(CallError::Failed(format!("unexpected: {other:?}"))),
        }
    }

    /// Each attempt goes over a stub of its own, for a stub is broken by an error. An account that was
    /// moved is followed once.
    async fn follow(&self, ask: Ask) -> Result<Outcome, CallError> {
        let body = serde_json::to_string(&Call { v: VERSION, ask }).map_err(|e| CallError::Failed(e.to_string()))?;
        let known = MOVED.with_borrow(|moved| moved.get(&self.routing_id).copied());
        match self.ask(&body, known.unwrap_or(FIRST_GENERATION)).await? {
            Outcome::Moved { generation } => {
                MOVED.with_borrow_mut(|moved| moved.insert(self.routing_id.clone(), generation));
                self.ask(&body, generation).await
            }
            result => Ok(result),
        }
    }

    async fn ask(&self, body: &str, generation: u32) -> Result<Outcome, CallError> {
        let mut last = String::new();
        for _ in 0..ATTEMPTS {
            match self.attempt(body, generation).await {
                Ok(reply) if reply.v == VERSION => return Ok(reply.result),
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

    async fn attempt(&self, body: &str, generation: u32) -> worker::Result<Reply> {
        let mut init = RequestInit::new();
        init.with_method(Method::Post).with_body(Some(JsValue::from_str(body)));
        let request = Request::new_with_init("http://account/", &init)?;
        let name = format!("{}.{generation}", self.routing_id);
        let mut response = self.namespace.get_by_name(&name)?.fetch_with_request(request).await?;
        let text = response.text().await?;
        if response.status_code() != 200 {
            return Err(format!("status {}: {text}", response.status_code()).into());
        }
        Ok(serde_json::from_str(&text)?)
    }
}
