//! The thread "glassfs-trace": makes segments of batches and names them. What a full or failing disk does not take is
//! counted; totals and the ledger of it wait in memory until it takes them.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parquet::errors::ParquetError;

use super::about::About;
use super::account::Account;
use super::columns::Table;
use super::count_columns::{ledger_batch, plain_schema, processes_batch, totals_batch};
use super::encode::encode;
use super::event_columns::encode_events;
use super::folder::{ABOUT, Folder};
use super::handover::{Batch, Handover};
use super::housekeeper::Housekeeper;
use super::ledger::{Reason, Stage};
use super::manifest::{Contents, Live, Manifest};
use super::segment::Segment;

/// How often free space is looked at when nothing is written.
const IDLE: Duration = Duration::from_secs(1);

pub(super) struct Writer {
    pub folder: Arc<Folder>,
    pub manifest: Arc<Manifest>,
    pub handover: Arc<Handover>,
    pub about: Box<About>,
    pub about_written: bool,
    /// What is not on disk yet.
    pub pending: Account,
}

impl Writer {
    /// Until the trace is closed: deals with what comes. Gives the reason for the end.
    pub fn run(&mut self) -> String {
        loop {
            let work = self.handover.take(IDLE);
            self.look_at_space();
            if let Some(about) = work.about {
                (self.about, self.about_written) = (about, false);
            }
            match work.batch {
                Some(batch) => self.settle(batch),
                None => drop(self.write_pending(Vec::new())),
            }
            self.write_about();
            if let Some(reason) = work.closing {
                return reason;
            }
        }
    }

    /// The trace's end: merges the rest, says goodbye in trace.json, and removes what the manifest does not name. Whether
    /// the disk took everything.
    pub fn end(&mut self, reason: String, merging: JoinHandle<Housekeeper>) -> bool {
        self.manifest.closing();
        let mut housekeeper = merging.join();
        if let Ok(housekeeper) = &mut housekeeper {
            housekeeper.finish();
        }
        self.about.end_ns = Some(self.about.clock.now_ns());
        self.about.end_reason = Some(reason);
        self.about_written = false;
        if !self.write_about() {
            self.folder.release_reserve();
            self.write_about();
        }
        self.folder.release_reserve();
        // A finished trace can be read by plain globs, so no file may be in it twice.
        if let Ok(housekeeper) = &mut housekeeper {
            housekeeper.bury(Duration::ZERO);
        }
        self.about_written && self.pending.is_empty()
    }

    fn look_at_space(&self) {
        let wanted = u64::from(self.about.options.min_free_percent);
        // A disk that does not say is not called full: writing will tell.
        let low = self.folder.free_percent().is_ok_and(|free| free < wanted);
        self.handover.set_low_space(low);
    }

    pub fn write_about(&mut self) -> bool {
        if !self.about_written {
            let json = self.about.to_json().map_err(io::Error::from);
            self.about_written = json.and_then(|json| self.folder.replace(ABOUT, &json)).is_ok();
        }
        self.about_written
    }

    fn settle(&mut self, batch: Batch) {
        let (rows, bytes) = (batch.segment.len(), batch.segment.bytes());
        let urgent = batch.urgent;
        let complete = self.write(batch);
        self.handover.release(rows, bytes);
        let complete = (complete || (urgent && self.write_from_reserve())) && self.write_about();
        self.handover.settle(complete);
    }

    /// Totals and ledger that a full disk has refused, in the room that was kept for them.
    pub fn write_from_reserve(&mut self) -> bool {
        self.folder.release_reserve();
        self.write_pending(Vec::new()).is_ok()
    }

    /// Whether nothing waits any more.
    fn write(&mut self, batch: Batch) -> bool {
        self.pending.merge(batch.account);
        match self.write_events(&batch.segment) {
            Ok(events) => self.write_with_ledger(&batch.segment, events),
            Err(cause) => {
                self.pending.ledger.dropped(batch.segment.tally(), reason(&cause), Stage::Trace);
                self.write_pending(Vec::new()).is_ok()
            }
        }
    }

