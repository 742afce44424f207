//! The Worker's side: requests that are admitted, report, settle, release or vanish; money that comes
//! and goes; keys that are made, changed and revoked; and repeats, the same and otherwise.

use std::collections::BTreeMap;

use billing::hold::{HoldRequest, OutputBound};
use billing::ledger::{
    Admit, Answer, Command, CreateKey, Enter, EntryKind, LimitsChange, Outcome, Permission, Refusal, Settle, SettledBy,
    Terms, UpdateKey,
};
use billing::money::{NanoUsd, PicoUsd};
use billing::price::{Price, Rates};
use billing::usage::Usage;

use crate::d1::POISON;
use crate::limits::random_limits;
use crate::object::ACCOUNT_ID;
use crate::rng::Rng;

/// Pico-USD for an input token, an output token and a request: free; one that needs rounding; usual;
/// one that empties an account.
const PRICES: [(u64, u64, u64); 4] =
    [(0, 0, 0), (7, 123, 999), (2_500_000, 10_000_000, 0), (0, 1_000_000_000, 5_000_000_000)];

/// How many requests run at most before some must end.
const MOST_RUNNING: usize = 12;

/// How many keys are made in all: each is read on each wake.
const MOST_KEYS: u64 = 14;

/// How many past commands may come again.
const REMEMBERED: usize = 256;

/// A request that was sent to be admitted, and then runs.
#[derive(Debug, Clone)]
struct Client {
    request_id: String,
    input: u64,
    output: u64,
    granted: u64,
}

/// What the Worker's side knows.
#[derive(Debug, Default)]
pub struct Workload {
    is_provisioned: bool,
    made: u64,
    keys_made: u64,
    /// Keys by id that are not known to have ended.
    keys: Vec<String>,
    asked: BTreeMap<String, Client>,
    running: Vec<Client>,
    history: Vec<Command>,
    balance: i64,
}

impl Workload {
    /// The next command that somebody sends.
    pub fn next(&mut self, now_ms: i64, rng: &mut Rng) -> Command {
        let command = self.choose(now_ms, rng);
        if self.history.len() < REMEMBERED {
            self.history.push(command.clone());
        } else if let Some(old) = self.history.get_mut(usize::try_from(self.made).unwrap_or(0) % REMEMBERED) {
            *old = command.clone();
        }
        command
    }

    fn choose(&mut self, now_ms: i64, rng: &mut Rng) -> Command {
        if !self.is_provisioned && rng.chance(200) {
            return Command::Balance;
        }
        if !self.is_provisioned {
            return Command::Provision { account_id: ACCOUNT_ID.into() };
        }
        if self.keys.is_empty() && self.keys_made < MOST_KEYS {
            return self.create_key(now_ms, rng);
        }
        let most = if self.running.len() >= MOST_RUNNING { 45 } else { 100 };
        match rng.below(most) {
            0..45 => self.go_on(rng).unwrap_or_else(|| self.admit(now_ms, rng)),
            45..80 => self.admit(now_ms, rng),
            80..84 => self.enter(rng),
            84..87 => self.change_keys(now_ms, rng),
            87..91 => self.read(rng),
            91 => Command::Sweep,
            _ => self.repeat(rng).unwrap_or(Command::Balance),
        }
    }

    fn id(&mut self, kind: &str) -> String {
        self.made = self.made.saturating_add(1);
        format!("{kind}_{}", self.made)
    }

