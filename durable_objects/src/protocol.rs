//! The wire between the Worker and the account object, and what the object stores as JSON.
//!
//! A Worker of one version may call an object of the version before it during a deploy, so a shape that
//! is here never changes its meaning: a new one gets a new [`VERSION`]. The shapes are pinned by
//! snapshots.

use billing::ledger::{Answer, Command, Refusal};
use serde::{Deserialize, Serialize};

use crate::audit::Report;
use crate::tail::{Reading, Tail};

/// The version that this build speaks.
pub const VERSION: u32 = 1;

/// A command on its way to the object.
#[derive(Debug, Serialize, Deserialize)]
pub struct Call {
    /// [`VERSION`] of the caller.
    pub v: u32,
    /// When the session was issued in whose name this is asked, in seconds since the epoch; `None`: no session
    /// asks. An ended one is refused with [`Refusal::SignedOut`], whatever it asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_issued_at_s: Option<i64>,
    /// What is asked.
    #[serde(flatten)]
    pub ask: Ask,
}

/// What may be asked of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// Something of the ledger.
    Command(Box<Command>),
    /// Whether the journal is sound, and D1 has the same.
    Audit {
        /// Whether D1 is to be filled again where rows are missing.
        repair: bool,
    },
    /// What stands in the journal that D1 may not have yet, and the money. Writes nothing.
    Journal(Reading),
}

/// What the object answers.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// [`VERSION`] of the object.
    pub v: u32,
    /// The result.
    #[serde(flatten)]
    pub result: Outcome,
}

/// Either of the two.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was done.
    Answer(Answer),
    /// Nothing was changed.
    Refused(Refusal),
    /// The audit is done.
    Report(Box<Report>),
    /// The account lives in an object of another generation now: ask that one, and from now on.
    Moved {
        /// Which one.
        generation: u32,
    },
    /// What was read of the journal.
    Tail(Box<Tail>),
}

#[cfg(test)]
mod tests {
    use billing::hold::{HoldRequest, OutputBound};
    use billing::ledger::{
        AccountView, Admit, Attempt, AutoSettings, AutoTopUp, BillingStatus, Budget, CreateKey, Enter, Entry,
        EntryKind, Key, KeyLimits, KeyView, Limit, LimitsChange, Models, Networks, Period, Permission, RotateKey,
        SavedMethod, Settle, SettledBy, Shortage, Spend, Stage, StopReason, Stopped, Terms, UpdateKey, UsageRecord,
    };
    use billing::money::{NanoUsd, PicoUsd};
    use billing::price::{LongInput, Price, Rates};
    use billing::usage::Usage;

    use super::*;
    use crate::tail::Rows;

    fn key_view() -> KeyView {
        KeyView { key: key(), spend: Spend::default(), running: 1, last_used_ms: None }
    }

    fn limits() -> KeyLimits {
        let budget = Budget { amount: NanoUsd::new(5).unwrap(), period: Period::Monthly };
        KeyLimits {
            requests_per_minute: Some(60),
            max_running: Some(2),
            budget: Some(budget),
            expires_at_ms: Some(9),
            models: None,
            addresses: None,
        }
    }

    fn key() -> Key {
        Key {
            key_id: "key_1".into(),
            digest: "ab".into(),
            start: String::new(),
            name: "n".into(),
            permissions: vec![Permission::Inference],
            limits: limits(),
            parent: Some("key_0".into()),
            created_at_ms: 1,
            revoked_at_ms: Some(2),
            replaced_by: None,
        }
    }

    fn entry() -> Entry {
        let nano = |n| NanoUsd::new(n).unwrap();
        Entry {
            seq: 1,
            id: "req_1".into(),
            kind: EntryKind::Usage,
            at_ms: 2,
            amount: nano(-3),
            balance_after: nano(4),
            usage: Some(UsageRecord {
                key_id: Some("key_1".into()),
                endpoint: "/v1/chat/completions".into(),
                model: "m".into(),
                upstream: Some("u".into()),
                usage: Usage::default(),
                outcome: billing::ledger::Outcome::Completed,
                billing_status: BillingStatus::Settled,
                settled_by: Some(SettledBy::Upstream),
                uncollected: nano(0),
                price_version: 9,
                unpriced: false,
                lost: None,
                dropped: String::new(),
                created_at_ms: 1,
                admitted_at_ms: 1,
            }),
        }
    }

