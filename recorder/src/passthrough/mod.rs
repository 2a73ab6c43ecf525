//! The filesystem: performs every request on a backing directory that is held by descriptor, never by path, and gives
//! the backing call's result or errno back unchanged. One request, one backing call, with the caller's identity.
//! Knows FUSE's answers from `wire`; knows no device, no queue and no trace.

mod attributes;
mod backing;
mod creation;
mod credentials;
mod data;
mod directories;
mod executed;
mod handles;
mod held;
mod inodes;
mod names;
mod pressure;
mod proc;
mod source;
mod special;
mod sys;
#[cfg(test)]
mod tests;
mod xattrs;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::collect::record::Facts;
use crate::wire::{Answer, BackingFiles, Errno, Node, Notify, Operation, Payload, ReplyBuffer, Request, now_ns};

pub use attributes::SharedMaps;
use attributes::Timeouts;
use backing::Backings;
use credentials::Caller;
use handles::{Handles, OpenDirectory, OpenFile};
pub use held::Way;
use inodes::{Identity, Inode, Inodes};
use pressure::{Limits, Pressure};
pub use source::{inherited_mount_flags, is_stacked, open_source, supports_acl};
use sys::Result;

#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// The kernel caches no entry and no attribute: every look at a name is seen.
    pub exact: bool,
    /// Mounted over the source itself, so that nobody changes it from outside: entries of files may be cached too.
    pub over_source: bool,
    /// How inodes are held; None chooses what works best here.
    pub way: Option<Way>,
}

/// One source directory being served.
pub struct Passthrough {
    inodes: Arc<Inodes>,
    handles: Handles,
    backings: Backings,
    timeouts: Timeouts,
    /// The source's own mount: a name that leads into another one is refused.
    mount_id: u64,
    dev: u64,
    /// What stat(2) shows as device behind the mount; 0 while it is not known.
    shown_dev: AtomicU64,
}

impl Passthrough {
    /// `gone` is told of each node that the kernel has forgotten for good. To be called in the process that will serve
    /// (not before a fork) and on a thread that has its own identity, with RLIMIT_NOFILE as it will stay.
    pub fn new(source: OwnedFd, options: Options, gone: Box<dyn Fn(Node) + Send + Sync>) -> io::Result<Passthrough> {
        Self::build(source, options, gone).map_err(|Errno(errno)| io::Error::from_raw_os_error(errno))
    }

    fn build(source: OwnedFd, options: Options, gone: Box<dyn Fn(Node) + Send + Sync>) -> Result<Passthrough> {
        credentials::prepare()?;
        let attributes = sys::statx_fd(source.as_fd())?;
        let identity = Identity::of(&attributes)?;
        let descriptors = sys::descriptor_limit()?;
        let holder = held::Holder::new(source.as_fd(), options.way, descriptors)?;
        let limits = match holder.way() {
            Way::Handles => Limits::by_memory(),
            Way::Descriptors => Limits::by_descriptors(descriptors),
        };
        let backings = Backings::new(source::ignores_close(source.as_fd()));
        let root = (identity, holder.hold_always(source));
        let inodes = Inodes::new(root, holder, Pressure::new(limits), gone);
        Ok(Passthrough {
            inodes: Arc::new(inodes),
            handles: Handles::default(),
            backings,
            timeouts: Timeouts::new(options),
            mount_id: attributes.stx_mnt_id,
            dev: identity.dev,
            shown_dev: AtomicU64::new(0),
        })
    }

    /// The way to ask the kernel to forget nodes. Starts the thread that does so; to be called once, when mounted.
    pub fn set_notify(&self, notify: Arc<dyn Notify>) -> io::Result<()> {
        self.inodes.pressure.relieve(&self.inodes, notify)
    }

    /// `dev`: st_dev of the mount.
    pub fn mounted_as(&self, dev: u64) {
        self.shown_dev.store(dev, Relaxed);
    }

    /// From now on the kernel may read and write open files itself, where that changes nothing for the program; calls on
    /// descriptors are seen without a request.
    pub fn pass_through(&self, files: Arc<dyn BackingFiles>, maps: Arc<dyn SharedMaps>) {
        self.backings.start(files);
        self.timeouts.start(maps);
    }

    /// Which way inodes are held here.
    pub fn way(&self) -> Way {
        self.inodes.holder.way()
    }

    /// Nodes the kernel knows, and files and directories open: bounds for `doctor` and for tests.
    pub fn known_and_open(&self) -> (usize, usize) {
        (self.inodes.known(), self.handles.len())
    }

    /// Performs `request`; the payload is left in `reply`, what only the filesystem knows of it in `facts`.
    pub fn serve(&self, request: &Request<'_>, reply: &mut ReplyBuffer, facts: &mut Facts) -> Answer {
        credentials::prepare_thread()?;
        Call { fs: self, request, reply, facts }.perform()
    }
}

