//! Money is never a float: neither the type nor a literal of it stands anywhere in this crate. (The
//! lint on arithmetic alone would let one be parsed, compared or stored.)
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

/// All source files below `folder`.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

/// The first float in a line of code: a type, or digits around a point that are no part of a string.
fn float(line: &str) -> Option<&str> {
    let code = line.split("//").next().unwrap_or_default();
    let outside = code.split('"').step_by(2);
    let mut words = outside.flat_map(|text| text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.')));
    words.find(|word| {
        let digits = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
        let whole = |text: &str| text.chars().all(|c| c.is_ascii_digit() || c == '_');
        let parts = word.split_once(['.', 'e', 'E']);
        let literal = parts.is_some_and(|(before, behind)| digits(before) && whole(before) && digits(behind));
        word.ends_with("f64") || word.ends_with("f32") || literal
    })
}

#[test]
fn trap_17_no_float_touches_money() {
    let files = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(files.len() > 5, "{files:?}");
    for file in files {
        for (at, line) in std::fs::read_to_string(&file).unwrap().lines().enumerate() {
            assert_eq!(float(line), None, "{}:{}", file.display(), at + 1);
        }
    }
}

#[test]
fn a_float_is_found() {
    for line in ["let x: f64 = y;", "n as f32", "x * 1.5", "1_f64", "1e9", "f(\"a\", 0.1)"] {
        assert!(float(line).is_some(), "{line}");
    }
    for line in ["// 1.5", "from_usd(\"0.1\")", "x.0.max(1)", "0..10", "pair.1.0", "0x1e9", "1usize"] {
        assert_eq!(float(line), None, "{line}");
    }
}
