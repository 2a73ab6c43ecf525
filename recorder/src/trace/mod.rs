//! The trace folder's writer: segments, manifest, totals, ledger, merging, retention. docs/trace-format.md is its contract.
//! Knows no FUSE. Recording never waits for it: what it cannot take in time it counts.

mod about;
mod account;
mod clock;
pub mod columns;
mod count_columns;
mod dictionary;
mod encode;
mod error;
mod event_columns;
#[cfg(feature = "failpoints")]
mod failpoint;
mod folder;
mod handover;
mod histogram;
mod housekeeper;
mod ledger;
mod manifest;
mod merge;
mod packing;
mod pages;
mod processes;
mod segment;
mod totals;
mod values;
mod writer;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

pub use about::{About, Command, Host, Limits, Mount, Note, OpenElsewhere, Recorder, Remaining, SchemaVersion};
pub use clock::{Clock, Reading, second_of};
pub use columns::columns;
pub use error::Error;
pub use folder::BeforeWrite;
pub use histogram::{Histogram, bucket_of};
pub use ledger::{Counts, Entry, Ledger, Reason, Stage};
pub use manifest::{Contents, Line};
pub use processes::ProcessRow;
pub use totals::{Key, Sample, Sums, Totals};

use crate::event::Event;
use crate::priority::set_nice;
use account::Account;
use folder::Folder;
use handover::{Batch, Handover};
use housekeeper::Housekeeper;
use manifest::Manifest;
use writer::Writer;

/// How a trace is written. What concerns readers too (size limit, free space) is in `About::options`.
#[derive(Clone)]
pub struct Settings {
    /// Made if it is not there; must be empty if it is.
    pub folder: PathBuf,
    /// A person sees an event within a second of its end.
    pub segment_interval: Duration,
    /// A segment is closed earlier at so many events: 256 k take 24 MB in memory, and are encoded in 0.1 s.
    pub segment_rows: usize,
    /// Events in memory, waiting for the disk: 5 s of 200,000 a second.
    pub waiting_rows: usize,
    /// And their bytes, for names too are held: of the recorder's 250 MB half.
    pub waiting_bytes: usize,
    /// How long merged-away files stay for readers that are about to open them.
    pub merged_files_stay: Duration,
    /// For tests: stalls or fails the disk.
    pub before_write: Option<BeforeWrite>,
}

impl Settings {
    pub fn new(folder: impl Into<PathBuf>) -> Settings {
        Settings {
            folder: folder.into(),
            segment_interval: Duration::from_millis(500),
            segment_rows: 256_000,
            waiting_rows: 1_000_000,
            waiting_bytes: 120 << 20,
            merged_files_stay: Duration::from_secs(60),
            before_write: failpoint(),
        }
    }
}

#[cfg(feature = "failpoints")]
fn failpoint() -> Option<BeforeWrite> {
    failpoint::stall()
}

#[cfg(not(feature = "failpoints"))]
fn failpoint() -> Option<BeforeWrite> {
    None
}

/// A trace being written. One thread pushes; two of its own write and merge.
pub struct Trace {
    settings: Settings,
    about: About,
    open: Batch,
    handed_over: Instant,
    handover: Arc<Handover>,
    folder: Arc<Folder>,
    writer: Option<JoinHandle<bool>>,
}

impl Trace {
    /// Makes the folder and starts the threads. The folder is readable as a trace from here on.
    pub fn create(settings: Settings, about: About) -> Result<Trace, Error> {
        let folder = Arc::new(Folder::create(&settings.folder, settings.before_write.clone())?);
        let refused = |action, name: &str| Error::folder(action, folder.path(name));
        let json = about.to_json().map_err(std::io::Error::from).map_err(refused("write", folder::ABOUT))?;
        folder.replace(folder::ABOUT, &json).map_err(refused("write", folder::ABOUT))?;
        let manifest = Arc::new(Manifest::create(&folder).map_err(refused("create", folder::MANIFEST))?);
        let handover = Arc::new(Handover::default());
        let housekeeper = Housekeeper {
            folder: folder.clone(),
            manifest: manifest.clone(),
            handover: handover.clone(),
            trace_id: about.id.clone(),
            max_bytes: about.options.max_bytes,
            merged_files_stay: settings.merged_files_stay,
            graves: VecDeque::new(),
            rest_until: None,
        };
        let writer = Writer {
            folder: folder.clone(),
            manifest,
            handover: handover.clone(),
            about: Box::new(about.clone()),
            about_written: true,
            pending: Account::default(),
        };
        let writer = start(writer, housekeeper)?;
        Ok(Trace {
            settings,
            about,
            open: Batch::new(),
            handed_over: Instant::now(),
            handover,
            folder,
            writer: Some(writer),
        })
    }