/// One request being served.
struct Call<'a> {
    fs: &'a Passthrough,
    request: &'a Request<'a>,
    reply: &'a mut ReplyBuffer,
    facts: &'a mut Facts,
}

impl Call<'_> {
    fn perform(&mut self) -> Answer {
        match self.request.operation {
            Operation::Lookup { .. }
            | Operation::Forget { .. }
            | Operation::BatchForget { .. }
            | Operation::Readlink
            | Operation::Unlink { .. }
            | Operation::Rmdir { .. }
            | Operation::Rename(_)
            | Operation::Link { .. } => self.perform_on_names(),
            Operation::Symlink { .. }
            | Operation::Mknod { .. }
            | Operation::Mkdir { .. }
            | Operation::Create { .. }
            | Operation::Tmpfile { .. } => self.perform_creation(),
            Operation::Open { .. }
            | Operation::Read(_)
            | Operation::Write(_)
            | Operation::Flush { .. }
            | Operation::Release { .. }
            | Operation::Fsync { .. }
            | Operation::Fallocate { .. }
            | Operation::Lseek { .. }
            | Operation::CopyFileRange(_) => self.perform_on_data(),
            Operation::Opendir { .. }
            | Operation::Readdir { .. }
            | Operation::Readdirplus { .. }
            | Operation::Releasedir { .. }
            | Operation::Fsyncdir { .. } => self.perform_on_directory(),
            _ => self.perform_on_inode(),
        }
    }

    /// What needs no name and no open file, and what only the protocol knows.
    fn perform_on_inode(&mut self) -> Answer {
        match self.request.operation {
            Operation::Getattr { handle } => self.getattr(handle),
            Operation::Statx { handle, sx_flags, .. } => self.statx(handle, sx_flags),
            Operation::Setattr(setattr) => self.setattr(setattr),
            Operation::Setxattr { name, value, flags, acl_kill_sgid } => {
                self.setxattr(name, value, flags, acl_kill_sgid)
            }
            Operation::Getxattr { name, size } => self.getxattr(name, size),
            Operation::Listxattr { size } => self.listxattr(size),
            Operation::Removexattr { name } => self.removexattr(name),
            Operation::Statfs => self.statfs(),
            Operation::Syncfs => self.syncfs(),
            Operation::Access { mask } => self.access(mask),
            Operation::Ioctl { handle, command, input, out_size, .. } => self.ioctl(handle, command, input, out_size),
            // Asked of filesystems on a block device only (FIBMAP), which this is not.
            Operation::Bmap { .. } => Err(Errno(libc::EINVAL)),
            // The kernel then answers poll itself: regular files are always ready.
            Operation::Poll { .. } => Err(Errno(libc::ENOSYS)),
            Operation::Interrupt { .. } => Ok(Payload::Silence),
            // Init and Destroy are the wire's own affair and locks stay with the kernel: none of them comes here.
            _ => Err(Errno(libc::ENOSYS)),
        }
    }

    /// The inode the request is about, noted as such.
    fn inode(&mut self) -> Result<Arc<Inode>> {
        let inode = self.fs.inodes.get(self.request.node)?;
        self.is_about(inode.identity);
        Ok(inode)
    }

    fn is_about(&mut self, identity: Identity) {
        self.facts.ino = identity.ino;
        self.facts.dev = identity.dev;
        self.facts.file_type = Some(identity.file_type);
    }

    fn file(&mut self, handle: crate::wire::Handle) -> Result<Arc<OpenFile>> {
        let file = self.fs.handles.file(handle)?;
        self.is_about(file.inode.identity);
        Ok(file)
    }

    fn directory(&mut self, handle: crate::wire::Handle) -> Result<Arc<OpenDirectory>> {
        let directory = self.fs.handles.directory(handle)?;
        self.is_about(directory.inode.identity);
        Ok(directory)
    }

    /// Takes on the caller's identity; set-id bits survive what is done next.
    fn assume_caller(&self) -> Result<()> {
        self.assume(false)
    }

    /// Takes on the caller's identity. `kills_set_ids`: the caller lacks CAP_FSETID, so set-id bits do not survive.
    fn assume(&self, kills_set_ids: bool) -> Result<()> {
        credentials::assume(Caller { uid: self.request.uid, gid: self.request.gid, kills_set_ids })
    }

    /// Runs calls on the backing directory and adds the time they took.
    fn backing<T>(&mut self, calls: impl FnOnce() -> T) -> T {
        let start_ns = now_ns();
        let answer = calls();
        self.facts.backing_ns += now_ns() - start_ns;
        answer
    }
}