    fn admit(&mut self, now_ms: i64, rng: &mut Rng) -> Command {
        let poison = if rng.chance(10) { POISON } else { "" };
        let request_id = self.id("req") + poison;
        let (per_input, per_output, per_request) = rng.pick(&PRICES).copied().unwrap_or_default();
        let pico = |n| PicoUsd::new(n).unwrap_or_default();
        let rates = Rates {
            input: pico(per_input),
            output: Some(pico(per_output)),
            request: Some(pico(per_request)),
            ..Rates::default()
        };
        let price = Price { effective_at_ms: 7, rates, long_input: None };
        let input = rng.below(5_000);
        let wanted = if rng.chance(10) { 1 << 60 } else { 1 + rng.below(600) };
        let least = if rng.chance(300) { wanted } else { wanted.min(32) };
        let output = Some(OutputBound { wanted, least, choices: 1 });
        let nothing = HoldRequest { fixed: NanoUsd::ZERO, per_output: PicoUsd::ZERO, output };
        let hold = HoldRequest::new(&price, input, false, output).unwrap_or(nothing);
        let client = Client { request_id: request_id.clone(), input, output: 0, granted: 0 };
        self.asked.insert(request_id.clone(), client);
        let travelled_ms = if rng.chance(10) { 61_000 } else { rng.between(-1_000, 1_000) };
        let terms = Terms {
            endpoint: "/v1/chat/completions".into(),
            model: "vendor/model".into(),
            price,
            unpriced: price.is_free(),
        };
        // The account's owner asks too, without a key.
        let digest = (!rng.chance(150)).then(|| self.digest(rng));
        let created_at_ms = now_ms.saturating_sub(travelled_ms);
        Command::Admit(Box::new(Admit { request_id, created_at_ms, digest, hold, terms, address: None }))
    }

    /// Of a key; now and then of none.
    fn digest(&self, rng: &mut Rng) -> String {
        let key_id = if rng.chance(10) { None } else { rng.pick(&self.keys) };
        key_id.map_or_else(|| "unknown".to_owned(), |key_id| format!("digest of {key_id}"))
    }

    /// A running request reports or ends; `None` when none runs, or when it vanishes.
    fn go_on(&mut self, rng: &mut Rng) -> Option<Command> {
        let at = usize::try_from(rng.below(u64::try_from(self.running.len()).ok()?)).ok()?;
        let client = self.running.get_mut(at)?;
        if rng.chance(300) {
            client.output = client.output.saturating_add(rng.below(100)).min(client.granted);
            let usage = Usage { input: client.input, output: client.output, ..Usage::default() };
            let grow_to = rng.chance(600).then(|| client.granted.saturating_add(rng.below(400)));
            let request_id = client.request_id.clone();
            return Some(Command::Checkpoint { request_id, usage, upstream: "up".into(), grow_to });
        }
        let client = self.running.swap_remove(at);
        let request_id = client.request_id;
        match rng.below(100) {
            0..8 => None,
            8..22 => Some(Command::Release { request_id, outcome: Outcome::UpstreamFailed, upstream: None }),
            _ => {
                let output = match rng.below(100) {
                    0..60 => rng.below(client.granted.saturating_add(1)),
                    60..80 => client.granted,
                    80..97 => client.granted.saturating_mul(1 + rng.below(4)),
                    _ => u64::MAX,
                };
                let usage = Usage { input: rng.below(client.input.saturating_add(1)), output, ..Usage::default() };
                let settled_by = if rng.chance(100) { SettledBy::Estimate } else { SettledBy::Upstream };
                let outcome = if rng.chance(100) { Outcome::ClientGone } else { Outcome::Completed };
                let dropped = String::new();
                Some(Command::Settle(Settle { request_id, usage, settled_by, outcome, upstream: "up".into(), dropped }))
            }
        }
    }

    /// Money comes in while there is little, and goes out while there is much.
    fn enter(&mut self, rng: &mut Rng) -> Command {
        let poison = if rng.chance(10) { POISON } else { "" };
        let id = self.id("entry") + poison;
        let amount = rng.between(1, 3_000_000_000);
        let kinds_in = [EntryKind::Credit, EntryKind::Grant, EntryKind::Dispute, EntryKind::Adjustment];
        let kinds_out = [EntryKind::Refund, EntryKind::Dispute, EntryKind::Adjustment];
        let comes_in = rng.chance(if self.balance < 3_000_000_000 { 900 } else { 200 });
        let kind = rng.pick(if comes_in { &kinds_in[..] } else { &kinds_out }).copied().unwrap_or(EntryKind::Credit);
        let amount = if comes_in { amount } else { amount.saturating_neg() };
        Command::Enter(Enter { id, kind, amount: NanoUsd::new(amount).unwrap_or_default() })
    }

