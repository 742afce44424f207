//! Random histories of automatic top-ups: an owner, spenders, Workers that charge, and a Stripe that is down, loses
//! answers and tells late and twice. A model that knows nothing of the ledger says what must be true of every charge.
//!
//! A charge is one question to the account and one call of Stripe. The rule is that the account allows nothing that
//! the owner's last word forbids; a call that is on its way for some seconds may arrive after a later word.

use super::auto::{credit, save, set};
use super::*;

const USD: i64 = 1_000_000_000;
/// The Worker's call of Stripe ends after so long.
const CALL_MS: i64 = 8_000;
/// Stripe forgets idempotency keys after so long.
const KEYS_MS: i64 = 86_400_000;

/// What happens next. Numbers choose among what there is.
#[derive(Debug, Clone)]
enum Turn {
    Spend(u64),
    /// A request begins that holds much and costs little.
    Hold(u64),
    EndHold,
    Set {
        enabled: bool,
        threshold: i64,
        amount: i64,
        cap: i64,
    },
    /// The news of a card may be late: the owner entered it so long before.
    NewCard {
        declines: bool,
        minutes_ago: i64,
    },
    RemoveCard,
    Cancel,
    PayByHand(i64),
    Dispute(usize),
    Refund(usize),
    StripeIsDown(bool),
    /// The alarm and the cron, where something is due.
    Cron {
        answer_lost: bool,
    },
    /// A call of Stripe arrives.
    Arrive {
        which: usize,
        answer_lost: bool,
    },
    /// A Worker looks up what was not answered.
    LookUp(usize),
    /// A Worker gives a call up and looks it up while the call is still on its way.
    Overtake(usize),
    Webhook(usize),
    Wait(i64),
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let wait = prop_oneof![
        4 => 0..3_000_i64,
        3 => Just(CALL_MS + 1),
        4 => Just(ATTEMPT_STALE_MS + 1),
        1 => Just(ATTEMPT_LIFE_MS + 1),
        1 => Just(KEYS_MS + 1),
        1 => Just(11 * 86_400_000_i64),
    ];
    let one = prop_oneof![
        8 => (1_u64..9_000).prop_map(Turn::Spend),
        2 => (1_u64..9_000).prop_map(Turn::Hold),
        2 => Just(Turn::EndHold),
        4 => (0..4_u8, 0_i64..25, 5_i64..30, 5_i64..80).prop_map(|(on, threshold, amount, cap)| Turn::Set {
            enabled: on > 0,
            threshold,
            amount,
            cap
        }),
        2 => (0..4_u8, prop_oneof![2 => Just(0), 1 => 0_i64..600])
            .prop_map(|(n, minutes_ago)| Turn::NewCard { declines: n == 0, minutes_ago }),
        1 => Just(Turn::RemoveCard),
        1 => Just(Turn::Cancel),
        1 => (1_i64..60).prop_map(Turn::PayByHand),
        1 => (0_usize..9).prop_map(Turn::Dispute),
        1 => (0_usize..9).prop_map(Turn::Refund),
        1 => Just(Turn::StripeIsDown(true)),
        2 => Just(Turn::StripeIsDown(false)),
        8 => (0..4_u8).prop_map(|n| Turn::Cron { answer_lost: n == 0 }),
        8 => (0_usize..9, 0..3_u8).prop_map(|(which, n)| Turn::Arrive { which, answer_lost: n == 0 }),
        5 => (0_usize..9).prop_map(Turn::LookUp),
        2 => (0_usize..9).prop_map(Turn::Overtake),
        3 => (0_usize..9).prop_map(Turn::Webhook),
        5 => wait.prop_map(Turn::Wait),
    ];
    proptest::collection::vec(one, 1..70)
}

/// Why nothing may be charged.
#[derive(Debug, Clone, Copy)]
enum Stop {
    /// A card was declined at this time, in milliseconds since the epoch. A card that was entered later mends it.
    ByCard(i64),
    /// The owner cancelled, or a bank disputed. Only new settings lift it.
    UntilSetAgain,
}

/// What the owner said last, in USD.
#[derive(Debug, Default)]
struct Word {
    enabled: bool,
    threshold: i64,
    amount: i64,
    cap: i64,
    card: Option<String>,
    /// A decline, a dispute or a cancellation came after it.
    stopped: Option<Stop>,
}

