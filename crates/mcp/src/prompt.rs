//! Prompts: what a person often wants of the tools, in words that a model can follow.

use std::borrow::Cow;

use billing::ledger::Permission;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::arguments;
use crate::rpc::{self, Fault};

/// The longest text that is put into a prompt, in characters.
const MAX_CHARS: usize = 4_000;

/// What prompts take, as JSON text; others are passed over.
#[derive(Debug, Default, Deserialize)]
pub struct Arguments {
    #[serde(default)]
    task: Option<Box<RawValue>>,
    #[serde(default)]
    like: Option<Box<RawValue>>,
    #[serde(default)]
    days: Option<Box<RawValue>>,
}

/// A prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prompt {
    /// Which model fits a task.
    ChooseModel,
    /// What the money went into.
    ExplainSpend,
}

impl Prompt {
    const ALL: [Self; 2] = [Self::ChooseModel, Self::ExplainSpend];

    fn name(self) -> &'static str {
        match self {
            Self::ChooseModel => "choose_model",
            Self::ExplainSpend => "explain_spend",
        }
    }

    /// The prompt of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|prompt| prompt.name() == name)
    }

    /// What the tools that it speaks of need.
    #[must_use]
    pub fn permission(self) -> Permission {
        match self {
            Self::ChooseModel => Permission::Inference,
            Self::ExplainSpend => Permission::AccountRead,
        }
    }

    fn described(self) -> Value {
        match self {
            Self::ChooseModel => json!({
                "name": self.name(),
                "title": "Choose a model for …",
                "description": "Compares models for a task by what they can do and what they cost.",
                "arguments": [
                    { "name": "task", "description": "What the model is to do.", "required": true },
                    { "name": "like", "description": "The id of a model to compare with.", "required": false },
                ],
            }),
            Self::ExplainSpend => json!({
                "name": self.name(),
                "title": "Explain my spend",
                "description": "Says what the account's money went into.",
                "arguments": [{ "name": "days", "description": "How many days back; 7 where absent.", "required": false }],
            }),
        }
    }

    /// The result of `prompts/get`.
    ///
    /// # Errors
    /// A missing argument, or one that is no text.
    pub fn get(self, arguments: &Arguments) -> Result<Value, Fault> {
        let said = match self {
            Self::ChooseModel => {
                let needed = || Fault::invalid_params("choose_model needs the argument task.");
                let task = text("task", arguments.task.as_deref())?.ok_or_else(needed)?;
                let like = text("like", arguments.like.as_deref())?
                    .map(|like| format!(" Compare them with {like}."))
                    .unwrap_or_default();
                format!(
                    "Choose a model for this task: {task}\n\nCall list_models, and go by capabilities, context window and \
                     prices. Name the three that fit best with what 1,000 such requests would cost at a size that you \
                     state, and recommend one.{like}"
                )
            }
            Self::ExplainSpend => {
                let days = days(arguments.days.as_deref())?;
                format!(
                    "Explain what my money on One Interface went into.\n\nCall get_usage with days {days}, and \
                     get_balance. Say what was spent by model, what the dearest requests had in common, how long the \
                     balance lasts at this pace, and what would make it cheaper."
                )
            }
        };
        Ok(json!({ "messages": [{ "role": "user", "content": { "type": "text", "text": said } }] }))
    }
}

impl Arguments {
    /// Reads them.
    ///
    /// # Errors
    /// They are no object.
    pub(crate) fn read(json: &str) -> Result<Self, Fault> {
        let wrong = || Fault::invalid_params("The arguments of a prompt must be an object.");
        if !json.starts_with('{') {
            return Err(wrong());
        }
        serde_json::from_str(json).map_err(|_| wrong())
    }
}

/// Days, as a number or, as the protocol has arguments of prompts, in a string.
fn days(json: Option<&RawValue>) -> Result<u32, Fault> {
    let Some(json) = given(json) else { return Ok(arguments::DAYS) };
    let number = rpc::text(json).unwrap_or(json.get().into());
    let wrong = || Fault::invalid_params(format!("days must be a whole number from 1 to {}.", arguments::MAX_DAYS));
    arguments::days(&number).ok_or_else(wrong)
}

/// An argument that is neither null nor an empty string.
fn given(json: Option<&RawValue>) -> Option<&RawValue> {
    json.filter(|json| !matches!(json.get(), "null" | "\"\""))
}

/// An argument; `None`: it is not there.
fn text<'a>(name: &str, json: Option<&'a RawValue>) -> Result<Option<Cow<'a, str>>, Fault> {
    let Some(json) = given(json) else { return Ok(None) };
    let text = rpc::text(json).filter(|text| text.chars().count() <= MAX_CHARS);
    let wrong = || Fault::invalid_params(format!("{name} must be a string of at most {MAX_CHARS} characters."));
    text.map(Some).ok_or_else(wrong)
}

/// The result of `prompts/list`, for a caller with these permissions.
#[must_use]
pub fn list(permissions: &[Permission]) -> Value {
    let may = Prompt::ALL.into_iter().filter(|prompt| permissions.contains(&prompt.permission()));
    json!({ "prompts": may.map(Prompt::described).collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(prompt: Prompt, arguments: Value) -> Result<String, Fault> {
        let got = prompt.get(&Arguments::read(&arguments.to_string())?)?;
        Ok(got["messages"][0]["content"]["text"].as_str().unwrap().to_owned())
    }

    #[test]
    fn a_prompt_says_what_was_asked() {
        let text = get(Prompt::ChooseModel, json!({ "task": "translate", "like": "gpt-4o" })).unwrap();
        assert!(text.contains("task: translate\n") && text.ends_with("Compare them with gpt-4o."), "{text}");
        assert!(get(Prompt::ExplainSpend, json!({})).unwrap().contains("with days 7,"));
        for days in [json!(""), Value::Null, json!("7.0"), json!(7), json!(7.0), json!("7e0")] {
            let text = get(Prompt::ExplainSpend, json!({ "days": days })).unwrap();
            assert!(text.contains("with days 7,"), "{days}: {text}");
        }
        let text = get(Prompt::ChooseModel, json!({ "task": "translate", "like": "" })).unwrap();
        assert!(!text.contains("Compare them"), "{text}");
        assert!(get(Prompt::ExplainSpend, json!({ "days": "30" })).unwrap().contains("with days 30,"));
    }

    #[test]
    fn wrong_arguments_are_refused() {
        for (prompt, arguments) in [
            (Prompt::ChooseModel, json!({})),
            (Prompt::ChooseModel, json!({ "task": 1 })),
            (Prompt::ChooseModel, json!(["translate"])),
            (Prompt::ChooseModel, json!({ "task": "x".repeat(4_001) })),
            (Prompt::ChooseModel, json!({ "task": "" })),
            (Prompt::ExplainSpend, json!({ "days": "0" })),
            (Prompt::ExplainSpend, json!({ "days": 91.0 })),
            (Prompt::ExplainSpend, json!({ "days": "7.5" })),
            (Prompt::ExplainSpend, json!({ "days": [7] })),
            (Prompt::ExplainSpend, json!({ "days": "7 and all keys" })),
        ] {
            assert_eq!(get(prompt, arguments.clone()).unwrap_err().code, -32602, "{arguments}");
        }
    }
}
