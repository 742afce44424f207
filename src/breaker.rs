//! Whether an upstream is worth asking for a model: a circuit breaker, purely.
//!
//! The one rule: an upstream that is down costs one failed attempt a period, not one a request. Five
//! failures in a row, or more than half of the attempts of a minute, open it for a while; then one
//! attempt, the probe, says whether it is closed again. A stream counts as an answer when it has begun,
//! and as a failure of that minute when it breaks off. Time and randomness are arguments.

use std::collections::BTreeMap;

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

/// The breaker of one model at one upstream.
#[derive(Debug, Clone, Default)]
pub struct Breaker {
    state: State,
    /// Goes up with each change of the state. An attempt of an earlier one is counted and decides nothing.
    generation: u64,
    failures_in_a_row: u32,
    /// How often it has opened since it last was closed.
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

impl Breaker {
    /// How long the upstream is not to be asked, in milliseconds; `None`: it may be asked now.
    #[must_use]
    pub fn wait_ms(&self, now_ms: i64) -> Option<u64> {
        let left = |until_ms: i64| until_ms.checked_sub(now_ms).filter(|left| (1..=MOST_TOLD_MS).contains(left));
        let wait = match self.state {
            State::Closed => None,
            // A clock that was set back does not keep it open for ever.
            State::Open { until_ms } => left(until_ms),
            State::Probing { until_ms } => left(until_ms).map(|_| PROBE_WAIT_MS),
        };
        wait.map(i64::unsigned_abs)
    }

    /// Why it last failed.
    #[must_use]
    pub fn last_failure(&self) -> Option<Kind> {
        self.last_failure.map(|(kind, _)| kind)
    }

    /// Leave to ask the upstream; `None`: not now. Of an open one whose time is over, one caller gets it.
    pub fn begin(&mut self, now_ms: i64) -> Option<Attempt> {
        if self.wait_ms(now_ms).is_some() {
            return None;
        }
        if self.state != State::Closed {
            self.change(State::Probing { until_ms: now_ms.saturating_add(PROBE_MS) });
        }
        Some(Attempt { generation: self.generation })
    }

    /// Hears how an attempt ended; `random` is any number. Whether it opened.
    pub fn end(&mut self, attempt: Attempt, verdict: Verdict, now_ms: i64, random: u64) -> bool {
        if let Verdict::Failed { kind, .. } = verdict {
            self.note_failure(kind, now_ms);
        }
        if attempt.generation != self.generation {
            return false;
        }
        match verdict {
            Verdict::Answered => {
                (self.failures_in_a_row, self.opened_in_a_row) = (0, 0);
                self.window.note(false, now_ms);
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
                self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
                self.window.note(true, now_ms);
                let told_ms = retry_after_s.filter(|seconds| *seconds > 0).map(told_ms);
                let is_down = self.failures_in_a_row >= MOST_IN_A_ROW || self.window.is_bad();
                if told_ms.is_none() && self.state == State::Closed && !is_down {
                    return false;
                }
                let open_ms = told_ms.unwrap_or_else(|| self.next_period_ms(random));
                self.open(now_ms, open_ms);
                true
            }
        }
    }

    /// Hears that an attempt's stream has begun: it answers. With what this gives, [`Self::broke_off`] may
    /// still hear of its end.
    pub fn begun(&mut self, attempt: Attempt, now_ms: i64) -> Attempt {
        let decides = attempt.generation == self.generation;
        self.end(attempt, Verdict::Answered, now_ms, 0);
        if decides { Attempt { generation: self.generation } } else { attempt }
    }

    /// Hears that a stream which had begun came to no good end; `random` is any number. Whether it opened.
    ///
    /// What had counted as an answer is a failure now. It counts in the rate alone: one accident breaks all
    /// streams that run, which says little of the next one.
    pub fn broke_off(&mut self, attempt: Attempt, now_ms: i64, random: u64) -> bool {
        self.note_failure(Kind::BrokeOff, now_ms);
        if attempt.generation != self.generation || self.state != State::Closed {
            return false;
        }
        self.window.turn(now_ms);
        let is_down = self.window.is_bad();
        if is_down {
            let open_ms = self.next_period_ms(random);
            self.open(now_ms, open_ms);
        }
        is_down
    }