    fn change_keys(&mut self, now_ms: i64, rng: &mut Rng) -> Command {
        if self.keys.len() < 4 && self.keys_made < MOST_KEYS {
            return self.create_key(now_ms, rng);
        }
        let by = rng.chance(300).then(|| self.digest(rng));
        let key_id = rng.pick(&self.keys).cloned().unwrap_or_default();
        // The last keys are kept.
        if rng.chance(60) && self.keys_made < MOST_KEYS {
            return Command::RevokeKey { key_id, by };
        }
        let name = rng.chance(300).then(|| format!("name {}", self.made));
        let limits = rng.chance(800).then(|| random_limits(now_ms, rng));
        Command::UpdateKey(UpdateKey { key_id, name, limits, change: LimitsChange::default(), by })
    }

    fn create_key(&mut self, now_ms: i64, rng: &mut Rng) -> Command {
        self.keys_made = self.keys_made.saturating_add(1);
        let key_id = format!("key_{}", self.keys_made);
        let all = Permission::ALL.to_vec();
        let permissions = if rng.chance(900) { all } else { vec![Permission::AccountRead] };
        let by = rng.chance(500).then(|| self.digest(rng));
        let digest = format!("digest of {key_id}");
        let limits = random_limits(now_ms, rng);
        Command::CreateKey(CreateKey {
            key_id,
            digest,
            start: String::new(),
            name: String::new(),
            permissions,
            limits,
            by,
        })
    }

    fn read(&self, rng: &mut Rng) -> Command {
        match rng.below(6) {
            0 => Command::Keys,
            1 => Command::Balance,
            2 => Command::Account { digest: Some(self.digest(rng)), address: None },
            3 => Command::EndSessions,
            _ => Command::Authorize {
                digest: self.digest(rng),
                permission: Some(Permission::AccountRead),
                address: None,
            },
        }
    }

    /// A command that was sent before, in a third of the cases with other content.
    fn repeat(&self, rng: &mut Rng) -> Option<Command> {
        let mut command = rng.pick(&self.history)?.clone();
        if rng.chance(333) {
            match &mut command {
                Command::Settle(settle) => settle.usage.input ^= 1,
                Command::Enter(enter) => enter.amount = enter.amount.negated(),
                Command::Admit(admit) => admit.created_at_ms = admit.created_at_ms.saturating_add(1),
                _ => {}
            }
        }
        Some(command)
    }

    /// An answer arrived.
    pub fn heard(&mut self, command: &Command, result: &Result<Answer, Refusal>) {
        match (command, result) {
            (Command::Admit(admit), Ok(Answer::Admitted { granted_output, .. })) => {
                if let Some(client) = self.asked.remove(&admit.request_id) {
                    self.running.push(Client { granted: granted_output.unwrap_or(0), ..client });
                }
            }
            (Command::Admit(admit), Err(_)) => drop(self.asked.remove(&admit.request_id)),
            (Command::Checkpoint { request_id, .. }, Ok(Answer::Checkpointed { granted_output })) => {
                if let Some(client) = self.running.iter_mut().find(|client| client.request_id == *request_id) {
                    client.granted = granted_output.unwrap_or(0);
                }
            }
            (_, Ok(Answer::Provisioned { .. })) => self.is_provisioned = true,
            (_, Ok(Answer::Entered { balance, .. } | Answer::Settled { balance, .. })) => self.balance = balance.nano(),
            (_, Ok(Answer::KeyCreated { key_id })) if !self.keys.contains(key_id) => self.keys.push(key_id.clone()),
            (_, Ok(Answer::KeyRevoked { key_ids })) => self.keys.retain(|key_id| !key_ids.contains(key_id)),
            (Command::UpdateKey(UpdateKey { key_id, .. }), Err(Refusal::ExpiredKey)) => {
                self.keys.retain(|other| other != key_id);
            }
            _ => {}
        }
    }
}
