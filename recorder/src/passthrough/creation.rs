//! Making new names: files, directories, nodes, symlinks and files without a name. Whatever is made belongs to the caller:
//! the thread that makes the backing call has taken on the caller's ids and umask.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use libc::{c_int, mode_t};

use super::handles::OpenFile;
use super::inodes::Inode;
use super::sys::{self, Component, Result, c_string, check};
use super::{Call, attributes, credentials, data};
use crate::event::FileType;
use crate::wire::answers::EntryOut;
use crate::wire::{Answer, Errno, Name, Operation};

impl Call<'_> {
    pub fn perform_creation(&mut self) -> Answer {
        match self.request.operation {
            Operation::Mkdir { name, mode, umask } => {
                self.make(name, umask, |directory, name| make_directory(directory, name, mode))
            }
            Operation::Mknod { name, mode, rdev, umask } => {
                self.make(name, umask, |directory, name| make_node(directory, name, mode, rdev))
            }
            Operation::Symlink { name, target } => {
                let target = c_string(target)?;
                self.make(name, 0, |directory, name| {
                    let (target, name) = (target.as_ptr(), name.as_c_str().as_ptr());
                    // SAFETY: both are NUL-terminated and outlive the call.
                    check(unsafe { libc::symlinkat(target, directory.as_raw_fd(), name) })
                })
            }
            Operation::Create { name, flags, mode, umask, kill_suid_sgid } => {
                self.create(name, flags as c_int, mode, umask, kill_suid_sgid)
            }
            Operation::Tmpfile { flags, mode, umask, .. } => self.tmpfile(flags as c_int, mode, umask),
            _ => Err(Errno(libc::ENOSYS)),
        }
    }

    /// Makes a name and looks it up, since these calls return no descriptor.
    fn make(
        &mut self,
        name: Name<'_>,
        umask: u32,
        make: impl FnOnce(BorrowedFd<'_>, &Component) -> Result<c_int>,
    ) -> Answer {
        let parent = self.inode()?;
        let name = Component::new(name)?;
        let fs = self.fs;
        self.prepare_creation(umask)?;
        let directory = fs.inodes.descriptor(&parent)?;
        self.backing(|| make(directory.as_fd(), &name))?;
        let (inode, attributes) = self.backing(|| fs.meet(&parent, &name))?;
        self.answer_entry(&inode, &attributes)
    }

    /// Room for one more node first: a file that is made and then cannot be named to the kernel would be left behind.
    fn prepare_creation(&mut self, umask: u32) -> Result<()> {
        self.fs.inodes.admit()?;
        self.assume_caller()?;
        credentials::set_umask(umask)
    }

    fn create(&mut self, name: Name<'_>, flags: c_int, mode: mode_t, umask: u32, kill: bool) -> Answer {
        let parent = self.inode()?;
        let name = Component::new(name)?;
        self.prepare_creation(umask)?;
        let fs = self.fs;
        let directory = fs.inodes.descriptor(&parent)?;
        // Always exclusive: what is there already could be a fifo, and opening that would wait.
        let new = libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW | data::backing_flags(flags) & !libc::O_TRUNC;
        let created = self.backing(|| sys::open_at(directory.as_fd(), name.as_c_str(), new, mode & 0o7777));
        match created {
            Ok(fd) => self.answer_created(fd, flags, (parent.node, name.as_bytes())),
            Err(Errno(libc::EEXIST)) if flags & libc::O_EXCL == 0 => self.open_existing(&parent, &name, flags, kill),
            Err(errno) => Err(errno),
        }
    }

    /// Someone made it from outside between the kernel's lookup and now. What is no regular file is the kernel's to look
    /// up again, which ESTALE asks for.
    fn open_existing(&mut self, parent: &Inode, name: &Component, flags: c_int, kill: bool) -> Answer {
        let fs = self.fs;
        let (inode, attributes) = self.backing(|| fs.find(parent, name))?;
        let opened = match inode.identity.file_type {
            FileType::Regular => self.open_regular(&inode, flags, kill),
            _ => Err(Errno(libc::ESTALE)),
        };
        let file = opened.inspect_err(|_| fs.inodes.forget(inode.node, 1))?;
        self.answer_entry_and_open(&inode, &attributes, file, flags)
    }

    /// `name` is ignored by the kernel too: it is "/".
    fn tmpfile(&mut self, flags: c_int, mode: mode_t, umask: u32) -> Answer {
        let parent = self.inode()?;
        self.prepare_creation(umask)?;
        let fs = self.fs;
        let directory = fs.inodes.descriptor(&parent)?;
        // O_EXCL: the file may never get a name.
        let new = libc::O_TMPFILE | flags & libc::O_EXCL | data::backing_flags(flags) & !libc::O_TRUNC;
        let fd = self.backing(|| sys::open_at(directory.as_fd(), c".", new, mode & 0o7777))?;
        self.answer_created(fd, flags, (parent.node, b""))
    }

    /// Looks at the descriptor just opened, not at the name: that could lead elsewhere by now.
    fn answer_created(
        &mut self,
        fd: std::os::fd::OwnedFd,
        flags: c_int,
        seen_as: (crate::wire::Node, &[u8]),
    ) -> Answer {
        let fs = self.fs;
        let holder = &fs.inodes.holder;
        let (attributes, held) = self.backing(|| {
            let attributes = sys::statx_fd(fd.as_fd())?;
            let held = match attributes.stx_nlink {
                0 => holder.hold_nameless(fd.as_fd())?,
                _ => holder.hold_opened(fd.as_fd())?,
            };
            Ok((attributes, held))
        })?;
        let identity = fs.identify(&attributes)?;
        let inode = fs.inodes.remember(identity, held, seen_as);
        let file = OpenFile::new(fd, inode.clone(), data::backing_flags(flags));
        self.answer_entry_and_open(&inode, &attributes, file, flags)
    }

    fn answer_entry_and_open(
        &mut self,
        inode: &Inode,
        attributes: &libc::statx,
        file: OpenFile,
        flags: c_int,
    ) -> Answer {
        self.answer_entry(inode, attributes)?;
        let open = self.opened(file, flags);
        self.reply.put_at(size_of::<EntryOut>(), &open)
    }
}

fn make_directory(directory: BorrowedFd<'_>, name: &Component, mode: mode_t) -> Result<c_int> {
    // SAFETY: the name is NUL-terminated and outlives the call.
    check(unsafe { libc::mkdirat(directory.as_raw_fd(), name.as_c_str().as_ptr(), mode & 0o7777) })
}

fn make_node(directory: BorrowedFd<'_>, name: &Component, mode: mode_t, rdev: u32) -> Result<c_int> {
    let (name, device) = (name.as_c_str().as_ptr(), attributes::decode_device(rdev));
    // SAFETY: the name is NUL-terminated and outlives the call.
    check(unsafe { libc::mknodat(directory.as_raw_fd(), name, mode, device) })
}
