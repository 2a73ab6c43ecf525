//! The structs that go back to the kernel, laid out as include/uapi/linux/fuse.h (7.45) has them.

use zerocopy::{FromZeros, Immutable, IntoBytes};

#[derive(Clone, Copy, Debug, Default, IntoBytes, Immutable, FromZeros)]
#[repr(C)]
pub struct Attr {
    pub ino: u64,
    pub size: u64,
    pub blocks: u64,
    pub atime: i64,
    pub mtime: i64,
    pub ctime: i64,
    pub atimensec: u32,
    pub mtimensec: u32,
    pub ctimensec: u32,
    pub mode: u32,
    pub nlink: u32,
    pub uid: u32,
    pub gid: u32,
    pub rdev: u32,
    pub blksize: u32,
    pub flags: u32,
}

#[derive(Clone, Copy, Debug, Default, IntoBytes, Immutable, FromZeros)]
#[repr(C)]
pub struct EntryOut {
    pub nodeid: u64,
    pub generation: u64,
    pub entry_valid: u64,
    pub attr_valid: u64,
    pub entry_valid_nsec: u32,
    pub attr_valid_nsec: u32,
    pub attr: Attr,
}

#[derive(Clone, Copy, Debug, Default, IntoBytes, Immutable, FromZeros)]
#[repr(C)]
pub struct AttrOut {
    pub attr_valid: u64,
    pub attr_valid_nsec: u32,
    pub dummy: u32,
    pub attr: Attr,
}

#[derive(Clone, Copy, Debug, Default, IntoBytes, Immutable, FromZeros)]
#[repr(C)]
pub struct StatxTime {
    pub tv_sec: i64,
    pub tv_nsec: u32,
    pub reserved: i32,
}

#[derive(Clone, Copy, Debug, Default, IntoBytes, Immutable, FromZeros)]
#[repr(C)]
pub struct Statx {
    pub mask: u32,
    pub blksize: u32,
    pub attributes: u64,
    pub nlink: u32,
    pub uid: u32,
    pub gid: u32,
    pub mode: u16,
    pub spare0: u16,
    pub ino: u64,
    pub size: u64,
    pub blocks: u64,
    pub attributes_mask: u64,
    pub atime: StatxTime,
    pub btime: StatxTime,
    pub ctime: StatxTime,
    pub mtime: StatxTime,
    pub rdev_major: u32,
    pub rdev_minor: u32,
    pub dev_major: u32,
    pub dev_minor: u32,
    pub spare2: [u64; 14],
}

#[derive(Clone, Copy, Debug, Default, IntoBytes, Immutable, FromZeros)]
#[repr(C)]
pub struct StatxOut {
    pub attr_valid: u64,
    pub attr_valid_nsec: u32,
    pub flags: u32,
    pub spare: [u64; 2],
    pub stat: Statx,
}

pub const FOPEN_DIRECT_IO: u32 = 1;
pub const FOPEN_CACHE_DIR: u32 = 1 << 3;
/// Without it the kernel serialises the writers of one file.
pub const FOPEN_PARALLEL_DIRECT_WRITES: u32 = 1 << 6;
/// close sends no FLUSH.
pub const FOPEN_NOFLUSH: u32 = 1 << 5;
/// Data and maps go to the file that `backing_id` names. Beside FOPEN_DIRECT_IO maps alone do.
pub const FOPEN_PASSTHROUGH: u32 = 1 << 7;

#[derive(Clone, Copy, Debug, Default, IntoBytes, Immutable, FromZeros)]
#[repr(C)]
pub struct OpenOut {
    pub fh: u64,
    pub open_flags: u32,
    pub backing_id: i32,
}

/// write and copy_file_range.
#[derive(Clone, Copy, Debug, Default, IntoBytes, Immutable, FromZeros)]
#[repr(C)]
pub struct WriteOut {
    pub size: u32,
    pub padding: u32,
}

/// COPY_FILE_RANGE_64.
#[derive(Clone, Copy, Debug, Default, IntoBytes, Immutable, FromZeros)]
#[repr(C)]
pub struct CopyFileRangeOut {
    pub bytes_copied: u64,
}

#[derive(Clone, Copy, Debug, Default, IntoBytes, Immutable, FromZeros)]
#[repr(C)]
pub struct StatfsOut {
    pub blocks: u64,
    pub bfree: u64,
    pub bavail: u64,
    pub files: u64,
    pub ffree: u64,
    pub bsize: u32,
    pub namelen: u32,
    pub frsize: u32,
    pub padding: u32,
    pub spare: [u32; 6],
}

/// getxattr and listxattr asked with size 0.
#[derive(Clone, Copy, Debug, Default, IntoBytes, Immutable, FromZeros)]
#[repr(C)]
pub struct GetxattrOut {
    pub size: u32,
    pub padding: u32,
}

#[derive(Clone, Copy, Debug, Default, IntoBytes, Immutable, FromZeros)]
#[repr(C)]
pub struct LseekOut {
    pub offset: u64,
}

#[derive(Clone, Copy, Debug, Default, IntoBytes, Immutable, FromZeros)]
#[repr(C)]
pub struct BmapOut {
    pub block: u64,
}

#[derive(Clone, Copy, Debug, Default, IntoBytes, Immutable, FromZeros)]
#[repr(C)]
pub struct IoctlOut {
    pub result: i32,
    pub flags: u32,
    pub in_iovs: u32,
    pub out_iovs: u32,
}

#[derive(Clone, Copy, Debug, Default, IntoBytes, Immutable, FromZeros)]
#[repr(C)]
pub struct PollOut {
    pub revents: u32,
    pub padding: u32,
}

/// One directory entry; the name follows, padded to 8 bytes. readdirplus puts an EntryOut before it.
#[derive(Clone, Copy, Debug, Default, IntoBytes, Immutable, FromZeros)]
#[repr(C)]
pub struct Dirent {
    pub ino: u64,
    pub off: u64,
    pub namelen: u32,
    pub kind: u32,
}

const _: () = {
    assert!(size_of::<Attr>() == 88);
    assert!(size_of::<EntryOut>() == 128);
    assert!(size_of::<AttrOut>() == 104);
    assert!(size_of::<Statx>() == 256);
    assert!(size_of::<StatxOut>() == 288);
    assert!(size_of::<StatfsOut>() == 80);
    assert!(size_of::<Dirent>() == 24);
};
