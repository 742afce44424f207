//! What is checked after every step, and what once all is quiet.

use account::sql::SqlError;
use billing::ledger::State;

use crate::book::{Book, Violation, must};
use crate::calendar::PERIODS;
use crate::d1::POISON;
use crate::object::{ACCOUNT_ID, Object};

/// The memory says what the book says.
///
/// # Errors
/// [`Violation`].
pub fn memory(book: &Book, state: &State, now_ms: i64) -> Result<(), Violation> {
    let balance = state.balance.nano();
    must(balance == book.balance, || format!("the balance is {balance}, the journal's sum {}", book.balance))?;
    must(state.seq == book.seq, || format!("memory is at row {}, the journal at {}", state.seq, book.seq))?;
    let uncollected = state.uncollected.nano();
    must(uncollected == book.uncollected, || format!("uncollected is {uncollected}, not {}", book.uncollected))?;
    must(state.used.nano() == book.used, || format!("requests have cost {}, not {}", state.used, book.used))?;
    must(state.holds.keys().eq(book.open.iter()), || {
        format!("open holds {:?}, unresolved requests {:?}", state.holds.keys(), book.open)
    })?;
    let held = book.held(|_| true);
    must(state.held().nano() == held, || format!("{} are held, not {held}", state.held()))?;
    must(state.keys == book.keys, || "the keys differ".to_owned())?;
    for (key_id, spend) in &state.spend {
        for period in PERIODS {
            let (has, should) = (spend.within(period, now_ms).nano(), book.spent(key_id, period, now_ms));
            must(has == should, || format!("{key_id} spent {has} of its {period:?} period, not {should}"))?;
        }
    }
    Ok(())
}

/// What is stored is what is in memory.
///
/// # Errors
/// [`Violation`].
pub fn reload(object: &Object, book: &Book, state: &State, latest_ms: i64) -> Result<(), Violation> {
    let mut loaded = object.store().load(object.clock.now_ms.get())?;
    let mut state = state.clone();
    for (key_id, key) in &state.keys {
        if key.limits.requests_per_minute.is_none() {
            continue;
        }
        // Memory has pruned by the latest time that it saw, and counts from when the limit was set.
        let after_ms = latest_ms.saturating_sub(60_000).max(book.rate_since(key_id));
        let times =
            |state: &State| state.rates.get(key_id).map(|rate| rate.admitted_since(after_ms)).unwrap_or_default();
        let should = book.admitted_since(key_id, after_ms);
        let (has, stored) = (times(&state), times(&loaded));
        must(has == should, || format!("the rate of {key_id} counts {has:?}, not {should:?}"))?;
        must(stored == should, || format!("the rate of {key_id} is stored as {stored:?}, not {should:?}"))?;
    }
    state.rates.clear();
    loaded.rates.clear();
    must(loaded == state, || {
        let (loaded, state) = (format!("{loaded:?}"), format!("{state:?}"));
        let same = loaded.bytes().zip(state.bytes()).take_while(|(a, b)| a == b).count().saturating_sub(150);
        let from = |text: &str| text.get(same..).unwrap_or_default().chars().take(300).collect::<String>();
        format!("memory differs from what is stored:\n... {}\n... {}", from(&state), from(&loaded))
    })
}

/// D1 has what the cursor says that it has.
///
/// # Errors
/// [`Violation`].
pub fn cursor(object: &Object) -> Result<(), Violation> {
    let delivered = object.delivered_seq()?;
    let rows = object.d1.count(ACCOUNT_ID, 0, delivered)?;
    must(rows == delivered, || format!("the cursor stands at {delivered}, but D1 has {rows} rows"))
}

