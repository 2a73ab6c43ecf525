//! What a report of the eBPF program means: which call, under which name, on which files, at which place, with which result.
//! Knows the table of calls; no requests and no paths.

use crate::event::{Kind, Op};
use crate::observe::calls::{Argument, CALLS, Call, Moves, aio, io_uring, names};
use crate::observe::{self, Report};

/// By number.
pub type Table = [Option<&'static Call>; CALLS];

/// Which call it was, and of what kind.
pub fn call_of(table: &Table, report: &Report) -> (Option<&'static Call>, Kind) {
    match report.kind() {
        observe::Kind::IoUring => (Some(io_uring(report.nr)), Kind::IoUring),
        observe::Kind::Aio => (Some(aio(report.nr)), Kind::Aio),
        _ => (table[usize::from(report.nr) % CALLS], Kind::Call),
    }
}

/// One of the files a call names.
#[derive(Clone, Copy)]
pub enum Side {
    None,
    Handle(u64),
    Node(u64),
}

/// The file a call is about, and the other one: of a transfer the one written comes first.
pub fn sides(call: Option<&'static Call>, report: &Report) -> (Side, Side) {
    let side = |number, is_node| match (number, is_node) {
        (0, _) => Side::None,
        (node, true) => Side::Node(node),
        (handle, false) => Side::Handle(handle),
    };
    let first = side(report.file, report.is_node());
    let is_vector = call.is_some_and(|call| call.names & names::VECTOR != 0);
    let other = if is_vector { Side::None } else { side(report.other, report.other_is_node()) };
    match (call.and_then(|call| call.moves), first, other) {
        (None, Side::None, other) => (other, Side::None),
        // dup2's second descriptor is the one that is closed.
        (None, first, _) => (first, Side::None),
        (Some(_), Side::None, other) => (other, Side::None),
        (Some(Moves::ToSecond), first, other @ (Side::Handle(_) | Side::Node(_))) => (other, first),
        (Some(_), first, other) => (first, other),
    }
}

/// What views call it.
pub fn op_of(call: Option<&Call>, report: &Report) -> Op {
    let Some(call) = call else { return Op::Other };
    let writes = match call.moves {
        Some(Moves::ToFirst) => report.file != 0,
        Some(Moves::ToSecond) => report.other != 0,
        None => false,
    };
    match call.op {
        Op::Read if writes => Op::Write,
        Op::Unlink if report.dx & libc::AT_REMOVEDIR as u64 != 0 && call.flags == Argument::Dx => Op::Rmdir,
        op => op,
    }
}

/// What an argument of that sort was.
pub fn value(argument: Argument, report: &Report) -> Option<u64> {
    match argument {
        Argument::Nowhere => None,
        Argument::Si => Some(report.si),
        Argument::Dx => Some(report.dx),
        Argument::R10 => Some(report.r10),
        Argument::R8 => Some(report.r8),
        Argument::Position => Some(report.position),
        Argument::Vector => (report.other != u64::MAX).then_some(report.other),
    }
}

/// Where the data lies: of a write to a file opened for appending, where its request wrote (`part`).
pub fn offset(call: Option<&Call>, report: &Report, part: Option<u64>) -> Option<u64> {
    let call = call?;
    let appends = report.file_flags & libc::O_APPEND as u32 != 0 && call.op == Op::Write;
    let told = value(call.offset, report);
    match call.offset {
        _ if appends && (part.is_some() || call.offset == Argument::R10) => part,
        // preadv2 and pwritev2 with -1 use the file's position.
        Argument::R10 if report.r10 == u64::MAX => Some(report.position),
        // Not known; and io_uring's word for the file's position, which it does not tell; libaio's appends.
        Argument::Position => told.filter(|place| *place != u64::MAX).or(part),
        _ => told.or(part),
    }
}

/// What strace would show: 1 to 4095 are errors.
pub fn errno(result: i64) -> u16 {
    const MAX_ERRNO: i64 = 4095;
    if (-MAX_ERRNO..0).contains(&result) { -result as u16 } else { 0 }
}
