//! How a backing inode stays reachable while the kernel knows its node: this module's secret.
//!
//! As root, on filesystems whose file handles stay good: by handle, with a bounded cache of O_PATH descriptors. A handle
//! does not keep an unlinked inode alive, so those we unlink are pinned by a descriptor first. Otherwise: by one O_PATH
//! descriptor each, and `pressure.rs` keeps their number within the limit.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::pressure::sources;
use super::sys::{self, FileHandle, Result};
use super::{credentials, proc};
use crate::wire::Errno;

/// The share of the descriptor limit that cached descriptors may take: the rest is for files that programs hold open.
const CACHE_SHARE: usize = 4;
/// More than any working set of names needs; each costs a kernel file struct of 256 bytes.
const CACHE_MAX_DESCRIPTORS: usize = 8192;
/// How many recently used descriptors the clock's hand passes over before it takes one anyway.
const CACHE_SECOND_CHANCES: usize = 16;

/// Local filesystems that find any living inode by its handle. Of others (network, FUSE, overlay) some find it only
/// while it is cached or asked for by a server that may have gone.
const HANDLES_STAY_GOOD: &[u32] = &[
    0xEF53,      // ext2, ext3, ext4
    0x5846_5342, // xfs
    0x9123_683E, // btrfs
    0x0102_1994, // tmpfs
    0xF2F5_2010, // f2fs
];

/// Which way inodes are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Handles,
    Descriptors,
}

/// Makes and serves `Held`s for one source directory.
pub struct Holder {
    /// A real (not O_PATH) descriptor of the source, which open_by_handle_at asks for. None: held by descriptors.
    mount: Option<OwnedFd>,
    cache: Cache,
    /// Ticks whenever a descriptor is attached: orders "held since" against a look at a name.
    ticks: AtomicU64,
}

/// One inode's hold.
pub struct Held(Hold);

enum Hold {
    Descriptor { fd: OwnedFd, since: u64 },
    Handle(Arc<ByHandle>),
}

struct ByHandle {
    handle: FileHandle,
    attached: Mutex<Attached>,
    recently_used: AtomicBool,
}

#[derive(Default)]
struct Attached {
    fd: Option<Arc<OwnedFd>>,
    /// The tick at which `fd` came.
    since: u64,
    /// While above 0 the cache must not take `fd`.
    pins: u32,
}

/// A descriptor of the inode, O_PATH, good for as long as this lives.
pub enum Descriptor<'a> {
    Own(BorrowedFd<'a>),
    Cached(Arc<OwnedFd>),
}

impl AsFd for Descriptor<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Descriptor::Own(fd) => *fd,
            Descriptor::Cached(fd) => fd.as_fd(),
        }
    }
}

impl Holder {
    /// `wish` None chooses: handles where they work. `Handles` is a wish too: without the means it is descriptors.
    pub fn new(source: BorrowedFd<'_>, wish: Option<Way>, descriptor_limit: usize) -> Result<Holder> {
        let filesystem = sys::statfs(source)?.f_type as u32;
        let able = credentials::may_open_by_handle() && HANDLES_STAY_GOOD.contains(&filesystem);
        let mount = if able && wish != Some(Way::Descriptors) { mount_for_handles(source) } else { None };
        let capacity = (descriptor_limit / CACHE_SHARE).clamp(1, CACHE_MAX_DESCRIPTORS);
        Ok(Holder { mount, cache: Cache::new(capacity), ticks: AtomicU64::new(1) })
    }

    pub fn way(&self) -> Way {
        if self.mount.is_some() { Way::Handles } else { Way::Descriptors }
    }

    /// The present tick. An inode `held_since` before it cannot have been another one meanwhile.
    pub fn tick(&self) -> u64 {
        self.ticks.load(Ordering::Acquire)
    }

    /// Holds the inode of an O_PATH descriptor. What comes back beside the hold is for `keep`, once it is known that
    /// this hold, or an older one of the same inode, is in use.
    pub fn hold(&self, fd: OwnedFd) -> (Held, Option<OwnedFd>) {
        if self.mount.is_some()
            && let Ok(handle) = FileHandle::of(fd.as_fd())
        {
            return (Held(Hold::Handle(Arc::new(ByHandle::new(handle)))), Some(fd));
        }
        (self.hold_always(fd), None)
    }

