//! Test builds only: too little room for what is under way, and a verifier that says no.

use super::load::Room;

/// Reports a ring holds; a power of two above 64.
const RING: &str = "GLASSFS_FAILPOINT_RING_REPORTS";
/// Different places for calls under way; a power of two. Beside them as many for those that find theirs taken.
const SLOTS: &str = "GLASSFS_FAILPOINT_SLOTS";
/// Different sums of what a full ring refuses.
const SUMS: &str = "GLASSFS_FAILPOINT_SUMS";
/// The kernel is given a program that it must refuse.
const REFUSED: &str = "GLASSFS_FAILPOINT_VERIFIER";

pub(super) fn room(room: Room) -> Room {
    Room {
        reports: number(RING).map_or(room.reports, |reports| reports as usize),
        slots: number(SLOTS).unwrap_or(room.slots),
        crowded: number(SLOTS).unwrap_or(room.crowded),
        sums: number(SUMS).unwrap_or(room.sums),
    }
}

pub(super) fn is_refused() -> bool {
    std::env::var_os(REFUSED).is_some()
}

fn number(name: &str) -> Option<u32> {
    std::env::var(name).ok()?.parse().ok()
}
