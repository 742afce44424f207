use super::*;

static NESTED: Rule = Rule::Kinds(&[
    Kind::of(&["text"], &[("type", Rule::Plain), ("text", Rule::Plain)]),
    Kind::of(&["list"], &[("type", Rule::Plain), ("parts", Rule::Same(&NESTED))]),
    Kind::of(&["tool_#"], &[("type", Rule::Plain)]),
    Kind::left_out(&["call"]),
]);
const FIELDS: Fields = &[
    ("a", Rule::Plain),
    ("free", Rule::Free),
    ("options", Rule::Members(&[("x", Rule::Plain)])),
    ("parts", Rule::Same(&NESTED)),
];

fn kept(body: &str) -> (String, String) {
    let mut losses = Losses::default();
    let out = listed(body.to_owned(), FIELDS, &["mine".to_owned()], &mut losses).unwrap();
    (out, losses.to_string())
}

#[test]
fn what_is_listed_keeps_every_byte() {
    for body in [
        r#"{ "a" : [1.0, "\u0061"],"free":{"b":[{"c":1e400}]} , "options":{"x":null}, "mine":{"y":[{}]}}"#,
        r#"{"parts":["s",{"type":"text","text":"x"},{"type":"list","parts":[{"type":"tool_20250101"}]}]}"#,
        r#"{"parts":"one","options":"auto"}"#,
    ] {
        assert_eq!(kept(body), (body.to_owned(), String::new()));
    }
}

