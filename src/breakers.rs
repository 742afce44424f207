//! The breakers of this isolate, one for each model of each upstream. Every isolate learns for itself:
//! what it knows is of the last minutes, and asking another would cost more than an attempt.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde::Serialize;

use crate::breaker::model::{Leave, ModelView as BreakerView};
use crate::breaker::{Kind, ModelBreaker, Verdict};
use crate::entropy;
use crate::upstream::Candidate;

/// How many are remembered; then it begins anew. A catalogue has a few hundred.
const MOST: usize = 10_000;

/// (the upstream's id, its own id of the model)
type Key = (String, String);

thread_local! {
    static BREAKERS: RefCell<BTreeMap<Key, ModelBreaker>> = const { RefCell::new(BTreeMap::new()) };
}

/// Why and how long an upstream is not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wait {
    /// Milliseconds.
    pub ms: u64,
    /// Whether it said that it is asked too often.
    pub is_rate_limited: bool,
}

/// A breaker that has been used, with what it belongs to.
#[derive(Debug, Serialize)]
pub struct ModelView {
    /// The upstream's own id of the model.
    pub model: String,
    #[serde(flatten)]
    breaker: BreakerView,
}

/// How long `account` is not to ask `candidate`; `None`: it may ask now.
#[must_use]
pub fn wait(candidate: &Candidate<'_>, account: &str, now_ms: i64) -> Option<Wait> {
    BREAKERS.with_borrow(|breakers| {
        let breaker = breakers.get(&key(candidate))?;
        let is_rate_limited = breaker.last_failure(account) == Some(Kind::RateLimited);
        breaker.wait_ms(account, now_ms).map(|ms| Wait { ms, is_rate_limited })
    })
}

/// Leave for `account` to ask `candidate`; `None`: not now.
pub fn begin(candidate: &Candidate<'_>, account: &str, now_ms: i64) -> Option<Leave> {
    BREAKERS.with_borrow_mut(|breakers| {
        if breakers.len() >= MOST {
            breakers.clear();
        }
        breakers.entry(key(candidate)).or_default().begin(account, now_ms)
    })
}

/// Hears why an attempt at `candidate` brought no answer.
pub fn failed(candidate: &Candidate<'_>, leave: &Leave, verdict: Verdict, now_ms: i64) {
    change(&key(candidate), |breaker, random| breaker.end(leave, verdict, now_ms, random));
}

/// An answer that has begun, or is whole.
#[derive(Debug)]
pub struct Answering {
    key: Key,
    leave: Leave,
}

impl Answering {
    /// Hears that an attempt at `candidate` has brought an answer.
    pub fn of(candidate: &Candidate<'_>, leave: Leave, now_ms: i64) -> Self {
        let key = key(candidate);
        let leave = BREAKERS.with_borrow_mut(|breakers| match breakers.get_mut(&key) {
            Some(breaker) => breaker.begun(leave, now_ms),
            None => leave,
        });
        Self { key, leave }
    }

    /// Hears that its stream came to no good end.
    pub fn broke_off(&self, now_ms: i64) {
        change(&self.key, |breaker, random| breaker.broke_off(&self.leave, now_ms, random));
    }
}

/// Tells a breaker something, with a random number, and the log if it opens by that.
fn change(key: &Key, tell: impl FnOnce(&mut ModelBreaker, u64) -> bool) {
    // Without randomness there is no jitter.
    let random = entropy::random().map(u64::from_le_bytes).unwrap_or(0);
    let opened = BREAKERS.with_borrow_mut(|breakers| {
        let breaker = breakers.get_mut(key)?;
        tell(breaker, random).then(|| breaker.is_closed_for_everyone())
    });
    let (upstream, model) = key;
    match opened {
        Some(false) => worker::console_warn!("upstream {upstream}: {model} is not asked for a while"),
        Some(true) => worker::console_warn!("upstream {upstream}: {model} is not asked by one account for a while"),
        None => {}
    }
}

/// Those of one upstream that have been used, by model.
#[must_use]
pub fn of_upstream(id: &str, now_ms: i64) -> Vec<ModelView> {
    BREAKERS.with_borrow(|breakers| {
        let of_it = breakers.iter().filter(|((upstream, _), _)| upstream == id);
        of_it.map(|((_, model), breaker)| ModelView { model: model.clone(), breaker: breaker.view(now_ms) }).collect()
    })
}

fn key(candidate: &Candidate<'_>) -> Key {
    (candidate.upstream.id.clone(), candidate.route.model.clone())
}