    /// What an operator is shown.
    #[must_use]
    pub fn view(&self, now_ms: i64) -> View {
        let mut window = self.window;
        window.roll(now_ms);
        let (recent_attempts, recent_failures) = window.sum();
        View {
            state: match self.state {
                State::Closed => "closed",
                State::Open { .. } => "open",
                State::Probing { .. } => "half_open",
            },
            wait_ms: self.wait_ms(now_ms).unwrap_or(0),
            failures_in_a_row: self.failures_in_a_row,
            recent_attempts,
            recent_failures,
            failures: self.failures.clone(),
            last_failure: self.last_failure(),
            last_failure_at_ms: self.last_failure.map(|(_, at_ms)| at_ms),
        }
    }

    fn note_failure(&mut self, kind: Kind, now_ms: i64) {
        let count = self.failures.entry(kind).or_default();
        *count = count.saturating_add(1);
        self.last_failure = Some((kind, now_ms));
    }

    fn open(&mut self, now_ms: i64, open_ms: i64) {
        self.window = Window::default();
        self.change(State::Open { until_ms: now_ms.saturating_add(open_ms) });
    }

    fn change(&mut self, state: State) {
        self.state = state;
        self.generation = self.generation.wrapping_add(1);
    }

    /// How long it opens now, jitter included.
    fn next_period_ms(&mut self, random: u64) -> i64 {
        let doubled = 2_i64.saturating_pow(self.opened_in_a_row).saturating_mul(FIRST_OPEN_MS).min(MOST_OPEN_MS);
        self.opened_in_a_row = self.opened_in_a_row.saturating_add(1);
        let most_jitter = doubled.checked_div(JITTER_PART).unwrap_or(0).unsigned_abs();
        let jitter = random.checked_rem(most_jitter.saturating_add(1)).unwrap_or(0);
        doubled.saturating_add_unsigned(jitter)
    }
}

fn told_ms(seconds: u64) -> i64 {
    i64::try_from(seconds.saturating_mul(1_000)).unwrap_or(i64::MAX).min(MOST_TOLD_MS)
}

/// Attempts and failures of the last 30 to 60 s.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Window {
    /// When the running half began.
    began_ms: i64,
    running: (u32, u32),
    before: (u32, u32),
}

impl Window {
    fn note(&mut self, failed: bool, now_ms: i64) {
        self.roll(now_ms);
        let (attempts, failures) = self.running;
        self.running = (attempts.saturating_add(1), failures.saturating_add(u32::from(failed)));
    }

    /// One that was noted as an answer has failed after all. It may have been noted before the window: there
    /// are never more failures than attempts.
    fn turn(&mut self, now_ms: i64) {
        self.roll(now_ms);
        let (attempts, failures) = self.sum();
        if failures < attempts {
            self.running.1 = self.running.1.saturating_add(1);
        }
    }

    fn roll(&mut self, now_ms: i64) {
        let age_ms = now_ms.saturating_sub(self.began_ms);
        if (0..HALF_WINDOW_MS).contains(&age_ms) {
            return;
        }
        let follows = (HALF_WINDOW_MS..HALF_WINDOW_MS.saturating_mul(2)).contains(&age_ms);
        let before = if follows { self.running } else { (0, 0) };
        *self = Self { began_ms: now_ms, running: (0, 0), before };
    }

    fn sum(&self) -> (u32, u32) {
        let ((attempts, failures), (more, failed)) = (self.running, self.before);
        (attempts.saturating_add(more), failures.saturating_add(failed))
    }

    fn is_bad(&self) -> bool {
        let (attempts, failures) = self.sum();
        attempts >= LEAST_ATTEMPTS && failures.saturating_mul(2) > attempts
    }
}

#[cfg(test)]
#[path = "breaker/tests.rs"]
mod tests;
