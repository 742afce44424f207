//! Fields that a request may not carry, or not as they are.
//!
//! A field that changes the provider's price is refused until it is priced, or a customer could order
//! what nobody pays for. State that is kept at a provider lies in the operator's one account there, so
//! ids of it are refused too.

use crate::envelope::{Edits, Envelope};
use crate::request::{RequestError, as_array, as_string};

/// Fields that order something at another price, whoever the provider is.
const PRICED_FIELDS: [&str; 21] = [
    "audio",                // OpenAI: audio output
    "background",           // OpenAI: background mode
    "batch",                // several: batch tiers
    "best_of",              // several: answers that are made and not shown
    "compound_custom",      // Groq: hosted tools
    "connector_ids",        // Cohere: hosted search
    "deferred",             // xAI: answers later
    "enable_search",        // Alibaba: web search
    "extra_body",           // Gemini: whatever its own API knows
    "fallbacks",            // Anthropic, LiteLLM: other models
    "inference_geo",        // Anthropic: regional surcharge
    "mcp_servers",          // Anthropic: hosted tools
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
const STATE_FIELDS: [&str; 10] = [
    "agent_id",
    "assistant_id",
    "cached_content",
    "container",
    "conversation",
    "file_ids",
    "previous_response_id",
    "prompt",
    "thread_id",
    "tool_resources",
];

/// Members of a part that name state at a provider, wherever in it they stand.
const STATE_MEMBERS: [&str; 3] = ["file_id", "file_ids", "container"];

/// Parts that are images.
const IMAGE_PARTS: [&str; 3] = ["image_url", "input_image", "image"];

/// How deep a part is looked into; what is deeper is nothing that any provider documents.
const MAX_PART_DEPTH: usize = 8;

/// Fields that the gateway decides on. A server that ignores case would read another spelling of them.
const DECIDED_FIELDS: [&str; 10] = [
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "modalities",
    "model",
    "n",
    "service_tier",
    "stream",
    "stream_options",
    "tools",
];

/// Refuses what changes the price or names state at a provider.
///
/// # Errors
/// [`RequestError`] that names the field.
pub fn check(envelope: &Envelope<'_>) -> Result<(), RequestError> {
    check_fields(envelope, &DECIDED_FIELDS)?;
    for modality in envelope.array("modalities")?.unwrap_or_default() {
        if as_string(modality).as_deref() != Some("text") {
            return Err(not_priced("modalities"));
        }
    }
    for (at, tool) in envelope.array("tools")?.unwrap_or_default().into_iter().enumerate() {
        let path = format!("tools[{at}]");
        let tool =
            Envelope::parse(tool).map_err(|_| RequestError::wrong_type(&path, "an object with each field once"))?;
        check_spelling(&tool, &["type", "function"])?;
        // A tool of any other type is run, and charged for, by the provider; so is one that is named by
        // its only member, as `{"google_search": {}}`.
        let described = || tool.present("name").is_some() || tool.present("function").is_some();
        match tool.string("type")?.as_deref() {
            Some("function" | "custom") => {}
            None if described() => {}
            _ => return Err(not_priced(&format!("{path}.type"))),
        }
    }
    Ok(())
}

/// Refuses top-level fields of any inference request: priced otherwise, state at a provider, or another
/// spelling of one that the gateway decides on.
///
/// # Errors
/// [`RequestError`] that names the field.
pub fn check_fields(envelope: &Envelope<'_>, decided: &[&str]) -> Result<(), RequestError> {
    check_spelling(envelope, decided)?;
    for (key, value) in envelope.members() {
        // The speed that nobody pays more for.
        if matches!(value, "null" | "false") || (key, value) == ("speed", "\"standard\"") {
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
        None | Some("auto" | "default" | "standard_only") => Ok(()),
        Some(_) => Err(not_priced("service_tier")),
    }
}

/// Refuses spellings that a server which ignores case, as Go's JSON reader does by Unicode's simple
/// folding, would take for a field that means something here.
pub(crate) fn check_spelling(envelope: &Envelope<'_>, decided: &[&str]) -> Result<(), RequestError> {
    for key in envelope.keys() {
        if !key.is_ascii() {
            return Err(RequestError::field(key, "names of fields must be ASCII"));
        }
        let folded = key.to_ascii_lowercase();
        let known = || PRICED_FIELDS.iter().chain(&STATE_FIELDS).chain(decided).any(|field| *field == folded);
        if folded != key && known() {
            return Err(RequestError::field(key, format!("unknown field `{key}`; it is spelled `{folded}`")));
        }
    }
    Ok(())
}

/// What a part of a message carries beside text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// Images, inline or by their address, and nothing else.
    Images,
    /// Something whose size nobody knows before the provider has read it.
    Unmeasured,
}

/// Looks through a part that is not text, and refuses what is priced otherwise or names state at a
/// provider.
///
/// # Errors
/// [`RequestError`] that names the part.
pub fn check_part(path: &str, kind: &str, part: &str) -> Result<Media, RequestError> {
    if kind.contains("audio") {
        return Err(not_priced(path));
    }
    let mut media = if IMAGE_PARTS.contains(&kind) { Media::Images } else { Media::Unmeasured };
    look_through(path, part, MAX_PART_DEPTH, &mut media)?;
    Ok(media)
}

fn look_through(path: &str, json: &str, depth: usize, media: &mut Media) -> Result<(), RequestError> {
    let Some(deeper) = depth.checked_sub(1) else {
        return Err(RequestError::field(path, "the part is nested too deep"));
    };
    match json.as_bytes().first() {
        Some(b'{') => {
            let fields =
                Envelope::parse(json).map_err(|_| RequestError::wrong_type(path, "an object with each field once"))?;
            for (key, value) in fields.members() {
                if STATE_MEMBERS.contains(&key.to_ascii_lowercase().as_str()) && value != "null" {
                    return Err(no_state(&format!("{path}.{key}")));
                }
                look_through(path, value, deeper, media)?;
            }
            Ok(())
        }
        Some(b'[') => {
            as_array(json).unwrap_or_default().into_iter().try_for_each(|i| look_through(path, i, deeper, media))
        }
        Some(b'"') => look_at_text(path, json, media),
        _ => Ok(()),
    }
}

/// A string of a part: perhaps data, or the address of it.
fn look_at_text(path: &str, json: &str, media: &mut Media) -> Result<(), RequestError> {
    // Megabytes of base64 have no escapes in their beginning; what has is decoded.
    let beginning = json.get(1..64.min(json.len())).unwrap_or(json);
    let decoded = if beginning.contains('\\') { as_string(json) } else { None };
    let text = decoded.as_deref().unwrap_or(beginning).trim_start().to_ascii_lowercase();
    if text.starts_with("data:audio/") {
        return Err(not_priced(path));
    }
    if text.starts_with("data:") && !text.starts_with("data:image/") {
        *media = Media::Unmeasured;
    }
    match text.split_once("://") {
        Some((scheme, _)) if scheme.len() < 12 && scheme.bytes().all(|b| b.is_ascii_alphanumeric()) => match scheme {
            "http" | "https" => Ok(()),
            // `gs://`, `ms://`, `s3://`: files that lie at a provider.
            _ => Err(no_state(path)),
        },
        _ => Ok(()),
    }
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

/// The error of a field that asks for what has no price.
pub(crate) fn not_priced(param: &str) -> RequestError {
    RequestError::field(param, format!("`{param}` asks for something that has no price here and is not available"))
}

/// The error of a field that names state at a provider.
pub(crate) fn no_state(param: &str) -> RequestError {
    RequestError::field(param, format!("`{param}` names something stored at a provider, which is not available here"))
}

#[cfg(test)]
mod tests {
    use crate::openai_chat::wire::ChatRequest;
    use crate::request::Outgoing;

    fn request(members: &str, content: &str) -> String {
        format!(r#"{{{members}"model":"m","messages":[{{"role":"user","content":{content}}}]}}"#)
    }

    #[test]
    fn what_changes_the_price_is_refused_by_name() {
        for (members, param) in [
            (r#""service_tier":"priority","#, "service_tier"),
            (r#""service_tier":"flex","#, "service_tier"),
            (r#""web_search_options":{},"#, "web_search_options"),
            (r#""speed":"fast","#, "speed"),
            (r#""inference_geo":"us","#, "inference_geo"),
            (r#""modalities":["text","audio"],"#, "modalities"),
            (r#""audio":{"voice":"alloy"},"#, "audio"),
            (r#""tools":[{"type":"web_search"}],"#, "tools[0].type"),
            (r#""models":["o1-pro"],"#, "models"),
            (r#""Service_Tier":"priority","#, "Service_Tier"),
            (r#""N":100,"#, "N"),
            (r#""\u017ftream":true,"#, "\u{17f}tream"),
            (r#""max_to\u212aens":100000,"#, "max_to\u{212a}ens"),
            (r#""extra_body":{"google":{}},"#, "extra_body"),
            (r#""cached_content":"x","#, "cached_content"),
            (r#""tools":[{"google_search":{}}],"#, "tools[0].type"),
            (r#""tools":[{"Type":"web_search","type":"function"}],"#, "Type"),
            (r#""previous_response_id":"resp_1","#, "previous_response_id"),
        ] {
            let error = ChatRequest::parse(&request(members, "\"hi\"")).unwrap_err();
            assert_eq!(error.param.as_deref(), Some(param), "{members}");
        }
        for (content, param) in [
            (r#"[{"type":"input_audio","input_audio":{"data":"","format":"wav"}}]"#, "messages[0].content[0]"),
            (r#"[{"type":"file","file":{"file_id":"file-1"}}]"#, "messages[0].content[0].file_id"),
            (r#"[{"type":"file","file":{"file_id":"x","file_id":"x"}}]"#, "messages[0].content[0]"),
            (r#"[{"type":"input_image","file_id":"x"}]"#, "messages[0].content[0].file_id"),
            (r#"[{"type":"image","source":{"type":"file","file_id":"x"}}]"#, "messages[0].content[0].file_id"),
            (r#"[{"type":"image_url","image_url":{"url":"ms://x"}}]"#, "messages[0].content[0]"),
            (r#"[{"type":"audio_url","audio_url":{"url":"https://x"}}]"#, "messages[0].content[0]"),
            (r#"[{"type":"file","file":{"file_data":"data:audio/mp3;base64,A"}}]"#, "messages[0].content[0]"),
        ] {
            let error = ChatRequest::parse(&request("", content)).unwrap_err();
            assert_eq!(error.param.as_deref(), Some(param), "{content}");
        }
    }

    #[test]
    fn harmless_values_of_the_same_fields_pass() {
        let body = request(
            r#""service_tier":"default","speed":"standard","background":false,"audio":null,"modalities":["text"],"store":false,"#,
            "\"hi\"",
        );
        assert_eq!(ChatRequest::parse(&body).unwrap().pass_through(&Outgoing::default()).0, body);
    }

    #[test]
    fn auto_becomes_default_and_nothing_is_stored() {
        let body = request(r#""service_tier":"auto","store":true,"#, "\"hi\"");
        let sent = ChatRequest::parse(&body).unwrap().pass_through(&Outgoing::default()).0;
        assert_eq!(sent, body.replace("auto", "default").replace("true", "false"));
    }
}
