//! The breakers of one model at one upstream: the one for everyone, and those of accounts that have met failures.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Attempt, Breaker, EVERYONE, Kind, OWN, State, Verdict, View, group_of};

/// How many accounts have breakers of their own; then those begin anew. Each takes less than a kilobyte.
const MOST_ACCOUNTS: usize = 1_000;

/// Leave to ask, to be handed back with a [`Verdict`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leave {
    account: String,
    everyone: Attempt,
    /// `None`: the account had no breaker of its own.
    own: Option<Attempt>,
}

/// What an operator is shown of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelView {
    /// The breaker for everyone.
    #[serde(flatten)]
    pub everyone: View,
    /// How many accounts do not ask now although others may: their own breakers are open.
    pub accounts_waiting: usize,
}

/// The breakers of one model at one upstream.
#[derive(Debug, Clone)]
pub struct ModelBreaker {
    everyone: Breaker,
    pub(super) own: BTreeMap<String, Breaker>,
}

impl Default for ModelBreaker {
    fn default() -> Self {
        Self { everyone: Breaker::of(EVERYONE), own: BTreeMap::new() }
    }
}

impl ModelBreaker {
    /// How long `account` is not to ask the upstream, in milliseconds; `None`: it may ask now.
    #[must_use]
    pub fn wait_ms(&self, account: &str, now_ms: i64) -> Option<u64> {
        let everyone = self.everyone.wait_ms(group_of(account), now_ms);
        let own = self.own.get(account).and_then(|own| own.wait_ms(group_of(account), now_ms));
        everyone.max(own)
    }

    /// Why the upstream last failed, for `account` where it has met a failure itself.
    #[must_use]
    pub fn last_failure(&self, account: &str) -> Option<Kind> {
        self.own.get(account).unwrap_or(&self.everyone).last_failure()
    }

    /// Leave for `account` to ask the upstream; `None`: not now.
    pub fn begin(&mut self, account: &str, now_ms: i64) -> Option<Leave> {
        if self.wait_ms(account, now_ms).is_some() {
            return None;
        }
        let group = group_of(account);
        let own = match self.own.get_mut(account) {
            Some(own) => Some(own.begin(group, now_ms)?),
            None => None,
        };
        Some(Leave { account: account.to_owned(), everyone: self.everyone.begin(group, now_ms)?, own })
    }

    /// Hears how an attempt ended; `random` is any number. Whether a breaker opened by it.
    pub fn end(&mut self, leave: &Leave, verdict: Verdict, now_ms: i64, random: u64) -> bool {
        let everyone = self.everyone.end(leave.everyone, verdict, now_ms, random);
        let own = match verdict {
            Verdict::Failed { .. } => self.with_own(leave, |own, attempt| own.end(attempt, verdict, now_ms, random)),
            Verdict::Answered | Verdict::Nothing => {
                if let (Some(own), Some(attempt)) = (self.own.get_mut(&leave.account), leave.own) {
                    own.end(attempt, verdict, now_ms, random);
                }
                self.forget_clean(&leave.account, now_ms);
                false
            }
        };
        everyone || own
    }

    /// Hears that an attempt's stream has begun: the upstream answers. With what this gives, [`Self::broke_off`] may
    /// still hear of its end.
    pub fn begun(&mut self, leave: Leave, now_ms: i64) -> Leave {
        let everyone = self.everyone.begun(leave.everyone, now_ms);
        let own = match (self.own.get_mut(&leave.account), leave.own) {
            (Some(own), Some(attempt)) => Some(own.begun(attempt, now_ms)),
            _ => None,
        };
        self.forget_clean(&leave.account, now_ms);
        Leave { everyone, own, ..leave }
    }

    /// Hears that a stream which had begun came to no good end; `random` is any number. Whether a breaker opened.
    pub fn broke_off(&mut self, leave: &Leave, now_ms: i64, random: u64) -> bool {
        let everyone = self.everyone.broke_off(leave.everyone, now_ms, random);
        let is_new = !self.own.contains_key(&leave.account);
        let own = self.with_own(leave, |own, attempt| {
            if is_new {
                own.begun(attempt, now_ms);
            }
            own.broke_off(attempt, now_ms, random)
        });
        everyone || own
    }

    /// What an operator is shown.
    #[must_use]
    pub fn view(&self, now_ms: i64) -> ModelView {
        let waits = |(account, own): (&String, &Breaker)| own.wait_ms(group_of(account), now_ms).is_some();
        ModelView {
            everyone: self.everyone.view(now_ms),
            accounts_waiting: self.own.iter().filter(|own| waits(*own)).count(),
        }
    }

    /// Tells the account's own breaker of a failure; the account gets one by its first.
    fn with_own(&mut self, leave: &Leave, tell: impl FnOnce(&mut Breaker, Attempt) -> bool) -> bool {
        if self.own.len() >= MOST_ACCOUNTS && !self.own.contains_key(&leave.account) {
            self.own.clear();
        }
        let own = self.own.entry(leave.account.clone()).or_insert_with(|| Breaker::of(OWN));
        // An attempt from before the account had a breaker belongs to the closed state that it begins with.
        tell(own, leave.own.unwrap_or(Attempt { generation: 0, group: leave.everyone.group }))
    }

    fn forget_clean(&mut self, account: &str, now_ms: i64) {
        if self.own.get(account).is_some_and(|own| own.is_clean(now_ms)) {
            self.own.remove(account);
        }
    }

    /// Whether the breaker for everyone is closed.
    #[must_use]
    pub fn is_closed_for_everyone(&self) -> bool {
        self.everyone.state == State::Closed
    }
}