/// A payment that Stripe has.
#[derive(Debug, Clone)]
struct Payment {
    attempt: Attempt,
    /// When the account allowed it.
    allowed_ms: i64,
    /// When Stripe took it.
    at_ms: i64,
    declined: bool,
    /// Whether its account heard of it.
    told: bool,
}

#[derive(Default)]
struct World {
    bench: Bench,
    word: Word,
    /// In nano-USD, by what the account was told.
    balance: i64,
    /// In nano-USD, what requests cost beyond it.
    owed: i64,
    payments: Vec<Payment>,
    /// Calls of Stripe on their way, with the time at which the account allowed each.
    calls: Vec<(Attempt, i64)>,
    /// Calls that were given up.
    unanswered: Vec<Attempt>,
    is_down: bool,
    holds: Vec<String>,
    made: u64,
}

impl World {
    fn new() -> Self {
        Self { bench: Bench::funded("10"), balance: 10 * USD, ..Self::default() }
    }

    fn month(at_ms: i64) -> i64 {
        // The histories begin in January 2027 and last for some years; days of a month by the calendar's own test.
        super::super::calendar::start_of(Period::Monthly, at_ms)
    }

    fn id(&mut self, what: &str) -> String {
        self.made += 1;
        format!("{what}{}", self.made)
    }

    fn enter(&mut self, what: &str, kind: EntryKind, amount: i64) {
        let id = self.id(what);
        self.bench.ok(super::enter(&id, kind, amount));
        self.add(amount);
    }

    /// Money comes in, and pays what is owed first, or goes out.
    fn add(&mut self, amount: i64) {
        self.balance += amount;
        let paid = self.owed.min(amount).min(self.balance).max(0);
        (self.balance, self.owed) = (self.balance - paid, self.owed - paid);
    }

    /// What the account answers when it is asked to have its attempt charged, or told that Stripe does not have it.
    fn ask(&mut self, command: Command, answer_lost: bool) -> Result<(), String> {
        let now_ms = self.bench.now_ms;
        let Answer::AutoTopUp { auto, top_up, .. } = self.bench.ok(command) else { return Err("no answer".into()) };
        if let Some(attempt) = &top_up {
            self.may_be_charged(attempt)?;
        }
        if answer_lost {
            return Ok(());
        }
        match Step::of(top_up.as_deref(), auto.attempt.as_ref(), now_ms) {
            Step::Charge(attempt) => self.calls.push((*attempt, now_ms)),
            Step::LookUp(attempt) => self.unanswered.push(*attempt),
            Step::Leave => {}
        }
        Ok(())
    }

    /// The rule, by what the model knows.
    fn may_be_charged(&self, attempt: &Attempt) -> Result<(), String> {
        let (word, now_ms) = (&self.word, self.bench.now_ms);
        let must = |holds: bool, why: &str| {
            if holds { Ok(()) } else { Err(format!("{} is charged: {why}; {word:?}, {}", attempt.id, self.balance)) }
        };
        must(word.enabled, "switched off")?;
        must(word.stopped.is_none(), "stopped")?;
        must(word.card.as_ref() == Some(&attempt.method), "another card")?;
        must(attempt.amount.nano() == word.amount * USD, "another amount")?;
        must(self.balance < word.threshold.min(word.amount) * USD, "nothing is short")?;
        let taken = self.payments.iter().filter(|payment| !payment.declined && payment.attempt.id != attempt.id);
        let taken = taken.filter(|payment| Self::month(payment.allowed_ms) == Self::month(now_ms));
        let taken: i64 = taken.map(|payment| payment.attempt.amount.nano()).sum();
        must(taken + attempt.amount.nano() <= word.cap * USD, "beyond the cap")
    }

    /// A call arrives at Stripe; whether it took it or had taken it before.
    fn arrive(&mut self, attempt: &Attempt, allowed_ms: i64) -> Result<bool, String> {
        if self.is_down {
            return Ok(false);
        }
        let at_ms = self.bench.now_ms;
        if let Some(known) = self.payments.iter().find(|payment| payment.attempt.id == attempt.id) {
            if at_ms - known.at_ms > KEYS_MS {
                return Err(format!("{} is charged again, a day later", attempt.id));
            }
            return Ok(true);
        }
        if self.bench.auto().attempt.is_none_or(|known| known.id != attempt.id) {
            return Err(format!("{} is charged, and was forgotten", attempt.id));
        }
        let declined = attempt.method.starts_with("bad");
        self.payments.push(Payment { attempt: attempt.clone(), allowed_ms, at_ms, declined, told: false });
        Ok(true)
    }