    /// Gives an inode in use a descriptor that is at hand.
    pub fn keep(&self, held: &Held, spare: Option<OwnedFd>) {
        if let (Hold::Handle(held), Some(fd)) = (&held.0, spare) {
            self.attach(held, Arc::new(fd));
        }
    }

    /// Holds the inode of a descriptor that is open for data. That one is not kept: an open file shows (ETXTBSY, leases).
    pub fn hold_opened(&self, fd: BorrowedFd<'_>) -> Result<Held> {
        if self.mount.is_some()
            && let Ok(handle) = FileHandle::of(fd)
        {
            return Ok(Held(Hold::Handle(Arc::new(ByHandle::new(handle)))));
        }
        Ok(self.hold_always(proc::reopen(fd, libc::O_PATH)?))
    }

    /// Holds the inode of a descriptor that is open for data and has no name: only a descriptor keeps it alive, until the
    /// kernel forgets it.
    pub fn hold_nameless(&self, fd: BorrowedFd<'_>) -> Result<Held> {
        let (held, spare) = self.hold(proc::reopen(fd, libc::O_PATH)?);
        self.keep(&held, spare);
        self.pin(&held)?;
        Ok(held)
    }

    /// Holds by this descriptor for as long as the `Held` lives, whichever way others are held.
    pub fn hold_always(&self, fd: OwnedFd) -> Held {
        Held(Hold::Descriptor { fd, since: self.next_tick() })
    }

