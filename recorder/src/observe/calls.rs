//! The system calls that can touch a file, by their numbers on this architecture: what each is called, where it names files,
//! and which of its arguments fill which column. The eBPF program gets its own view of this table from here.

use super::compat;
use crate::event::Op;

/// Numbers the program looks at; the highest of x86-64 is below.
pub const CALLS: usize = 512;

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    Nowhere,
    Si,
    Dx,
    R10,
    R8,
    /// The file's position when the call began; of an append, where it wrote.
    Position,
    /// What the buffers of a vector hold together.
    Vector,
}

/// How a call names files: the program's bits.
pub mod names {
    pub const FD_DI: u8 = 1;
    pub const FD_SI: u8 = 2;
    pub const FD_R8: u8 = 3;
    pub const OTHER_SI: u8 = 0x08;
    pub const OTHER_DX: u8 = 0x10;
    pub const BY_REQUESTS: u8 = 0x20;
    pub const VECTOR: u8 = 0x40;
    pub const AIO: u8 = 0x80;
    pub const OF_32_BITS: u16 = 0x100;
    pub const AIO_OF_32_BITS: u16 = 0x200;
}

#[derive(Clone, Copy, Debug)]
pub struct Call {
    pub nr: u16,
    pub op: Op,
    pub names: u8,
    pub offset: Argument,
    pub size: Argument,
    pub flags: Argument,
    pub mode: Argument,
    /// It moves data from one file to another: which of the two descriptors is written.
    pub moves: Option<Moves>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moves {
    /// sendfile: to the first descriptor.
    ToFirst,
    /// splice, copy_file_range: to the second.
    ToSecond,
}

const fn call(nr: u16, op: Op, names: u8) -> Call {
    use Argument::Nowhere;
    Call { nr, op, names, offset: Nowhere, size: Nowhere, flags: Nowhere, mode: Nowhere, moves: None }
}

impl Call {
    const fn range(self, offset: Argument, size: Argument) -> Call {
        Call { offset, size, ..self }
    }

    const fn flags(self, flags: Argument) -> Call {
        Call { flags, ..self }
    }

    const fn mode(self, mode: Argument) -> Call {
        Call { mode, ..self }
    }

