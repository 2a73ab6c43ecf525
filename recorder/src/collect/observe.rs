//! From a request and its answer to the record of it: which op it was and which columns it fills.
//! Runs in the workers, before the reply is written. Knows no paths and no processes.

use super::record::{Facts, Listed, Names, PackedEntries, Record, present};
use crate::event::{Op, Origin};
use crate::wire::answers::{Dirent, EntryOut};
use crate::wire::operation::{CopyFileRange, Rename, Setattr};
use crate::wire::{Answer, Handle, Node, Operation, Payload, Request};

/// The columns that depend on the operation.
struct Shape {
    op: Op,
    fh: Option<Handle>,
    offset: Option<u64>,
    size: Option<u64>,
    flags: Option<u32>,
    mode: Option<u32>,
    names: Option<Box<Names>>,
    /// Only where it is not the request's node.
    node: Option<Node>,
}

impl Shape {
    fn of(op: Op) -> Shape {
        Shape { op, fh: None, offset: None, size: None, flags: None, mode: None, names: None, node: None }
    }

    fn fh(self, fh: impl Into<Option<Handle>>) -> Shape {
        Shape { fh: fh.into(), ..self }
    }

    fn range(self, offset: u64, size: u64) -> Shape {
        Shape { offset: Some(offset), size: Some(size), ..self }
    }

    fn size(self, size: u64) -> Shape {
        Shape { size: Some(size), ..self }
    }

    fn flags(self, flags: u32) -> Shape {
        Shape { flags: Some(flags), ..self }
    }

    fn mode(self, mode: u32) -> Shape {
        Shape { mode: Some(mode), ..self }
    }

    fn name(self, name: &[u8], facts: &Facts) -> Shape {
        self.names(Names { name: name.into(), child: facts.child.map(|node| node.0), ..Names::default() })
    }

    fn names(self, names: Names) -> Shape {
        Shape { names: Some(Box::new(names)), ..self }
    }
}

/// The record of a served request; None for those that are no events.
pub fn observe(request: &Request<'_>, facts: &Facts, answer: &Answer, finished_ns: u64, task: u32) -> Option<Record> {
    let operation = &request.operation;
    let shape = data(request)
        .or_else(|| attributes(operation))
        .or_else(|| names(operation, facts))
        .or_else(|| opening(operation, facts))
        .or_else(|| directories(operation))?;
    let errno = answer.as_ref().err().map_or(0, |errno| u16::try_from(errno.0).unwrap_or(libc::EIO as u16));
    let facts = if errno == 0 { *facts } else { of_failure(&shape, facts) };
    Some(Record {
        seq: 0,
        start_ns: request.arrived_ns,
        duration_ns: finished_ns.saturating_sub(request.arrived_ns),
        backing_ns: facts.backing_ns,
        node: shape.node.unwrap_or(request.node).0,
        fh: shape.fh.map_or(0, |fh| fh.0),
        offset: shape.offset.unwrap_or(0),
        size: shape.size.unwrap_or(0),
        result: facts.result,
        ino: facts.ino,
        // The kernel's own device numbers are 32 bits wide (12 major, 20 minor), so nothing is cut off.
        dev: facts.dev as u32,
        flags: shape.flags.unwrap_or(0),
        mode: shape.mode.unwrap_or(0),
        uid: request.uid,
        gid: request.gid,
        tid: request.tid,
        task,
        errno,
        op: shape.op,
        file_type: facts.file_type,
        origin: origin(request),
        present: bits(&shape, &facts),
        names: shape.names,
        connection: 0,
        unique: request.unique as u32,
    })
}

/// Whether the request becomes an event: forget, interrupt, init, destroy and what is refused unread do not.
pub fn is_event(operation: &Operation<'_>) -> bool {
    use Operation::{BatchForget, Destroy, Forget, Init, Interrupt, Refused};
    !matches!(operation, Init { .. } | Destroy | Forget { .. } | BatchForget { .. } | Interrupt { .. } | Refused { .. })
}

/// Whether the caller should be looked at closely: a program that has just been executed opens files first.
pub fn opens(operation: &Operation<'_>) -> bool {
    use Operation::{Create, Open, Opendir, Tmpfile};
    matches!(operation, Open { .. } | Create { .. } | Tmpfile { .. } | Opendir { .. })
}

/// A failed request moved nothing; and on a name that failed, all that was found for sure is the directory.
fn of_failure(shape: &Shape, facts: &Facts) -> Facts {
    let facts = Facts { result: 0, ..*facts };
    match shape.names {
        Some(_) => Facts { ino: 0, dev: 0, file_type: None, ..facts },
        None => facts,
    }
}

