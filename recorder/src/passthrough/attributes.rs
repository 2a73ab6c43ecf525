//! getattr, statx and setattr, and how a backing inode's attributes look to the kernel.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::inodes::Inode;
use super::sys::{self, Result, check, check_long};
use super::{Call, Options};
use crate::wire::answers::{Attr, AttrOut, EntryOut, Statx, StatxOut, StatxTime};
use crate::wire::operation::{Setattr, Time};
use crate::wire::{Answer, Errno, Handle, Node};

/// How long the kernel may trust what it looked up: long enough for the steps of one path, short against a person.
const CACHED: Duration = Duration::from_millis(20);

/// AT_STATX_FORCE_SYNC and AT_STATX_DONT_SYNC: the flags a statx request may carry on.
const STATX_SYNC_FLAGS: u32 = 0x6000;

/// Which files may change without a call that the kernel would learn of: through a map that others share.
pub trait SharedMaps: Send + Sync {
    /// Whether the file has or had one. True from before the map can be used.
    fn may_have(&self, node: Node) -> bool;
}

/// How long the kernel may trust entries and attributes. Missing names: never. A file's attributes: only where calls on its
/// descriptors are seen without a request, and then not its entry, so that a look at its name still is one.
pub struct Timeouts {
    exact: bool,
    over_source: bool,
    maps: OnceLock<Arc<dyn SharedMaps>>,
}

impl Timeouts {
    pub fn new(options: Options) -> Timeouts {
        Timeouts { exact: options.exact, over_source: options.over_source, maps: OnceLock::new() }
    }

    /// From now on calls on descriptors are seen by other means.
    pub fn start(&self, maps: Arc<dyn SharedMaps>) {
        // Told once, when data passes through.
        let _ = self.maps.set(maps);
    }

    fn entry(&self, attributes: &libc::statx) -> Duration {
        let is_kept = is_directory(attributes) || self.over_source && self.maps.get().is_none();
        if is_kept && !self.exact { CACHED } else { Duration::ZERO }
    }

    fn attributes(&self, node: Node, attributes: &libc::statx) -> Duration {
        let is_kept = is_directory(attributes) || changes_by_calls_only(attributes) && self.has_no_map(node);
        if is_kept && !self.exact { CACHED } else { Duration::ZERO }
    }

    fn has_no_map(&self, node: Node) -> bool {
        self.maps.get().is_some_and(|maps| !maps.may_have(node))
    }

    /// What a lookup, or a call that made a name, answers.
    pub fn entry_out(&self, node: Node, attributes: &libc::statx) -> EntryOut {
        let (entry, attr) = (self.entry(attributes), self.attributes(node, attributes));
        EntryOut {
            nodeid: node.0,
            generation: 0,
            entry_valid: entry.as_secs(),
            attr_valid: attr.as_secs(),
            entry_valid_nsec: entry.subsec_nanos(),
            attr_valid_nsec: attr.subsec_nanos(),
            attr: attr_of(attributes),
        }
    }
}

impl Call<'_> {
    pub fn getattr(&mut self, handle: Option<Handle>) -> Answer {
        let attributes = self.attributes(handle, 0)?;
        self.answer_attributes(&attributes)
    }

    pub fn statx(&mut self, handle: Option<Handle>, flags: u32) -> Answer {
        let attributes = self.attributes(handle, (flags & STATX_SYNC_FLAGS) as libc::c_int)?;
        let valid = self.fs.timeouts.attributes(self.request.node, &attributes);
        self.reply.put(&StatxOut {
            attr_valid: valid.as_secs(),
            attr_valid_nsec: valid.subsec_nanos(),
            stat: statx_of(&attributes),
            ..StatxOut::default()
        })
    }

    pub fn setattr(&mut self, change: Setattr) -> Answer {
        let inode = self.inode()?;
        // The kernel sends FATTR_KILL_SUIDGID with every chown, whoever the caller is, and chown clears the bits by itself;
        // but root keeps the setgid bit of a file without group execution (setattr_should_drop_sgid, fs/attr.c).
        let kills = change.kill_suid_sgid && (change.size.is_some() || self.request.uid != 0);
        self.assume(kills)?;
        if let Some(size) = change.size {
            self.truncate(&inode, change.handle, size)?;
        }
        let fd = self.fs.inodes.descriptor(&inode)?;
        let attributes = self.backing(|| {
            set_owner(fd.as_fd(), &change)?;
            set_mode(fd.as_fd(), &change)?;
            set_times(fd.as_fd(), &change)?;
            sys::statx_fd(fd.as_fd())
        })?;
        self.answer_attributes(&attributes)
    }

    /// Through the caller's open file where there is one: it may be open for writing when its mode no longer allows it.
    fn truncate(&mut self, inode: &Inode, handle: Option<Handle>, size: u64) -> Result<()> {
        let size = sys::offset(size)?;
        if let Some(file) = handle.and_then(|handle| self.fs.handles.file(handle).ok()) {
            return self.backing(|| set_size(file.fd.as_fd(), size));
        }
        if inode.is_directory() {
            return Err(Errno(libc::EISDIR));
        }
        let inodes = &self.fs.inodes;
        self.backing(|| set_size(inodes.open(inode, libc::O_WRONLY | libc::O_NONBLOCK)?.as_fd(), size))
    }

    fn attributes(&mut self, handle: Option<Handle>, sync_flags: libc::c_int) -> Result<libc::statx> {
        let flags = libc::AT_EMPTY_PATH | sync_flags;
        let open = handle.and_then(|handle| self.fs.handles.get(handle).ok());
        if let Some(open) = open {
            self.is_about(open.inode().identity);
            return self.backing(|| sys::statx(open.fd(), c"", flags));
        }
        let inode = self.inode()?;
        let inodes = &self.fs.inodes;
        self.backing(|| sys::statx(inodes.descriptor(&inode)?.as_fd(), c"", flags))
    }

    fn answer_attributes(&mut self, attributes: &libc::statx) -> Answer {
        let valid = self.fs.timeouts.attributes(self.request.node, attributes);
        self.reply.put(&AttrOut {
            attr_valid: valid.as_secs(),
            attr_valid_nsec: valid.subsec_nanos(),
            dummy: 0,
            attr: attr_of(attributes),
        })
    }
}

