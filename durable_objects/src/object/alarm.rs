//! The alarm: lets holds expire, removes old tombstones, and delivers to D1 what D1 does not have yet.

use billing::ledger::{Answer, Command, State};

use super::{Failed, Notice, Object};
use crate::flush::{self, Flush};
use crate::outbox::{self, JournalCopy};
use crate::protocol::Outcome;
use crate::sql::{SqlError, Transactional};
use crate::time::Clock;

/// How many journal rows may follow the last snapshot of what keys have spent, before an alarm makes a new one.
const SNAPSHOT_ROWS: u64 = 200;

/// How exact expiry is: open holds make the alarm ring once in this time at most, in milliseconds.
const TICK_MS: i64 = 60_000;

impl<S: Transactional, D: JournalCopy, C: Clock> Object<S, D, C> {
    /// Does the alarm's work. Whether that succeeds or fails or panics, the caller goes on with [`Self::schedule`].
    ///
    /// # Errors
    /// [`Failed`] when the storage or D1 fails. What was stored before stays, and a later alarm does the rest.
    pub async fn ring(&self) -> Result<(), Failed> {
        self.alarm_at_ms.set(None);
        self.wake().await?;
        let now_ms = self.clock.now_ms();
        if let Ok(Outcome::Answer(Answer::Swept { expired })) = self.run(&Command::Sweep)
            && expired > 0
        {
            (self.notify)(Notice::HoldsExpired(expired));
        }
        self.store.prune(now_ms)?;
        self.snapshot_when_due()?;
        if self.top_up_at_ms().is_some_and(|at_ms| at_ms <= now_ms) {
            self.top_up_retry_ms.set(now_ms.saturating_add(flush::RETRY_MS));
            self.tell_due_top_up(now_ms).await?;
            self.top_up_retry_ms.set(0);
        }
        if self.flush_at_ms(now_ms)?.is_none_or(|at_ms| now_ms < at_ms) {
            return Ok(());
        }
        self.flush.set(Flush { retry_ms: Some(now_ms.saturating_add(flush::RETRY_MS)), ..self.flush.get() });
        self.deliver().await?;
        self.flush.set(Flush::default());
        Ok(())
    }

    /// Sets the one alarm, and writes it seldom: when none is set, or when something is due before it.
    ///
    /// # Errors
    /// [`Failed`] when the storage fails. The next call then tries again.
    pub async fn schedule(&self) -> Result<(), Failed> {
        let now_ms = self.clock.now_ms();
        let open_holds = self.memory.borrow().as_ref().is_some_and(|state| !state.holds.is_empty());
        let tick = open_holds.then(|| now_ms.saturating_add(TICK_MS));
        let flush = self.flush_at_ms(now_ms)?;
        let top_up = self.top_up_at_ms().map(|at_ms| at_ms.max(now_ms));
        // An alarm whose sweep failed has dropped the memory, and the next alarm finds out what is due.
        let unknown = self.memory.borrow().is_none().then(|| now_ms.saturating_add(TICK_MS));
        let Some(due) = [tick, flush, top_up, unknown].into_iter().flatten().min() else { return Ok(()) };
        if self.alarm_at_ms.get().is_none_or(|at| due < at) {
            let before = self.alarm_at_ms.replace(Some(due));
            let set = self.clock.set_alarm(due.saturating_sub(now_ms).max(0).unsigned_abs()).await;
            if set.is_err() {
                // The next call tries again.
                self.alarm_at_ms.set(before);
            }
            set?;
        }
        Ok(())
    }

    /// Stores what each key has spent, so that a wake need not read the whole journal.
    ///
    /// # Errors
    /// [`SqlError`]; nothing was stored.
    pub fn snapshot(&self) -> Result<(), SqlError> {
        let memory = self.memory.borrow();
        let Some(state) = memory.as_ref().filter(|state| state.account.is_some()) else { return Ok(()) };
        let (seq, store, state) = (state.seq, self.store.clone(), state.clone());
        self.store.0.transaction(move || store.snapshot(&state))?;
        self.snapshot_seq.set(seq);
        Ok(())
    }

