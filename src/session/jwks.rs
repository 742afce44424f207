//! A project's public keys (JSON Web Key Set, RFC 7517). What is in the set and cannot verify a session is passed
//! over: a project may have keys of kinds that are not for us.

use jwt_compact::alg::{Es256, Rsa, RsaPublicKey, StrongAlg, StrongKey};
use jwt_compact::jwk::JsonWebKey;
use jwt_compact::{AlgorithmExt, Claims};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Algorithm;
use crate::token::{TokenError, Untrusted};

/// How many keys of a set are looked at: Supabase publishes those in use, the one to come and the one before.
const MAX_KEYS: usize = 32;

type EcKey = <Es256 as jwt_compact::Algorithm>::VerifyingKey;

/// Keys by their ids.
#[derive(Debug, Clone, Default)]
pub struct KeySet(Vec<(String, Key)>);

/// A key that verifies by one algorithm.
#[derive(Debug, Clone)]
pub enum Key {
    /// On the curve P-256.
    Es256(Box<EcKey>),
    /// Of 2,048, 3,072 or 4,096 bits.
    Rs256(Box<StrongKey<RsaPublicKey>>),
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

/// What a key says of itself beside its numbers.
#[derive(Deserialize)]
struct Meta {
    kid: String,
    #[serde(default)]
    alg: Option<String>,
    #[serde(default, rename = "use")]
    usage: Option<String>,
    #[serde(default)]
    key_ops: Option<Vec<String>>,
}

impl KeySet {
    /// Reads a set; `None`: it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let Set { keys } = serde_json::from_str(text).ok()?;
        Some(Self(keys.iter().take(MAX_KEYS).filter_map(key).collect()))
    }

    /// The key with this id, the first of them.
    #[must_use]
    pub fn get(&self, key_id: &str) -> Option<&Key> {
        self.0.iter().find(|(id, _)| id == key_id).map(|(_, key)| key)
    }
}

fn key(value: &Value) -> Option<(String, Key)> {
    let Meta { kid, alg, usage, key_ops } = Meta::deserialize(value).ok()?;
    let jwk = JsonWebKey::deserialize(value).ok()?;
    let key = match jwk {
        JsonWebKey::EllipticCurve { .. } => Key::Es256(Box::new(EcKey::try_from(&jwk).ok()?)),
        JsonWebKey::Rsa { .. } => Key::Rs256(Box::new(StrongKey::try_from(RsaPublicKey::try_from(&jwk).ok()?).ok()?)),
        // Neither a shared secret, which nobody publishes, nor a kind that no session is signed with.
        _ => return None,
    };
    let is_for_sessions = alg.is_none_or(|alg| alg == key.algorithm().name())
        && usage.is_none_or(|usage| usage == "sig")
        && key_ops.is_none_or(|ops| ops.iter().any(|op| op == "verify"));
    is_for_sessions.then_some((kid, key))
}

impl Key {
    fn algorithm(&self) -> Algorithm {
        match self {
            Self::Es256(_) => Algorithm::Es256,
            Self::Rs256(_) => Algorithm::Rs256,
        }
    }

    /// The claims of a token of `algorithm` that this key signed.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn verify<T: DeserializeOwned>(
        &self,
        algorithm: Algorithm,
        token: &Untrusted<'_>,
    ) -> Result<Claims<T>, TokenError> {
        if self.algorithm() != algorithm {
            return Err(TokenError::UnknownKey);
        }
        let verified = match self {
            Self::Es256(key) => Es256.validator::<T>(key).validate(token),
            Self::Rs256(key) => StrongAlg(Rsa::rs256()).validator::<T>(key).validate(token),
        };
        Ok(verified.map_err(|_| TokenError::Signature)?.into_parts().1)
    }
}
