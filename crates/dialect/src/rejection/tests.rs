use super::*;

fn anthropic(message: &str) -> String {
    serde_json::json!({"type": "error", "error": {"type": "invalid_request_error", "message": message}}).to_string()
}

#[test]
fn the_words_of_providers_are_understood() {
    let openai = |code: &str, message: &str| {
        serde_json::json!({"error": {"message": message, "type": "invalid_request_error", "param": null, "code": code}})
            .to_string()
    };
    for (status, body, expected) in [
        (400, anthropic("prompt is too long: 210000 tokens > 200000 maximum"), Rejection::ContextLength),
        (400, openai("context_length_exceeded", "This model's maximum context length is 8192 tokens."), Rejection::ContextLength),
        (
            500,
            r#"{"error":{"code":500,"message":"input (4002 tokens) is too large to process. increase the physical batch size","type":"server_error"}}"#.into(),
            Rejection::ContextLength,
        ),
        (
            400,
            anthropic("input length and `max_tokens` exceed context limit: 190000 + 32000 > 200000, decrease input length or `max_tokens` and try again"),
            Rejection::MaxTokens,
        ),
        (
            400,
            anthropic("thinking: Input tag 'adaptive' found using 'type' does not match any of the expected tags: 'disabled', 'enabled'"),
            Rejection::ThinkingAdaptive,
        ),
        (
            400,
            anthropic("thinking: Input tag 'enabled' found using 'type' does not match any of the expected tags: 'adaptive', 'disabled'"),
            Rejection::ThinkingEnabled,
        ),
        (400, anthropic("messages.0.content.0.document.source.base64.data: The PDF specified was not valid."), Rejection::Document),
        (400, anthropic("adaptive thinking is not supported on this model"), Rejection::ThinkingAdaptive),
        (
            400,
            anthropic("\"thinking.type.enabled\" is not supported for this model. Use \"thinking.type.adaptive\" and \"output_config.effort\" to control thinking behavior."),
            Rejection::ThinkingEnabled,
        ),
        (400, anthropic("messages.1.content.0: Invalid `signature` in `thinking` block"), Rejection::ThinkingSignature),
        (400, anthropic("This model does not support the effort parameter."), Rejection::Effort),
        (400, openai("unsupported_value", "Unsupported value: 'reasoning_effort' does not support 'minimal'"), Rejection::Effort),
        (400, anthropic("output_config.format: Extra inputs are not permitted"), Rejection::StructuredOutputs),
        (400, anthropic("messages: Unexpected role \"system\". The Messages API accepts a top-level `system` parameter"), Rejection::MidConvSystem),
        (400, anthropic("A maximum of 4 blocks with cache_control may be provided. Found 5."), Rejection::CacheControl),
        (400, anthropic("Could not process image"), Rejection::Image),
        (400, anthropic("document: PDF is not supported by this model"), Rejection::Document),
        (400, anthropic("A maximum of 100 PDF pages may be provided."), Rejection::MediaBudget),
        (
            400,
            anthropic("Unexpected value(s) `computer-use-2099-01-01` for the `anthropic-beta` header."),
            Rejection::BetaHeader("computer-use-2099-01-01".into()),
        ),
        (400, openai("content_policy_violation", "Your request was rejected."), Rejection::ContentPolicy),
    ] {
        assert_eq!(classify(status, &body, Some("a-1, Computer-Use-2099-01-01")), Some(expected), "{body}");
    }
}

#[test]
fn what_no_client_can_act_on_is_nothing() {
    for (status, body) in [
        (401, anthropic("prompt is too long")),
        (500, anthropic("Could not process image")),
        (400, anthropic("temperature: range: 0..1")),
        (400, "<html>prompt is too long</html>".to_owned()),
        (400, "[".repeat(100_000)),
        (400, String::new()),
    ] {
        assert_eq!(classify(status, &body, None), None, "{body:.60}");
    }
}

#[test]
fn nothing_of_the_provider_is_repeated_but_a_beta_that_the_client_sent() {
    let unknown = |word: &str| anthropic(&format!("Unexpected value(s) {word} for the `anthropic-beta` header"));
    for (word, sent, named) in [
        ("`b-2`", Some("a-1,b-2"), Some("b-2")),
        ("`c-3`, `b-2`", Some(" B-2 , a-1"), Some("b-2")),
        ("\"oauth\"", Some("oauth"), Some("oauth")),
        ("`internal-project-7`", Some("a-1,b-2"), None),
        ("`internal-project-7`", Some(""), None),
        ("`internal-project-7`", None, None),
        ("internal-project-7", Some("project"), None),
        ("`b-2-internal`", Some("b-2"), None),
        ("`x-<script>`", Some("x-<script>"), None),
        ("``", Some(",,"), None),
    ] {
        let expected = named.map(|beta| Rejection::BetaHeader(beta.into()));
        assert_eq!(classify(400, &unknown(word), sent), expected, "{word} {sent:?}");
    }
    let secret = anthropic("The account `acme-internal` may not use images: anthropic-beta is not supported");
    let told = classify(400, &secret, Some("files-api")).map(|rejection| rejection.sentence());
    assert!(told.is_none_or(|told| !told.contains("acme")));
    let long = Rejection::ContextLength.sentence();
    assert!(long.contains("prompt is too long") && long.contains("capability_rejected: prompt_too_long"), "{long}");
    assert_eq!(Rejection::ContextLength.code(), Some("context_length_exceeded"));
    assert_eq!(Rejection::BetaHeader("a-1".into()).token().as_deref(), Some("beta_header:a-1"));
    assert_eq!(Rejection::ContentPolicy.token(), None);
}
