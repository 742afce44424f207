use super::*;
use crate::canonical::{Answer, Block, Fold, StopReason};

fn owner() -> Owner {
    Owner::new("a1")
}

/// What the frames with these data say, and whether the stream was over.
fn read(data: &[&str]) -> Result<(Answer, Vec<Event>, bool), UpstreamError> {
    let mut decoder = Decoder::new(owner());
    let mut events = Vec::new();
    let mut over = false;
    for data in data {
        over |= decoder.push(&Frame::data_line(data), &mut events)?;
    }
    decoder.finish(&mut events);
    let mut fold = Fold::default();
    events.iter().for_each(|event| fold.push(event));
    Ok((fold.finish(), events, over))
}

fn start(index: u64, block: &str) -> String {
    format!(r#"{{"type":"content_block_start","index":{index},"content_block":{block}}}"#)
}

fn delta(index: u64, delta: &str) -> String {
    format!(r#"{{"type":"content_block_delta","index":{index},"delta":{delta}}}"#)
}

fn inputs(answer: &Answer) -> Vec<&str> {
    let calls = answer.blocks.iter().filter_map(|block| match block {
        Block::ToolUse(call) => Some(call.input.as_str()),
        _ => None,
    });
    calls.collect()
}

#[test]
fn trap_12_calls_are_read_wherever_their_input_stands() {
    let whole = start(0, r#"{"type":"tool_use","id":"a","name":"f","input":{"x": 1e400}}"#);
    let empty = start(0, r#"{"type":"tool_use","id":"b","name":"f","input":{}}"#);
    let piece = delta(0, r#"{"type":"input_json_delta","partial_json":"{\"y\":2}"}"#);
    let nothing = delta(0, r#"{"type":"input_json_delta","partial_json":""}"#);
    let stop = r#"{"type":"content_block_stop","index":0}"#;
    // The calls share one number: each begins where the one before it ends.
    let (answer, ..) = read(&[&whole, &empty, &piece, &empty, &nothing, stop]).unwrap();
    assert_eq!(inputs(&answer), [r#"{"x": 1e400}"#, r#"{"y":2}"#, "{}"]);
    let (cut, events, _) = read(&[&empty, &nothing]).unwrap();
    assert_eq!(inputs(&cut), [""]);
    assert_eq!(events.last(), Some(&Event::Close { index: 0 }));
}

#[test]
fn blocks_close_once_and_before_the_stop() {
    let text = start(3, r#"{"type":"text","text":"a"}"#);
    let more = delta(3, r#"{"type":"text_delta","text":"b"}"#);
    let unannounced = delta(9, r#"{"type":"thinking_delta","thinking":"hm"}"#);
    let stop = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}"#;
    let (answer, events, over) = read(&[&text, &more, &unannounced, stop, stop, r#"{"type":"message_stop"}"#]).unwrap();
    assert!(over);
    assert_eq!(answer.blocks, [Block::text("ab"), Block::Reasoning { text: "hm".into(), opaque: None }]);
    let closes = events.iter().filter(|event| matches!(event, Event::Close { .. })).count();
    let stops: Vec<usize> =
        events.iter().enumerate().filter(|(_, e)| matches!(e, Event::Stop(_))).map(|(at, _)| at).collect();
    let last_close = events.iter().rposition(|event| matches!(event, Event::Close { .. })).unwrap();
    assert_eq!((closes, stops.len()), (2, 1));
    assert!(last_close < stops[0]);
}

#[test]
fn what_is_of_the_provider_alone_is_counted() {
    let (answer, events, _) = read(&[
        &start(0, r#"{"type":"server_tool_use","id":"s","name":"web_search","input":{}}"#),
        &delta(0, r#"{"type":"input_json_delta","partial_json":"{\"q\":1}"}"#),
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"hologram"}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"refusal","stop_details":{"explanation":"their words"}},"context_management":{"applied_edits":[{"type":"x"}]},"usage":{}}"#,
    ])
    .unwrap();
    assert_eq!(answer.losses.to_string(), "context_management=1, server_tool_use=1, stop_details=1");
    assert_eq!((answer.blocks.len(), answer.stop.unwrap().reason), (0, StopReason::Refusal));
    assert!(!format!("{events:?}").contains("their words"));
}

#[test]
fn trap_02_counts_are_cumulative_and_tiers_are_told_once() {
    let (answer, events, _) = read(&[
        r#"{"type":"message_start","message":{"usage":{"input_tokens":9,"output_tokens":1,"service_tier":"standard"}}}"#,
        r#"{"type":"message_delta","delta":{},"usage":{"input_tokens":null,"output_tokens":5,"service_tier":"standard"}}"#,
    ])
    .unwrap();
    let usage = answer.usage.unwrap().usage;
    assert_eq!((usage.input, usage.output), (9, 5));
    assert_eq!(events.iter().filter(|event| matches!(event, Event::ServiceTier(_))).count(), 1);
}

#[test]
fn errors_are_errors_and_what_gateways_add_is_not() {
    assert!(read(&["[DONE]", " [DONE]"]).is_ok());
    for wrong in [
        "<html>",
        "[1]",
        "7",
        r#"{"type":"error","error":{}}"#,
        r#"{"type":"content_block_start","index":0}"#,
        r#"{"type":"content_block_start","index":0,"content_block":[]}"#,
        r#"{"type":"content_block_delta","index":0,"delta":7}"#,
        r#"{"type":"message_delta","delta":[]}"#,
    ] {
        assert_eq!(read(&[wrong]).err(), Some(UpstreamError), "{wrong}");
    }
}

#[test]
fn a_deeply_nested_or_huge_event_is_read_in_one_pass() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let (answer, ..) =
        read(&[&start(0, &format!(r#"{{"type":"tool_use","id":"a","name":"f","input":{{"d":{deep}}}}}"#))]).unwrap();
    assert_eq!(answer.blocks.len(), 1);
}