    const fn moves(self, moves: Moves) -> Call {
        Call { moves: Some(moves), ..self }
    }
}

/// By a descriptor; by a path; by a path that starts at a descriptor; by two of those.
const FD: u8 = names::FD_DI;
const PATH: u8 = names::BY_REQUESTS;
const AT: u8 = names::FD_DI | names::BY_REQUESTS;
const AT_AT: u8 = AT | names::OTHER_DX;
const VECTOR: u8 = FD | names::VECTOR;

/// The table of this architecture.
#[cfg(target_arch = "x86_64")]
pub const TABLE: &[Call] = {
    use Argument::{Dx, Nowhere, Position, R8, R10, Si, Vector};
    &[
        call(0, Op::Read, FD).range(Position, Dx),
        call(1, Op::Write, FD).range(Position, Dx),
        call(2, Op::Open, PATH).flags(Si).mode(Dx),
        call(3, Op::Close, FD),
        call(4, Op::Stat, PATH),
        call(5, Op::Stat, FD),
        call(6, Op::Stat, PATH),
        call(8, Op::Lseek, FD).range(Si, Nowhere).flags(Dx),
        call(9, Op::Mmap, names::FD_R8).range(Position, Si).flags(R10).mode(Dx),
        call(16, Op::Ioctl, FD).flags(Si),
        call(17, Op::Read, FD).range(R10, Dx),
        call(18, Op::Write, FD).range(R10, Dx),
        call(19, Op::Read, VECTOR).range(Position, Vector),
        call(20, Op::Write, VECTOR).range(Position, Vector),
        call(21, Op::Access, PATH).mode(Si),
        call(26, Op::Msync, PATH).range(Nowhere, Si).flags(Dx),
        call(32, Op::Dup, FD),
        call(33, Op::Dup, FD | names::OTHER_SI),
        call(40, Op::Read, FD | names::OTHER_SI).range(Position, R10).moves(Moves::ToFirst),
        call(42, Op::Other, PATH),
        call(49, Op::Other, PATH),
        call(59, Op::Execve, PATH),
        call(72, Op::Fcntl, FD).flags(Si),
        call(73, Op::Flock, FD).flags(Si),
        call(74, Op::Fsync, FD),
        call(75, Op::Fdatasync, FD),
        call(76, Op::Truncate, PATH).range(Nowhere, Si),
        call(77, Op::Truncate, FD).range(Nowhere, Si),
        call(78, Op::Getdents, FD).range(Position, Dx),
        call(80, Op::Chdir, PATH),
        call(81, Op::Chdir, FD),
        call(82, Op::Rename, PATH),
        call(83, Op::Mkdir, PATH).mode(Si),
        call(84, Op::Rmdir, PATH),
        call(85, Op::Open, PATH).mode(Si),
        call(86, Op::Link, PATH),
        call(87, Op::Unlink, PATH),
        call(88, Op::Symlink, PATH),
        call(89, Op::Readlink, PATH),
        call(90, Op::Chmod, PATH).mode(Si),
        call(91, Op::Chmod, FD).mode(Si),
        call(92, Op::Chown, PATH),
        call(93, Op::Chown, FD),
        call(94, Op::Chown, PATH),
        call(132, Op::Utimens, PATH),
        call(133, Op::Mknod, PATH).mode(Si),
        call(137, Op::Statfs, PATH),
        call(138, Op::Statfs, FD),
        call(161, Op::Other, PATH),
        call(165, Op::Other, PATH),
        call(166, Op::Other, PATH),
        call(187, Op::Fadvise, FD).range(Si, Dx),
        call(188, Op::Setxattr, PATH).range(Nowhere, R10),
        call(189, Op::Setxattr, PATH).range(Nowhere, R10),
        call(190, Op::Setxattr, FD).range(Nowhere, R10),
        call(191, Op::Getxattr, PATH).range(Nowhere, R10),
        call(192, Op::Getxattr, PATH).range(Nowhere, R10),
        call(193, Op::Getxattr, FD).range(Nowhere, R10),
        call(194, Op::Listxattr, PATH).range(Nowhere, Dx),
        call(195, Op::Listxattr, PATH).range(Nowhere, Dx),
        call(196, Op::Listxattr, FD).range(Nowhere, Dx),
        call(197, Op::Removexattr, PATH),
        call(198, Op::Removexattr, PATH),
        call(199, Op::Removexattr, FD),
        call(217, Op::Getdents, FD).range(Position, Dx),
        call(221, Op::Fadvise, FD).range(Si, Dx).flags(R10),
        call(235, Op::Utimens, PATH),
        call(254, Op::Other, PATH),
        call(257, Op::Open, AT).flags(Dx).mode(R10),
        call(258, Op::Mkdir, AT).mode(Dx),
        call(259, Op::Mknod, AT).mode(Dx),
        call(260, Op::Chown, AT),
        call(261, Op::Utimens, AT),
        call(262, Op::Stat, AT).flags(R10),
        call(263, Op::Unlink, AT).flags(Dx),
        call(264, Op::Rename, AT_AT),
        call(265, Op::Link, AT_AT).flags(R8),
        call(266, Op::Symlink, names::FD_SI | PATH),
        call(267, Op::Readlink, AT),
        call(268, Op::Chmod, AT).mode(Dx),
        call(269, Op::Access, AT).mode(Dx),
        call(275, Op::Read, FD | names::OTHER_DX).range(Position, R8).moves(Moves::ToSecond),
        call(277, Op::SyncFileRange, FD).range(Si, Dx).flags(R10),
        call(280, Op::Utimens, AT).flags(R10),
        call(285, Op::Fallocate, FD).range(Dx, R10).mode(Si),
        call(292, Op::Dup, FD | names::OTHER_SI),
        call(295, Op::Read, VECTOR).range(R10, Vector),
        call(296, Op::Write, VECTOR).range(R10, Vector),
        call(303, Op::Other, AT),
        call(304, Op::Open, AT),
        call(306, Op::Syncfs, FD),
        call(316, Op::Rename, AT_AT).flags(R8),
        call(322, Op::Execve, AT),
        call(326, Op::CopyFileRange, FD | names::OTHER_DX).range(Position, R8).moves(Moves::ToSecond),
        call(327, Op::Read, VECTOR).range(R10, Vector),
        call(328, Op::Write, VECTOR).range(R10, Vector),
        call(332, Op::Statx, AT).flags(Dx),
        call(428, Op::Other, AT),
        call(436, Op::Close, PATH),
        call(437, Op::Open, AT),
        call(439, Op::Access, AT).mode(Dx).flags(R10),
        call(452, Op::Chmod, AT).mode(Dx),
        call(463, Op::Setxattr, AT),
        call(464, Op::Getxattr, AT),
        call(465, Op::Listxattr, AT),
        call(466, Op::Removexattr, AT),
    ]
};

/// io_getevents, io_submit, io_pgetevents: no events themselves, they bring those of `Kind::Aio`.
#[cfg(target_arch = "x86_64")]
const AIO: &[u16] = &[208, 209, 333];

#[cfg(not(target_arch = "x86_64"))]
pub const TABLE: &[Call] = &[];
#[cfg(not(target_arch = "x86_64"))]
const AIO: &[u16] = &[];

/// Reads and writes that are no calls. Of vectors the length is unknown.
const fn moves(op: Op, size: Argument) -> Call {
    call(0, op, FD).range(Argument::Position, size)
}
static READV: Call = moves(Op::Read, Argument::Nowhere);
static READ: Call = moves(Op::Read, Argument::Si);
static WRITEV: Call = moves(Op::Write, Argument::Nowhere);
static WRITE: Call = moves(Op::Write, Argument::Si);

/// What an operation of libaio is, by its code.
pub fn aio(opcode: u16) -> &'static Call {
    match opcode {
        0 => &READ,
        1 => &WRITE,
        7 => &READV,
        _ => &WRITEV,
    }
}

