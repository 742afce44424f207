use super::*;
use crate::tokens::Vocabulary;

const START: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"up\",\"content\":[],\"stop_reason\":null,\"usage\":{\"input_tokens\":0,\"output_tokens\":0}}}\n\n";
const BLOCK: &str = "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"hello there\"}}\n\n";
const CLOSE: &str = "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n";
const DELTA: &str = "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"input_tokens\":4,\"output_tokens\":2}}\n\n";

/// What the client gets of a stream before and behind its settlement, and how it ended.
fn relay(input: &str) -> (String, String, End) {
    let mut relay = PassThrough::new(55, Rewrite::default(), Vocabulary::default());
    let mut step = relay.push(input.as_bytes());
    let mut out = match step.forward {
        Forward::Same => input.to_owned(),
        Forward::Bytes(bytes) => String::from_utf8(bytes).unwrap(),
    };
    if step.end.is_none() {
        step = relay.finish();
        let Forward::Bytes(bytes) = step.forward else { panic!("nothing was pushed") };
        out += &String::from_utf8(bytes).unwrap();
    }
    let tail = relay.tail(&Usage { input: 4, output: 9, ..Usage::default() }, NanoUsd::new(1_000).unwrap());
    (out, String::from_utf8(tail).unwrap(), step.end.unwrap())
}

#[test]
fn trap_09_a_stream_that_begins_without_input_gets_an_estimate() {
    let (out, ..) = relay(START);
    assert_eq!(out, START.replace("\"input_tokens\":0", "\"input_tokens\":55"));
}

#[test]
fn the_end_waits_for_the_settlement_and_tells_the_cost() {
    let (out, tail, end) = relay(&[START, BLOCK, CLOSE, DELTA, STOP].concat());
    assert_eq!(end, End::Complete);
    assert!(out.ends_with(CLOSE), "{out}");
    assert_eq!(tail, DELTA.replace("\"output_tokens\":2}", "\"output_tokens\":2,\"cost\":0.000001}") + STOP);
}

#[test]
fn a_missing_end_is_supplied_only_behind_a_stop() {
    let (_, tail, end) = relay(&[START, BLOCK, CLOSE, DELTA].concat());
    assert_eq!((end, tail.ends_with(STOP)), (End::Complete, true));
    let (_, tail, end) = relay(&[START, BLOCK, CLOSE].concat());
    assert_eq!(end, End::Truncated);
    assert!(tail.starts_with("event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\""), "{tail}");
}

#[test]
fn counts_that_come_behind_the_stop_are_told_in_it() {
    let later =
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{},\"usage\":{\"output_tokens\":9}}\n\n";
    let (out, tail, _) = relay(&[START, DELTA, later, STOP].concat());
    assert!(!out.contains("message_delta"), "{out}");
    assert_eq!(tail.matches("event: message_delta").count(), 1);
    assert!(tail.contains("\"output_tokens\":9") && !tail.contains("\"output_tokens\":2"), "{tail}");
}

#[test]
fn what_no_reader_of_the_dialect_expects_is_dropped() {
    let odd = "event: data\ndata: [DONE]\n\n";
    let unknown = "event: hologram\ndata: {\"type\":\"hologram\"}\n\n";
    let plain = relay(&[START, BLOCK, CLOSE, DELTA, STOP].concat());
    assert_eq!(relay(&[START, START, BLOCK, odd, unknown, CLOSE, "data: [DONE]\n\n", DELTA, STOP].concat()), plain);
    let beside = DELTA.replace("event:", ":their words\nevent:");
    let (out, tail, _) = relay(&[START, ": their words\n\n", BLOCK, CLOSE, &beside, STOP].concat());
    assert!(out.contains(": keep-alive\n\n") && tail.starts_with(":keep-alive\nevent:"), "{out}{tail}");
    assert!(!out.contains("their words") && !tail.contains("their words"), "{out}{tail}");
}

#[test]
fn an_error_of_the_upstream_becomes_ours() {
    for error in [
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"their words\"}}\n\n",
        "data: {\"type\":\"error\",\"error\":{\"message\":\"their words\"}}\n\n",
        "data: their words\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0}\n\n",
    ] {
        let (out, tail, end) = relay(&[START, BLOCK, error, CLOSE].concat());
        assert_eq!(end, End::Failed, "{error}");
        assert!(out.ends_with(BLOCK) && !tail.contains("their words"), "{out}{tail}");
        assert_eq!(tail.matches("event: error").count(), 1);
    }
}

#[test]
fn a_stream_that_we_end_is_closed_in_the_dialect() {
    let mut relay = PassThrough::new(55, Rewrite::default(), Vocabulary::default());
    relay.push([START, BLOCK].concat().as_bytes());
    assert!(relay.meter().visible.estimate > 0);
    relay.stop_at_limit();
    let tail = relay.tail(&Usage { input: 4, output: 9, ..Usage::default() }, NanoUsd::ZERO);
    let tail = String::from_utf8(tail).unwrap();
    assert!(tail.starts_with(CLOSE) && tail.ends_with(STOP), "{tail}");
    assert!(tail.contains("\"stop_reason\":\"max_tokens\"") && tail.contains("\"output_tokens\":9"), "{tail}");
}

#[test]
fn bytes_that_need_no_change_are_not_copied() {
    let mut relay = PassThrough::new(55, Rewrite::default(), Vocabulary::default());
    relay.push(START.as_bytes());
    assert_eq!(relay.push(BLOCK.as_bytes()).forward, Forward::Same);
}

#[test]
fn an_error_under_another_name_is_one_too() {
    for event in [
        "event: ping\ndata: {\"type\":\"ping\",\"error\":{\"message\":\"the words\"}}\n\n",
        "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"error\":\"the words\"}\n\n",
    ] {
        let (out, tail, end) = relay(&format!("{START}{event}"));
        assert!(end == End::Failed && !(out + &tail).contains("the words"), "{event}");
    }
}

#[test]
fn a_silence_is_filled_with_pings_once_the_message_has_begun() {
    let mut relay = PassThrough::new(55, Rewrite::default(), Vocabulary::default());
    let comment: &[u8] = b": keep-alive\n\n";
    assert_eq!(relay.keep_alive(), comment);
    // Half an event is not forwarded, so a keep-alive cannot stand in its middle.
    let (half, rest) = START.split_at(60);
    assert_eq!(relay.push(half.as_bytes()).forward, Forward::Bytes(Vec::new()));
    assert_eq!(relay.keep_alive(), comment);
    relay.push(rest.as_bytes());
    assert_eq!(relay.keep_alive(), b"event: ping\ndata: {\"type\":\"ping\"}\n\n");
}
