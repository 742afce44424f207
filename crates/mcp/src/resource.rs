//! What can be read beside the tools: the catalogue of models, and the usage of the last days.

use billing::ledger::Permission;
use serde_json::{Value, json};

use crate::arguments::{self, DAYS};

const MODELS: &str = "oneinterface://models";
const USAGE: &str = "oneinterface://usage";
/// The template of one model's resource.
pub(crate) const MODEL_TEMPLATE: &str = "oneinterface://models/{id}";
const USAGE_TEMPLATE: &str = "oneinterface://usage/{days}";

/// A resource that exists for everybody, or may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// Every model.
    Models,
    /// One model, by its id.
    Model(String),
    /// The usage of so many days.
    Usage(u32),
}

/// A resource or a template, as a list names it.
pub struct Described {
    /// A URI, or its template.
    pub uri: &'static str,
    name: &'static str,
    title: &'static str,
    description: &'static str,
    permission: Permission,
}

const RESOURCES: [Described; 2] = [
    Described {
        uri: MODELS,
        name: "models",
        title: "Models",
        description: "Every model that can be asked for, with its window, capabilities and prices.",
        permission: Permission::Inference,
    },
    Described {
        uri: USAGE,
        name: "usage",
        title: "Usage of the last 7 days",
        description: "What the account's requests used and cost, by model, and the newest of them.",
        permission: Permission::AccountRead,
    },
];

pub(crate) const TEMPLATES: [Described; 2] = [
    Described {
        uri: MODEL_TEMPLATE,
        name: "model",
        title: "A model",
        description: "One model, with its window, capabilities and prices.",
        permission: Permission::Inference,
    },
    Described {
        uri: USAGE_TEMPLATE,
        name: "usage_of_days",
        title: "Usage of the last days",
        description: "What the account's requests used and cost in 1 to 90 days.",
        permission: Permission::AccountRead,
    },
];

impl Resource {
    /// The resource of this URI, if there can be one.
    #[must_use]
    pub fn parse(uri: &str) -> Option<Self> {
        match uri {
            MODELS => return Some(Self::Models),
            USAGE => return Some(Self::Usage(DAYS)),
            _ => {}
        }
        // A template whose variable is an empty string: the variable is absent, as everywhere.
        if let Some(whole) = uri.strip_suffix('/').filter(|whole| matches!(*whole, MODELS | USAGE)) {
            return Self::parse(whole);
        }
        if let Some(id) = uri.strip_prefix(MODELS).and_then(|rest| rest.strip_prefix('/')) {
            // Ids may hold slashes, which a client may or may not encode.
            let id = percent_encoding::percent_decode_str(id).decode_utf8().ok()?;
            return Some(Self::Model(id.into_owned()));
        }
        arguments::days(uri.strip_prefix(USAGE)?.strip_prefix('/')?).map(Self::Usage)
    }

    /// What its reader must be allowed to do.
    #[must_use]
    pub fn permission(&self) -> Permission {
        match self {
            Self::Models | Self::Model(_) => Permission::Inference,
            Self::Usage(_) => Permission::AccountRead,
        }
    }

    /// Its URI.
    #[must_use]
    pub fn uri(&self) -> String {
        match self {
            Self::Models => MODELS.into(),
            Self::Model(id) => format!("{MODELS}/{id}"),
            Self::Usage(DAYS) => USAGE.into(),
            Self::Usage(days) => format!("{USAGE}/{days}"),
        }
    }
}

/// The result of `resources/list`, for a caller with these permissions.
#[must_use]
pub fn list(permissions: &[Permission]) -> Value {
    json!({ "resources": described(&RESOURCES, "uri", permissions) })
}

/// The result of `resources/templates/list`.
#[must_use]
pub fn templates(permissions: &[Permission]) -> Value {
    json!({ "resourceTemplates": described(&TEMPLATES, "uriTemplate", permissions) })
}

/// The result of `resources/read`.
#[must_use]
pub fn contents(resource: &Resource, value: &Value) -> Value {
    let contents = json!({ "uri": resource.uri(), "mimeType": "application/json", "text": value.to_string() });
    json!({ "contents": [contents] })
}

/// The most completions that one answer holds: the protocol's own limit.
const MAX_COMPLETIONS: usize = 100;

/// The result of `completion/complete`: all that fits.
#[must_use]
pub fn completion(fitting: &[&str]) -> Value {
    let values = fitting.get(..MAX_COMPLETIONS).unwrap_or(fitting);
    json!({ "completion": { "values": values, "total": fitting.len(), "hasMore": values.len() < fitting.len() } })
}

fn described(all: &[Described], uri: &str, permissions: &[Permission]) -> Vec<Value> {
    let may = all.iter().filter(|one| permissions.contains(&one.permission));
    may.map(|one| {
        json!({
            uri: one.uri, "name": one.name, "title": one.title, "description": one.description,
            "mimeType": "application/json",
        })
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_lead_to_resources() {
        for (uri, resource) in [
            ("oneinterface://models", Some(Resource::Models)),
            ("oneinterface://models/gpt-4o", Some(Resource::Model("gpt-4o".into()))),
            ("oneinterface://models/meta%2Fllama", Some(Resource::Model("meta/llama".into()))),
            ("oneinterface://models/meta/llama", Some(Resource::Model("meta/llama".into()))),
            ("oneinterface://models/", Some(Resource::Models)),
            ("oneinterface://models//", Some(Resource::Model("/".into()))),
            ("oneinterface://usage/", Some(Resource::Usage(7))),
            ("oneinterface://usage/7.0", Some(Resource::Usage(7))),
            ("oneinterface://usage/7,", None),
            ("oneinterface://usage/\"7\"", None),
            ("oneinterface://models/%ff", None),
            ("oneinterface://usage", Some(Resource::Usage(7))),
            ("oneinterface://usage/30", Some(Resource::Usage(30))),
            ("oneinterface://usage/0", None),
            ("oneinterface://usage/91", None),
            ("oneinterface://usage/x", None),
            ("file:///etc/passwd", None),
            ("", None),
        ] {
            assert_eq!(Resource::parse(uri), resource, "{uri}");
        }
    }

    #[test]
    fn lists_hold_what_the_caller_may_read() {
        let uris = |permissions: &[Permission]| {
            let list = list(permissions);
            list["resources"].as_array().unwrap().iter().map(|one| one["uri"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(uris(&[Permission::Inference]), [MODELS]);
        assert_eq!(uris(&[Permission::AccountRead]), [USAGE]);
        assert!(uris(&[Permission::KeysWrite]).is_empty());
        assert_eq!(templates(&Permission::ALL)["resourceTemplates"].as_array().unwrap().len(), 2);
    }
}
