//! Each case replaces one piece of a good file and names every problem that results.

use billing::money::PicoUsd;

use super::*;
use dialect::Dialect;

use crate::model::{Auth, LimitField};

const GOOD: &str = r#"[[upstream]]
id = "up"
dialects = ["openai_chat", "openai_embeddings"]
base_url = "https://up.example/v1"
[[model]]
id = "m"
context_window = 128000
max_output_tokens = 16384
[[model.price]]
effective_at = 2024-10-01T00:00:00Z
input = "2.50"
output = "10.00"
[[model.route]]
upstream = "up"
"#;

const UNPRICED: bool = true;

fn replaced(old: &str, new: &str) -> String {
    assert_eq!(GOOD.matches(old).count(), 1, "{old}");
    GOOD.replacen(old, new, 1)
}

fn lines(problems: Vec<Problem>) -> Vec<String> {
    problems.into_iter().map(|Problem { line, sentence }| format!("{line}: {sentence}")).collect()
}

#[track_caller]
fn check_text(text: &str, expected: &[&str]) {
    let found = parse(text, !UNPRICED).map_or_else(lines, |_| Vec::new());
    assert_eq!(found, expected, "\n{text}");
}

#[track_caller]
fn check(old: &str, new: &str, expected: &[&str]) {
    check_text(&replaced(old, new), expected);
}

#[test]
fn the_good_file_has_no_problem() {
    check_text(GOOD, &[]);
}

#[test]
fn syntax() {
    check("id = \"m\"", "id = \"m", &["6: syntax error: invalid basic string, expected `\"`"]);
    check("id = \"m\"", "id = \"m\"\nid = \"n\"", &["7: syntax error: duplicate key"]);
    check_text("", &["1: the file: there is no [[upstream]]"]);
}

