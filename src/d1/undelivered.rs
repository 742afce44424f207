//! Settles that an account did not take, until it does.

use serde::Deserialize;
use worker::D1Database;
use worker::wasm_bindgen::JsValue;

const INSERT: &str = "INSERT INTO undelivered_settles (request_id, routing_id, command, created_at_ms, mac)
VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (request_id) DO NOTHING";
const SELECT: &str = "SELECT request_id, routing_id, command, mac FROM undelivered_settles
WHERE last_refusal IS NULL AND mac IS NOT NULL ORDER BY created_at_ms LIMIT ?1";
const DELETE: &str = "DELETE FROM undelivered_settles WHERE request_id = ?1";
const REFUSED: &str = "UPDATE undelivered_settles SET attempts = attempts + 1, last_refusal = ?2 WHERE request_id = ?1";
const FAILED: &str = "UPDATE undelivered_settles SET attempts = attempts + 1 WHERE request_id = ?1";

/// A settle that waits.
#[derive(Debug, Deserialize)]
pub struct Undelivered {
    /// The admitted request.
    pub request_id: String,
    /// Where its account lives.
    pub routing_id: String,
    /// The command, as JSON of the account's protocol.
    pub command: String,
    /// The Worker's own, see [`crate::seal`]; `None`: the row has none.
    pub mac: Option<String>,
}

/// Writes a settle down.
///
/// # Errors
/// What D1 said.
pub async fn insert(db: &D1Database, waiting: &Undelivered, now_ms: i64) -> worker::Result<()> {
    // Times are far below 2^53, the border of exact JavaScript numbers.
    #[expect(clippy::cast_precision_loss, reason = "a time in milliseconds")]
    let now = JsValue::from_f64(now_ms as f64);
    let Undelivered { request_id, routing_id, command, mac } = waiting;
    let mac = mac.as_deref().map_or(JsValue::NULL, JsValue::from_str);
    let values = [request_id.into(), routing_id.into(), command.into(), now, mac];
    db.prepare(INSERT).bind(&values)?.run().await.map(drop)
}

/// The oldest that wait.
///
/// # Errors
/// What D1 said.
pub async fn oldest(db: &D1Database, limit: u32) -> worker::Result<Vec<Undelivered>> {
    db.prepare(SELECT).bind(&[limit.into()])?.all().await?.results()
}

/// The account has it.
///
/// # Errors
/// What D1 said.
pub async fn delivered(db: &D1Database, request_id: &str) -> worker::Result<()> {
    db.prepare(DELETE).bind(&[request_id.into()])?.run().await.map(drop)
}

/// The account will never take it, and why; it stays for an operator to see.
///
/// # Errors
/// What D1 said.
pub async fn refused(db: &D1Database, request_id: &str, refusal: &str) -> worker::Result<()> {
    db.prepare(REFUSED).bind(&[request_id.into(), refusal.into()])?.run().await.map(drop)
}

/// The account did not answer again.
///
/// # Errors
/// What D1 said.
pub async fn failed(db: &D1Database, request_id: &str) -> worker::Result<()> {
    db.prepare(FAILED).bind(&[request_id.into()])?.run().await.map(drop)
}