    fn snapshot_when_due(&self) -> Result<(), SqlError> {
        let seq = self.memory.borrow().as_ref().map_or(0, |state| state.seq);
        if seq.saturating_sub(self.snapshot_seq.get()) < SNAPSHOT_ROWS { Ok(()) } else { self.snapshot() }
    }

    /// Delivers journal rows, then keys.
    async fn deliver(&self) -> Result<(), Failed> {
        let Some(account_id) = self.account_id() else { return Ok(()) };
        // Money comes first: a key that D1 refuses must not hold up the journal.
        let now_ms = || self.clock.now_ms();
        let confirmed = |seq| self.delivered_seq.set(seq);
        outbox::deliver_journal(&self.copy, &self.store, &account_id, now_ms, confirmed).await?;
        for key_id in self.store.undelivered_keys()? {
            let key = self.memory.borrow().as_ref().and_then(|state| state.keys.get(&key_id).cloned());
            let Some(key) = key else { continue };
            self.copy.upsert_key(&account_id, &key).await?;
            self.store.key_delivered(&key)?;
        }
        self.has_undelivered_keys.set(!self.store.undelivered_keys()?.is_empty());
        Ok(())
    }

    /// A key has changed: its change is due at D1 within the usual time, unless a delivery is due already.
    pub(super) fn note_undelivered_key(&self, state: &State) {
        self.has_undelivered_keys.set(true);
        if let (None, Some(account)) = (self.flush.get().due_ms, &state.account) {
            let due_ms = self.due_ms(&account.account_id, self.clock.now_ms());
            self.flush.set(Flush { due_ms: Some(due_ms), ..self.flush.get() });
        }
    }

    /// When the next delivery to D1 is due; `None`: D1 has everything.
    fn flush_at_ms(&self, now_ms: i64) -> Result<Option<i64>, SqlError> {
        let memory = self.memory.borrow();
        let Some((state, account)) = memory.as_ref().and_then(|state| Some((state, state.account.as_ref()?))) else {
            return Ok(None);
        };
        let flush = self.flush.get();
        let rows = state.seq.saturating_sub(self.delivered_seq.get());
        if rows == 0 && !self.has_undelivered_keys.get() {
            self.flush.set(Flush { due_ms: None, ..flush });
            return Ok(None);
        }
        let due_ms = match flush.due_ms {
            Some(due_ms) => due_ms,
            // A key's change is stored without its time, so after a sleep the change is due at once.
            None => {
                let since_ms = self.store.undelivered_since_ms()?;
                since_ms.map_or(now_ms, |since_ms| self.due_ms(&account.account_id, since_ms))
            }
        };
        self.flush.set(Flush { due_ms: Some(due_ms), ..flush });
        Ok(Some(flush.at_ms(due_ms, rows, now_ms)))
    }

    fn due_ms(&self, account_id: &str, since_ms: i64) -> i64 {
        flush::due_ms(account_id, since_ms, &self.flush_seconds)
    }

    /// When the cron must hear of the automatic top-up in flight; `None`: no top-up is in flight.
    fn top_up_at_ms(&self) -> Option<i64> {
        let memory = self.memory.borrow();
        let attempt = memory.as_ref()?.auto.as_ref()?.attempt.as_ref()?;
        Some(attempt.due_at_ms().max(self.top_up_retry_ms.get()))
    }

    /// Asks the cron to look after the automatic top-up in flight; the account decides then whether it is charged. The
    /// request that should have charged the top-up did not hear of it, or has not reported back.
    async fn tell_due_top_up(&self, now_ms: i64) -> Result<(), Failed> {
        let Some(account_id) = self.account_id() else { return Ok(()) };
        self.copy.tell_due_top_up(&account_id, now_ms).await?;
        Ok(self.run(&Command::TakeAttempt).map(drop)?)
    }
}
