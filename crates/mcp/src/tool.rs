//! The seven tools: who may call them, and what clients are told of them (`tools.json`).

use billing::ledger::Permission;
use serde_json::{Value, json};

/// A tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// Asks a model.
    ChatCompletion,
    /// Reads the balance.
    GetBalance,
    /// Lists what can be asked for.
    ListModels,
    /// Lists the account's keys.
    ListApiKeys,
    /// Makes a key.
    CreateApiKey,
    /// Ends a key.
    RevokeApiKey,
    /// Reads what was used.
    GetUsage,
}

impl Tool {
    /// All of them, in the order of `tools.json`.
    pub const ALL: [Self; 7] = [
        Self::ChatCompletion,
        Self::GetBalance,
        Self::ListModels,
        Self::ListApiKeys,
        Self::CreateApiKey,
        Self::RevokeApiKey,
        Self::GetUsage,
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ChatCompletion => "chat_completion",
            Self::GetBalance => "get_balance",
            Self::ListModels => "list_models",
            Self::ListApiKeys => "list_api_keys",
            Self::CreateApiKey => "create_api_key",
            Self::RevokeApiKey => "revoke_api_key",
            Self::GetUsage => "get_usage",
        }
    }

    /// The tool of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.name() == name)
    }

    /// What its caller must be allowed to do.
    #[must_use]
    pub fn permission(self) -> Permission {
        match self {
            Self::ChatCompletion | Self::ListModels => Permission::Inference,
            Self::GetBalance | Self::ListApiKeys | Self::GetUsage => Permission::AccountRead,
            Self::CreateApiKey | Self::RevokeApiKey => Permission::KeysWrite,
        }
    }
}

/// The result of `tools/list` for a caller who may call what `may` says.
#[must_use]
pub fn list(may: impl Fn(Tool) -> bool) -> Value {
    let tools: Vec<Value> = serde_json::from_str(include_str!("tools.json")).unwrap_or_default();
    let tools = tools.into_iter().zip(Tool::ALL).filter(|(_, tool)| may(*tool)).map(|(described, _)| described);
    json!({ "tools": tools.collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_a_tool_stands_in_its_place() {
        let told = list(|_| true);
        let told = told["tools"].as_array().unwrap();
        let names: Vec<&str> = told.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
        assert_eq!(names, Tool::ALL.map(Tool::name));
        for tool in told {
            for schema in ["inputSchema", "outputSchema"] {
                assert_eq!(tool[schema]["type"], "object", "{tool}");
                let properties = tool[schema]["properties"].as_object().unwrap();
                let required = tool[schema]["required"].as_array().cloned().unwrap_or_default();
                assert!(required.iter().all(|name| properties.contains_key(name.as_str().unwrap())), "{tool}");
            }
            let reads = tool["annotations"]["readOnlyHint"].as_bool().unwrap();
            let name = tool["name"].as_str().unwrap();
            assert_eq!(reads, name.starts_with("get_") || name.starts_with("list_"), "{name}");
        }
    }

    #[test]
    fn a_caller_is_told_of_what_it_may_call() {
        let names = |permission| {
            let told = list(|tool| tool.permission() == permission);
            let names = told["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap().to_owned());
            names.collect::<Vec<_>>()
        };
        assert_eq!(names(Permission::Inference), ["chat_completion", "list_models"]);
        assert_eq!(names(Permission::AccountRead), ["get_balance", "list_api_keys", "get_usage"]);
        assert_eq!(names(Permission::KeysWrite), ["create_api_key", "revoke_api_key"]);
    }
}
