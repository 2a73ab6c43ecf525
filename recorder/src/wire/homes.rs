//! Which CPU a worker runs on, where that is worth saying: on a machine of two CPUs each receiver gets one of its own.
//!
//! The kernel wakes receivers in turn, and a caller that is woken by an answer moves to the CPU that idles. So with a receiver
//! on each CPU the next request finds its receiver where the caller now is, and every second wake-up, half of a round trip's
//! time, stays on one CPU (measured on 2 CPUs, 4 KiB reads, thousand/s: one caller 67 instead of 47, four callers 131 instead
//! of 117). With more CPUs the scheduler chooses among too many for this to hold, and is left alone.

use std::mem::{MaybeUninit, size_of};

use super::traffic::Look;

/// One of two places. Without CPUs to choose between it means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Home {
    First,
    Second,
}

impl Home {
    pub const ALL: [Home; 2] = [Home::First, Home::Second];

    pub fn other(self) -> Home {
        match self {
            Home::First => Home::Second,
            Home::Second => Home::First,
        }
    }
}

pub(super) struct Homes {
    cpus: Option<[usize; Home::ALL.len()]>,
}

impl Homes {
    /// Of the CPUs that the calling thread may run on.
    pub fn new(receivers: usize) -> Homes {
        let cpus = allowed_cpus().try_into().ok().filter(|_| receivers == Home::ALL.len());
        Homes { cpus }
    }

    /// From now on the calling thread runs at `home`. Failing (the CPU was taken away meanwhile) costs time and no more.
    pub fn move_in(&self, home: Home) {
        let Some(cpus) = self.cpus else { return };
        // SAFETY: a zeroed cpu_set_t is an empty set.
        let mut set: libc::cpu_set_t = unsafe { MaybeUninit::zeroed().assume_init() };
        // SAFETY: the CPU's number came out of a set of this size; 0 is the calling thread.
        unsafe {
            libc::CPU_SET(cpus[home as usize], &mut set);
            libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set);
        }
    }

    /// All receivers, the caller among them, are at `home`: it had better move.
    pub fn crowded(&self, look: Look, home: Home) -> bool {
        self.cpus.is_some() && look.at(home) >= Home::ALL.len() && look.at(home.other()) == 0
    }
}

/// Empty when the machine has more than the set has room for.
fn allowed_cpus() -> Vec<usize> {
    // SAFETY: a zeroed cpu_set_t is an empty set.
    let mut set: libc::cpu_set_t = unsafe { MaybeUninit::zeroed().assume_init() };
    // SAFETY: writes into the set, whose size it is told.
    if unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set) } != 0 {
        return Vec::new();
    }
    // SAFETY: each number is within the set.
    (0..libc::CPU_SETSIZE as usize).filter(|&cpu| unsafe { libc::CPU_ISSET(cpu, &set) }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::traffic::Traffic;
    use super::*;

    #[test]
    fn of_two_receivers_at_one_home_the_second_to_come_moves() {
        let homes = Homes { cpus: Some([0, 1]) };
        let traffic = Traffic::default();
        assert!(!homes.crowded(traffic.enter(Home::Second), Home::Second));
        assert!(homes.crowded(traffic.enter(Home::Second), Home::Second));
        assert!(!homes.crowded(traffic.move_over(Home::Second, Home::First), Home::First));
    }

    #[test]
    fn without_exactly_two_cpus_nobody_moves() {
        let traffic = Traffic::default();
        traffic.enter(Home::First);
        assert!(!Homes { cpus: None }.crowded(traffic.enter(Home::First), Home::First));
        assert!(Homes::new(3).cpus.is_none());
    }
}
