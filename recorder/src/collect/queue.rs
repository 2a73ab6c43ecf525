//! The bounded queue between the workers and the collector. A worker never waits for the collector: it puts its record
//! down, or counts it as dropped. Knows no names and no trace folder, only what totals need of a dropped record.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::record::{Item, Listed, Record};
use crate::event::Kind;
use crate::trace::{Clock, Sample, Totals};
use crate::wire::Node;

/// Records in the queue at most: 64 MB, and 2.5 s of 200,000 requests a second during which the collector does not run at
/// all. The trace may hold another 160 MB, and the recorder 250 MB together.
pub const MAX_RECORDS: usize = 500_000;

/// Memory for each record of the limit: the item itself and, for most requests, all of the names it carries.
const BYTES_PER_RECORD: usize = size_of::<Item>() + 16;

/// Beyond the limit, a sixteenth of it is kept for what is only to be learned: dropping a rename's event must not make
/// the paths of later events wrong.
const LEARNING_SHARE: usize = 16;

/// Items in one block of memory (512 KiB): what a collector that wakes every 10 ms finds at 400,000 requests a second.
const CHUNK_ITEMS: usize = 4096;

/// Emptied blocks that are kept (4 MiB) rather than given back.
const SPARE_CHUNKS: usize = 8;

pub struct Queue {
    inner: Mutex<Inner>,
    limit: Room,
    clock: Clock,
}

/// How much is held, or may be.
#[derive(Clone, Copy, Debug, Default)]
struct Room {
    items: usize,
    bytes: usize,
}

impl Room {
    fn is_below(self, limit: Room) -> bool {
        self.items < limit.items && self.bytes < limit.bytes
    }

    fn with_learning_share(self) -> Room {
        Room { items: self.items + self.items / LEARNING_SHARE, bytes: self.bytes + self.bytes / LEARNING_SHARE }
    }
}

#[derive(Default)]
struct Inner {
    full: Vec<Vec<Item>>,
    current: Vec<Item>,
    spare: Vec<Vec<Item>>,
    held: Room,
    next_seq: u64,
    drops: Totals,
    names_lost: bool,
}

/// Everything that was in the queue, in order, and what was dropped since the last time.
#[derive(Default)]
pub struct Drained {
    pub chunks: Vec<Vec<Item>>,
    pub drops: Totals,
}

impl Queue {
    /// `clock` is the trace's: it says in which second a dropped record belongs.
    pub fn new(limit_records: usize, clock: Clock) -> Queue {
        let limit = Room { items: limit_records, bytes: limit_records * BYTES_PER_RECORD };
        Queue { inner: Mutex::default(), limit, clock }
    }

    /// Numbers the record and puts it down, or counts it as dropped if the queue is full. Numbers are dense: a dropped
    /// record has used one up.
    pub fn push(&self, mut record: Record) {
        let mut inner = self.lock();
        record.seq = inner.next_seq;
        inner.next_seq += 1;
        if inner.held.is_below(self.limit) {
            let bytes = record.heap_bytes();
            inner.append(Item::Served(record), bytes);
            return;
        }
        inner.drops.count(&self.sample(&record));
        if record.concerns_names() {
            let bytes = record.heap_bytes() + size_of::<Record>();
            self.learn(&mut inner, Item::Unstored(Box::new(record)), bytes);
        }
    }

    /// What a request of our own tells of names: it is none of the program's, so it gets no number and no event.
    pub fn learned(&self, record: Record) {
        if record.concerns_names() {
            let bytes = record.heap_bytes() + size_of::<Record>();
            self.learn(&mut self.lock(), Item::Unstored(Box::new(record)), bytes);
        }
    }

    /// Names that a readdirplus told the kernel. Before its record.
    pub fn listed(&self, listed: Listed) {
        let bytes = listed.entries.heap_bytes() + size_of::<Listed>();
        self.learn(&mut self.lock(), Item::Listed(Box::new(listed)), bytes);
    }

    /// A node that the kernel has forgotten for good.
    pub fn gone(&self, connection: u8, node: Node) {
        self.learn(&mut self.lock(), Item::Gone { connection, node }, 0);
    }

    /// Takes everything: an exchange of pointers.
    pub fn drain(&self) -> Drained {
        let mut inner = self.lock();
        let mut chunks = std::mem::take(&mut inner.full);
        if !inner.current.is_empty() {
            let empty = inner.spare.pop().unwrap_or_default();
            chunks.push(std::mem::replace(&mut inner.current, empty));
        }
        inner.held = Room::default();
        inner.names_lost = false;
        Drained { chunks, drops: std::mem::take(&mut inner.drops) }
    }

    /// Gives an emptied chunk back for reuse.
    pub fn recycle(&self, mut chunk: Vec<Item>) {
        chunk.clear();
        let mut inner = self.lock();
        if inner.spare.len() < SPARE_CHUNKS {
            inner.spare.push(chunk);
        }
    }

    fn learn(&self, inner: &mut Inner, item: Item, bytes: usize) {
        if inner.held.is_below(self.limit.with_learning_share()) {
            inner.append(item, bytes);
        } else if !inner.names_lost {
            inner.names_lost = true;
            inner.append(Item::NamesLost, 0);
        }
    }

    fn sample(&self, record: &Record) -> Sample {
        Sample {
            ts_ns: self.clock.ts_ns(record.start_ns),
            op: record.op,
            errno: record.errno,
            kind: Kind::Request,
            bytes: record.bytes(),
            duration_ns: record.duration_ns,
            backing_ns: record.backing_ns,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change is complete before anything can panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn append(&mut self, item: Item, heap_bytes: usize) {
        if self.current.len() >= self.current.capacity().min(CHUNK_ITEMS) {
            let empty = self.spare.pop().filter(|spare| spare.capacity() >= CHUNK_ITEMS);
            let empty = empty.unwrap_or_else(|| Vec::with_capacity(CHUNK_ITEMS));
            let full = std::mem::replace(&mut self.current, empty);
            if !full.is_empty() {
                self.full.push(full);
            }
        }
        self.current.push(item);
        self.held.items += 1;
        self.held.bytes += size_of::<Item>() + heap_bytes;
    }
}

#[cfg(test)]
mod tests;
