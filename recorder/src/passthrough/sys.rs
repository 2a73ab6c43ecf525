//! The system calls the filesystem is made of, each as a safe function that returns the errno unchanged.
//! Knows no inodes, no handles and no FUSE: descriptors and names in, values out.

use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use libc::{c_int, c_long, mode_t};

use crate::wire::Errno;

/// Longer than any filesystem's names, so that the backing one decides what is too long (ENAMETOOLONG).
const NAME_MAX_BYTES: usize = 1024;

/// Every inode's attributes the kernel can show, and the mount it lies on.
const STATX_MASK: u32 = libc::STATX_BASIC_STATS | libc::STATX_BTIME | libc::STATX_MNT_ID;

pub type Result<T> = std::result::Result<T, Errno>;

/// One path component, NUL-terminated, on the stack.
pub struct Component {
    bytes: [u8; NAME_MAX_BYTES + 1],
    len: usize,
}

impl Component {
    /// EINVAL for what is no single component: a bug in the kernel's request, never followed.
    pub fn new(name: &[u8]) -> Result<Component> {
        if name.is_empty() || name == b"." || name == b".." || name.iter().any(|byte| matches!(byte, 0 | b'/')) {
            return Err(Errno(libc::EINVAL));
        }
        if name.len() > NAME_MAX_BYTES {
            return Err(Errno(libc::ENAMETOOLONG));
        }
        let mut bytes = [0; NAME_MAX_BYTES + 1];
        bytes[..name.len()].copy_from_slice(name);
        Ok(Component { bytes, len: name.len() })
    }

    pub fn as_c_str(&self) -> &CStr {
        // SAFETY: new refused NULs inside the name, and the byte behind it is 0.
        unsafe { CStr::from_bytes_with_nul_unchecked(&self.bytes[..=self.len]) }
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// EINVAL for a NUL inside.
pub fn c_string(bytes: &[u8]) -> Result<CString> {
    CString::new(bytes).map_err(|_| Errno(libc::EINVAL))
}

pub fn check(result: c_int) -> Result<c_int> {
    if result < 0 { Err(Errno::last()) } else { Ok(result) }
}

pub fn check_long(result: c_long) -> Result<c_long> {
    if result < 0 { Err(Errno::last()) } else { Ok(result) }
}

pub fn check_len(result: isize) -> Result<usize> {
    usize::try_from(result).map_err(|_| Errno::last())
}

/// A kernel rule for offsets: they are signed there.
pub fn offset(value: u64) -> Result<libc::off_t> {
    libc::off_t::try_from(value).map_err(|_| Errno(libc::EINVAL))
}

/// O_CLOEXEC is added to every open: nothing here may leak into the traced command.
pub fn open_at(dir: BorrowedFd<'_>, name: &CStr, flags: c_int, mode: mode_t) -> Result<OwnedFd> {
    // SAFETY: name is NUL-terminated and outlives the call.
    let fd = check(unsafe { libc::openat(dir.as_raw_fd(), name.as_ptr(), flags | libc::O_CLOEXEC, mode) })?;
    // SAFETY: the kernel has just given us this descriptor; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The inode a name stands for, whatever it is: a symlink is not followed, a fifo or device not opened.
pub fn open_inode(dir: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd> {
    open_at(dir, name, libc::O_PATH | libc::O_NOFOLLOW, 0)
}

pub fn statx(dir: BorrowedFd<'_>, name: &CStr, flags: c_int) -> Result<libc::statx> {
    let mut attributes = MaybeUninit::<libc::statx>::uninit();
    // SAFETY: name is NUL-terminated; the buffer is one statx wide.
    check(unsafe { libc::statx(dir.as_raw_fd(), name.as_ptr(), flags, STATX_MASK, attributes.as_mut_ptr()) })?;
    // SAFETY: the kernel has filled all of it.
    Ok(unsafe { attributes.assume_init() })
}

pub fn statx_name(dir: BorrowedFd<'_>, name: &CStr) -> Result<libc::statx> {
    statx(dir, name, libc::AT_SYMLINK_NOFOLLOW | libc::AT_NO_AUTOMOUNT)
}

pub fn statx_fd(fd: BorrowedFd<'_>) -> Result<libc::statx> {
    statx(fd, c"", libc::AT_EMPTY_PATH)
}

/// st_dev of a statx, as stat(2) has it.
pub fn device(attributes: &libc::statx) -> u64 {
    libc::makedev(attributes.stx_dev_major, attributes.stx_dev_minor)
}

pub fn read_at(fd: BorrowedFd<'_>, into: &mut [u8], at: u64) -> Result<usize> {
    // SAFETY: the slice is writable for its whole length.
    check_len(unsafe { libc::pread(fd.as_raw_fd(), into.as_mut_ptr().cast(), into.len(), offset(at)?) })
}

/// `rwf`: RWF_ flags of pwritev2; 0 writes as pwrite does.
pub fn write_at(fd: BorrowedFd<'_>, data: &[u8], at: u64, rwf: c_int) -> Result<usize> {
    let at = offset(at)?;
    if rwf == 0 {
        // SAFETY: the slice is readable for its whole length.
        return check_len(unsafe { libc::pwrite(fd.as_raw_fd(), data.as_ptr().cast(), data.len(), at) });
    }
    let part = libc::iovec { iov_base: data.as_ptr().cast_mut().cast(), iov_len: data.len() };
    // SAFETY: one iovec over a readable slice; a write never changes what it points at.
    check_len(unsafe { libc::pwritev2(fd.as_raw_fd(), &part, 1, at, rwf) })
}

/// What closing one of several descriptors does on the backing filesystem (NFS and FUSE flush then); its error is close's.
pub fn flush(fd: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: plain integers.
    let copy = check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 0) })?;
    // SAFETY: the copy is ours and closed once.
    check(unsafe { libc::close(copy) })?;
    Ok(())
}

pub fn sync(fd: BorrowedFd<'_>, data_only: bool) -> Result<()> {
    let fd = fd.as_raw_fd();
    // SAFETY: plain integers.
    check(unsafe { if data_only { libc::fdatasync(fd) } else { libc::fsync(fd) } })?;
    Ok(())
}

/// Entries as getdents64 lays them out; 0 bytes at the end.
pub fn read_directory(fd: BorrowedFd<'_>, into: &mut [u8]) -> Result<usize> {
    // SAFETY: the slice is writable for its whole length.
    let len = unsafe { libc::syscall(libc::SYS_getdents64, fd.as_raw_fd(), into.as_mut_ptr(), into.len()) };
    Ok(check_long(len)? as usize)
}

pub fn seek(fd: BorrowedFd<'_>, at: libc::off_t, whence: c_int) -> Result<u64> {
    // SAFETY: plain integers.
    let at = unsafe { libc::lseek(fd.as_raw_fd(), at, whence) };
    u64::try_from(at).map_err(|_| Errno::last())
}

/// A file's identity that outlives its descriptors, as name_to_handle_at gives it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileHandle {
    kind: c_int,
    len: u8,
    bytes: [u8; FileHandle::MAX_BYTES],
}

