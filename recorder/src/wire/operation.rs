//! What the kernel can ask, decoded: one variant for each FUSE opcode that Linux up to 6.18 sends (protocol 7.45).
//! Borrowed from the receive buffer. Knows no paths: a name is one component, a node is a number.

use zerocopy::FromBytes;

use super::requests::ForgetOne;

/// A FUSE node id: 1 is the root, others are our own counter, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Node(pub u64);

impl Node {
    pub const ROOT: Node = Node(1);
}

/// The number an open file or directory bears between open and release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Handle(pub u64);

/// One component of a path, as bytes: never empty, never `.` or `..`, no '/', no NUL. An extended attribute's name may hold a '/'.
pub type Name<'a> = &'a [u8];

/// A request as it arrived.
#[derive(Debug)]
pub struct Request<'a> {
    pub unique: u64,
    pub opcode: u32,
    pub node: Node,
    pub uid: u32,
    pub gid: u32,
    /// The calling thread's id in the pid namespace of the mount; 0: the kernel on its own, or outside.
    pub tid: u32,
    /// CLOCK_MONOTONIC when the receiver had it in hand.
    pub arrived_ns: u64,
    pub operation: Operation<'a>,
}

/// What setattr is to change; None means leave.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Setattr {
    pub handle: Option<Handle>,
    pub mode: Option<u32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub size: Option<u64>,
    pub atime: Option<Time>,
    pub mtime: Option<Time>,
    /// Sent with FATTR_CTIME by writeback mounts only; decoded, not obeyed.
    pub ctime: Option<Time>,
    /// FATTR_KILL_SUIDGID: the caller lacks CAP_FSETID, so size changes must clear the bits.
    pub kill_suid_sgid: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Time {
    Now,
    At { seconds: i64, nanoseconds: u32 },
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rename<'a> {
    pub name: Name<'a>,
    pub new_parent: Node,
    pub new_name: Name<'a>,
    /// RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT; 0 for the old opcode.
    pub flags: u32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Read {
    pub handle: Handle,
    pub offset: u64,
    pub size: u32,
    /// The file's present O_ flags (they change with fcntl).
    pub flags: u32,
    /// Filling the page cache (a page fault, exec, readahead), not a program's own call: a direct read names its lock owner
    /// (FUSE_READ_LOCKOWNER; fuse_send_read in fs/fuse/file.c), these do not.
    pub for_page_cache: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Write<'a> {
    pub handle: Handle,
    pub offset: u64,
    pub data: &'a [u8],
    /// The file's present O_ flags (they change with fcntl).
    pub flags: u32,
    /// FUSE_WRITE_KILL_SUIDGID.
    pub kill_suid_sgid: bool,
    /// FUSE_WRITE_CACHE: writeback by the kernel, not a program's own call.
    pub from_page_cache: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CopyFileRange {
    pub handle_in: Handle,
    pub offset_in: u64,
    pub node_out: Node,
    pub handle_out: Handle,
    pub offset_out: u64,
    pub len: u64,
    pub flags: u64,
    /// COPY_FILE_RANGE_64: the answer is a 64-bit count.
    pub wide: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operation<'a> {
    Init {
        major: u32,
        minor: u32,
        max_readahead: u32,
        flags: u64,
    },
    Destroy,
    Lookup {
        name: Name<'a>,
    },
    /// No answer.
    Forget {
        lookups: u64,
    },
    /// No answer. Pairs of (node, lookups), 16 bytes each; see `ForgetEntries`.
    BatchForget {
        entries: &'a [u8],
    },
    Getattr {
        handle: Option<Handle>,
    },
    Statx {
        handle: Option<Handle>,
        sx_flags: u32,
        sx_mask: u32,
    },
    Setattr(Setattr),
    Readlink,
    Symlink {
        name: Name<'a>,
        target: &'a [u8],
    },
    Mknod {
        name: Name<'a>,
        mode: u32,
        rdev: u32,
        umask: u32,
    },
    Mkdir {
        name: Name<'a>,
        mode: u32,
        umask: u32,
    },
    Unlink {
        name: Name<'a>,
    },
    Rmdir {
        name: Name<'a>,
    },
    Rename(Rename<'a>),
    /// A new name in `request.node` for `existing`.
    Link {
        existing: Node,
        name: Name<'a>,
    },
    /// `kill_suid_sgid`: FUSE_OPEN_KILL_SUIDGID, only with O_TRUNC.
    Open {
        flags: u32,
        kill_suid_sgid: bool,
    },
    Create {
        name: Name<'a>,
        flags: u32,
        mode: u32,
        umask: u32,
        kill_suid_sgid: bool,
    },
    /// `name` is no component ("/" on Linux): the new file has none.
    Tmpfile {
        name: Name<'a>,
        flags: u32,
        mode: u32,
        umask: u32,
    },
    Read(Read),
    Write(Write<'a>),
    Flush {
        handle: Handle,
    },
    Release {
        handle: Handle,
        flags: u32,
    },
    Fsync {
        handle: Handle,
        data_only: bool,
    },
    Opendir {
        flags: u32,
    },
    Readdir {
        handle: Handle,
        offset: u64,
        size: u32,
    },
    Readdirplus {
        handle: Handle,
        offset: u64,
        size: u32,
    },
    Releasedir {
        handle: Handle,
    },
    Fsyncdir {
        handle: Handle,
        data_only: bool,
    },
    Statfs,
    /// `acl_kill_sgid`: FUSE_SETXATTR_ACL_KILL_SGID.
    Setxattr {
        name: Name<'a>,
        value: &'a [u8],
        flags: u32,
        acl_kill_sgid: bool,
    },
    Getxattr {
        name: Name<'a>,
        size: u32,
    },
    Listxattr {
        size: u32,
    },
    Removexattr {
        name: Name<'a>,
    },
    Access {
        mask: u32,
    },
    Bmap {
        block: u64,
        block_size: u32,
    },
    Ioctl {
        handle: Handle,
        flags: u32,
        command: u32,
        argument: u64,
        input: &'a [u8],
        out_size: u32,
    },
    Poll {
        handle: Handle,
        events: u32,
    },
    Fallocate {
        handle: Handle,
        offset: u64,
        length: u64,
        mode: u32,
    },
    Lseek {
        handle: Handle,
        offset: u64,
        whence: u32,
    },
    CopyFileRange(CopyFileRange),
    Syncfs,
    /// Names the request to interrupt. No answer.
    Interrupt {
        unique: u64,
    },
    /// Locks stay with the kernel (nothing negotiated); NOTIFY_REPLY, CUSE_INIT, SETUPMAPPING, REMOVEMAPPING are never
    /// sent to us. Answered ENOSYS.
    Refused {
        opcode: u32,
    },
}

impl Operation<'_> {
    /// The kernel waits for an answer.
    pub fn wants_answer(&self) -> bool {
        !matches!(self, Operation::Forget { .. } | Operation::BatchForget { .. })
    }

    /// Calls that wait for a device as a matter of course, or for as long as their argument is large. Others may wait too
    /// (a read that is not cached), but rarely.
    pub fn is_slow(&self) -> bool {
        match self {
            Operation::Fsync { .. }
            | Operation::Fsyncdir { .. }
            | Operation::Syncfs
            | Operation::Fallocate { .. }
            | Operation::CopyFileRange(_) => true,
            Operation::Setattr(setattr) => setattr.size.is_some(),
            Operation::Open { flags, .. } => flags & libc::O_TRUNC as u32 != 0,
            _ => false,
        }
    }

    /// How many bytes of the reply buffer the answer may fill.
    pub fn answer_bytes(&self) -> usize {
        /// Every other answer is a struct, a link's target or an attribute's value.
        const OTHERS_BYTES: usize = 1 << 16;
        match *self {
            Operation::Read(Read { size, .. })
            | Operation::Readdir { size, .. }
            | Operation::Readdirplus { size, .. }
            | Operation::Ioctl { out_size: size, .. } => size as usize,
            _ => OTHERS_BYTES,
        }
    }
}

/// The pairs of a batch forget: which node, and how many of its lookups are given back.
#[derive(Clone, Debug)]
pub struct ForgetEntries<'a> {
    left: std::slice::ChunksExact<'a, u8>,
}

impl<'a> ForgetEntries<'a> {
    pub fn new(entries: &'a [u8]) -> Self {
        ForgetEntries { left: entries.chunks_exact(size_of::<ForgetOne>()) }
    }
}

impl Iterator for ForgetEntries<'_> {
    type Item = (Node, u64);

    fn next(&mut self) -> Option<(Node, u64)> {
        let one = ForgetOne::read_from_bytes(self.left.next()?).ok()?;
        Some((Node(one.nodeid), one.nlookup))
    }
}
