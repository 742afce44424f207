#![no_main]

#[path = "../../crates/dialect/tests/exercise/mod.rs"]
#[allow(dead_code)]
mod exercise;

libfuzzer_sys::fuzz_target!(|text: &str| exercise::envelope(text));
