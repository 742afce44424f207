//! Replays the kept corpus of the fuzz targets: inputs that once were a defect, and those that reach far.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod exercise;

use std::path::Path;

/// Runs every input of one target; there must be some.
fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut inputs: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    inputs.sort();
    assert!(!inputs.is_empty(), "{target}");
    for input in inputs {
        run(&std::fs::read(&input).unwrap());
    }
}

fn text(run: fn(&str)) -> impl Fn(&[u8]) {
    move |bytes| {
        if let Ok(text) = std::str::from_utf8(bytes) {
            run(text);
        }
    }
}

#[test]
fn sse() {
    replay("sse", exercise::sse);
}

#[test]
fn envelope() {
    replay("envelope", |bytes| text(exercise::envelope)(bytes));
}

#[test]
fn request() {
    replay("request", |bytes| text(exercise::request)(bytes));
}

#[test]
fn stream() {
    replay("stream", exercise::stream);
}

#[test]
fn answer() {
    replay("answer", exercise::answer);
}
