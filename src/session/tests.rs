//! Attacks on the verification of sessions, in a table. The keys were made for these tests alone.

use data_encoding::BASE64URL_NOPAD;
use jwt_compact::alg::{Es256, Hs256, Hs256Key, Rsa, RsaPrivateKey};
use jwt_compact::jwk::JsonWebKey;
use jwt_compact::{Algorithm as _, AlgorithmSignature as _};
use serde_json::{Value, json};

use super::*;
use crate::token::MAX_TOKEN_BYTES;

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
const USER: &str = "6f1c1a2e-9a53-4f0e-8f7b-0d6c1a2b3c4d";
const NOW_S: i64 = 1_800_000_000;
const JWKS: &str = include_str!("tests/jwks.json");
const PRIVATE: &str = include_str!("tests/private.json");

/// How a forger signs.
#[derive(Clone, Copy)]
enum Signer {
    Ec,
    OtherEc,
    Rsa,
    Pss,
    Secret(&'static [u8]),
    Nobody,
}
use Signer::{Ec, Nobody, OtherEc, Pss, Secret};

fn sessions(algorithms: &[Algorithm]) -> Sessions {
    Sessions {
        url: "https://p.example".into(),
        algorithms: algorithms.to_vec(),
        secret: Some(SECRET.to_vec()),
        anon_key: None,
        oauth_providers: Vec::new(),
    }
}

const ALL: [Algorithm; 3] = [Algorithm::Hs256, Algorithm::Es256, Algorithm::Rs256];

fn private(name: &str) -> Value {
    serde_json::from_str::<Value>(PRIVATE).unwrap()[name].clone()
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64URL_NOPAD.encode(bytes.as_ref())
}

/// A token of these very texts.
fn sign_texts(header: &str, claims: &str, signer: Signer) -> String {
    let signed = format!("{}.{}", encode(header), encode(claims));
    let message = signed.as_bytes();
    let ec = |name: &str| {
        let jwk = JsonWebKey::deserialize(private(name)).unwrap();
        Es256.sign(&(&jwk).try_into().unwrap(), message).as_bytes().into_owned()
    };
    let rsa = |algorithm: Rsa| {
        let jwk = JsonWebKey::deserialize(private("rsa")).unwrap();
        algorithm.sign(&RsaPrivateKey::try_from(&jwk).unwrap(), message).as_bytes().into_owned()
    };
    let signature = match signer {
        Ec => ec("ec"),
        OtherEc => ec("other"),
        Signer::Rsa => rsa(Rsa::rs256()),
        Pss => rsa(Rsa::ps256()),
        Secret(secret) => Hs256.sign(&Hs256Key::new(secret), message).as_bytes().into_owned(),
        Nobody => Vec::new(),
    };
    format!("{signed}.{}", encode(signature))
}

fn sign(header: &Value, claims: &Value, signer: Signer) -> String {
    sign_texts(&header.to_string(), &claims.to_string(), signer)
}

fn changed(mut object: Value, change: &Value) -> Value {
    for (key, value) in change.as_object().unwrap() {
        match value {
            Value::Null => drop(object.as_object_mut().unwrap().remove(key)),
            value => object[key] = value.clone(),
        }
    }
    object
}

/// What Supabase puts into a token, changed; `null` takes a claim out.
fn claims(change: &Value) -> Value {
    let claims = json!({
        "iss": "https://p.example/auth/v1", "sub": USER, "aud": "authenticated", "role": "authenticated",
        "exp": NOW_S + 3_600, "iat": NOW_S, "email": "a@example.com", "phone": "", "aal": "aal1",
        "amr": [{"method": "password", "timestamp": NOW_S}], "session_id": "5e7a2c1e-0000-4000-8000-000000000000",
        "app_metadata": {"provider": "email", "role": "service_role"}, "user_metadata": {"iss": "x"},
        "is_anonymous": false,
    });
    changed(claims, change)
}

fn es256() -> Value {
    json!({"alg": "ES256", "kid": "ec", "typ": "JWT"})
}

fn check(token: &str, algorithms: &[Algorithm]) -> Result<Session, TokenError> {
    let sessions = sessions(algorithms);
    let keys = KeySet::parse(JWKS).unwrap();
    named_key(token, &sessions)?;
    verify(token, &sessions, &keys, NOW_S * 1_000)
}

#[test]
fn a_session_names_its_user() {
    let session = Session { user_id: USER.into(), email: Some("a@example.com".into()), issued_at_s: NOW_S };
    for (header, signer) in [
        (es256(), Ec),
        (json!({"alg": "ES256", "kid": "plain"}), Ec),
        (json!({"alg": "RS256", "kid": "rsa", "typ": "jwt"}), Signer::Rsa),
        (json!({"alg": "HS256", "typ": "JWT"}), Secret(SECRET)),
        (json!({"alg": "HS256", "kid": "anything"}), Secret(SECRET)),
    ] {
        assert_eq!(check(&sign(&header, &claims(&json!({})), signer), &ALL), Ok(session.clone()), "{header}");
    }
    for (change, email) in [
        (json!({"aud": ["other", "authenticated"]}), Some("a@example.com")),
        (json!({"sub": USER.to_uppercase()}), Some("a@example.com")),
        (json!({"email": "", "is_anonymous": null}), None),
        (json!({"email": null, "nbf": NOW_S}), None),
        // The clocks differ by as much as they may.
        (json!({"exp": NOW_S - 29, "email": ""}), None),
        (json!({"nbf": NOW_S + 30, "email": ""}), None),
    ] {
        let session = Session { email: email.map(str::to_owned), ..session.clone() };
        assert_eq!(check(&sign(&es256(), &claims(&change), Ec), &ALL), Ok(session), "{change}");
    }
}

#[test]
fn wrong_claims_are_refused() {
    use TokenError::{Claims, Signature, Time};
    for (change, error) in [
        (json!({"iss": "https://other.example/auth/v1"}), Claims),
        (json!({"iss": "https://p.example/auth/v1/"}), Claims),
        (json!({"iss": "https://P.example/auth/v1"}), Claims),
        (json!({"iss": "https://p.example/auth/v1\u{0}"}), Claims),
        (json!({"iss": "https://p\u{2024}example/auth/v1"}), Claims),
        (json!({"iss": ["https://p.example/auth/v1"]}), Signature),
        (json!({"iss": null}), Signature),
        (json!({"aud": "anon"}), Claims),
        (json!({"aud": []}), Claims),
        (json!({"aud": ["authenticated "]}), Claims),
        (json!({"aud": "authenticate\u{0501}"}), Claims),
        (json!({"aud": {"authenticated": true}}), Signature),
        (json!({"aud": null}), Signature),
        (json!({"role": "service_role"}), Claims),
        (json!({"role": "anon"}), Claims),
        (json!({"role": "supabase_admin"}), Claims),
        (json!({"role": "Authenticated"}), Claims),
        (json!({"role": ["authenticated"]}), Signature),
        (json!({"role": null}), Signature),
        (json!({"sub": "1"}), Claims),
        (json!({"sub": ""}), Claims),
        (json!({"sub": format!("{USER}0")}), Claims),
        (json!({"sub": USER.replace('-', "0")}), Claims),
        (json!({"sub": USER.replace('6', "\u{ff16}")}), Claims),
        (json!({"sub": format!("{}\u{0}", &USER[..35])}), Claims),
        (json!({"sub": 1}), Signature),
        (json!({"sub": null}), Signature),
        (json!({"is_anonymous": true}), Claims),
        (json!({"is_anonymous": "true"}), Signature),
        (json!({"client_id": "an application"}), Claims),
        (json!({"exp": NOW_S - 30}), Time),
        (json!({"exp": 0}), Time),
        (json!({"exp": -1}), Time),
        (json!({"exp": null}), Time),
        (json!({"exp": i64::MAX}), Signature),
        (json!({"exp": 1e300}), Signature),
        (json!({"exp": (NOW_S + 60).to_string()}), Signature),
        (json!({"nbf": NOW_S + 31}), Time),
        (json!({"iat": NOW_S + 31}), Time),
        (json!({"iat": null}), Time),
    ] {
        assert_eq!(check(&sign(&es256(), &claims(&change), Ec), &ALL), Err(error), "{change}");
    }
    // As the project's own keys are: with the shared secret, for ten years, without a subject.
    for role in ["anon", "service_role"] {
        let key = json!({"iss": "supabase", "ref": "p", "role": role, "iat": NOW_S - 60, "exp": NOW_S + 315_360_000});
        let token = sign(&json!({"alg": "HS256", "typ": "JWT"}), &key, Secret(SECRET));
        assert!(check(&token, &ALL).is_err(), "{role}");
    }
}

#[test]
fn wrong_headers_and_signatures_are_refused() {
    use TokenError::{Algorithm, Malformed, Signature, UnknownKey};
    // What a key's finder might take for its secret: the public key.
    let public: &'static [u8] = JWKS.as_bytes();
    for (change, signer, error) in [
        (json!({"alg": "none"}), Nobody, Algorithm),
        (json!({"alg": "NONE"}), Nobody, Algorithm),
        (json!({"alg": ""}), Nobody, Algorithm),
        (json!({"alg": null}), Nobody, Malformed),
        (json!({"alg": ["ES256"]}), Ec, Malformed),
        (json!({"alg": "es256"}), Ec, Algorithm),
        (json!({"alg": "ES256 "}), Ec, Algorithm),
        (json!({"alg": "\u{ff25}S256"}), Ec, Algorithm),
        (json!({"alg": "ES384"}), Ec, Algorithm),
        (json!({"alg": "EdDSA"}), Ec, Algorithm),
        (json!({"alg": "HS512"}), Secret(SECRET), Algorithm),
        (json!({"alg": "PS256", "kid": "rsa"}), Pss, Algorithm),
        (json!({"alg": "RS256", "kid": "rsa"}), Pss, Signature),
        (json!({}), Nobody, Signature),
        (json!({}), OtherEc, Signature),
        (json!({}), Signer::Rsa, Signature),
        (json!({}), Secret(SECRET), Signature),
        (json!({"alg": "HS256"}), Nobody, Signature),
        (json!({"alg": "HS256"}), Secret(b""), Signature),
        (json!({"alg": "HS256"}), Secret(public), Signature),
        (json!({"alg": "HS256"}), Secret(b"another secret of thirty-two byte"), Signature),
        (json!({"alg": "HS256"}), Ec, Signature),
        // A key verifies by its own algorithm.
        (json!({"alg": "RS256"}), Ec, UnknownKey),
        (json!({"alg": "RS256"}), Signer::Rsa, UnknownKey),
        (json!({"kid": "rsa"}), Ec, UnknownKey),
        (json!({"kid": "oct"}), Secret(SECRET), UnknownKey),
        // The set has these, and they are not for sessions.
        (json!({"alg": "RS256", "kid": "pss"}), Signer::Rsa, UnknownKey),
        (json!({"kid": "enc"}), Ec, UnknownKey),
        (json!({"kid": "signs"}), Ec, UnknownKey),
        (json!({"kid": "weak", "alg": "RS256"}), Signer::Rsa, UnknownKey),
        (json!({"kid": "p384"}), Ec, UnknownKey),
        (json!({"kid": "ed"}), Ec, UnknownKey),
        (json!({"kid": "off"}), Ec, UnknownKey),
        (json!({"kid": "future"}), Ec, UnknownKey),
        // Ids of keys that nobody has.
        (json!({"kid": null}), Ec, UnknownKey),
        (json!({"kid": ""}), Ec, UnknownKey),
        (json!({"kid": "EC"}), Ec, UnknownKey),
        (json!({"kid": "ec\u{0}"}), Ec, UnknownKey),
        (json!({"kid": "../../../../dev/null"}), Secret(b""), UnknownKey),
        (json!({"kid": "ec' OR '1'='1"}), Ec, UnknownKey),
        (json!({"kid": "https://evil.example/jwks.json"}), OtherEc, UnknownKey),
        (json!({"kid": "k".repeat(129)}), Ec, UnknownKey),
        (json!({"kid": ["ec"]}), Ec, Malformed),
        // Where a key might be fetched from, or what it might be.
        (json!({"jku": "https://evil.example/jwks.json"}), OtherEc, Signature),
        (json!({"x5u": "https://evil.example/cert.pem"}), OtherEc, Signature),
        (json!({"jwk": private("other")}), OtherEc, Signature),
        (json!({"kid": "mine", "jwk": private("other")}), OtherEc, UnknownKey),
        // What must be understood is not, whatever it is.
        (json!({"crit": ["b64"], "b64": false}), Ec, Malformed),
        (json!({"crit": ["exp"]}), Ec, Malformed),
        (json!({"crit": []}), Ec, Malformed),
        (json!({"typ": "at+jwt"}), Ec, Malformed),
        (json!({"typ": "dpop+jwt"}), Ec, Malformed),
        (json!({"cty": "JWT"}), Ec, Malformed),
    ] {
        let header = changed(es256(), &change);
        assert_eq!(check(&sign(&header, &claims(&json!({})), signer), &ALL), Err(error), "{header}");
    }
    // Present, if only as null.
    let header = r#"{"alg":"ES256","kid":"ec","crit":null}"#;
    assert_eq!(check(&sign_texts(header, &claims(&json!({})).to_string(), Ec), &ALL), Err(Malformed));
}

#[test]
fn only_configured_algorithms_count() {
    let (ec, rsa) = (es256(), json!({"alg": "RS256", "kid": "rsa"}));
    let hs = json!({"alg": "HS256"});
    for (header, signer, algorithm) in
        [(ec, Ec, Algorithm::Es256), (rsa, Signer::Rsa, Algorithm::Rs256), (hs, Secret(SECRET), Algorithm::Hs256)]
    {
        let token = sign(&header, &claims(&json!({})), signer);
        assert!(check(&token, &[algorithm]).is_ok(), "{header}");
        let others: Vec<Algorithm> = ALL.into_iter().filter(|other| *other != algorithm).collect();
        assert_eq!(check(&token, &others), Err(TokenError::Algorithm), "{header}");
    }
    let without = Sessions { secret: None, ..sessions(&ALL) };
    let token = sign(&json!({"alg": "HS256"}), &claims(&json!({})), Secret(b""));
    assert_eq!(verify(&token, &without, &KeySet::default(), NOW_S * 1_000), Err(TokenError::Algorithm));
}

#[test]
fn a_key_that_was_taken_back_opens_nothing() {
    let token = sign(&es256(), &claims(&json!({})), Ec);
    let left = KeySet::parse(&JWKS.replace("\"kid\":\"ec\"", "\"kid\":\"gone\"")).unwrap();
    assert_eq!(verify(&token, &sessions(&ALL), &left, NOW_S * 1_000), Err(TokenError::UnknownKey));
    // The id of a key says nothing: under it there is another one now.
    let other = JWKS.replacen("\"kid\":\"ec\"", "\"kid\":\"gone\"", 1);
    let rotated = KeySet::parse(&other).unwrap();
    assert_eq!(verify(&token, &sessions(&ALL), &rotated, NOW_S * 1_000), Err(TokenError::Signature));
}

#[test]
fn what_is_no_token_is_refused() {
    let valid = sign(&es256(), &claims(&json!({})), Ec);
    assert!(check(&valid, &ALL).is_ok());
    let parts: Vec<&str> = valid.split('.').collect();
    let [header, payload, signature] = parts.as_slice() else { panic!() };
    let long = sign(&es256(), &claims(&json!({"user_metadata": {"about": "x".repeat(MAX_TOKEN_BYTES)}})), Ec);
    let mut wrong = vec![
        String::new(),
        ".".into(),
        "..".into(),
        "...".into(),
        long,
        format!("{header}.{payload}"),
        format!("{header}.{payload}."),
        format!(".{payload}.{signature}"),
        format!("{header}..{signature}"),
        format!("{valid}."),
        format!("{valid}.{signature}"),
        format!("{header}.{payload}.{signature}=="),
        format!("{header}=.{payload}.{signature}"),
        format!("{header}.{payload}=.{signature}"),
        format!("{header}.{payload}.{signature}A"),
        format!("{header}.{payload}.{}", &signature[..signature.len() - 2]),
        format!("{header}.{payload}.{}", encode([0; 64])),
        format!("{header}.{payload}.{}", encode([255; 64])),
        format!(" {valid}"),
        format!("{valid}\n"),
        valid.replace('.', "\u{ff0e}"),
        valid.replace('e', "\u{0435}"),
        format!("{}.{payload}.{signature}", encode("[]")),
        format!("{}.{payload}.{signature}", encode("not JSON")),
        format!("{}.{payload}.{signature}", encode([0xff, 0xfe])),
    ];
    // The last character of the signature has bits that nothing needs: only one spelling counts.
    let last = signature.chars().last().unwrap();
    let others = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['-', '_']).filter(|c| *c != last);
    wrong.extend(others.map(|c| format!("{header}.{payload}.{}{c}", &signature[..signature.len() - 1])));
    // Every other claim under the same signature.
    wrong.push(format!("{header}.{}.{signature}", encode(claims(&json!({"exp": NOW_S + 9_999})).to_string())));
    for token in wrong {
        assert!(check(&token, &ALL).is_err(), "{token}");
    }
}

