//! Whether text that comes in pieces is one complete JSON value.

/// What has been read. It looks at brackets and strings alone: what stands between them is the model's
/// affair.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Completeness {
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// A literal at the top, as far as it has come.
    literal: String,
    complete: bool,
    /// Something stands behind the value.
    broken: bool,
}

impl Completeness {
    /// Reads more of the text.
    pub(super) fn push(&mut self, text: &str) {
        text.chars().for_each(|c| self.char(c));
    }

    /// Whether it is one value, and certainly all of it: of a number more digits may come.
    pub(super) fn is_complete(&self) -> bool {
        self.complete && !self.broken
    }

    fn char(&mut self, c: char) {
        if self.in_string {
            match c {
                _ if self.escaped => self.escaped = false,
                '\\' => self.escaped = true,
                '"' => {
                    self.in_string = false;
                    self.complete = self.depth == 0;
                }
                _ => {}
            }
            return;
        }
        if c.is_ascii_whitespace() {
            return;
        }
        if self.complete {
            self.broken = true;
            return;
        }
        match c {
            '"' => self.in_string = true,
            '{' | '[' => self.depth = self.depth.saturating_add(1),
            '}' | ']' => {
                self.depth = self.depth.saturating_sub(1);
                self.complete = self.depth == 0;
            }
            _ if self.depth == 0 && self.literal.len() < 8 => {
                self.literal.push(c);
                self.complete = matches!(self.literal.as_str(), "null" | "true" | "false");
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_complete_when_nothing_can_follow() {
        for (text, complete) in [
            ("", false),
            ("{", false),
            ("{}", true),
            (" {\"a\":[1,{\"b\":\"}\"}]} \n", true),
            ("{\"a\":\"\\\"}", false),
            ("{}{", false),
            ("null", true),
            ("nul", false),
            ("12", false),
            ("\"x\"", true),
            ("[[]", false),
        ] {
            let mut whole = Completeness::default();
            whole.push(text);
            assert_eq!(whole.is_complete(), complete, "{text}");
            let mut pieces = Completeness::default();
            text.chars().for_each(|c| pieces.push(&c.to_string()));
            assert_eq!(pieces, whole, "{text}");
        }
    }
}
