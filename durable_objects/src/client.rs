//! The Worker's side: one command to an account's object.

use std::cell::RefCell;
use std::collections::BTreeMap;

use billing::ledger::{Answer, Command, Refusal};
use worker::wasm_bindgen::JsValue;
use worker::{Method, ObjectNamespace, Request, RequestInit};

use crate::audit::Report;
use crate::clock;
use crate::protocol::{Ask, Call, Outcome, Reply, VERSION};
use crate::tail::{Reading, Tail};

/// How often a command is sent before the caller gives up. Commands are idempotent, so a lost answer
/// is asked for again.
const ATTEMPTS: u32 = 3;

/// How long one attempt at a command waits for its answer, in milliseconds. An object answers within
/// milliseconds, and within a second or two when it must first wake far away; one that does not answer by
/// now hangs. All attempts together stay within half of the 30 s by which a hold outlives the time between
/// two checkpoints, so a checkpoint that must be asked for again still comes in time.
const COMMAND_MS: u64 = 5_000;

/// How long one attempt at an audit waits, in milliseconds: it reads a whole journal, here and in D1.
const AUDIT_MS: u64 = 60_000;

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
    session_issued_at_s: Option<i64>,
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
        Self { namespace, routing_id: routing_id.to_owned(), session_issued_at_s: None }
    }

    /// The same in the name of a session that was issued at `issued_at_s`, in seconds since the epoch: whatever
    /// it asks is refused once the account's owner has ended it.
    #[must_use]
    pub fn of_session(self, issued_at_s: i64) -> Self {
        Self { session_issued_at_s: Some(issued_at_s), ..self }
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
        match self.follow(Ask::Command(Box::new(command))).await? {
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

    /// Reads what stands in the journal that D1 may not have yet, and the money.
    ///
    /// # Errors
    /// [`CallError`] when no answer came; a refusal is an answer.
    pub async fn journal(&self, reading: Reading) -> Result<Result<Tail, Refusal>, CallError> {
        match self.follow(Ask::Journal(reading)).await? {
            Outcome::Tail(tail) => Ok(Ok(*tail)),
            Outcome::Refused(refusal) => Ok(Err(refusal)),
            other => Err(CallError::Failed(format!("unexpected: {other:?}"))),
        }
    }

    /// An account that was moved is followed once.
    async fn follow(&self, ask: Ask) -> Result<Outcome, CallError> {
        let patience_ms = match ask {
            Ask::Command(_) | Ask::Journal(_) => COMMAND_MS,
            Ask::Audit { .. } => AUDIT_MS,
        };
        let call = Call { v: VERSION, session_issued_at_s: self.session_issued_at_s, ask };
        let body = serde_json::to_string(&call).map_err(|e| CallError::Failed(e.to_string()))?;
        let known = MOVED.with_borrow(|moved| moved.get(&self.routing_id).copied());
        match self.ask(&body, known.unwrap_or(FIRST_GENERATION), patience_ms).await? {
            Outcome::Moved { generation } => {
                MOVED.with_borrow_mut(|moved| moved.insert(self.routing_id.clone(), generation));
                self.ask(&body, generation, patience_ms).await
            }
            result => Ok(result),
        }
    }

    async fn ask(&self, body: &str, generation: u32, patience_ms: u64) -> Result<Outcome, CallError> {
        persist(|| self.attempt(body, generation), || clock::sleep_ms(patience_ms)).await
    }

    /// Goes over a stub of its own, for a stub is broken by an error.
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

/// Attempts until one is answered before its timer ends.
async fn persist<A, T>(attempt: impl Fn() -> A, timer: impl Fn() -> T) -> Result<Outcome, CallError>
where
    A: Future<Output = worker::Result<Reply>>,
    T: Future<Output = ()>,
{
    let mut last = String::new();
    for _ in 0..ATTEMPTS {
        match clock::before(timer(), attempt()).await {
            Some(Ok(reply)) if reply.v == VERSION => return Ok(reply.result),
            Some(Ok(reply)) => return Err(CallError::Failed(format!("the object speaks version {}", reply.v))),
            Some(Err(error)) => {
                last = error.to_string();
                if last.to_ascii_lowercase().contains("overloaded") {
                    return Err(CallError::Overloaded);
                }
            }
            None => last = "it hangs".into(),
        }
    }
    Err(CallError::Failed(last))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::{pending, ready};
    use std::task::{Context, Poll, Waker};

    use futures::future::Either;

    use super::*;

    /// What comes of attempts of which each has its own fate, and how many were made. A timer ends only where
    /// nothing else does.
    fn persisted(fates: &[Option<&str>]) -> (Result<Outcome, String>, usize) {
        let made = Cell::new(0);
        let attempt = || {
            let fate = fates[made.replace(made.get() + 1)];
            match fate {
                None => Either::Left(pending()),
                Some("") => {
                    let swept = Answer::Swept { expired: 0 };
                    Either::Right(ready(Ok(Reply { v: VERSION, result: Outcome::Answer(swept) })))
                }
                Some(problem) => Either::Right(ready(Err(worker::Error::RustError(problem.into())))),
            }
        };
        let persist = std::pin::pin!(persist(attempt, || ready(())));
        match persist.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => (result.map_err(|e| e.to_string()), made.get()),
            Poll::Pending => panic!("it waits for an object that hangs"),
        }
    }

    #[test]
    fn an_object_that_hangs_is_asked_again_and_then_given_up() {
        let answer = || Ok(Outcome::Answer(Answer::Swept { expired: 0 }));
        assert_eq!(persisted(&[Some("")]), (answer(), 1));
        assert_eq!(persisted(&[None, Some("")]), (answer(), 2));
        assert_eq!(persisted(&[None, Some("broken"), Some("")]), (answer(), 3));
        let failed = |why: &str| Err(format!("the account object did not answer: {why}"));
        assert_eq!(persisted(&[None, None, None]), (failed("it hangs"), 3));
        assert_eq!(persisted(&[Some("broken"), None, Some("broken")]), (failed("broken"), 3));
        let overloaded = Err("the account object is overloaded".to_owned());
        assert_eq!(persisted(&[None, Some("status 503: overloaded")]), (overloaded, 2));
    }

    #[test]
    fn all_attempts_together_are_shorter_than_a_hold_can_wait() {
        let most_ms = i64::try_from(COMMAND_MS * u64::from(ATTEMPTS)).unwrap();
        assert!(most_ms * 2 <= billing::ledger::HOLD_TTL_MS - 60_000, "a checkpoint every 60 s");
        assert!(most_ms < billing::ledger::ADMIT_MAX_AGE_MS, "the last attempt at an admit is not too old");
    }
}