/// What an io_uring operation is, by its code: a read (readv, read_fixed, read) or a write.
pub fn io_uring(opcode: u16) -> &'static Call {
    match opcode {
        1 => &READV,
        2 => &WRITEV,
        4 | 22 => &READ,
        _ => &WRITE,
    }
}

/// By number, for the collector.
pub fn by_number() -> Box<[Option<&'static Call>; CALLS]> {
    let mut calls = Box::new([None; CALLS]);
    TABLE.iter().for_each(|call| calls[usize::from(call.nr)] = Some(call));
    calls
}

/// By number, for the program; those of 32-bit programs only as far as there is something to look up.
pub fn names_by_number() -> [u16; CALLS] {
    let mut by_number = [0; CALLS];
    TABLE.iter().for_each(|call| by_number[usize::from(call.nr)] = call.names.into());
    AIO.iter().for_each(|nr| by_number[usize::from(*nr)] = names::AIO.into());
    for (nr, of_64_bits, _) in compat::TABLE {
        let is_aio = AIO.contains(of_64_bits);
        by_number[usize::from(*nr)] |= names::OF_32_BITS | if is_aio { names::AIO_OF_32_BITS } else { 0 };
    }
    by_number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_there_once_and_ascending() {
        assert!(TABLE.windows(2).all(|pair| pair[0].nr < pair[1].nr));
        assert!(TABLE.iter().all(|call| usize::from(call.nr) < CALLS && call.names != 0));
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn the_numbers_are_libcs() {
        let number =
            |op: Op| TABLE.iter().filter(|call| call.op == op).map(|call| i64::from(call.nr)).collect::<Vec<_>>();
        assert_eq!(
            number(Op::Write),
            [libc::SYS_write, libc::SYS_pwrite64, libc::SYS_writev, libc::SYS_pwritev, libc::SYS_pwritev2]
        );
        assert_eq!(number(Op::Access), [libc::SYS_access, libc::SYS_faccessat, libc::SYS_faccessat2]);
        assert_eq!(number(Op::CopyFileRange), [libc::SYS_copy_file_range]);
        assert_eq!(number(Op::Rename), [libc::SYS_rename, libc::SYS_renameat, libc::SYS_renameat2]);
    }
}
