//! Keeps the number of nodes the kernel knows within a bound: asks it to forget old ones when many are known, and
//! makes new names wait, then fail, when no more can be held. Inodes in use are never given up.
//!
//! Before Linux 6.18 the kernel can only be told to drop an entry whether it is used or not. Dropping a directory's would
//! take mounts below it along and let getcwd fail there, so only entries of files that are not open are dropped, and
//! what is bounded then is the number of directories.
//!
//! The asking is done by a thread of its own: invalidating an entry takes its directory's lock, which the kernel holds
//! while one of our workers answers a lookup there.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::held::lock;
use super::inodes::{Inode, Inodes};
use super::sys::Result;
use crate::wire::{Errno, Node, Notify};

/// As many nodes as the kernel takes at once from one FUSE_NOTIFY_PRUNE (`batch` in fuse_notify_prune).
const BATCH_NODES: usize = 512;
/// How long forgets may take to come back after a batch before the next one is sent.
const SETTLE: Duration = Duration::from_millis(5);
/// The longest pause while nothing can be freed because everything known is in use.
const MAX_PAUSE: Duration = Duration::from_secs(1);
/// How long a new name waits for room. FUSE_NOTIFY_PRUNE needs no directory's lock, so room comes while it waits.
const PATIENCE: Duration = Duration::from_secs(2);
/// The same where entries are invalidated: the one to go may lie in the very directory that waits, and then only the end
/// of the wait lets it go.
const PATIENCE_WITH_ENTRIES: Duration = Duration::from_millis(500);

/// The sources this process serves: they share its descriptors.
static SOURCES: AtomicUsize = AtomicUsize::new(0);

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From here on the kernel is asked to forget.
    pub ease: usize,
    /// No more than this are held.
    pub full: usize,
    /// Both are for all sources of the process together.
    pub is_shared: bool,
}

impl Limits {
    /// One descriptor a node. The last fifth of the limit is for files that programs open.
    pub fn by_descriptors(descriptor_limit: usize) -> Limits {
        Limits { ease: descriptor_limit / 10 * 5, full: descriptor_limit / 10 * 8, is_shared: true }
    }

    /// Nodes are memory alone, about 300 bytes each.
    pub fn by_memory() -> Limits {
        const EASE_NODES: usize = 200_000;
        Limits { ease: EASE_NODES, full: usize::MAX, is_shared: false }
    }

    fn ease(&self) -> usize {
        self.part(self.ease)
    }

    fn full(&self) -> usize {
        self.part(self.full)
    }

    fn part(&self, whole: usize) -> usize {
        if self.is_shared { whole / sources() } else { whole }
    }
}

/// How many sources this process serves now, at least 1.
pub fn sources() -> usize {
    SOURCES.load(Ordering::Relaxed).max(1)
}

pub struct Pressure {
    limits: Limits,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// What the pruning thread is told; its condition variable is `wake`.
    orders: Mutex<Orders>,
    wake: Condvar,
    /// Nodes forgotten so far.
    forgotten: AtomicU64,
    /// Those who wait for room, and their condition variable.
    waiting: AtomicUsize,
    room: Condvar,
    room_lock: Mutex<()>,
    /// The kernel refused FUSE_NOTIFY_PRUNE (before 6.18): entries are invalidated by name instead.
    by_entries: AtomicBool,
}

#[derive(Default)]
struct Orders {
    needed: bool,
    stop: bool,
}

impl Pressure {
    pub fn new(limits: Limits) -> Pressure {
        SOURCES.fetch_add(1, Ordering::Relaxed);
        Pressure { limits, shared: Arc::default() }
    }

    /// Starts the thread that asks the kernel. It ends when `inodes` go.
    pub fn relieve(&self, inodes: &Arc<Inodes>, notify: Arc<dyn Notify>) -> std::io::Result<()> {
        let (inodes, shared, limits) = (Arc::downgrade(inodes), self.shared.clone(), self.limits);
        let work = move || Pruning { inodes, shared, limits, notify }.run();
        thread::Builder::new().name("glassfs-prune".into()).spawn(work)?;
        Ok(())
    }

    pub fn grown_to(&self, known: usize) {
        if known > self.limits.ease() {
            let mut orders = lock(&self.shared.orders);
            if !orders.needed {
                orders.needed = true;
                self.shared.wake.notify_one();
            }
        }
    }

    pub fn fallen_to(&self, known: usize) {
        self.shared.forgotten.fetch_add(1, Ordering::Relaxed);
        if known < self.limits.full() && self.shared.waiting.load(Ordering::SeqCst) > 0 {
            // Taken and left: whoever has just found no room is then waiting, and hears this.
            drop(lock(&self.shared.room_lock));
            self.shared.room.notify_all();
        }
    }

