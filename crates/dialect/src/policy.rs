//! Fields that a request may not carry, or not as they are.
//!
//! A field that changes the provider's price is refused until it is priced, or a customer could order
//! what nobody pays for. State that is kept at a provider lies in the operator's one account there, so
//! ids of it are refused too.

use crate::envelope::{Edits, Envelope};
use crate::measure::InputMeasure;
use crate::request::{RequestError, as_array, as_string};

/// Fields that order something at another price, whoever the provider is.
const PRICED_FIELDS: [&str; 26] = [
    "audio",                   // OpenAI: audio output
    "background",              // OpenAI: background mode
    "batch",                   // several: batch tiers
    "best_of",                 // several: answers that are made and not shown
    "compound_custom",         // Groq: hosted tools
    "connector_ids",           // Cohere: hosted search
    "deferred",                // xAI: answers later
    "enable_code_interpreter", // Alibaba: hosted code
    "enable_search",           // Alibaba: web search
    "extra_body",              // Gemini: whatever its own API knows
    "fallback_credit_token",   // Anthropic: what another request has paid for
    "fallbacks",               // Anthropic, LiteLLM: other models
    "inference_geo",           // Anthropic: regional surcharge
    "mcp_servers",             // Anthropic: hosted tools
    "models",                  // OpenRouter: other models
    "multi_agent",             // several: more models for one answer
    "plugins",                 // OpenRouter: web search, file parsing
    "preset",                  // OpenRouter, Perplexity: a model and its tools by one name
    "prompt_cache_options",    // OpenAI: longer and dearer cache writes
    "provider",                // OpenRouter: choice of provider
    "route",                   // OpenRouter: other models
    "search_options",          // Alibaba: what a web search costs
    "search_parameters",       // xAI: live search
    "speed",                   // Anthropic: fast mode
    "web_search",              // several
    "web_search_options",      // OpenAI, Perplexity: web search and its context size
];

/// Fields that name state kept at a provider.
const STATE_FIELDS: [&str; 14] = [
    "agent_id",
    "assistant_id",
    "cached_content",
    "container",
    "conversation",
    "file_ids",
    "memory_store_ids",
    "previous_response_id",
    "prompt",
    "thread_id",
    "tool_resources",
    "user_profile_id",
    "vector_store_ids",
    "workspace_id",
];

/// Members of a part that name state at a provider, wherever in it they stand.
const STATE_MEMBERS: [&str; 11] = [
    "connector_id",
    "container",
    "container_id",
    "file_id",
    "file_ids",
    "memory_store_id",
    "memory_store_ids",
    "skill_id",
    "tunnel_id",
    "vector_store_id",
    "vector_store_ids",
];

/// Members of a part that hold the address of media, or the media themselves.
const MEDIA_MEMBERS: [&str; 8] =
    ["data", "document_url", "file_data", "file_url", "image_url", "url", "video", "video_url"];

/// Members that hold an address, or nothing but what was put in its place.
const ADDRESS_MEMBERS: [&str; 6] = ["document_url", "file_url", "image_url", "url", "video", "video_url"];

/// How much of a text is looked at for an address, in bytes. What a reader leaves out of it, as tabs, is
/// counted too.
const MAX_LOOKED_AT_BYTES: usize = 1_024;

/// Base64 in the place of an address is at least so long: the smallest image has more, and an id has less.
const LEAST_INLINE_BYTES: usize = 64;

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

/// Whether a top-level field is refused, whatever the dialect, unless it asks for nothing.
#[must_use]
pub fn refuses(field: &str) -> bool {
    PRICED_FIELDS.contains(&field) || STATE_FIELDS.contains(&field)
}

/// Refuses spellings that a server which ignores case, as Go's JSON reader does by Unicode's simple
/// folding, would take for a field that means something here.
pub(crate) fn check_spelling(envelope: &Envelope<'_>, decided: &[&str]) -> Result<(), RequestError> {
    for key in envelope.keys() {
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
    look_through(path, "", part, MAX_PART_DEPTH, &mut media)?;
    Ok(media)
}

fn look_through(path: &str, member: &str, json: &str, depth: usize, media: &mut Media) -> Result<(), RequestError> {
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
                look_through(path, key, value, deeper, media)?;
            }
            Ok(())
        }
        Some(b'[') => {
            let items = as_array(json).unwrap_or_default();
            items.into_iter().try_for_each(|item| look_through(path, member, item, deeper, media))
        }
        Some(b'"') => look_at_text(path, member, json, media),
        _ => Ok(()),
    }
}

