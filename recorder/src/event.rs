//! The event: the one word for what flows from the filesystem to the trace, its vocabulary and its newtypes.
//! Knows nothing of FUSE, Parquet or /proc.

use std::sync::Arc;

/// Declares `Op` once: variant, the word views show, its class.
macro_rules! ops {
    ($($variant:ident = $number:literal, $word:literal, $class:ident;)*) => {
        /// What was done. The words are those people know from strace; requests that are no call keep FUSE's word.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Op { $($variant = $number,)* }

        impl Op {
            pub const ALL: &'static [Op] = &[$(Op::$variant,)*];

            pub fn word(self) -> &'static str {
                match self { $(Op::$variant => $word,)* }
            }

            pub fn class(self) -> Class {
                match self { $(Op::$variant => Class::$class,)* }
            }
        }
    };
}

ops! {
    Read = 0, "read", Read;
    Write = 1, "write", Write;
    CopyFileRange = 2, "copy_file_range", Write;
    Fallocate = 3, "fallocate", Write;
    Fsync = 4, "fsync", Sync;
    Fdatasync = 5, "fdatasync", Sync;
    Fsyncdir = 6, "fsyncdir", Sync;
    Syncfs = 7, "syncfs", Sync;
    Open = 8, "open", Open;
    Create = 9, "create", Open;
    Tmpfile = 10, "tmpfile", Open;
    Opendir = 11, "opendir", Open;
    Flush = 12, "flush", Open;
    Release = 13, "release", Open;
    Releasedir = 14, "releasedir", Open;
    Lookup = 15, "lookup", Metadata;
    Getattr = 16, "getattr", Metadata;
    Statx = 17, "statx", Metadata;
    Chmod = 18, "chmod", Metadata;
    Chown = 19, "chown", Metadata;
    Truncate = 20, "truncate", Metadata;
    Utimens = 21, "utimens", Metadata;
    Setattr = 22, "setattr", Metadata;
    Readlink = 23, "readlink", Metadata;
    Readdir = 24, "readdir", Metadata;
    Readdirplus = 25, "readdirplus", Metadata;
    Access = 26, "access", Metadata;
    Statfs = 27, "statfs", Metadata;
    Getxattr = 28, "getxattr", Metadata;
    Setxattr = 29, "setxattr", Metadata;
    Listxattr = 30, "listxattr", Metadata;
    Removexattr = 31, "removexattr", Metadata;
    Lseek = 32, "lseek", Metadata;
    Ioctl = 33, "ioctl", Metadata;
    Bmap = 34, "bmap", Metadata;
    Poll = 35, "poll", Metadata;
    Mkdir = 36, "mkdir", Namespace;
    Mknod = 37, "mknod", Namespace;
    Symlink = 38, "symlink", Namespace;
    Link = 39, "link", Namespace;
    Unlink = 40, "unlink", Namespace;
    Rmdir = 41, "rmdir", Namespace;
    Rename = 42, "rename", Namespace;
    Close = 43, "close", Open;
    Stat = 44, "stat", Metadata;
    Mmap = 45, "mmap", Open;
    Msync = 46, "msync", Sync;
    Execve = 47, "execve", Open;
    Getdents = 48, "getdents", Metadata;
    Chdir = 49, "chdir", Metadata;
    Fcntl = 50, "fcntl", Metadata;
    Flock = 51, "flock", Metadata;
    Dup = 52, "dup", Open;
    Fadvise = 53, "fadvise", Metadata;
    SyncFileRange = 54, "sync_file_range", Sync;
    Other = 55, "other", Metadata;
}

impl Op {
    /// Its result is a number of bytes moved.
    pub fn moves_data(self) -> bool {
        matches!(self, Op::Read | Op::Write | Op::CopyFileRange)
    }
}

/// The six classes every op belongs to: the first thing a summary shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    Read,
    Write,
    Sync,
    Open,
    Metadata,
    Namespace,
}

impl Class {
    pub fn word(self) -> &'static str {
        match self {
            Class::Read => "read",
            Class::Write => "write",
            Class::Sync => "sync",
            Class::Open => "open",
            Class::Metadata => "metadata",
            Class::Namespace => "namespace",
        }
    }
}

/// What kind of thing one event is: a FUSE request (daemon plane), a system call, a read or write by io_uring or by libaio.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    Call = 0,
    Request = 1,
    IoUring = 2,
    Aio = 3,
}

