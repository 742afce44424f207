//! Whether a webhook is Stripe's: `Stripe-Signature: t=<seconds>,v1=<hex>[,v1=…]`, an HMAC-SHA256 of
//! `<t>.<body>` under the endpoint's secret. Time is an argument.
//! <https://docs.stripe.com/webhooks#verify-manually>

use data_encoding::HEXLOWER;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// How old a signature may be, in seconds: Stripe's own libraries take no older one, so that a webhook which
/// somebody recorded cannot be sent again later. One from the future is taken, as they do: clocks differ.
pub const TOLERANCE_S: i64 = 300;

/// How many signatures are compared: Stripe sends one for each secret that is in force, two at most.
const MOST_SIGNATURES: usize = 8;

/// Why a webhook is not taken. For the log: whoever sent it learns only that it was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Not `t=…,v1=…`.
    #[error("the header is no signature")]
    Malformed,
    /// Signed by somebody else, or for another body.
    #[error("no signature fits")]
    Wrong,
    /// Older than [`TOLERANCE_S`].
    #[error("the signature is too old")]
    Old,
}

/// Checks `header` for `body` at `now_s`, seconds since the epoch. Any of the signatures may fit under any of
/// the secrets; each comparison takes the same time wherever it fails.
///
/// # Errors
/// [`SignatureError`].
pub fn verify(header: &str, body: &[u8], secrets: &[String], now_s: i64) -> Result<(), SignatureError> {
    let Signed { at, signatures } = Signed::read(header)?;
    let fits = secrets.iter().any(|secret| {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return false };
        mac.update(at.as_bytes());
        mac.update(b".");
        mac.update(body);
        signatures.iter().any(|signature| mac.clone().verify_slice(signature).is_ok())
    });
    if !fits {
        return Err(SignatureError::Wrong);
    }
    in_time(at, now_s)
}

/// Checks what can be checked of `header` before its body is read.
///
/// # Errors
/// [`SignatureError`].
pub fn precheck(header: &str, now_s: i64) -> Result<(), SignatureError> {
    in_time(Signed::read(header)?.at, now_s)
}

/// What a header says.
struct Signed<'a> {
    /// Seconds since the epoch, as they are signed.
    at: &'a str,
    signatures: Vec<Vec<u8>>,
}

impl<'a> Signed<'a> {
    fn read(header: &'a str) -> Result<Self, SignatureError> {
        let fields = || header.split(',').filter_map(|field| field.trim().split_once('='));
        let (_, at) = fields().find(|(name, _)| *name == "t").ok_or(SignatureError::Malformed)?;
        let _: i64 = at.parse().map_err(|_| SignatureError::Malformed)?;
        let decoded = |(_, hex): (&str, &str)| HEXLOWER.decode(hex.as_bytes()).ok();
        let signatures: Vec<Vec<u8>> =
            fields().filter(|(name, _)| *name == "v1").filter_map(decoded).take(MOST_SIGNATURES).collect();
        if signatures.is_empty() { Err(SignatureError::Malformed) } else { Ok(Self { at, signatures }) }
    }
}

fn in_time(at: &str, now_s: i64) -> Result<(), SignatureError> {
    let at_s: i64 = at.parse().map_err(|_| SignatureError::Malformed)?;
    if now_s.saturating_sub(at_s) > TOLERANCE_S { Err(SignatureError::Old) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_S: i64 = 1_700_000_000;
    const BODY: &[u8] = br#"{"id":"evt_1"}"#;
    /// Made by Stripe's own library.
    const V1: &str = "c89214b5b5da833daed6f0b8c5bb6bd58cea9022bd80ccc78230f3942d632925";

    fn check(header: &str, body: &[u8], secrets: &[&str], now_s: i64) -> Result<(), SignatureError> {
        let secrets: Vec<String> = secrets.iter().map(|secret| (*secret).to_owned()).collect();
        verify(header, body, &secrets, now_s)
    }

    #[test]
    fn what_stripe_signed_is_taken() {
        let header = format!("t={AT_S},v1={V1}");
        for (header, secrets, now_s) in [
            (header.clone(), vec!["whsec_test"], AT_S),
            (header.clone(), vec!["whsec_new", "whsec_test"], AT_S + TOLERANCE_S),
            (header.clone(), vec!["whsec_test"], AT_S - 10_000),
            (format!("t={AT_S},v1={},v1={V1},v0=00", "00".repeat(32)), vec!["whsec_test"], AT_S),
            (format!("v1={V1}, t={AT_S}"), vec!["whsec_test"], AT_S),
        ] {
            assert_eq!(check(&header, BODY, &secrets, now_s), Ok(()), "{header}");
        }
    }

    #[test]
    fn everything_else_is_not() {
        let upper = V1.to_ascii_uppercase();
        for (header, expected) in [
            (format!("t={},v1={V1}", AT_S + 1), SignatureError::Wrong),
            (format!("t=0{AT_S},v1={V1}"), SignatureError::Wrong),
            (format!("t={AT_S},v0={V1}"), SignatureError::Malformed),
            (format!("t={AT_S},v1={upper}"), SignatureError::Malformed),
            (format!("t={AT_S},v1={}", &V1[..62]), SignatureError::Wrong),
            (format!("t={AT_S},v1="), SignatureError::Wrong),
            (format!("t=soon,v1={V1}"), SignatureError::Malformed),
            (format!("v1={V1}"), SignatureError::Malformed),
            (format!("t={AT_S}"), SignatureError::Malformed),
            (String::new(), SignatureError::Malformed),
        ] {
            assert_eq!(check(&header, BODY, &["whsec_test"], AT_S), Err(expected), "{header}");
        }
        let header = format!("t={AT_S},v1={V1}");
        assert_eq!(check(&header, b"{\"id\":\"evt_2\"}", &["whsec_test"], AT_S), Err(SignatureError::Wrong));
        assert_eq!(check(&header, BODY, &["whsec_other"], AT_S), Err(SignatureError::Wrong));
        assert_eq!(check(&header, BODY, &[], AT_S), Err(SignatureError::Wrong));
        assert_eq!(check(&header, BODY, &["whsec_test"], AT_S + TOLERANCE_S + 1), Err(SignatureError::Old));
    }

    #[test]
    fn a_header_that_no_body_can_fit_is_refused_before_the_body_is_read() {
        let header = format!("t={AT_S},v1={V1}");
        assert_eq!(precheck(&header, AT_S + TOLERANCE_S), Ok(()));
        assert_eq!(precheck(&header, AT_S + TOLERANCE_S + 1), Err(SignatureError::Old));
        for header in ["", "t=1", "v1=00", "t=soon,v1=00", "t=1,v1=xyz"] {
            assert_eq!(precheck(header, 1), Err(SignatureError::Malformed), "{header}");
        }
    }
}
