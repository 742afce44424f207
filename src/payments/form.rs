//! `application/x-www-form-urlencoded` bodies with brackets in their names, as Stripe reads them.
//! <https://docs.stripe.com/api>

use std::fmt::{Display, Write};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What stands for itself: the unreserved characters of RFC 3986.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A body, or a query, field by field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form(String);

impl Form {
    /// The same with one field more.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Display) -> Self {
        let separator = if self.0.is_empty() { "" } else { "&" };
        let value = value.to_string();
        // Writing into a String does not fail.
        let _ = write!(
            self.0,
            "{separator}{}={}",
            utf8_percent_encode(name, ESCAPED),
            utf8_percent_encode(&value, ESCAPED)
        );
        self
    }

    /// As it is sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_escaped() {
        let form = Form::default()
            .with("mode", "payment")
            .with("metadata[account_id]", "acct_1")
            .with("success_url", "https://x.example/credits?topup=a&b={C} é")
            .with("line_items[0][quantity]", 1);
        assert_eq!(
            form.as_str(),
            "mode=payment&metadata%5Baccount_id%5D=acct_1&success_url=https%3A%2F%2Fx.example%2Fcredits%3Ftopup%3Da%26b%3D%7BC%7D%20%C3%A9&line_items%5B0%5D%5Bquantity%5D=1"
        );
        assert_eq!(Form::default().as_str(), "");
    }
}
