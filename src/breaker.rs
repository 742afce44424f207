//! Whether an upstream is worth asking for a model: a circuit breaker. Pure: time and randomness are arguments.
//!
//! The first rule: an upstream that is down costs one failed attempt a period, not one a request. Five failures in a
//! row, or more than half of the attempts of a minute, open the breaker for a while; then one attempt, the probe, says
//! whether it is closed again. A stream counts as an answer when it has begun, and as a failure of that minute when it
//! breaks off.
//!
//! The second rule: no account keeps an upstream from another one. An account can provoke failures, by a request
//! that a provider fails at. So each account that has met failures has a breaker of its own, and the breaker that
//! stands for everyone opens by the failures of several accounts alone ([`ModelBreaker`]).

pub mod model;

use std::collections::BTreeMap;

pub use model::ModelBreaker;

use serde::Serialize;

/// So many failures in a row open it.
const MOST_IN_A_ROW: u32 = 5;
/// A rate is judged from so many attempts on; of fewer a half says little.
const LEAST_ATTEMPTS: u32 = 20;
/// Half of the time over which the rate is taken, in milliseconds.
const HALF_WINDOW_MS: i64 = 30_000;

/// How long it is open at first, in milliseconds; each failed probe doubles it.
const FIRST_OPEN_MS: i64 = 5_000;
/// How long it is open at most by its own judgement, in milliseconds, before the jitter.
const MOST_OPEN_MS: i64 = 60_000;
/// The longest `retry-after` that is obeyed, in milliseconds: what is told for a day may end in an hour.
const MOST_TOLD_MS: i64 = 300_000;
/// The jitter is so much of the period at most, one part in: isolates do not come back all at once.
const JITTER_PART: i64 = 4;

/// How long a probe is waited for, in milliseconds: one whose machine has gone never tells.
const PROBE_MS: i64 = 60_000;
/// What a request is told to wait that comes while the probe runs, in milliseconds.
const PROBE_WAIT_MS: i64 = 1_000;

/// How many groups of accounts are told apart. Accounts that fall into one group count as one.
const GROUPS: u64 = 32;

/// How many accounts must have met failures before a breaker opens, and how much each of them counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Quorum {
    /// So many groups have failures.
    groups: usize,
    /// The failures of one group that count in a row.
    most_in_a_row: u32,
    /// So many groups' probes must fail before a breaker is open for another period.
    probes: usize,
}

/// Of a breaker that one account has.
const OWN: Quorum = Quorum { groups: 1, most_in_a_row: MOST_IN_A_ROW, probes: 1 };
/// Of the breaker for everyone. Of five failures in a row at least three accounts have one.
const EVERYONE: Quorum = Quorum { groups: 3, most_in_a_row: 2, probes: 2 };

/// Why an attempt counts against its upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// No connection, or it broke.
    Unreachable,
    /// Too slow.
    TimedOut,
    /// 429.
    RateLimited,
    /// 5xx and 408.
    ServerError,
    /// 401 and 402: the operator's key or account there.
    Credentials,
    /// A success that is no answer.
    NotAnAnswer,
    /// A stream that had begun broke off, fell silent or ended in an error.
    BrokeOff,
}

/// What an attempt says of its upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It answers.
    Answered,
    /// It does not.
    Failed {
        /// Why.
        kind: Kind,
        /// When it wants to be asked again, in seconds.
        retry_after_s: Option<u64>,
    },
    /// Nothing: what failed may be the request.
    Nothing,
}

/// Leave to ask, to be handed back with a [`Verdict`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    generation: u64,
    /// Whose it is.
    group: u8,
}

/// Where a breaker stands. Times are in milliseconds since the epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Closed,
    /// Nobody asks until then; the next one after it is the probe.
    Open { until_ms: i64 },
    /// The probe runs; when it has not told by then, another may.
    Probing { until_ms: i64 },
}