/// A string of a part: perhaps data, or the address of it. Of addresses only `http`, `https` and `data` pass,
/// read as browsers and most servers read them.
fn look_at_text(path: &str, member: &str, json: &str, media: &mut Media) -> Result<(), RequestError> {
    // Megabytes of base64 have no escapes in their beginning; a text that has some is decoded.
    let inner = json.get(1..json.len().saturating_sub(1)).unwrap_or_default();
    let beginning = beginning_of(inner);
    let decoded = if beginning.contains('\\') { as_string(json) } else { None };
    let text = normalised(decoded.as_deref().map_or(beginning, beginning_of));
    if let Some(kind) = text.strip_prefix("data:") {
        let kind = kind.trim_start();
        if kind.starts_with("audio/") {
            return Err(not_priced(path));
        }
        if !kind.starts_with("image/") {
            *media = Media::Unmeasured;
        }
        return Ok(());
    }
    let is_address = ADDRESS_MEMBERS.contains(&member);
    match scheme(&text) {
        Some("http" | "https") => Ok(()),
        // `gs://`, `ms://`, `s3://`, `file:`: files that lie at a provider.
        Some(_) if is_address => Err(no_state(path)),
        Some(scheme) if text.get(scheme.len()..).is_some_and(|rest| rest.starts_with("://")) => Err(no_state(path)),
        _ if !is_address || is_inline(inner, &text) => Ok(()),
        _ => Err(no_state(path)),
    }
}

fn beginning_of(text: &str) -> &str {
    let mut end = text.len().min(MAX_LOOKED_AT_BYTES);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or_default()
}

/// The beginning of an address as a reader of addresses takes it (WHATWG URL): without the control
/// characters and spaces in front, and without tabs and line ends anywhere; in lower case.
fn normalised(text: &str) -> String {
    let text = text.trim_start_matches(|c: char| c <= ' ');
    text.chars().filter(|c| !matches!(c, '\t' | '\n' | '\r')).map(|c| c.to_ascii_lowercase()).collect()
}

fn scheme(address: &str) -> Option<&str> {
    let (scheme, _) = address.split_once(':')?;
    let fits = |c: u8| c.is_ascii_alphanumeric() || b"+-.".contains(&c);
    (scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.bytes().all(fits)).then_some(scheme)
}

/// Whether base64 stands in the place of an address, as some servers take it.
fn is_inline(whole: &str, beginning: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"+/=".contains(&b);
    whole.len() >= LEAST_INLINE_BYTES && beginning.bytes().all(fits)
}

/// Measures what stands in an image part beside the image: its few words are input like any other.
pub fn measure_beside(input: &mut InputMeasure, member: &str, json: &str) {
    match json.as_bytes().first() {
        Some(b'{') => {
            let fields = Envelope::parse(json).ok();
            let members = fields.iter().flat_map(Envelope::members);
            members.for_each(|(key, value)| measure_beside(input, key, value));
        }
        Some(b'[') => {
            as_array(json).unwrap_or_default().into_iter().for_each(|item| measure_beside(input, member, item));
        }
        _ if MEDIA_MEMBERS.contains(&member) => {}
        _ => input.beside(json),
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
        assert_eq!(ChatRequest::parse(&body).unwrap().pass_through(&Outgoing::default()).unwrap().0, body);
    }

    #[test]
    fn auto_becomes_default_and_nothing_is_stored() {
        let body = request(r#""service_tier":"auto","store":true,"#, "\"hi\"");
        let sent = ChatRequest::parse(&body).unwrap().pass_through(&Outgoing::default()).unwrap().0;
        assert_eq!(sent, body.replace("auto", "default").replace("true", "false"));
    }
}
