//! The structs that come from the kernel, laid out as include/uapi/linux/fuse.h (7.45) has them, and their numbers.
//! Own definitions: the header on a build machine may be older than the kernel that is served.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The protocol's major version; it has been 7 since 2005.
pub const MAJOR: u32 = 7;
/// The newest minor version spoken here: Linux 6.18.
pub const MINOR: u32 = 45;

/// Request codes.
pub mod opcode {
    pub const LOOKUP: u32 = 1;
    pub const FORGET: u32 = 2;
    pub const GETATTR: u32 = 3;
    pub const SETATTR: u32 = 4;
    pub const READLINK: u32 = 5;
    pub const SYMLINK: u32 = 6;
    pub const MKNOD: u32 = 8;
    pub const MKDIR: u32 = 9;
    pub const UNLINK: u32 = 10;
    pub const RMDIR: u32 = 11;
    pub const RENAME: u32 = 12;
    pub const LINK: u32 = 13;
    pub const OPEN: u32 = 14;
    pub const READ: u32 = 15;
    pub const WRITE: u32 = 16;
    pub const STATFS: u32 = 17;
    pub const RELEASE: u32 = 18;
    pub const FSYNC: u32 = 20;
    pub const SETXATTR: u32 = 21;
    pub const GETXATTR: u32 = 22;
    pub const LISTXATTR: u32 = 23;
    pub const REMOVEXATTR: u32 = 24;
    pub const FLUSH: u32 = 25;
    pub const INIT: u32 = 26;
    pub const OPENDIR: u32 = 27;
    pub const READDIR: u32 = 28;
    pub const RELEASEDIR: u32 = 29;
    pub const FSYNCDIR: u32 = 30;
    pub const GETLK: u32 = 31;
    pub const SETLK: u32 = 32;
    pub const SETLKW: u32 = 33;
    pub const ACCESS: u32 = 34;
    pub const CREATE: u32 = 35;
    pub const INTERRUPT: u32 = 36;
    pub const BMAP: u32 = 37;
    pub const DESTROY: u32 = 38;
    pub const IOCTL: u32 = 39;
    pub const POLL: u32 = 40;
    pub const NOTIFY_REPLY: u32 = 41;
    pub const BATCH_FORGET: u32 = 42;
    pub const FALLOCATE: u32 = 43;
    pub const READDIRPLUS: u32 = 44;
    pub const RENAME2: u32 = 45;
    pub const LSEEK: u32 = 46;
    pub const COPY_FILE_RANGE: u32 = 47;
    pub const SETUPMAPPING: u32 = 48;
    pub const REMOVEMAPPING: u32 = 49;
    pub const SYNCFS: u32 = 50;
    pub const TMPFILE: u32 = 51;
    pub const STATX: u32 = 52;
    pub const COPY_FILE_RANGE_64: u32 = 53;
    pub const CUSE_INIT: u32 = 4096;
}

/// Which fields of a `SetattrIn` hold something.
pub mod fattr {
    pub const MODE: u32 = 1;
    pub const UID: u32 = 1 << 1;
    pub const GID: u32 = 1 << 2;
    pub const SIZE: u32 = 1 << 3;
    pub const ATIME: u32 = 1 << 4;
    pub const MTIME: u32 = 1 << 5;
    pub const FH: u32 = 1 << 6;
    pub const ATIME_NOW: u32 = 1 << 7;
    pub const MTIME_NOW: u32 = 1 << 8;
    pub const CTIME: u32 = 1 << 10;
    pub const KILL_SUIDGID: u32 = 1 << 11;
}

/// getattr and statx: the handle is valid.
pub const GETATTR_FH: u32 = 1;
/// open and create with O_TRUNC: clear suid and sgid.
pub const OPEN_KILL_SUIDGID: u32 = 1;
pub const READ_LOCKOWNER: u32 = 1 << 1;
pub const WRITE_CACHE: u32 = 1;
pub const WRITE_KILL_SUIDGID: u32 = 1 << 2;
pub const FSYNC_FDATASYNC: u32 = 1;
pub const SETXATTR_ACL_KILL_SGID: u32 = 1;

