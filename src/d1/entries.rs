//! The journal of an account, as far as it has been delivered.

use billing::ledger::EntryKind;
use billing::money::NanoUsd;
use serde::Deserialize;
use worker::D1Database;
use worker::wasm_bindgen::JsValue;

use super::number;
use super::requests::word;

/// Rows of `?2` and below, of every kind.
pub const ALL: &str = "SELECT seq, id, kind, at_ms, amount_nano_usd AS amount, balance_after_nano_usd AS balance_after,
    model, endpoint
FROM journal WHERE account_id = ?1 AND seq <= ?2 ORDER BY seq DESC LIMIT ?3";
/// Of one kind, `?4`; requests are most of a journal.
pub const REQUESTS: &str = "SELECT seq, id, kind, at_ms, amount_nano_usd AS amount,
    balance_after_nano_usd AS balance_after, model, endpoint
FROM journal WHERE account_id = ?1 AND seq <= ?2 AND kind = ?4 ORDER BY seq DESC LIMIT ?3";
/// Of one kind that is no request: by the index that has none.
pub const OTHERS: &str = "SELECT seq, id, kind, at_ms, amount_nano_usd AS amount,
    balance_after_nano_usd AS balance_after, model, endpoint
FROM journal INDEXED BY journal_other
WHERE account_id = ?1 AND seq <= ?2 AND kind <> 'usage' AND kind = ?4 ORDER BY seq DESC LIMIT ?3";

/// A movement of money.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Row {
    /// Its number.
    pub seq: u64,
    /// The request's id, or the entry's.
    pub id: String,
    /// Why.
    pub kind: EntryKind,
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
    /// Signed change of the balance.
    pub amount: NanoUsd,
    /// The balance after it.
    pub balance_after: NanoUsd,
    /// Of usage and late settles.
    pub model: Option<String>,
    /// Of usage and late settles.
    pub endpoint: Option<String>,
}

/// The newest rows of `seq` and below, of one kind or of all.
///
/// # Errors
/// What D1 said.
pub async fn before(
    db: &D1Database,
    account_id: &str,
    kind: Option<EntryKind>,
    seq: u64,
    limit: u64,
) -> worker::Result<Vec<Row>> {
    let sql = match kind {
        None => ALL,
        Some(EntryKind::Usage) => REQUESTS,
        Some(_) => OTHERS,
    };
    let mut values = vec![JsValue::from_str(account_id), number(seq), number(limit)];
    values.extend(kind.map(|kind| JsValue::from_str(&word(kind))));
    db.prepare(sql).bind(&values)?.all().await?.results()
}
