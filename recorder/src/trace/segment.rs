//! The events of one segment while they are in memory: compact rows, and what rows share (names, who, which file) in
//! dictionaries keyed by the names' pointers, so that no long string is hashed for an event. Knows no Parquet.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::ledger::Tally;
use crate::event::{Event, FileType, Kind, Op, Origin, Plane};

/// One event without what it shares with others. 96 bytes: a stalled disk keeps up to a million of them in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub ts_ns: i64,
    pub seq: u64,
    pub duration_ns: u64,
    pub backing_ns: u64,
    pub offset: u64,
    pub size: u64,
    pub result: i64,
    pub fh: u64,
    /// Places in the segment's dictionaries.
    pub file: u32,
    pub who: u32,
    pub path2: u32,
    pub flags: u32,
    pub mode: u32,
    pub requests: u32,
    /// Bits of `has`.
    pub has: u16,
    pub errno: u16,
    pub syscall_nr: u16,
    pub op: Op,
    sort: Sort,
}

const _: () = assert!(size_of::<Row>() == 96, "the memory of a stalled trace is counted in these");

/// Kind, origin and plane in one byte.
#[derive(Clone, Copy, Debug)]
struct Sort(u8);

impl Row {
    pub fn kind(&self) -> Kind {
        match self.sort.0 & 3 {
            0 => Kind::Call,
            1 => Kind::Request,
            2 => Kind::IoUring,
            _ => Kind::Aio,
        }
    }

    pub fn origin(&self) -> Origin {
        if self.sort.0 & 4 == 0 { Origin::Program } else { Origin::Kernel }
    }

    pub fn plane(&self) -> Plane {
        if self.sort.0 & 8 == 0 { Plane::Daemon } else { Plane::Kernel }
    }
}

/// Bits of `Row::has`: which optional fields hold something.
pub(super) mod has {
    pub const BACKING: u16 = 1;
    pub const SYSCALL: u16 = 1 << 1;
    pub const PATH2: u16 = 1 << 2;
    pub const OFFSET: u16 = 1 << 3;
    pub const SIZE: u16 = 1 << 4;
    pub const RESULT: u16 = 1 << 5;
    pub const FLAGS: u16 = 1 << 6;
    pub const MODE: u16 = 1 << 7;
    pub const FH: u16 = 1 << 8;
}

/// What events on one file share.
#[derive(Clone, Debug)]
pub(super) struct File {
    pub path: Option<Arc<str>>,
    pub ino: Option<u64>,
    pub dev: Option<u64>,
    pub file_type: Option<FileType>,
}

/// What events of one thread share.
#[derive(Clone, Debug)]
pub(super) struct Who {
    pub stream: u16,
    pub pid: Option<u32>,
    pub tid: Option<u32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub comm: Option<Arc<str>>,
}

/// (stream, first seq, last seq)
pub(super) type Range = (u16, u64, u64);

/// Numbers by which two files (or two threads) are told apart, small: a map of them is most of what a new name costs.
type FileKey = (usize, u64, u64, u8);
type WhoKey = (usize, [u32; 4], u16, u8);

/// Which of the optional numbers are there, as bits; then their zeros say nothing.
fn present(are: [bool; 4]) -> u8 {
    are.iter().enumerate().map(|(bit, is)| u8::from(*is) << bit).sum()
}

fn file_key(event: &Event) -> FileKey {
    let Event { path, ino, dev, file_type, .. } = event;
    let kind = file_type.map_or(0, |kind| kind as u8 + 1);
    let bits = present([ino.is_some(), dev.is_some(), false, false]) << 4 | kind;
    (address(path), ino.unwrap_or(0), dev.unwrap_or(0), bits)
}

fn who_key(event: &Event) -> WhoKey {
    let ids = [event.pid, event.tid, event.uid, event.gid];
    (address(&event.comm), ids.map(|id| id.unwrap_or(0)), event.stream, present(ids.map(|id| id.is_some())))
}

/// Where a name lies: one number for one Arc while the segment holds it. Equal names in two Arcs are two entries, which
/// costs a little space in memory and none on disk.
fn address(name: &Option<Arc<str>>) -> usize {
    name.as_ref().map_or(0, |name| name.as_ptr().addr())
}

/// A dictionary of things that know their key.
#[derive(Debug)]
struct Shared<K, T> {
    places: FxHashMap<K, u32>,
    things: Vec<T>,
    /// The last one asked for: mostly the next one too.
    last: Option<(K, u32)>,
}

impl<K: Copy + Eq + std::hash::Hash, T> Shared<K, T> {
    fn new() -> Shared<K, T> {
        Shared { places: FxHashMap::default(), things: Vec::new(), last: None }
    }

    fn place(&mut self, key: K, thing: impl FnOnce() -> T) -> u32 {
        if let Some((last, place)) = self.last
            && last == key
        {
            return place;
        }
        let things = &mut self.things;
        let place = *self.places.entry(key).or_insert_with(|| {
            things.push(thing());
            (things.len() - 1) as u32
        });
        self.last = Some((key, place));
        place
    }
}

/// A segment as it fills.
#[derive(Debug)]
pub(super) struct Segment {
    rows: Vec<Row>,
    files: Shared<FileKey, File>,
    whos: Shared<WhoKey, Who>,
    path2s: Vec<Arc<str>>,
    tally: Tally,
    streams: Vec<Range>,
    /// Of the starts: the earliest, and the latest so far, which the next row's should not precede.
    times: Option<(i64, i64)>,
    in_order: bool,
    /// Bytes of names and dictionary entries, nearly.
    shared_bytes: usize,
}