    /// The events are on disk; they count as stored only if their ledger and the manifest's line are too.
    fn write_with_ledger(&mut self, segment: &Segment, events: Option<Live>) -> bool {
        let before = self.pending.ledger.clone();
        self.pending.ledger.stored(segment.tally());
        let Err(cause) = self.write_pending(events.into_iter().collect()) else { return true };
        self.pending.ledger = before;
        self.pending.ledger.dropped(segment.tally(), reason(&cause), Stage::Trace);
        false
    }

    fn write_events(&self, segment: &Segment) -> io::Result<Option<Live>> {
        if segment.is_empty() {
            return Ok(None);
        }
        let bytes = unpanicked(|| encode_events(&self.about.id, segment))?;
        let contents = Contents::of(&bytes, segment.len() as u64, segment.streams(), segment.times());
        self.store(Table::Events, &bytes, contents).map(Some)
    }

    /// Writes what waits and names it together with `segments`. On failure all files of it are gone, and it waits on.
    fn write_pending(&mut self, mut segments: Vec<Live>) -> io::Result<()> {
        let outcome = self.write_counts(&mut segments).and_then(|()| match segments.is_empty() {
            true => Ok(()),
            false => self.manifest.add(segments.clone()),
        });
        match &outcome {
            Ok(()) => self.pending = Account::default(),
            Err(_) => segments.iter().for_each(|live| self.folder.remove(&live.name)),
        }
        outcome
    }

    fn write_counts(&self, segments: &mut Vec<Live>) -> io::Result<()> {
        let Account { totals, ledger, processes } = &self.pending;
        if self.pending.is_empty() {
            return Ok(());
        }
        let encoded = |table, batch: Result<_, arrow_schema::ArrowError>| {
            unpanicked(|| encode(&self.about.id, plain_schema(table), [batch.map_err(ParquetError::from)]))
        };
        if !totals.is_empty() {
            let bytes = encoded(Table::Totals, totals_batch(totals))?;
            let times = totals.rows().iter().map(|(key, _)| key.second_ns);
            segments.push(self.store(Table::Totals, &bytes, counted(&bytes, times))?);
        }
        if !ledger.is_empty() {
            let bytes = encoded(Table::Ledger, ledger_batch(ledger))?;
            let times = ledger.rows().into_iter().map(|(entry, _)| entry.second_ns);
            segments.push(self.store(Table::Ledger, &bytes, counted(&bytes, times))?);
        }
        if !processes.is_empty() {
            let bytes = encoded(Table::Processes, processes_batch(processes))?;
            let times = processes.iter().map(|row| row.ts_ns);
            segments.push(self.store(Table::Processes, &bytes, counted(&bytes, times))?);
        }
        Ok(())
    }

    fn store(&self, table: Table, bytes: &[u8], contents: Contents) -> io::Result<Live> {
        let name = self.folder.write_segment(table, bytes)?;
        Ok(Live { name, table, contents, generation: 0 })
    }
}

/// The contents of a segment without streams.
pub(super) fn counted(bytes: &[u8], times: impl Iterator<Item = i64> + Clone) -> Contents {
    let rows = times.clone().count() as u64;
    let times = (times.clone().min().unwrap_or(0), times.max().unwrap_or(0));
    Contents::of(bytes, rows, Vec::new(), times)
}

fn reason(cause: &io::Error) -> Reason {
    match cause.raw_os_error() {
        Some(libc::ENOSPC | libc::EDQUOT) => Reason::TraceDiskFull,
        _ => Reason::TraceDiskError,
    }
}

/// An encoder that gives up must not end the thread: it costs the segment, and is counted.
pub(super) fn unpanicked<T>(encode: impl FnOnce() -> Result<T, ParquetError>) -> io::Result<T> {
    let result = catch_unwind(AssertUnwindSafe(encode)).map_err(|_| io::Error::other("the encoder panicked"))?;
    result.map_err(io::Error::other)
}
