//! The second bookkeeper: what must be true of the account, kept from commands that were sent, events
//! that were committed and rows that are in SQL, by other means than the ledger's.

use std::collections::{BTreeMap, BTreeSet};

use account::sql::{Row, SqlError};
use billing::ledger::{Budget, Checkpoint, Event, Hold, Key, Period, SettledBy, UsageRecord};
use billing::money::MAX_NANO_USD;
use billing::price::Price;
use billing::usage::Usage;

use crate::calendar::{PERIODS, number_of};
use crate::database::Database;
use crate::world::MAX_STEP_BACK_MS;

/// Which rule was broken, and how.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Violation(pub String);

impl From<SqlError> for Violation {
    fn from(error: SqlError) -> Self {
        Self(error.to_string())
    }
}

/// Fails with a sentence unless the rule holds.
///
/// # Errors
/// [`Violation`] with the sentence.
pub fn must(holds: bool, sentence: impl FnOnce() -> String) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation(sentence())) }
}

/// A request that was admitted.
#[derive(Debug, Clone)]
pub struct Request {
    /// The key that asked; `None`: the account's owner.
    pub key_id: Option<String>,
    /// When it was admitted, by the account's clock.
    pub opened_at_ms: i64,
    /// What is reserved while it runs, in nano-USD.
    pub amount: i64,
    price: Price,
    checkpoint: Option<Checkpoint>,
    /// What became of it; `None` while it runs.
    pub resolved: Option<Resolved>,
    adjusted: bool,
}

/// A usage row: what it took and what it could not collect, in nano-USD, and whether it was an expiry.
#[derive(Debug, Clone, Copy)]
pub struct Resolved {
    taken: i64,
    short: i64,
    expired: bool,
}

/// Everything that is known.
#[derive(Debug, Default)]
pub struct Book {
    /// Σ of all amounts, in nano-USD.
    pub balance: i64,
    /// What all requests have cost, in nano-USD.
    pub used: i64,
    /// The last row.
    pub seq: u64,
    /// What could not be collected and is still owed.
    pub uncollected: i64,
    /// What the next row must pay of it: the row's id, and how much.
    payment: Option<(String, i64)>,
    /// Every admitted request.
    pub requests: BTreeMap<String, Request>,
    /// Those that are not resolved.
    pub open: BTreeSet<String>,
    /// Every key, as last set.
    pub keys: BTreeMap<String, Key>,
    /// Since when a key has had its limit of requests a minute.
    rate_since: BTreeMap<String, i64>,
    /// What was charged to a key and its descendants in a period.
    spent: BTreeMap<(String, i64, i64), i64>,
    /// When requests were admitted, the last minutes of them.
    admitted: Vec<(i64, Option<String>)>,
}