/// Declares one struct that is read from the kernel, with the size the kernel gives it.
macro_rules! kernel_struct {
    ($(#[$doc:meta])* $name:ident, $size:literal, { $($field:ident: $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
        #[repr(C)]
        pub struct $name { $(pub $field: $type),* }
        const _: () = assert!(size_of::<$name>() == $size);
    };
}

kernel_struct!(
    /// Before every request. `total_extlen` counts the extensions behind the arguments in units of 8 bytes.
    InHeader, 40, {
        len: u32, opcode: u32, unique: u64, nodeid: u64, uid: u32, gid: u32, pid: u32, total_extlen: u16, padding: u16,
    }
);
kernel_struct!(InitIn, 64, { major: u32, minor: u32, max_readahead: u32, flags: u32, flags2: u32, unused: [u32; 11] });
kernel_struct!(ForgetIn, 8, { nlookup: u64 });
kernel_struct!(ForgetOne, 16, { nodeid: u64, nlookup: u64 });
kernel_struct!(BatchForgetIn, 8, { count: u32, dummy: u32 });
kernel_struct!(GetattrIn, 16, { getattr_flags: u32, dummy: u32, fh: u64 });
kernel_struct!(StatxIn, 24, { getattr_flags: u32, reserved: u32, fh: u64, sx_flags: u32, sx_mask: u32 });
kernel_struct!(SetattrIn, 88, {
    valid: u32, padding: u32, fh: u64, size: u64, lock_owner: u64, atime: i64, mtime: i64, ctime: i64, atimensec: u32,
    mtimensec: u32, ctimensec: u32, mode: u32, unused4: u32, uid: u32, gid: u32, unused5: u32,
});
kernel_struct!(MknodIn, 16, { mode: u32, rdev: u32, umask: u32, padding: u32 });
kernel_struct!(MkdirIn, 8, { mode: u32, umask: u32 });
kernel_struct!(RenameIn, 8, { newdir: u64 });
kernel_struct!(Rename2In, 16, { newdir: u64, flags: u32, padding: u32 });
kernel_struct!(LinkIn, 8, { oldnodeid: u64 });
kernel_struct!(
    /// open and opendir.
    OpenIn, 8, { flags: u32, open_flags: u32 }
);
kernel_struct!(
    /// create and tmpfile.
    CreateIn, 16, { flags: u32, mode: u32, umask: u32, open_flags: u32 }
);
kernel_struct!(
    /// read, readdir and readdirplus.
    ReadIn, 40, {
        fh: u64, offset: u64, size: u32, read_flags: u32, lock_owner: u64, flags: u32, padding: u32,
    }
);
kernel_struct!(WriteIn, 40, {
    fh: u64, offset: u64, size: u32, write_flags: u32, lock_owner: u64, flags: u32, padding: u32,
});
kernel_struct!(FlushIn, 24, { fh: u64, unused: u32, padding: u32, lock_owner: u64 });
kernel_struct!(
    /// release and releasedir.
    ReleaseIn, 24, { fh: u64, flags: u32, release_flags: u32, lock_owner: u64 }
);
kernel_struct!(
    /// fsync and fsyncdir.
    FsyncIn, 16, { fh: u64, fsync_flags: u32, padding: u32 }
);
kernel_struct!(
    /// The layout under SETXATTR_EXT, which is always negotiated here.
    SetxattrIn, 16, { size: u32, flags: u32, setxattr_flags: u32, padding: u32 }
);
kernel_struct!(
    /// getxattr and listxattr.
    GetxattrIn, 8, { size: u32, padding: u32 }
);
kernel_struct!(AccessIn, 8, { mask: u32, padding: u32 });
kernel_struct!(BmapIn, 16, { block: u64, blocksize: u32, padding: u32 });
kernel_struct!(IoctlIn, 32, { fh: u64, flags: u32, cmd: u32, arg: u64, in_size: u32, out_size: u32 });
kernel_struct!(PollIn, 24, { fh: u64, kh: u64, flags: u32, events: u32 });
kernel_struct!(FallocateIn, 32, { fh: u64, offset: u64, length: u64, mode: u32, padding: u32 });
kernel_struct!(LseekIn, 24, { fh: u64, offset: u64, whence: u32, padding: u32 });
kernel_struct!(CopyFileRangeIn, 56, {
    fh_in: u64, off_in: u64, nodeid_out: u64, fh_out: u64, off_out: u64, len: u64, flags: u64,
});
kernel_struct!(InterruptIn, 8, { unique: u64 });

/// Where a WRITE's data begins in a request.
pub const WRITE_DATA_AT: usize = size_of::<InHeader>() + size_of::<WriteIn>();
