//! The base URL of an upstream. This is the one URL parser that decides to which host a provider's key may go.
//!
//! The parser accepts only URLs that all URL parsers read alike: no user name, no escapes or backslashes before
//! the path, no query. So the host that is compared with the allowed hosts is the host that the Worker calls.
//! The shape is `scheme "://" host [":" port] [path]` of RFC 3986, with a lower-case host. One segment of
//! the path may be `{model}`; the upstream's id of the model replaces it (Azure's deployments need this).

use std::borrow::Cow;
use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};

/// A base URL to which a path can be appended safely: `https://host[:port][/path]` without a final slash. Only a
/// loopback host may have `http`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BaseUrl {
    text: String,
    host: String,
}

/// Why a text is not a base URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BaseUrlError {
    /// The scheme is missing or is neither `https` nor `http`.
    #[error("must start with https://, or http:// for a loopback host")]
    Scheme,
    /// The URL is `http` and leaves the machine, so the key would travel unencrypted.
    #[error("may be http only for a loopback host (localhost, 127.x.x.x, [::1])")]
    NotLoopback,
    /// The host is empty, has a user name, or has characters that two parsers may read differently.
    #[error("must name a plain host: letters, digits, dots and hyphens, or [::1], then perhaps a port")]
    Host,
    /// The port is not a number from 1 to 65535.
    #[error("must have a port from 1 to 65535")]
    Port,
    /// The URL has a query, a fragment, a space, or a character that needs an escape.
    #[error("must have a plain path, without query, fragment, space or placeholder but one {{model}} segment")]
    Path,
}

/// The segment of a path that the model's id replaces.
const MODEL: &str = "{model}";

/// The characters that [`BaseUrl::for_model`] escapes: all but the unreserved characters of RFC 3986. The dot stays
/// as it is, because URL parsers treat an escaped `.` or `..` as a step too; no deployment can have these names.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl BaseUrl {
    /// The URL as the catalogue has it, without a final slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The base URL for requests to the model that the upstream calls `model`; append `/chat/completions` to it.
    /// Characters of the id that would end the path segment are escaped, so the id stays one segment.
    #[must_use]
    pub fn for_model(&self, model: &str) -> Cow<'_, str> {
        match self.text.split_once(MODEL) {
            Some((before, after)) => Cow::Owned(format!("{before}{}{after}", utf8_percent_encode(model, ESCAPED))),
            None => Cow::Borrowed(&self.text),
        }
    }

    /// The host, and the port unless it is the scheme's default: `api.openai.com`, `127.0.0.1:8080`.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }
}

impl std::str::FromStr for BaseUrl {
    type Err = BaseUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (scheme, own_port, rest) = if let Some(rest) = text.strip_prefix("https://") {
            ("https", 443, rest)
        } else if let Some(rest) = text.strip_prefix("http://") {
            ("http", 80, rest)
        } else {
            return Err(BaseUrlError::Scheme);
        };
        let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
        if !path.split('/').all(|segment| segment == MODEL || is_plain(segment)) || path.matches(MODEL).count() > 1 {
            return Err(BaseUrlError::Path);
        }
        let (name, port) = split_port(authority)?;
        let name = name.to_ascii_lowercase();
        if scheme == "http" && !is_loopback(&name) {
            return Err(BaseUrlError::NotLoopback);
        }
        let host = match port {
            Some(port) if port != own_port => format!("{name}:{port}"),
            _ => name,
        };
        Ok(Self { text: format!("{scheme}://{host}{}", path.trim_end_matches('/')), host })
    }
}

