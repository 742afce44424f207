use proptest::prelude::*;

use super::*;
use crate::tokens::Vocabulary;

/// Relays `input` in one piece and returns what the client gets, the end and the meter.
fn relay(input: &str, include_usage: bool, rewrite: &Rewrite) -> (String, End, Meter) {
    relay_chunks(&[input.as_bytes()], include_usage, rewrite)
}

fn relay_chunks(chunks: &[&[u8]], include_usage: bool, rewrite: &Rewrite) -> (String, End, Meter) {
    let mut relay = PassThrough::new(include_usage, rewrite.clone(), Vocabulary::default());
    let mut out = Vec::new();
    let mut end = None;
    for chunk in chunks {
        let step = relay.push(chunk);
        match step.forward {
            Forward::Same => out.extend_from_slice(chunk),
            Forward::Bytes(bytes) => out.extend(bytes),
        }
        end = step.end;
        if end.is_some() {
            break;
        }
    }
    if end.is_none() {
        let step = relay.finish();
        let Forward::Bytes(bytes) = step.forward else { panic!("nothing was pushed") };
        out.extend(bytes);
        end = step.end;
    }
    out.extend(relay.tail(&Usage::default(), NanoUsd::ZERO));
    let out = String::from_utf8(out).unwrap().replace(",\"cost\":0}", "}");
    (out, end.unwrap(), relay.meter())
}

fn chunk(choices: &str, more: &str) -> String {
    format!("data: {{\"id\":\"c\",\"choices\":[{choices}]{more}}}\n\n")
}

fn text(content: &str) -> String {
    chunk(&format!("{{\"index\":0,\"delta\":{{\"content\":\"{content}\"}},\"finish_reason\":null}}"), "")
}

fn stop() -> String {
    chunk("{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}", "")
}

fn usage_only(output: u64) -> String {
    chunk("", &format!(",\"usage\":{{\"prompt_tokens\":3,\"completion_tokens\":{output}}}"))
}

const DONE: &str = "data: [DONE]\n\n";

#[test]
fn a_usage_chunk_goes_to_those_who_asked() {
    let input = [text("a"), stop(), usage_only(1), DONE.into()].concat();
    assert_eq!(relay(&input, true, &Rewrite::default()).0, input);
    let (out, end, meter) = relay(&input, false, &Rewrite::default());
    assert_eq!((out, end), ([text("a"), stop(), DONE.into()].concat(), End::Complete));
    assert_eq!(meter.reported.unwrap().usage.output, 1);
}

#[test]
fn trap_02_the_last_usage_wins_and_is_never_summed() {
    let input = [text("a"), usage_only(1), text("b"), usage_only(2), usage_only(7), stop(), DONE.into()].concat();
    let (out, _, meter) = relay(&input, true, &Rewrite::default());
    assert_eq!(out, input);
    assert_eq!(meter.reported.unwrap().usage.output, 7);
}

#[test]
fn chunks_that_carry_more_than_usage_stay() {
    let filters = chunk("", ",\"prompt_filter_results\":[],\"usage\":{\"prompt_tokens\":1}");
    let with_finish = chunk("{\"delta\":{},\"finish_reason\":\"stop\"}", ",\"usage\":{\"prompt_tokens\":1}");
    let no_usage = chunk("", ",\"usage\":null");
    let input = [":\n\n".into(), filters, no_usage, with_finish, DONE.into()].concat();
    assert_eq!(relay(&input, false, &Rewrite::default()).0, input);
}

#[test]
fn the_end_is_supplied_after_a_finish_reason_only() {
    let input = [text("a"), stop()].concat();
    assert_eq!(relay(&input, false, &Rewrite::default()).0, input.clone() + DONE);
    let (out, end, _) = relay(&text("a"), false, &Rewrite::default());
    assert_eq!(end, End::Truncated);
    assert!(out.ends_with("\"code\":\"upstream_unavailable\"}}\n\n") && !out.contains("[DONE]"), "{out}");
    let no_blank_line = stop().trim_end().to_owned();
    assert_eq!(relay(&no_blank_line, false, &Rewrite::default()).0, stop() + DONE);
    let unfinished_line = format!("{}data: [DONE]", stop());
    assert_eq!(relay(&unfinished_line, false, &Rewrite::default()).0, stop() + DONE);
}

