//! How many tokens a text is, roughly, in one pass and without a tokenizer.
//!
//! Used where no provider has counted: for the size of a hold and for what a cut stream produced. A
//! provider's own count is always preferred. The hard bound is that no tokenizer makes more tokens
//! than the text has UTF-8 bytes.

/// Runs of one class share tokens; costs are tenths of a token, fitted to what common byte-pair
/// vocabularies make of prose, code and JSON. What they seldom hold, they cut into bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Word,
    Digit,
    Space,
    Tab,
    Newline,
    Punctuation,
    Alphabet,
    Kana,
    Han,
    /// Hangul syllables, and the quotes and dashes of print: about a token each.
    Whole,
    Other,
}

/// One run of characters of a class.
#[derive(Debug, Clone, Copy)]
struct Run {
    class: Class,
    chars: u64,
    bytes: u64,
}

/// An estimate of the tokens of `text`; never more than its bytes, never zero unless it is empty.
#[must_use]
pub fn estimate(text: &str) -> u64 {
    let mut tenths: u64 = 0;
    let mut run: Option<Run> = None;
    for c in text.chars() {
        let class = classify(c);
        let bytes = u64::try_from(c.len_utf8()).unwrap_or(4);
        run = match run {
            Some(open) if open.class == class => {
                Some(Run { class, chars: open.chars.saturating_add(1), bytes: open.bytes.saturating_add(bytes) })
            }
            other => {
                tenths = tenths.saturating_add(other.map_or(0, |run| cost(run, Some(class))));
                Some(Run { class, chars: 1, bytes })
            }
        };
    }
    tenths = tenths.saturating_add(run.map_or(0, |run| cost(run, None)));
    let bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
    tenths.div_ceil(10).max(u64::from(!text.is_empty())).min(bytes)
}

fn classify(c: char) -> Class {
    match c {
        'a'..='z' | 'A'..='Z' => Class::Word,
        '0'..='9' => Class::Digit,
        '\n' | '\r' => Class::Newline,
        ' ' => Class::Space,
        '\t' => Class::Tab,
        '!'..='~' => Class::Punctuation,
        // The everyday letters of Latin-1, Greek, Cyrillic, Hebrew, Arabic, Devanagari and Thai.
        '\u{c0}'..='\u{ff}'
        | '\u{386}'..='\u{3ce}'
        | '\u{401}'..='\u{45f}'
        | '\u{5d0}'..='\u{5ea}'
        | '\u{620}'..='\u{652}'
        | '\u{900}'..='\u{94d}'
        | '\u{e01}'..='\u{e4e}' => Class::Alphabet,
        // With the punctuation that is written between Han.
        '\u{3000}'..='\u{30ff}' | '\u{ff00}'..='\u{ff5e}' => Class::Kana,
        '\u{4e00}'..='\u{9fff}' => Class::Han,
        '\u{ac00}'..='\u{d7a3}' | '\u{2010}'..='\u{203a}' => Class::Whole,
        _ => Class::Other,
    }
}

/// Tenths of a token of one run; `next` is the class behind it.
fn cost(run: Run, next: Option<Class>) -> u64 {
    let Run { class, chars, bytes } = run;
    match class {
        // A common word with the space before it is one token; a longer one is cut about every five
        // letters, and what is longer than words are is no word.
        Class::Word => {
            let cut = chars.min(LONGEST_WORD).saturating_sub(5).saturating_mul(17).div_ceil(10);
            let beyond = chars.saturating_sub(LONGEST_WORD).saturating_mul(6);
            cut.saturating_add(beyond).saturating_add(10)
        }
        Class::Digit => chars.div_ceil(3).saturating_mul(10),
        // One space belongs to the word behind it; an indent is a token or two.
        Class::Space if chars == 1 && matches!(next, Some(Class::Word | Class::Alphabet)) => 0,
        Class::Space | Class::Tab => chars.saturating_sub(1).saturating_add(8),
        Class::Newline => chars.saturating_sub(1).saturating_add(10),
        Class::Punctuation => chars.saturating_mul(6).max(8),
        Class::Alphabet => chars.saturating_mul(4).max(8),
        Class::Kana => chars.saturating_mul(8),
        Class::Han => chars.saturating_mul(11),
        Class::Whole => chars.saturating_mul(10),
        Class::Other => bytes.saturating_mul(10),
    }
}

/// The longest run of letters that is taken for a word; longer ones are names, hashes and base64.
const LONGEST_WORD: u64 = 12;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Counts of the o200k vocabulary.
    #[test]
    fn estimates_stay_near_a_real_tokenizer() {
        for (text, tokens) in [
            ("The quick brown fox jumps over the lazy dog.", 10),
            ("Write a one-line haiku about APIs.", 9),
            ("{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}", 21),
            ("fn main() {\n    println!(\"{}\", 1 + 2);\n}\n", 17),
            ("Привет, как дела сегодня?", 7),
            ("今天天气很好，我们去公园吧。", 10),
        ] {
            let estimate = estimate(text);
            assert!((tokens * 7..=tokens * 16).contains(&(estimate * 10)), "{text:?}: {estimate}, really {tokens}");
        }
        assert_eq!(estimate(""), 0);
    }

    /// Texts that a tokenizer cuts finer than prose, with the tokens that o200k makes of them.
    #[test]
    fn what_is_no_prose_is_not_cheap() {
        for (text, tokens) in [
            (" \t".repeat(2_000), 1_999),
            ("\n".repeat(4_000), 250),
            ("ƀƁƂƃ".repeat(100), 400),
            ("\u{12000}".repeat(100), 300),
            ("Ꭰ".repeat(100), 200),
            ("qzxvkjwpmf".repeat(100), 450),
        ] {
            let estimate = estimate(&text);
            assert!(estimate >= tokens, "{:?}…: {estimate}, really {tokens}", &text[..12]);
        }
    }

    proptest! {
        #[test]
        fn never_more_than_the_bytes(text in "\\PC{0,80}") {
            let bytes = text.len() as u64;
            prop_assert!(estimate(&text) <= bytes);
            prop_assert_eq!(estimate(&text) == 0, bytes == 0);
        }
    }
}
