//! Between who pushes and who writes: batches in a queue that is bounded by what they hold. Pushing never waits here for
//! more than the exchange of a pointer.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::about::About;
use super::account::Account;
use super::segment::Segment;

/// What came in between two hand-overs. It becomes up to one segment of each table, which appear together.
#[derive(Debug)]
pub(super) struct Batch {
    pub segment: Segment,
    pub account: Account,
    /// Somebody waits for it: a full disk's reserve may be used.
    pub urgent: bool,
}

impl Batch {
    pub fn new() -> Batch {
        Batch { segment: Segment::new(), account: Account::default(), urgent: false }
    }

    pub fn is_empty(&self) -> bool {
        self.segment.is_empty() && self.account.is_empty()
    }
}

/// What the writer is to do next.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub batch: Option<Batch>,
    pub about: Option<Box<About>>,
    /// Nothing more will come: why the trace ends.
    pub closing: Option<String>,
}

/// Where waiting batches end to be handed over for their age alone: a writer that stands still must not gather batches
/// without events forever.
const BATCHES_WAITING: usize = 8;

#[derive(Default)]
pub(super) struct Handover {
    queue: Mutex<Queue>,
    arrived: Condvar,
    settled: Condvar,
    /// Events and bytes that were handed over and are not on disk yet.
    rows: AtomicUsize,
    bytes: AtomicUsize,
    low_space: AtomicBool,
}

#[derive(Default)]
struct Queue {
    batches: VecDeque<Batch>,
    about: Option<Box<About>>,
    closing: Option<String>,
    /// Batches handed over and dealt with since the start.
    handed_over: u64,
    settled: u64,
    /// Whether the last one dealt with left nothing unwritten.
    complete: bool,
    gone: bool,
}

impl Handover {
    /// Gives the number of the batch, for `wait`.
    pub fn give(&self, batch: Batch) -> u64 {
        self.rows.fetch_add(batch.segment.len(), Ordering::Relaxed);
        self.bytes.fetch_add(batch.segment.bytes(), Ordering::Relaxed);
        let mut queue = self.queue();
        queue.batches.push_back(batch);
        queue.handed_over += 1;
        let number = queue.handed_over;
        drop(queue);
        self.arrived.notify_one();
        number
    }

    /// Whether a batch that is merely old should still be given.
    pub fn has_room(&self) -> bool {
        self.queue().batches.len() < BATCHES_WAITING
    }

    /// The newest is what counts: an older one that has not been written yet need not be.
    pub fn about(&self, about: About) {
        self.queue().about = Some(Box::new(about));
        self.arrived.notify_one();
    }

    pub fn close(&self, reason: String) {
        self.queue().closing = Some(reason);
        self.arrived.notify_one();
    }

    pub fn rows(&self) -> usize {
        self.rows.load(Ordering::Relaxed)
    }

    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub fn low_space(&self) -> bool {
        self.low_space.load(Ordering::Relaxed)
    }

    pub fn set_low_space(&self, low: bool) {
        self.low_space.store(low, Ordering::Relaxed);
    }

    /// Whether all up to the batch `number` was written in time.
    pub fn wait(&self, number: u64, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut queue = self.queue();
        while queue.settled < number && !queue.gone {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { return false };
            queue = self.settled.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        queue.settled >= number && queue.complete
    }

    /// For the writer: what came next, or an empty `Work` when nothing did for `idle`.
    pub fn take(&self, idle: Duration) -> Work {
        let deadline = Instant::now() + idle;
        let mut queue = self.queue();
        loop {
            if !queue.batches.is_empty() || queue.about.is_some() || queue.closing.is_some() {
                return queue.next();
            }
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { return Work::default() };
            queue = self.arrived.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// For the writer: the events of a batch are no longer in memory.
    pub fn release(&self, rows: usize, bytes: usize) {
        self.rows.fetch_sub(rows, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// For the writer: a batch is dealt with.
    pub fn settle(&self, complete: bool) {
        let mut queue = self.queue();
        queue.settled += 1;
        queue.complete = complete;
        drop(queue);
        self.settled.notify_all();
    }

    /// For the writer: it will not deal with anything any more.
    pub fn gone(&self) {
        self.queue().gone = true;
        self.settled.notify_all();
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Closing comes last, when all batches have been taken.
    fn next(&mut self) -> Work {
        let batch = self.batches.pop_front();
        let closing = if self.batches.is_empty() { self.closing.take() } else { None };
        Work { batch, about: self.about.take(), closing }
    }
}
