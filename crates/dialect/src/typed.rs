//! Reading a small body of a known shape into its type, with errors that name the field in plain words.
//!
//! The one rule: of what the client sent only a field's name is repeated to it, for a value may be long, or a
//! secret.

mod lenient;
mod whole;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::error::Category;

use self::lenient::{Lenient, Nulls};
pub use self::whole::{Whole, positive};
use crate::request::RequestError;

/// How much of a name is shown that the client made up, in characters.
const MOST_SHOWN_CHARS: usize = 64;

/// What serde_json says of a number in the place of an enum's word.
const NO_WORD: &str = "expected value";

/// Reads a body, an object. Members that are `null` or an empty string are absent.
///
/// # Errors
/// [`RequestError`] with the path of the field (`limits.budget.usd`) and what it must be.
pub fn typed<'a, T: Deserialize<'a>>(body: &'a str) -> Result<T, RequestError> {
    read(body, Nulls::Absent)
}

/// Reads a change, an object whose type says what `null` means. Members that are an empty string are absent.
///
/// # Errors
/// As [`typed`].
pub fn typed_change<'a, T: Deserialize<'a>>(body: &'a str) -> Result<T, RequestError> {
    read(body, Nulls::Given)
}

fn read<'a, T: Deserialize<'a>>(body: &'a str, nulls: Nulls) -> Result<T, RequestError> {
    // An array of the fields in their order would do for serde.
    if body.trim_start().starts_with('[') {
        return Err(RequestError { message: "the body must be an object".into(), param: None });
    }
    let mut reader = serde_json::Deserializer::from_str(body);
    let lenient = Lenient { inner: &mut reader, nulls };
    let read = serde_path_to_error::deserialize(lenient).map_err(|error| {
        let path = error.path().to_string();
        // The whole body is a dot.
        refused(body, if path == "." { "" } else { &path }, error.inner())
    })?;
    reader.end().map_err(|error| refused(body, "", &error))?;
    Ok(read)
}

fn refused(body: &str, path: &str, error: &serde_json::Error) -> RequestError {
    // A number in the place of an enum's word is a matter of syntax to serde_json.
    if error.classify() != Category::Data && serde_json::from_str::<IgnoredAny>(body).is_err() {
        return RequestError { message: "the body must be valid JSON".into(), param: None };
    }
    // The words of serde_json, which has no others: `invalid type: integer `5`, expected a string at line 1 …`.
    // Whatever it quotes first may be the client's own; what it expects comes last.
    let problem = error.to_string();
    let problem = problem.rsplit_once(" at line ").map_or(problem.as_str(), |(problem, _)| problem);
    let inside = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    if let Some(name) = quoted_behind(problem, "missing field ") {
        return RequestError::missing(&inside(name));
    }
    if let Some(name) = quoted_behind(problem, "duplicate field ") {
        let name = inside(name);
        return RequestError::field(name.as_str(), format!("the field `{name}` stands twice"));
    }
    let expected = problem.rsplit_once(", expected ").map(|(_, expected)| expected);
    if problem.starts_with("unknown field ") {
        // The one thing that is the client's own.
        let name: String = path.chars().take(MOST_SHOWN_CHARS).collect();
        let known = expected.map(|expected| format!("; there are {}", without_one_of(expected)));
        let message = format!("there is no field `{name}`{}", known.unwrap_or_default());
        return RequestError::field(name, message);
    }
    let wanted = match expected {
        Some(expected) => plain(expected),
        None if error.classify() == Category::Data && problem != NO_WORD => {
            return RequestError::field(path, format!("the field `{path}` is wrong: {problem}"));
        }
        None => "a string".to_owned(),
    };
    if path.is_empty() {
        return RequestError { message: format!("the body must be {wanted}"), param: None };
    }
    RequestError::wrong_type(path, &wanted)
}

/// The name in backquotes behind `lead`, where the text begins with that.
fn quoted_behind<'a>(text: &'a str, lead: &str) -> Option<&'a str> {
    text.strip_prefix(lead)?.strip_prefix('`')?.split('`').next()
}

fn without_one_of(expected: &str) -> &str {
    expected.strip_prefix("one of ").unwrap_or(expected)
}

