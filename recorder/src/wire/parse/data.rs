//! Requests about open files and directories. What is no request of ours at all ends here too, as `Refused`.

use super::arguments::Arguments;
use super::{Parsed, answerable};
use crate::wire::operation::{CopyFileRange, Handle, Node, Operation, Read, Write};
use crate::wire::requests::{
    BmapIn, CopyFileRangeIn, FSYNC_FDATASYNC, FallocateIn, FlushIn, FsyncIn, IoctlIn, LseekIn, OPEN_KILL_SUIDGID,
    OpenIn, PollIn, READ_LOCKOWNER, ReadIn, ReleaseIn, WRITE_CACHE, WRITE_KILL_SUIDGID, WriteIn, opcode,
};

pub fn parse(code: u32, mut arguments: Arguments<'_>) -> Parsed<'_> {
    match code {
        opcode::READ => read(arguments),
        opcode::WRITE => write(arguments),
        opcode::OPEN => {
            let OpenIn { flags, open_flags } = arguments.take()?;
            Ok(Operation::Open { flags, kill_suid_sgid: open_flags & OPEN_KILL_SUIDGID != 0 })
        }
        opcode::FLUSH => {
            let FlushIn { fh, .. } = arguments.take()?;
            Ok(Operation::Flush { handle: Handle(fh) })
        }
        opcode::RELEASE => {
            let ReleaseIn { fh, flags, .. } = arguments.take()?;
            Ok(Operation::Release { handle: Handle(fh), flags })
        }
        opcode::FSYNC => {
            let (handle, data_only) = fsync(&arguments.take()?);
            Ok(Operation::Fsync { handle, data_only })
        }
        opcode::OPENDIR | opcode::READDIR | opcode::READDIRPLUS | opcode::RELEASEDIR | opcode::FSYNCDIR => {
            directory(code, arguments)
        }
        opcode::FALLOCATE => fallocate(&arguments.take()?),
        opcode::LSEEK => lseek(&arguments.take()?),
        opcode::COPY_FILE_RANGE => Ok(copy_file_range(&arguments.take()?, false)),
        opcode::COPY_FILE_RANGE_64 => Ok(copy_file_range(&arguments.take()?, true)),
        opcode::BMAP => {
            let BmapIn { block, blocksize, .. } = arguments.take()?;
            Ok(Operation::Bmap { block, block_size: blocksize })
        }
        opcode::IOCTL => ioctl(arguments),
        opcode::POLL => {
            let PollIn { fh, events, .. } = arguments.take()?;
            Ok(Operation::Poll { handle: Handle(fh), events })
        }
        opcode::SYNCFS => Ok(Operation::Syncfs),
        // Of abilities that are never negotiated: locks, retrieved pages, mapped windows, character devices.
        opcode::GETLK
        | opcode::SETLK
        | opcode::SETLKW
        | opcode::NOTIFY_REPLY
        | opcode::SETUPMAPPING
        | opcode::REMOVEMAPPING
        | opcode::CUSE_INIT => Ok(Operation::Refused { opcode: code }),
        unknown => Ok(Operation::Refused { opcode: unknown }),
    }
}

fn read(mut arguments: Arguments<'_>) -> Parsed<'_> {
    let ReadIn { fh, offset, size, read_flags, flags, .. } = arguments.take()?;
    let for_page_cache = read_flags & READ_LOCKOWNER == 0;
    Ok(Operation::Read(Read { handle: Handle(fh), offset, size: answerable(size)?, flags, for_page_cache }))
}

fn write(mut arguments: Arguments<'_>) -> Parsed<'_> {
    let WriteIn { fh, offset, size, write_flags, flags, .. } = arguments.take()?;
    Ok(Operation::Write(Write {
        handle: Handle(fh),
        offset,
        data: arguments.last(size)?,
        flags,
        kill_suid_sgid: write_flags & WRITE_KILL_SUIDGID != 0,
        from_page_cache: write_flags & WRITE_CACHE != 0,
    }))
}

fn fsync(asked: &FsyncIn) -> (Handle, bool) {
    (Handle(asked.fh), asked.fsync_flags & FSYNC_FDATASYNC != 0)
}

fn directory(code: u32, mut arguments: Arguments<'_>) -> Parsed<'_> {
    match code {
        opcode::OPENDIR => {
            let OpenIn { flags, .. } = arguments.take()?;
            Ok(Operation::Opendir { flags })
        }
        opcode::RELEASEDIR => {
            let ReleaseIn { fh, .. } = arguments.take()?;
            Ok(Operation::Releasedir { handle: Handle(fh) })
        }
        opcode::FSYNCDIR => {
            let (handle, data_only) = fsync(&arguments.take()?);
            Ok(Operation::Fsyncdir { handle, data_only })
        }
        _ => {
            let ReadIn { fh, offset, size, .. } = arguments.take()?;
            let (handle, size) = (Handle(fh), answerable(size)?);
            Ok(match code {
                opcode::READDIRPLUS => Operation::Readdirplus { handle, offset, size },
                _ => Operation::Readdir { handle, offset, size },
            })
        }
    }
}

fn fallocate<'a>(asked: &FallocateIn) -> Parsed<'a> {
    let FallocateIn { fh, offset, length, mode, .. } = *asked;
    Ok(Operation::Fallocate { handle: Handle(fh), offset, length, mode })
}

fn lseek<'a>(asked: &LseekIn) -> Parsed<'a> {
    Ok(Operation::Lseek { handle: Handle(asked.fh), offset: asked.offset, whence: asked.whence })
}

fn copy_file_range<'a>(asked: &CopyFileRangeIn, wide: bool) -> Operation<'a> {
    Operation::CopyFileRange(CopyFileRange {
        handle_in: Handle(asked.fh_in),
        offset_in: asked.off_in,
        node_out: Node(asked.nodeid_out),
        handle_out: Handle(asked.fh_out),
        offset_out: asked.off_out,
        len: asked.len,
        flags: asked.flags,
        wide,
    })
}

fn ioctl(mut arguments: Arguments<'_>) -> Parsed<'_> {
    let IoctlIn { fh, flags, cmd, arg, in_size, out_size } = arguments.take()?;
    let input = arguments.last(in_size)?;
    let handle = Handle(fh);
    Ok(Operation::Ioctl { handle, flags, command: cmd, argument: arg, input, out_size: answerable(out_size)? })
}
