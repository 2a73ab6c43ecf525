//! The small record a worker leaves for each request, and the facts the filesystem tells about it.
//! At most 128 bytes: names are boxed and only present where a name changes hands.

use crate::event::{FileType, Op, Origin};
use crate::wire::{Handle, Node};

/// What the filesystem alone knows of a request it has just served. It fills what applies and leaves the rest.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts {
    /// Time in the backing calls alone.
    pub backing_ns: u64,
    /// Of the backing inode that the request was about (the child, where an entry was answered).
    pub ino: u64,
    pub dev: u64,
    pub file_type: Option<FileType>,
    /// The node an entry reply named (lookup, create, mkdir, mknod, symlink, link, tmpfile).
    pub child: Option<Node>,
    /// The handle an open, create, tmpfile or opendir answered.
    pub opened: Option<Handle>,
    /// Bytes moved, an lseek's new offset; else 0.
    pub result: i64,
}

/// One served request. Pushed before the reply is written, so records stand in causal order.
#[derive(Debug)]
pub struct Record {
    pub seq: u64,
    /// CLOCK_MONOTONIC.
    pub start_ns: u64,
    pub duration_ns: u64,
    pub backing_ns: u64,
    pub node: u64,
    pub fh: u64,
    pub offset: u64,
    pub size: u64,
    pub result: i64,
    pub ino: u64,
    pub names: Option<Box<Names>>,
    pub dev: u32,
    pub flags: u32,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub tid: u32,
    /// Which (pid, tid, comm) this was: an index that `process.rs` gives and resolves.
    pub task: u32,
    pub errno: u16,
    pub op: Op,
    pub file_type: Option<FileType>,
    pub origin: Origin,
    /// Which of offset, size, flags, mode, fh, ino hold something: bits of `present`.
    pub present: u8,
}

/// Bits of `Record::present`.
pub mod present {
    pub const OFFSET: u8 = 1;
    pub const SIZE: u8 = 1 << 1;
    pub const FLAGS: u8 = 1 << 2;
    pub const MODE: u8 = 1 << 3;
    pub const FH: u8 = 1 << 4;
    pub const INO: u8 = 1 << 5;
    pub const BACKING: u8 = 1 << 6;
}

/// The names a request carried, for the collector's table of names. Of a request that failed too (its path is evidence).
#[derive(Debug, Default)]
pub struct Names {
    pub name: Box<[u8]>,
    /// The node that the name now stands for, if the request made or found it.
    pub child: Option<u64>,
    /// rename: the new directory and name. link: the existing node is `new_parent`, `new_name` is empty.
    /// symlink: `new_name` is the target.
    pub new_parent: Option<u64>,
    pub new_name: Option<Box<[u8]>>,
    /// rename with RENAME_EXCHANGE.
    pub exchange: bool,
}

/// What goes through the queue: a request that becomes an event, or a node that the kernel has forgotten for good.
#[derive(Debug)]
pub enum Item {
    Served(Record),
    Gone(Node),
}

const _: () = assert!(std::mem::size_of::<Item>() <= 144, "queue memory is bounded by this size");
