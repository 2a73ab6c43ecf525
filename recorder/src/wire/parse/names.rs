//! Requests that look up, make, move and remove names.

use super::arguments::Arguments;
use super::{MALFORMED, Parsed};
use crate::wire::operation::{Node, Operation, Rename};
use crate::wire::requests::{CreateIn, LinkIn, MkdirIn, MknodIn, OPEN_KILL_SUIDGID, Rename2In, RenameIn, opcode};

pub fn parse(code: u32, mut arguments: Arguments<'_>) -> Parsed<'_> {
    match code {
        opcode::LOOKUP => Ok(Operation::Lookup { name: arguments.name()? }),
        opcode::UNLINK => Ok(Operation::Unlink { name: arguments.name()? }),
        opcode::RMDIR => Ok(Operation::Rmdir { name: arguments.name()? }),
        opcode::SYMLINK => Ok(Operation::Symlink { name: arguments.name()?, target: arguments.string()? }),
        opcode::MKNOD => mknod(arguments),
        opcode::MKDIR => mkdir(arguments),
        opcode::RENAME => {
            let RenameIn { newdir } = arguments.take()?;
            rename(arguments, newdir, 0)
        }
        opcode::RENAME2 => {
            let Rename2In { newdir, flags, .. } = arguments.take()?;
            rename(arguments, newdir, flags)
        }
        opcode::LINK => {
            let LinkIn { oldnodeid } = arguments.take()?;
            Ok(Operation::Link { existing: Node(oldnodeid), name: arguments.name()? })
        }
        opcode::CREATE => create(arguments),
        opcode::TMPFILE => tmpfile(arguments),
        _ => Err(MALFORMED),
    }
}

fn mknod(mut arguments: Arguments<'_>) -> Parsed<'_> {
    let MknodIn { mode, rdev, umask, .. } = arguments.take()?;
    Ok(Operation::Mknod { name: arguments.name()?, mode, rdev, umask })
}

fn mkdir(mut arguments: Arguments<'_>) -> Parsed<'_> {
    let MkdirIn { mode, umask } = arguments.take()?;
    Ok(Operation::Mkdir { name: arguments.name()?, mode, umask })
}

fn rename(mut arguments: Arguments<'_>, newdir: u64, flags: u32) -> Parsed<'_> {
    let (name, new_name) = (arguments.name()?, arguments.name()?);
    Ok(Operation::Rename(Rename { name, new_parent: Node(newdir), new_name, flags }))
}

fn create(mut arguments: Arguments<'_>) -> Parsed<'_> {
    let CreateIn { flags, mode, umask, open_flags } = arguments.take()?;
    let kill_suid_sgid = open_flags & OPEN_KILL_SUIDGID != 0;
    Ok(Operation::Create { name: arguments.name()?, flags, mode, umask, kill_suid_sgid })
}

/// Its name is no component: the kernel sends the name of an unnamed dentry, "/".
fn tmpfile(mut arguments: Arguments<'_>) -> Parsed<'_> {
    let CreateIn { flags, mode, umask, .. } = arguments.take()?;
    Ok(Operation::Tmpfile { name: arguments.string()?, flags, mode, umask })
}
