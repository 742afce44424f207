//! One pass over a text that counts its features: runs of characters of one class, and the rare ones among them.
//!
//! The counts do not depend on where the text is split into pieces, and every figure of every vocabulary is a
//! weighted sum of them.

use super::class::{Class, class_of};
use super::common;
use super::feature::{Counts, Feature};
use super::ground::{self, Ground};
use super::{Figures, Vocabulary};

/// The features of a text so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scan {
    counts: Counts,
    bytes: u64,
    /// The run that is open; its length is 0 at the beginning of a text.
    class: Class,
    length: u32,
    /// The class of the run before the open one.
    before: Class,
    /// The last characters of the open run, as far as its class looks at pairs or triples.
    recent: u32,
    ground: Ground,
}

impl Scan {
    /// Appends a piece of the text.
    pub fn push(&mut self, text: &str) {
        self.bytes = self.bytes.saturating_add(u64::try_from(text.len()).unwrap_or(u64::MAX));
        for c in text.chars() {
            let class = class_of(c);
            if class == self.class {
                self.length = self.length.saturating_add(1);
            } else {
                self.change(class);
                self.begin(class, c);
            }
            self.look(class, c);
        }
    }

    /// Ends the text: what comes next is no continuation of it.
    pub fn end(&mut self) {
        self.close(Class::None);
        self.class = Class::None;
        self.before = Class::None;
        self.length = 0;
        self.recent = 0;
        self.ground = Ground::Start;
    }

    /// The figures of the text, as if it ended here.
    pub fn figures(&self, vocabulary: Vocabulary) -> Figures {
        let mut whole = *self;
        whole.end();
        Figures::of(&whole.counts, whole.bytes, vocabulary)
    }

    /// Begins a run of `class`.
    fn change(&mut self, class: Class) {
        // A capital belongs to the word that follows: `Http`, `HTTP` and `Server`.
        if class == Class::Lower && self.class == Class::Upper {
            let capitals = self.length.saturating_sub(1);
            if capitals > 0 {
                self.length = capitals;
                self.close(Class::Lower);
                self.before = Class::Upper;
            }
            self.class = Class::Lower;
            self.length = 2;
            return;
        }
        self.close(class);
        self.before = self.class;
        self.class = class;
        self.length = 1;
        if !(class == Class::Upper && self.before == Class::Lower) {
            self.recent = 0;
        }
    }

    /// Counts a run for the lower bound.
    fn begin(&mut self, class: Class, c: char) {
        if class == Class::Digit {
            self.counts.add(Feature::DigitRuns, 1);
            if self.ground == Ground::Word {
                self.counts.add(Feature::WordDigits, 1);
            }
        }
        let (ground, begins) = self.ground.step(class, c);
        self.ground = ground;
        self.counts.add(Feature::Starts, u32::from(begins));
    }

    /// Counts what is rare about one character, which has just been added to the open run.
    fn look(&mut self, class: Class, c: char) {
        let code = u32::from(c);
        match class {
            Class::Lower | Class::Upper if code < 128 => {
                self.recent = (self.recent << 5 | code & 31) & 0x7fff;
                if !common::letters(self.recent) {
                    self.counts.add(Feature::RareLetters, 1);
                }
            }
            Class::Lower | Class::Upper => {
                self.recent = (self.recent << 5 | 31) & 0x7fff;
                self.counts.add(Feature::Accents, 1);
                if code >= 0x180 {
                    self.counts.add(Feature::RareAccents, 1);
                }
            }
            Class::Symbol => {
                if self.length > 1 {
                    let same = self.recent == code;
                    let pair = if same { Feature::SameSymbols } else { Feature::CommonSymbols };
                    if same || common::symbols(self.recent, code) {
                        self.counts.add(pair, 1);
                    }
                }
                self.recent = code;
            }
            Class::Greek | Class::Cyrillic | Class::Hebrew | Class::Arabic | Class::Indic | Class::Thai => {
                if !common::pair(self.recent, code) {
                    self.counts.add(Feature::rare(class), 1);
                }
                self.recent = code;
            }
            Class::Han | Class::Hangul if !common::character(code) => self.counts.add(Feature::rare(class), 1),
            _ => {}
        }
    }

    fn close(&mut self, next: Class) {
        let length = self.length;
        if length == 0 {
            return;
        }
        let more = length - 1;
        let stretches = more.checked_div(ground::longest(self.class)).unwrap_or(0);
        self.counts.add(Feature::Stretches, stretches);
        let counts = &mut self.counts;
        match self.class {
            Class::None => {}
            Class::Lower => {
                counts.add(Feature::word(length), 1);
                counts.add(Feature::WordBeyond, length.saturating_sub(Feature::LONGEST_WORD));
            }
            Class::Upper => {
                counts.add(Feature::capitals(length), 1);
                counts.add(Feature::CapitalsBeyond, length.saturating_sub(Feature::LONGEST_CAPITALS));
            }
            Class::Digit => {
                counts.add(Feature::Digits, length);
                counts.add(Feature::DigitGroups, length.div_ceil(3));
            }
            Class::Space => {
                let last = match next {
                    Class::Digit => Feature::SpaceDigit,
                    Class::Symbol => Feature::SpaceSymbol,
                    Class::Newline | Class::Tab | Class::None => Feature::SpaceBlank,
                    _ => Feature::SpaceWord,
                };
                counts.add(last, 1);
                if more > 0 {
                    counts.add(Feature::Indents, 1);
                    counts.add(Feature::IndentSpaces, more);
                    counts.add(Feature::IndentBeyond, more.saturating_sub(16));
                }
            }
            Class::Tab => {
                counts.add(Feature::Tabs, 1);
                counts.add(Feature::TabsMore, more);
            }
            Class::Newline => {
                let first = if self.before == Class::Symbol { Feature::SymbolNewline } else { Feature::Newline };
                counts.add(first, 1);
                counts.add(Feature::NewlinesMore, more);
            }
            Class::Symbol => {
                let word = matches!(next, Class::Lower | Class::Upper);
                counts.add(if word { Feature::SymbolWord } else { Feature::Symbol }, 1);
                counts.add(Feature::SymbolsMore, more);
            }
            class => {
                counts.add(Feature::run(class), 1);
                counts.add(Feature::chars(class), length);
            }
        }
    }
}
