//! The source directory before it is mounted: opening it, and what its own filesystem and mount can do.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use libc::c_ulong;

use super::sys;
use crate::wire::Errno;

/// The directory to serve, held by an O_PATH descriptor: whatever is mounted over its path later is not seen.
/// ENOENT, ENOTDIR or EACCES say what is wrong with it; EACCES also where it cannot be searched.
pub fn open_source(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let flags = libc::O_PATH | libc::O_DIRECTORY;
    // SAFETY: AT_FDCWD names no owned descriptor.
    let anywhere = unsafe { BorrowedFd::borrow_raw(libc::AT_FDCWD) };
    let source = sys::open_at(anywhere, &path, flags, 0).map_err(to_io)?;
    // SAFETY: the name is NUL-terminated and outlives the call.
    let allowed = unsafe { libc::faccessat(source.as_raw_fd(), c".".as_ptr(), libc::X_OK, libc::AT_EACCESS) };
    sys::check(allowed).map_err(to_io)?;
    Ok(source)
}

/// Whether the filesystem below keeps POSIX ACLs, so that FUSE_POSIX_ACL may be negotiated.
pub fn supports_acl(source: &OwnedFd) -> bool {
    let path = format!("/proc/self/fd/{}", source.as_raw_fd());
    let Ok(path) = CString::new(path) else { return false };
    let name = c"system.posix_acl_access";
    // SAFETY: both strings are NUL-terminated; size 0 asks for the length and writes nothing.
    let len = unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), std::ptr::null_mut(), 0) };
    len >= 0 || Errno::last() == Errno(libc::ENODATA)
}

/// Whether its filesystem stands on another one: then the kernel takes no backing file from it.
pub fn is_stacked(source: &OwnedFd) -> bool {
    /// overlayfs, FUSE, ecryptfs.
    const STACKED: [u32; 3] = [0x794c_7630, 0x6573_5546, 0xf15f];
    sys::statfs(source.as_fd()).is_ok_and(|answer| STACKED.contains(&(answer.f_type as u32)))
}

/// Whether a close tells its filesystem nothing (it has no `flush` in its file_operations), so that none need be passed on.
pub fn ignores_close(source: BorrowedFd<'_>) -> bool {
    /// ext2 to ext4, XFS, Btrfs, tmpfs.
    const IGNORING: [u32; 4] = [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994];
    sys::statfs(source).is_ok_and(|answer| IGNORING.contains(&(answer.f_type as u32)))
}

/// The MS_ flags of the source's own mount that a mount over it must repeat: without them a directory mounted nodev or
/// nosuid would get devices and set-id programs through us.
pub fn inherited_mount_flags(source: &OwnedFd) -> io::Result<c_ulong> {
    /// struct statfs has them as ST_ flags in f_flags, for which libc has no field; statvfs shows them.
    const INHERITED: [(c_ulong, c_ulong); 4] = [
        (libc::ST_RDONLY, libc::MS_RDONLY),
        (libc::ST_NOSUID, libc::MS_NOSUID),
        (libc::ST_NODEV, libc::MS_NODEV),
        (libc::ST_NOEXEC, libc::MS_NOEXEC),
    ];
    let mut answer = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the buffer is one statvfs wide.
    sys::check(unsafe { libc::fstatvfs(source.as_fd().as_raw_fd(), answer.as_mut_ptr()) }).map_err(to_io)?;
    // SAFETY: filled by the successful call.
    let present = unsafe { answer.assume_init() }.f_flag;
    Ok(INHERITED.iter().filter(|(st, _)| present & st != 0).fold(0, |flags, (_, ms)| flags | ms))
}

fn to_io(Errno(errno): Errno) -> io::Error {
    io::Error::from_raw_os_error(errno)
}
