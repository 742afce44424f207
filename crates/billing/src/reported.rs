//! What a provider reported of an answer, and how much of it is charged.
//!
//! The one rule: a report is charged where it is possible, and what the gateway measured is charged where it is
//! not. A provider may report several times, may report nothing or zero, and may report nonsense; no report makes an
//! answer cheaper than what was seen of it, and none makes it dearer than its limit and what was delivered.

use crate::ledger::SettledBy;
use crate::usage::Usage;

/// What a provider counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reported {
    /// Its counts; one that it did not tell is 0.
    pub usage: Usage,
    /// Whether it told no output, or told it before there was any: what was seen is to be counted then.
    pub lacks_output: bool,
}

impl From<Usage> for Reported {
    fn from(usage: Usage) -> Self {
        Self { usage, lacks_output: false }
    }
}

impl Reported {
    /// Merges a later report of the same answer into this one. Reports are cumulative, so they are never summed.
    ///
    /// - **Output** only grows while an answer is made: the larger count wins.
    /// - **Input** does not change while an answer is made: the larger total wins, with its split by caches, and of
    ///   equal totals the later one. A report from before the output is preliminary (Anthropic's `message_start`,
    ///   which a gateway may have estimated), so a later one replaces it, unless its total is less than half.
    /// - **Web searches**: the larger count wins.
    #[must_use]
    pub fn then(self, later: Self) -> Self {
        let (before, after) = (self.usage.total_input(), later.usage.total_input());
        let least = if self.lacks_output { before.div_ceil(2) } else { before };
        let input = if after >= least { later.usage } else { self.usage };
        let output = match (self.lacks_output, later.lacks_output) {
            (true, false) => later.usage,
            (false, true) => self.usage,
            _ if later.usage.output >= self.usage.output => later.usage,
            _ => self.usage,
        };
        let usage = Usage {
            output: output.output,
            reasoning: output.reasoning,
            web_searches: self.usage.web_searches.max(later.usage.web_searches),
            ..input
        };
        Self { usage, lacks_output: self.lacks_output && later.lacks_output }
    }
}

/// The most web searches that one answer is charged for: more than any model runs by itself.
const MOST_WEB_SEARCHES: u64 = 100;

/// What is known of an answer before it is made, in tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bounds {
    /// The estimate of the input.
    pub likely_input: u64,
    /// The most input that the model can take.
    pub most_input: u64,
    /// The limit of the output of all choices together.
    pub most_output: u64,
    /// Whether the model may reason out of sight.
    pub hides: bool,
}

/// What the gateway knows of an answer without its provider, in tokens. Output counts are those of all choices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Measured {
    /// The estimate of the input.
    pub likely_input: u64,
    /// The most input that the model can take.
    pub most_input: u64,
    /// The lower bound of the output that was seen.
    pub least_output: u64,
    /// The estimate of the output that was seen, but no more than the limit and what was delivered.
    pub likely_output: u64,
    /// The limit, and the upper bound of what was delivered.
    pub most_output: u64,
    /// Whether the model may have reasoned out of sight, so that more than what was seen was produced.
    pub hides: bool,
}

impl Measured {
    /// What an answer that came to its end is charged for, and who counted it.
    #[must_use]
    pub fn usage(&self, reported: Option<Reported>) -> (Usage, SettledBy) {
        let Some(Reported { usage: told, lacks_output }) = reported else {
            let usage = Usage { input: self.likely_input, output: self.likely_output, ..Usage::default() };
            return (usage, SettledBy::Estimate);
        };
        let mut usage = told;
        let unseen_input = told.total_input() == 0 && self.least_output > 0;
        if unseen_input || told.total_input() > self.most_input {
            usage = Usage { input: self.likely_input, cache_read: 0, cache_write_5m: 0, cache_write_1h: 0, ..usage };
        }
        usage.web_searches = usage.web_searches.min(MOST_WEB_SEARCHES);
        usage.output = match told.output {
            output if lacks_output => output.max(self.likely_output).min(self.most_output),
            output if output < self.least_output => self.likely_output,
            // What is hidden was not measured: as much of it is believed as the limit allows.
            output if output > self.most_output && self.hides => self.most_output,
            output if output > self.most_output => self.likely_output,
            output => output,
        };
        usage.reasoning = usage.reasoning.min(usage.output);
        let by = match usage == told {
            _ if lacks_output => SettledBy::Estimate,
            true => SettledBy::Upstream,
            false => SettledBy::Corrected,
        };
        (usage, by)
    }

