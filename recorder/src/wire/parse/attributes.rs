//! Requests about nodes: their lookup counts, attributes, extended attributes, and the filesystem's own numbers.

use super::arguments::Arguments;
use super::{MALFORMED, Parsed, answerable};
use crate::wire::Errno;
use crate::wire::operation::{Handle, Operation, Setattr, Time};
use crate::wire::requests::{
    AccessIn, BatchForgetIn, ForgetIn, ForgetOne, GETATTR_FH, GetattrIn, GetxattrIn, SETXATTR_ACL_KILL_SGID, SetattrIn,
    SetxattrIn, StatxIn, fattr, opcode,
};

pub fn parse(code: u32, mut arguments: Arguments<'_>) -> Parsed<'_> {
    match code {
        opcode::FORGET => {
            let ForgetIn { nlookup } = arguments.take()?;
            Ok(Operation::Forget { lookups: nlookup })
        }
        opcode::BATCH_FORGET => batch_forget(arguments),
        opcode::GETATTR => {
            let GetattrIn { getattr_flags, fh, .. } = arguments.take()?;
            Ok(Operation::Getattr { handle: handle(getattr_flags, fh) })
        }
        opcode::STATX => {
            let StatxIn { getattr_flags, fh, sx_flags, sx_mask, .. } = arguments.take()?;
            Ok(Operation::Statx { handle: handle(getattr_flags, fh), sx_flags, sx_mask })
        }
        opcode::SETATTR => setattr(&arguments.take()?),
        opcode::READLINK => Ok(Operation::Readlink),
        opcode::ACCESS => {
            let AccessIn { mask, .. } = arguments.take()?;
            Ok(Operation::Access { mask })
        }
        opcode::STATFS => Ok(Operation::Statfs),
        opcode::SETXATTR => setxattr(arguments),
        opcode::GETXATTR => {
            let size = size(&mut arguments)?;
            Ok(Operation::Getxattr { name: arguments.attribute_name()?, size })
        }
        opcode::LISTXATTR => Ok(Operation::Listxattr { size: size(&mut arguments)? }),
        opcode::REMOVEXATTR => Ok(Operation::Removexattr { name: arguments.attribute_name()? }),
        _ => Err(MALFORMED),
    }
}

fn handle(flags: u32, fh: u64) -> Option<Handle> {
    (flags & GETATTR_FH != 0).then_some(Handle(fh))
}

fn batch_forget(mut arguments: Arguments<'_>) -> Parsed<'_> {
    let BatchForgetIn { count, .. } = arguments.take()?;
    let bytes = count.checked_mul(size_of::<ForgetOne>() as u32).ok_or(MALFORMED)?;
    Ok(Operation::BatchForget { entries: arguments.last(bytes)? })
}

fn setattr<'a>(asked: &SetattrIn) -> Parsed<'a> {
    let has = |bit: u32| asked.valid & bit != 0;
    Ok(Operation::Setattr(Setattr {
        handle: has(fattr::FH).then_some(Handle(asked.fh)),
        mode: has(fattr::MODE).then_some(asked.mode),
        uid: has(fattr::UID).then_some(asked.uid),
        gid: has(fattr::GID).then_some(asked.gid),
        size: has(fattr::SIZE).then_some(asked.size),
        atime: time(has(fattr::ATIME), has(fattr::ATIME_NOW), asked.atime, asked.atimensec),
        mtime: time(has(fattr::MTIME), has(fattr::MTIME_NOW), asked.mtime, asked.mtimensec),
        ctime: time(has(fattr::CTIME), false, asked.ctime, asked.ctimensec),
        kill_suid_sgid: has(fattr::KILL_SUIDGID),
    }))
}

/// The kernel sets the NOW bit beside the plain one.
fn time(given: bool, now: bool, seconds: i64, nanoseconds: u32) -> Option<Time> {
    match (given, now) {
        (_, true) => Some(Time::Now),
        (true, false) => Some(Time::At { seconds, nanoseconds }),
        (false, false) => None,
    }
}

fn setxattr(mut arguments: Arguments<'_>) -> Parsed<'_> {
    let SetxattrIn { size, flags, setxattr_flags, .. } = arguments.take()?;
    let name = arguments.attribute_name()?;
    let acl_kill_sgid = setxattr_flags & SETXATTR_ACL_KILL_SGID != 0;
    Ok(Operation::Setxattr { name, value: arguments.last(size)?, flags, acl_kill_sgid })
}

fn size(arguments: &mut Arguments<'_>) -> Result<u32, Errno> {
    let GetxattrIn { size, .. } = arguments.take()?;
    answerable(size)
}
