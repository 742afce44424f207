//! Source text without the parts that are no code of the module: comments, string and character literals, inline
//! test modules.

/// The text with each comment and each literal replaced by a space.
#[must_use]
pub fn without_words(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = comment(rest).or_else(|| literal(rest, &code));
        match length.and_then(|length| rest.get(length..)) {
            Some(behind) => {
                code.push(' ');
                rest = behind;
            }
            None => {
                code.push(first);
                rest = rest.get(first.len_utf8()..).unwrap_or_default();
            }
        }
    }
    code
}

/// The length of the comment that begins here.
fn comment(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return Some(text.find("*/").map_or(text.len(), |at| at.saturating_add(2)));
    }
    None
}

/// The length of the literal that begins here, after `before`.
fn literal(text: &str, before: &str) -> Option<usize> {
    let in_word = before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
    if text.starts_with('r') && !in_word {
        let hashes = text.get(1..)?.chars().take_while(|c| *c == '#').count();
        let open = hashes.saturating_add(1);
        if text.get(open..)?.starts_with('"') {
            let close = format!("\"{}", "#".repeat(hashes));
            let body = text.get(open.saturating_add(1)..)?;
            let body = body.find(&close).unwrap_or(body.len());
            return Some(open.saturating_add(1).saturating_add(body).saturating_add(close.len()).min(text.len()));
        }
    }
    if text.starts_with('"') {
        return Some(quoted(text, '"'));
    }
    // `'a'` and `'\n'` are characters, `'a` is a lifetime.
    let mut chars = text.chars();
    if chars.next() == Some('\'') && (chars.next() == Some('\\') || chars.next() == Some('\'')) {
        return Some(quoted(text, '\''));
    }
    None
}

/// The length of a literal up to its closing quote, which no backslash escapes.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at.saturating_add(1),
            _ => {}
        }
    }
    text.len()
}

/// The text without `#[cfg(test)] mod … { … }`.
#[must_use]
pub fn without_tests(code: &str) -> String {
    let Some((before, rest)) = code.split_once("#[cfg(test)]") else { return code.to_owned() };
    let behind = if rest.trim_start().starts_with("mod ") { behind_block(rest) } else { rest };
    format!("{before}{}", without_tests(behind))
}

/// The text behind the first block or the first semicolon.
fn behind_block(code: &str) -> &str {
    let mut depth = 0_usize;
    for (at, c) in code.char_indices() {
        match c {
            '{' => depth = depth.saturating_add(1),
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && matches!(c, '}' | ';') {
            return code.get(at.saturating_add(1)..).unwrap_or_default();
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_comments_go_and_code_stays() {
        for (text, code) in [
            ("a // b\nc", "a  \nc"),
            ("a /* b */ c", "a   c"),
            ("f(\"b \\\" // c\") + d", "f( ) + d"),
            ("f(r#\"b \" c\"#) + d", "f( ) + d"),
            ("f('\"', '\\'') + d", "f( ,  ) + d"),
            ("fn f<'a>(x: &'a str)", "fn f<'a>(x: &'a str)"),
            ("for x in y", "for x in y"),
        ] {
            assert_eq!(without_words(text), code, "{text}");
        }
    }

    #[test]
    fn test_modules_go() {
        assert_eq!(without_tests("a\n#[cfg(test)]\nmod tests {\n { b }\n}\nc"), "a\n\nc");
        assert_eq!(without_tests("a\n#[cfg(test)]\nmod tests;\nc"), "a\n\nc");
        assert_eq!(without_tests("a\n#[cfg(test)]\nfn b() {}\nc"), "a\n\nfn b() {}\nc");
    }
}