    /// The account hears of a payment: by the answer, by a look-up, or by a webhook.
    fn tell(&mut self, id: &str) {
        let Some(payment) = self.payments.iter_mut().find(|payment| payment.attempt.id == id) else { return };
        let (payment, first) = (payment.clone(), !std::mem::replace(&mut payment.told, true));
        if payment.declined {
            self.bench.ok(Command::StopTopUp { attempt_id: id.into(), reason: StopReason::Declined });
            if first && self.word.card.as_ref() == Some(&payment.attempt.method) {
                self.word.stopped.get_or_insert(Stop::ByCard(self.bench.now_ms));
            }
        } else {
            self.bench.ok(credit(&payment.attempt));
            self.add(if first { payment.attempt.amount.nano() } else { 0 });
        }
    }

    fn look_up(&mut self, attempt: &Attempt) -> Result<(), String> {
        if self.is_down {
            return Ok(());
        }
        if self.payments.iter().any(|payment| payment.attempt.id == attempt.id) {
            self.tell(&attempt.id);
            return Ok(());
        }
        self.ask(Command::AttemptNotFound { attempt_id: attempt.id.clone() }, false)
    }

    fn cron(&mut self, answer_lost: bool) -> Result<(), String> {
        let attempt = self.bench.auto().attempt;
        if attempt.is_none_or(|attempt| attempt.due_at_ms() > self.bench.now_ms) {
            return Ok(());
        }
        self.bench.ok(Command::TakeAttempt);
        self.ask(Command::ChargeAttempt, answer_lost)
    }

    fn settle(&mut self, id: &str, thousandths: u64) {
        let Answer::Settled { cost, uncollected, .. } = self.bench.ok(super::settle(id, thousandths)) else { return };
        (self.balance, self.owed) = (self.balance - cost.nano(), self.owed + uncollected.nano());
    }

    fn turn(&mut self, turn: Turn) -> Result<(), String> {
        let now_ms = self.bench.now_ms;
        let chosen = |which: usize, of: usize| which.checked_rem(of);
        match turn {
            Turn::Spend(thousandths) => {
                let id = self.id("r");
                if self.bench.run(admit(&id, thousandths, now_ms)).is_ok() {
                    self.settle(&id, thousandths);
                }
            }
            Turn::Hold(thousandths) => {
                let id = self.id("h");
                if self.bench.run(admit(&id, thousandths, now_ms)).is_ok() {
                    self.holds.push(id);
                }
            }
            Turn::EndHold => {
                if let Some(id) = self.holds.pop().filter(|id| self.bench.state.holds.contains_key(id)) {
                    self.settle(&id, 1);
                }
            }
            Turn::Set { enabled, threshold, amount, cap } => {
                let Command::SetAutoTopUp(settings) = set(threshold, amount, cap) else { return Ok(()) };
                self.bench.ok(Command::SetAutoTopUp(AutoSettings { enabled, ..settings }));
                let (card, stopped) = (self.word.card.take(), self.word.stopped.filter(|_| !enabled));
                self.word = Word { enabled, threshold, amount, cap, card, stopped };
            }
            Turn::NewCard { declines, minutes_ago } => {
                let card = self.id(if declines { "bad" } else { "pm" });
                let entered_at_ms = now_ms - minutes_ago * 60_000;
                self.bench.ok(save(&card, entered_at_ms));
                // Stripe's times decide which card is the newer one.
                if self.bench.auto().method.is_some_and(|method| method.method == card) {
                    self.word.card = Some(card);
                    self.word.stopped.take_if(|stop| matches!(stop, Stop::ByCard(at_ms) if entered_at_ms > *at_ms));
                }
            }
            Turn::RemoveCard => {
                self.bench.ok(Command::RemoveMethod);
                self.word.card = None;
            }
            Turn::Cancel => {
                if self.bench.auto().attempt.is_some() {
                    self.word.stopped = Some(Stop::UntilSetAgain);
                }
                self.bench.ok(Command::CancelAttempt);
            }
            Turn::PayByHand(usd) => self.enter("checkout:", EntryKind::Credit, usd * USD),
            Turn::Dispute(which) | Turn::Refund(which) => {
                let Some(payment) = chosen(which, self.payments.len()).map(|at| self.payments[at].clone()) else {
                    return Ok(());
                };
                let (kind, what) = if matches!(turn, Turn::Dispute(_)) {
                    if self.word.enabled {
                        self.word.stopped = Some(Stop::UntilSetAgain);
                    }
                    (EntryKind::Dispute, "dispute:")
                } else {
                    (EntryKind::Refund, "refund:")
                };
                self.enter(what, kind, -payment.attempt.amount.nano());
            }
            Turn::StripeIsDown(is_down) => self.is_down = is_down,
            Turn::Cron { answer_lost } => self.cron(answer_lost)?,
            Turn::Arrive { which, answer_lost } => {
                let Some(at) = chosen(which, self.calls.len()) else { return Ok(()) };
                let (attempt, allowed_ms) = self.calls.remove(at);
                match self.arrive(&attempt, allowed_ms)? && !answer_lost {
                    true => self.tell(&attempt.id),
                    false => self.look_up(&attempt)?,
                }
            }
            Turn::LookUp(which) => {
                let Some(at) = chosen(which, self.unanswered.len()) else { return Ok(()) };
                let attempt = self.unanswered.remove(at);
                self.look_up(&attempt)?;
            }
            Turn::Overtake(which) => {
                if let Some(at) = chosen(which, self.calls.len()) {
                    let attempt = self.calls[at].0.clone();
                    self.look_up(&attempt)?;
                }
            }
            Turn::Webhook(which) => {
                if let Some(at) = chosen(which, self.payments.len()) {
                    let id = self.payments[at].attempt.id.clone();
                    self.tell(&id);
                }
            }
            Turn::Wait(ms) => {
                self.bench.now_ms += ms;
                // A Worker gives a call up, and lives no longer than half a minute.
                if ms > CALL_MS {
                    self.calls.clear();
                    self.unanswered.clear();
                }
                let Answer::Swept { .. } = self.bench.ok(Command::Sweep) else { return Err("no sweep".into()) };
            }
        }
        Ok(())
    }