impl Book {
    /// Hears of what a command committed at `now_ms`.
    ///
    /// # Errors
    /// [`Violation`] when something was admitted that must not be.
    pub fn committed(&mut self, events: &[Event], now_ms: i64) -> Result<(), Violation> {
        for event in events {
            match event {
                Event::KeySet(key) => {
                    let before = self.keys.insert(key.key_id.clone(), key.clone());
                    if before.and_then(|key| key.limits.requests_per_minute) != key.limits.requests_per_minute {
                        // The clock may have stepped back behind an admission.
                        let latest_ms = self.admitted.iter().map(|(at_ms, _)| *at_ms).max().unwrap_or(now_ms);
                        self.rate_since.insert(key.key_id.clone(), latest_ms.max(now_ms));
                    }
                }
                Event::HoldOpened(hold) => self.opened(hold, now_ms)?,
                Event::HoldCheckpointed { request_id, checkpoint, amount, .. } => {
                    self.checkpointed(request_id, checkpoint, amount.nano())?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn opened(&mut self, hold: &Hold, now_ms: i64) -> Result<(), Violation> {
        let id = &hold.admit.request_id;
        must(!self.requests.contains_key(id), || format!("{id} was admitted twice"))?;
        must(hold.opened_at_ms == now_ms, || format!("{id} was opened at {}, not at {now_ms}", hold.opened_at_ms))?;
        let request = Request {
            key_id: hold.key_id.clone(),
            opened_at_ms: now_ms,
            amount: hold.amount.nano(),
            price: hold.admit.terms.price,
            checkpoint: None,
            resolved: None,
            adjusted: false,
        };
        self.requests.insert(id.clone(), request);
        self.open.insert(id.clone());
        self.admitted.push((now_ms, hold.key_id.clone()));
        must(hold.key_id.is_some() == hold.admit.digest.is_some(), || format!("{id} is of {:?}", hold.key_id))?;
        self.may_be_admitted(hold.key_id.as_deref(), now_ms)?;
        if !hold.admit.terms.price.is_free() {
            must(self.uncollected == 0, || format!("{id} was admitted although {} is owed", self.uncollected))?;
            must(self.balance > 0, || format!("{id} was admitted at a balance of {}", self.balance))?;
        }
        self.is_covered(id)
    }

    fn checkpointed(&mut self, id: &str, checkpoint: &Checkpoint, amount: i64) -> Result<(), Violation> {
        let request = self.requests.get_mut(id).filter(|request| request.resolved.is_none());
        let request = request.ok_or_else(|| Violation(format!("a checkpoint of {id}, which does not run")))?;
        request.checkpoint = Some(checkpoint.clone());
        let grew = amount > request.amount;
        must(amount >= request.amount, || format!("the hold of {id} shrank to {amount}"))?;
        request.amount = amount;
        if grew { self.is_covered(id) } else { Ok(()) }
    }

    /// What is reserved never exceeds the balance, nor any budget of the key's lineage in the period that
    /// admitted the request.
    fn is_covered(&self, id: &str) -> Result<(), Violation> {
        let Some(request) = self.requests.get(id).filter(|request| request.amount > 0) else { return Ok(()) };
        let held = self.held(|_| true);
        must(held <= self.balance, || format!("{id}: {held} are held of a balance of {}", self.balance))?;
        for key in self.lineage(request.key_id.as_deref()) {
            let Some(Budget { amount, period }) = key.limits.budget else { continue };
            let number = number_of(period, request.opened_at_ms);
            let reserved = self.held(|other| {
                number_of(period, other.opened_at_ms) == number && self.descends(other.key_id.as_deref(), &key.key_id)
            });
            let spent = self.spent(&key.key_id, period, request.opened_at_ms);
            must(spent.saturating_add(reserved) <= amount.nano(), || {
                let budget = amount.nano();
                format!("{id}: {} spent {spent} and reserved {reserved} of a {period:?} {budget}", key.key_id)
            })?;
        }
        Ok(())
    }

    fn may_be_admitted(&self, key_id: Option<&str>, now_ms: i64) -> Result<(), Violation> {
        for key in self.lineage(key_id) {
            let name = &key.key_id;
            must(key.revoked_at_ms.is_none(), || format!("{name} admits, but was revoked"))?;
            must(key.limits.expires_at_ms.is_none_or(|at_ms| now_ms < at_ms), || {
                format!("{name} admits, but expired")
            })?;
            if let Some(most) = key.limits.max_running {
                let running = self.open.iter().filter_map(|id| self.requests.get(id));
                let running = running.filter(|request| self.descends(request.key_id.as_deref(), name)).count();
                must(running <= usize::try_from(most).unwrap_or(usize::MAX), || {
                    format!("{name}: {running} run of {most}")
                })?;
            }
            if let Some(most) = key.limits.requests_per_minute {
                let since = self.rate_since.get(name).copied().unwrap_or(0);
                let recent = self.admitted_since(name, now_ms.saturating_sub(120_000).max(since));
                let most = usize::try_from(most).unwrap_or(usize::MAX);
                // In no minute more than `most`: each lies a minute behind the one that made room for it,
                // less what the clock stepped back.
                let apart_ms = 60_000 - 2 * MAX_STEP_BACK_MS;
                let crowded =
                    recent.iter().zip(recent.iter().skip(most)).find(|(first, next)| *next - *first < apart_ms);
                must(crowded.is_none(), || format!("{name}: more than {most} a minute, {crowded:?} in {recent:?}"))?;
            }
        }
        Ok(())
    }

    /// When requests of the key and its descendants were admitted behind `after_ms`, in order.
    #[must_use]
    pub fn admitted_since(&self, key_id: &str, after_ms: i64) -> Vec<i64> {
        let recent =
            self.admitted.iter().filter(|(at_ms, by)| *at_ms > after_ms && self.descends(by.as_deref(), key_id));
        let mut recent: Vec<i64> = recent.map(|(at_ms, _)| *at_ms).collect();
        recent.sort_unstable();
        recent
    }

    /// Forgets admissions that no rate counts any more.
    pub fn forget(&mut self, before_ms: i64) {
        self.admitted.retain(|(at_ms, _)| *at_ms >= before_ms);
    }

    /// Since when the key has had its limit of requests a minute.
    #[must_use]
    pub fn rate_since(&self, key_id: &str) -> i64 {
        self.rate_since.get(key_id).copied().unwrap_or(0)
    }

    /// Reads the rows that were added to the journal.
    ///
    /// # Errors
    /// [`Violation`] when one of them must not be there.
    pub fn read_journal(&mut self, database: &Database) -> Result<(), Violation> {
        let sql =
            "SELECT seq, id, kind, amount_nano, balance_after_nano, usage FROM journal WHERE seq > ?1 ORDER BY seq";
        for mut row in database.run(sql, &[self.seq.into()])? {
            let seq = row.int()?.unsigned_abs();
            must(seq == self.seq.saturating_add(1), || format!("row {seq} follows row {}", self.seq))?;
            self.seq = seq;
            self.read_row(&mut row).map_err(|Violation(sentence)| Violation(format!("row {seq}: {sentence}")))?;
        }
        must(self.payment.is_none(), || format!("money came in and did not pay what is owed: {:?}", self.payment))
    }

    fn read_row(&mut self, row: &mut Row) -> Result<(), Violation> {
        let (id, kind, amount, after) = (row.text()?, row.text()?, row.int()?, row.int()?);
        let usage = row.optional_text()?.map(|json| serde_json::from_str::<UsageRecord>(&json));
        let usage = usage.transpose().map_err(|e| Violation(e.to_string()))?;
        let before = self.balance;
        self.balance = before.saturating_add(amount);
        must(after == self.balance, || format!("{before} and {amount} are not {after}"))?;
        if let Some((expected, due)) = self.payment.take() {
            self.uncollected = self.uncollected.saturating_sub(due);
            self.used = self.used.saturating_add(due);
            return must((id.as_str(), kind.as_str(), amount) == (&expected, "debt", due.saturating_neg()), || {
                format!("{id} ({kind}) of {amount} stands where {expected} must pay {due}")
            });
        }
        must(kind != "debt", || format!("{id} pays what nobody owes"))?;
        let Some(usage) = usage else {
            if kind != "grant" {
                self.comes_in(&id, amount);
            }
            return must(kind != "usage", || format!("{id} has no usage"));
        };
        must(amount >= 0 || after >= 0, || format!("{id}: usage took the balance from {before} to {after}"))?;
        self.resolve(&id, &kind, amount, before, &usage)?;
        self.uncollected = self.uncollected.saturating_add(usage.uncollected.nano());
        self.comes_in(&id, amount);
        must(self.uncollected >= 0, || format!("{} is owed", self.uncollected))
    }

    /// Money comes in: what is owed is paid by the next row, as far as the balance is above zero.
    fn comes_in(&mut self, id: &str, amount: i64) {
        let due = self.uncollected.min(amount).min(self.balance);
        self.payment = (due > 0).then(|| (format!("debt:{id}"), due));
    }

    fn resolve(
        &mut self,
        id: &str,
        kind: &str,
        amount: i64,
        before: i64,
        usage: &UsageRecord,
    ) -> Result<(), Violation> {
        let owed_before = self.uncollected;
        let request = self.requests.get_mut(id).ok_or_else(|| Violation(format!("{id} was never admitted")))?;
        must(usage.key_id == request.key_id, || format!("{id} is charged to {:?}", usage.key_id))?;
        must(usage.admitted_at_ms == request.opened_at_ms, || format!("{id} counts at {}", usage.admitted_at_ms))?;
        let cost = match (usage.settled_by, cost(&request.price, &usage.usage)) {
            (None, _) => 0,
            (Some(_), Some(cost)) => cost,
            (Some(by), None) => {
                must(by == SettledBy::Estimate, || format!("{id} costs its hold, but counted by {by:?}"))?;
                request.amount
            }
        };
        let (taken, short) = match (kind, request.resolved) {
            ("usage", None) => {
                let expired = usage.outcome == billing::ledger::Outcome::Lost;
                if expired {
                    let last = request.checkpoint.as_ref().map(|checkpoint| checkpoint.usage).unwrap_or_default();
                    must(usage.usage == last, || format!("{id} expired, but not with its checkpoint"))?;
                }
                let (taken, short) = (amount.saturating_neg(), usage.uncollected.nano());
                request.resolved = Some(Resolved { taken, short, expired });
                self.open.remove(id);
                (0, 0)
            }
            ("adjustment", Some(Resolved { taken, short, expired: true })) if !request.adjusted => {
                request.adjusted = true;
                (taken, short)
            }
            _ => return Err(Violation(format!("{id} is resolved again ({kind})"))),
        };
        // What was uncollected before is owed already; where it is not due after all, it is forgiven as far as it is
        // still owed, and given back as far as it was paid.
        let due = cost.saturating_sub(taken).saturating_sub(short);
        let collected =
            if due < 0 { due.saturating_add(short.min(owed_before)).min(0) } else { due.min(before.max(0)) };
        must(amount == collected.saturating_neg(), || {
            format!("{id} costs {cost}, of which {taken} is paid and {short} is not to be had: {amount}")
        })?;
        let owed = due.saturating_sub(collected);
        must(usage.uncollected.nano() == owed, || format!("{id}: {} is uncollected, not {owed}", usage.uncollected))?;
        let (key_id, at_ms) = (request.key_id.clone(), request.opened_at_ms);
        self.used = self.used.saturating_sub(amount);
        let lineage: Vec<String> = self.lineage(key_id.as_deref()).map(|key| key.key_id.clone()).collect();
        for key_id in lineage {
            for period in PERIODS {
                let spent = self.spent.entry(period_of(&key_id, period, at_ms)).or_default();
                *spent = spent.saturating_sub(amount);
            }
        }
        Ok(())
    }

    /// What was charged to the key and its descendants in the period that `at_ms` lies in, in nano-USD.
    #[must_use]
    pub fn spent(&self, key_id: &str, period: Period, at_ms: i64) -> i64 {
        self.spent.get(&period_of(key_id, period, at_ms)).copied().unwrap_or(0)
    }

    /// What open requests of one kind reserve, in nano-USD.
    pub fn held(&self, which: impl Fn(&Request) -> bool) -> i64 {
        let open = self.open.iter().filter_map(|id| self.requests.get(id));
        open.filter(|request| which(request)).map(|request| request.amount).fold(0, i64::saturating_add)
    }

    fn lineage<'a>(&'a self, key_id: Option<&str>) -> impl Iterator<Item = &'a Key> + use<'a> {
        std::iter::successors(key_id.and_then(|key_id| self.keys.get(key_id)), |key| {
            self.keys.get(key.parent.as_deref()?)
        })
    }

    fn descends(&self, key_id: Option<&str>, from: &str) -> bool {
        self.lineage(key_id).any(|key| key.key_id == from)
    }
}

fn period_of(key_id: &str, period: Period, at_ms: i64) -> (String, i64, i64) {
    let kind = PERIODS.iter().zip(0..).find(|(other, _)| **other == period).map_or(0, |(_, kind)| kind);
    (key_id.to_owned(), kind, number_of(period, at_ms))
}

/// What a usage costs by the simulation's own prices, which have a base tier alone; `None` beyond what
/// money can express.
fn cost(price: &Price, usage: &Usage) -> Option<i64> {
    let rates = &price.rates;
    let times = |price: u64, count: u64| u128::from(price).checked_mul(u128::from(count));
    let output = times(rates.output.map_or(0, |price| price.pico()), usage.output)?;
    let input = times(rates.input.pico(), usage.input)?;
    let pico = input.checked_add(output)?.checked_add(u128::from(rates.request.map_or(0, |price| price.pico())))?;
    let nano = i64::try_from(pico.div_ceil(1_000)).ok()?;
    (nano <= MAX_NANO_USD).then_some(nano)
}
