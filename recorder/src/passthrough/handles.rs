//! Open files and directories between open and release. A handle number is a slot and the slot's generation, never a
//! descriptor's number: a late request cannot reach a file that was opened after its own was closed.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::AtomicI32;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::inodes::Inode;
use super::sys::Result;
use crate::wire::{Errno, Handle};

/// A regular file that a program holds open.
pub struct OpenFile {
    pub fd: OwnedFd,
    pub inode: Arc<Inode>,
    /// O_SYNC and O_DSYNC as `fd` was opened: these never change.
    pub synced: libc::c_int,
    /// The O_ flags of `fd` that F_SETFL can change, as they are now.
    pub status: AtomicI32,
}

/// A directory that a program holds open.
pub struct OpenDirectory {
    pub fd: OwnedFd,
    pub inode: Arc<Inode>,
    /// Where the next getdents64 reads; the lock keeps a seek and its read together.
    pub position: Mutex<u64>,
}

#[derive(Clone)]
pub enum Open {
    File(Arc<OpenFile>),
    Directory(Arc<OpenDirectory>),
}

impl Open {
    pub fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Open::File(file) => file.fd.as_fd(),
            Open::Directory(directory) => directory.fd.as_fd(),
        }
    }

    pub fn inode(&self) -> &Inode {
        match self {
            Open::File(file) => &file.inode,
            Open::Directory(directory) => &directory.inode,
        }
    }
}

#[derive(Default)]
pub struct Handles {
    table: RwLock<Table>,
}

#[derive(Default)]
struct Table {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

struct Slot {
    generation: u32,
    open: Option<Open>,
}

impl Handles {
    pub fn insert(&self, open: Open) -> Handle {
        open.inode().opened();
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let index = table.free.pop().unwrap_or(table.slots.len() as u32);
        if index as usize == table.slots.len() {
            table.slots.push(Slot { generation: 1, open: None });
        }
        let slot = &mut table.slots[index as usize];
        slot.open = Some(open);
        Handle(u64::from(slot.generation) << 32 | u64::from(index))
    }

    /// EBADF for a number that is not open now.
    pub fn get(&self, handle: Handle) -> Result<Open> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let slot = table.slots.get(handle.0 as u32 as usize).filter(|slot| slot.generation == (handle.0 >> 32) as u32);
        slot.and_then(|slot| slot.open.clone()).ok_or(Errno(libc::EBADF))
    }

    pub fn file(&self, handle: Handle) -> Result<Arc<OpenFile>> {
        match self.get(handle)? {
            Open::File(file) => Ok(file),
            Open::Directory(_) => Err(Errno(libc::EISDIR)),
        }
    }

    pub fn directory(&self, handle: Handle) -> Result<Arc<OpenDirectory>> {
        match self.get(handle)? {
            Open::Directory(directory) => Ok(directory),
            Open::File(_) => Err(Errno(libc::ENOTDIR)),
        }
    }

    /// Takes it out; the descriptor closes when the last request that uses it is done.
    pub fn remove(&self, handle: Handle) -> Result<Open> {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let index = handle.0 as u32;
        let slot = table.slots.get_mut(index as usize).filter(|slot| slot.generation == (handle.0 >> 32) as u32);
        let slot = slot.ok_or(Errno(libc::EBADF))?;
        let open = slot.open.take().ok_or(Errno(libc::EBADF))?;
        slot.generation = slot.generation.wrapping_add(1);
        table.free.push(index);
        open.inode().released();
        Ok(open)
    }

    /// How many are open.
    pub fn len(&self) -> usize {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table.slots.len() - table.free.len()
    }
}
