//! Names in directories: looking up, forgetting, removing, renaming, linking, and reading a symlink.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;

use super::inodes::{Identity, Inode};
use super::sys::{self, Component, Result, check, check_len, check_long};
use super::{Call, Passthrough, attributes, proc};
use crate::wire::operation::Rename;
use crate::wire::{Answer, Errno, ForgetEntries, Name, Node, Operation, Payload};

/// What the kernel has room for in a readlink's answer: a page less the NUL.
const LINK_TARGET_MAX_BYTES: usize = 4095;

/// An answer that says no more than that it was done.
pub const DONE: Payload = Payload::Bytes(0);

impl Passthrough {
    /// The inode a name stands for, its lookup counted. One statx where the inode is known; else it becomes known.
    pub fn find(&self, parent: &Inode, name: &Component) -> Result<(Arc<Inode>, libc::statx)> {
        let tick = self.inodes.holder.tick();
        let directory = self.inodes.descriptor(parent)?;
        let attributes = sys::statx_name(directory.as_fd(), name.as_c_str())?;
        if let Some(inode) = self.inodes.recognise(self.identify(&attributes)?, tick) {
            return Ok((inode, attributes));
        }
        self.meet(parent, name)
    }

    /// The same for a name that is likely new: the inode is fixed by a descriptor before it is looked at.
    pub fn meet(&self, parent: &Inode, name: &Component) -> Result<(Arc<Inode>, libc::statx)> {
        self.inodes.admit()?;
        let directory = self.inodes.descriptor(parent)?;
        let fd = sys::open_inode(directory.as_fd(), name.as_c_str())?;
        let attributes = sys::statx_fd(fd.as_fd())?;
        let identity = self.identify(&attributes)?;
        let (held, spare) = self.inodes.holder.hold(fd);
        let inode = self.inodes.remember(identity, held, (parent.node, name.as_bytes()));
        self.inodes.keep(&inode, spare);
        Ok((inode, attributes))
    }

    /// EXDEV where a name leads out of the source's filesystem: another mount, or a directory of another device (a
    /// btrfs subvolume, whose inode numbers start anew). A file's device may differ on one overlayfs mount.
    pub fn identify(&self, attributes: &libc::statx) -> Result<Identity> {
        let identity = Identity::of(attributes)?;
        let elsewhere = attributes.stx_mnt_id != self.mount_id
            || (attributes::is_directory(attributes) && identity.dev != self.dev);
        if elsewhere { Err(Errno(libc::EXDEV)) } else { Ok(identity) }
    }
}

impl Call<'_> {
    pub fn perform_on_names(&mut self) -> Answer {
        match self.request.operation {
            Operation::Lookup { name } => self.lookup(name),
            Operation::Forget { lookups } => self.forget([(self.request.node, lookups)]),
            Operation::BatchForget { entries } => self.forget(ForgetEntries::new(entries)),
            Operation::Readlink => self.readlink(),
            Operation::Unlink { name } => self.remove(name, 0),
            Operation::Rmdir { name } => self.remove(name, libc::AT_REMOVEDIR),
            Operation::Rename(rename) => self.rename(rename),
            Operation::Link { existing, name } => self.link(existing, name),
            _ => Err(Errno(libc::ENOSYS)),
        }
    }

    fn lookup(&mut self, name: Name<'_>) -> Answer {
        let parent = self.inode()?;
        let name = Component::new(name)?;
        self.assume_caller()?;
        let fs = self.fs;
        let (inode, attributes) = self.backing(|| fs.find(&parent, &name))?;
        self.answer_entry(&inode, &attributes)
    }

    /// Answers with an inode whose lookup has been counted.
    pub fn answer_entry(&mut self, inode: &Inode, attributes: &libc::statx) -> Answer {
        self.is_about(inode.identity);
        self.facts.child = Some(inode.node);
        self.reply.put(&self.fs.timeouts.entry_out(inode.node, attributes))
    }

    fn forget(&mut self, nodes: impl IntoIterator<Item = (Node, u64)>) -> Answer {
        for (node, lookups) in nodes {
            self.fs.inodes.forget(node, lookups);
        }
        Ok(Payload::Silence)
    }

    fn readlink(&mut self) -> Answer {
        let link = self.inode()?;
        let fd = self.fs.inodes.descriptor(&link)?;
        let start_ns = crate::wire::now_ns();
        let target = &mut self.reply.bytes_mut()[..LINK_TARGET_MAX_BYTES];
        let (fd, name) = (fd.as_fd().as_raw_fd(), c"".as_ptr());
        // SAFETY: an empty, NUL-terminated name: the descriptor itself; the target is writable for the length given.
        let len = check_len(unsafe { libc::readlinkat(fd, name, target.as_mut_ptr().cast(), target.len()) });
        self.facts.backing_ns += crate::wire::now_ns() - start_ns;
        Ok(Payload::Bytes(len?))
    }

    fn remove(&mut self, name: Name<'_>, flags: libc::c_int) -> Answer {
        let parent = self.inode()?;
        let name = Component::new(name)?;
        self.assume_caller()?;
        let fs = self.fs;
        let directory = fs.inodes.descriptor(&parent)?;
        let directory = directory.as_fd();
        let leaving = self.backing(|| Leaving::look(fs, directory, &name));
        if let Some(leaving) = &leaving {
            self.is_about(leaving.identity);
        }
        // SAFETY: the name is NUL-terminated and outlives the call.
        let removed =
            self.backing(|| check(unsafe { libc::unlinkat(directory.as_raw_fd(), name.as_c_str().as_ptr(), flags) }));
        if let Some(leaving) = leaving {
            leaving.settle(fs, removed.is_ok());
        }
        removed.map(|_| DONE)
    }

    fn rename(&mut self, rename: Rename<'_>) -> Answer {
        let (parent, new_parent) = (self.inode()?, self.fs.inodes.get(rename.new_parent)?);
        let (name, new_name) = (Component::new(rename.name)?, Component::new(rename.new_name)?);
        self.assume_caller()?;
        // For the whiteout that RENAME_WHITEOUT leaves behind.
        super::credentials::set_umask(0)?;
        let fs = self.fs;
        let (from, to) = (fs.inodes.descriptor(&parent)?, fs.inodes.descriptor(&new_parent)?);
        let (from, to) = (from.as_fd(), to.as_fd());
        let moved = self.backing(|| sys::statx_name(from, name.as_c_str()));
        let moved = moved.and_then(|attributes| Identity::of(&attributes)).ok();
        if let Some(moved) = moved {
            self.is_about(moved);
        }
        let replaces = rename.flags & (libc::RENAME_NOREPLACE | libc::RENAME_EXCHANGE) == 0;
        let leaving = self.backing(|| Leaving::look(fs, to, &new_name).filter(|_| replaces));
        let renamed = self.backing(|| rename_at(from, &name, to, &new_name, rename.flags));
        if let Some(leaving) = leaving {
            leaving.settle(fs, renamed.is_ok());
        }
        if let Some(inode) = moved.filter(|_| renamed.is_ok()).and_then(|identity| fs.inodes.find(identity)) {
            inode.is_now(new_parent.node, new_name.as_bytes());
        }
        renamed.map(|()| DONE)
    }

    fn link(&mut self, existing: Node, name: Name<'_>) -> Answer {
        let parent = self.inode()?;
        let existing = self.fs.inodes.get(existing)?;
        self.is_about(existing.identity);
        let name = Component::new(name)?;
        self.assume_caller()?;
        let inodes = &self.fs.inodes;
        let (directory, fd) = (inodes.descriptor(&parent)?, inodes.descriptor(&existing)?);
        let attributes = self.backing(|| {
            link_at(fd.as_fd(), directory.as_fd(), &name)?;
            sys::statx_fd(fd.as_fd())
        })?;
        self.fs.inodes.count_lookup(&existing);
        self.answer_entry(&existing, &attributes)
    }
}

