//! What the tools and the resources do, by what the rest of the Worker does already.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use ::mcp::arguments;
use ::mcp::resource::Resource;
use ::mcp::tool::Tool;
use billing::ledger::{Answer, Command, Permission};
use serde_json::{Map, Value, json};

use super::{Turn, chat, of_transport, respond};
use crate::body::Body;
use crate::console::caller::Caller;
use crate::console::daily::{self, Group};
use crate::console::{keys, rfc3339, usage};
use crate::context::Context;
use crate::d1::daily::Sum;
use crate::d1::requests::{Filter, Row, day_of};
use crate::error::{ApiError, Code};
use crate::inference::pipeline::Served;
use crate::routes::models;
use crate::{auth, d1};

/// Why a tool did not do it.
pub enum Failed {
    /// The caller can mend it: a sentence that says how.
    Told(String),
    /// An error of the API.
    Api(ApiError),
}

impl From<String> for Failed {
    fn from(sentence: String) -> Self {
        Self::Told(sentence)
    }
}

impl From<ApiError> for Failed {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

impl From<worker::Error> for Failed {
    fn from(error: worker::Error) -> Self {
        Self::Api(error.into())
    }
}

impl Failed {
    /// An error of the API, with what is permitted where it says that something is not.
    fn not_permitted(error: ApiError, instead: &str) -> Self {
        let message = if error.status == 403 { format!("{} {instead}", error.message) } else { error.message };
        Self::Api(ApiError { message, ..error })
    }

