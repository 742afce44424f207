//! What the object answered: a repeat must hear the first result, and every kind must be met.

use std::collections::BTreeMap;

use account::store::TOMBSTONE_MS;
use billing::ledger::{Answer, Command, Refusal, Shortage};

use crate::book::{Violation, must};

/// What was answered first, by kind and id of the command.
#[derive(Debug, Default)]
pub struct Answers(BTreeMap<(u8, String), (Command, Answer)>);

impl Answers {
    /// Compares an answer with the first one to a command of this id.
    ///
    /// # Errors
    /// [`Violation`] when a repeat is answered otherwise.
    pub fn check(&mut self, command: &Command, result: &Result<Answer, Refusal>, age_ms: i64) -> Result<(), Violation> {
        let kind = match command {
            Command::Enter(_) => 0,
            Command::Admit(_) => 1,
            Command::Settle(_) => 2,
            Command::Release { .. } => 3,
            _ => return Ok(()),
        };
        let key = (kind, command.id().unwrap_or_default().to_owned());
        let Some((first, answered)) = self.0.get(&key) else {
            if let Ok(answer) = result {
                self.0.insert(key, (command.clone(), answer.clone()));
            }
            return Ok(());
        };
        // Whoever released a hold that had expired, or asks again for one that has ended, hears of it.
        let may_conflict = matches!(kind, 1 | 3);
        let right = match (first == command, result, answered) {
            (_, Err(Refusal::Conflict), _) => first != command || may_conflict,
            // Its tombstone was pruned.
            (_, Err(Refusal::UnknownHold), _) => age_ms >= TOMBSTONE_MS,
            (_, Err(Refusal::Stale), _) => kind == 1 && age_ms >= TOMBSTONE_MS,
            // The hold may have grown since, and the balance moved.
            (
                true,
                Ok(Answer::Admitted { key_id, granted_output, .. }),
                Answer::Admitted { key_id: first_key, granted_output: first_output, .. },
            ) => key_id == first_key && granted_output >= first_output,
            (true, Ok(answer), first) => answer == first,
            _ => false,
        };
        must(right, || format!("the repeat {command:?}\nof {first:?}\nwas answered {result:?},\nat first {answered:?}"))
    }
}

/// The kind of an answer, in one word.
#[must_use]
pub fn name(result: &Result<Answer, Refusal>) -> &'static str {
    match result {
        Ok(answer) => match answer {
            Answer::Provisioned { .. } => "provisioned",
            Answer::Entered { .. } => "entered",
            Answer::KeyCreated { .. } => "key_created",
            Answer::KeyUpdated { .. } => "key_updated",
            Answer::KeyRevoked { .. } => "key_revoked",
            Answer::Keys(_) => "keys",
            Answer::Authorized { .. } => "authorized",
            Answer::Balance { .. } => "balance",
            Answer::Admitted { key_id: Some(_), .. } => "admitted",
            Answer::Admitted { key_id: None, .. } => "admitted_owner",
            Answer::Checkpointed { .. } => "checkpointed",
            Answer::Settled { .. } => "settled",
            Answer::Swept { .. } => "swept",
            Answer::KeyRotated { .. } => "key_rotated",
            Answer::AutoTopUp { .. } => "auto_top_up",
            Answer::SessionsEnded => "sessions_ended",
            Answer::Account(_) => "account",
            Answer::OwnKey(_) => "own_key",
            Answer::Found { .. } => "found",
        },
        Err(refusal) => match refusal {
            Refusal::NoAccount => "no_account",
            Refusal::Conflict => "conflict",
            Refusal::Stale => "stale",
            Refusal::UnknownKey => "unknown_key",
            Refusal::RevokedKey => "revoked_key",
            Refusal::ExpiredKey => "expired_key",
            Refusal::NotPermitted => "not_permitted",
            Refusal::AddressNotAllowed => "address_not_allowed",
            Refusal::ModelNotAllowed => "model_not_allowed",
            Refusal::ReplacedKey => "replaced_key",
            Refusal::RotatedKey => "rotated_key",
            Refusal::Exceeds => "exceeds",
            Refusal::TooManyKeys => "too_many_keys",
            Refusal::UnknownHold => "unknown_hold",
            Refusal::RateLimited { .. } => "rate_limited",
            Refusal::TooManyRunning => "too_many_running",
            Refusal::InsufficientCredit { reason: Shortage::Balance, .. } => "short_of_balance",
            Refusal::InsufficientCredit { reason: Shortage::Held, .. } => "short_of_held",
            Refusal::InsufficientCredit { reason: Shortage::KeyBudget, .. } => "short_of_budget",
            Refusal::TooLarge => "too_large",
            Refusal::SignedOut => "signed_out",
        },
    }
}