/// Page faults, writeback and the last release of a file bear no caller.
fn origin(request: &Request<'_>) -> Origin {
    match request.operation {
        Operation::Read(read) if read.for_page_cache => Origin::Kernel,
        Operation::Write(write) if write.from_page_cache => Origin::Kernel,
        _ if request.tid == 0 => Origin::Kernel,
        _ => Origin::Program,
    }
}

fn bits(shape: &Shape, facts: &Facts) -> u8 {
    let held = [
        (shape.offset.is_some(), present::OFFSET),
        (shape.size.is_some(), present::SIZE),
        (shape.flags.is_some(), present::FLAGS),
        (shape.mode.is_some(), present::MODE),
        (shape.fh.is_some(), present::FH),
        (facts.ino != 0, present::INO),
        (facts.backing_ns != 0, present::BACKING),
    ];
    held.iter().map(|(is_held, bit)| u8::from(*is_held) * bit).sum()
}

/// Calls on an open file.
fn data(request: &Request<'_>) -> Option<Shape> {
    Some(match request.operation {
        Operation::Read(read) => {
            Shape::of(Op::Read).fh(read.handle).range(read.offset, read.size.into()).flags(read.flags)
        }
        Operation::Write(write) => {
            Shape::of(Op::Write).fh(write.handle).range(write.offset, write.data.len() as u64).flags(write.flags)
        }
        Operation::CopyFileRange(copy) => copy_file_range(request.node, &copy),
        Operation::Fallocate { handle, offset, length, mode } => {
            Shape::of(Op::Fallocate).fh(handle).range(offset, length).mode(mode)
        }
        Operation::Fsync { handle, data_only } => {
            Shape::of(if data_only { Op::Fdatasync } else { Op::Fsync }).fh(handle)
        }
        Operation::Flush { handle } => Shape::of(Op::Flush).fh(handle),
        Operation::Release { handle, flags } => Shape::of(Op::Release).fh(handle).flags(flags),
        Operation::Lseek { handle, offset, whence } => {
            Shape { offset: Some(offset), ..Shape::of(Op::Lseek).fh(handle).flags(whence) }
        }
        Operation::Ioctl { handle, command, .. } => Shape::of(Op::Ioctl).fh(handle).flags(command),
        Operation::Poll { handle, events, .. } => Shape::of(Op::Poll).fh(handle).flags(events),
        Operation::Bmap { block, block_size } => Shape::of(Op::Bmap).range(block, block_size.into()),
        _ => return None,
    })
}

/// The event is about the file written; the one read is its other name.
fn copy_file_range(node_in: Node, copy: &CopyFileRange) -> Shape {
    let shape = Shape::of(Op::CopyFileRange).fh(copy.handle_out).range(copy.offset_out, copy.len);
    let shape = shape.names(Names { new_parent: Some(node_in.0), ..Names::default() });
    Shape { node: Some(copy.node_out), ..shape }
}

fn attributes(operation: &Operation<'_>) -> Option<Shape> {
    Some(match *operation {
        Operation::Getattr { handle } => Shape::of(Op::Getattr).fh(handle),
        Operation::Statx { handle, sx_flags, .. } => Shape::of(Op::Statx).fh(handle).flags(sx_flags),
        Operation::Setattr(set) => setattr(&set),
        Operation::Readlink => Shape::of(Op::Readlink),
        Operation::Access { mask } => Shape::of(Op::Access).mode(mask),
        Operation::Statfs => Shape::of(Op::Statfs),
        Operation::Syncfs => Shape::of(Op::Syncfs),
        Operation::Getxattr { size, .. } => Shape::of(Op::Getxattr).size(size.into()),
        Operation::Setxattr { value, flags, .. } => Shape::of(Op::Setxattr).size(value.len() as u64).flags(flags),
        Operation::Listxattr { size } => Shape::of(Op::Listxattr).size(size.into()),
        Operation::Removexattr { .. } => Shape::of(Op::Removexattr),
        _ => return None,
    })
}

/// One request for chmod, chown, truncate and utimens: it is named after the one thing it changes.
fn setattr(set: &Setattr) -> Shape {
    let owner = set.uid.is_some() || set.gid.is_some();
    let times = set.atime.is_some() || set.mtime.is_some();
    let op = match (set.mode.is_some(), owner, set.size.is_some(), times) {
        (true, false, false, false) => Op::Chmod,
        (false, true, false, false) => Op::Chown,
        (false, false, true, false) => Op::Truncate,
        (false, false, false, true) => Op::Utimens,
        _ => Op::Setattr,
    };
    Shape { mode: set.mode, size: set.size, ..Shape::of(op).fh(set.handle) }
}