impl TryFrom<String> for BaseUrl {
    type Error = BaseUrlError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<BaseUrl> for String {
    fn from(url: BaseUrl) -> Self {
        url.text
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn is_plain(segment: &str) -> bool {
    segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@%".contains(&b))
}

fn split_port(authority: &str) -> Result<(&str, Option<u16>), BaseUrlError> {
    let (name, port) = match authority.strip_prefix("[::1]") {
        Some("") => return Ok((authority, None)),
        Some(port) => ("[::1]", Some(port.strip_prefix(':').ok_or(BaseUrlError::Host)?)),
        None => match authority.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (authority, None),
        },
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'.' || b == b'-';
    if name.is_empty() || (name != "[::1]" && !name.bytes().all(plain)) {
        return Err(BaseUrlError::Host);
    }
    let Some(port) = port else { return Ok((name, None)) };
    match port.parse() {
        Ok(number) if number > 0 && port.bytes().all(|b| b.is_ascii_digit()) => Ok((name, Some(number))),
        _ => Err(BaseUrlError::Port),
    }
}

fn is_loopback(name: &str) -> bool {
    let is_127 = || name.parse().is_ok_and(|address: std::net::Ipv4Addr| address.is_loopback());
    name == "localhost" || name == "[::1]" || is_127()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_loses_its_final_slash_and_its_default_port() {
        for (text, kept, host) in [
            ("https://api.openai.com/v1", "https://api.openai.com/v1", "api.openai.com"),
            ("https://API.OpenAI.com:443/v1/", "https://api.openai.com/v1", "api.openai.com"),
            ("https://example.com", "https://example.com", "example.com"),
            ("https://example.com:8443/a/b/", "https://example.com:8443/a/b", "example.com:8443"),
            ("http://localhost:11434/v1", "http://localhost:11434/v1", "localhost:11434"),
            ("http://127.0.0.1:80/v1", "http://127.0.0.1/v1", "127.0.0.1"),
            ("http://[::1]:9/v1", "http://[::1]:9/v1", "[::1]:9"),
            ("http://[::1]", "http://[::1]", "[::1]"),
            ("https://r.example/d/{model}/", "https://r.example/d/{model}", "r.example"),
        ] {
            let url: BaseUrl = text.parse().unwrap();
            assert_eq!((url.as_str(), url.host()), (kept, host), "{text}");
        }
    }

    #[test]
    fn a_models_id_stays_one_segment_of_the_path() {
        let url: BaseUrl = "https://r.example/deployments/{model}".parse().unwrap();
        for (model, expected) in [
            ("gpt-4o", "https://r.example/deployments/gpt-4o"),
            ("vendor/gpt 4?x#y", "https://r.example/deployments/vendor%2Fgpt%204%3Fx%23y"),
            ("../{model}", "https://r.example/deployments/..%2F%7Bmodel%7D"),
            ("\u{e4}", "https://r.example/deployments/%C3%A4"),
        ] {
            assert_eq!(url.for_model(model), expected);
        }
        let inside: BaseUrl = "https://r.example/{model}/v1".parse().unwrap();
        assert_eq!(inside.for_model("m"), "https://r.example/m/v1");
        let without: BaseUrl = "https://r.example/v1".parse().unwrap();
        assert_eq!(without.for_model("m"), "https://r.example/v1");
    }

    #[test]
    fn a_url_that_two_parsers_may_read_differently_is_refused() {
        for (text, error) in [
            ("", BaseUrlError::Scheme),
            ("api.openai.com/v1", BaseUrlError::Scheme),
            ("ftp://example.com", BaseUrlError::Scheme),
            ("HTTPS://example.com", BaseUrlError::Scheme),
            ("http://example.com/v1", BaseUrlError::NotLoopback),
            ("http://127.0.0.1.example.com/v1", BaseUrlError::NotLoopback),
            ("https://", BaseUrlError::Host),
            ("https:///v1", BaseUrlError::Host),
            ("https://user@example.com", BaseUrlError::Host),
            ("https://api.openai.com\\@example.com", BaseUrlError::Host),
            ("https://api.openai.com?@example.com/", BaseUrlError::Host),
            ("https://exa%6dple.com", BaseUrlError::Host),
            ("https://exämple.com", BaseUrlError::Host),
            ("https://[::2]/v1", BaseUrlError::Host),
            ("https://[::1]x/v1", BaseUrlError::Host),
            ("https://user:secret@example.com", BaseUrlError::Port),
            ("https://example.com:0", BaseUrlError::Port),
            ("https://example.com:+1", BaseUrlError::Port),
            ("https://example.com:65536", BaseUrlError::Port),
            ("https://example.com/v1?x=1", BaseUrlError::Path),
            ("https://example.com/v1#x", BaseUrlError::Path),
            ("https://example.com/a b", BaseUrlError::Path),
            ("https://example.com/{account}/v1", BaseUrlError::Path),
            ("https://example.com/v{model}", BaseUrlError::Path),
            ("https://example.com/{model}/{model}", BaseUrlError::Path),
            ("https://{model}.example.com/v1", BaseUrlError::Host),
        ] {
            assert_eq!(text.parse::<BaseUrl>(), Err(error), "{text}");
        }
    }
}
