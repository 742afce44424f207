//! Ids that the gateway mints. Time and randomness are arguments.

use data_encoding::BASE32HEX_NOPAD;

/// Lower-case base32 without padding: a double click selects it, and it sorts as its bytes do.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    BASE32HEX_NOPAD.encode(bytes).to_ascii_lowercase()
}

/// The bytes of a text that [`encode`] wrote; `None` for any other spelling of them.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    if text.bytes().any(|b| b.is_ascii_uppercase()) {
        return None;
    }
    BASE32HEX_NOPAD.decode(text.to_ascii_uppercase().as_bytes()).ok()
}

/// The id of one HTTP request: its time in milliseconds, so that ids sort by it, and 80 random bits.
#[must_use]
pub fn request_id(now_ms: i64, random: [u8; 10]) -> String {
    let [_, _, time @ ..] = now_ms.to_be_bytes();
    format!("req_{}", encode(&[time.as_slice(), &random].concat()))
}

/// When the request with this id came, in milliseconds since the epoch; `None`: no id of a request is like that.
#[must_use]
pub fn request_time_ms(request_id: &str) -> Option<i64> {
    let bytes = decode(request_id.strip_prefix("req_")?).filter(|bytes| bytes.len() == 16)?;
    let time = bytes.get(..6)?;
    Some(time.iter().fold(0, |ms, byte| (ms << 8) | i64::from(*byte)))
}

/// The id of an account, from the routing id that its keys carry.
#[must_use]
pub fn account_id(routing_id: &str) -> String {
    format!("acct_{routing_id}")
}

/// The routing id in an account's id.
#[must_use]
pub fn routing_id(account_id: &str) -> Option<&str> {
    account_id.strip_prefix("acct_").filter(|id| decode(id).is_some_and(|bytes| bytes.len() == 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_sort_by_time() {
        let ids: Vec<String> = [1, 2, 1_800_000_000_000, 1_800_000_000_001]
            .map(|ms| request_id(ms, [if ms % 2 == 0 { 255 } else { 0 }; 10]))
            .into();
        assert!(ids.is_sorted());
        assert_eq!(ids[2].len(), 30);
        assert_eq!(request_time_ms(&ids[3]), Some(1_800_000_000_001));
        for other in ["", "req_", "req_0", "chatcmpl-1", &ids[3].to_uppercase(), &format!("{}0", ids[3])] {
            assert_eq!(request_time_ms(other), None, "{other}");
        }
    }

    #[test]
    fn one_spelling_each() {
        assert_eq!(decode(&encode(b"hello")).as_deref(), Some(b"hello".as_slice()));
        assert_eq!(decode(&encode(b"hello").to_ascii_uppercase()), None);
        assert_eq!(routing_id("acct_0000000000000000"), Some("0000000000000000"));
        assert_eq!(routing_id("acct_00"), None);
        assert_eq!(routing_id("0000000000000000"), None);
    }
}