fn set_size(fd: BorrowedFd<'_>, size: libc::off_t) -> Result<()> {
    // SAFETY: plain integers.
    check(unsafe { libc::ftruncate(fd.as_raw_fd(), size) })?;
    Ok(())
}

fn set_owner(fd: BorrowedFd<'_>, change: &Setattr) -> Result<()> {
    // Nothing at all to change is chown(-1, -1): it clears the set-id bits and moves ctime.
    let is_empty = Setattr { handle: None, kill_suid_sgid: false, ..*change } == Setattr::default();
    if change.uid.is_none() && change.gid.is_none() && !is_empty {
        return Ok(());
    }
    let (uid, gid) = (change.uid.unwrap_or(u32::MAX), change.gid.unwrap_or(u32::MAX));
    let flags = libc::AT_EMPTY_PATH | libc::AT_SYMLINK_NOFOLLOW;
    // SAFETY: an empty, NUL-terminated name: the descriptor itself.
    check(unsafe { libc::fchownat(fd.as_raw_fd(), c"".as_ptr(), uid, gid, flags) })?;
    Ok(())
}

/// After the owner: chown clears the set-id bits that a new mode may hold.
fn set_mode(fd: BorrowedFd<'_>, change: &Setattr) -> Result<()> {
    let Some(mode) = change.mode else { return Ok(()) };
    // SAFETY: an empty, NUL-terminated name: the descriptor itself. fchmod refuses O_PATH; libc has no wrapper for this.
    check_long(unsafe {
        libc::syscall(libc::SYS_fchmodat2, fd.as_raw_fd(), c"".as_ptr(), mode & 0o7777, libc::AT_EMPTY_PATH)
    })?;
    Ok(())
}

fn set_times(fd: BorrowedFd<'_>, change: &Setattr) -> Result<()> {
    if change.atime.is_none() && change.mtime.is_none() {
        return Ok(());
    }
    let times = [timespec(change.atime), timespec(change.mtime)];
    // SAFETY: two timespecs; an empty, NUL-terminated name: the descriptor itself.
    check(unsafe { libc::utimensat(fd.as_raw_fd(), c"".as_ptr(), times.as_ptr(), libc::AT_EMPTY_PATH) })?;
    Ok(())
}

fn timespec(time: Option<Time>) -> libc::timespec {
    match time {
        None => libc::timespec { tv_sec: 0, tv_nsec: libc::UTIME_OMIT },
        Some(Time::Now) => libc::timespec { tv_sec: 0, tv_nsec: libc::UTIME_NOW },
        Some(Time::At { seconds, nanoseconds }) => {
            libc::timespec { tv_sec: seconds, tv_nsec: libc::c_long::from(nanoseconds) }
        }
    }
}

pub fn is_directory(attributes: &libc::statx) -> bool {
    u32::from(attributes.stx_mode) & libc::S_IFMT == libc::S_IFDIR
}

/// A write takes set-id bits away past us, and whoever executes the file next must not be told that they are there.
fn changes_by_calls_only(attributes: &libc::statx) -> bool {
    let mode = u32::from(attributes.stx_mode);
    mode & libc::S_IFMT == libc::S_IFREG && mode & (libc::S_ISUID | libc::S_ISGID) == 0
}

