//! What kind of character each is, as far as tokenizers treat them alike.

/// A kind of character.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Class {
    /// No character: the border of a text.
    #[default]
    None,
    /// Small Latin letters; a word may begin with a capital.
    Lower,
    Upper,
    Digit,
    Space,
    Tab,
    Newline,
    /// Printable ASCII that is neither letter nor digit.
    Symbol,
    Greek,
    Cyrillic,
    Hebrew,
    Arabic,
    /// Devanagari.
    Indic,
    Thai,
    Kana,
    Han,
    /// Punctuation of Chinese and Japanese, and full-width ASCII.
    Wide,
    Hangul,
    /// Quotes and dashes of print.
    Print,
    Emoji,
    /// Joiners, and the sign that makes an emoji of a symbol.
    Joiner,
    /// Spaces beyond ASCII.
    Blank,
    /// Characters that the normal form NFC, which some tokenizers apply first, takes apart into longer ones.
    Parted,
    /// Other characters of two bytes, here and in the next two: of three and of four.
    Two,
    Three,
    Four,
    /// Control characters of ASCII.
    Control,
}

use Class::{Control, Digit, Lower, Newline, Space, Symbol, Tab, Upper};

const ASCII: [Class; 128] = {
    let mut table = [Symbol; 128];
    let mut byte = 0;
    while byte < 128 {
        #[expect(clippy::indexing_slicing, reason = "the table is built at compile time")]
        {
            table[byte as usize] = match byte {
                b'a'..=b'z' => Lower,
                b'A'..=b'Z' => Upper,
                b'0'..=b'9' => Digit,
                b' ' => Space,
                b'\t' => Tab,
                b'\n' | b'\r' => Newline,
                b'!'..=b'~' => Symbol,
                _ => Control,
            };
        }
        byte += 1;
    }
    table
};

/// The class of a character.
pub fn class_of(c: char) -> Class {
    let code = c as usize;
    match ASCII.get(code) {
        Some(class) => *class,
        None => beyond_ascii(c),
    }
}

fn beyond_ascii(c: char) -> Class {
    match c {
        '\u{344}' | '\u{958}'..='\u{95f}' | '\u{9dc}'..='\u{9df}' | '\u{a33}'..='\u{a36}' | '\u{a59}'..='\u{a5e}' => {
            Class::Parted
        }
        '\u{b5c}' | '\u{b5d}' | '\u{f43}'..='\u{fb9}' | '\u{2adc}' | '\u{fb1d}'..='\u{fb4e}' => Class::Parted,
        '\u{1d15e}'..='\u{1d164}' | '\u{1d1bb}'..='\u{1d1c0}' => Class::Parted,
        '\u{d7}' | '\u{f7}' => Class::Two,
        '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' => {
            if c.is_uppercase() {
                Upper
            } else {
                Lower
            }
        }
        '\u{386}'..='\u{3ce}' => Class::Greek,
        '\u{400}'..='\u{45f}' | '\u{490}'..='\u{491}' => Class::Cyrillic,
        '\u{5d0}'..='\u{5ea}' => Class::Hebrew,
        '\u{60c}' | '\u{61b}' | '\u{61f}'..='\u{652}' | '\u{67e}' | '\u{686}' | '\u{6a9}' | '\u{6af}' | '\u{6cc}' => {
            Class::Arabic
        }
        '\u{900}'..='\u{97f}' => Class::Indic,
        '\u{e01}'..='\u{e4e}' => Class::Thai,
        '\u{a0}' | '\u{2000}'..='\u{200b}' | '\u{3000}' => Class::Blank,
        '\u{200c}' | '\u{200d}' | '\u{fe0f}' => Class::Joiner,
        '\u{30fb}' => Class::Wide,
        '\u{3005}'..='\u{3007}' | '\u{3041}'..='\u{30ff}' => Class::Kana,
        '\u{4e00}'..='\u{9fff}' => Class::Han,
        '\u{3001}'..='\u{3020}' | '\u{ff01}'..='\u{ff5e}' => Class::Wide,
        '\u{ac00}'..='\u{d7a3}' => Class::Hangul,
        '\u{2010}'..='\u{203a}' => Class::Print,
        '\u{2600}'..='\u{27bf}' | '\u{1f300}'..='\u{1faff}' => Class::Emoji,
        ..'\u{800}' => Class::Two,
        ..'\u{10000}' => Class::Three,
        _ => Class::Four,
    }
}
