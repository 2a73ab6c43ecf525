//! What is counted and said rather than stored by the event: totals, ledger and processes, until a disk takes them.
//! Bounded, so that a disk that takes nothing for days costs detail and no memory; the sums stay exact.

use super::clock::NS_PER_SECOND;
use super::ledger::Ledger;
use super::processes::ProcessRow;
use super::totals::Totals;

/// Rows of totals and ledger that may wait (about 2 kB each). Beyond it they are added up by the minute, then by the
/// hour, then by the day.
const WAITING_ROWS: usize = 10_000;
const COARSER_NS: [i64; 3] = [60 * NS_PER_SECOND, 3_600 * NS_PER_SECOND, 86_400 * NS_PER_SECOND];

/// Rows of processes that may wait (about 500 bytes each); beyond it the oldest are forgotten.
const WAITING_PROCESSES: usize = 20_000;

#[derive(Debug, Default)]
pub(super) struct Account {
    pub totals: Totals,
    pub ledger: Ledger,
    pub processes: Vec<ProcessRow>,
}

impl Account {
    pub fn is_empty(&self) -> bool {
        self.totals.is_empty() && self.ledger.is_empty() && self.processes.is_empty()
    }

    pub fn merge(&mut self, other: Account) {
        self.totals.merge(&other.totals);
        self.ledger.merge(&other.ledger);
        self.processes.extend(other.processes);
        self.keep_small();
    }

    pub fn keep_small(&mut self) {
        for span_ns in COARSER_NS {
            if self.totals.len() + self.ledger.len() > WAITING_ROWS {
                self.totals.coarsen(span_ns);
                self.ledger.coarsen(span_ns);
            }
        }
        let too_many = self.processes.len().saturating_sub(WAITING_PROCESSES);
        self.processes.drain(..too_many);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Kind, Op};
    use crate::trace::ledger::{Reason, Stage};
    use crate::trace::totals::Sample;

    #[test]
    fn what_a_disk_does_not_take_for_hours_stays_exact_and_small() {
        let mut account = Account::default();
        let one = |ts_ns, op| {
            let (kind, bytes) = (Kind::Request, 1);
            Sample { ts_ns, op, errno: 0, kind, bytes, duration_ns: 1, backing_ns: 0 }
        };
        for ts_ns in (0..10_000).map(|second| second * NS_PER_SECOND) {
            Op::ALL.iter().for_each(|op| account.totals.count(&one(ts_ns, *op)));
            account.ledger.drop_events(ts_ns, 0, Op::ALL.len() as u64, Reason::TraceDiskFull, Stage::Trace);
            account.keep_small();
        }
        assert!(account.totals.len() + account.ledger.len() <= WAITING_ROWS);
        assert_eq!(account.totals.counted(), 10_000 * Op::ALL.len() as u64);
        assert_eq!(account.ledger.sum().dropped, 10_000 * Op::ALL.len() as u64);
    }
}
