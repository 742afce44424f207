//! What the Worker writes into D1 to be read by itself, made safe against whoever else can write there.
//!
//! The one rule: D1 is a copy, never an authority over money. A settle that waits there is one that the Worker sealed,
//! for the request and the account that it names, and nothing else is taken from there.

use data_encoding::HEXLOWER;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::keys::Pepper;

/// Keeps these MACs apart from the tags of API keys, which the same peppers make.
const PURPOSE: &[u8] = b"oneinterface undelivered settle, version 1";

/// The MAC of a settle that waits: the pepper's version and an HMAC over the three. It is made by the newest pepper.
#[must_use]
pub fn seal(peppers: &[Pepper], request_id: &str, routing_id: &str, command: &str) -> Option<String> {
    let pepper = peppers.first()?;
    let mac = mac(pepper, [request_id, routing_id, command])?.finalize().into_bytes();
    Some(format!("{}:{}", pepper.version, HEXLOWER.encode(&mac)))
}

/// Whether the Worker made `sealed` for these three, under a pepper that still counts.
#[must_use]
pub fn is_sealed(peppers: &[Pepper], sealed: &str, request_id: &str, routing_id: &str, command: &str) -> bool {
    let verified = || {
        let (version, hex) = sealed.split_once(':')?;
        let pepper = peppers.iter().find(|pepper| version.chars().eq([pepper.version]))?;
        let given = HEXLOWER.decode(hex.as_bytes()).ok()?;
        mac(pepper, [request_id, routing_id, command])?.verify_slice(&given).ok()
    };
    verified().is_some()
}

/// Each part goes with its length, so that no text can be moved from one to the next.
fn mac(pepper: &Pepper, parts: [&str; 3]) -> Option<Hmac<Sha256>> {
    let mut derived = <Hmac<Sha256> as Mac>::new_from_slice(&pepper.secret).ok()?;
    derived.update(PURPOSE);
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&derived.finalize().into_bytes()).ok()?;
    for part in parts {
        mac.update(&u64::try_from(part.len()).ok()?.to_be_bytes());
        mac.update(part.as_bytes());
    }
    Some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pepper(version: char, secret: &str) -> Pepper {
        Pepper { version, secret: secret.as_bytes().to_vec() }
    }

    #[test]
    fn a_seal_fits_what_it_was_made_for_and_nothing_else() {
        let peppers = [pepper('2', "new"), pepper('1', "old")];
        let sealed = seal(&peppers, "req_1", "acct", "{}").unwrap();
        assert!(sealed.starts_with("2:") && sealed.len() == 2 + 64, "{sealed}");
        assert!(is_sealed(&peppers, &sealed, "req_1", "acct", "{}"));
        for (request_id, routing_id, command) in
            [("req_2", "acct", "{}"), ("req_1", "acct2", "{}"), ("req_1", "acct", "{ }"), ("req_1a", "cct", "{}")]
        {
            assert!(!is_sealed(&peppers, &sealed, request_id, routing_id, command), "{request_id} {routing_id}");
        }
        let changed = sealed.replace(['0', '1'], "3");
        for other in ["", "2:", "2", "zz", &sealed[2..], &sealed.replace("2:", "1:"), &sealed[..64], &changed] {
            assert!(!is_sealed(&peppers, other, "req_1", "acct", "{}"), "{other}");
        }
    }

    #[test]
    fn a_seal_counts_as_long_as_its_pepper() {
        let (old, new) = (pepper('1', "old"), pepper('2', "new"));
        let sealed = seal(std::slice::from_ref(&old), "r", "a", "c").unwrap();
        assert!(is_sealed(&[new.clone(), old], &sealed, "r", "a", "c"));
        assert!(!is_sealed(std::slice::from_ref(&new), &sealed, "r", "a", "c"));
        assert!(!is_sealed(&[pepper('1', "another")], &sealed, "r", "a", "c"));
        assert_eq!(seal(&[], "r", "a", "c"), None);
    }

    /// The tags of keys are made by the same peppers: none of them is a seal, whatever text it was made of.
    #[test]
    fn no_tag_of_a_key_is_a_seal() {
        let peppers = [pepper('1', "0123456789abcdef0123456789abcdef")];
        let plain = <Hmac<Sha256> as Mac>::new_from_slice(&peppers[0].secret).unwrap();
        let plain = HEXLOWER.encode(&plain.chain_update("rac").finalize().into_bytes());
        assert!(!is_sealed(&peppers, &format!("1:{plain}"), "r", "a", "c"));
    }
}
