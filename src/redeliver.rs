//! The cron: sends settles again that their accounts did not take.
//!
//! The one rule: a row only counts when the Worker sealed it ([`crate::seal`]), and a row may hold only a `settle`. The
//! account accepts it only for a request that it has admitted itself. Rows without a MAC, which a Worker of an earlier
//! version writes while a deploy goes on, are not sent and stay for the operator.

use billing::ledger::{Command, Settle};
use worker::console_error;

use crate::context::Context;
use crate::d1::undelivered::{self, Undelivered};
use crate::keys::Pepper;
use crate::{d1, seal};

/// How many are sent in one run; the next run takes the rest.
const BATCH: u32 = 100;

/// Why a row is not sent. It stays for an operator to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Untrusted {
    #[error("it has no MAC of this gateway's")]
    NotSealed,
    #[error("it is no settle of its request")]
    NoSettle,
}

/// Sends every settle that waits, the oldest first. A settle is idempotent: one that had arrived after
/// all is answered by its first result.
///
/// # Errors
/// What D1 said.
pub async fn run(context: &Context) -> worker::Result<()> {
    let db = context.env.d1(d1::BINDING)?;
    for waiting in undelivered::oldest(&db, BATCH).await? {
        let id = waiting.request_id.as_str();
        let settle = match settle_of(&waiting, &context.config.peppers) {
            Ok(settle) => settle,
            Err(untrusted) => {
                console_error!("{id}: a row of undelivered_settles is refused: {untrusted}");
                undelivered::refused(&db, id, &untrusted.to_string()).await?;
                continue;
            }
        };
        match context.account(&waiting.routing_id)?.call(Command::Settle(settle)).await {
            Ok(Ok(answer)) => {
                context.due_top_ups.note(&waiting.routing_id, &answer);
                undelivered::delivered(&db, id).await?;
            }
            Ok(Err(refusal)) => {
                console_error!("{id}: its settle was refused: {refusal}");
                undelivered::refused(&db, id, &refusal.to_string()).await?;
            }
            Err(error) => {
                console_error!("{id}: its settle waits on: {error}");
                undelivered::failed(&db, id).await?;
            }
        }
    }
    Ok(())
}

/// The settle that a row is, if the Worker wrote it.
fn settle_of(row: &Undelivered, peppers: &[Pepper]) -> Result<Settle, Untrusted> {
    let Undelivered { request_id, routing_id, command, mac } = row;
    let sealed = mac.as_deref().ok_or(Untrusted::NotSealed)?;
    if !seal::is_sealed(peppers, sealed, request_id, routing_id, command) {
        return Err(Untrusted::NotSealed);
    }
    match serde_json::from_str(command) {
        Ok(Command::Settle(settle)) if settle.request_id == *request_id => Ok(settle),
        _ => Err(Untrusted::NoSettle),
    }
}

#[cfg(test)]
mod tests {
    use billing::ledger::{Enter, EntryKind, Outcome, SettledBy};
    use billing::money::NanoUsd;
    use billing::usage::Usage;

    use super::*;

    fn settle(request_id: &str) -> Command {
        Command::Settle(Settle {
            request_id: request_id.into(),
            usage: Usage { output: 5, ..Usage::default() },
            settled_by: SettledBy::Upstream,
            outcome: Outcome::Completed,
            upstream: "u".into(),
            dropped: String::new(),
        })
    }

    /// A row as the Worker writes it.
    fn row(request_id: &str, command: &Command, peppers: &[Pepper]) -> Undelivered {
        let command = serde_json::to_string(command).unwrap();
        let mac = seal::seal(peppers, request_id, "acct", &command);
        Undelivered { request_id: request_id.into(), routing_id: "acct".into(), command, mac }
    }

    #[test]
    fn issue_13_what_the_worker_did_not_write_is_refused() {
        let peppers = [Pepper { version: '1', secret: b"0123456789abcdef0123456789abcdef".to_vec() }];
        let ours = || row("req_1", &settle("req_1"), &peppers);
        assert!(settle_of(&ours(), &peppers).is_ok());
        let enter = Enter { id: "e".into(), kind: EntryKind::Credit, amount: NanoUsd::new(1_000).unwrap() };
        let more = ours().command.replace("\"output\":5", "\"output\":0");
        let unsealed = Untrusted::NotSealed;
        for (name, row, why) in [
            ("from a version without MACs", Undelivered { mac: None, ..ours() }, unsealed),
            ("another amount", Undelivered { command: more, ..ours() }, unsealed),
            ("another account", Undelivered { routing_id: "other".into(), ..ours() }, unsealed),
            ("another request", Undelivered { request_id: "req_2".into(), ..ours() }, unsealed),
            ("a guess", Undelivered { mac: Some(format!("1:{}", "0".repeat(64))), ..ours() }, unsealed),
            ("sealed, but another request's", row("req_2", &settle("req_1"), &peppers), Untrusted::NoSettle),
            ("sealed, but a credit", row("req_1", &Command::Enter(enter), &peppers), Untrusted::NoSettle),
        ] {
            assert_eq!(settle_of(&row, &peppers).unwrap_err(), why, "{name}");
        }
    }
}
