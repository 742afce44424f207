//! The revisions of the protocol, and which era each belongs to.

use serde_json::Value;

/// The revision whose requests stand for themselves.
pub const MODERN: &str = "2026-07-28";
/// The revisions that begin with `initialize`, the newest first.
pub const LEGACY: [&str; 3] = [NEWEST_LEGACY, "2025-06-18", "2025-03-26"];
const NEWEST_LEGACY: &str = "2025-11-25";

/// Where a modern request says its version, in `_meta`.
pub const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// Where a modern request says what its client can do, in `_meta`.
pub const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// Where a modern result says who made it, in `_meta`.
pub const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";

/// How a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// With `initialize`; up to 2025-11-25.
    Legacy,
    /// Each request for itself; since 2026-07-28.
    Modern,
}

/// Who the server is.
#[must_use]
pub fn server_info() -> Value {
    serde_json::json!({ "name": "oneinterface", "title": "One Interface", "version": env!("CARGO_PKG_VERSION") })
}

/// What the server can do, in either era.
#[must_use]
pub fn capabilities() -> Value {
    serde_json::json!({ "tools": {}, "resources": {}, "prompts": {}, "completions": {} })
}

/// What a model is told about the server as a whole.
pub const INSTRUCTIONS: &str = "One Interface gives access to language models of many providers by one prepaid account. \
list_models shows what can be asked for and what it costs; chat_completion asks a model and charges the account. \
get_balance and get_usage show the account's money; the other tools manage its API keys. Amounts are decimal USD.";

/// Every revision that is spoken here, the newest first.
#[must_use]
pub fn supported() -> Vec<&'static str> {
    std::iter::once(MODERN).chain(LEGACY).collect()
}

/// The version that answers an `initialize` which asks for `asked`: the same where it is known.
#[must_use]
pub fn negotiate(asked: &str) -> &'static str {
    LEGACY.into_iter().find(|version| *version == asked).unwrap_or(NEWEST_LEGACY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_version_is_kept_and_an_unknown_one_becomes_the_newest() {
        for (asked, answered) in [
            ("2025-03-26", "2025-03-26"),
            ("2025-06-18", "2025-06-18"),
            ("2025-11-25", "2025-11-25"),
            ("2024-11-05", "2025-11-25"),
            ("2026-07-28", "2025-11-25"),
            ("", "2025-11-25"),
        ] {
            assert_eq!(negotiate(asked), answered, "{asked}");
        }
    }
}
