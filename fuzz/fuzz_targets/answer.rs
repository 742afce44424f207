#![no_main]

#[path = "../../crates/dialect/tests/exercise/mod.rs"]
#[allow(dead_code)]
mod exercise;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| exercise::answer(bytes));
