//! Regular files: opening, reading, writing, syncing. Short counts and errors go back as they come, nothing is repeated.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use libc::c_int;

use super::handles::{Open, OpenFile};
use super::inodes::Inode;
use super::names::DONE;
use super::sys::{self, Result, check, check_len};
use super::{Call, executed};
use crate::event::FileType;
use crate::wire::answers::{CopyFileRangeOut, LseekOut, OpenOut, WriteOut};
use crate::wire::operation::{CopyFileRange, Read, Write};
use crate::wire::{Answer, Errno, Handle, Operation, Payload, now_ns};

/// The flags of a program's open that reach the backing file. Not O_APPEND: programs can switch it off again (F_SETFL)
/// and each write says what is so then. Not those that concern names, which the kernel has dealt with, nor FMODE_EXEC.
const BACKING_FLAGS: c_int = libc::O_ACCMODE
    | libc::O_TRUNC
    | libc::O_SYNC
    | libc::O_DSYNC
    | libc::O_DIRECT
    | libc::O_NOATIME
    | libc::O_NONBLOCK
    | libc::O_LARGEFILE;

/// What F_SETFL can change about a backing file, and each read and write tells.
const STATUS_FLAGS: c_int = libc::O_DIRECT | libc::O_NOATIME;

pub fn backing_flags(flags: c_int) -> c_int {
    flags & BACKING_FLAGS
}

impl OpenFile {
    /// `flags`: those `fd` was opened with.
    pub fn new(fd: OwnedFd, inode: Arc<Inode>, flags: c_int) -> OpenFile {
        let synced = flags & (libc::O_SYNC | libc::O_DSYNC);
        let status = AtomicI32::new(flags & (STATUS_FLAGS | libc::O_APPEND));
        OpenFile { fd, inode, synced, status }
    }

    /// Brings the backing file's flags to what the program's are now. One that the backing file refuses (O_DIRECT on a
    /// filesystem without) stays off, as no call of the program could have set it there.
    fn follow(&self, flags: u32) {
        let (wanted, present) = (flags as c_int & STATUS_FLAGS, self.status.load(Ordering::Relaxed));
        if present & STATUS_FLAGS != wanted {
            let status = present & libc::O_APPEND | wanted;
            // SAFETY: plain integers.
            if check(unsafe { libc::fcntl(self.fd.as_raw_fd(), libc::F_SETFL, status) }).is_ok() {
                self.status.store(status, Ordering::Relaxed);
            }
        }
    }

    /// The RWF_ flags that make one write what the program's flags say, where the backing file's do not.
    fn write_flags(&self, flags: u32) -> c_int {
        let flags = flags as c_int;
        let unsynced = flags & !self.synced;
        let mut rwf = if flags & libc::O_APPEND != 0 { libc::RWF_APPEND } else { 0 };
        if unsynced & libc::O_DSYNC != 0 {
            rwf |= libc::RWF_DSYNC;
        }
        // O_SYNC is O_DSYNC and one bit more.
        if unsynced & libc::O_SYNC & !libc::O_DSYNC != 0 {
            rwf |= libc::RWF_SYNC;
        }
        rwf
    }
}