    fn commands() -> Vec<Command> {
        let pico = |n| PicoUsd::new(n).unwrap();
        let nano = |n| NanoUsd::new(n).unwrap();
        let rates = Rates { input: pico(1), output: Some(pico(2)), cache_read: Some(pico(3)), ..Rates::default() };
        let usage = Usage {
            input: 1,
            cache_read: 2,
            cache_write_5m: 3,
            cache_write_1h: 4,
            output: 5,
            reasoning: 6,
            web_searches: 7,
        };
        let request_id = || "req_1".to_owned();
        let admit = Admit {
            request_id: request_id(),
            created_at_ms: 1,
            digest: Some("ab".into()),
            hold: HoldRequest {
                fixed: nano(1),
                per_output: pico(2),
                output: Some(OutputBound { wanted: 3, least: 2, choices: 1 }),
            },
            terms: Terms {
                endpoint: "/v1/chat/completions".into(),
                model: "m".into(),
                price: Price { effective_at_ms: 9, rates, long_input: Some(LongInput { above_input: 200_000, rates }) },
                unpriced: true,
            },
            address: None,
        };
        vec![
            Command::Provision { account_id: "acct_1".into() },
            Command::Enter(Enter { id: "e".into(), kind: EntryKind::Credit, amount: nano(5) }),
            Command::CreateKey(CreateKey {
                key_id: "key_1".into(),
                digest: "ab".into(),
                start: String::new(),
                name: "n".into(),
                permissions: Permission::ALL.to_vec(),
                limits: limits(),
                by: Some("cd".into()),
            }),
            Command::UpdateKey(UpdateKey {
                key_id: "key_1".into(),
                name: Some("n".into()),
                limits: Some(limits()),
                change: LimitsChange::default(),
                by: None,
            }),
            Command::UpdateKey(UpdateKey {
                key_id: "key_1".into(),
                name: None,
                limits: None,
                change: LimitsChange { set: limits(), lift: [Limit::Models, Limit::Addresses].into() },
                by: None,
            }),
            Command::RevokeKey { key_id: "key_1".into(), by: None },
            Command::Keys,
            Command::Authorize { digest: "ab".into(), permission: Some(Permission::Inference), address: None },
            Command::Authorize { digest: "ab".into(), permission: None, address: None },
            Command::Balance,
            Command::Admit(Box::new(admit.clone())),
            Command::Checkpoint { request_id: request_id(), usage, upstream: "u".into(), grow_to: Some(9) },
            Command::Settle(Settle {
                request_id: request_id(),
                usage,
                settled_by: SettledBy::Upstream,
                outcome: billing::ledger::Outcome::Completed,
                upstream: "u".into(),
                dropped: String::new(),
            }),
            Command::Release {
                request_id: request_id(),
                outcome: billing::ledger::Outcome::UpstreamFailed,
                upstream: None,
            },
            Command::Sweep,
            Command::RotateKey(RotateKey {
                key_id: "key_1".into(),
                new_key_id: "key_2".into(),
                digest: "ab".into(),
                start: "oi_1".into(),
                grace_ms: 5,
                by: None,
            }),
            Command::Authorize { digest: "ab".into(), permission: None, address: "203.0.113.9".parse().ok() },
            Command::UpdateKey(UpdateKey {
                key_id: "key_1".into(),
                name: None,
                limits: Some(KeyLimits {
                    models: Models::new(&["gpt-*".into()]).ok(),
                    addresses: Networks::new(&["203.0.113.0/24".into(), "2001:db8::1".into()]).ok(),
                    ..KeyLimits::default()
                }),
                change: LimitsChange::default(),
                by: None,
            }),
            Command::AutoTopUp,
            Command::SetAutoTopUp(auto().settings),
            Command::SaveMethod(auto().method.unwrap()),
            Command::RemoveMethod,
            Command::TakeAttempt,
            Command::StopTopUp { attempt_id: "auto_1_1".into(), reason: StopReason::AuthenticationRequired },
            Command::EndSessions,
            Command::Account { digest: None, address: None },
            Command::Account { digest: Some("ab".into()), address: None },
            Command::OwnKey { digest: "ab".into(), address: None },
            Command::OwnKey { digest: "ab".into(), address: "203.0.113.9".parse().ok() },
            Command::Find { request_id: request_id(), created_at_ms: 1, digest: "ab".into(), address: None },
            Command::Admit(Box::new(Admit { digest: None, ..admit })),
            Command::ChargeAttempt,
            Command::AttemptNotFound { attempt_id: "auto_1_1".into() },
            Command::CancelAttempt,
        ]
    }