    /// The sentence for the model; `Err`: it is a matter of HTTP.
    pub fn told(self) -> Result<String, ApiError> {
        match self {
            Self::Told(sentence) => Ok(sentence),
            Self::Api(error) if of_transport(&error) => Err(error),
            Self::Api(error) => {
                let next = match error.code {
                    Code::ModelNotAvailable => " list_models shows those that are.",
                    Code::InvalidRequest if error.status == 404 => " list_api_keys shows those that there are.",
                    _ => "",
                };
                let again = error.retry_after_s.map(|seconds| format!(" Try again in {seconds} s."));
                Ok(format!("{}{next}{} ({})", error.message, again.unwrap_or_default(), error.code.text()))
            }
        }
    }
}

/// Calls a tool.
///
/// # Errors
/// `invalid_api_key` with 401, where the key ended meanwhile; everything else is a result.
pub async fn call(tool: Tool, arguments: Body, turn: Turn, context: &Context) -> Result<Served, ApiError> {
    if let Err(problem) = turn.may(tool.permission()) {
        return respond(&turn.exchange.tool_error(&problem));
    }
    let caller = &turn.caller;
    let result = match tool {
        Tool::ChatCompletion => return chat::call(arguments, turn, context).await,
        Tool::GetBalance => match arguments::parse(&arguments) {
            Ok(arguments::Nothing {}) => balance(caller).await,
            Err(problem) => Err(problem.into()),
        },
        Tool::ListModels => list_models(&arguments, caller, context).await,
        Tool::ListApiKeys => list_keys(&arguments, caller, context).await,
        Tool::CreateApiKey => create_key(&arguments, caller, context).await,
        Tool::RevokeApiKey => revoke_key(&arguments, caller).await,
        Tool::GetUsage => match arguments::parse(&arguments) {
            Ok(arguments) => used(&arguments, caller, context).await,
            Err(problem) => Err(problem.into()),
        },
    };
    respond(&match result {
        Ok(value) => turn.exchange.tool_result(value),
        Err(failed) => turn.exchange.tool_error(&failed.told()?),
    })
}

/// What a resource holds; `None`: it is not there.
///
/// # Errors
/// [`ApiError`].
pub async fn read(wanted: &Resource, caller: &Caller, context: &Context) -> Result<Option<Value>, ApiError> {
    match wanted {
        Resource::Models => {
            let all = shown(caller, context).await?;
            Ok(Some(json!({ "models": all.into_iter().map(|(_, value)| value).collect::<Vec<_>>() })))
        }
        Resource::Model(id) => {
            Ok(shown(caller, context).await?.into_iter().find(|(one, _)| one == id).map(|(_, value)| value))
        }
        Resource::Usage(days) => match used(&arguments::Usage::of_days(*days), caller, context).await {
            Ok(value) => Ok(Some(value)),
            Err(Failed::Api(error)) => Err(error),
            Err(Failed::Told(_)) => Ok(None),
        },
    }
}

/// The ids of models that begin with `beginning`, for callers who may list them.
///
/// # Errors
/// [`ApiError`].
pub async fn model_ids(beginning: &str, turn: &Turn, context: &Context) -> Result<Vec<String>, ApiError> {
    if turn.may(Permission::Inference).is_err() {
        return Ok(Vec::new());
    }
    let all = shown(&turn.caller, context).await?;
    Ok(all.into_iter().map(|(id, _)| id).filter(|id| id.starts_with(beginning)).collect())
}

/// The account's money.
pub async fn balance(caller: &Caller) -> Result<Value, Failed> {
    match caller.run(Command::Balance).await? {
        Answer::Balance { balance, held } => {
            let available = balance.minus(held).map_err(|_| ApiError::internal())?;
            Ok(json!({
                "balance_usd": balance.to_string(),
                "held_usd": held.to_string(),
                "available_usd": available.to_string(),
            }))
        }
        other => Err(auth::unexpected(&other).into()),
    }
}

async fn list_models(arguments: &str, caller: &Caller, context: &Context) -> Result<Value, Failed> {
    let arguments: arguments::Models = arguments::parse(arguments)?;
    let limit = arguments.limit();
    let query = arguments.query.map_or_else(String::new, |query| query.to_lowercase());
    let names = |value: &Value| {
        ["id", "display_name", "owned_by"].iter().any(|field| {
            value.get(field).and_then(Value::as_str).is_some_and(|name| name.to_lowercase().contains(&query))
        })
    };
    let fitting = shown(caller, context).await?.into_iter().filter(|(_, value)| names(value));
    Ok(page("models", fitting, arguments.cursor.as_deref(), limit))
}

async fn list_keys(arguments: &str, caller: &Caller, context: &Context) -> Result<Value, Failed> {
    let arguments: arguments::Keys = arguments::parse(arguments)?;
    let limit = arguments.limit();
    let keys = keys::all(caller, context).await?;
    let fitting = keys.into_iter().filter(|key| arguments.include_revoked || key.revoked_at.is_none());
    let fitting = fitting.map(|key| (key.id.clone(), serde_json::to_value(key).unwrap_or_default()));
    Ok(page("keys", fitting, arguments.cursor.as_deref(), limit))
}

async fn create_key(arguments: &str, caller: &Caller, context: &Context) -> Result<Value, Failed> {
    let made = keys::make(caller, arguments::parse(arguments)?, context).await;
    let made = made.map_err(|error| Failed::not_permitted(error, "Name fewer permissions, or tighter limits."))?;
    Ok(serde_json::to_value(made).unwrap_or_default())
}

async fn revoke_key(arguments: &str, caller: &Caller) -> Result<Value, Failed> {
    let arguments::Revoke { id } = arguments::parse(arguments)?;
    if !id.starts_with("key_") {
        return Err("id must be a key's id (key_…), as list_api_keys shows it, not the key itself.".to_owned().into());
    }
    let ended = keys::end(caller, &id).await;
    let ended = ended.map_err(|error| Failed::not_permitted(error, "A key may end those that it made."))?;
    Ok(serde_json::to_value(ended).unwrap_or_default())
}

async fn used(arguments: &arguments::Usage, caller: &Caller, context: &Context) -> Result<Value, Failed> {
    let today = day_of(context.started_ms);
    let first = today.saturating_sub(i64::from(arguments.days())).saturating_add(1);
    let text = |text: &Option<arguments::Text>| text.as_deref().map(str::to_owned);
    let (model, key_id) = (text(&arguments.model), text(&arguments.key_id));
    let filter = Filter { model, key_id, ..Filter::of_days(first, today) };
    let (before, limit) = (arguments.before()?.map(u64::from), arguments.limit());
    let mut members = Map::new();
    let mut as_of_ms = context.started_ms;
    if before.is_none() {
        let summed = daily::sum(caller, &filter, Group::Model, context).await?;
        members.insert("by_model".into(), by_model(summed.sums).iter().map(sum).collect());
        as_of_ms = summed.as_of_ms;
    }
    let found = usage::find(caller, &filter, before, u64::try_from(limit).unwrap_or(u64::MAX), context).await?;
    members.insert("as_of".into(), rfc3339(as_of_ms).into());
    members.insert("requests".into(), found.rows.iter().map(request).collect());
    found.next_cursor.into_iter().for_each(|next| drop(members.insert("next_cursor".into(), next.into())));
    Ok(Value::Object(members))
}

/// Sums by day and model as sums by model, the dearest first.
fn by_model(days: Vec<Sum>) -> Vec<Sum> {
    let mut models: BTreeMap<String, Sum> = BTreeMap::new();
    for day in days {
        match models.entry(day.name.clone()) {
            Entry::Vacant(entry) => drop(entry.insert(day)),
            Entry::Occupied(mut entry) => entry.get_mut().add(&day),
        }
    }
    let mut sums: Vec<Sum> = models.into_values().collect();
    sums.sort_by_key(|sum| Reverse(sum.cost));
    sums
}

fn request(row: &Row) -> Value {
    let mut members = Map::new();
    let mut set = |name: &str, value: Value| drop(members.insert(name.into(), value));
    set("request_id", row.id.as_str().into());
    set("kind", json!(row.kind));
    set("at", rfc3339(row.created_at_ms).into());
    set("model", row.model.as_str().into());
    set("endpoint", row.endpoint.as_str().into());
    row.key_id.iter().for_each(|key_id| set("key_id", key_id.as_str().into()));
    set("status", json!(row.status));
    set("input_tokens", row.all_input().into());
    set("output_tokens", row.output.into());
    set("cost_usd", row.amount.negated().to_string().into());
    Value::Object(members)
}

fn sum(sum: &Sum) -> Value {
    json!({
        "model": sum.name,
        "requests": sum.requests,
        "input_tokens": sum.input,
        "output_tokens": sum.output,
        "cost_usd": sum.cost().to_string(),
    })
}

/// What `GET /v1/models` shows the caller of each model, without what only its SDKs want; by id.
async fn shown(caller: &Caller, context: &Context) -> Result<Vec<(String, Value)>, ApiError> {
    const FIELDS: [&str; 7] =
        ["id", "display_name", "owned_by", "context_window", "max_output_tokens", "capabilities", "pricing"];
    let catalog = d1::catalogue::load(&context.env, context.started_ms).await?;
    let allowed = models::listed(&catalog, context).filter(|model| caller.may_ask(&model.id));
    let views = allowed.map(|model| models::view(model, context));
    let views = views.map(|view| {
        let Ok(Value::Object(members)) = serde_json::to_value(&view) else { return (view.id.to_owned(), Value::Null) };
        let told = members.into_iter().filter(|(name, _)| FIELDS.contains(&name.as_str()));
        (view.id.to_owned(), Value::Object(told.collect()))
    });
    Ok(views.collect())
}

/// The items behind `cursor`, in order of their ids, as far as a page goes.
fn page(name: &str, all: impl Iterator<Item = (String, Value)>, cursor: Option<&str>, limit: usize) -> Value {
    let mut rest = all.skip_while(|(id, _)| cursor.is_some_and(|cursor| id.as_str() <= cursor));
    let items: Vec<(String, Value)> = rest.by_ref().take(limit).collect();
    let next = items.last().map(|(id, _)| id.clone()).filter(|_| rest.next().is_some());
    let mut members = Map::new();
    members.insert(name.into(), items.into_iter().map(|(_, value)| value).collect());
    next.into_iter().for_each(|next| drop(members.insert("next_cursor".into(), next.into())));
    Value::Object(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_days_become_those_of_models_the_dearest_first() {
        let sum = |day, name: &str, cost| Sum {
            day,
            name: name.into(),
            requests: 1,
            input: 2,
            output: 3,
            reasoning: 1,
            cost,
        };
        let summed = by_model(vec![sum(3, "a", 5), sum(3, "b", 4), sum(2, "b", 4), sum(1, "c", 5)]);
        let twice = Sum { requests: 2, input: 4, output: 6, reasoning: 2, ..sum(3, "b", 8) };
        assert_eq!(summed, [twice, sum(3, "a", 5), sum(1, "c", 5)]);
    }

    #[test]
    fn pages_follow_each_other_without_gaps() {
        let all = || ["a", "b", "c", "d"].into_iter().map(|id| (id.to_owned(), json!(id)));
        for (cursor, limit, expected) in [
            (None, 2, json!({ "items": ["a", "b"], "next_cursor": "b" })),
            (Some("b"), 2, json!({ "items": ["c", "d"] })),
            (Some("bb"), 1, json!({ "items": ["c"], "next_cursor": "c" })),
            (Some("d"), 2, json!({ "items": [] })),
            (None, 4, json!({ "items": ["a", "b", "c", "d"] })),
        ] {
            assert_eq!(page("items", all(), cursor, limit), expected, "{cursor:?} {limit}");
        }
    }
}
