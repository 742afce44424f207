//! Arguments of the tools. What is wrong with them is told to the model, which can mend it.

use std::ops::Deref;

use dialect::typed::typed;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

/// The most that one page of a list holds.
const MAX_PAGE: u32 = 100;
/// The longest id, word or cursor, in characters. The ids of models are the longest of them.
const MAX_TEXT_CHARS: usize = 256;
/// The longest time that usage is read back, in days.
const MAX_DAYS: u32 = 90;

/// No arguments.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Of `list_models`.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Models {
    /// Part of an id, a name or an owner.
    pub query: Option<Text>,
    limit: Option<u32>,
    /// The last id of the page before.
    pub cursor: Option<Text>,
}

/// Of `list_api_keys`.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// Whether keys that were revoked are listed too.
    #[serde(default)]
    pub include_revoked: bool,
    limit: Option<u32>,
    /// The last id of the page before.
    pub cursor: Option<Text>,
}

/// Of `revoke_api_key`.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revoke {
    /// The key's id.
    pub id: Text,
}

/// Of `get_usage`.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    days: Option<u32>,
    /// Only this model.
    pub model: Option<Text>,
    /// Only this key.
    pub key_id: Option<Text>,
    limit: Option<u32>,
    cursor: Option<Text>,
}

/// A text that is not long.
#[derive(Debug, PartialEq, Eq)]
pub struct Text(pub String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.chars().count() > MAX_TEXT_CHARS {
            let long = format!("it may have {MAX_TEXT_CHARS} characters at most");
            return Err(serde::de::Error::custom(long));
        }
        Ok(Self(text))
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Models {
    /// How many a page holds.
    ///
    /// # Errors
    /// What is wrong, as a sentence; so do the others.
    pub fn limit(&self) -> Result<usize, String> {
        page(self.limit, 50)
    }
}

impl Keys {
    /// How many a page holds.
    ///
    /// # Errors
    /// As [`Models::limit`].
    pub fn limit(&self) -> Result<usize, String> {
        page(self.limit, 50)
    }
}

impl Usage {
    /// The usage of the last `days`.
    #[must_use]
    pub fn of_days(days: u32) -> Self {
        Self { days: Some(days), ..Self::default() }
    }

    /// How many requests a page holds.
    ///
    /// # Errors
    /// As [`Models::limit`].
    pub fn limit(&self) -> Result<usize, String> {
        page(self.limit, 20)
    }

    /// How far back, in days.
    ///
    /// # Errors
    /// As [`Models::limit`].
    pub fn days(&self) -> Result<u32, String> {
        let days = self.days.unwrap_or(7);
        if (1..=MAX_DAYS).contains(&days) { Ok(days) } else { Err(format!("days must be 1 to {MAX_DAYS}.")) }
    }

    /// Only journal rows before this one; `None`: from the newest on.
    ///
    /// # Errors
    /// As [`Models::limit`].
    pub fn before(&self) -> Result<Option<u32>, String> {
        let wrong = |_| "cursor must be the next_cursor of the page before.".to_owned();
        self.cursor.as_deref().map(|cursor| cursor.parse().map_err(wrong)).transpose()
    }
}

fn page(limit: Option<u32>, default: u32) -> Result<usize, String> {
    let limit = limit.unwrap_or(default);
    let fits = (1..=MAX_PAGE).contains(&limit);
    let limit = usize::try_from(limit).ok().filter(|_| fits);
    limit.ok_or_else(|| format!("limit must be 1 to {MAX_PAGE}."))
}

/// Reads arguments.
///
/// # Errors
/// What is wrong, as a sentence.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    typed(text).map_err(|error| format!("The arguments do not fit the tool's input schema: {}.", error.message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_arguments_are_named() {
        for (text, problem) in [
            ("[]", "must be an object"),
            (r#"{"colour":1}"#, "there is no field `colour`; there are `days`,"),
            (r#"{"days":"7"}"#, "the field `days` must be a whole number from 0"),
            (r#"{"days":-1}"#, "the field `days` must be a whole number from 0"),
        ] {
            let told = parse::<Usage>(text).unwrap_err();
            assert!(told.contains(problem) && !told.contains("line"), "{text}: {told}");
        }
        let long = format!(r#"{{"model":"{}"}}"#, "x".repeat(257));
        let told = parse::<Usage>(&long).unwrap_err();
        assert!(told.ends_with("the field `model` is wrong: it may have 256 characters at most."), "{told}");
        assert!(parse::<Nothing>("{}").is_ok() && parse::<Nothing>(r#"{"a":1}"#).is_err());
    }

    #[test]
    fn pages_and_days_are_bounded() {
        let usage = |text| parse::<Usage>(text).unwrap();
        assert_eq!((usage("{}").limit(), usage("{}").days(), usage("{}").before()), (Ok(20), Ok(7), Ok(None)));
        assert_eq!((usage(r#"{"limit":100}"#).limit(), usage(r#"{"days":90}"#).days()), (Ok(100), Ok(90)));
        assert!(usage(r#"{"limit":101}"#).limit().is_err() && usage(r#"{"limit":0}"#).limit().is_err());
        assert!(usage(r#"{"days":91}"#).days().is_err() && usage(r#"{"days":0}"#).days().is_err());
        assert_eq!(usage(r#"{"cursor":"12"}"#).before(), Ok(Some(12)));
        assert!(usage(r#"{"cursor":"x"}"#).before().is_err());
    }
}