/// struct file_handle with room for our largest.
#[repr(C)]
struct RawHandle {
    handle_bytes: u32,
    handle_type: c_int,
    bytes: [u8; FileHandle::MAX_BYTES],
}

impl FileHandle {
    /// ext4, xfs, f2fs and tmpfs need 8 to 16 bytes, btrfs 20; what needs more is held by descriptor.
    const MAX_BYTES: usize = 24;

    /// Needs no privilege.
    pub fn of(fd: BorrowedFd<'_>) -> Result<FileHandle> {
        let mut raw = RawHandle { handle_bytes: Self::MAX_BYTES as u32, handle_type: 0, bytes: [0; Self::MAX_BYTES] };
        let mut mount_id: c_int = 0;
        // SAFETY: raw has the layout of struct file_handle and handle_bytes says how much room there is.
        check_long(unsafe {
            libc::syscall(
                libc::SYS_name_to_handle_at,
                fd.as_raw_fd(),
                c"".as_ptr(),
                &mut raw,
                &mut mount_id,
                libc::AT_EMPTY_PATH,
            )
        })?;
        Ok(FileHandle { kind: raw.handle_type, len: raw.handle_bytes as u8, bytes: raw.bytes })
    }

    /// Needs CAP_DAC_READ_SEARCH in the first user namespace. ESTALE once the inode is gone.
    pub fn open(&self, mount: BorrowedFd<'_>, flags: c_int) -> Result<OwnedFd> {
        let mut raw = RawHandle { handle_bytes: u32::from(self.len), handle_type: self.kind, bytes: self.bytes };
        // SAFETY: raw has the layout of struct file_handle, its bytes valid for handle_bytes.
        let fd = check_long(unsafe {
            libc::syscall(libc::SYS_open_by_handle_at, mount.as_raw_fd(), &mut raw, flags | libc::O_CLOEXEC)
        })?;
        // SAFETY: the kernel has just given us this descriptor; nobody else owns it.
        Ok(unsafe { OwnedFd::from_raw_fd(fd as c_int) })
    }
}

/// The soft limit on open descriptors.
pub fn descriptor_limit() -> Result<usize> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the struct is writable.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) })?;
    Ok(usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX))
}

/// Which filesystem type (f_type) a descriptor lies on, and the rest of statfs.
pub fn statfs(fd: BorrowedFd<'_>) -> Result<libc::statfs> {
    let mut answer = MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the buffer is one statfs wide.
    check(unsafe { libc::fstatfs(fd.as_raw_fd(), answer.as_mut_ptr()) })?;
    // SAFETY: the kernel has filled it.
    Ok(unsafe { answer.assume_init() })
}
