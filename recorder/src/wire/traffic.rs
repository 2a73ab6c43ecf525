//! How many workers receive, at which home, and how many messages have ever come: one atomic, since all change with every
//! message, and since together they tell a busy pool from a blocked one.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use super::homes::Home;

#[derive(Default)]
pub(super) struct Traffic(AtomicU64);

/// For each home the receivers there, in more bits than `Limits::workers` needs; above them the messages.
const RECEIVERS_BITS: u32 = 16;
const RECEIVERS: u64 = (1 << RECEIVERS_BITS) - 1;
const MESSAGE: u64 = 1 << (Home::ALL.len() as u32 * RECEIVERS_BITS);

/// One look at the traffic. Two that are equal saw nothing happen between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look(u64);

fn one_at(home: Home) -> u64 {
    1 << (home as u32 * RECEIVERS_BITS)
}

impl Traffic {
    /// Counts the caller among the receivers.
    pub fn enter(&self, home: Home) -> Look {
        let one = one_at(home);
        Look(self.0.fetch_add(one, SeqCst).wrapping_add(one))
    }

    /// The caller will not receive after all.
    pub fn withdraw(&self, home: Home) {
        self.0.fetch_sub(one_at(home), SeqCst);
    }

    /// The caller has received a message; how many others receive.
    pub fn leave(&self, home: Home) -> usize {
        let change = MESSAGE - one_at(home);
        Look(self.0.fetch_add(change, SeqCst).wrapping_add(change)).receivers()
    }

    /// A receiver counts elsewhere from now on.
    pub fn move_over(&self, from: Home, to: Home) -> Look {
        let change = one_at(to).wrapping_sub(one_at(from));
        Look(self.0.fetch_add(change, SeqCst).wrapping_add(change))
    }

    pub fn look(&self) -> Look {
        Look(self.0.load(SeqCst))
    }
}

impl Look {
    pub fn at(self, home: Home) -> usize {
        (self.0 >> (home as u32 * RECEIVERS_BITS) & RECEIVERS) as usize
    }

    pub fn receivers(self) -> usize {
        Home::ALL.iter().map(|&home| self.at(home)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_changes_the_look_even_when_its_receiver_is_back() {
        let traffic = Traffic::default();
        traffic.enter(Home::First);
        let before = traffic.enter(Home::Second);
        assert_eq!((before.at(Home::First), before.at(Home::Second), before.receivers()), (1, 1, 2));
        assert_eq!(traffic.leave(Home::Second), 1);
        assert_eq!(traffic.enter(Home::Second).receivers(), 2);
        assert_ne!(traffic.look(), before);
    }

    #[test]
    fn who_moves_is_still_counted_once() {
        let traffic = Traffic::default();
        traffic.enter(Home::First);
        let look = traffic.move_over(Home::First, Home::Second);
        assert_eq!((look.at(Home::First), look.at(Home::Second)), (0, 1));
        assert_eq!(traffic.move_over(Home::Second, Home::First).at(Home::First), 1);
        traffic.withdraw(Home::First);
        assert_eq!(traffic.look().receivers(), 0);
    }
}