#[test]
fn trap_08_an_error_is_ours_and_costs_nothing() {
    for error in [
        "event: error\ndata: {\"error\":{\"message\":\"secret text of the provider\"}}\n\n".to_owned(),
        "data: {\"error\":{\"message\":\"secret text\"},\"choices\":[{\"delta\":{\"content\":\"secret\"}}]}\n\n"
            .to_owned(),
        "event: error\ndata: secret\n\n".to_owned(),
        "data: secret text\n\n".to_owned(),
        "data: {\"object\":\"error\",\"message\":\"secret\"}\n\n".to_owned(),
        "data: {\"error\":{\"message\":\"secret\"},\"choices\":\"none\"}\n\n".to_owned(),
        "data: {\"choices\":[{\"error\":{\"message\":\"secret\"},\"finish_reason\":\"error\"}]}\n\n".to_owned(),
        "data: {\"error\":{\"message\":\"secret\"},\"error\":{\"message\":\"secret\"}}\n\n".to_owned(),
        "data: {\"error\":\"secret\",\"choices\":[],\"error\":null}\n\n".to_owned(),
        "data: {\"choices\":[{\"error\":\"secret\",\"error\":\"secret\"}]}\n\n".to_owned(),
        "data: {\"id\":\"secret\",\"id\":\"secret\"}\n\nevent: error\ndata: {}\n\n".to_owned(),
        "data: {\"detail\":\"secret\"}\n\nevent: error\ndata: {}\n\n".to_owned(),
        "<html>secret</html>\n\nevent: error\n\ndata: {\"error\":1}\n\n".to_owned(),
    ] {
        let (out, end, meter) = relay(&[text("a"), error, text("b")].concat(), false, &Rewrite::default());
        assert_eq!(end, End::Failed);
        assert!(out.starts_with(&text("a")) && !out.contains("secret") && !out.contains("\"b\""), "{out}");
        assert_eq!(meter.visible.estimate, 1);
    }
}

#[test]
fn a_chunk_with_a_member_twice_is_metered_and_rewritten() {
    let twice = "data: {\"model\":\"up\",\"model\":\"up\",\"choices\":[{\"delta\":{\"content\":\"a\"},\"delta\":{\"content\":\"b\"}}],\"provider\":1,\"provider\":2,\"usage\":{\"cost\":1,\"prompt_tokens\":1,\"cost\":2}}\n\n";
    let rewrite = Rewrite { model: Some("m".into()), strip: vec!["provider".into(), "usage.cost".into()], owner: None };
    let (out, _, meter) = relay(&[twice.into(), stop(), DONE.into()].concat(), false, &rewrite);
    let kept = twice.replace("\"up\"", "\"m\"").replace(",\"provider\":1,\"provider\":2", "");
    let kept = kept.replace("{\"cost\":1,", "{").replace(",\"cost\":2", "");
    assert_eq!(out, [kept, stop(), DONE.into()].concat());
    assert_eq!(meter.visible.estimate, 1);
}

#[test]
fn comments_reach_the_client_without_their_words() {
    let comment = ": OPENROUTER PROCESSING\n\n";
    let beside = format!(": secret\r\n{}", stop());
    let input = [comment.into(), text("a"), beside.clone(), DONE.into()].concat();
    let expected = input.replace("OPENROUTER PROCESSING", "keep-alive").replace("secret", "keep-alive");
    assert_eq!(relay(&input, false, &Rewrite::default()).0, expected);
}

#[test]
fn half_an_emoji_passes() {
    let input = [text("\\ud83d"), text("\\udc67"), stop(), DONE.into()].concat();
    assert_eq!(relay(&input, false, &Rewrite::default()).0, input);
}