/// Requests on a name in the directory that is the request's node.
fn names(operation: &Operation<'_>, facts: &Facts) -> Option<Shape> {
    Some(match *operation {
        Operation::Lookup { name } => Shape::of(Op::Lookup).name(name, facts),
        Operation::Mknod { name, mode, .. } => Shape::of(Op::Mknod).name(name, facts).mode(mode),
        Operation::Mkdir { name, mode, .. } => Shape::of(Op::Mkdir).name(name, facts).mode(mode),
        Operation::Unlink { name } => Shape::of(Op::Unlink).name(name, facts),
        Operation::Rmdir { name } => Shape::of(Op::Rmdir).name(name, facts),
        Operation::Symlink { name, target } => Shape::of(Op::Symlink).names(Names {
            name: name.into(),
            child: facts.child.map(|node| node.0),
            new_name: Some(target.into()),
            ..Names::default()
        }),
        Operation::Link { existing, name } => Shape::of(Op::Link).names(Names {
            name: name.into(),
            child: facts.child.map(|node| node.0),
            new_parent: Some(existing.0),
            ..Names::default()
        }),
        Operation::Rename(rename) => Shape::of(Op::Rename).names(both_names(&rename)).flags(rename.flags),
        _ => return None,
    })
}

fn both_names(rename: &Rename<'_>) -> Names {
    Names {
        name: rename.name.into(),
        child: None,
        new_parent: Some(rename.new_parent.0),
        new_name: Some(rename.new_name.into()),
        exchange: rename.flags & libc::RENAME_EXCHANGE != 0,
    }
}

/// Requests that answer a handle. A tmpfile has no name: its event is about the directory.
fn opening(operation: &Operation<'_>, facts: &Facts) -> Option<Shape> {
    let shape = match *operation {
        Operation::Open { flags, .. } => Shape::of(Op::Open).flags(flags),
        Operation::Create { name, flags, mode, .. } => Shape::of(Op::Create).name(name, facts).flags(flags).mode(mode),
        Operation::Tmpfile { flags, mode, .. } => Shape::of(Op::Tmpfile).name(b"", facts).flags(flags).mode(mode),
        Operation::Opendir { flags } => Shape::of(Op::Opendir).flags(flags),
        _ => return None,
    };
    Some(shape.fh(facts.opened))
}

fn directories(operation: &Operation<'_>) -> Option<Shape> {
    Some(match *operation {
        Operation::Readdir { handle, offset, size } => Shape::of(Op::Readdir).fh(handle).range(offset, size.into()),
        Operation::Readdirplus { handle, offset, size } => {
            Shape::of(Op::Readdirplus).fh(handle).range(offset, size.into())
        }
        Operation::Releasedir { handle } => Shape::of(Op::Releasedir).fh(handle),
        Operation::Fsyncdir { handle, .. } => Shape::of(Op::Fsyncdir).fh(handle),
        _ => return None,
    })
}

/// Where a readdirplus entry keeps what is read here: an EntryOut that begins with the node, then a Dirent, then the name.
const NAME_LENGTH_AT: usize = size_of::<EntryOut>() + 16;
const KIND_AT: usize = size_of::<EntryOut>() + 20;
const NAME_AT: usize = size_of::<EntryOut>() + size_of::<Dirent>();

/// The names that a readdirplus has just told the kernel, from the reply itself.
pub fn listed(request: &Request<'_>, answer: &Answer, reply: &[u8]) -> Option<Listed> {
    let (Operation::Readdirplus { .. }, Ok(Payload::Bytes(length))) = (&request.operation, answer) else { return None };
    let mut rest = reply.get(..*length)?;
    let mut entries = PackedEntries::default();
    while let Some((node, kind, name, tail)) = next_entry(rest) {
        // Node 0: the entry was listed without being looked up. `.` and `..` are no names.
        if node != 0 && name != b"." && name != b".." {
            entries.push(node, kind == u32::from(libc::DT_DIR), name);
        }
        rest = tail;
    }
    let listed = Listed { connection: 0, parent: request.node.0, start_ns: request.arrived_ns, entries };
    (!listed.entries.is_empty()).then_some(listed)
}

fn next_entry(bytes: &[u8]) -> Option<(u64, u32, &[u8], &[u8])> {
    let node = u64::from_ne_bytes(*bytes.first_chunk()?);
    let length = u32::from_ne_bytes(*bytes.get(NAME_LENGTH_AT..)?.first_chunk()?) as usize;
    let kind = u32::from_ne_bytes(*bytes.get(KIND_AT..)?.first_chunk()?);
    let name = bytes.get(NAME_AT..)?.get(..length)?;
    let tail = bytes.get((NAME_AT + length).next_multiple_of(8)..).unwrap_or_default();
    Some((node, kind, name, tail))
}

#[cfg(test)]
mod tests;
