//! API keys: `oi_` + version + routing id + secret + check tag.
//!
//! The tag is an HMAC of the rest under a pepper that the version selects, so a forged key is refused
//! without any look-up. The routing id leads to the account's object, which knows the SHA-256 of the
//! secret and nothing else of it.

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use crate::ids;

const PREFIX: &str = "oi_";
const ROUTING_BYTES: usize = 10;
const ROUTING_CHARS: usize = 16;
const SECRET_CHARS: usize = 52;
const TAG_BYTES: usize = 8;
/// How much of a secret is shown later on.
const SHOWN_CHARS: usize = 4;
/// A tag of [`tag`]: eight characters.
const OPAQUE_TAG_BYTES: usize = 5;

/// A secret of the gateway's own that a version of keys is tagged with.
#[derive(Clone, PartialEq, Eq)]
pub struct Pepper {
    /// The character behind `oi_`.
    pub version: char,
    /// The HMAC key.
    pub secret: Vec<u8>,
}

/// What a well-formed and truly tagged key says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Where its account lives.
    pub routing_id: String,
    /// SHA-256 of its secret, lower-case hexadecimal.
    pub digest: String,
}

/// Never shows its secret.
impl std::fmt::Debug for Pepper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pepper({})", self.version)
    }
}

/// A new key of an account, and what the account stores of it. The text is shown once.
#[must_use]
pub fn mint(pepper: &Pepper, routing_id: &str, secret: [u8; 32]) -> (String, ApiKey) {
    let secret = ids::encode(&secret);
    let body = format!("{PREFIX}{}{routing_id}{secret}", pepper.version);
    let tag = mac(&pepper.secret, &body).map(|mac| mac.finalize().into_bytes()).unwrap_or_default();
    let tag = ids::encode(tag.get(..TAG_BYTES).unwrap_or_default());
    (format!("{body}{tag}"), ApiKey { routing_id: routing_id.to_owned(), digest: digest(&secret) })
}

/// The first characters of a key, for people to recognise it by: all keys of an account begin alike, and four
/// characters of the secret, 20 of its 256 bits, follow.
#[must_use]
pub fn start(key: &str) -> &str {
    key.get(..PREFIX.len().saturating_add(1 + ROUTING_CHARS + SHOWN_CHARS)).unwrap_or_default()
}

/// Reads a key; `None` unless it has the form of one and a tag under one of `peppers`.
#[must_use]
pub fn parse(text: &str, peppers: &[Pepper]) -> Option<ApiKey> {
    let rest = text.strip_prefix(PREFIX)?;
    let version = rest.chars().next()?;
    let pepper = peppers.iter().find(|pepper| pepper.version == version)?;
    let (routing_id, rest) = rest.get(version.len_utf8()..)?.split_at_checked(ROUTING_CHARS)?;
    let (secret, tag) = rest.split_at_checked(SECRET_CHARS)?;
    let tag = ids::decode(tag).filter(|tag| tag.len() == TAG_BYTES)?;
    let body = text.get(..text.len().checked_sub(rest.len().checked_sub(SECRET_CHARS)?)?)?;
    mac(&pepper.secret, body)?.verify_truncated_left(&tag).ok()?;
    ids::decode(routing_id).filter(|id| id.len() == ROUTING_BYTES)?;
    Some(ApiKey { routing_id: routing_id.to_owned(), digest: digest(secret) })
}

/// A short tag of `text`, the same on every isolate, which tells nobody what it was made of. By the
/// oldest pepper: a change of peppers changes it only when that one goes.
#[must_use]
pub fn tag(peppers: &[Pepper], text: &str) -> String {
    let mac = peppers.last().and_then(|pepper| mac(&pepper.secret, text));
    let bytes = mac.map(|mac| mac.finalize().into_bytes()).unwrap_or_default();
    ids::encode(bytes.get(..OPAQUE_TAG_BYTES).unwrap_or_default())
}

/// Whether a text claims to be a key of ours.
#[must_use]
pub fn is_one(text: &str) -> bool {
    text.starts_with(PREFIX)
}

fn mac(key: &[u8], body: &str) -> Option<Hmac<Sha256>> {
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(key).ok()?;
    mac.update(body.as_bytes());
    Some(mac)
}

fn digest(secret: &str) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(secret.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pepper(version: char, secret: &[u8]) -> Pepper {
        Pepper { version, secret: secret.to_vec() }
    }

    #[test]
    fn a_minted_key_parses_and_its_secret_is_hashed() {
        let pepper = pepper('1', b"pepper");
        let (text, stored) = mint(&pepper, "0123456789abcdef", [7; 32]);
        assert!(text.starts_with("oi_10123456789abcdef"), "{text}");
        assert_eq!(text.len(), 3 + 1 + 16 + 52 + 13);
        assert_eq!(parse(&text, std::slice::from_ref(&pepper)), Some(stored.clone()));
        assert_eq!((start(&text), start(&text).len()), (&text[..24], 24));
        assert!(!text.contains(&stored.digest) && stored.digest.len() == 64);
    }

    #[test]
    fn every_changed_character_is_noticed() {
        let peppers = [pepper('1', b"pepper")];
        let (text, _) = mint(&peppers[0], "0123456789abcdef", [7; 32]);
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
            let forged = String::from_utf8(bytes).unwrap();
            assert_eq!(parse(&forged, &peppers), None, "{forged}");
        }
        for wrong in ["", "oi_", "sk-abc", &text[..84], &format!("{text}0"), &text.to_uppercase(), "oi_1é"] {
            assert_eq!(parse(wrong, &peppers), None, "{wrong}");
        }
    }

    #[test]
    fn two_peppers_count_during_a_change() {
        let (old, new) = (pepper('1', b"old"), pepper('2', b"new"));
        let (text, _) = mint(&old, "0123456789abcdef", [7; 32]);
        assert!(parse(&text, &[new.clone(), old]).is_some());
        assert!(parse(&text, std::slice::from_ref(&new)).is_none());
        assert!(parse(&text, &[pepper('1', b"other"), new]).is_none());
    }
}
