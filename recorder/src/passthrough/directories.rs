//! Directories: opening and listing. The backing directory's offsets (d_off) are handed out as they are: they stay right
//! while others change the directory, which numbers of our own would not.

use std::os::fd::AsFd;
use std::sync::Mutex;

use super::Call;
use super::handles::{Open, OpenDirectory};
use super::held::lock;
use super::inodes::Inode;
use super::names::DONE;
use super::sys::{self, Component, Result};
use crate::wire::answers::{Dirent, EntryOut, OpenOut};
use crate::wire::{Answer, Errno, Handle, Operation, Payload};

/// A backing entry (struct linux_dirent64) of up to four name bytes takes 24, ours takes 32: with three quarters of the
/// room, whatever is read from below fits, and nothing has to be kept for the next request.
const READDIR_SHARE: (usize, usize) = (3, 4);
/// The same with an EntryOut before each: 24 below, 160 here.
const READDIRPLUS_SHARE: (usize, usize) = (3, 20);
/// Enough for some 1,000 entries; a larger request is answered in parts.
const READ_MAX_BYTES: usize = 64 << 10;

impl Call<'_> {
    pub fn perform_on_directory(&mut self) -> Answer {
        match self.request.operation {
            Operation::Opendir { .. } => self.opendir(),
            Operation::Readdir { handle, offset, size } => self.readdir(handle, offset, size),
            Operation::Readdirplus { handle, offset, size } => self.readdirplus(handle, offset, size),
            Operation::Releasedir { handle } => self.releasedir(handle),
            Operation::Fsyncdir { handle, data_only } => self.fsyncdir(handle, data_only),
            _ => Err(Errno(libc::ENOSYS)),
        }
    }

    fn opendir(&mut self) -> Answer {
        let inode = self.inode()?;
        self.assume_caller()?;
        let inodes = &self.fs.inodes;
        let fd = self.backing(|| inodes.open(&inode, libc::O_RDONLY | libc::O_DIRECTORY))?;
        let directory = OpenDirectory { fd, inode, position: Mutex::new(0) };
        let handle = self.fs.handles.insert(Open::Directory(directory.into()));
        self.facts.opened = Some(handle);
        self.reply.put(&OpenOut { fh: handle.0, ..OpenOut::default() })
    }

    fn readdir(&mut self, handle: Handle, offset: u64, size: u32) -> Answer {
        let directory = self.directory(handle)?;
        let mut raw = vec![0; share(size, READDIR_SHARE)];
        let len = self.backing(|| directory.read(offset, &mut raw))?;
        let mut payload = Payload::Bytes(0);
        for entry in Entries(&raw[..len]) {
            payload = self.put_entry(payload, None, &entry)?;
        }
        Ok(payload)
    }

    fn readdirplus(&mut self, handle: Handle, offset: u64, size: u32) -> Answer {
        let directory = self.directory(handle)?;
        let parent = self.inode()?;
        let mut raw = vec![0; share(size, READDIRPLUS_SHARE)];
        let len = self.backing(|| directory.read(offset, &mut raw))?;
        let mut payload = Payload::Bytes(0);
        for mut entry in Entries(&raw[..len]) {
            let found = self.look_at_entry(&parent, &mut entry);
            payload = self.put_entry(payload, Some(found), &entry)?;
        }
        Ok(payload)
    }

    /// Node 0 (nothing found out, nothing counted) for "." and "..", and where looking failed: the kernel asks again.
    fn look_at_entry(&mut self, parent: &Inode, entry: &mut Entry<'_>) -> EntryOut {
        let fs = self.fs;
        let found = Component::new(entry.name).and_then(|name| self.backing(|| fs.find(parent, &name)));
        let Ok((inode, attributes)) = found else { return EntryOut::default() };
        entry.ino = attributes.stx_ino;
        fs.timeouts.entry_out(inode.node, &attributes)
    }

    fn put_entry(&mut self, payload: Payload, found: Option<EntryOut>, entry: &Entry<'_>) -> Answer {
        let Payload::Bytes(mut at) = payload else { return Err(Errno(libc::EIO)) };
        if let Some(found) = found {
            self.reply.put_at(at, &found)?;
            at += size_of::<EntryOut>();
        }
        let (ino, off, kind) = (entry.ino, entry.next, u32::from(entry.kind));
        self.reply.put_at(at, &Dirent { ino, off, namelen: entry.name.len() as u32, kind })?;
        at += size_of::<Dirent>();
        self.reply.put_bytes_at(at, entry.name)?;
        at += entry.name.len();
        let padding = at.next_multiple_of(8) - at;
        self.reply.put_bytes_at(at, &[0; 8][..padding])
    }

    fn releasedir(&mut self, handle: Handle) -> Answer {
        let directory = self.directory(handle)?;
        let open = self.fs.handles.remove(handle)?;
        self.backing(|| drop((directory, open)));
        Ok(DONE)
    }

    fn fsyncdir(&mut self, handle: Handle, data_only: bool) -> Answer {
        let directory = self.directory(handle)?;
        self.backing(|| sys::sync(directory.fd.as_fd(), data_only)).map(|()| DONE)
    }
}

impl OpenDirectory {
    /// Reads entries from `offset` on, an offset that an earlier entry gave, or 0.
    fn read(&self, offset: u64, into: &mut [u8]) -> Result<usize> {
        let mut position = lock(&self.position);
        if *position != offset {
            // d_off is a signed number there, a 63-bit hash on ext4.
            sys::seek(self.fd.as_fd(), offset as libc::off_t, libc::SEEK_SET)?;
            *position = offset;
        }
        let len = sys::read_directory(self.fd.as_fd(), into)?;
        if let Some(last) = Entries(&into[..len]).last() {
            *position = last.next;
        }
        Ok(len)
    }
}

fn share(size: u32, (of, whole): (usize, usize)) -> usize {
    (size as usize * of / whole).min(READ_MAX_BYTES)
}

/// One entry as getdents64 wrote it.
struct Entry<'a> {
    ino: u64,
    /// d_off: where the entry behind this one is.
    next: u64,
    kind: u8,
    name: &'a [u8],
}

/// The entries in a getdents64 buffer (struct linux_dirent64: ino 8, off 8, reclen 2, type 1, name and NUL).
struct Entries<'a>(&'a [u8]);

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        let (ino, rest) = self.0.split_first_chunk()?;
        let (next, rest) = rest.split_first_chunk()?;
        let (len, rest) = rest.split_first_chunk()?;
        let (kind, _) = rest.split_first()?;
        let entry = self.0.get(..usize::from(u16::from_ne_bytes(*len)))?;
        self.0 = &self.0[entry.len()..];
        let name = entry.get(19..)?;
        let name = name.split(|byte| *byte == 0).next()?;
        Some(Entry { ino: u64::from_ne_bytes(*ino), next: u64::from_ne_bytes(*next), kind: *kind, name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_from_below_always_fits_when_translated() {
        for len in 1..=255usize {
            let below = (19 + len + 1).next_multiple_of(8);
            let here = (24 + len).next_multiple_of(8);
            assert!(here * READDIR_SHARE.0 <= below * READDIR_SHARE.1, "{len}");
            assert!((128 + here) * READDIRPLUS_SHARE.0 <= below * READDIRPLUS_SHARE.1, "{len}");
        }
        let longest = (19usize + 256).next_multiple_of(8);
        assert!(share(4096, READDIRPLUS_SHARE) >= longest, "a page holds at least one entry");
    }
}