/// A breaker of one model at one upstream: an account's own, or the one for everyone.
#[derive(Debug, Clone)]
pub struct Breaker {
    quorum: Quorum,
    state: State,
    /// Goes up with each change of the state. An attempt of an earlier state is counted and decides nothing.
    generation: u64,
    /// The failures since the last success, by group.
    in_a_row: BTreeMap<u8, u32>,
    /// The groups whose probes have failed since the breaker was open, and until when they do not probe again.
    failed_probes: BTreeMap<u8, i64>,
    /// How often the breaker has opened since it last was closed.
    opened_in_a_row: u32,
    window: Window,
    failures: BTreeMap<Kind, u64>,
    last_failure: Option<(Kind, i64)>,
}

/// What an operator is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct View {
    /// `closed`, `open` or `half_open`.
    pub state: &'static str,
    /// How long until it may be asked again, in milliseconds; 0: now.
    pub wait_ms: u64,
    /// Since the last success.
    pub failures_in_a_row: u32,
    /// Attempts of the last 30 to 60 s.
    pub recent_attempts: u32,
    /// Those of them that failed.
    pub recent_failures: u32,
    /// By kind, since the isolate began.
    pub failures: BTreeMap<Kind, u64>,
    /// The kind of the last one.
    pub last_failure: Option<Kind>,
    /// When that was, in milliseconds since the epoch.
    pub last_failure_at_ms: Option<i64>,
}

impl Default for Breaker {
    fn default() -> Self {
        Self::of(OWN)
    }
}

/// The group of an account, by any text that names it.
fn group_of(account: &str) -> u8 {
    // FNV-1a: small, and the same everywhere.
    let hash = account
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    hash.checked_rem(GROUPS).and_then(|group| u8::try_from(group).ok()).unwrap_or(0)
}

impl Breaker {
    fn of(quorum: Quorum) -> Self {
        Self {
            quorum,
            state: State::Closed,
            generation: 0,
            in_a_row: BTreeMap::new(),
            failed_probes: BTreeMap::new(),
            opened_in_a_row: 0,
            window: Window::default(),
            failures: BTreeMap::new(),
            last_failure: None,
        }
    }

    /// How long `group` is not to ask the upstream, in milliseconds; `None`: it may ask now.
    fn wait_ms(&self, group: u8, now_ms: i64) -> Option<u64> {
        let left = |until_ms: i64| until_ms.checked_sub(now_ms).filter(|left| (1..=MOST_TOLD_MS).contains(left));
        let wait = match self.state {
            State::Closed => None,
            // A clock that was set back does not keep the breaker open for ever.
            State::Open { until_ms } => left(until_ms).or_else(|| left(*self.failed_probes.get(&group)?)),
            State::Probing { until_ms } => left(until_ms).map(|_| PROBE_WAIT_MS),
        };
        wait.map(i64::unsigned_abs)
    }

    /// Whether nothing is left of any failure, so that a new breaker would do the same.
    fn is_clean(&self, now_ms: i64) -> bool {
        let mut window = self.window.clone();
        window.roll(now_ms);
        self.state == State::Closed && self.in_a_row.is_empty() && self.opened_in_a_row == 0 && window.sum().1 == 0
    }

    /// Why it last failed.
    #[must_use]
    fn last_failure(&self) -> Option<Kind> {
        self.last_failure.map(|(kind, _)| kind)
    }

    /// Leave to ask the upstream; `None`: not now. Of a breaker whose time is over, one caller gets it.
    fn begin(&mut self, group: u8, now_ms: i64) -> Option<Attempt> {
        if self.wait_ms(group, now_ms).is_some() {
            return None;
        }
        if self.state != State::Closed {
            self.change(State::Probing { until_ms: now_ms.saturating_add(PROBE_MS) });
        }
        Some(Attempt { generation: self.generation, group })
    }

