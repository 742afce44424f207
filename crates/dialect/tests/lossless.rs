//! A request that passes keeps every byte but those that are ours to change, in every dialect alike.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use dialect::Dialect;
use dialect::canonical::{Owner, Target};
use dialect::client::ClientRequest;
use dialect::request::{Outgoing, RequestError};

type Parse = for<'a> fn(&'a str) -> Result<ClientRequest<'a>, RequestError>;

/// Each dialect, with a request that needs no change but for the model; `WORDS` and `MORE` stand for what
/// the cases put there.
const DIALECTS: [(Dialect, Parse, &str); 3] = [
    (
        Dialect::OpenaiChat,
        |body| ClientRequest::chat(body),
        r#"{ "messages":[{"content":WORDS,"role":"user"}],MORE"model" : "theirs","max_tokens":100 }"#,
    ),
    (
        Dialect::OpenaiResponses,
        |body| ClientRequest::responses(body),
        r#"{ "input":[{"content":WORDS,"role":"user"}],MORE"model" : "theirs","max_output_tokens":100,"store":false }"#,
    ),
    (
        Dialect::AnthropicMessages,
        |body| ClientRequest::messages(body),
        r#"{ "messages":[{"content":WORDS,"role":"user"}],MORE"model" : "theirs","max_tokens":100 }"#,
    ),
];

/// What passes `body` to an upstream of its own dialect.
fn sent(dialect: Dialect, parse: Parse, body: &str, model: Option<&str>) -> String {
    let owner = Owner::new("o");
    let passes = ["x_seed", "x", "zz", "aa", "x_new", "x_null"].map(str::to_owned);
    let outgoing = Outgoing { model, owner: Some(&owner), passes: &passes, ..Outgoing::default() };
    let target = Target {
        model: "unused",
        owner: &owner,
        reasons: false,
        adaptive_thinking: false,
        lowered_output: None,
        max_output: 1,
        limit_field: "max_tokens",
        stream_options: true,
    };
    let request = parse(body).unwrap();
    let encoded = request.encode(request.pair(dialect, true), &outgoing, &target).unwrap();
    assert!(encoded.losses.is_empty(), "{dialect:?}: {}", encoded.losses);
    encoded.body
}

#[test]
fn every_byte_is_kept() {
    let long = format!("\"{}\"", "Wörter \\u00e9 \\ud83d\\udc67 ".repeat(40_000));
    assert!(long.len() > 1 << 20);
    let cases: [(&str, &str, &str); 8] = [
        ("plain", r#""hi""#, ""),
        ("integers of 30 digits", r#""hi""#, r#""x_seed": 123456789012345678901234567890 ,"#),
        ("numbers as written", r#""hi""#, r#""temperature":0.70,"x":[1.0,1e400,-0.0,1E+2],"#),
        ("an odd order of keys", r#""hi""#, r#""zz":{"b":1,"a":{"d":[],"c":null}},"aa":1,"#),
        (
            "one escape twice",
            r#""\u00e9\u00e9\u00E9 é \ud83d\udc67 \/ \u002f""#,
            r#""\u0078":{"\u00e9\u00e9":"\u00E9"},"#,
        ),
        ("half a character", r#""\ud83d x""#, r#""x":"\ud83d","#),
        ("fields that the catalogue lists", r#""hi""#, "\"x_new\" :\t{\"deep\":[[[{}]]]},\r\n\"x_null\":null,"),
        ("1 MB of words", &long, ""),
    ];
    for (dialect, parse, body) in DIALECTS {
        for (name, words, more) in cases {
            let body = body.replace("WORDS", words).replace("MORE", more);
            assert!(sent(dialect, parse, &body, None) == body, "{name} in {dialect:?}");
            let renamed = body.replace("\"theirs\"", "\"up/stream\"");
            assert!(sent(dialect, parse, &body, Some("up/stream")) == renamed, "{name} in {dialect:?}, renamed");
        }
    }
}
