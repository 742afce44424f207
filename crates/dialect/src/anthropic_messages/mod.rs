//! Anthropic messages, as clients and upstreams speak them.
//! <https://docs.claude.com/en/api/messages>