    pub fn admit(&self, known: impl Fn() -> usize) -> Result<()> {
        if self.limits.full == usize::MAX || known() < self.limits.full() {
            return Ok(());
        }
        self.shared.waiting.fetch_add(1, Ordering::SeqCst);
        let admitted = self.wait_for_room(known);
        self.shared.waiting.fetch_sub(1, Ordering::SeqCst);
        admitted
    }

    fn wait_for_room(&self, known: impl Fn() -> usize) -> Result<()> {
        let by_entries = self.shared.by_entries.load(Ordering::Relaxed);
        let deadline = Instant::now() + if by_entries { PATIENCE_WITH_ENTRIES } else { PATIENCE };
        let mut guard = lock(&self.shared.room_lock);
        while known() >= self.limits.full() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Errno(libc::ENFILE));
            }
            guard = self.shared.room.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }
}

impl Drop for Pressure {
    fn drop(&mut self) {
        SOURCES.fetch_sub(1, Ordering::Relaxed);
        lock(&self.shared.orders).stop = true;
        self.shared.wake.notify_one();
    }
}

struct Pruning {
    /// Weak: this thread must not keep a filesystem alive that nobody serves any more.
    inodes: Weak<Inodes>,
    shared: Arc<Shared>,
    limits: Limits,
    notify: Arc<dyn Notify>,
}

impl Pruning {
    fn run(&self) {
        let mut pause = SETTLE;
        while self.wait_for_orders() {
            let Some(inodes) = self.inodes.upgrade() else { return };
            let (forgotten, before) = (self.shared.forgotten.load(Ordering::Relaxed), inodes.known());
            if self.ask_to_forget(&inodes) == Err(Errno(libc::ENODEV)) {
                return;
            }
            let is_moving = || self.shared.forgotten.load(Ordering::Relaxed) > forgotten;
            if !(self.may_be_outrun(inodes.known()) && is_moving()) {
                drop(inodes);
                self.pause(pause);
            }
            let Some(known) = self.inodes.upgrade().map(|inodes| inodes.known()) else { return };
            let is_urgent = self.shared.waiting.load(Ordering::Relaxed) > 0;
            let is_outrun = self.may_be_outrun(known) && known > before;
            pause = if !(is_moving() || is_urgent || is_outrun) { (pause * 2).min(MAX_PAUSE) } else { SETTLE };
            // A good margin below, so that this is a burst now and then and not a steady drip.
            if known <= self.limits.ease() / 4 * 3 {
                lock(&self.shared.orders).needed = false;
            }
        }
    }

    /// False: stop.
    fn wait_for_orders(&self) -> bool {
        let orders = lock(&self.shared.orders);
        let idle = |orders: &mut Orders| !orders.needed && !orders.stop;
        !self.shared.wake.wait_while(orders, idle).unwrap_or_else(PoisonError::into_inner).stop
    }

    fn pause(&self, time: Duration) {
        let orders = lock(&self.shared.orders);
        drop(self.shared.wake.wait_timeout_while(orders, time, |orders| !orders.stop));
    }

    /// Where a directory is walked through, at best one entry of it goes for each that comes: they take turns with its
    /// lock. So none comes for nothing while there is a pause.
    fn may_be_outrun(&self, known: usize) -> bool {
        self.shared.by_entries.load(Ordering::Relaxed) && known > self.limits.ease()
    }

    fn ask_to_forget(&self, inodes: &Inodes) -> Result<()> {
        let count = (self.limits.ease() / 4).clamp(1, BATCH_NODES);
        if !self.shared.by_entries.load(Ordering::Relaxed) {
            match self.prune(&inodes.least_used(count, |inode| Some(inode.node))) {
                Err(errno) if errno != Errno(libc::ENODEV) => self.shared.by_entries.store(true, Ordering::Relaxed),
                asked => return asked,
            }
        }
        self.invalidate(&inodes.least_used(count, entry_of_unused_file))
    }

    fn prune(&self, old: &[Node]) -> Result<()> {
        if old.is_empty() { Ok(()) } else { self.notify.prune(old) }
    }

    /// ENOENT (the entry has gone by itself) is no failure; nor is any other but the end of the connection.
    fn invalidate(&self, old: &[(Node, Box<[u8]>)]) -> Result<()> {
        for (parent, name) in old {
            if let Err(Errno(libc::ENODEV)) = self.notify.invalidate_entry(*parent, name) {
                return Err(Errno(libc::ENODEV));
            }
        }
        Ok(())
    }
}

fn entry_of_unused_file(inode: &Inode) -> Option<(Node, Box<[u8]>)> {
    (!inode.is_directory() && !inode.is_open()).then(|| inode.seen_as())
}