/// Through /proc/self/fd: AT_EMPTY_PATH would ask for a capability that an ordinary user lacks.
fn link_at(fd: BorrowedFd<'_>, directory: BorrowedFd<'_>, name: &Component) -> Result<()> {
    let (from, link) = (proc::directory()?.as_raw_fd(), proc::Link::to(fd));
    let (link, name) = (link.as_c_str().as_ptr(), name.as_c_str().as_ptr());
    // SAFETY: both names are NUL-terminated and outlive the call.
    check(unsafe { libc::linkat(from, link, directory.as_raw_fd(), name, libc::AT_SYMLINK_FOLLOW) })?;
    Ok(())
}

fn rename_at(
    from: BorrowedFd<'_>,
    name: &Component,
    to: BorrowedFd<'_>,
    new_name: &Component,
    flags: u32,
) -> Result<()> {
    let (from, to) = (from.as_raw_fd(), to.as_raw_fd());
    let (name, new_name) = (name.as_c_str().as_ptr(), new_name.as_c_str().as_ptr());
    // SAFETY: both names are NUL-terminated and outlive the call.
    check_long(unsafe { libc::syscall(libc::SYS_renameat2, from, name, to, new_name, flags) })?;
    Ok(())
}

/// An inode that is about to lose a name, perhaps its last. If the kernel knows it, it is pinned before the name goes:
/// programs may still use it, and a file handle alone would not keep it alive.
struct Leaving {
    identity: Identity,
    last_name: bool,
    pinned: Option<Arc<Inode>>,
}

impl Leaving {
    fn look(fs: &Passthrough, directory: BorrowedFd<'_>, name: &Component) -> Option<Leaving> {
        let attributes = sys::statx_name(directory, name.as_c_str()).ok()?;
        let identity = Identity::of(&attributes).ok()?;
        let last_name = attributes.stx_nlink <= 1 || attributes::is_directory(&attributes);
        let pinned = fs.inodes.find(identity).filter(|inode| fs.inodes.pin(inode).is_ok());
        Some(Leaving { identity, last_name, pinned })
    }

    /// Stays pinned if its last name is gone: until the kernel forgets it.
    fn settle(self, fs: &Passthrough, removed: bool) {
        let Some(inode) = self.pinned else { return };
        let gone = removed && (self.last_name || has_no_name(fs, &inode));
        if !gone {
            fs.inodes.unpin(&inode);
        }
    }
}

/// Two names of one file removed at the same moment: neither removal saw the last one.
fn has_no_name(fs: &Passthrough, inode: &Inode) -> bool {
    let attributes = fs.inodes.descriptor(inode).and_then(|fd| sys::statx_fd(fd.as_fd()));
    attributes.is_ok_and(|attributes| attributes.stx_nlink == 0)
}
