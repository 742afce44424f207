//! Which bodies the isolate has memory for. Pure: the time is an argument.
//!
//! The one rule: an isolate that runs out of memory ends with every stream on it, so a body is counted before its
//! bytes are kept, and no caller can take the memory of all others. Each room is apart: bodies of inference cannot
//! take the memory of webhooks or of the account's forms, nor the reverse.

use std::collections::BTreeMap;

/// Memory is counted in steps of so many bytes; a body takes one before anything of it has arrived.
pub const STEP_BYTES: usize = 4 << 10;
/// How long a body can be counted, in milliseconds: longer than any request runs. The platform ends a request 30 s
/// after its client has left, and drops nothing of it.
const MAX_AGE_MS: i64 = 1_200_000;

/// What a body is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Room {
    /// Requests for models, and the whole answers of providers.
    Inference,
    /// The few fields of the account's routes.
    Forms,
    /// Stripe's events.
    Webhooks,
}

/// The bounds of a room, in bytes.
struct Bounds {
    /// All bodies together. A body of inference exists three times at most: as it came, as it is sent, and as the
    /// platform sends it. Three times 38 MB leave 14 of the isolate's 128 MB for its code and its streams.
    all: usize,
    /// What callers with more than `little` cannot take: it is left to the others.
    kept: usize,
    /// How much a caller may hold and still use what is kept.
    little: usize,
    /// All bodies of one caller together. A single one may be larger, and the others then count as `little` at most.
    share: usize,
}

impl Room {
    fn bounds(self) -> Bounds {
        match self {
            Self::Inference => Bounds { all: 38 << 20, kept: 4 << 20, little: 2 << 20, share: 20 << 20 },
            // A form has 64 kB at most, and most have less than one step.
            Self::Forms => Bounds { all: 2 << 20, kept: 1 << 20, little: 128 << 10, share: 512 << 10 },
            // Stripe sends from about a dozen addresses; most events have under 20 kB.
            Self::Webhooks => Bounds { all: 4 << 20, kept: 1 << 20, little: 512 << 10, share: 2 << 20 },
        }
    }
}

/// There is no memory for the body now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no memory for this body now")]
pub struct NoRoom;

/// The bodies in flight.
#[derive(Debug, Default)]
pub struct BodyMemory {
    last: u64,
    bodies: BTreeMap<u64, Counted>,
    rooms: BTreeMap<Room, usize>,
    callers: BTreeMap<(Room, String), usize>,
}

#[derive(Debug)]
struct Counted {
    /// The room, and the caller in it.
    owner: (Room, String),
    bytes: usize,
    since_ms: i64,
}

impl BodyMemory {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        Self { last: 0, bodies: BTreeMap::new(), rooms: BTreeMap::new(), callers: BTreeMap::new() }
    }

    /// Counts the first step of a body of `caller` at `now_ms`, and gives the body's number.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub fn begin(&mut self, room: Room, caller: &str, now_ms: i64) -> Result<u64, NoRoom> {
        self.forget_old(now_ms);
        self.last = self.last.wrapping_add(1);
        let counted = Counted { owner: (room, caller.to_owned()), bytes: 0, since_ms: now_ms };
        self.bodies.insert(self.last, counted);
        let number = self.last;
        self.resize(number, STEP_BYTES).inspect_err(|NoRoom| self.end(number))?;
        Ok(number)
    }

    /// Counts a body as `bytes`, rounded up to steps. A smaller size than before always fits.
    ///
    /// # Errors
    /// [`NoRoom`]; the body then counts as before.
    pub fn resize(&mut self, number: u64, bytes: usize) -> Result<(), NoRoom> {
        let Some(body) = self.bodies.get(&number) else { return Err(NoRoom) };
        let (owner, before) = (body.owner.clone(), body.bytes);
        let bytes = bytes.max(1).checked_next_multiple_of(STEP_BYTES).ok_or(NoRoom)?;
        let with = |sum: Option<&usize>| sum.copied().unwrap_or(0).saturating_sub(before).saturating_add(bytes);
        let (all, callers) = (with(self.rooms.get(&owner.0)), with(self.callers.get(&owner)));
        if bytes > before {
            let bounds = owner.0.bounds();
            let most = if callers <= bounds.little { bounds.all } else { bounds.all.saturating_sub(bounds.kept) };
            if all > most || (callers > bounds.share && self.beside_largest(number, &owner, bytes) > bounds.little) {
                return Err(NoRoom);
            }
        }
        self.rooms.insert(owner.0, all);
        self.callers.insert(owner, callers);
        if let Some(body) = self.bodies.get_mut(&number) {
            body.bytes = bytes;
        }
        Ok(())
    }

    /// All bodies of a caller but the largest, in bytes, if the one with this number had `bytes`.
    fn beside_largest(&self, number: u64, owner: &(Room, String), bytes: usize) -> usize {
        let (mut sum, mut largest) = (bytes, bytes);
        let others = self.bodies.iter().filter(|(other, body)| **other != number && body.owner == *owner);
        for (_, body) in others {
            sum = sum.saturating_add(body.bytes);
            largest = largest.max(body.bytes);
        }
        sum.saturating_sub(largest)
    }

    /// Forgets a body.
    pub fn end(&mut self, number: u64) {
        let Some(Counted { owner, bytes, .. }) = self.bodies.remove(&number) else { return };
        if let Some(all) = self.rooms.get_mut(&owner.0) {
            *all = all.saturating_sub(bytes);
        }
        if let Some(callers) = self.callers.get_mut(&owner) {
            *callers = callers.saturating_sub(bytes);
            if *callers == 0 {
                self.callers.remove(&owner);
            }
        }
    }

    fn forget_old(&mut self, now_ms: i64) {
        // Numbers rise with time, so the oldest come first.
        while let Some((number, body)) = self.bodies.first_key_value()
            && now_ms.saturating_sub(body.since_ms) >= MAX_AGE_MS
        {
            let number = *number;
            self.end(number);
        }
    }
}

#[cfg(test)]
#[path = "body_memory/tests.rs"]
mod tests;