    /// Hears how an attempt ended; `random` is any number. Whether the breaker opened.
    fn end(&mut self, attempt: Attempt, verdict: Verdict, now_ms: i64, random: u64) -> bool {
        if let Verdict::Failed { kind, .. } = verdict {
            self.note_failure(kind, now_ms);
        }
        if attempt.generation != self.generation {
            return false;
        }
        match verdict {
            Verdict::Answered => {
                self.in_a_row.clear();
                self.failed_probes.clear();
                self.opened_in_a_row = 0;
                self.window.note(attempt.group, false, now_ms);
                if self.state != State::Closed {
                    self.change(State::Closed);
                }
                false
            }
            Verdict::Nothing => {
                // The next request is the probe.
                if self.state != State::Closed {
                    self.change(State::Open { until_ms: now_ms });
                }
                false
            }
            Verdict::Failed { retry_after_s, .. } => {
                let in_a_row = self.in_a_row.entry(attempt.group).or_default();
                *in_a_row = in_a_row.saturating_add(1);
                self.window.note(attempt.group, true, now_ms);
                let told_ms = retry_after_s.filter(|seconds| *seconds > 0).map(told_ms);
                if self.state == State::Closed {
                    let is_told = told_ms.is_some() && self.in_a_row.len() >= self.quorum.groups;
                    if !is_told && !self.is_row_long() && !self.window.is_bad(self.quorum.groups) {
                        return false;
                    }
                } else {
                    let again_ms = now_ms.saturating_add(told_ms.unwrap_or_else(|| self.period_ms(random)));
                    self.failed_probes.insert(attempt.group, again_ms);
                    if self.failed_probes.len() < self.quorum.probes {
                        // Another account may probe at once.
                        self.change(State::Open { until_ms: now_ms });
                        return false;
                    }
                }
                let open_ms = told_ms.unwrap_or_else(|| self.next_period_ms(random));
                self.open(now_ms, open_ms);
                true
            }
        }
    }

    /// Hears that an attempt's stream has begun: it answers. With what this gives, [`Self::broke_off`] may
    /// still hear of its end.
    fn begun(&mut self, attempt: Attempt, now_ms: i64) -> Attempt {
        let decides = attempt.generation == self.generation;
        self.end(attempt, Verdict::Answered, now_ms, 0);
        if decides { Attempt { generation: self.generation, ..attempt } } else { attempt }
    }

    /// Hears that a stream which had begun came to no good end; `random` is any number. Whether it opened.
    ///
    /// What had counted as an answer is a failure now. It counts in the rate alone: one accident breaks all
    /// streams that run, which says little of the next one.
    fn broke_off(&mut self, attempt: Attempt, now_ms: i64, random: u64) -> bool {
        self.note_failure(Kind::BrokeOff, now_ms);
        if attempt.generation != self.generation || self.state != State::Closed {
            return false;
        }
        self.window.turn(attempt.group, now_ms);
        let is_down = self.window.is_bad(self.quorum.groups);
        if is_down {
            let open_ms = self.next_period_ms(random);
            self.open(now_ms, open_ms);
        }
        is_down
    }

    /// What an operator is shown.
    #[must_use]
    fn view(&self, now_ms: i64) -> View {
        let mut window = self.window.clone();
        window.roll(now_ms);
        let (recent_attempts, recent_failures) = window.sum();
        View {
            state: match self.state {
                State::Closed => "closed",
                State::Open { .. } => "open",
                State::Probing { .. } => "half_open",
            },
            wait_ms: self.all_wait_ms(now_ms).unwrap_or(0),
            failures_in_a_row: self.in_a_row.values().copied().fold(0, u32::saturating_add),
            recent_attempts,
            recent_failures,
            failures: self.failures.clone(),
            last_failure: self.last_failure(),
            last_failure_at_ms: self.last_failure.map(|(_, at_ms)| at_ms),
        }
    }

    /// How long no account may ask, in milliseconds.
    fn all_wait_ms(&self, now_ms: i64) -> Option<u64> {
        // No account is in this group, so no failed probe is of it.
        self.wait_ms(u8::MAX, now_ms)
    }

    fn is_row_long(&self) -> bool {
        let each = self.in_a_row.values().map(|failures| (*failures).min(self.quorum.most_in_a_row));
        each.fold(0, u32::saturating_add) >= MOST_IN_A_ROW
    }

    fn note_failure(&mut self, kind: Kind, now_ms: i64) {
        let count = self.failures.entry(kind).or_default();
        *count = count.saturating_add(1);
        self.last_failure = Some((kind, now_ms));
    }

    fn open(&mut self, now_ms: i64, open_ms: i64) {
        self.window = Window::default();
        self.failed_probes.clear();
        self.change(State::Open { until_ms: now_ms.saturating_add(open_ms) });
    }