#[test]
fn keys_and_types() {
    check("[[upstream]]", "version = 1\n[[upstream]]", &[r#"1: the file: unknown key "version""#]);
    check("id = \"up\"", "id = \"up\"\nname = 1", &[r#"3: upstream "up": unknown key "name""#]);
    check("id = \"m\"", "id = \"m\"\nfamily = 1", &[r#"7: model "m": unknown key "family""#]);
    check("upstream = \"up\"", "upstream = \"up\"\nx = 1", &[r#"15: route of model "m": unknown key "x""#]);
    check("id = \"m\"", "id = 7", &[r#"6: model of the file: "id" must be a string, not of type integer"#]);
    check(
        "context_window = 128000",
        "context_window = \"128k\"\nhidden_reasoning = 1\ncapabilities = [\"tools\", 2]\ncreated = \"2024\"",
        &[
            r#"7: model "m": "context_window" must be a whole number, not of type string"#,
            r#"8: model "m": "hidden_reasoning" must be true or false, not of type integer"#,
            r#"9: model "m": "capabilities" must be a list of strings, not of type integer"#,
            r#"10: model "m": "created" must be a date-time with an offset such as 2024-10-01T00:00:00Z, not of type string"#,
        ],
    );
    check(
        "[[model.route]]",
        "[model.route]",
        &[r#"13: model "m": "route" must be written as [[route]], not of type table"#],
    );
}

#[test]
fn ids() {
    check(
        "id = \"up\"",
        "",
        &[r#"1: upstream of the file: "id" is missing"#, r#"14: route of model "m": unknown upstream "up""#],
    );
    check("id = \"m\"", "id = \"\"", &[r#"6: model "": "id" must not be empty or have control characters"#]);
    check("id = \"m\"", "id = \"my model\"", &[r#"6: model "my model": "id" must be printable ASCII without spaces"#]);
    check("id = \"m\"", "id = \"meta/llama-3.1:free\"", &[]);
    check_text(
        &GOOD.repeat(2),
        &[
            r#"16: upstream "up": an earlier entry has the same id"#,
            r#"20: model "m": an earlier entry has the same id"#,
        ],
    );
}

#[test]
fn upstreams() {
    let dialects = "dialects = [\"openai_chat\", \"openai_embeddings\"]";
    check(dialects, "", &[r#"1: upstream "up": "dialects" is missing"#]);
    check(dialects, "dialects = []", &[r#"3: upstream "up": "dialects" is empty"#]);
    check(
        dialects,
        "dialects = [\"openai_chat\",\n\"gemini\",\n\"openai_chat\"]",
        &[
            r#"4: upstream "up": dialects: unknown variant `gemini`, expected one of `openai_chat`, `openai_responses`, `openai_embeddings`, `anthropic_messages`"#,
            r#"5: upstream "up": "openai_chat" is there twice"#,
        ],
    );
    let base_url = "base_url = \"https://up.example/v1\"";
    check(base_url, "", &[r#"1: upstream "up": "base_url" is missing"#]);
    check(
        base_url,
        "base_url = \"http://up.example/v1\"",
        &[r#"4: upstream "up": "base_url" may be http only for a loopback host (localhost, 127.x.x.x, [::1])"#],
    );
    check(
        base_url,
        "base_url = \"up.example/v1\"",
        &[r#"4: upstream "up": "base_url" must start with https://, or http:// for a loopback host"#],
    );
    let secret = |name: &str| format!("{base_url}\nsecret = {name:?}");
    let wrong =
        r#"5: upstream "up": "secret" must be the name of a Worker secret: capital letters, digits and underscores"#;
    for name in ["sk-live-1", "openai_key", "1KEY", "_KEY", " "] {
        check(base_url, &secret(name), &[wrong]);
    }
    check(base_url, &secret("OPENAI_API_KEY_2"), &[]);
    check(
        base_url,
        &format!("{base_url}\nauth = \"basic\"\npriority = -1\nenabled = 1\nquery = {{ v = 1 }}"),
        &[
            r#"5: upstream "up": auth: unknown variant `basic`, expected one of `bearer`, `x-api-key`, `api-key`, `query`"#,
            r#"6: upstream "up": "priority" must be from 0 to 4294967295"#,
            r#"7: upstream "up": "enabled" must be true or false, not of type integer"#,
            r#"8: query of upstream "up": "v" must be a string, not of type integer"#,
        ],
    );
    check(
        base_url,
        &format!("{base_url}\ntimeouts_ms = {{ idle = 0, read = 1 }}\nstrip = [\"usage.\"]"),
        &[
            r#"5: timeouts_ms of upstream "up": unknown key "read""#,
            r#"5: timeouts_ms of upstream "up": "idle" must be from 1 to 9007199254740991"#,
            r#"6: upstream "up": "usage." must be a dotted name such as "usage.cost""#,
        ],
    );
    check(
        base_url,
        &format!("{base_url}\npasses = [\"top_k\", \"a.b\", \"\", \"enable_search\", \"conversation\"]"),
        &[
            r#"5: upstream "up": "a.b" must be the name of a request field such as "top_k""#,
            r#"5: upstream "up": "" must be the name of a request field such as "top_k""#,
            r#"5: upstream "up": "enable_search" changes the price or names state at a provider, and never passes"#,
            r#"5: upstream "up": "conversation" changes the price or names state at a provider, and never passes"#,
        ],
    );
}

#[test]
fn models_and_routes() {
    check("context_window = 128000", "", &[r#"5: model "m": "context_window" is missing"#]);
    check(
        "context_window = 128000",
        "context_window = 0",
        &[r#"7: model "m": "context_window" must be from 1 to 9007199254740991"#],
    );
    check("max_output_tokens = 16384", "", &[r#"5: model "m": "max_output_tokens" is missing"#]);
    check(
        "max_output_tokens = 16384",
        "max_output_tokens = 9007199254740992",
        &[r#"8: model "m": "max_output_tokens" must be from 1 to 9007199254740991"#],
    );
    check("max_output_tokens = 16384", "max_output_tokens = 256000", &[]);
    check(
        "id = \"m\"",
        "id = \"m\"\nlimit_field = \"n\"",
        &[
            r#"7: model "m": limit_field: unknown variant `n`, expected one of `max_tokens`, `max_completion_tokens`, `max_output_tokens`"#,
        ],
    );
    check("[[model.route]]\nupstream = \"up\"", "", &[r#"5: model "m": no [[model.route]]"#]);
    check(
        "[[model.route]]\nupstream = \"up\"",
        "[[model]]\nid = \"n\"\ncontext_window = 1\nprice = []\nroute = []",
        &[
            r#"5: model "m": no [[model.route]]"#,
            r#"13: model "n": no [[model.price]], and unpriced models are not allowed"#,
            r#"13: model "n": no [[model.route]]"#,
        ],
    );
    check("upstream = \"up\"", "upstream = \"down\"", &[r#"14: route of model "m": unknown upstream "down""#]);
    check("upstream = \"up\"", "", &[r#"13: route of model "m": "upstream" is missing"#]);
    check(
        "[[model.route]]",
        "[[model.route]]\nupstream = \"up\"\nmodel = \"m\"\n[[model.route]]",
        &[r#"16: route of model "m": an earlier route has the same upstream and model"#],
    );
    check(
        "upstream = \"up\"",
        "upstream = \"up\"\ncost = { output = \"1\", image = \"2\" }",
        &[
            r#"15: cost of route of model "m": the format cannot express the price class "image""#,
            r#"15: cost of route of model "m": "input" is missing"#,
        ],
    );
}

#[test]
fn the_routes_of_a_wrong_upstream_are_not_reported() {
    check(
        "base_url = \"https://up.example/v1\"",
        "base_url = 1",
        &[r#"4: upstream "up": "base_url" must be a string, not of type integer"#],
    );
}

#[test]
fn prices() {
    let input = "input = \"2.50\"";
    check(input, "", &[r#"9: price of model "m": "input" is missing"#]);
    for (value, problem) in [
        ("\"-2.50\"", "is negative"),
        ("\"2.1234567\"", "\"2.1234567\": more than 6 decimals"),
        ("\"2,50\"", "\"2,50\": not a plain decimal number"),
        ("\"1e3\"", "\"1e3\": not a plain decimal number"),
        ("\"\"", "must not be empty or have control characters"),
        ("\"99999999999\"", "\"99999999999\": the amount is beyond 2^53 - 1 units"),
        ("2.5", "must be a decimal string such as \"2.50\", not of type float"),
        ("3", "must be a decimal string such as \"2.50\", not of type integer"),
    ] {
        check(input, &format!("input = {value}"), &[&format!(r#"11: price of model "m": "input" {problem}"#)]);
    }
    check(
        input,
        &format!("{input}\nimage_output = \"30\"\ninput_per_second = \"1\""),
        &[
            r#"12: price of model "m": the format cannot express the price class "image_output""#,
            r#"13: price of model "m": the format cannot express the price class "input_per_second""#,
        ],
    );
    check(
        input,
        &format!("{input}\nrequest = \"0.0000001\""),
        &[r#"12: price of model "m": "request" "0.0000001": more than 6 decimals"#],
    );
    let effective_at = "effective_at = 2024-10-01T00:00:00Z";
    check(effective_at, "", &[r#"9: price of model "m": "effective_at" is missing"#]);
    for (value, kind) in [("2024-10-01", "datetime"), ("2024-10-01T00:00:00", "datetime"), ("\"2024\"", "string")] {
        check(
            effective_at,
            &format!("effective_at = {value}"),
            &[&format!(
                r#"10: price of model "m": "effective_at" must be a date-time with an offset such as 2024-10-01T00:00:00Z, not of type {kind}"#
            )],
        );
    }
}

#[test]
fn several_prices() {
    let second = |price: &str| replaced("[[model.route]]", &format!("[[model.price]]\n{price}\n[[model.route]]"));
    let (t, t2) = ("effective_at = 2024-10-01T00:00:00Z", "effective_at = 2025-10-01T00:00:00Z");
    let rates = "input = \"1\"\noutput = \"2\"";
    check_text(&second(&format!("{t2}\n{rates}")), &[]);
    check_text(&second(&format!("{t}\nabove_input = 200000\n{rates}")), &[]);
    check_text(
        &second(&format!("{t}\n{rates}")),
        &[r#"13: price of model "m": an earlier entry has the same effective_at"#],
    );
    check_text(
        &second(&format!("effective_at = 2024-10-01T02:00:00+02:00\n{rates}")),
        &[r#"13: price of model "m": an earlier entry has the same effective_at"#],
    );
    check_text(
        &second(&format!("{t2}\nabove_input = 200000\n{rates}")),
        &[r#"13: price of model "m": above_input needs an entry without it at the same effective_at"#],
    );
    check_text(
        &second(&format!("{t}\nabove_input = 0\n{rates}")),
        &[r#"15: price of model "m": "above_input" must be from 1 to 9007199254740991"#],
    );
    check_text(
        &second(&format!("{t2}\ninput = \"1\"")),
        &[r#"13: price of model "m": either all prices of a model have "output", or none"#],
    );
    let long = |above: u64| format!("{t}\nabove_input = {above}\n{rates}");
    check_text(
        &second(&format!("{}\n[[model.price]]\n{}", long(1), long(1))),
        &[r#"18: price of model "m": an earlier entry has the same effective_at and above_input"#],
    );
    check_text(
        &second(&format!("{}\n[[model.price]]\n{}", long(1), long(2))),
        &[r#"18: price of model "m": the format cannot express more than one above_input at the same effective_at"#],
    );
}

#[test]
fn unpriced_models_are_refused_unless_allowed() {
    let free = replaced("input = \"2.50\"\noutput = \"10.00\"", "input = \"0\"\noutput = \"0.00\"");
    check_text(&free, &[r#"9: price of model "m": the price is zero, and unpriced models are not allowed"#]);
    assert!(parse(&free, UNPRICED).unwrap().models["m"].prices[0].is_free());

    let price = "[[model.price]]\neffective_at = 2024-10-01T00:00:00Z\ninput = \"2.50\"\noutput = \"10.00\"\n";
    let missing = replaced(price, "");
    check_text(&missing, &[r#"5: model "m": no [[model.price]], and unpriced models are not allowed"#]);
    let model = parse(&missing, UNPRICED).unwrap().models["m"].clone();
    assert_eq!((model.prices.len(), model.price_at(i64::MAX), model.embeds_only(), model.created), (0, None, false, 0));
}

#[test]
fn everything_is_read_into_its_place() {
    let catalog = parse(include_str!("../../tests/full.toml"), !UNPRICED).unwrap();
    insta::assert_json_snapshot!(catalog);
    // The Worker keeps its stale copy as this JSON.
    let json = serde_json::to_string(&catalog).unwrap();
    assert_eq!(serde_json::from_str::<Catalog>(&json).unwrap(), catalog);
}

#[test]
fn candidates_are_sorted_by_priority_then_by_the_order_of_the_file() {
    let catalog = parse(include_str!("../../tests/full.toml"), !UNPRICED).unwrap();
    let order = |model: &str, dialect| -> Vec<&str> {
        let model = catalog.models.get(model).unwrap();
        catalog.candidates(model, dialect).into_iter().map(|(upstream, _)| upstream.id.as_str()).collect()
    };
    for dialect in [Dialect::AnthropicMessages, Dialect::OpenaiChat] {
        assert_eq!(order("claude", dialect), ["anthropic", "local", "azure", "openrouter"]);
    }
    assert_eq!(order("embed", Dialect::OpenaiEmbeddings), ["azure"]);
    assert_eq!(order("embed", Dialect::OpenaiChat), ["azure"]);
}

#[test]
fn the_price_in_effect_is_the_latest_that_has_started() {
    let catalog = parse(include_str!("../../tests/full.toml"), !UNPRICED).unwrap();
    let model = catalog.models.get("claude").unwrap();
    let input = |now_ms| model.price_at(now_ms).map(|price| price.rates.input);
    let usd = |text| Some(PicoUsd::from_usd_per_million(text).unwrap());
    let (first, second) = (1_704_067_200_000, 1_735_689_600_000);
    assert_eq!(input(first - 1), None);
    assert_eq!(input(first), usd("3"));
    assert_eq!(input(second - 1), usd("3"));
    assert_eq!(input(second), usd("2.5"));
}

#[test]
fn the_name_of_a_value_is_its_serde_name() {
    let name = |value: serde_json::Value| value.as_str().unwrap().to_owned();
    for dialect in
        [Dialect::OpenaiChat, Dialect::OpenaiResponses, Dialect::OpenaiEmbeddings, Dialect::AnthropicMessages]
    {
        assert_eq!(name(serde_json::json!(dialect)), dialect.name());
    }
    for auth in [Auth::Bearer, Auth::XApiKey, Auth::ApiKey, Auth::Query] {
        assert_eq!(name(serde_json::json!(auth)), auth.name());
    }
    for field in [LimitField::MaxTokens, LimitField::MaxCompletionTokens, LimitField::MaxOutputTokens] {
        assert_eq!(name(serde_json::json!(field)), field.name());
    }
}

#[test]
fn the_key_is_sent_as_the_dialect_expects_it() {
    let catalog = parse(include_str!("../../tests/full.toml"), !UNPRICED).unwrap();
    let auth = |id: &str, dialect| catalog.upstreams[id].auth_for(dialect);
    assert_eq!(auth("anthropic", Dialect::AnthropicMessages), Auth::XApiKey);
    assert_eq!(auth("openrouter", Dialect::AnthropicMessages), Auth::XApiKey);
    assert_eq!(auth("openrouter", Dialect::OpenaiChat), Auth::Bearer);
    assert_eq!(auth("azure", Dialect::OpenaiChat), Auth::ApiKey);
}

#[test]
fn an_overlay_is_the_last_route_of_every_model_it_can_serve() {
    let mut catalog = parse(include_str!("../../tests/full.toml"), !UNPRICED).unwrap();
    let demo = "[[upstream]]\nid = \"demo\"\ndialects = [\"openai_chat\"]\nbase_url = \"http://127.0.0.1:8788/v1\"";
    parse_overlay(demo, &mut catalog).unwrap();
    let claude = catalog.models.get("claude").unwrap();
    let (upstream, route) = catalog.candidates(claude, Dialect::OpenaiChat).pop().unwrap();
    assert_eq!((upstream.id.as_str(), route.model.as_str(), route.priority), ("demo", "claude", Some(9)));
    assert_eq!(claude.routes.last(), Some(route));
    assert!(catalog.models["embed"].routes.iter().all(|route| route.upstream != "demo"));

    let embeddings = demo.replace("openai_chat", "openai_embeddings").replace("demo", "demo-embeds");
    parse_overlay(&embeddings, &mut catalog).unwrap();
    assert_eq!(catalog.models["embed"].routes.last().unwrap().upstream, "demo-embeds");
    assert_eq!(catalog.models["claude"].routes.last().unwrap().upstream, "demo");
}

#[test]
fn issue_13_an_overlay_answers_for_no_model_whose_provider_has_a_key() {
    let catalog = parse(include_str!("../../tests/full.toml"), !UNPRICED).unwrap();
    let overlaid = |secrets: &str| {
        let demo = format!(
            "secrets_set = [{secrets}]\n[[upstream]]\nid = \"demo\"\n\
             dialects = [\"openai_chat\", \"openai_embeddings\"]\nbase_url = \"http://127.0.0.1:8788/v1\""
        );
        let mut overlaid = catalog.clone();
        parse_overlay(&demo, &mut overlaid).unwrap();
        let models = overlaid.models.into_values();
        let laid = models.filter(|model| model.routes.iter().any(|route| route.upstream == "demo"));
        laid.map(|model| model.id).collect::<Vec<_>>()
    };
    let secret_of = |model: &crate::Model| {
        let of = |route: &crate::Route| catalog.upstreams.get(&route.upstream)?.secret.clone();
        model.routes.iter().filter_map(of).collect::<Vec<_>>()
    };
    let all = overlaid("\"UNRELATED\"");
    assert!(!all.is_empty());
    for model in catalog.models.values().filter(|model| all.contains(&model.id)) {
        for secret in secret_of(model) {
            assert!(!overlaid(&format!("\"X\", \"{secret}\"")).contains(&model.id), "{} with {secret}", model.id);
        }
    }
}

#[test]
fn a_wrong_overlay_changes_nothing() {
    let catalog = parse(GOOD, !UNPRICED).unwrap();
    let mut overlaid = catalog.clone();
    let text = "[[upstream]]\nid = \"up\"\nbase_url = \"https://x.example\"\n[[model]]\nid = \"m\"";
    assert_eq!(
        lines(parse_overlay(text, &mut overlaid).unwrap_err()),
        [
            r#"1: upstream "up": "dialects" is missing"#,
            r#"2: upstream "up": the catalogue has an upstream with this id"#,
            r#"4: the file: unknown key "model""#,
        ]
    );
    assert_eq!(overlaid, catalog);
}
