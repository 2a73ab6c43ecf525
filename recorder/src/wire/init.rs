//! The first message: which protocol and which abilities both sides use. Chosen for a filesystem that wants to see every
//! call and change none.

use serde::{Deserialize, Serialize};
use zerocopy::{Immutable, IntoBytes};

use super::MAX_TRANSFER_BYTES;
use super::pages::PAGE_BYTES;
use super::requests::{MAJOR, MINOR};

/// INIT's flags; those above bit 31 travel in `flags2`.
pub mod flag {
    pub const ASYNC_READ: u64 = 1;
    pub const ATOMIC_O_TRUNC: u64 = 1 << 3;
    pub const BIG_WRITES: u64 = 1 << 5;
    pub const DONT_MASK: u64 = 1 << 6;
    pub const ASYNC_DIO: u64 = 1 << 15;
    pub const PARALLEL_DIROPS: u64 = 1 << 18;
    pub const POSIX_ACL: u64 = 1 << 20;
    pub const ABORT_ERROR: u64 = 1 << 21;
    pub const MAX_PAGES: u64 = 1 << 22;
    pub const HANDLE_KILLPRIV_V2: u64 = 1 << 28;
    pub const SETXATTR_EXT: u64 = 1 << 29;
    pub const INIT_EXT: u64 = 1 << 30;
    pub const DIRECT_IO_ALLOW_MMAP: u64 = 1 << 36;
    pub const PASSTHROUGH: u64 = 1 << 37;
    pub const NO_EXPORT_SUPPORT: u64 = 1 << 38;
}

/// Without one of these a program behind the mount would see another filesystem than the one below.
/// - ATOMIC_O_TRUNC: an open that truncates is one request, as it is one call.
/// - DONT_MASK: the umask is applied below, where a default ACL may replace it.
/// - HANDLE_KILLPRIV_V2: suid and sgid are cleared when, and only when, the caller lacks CAP_FSETID; each request says so.
/// - SETXATTR_EXT: the layout of setxattr that says whether an ACL clears sgid.
/// - DIRECT_IO_ALLOW_MMAP: shared maps of files that are otherwise never cached.
const REQUIRED: u64 = flag::ATOMIC_O_TRUNC
    | flag::DONT_MASK
    | flag::HANDLE_KILLPRIV_V2
    | flag::SETXATTR_EXT
    | flag::INIT_EXT
    | flag::DIRECT_IO_ALLOW_MMAP;

/// Taken where the kernel has them.
/// - ASYNC_READ, ASYNC_DIO, PARALLEL_DIROPS: the program's own parallelism reaches the filesystem below.
/// - BIG_WRITES, MAX_PAGES: one call of up to 1 MiB is one request.
/// - ABORT_ERROR: an aborted connection is told from an unmounted one.
/// - NO_EXPORT_SUPPORT: file handles of this mount would go stale, so there are none (since Linux 6.10).
///
/// Deliberately not taken:
/// - WRITEBACK_CACHE: delays and merges writes, under another process's id.
/// - POSIX_LOCKS, FLOCK_LOCKS: the kernel keeps locks itself; a lock that waits here would hold a worker.
/// - DO_READDIRPLUS: looks up every entry of a directory, which no program asked for.
/// - CACHE_SYMLINKS: a readlink is a call, and evidence.
/// - PASSTHROUGH: only when wished, since it takes reads and writes out of sight.
/// - OVER_IO_URING: another transport's affair. HAS_RESEND: a second server's.
const WELCOME: u64 = flag::ASYNC_READ
    | flag::BIG_WRITES
    | flag::ASYNC_DIO
    | flag::PARALLEL_DIROPS
    | flag::ABORT_ERROR
    | flag::MAX_PAGES
    | flag::NO_EXPORT_SUPPORT;

/// The first protocol that has everything in REQUIRED, and the kernel that brought it.
const OLDEST_MINOR: u32 = 39;
const OLDEST_KERNEL: &str = "6.6";

/// Requests without a waiting caller (asynchronous direct I/O) that the kernel sends before it holds them back: as many as an
/// io_uring or AIO program of common queue depth has under way.
const MAX_BACKGROUND: u16 = 64;
/// Of those, how many make the kernel call the device congested: three quarters, the kernel's own proportion.
const CONGESTION_THRESHOLD: u16 = 48;
/// Timestamps are exact to the nanosecond.
const TIME_GRANULARITY_NS: u32 = 1;

/// How deep this mount may stand on others with PASSTHROUGH: on files of a filesystem that stands on none itself. With 0
/// the kernel takes no backing file.
const MAX_STACK_DEPTH: u32 = 1;

/// What the caller wants beyond the fixed choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// The filesystem below supports POSIX ACLs: the kernel then checks them itself. It implies default_permissions.
    pub posix_acl: bool,
    /// Data of open files goes straight to the files below (since Linux 6.9).
    pub passthrough: bool,
}

/// What both sides agreed on. Kept by whoever keeps the device, so that a later server can go on without a first message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Negotiated {
    pub minor: u32,
    /// What the kernel offered, and what of it was taken.
    pub offered: u64,
    pub flags: u64,
    pub max_readahead: u32,
}

impl Negotiated {
    pub fn has(&self, flag: u64) -> bool {
        self.flags & flag == flag
    }
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(
        "this kernel's FUSE (protocol 7.{minor}) cannot serve a see-through filesystem; glassfs needs Linux {OLDEST_KERNEL} \
         or newer (protocol 7.{OLDEST_MINOR})"
    )]
    TooOld { minor: u32 },
    #[error("this kernel's FUSE (protocol 7.{minor}) lacks abilities that glassfs needs (flags {missing:#x})")]
    Lacks { minor: u32, missing: u64 },
    #[error("the first message on the FUSE device was no INIT (opcode {opcode}): is the connection already in use?")]
    NoInit { opcode: u32 },
    #[error("this kernel speaks version {major} of the FUSE protocol; glassfs speaks version 7")]
    OtherMajor { major: u32 },
}