fn attr_of(stat: &libc::statx) -> Attr {
    Attr {
        ino: stat.stx_ino,
        size: stat.stx_size,
        blocks: stat.stx_blocks,
        atime: stat.stx_atime.tv_sec,
        mtime: stat.stx_mtime.tv_sec,
        ctime: stat.stx_ctime.tv_sec,
        atimensec: stat.stx_atime.tv_nsec,
        mtimensec: stat.stx_mtime.tv_nsec,
        ctimensec: stat.stx_ctime.tv_nsec,
        mode: u32::from(stat.stx_mode),
        nlink: stat.stx_nlink,
        uid: stat.stx_uid,
        gid: stat.stx_gid,
        rdev: encode_device(stat.stx_rdev_major, stat.stx_rdev_minor),
        blksize: stat.stx_blksize,
        flags: 0,
    }
}

fn statx_of(stat: &libc::statx) -> Statx {
    Statx {
        mask: stat.stx_mask,
        blksize: stat.stx_blksize,
        attributes: stat.stx_attributes,
        nlink: stat.stx_nlink,
        uid: stat.stx_uid,
        gid: stat.stx_gid,
        mode: stat.stx_mode,
        ino: stat.stx_ino,
        size: stat.stx_size,
        blocks: stat.stx_blocks,
        attributes_mask: stat.stx_attributes_mask,
        atime: statx_time(&stat.stx_atime),
        btime: statx_time(&stat.stx_btime),
        ctime: statx_time(&stat.stx_ctime),
        mtime: statx_time(&stat.stx_mtime),
        rdev_major: stat.stx_rdev_major,
        rdev_minor: stat.stx_rdev_minor,
        dev_major: stat.stx_dev_major,
        dev_minor: stat.stx_dev_minor,
        ..Statx::default()
    }
}

fn statx_time(time: &libc::statx_timestamp) -> StatxTime {
    StatxTime { tv_sec: time.tv_sec, tv_nsec: time.tv_nsec, reserved: 0 }
}

/// The kernel's new_encode_dev: 12 bits of major, 20 of minor, in 32.
pub fn encode_device(major: u32, minor: u32) -> u32 {
    minor & 0xff | major << 8 | (minor & !0xff) << 12
}

/// The kernel's new_decode_dev, as makedev(3) wants it.
pub fn decode_device(device: u32) -> libc::dev_t {
    libc::makedev((device & 0xfff00) >> 8, device & 0xff | device >> 12 & 0xfff00)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_numbers_survive_the_protocols_encoding() {
        for (major, minor) in [(0, 0), (1, 3), (8, 17), (259, 0xfffff), (0xfff, 256)] {
            let decoded = decode_device(encode_device(major, minor));
            assert_eq!((libc::major(decoded), libc::minor(decoded)), (major, minor));
        }
    }

    struct Mapped(Node);

    impl SharedMaps for Mapped {
        fn may_have(&self, node: Node) -> bool {
            node == self.0
        }
    }

    fn of_mode(mode: u32) -> libc::statx {
        // SAFETY: plain numbers, for which zero is a value.
        let mut attributes: libc::statx = unsafe { std::mem::zeroed() };
        attributes.stx_mode = mode as u16;
        attributes
    }

    fn timeouts(exact: bool, over_source: bool) -> Timeouts {
        Timeouts::new(Options { exact, over_source, way: None })
    }

    #[test]
    fn files_attributes_are_not_cached_where_only_requests_are_seen_and_exact_caches_nothing() {
        let (file, directory) = (of_mode(libc::S_IFREG), of_mode(libc::S_IFDIR));
        assert_eq!(timeouts(false, true).attributes(Node(2), &file), Duration::ZERO);
        assert_eq!(timeouts(false, false).entry(&file), Duration::ZERO);
        assert_eq!(timeouts(false, true).entry(&file), CACHED);
        assert_eq!(timeouts(false, false).entry(&directory), CACHED);
        let exact = timeouts(true, true);
        exact.start(Arc::new(Mapped(Node(9))));
        assert_eq!(exact.entry(&directory) + exact.entry(&file) + exact.attributes(Node(2), &file), Duration::ZERO);
    }

    #[test]
    fn where_calls_are_seen_a_files_attributes_are_kept_unless_it_may_change_unnoticed_and_its_entry_is_not() {
        let seen = timeouts(false, true);
        seen.start(Arc::new(Mapped(Node(9))));
        assert_eq!(seen.attributes(Node(2), &of_mode(libc::S_IFREG | 0o755)), CACHED);
        assert_eq!(seen.entry(&of_mode(libc::S_IFREG)), Duration::ZERO);
        assert_eq!(seen.attributes(Node(9), &of_mode(libc::S_IFREG)), Duration::ZERO);
        for mode in [libc::S_IFREG | libc::S_ISUID, libc::S_IFREG | libc::S_ISGID, libc::S_IFIFO, libc::S_IFLNK] {
            assert_eq!(seen.attributes(Node(2), &of_mode(mode)), Duration::ZERO);
        }
    }
}
