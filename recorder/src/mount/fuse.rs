//! The kernel's side of a mount: /dev/fuse, mount(2), umount(2), as a process that may do so itself.

use std::ffi::CString;
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::mountinfo::{self, Mount, OUR_TYPE};
use crate::error::Error;
use crate::sys;

/// FOPEN_DIRECT_IO with shared maps (FUSE_DIRECT_IO_ALLOW_MMAP) came with it.
pub const OLDEST_KERNEL: (u32, u32) = (6, 6);
/// One request's data, as the wire layer's buffers are sized.
const MAX_READ_BYTES: usize = glassfs_recorder::wire::MAX_TRANSFER_BYTES;

pub const DEVICE: &str = "/dev/fuse";
/// MISC_MAJOR and FUSE_MINOR (include/linux/miscdevice.h).
const DEVICE_NUMBER: libc::dev_t = libc::makedev(10, 229);

/// Opens the device: one descriptor, one connection.
pub fn open_device() -> Result<OwnedFd, Error> {
    let (release, version) = sys::kernel_release();
    if version < OLDEST_KERNEL {
        return Err(Error::KernelTooOld { release });
    }
    device().map_err(|cause| match cause.raw_os_error() {
        Some(libc::EACCES | libc::EPERM) => Error::FuseDeviceRefused { cause },
        _ => Error::NoFuseDevice { cause },
    })
}

/// Sandboxes bind other things over it: what has only the name is refused too.
pub fn device() -> io::Result<OwnedFd> {
    let device = File::from(sys::open_at(None, Path::new(DEVICE), libc::O_RDWR)?);
    if !is_device(&device.metadata()?) {
        return Err(io::Error::new(io::ErrorKind::NotFound, "something else is in its place"));
    }
    Ok(device.into())
}

pub fn is_device(data: &Metadata) -> bool {
    data.rdev() == DEVICE_NUMBER
}

/// Whether this process may call mount(2) itself: else it is fusermount3's work.
pub fn may_mount() -> bool {
    sys::has_capability(sys::CAP_SYS_ADMIN)
}

/// Lays the filesystem behind `device` over `target`. The kernel sends INIT at once; nobody needs to answer yet.
pub fn mount(device: BorrowedFd<'_>, name: &Path, target: &Path, flags: libc::c_ulong) -> io::Result<()> {
    let (uid, gid) = sys::effective_ids();
    let options = format!(
        "fd={},rootmode=40000,user_id={uid},group_id={gid},allow_other,default_permissions,max_read={MAX_READ_BYTES}",
        device.as_raw_fd()
    );
    let options = CString::new(options)?;
    mount_raw(Some(name), target, Some(OUR_TYPE), flags, Some(&options))
}

pub fn bind(from: &Path, target: &Path) -> io::Result<()> {
    mount_raw(Some(from), target, None, libc::MS_BIND, None)
}

/// Over itself. What was mounted in it cannot be left out by an ordinary user, so it comes along.
pub fn bind_with_all_below(directory: &Path) -> io::Result<()> {
    mount_raw(Some(directory), directory, None, libc::MS_BIND | libc::MS_REC, None)
}

/// Mounts made outside still arrive in this namespace, none made here gets out.
pub fn receive_only() -> io::Result<()> {
    mount_raw(None, Path::new("/"), None, libc::MS_REC | libc::MS_SLAVE, None)
}

fn mount_raw(
    source: Option<&Path>,
    target: &Path,
    kind: Option<&str>,
    flags: libc::c_ulong,
    options: Option<&CString>,
) -> io::Result<()> {
    let source = source.map(sys::c_path).transpose()?;
    let target = sys::c_path(target)?;
    let kind = kind.map(CString::new).transpose()?;
    let pointer = |text: Option<&CString>| text.map_or(std::ptr::null(), |text| text.as_ptr());
    // SAFETY: every pointer is null or a NUL-terminated string that outlives the call.
    sys::check(unsafe {
        libc::mount(pointer(source.as_ref()), target.as_ptr(), pointer(kind.as_ref()), flags, pointer(options).cast())
    })?;
    Ok(())
}

/// EBUSY while anybody uses it, unless `lazily`: then it vanishes from its place now and dies with its last user.
pub fn unmount(target: &Path, lazily: bool) -> io::Result<()> {
    let target = sys::c_path(target)?;
    let flags = libc::UMOUNT_NOFOLLOW | if lazily { libc::MNT_DETACH } else { 0 };
    // SAFETY: target is a NUL-terminated string that outlives the call.
    sys::check(unsafe { libc::umount2(target.as_ptr(), flags) })?;
    Ok(())
}

/// The mount as `process` ("self" or a pid) sees it: only then may anybody say that it is traced.
pub fn seen_by(process: &str, target: &Path) -> Result<Mount, Error> {
    match mountinfo::at(&mountinfo::mounts(process), target) {
        Some(mount) if mount.is_ours() => Ok(mount.clone()),
        _ => Err(Error::MountNotSeen { target: target.to_owned() }),
    }
}