/// INIT's answer.
#[derive(Clone, Copy, Debug, Default, IntoBytes, Immutable)]
#[repr(C)]
pub struct InitOut {
    pub major: u32,
    pub minor: u32,
    pub max_readahead: u32,
    pub flags: u32,
    pub max_background: u16,
    pub congestion_threshold: u16,
    pub max_write: u32,
    pub time_gran: u32,
    pub max_pages: u16,
    pub map_alignment: u16,
    pub flags2: u32,
    pub max_stack_depth: u32,
    pub request_timeout: u16,
    pub unused: [u16; 11],
}

const _: () = assert!(size_of::<InitOut>() == 64);

/// What to say to a kernel that speaks `major.minor` and offers `offered`.
pub fn negotiate(minor: u32, max_readahead: u32, offered: u64, wishes: Wishes) -> Result<Negotiated, Refusal> {
    if minor < OLDEST_MINOR {
        return Err(Refusal::TooOld { minor });
    }
    let missing = REQUIRED & !offered;
    if missing != 0 {
        return Err(Refusal::Lacks { minor, missing });
    }
    let acl = if wishes.posix_acl { flag::POSIX_ACL } else { 0 };
    let passthrough = if wishes.passthrough { flag::PASSTHROUGH } else { 0 };
    let flags = (REQUIRED | WELCOME | acl | passthrough) & offered;
    Ok(Negotiated { minor: minor.min(MINOR), offered, flags, max_readahead })
}

impl Negotiated {
    pub fn answer(&self) -> InitOut {
        InitOut {
            major: MAJOR,
            minor: self.minor,
            max_readahead: self.max_readahead,
            flags: self.flags as u32,
            flags2: (self.flags >> 32) as u32,
            max_background: MAX_BACKGROUND,
            congestion_threshold: CONGESTION_THRESHOLD,
            max_write: MAX_TRANSFER_BYTES as u32,
            max_pages: (MAX_TRANSFER_BYTES / PAGE_BYTES) as u16,
            time_gran: TIME_GRANULARITY_NS,
            max_stack_depth: if self.has(flag::PASSTHROUGH) { MAX_STACK_DEPTH } else { 0 },
            ..InitOut::default()
        }
    }
}

/// The answer to a kernel of a newer major version: it then asks again in ours.
pub fn other_major() -> InitOut {
    InitOut { major: MAJOR, minor: MINOR, ..InitOut::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Linux 6.18 offers.
    const ALL: u64 = (1 << 43) - 1;

    #[test]
    fn a_new_kernel_gets_what_is_needed_and_no_cache_of_ours() {
        let negotiated = negotiate(45, 131_072, ALL, Wishes::default()).unwrap();
        assert!(negotiated.has(REQUIRED | WELCOME));
        let (writeback, locks, readdirplus, passthrough, uring) =
            (1 << 16, 1 << 1 | 1 << 10, 1 << 13, 1 << 37, 1 << 41);
        assert_eq!(negotiated.flags & (writeback | locks | readdirplus | passthrough | uring | flag::POSIX_ACL), 0);
        let answer = negotiated.answer();
        assert_eq!((answer.major, answer.minor, answer.max_write, answer.max_pages), (7, 45, 1 << 20, 256));
        assert_eq!(u64::from(answer.flags) | u64::from(answer.flags2) << 32, negotiated.flags);
    }

    #[test]
    fn a_newer_minor_is_answered_with_ours() {
        assert_eq!(negotiate(60, 0, u64::MAX, Wishes::default()).unwrap().minor, MINOR);
    }

    #[test]
    fn acls_are_taken_only_when_wished() {
        let with = negotiate(45, 0, ALL, Wishes { posix_acl: true, ..Wishes::default() }).unwrap();
        assert!(with.has(flag::POSIX_ACL));
    }

    #[test]
    fn passthrough_is_taken_when_wished_and_offered_and_says_how_deep() {
        let wishes = Wishes { passthrough: true, ..Wishes::default() };
        let with = negotiate(45, 0, ALL, wishes).unwrap();
        assert!(with.has(flag::PASSTHROUGH));
        assert_eq!((with.answer().max_stack_depth, with.answer().flags2 >> 5 & 1), (1, 1));
        let without = negotiate(45, 0, ALL & !flag::PASSTHROUGH, wishes).unwrap();
        assert_eq!(without.answer().max_stack_depth, 0);
    }

    #[test]
    fn a_kernel_before_6_6_is_refused_with_the_reason() {
        let refusal = negotiate(38, 0, ALL, Wishes::default()).unwrap_err();
        assert!(refusal.to_string().contains("needs Linux 6.6"), "{refusal}");
        let refusal = negotiate(39, 0, ALL & !flag::DIRECT_IO_ALLOW_MMAP, Wishes::default()).unwrap_err();
        assert_eq!(refusal, Refusal::Lacks { minor: 39, missing: flag::DIRECT_IO_ALLOW_MMAP });
    }

    #[test]
    fn an_agreement_can_be_kept_and_read_back() {
        let negotiated = negotiate(45, 131_072, ALL, Wishes::default()).unwrap();
        let kept = serde_json::to_string(&negotiated).unwrap();
        assert_eq!(serde_json::from_str::<Negotiated>(&kept).unwrap(), negotiated);
    }
}