    /// The same for a stream that was cut: a provider that reports early reports too little, so the estimate of what
    /// was seen counts where it is more.
    #[must_use]
    pub fn usage_of_cut(&self, reported: Option<Reported>) -> (Usage, SettledBy) {
        let (believed, by) = self.usage(reported);
        let output = believed.output.max(self.likely_output);
        let input = if believed.total_input() == 0 { self.likely_input } else { believed.input };
        let usage = Usage { input, output, ..believed };
        if usage == believed { (believed, by) } else { (usage, SettledBy::Estimate) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counts(input: u64, cache_read: u64, output: u64) -> Reported {
        Usage { input, cache_read, output, ..Usage::default() }.into()
    }

    fn preliminary(input: u64) -> Reported {
        Reported { lacks_output: true, ..counts(input, 0, 1) }
    }

    #[test]
    fn later_reports_neither_add_up_nor_make_an_answer_cheap() {
        for (name, reports, expected) in [
            (
                "a cumulative count repeats",
                vec![counts(10, 0, 1), counts(10, 0, 5), counts(10, 0, 5)],
                counts(10, 0, 5),
            ),
            ("a second one is smaller", vec![counts(10, 0, 5), counts(3, 0, 2)], counts(10, 0, 5)),
            ("a second one is zero", vec![counts(10, 0, 5), counts(0, 0, 0)], counts(10, 0, 5)),
            ("a first one is zero", vec![counts(0, 0, 0), counts(10, 0, 5)], counts(10, 0, 5)),
            ("each has one of two counts", vec![counts(10, 0, 0), counts(0, 0, 5)], counts(10, 0, 5)),
            ("a second one splits the input", vec![counts(10, 0, 1), counts(2, 8, 5)], counts(2, 8, 5)),
            (
                "the beginning was estimated",
                vec![preliminary(34_824), counts(3_883, 30_464, 9)],
                counts(3_883, 30_464, 9),
            ),
            ("the beginning knew the input", vec![preliminary(1_000), counts(1, 0, 9)], counts(1_000, 0, 9)),
            ("the beginning knew no input", vec![preliminary(0), counts(1_000, 0, 9)], counts(1_000, 0, 9)),
            ("the beginning stands twice", vec![preliminary(5), preliminary(6)], preliminary(6)),
            ("the output is lacking later", vec![counts(10, 0, 5), preliminary(10)], counts(10, 0, 5)),
        ] {
            let merged = reports.into_iter().reduce(Reported::then).unwrap();
            assert_eq!(merged, expected, "{name}");
        }
    }

    /// 100 of input, and an answer of 90 to 110 tokens under a limit of 1,000.
    fn measured() -> Measured {
        Measured {
            likely_input: 100,
            most_input: 128_000,
            least_output: 90,
            likely_output: 100,
            most_output: 1_110,
            hides: false,
        }
    }

    #[test]
    fn a_report_is_charged_where_it_is_possible() {
        use SettledBy::{Corrected, Estimate, Upstream};
        let hides = Measured { hides: true, ..measured() };
        let nothing = Measured { least_output: 0, likely_output: 0, most_output: 1_000, ..measured() };
        for (name, measured, reported, usage, by) in [
            ("as it was reported", measured(), Some(counts(7, 8, 95)), counts(7, 8, 95), Upstream),
            ("no report", measured(), None, counts(100, 0, 100), Estimate),
            (
                "no output",
                measured(),
                Some(Reported { lacks_output: true, ..counts(7, 8, 1) }),
                counts(7, 8, 100),
                Estimate,
            ),
            ("0/0 beside visible text", measured(), Some(counts(0, 0, 0)), counts(100, 0, 100), Corrected),
            ("0/0 of an answer without text", nothing, Some(counts(0, 0, 0)), counts(0, 0, 0), Upstream),
            ("no input beside visible text", measured(), Some(counts(0, 0, 95)), counts(100, 0, 95), Corrected),
            ("less than was seen", measured(), Some(counts(7, 0, 89)), counts(7, 0, 100), Corrected),
            ("the lower bound of what was seen", measured(), Some(counts(7, 0, 90)), counts(7, 0, 90), Upstream),
            ("limit and delivered", measured(), Some(counts(7, 0, 1_110)), counts(7, 0, 1_110), Upstream),
            ("beyond limit and delivered", measured(), Some(counts(7, 0, 1_111)), counts(7, 0, 100), Corrected),
            ("the same where reasoning is hidden", hides, Some(counts(7, 0, 1 << 40)), counts(7, 0, 1_110), Corrected),
            ("the whole window", measured(), Some(counts(64_000, 64_000, 95)), counts(64_000, 64_000, 95), Upstream),
            ("beyond the window", measured(), Some(counts(1, 128_000, 95)), counts(100, 0, 95), Corrected),
        ] {
            assert_eq!(measured.usage(reported), (usage.usage, by), "{name}");
        }
    }

    #[test]
    fn a_cut_stream_is_charged_what_was_seen_of_it_at_least() {
        let cut = |reported| measured().usage_of_cut(reported);
        assert_eq!(cut(Some(counts(7, 0, 120))), (counts(7, 0, 120).usage, SettledBy::Upstream));
        assert_eq!(cut(Some(counts(7, 0, 95))), (counts(7, 0, 100).usage, SettledBy::Estimate));
        assert_eq!(cut(None), (counts(100, 0, 100).usage, SettledBy::Estimate));
        let begun = Measured { least_output: 0, likely_output: 0, ..measured() };
        assert_eq!(begun.usage_of_cut(Some(counts(0, 0, 5))), (counts(100, 0, 5).usage, SettledBy::Estimate));
    }

    proptest! {
        #[test]
        fn no_order_of_reports_is_cheaper_than_one_of_them_or_dearer_than_their_most(
            reports in prop::collection::vec((0_u64..1_000, 0_u64..1_000, 0_u64..1_000), 1..6),
        ) {
            let merged = reports.iter().map(|&(input, read, output)| counts(input, read, output)).reduce(Reported::then);
            let merged = merged.unwrap().usage;
            prop_assert_eq!(merged.output, reports.iter().map(|report| report.2).max().unwrap());
            prop_assert_eq!(merged.total_input(), reports.iter().map(|report| report.0 + report.1).max().unwrap());
        }

        #[test]
        fn no_report_is_charged_below_what_was_seen_or_beyond_what_is_possible(
            input in any::<u64>(), read in any::<u64>(), output in any::<u64>(), lacks_output: bool, hides: bool, cut: bool,
        ) {
            let measured = Measured { hides, ..measured() };
            let reported = Some(Reported { lacks_output, ..counts(input, read, output) });
            let (usage, _) = if cut { measured.usage_of_cut(reported) } else { measured.usage(reported) };
            prop_assert!(usage.output >= measured.least_output && usage.output <= measured.most_output, "{usage:?}");
            prop_assert!(usage.total_input() > 0 && usage.total_input() <= measured.most_input, "{usage:?}");
        }
    }
}
