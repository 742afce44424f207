//! Where a token must begin: the places that the lower bound counts.
//!
//! The count of a text is never more than those of its parts together, for what comes first in a part counts at least
//! as much as anywhere else. No token of the known vocabularies counts more than one, so a text counts no more than
//! it has tokens, however it is cut. `tests/token-figures` checks this for every token.

use super::class::Class;

/// What stands before a character.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ground {
    /// The beginning of a text.
    #[default]
    Start,
    Word,
    Digit,
    /// Blanks, behind which a line break begins a token.
    Blank,
    /// Blanks behind a line break or a mark, whose token may hold the next line break.
    Covered,
    Line,
    /// Symbols, and characters that share tokens with them.
    Mark,
}

impl Ground {
    /// The ground behind a character, and whether a token must begin with the character. Digits are counted apart.
    pub fn step(self, class: Class, c: char) -> (Self, bool) {
        use Ground::{Blank, Covered, Digit, Line, Mark, Start, Word};
        let behind_blank = matches!(self, Start | Blank | Covered);
        match class {
            Class::None | Class::Joiner => (self, false),
            Class::Space | Class::Tab | Class::Blank => {
                let covered = matches!(self, Line | Mark | Covered);
                (if covered { Covered } else { Blank }, false)
            }
            Class::Newline => (Line, matches!(self, Start | Word | Digit | Blank)),
            Class::Digit => (Digit, false),
            Class::Lower | Class::Upper | Class::Greek | Class::Cyrillic | Class::Hebrew => {
                (Word, behind_blank || matches!(self, Digit | Line))
            }
            Class::Kana | Class::Han | Class::Hangul => (Word, behind_blank || matches!(self, Digit | Line)),
            Class::Symbol | Class::Wide | Class::Print | Class::Emoji | Class::Control => {
                // Tokens such as ` don't`, `<td>` and ` <` exist.
                let begins = match self {
                    Word | Digit => !matches!(c, '\'' | '\u{2019}' | '>'),
                    Blank | Covered => c != '<',
                    _ => behind_blank,
                };
                (Mark, begins)
            }
            // Their vowel signs and punctuation share tokens with symbols and line breaks.
            Class::Arabic | Class::Indic | Class::Thai | Class::Parted | Class::Two | Class::Three | Class::Four => {
                (Mark, behind_blank)
            }
        }
    }
}

/// The longest run of characters of a class in one token, with room to spare.
pub fn longest(class: Class) -> u32 {
    match class {
        Class::Lower | Class::Upper => 128,
        Class::Han => 24,
        Class::Greek | Class::Cyrillic | Class::Hebrew | Class::Arabic | Class::Indic | Class::Thai => 40,
        Class::Kana | Class::Hangul => 40,
        _ => u32::MAX,
    }
}
