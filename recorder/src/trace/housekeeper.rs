//! The thread "glassfs-merge": merges small neighbours, keeps the trace below its limit, and removes merged-away files
//! after a while. Takes no time from writing: own thread, lower priority, and the manifest held for single lines only.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::columns::Table;
use super::count_columns::{ledger_batch, plain_schema};
use super::encode::encode;
use super::folder::Folder;
use super::handover::Handover;
use super::ledger::{Ledger, Reason, Tally};
use super::manifest::{Contents, Live, Manifest};
use super::merge::{Merge, tally_of};
use super::writer::{counted, unpanicked};
use crate::priority::set_nice;

/// Neighbours that become one. Each row is rewritten once for every factor of sixteen.
const NEIGHBOURS: usize = 16;

/// What counts as small, in rows. Sixteen of them are merged in memory: a column of 500,000 events, or totals of 65,000
/// rows at about 500 bytes.
const SMALL_EVENTS: u64 = 32_768;
const SMALL_COUNTS: u64 = 4_096;

/// How often it looks when nothing was added.
const LOOK: Duration = Duration::from_secs(1);

/// After a merge that failed (disk full, a damaged file) it lets the disk be for a while.
const RETRY: Duration = Duration::from_secs(10);

pub(super) struct Housekeeper {
    pub folder: Arc<Folder>,
    pub manifest: Arc<Manifest>,
    pub handover: Arc<Handover>,
    pub trace_id: String,
    pub max_bytes: u64,
    /// How long merged-away files stay for readers that are about to open them.
    pub merged_files_stay: Duration,
    pub graves: VecDeque<Grave>,
    pub rest_until: Option<Instant>,
}

/// A file that the manifest no longer counts as live.
pub(super) struct Grave {
    since: Instant,
    name: String,
    bytes: u64,
}

impl Housekeeper {
    /// Until the trace is closed.
    pub fn run(&mut self) {
        set_nice(NICE);
        while !self.manifest.wait_for_change(LOOK) {
            self.merge_all(false);
            self.keep_below_limit();
            self.bury(self.merged_files_stay);
        }
    }

    /// For who closes the trace, at their priority: somebody waits. Merges what is left. The graves stay.
    pub fn finish(&mut self) {
        self.merge_all(true);
        self.keep_below_limit();
    }

    /// Removes the files of merged-away segments that have waited for `stay`; all of them when space is low.
    pub fn bury(&mut self, stay: Duration) {
        let stay = if self.handover.low_space() { Duration::ZERO } else { stay };
        while self.graves.front().is_some_and(|grave| grave.since.elapsed() >= stay) {
            let grave = self.graves.pop_front();
            grave.into_iter().for_each(|grave| self.folder.remove(&grave.name));
        }
    }

    fn merge_all(&mut self, closing: bool) {
        if self.rest_until.is_some_and(|until| Instant::now() < until) && !closing {
            return;
        }
        self.rest_until = None;
        for table in Table::ALL {
            loop {
                let live = self.manifest.live(table);
                let Some(range) = next_merge(&live, small(table), closing) else { break };
                if self.merge(table, &live[range], closing).is_err() {
                    self.rest_until = Some(Instant::now() + RETRY);
                    return;
                }
            }
        }
    }

    fn merge(&mut self, table: Table, from: &[Live], closing: bool) -> io::Result<()> {
        let names: Vec<&str> = from.iter().map(|live| live.name.as_str()).collect();
        // What is half done when the trace is closed is done anew by `finish`, at a better priority.
        let given_up = || !closing && self.manifest.is_closing();
        let merge = Merge { folder: &self.folder, trace_id: &self.trace_id, table, given_up: &given_up };
        let (bytes, rows) = unpanicked(|| merge.segments(&names))?;
        let contents = joined(from, &bytes, rows);
        let name = self.folder.write_segment(table, &bytes)?;
        let generation = from.iter().map(|live| live.generation).max().unwrap_or(0) + 1;
        let merged = Live { name, table, contents, generation };
        self.manifest.replace(from, merged.clone()).inspect_err(|_| self.folder.remove(&merged.name))?;
        let since = Instant::now();
        let grave = |live: &Live| Grave { since, name: live.name.clone(), bytes: live.contents.bytes };
        self.graves.extend(from.iter().map(grave));
        Ok(())
    }

    /// Removes the oldest event segments until the trace is below its limit again.
    fn keep_below_limit(&mut self) {
        let waiting = |graves: &VecDeque<Grave>| graves.iter().map(|grave| grave.bytes).sum::<u64>();
        while self.manifest.live_bytes() + waiting(&self.graves) > self.max_bytes {
            if !self.graves.is_empty() {
                self.bury(Duration::ZERO);
            } else if self.remove_oldest().is_none() {
                return;
            }
        }
    }

    fn remove_oldest(&self) -> Option<()> {
        let oldest = self.manifest.live(Table::Events).into_iter().next()?;
        // A file that cannot be read any more is removed all the same, and counted where the manifest puts it.
        let tally = tally_of(&self.folder, &oldest.name).unwrap_or_else(|_| tally_by_manifest(&oldest.contents));
        let counted = self.write_removed(&tally).ok()?;
        let reason = Reason::TraceLimit.word();
        if self.manifest.remove(&oldest, reason, Some(counted.clone())).is_err() {
            self.folder.remove(&counted.name);
            return None;
        }
        self.folder.remove(&oldest.name);
        Some(())
    }