#[test]
fn what_nobody_knows_is_left_out_and_named() {
    for (body, out, losses) in [
        (r#"{"a":1,"b":{"a":1},"A":2}"#, r#"{"a":1}"#, "A=1, b=1"),
        (r#"{"b":null,"a":1}"#, r#"{"a":1}"#, ""),
        (r#"{"a":{"b":1}}"#, "{}", "a=1"),
        (r#"{"a":[1,{"b":1}]}"#, r#"{"a":[1]}"#, "a=1"),
        (r#"{"options":{"X":1,"x":2},"a":1}"#, r#"{"options":{"x":2},"a":1}"#, "options.X=1"),
        (r#"{"options":[{"mine":1}]}"#, r#"{"options":[{}]}"#, "options.mine=1"),
        (
            r#"{"parts":[{"type":"list","parts":[{"type":"text","text":"a","z":1},{"type":"call","id":"c"}]}]}"#,
            r#"{"parts":[{"type":"list","parts":[{"type":"text","text":"a"}]}]}"#,
            "call=1, parts.parts.z=1",
        ),
    ] {
        assert_eq!(kept(body), (out.to_owned(), losses.to_owned()), "{body}");
    }
}

#[test]
fn a_kind_that_nobody_knows_is_refused() {
    for (body, param) in [
        (r#"{"parts":[{"type":"text"},{"type":"Text"}]}"#, "parts[1].type"),
        (r#"{"parts":[{"text":"x"}]}"#, "parts[0].type"),
        (r#"{"parts":[{"type":7}]}"#, "parts[0].type"),
        (r#"{"parts":{"type":"tool_2025010"}}"#, "parts.type"),
        (r#"{"parts":{"type":"tool_2025010x"}}"#, "parts.type"),
        (r#"{"parts":{"type":"tool_hosted_20250101"}}"#, "parts.type"),
        (r#"{"parts":[{"type":"text","text":"a","text":"b"}]}"#, "parts[0]"),
    ] {
        let error = listed(body.to_owned(), FIELDS, &[], &mut Losses::default()).unwrap_err();
        assert_eq!(error.param.as_deref(), Some(param), "{body}");
    }
}

mod measured {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::anthropic_messages::fields::FIELDS as MESSAGES;
    use crate::canonical::{Owner, Target};
    use crate::client::ClientRequest;
    use crate::openai_chat::fields::FIELDS as CHAT;
    use crate::openai_embeddings::fields::FIELDS as EMBEDDINGS;
    use crate::openai_responses::fields::FIELDS as RESPONSES;
    use crate::request::{Outgoing, RequestError};

    /// Members that hold media, or state whose length says how much it stands for.
    const APART: [&str; 8] =
        ["data", "document_url", "encrypted_content", "file_data", "file_url", "image_url", "url", "video_url"];

    type Parse = for<'a> fn(&'a str) -> Result<ClientRequest<'a>, RequestError>;

    struct Dice(u64);

    impl Dice {
        fn below(&mut self, most: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % most
        }

        fn text(&mut self) -> String {
            let length = if self.below(4) == 0 { 200 } else { 40 };
            let length = self.below(length);
            (0..length).map(|_| ["a", "9", " ", "\n", "\"", "é", "{", "x-"][self.below(8) as usize]).collect()
        }

        fn json(&mut self, depth: u64) -> Value {
            match self.below(if depth == 0 { 3 } else { 5 }) {
                0 => json!(self.below(1_000_000)),
                1 => json!(null),
                2 => json!(self.text()),
                3 => (0..self.below(4)).map(|_| self.json(depth - 1)).collect(),
                _ => Value::Object((0..self.below(4)).map(|_| (self.text(), self.json(depth - 1))).collect()),
            }
        }
    }

    /// A value for a member, of a type that every request has there.
    fn plain(name: &str, dice: &mut Dice) -> Value {
        match name {
            "model" => json!("m"),
            // Of these only what names nothing passes.
            "audio" => json!(null),
            "video" => json!(["https://example.org/1"]),
            "n" => json!(1),
            "stream" | "include_usage" | "is_error" | "logprobs" | "parallel_tool_calls" => json!(dice.below(2) == 0),
            "store" => json!(false),
            "role" => json!(["user", "assistant"][dice.below(2) as usize]),
            "service_tier" => json!("default"),
            "speed" | "mode" => json!("standard"),
            "modalities" => json!(["text"]),
            "context_management" => json!([]),
            "include" => json!(["reasoning.encrypted_content"]),
            "encoding_format" => json!("float"),
            name if name.starts_with("max_") || name.ends_with("tokens") || name == "dimensions" => {
                json!(1 + dice.below(9_000))
            }
            name if name.ends_with("url") => json!(format!("https://example.org/{}", dice.below(1 << 40))),
            _ if dice.below(8) == 0 => json!([dice.text(), dice.text()]),
            _ => json!(dice.text()),
        }
    }

    fn object(fields: Fields, kind: Option<&str>, dice: &mut Dice, depth: u64) -> Value {
        let mut members = Map::new();
        for (name, rule) in fields {
            if *name == "type" {
                let kind = kind.unwrap_or("function");
                members.extend((!kind.is_empty()).then(|| ("type".to_owned(), json!(kind))));
            } else if depth > 0 || matches!(rule, Rule::Plain) {
                members.insert((*name).to_owned(), value(name, rule, dice, depth.saturating_sub(1)));
            }
        }
        Value::Object(members)
    }

    fn value(name: &str, rule: &Rule, dice: &mut Dice, depth: u64) -> Value {
        match rule {
            Rule::Same(rule) => value(name, rule, dice, depth),
            Rule::Free if name == "arguments" => json!(dice.text()),
            Rule::Free => json!({ "x": dice.json(3) }),
            Rule::Plain => plain(name, dice),
            Rule::LeftOut => json!(null),
            Rule::Members(fields) if ["messages", "tools", "edits", "tool_calls"].contains(&name) => {
                (0..=dice.below(2)).map(|_| object(fields, None, dice, depth)).collect()
            }
            Rule::Members(fields) => object(fields, None, dice, depth),
            Rule::Kinds(kinds) => {
                let some = (0..=dice.below(2)).map(|_| {
                    let kind = &kinds[dice.below(kinds.len() as u64) as usize];
                    let named = kind.names[dice.below(kind.names.len() as u64) as usize].replace('#', "20250101");
                    object(kind.members.unwrap_or(&[("type", Rule::Plain)]), Some(&named), dice, depth)
                });
                some.collect()
            }
        }
    }

    /// Bytes of what is sent that must be counted: of a long value all, of a short one none.
    fn counted(name: &str, json: &Value, rule: &Rule) -> u64 {
        let long = |json: &Value, bytes: usize| if json.to_string().len() > 34 { bytes as u64 } else { 0 };
        match (rule, json) {
            _ if APART.contains(&name) => 0,
            (Rule::Same(rule), _) => counted(name, json, rule),
            (Rule::Free, _) => long(json, json.to_string().len()),
            (Rule::Kinds(_) | Rule::Members(_), Value::Array(items)) => {
                items.iter().map(|item| counted(name, item, rule)).sum()
            }
            (Rule::Members(fields), Value::Object(members)) => of_members(members, fields),
            (Rule::Kinds(kinds), Value::Object(members)) => {
                let kind = members.get("type").and_then(Value::as_str).unwrap_or_default();
                let kind = kinds.iter().find(|known| known.is(kind)).unwrap();
                of_members(members, kind.members.unwrap())
            }
            (_, Value::String(text)) => long(json, text.len()),
            (_, Value::Array(texts)) => {
                let texts: usize = texts.iter().filter_map(Value::as_str).map(str::len).sum();
                long(json, texts)
            }
            _ => 0,
        }
    }

    fn of_members(members: &Map<String, Value>, fields: Fields) -> u64 {
        let rule = |name: &String| &fields.iter().find(|(known, _)| known == name).unwrap().1;
        members.iter().map(|(name, json)| counted(name, json, rule(name))).sum()
    }

    /// The body that is sent for one that was made of the list, where none of it is refused.
    fn sent(parse: Parse, body: &str) -> Option<(String, crate::measure::InputMeasure)> {
        let request = parse(body).ok()?;
        let owner = Owner::new("o");
        let target = Target {
            model: "m",
            owner: &owner,
            reasons: true,
            adaptive_thinking: true,
            lowered_output: None,
            max_output: 1_000,
            limit_field: "max_tokens",
            stream_options: true,
        };
        let pair = request.pair(request.dialect(), true);
        let encoded = request.encode(pair, &Outgoing::default(), &target).ok()?;
        pair.passes.then(|| (encoded.body, request.facts().input))
    }

    #[test]
    fn every_long_value_that_is_sent_is_measured() {
        let dialects: [(&str, Parse, Fields); 4] = [
            ("chat", |body| ClientRequest::chat(body), CHAT),
            ("responses", |body| ClientRequest::responses(body), RESPONSES),
            ("messages", |body| ClientRequest::messages(body), MESSAGES),
            ("embeddings", |body| ClientRequest::embeddings(body), EMBEDDINGS),
        ];
        for (dialect, parse, fields) in dialects {
            let looked_at = std::cell::Cell::new(0_u32);
            let run = |seed: u64| {
                let mut dice = Dice(seed | 1);
                // One field beside those that every request has, so that few bodies are refused.
                let needed = ["model", "messages", "input", "max_tokens"];
                let chosen = fields[dice.below(fields.len() as u64) as usize].0;
                let members: Map<String, Value> = fields
                    .iter()
                    .filter(|(name, _)| needed.contains(name) || *name == chosen)
                    .map(|(name, rule)| ((*name).to_owned(), value(name, rule, &mut dice, 5)))
                    .collect();
                let given = Value::Object(members).to_string();
                let Some((body, input)) = sent(parse, &given) else { return };
                if input.unmeasured > 0 {
                    return;
                }
                looked_at.set(looked_at.get() + 1);
                let Value::Object(mut members) = serde_json::from_str(&body).unwrap() else { unreachable!() };
                // A prediction is measured as output.
                members.remove("prediction");
                let least = of_members(&members, fields);
                let bytes = input.text_bytes + 4 * input.exact_tokens;
                assert!(least <= bytes, "{dialect}: {least} of {bytes} bytes: {body}");
            };
            proptest!(ProptestConfig::with_cases(2_000), |(seed: u64)| run(seed));
            let looked_at = looked_at.get();
            assert!(looked_at > 100, "{dialect}: only {looked_at} of the bodies were sent and can be measured");
        }
    }
}
