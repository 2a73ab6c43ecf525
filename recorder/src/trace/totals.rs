//! Exact totals per (second of start, op, errno, kind). Counted before anything can be dropped, mergeable by adding;
//! rows on disk are deltas. Knows no files: `tables.rs` turns them into columns.

use rustc_hash::FxHashMap;

use super::clock::second_of;
use super::histogram::Histogram;
use crate::event::{Event, Kind, Op};

/// What one row of totals is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub second_ns: i64,
    pub op: Op,
    pub errno: u16,
    pub kind: Kind,
}

/// One call or request as far as totals care.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub ts_ns: i64,
    pub op: Op,
    pub errno: u16,
    pub kind: Kind,
    pub bytes: u64,
    pub duration_ns: u64,
    pub backing_ns: u64,
}

impl From<&Event> for Sample {
    fn from(event: &Event) -> Sample {
        Sample {
            ts_ns: event.ts_ns,
            op: event.op,
            errno: event.errno,
            kind: event.kind,
            bytes: event.bytes(),
            duration_ns: event.duration_ns,
            backing_ns: event.backing_ns.unwrap_or(0),
        }
    }
}

/// The sums of one key. Sums stop at the greatest number rather than wrap.
#[derive(Clone, Debug, PartialEq)]
pub struct Sums {
    pub count: u64,
    pub bytes: u64,
    pub duration_ns: u64,
    pub backing_ns: u64,
    pub min_ns: u64,
    pub max_ns: u64,
    pub histogram: Histogram,
}

impl Default for Sums {
    fn default() -> Sums {
        Sums {
            count: 0,
            bytes: 0,
            duration_ns: 0,
            backing_ns: 0,
            min_ns: u64::MAX,
            max_ns: 0,
            histogram: Histogram::default(),
        }
    }
}

impl Sums {
    fn count(&mut self, sample: &Sample) {
        self.count += 1;
        self.bytes = self.bytes.saturating_add(sample.bytes);
        self.duration_ns = self.duration_ns.saturating_add(sample.duration_ns);
        self.backing_ns = self.backing_ns.saturating_add(sample.backing_ns);
        self.min_ns = self.min_ns.min(sample.duration_ns);
        self.max_ns = self.max_ns.max(sample.duration_ns);
        self.histogram.count(sample.duration_ns);
    }

    pub fn merge(&mut self, other: &Sums) {
        self.count = self.count.saturating_add(other.count);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.duration_ns = self.duration_ns.saturating_add(other.duration_ns);
        self.backing_ns = self.backing_ns.saturating_add(other.backing_ns);
        self.min_ns = self.min_ns.min(other.min_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
        self.histogram.merge(&other.histogram);
    }
}

/// The totals of what came in since they were last handed over.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    places: FxHashMap<Key, usize>,
    rows: Vec<(Key, Sums)>,
    /// Where the last sample went: the next one mostly goes there too.
    last: usize,
}

impl Totals {
    pub fn count(&mut self, sample: &Sample) {
        let Sample { ts_ns, op, errno, kind, .. } = *sample;
        let place = self.place(Key { second_ns: second_of(ts_ns), op, errno, kind });
        self.rows[place].1.count(sample);
    }

    pub fn merge(&mut self, other: &Totals) {
        other.rows.iter().for_each(|(key, sums)| self.add(*key, sums));
    }

    pub fn add(&mut self, key: Key, sums: &Sums) {
        let place = self.place(key);
        self.rows[place].1.merge(sums);
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// How many calls they count.
    pub fn counted(&self) -> u64 {
        self.rows.iter().map(|(_, sums)| sums.count).sum()
    }

    /// In order of first appearance.
    pub fn rows(&self) -> &[(Key, Sums)] {
        &self.rows
    }

    /// Rounds seconds down to multiples of `span_ns`: fewer rows, the same sums. For when the disk takes nothing for long.
    pub(super) fn coarsen(&mut self, span_ns: i64) {
        let mut coarse = Totals::default();
        for (key, sums) in &self.rows {
            let second_ns = key.second_ns.div_euclid(span_ns).saturating_mul(span_ns);
            coarse.add(Key { second_ns, ..*key }, sums);
        }
        *self = coarse;
    }

    fn place(&mut self, key: Key) -> usize {
        if self.rows.get(self.last).is_some_and(|(last, _)| *last == key) {
            return self.last;
        }
        self.last = *self.places.entry(key).or_insert_with(|| {
            self.rows.push((key, Sums::default()));
            self.rows.len() - 1
        });
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(second: i64, op: Op, duration_ns: u64) -> Sample {
        let ts_ns = second * 1_000_000_000 + 5;
        Sample { ts_ns, op, errno: 0, kind: Kind::Request, bytes: 10, duration_ns, backing_ns: 1 }
    }

    #[test]
    fn samples_of_one_second_and_op_add_up_and_others_stay_apart() {
        let mut totals = Totals::default();
        totals.count(&sample(1, Op::Read, 7));
        totals.count(&sample(1, Op::Read, 3));
        totals.count(&sample(2, Op::Read, 9));
        totals.count(&sample(1, Op::Write, 9));
        assert_eq!(totals.len(), 3);
        let (key, sums) = &totals.rows()[0];
        assert_eq!((key.second_ns, key.op), (1_000_000_000, Op::Read));
        assert_eq!((sums.count, sums.bytes, sums.duration_ns, sums.backing_ns), (2, 20, 10, 2));
        assert_eq!((sums.min_ns, sums.max_ns), (3, 7));
    }

    #[test]
    fn coarser_totals_keep_their_sums() {
        let mut totals = Totals::default();
        (0..600).for_each(|second| totals.count(&sample(second, Op::Read, second as u64)));
        totals.coarsen(60_000_000_000);
        assert_eq!(totals.len(), 10);
        assert_eq!(totals.counted(), 600);
    }

    #[test]
    fn merging_adds_equal_keys() {
        let (mut one, mut other) = (Totals::default(), Totals::default());
        one.count(&sample(1, Op::Read, 7));
        other.count(&sample(1, Op::Read, 5));
        other.count(&sample(3, Op::Read, 5));
        one.merge(&other);
        assert_eq!((one.len(), one.counted()), (2, 3));
        assert_eq!(one.rows()[0].1.min_ns, 5);
    }
}
