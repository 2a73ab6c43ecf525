//! Backing files: those that the kernel may read and write itself (FOPEN_PASSTHROUGH), each under a number.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::Errno;
use super::device::Device;

/// The number the kernel has given a backing file.
#[derive(Debug, PartialEq, Eq)]
pub struct BackingId(pub i32);

pub trait BackingFiles: Send + Sync {
    /// Tells the kernel of a file; O_PATH suffices. It will be read and written with the calling thread's present
    /// identity, whoever the program is. EPERM: not root in the first user namespace; ELOOP: it lies on a filesystem that
    /// itself stands on another.
    fn register(&self, file: BorrowedFd<'_>) -> Result<BackingId, Errno>;

    /// Takes the number back. Files that are open with it stay so.
    fn withdraw(&self, id: BackingId);
}

/// Whether the kernel takes backing files from this process at all: tried with a file of no name. To be asked when the
/// connection has had its first message.
pub fn takes_backing_files(files: &dyn BackingFiles) -> Result<(), Errno> {
    // SAFETY: the name is NUL-terminated; the result is checked before it is owned.
    let fd = unsafe { libc::memfd_create(c"glassfs-trial".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(Errno::last());
    }
    // SAFETY: memfd_create has just returned it.
    let file = unsafe { OwnedFd::from_raw_fd(fd) };
    files.register(file.as_fd()).map(|id| files.withdraw(id))
}

/// struct fuse_backing_map.
#[repr(C)]
struct BackingMap {
    fd: i32,
    flags: u32,
    padding: u64,
}

const _: () = assert!(size_of::<BackingMap>() == 16);

/// FUSE_DEV_IOC_BACKING_OPEN: _IOW(229, 1, struct fuse_backing_map).
const BACKING_OPEN: libc::Ioctl = 0x4010_e501;
/// FUSE_DEV_IOC_BACKING_CLOSE: _IOW(229, 2, uint32_t).
const BACKING_CLOSE: libc::Ioctl = 0x4004_e502;

impl BackingFiles for Device {
    fn register(&self, file: BorrowedFd<'_>) -> Result<BackingId, Errno> {
        let map = BackingMap { fd: file.as_raw_fd(), flags: 0, padding: 0 };
        // SAFETY: the kernel reads the struct, which is laid out as it wants it.
        let id = unsafe { libc::ioctl(self.as_fd().as_raw_fd(), BACKING_OPEN, &raw const map) };
        if id > 0 { Ok(BackingId(id)) } else { Err(Errno::last()) }
    }

    fn withdraw(&self, BackingId(id): BackingId) {
        let id = id as u32;
        // SAFETY: the kernel reads four bytes. It fails only if there is no such number (or no mount any more).
        unsafe { libc::ioctl(self.as_fd().as_raw_fd(), BACKING_CLOSE, &raw const id) };
    }
}