/// What serde expects, as somebody would say it who never heard of Rust.
fn plain(expected: &str) -> String {
    match expected {
        "string" => "a string".into(),
        "a boolean" => "true or false".into(),
        "a sequence" => "an array".into(),
        "a map" => "an object".into(),
        "u32" => format!("a whole number from 0 to {}", u32::MAX),
        "u8" | "u16" | "u64" | "usize" => "a whole number of at least 0".into(),
        "i8" | "i16" | "i32" | "i64" => "a whole number".into(),
        _ if expected.starts_with("struct ") => "an object".into(),
        _ if expected.starts_with("one of ") => format!("one of {}", without_one_of(expected)),
        _ => expected.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[expect(dead_code, reason = "read by serde")]
        name: String,
        #[serde(default)]
        inner: Option<Inner>,
        #[serde(default)]
        #[expect(dead_code, reason = "read by serde")]
        kinds: Vec<Kind>,
        #[serde(default)]
        #[expect(dead_code, reason = "read by serde")]
        kind: Option<Kind>,
        #[serde(default)]
        days: Option<Whole<1, 90>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "read by serde")]
        usd: String,
        #[serde(default)]
        most: Option<u32>,
        #[serde(default)]
        #[expect(dead_code, reason = "read by serde")]
        on: Option<bool>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        Daily,
        Weekly,
        Monthly,
    }

    #[test]
    fn the_field_is_named_and_what_it_must_be() {
        for (body, param, message) in [
            ("", None, "the body must be valid JSON"),
            ("{\"name\":\"a\"", None, "the body must be valid JSON"),
            ("{\"name\":\"a\"} x", None, "the body must be valid JSON"),
            ("7", None, "the body must be an object"),
            ("[\"a\"]", None, "the body must be an object"),
            ("{}", Some("name"), "the field `name` is required"),
            ("{\"name\":7}", Some("name"), "the field `name` must be a string"),
            ("{\"name\":null}", Some("name"), "the field `name` is required"),
            ("{\"name\":\"\"}", Some("name"), "the field `name` is required"),
            ("{\"name\":\"a\",\"inner\":{\"usd\":null}}", Some("inner.usd"), "the field `inner.usd` is required"),
            ("{\"name\":\"a\",\"kinds\":[null]}", Some("kinds[0]"), "the field `kinds[0]` must be a string"),
            ("{\"name\":\"a\",\"days\":0}", Some("days"), "the field `days` must be a whole number from 1 to 90"),
            ("{\"name\":\"a\",\"days\":91.0}", Some("days"), "the field `days` must be a whole number from 1 to 90"),
            ("{\"name\":\"a\",\"days\":7.5}", Some("days"), "the field `days` must be a whole number from 1 to 90"),
            ("{\"name\":\"a\",\"days\":1e400}", Some("days"), "the field `days` is wrong: number out of range"),
            ("{\"name\":\"a\",\"days\":\"7\"}", Some("days"), "the field `days` must be a whole number from 1 to 90"),
            ("{\"name\":\"a\",\"kind\":1}", Some("kind"), "the field `kind` must be a string"),
            ("{\"name\":\"a\",\"name\":\"b\"}", Some("name"), "the field `name` stands twice"),
            (
                "{\"name\":\"a\",\"colour\":\"secret\"}",
                Some("colour"),
                "there is no field `colour`; there are `name`, `inner`, `kinds`, `kind`, `days`",
            ),
            ("{\"name\":\"a\",\"inner\":[]}", Some("inner"), "the field `inner` must be an object"),
            ("{\"name\":\"a\",\"inner\":5}", Some("inner"), "the field `inner` must be an object"),
            ("{\"name\":\"a\",\"inner\":{}}", Some("inner.usd"), "the field `inner.usd` is required"),
            ("{\"name\":\"a\",\"inner\":{\"usd\":5}}", Some("inner.usd"), "the field `inner.usd` must be a string"),
            ("{\"name\":\"a\",\"inner\":{\"usd\":5.5}}", Some("inner.usd"), "the field `inner.usd` must be a string"),
            (
                "{\"name\":\"a\",\"inner\":{\"usd\":\"5\",\"most\":-1}}",
                Some("inner.most"),
                "the field `inner.most` must be a whole number from 0 to 4294967295",
            ),
            (
                "{\"name\":\"a\",\"inner\":{\"usd\":\"5\",\"on\":\"a, expected b at line 1\"}}",
                Some("inner.on"),
                "the field `inner.on` must be true or false",
            ),
            (
                "{\"name\":\"a\",\"inner\":{\"usd\":\"5\",\"x\":1}}",
                Some("inner.x"),
                "there is no field `inner.x`; there are `usd`, `most`, `on`",
            ),
            (
                "{\"name\":\"a\",\"kinds\":[\"daily\",\"yearly\"]}",
                Some("kinds[1]"),
                "the field `kinds[1]` must be one of `daily`, `weekly`, `monthly`",
            ),
            ("{\"name\":\"a\",\"kinds\":[1]}", Some("kinds[0]"), "the field `kinds[0]` must be a string"),
            ("{\"name\":\"a\",\"kinds\":\"daily\"}", Some("kinds"), "the field `kinds` must be an array"),
        ] {
            let error = typed::<Outer>(body).unwrap_err();
            assert_eq!((error.param.as_deref(), error.message.as_str()), (param, message), "{body}");
        }
        let whole = "{\"name\":\"a\",\"inner\":{\"usd\":\"5\"},\"kinds\":[\"monthly\"]} ";
        assert!(typed::<Outer>(whole).is_ok());
    }

    #[test]
    fn null_and_the_empty_string_are_absent_at_every_depth() {
        for body in [
            "{\"name\":\"a\",\"inner\":null,\"days\":null,\"kind\":\"\",\"colour\":null,\"shape\":\"\"}",
            "{\"name\":null,\"name\":\"a\",\"days\":\"\"}",
        ] {
            let read = typed::<Outer>(body).unwrap();
            assert!(read.inner.is_none() && read.days.is_none(), "{body}");
        }
        let nested = typed::<Outer>("{\"name\":\"a\",\"inner\":{\"usd\":\"5\",\"most\":null,\"on\":\"\"}}").unwrap();
        assert_eq!(nested.inner.unwrap().most, None);
        assert!(typed_change::<Outer>("{\"name\":null}").is_err() && typed_change::<Outer>("{\"name\":\"\"}").is_err());
    }

    #[test]
    fn a_number_without_a_fraction_is_whole_at_every_depth() {
        for number in ["7", "7.0", "7e0", "70e-1", "0.7e1", "7.000"] {
            let body = format!("{{\"name\":\"a\",\"days\":{number},\"inner\":{{\"usd\":\"5\",\"most\":{number}}}}}");
            let read = typed::<Outer>(&body).unwrap();
            assert_eq!((read.days, read.inner.unwrap().most), (Some(Whole(7)), Some(7)), "{body}");
        }
        for number in ["-7.0", "7.5", "1e30", "4294967296.0"] {
            let body = format!("{{\"name\":\"a\",\"inner\":{{\"usd\":\"5\",\"most\":{number}}}}}");
            assert_eq!(typed::<Outer>(&body).unwrap_err().param.as_deref(), Some("inner.most"), "{body}");
        }
    }
}
