//! The ledger: seen = stored + dropped, per second of start and stream, with the reason of each loss. Only the ledger
//! defines loss. Rows on disk are deltas.

use rustc_hash::FxHashMap;

use super::clock::second_of;

/// Why an event is not in the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    QueueFull,
    TraceDiskFull,
    TraceDiskError,
    LowDiskSpace,
    TraceLimit,
}

impl Reason {
    pub const ALL: [Reason; 5] =
        [Reason::QueueFull, Reason::TraceDiskFull, Reason::TraceDiskError, Reason::LowDiskSpace, Reason::TraceLimit];

    pub fn word(self) -> &'static str {
        match self {
            Reason::QueueFull => "queue full",
            Reason::TraceDiskFull => "trace disk full",
            Reason::TraceDiskError => "trace disk error",
            Reason::LowDiskSpace => "low disk space",
            Reason::TraceLimit => "trace limit",
        }
    }
}

/// Where it was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    Queue,
    Trace,
    Retention,
}

impl Stage {
    pub const ALL: [Stage; 3] = [Stage::Queue, Stage::Trace, Stage::Retention];

    pub fn word(self) -> &'static str {
        match self {
            Stage::Queue => "queue",
            Stage::Trace => "trace",
            Stage::Retention => "retention",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Entry {
    pub second_ns: i64,
    pub stream: u16,
    /// None: nothing was lost here.
    pub loss: Option<(Reason, Stage)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub seen: u64,
    pub stored: u64,
    pub dropped: u64,
    pub removed: u64,
}

impl Counts {
    fn merge(&mut self, other: &Counts) {
        self.seen += other.seen;
        self.stored += other.stored;
        self.dropped += other.dropped;
        self.removed += other.removed;
    }

    fn is_nothing(&self) -> bool {
        *self == Counts::default()
    }
}

/// How many events of each (second, stream): what one segment holds, whose fate is not known yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally(Vec<(i64, u16, u64)>);

impl Tally {
    pub fn count(&mut self, ts_ns: i64, stream: u16, events: u64) {
        let second_ns = second_of(ts_ns);
        // From the back: events arrive nearly in order of time, and a segment spans a few seconds at most.
        match self.0.iter_mut().rev().find(|(second, of, _)| (*second, *of) == (second_ns, stream)) {
            Some((_, _, count)) => *count += events,
            None => self.0.push((second_ns, stream, events)),
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (i64, u16, u64)> + '_ {
        self.0.iter().copied()
    }
}

#[derive(Clone, Debug, Default)]
pub struct Ledger {
    rows: FxHashMap<Entry, Counts>,
}

impl Ledger {
    pub fn stored(&mut self, tally: &Tally) {
        for (second_ns, stream, events) in tally.iter() {
            let counts = Counts { seen: events, stored: events, ..Counts::default() };
            self.add(Entry { second_ns, stream, loss: None }, counts);
        }
    }

    pub fn dropped(&mut self, tally: &Tally, reason: Reason, stage: Stage) {
        for (second_ns, stream, events) in tally.iter() {
            self.drop_events(second_ns, stream, events, reason, stage);
        }
    }

    pub fn drop_events(&mut self, ts_ns: i64, stream: u16, events: u64, reason: Reason, stage: Stage) {
        let counts = Counts { seen: events, dropped: events, ..Counts::default() };
        self.add(Entry { second_ns: second_of(ts_ns), stream, loss: Some((reason, stage)) }, counts);
    }

    /// What was stored is no longer: the size limit took it.
    pub fn removed(&mut self, tally: &Tally) {
        for (second_ns, stream, events) in tally.iter() {
            let counts = Counts { removed: events, ..Counts::default() };
            self.add(Entry { second_ns, stream, loss: Some((Reason::TraceLimit, Stage::Retention)) }, counts);
        }
    }

    pub fn add(&mut self, entry: Entry, counts: Counts) {
        if !counts.is_nothing() {
            self.rows.entry(entry).or_default().merge(&counts);
        }
    }

    pub fn merge(&mut self, other: &Ledger) {
        other.rows.iter().for_each(|(entry, counts)| self.add(*entry, *counts));
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Ascending by second, stream and reason.
    pub fn rows(&self) -> Vec<(Entry, Counts)> {
        let mut rows: Vec<_> = self.rows.iter().map(|(entry, counts)| (*entry, *counts)).collect();
        rows.sort_unstable_by_key(|(entry, _)| *entry);
        rows
    }

    /// All rows together.
    pub fn sum(&self) -> Counts {
        let mut sum = Counts::default();
        self.rows.values().for_each(|counts| sum.merge(counts));
        sum
    }

    /// Rounds seconds down to multiples of `span_ns`: fewer rows, the same sums. For when the disk takes nothing for long.
    pub(super) fn coarsen(&mut self, span_ns: i64) {
        let mut coarse = Ledger::default();
        for (entry, counts) in &self.rows {
            let second_ns = entry.second_ns.div_euclid(span_ns).saturating_mul(span_ns);
            coarse.add(Entry { second_ns, ..*entry }, *counts);
        }
        *self = coarse;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_stored_or_dropped() {
        let mut tally = Tally::default();
        tally.count(1_500_000_000, 0, 2);
        tally.count(1_600_000_000, 0, 1);
        tally.count(2_000_000_000, 1, 4);
        let mut ledger = Ledger::default();
        ledger.stored(&tally);
        ledger.dropped(&tally, Reason::TraceDiskFull, Stage::Trace);
        ledger.removed(&tally);
        assert_eq!(ledger.len(), 6);
        assert_eq!(ledger.sum(), Counts { seen: 14, stored: 7, dropped: 7, removed: 7 });
        assert_eq!(ledger.rows()[0].0, Entry { second_ns: 1_000_000_000, stream: 0, loss: None });
    }

    #[test]
    fn a_coarser_ledger_keeps_its_sums() {
        let mut ledger = Ledger::default();
        for second in 0..600 {
            ledger.drop_events(second * 1_000_000_000, 0, 1, Reason::LowDiskSpace, Stage::Trace);
        }
        ledger.coarsen(60_000_000_000);
        assert_eq!((ledger.len(), ledger.sum().dropped), (10, 600));
    }
}
