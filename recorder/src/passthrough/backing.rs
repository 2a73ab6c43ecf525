//! Which open files the kernel reads and writes itself. One backing id for each inode, from its first open to its last
//! release, since the kernel refuses (EIO) to open one inode with two.
//!
//! Data goes past us only where that changes nothing for the program: the kernel opens the backing file with the flags of
//! the open and one identity for all callers. So an open with O_APPEND or O_DIRECT, which programs switch off and on again
//! (F_SETFL), and one for writing a file with set-id bits, which depend on who writes, leave reads and writes with us and
//! only their maps with the kernel.

use std::os::fd::AsFd;
use std::sync::{Arc, OnceLock};

use libc::c_int;

use super::Call;
use super::handles::OpenFile;
use super::held::lock;
use super::inodes::Inode;
use super::sys;
use crate::wire::answers::{FOPEN_DIRECT_IO, FOPEN_NOFLUSH, FOPEN_PARALLEL_DIRECT_WRITES, FOPEN_PASSTHROUGH};
use crate::wire::{BackingFiles, BackingId};

/// Each read and write is a request, and writers of one file do not wait for each other.
const REQUESTS: u32 = FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES;

/// What F_SETFL can take away from an open file that the backing file would keep.
const CHANGEABLE: c_int = libc::O_APPEND | libc::O_DIRECT;

/// What the kernel knows of one inode.
#[derive(Default)]
pub struct Backing {
    opens: u32,
    /// None: nobody has it open, or the kernel did not take it. It is not asked again while it is open.
    id: Option<BackingId>,
}

pub struct Backings {
    files: OnceLock<Arc<dyn BackingFiles>>,
    /// FOPEN_NOFLUSH where a close need not be passed on: it is seen at the descriptor, as reads and writes are.
    close: u32,
}

impl Backings {
    pub fn new(ignores_close: bool) -> Backings {
        Backings { files: OnceLock::new(), close: if ignores_close { FOPEN_NOFLUSH } else { 0 } }
    }

    pub fn start(&self, files: Arc<dyn BackingFiles>) {
        // Told once, when the kernel has agreed.
        let _ = self.files.set(files);
    }

    /// One handle fewer: with the last one the kernel's number goes.
    pub fn detach(&self, inode: &Inode) {
        let mut backing = lock(&inode.backing);
        backing.opens = backing.opens.saturating_sub(1);
        if backing.opens == 0
            && let Some(id) = backing.id.take()
            && let Some(files) = self.files.get()
        {
            files.withdraw(id);
        }
    }
}

impl Call<'_> {
    /// Counts one handle more, and answers open's flags and backing id.
    pub fn attach(&mut self, file: &OpenFile, flags: c_int) -> (u32, i32) {
        let fs = self.fs;
        let mut backing = lock(&file.inode.backing);
        // Counted before there is passing through too: what is open then must not end a number given later.
        if backing.opens == 0 {
            backing.id = fs.backings.files.get().and_then(|files| self.register(&**files, &file.inode));
        }
        backing.opens += 1;
        let passes = FOPEN_PASSTHROUGH | fs.backings.close;
        match &backing.id {
            Some(id) if depends_on_the_caller(file, flags) => (REQUESTS | passes, id.0),
            Some(id) => (passes, id.0),
            None => (REQUESTS, 0),
        }
    }

    /// By the inode and not by the file just opened: that would be held open for writing as long as the number lives, and
    /// nobody could execute it. The identity is the caller's without CAP_FSETID, so that set-id bits, should the file get
    /// some later, do not survive a write (the kernel asks nobody then).
    fn register(&mut self, files: &dyn BackingFiles, inode: &Inode) -> Option<BackingId> {
        self.assume(true).ok()?;
        let fs = self.fs;
        let descriptor = fs.inodes.descriptor(inode).ok()?;
        self.backing(|| files.register(descriptor.as_fd())).ok()
    }
}

fn depends_on_the_caller(file: &OpenFile, flags: c_int) -> bool {
    if flags & CHANGEABLE != 0 {
        return true;
    }
    if flags & libc::O_ACCMODE == libc::O_RDONLY {
        return false;
    }
    let set_ids = libc::S_ISUID | libc::S_ISGID;
    // What cannot be looked at is taken for the worse.
    sys::statx_fd(file.fd.as_fd()).map_or(true, |attributes| u32::from(attributes.stx_mode) & set_ids != 0)
}
