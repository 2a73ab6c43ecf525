//! The rings between the program and the recorder: one a CPU, in memory that both map. Nobody wakes anybody; whoever drains
//! them must come often enough. What does not fit is counted by the program.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// What the program reports: `struct record` there.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Report {
    /// CLOCK_MONOTONIC when the call began. Of a request, when its call began; 0: it belongs to none.
    pub start_ns: u64,
    pub duration_ns: u64,
    pub result: i64,
    /// The FUSE handle (or node) that the call names, 0 if none. Of a request its `unique`.
    pub file: u64,
    /// The second one of calls that name two; of vectors what they hold together.
    pub other: u64,
    pub position: u64,
    pub si: u64,
    pub dx: u64,
    pub r10: u64,
    pub r8: u64,
    pub requests: u32,
    pub file_flags: u32,
    pub tid: u32,
    pub pid: u32,
    pub uid: u32,
    pub gid: u32,
    pub comm: [u8; 16],
    pub nr: u16,
    kind: u8,
    pub connection: u8,
    commit: u32,
}

/// `struct control` there.
#[repr(C)]
struct Control {
    head: AtomicU64,
    dropped: AtomicU64,
    crowded: AtomicU64,
    unplaced: AtomicU64,
    pad: [u64; 4],
    tail: AtomicU64,
    pad2: [u64; 7],
}

pub const REPORT_BYTES: usize = size_of::<Report>();
pub const CONTROL_BYTES: usize = size_of::<Control>();
const _: () = assert!(REPORT_BYTES == 128 && CONTROL_BYTES == 128, "as the program lays them out");

/// Bits of `kind` there.
const KIND: u8 = 0x0f;
const IS_NODE: u8 = 0x10;
const OTHER_IS_NODE: u8 = 0x20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Call,
    Request,
    IoUring,
}

impl Report {
    pub fn kind(&self) -> Kind {
        match self.kind & KIND {
            0 => Kind::Call,
            1 => Kind::Request,
            _ => Kind::IoUring,
        }
    }

    /// `file` is a node: nothing was opened by it that has a handle (a fifo, a device, O_PATH).
    pub fn is_node(&self) -> bool {
        self.kind & IS_NODE != 0
    }

    pub fn other_is_node(&self) -> bool {
        self.kind & OTHER_IS_NODE != 0
    }
}

/// What the program could not report, ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// A ring was full.
    pub dropped: u64,
    /// Two calls met in one slot and there was no other.
    pub unplaced: u64,
}

pub struct Ring {
    reports: Mapping,
    controls: Mapping,
    cpus: usize,
    per_cpu: usize,
}

impl Ring {
    pub fn map(reports: impl AsFd, controls: impl AsFd, cpus: usize, per_cpu: usize) -> io::Result<Ring> {
        let read = libc::PROT_READ;
        Ok(Ring {
            reports: Mapping::new(reports.as_fd(), cpus * per_cpu * REPORT_BYTES, read)?,
            controls: Mapping::new(controls.as_fd(), cpus * CONTROL_BYTES, read | libc::PROT_WRITE)?,
            cpus,
            per_cpu,
        })
    }

    /// Hands over everything that is complete, each CPU's in its order; how much that was.
    pub fn drain(&mut self, mut each: impl FnMut(&Report)) -> usize {
        (0..self.cpus).map(|cpu| self.drain_one(cpu, &mut each)).sum()
    }

    fn drain_one(&self, cpu: usize, each: &mut impl FnMut(&Report)) -> usize {
        let control = self.control(cpu);
        let head = control.head.load(Ordering::Acquire);
        let first = control.tail.load(Ordering::Relaxed);
        let mut at = first;
        while at < head {
            let place = self.place(cpu, at);
            // SAFETY: within the mapping, aligned; the kernel writes it as one aligned word.
            let commit = unsafe { AtomicU32::from_ptr((&raw const (*place).commit).cast_mut()) };
            if commit.load(Ordering::Acquire) != (at as u32).wrapping_add(1) {
                break;
            }
            // SAFETY: complete, and not written again until the tail has passed it.
            each(unsafe { &*place });
            at += 1;
        }
        control.tail.store(at, Ordering::Release);
        (at - first) as usize
    }

    pub fn lost(&self) -> Lost {
        let controls = (0..self.cpus).map(|cpu| self.control(cpu));
        controls.fold(Lost::default(), |sum, control| Lost {
            dropped: sum.dropped + control.dropped.load(Ordering::Relaxed),
            unplaced: sum.unplaced + control.unplaced.load(Ordering::Relaxed),
        })
    }

    fn place(&self, cpu: usize, number: u64) -> *const Report {
        let index = cpu * self.per_cpu + (number as usize & (self.per_cpu - 1));
        // SAFETY: index < cpus * per_cpu, which the mapping holds.
        unsafe { self.reports.start.cast::<Report>().add(index) }
    }

    fn control(&self, cpu: usize) -> &Control {
        // SAFETY: cpu < cpus, which the mapping holds; all fields that change are atomics.
        unsafe { &*self.controls.start.cast::<Control>().add(cpu) }
    }
}

/// Memory shared with the kernel.
struct Mapping {
    start: *mut u8,
    bytes: usize,
}

// SAFETY: the memory belongs to no thread; what is written concurrently is accessed through atomics.
unsafe impl Send for Mapping {}

impl Mapping {
    fn new(fd: BorrowedFd<'_>, bytes: usize, protection: libc::c_int) -> io::Result<Mapping> {
        // SAFETY: a new mapping at a place of the kernel's choice.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), bytes, protection, libc::MAP_SHARED, fd.as_raw_fd(), 0) };
        if start == libc::MAP_FAILED {
            Err(io::Error::last_os_error())
        } else {
            Ok(Mapping { start: start.cast(), bytes })
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: our own mapping, which nobody uses any more.
        unsafe { libc::munmap(self.start.cast(), self.bytes) };
    }
}
