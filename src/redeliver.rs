//! The cron: sends settles again that their accounts did not take.

use billing::ledger::Command;
use worker::console_error;

use crate::context::Context;
use crate::d1::{self, undelivered};

/// How many are sent in one run; the next run takes the rest.
const BATCH: u32 = 100;

/// Sends every settle that waits, the oldest first. A settle is idempotent: one that had arrived after
/// all is answered by its first result.
///
/// # Errors
/// What D1 said.
pub async fn run(context: &Context) -> worker::Result<()> {
    let db = context.env.d1(d1::BINDING)?;
    for waiting in undelivered::oldest(&db, BATCH).await? {
        let id = waiting.request_id.as_str();
        let Ok(command) = serde_json::from_str::<Command>(&waiting.command) else {
            console_error!("{id}: its settle cannot be read");
            undelivered::refused(&db, id, "unreadable").await?;
            continue;
        };
        match context.account(&waiting.routing_id)?.call(command).await {
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