    fn write_removed(&self, tally: &Tally) -> io::Result<Live> {
        let mut ledger = Ledger::default();
        ledger.removed(tally);
        let batch = ledger_batch(&ledger).map_err(Into::into);
        let bytes = unpanicked(|| encode(&self.trace_id, plain_schema(Table::Ledger), [batch]))?;
        let contents = counted(&bytes, ledger.rows().into_iter().map(|(entry, _)| entry.second_ns));
        let name = self.folder.write_segment(Table::Ledger, &bytes)?;
        Ok(Live { name, table: Table::Ledger, contents, generation: 0 })
    }
}

fn small(table: Table) -> u64 {
    match table {
        Table::Events => SMALL_EVENTS,
        _ => SMALL_COUNTS,
    }
}

fn tally_by_manifest(contents: &Contents) -> Tally {
    let mut tally = Tally::default();
    tally.count(contents.from_ns, contents.streams.first().map_or(0, |(stream, ..)| *stream), contents.rows);
    tally
}

/// What `bytes` hold that neighbours were merged into: their seq ranges and times together.
fn joined(from: &[Live], bytes: &[u8], rows: u64) -> Contents {
    let mut streams: Vec<(u16, u64, u64)> = Vec::new();
    for (stream, first, last) in from.iter().flat_map(|live| live.contents.streams.iter().copied()) {
        match streams.iter_mut().find(|(of, ..)| *of == stream) {
            Some(range) => (range.1, range.2) = (range.1.min(first), range.2.max(last)),
            None => streams.push((stream, first, last)),
        }
    }
    streams.sort_unstable();
    let from_ns = from.iter().map(|live| live.contents.from_ns).min().unwrap_or(0);
    let to_ns = from.iter().map(|live| live.contents.to_ns).max().unwrap_or(0);
    Contents::of(bytes, rows, streams, (from_ns, to_ns))
}

/// Which neighbours to merge next. A segment that is not small is a wall: it stays as it is. Between walls, sixteen of
/// one generation are merged; what a wall (or the trace's end) cuts off from growing to sixteen is merged as it is.
fn next_merge(live: &[Live], small_rows: u64, closing: bool) -> Option<Range<usize>> {
    let mut start = 0;
    while start < live.len() {
        let is_small = |live: &Live| live.contents.rows <= small_rows;
        let length = live[start..].iter().take_while(|live| is_small(live)).count();
        let end = start + length;
        if let Some(range) = sixteen_of_one_generation(live, start..end) {
            return Some(range);
        }
        if length >= 2 && (closing || end < live.len()) {
            return Some(start..end.min(start + NEIGHBOURS));
        }
        start = end + 1;
    }
    None
}

fn sixteen_of_one_generation(live: &[Live], run: Range<usize>) -> Option<Range<usize>> {
    let start = run.start;
    let windows = live[run].windows(NEIGHBOURS);
    let equal = |window: &[Live]| window.iter().all(|live| live.generation == window[0].generation);
    let at = windows.enumerate().find_map(|(at, window)| equal(window).then_some(start + at))?;
    Some(at..at + NEIGHBOURS)
}

/// A third of what another thread gets of a busy core. At 19 it would be next to nothing, and a program that keeps all
/// cores busy would put off the size limit for good.
const NICE: libc::c_int = 5;

#[cfg(test)]
mod tests {
    use super::*;

    fn live(rows: u64, generation: u32) -> Live {
        let contents = Contents::of(b"", rows, Vec::new(), (0, 0));
        Live { name: String::new(), table: Table::Events, contents, generation }
    }

    fn many(count: usize, rows: u64, generation: u32) -> Vec<Live> {
        vec![live(rows, generation); count]
    }

    #[test]
    fn fewer_than_sixteen_small_ones_wait_for_more_unless_the_trace_ends() {
        let segments = many(15, 10, 0);
        assert_eq!(next_merge(&segments, 100, false), None);
        assert_eq!(next_merge(&segments, 100, true), Some(0..15));
        assert_eq!(next_merge(&many(1, 10, 0), 100, true), None);
    }

    #[test]
    fn sixteen_neighbours_of_one_generation_are_merged() {
        let segments = [many(3, 10, 1), many(17, 10, 0)].concat();
        assert_eq!(next_merge(&segments, 100, false), Some(3..19));
        assert_eq!(next_merge(&many(16, 10, 2), 100, false), Some(0..16));
        assert_eq!(next_merge(&[many(8, 10, 1), many(15, 10, 0)].concat(), 100, false), None);
    }

    #[test]
    fn what_a_large_segment_cuts_off_is_merged_as_it_is() {
        let segments = [many(1, 500, 0), many(3, 10, 0), many(1, 500, 0), many(2, 10, 0)].concat();
        assert_eq!(next_merge(&segments, 100, false), Some(1..4));
        assert_eq!(next_merge(&[many(1, 10, 0), many(1, 500, 0)].concat(), 100, false), None);
    }

    #[test]
    fn each_row_is_rewritten_at_most_once_for_a_factor_of_sixteen() {
        let (mut segments, mut rewritten) = (Vec::new(), 0);
        for _ in 0..4_096 {
            segments.push(live(1, 0));
            while let Some(range) = next_merge(&segments, 1_000_000, false) {
                let rows = segments[range.clone()].iter().map(|live| live.contents.rows).sum();
                let generation = segments[range.start].generation + 1;
                rewritten += rows;
                segments.splice(range, [live(rows, generation)]);
            }
        }
        assert_eq!((segments.len(), rewritten), (1, 3 * 4_096));
    }
}