/// Nothing is on its way, nothing runs, D1 is up: every request is resolved, and D1 has everything once.
///
/// # Errors
/// [`Violation`].
pub fn quiet(object: &Object, book: &Book) -> Result<(), Violation> {
    must(book.open.is_empty(), || format!("never resolved: {:?}", book.open))?;
    let unresolved = book.requests.iter().find(|(_, request)| request.resolved.is_none());
    must(unresolved.is_none(), || format!("never resolved: {unresolved:?}"))?;
    let report = object.audit(false)?;
    let poison = "SELECT count(*) FROM journal WHERE id LIKE '%' || ?1";
    let poison: i64 =
        object.store().0.run(poison, &[POISON.into()])?.into_iter().map(|mut row| row.int()).sum::<Result<_, _>>()?;
    let copied = report.missing == 0 && report.differing == 0 && report.delivered_seq == book.seq;
    let set_aside = copied && report.set_aside == poison.unsigned_abs();
    let known = format!("D1 did not take {poison} rows, which were set aside");
    let others: Vec<_> = report.problems.iter().filter(|problem| **problem != known).collect();
    must(set_aside && others.is_empty(), || format!("the audit with {poison} rows set aside: {report:?}"))?;
    must(report.sum.nano() == book.balance, || format!("the audit sums up to {}, not {}", report.sum, book.balance))?;
    copies(object)
}

/// Each row of the journal is in D1's journal, column by column, or set aside; each key as it is.
fn copies(object: &Object) -> Result<(), Violation> {
    let own =
        "SELECT seq, id, kind, at_ms, amount_nano, balance_after_nano, usage->>'$.key_id', usage->>'$.usage.output',
        usage->>'$.outcome', usage->>'$.billing_status', usage->>'$.uncollected', usage->>'$.lost'
        FROM journal WHERE id NOT LIKE '%' || ?1 ORDER BY seq";
    let theirs = "SELECT seq, id, kind, at_ms, amount_nano_usd, balance_after_nano_usd, key_id, output_tokens,
        status, billing_status, uncollected_nano_usd, lost_nano_usd FROM journal ORDER BY seq";
    same(object, own, theirs, "rows")?;
    let own = "SELECT seq, id FROM journal WHERE id LIKE '%' || ?1 ORDER BY seq";
    same(object, own, "SELECT seq, entry->>'$.id' FROM outbox_rejects ORDER BY seq", "rows set aside")?;
    let own = "SELECT key_id, name, permissions, limits, parent, created_at_ms, revoked_at_ms FROM keys
        WHERE ?1 <> '' ORDER BY key_id";
    let theirs = "SELECT key_id, name, permissions, limits, parent_key_id, created_at_ms, revoked_at_ms FROM api_keys
        ORDER BY key_id";
    same(object, own, theirs, "keys")
}

fn same(object: &Object, own: &str, theirs: &str, what: &str) -> Result<(), Violation> {
    let own = object.store().0.run(own, &[POISON.into()])?;
    let theirs = object.d1.database.run(theirs, &[])?;
    must(own.len() == theirs.len(), || format!("{} {what}, D1 has {}", own.len(), theirs.len()))?;
    for (mine, copy) in own.iter().zip(&theirs) {
        // The values of a row are in its `Debug`.
        must(format!("{mine:?}") == format!("{copy:?}"), || format!("{what}: {mine:?}, D1 has {copy:?}"))?;
    }
    Ok(())
}

/// D1 loses some rows that it had confirmed, perhaps while others travel: the audit names all of them, and
/// the repair brings them back. Returns how many were lost.
///
/// # Errors
/// [`Violation`].
pub fn lose_rows(object: &Object, every: u64) -> Result<u64, Violation> {
    let before = object.audit(false)?.missing;
    let remaining = |sql: &str, params: &[account::sql::Value]| -> Result<i64, SqlError> {
        object.d1.database.run(sql, params)?.into_iter().map(|mut row| row.int()).sum()
    };
    let rows = remaining("SELECT count(*) FROM journal", &[])?;
    let delivered = object.delivered_seq()?;
    object
        .d1
        .database
        .run("DELETE FROM journal WHERE seq % ?1 = 0 AND seq <= ?2", &[every.into(), delivered.into()])?;
    let lost = rows.saturating_sub(remaining("SELECT count(*) FROM journal", &[])?).unsigned_abs();
    let report = object.audit(true)?;
    must(before == 0, || format!("{before} rows that D1 had confirmed are missing"))?;
    must(report.missing == lost && report.repaired == (lost > 0), || format!("{lost} rows were lost: {report:?}"))?;
    Ok(lost)
}
