//! The account's API described by OpenAPI, from the types that answer it.
//!
//! Nobody serves it: `console/openapi.json` is made from it by a test, and the web app's types from that.

use utoipa::openapi::OpenApi as Description;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{account, balance, config, daily, export, journal, keys, live, models, usage};
use crate::payments::{auto, checkout, topups};

/// The account's API.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "One Interface: the account's API",
        description = "Amounts are decimal USD in strings, exact to the nano-dollar; times are RFC 3339 in UTC, with milliseconds."
    ),
    servers((url = "/")),
    security(("session" = []), ("api_key" = [])),
    modifiers(&Callers, &Sentences),
    paths(
        config::get,
        account::create,
        account::get,
        account::end_sessions,
        balance::get,
        live::get,
        journal::list,
        usage::list,
        daily::list,
        export::csv,
        models::list,
        keys::list,
        keys::create,
        keys::update,
        keys::revoke,
        keys::rotate,
        topups::list,
        checkout::create,
        auto::get,
        auto::put,
        auto::cancel,
        auto::remove_method,
    ),
    components(schemas(balance::BalanceView, daily::Group, usage::UsageView))
)]
pub struct Api;

/// Who may call: the session of the account's owner, or a key that has the permission.
struct Callers;

impl Modify for Callers {
    fn modify(&self, description: &mut Description) {
        let bearer = || SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        let components = description.components.get_or_insert_default();
        components.add_security_scheme("session", bearer());
        components.add_security_scheme("api_key", bearer());
    }
}

/// What handlers say to those who read their code is not for those who read of the API.
struct Sentences;

impl Modify for Sentences {
    fn modify(&self, description: &mut Description) {
        for path in description.paths.paths.values_mut() {
            let operations = [&mut path.get, &mut path.post, &mut path.put, &mut path.patch, &mut path.delete];
            for operation in operations.into_iter().flatten() {
                let text = operation.description.take().unwrap_or_default();
                let text = text.split("# Errors").next().unwrap_or_default().trim();
                operation.description = Some(text.to_owned()).filter(|text| !text.is_empty());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `UPDATE_OPENAPI=1 cargo test -p oneinterface openapi` writes the file anew.
    #[test]
    fn the_description_on_disk_is_that_of_the_types() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/console/openapi.json");
        let described = serde_json::to_string_pretty(&Api::openapi()).unwrap() + "\n";
        if std::env::var_os("UPDATE_OPENAPI").is_some() {
            std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/console")).unwrap();
            std::fs::write(path, &described).unwrap();
        }
        let on_disk = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            on_disk == described,
            "console/openapi.json is old: UPDATE_OPENAPI=1 cargo test -p oneinterface openapi"
        );
    }
}