    fn auto() -> AutoTopUp {
        let nano = |n| NanoUsd::new(n).unwrap();
        AutoTopUp {
            settings: AutoSettings { enabled: true, threshold: nano(1), amount: nano(2), monthly_cap: nano(3) },
            method: Some(SavedMethod {
                customer: "cus_1".into(),
                method: "pm_1".into(),
                brand: "visa".into(),
                last4: "4242".into(),
                created_at_ms: 4,
            }),
            method_at_ms: 4,
            attempt: Some(attempt()),
            stopped: Some(Stopped { reason: StopReason::Declined, at_ms: 5 }),
            month_ms: 6,
            spent: nano(7),
            attempts: 8,
        }
    }

    fn attempt() -> Attempt {
        Attempt {
            id: "auto_1_1".into(),
            amount: NanoUsd::new(2).unwrap(),
            customer: "cus_1".into(),
            method: "pm_1".into(),
            began_at_ms: 9,
            terms: None,
            told_at_ms: None,
            stage: Stage::Charging { handed_at_ms: 10 },
        }
    }

    #[test]
    fn calls_are_pinned() {
        let mut calls: Vec<String> = commands()
            .into_iter()
            .map(|command| Ask::Command(Box::new(command)))
            .chain([
                Ask::Audit { repair: true },
                Ask::Journal(Reading { rows: Rows::Waiting { before: Some(9) }, limit: 5, names: true }),
                Ask::Journal(Reading { rows: Rows::After { seq: 7 }, limit: 5, names: false }),
            ])
            .map(|ask| serde_json::to_string(&Call { v: VERSION, session_issued_at_s: None, ask }).unwrap())
            .collect();
        let of_session =
            Call { v: VERSION, session_issued_at_s: Some(7), ask: Ask::Command(Box::new(Command::Balance)) };
        calls.push(serde_json::to_string(&of_session).unwrap());
        insta::assert_snapshot!(calls.join("\n"));
        for call in calls {
            let read: Call = serde_json::from_str(&call).unwrap();
            assert_eq!(serde_json::to_string(&read).unwrap(), call);
        }
    }

