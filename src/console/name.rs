//! Names that people give: of keys, and of whatever else the API lets somebody name.
//!
//! The one rule: a name is trimmed, has 1 to 100 characters, and is refused if one of them controls a terminal,
//! turns the direction of the text around it, or shows as nothing. Such a name could look like another one, or
//! change how the line around it reads.

use crate::console::page::invalid;
use crate::error::ApiError;

/// The longest name, in characters.
const MAX_CHARS: usize = 100;

/// Reads a name that was given as `param`.
///
/// # Errors
/// `invalid_request` that names the parameter.
pub fn read(param: &str, given: &str) -> Result<String, ApiError> {
    let name = given.trim();
    let length = name.chars().count();
    if length == 0 || length > MAX_CHARS {
        return Err(invalid(param, &format!("The {param} must have 1 to {MAX_CHARS} characters.")));
    }
    match name.chars().find(|c| is_refused(*c)) {
        None => Ok(name.to_owned()),
        Some(c) => {
            let sentence = format!(
                "The {param} must not hold U+{:04X}: control characters, and characters that are invisible or change \
                 the direction of text, are refused.",
                u32::from(c)
            );
            Err(invalid(param, &sentence))
        }
    }
}

fn is_refused(c: char) -> bool {
    // By Unicode: Cc; Cf and other default-ignorable characters; Zl and Zp; fillers that show as a blank.
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{34f}'
                | '\u{600}'..='\u{605}'
                | '\u{61c}'
                | '\u{6dd}'
                | '\u{70f}'
                | '\u{890}'..='\u{891}'
                | '\u{8e2}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{2800}'
                | '\u{3164}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{110bd}'
                | '\u{110cd}'
                | '\u{13430}'..='\u{1343f}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn issue_13_names_are_trimmed() {
        for (given, name) in [
            ("CI", "CI"),
            ("  CI \t\n", "CI"),
            ("\u{a0}\u{3000}CI\u{2009}", "CI"),
            ("Größe 大 مفتاح מפתח", "Größe 大 مفتاح מפתח"),
            ("a  b", "a  b"),
            ("🔑", "🔑"),
        ] {
            assert_eq!(read("name", given).as_deref(), Ok(name));
        }
        assert!(read("name", &"x".repeat(100)).is_ok() && read("name", &format!(" {} ", "é".repeat(100))).is_ok());
    }

    #[test]
    fn issue_13_characters_that_hide_or_turn_text_are_refused() {
        for given in [
            "a\u{0}b",
            "a\nb",
            "a\tb",
            "a\u{1b}[2Jb",
            "a\u{7f}b",
            "a\u{85}b",
            "a\u{202e}b",
            "a\u{2066}b",
            "a\u{200e}b",
            "a\u{61c}b",
            "a\u{200b}b",
            "a\u{200d}b",
            "a\u{feff}b",
            "\u{feff}ab",
            "a\u{2028}b",
            "a\u{ad}b",
            "a\u{e0041}b",
            "a\u{3164}b",
        ] {
            let error = read("name", given).unwrap_err();
            assert_eq!((error.status, error.param.as_deref()), (400, Some("name")), "{given:?}");
            assert!(error.message.contains("must not hold U+"), "{}", error.message);
        }
        for given in ["", "   ", "\u{3000}", &"x".repeat(101)] {
            assert!(read("name", given).unwrap_err().message.contains("1 to 100"), "{given:?}");
        }
    }
}
