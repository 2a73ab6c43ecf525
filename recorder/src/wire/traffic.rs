//! How many workers receive, and how many messages have ever come: one atomic, since both change with every message, and since
//! together they tell a busy pool from a blocked one.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

#[derive(Default)]
pub(super) struct Traffic(AtomicU64);

/// The receivers, in more bits than `Limits::workers` needs; above them the messages.
const MESSAGE: u64 = 1 << 16;
const RECEIVERS: u64 = MESSAGE - 1;

/// One look at the traffic. Two that are equal saw nothing happen between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Look(u64);

impl Traffic {
    /// Counts the caller among the receivers.
    pub fn enter(&self) -> Look {
        Look(self.0.fetch_add(1, SeqCst).wrapping_add(1))
    }

    /// The caller will not receive after all.
    pub fn withdraw(&self) {
        self.0.fetch_sub(1, SeqCst);
    }

    /// The caller has received a message; how many others receive.
    pub fn leave(&self) -> usize {
        let change = MESSAGE - 1;
        Look(self.0.fetch_add(change, SeqCst).wrapping_add(change)).receivers()
    }

    pub fn look(&self) -> Look {
        Look(self.0.load(SeqCst))
    }
}

impl Look {
    pub fn receivers(self) -> usize {
        (self.0 & RECEIVERS) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_changes_the_look_even_when_its_receiver_is_back() {
        let traffic = Traffic::default();
        traffic.enter();
        let before = traffic.enter();
        assert_eq!(before.receivers(), 2);
        assert_eq!(traffic.leave(), 1);
        let after = traffic.enter();
        assert_eq!(after.receivers(), 2);
        assert_ne!(after, before);
        traffic.withdraw();
        assert_eq!(traffic.look().receivers(), 1);
    }
}