/// What an entry of a dictionary costs beside its name: itself, its key in a map that may be half empty, and the Arc's
/// two counts. Measured with half a million names.
const ENTRY_BYTES: usize = 240;

impl Segment {
    pub fn new() -> Segment {
        Segment {
            rows: Vec::new(),
            files: Shared::new(),
            whos: Shared::new(),
            path2s: Vec::new(),
            tally: Tally::default(),
            streams: Vec::new(),
            times: None,
            in_order: true,
            shared_bytes: 0,
        }
    }

    pub fn push(&mut self, event: &Event) {
        self.tally.count(event.ts_ns, event.stream, 1);
        self.note(event);
        let row = Row {
            ts_ns: event.ts_ns,
            seq: event.seq,
            duration_ns: event.duration_ns,
            backing_ns: event.backing_ns.unwrap_or(0),
            offset: event.offset.unwrap_or(0),
            size: event.size.unwrap_or(0),
            result: event.result.unwrap_or(0),
            fh: event.fh.unwrap_or(0),
            path2: self.path2s.len() as u32,
            flags: event.flags.unwrap_or(0),
            mode: event.mode.unwrap_or(0),
            requests: event.requests,
            has: has_bits(event),
            errno: event.errno,
            syscall_nr: event.syscall_nr.unwrap_or(0),
            op: event.op,
            sort: Sort(event.kind as u8 | (event.origin as u8) << 2 | (event.plane as u8) << 3),
            who: self.who(event),
            file: self.file(event),
        };
        if let Some(path2) = &event.path2 {
            self.shared_bytes += path2.len() + ENTRY_BYTES;
            self.path2s.push(path2.clone());
        }
        self.rows.push(row);
    }

    fn file(&mut self, event: &Event) -> u32 {
        let Event { path, ino, dev, file_type, .. } = event;
        let shared_bytes = &mut self.shared_bytes;
        self.files.place(file_key(event), || {
            *shared_bytes += path.as_ref().map_or(0, |path| path.len()) + ENTRY_BYTES;
            File { path: path.clone(), ino: *ino, dev: *dev, file_type: *file_type }
        })
    }

    fn who(&mut self, event: &Event) -> u32 {
        let Event { stream, pid, tid, uid, gid, comm, .. } = event;
        let shared_bytes = &mut self.shared_bytes;
        self.whos.place(who_key(event), || {
            *shared_bytes += comm.as_ref().map_or(0, |comm| comm.len()) + ENTRY_BYTES;
            Who { stream: *stream, pid: *pid, tid: *tid, uid: *uid, gid: *gid, comm: comm.clone() }
        })
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// What it takes in memory, nearly. Room that the row vector has and does not use is not touched, so not resident.
    pub fn bytes(&self) -> usize {
        self.rows.len() * size_of::<Row>() + self.shared_bytes
    }

    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    pub fn files(&self) -> &[File] {
        &self.files.things
    }

    pub fn whos(&self) -> &[Who] {
        &self.whos.things
    }

    pub fn path2s(&self) -> &[Arc<str>] {
        &self.path2s
    }

    /// The places of the rows in order of start, then of seq.
    pub fn by_start(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.rows.len() as u32).collect();
        if !self.in_order {
            order.sort_by_key(|&at| {
                let row = &self.rows[at as usize];
                (row.ts_ns, row.seq)
            });
        }
        order
    }

    /// (stream, first seq, last seq) of each stream, ascending.
    pub fn streams(&self) -> Vec<Range> {
        let mut ranges = self.streams.clone();
        ranges.sort_unstable();
        ranges
    }

    /// The earliest and the latest start; zeros if it is empty.
    pub fn times(&self) -> (i64, i64) {
        self.times.unwrap_or_default()
    }

    /// What would take another look at all rows.
    fn note(&mut self, event: &Event) {
        let Event { stream, seq, ts_ns, .. } = *event;
        let (earliest, latest) = self.times.unwrap_or((ts_ns, ts_ns));
        // Mostly it is later than all before: then the row before need not be looked at.
        self.in_order &= ts_ns > latest || self.rows.last().is_none_or(|row| (row.ts_ns, row.seq) <= (ts_ns, seq));
        self.times = Some((earliest.min(ts_ns), latest.max(ts_ns)));
        match self.streams.iter_mut().find(|(of, ..)| *of == stream) {
            Some((_, first, last)) => (*first, *last) = ((*first).min(seq), (*last).max(seq)),
            None => self.streams.push((stream, seq, seq)),
        }
    }
}

fn has_bits(event: &Event) -> u16 {
    let bit = |present: bool, bit: u16| if present { bit } else { 0 };
    bit(event.backing_ns.is_some(), has::BACKING)
        | bit(event.syscall_nr.is_some(), has::SYSCALL)
        | bit(event.path2.is_some(), has::PATH2)
        | bit(event.offset.is_some(), has::OFFSET)
        | bit(event.size.is_some(), has::SIZE)
        | bit(event.result.is_some(), has::RESULT)
        | bit(event.flags.is_some(), has::FLAGS)
        | bit(event.mode.is_some(), has::MODE)
        | bit(event.fh.is_some(), has::FH)
}
