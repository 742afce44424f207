//! Who owns which account.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde::Deserialize;
use worker::D1Database;
use worker::wasm_bindgen::JsValue;

const INSERT: &str = "INSERT INTO accounts (user_id, account_id, created_at_ms) VALUES (?1, ?2, ?3)
ON CONFLICT (user_id) DO NOTHING";
const SELECT: &str = "SELECT account_id FROM accounts WHERE user_id = ?1";

const PAGE: &str = "SELECT account_id FROM accounts WHERE account_id > ?1 ORDER BY account_id LIMIT 100";

/// How many users are remembered; then it begins anew. With their accounts this is a megabyte.
const MOST: usize = 10_000;

thread_local! {
    /// Accounts by user. Whose an account is never changes, so what is known stays true; who has none may get one.
    static KNOWN: RefCell<BTreeMap<String, String>> = RefCell::default();
}

#[derive(Deserialize)]
struct Row {
    account_id: String,
}

/// The account of a user, if there is one. D1 is asked once for each user and isolate.
///
/// # Errors
/// What D1 said.
pub async fn find(db: &D1Database, user_id: &str) -> worker::Result<Option<String>> {
    if let Some(known) = KNOWN.with_borrow(|known| known.get(user_id).cloned()) {
        return Ok(Some(known));
    }
    let row = db.prepare(SELECT).bind(&[user_id.into()])?.first::<Row>(None).await?;
    if let Some(row) = &row {
        KNOWN.with_borrow_mut(|known| {
            if known.len() >= MOST {
                known.clear();
            }
            known.insert(user_id.to_owned(), row.account_id.clone())
        });
    }
    Ok(row.map(|row| row.account_id))
}

/// The account of a user: `account_id`, unless there was one before.
///
/// # Errors
/// What D1 said.
pub async fn find_or_create(db: &D1Database, user_id: &str, account_id: &str, now_ms: i64) -> worker::Result<String> {
    // Times are far below 2^53, the border of exact JavaScript numbers.
    #[expect(clippy::cast_precision_loss, reason = "a time in milliseconds")]
    let now = JsValue::from_f64(now_ms as f64);
    let insert = db.prepare(INSERT).bind(&[user_id.into(), account_id.into(), now])?;
    let select = db.prepare(SELECT).bind(&[user_id.into()])?;
    let results = db.batch(vec![insert, select]).await?;
    let row = results.get(1).map(|result| result.results::<Row>()).transpose()?.and_then(|mut rows| rows.pop());
    row.map(|row| row.account_id).ok_or_else(|| "the account that was just made is not there".into())
}

/// The first hundred accounts behind `after`, in order.
///
/// # Errors
/// What D1 said.
pub async fn page(db: &D1Database, after: &str) -> worker::Result<Vec<String>> {
    let rows = db.prepare(PAGE).bind(&[after.into()])?.all().await?.results::<Row>()?;
    Ok(rows.into_iter().map(|row| row.account_id).collect())
}
