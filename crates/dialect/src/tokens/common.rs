//! Which combinations of characters are common: nearly every vocabulary has tokens that hold them.
//!
//! `tests/token-figures/tables.mjs` writes the tables, one bit each, from the vocabularies themselves.

/// Runs of up to three Latin letters, five bits a letter; 0 stands before the first one.
const LETTERS: &[u8; 4096] = include_bytes!("common/letters.bin");
/// Pairs of ASCII symbols, seven bits each.
const SYMBOLS: &[u8; 2048] = include_bytes!("common/symbols.bin");
/// Pairs of letters of one script: six blocks of 128 characters, seven bits each.
const PAIRS: &[u8; 12288] = include_bytes!("common/pairs.bin");
/// Characters from the first Han to the last Hangul syllable.
const CHARACTERS: &[u8; 4406] = include_bytes!("common/characters.bin");

/// The first characters of the blocks of [`PAIRS`]: Greek, Cyrillic, Hebrew, Arabic, Devanagari and Thai.
const BLOCKS: [u32; 6] = [0x380, 0x400, 0x580, 0x600, 0x900, 0xe00];
const FIRST_CHARACTER: u32 = 0x4e00;

/// Whether words often hold these letters in a row.
pub fn letters(three: u32) -> bool {
    bit(LETTERS, three)
}

/// Whether two symbols often stand together.
pub fn symbols(first: u32, second: u32) -> bool {
    bit(SYMBOLS, (first & 127) << 7 | second & 127)
}

/// Whether two letters of a script often stand together; `first` is 0 at the beginning of a word.
pub fn pair(first: u32, second: u32) -> bool {
    if first == 0 {
        return true;
    }
    let block = BLOCKS.iter().zip(0..).find(|(base, _)| (**base..**base + 128).contains(&second));
    block.is_some_and(|(_, block)| bit(PAIRS, block << 14 | (first & 127) << 7 | second & 127))
}

/// Whether a Han character or a Hangul syllable is a token of its own.
pub fn character(code: u32) -> bool {
    bit(CHARACTERS, code.saturating_sub(FIRST_CHARACTER))
}

fn bit(table: &[u8], place: u32) -> bool {
    table.get(place as usize >> 3).is_some_and(|byte| byte >> (place & 7) & 1 == 1)
}