    /// ESTALE if the inode is gone for good (removed below, unseen by us).
    pub fn descriptor<'a>(&self, held: &'a Held) -> Result<Descriptor<'a>> {
        match &held.0 {
            Hold::Descriptor { fd, .. } => Ok(Descriptor::Own(fd.as_fd())),
            Hold::Handle(held) => Ok(Descriptor::Cached(self.attached(held)?)),
        }
    }

    /// Opens the inode for data, with flags for open(2).
    pub fn open(&self, held: &Held, flags: libc::c_int) -> Result<OwnedFd> {
        match self.descriptor(held).and_then(|fd| proc::reopen(fd.as_fd(), flags)) {
            Err(Errno(libc::EMFILE)) if self.cache.give_up_all() > 0 => {
                proc::reopen(self.descriptor(held)?.as_fd(), flags)
            }
            opened => opened,
        }
    }

    /// Keeps a descriptor attached until `unpin`: its last name is about to go.
    pub fn pin(&self, held: &Held) -> Result<()> {
        if let Hold::Handle(held) = &held.0 {
            loop {
                self.attached(held)?;
                let mut attached = lock(&held.attached);
                // The cache may have taken it in between.
                if attached.fd.is_some() {
                    attached.pins += 1;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    pub fn unpin(&self, held: &Held) {
        if let Hold::Handle(held) = &held.0 {
            let mut attached = lock(&held.attached);
            attached.pins = attached.pins.saturating_sub(1);
            drop(attached);
            self.cache.insert(held);
        }
    }

    /// Closes every cached descriptor that is not pinned; returns how many there were.
    #[cfg(test)]
    pub fn close_cached(&self) -> usize {
        self.cache.give_up_all()
    }

    fn next_tick(&self) -> u64 {
        self.ticks.fetch_add(1, Ordering::AcqRel) + 1
    }

    fn attached(&self, held: &Arc<ByHandle>) -> Result<Arc<OwnedFd>> {
        held.recently_used.store(true, Ordering::Relaxed);
        if let Some(fd) = &lock(&held.attached).fd {
            return Ok(fd.clone());
        }
        let mount = self.mount.as_ref().ok_or(Errno(libc::ESTALE))?.as_fd();
        let fd = match held.handle.open(mount, libc::O_PATH) {
            Err(Errno(libc::EMFILE)) if self.cache.give_up_all() > 0 => held.handle.open(mount, libc::O_PATH)?,
            opened => opened?,
        };
        Ok(self.attach(held, Arc::new(fd)))
    }

    /// Attaches `fd` unless another thread was faster; returns the one that is attached.
    fn attach(&self, held: &Arc<ByHandle>, fd: Arc<OwnedFd>) -> Arc<OwnedFd> {
        let mut attached = lock(&held.attached);
        if let Some(fd) = &attached.fd {
            return fd.clone();
        }
        attached.fd = Some(fd.clone());
        attached.since = self.next_tick();
        drop(attached);
        self.cache.insert(held);
        fd
    }
}

impl Held {
    /// Whether both hold the same inode, given that device and inode number are equal: a number comes back for another
    /// inode once the first is gone, which a descriptor prevents and a handle shows.
    pub fn is_same(&self, other: &Held) -> bool {
        match (&self.0, &other.0) {
            (Hold::Handle(one), Hold::Handle(two)) => one.handle == two.handle,
            (Hold::Descriptor { .. }, _) => true,
            // The kernel gave a handle for one and none for the other.
            (Hold::Handle(_), Hold::Descriptor { .. }) => false,
        }
    }

    /// Whether a descriptor has been attached since before that tick, without a gap.
    pub fn held_since(&self, tick: u64) -> bool {
        match &self.0 {
            Hold::Descriptor { since, .. } => *since <= tick,
            Hold::Handle(held) => {
                let attached = lock(&held.attached);
                attached.fd.is_some() && attached.since <= tick
            }
        }
    }
}

impl ByHandle {
    fn new(handle: FileHandle) -> ByHandle {
        ByHandle { handle, attached: Mutex::default(), recently_used: AtomicBool::new(true) }
    }

    fn detach(&self) -> Option<Arc<OwnedFd>> {
        let mut attached = lock(&self.attached);
        if attached.pins > 0 { None } else { attached.fd.take() }
    }
}

/// The bounded set of inodes that have a descriptor attached: a ring with a hand that gives recently used ones a second
/// chance. An inode that goes away leaves its slot empty for the hand to find.
struct Cache {
    /// For all sources of the process together.
    capacity: usize,
    ring: Mutex<Ring>,
}

#[derive(Default)]
struct Ring {
    slots: Vec<Weak<ByHandle>>,
    hand: usize,
}

impl Cache {
    fn new(capacity: usize) -> Cache {
        Cache { capacity, ring: Mutex::default() }
    }

    fn insert(&self, held: &Arc<ByHandle>) {
        let capacity = (self.capacity / sources()).max(1);
        let displaced = lock(&self.ring).insert(Arc::downgrade(held), capacity);
        // Outside the ring's lock: closing a descriptor can take its time on a network filesystem.
        drop(displaced.and_then(|displaced| displaced.detach()));
    }

    /// Closes every cached descriptor that is not pinned; returns how many there were.
    fn give_up_all(&self) -> usize {
        let slots = std::mem::take(&mut lock(&self.ring).slots);
        slots.iter().filter_map(|slot| slot.upgrade()?.detach()).count()
    }
}

impl Ring {
    /// Returns the inode whose place was taken.
    fn insert(&mut self, new: Weak<ByHandle>, capacity: usize) -> Option<Arc<ByHandle>> {
        if self.slots.len() < capacity {
            self.slots.push(new);
            return None;
        }
        let mut chances = CACHE_SECOND_CHANCES;
        loop {
            self.hand = (self.hand + 1) % self.slots.len();
            let displaced = self.slots[self.hand].upgrade();
            let spared = displaced.as_ref().is_some_and(|held| held.recently_used.swap(false, Ordering::Relaxed));
            if !spared || chances == 0 {
                self.slots[self.hand] = new;
                return displaced;
            }
            chances -= 1;
        }
    }
}

/// None if the source itself cannot be found by its handle.
fn mount_for_handles(source: BorrowedFd<'_>) -> Option<OwnedFd> {
    let mount = proc::reopen(source, libc::O_RDONLY | libc::O_DIRECTORY).ok()?;
    FileHandle::of(source).ok()?.open(mount.as_fd(), libc::O_PATH).ok()?;
    Some(mount)
}

/// A thread that panicked while it held a lock left nothing half-changed behind: each lock guards single assignments.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
