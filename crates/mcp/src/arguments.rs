//! Arguments of the tools. What is wrong with them is told to the model, which can mend it. The bounds that an error
//! names are those of the tool's schema, for they are the types' own.

use std::ops::Deref;

use dialect::typed::{Whole, typed};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

/// The most that one page of a list holds.
const MAX_PAGE: u32 = 100;
/// The longest id, word or cursor, in characters. The ids of models are the longest of them.
const MAX_TEXT_CHARS: usize = 256;
/// The longest time that usage is read back, in days.
pub(crate) const MAX_DAYS: u32 = 90;
/// The time that usage is read back where no other is given, in days.
pub(crate) const DAYS: u32 = 7;

/// How many a page of a list holds.
type PageSize = Whole<1, MAX_PAGE>;
/// How far usage is read back, in days.
pub(crate) type Days = Whole<1, MAX_DAYS>;

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
    limit: Option<PageSize>,
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
    limit: Option<PageSize>,
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
    days: Option<Days>,
    /// Only this model.
    pub model: Option<Text>,
    /// Only this key.
    pub key_id: Option<Text>,
    limit: Option<PageSize>,
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
    #[must_use]
    pub fn limit(&self) -> usize {
        page(self.limit, 50)
    }
}

impl Keys {
    /// How many a page holds.
    #[must_use]
    pub fn limit(&self) -> usize {
        page(self.limit, 50)
    }
}

impl Usage {
    /// The usage of the last `days`.
    #[must_use]
    pub fn of_days(days: u32) -> Self {
        Self { days: Some(Whole(days)), ..Self::default() }
    }

    /// How many requests a page holds.
    #[must_use]
    pub fn limit(&self) -> usize {
        page(self.limit, 20)
    }

    /// How far back, in days.
    #[must_use]
    pub fn days(&self) -> u32 {
        self.days.map_or(DAYS, |days| days.0)
    }

    /// Only journal rows before this one; `None`: from the newest on.
    ///
    /// # Errors
    /// What is wrong with the cursor, as a sentence.
    pub fn before(&self) -> Result<Option<u32>, String> {
        let wrong = |_| "cursor must be the next_cursor of the page before.".to_owned();
        self.cursor.as_deref().map(|cursor| cursor.parse().map_err(wrong)).transpose()
    }
}

fn page(limit: Option<PageSize>, default: u32) -> usize {
    usize::try_from(limit.map_or(default, |limit| limit.0)).unwrap_or(usize::MAX)
}

/// Days that stand in a text, as in a URI.
pub(crate) fn days(text: &str) -> Option<u32> {
    typed::<JustDays>(&format!(r#"{{"days":{text}}}"#)).ok().map(|read| read.days.0)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JustDays {
    days: Days,
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
            (r#"{"days":"7"}"#, "the field `days` must be a whole number from 1 to 90."),
            (r#"{"days":-1}"#, "the field `days` must be a whole number from 1 to 90."),
            (r#"{"days":91}"#, "the field `days` must be a whole number from 1 to 90."),
            (r#"{"days":0.0}"#, "the field `days` must be a whole number from 1 to 90."),
            (r#"{"days":7.5}"#, "the field `days` must be a whole number from 1 to 90."),
            (r#"{"limit":101}"#, "the field `limit` must be a whole number from 1 to 100."),
            (r#"{"limit":0}"#, "the field `limit` must be a whole number from 1 to 100."),
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
        assert_eq!((usage("{}").limit(), usage("{}").days(), usage("{}").before()), (20, 7, Ok(None)));
        assert_eq!((usage(r#"{"limit":100}"#).limit(), usage(r#"{"days":90}"#).days()), (100, 90));
        assert_eq!(usage(r#"{"cursor":"12"}"#).before(), Ok(Some(12)));
        assert!(usage(r#"{"cursor":"x"}"#).before().is_err());
    }

    #[test]
    fn issue_13_empty_strings_and_nulls_are_absent() {
        for absent in ["\"\"", "null"] {
            let text =
                format!(r#"{{"days":{absent},"model":{absent},"key_id":{absent},"limit":{absent},"cursor":{absent}}}"#);
            assert_eq!(parse::<Usage>(&text), Ok(Usage::default()), "{text}");
            let text = format!(r#"{{"query":{absent},"limit":{absent},"cursor":{absent}}}"#);
            assert_eq!(parse::<Models>(&text), Ok(Models { query: None, limit: None, cursor: None }), "{text}");
            let text = format!(r#"{{"include_revoked":{absent},"limit":{absent},"cursor":{absent}}}"#);
            assert_eq!(parse::<Keys>(&text), Ok(Keys { include_revoked: false, limit: None, cursor: None }), "{text}");
            let told = parse::<Revoke>(&format!(r#"{{"id":{absent}}}"#)).unwrap_err();
            assert!(told.ends_with("the field `id` is required."), "{told}");
        }
    }

    #[test]
    fn issue_13_floats_without_a_fraction_are_whole() {
        for seven in ["7.0", "7e0", "70.0e-1"] {
            let usage = parse::<Usage>(&format!(r#"{{"days":{seven},"limit":{seven}}}"#)).unwrap();
            assert_eq!((usage.days(), usage.limit()), (7, 7), "{seven}");
            assert_eq!(parse::<Models>(&format!(r#"{{"limit":{seven}}}"#)).unwrap().limit(), 7, "{seven}");
            assert_eq!(parse::<Keys>(&format!(r#"{{"limit":{seven}}}"#)).unwrap().limit(), 7, "{seven}");
        }
    }

    #[test]
    fn the_bounds_are_those_of_the_schemas() {
        let told = crate::tool::list(|_| true);
        let properties = |name: &str| {
            let tools = told["tools"].as_array().unwrap();
            tools.iter().find(|tool| tool["name"] == name).unwrap()["inputSchema"]["properties"].clone()
        };
        let bounds = |schema: &serde_json::Value| (schema["minimum"].as_u64(), schema["maximum"].as_u64());
        assert_eq!(bounds(&properties("get_usage")["days"]), (Some(1), Some(u64::from(MAX_DAYS))));
        for tool in ["get_usage", "list_models", "list_api_keys"] {
            assert_eq!(bounds(&properties(tool)["limit"]), (Some(1), Some(u64::from(MAX_PAGE))), "{tool}");
        }
        let limits = properties("create_api_key")["limits"]["properties"].clone();
        for limit in ["requests_per_minute", "max_running"] {
            assert_eq!(bounds(&limits[limit]), (Some(1), Some(u64::from(u32::MAX))), "{limit}");
        }
    }
}
