//! The three figures beside the counts of real tokenizers.
//!
//! `tests/token-figures` holds the texts, and `counts.json` what each tokenizer makes of them; its script writes the
//! counts anew from the vocabularies themselves.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fmt::Write as _;

use dialect::tokens::{Figures, Vocabulary, figures};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/token-figures");

/// The vocabularies that each family is fitted to.
const FAMILIES: [(Vocabulary, &str); 8] = [
    (Vocabulary::Common, "o200k"),
    (Vocabulary::SingleDigit, "gemma3"),
    (Vocabulary::Qwen, "qwen3"),
    (Vocabulary::Llama, "llama3"),
    (Vocabulary::Deepseek, "deepseek_v3"),
    (Vocabulary::Mistral, "mistral_nemo"),
    (Vocabulary::Command, "command_r_plus"),
    (Vocabulary::Cl100k, "cl100k"),
];

/// How far an estimate may be from the real count, in percent of it.
const MOST_ERROR: i64 = 15;

/// By text, the tokens that each vocabulary makes of it.
fn counts() -> BTreeMap<String, BTreeMap<String, u64>> {
    let json = std::fs::read_to_string(format!("{FOLDER}/counts.json")).unwrap();
    serde_json::from_str(&json).unwrap()
}

fn text(name: &str) -> String {
    std::fs::read_to_string(format!("{FOLDER}/texts/{name}.txt")).unwrap()
}

#[test]
fn issue_13_estimates_are_near_every_vocabulary_for_every_kind_of_text() {
    let mut table = format!("{:24}", "percent of error");
    for (_, name) in FAMILIES {
        _ = write!(table, "{name:>15}");
    }
    let mut worst = Vec::new();
    for (kind, real) in counts().iter().filter(|(kind, _)| !kind.starts_with("adversarial")) {
        let text = text(kind);
        _ = write!(table, "\n{kind:24}");
        for (vocabulary, name) in FAMILIES {
            let real = real[name].cast_signed();
            let off = figures(&text, vocabulary).estimate.cast_signed() - real;
            _ = write!(table, "{:>15}", off * 100 / real);
            if off.abs() * 100 > MOST_ERROR * real {
                worst.push(format!("{kind} {name}: {off} of {real} tokens"));
            }
        }
    }
    println!("{table}");
    assert!(worst.is_empty(), "{worst:#?}");
}

#[test]
fn issue_13_no_vocabulary_crosses_the_bounds() {
    let mut crossed = Vec::new();
    for (kind, real) in &counts() {
        let text = text(kind);
        let mut check = |vocabulary, name: &str, real: u64| {
            let Figures { lower, upper, .. } = figures(&text, vocabulary);
            if !(lower..=upper).contains(&real) {
                crossed.push(format!("{kind} {name} as {vocabulary:?}: {lower} <= {real} <= {upper}"));
            }
        };
        for (vocabulary, name) in FAMILIES {
            check(vocabulary, name, real[name]);
        }
        for (name, count) in real {
            check(Vocabulary::Unknown, name, *count);
        }
    }
    assert!(crossed.is_empty(), "{crossed:#?}");
}

/// Prose and code must not be refused for want of money that they do not cost.
#[test]
fn holds_for_everyday_text_stay_within_three_and_a_half_times_its_tokens() {
    for (kind, real) in counts().iter().filter(|(kind, _)| !kind.starts_with("adversarial")) {
        let text = text(kind);
        for (vocabulary, name) in FAMILIES {
            let upper = figures(&text, vocabulary).upper;
            println!("{kind:24} {name:15} {:.2}", upper as f64 / real[name] as f64);
            assert!(upper * 2 <= real[name] * 7, "{kind} {name}: {upper} for {}", real[name]);
        }
    }
}
