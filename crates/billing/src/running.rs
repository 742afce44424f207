//! Whether a stream that runs may go on: purely, so that recorded streams can be run against the same rule.
//!
//! The one rule: a stream is stopped for passing its limit only where the **lower bound** of its tokens has passed it,
//! and for lack of money only where its hold cannot grow and the **estimate** has come within a margin of what the hold
//! covers (64 tokens, or a quarter of a small hold). A provider that keeps to the limit is never cut by an estimate that
//! is too high: where the hold covers the limit, nothing is to grow.

/// How much of a hold's output may be used before the hold grows, in hundredths.
const GROW_AT_PERCENT: u64 = 70;

/// How much of a hold that cannot grow is left when the stream is stopped, in tokens: what comes in one more read is
/// then still paid for. At most a quarter of the hold.
const STOP_MARGIN_TOKENS: u64 = 64;

/// A stream that runs: tokens of all choices together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Running {
    /// The lower bound of what was seen.
    pub least: u64,
    /// The estimate of what was seen.
    pub likely: u64,
    /// What the hold covers; `None`: the model's output costs nothing.
    pub covered: Option<u64>,
    /// The limit that the provider was told, or keeps to by itself.
    pub limit: u64,
}

/// What is done with a stream that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The hold covers what comes.
    GoOn,
    /// The hold should grow; the stream goes on also where it cannot.
    Grow,
    /// The hold is used up: the stream goes on only where it grows.
    GrowOrStop,
    /// The provider does not keep to the limit.
    Stop,
}

impl Running {
    /// What is done with the stream now.
    #[must_use]
    pub fn next(&self) -> Next {
        if self.least > self.limit {
            return Next::Stop;
        }
        match self.covered {
            Some(covered) if covered < self.limit => {
                let margin = STOP_MARGIN_TOKENS.min(covered.div_euclid(4));
                if self.likely.saturating_add(margin) >= covered {
                    Next::GrowOrStop
                } else if self.likely.saturating_mul(100) >= covered.saturating_mul(GROW_AT_PERCENT) {
                    Next::Grow
                } else {
                    Next::GoOn
                }
            }
            _ => Next::GoOn,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_certain_stops_a_stream_and_holds_grow_by_the_estimate() {
        for (name, least, likely, covered, limit, expected) in [
            ("nothing yet", 0, 0, Some(100), 1_000, Next::GoOn),
            ("most of the hold is left", 50, 69, Some(100), 1_000, Next::GoOn),
            ("most of the hold is used", 50, 70, Some(100), 1_000, Next::Grow),
            ("a quarter of a small hold is left", 50, 75, Some(100), 1_000, Next::GrowOrStop),
            ("more than the margin is left", 50, 935, Some(1_000), 2_000, Next::Grow),
            ("the hold is used up but for the margin", 50, 936, Some(1_000), 2_000, Next::GrowOrStop),
            ("the hold is used up", 80, 100, Some(100), 1_000, Next::GrowOrStop),
            ("the hold covers the limit, which the estimate has passed", 900, 1_500, Some(1_000), 1_000, Next::GoOn),
            ("at the limit for certain", 1_000, 1_500, Some(1_000), 1_000, Next::GoOn),
            ("beyond it for certain", 1_001, 1_500, Some(1_000), 1_000, Next::Stop),
            ("the hold covers more than the limit", 10, 90, Some(200), 100, Next::GoOn),
            ("output is free", 900, 950, None, 1_000, Next::GoOn),
            ("free output beyond the limit", 1_001, 1_100, None, 1_000, Next::Stop),
            ("the largest counts", u64::MAX, u64::MAX, Some(u64::MAX), u64::MAX, Next::GoOn),
        ] {
            assert_eq!(Running { least, likely, covered, limit }.next(), expected, "{name}");
        }
    }
}
