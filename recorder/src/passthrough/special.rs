//! What concerns the filesystem as a whole, and the few ioctls that are about files: chattr's.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use super::Call;
use super::credentials::{self, Caller};
use super::names::DONE;
use super::sys::{self, Result, check, check_long};
use crate::wire::answers::{IoctlOut, StatfsOut};
use crate::wire::{Answer, Errno, Handle};

/// The file-attribute ioctls: number, and how many bytes really go in and come out. FS_IOC_* are declared with a long but
/// carry an int, so the size in the number is not to be trusted; that is also why no other ioctl passes.
const IOCTLS: [(u32, usize, usize); 5] = [
    (0x8008_6601, 0, 4),  // FS_IOC_GETFLAGS
    (0x4008_6602, 4, 0),  // FS_IOC_SETFLAGS
    (0x8008_7601, 0, 4),  // FS_IOC_GETVERSION
    (0x801c_581f, 0, 28), // FS_IOC_FSGETXATTR, struct fsxattr
    (0x401c_5820, 28, 0), // FS_IOC_FSSETXATTR
];

/// The largest argument in the table, and a long more for kernels that write one.
const ARGUMENT_BYTES: usize = 32;

impl Call<'_> {
    pub fn statfs(&mut self) -> Answer {
        let inode = self.inode()?;
        let inodes = &self.fs.inodes;
        let answer = self.backing(|| sys::statfs(inodes.descriptor(&inode)?.as_fd()))?;
        self.reply.put(&StatfsOut {
            blocks: answer.f_blocks,
            bfree: answer.f_bfree,
            bavail: answer.f_bavail,
            files: answer.f_files,
            ffree: answer.f_ffree,
            bsize: answer.f_bsize as u32,
            namelen: answer.f_namelen as u32,
            frsize: answer.f_frsize as u32,
            ..StatfsOut::default()
        })
    }

    /// Only a real descriptor of the filesystem will do; the directory asked about is at hand.
    pub fn syncfs(&mut self) -> Answer {
        let inode = self.inode()?;
        let inodes = &self.fs.inodes;
        self.backing(|| {
            let fd = inodes.open(&inode, libc::O_RDONLY | libc::O_DIRECTORY)?;
            // SAFETY: a plain integer.
            check(unsafe { libc::syncfs(fd.as_raw_fd()) })
        })?;
        Ok(DONE)
    }

    /// Not asked where the kernel checks permissions itself (default_permissions, which every mount of ours has).
    pub fn access(&mut self, mask: u32) -> Answer {
        let inode = self.inode()?;
        let fd = self.fs.inodes.descriptor(&inode)?;
        let caller = Caller { uid: self.request.uid, gid: self.request.gid, kills_set_ids: false };
        self.backing(|| credentials::without_privilege(caller, || access(fd.as_fd(), mask)))?;
        Ok(DONE)
    }

    pub fn ioctl(&mut self, handle: Handle, command: u32, input: &[u8], out_size: u32) -> Answer {
        let open = self.fs.handles.get(handle)?;
        self.is_about(open.inode().identity);
        let known = IOCTLS.iter().find(|(number, ..)| *number == command);
        let &(_, input_bytes, output_bytes) = known.ok_or(Errno(libc::ENOTTY))?;
        let mut argument = [0; ARGUMENT_BYTES];
        let given = input.get(..input_bytes).ok_or(Errno(libc::EINVAL))?;
        argument[..input_bytes].copy_from_slice(given);
        self.assume_caller()?;
        // SAFETY: the argument is larger than any of these ioctls reads or writes.
        let result = self.backing(|| unsafe {
            check(libc::ioctl(open.fd().as_raw_fd(), libc::c_ulong::from(command) as _, argument.as_mut_ptr()))
        })?;
        self.reply.put(&IoctlOut { result, ..IoctlOut::default() })?;
        let output = &argument[..output_bytes.min(out_size as usize)];
        self.reply.put_bytes_at(size_of::<IoctlOut>(), output)
    }
}

fn access(fd: BorrowedFd<'_>, mask: u32) -> Result<()> {
    let flags = libc::AT_EMPTY_PATH | libc::AT_EACCESS;
    // SAFETY: an empty, NUL-terminated name: the descriptor itself. AT_EACCESS: the file system uid decides.
    check_long(unsafe { libc::syscall(libc::SYS_faccessat2, fd.as_raw_fd(), c"".as_ptr(), mask & 7, flags) })?;
    Ok(())
}