#[test]
fn the_model_is_set_back_and_known_additions_are_removed() {
    let input = "data: {\"provider\":\"Azure\",\"model\":\"up/m\",\"choices\":[]}\r\n\r\ndata: [DONE]\r\n\r\n";
    let rewrite = Rewrite { model: Some("m".into()), strip: vec!["provider".into()], owner: None };
    let (out, ..) = relay(input, false, &rewrite);
    assert_eq!(out.lines().next(), Some("data: {\"model\":\"m\",\"choices\":[]}"));
}

#[test]
fn a_usage_chunk_with_a_known_addition_is_a_usage_chunk() {
    let usage = chunk("", ",\"provider\":\"p\",\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}");
    let input = [text("a"), stop(), usage, DONE.into()].concat();
    let rewrite = Rewrite { model: None, strip: vec!["provider".into()], owner: None };
    assert_eq!(relay(&input, false, &rewrite).0, [text("a"), stop(), DONE.into()].concat());
    assert_eq!(relay(&input, true, &rewrite).0, [text("a"), stop(), usage_only(1), DONE.into()].concat());
    // Where it is no known addition, somebody may want it.
    assert_eq!(relay(&input, false, &Rewrite::default()).0, input);
}

#[test]
fn cost_is_written_where_usage_was_asked_for() {
    let mut relay = PassThrough::new(true, Rewrite::default(), Vocabulary::default());
    let _ = relay.push([stop(), usage_only(2), DONE.into()].concat().as_bytes());
    let tail = String::from_utf8(relay.tail(&Usage::default(), NanoUsd::new(3_900).unwrap())).unwrap();
    assert!(tail.starts_with(&usage_only(2).replace(":2}", ":2,\"cost\":0.0000039}")), "{tail}");
}

#[test]
fn a_stream_without_money_ends_as_if_its_limit_was_reached() {
    let mut relay = PassThrough::new(true, Rewrite::default(), Vocabulary::default());
    let first = "data: {\"id\":\"c\",\"created\":7,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}},{\"index\":1,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    let _ = relay.push(first.as_bytes());
    relay.stop_at_limit();
    let usage = Usage { input: 3, output: 2, ..Usage::default() };
    let tail = String::from_utf8(relay.tail(&usage, NanoUsd::new(5).unwrap())).unwrap();
    let identity = "\"id\":\"c\",\"created\":7,\"model\":\"m\",\"object\":\"chat.completion.chunk\"";
    assert_eq!(
        tail,
        format!(
            "data: {{{identity},\"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"length\"}}]}}\n\n\
             data: {{{identity},\"choices\":[],\"usage\":{{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5,\"cost\":0.000000005}}}}\n\n\
             data: [DONE]\n\n"
        )
    );
}

#[test]
fn untouched_chunks_are_handed_on_as_they_are() {
    let mut relay = PassThrough::new(false, Rewrite::default(), Vocabulary::default());
    assert_eq!(relay.push(text("a").as_bytes()), Step { forward: Forward::Same, end: None });
    assert_eq!(relay.push(b"data: {"), Step { forward: Forward::Bytes(Vec::new()), end: None });
}

proptest! {
    #[test]
    fn any_split_gives_the_same_bytes(order in proptest::collection::vec(0usize..7, 0..12), cuts in proptest::collection::vec(0usize..2_000, 0..8), asked: bool) {
        let parts = [text("hé"), stop(), usage_only(4), ": comment\r\n\r\n".into(), "data: {\"error\":1}\n\n".into(), DONE.into(), "data: junk\n\n".into()];
        let input: String = order.into_iter().map(|n| parts[n].clone()).collect();
        let bytes = input.as_bytes();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let chunks: Vec<&[u8]> = cuts.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
        prop_assert_eq!(relay_chunks(&chunks, asked, &Rewrite::default()), relay(&input, asked, &Rewrite::default()));
    }
}