impl Kind {
    pub const ALL: &'static [Kind] = &[Kind::Call, Kind::Request, Kind::IoUring, Kind::Aio];

    pub fn word(self) -> &'static str {
        match self {
            Kind::Call => "call",
            Kind::Request => "request",
            Kind::IoUring => "io_uring",
            Kind::Aio => "aio",
        }
    }
}

/// Who caused it: the program, or the kernel on its own (page faults, writeback: pid 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Origin {
    Program = 0,
    Kernel = 1,
}

impl Origin {
    pub fn word(self) -> &'static str {
        match self {
            Origin::Program => "program",
            Origin::Kernel => "kernel",
        }
    }
}

/// Which way of seeing produced the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Plane {
    Daemon = 0,
    Kernel = 1,
}

impl Plane {
    pub fn word(self) -> &'static str {
        match self {
            Plane::Daemon => "daemon",
            Plane::Kernel => "kernel",
        }
    }
}

/// What sort of file it was, by the S_IFMT bits of its mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FileType {
    Regular = 0,
    Directory = 1,
    Symlink = 2,
    Fifo = 3,
    Socket = 4,
    CharDevice = 5,
    BlockDevice = 6,
}

impl FileType {
    pub fn from_mode(mode: u32) -> Option<FileType> {
        match mode & libc::S_IFMT {
            libc::S_IFREG => Some(FileType::Regular),
            libc::S_IFDIR => Some(FileType::Directory),
            libc::S_IFLNK => Some(FileType::Symlink),
            libc::S_IFIFO => Some(FileType::Fifo),
            libc::S_IFSOCK => Some(FileType::Socket),
            libc::S_IFCHR => Some(FileType::CharDevice),
            libc::S_IFBLK => Some(FileType::BlockDevice),
            _ => None,
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            FileType::Regular => "file",
            FileType::Directory => "directory",
            FileType::Symlink => "symlink",
            FileType::Fifo => "fifo",
            FileType::Socket => "socket",
            FileType::CharDevice => "char_device",
            FileType::BlockDevice => "block_device",
        }
    }
}

/// One call or request, complete. What cannot be known is None, never a guess.
/// `path`, `path2` and `comm` are escaped text (`escape`); Arcs are shared, so a copy is one count.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub stream: u16,
    pub seq: u64,
    /// Start: monotonic clock plus the trace's wall offset, nanoseconds since the epoch.
    pub ts_ns: i64,
    pub duration_ns: u64,
    pub backing_ns: Option<u64>,
    pub requests: u32,
    pub op: Op,
    pub kind: Kind,
    pub syscall_nr: Option<u16>,
    pub origin: Origin,
    pub plane: Plane,
    pub path: Option<Arc<str>>,
    pub path2: Option<Arc<str>>,
    pub offset: Option<u64>,
    pub size: Option<u64>,
    pub result: Option<i64>,
    pub errno: u16,
    pub flags: Option<u32>,
    pub mode: Option<u32>,
    pub ino: Option<u64>,
    pub dev: Option<u64>,
    pub fh: Option<u64>,
    pub file_type: Option<FileType>,
    pub pid: Option<u32>,
    pub tid: Option<u32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub comm: Option<Arc<str>>,
}

impl Event {
    /// Bytes moved, for totals: what a successful read or write (or copy) returned.
    pub fn bytes(&self) -> u64 {
        match self.result {
            Some(n) if n > 0 && self.errno == 0 && self.op.moves_data() => n as u64,
            _ => 0,
        }
    }
}

/// A name's bytes as text, reversibly: a backslash becomes `\\`, a byte that is not part of valid UTF-8 becomes
/// `\xHH` (lower case). Everything else, newline and escape codes too, stays as it is; views make it safe to show.
pub fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character == '\\' {
                text.push('\\');
            }
            text.push(character);
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaping_keeps_what_is_text_and_is_reversible_for_what_is_not() {
        assert_eq!(escape("é\n\x1b".as_bytes()), "é\n\x1b");
        assert_eq!(escape(b"a\\x41"), "a\\\\x41");
        assert_eq!(escape(b"a\xff\xc3"), "a\\xff\\xc3");
    }

    #[test]
    fn op_numbers_are_their_places_in_the_list() {
        for (place, op) in Op::ALL.iter().enumerate() {
            assert_eq!(*op as usize, place);
        }
    }
}