    fn change(&mut self, state: State) {
        self.state = state;
        self.generation = self.generation.wrapping_add(1);
    }

    /// How long the breaker opens now, jitter included.
    fn next_period_ms(&mut self, random: u64) -> i64 {
        let period_ms = self.period_ms(random);
        self.opened_in_a_row = self.opened_in_a_row.saturating_add(1);
        period_ms
    }

    fn period_ms(&self, random: u64) -> i64 {
        let doubled = 2_i64.saturating_pow(self.opened_in_a_row).saturating_mul(FIRST_OPEN_MS).min(MOST_OPEN_MS);
        let most_jitter = doubled.checked_div(JITTER_PART).unwrap_or(0).unsigned_abs();
        let jitter = random.checked_rem(most_jitter.saturating_add(1)).unwrap_or(0);
        doubled.saturating_add_unsigned(jitter)
    }
}

fn told_ms(seconds: u64) -> i64 {
    i64::try_from(seconds.saturating_mul(1_000)).unwrap_or(i64::MAX).min(MOST_TOLD_MS)
}

/// Attempts and failures of the last 30 to 60 s, by group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Window {
    /// When the running half began.
    began_ms: i64,
    running: BTreeMap<u8, Tally>,
    before: BTreeMap<u8, Tally>,
}

/// Attempts, and those of them that failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Tally {
    attempts: u32,
    failures: u32,
}

impl Tally {
    fn plus(self, other: Self) -> Self {
        let attempts = self.attempts.saturating_add(other.attempts);
        Self { attempts, failures: self.failures.saturating_add(other.failures) }
    }

    fn is_bad(self) -> bool {
        self.failures.saturating_mul(2) > self.attempts
    }
}

impl Window {
    fn note(&mut self, group: u8, failed: bool, now_ms: i64) {
        self.roll(now_ms);
        let tally = self.running.entry(group).or_default();
        *tally = tally.plus(Tally { attempts: 1, failures: u32::from(failed) });
    }

    /// An attempt that was noted as an answer has failed after all. It may have been noted before the window: there
    /// are never more failures than attempts.
    fn turn(&mut self, group: u8, now_ms: i64) {
        self.roll(now_ms);
        let Tally { attempts, failures } = self.of(group);
        if failures < attempts {
            let tally = self.running.entry(group).or_default();
            tally.failures = tally.failures.saturating_add(1);
        }
    }

    fn roll(&mut self, now_ms: i64) {
        let age_ms = now_ms.saturating_sub(self.began_ms);
        if (0..HALF_WINDOW_MS).contains(&age_ms) {
            return;
        }
        let follows = (HALF_WINDOW_MS..HALF_WINDOW_MS.saturating_mul(2)).contains(&age_ms);
        let before = if follows { std::mem::take(&mut self.running) } else { BTreeMap::new() };
        *self = Self { began_ms: now_ms, running: BTreeMap::new(), before };
    }

    fn of(&self, group: u8) -> Tally {
        let [running, before] = [&self.running, &self.before].map(|half| half.get(&group).copied().unwrap_or_default());
        running.plus(before)
    }

    /// The tallies of all groups that have asked.
    fn groups(&self) -> impl Iterator<Item = Tally> {
        let more = self.before.keys().filter(|group| !self.running.contains_key(group));
        self.running.keys().chain(more).map(|group| self.of(*group))
    }

    /// Attempts and failures of all.
    fn sum(&self) -> (u32, u32) {
        let Tally { attempts, failures } = self.groups().fold(Tally::default(), Tally::plus);
        (attempts, failures)
    }

    /// Whether more than half of the groups fail at more than half of their attempts, and `least` of them at all.
    fn is_bad(&self, least: usize) -> bool {
        let (attempts, _) = self.sum();
        let (all, bad) = (self.groups().count(), self.groups().filter(|tally| tally.is_bad()).count());
        attempts >= LEAST_ATTEMPTS && bad >= least && bad.saturating_mul(2) > all
    }
}

#[cfg(test)]
#[path = "breaker/tests.rs"]
mod tests;
