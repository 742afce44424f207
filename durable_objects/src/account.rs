//! The account object on workerd: receives calls and alarms, and hands them to [`Object`].
//!
//! A call is a `POST` with a [`Call`] as its body.
#![expect(missing_docs, reason = "`durable_object` makes methods without docs")]

use std::rc::Rc;

use wasm_bindgen::prelude::*;
use worker::{DurableObject, Env, Request, Response, Result, console_error, durable_object};

use crate::object::{Failed, Failure, Notice, Object};
use crate::panics::{Panicked, caught};
use crate::protocol::{Call, Reply, VERSION};
use crate::workerd::{D1, ObjectClock, ObjectSql};

/// The body of a refusal under load. The Worker looks for this word.
const OVERLOADED: &str = "overloaded";

/// One customer's money and keys.
#[durable_object(alarm)]
pub struct Account {
    object: Object<ObjectSql, D1, ObjectClock>,
}

// A panic that is caught leaves a sound object: a command takes the memory out before it starts, so the next call
// reads the memory from SQL again. The other fields say when alarms are due, and the next call finds that out anew.
impl std::panic::RefUnwindSafe for Account {}
impl std::panic::UnwindSafe for Account {}

impl DurableObject for Account {
    fn new(state: worker::State, env: Env) -> Self {
        let storage = Rc::new(state.storage());
        let flush_seconds = env.var("OUTBOX_FLUSH_SECONDS").map(|var| var.to_string()).unwrap_or_default();
        let (sql, clock) = (ObjectSql::new(Rc::clone(&storage)), ObjectClock(storage));
        Self { object: Object::new(sql, D1(env), clock, flush_seconds, log) }
    }

    async fn fetch(&self, request: Request) -> Result<Response> {
        match caught(self.answer(request)).await {
            Ok(response) => response,
            Err(Panicked) => Response::error("panicked", 500),
        }
    }

    /// Always succeeds: the platform gives up an alarm that throws again and again.
    async fn alarm(&self) -> Result<Response> {
        let rung = caught(self.object.ring()).await;
        if let Err(error) = rung.unwrap_or_else(|panicked| Err(Failed(panicked.to_string()))) {
            console_error!("account: an alarm failed and will be tried again: {error}");
        }
        if let Err(error) = self.object.schedule().await {
            console_error!("account: no alarm could be set: {error}");
        }
        Response::ok("")
    }
}

impl Account {
    async fn answer(&self, mut request: Request) -> Result<Response> {
        let Ok(call) = serde_json::from_str::<Call>(&request.text().await?) else {
            return Response::error("not a call", 400);
        };
        if call.v != VERSION {
            return Response::error("unknown version", 400);
        }
        match self.object.answer(&call).await {
            Ok(result) => Response::ok(serde_json::to_string(&Reply { v: VERSION, result })?),
            Err(Failure::Overloaded) => Response::error(OVERLOADED, 503),
            Err(Failure::Command(error)) => {
                console_error!("account: a command failed and nothing was changed: {error}");
                Response::error("storage failed", 500)
            }
            Err(Failure::Object(error)) => Err(worker::Error::RustError(error.to_string())),
        }
    }
}

fn log(notice: Notice<'_>) {
    match notice {
        Notice::Committed(_) => {}
        Notice::HoldsExpired(expired) => console_error!("account: {expired} holds expired without a settle"),
    }
}