    /// Everything is told in the end, the owner wants no more, and the books are compared.
    fn finish(mut self) -> Result<(), String> {
        self.is_down = false;
        self.turn(Turn::Set { enabled: false, threshold: 0, amount: 5, cap: 5 })?;
        for _ in 0..4 {
            self.turn(Turn::Wait(ATTEMPT_STALE_MS + 1))?;
            self.turn(Turn::Cron { answer_lost: false })?;
            self.turn(Turn::LookUp(0))?;
        }
        for at in 0..self.payments.len() {
            self.turn(Turn::Webhook(at))?;
        }
        let auto = self.bench.auto();
        if auto.attempt.is_some() {
            return Err(format!("it never ends: {auto:?}"));
        }
        if self.bench.state.balance.nano() != self.balance {
            return Err(format!("the balance is {}, not {}", self.bench.state.balance.nano(), self.balance));
        }
        let mut charged: Vec<(String, i64)> = Vec::new();
        let mut this_month = 0;
        for Payment { attempt, allowed_ms, .. } in self.payments.iter().filter(|payment| !payment.declined) {
            charged.push((entry_id(&attempt.id), attempt.amount.nano()));
            if Self::month(*allowed_ms) == Self::month(self.bench.now_ms) {
                this_month += attempt.amount.nano();
            }
        }
        let entries = self.bench.journal.iter().filter(|entry| entry.id.starts_with("auto:"));
        let mut credited: Vec<(String, i64)> = entries.map(|entry| (entry.id.clone(), entry.amount.nano())).collect();
        charged.sort_unstable();
        credited.sort_unstable();
        if charged != credited {
            return Err(format!("charged {charged:?}, credited {credited:?}"));
        }
        let spent = auto.spent_in_month(self.bench.now_ms).nano();
        if spent < this_month {
            return Err(format!("{this_month} were charged this month, and {spent} are counted"));
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn no_charge_is_made_that_the_owners_last_word_forbids(turns in turns()) {
        let mut world = World::new();
        for turn in turns {
            let done = world.turn(turn);
            prop_assert!(done.is_ok(), "{}", done.unwrap_err());
        }
        let finished = world.finish();
        prop_assert!(finished.is_ok(), "{}", finished.unwrap_err());
    }
}
