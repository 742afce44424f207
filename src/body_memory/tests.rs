use proptest::prelude::*;

use super::*;

const MB: usize = 1 << 20;
const ROOMS: [Room; 3] = [Room::Inference, Room::Forms, Room::Webhooks];

/// Begins a body and counts it as `bytes`.
fn body(memory: &mut BodyMemory, room: Room, caller: &str, bytes: usize) -> Result<u64, NoRoom> {
    let number = memory.begin(room, caller, 0)?;
    memory.resize(number, bytes).map(|()| number).inspect_err(|NoRoom| memory.end(number))
}

fn all(memory: &BodyMemory, room: Room) -> usize {
    memory.rooms.get(&room).copied().unwrap_or(0)
}

#[test]
fn a_body_that_ends_is_free_again() {
    let mut memory = BodyMemory::default();
    let large = body(&mut memory, Room::Inference, "a", 32 * MB).unwrap();
    assert_eq!(body(&mut memory, Room::Inference, "b", 3 * MB), Err(NoRoom));
    memory.end(large);
    memory.end(large);
    assert_eq!((all(&memory, Room::Inference), memory.callers.len()), (0, 0));
    assert!(body(&mut memory, Room::Inference, "b", 34 * MB).is_ok());
}

#[test]
fn large_bodies_leave_memory_to_callers_that_hold_little() {
    let mut memory = BodyMemory::default();
    body(&mut memory, Room::Inference, "a", 34 * MB).unwrap();
    // The caller of the large body has no part in what is kept.
    assert_eq!(body(&mut memory, Room::Inference, "a", 1), Err(NoRoom));
    for caller in ["b", "c"] {
        assert!(body(&mut memory, Room::Inference, caller, 2 * MB).is_ok(), "{caller}");
    }
    assert_eq!(body(&mut memory, Room::Inference, "f", 1), Err(NoRoom));
}

#[test]
fn one_caller_has_a_single_large_body_or_its_share() {
    let mut memory = BodyMemory::default();
    let single = body(&mut memory, Room::Inference, "a", 32 * MB).unwrap();
    let small = body(&mut memory, Room::Inference, "a", 2 * MB).unwrap();
    assert_eq!(body(&mut memory, Room::Inference, "a", 1), Err(NoRoom));
    memory.end(single);
    memory.end(small);
    for _ in 0..4 {
        body(&mut memory, Room::Inference, "a", 5 * MB).unwrap();
    }
    assert_eq!(body(&mut memory, Room::Inference, "a", 1), Err(NoRoom));
    assert!(body(&mut memory, Room::Inference, "b", 14 * MB).is_ok());
}

#[test]
fn a_body_that_cannot_grow_keeps_what_it_had() {
    let mut memory = BodyMemory::default();
    let growing = body(&mut memory, Room::Inference, "a", MB).unwrap();
    memory.resize(growing, 34 * MB).unwrap();
    assert_eq!(memory.resize(growing, 34 * MB + 1), Err(NoRoom));
    assert_eq!(all(&memory, Room::Inference), 34 * MB);
    memory.resize(growing, 1).unwrap();
    assert_eq!(all(&memory, Room::Inference), STEP_BYTES);
    assert_eq!(memory.resize(growing, usize::MAX), Err(NoRoom));
}

#[test]
fn a_body_that_was_never_dropped_is_forgotten_in_the_end() {
    let mut memory = BodyMemory::default();
    let lost = body(&mut memory, Room::Inference, "a", 34 * MB).unwrap();
    assert!(memory.begin(Room::Inference, "a", MAX_AGE_MS - 1).is_err());
    assert!(memory.begin(Room::Inference, "a", MAX_AGE_MS).is_ok());
    assert_eq!(memory.resize(lost, 1), Err(NoRoom));
    assert_eq!(all(&memory, Room::Inference), STEP_BYTES);
}

/// Takes all that `caller` can get in a room, one step at a time and in large bodies.
fn fill(memory: &mut BodyMemory, room: Room, caller: &str) {
    while body(memory, room, caller, 64 << 10).is_ok() {}
    while body(memory, room, caller, 1).is_ok() {}
}

#[test]
fn a_caller_that_takes_all_it_can_stops_nobody_else_and_no_other_room() {
    for room in ROOMS {
        let mut memory = BodyMemory::default();
        fill(&mut memory, room, "attacker");
        assert!(body(&mut memory, room, "other", 64 << 10).is_ok(), "{room:?}");
        for n in 0..1_000 {
            fill(&mut memory, room, &format!("attacker {n}"));
        }
        assert_eq!(body(&mut memory, room, "other", 64 << 10), Err(NoRoom), "{room:?} can be filled by very many");
        for other in ROOMS.into_iter().filter(|other| *other != room) {
            assert!(body(&mut memory, other, "attacker", 64 << 10).is_ok(), "{room:?} {other:?}");
        }
    }
}

#[test]
fn slow_uploads_of_an_attack_take_a_step_each() {
    // 770 forms without a byte in them, 193 events, and 48 requests with a free key.
    let mut memory = BodyMemory::default();
    for (room, times) in [(Room::Forms, 770), (Room::Webhooks, 193), (Room::Inference, 48)] {
        let begun = (0..times).filter(|_| memory.begin(room, "attacker", 0).is_ok()).count();
        assert!(all(&memory, room) <= begun * STEP_BYTES);
        assert!(body(&mut memory, room, "customer", 32 << 10).is_ok(), "{room:?}");
    }
}

proptest! {
    /// In any order of events the sums are those of the bodies, no room is overfull, and what is kept is left.
    #[test]
    fn the_sums_are_right_and_within_their_bounds(
        steps in prop::collection::vec((0..3_usize, 0..4_u8, 0..40 * MB, any::<bool>(), 0..200_000_i64), 1..200),
    ) {
        let mut memory = BodyMemory::default();
        let (mut numbers, mut now_ms) = (Vec::new(), 0);
        for (room, caller, bytes, ends, later_ms) in steps {
            now_ms += later_ms;
            if ends && !numbers.is_empty() {
                memory.end(numbers.swap_remove(bytes % numbers.len()));
            } else if let Ok(number) = memory.begin(ROOMS[room], &caller.to_string(), now_ms) {
                numbers.push(number);
                let _ = memory.resize(number, bytes);
            }
            for room in ROOMS {
                let bodies = memory.bodies.values().filter(|body| body.owner.0 == room);
                prop_assert_eq!(bodies.map(|body| body.bytes).sum::<usize>(), all(&memory, room));
                prop_assert!(all(&memory, room) <= room.bounds().all);
            }
            for (owner, sum) in &memory.callers {
                let bodies: Vec<usize> = memory.bodies.values().filter(|body| body.owner == *owner).map(|body| body.bytes).collect();
                prop_assert_eq!(bodies.iter().sum::<usize>(), *sum);
                let beside = *sum - bodies.iter().max().unwrap();
                // What has shrunk may leave more beside the largest than could have begun.
                prop_assert!(*sum <= owner.0.bounds().all && (*sum <= owner.0.bounds().share || beside <= owner.0.bounds().share));
            }
        }
    }
}
