//! The rings between the program and the recorder: one a CPU, in memory that both map. Nobody wakes anybody; whoever drains
//! them must come often enough. What does not fit is added up by the program.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};

use super::shed::{Shed, Sheds};

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
    shed: AtomicU64,
    uncounted: AtomicU64,
    adding: [AtomicU64; 2],
    unjoined: AtomicU64,
    unended: AtomicU64,
    crowded: AtomicU64,
    tail: AtomicU64,
    half: AtomicU64,
    wall_minus_mono_ns: AtomicI64,
    flying: AtomicI64,
    pad: [u64; 4],
}

pub const REPORT_BYTES: usize = size_of::<Report>();
pub const CONTROL_BYTES: usize = size_of::<Control>();
const _: () = assert!(REPORT_BYTES == 128 && CONTROL_BYTES == 128, "as the program lays them out");

/// Bits of `kind` there.
const KIND: u8 = 0x0f;
const IS_NODE: u8 = 0x10;
const OTHER_IS_NODE: u8 = 0x20;
/// Of `struct shed_key`.
const SHED_HAS_FILE: u8 = 0x10;
const SHED_HAS_OTHER: u8 = 0x20;
const SHED_REMOVES_DIRECTORY: u8 = 0x40;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Call,
    Request,
    IoUring,
    Aio,
    /// What became of a process or thread.
    Task,
}

/// Of `Kind::Task`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Ended,
    Executed,
    Renamed,
}

impl Report {
    /// One of those that were added up: what remains known of it.
    pub(super) fn like(nr: u16, shed_kind: u8, result: i64) -> Report {
        let is = |bit| u64::from(shed_kind & bit != 0);
        Report {
            nr,
            result,
            kind: shed_kind & KIND,
            file: is(SHED_HAS_FILE),
            other: is(SHED_HAS_OTHER),
            dx: is(SHED_REMOVES_DIRECTORY) * libc::AT_REMOVEDIR as u64,
            ..Report::default()
        }
    }

    pub fn kind(&self) -> Kind {
        match self.kind & KIND {
            0 => Kind::Call,
            1 => Kind::Request,
            2 => Kind::IoUring,
            3 => Kind::Aio,
            _ => Kind::Task,
        }
    }

    pub fn change(&self) -> Change {
        match self.nr {
            0 => Change::Ended,
            1 => Change::Executed,
            _ => Change::Renamed,
        }
    }

    #[cfg(test)]
    pub fn of_task(change: u16, pid: u32, start_ns: u64, name: &[u8]) -> Report {
        let mut comm = [0; 16];
        comm[..name.len()].copy_from_slice(name);
        Report { kind: 4, nr: change, pid, tid: pid, start_ns, comm, ..Report::default() }
    }

    /// `file` is a node: nothing was opened by it that has a handle (a fifo, a device, O_PATH).
    pub fn is_node(&self) -> bool {
        self.kind & IS_NODE != 0
    }

    pub fn other_is_node(&self) -> bool {
        self.kind & OTHER_IS_NODE != 0
    }
}

/// What the program could neither report nor add up, ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Calls that a ring and the table of sums had no room for.
    pub uncounted: u64,
    /// Calls of which only the beginning was seen: all slots for calls under way were taken.
    pub unended: u64,
    /// Requests that a ring had no room for: their calls are there, they themselves stand beside them.
    pub unjoined: u64,
}

pub struct Ring {
    reports: Mapping,
    controls: Mapping,
    cpus: usize,
    per_cpu: usize,
    sheds: Sheds,
    /// How many of those added up have been taken.
    taken: u64,
    /// The half of the sums that is still to be read.
    closing: Option<u8>,
}

/// Looks at those who add to a half that was closed: each needs less than a microsecond.
const LOOKS: u32 = 1000;

impl Ring {
    pub fn map(
        reports: impl AsFd,
        controls: impl AsFd,
        sheds: Sheds,
        (cpus, per_cpu): (usize, usize),
    ) -> io::Result<Ring> {
        let read = libc::PROT_READ;
        Ok(Ring {
            reports: Mapping::new(reports.as_fd(), cpus * per_cpu * REPORT_BYTES, read)?,
            controls: Mapping::new(controls.as_fd(), cpus * CONTROL_BYTES, read | libc::PROT_WRITE)?,
            cpus,
            per_cpu,
            sheds,
            taken: 0,
            closing: None,
        })
    }

    /// What is added up belongs to seconds of the wall clock.
    pub fn set_clock(&self, wall_minus_mono_ns: i64) {
        self.each_control().for_each(|control| control.wall_minus_mono_ns.store(wall_minus_mono_ns, Ordering::Relaxed));
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

    /// Reads and writes by libaio that were not seen to end yet.
    pub fn flying(&self) -> u64 {
        self.each_control().map(|control| control.flying.load(Ordering::Relaxed)).sum::<i64>().max(0) as u64
    }

    pub fn lost(&self) -> Lost {
        self.each_control().fold(Lost::default(), |sum, control| Lost {
            uncounted: sum.uncounted + control.uncounted.load(Ordering::Relaxed),
            unended: sum.unended + control.unended.load(Ordering::Relaxed),
            unjoined: sum.unjoined + control.unjoined.load(Ordering::Relaxed),
        })
    }

    /// Takes what was added up since the last time. What is just being added is there at the next look.
    pub fn take_shed(&mut self, mut each: impl FnMut(Shed)) {
        if self.closing.is_none() {
            let shed: u64 = self.each_control().map(|control| control.shed.load(Ordering::Acquire)).sum();
            if shed == self.taken + self.lost().uncounted {
                return;
            }
            self.closing = Some(self.change_half());
        }
        let Some(half) = self.closing.filter(|half| self.is_left_alone(*half)) else { return };
        let taken = &mut self.taken;
        let took = self.sheds.take(half, &mut |shed| {
            *taken += shed.count;
            each(shed);
        });
        if took.is_ok() {
            self.closing = None;
        }
    }

    /// Has the program add to the other half; which it was.
    fn change_half(&self) -> u8 {
        let half = self.control(0).half.load(Ordering::Relaxed) & 1;
        // Before those that add are looked for: whoever is not seen there sees the change.
        self.each_control().for_each(|control| control.half.store(1 - half, Ordering::SeqCst));
        half as u8
    }

    fn is_left_alone(&self, half: u8) -> bool {
        let is_alone =
            || self.each_control().all(|control| control.adding[usize::from(half)].load(Ordering::SeqCst) == 0);
        (0..LOOKS).any(|_| {
            std::hint::spin_loop();
            is_alone()
        })
    }

    fn each_control(&self) -> impl Iterator<Item = &Control> {
        (0..self.cpus).map(|cpu| self.control(cpu))
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
pub(super) struct Mapping {
    start: *mut u8,
    bytes: usize,
}

// SAFETY: the memory belongs to no thread; what is written concurrently is accessed through atomics.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    pub(super) fn new(fd: BorrowedFd<'_>, bytes: usize, protection: libc::c_int) -> io::Result<Mapping> {
        // SAFETY: a new mapping at a place of the kernel's choice.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), bytes, protection, libc::MAP_SHARED, fd.as_raw_fd(), 0) };
        if start == libc::MAP_FAILED {
            Err(io::Error::last_os_error())
        } else {
            Ok(Mapping { start: start.cast(), bytes })
        }
    }
}

impl Mapping {
    pub(super) fn start(&self) -> *mut u8 {
        self.start
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: our own mapping, which nobody uses any more.
        unsafe { libc::munmap(self.start.cast(), self.bytes) };
    }
}