    /// Where it lies.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.root()
    }

    pub fn clock(&self) -> Clock {
        self.about.clock
    }

    /// Takes an event, or counts it as dropped; in totals it is either way. Never waits.
    pub fn push(&mut self, event: &Event) {
        self.open.account.totals.count(&Sample::from(event));
        if let Some(reason) = self.refusal() {
            self.open.account.ledger.drop_events(event.ts_ns, event.stream, 1, reason, Stage::Trace);
            return;
        }
        self.open.segment.push(event);
        if self.open.segment.len() >= self.settings.segment_rows {
            self.hand_over();
        }
    }

    fn refusal(&self) -> Option<Reason> {
        let segment = &self.open.segment;
        if self.handover.low_space() {
            Some(Reason::LowDiskSpace)
        } else if self.handover.rows() + segment.len() >= self.settings.waiting_rows
            || self.handover.bytes() + segment.bytes() >= self.settings.waiting_bytes
        {
            Some(Reason::QueueFull)
        } else {
            None
        }
    }

    /// Counts events that were dropped before they came here, at `stage`.
    pub fn count_dropped(&mut self, stream: u16, drops: &Totals, reason: Reason, stage: Stage) {
        self.open.account.totals.merge(drops);
        for (key, sums) in drops.rows() {
            self.open.account.ledger.drop_events(key.second_ns, stream, sums.count, reason, stage);
        }
    }

    /// Counts events of which nothing else is known: totals lack them.
    pub fn count_lost(&mut self, stream: u16, ts_ns: i64, events: u64, reason: Reason, stage: Stage) {
        self.open.account.ledger.drop_events(ts_ns, stream, events, reason, stage);
    }

    pub fn process(&mut self, row: ProcessRow) {
        self.open.account.processes.push(row);
    }

    /// To be called at least every 50 ms: hands over what has gathered, twice a second.
    pub fn tick(&mut self) {
        if self.handed_over.elapsed() < self.settings.segment_interval || self.open.is_empty() {
            return;
        }
        if self.handover.has_room() {
            self.hand_over();
        } else {
            self.open.account.keep_small();
        }
    }

    fn hand_over(&mut self) -> u64 {
        self.handed_over = Instant::now();
        self.handover.give(std::mem::replace(&mut self.open, Batch::new()))
    }

    /// Waits until everything that came so far is named in the manifest, or in its ledger; false if that took too long
    /// or the disk did not take it.
    pub fn flush(&mut self, timeout: Duration) -> bool {
        self.flush_soon().wait(timeout)
    }

    /// As `flush`, for waiting elsewhere.
    pub fn flush_soon(&mut self) -> Flush {
        self.open.urgent = true;
        let number = self.hand_over();
        Flush { handover: self.handover.clone(), number }
    }

    /// Changes trace.json, soon.
    pub fn about(&mut self, change: impl FnOnce(&mut About)) {
        change(&mut self.about);
        self.handover.about(self.about.clone());
    }

    /// Writes and merges what is left and says goodbye in trace.json; false if the disk did not take all of it.
    pub fn close(mut self, reason: &str) -> bool {
        self.end(reason)
    }

    fn end(&mut self, reason: &str) -> bool {
        let Some(writer) = self.writer.take() else { return false };
        self.open.urgent = true;
        self.hand_over();
        self.handover.close(reason.to_owned());
        writer.join().unwrap_or(false)
    }
}

impl Drop for Trace {
    /// A trace that nobody closed, because its owner panicked, still loses nothing.
    fn drop(&mut self) {
        self.end("recorder failed");
    }
}

/// A flush under way.
pub struct Flush {
    handover: Arc<Handover>,
    number: u64,
}

impl Flush {
    pub fn wait(&self, timeout: Duration) -> bool {
        self.handover.wait(self.number, timeout)
    }
}

/// A million calls a second take half a core. Sixteen busy threads on two cores leave an ordinary one an eighth.
const NICE: libc::c_int = -10;

fn start(mut writer: Writer, mut housekeeper: Housekeeper) -> Result<JoinHandle<bool>, Error> {
    let spawn = |name: &'static str| move |cause| Error::Thread { name, cause };
    let merging = Builder::new().name("glassfs-merge".into()).spawn(move || {
        housekeeper.run();
        housekeeper
    });
    let merging = merging.map_err(spawn("glassfs-merge"))?;
    let body = move || {
        // Also when it panics, so that nobody waits for it.
        let _gone = Gone(writer.handover.clone());
        set_nice(NICE);
        let reason = writer.run();
        writer.end(reason, merging)
    };
    Builder::new().name("glassfs-trace".into()).spawn(body).map_err(spawn("glassfs-trace"))
}

/// Tells those who wait that the writer will not answer any more.
struct Gone(Arc<Handover>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.gone();
    }
}

#[cfg(test)]
pub(crate) mod tests;
