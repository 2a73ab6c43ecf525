//! Test material: a well-formed message of every opcode.

use zerocopy::{Immutable, IntoBytes};

use crate::wire::requests::*;

/// A message with a right length. Arguments are laid end to end, as the kernel does it.
pub fn message(opcode: u32, unique: u64, node: u64, arguments: &[&[u8]]) -> Vec<u8> {
    let body = arguments.concat();
    let len = (size_of::<InHeader>() + body.len()) as u32;
    let header = InHeader { len, opcode, unique, nodeid: node, uid: 1000, gid: 1001, pid: 4242, ..InHeader::default() };
    [header.as_bytes(), &body].concat()
}

pub fn fsync(unique: u64) -> Vec<u8> {
    message(opcode::FSYNC, unique, 2, &[FsyncIn { fh: 9, ..FsyncIn::default() }.as_bytes()])
}

pub fn read(unique: u64, size: u32) -> Vec<u8> {
    message(opcode::READ, unique, 3, &[ReadIn { fh: 9, offset: 4096, size, ..ReadIn::default() }.as_bytes()])
}

pub fn write(unique: u64, data: &[u8]) -> Vec<u8> {
    let write = WriteIn { fh: 9, offset: 4096, size: data.len() as u32, ..WriteIn::default() };
    message(opcode::WRITE, unique, 3, &[write.as_bytes(), data])
}

pub fn lookup(unique: u64, name: &str) -> Vec<u8> {
    message(opcode::LOOKUP, unique, 1, &[name.as_bytes(), &[0]])
}

pub fn init(major: u32, minor: u32) -> Vec<u8> {
    let init = InitIn { major, minor, max_readahead: 131_072, flags: u32::MAX >> 1, flags2: 0x7ff, unused: [0; 11] };
    message(opcode::INIT, 2, 0, &[init.as_bytes()])
}

/// One message of each opcode that Linux 6.18 can send.
pub fn every() -> Vec<Vec<u8>> {
    [named(), about_nodes(), about_files(), vec![init(7, 45)]].concat()
}

fn one<T: IntoBytes + Immutable>(code: u32, argument: &T, rest: &[&[u8]]) -> Vec<u8> {
    message(code, 100 + u64::from(code), 5, &[argument.as_bytes(), &rest.concat()])
}

fn named() -> Vec<Vec<u8>> {
    let create = CreateIn { flags: 0o102, mode: 0o644, umask: 0o22, open_flags: 1 };
    vec![
        lookup(101, "CURRENT"),
        message(opcode::SYMLINK, 106, 5, &[b"link\0", b"../some/target\0"]),
        one(opcode::MKNOD, &MknodIn { mode: 0o10_644, rdev: 0, umask: 0o22, padding: 0 }, &[b"fifo\0"]),
        one(opcode::MKDIR, &MkdirIn { mode: 0o755, umask: 0o22 }, &[b"sub\0"]),
        message(opcode::UNLINK, 110, 5, &[b"old\0"]),
        message(opcode::RMDIR, 111, 5, &[b"empty\0"]),
        one(opcode::RENAME, &RenameIn { newdir: 6 }, &[b"from\0", b"to\0"]),
        one(opcode::RENAME2, &Rename2In { newdir: 6, flags: 2, padding: 0 }, &[b"from\0", b"to\0"]),
        one(opcode::LINK, &LinkIn { oldnodeid: 77 }, &[b"second\0"]),
        one(opcode::CREATE, &create, &[b"new\0"]),
        one(opcode::TMPFILE, &create, &[b"/\0"]),
    ]
}

fn about_nodes() -> Vec<Vec<u8>> {
    let forgets = [ForgetOne { nodeid: 7, nlookup: 1 }, ForgetOne { nodeid: 8, nlookup: 3 }];
    let setattr =
        SetattrIn { valid: fattr::SIZE | fattr::MTIME, size: 11, mtime: -1, mtimensec: 5, ..SetattrIn::default() };
    let setxattr = SetxattrIn { size: 5, flags: 1, setxattr_flags: 1, padding: 0 };
    vec![
        one(opcode::FORGET, &ForgetIn { nlookup: 2 }, &[]),
        one(opcode::BATCH_FORGET, &BatchForgetIn { count: 2, dummy: 0 }, &[forgets.as_bytes()]),
        one(opcode::GETATTR, &GetattrIn { getattr_flags: GETATTR_FH, dummy: 0, fh: 9 }, &[]),
        one(opcode::STATX, &StatxIn { sx_mask: 0xfff, ..StatxIn::default() }, &[]),
        one(opcode::SETATTR, &setattr, &[]),
        message(opcode::READLINK, 105, 5, &[]),
        one(opcode::ACCESS, &AccessIn { mask: 4, padding: 0 }, &[]),
        message(opcode::STATFS, 117, 1, &[]),
        one(opcode::SETXATTR, &setxattr, &[b"user.a/b\0", b"value"]),
        one(opcode::GETXATTR, &GetxattrIn { size: 256, padding: 0 }, &[b"security.capability\0"]),
        one(opcode::LISTXATTR, &GetxattrIn { size: 0, padding: 0 }, &[]),
        message(opcode::REMOVEXATTR, 124, 5, &[b"user.gone\0"]),
    ]
}

fn about_files() -> Vec<Vec<u8>> {
    let listing = ReadIn { fh: 9, offset: 64, size: 4096, ..ReadIn::default() };
    let copy = CopyFileRangeIn { fh_in: 1, off_in: 2, nodeid_out: 3, fh_out: 4, off_out: 5, len: 1 << 33, flags: 0 };
    let ioctl = IoctlIn { fh: 9, flags: 0, cmd: 0x4008_6602, arg: 1, in_size: 8, out_size: 8 };
    let release = ReleaseIn { fh: 9, flags: 2, ..ReleaseIn::default() };
    vec![
        one(opcode::OPEN, &OpenIn { flags: 0o1001, open_flags: OPEN_KILL_SUIDGID }, &[]),
        read(115, 4096),
        write(116, &[1; 512]),
        one(opcode::FLUSH, &FlushIn { fh: 9, ..FlushIn::default() }, &[]),
        one(opcode::RELEASE, &release, &[]),
        fsync(120),
        one(opcode::OPENDIR, &OpenIn::default(), &[]),
        one(opcode::READDIR, &listing, &[]),
        one(opcode::READDIRPLUS, &listing, &[]),
        one(opcode::RELEASEDIR, &release, &[]),
        one(opcode::FSYNCDIR, &FsyncIn { fh: 9, fsync_flags: FSYNC_FDATASYNC, padding: 0 }, &[]),
        one(opcode::BMAP, &BmapIn { block: 3, blocksize: 4096, padding: 0 }, &[]),
        one(opcode::IOCTL, &ioctl, &[&[1; 8]]),
        one(opcode::POLL, &PollIn { fh: 9, events: 5, ..PollIn::default() }, &[]),
        one(opcode::FALLOCATE, &FallocateIn { fh: 9, offset: 1, length: 2, mode: 3, padding: 0 }, &[]),
        one(opcode::LSEEK, &LseekIn { fh: 9, offset: 7, whence: 3, padding: 0 }, &[]),
        one(opcode::COPY_FILE_RANGE, &copy, &[]),
        one(opcode::COPY_FILE_RANGE_64, &copy, &[]),
        one(opcode::SYNCFS, &[0_u64; 1], &[]),
        one(opcode::INTERRUPT, &InterruptIn { unique: 116 }, &[]),
        message(opcode::DESTROY, 138, 0, &[]),
    ]
}
