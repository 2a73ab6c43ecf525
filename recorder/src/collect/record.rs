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
    /// Which mount of this recorder; node and handle numbers are each connection's own.
    pub connection: u8,
    /// The low half of the kernel's number for the request: what a system call is joined by.
    pub unique: u32,
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

impl Record {
    pub fn has(&self, bit: u8) -> bool {
        self.present & bit != 0
    }

    pub fn finished_ns(&self) -> u64 {
        self.start_ns.saturating_add(self.duration_ns)
    }

    /// Whether the table of names must learn of this record even if no event can be made of it.
    pub fn concerns_names(&self) -> bool {
        self.names.is_some() || matches!(self.op, Op::Open | Op::Opendir | Op::Release | Op::Releasedir)
    }

    /// Bytes moved, for totals: the same rule as `Event::bytes`.
    pub fn bytes(&self) -> u64 {
        if self.errno == 0 && self.op.moves_data() { self.result.max(0) as u64 } else { 0 }
    }

    /// What the record holds outside itself, for the queue's bound.
    pub fn heap_bytes(&self) -> usize {
        self.names.as_ref().map_or(0, |names| {
            size_of::<Names>() + names.name.len() + names.new_name.as_ref().map_or(0, |name| name.len())
        })
    }
}

/// The names a request carried, for the collector's table of names. Of a request that failed too (its path is evidence).
#[derive(Debug, Default)]
pub struct Names {
    pub name: Box<[u8]>,
    /// The node that the name now stands for, if the request made or found it.
    pub child: Option<u64>,
    /// rename: the new directory and name. link: the existing node is `new_parent`, `new_name` is empty.
    /// symlink: `new_name` is the target. copy_file_range: `new_parent` is the node that was read.
    pub new_parent: Option<u64>,
    pub new_name: Option<Box<[u8]>>,
    /// rename with RENAME_EXCHANGE.
    pub exchange: bool,
}

/// The entries that a readdirplus told the kernel: it may use their nodes without ever looking them up.
#[derive(Debug)]
pub struct Listed {
    pub connection: u8,
    pub parent: u64,
    pub start_ns: u64,
    /// Packed, since one reply holds hundreds.
    pub entries: PackedEntries,
}

/// (node, whether it is a directory, name) one after the other: node (8 bytes), 1 or 0, length (2 bytes), name.
#[derive(Debug, Default)]
pub struct PackedEntries(Vec<u8>);

impl PackedEntries {
    const HEAD_BYTES: usize = 11;

    pub fn push(&mut self, node: u64, is_directory: bool, name: &[u8]) {
        let Ok(length) = u16::try_from(name.len()) else { return };
        self.0.extend_from_slice(&node.to_ne_bytes());
        self.0.push(u8::from(is_directory));
        self.0.extend_from_slice(&length.to_ne_bytes());
        self.0.extend_from_slice(name);
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn heap_bytes(&self) -> usize {
        self.0.capacity()
    }

    pub fn iter(&self) -> impl Iterator<Item = (u64, bool, &[u8])> {
        let mut rest = &self.0[..];
        std::iter::from_fn(move || {
            let (head, tail) = rest.split_first_chunk::<{ Self::HEAD_BYTES }>()?;
            let [n0, n1, n2, n3, n4, n5, n6, n7, is_directory, l0, l1] = *head;
            let (name, tail) = tail.split_at_checked(u16::from_ne_bytes([l0, l1]).into())?;
            rest = tail;
            Some((u64::from_ne_bytes([n0, n1, n2, n3, n4, n5, n6, n7]), is_directory == 1, name))
        })
    }
}

/// What goes through the queue.
#[derive(Debug)]
pub enum Item {
    /// A request that becomes an event.
    Served(Record),
    /// A request that found the queue full and is counted as dropped: only its names are still to be learned.
    Unstored(Box<Record>),
    Listed(Box<Listed>),
    /// A node that the kernel has forgotten for good.
    Gone {
        connection: u8,
        node: Node,
    },
    /// Something that concerned names did not fit in: what is known of names may be wrong from here on.
    NamesLost,
}

const _: () = assert!(size_of::<Item>() <= 128, "queue memory is bounded by this size");
