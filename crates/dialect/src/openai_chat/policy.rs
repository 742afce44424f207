//! Fields that a chat request may not carry, or not as they are.
//!
//! A field that changes the provider's price is refused until it is priced, or a customer could order
//! what nobody pays for. State that is kept at a provider lies in the operator's one account there, so
//! ids of it are refused too.

use crate::envelope::{Edits, Envelope};
use crate::request::{RequestError, as_string};

/// Fields that order something at another price, whoever the provider is.
const PRICED_FIELDS: [&str; 15] = [
    "audio",                // OpenAI: audio output
    "background",           // OpenAI: background mode
    "batch",                // several: batch tiers
    "enable_search",        // Alibaba: web search
    "fallbacks",            // Anthropic, LiteLLM: other models
    "inference_geo",        // Anthropic: regional surcharge
    "models",               // OpenRouter: other models
    "plugins",              // OpenRouter: web search, file parsing
    "prompt_cache_options", // OpenAI: longer and dearer cache writes
    "provider",             // OpenRouter: choice of provider
    "route",                // OpenRouter: other models
    "search_parameters",    // xAI: live search
    "speed",                // Anthropic: fast mode
    "web_search",           // several
    "web_search_options",   // OpenAI, Perplexity: web search and its context size
];

/// Fields that name state kept at a provider.
const STATE_FIELDS: [&str; 5] = ["container", "conversation", "file_ids", "previous_response_id", "prompt"];

/// Fields that the gateway decides on. A server that ignores case would read another spelling of them.
const DECIDED_FIELDS: [&str; 8] =
    ["model", "messages", "n", "stream", "stream_options", "max_tokens", "max_completion_tokens", "service_tier"];

/// Refuses what changes the price or names state at a provider.
///
/// # Errors
/// [`RequestError`] that names the field.
pub fn check(envelope: &Envelope<'_>) -> Result<(), RequestError> {
    for key in envelope.keys() {
        let folded = key.to_ascii_lowercase();
        let known = PRICED_FIELDS.iter().chain(&STATE_FIELDS).chain(&DECIDED_FIELDS);
        if folded != key && (known.copied().any(|field| field == folded) || folded == "tools" || folded == "modalities")
        {
            return Err(RequestError::field(key, format!("unknown field `{key}`; it is spelled `{folded}`")));
        }
        if envelope.present(key).is_none_or(|value| value == "false") {
            continue;
        }
        if PRICED_FIELDS.contains(&key) {
            return Err(not_priced(key));
        }
        if STATE_FIELDS.contains(&key) {
            return Err(no_state(key));
        }
    }
    match envelope.string("service_tier")?.as_deref() {
        None | Some("auto" | "default") => {}
        Some(_) => return Err(not_priced("service_tier")),
    }
    for modality in envelope.array("modalities")?.unwrap_or_default() {
        if as_string(modality).as_deref() != Some("text") {
            return Err(not_priced("modalities"));
        }
    }
    for (at, tool) in envelope.array("tools")?.unwrap_or_default().into_iter().enumerate() {
        let path = format!("tools[{at}]");
        let tool =
            Envelope::parse(tool).map_err(|_| RequestError::wrong_type(&path, "an object with each field once"))?;
        // A tool of any other type is run, and charged for, by the provider.
        match tool.string("type")?.as_deref() {
            None | Some("function" | "custom") => {}
            Some(_) => return Err(not_priced(&format!("{path}.type"))),
        }
    }
    Ok(())
}

/// Refuses a part of a message that is priced otherwise or names state at a provider.
///
/// # Errors
/// [`RequestError`] that names the part.
pub fn check_part(path: &str, kind: &str, part: &Envelope<'_>) -> Result<(), RequestError> {
    if kind == "input_audio" {
        return Err(not_priced(path));
    }
    let inner = part.present("file").and_then(|file| Envelope::parse(file).ok());
    let by_id = |fields: &Envelope<'_>| fields.present("file_id").is_some();
    if by_id(part) || inner.as_ref().is_some_and(by_id) {
        return Err(no_state(&format!("{path}.file_id")));
    }
    Ok(())
}

/// Refuses a field of a message that names state at a provider: the audio of an earlier answer.
///
/// # Errors
/// [`RequestError`] that names the field.
pub fn check_message_field(path: &str, key: &str) -> Result<(), RequestError> {
    if key == "audio" { Err(no_state(&format!("{path}.audio"))) } else { Ok(()) }
}

/// Sets what is not the client's to choose.
pub fn edit(envelope: &Envelope<'_>, edits: &mut Edits<'_>) {
    // `auto` would let the provider take the tier of the operator's project, at its price.
    if envelope.present("service_tier") == Some("\"auto\"") {
        edits.set("service_tier", "\"default\"");
    }
    // A stored answer could not be read back through this gateway.
    if envelope.present("store").is_some_and(|store| store != "false") {
        edits.set("store", "false");
    }
}

fn not_priced(param: &str) -> RequestError {
    RequestError::field(param, format!("`{param}` asks for something that has no price here and is not available"))
}

fn no_state(param: &str) -> RequestError {
    RequestError::field(param, format!("`{param}` names something stored at a provider, which is not available here"))
}

#[cfg(test)]
mod tests {
    use super::super::wire::{ChatRequest, Outgoing};

    fn request(members: &str, content: &str) -> String {
        format!(r#"{{{members}"model":"m","messages":[{{"role":"user","content":{content}}}]}}"#)
    }

    #[test]
    fn what_changes_the_price_is_refused_by_name() {
        for (members, param) in [
            (r#""service_tier":"priority","#, "service_tier"),
            (r#""service_tier":"flex","#, "service_tier"),
            (r#""web_search_options":{},"#, "web_search_options"),
            (r#""modalities":["text","audio"],"#, "modalities"),
            (r#""audio":{"voice":"alloy"},"#, "audio"),
            (r#""tools":[{"type":"web_search"}],"#, "tools[0].type"),
            (r#""models":["o1-pro"],"#, "models"),
            (r#""Service_Tier":"priority","#, "Service_Tier"),
            (r#""N":100,"#, "N"),
            (r#""previous_response_id":"resp_1","#, "previous_response_id"),
        ] {
            let error = ChatRequest::parse(&request(members, "\"hi\"")).unwrap_err();
            assert_eq!(error.param.as_deref(), Some(param), "{members}");
        }
        for (content, param) in [
            (r#"[{"type":"input_audio","input_audio":{"data":"","format":"wav"}}]"#, "messages[0].content[0]"),
            (r#"[{"type":"file","file":{"file_id":"file-1"}}]"#, "messages[0].content[0].file_id"),
        ] {
            let error = ChatRequest::parse(&request("", content)).unwrap_err();
            assert_eq!(error.param.as_deref(), Some(param), "{content}");
        }
    }

    #[test]
    fn harmless_values_of_the_same_fields_pass() {
        let body = request(
            r#""service_tier":"default","background":false,"audio":null,"modalities":["text"],"store":false,"#,
            "\"hi\"",
        );
        assert_eq!(ChatRequest::parse(&body).unwrap().encode(&Outgoing::default()), body);
    }

    #[test]
    fn auto_becomes_default_and_nothing_is_stored() {
        let body = request(r#""service_tier":"auto","store":true,"#, "\"hi\"");
        let sent = ChatRequest::parse(&body).unwrap().encode(&Outgoing::default());
        assert_eq!(sent, body.replace("auto", "default").replace("true", "false"));
    }
}
