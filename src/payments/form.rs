//! `application/x-www-form-urlencoded` bodies with brackets in their names, as Stripe reads them.
//! <https://docs.stripe.com/api>

use std::fmt::Display;

use form_urlencoded::Serializer;

/// A request body or a query, built field by field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form(String);

impl Form {
    /// Adds a field.
    #[must_use]
    pub fn with(self, name: &str, value: impl Display) -> Self {
        Self(Serializer::new(self.0).append_pair(name, &value.to_string()).finish())
    }

    /// The encoded text, as the Worker sends it.
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
            "mode=payment&metadata%5Baccount_id%5D=acct_1&success_url=https%3A%2F%2Fx.example%2Fcredits%3Ftopup%3Da%26b%3D%7BC%7D+%C3%A9&line_items%5B0%5D%5Bquantity%5D=1"
        );
        assert_eq!(Form::default().as_str(), "");
    }
}