    #[test]
    fn replies_are_pinned() {
        let nano = |n| NanoUsd::new(n).unwrap();
        let key_id = || "key_1".to_owned();
        let mut used = Spend::default();
        used.last_used_ms = 4;
        let results = vec![
            Outcome::Answer(Answer::Provisioned { created: true }),
            Outcome::Answer(Answer::Entered { seq: 1, balance: nano(2) }),
            Outcome::Answer(Answer::KeyCreated { key_id: key_id() }),
            Outcome::Answer(Answer::KeyUpdated { key_id: key_id(), key: None }),
            Outcome::Answer(Answer::KeyUpdated { key_id: key_id(), key: Some(Box::new(key_view())) }),
            Outcome::Answer(Answer::KeyRevoked { key_ids: vec![key_id()] }),
            Outcome::Answer(Answer::Keys(vec![KeyView {
                key: key(),
                spend: Spend::default(),
                running: 1,
                last_used_ms: None,
            }])),
            Outcome::Answer(Answer::Authorized { key: Box::new(key()) }),
            Outcome::Answer(Answer::Balance { balance: nano(1), held: nano(2) }),
            Outcome::Answer(Answer::Admitted {
                key_id: Some(key_id()),
                granted_output: Some(3),
                available: Some(nano(4)),
            }),
            Outcome::Answer(Answer::Checkpointed { granted_output: Some(5) }),
            Outcome::Answer(Answer::Settled {
                cost: nano(1),
                uncollected: nano(0),
                balance: nano(2),
                top_up: None,
                top_up_waits: false,
            }),
            Outcome::Answer(Answer::Swept { expired: 1 }),
            Outcome::Refused(Refusal::NoAccount),
            Outcome::Refused(Refusal::Conflict),
            Outcome::Refused(Refusal::Stale),
            Outcome::Refused(Refusal::UnknownKey),
            Outcome::Refused(Refusal::RevokedKey),
            Outcome::Refused(Refusal::ExpiredKey),
            Outcome::Refused(Refusal::NotPermitted),
            Outcome::Refused(Refusal::Exceeds),
            Outcome::Refused(Refusal::RateLimited { retry_after_ms: 1 }),
            Outcome::Refused(Refusal::TooManyRunning),
            Outcome::Moved { generation: 2 },
            Outcome::Report(Box::default()),
            Outcome::Refused(Refusal::TooManyKeys),
            Outcome::Refused(Refusal::UnknownHold),
            Outcome::Refused(Refusal::InsufficientCredit {
                reason: Shortage::Held,
                available: nano(1),
                held: nano(2),
                needed: nano(3),
                period: None,
            }),
            Outcome::Refused(Refusal::InsufficientCredit {
                reason: Shortage::KeyBudget,
                available: nano(1),
                held: nano(2),
                needed: nano(3),
                period: Some(Period::Total),
            }),
            Outcome::Refused(Refusal::TooLarge),
            Outcome::Refused(Refusal::AddressNotAllowed),
            Outcome::Refused(Refusal::ModelNotAllowed),
            Outcome::Refused(Refusal::ReplacedKey),
            Outcome::Answer(Answer::KeyRotated { key: Box::new(key()), old_ends_at_ms: 3 }),
            Outcome::Answer(Answer::Keys(vec![KeyView {
                key: Key { start: "oi_1".into(), replaced_by: Some("key_2".into()), ..key() },
                spend: used,
                running: 0,
                last_used_ms: Some(4),
            }])),
            Outcome::Tail(Box::new(Tail {
                entries: vec![Entry {
                    seq: 1,
                    id: "e".into(),
                    kind: EntryKind::Grant,
                    at_ms: 2,
                    amount: nano(3),
                    balance_after: nano(3),
                    usage: None,
                }],
                key_names: [("key_1".to_owned(), "n".to_owned())].into(),
                ..Tail::default()
            })),
            Outcome::Answer(Answer::Settled {
                cost: nano(1),
                uncollected: nano(0),
                balance: nano(2),
                top_up: Some(Box::new(attempt())),
                top_up_waits: false,
            }),
            Outcome::Answer(Answer::AutoTopUp {
                auto: Box::new(auto()),
                top_up: Some(Box::new(attempt())),
                top_up_waits: false,
            }),
            Outcome::Answer(Answer::AutoTopUp { auto: Box::default(), top_up: None, top_up_waits: false }),
            Outcome::Answer(Answer::SessionsEnded),
            Outcome::Answer(Answer::Account(Box::new(AccountView {
                account_id: "acct_1".into(),
                created_at_ms: 1,
                balance: nano(2),
                held: nano(3),
                uncollected: nano(4),
                used: nano(5),
            }))),
            Outcome::Answer(Answer::OwnKey(Box::new(KeyView {
                key: key(),
                spend: Spend::default(),
                running: 1,
                last_used_ms: None,
            }))),
            Outcome::Answer(Answer::Found { entry: None }),
            Outcome::Answer(Answer::Found { entry: Some(Box::new(entry())) }),
            Outcome::Refused(Refusal::SignedOut),
            Outcome::Answer(Answer::Admitted { key_id: None, granted_output: None, available: Some(nano(4)) }),
            Outcome::Refused(Refusal::RotatedKey),
            Outcome::Answer(Answer::Settled {
                cost: nano(1),
                uncollected: nano(0),
                balance: nano(2),
                top_up: None,
                top_up_waits: true,
            }),
            Outcome::Answer(Answer::AutoTopUp {
                auto: Box::new(AutoTopUp {
                    attempt: Some(Attempt {
                        terms: Some(auto().settings),
                        told_at_ms: Some(11),
                        stage: Stage::Withdrawn { handed_at_ms: 10 },
                        ..attempt()
                    }),
                    stopped: Some(Stopped { reason: StopReason::Cancelled, at_ms: 5 }),
                    ..auto()
                }),
                top_up: None,
                top_up_waits: true,
            }),
            Outcome::Answer(Answer::Found {
                entry: Some(Box::new(Entry { id: "debt:e".into(), kind: EntryKind::Debt, usage: None, ..entry() })),
            }),
        ];
        let replies: Vec<String> =
            results.into_iter().map(|result| serde_json::to_string(&Reply { v: VERSION, result }).unwrap()).collect();
        insta::assert_snapshot!(replies.join("\n"));
        for reply in replies {
            let read: Reply = serde_json::from_str(&reply).unwrap();
            assert_eq!(serde_json::to_string(&read).unwrap(), reply);
        }
    }
}
