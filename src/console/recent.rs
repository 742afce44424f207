//! The journal as one: what the account has that D1 may not have yet, and behind it what D1 has.
//!
//! The one rule: the account is asked first. It says up to which row D1 has the journal, so the two meet there,
//! however much is delivered in between. See `account::tail`.

use std::collections::BTreeMap;

use account::tail::{MAX_ROWS, Reading, Rows, Tail};
use billing::ledger::Entry;

use super::caller::Caller;
use crate::auth;
use crate::error::ApiError;

/// How often the account is asked for one page: its last 2,500 rows are searched, which is more than D1 lacks but
/// when it has not answered for a while. Then a page is short, and the next one goes on.
const MOST_CALLS: usize = 5;

/// The newest rows of a page, and how to go on.
pub struct Newest<T> {
    /// The newest first.
    pub rows: Vec<T>,
    /// Where the rest of the page is.
    pub rest: Rest,
    /// What each key is called.
    pub key_names: BTreeMap<String, String>,
}

/// Where a page goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// It is complete; the next one begins before this row.
    NextPage(u64),
    /// In D1, from this row downwards.
    Delivered(u64),
}

/// Asks the account for a part of its journal.
///
/// # Errors
/// What a refusal or silence means to the caller.
pub async fn read(caller: &Caller, reading: Reading) -> Result<Tail, ApiError> {
    caller.client.journal(reading).await.map_err(auth::unanswered)?.map_err(|refusal| auth::refused(&refusal))
}

/// The newest rows before `before` that `take` takes, as far as D1 may not have them, at most `limit`.
///
/// # Errors
/// As [`read`].
pub async fn newest<T>(
    caller: &Caller,
    before: Option<u64>,
    limit: u64,
    take: impl Fn(&Entry) -> Option<T>,
) -> Result<Newest<T>, ApiError> {
    let mut page = Newest { rows: Vec::new(), rest: Rest::NextPage(0), key_names: BTreeMap::new() };
    let mut before = before;
    for call in 0..MOST_CALLS {
        let reading = Reading { rows: Rows::Waiting { before }, limit: MAX_ROWS, names: call == 0 };
        let tail = read(caller, reading).await?;
        if call == 0 {
            page.key_names = tail.key_names;
        }
        let asked = u64::try_from(tail.entries.len()).unwrap_or(u64::MAX);
        for entry in &tail.entries {
            before = Some(entry.seq);
            page.rows.extend(take(entry));
            if left(&page.rows, limit) == 0 {
                page.rest = Rest::NextPage(entry.seq);
                return Ok(page);
            }
        }
        if asked < MAX_ROWS {
            // Whatever lay above the cursor of this moment has been read here.
            let below = before.map_or(u64::MAX, |before| before.saturating_sub(1));
            page.rest = Rest::Delivered(tail.delivered_seq.min(below));
            return Ok(page);
        }
    }
    page.rest = Rest::NextPage(before.unwrap_or(0));
    Ok(page)
}

/// How many rows a page still takes.
#[must_use]
pub fn left<T>(rows: &[T], limit: u64) -> u64 {
    limit.saturating_sub(u64::try_from(rows.len()).unwrap_or(u64::MAX))
}

/// The cursor that goes on before this row; there is none before the first.
#[must_use]
pub fn cursor(before: u64) -> Option<String> {
    (before > 1).then(|| before.to_string())
}
