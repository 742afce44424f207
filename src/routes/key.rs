//! `GET /v1/key`: a key as it sees itself. Every key may.

use billing::ledger::{Answer, Command, KeyView, Period, Permission};
use billing::money::NanoUsd;
use serde::Serialize;
use serde_json::value::RawValue;
use worker::{Headers, Response};

use super::{Data, number};
use crate::auth;
use crate::console::rfc3339;
use crate::context::Context;
use crate::error::ApiError;

/// The key, with what it and its descendants have spent.
#[derive(Serialize)]
struct OwnKeyView {
    label: String,
    /// USD since ever, and in the present day, week and month.
    usage: Option<Box<RawValue>>,
    usage_daily: Option<Box<RawValue>>,
    usage_weekly: Option<Box<RawValue>>,
    usage_monthly: Option<Box<RawValue>>,
    byok_usage: u8,
    /// Its own budget in USD; null: as much as the account and the keys that it descends from.
    limit: Option<Box<RawValue>>,
    limit_remaining: Option<Box<RawValue>>,
    /// `daily`, `weekly`, `monthly`; null: never.
    limit_reset: Option<Period>,
    expires_at: Option<String>,
    is_free_tier: bool,
    is_provisioning_key: bool,
    rate_limit: RateLimitView,
    key_id: String,
    permissions: Vec<Permission>,
    running: u64,
    usage_usd: String,
    limit_usd: Option<String>,
    limit_remaining_usd: Option<String>,
}

#[derive(Serialize)]
struct RateLimitView {
    /// In the interval; -1: as many as the account.
    requests: i64,
    interval: &'static str,
}

/// Shows the key that asks.
///
/// # Errors
/// `invalid_api_key`.
pub async fn get(headers: &Headers, context: &Context) -> Result<Response, ApiError> {
    let key = auth::api_key(headers, context)?;
    let own = Command::OwnKey { digest: key.digest.clone(), address: context.address };
    let view = match auth::ask(&key, own, context).await? {
        Answer::OwnKey(view) => *view,
        other => return Err(auth::unexpected(&other)),
    };
    Ok(Response::from_json(&Data { data: shown(view, context.started_ms) })?)
}

fn shown(view: KeyView, now_ms: i64) -> OwnKeyView {
    let KeyView { key, spend, running, .. } = view;
    let spent = |period| spend.within(period, now_ms);
    let remaining = key.limits.budget.map(|budget| {
        let rest = budget.amount.minus(spent(budget.period)).unwrap_or_default();
        rest.max(NanoUsd::ZERO)
    });
    let limit = key.limits.budget.map(|budget| budget.amount);
    OwnKeyView {
        usage: number(spent(Period::Total)),
        usage_daily: number(spent(Period::Daily)),
        usage_weekly: number(spent(Period::Weekly)),
        usage_monthly: number(spent(Period::Monthly)),
        byok_usage: 0,
        limit: limit.and_then(number),
        limit_remaining: remaining.and_then(number),
        limit_reset: key.limits.budget.map(|budget| budget.period).filter(|period| *period != Period::Total),
        expires_at: key.limits.expires_at_ms.map(rfc3339),
        is_free_tier: false,
        is_provisioning_key: key.permissions.contains(&Permission::KeysWrite),
        rate_limit: RateLimitView { requests: key.limits.requests_per_minute.map_or(-1, i64::from), interval: "60s" },
        running,
        usage_usd: spent(Period::Total).to_string(),
        limit_usd: limit.map(|limit| limit.to_string()),
        limit_remaining_usd: remaining.map(|rest| rest.to_string()),
        label: key.name,
        key_id: key.key_id,
        permissions: key.permissions,
    }
}

#[cfg(test)]
mod tests {
    use billing::ledger::{Budget, Key, KeyLimits, Spend};

    use super::*;

    const NOW_MS: i64 = 1_800_000_000_000;

    fn view(budget: Option<Budget>, spent: &str) -> OwnKeyView {
        let mut spend = Spend::default();
        spend.add(NanoUsd::from_usd(spent).unwrap(), NOW_MS);
        let key = Key {
            key_id: "key_1".into(),
            digest: "ab".into(),
            start: "oi_1ab".into(),
            name: "mine".into(),
            permissions: vec![Permission::Inference],
            limits: KeyLimits { budget, ..KeyLimits::default() },
            parent: None,
            created_at_ms: 0,
            revoked_at_ms: None,
            replaced_by: None,
        };
        shown(KeyView { key, spend, running: 2, last_used_ms: None }, NOW_MS)
    }

    #[test]
    fn amounts_are_exact_numbers() {
        let budget = Budget { amount: NanoUsd::from_usd("5").unwrap(), period: Period::Monthly };
        let text = serde_json::to_string(&view(Some(budget), "0.000000001")).unwrap();
        for part in [
            r#""usage":0.000000001,"#,
            r#""limit":5,"limit_remaining":4.999999999,"limit_reset":"monthly","#,
            r#""usage_usd":"0.000000001","limit_usd":"5","limit_remaining_usd":"4.999999999""#,
        ] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn nothing_is_left_of_a_budget_that_was_lowered() {
        let budget = Budget { amount: NanoUsd::from_usd("1").unwrap(), period: Period::Total };
        let view = view(Some(budget), "1.5");
        assert_eq!((view.limit_remaining_usd.as_deref(), view.limit_reset), (Some("0"), None));
    }
}
