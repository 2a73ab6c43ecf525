//! From a request's bytes to a `Request`: every length checked, every name validated, never a panic.
//! What the kernel does not send this way is malformed and answered with an errno.

mod arguments;
mod attributes;
mod data;
mod names;

use zerocopy::FromBytes;

use super::operation::{Node, Operation, Request};
use super::requests::{InHeader, InitIn, InterruptIn, opcode};
use super::{Errno, MAX_TRANSFER_BYTES};
use arguments::Arguments;

/// A request that cannot be served. With `unique` 0 there was not even a header, and nobody to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseError {
    pub unique: u64,
    pub opcode: u32,
    pub errno: Errno,
}

/// The arguments are shorter than their opcode demands, or contradict their own lengths.
const MALFORMED: Errno = Errno(libc::EIO);
/// A name or a size that no request may carry.
const INVALID: Errno = Errno(libc::EINVAL);

type Parsed<'a> = Result<Operation<'a>, Errno>;

/// Decodes one message as it was read from the device. `arrived_ns`: CLOCK_MONOTONIC.
pub fn parse(bytes: &[u8], arrived_ns: u64) -> Result<Request<'_>, ParseError> {
    let no_header = ParseError { unique: 0, opcode: 0, errno: MALFORMED };
    let (header, rest) = InHeader::read_from_prefix(bytes).map_err(|_| no_header)?;
    let failed = |errno| ParseError { unique: header.unique, opcode: header.opcode, errno };
    if header.len as usize != bytes.len() {
        return Err(failed(MALFORMED));
    }
    // Extensions stand behind the arguments. None are negotiated; a kernel that sends some all the same is understood.
    let extensions = usize::from(header.total_extlen) * 8;
    let end = rest.len().checked_sub(extensions).ok_or(failed(MALFORMED))?;
    let operation = operation(header.opcode, Arguments::new(&rest[..end])).map_err(failed)?;
    Ok(Request {
        unique: header.unique,
        opcode: header.opcode,
        node: Node(header.nodeid),
        uid: header.uid,
        gid: header.gid,
        tid: header.pid,
        arrived_ns,
        operation,
    })
}

fn operation(code: u32, arguments: Arguments<'_>) -> Parsed<'_> {
    match code {
        opcode::INIT => init(arguments),
        opcode::DESTROY => Ok(Operation::Destroy),
        opcode::INTERRUPT => interrupt(arguments),
        opcode::LOOKUP
        | opcode::SYMLINK
        | opcode::MKNOD
        | opcode::MKDIR
        | opcode::UNLINK
        | opcode::RMDIR
        | opcode::RENAME
        | opcode::RENAME2
        | opcode::LINK
        | opcode::CREATE
        | opcode::TMPFILE => names::parse(code, arguments),
        opcode::FORGET
        | opcode::BATCH_FORGET
        | opcode::GETATTR
        | opcode::STATX
        | opcode::SETATTR
        | opcode::READLINK
        | opcode::ACCESS
        | opcode::STATFS
        | opcode::SETXATTR
        | opcode::GETXATTR
        | opcode::LISTXATTR
        | opcode::REMOVEXATTR => attributes::parse(code, arguments),
        _ => data::parse(code, arguments),
    }
}

/// The first message. Its tail (flags2) came with 7.36; what is not there reads as 0.
fn init(arguments: Arguments<'_>) -> Parsed<'_> {
    const OLDEST_BYTES: usize = 16;
    let bytes = arguments.rest();
    if bytes.len() < OLDEST_BYTES {
        return Err(MALFORMED);
    }
    let mut padded = [0; size_of::<InitIn>()];
    let known = bytes.len().min(padded.len());
    padded[..known].copy_from_slice(&bytes[..known]);
    let init = InitIn::read_from_bytes(&padded).map_err(|_| MALFORMED)?;
    Ok(Operation::Init {
        major: init.major,
        minor: init.minor,
        max_readahead: init.max_readahead,
        flags: u64::from(init.flags) | u64::from(init.flags2) << 32,
    })
}

fn interrupt(mut arguments: Arguments<'_>) -> Parsed<'_> {
    let interrupt: InterruptIn = arguments.take()?;
    Ok(Operation::Interrupt { unique: interrupt.unique })
}

/// An answer of this many bytes must fit into the reply buffer.
fn answerable(size: u32) -> Result<u32, Errno> {
    if size as usize <= MAX_TRANSFER_BYTES { Ok(size) } else { Err(INVALID) }
}

#[cfg(test)]
pub(super) mod samples;
#[cfg(test)]
mod tests;