impl Call<'_> {
    pub fn perform_on_data(&mut self) -> Answer {
        match self.request.operation {
            Operation::Open { flags, kill_suid_sgid } => self.open(flags as c_int, kill_suid_sgid),
            Operation::Read(read) => self.read(read),
            Operation::Write(write) => self.write(write),
            Operation::Flush { handle } => self.flush(handle),
            Operation::Release { handle, .. } => self.release(handle),
            Operation::Fsync { handle, data_only } => self.fsync(handle, data_only),
            Operation::Fallocate { handle, offset, length, mode } => self.fallocate(handle, offset, length, mode),
            Operation::Lseek { handle, offset, whence } => self.lseek(handle, offset, whence),
            Operation::CopyFileRange(copy) => self.copy_file_range(copy),
            _ => Err(Errno(libc::ENOSYS)),
        }
    }

    fn open(&mut self, flags: c_int, kill: bool) -> Answer {
        let inode = self.inode()?;
        let file = self.open_regular(&inode, flags, kill)?;
        let open = self.opened(file, flags);
        self.reply.put(&open)
    }

    /// Makes an open file a handle, and says how the kernel is to use it.
    pub fn opened(&mut self, file: OpenFile, flags: c_int) -> OpenOut {
        let (open_flags, backing_id) = self.attach(&file, flags);
        let handle = self.fs.handles.insert(Open::File(file.into()));
        self.facts.opened = Some(handle);
        OpenOut { fh: handle.0, open_flags, backing_id }
    }

    /// Nothing but regular files: the kernel itself opens fifos, sockets and devices, and here they would be the host's.
    pub fn open_regular(&mut self, inode: &Arc<Inode>, flags: c_int, kill: bool) -> Result<OpenFile> {
        match inode.identity.file_type {
            FileType::Regular => (),
            FileType::Directory => return Err(Errno(libc::EISDIR)),
            FileType::Symlink => return Err(Errno(libc::ELOOP)),
            _ => return Err(Errno(libc::ENXIO)),
        }
        if flags & (libc::O_ACCMODE | libc::O_TRUNC) == libc::O_RDONLY | libc::O_TRUNC {
            self.refuse_executed(inode)?;
        }
        self.assume(kill)?;
        let inodes = &self.fs.inodes;
        let wanted = backing_flags(flags);
        self.backing(|| match inodes.open(inode, wanted) {
            Ok(fd) => Ok(OpenFile::new(fd, inode.clone(), wanted)),
            // An append-only file (chattr +a) opens for writing in no other way.
            Err(Errno(libc::EPERM)) if flags & libc::O_APPEND != 0 => {
                let wanted = wanted | libc::O_APPEND;
                Ok(OpenFile::new(inodes.open(inode, wanted)?, inode.clone(), wanted))
            }
            Err(errno) => Err(errno),
        })
    }

    fn refuse_executed(&self, inode: &Inode) -> Result<()> {
        let shown_dev = self.fs.shown_dev.load(Ordering::Relaxed);
        if executed::is_executed(shown_dev, inode.identity.ino) { Err(Errno(libc::ETXTBSY)) } else { Ok(()) }
    }

    fn read(&mut self, read: Read) -> Answer {
        let file = self.file(read.handle)?;
        file.follow(read.flags);
        let room = self.reply.bytes_mut();
        let size = room.len().min(read.size as usize);
        let start_ns = now_ns();
        let len = sys::read_at(file.fd.as_fd(), &mut room[..size], read.offset);
        self.facts.backing_ns += now_ns() - start_ns;
        let len = len?;
        self.facts.result = len as i64;
        Ok(Payload::Bytes(len))
    }

    fn write(&mut self, write: Write<'_>) -> Answer {
        let file = self.file(write.handle)?;
        self.assume(write.kill_suid_sgid)?;
        file.follow(write.flags);
        if write.from_page_cache && file.status.load(Ordering::Relaxed) & libc::O_APPEND != 0 {
            // A shared map of an append-only file: below it would have been refused, here its pages would be appended.
            return Err(Errno(libc::EPERM));
        }
        let rwf = file.write_flags(write.flags);
        let len = self.backing(|| sys::write_at(file.fd.as_fd(), write.data, write.offset, rwf))?;
        self.facts.result = len as i64;
        self.reply.put(&WriteOut { size: len as u32, padding: 0 })
    }

    fn flush(&mut self, handle: Handle) -> Answer {
        let file = self.file(handle)?;
        self.backing(|| sys::flush(file.fd.as_fd())).map(|()| DONE)
    }

    fn release(&mut self, handle: Handle) -> Answer {
        let file = self.file(handle)?;
        let open = self.fs.handles.remove(handle)?;
        self.fs.backings.detach(&file.inode);
        self.backing(|| drop((file, open)));
        Ok(DONE)
    }

    fn fsync(&mut self, handle: Handle, data_only: bool) -> Answer {
        let file = self.file(handle)?;
        self.backing(|| sys::sync(file.fd.as_fd(), data_only)).map(|()| DONE)
    }

    fn fallocate(&mut self, handle: Handle, offset: u64, length: u64, mode: u32) -> Answer {
        let file = self.file(handle)?;
        self.assume(self.lacks_fsetid())?;
        let (offset, length) = (sys::offset(offset)?, sys::offset(length)?);
        // SAFETY: plain integers.
        self.backing(|| check(unsafe { libc::fallocate(file.fd.as_raw_fd(), mode as c_int, offset, length) }))?;
        Ok(DONE)
    }

    /// SEEK_HOLE and SEEK_DATA: the kernel answers the others. The backing file's own position is used by nobody.
    fn lseek(&mut self, handle: Handle, offset: u64, whence: u32) -> Answer {
        let file = self.file(handle)?;
        let offset = sys::offset(offset)?;
        let offset = self.backing(|| sys::seek(file.fd.as_fd(), offset, whence as c_int))?;
        self.facts.result = offset as i64;
        self.reply.put(&LseekOut { offset })
    }

    fn copy_file_range(&mut self, copy: CopyFileRange) -> Answer {
        let from = self.fs.handles.file(copy.handle_in)?;
        let to = self.fs.handles.file(copy.handle_out)?;
        self.is_about(to.inode.identity);
        self.assume(self.lacks_fsetid())?;
        let (mut offset_in, mut offset_out) = (sys::offset(copy.offset_in)?, sys::offset(copy.offset_out)?);
        let (from, to, len) = (from.fd.as_raw_fd(), to.fd.as_raw_fd(), copy.len as usize);
        // SAFETY: both offsets are writable.
        let copied = self.backing(|| unsafe {
            check_len(libc::copy_file_range(from, &mut offset_in, to, &mut offset_out, len, copy.flags as u32))
        })?;
        self.facts.result = copied as i64;
        match copy.wide {
            true => self.reply.put(&CopyFileRangeOut { bytes_copied: copied as u64 }),
            false => self.reply.put(&WriteOut { size: copied as u32, padding: 0 }),
        }
    }

    /// These requests carry no flag for it. The kernel's own default: root has CAP_FSETID and others have not.
    fn lacks_fsetid(&self) -> bool {
        self.request.uid != 0
    }
}