#[test]
fn what_is_said_twice_is_not_believed() {
    let good = claims(&json!({})).to_string();
    let body = good.trim_start_matches('{');
    for twice in [
        r#""role":"anon""#,
        r#""role":"authenticated""#,
        r#""sub":"00000000-0000-4000-8000-000000000000""#,
        r#""iss":"https://p.example/auth/v1""#,
        r#""aud":"anon""#,
        r#""exp":1"#,
        r#""iat":1"#,
        r#""is_anonymous":true"#,
        r#""\u0072ole":"anon""#,
    ] {
        for text in [format!("{{{twice},{body}"), format!("{},{twice}}}", good.trim_end_matches('}'))] {
            // Taken for valid by a reader that believes the first, or the last.
            assert_eq!(
                check(&sign_texts(&es256().to_string(), &text, Ec), &ALL),
                Err(TokenError::Signature),
                "{twice}"
            );
        }
    }
    for header in [
        r#"{"alg":"none","alg":"ES256","kid":"ec"}"#,
        r#"{"alg":"ES256","kid":"ec","\u0061lg":"none"}"#,
        r#"{"alg":"ES256","kid":"other","kid":"ec"}"#,
        r#"{"alg":"ES256","kid":"ec","typ":"JWT","typ":"JWT"}"#,
        r#"{"alg":"ES256","kid":"ec","crit":[],"crit":[]}"#,
    ] {
        assert_eq!(check(&sign_texts(header, &good, Ec), &ALL), Err(TokenError::Malformed), "{header}");
    }
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    let text = format!("{{\"user_metadata\":{deep},{body}");
    assert_eq!(check(&sign_texts(&es256().to_string(), &text, Ec), &ALL), Err(TokenError::Signature));
    let behind = format!("{good} {{}}");
    assert_eq!(check(&sign_texts(&es256().to_string(), &behind, Ec), &ALL), Err(TokenError::Signature));
}

#[test]
fn a_set_of_keys_is_one_or_none() {
    for text in ["", "[]", "{}", r#"{"keys":{}}"#, "<html>", r#"{"keys":null}"#] {
        assert!(KeySet::parse(text).is_none(), "{text}");
    }
    assert!(KeySet::parse(r#"{"keys":[]}"#).is_some());
    let keys = KeySet::parse(JWKS).unwrap();
    for (key_id, is_usable) in [("ec", true), ("rsa", true), ("plain", true), ("oct", false), ("weak", false)] {
        assert_eq!(keys.get(key_id).is_some(), is_usable, "{key_id}");
    }
    let many = format!(r#"{{"keys":[{}{}]}}"#, r#"{"kid":"x"},"#.repeat(32), json!({"kid": "late"}));
    assert!(KeySet::parse(&many).is_some());
}
