//! The command's private view: a mount namespace in which the traced filesystem lies over the directory.
//! Runs in the process that becomes the command, which has one thread.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use crate::mount::fuse;
use crate::sys;

/// Root's way: a mount namespace and nothing else.
pub fn enter_as_root() -> io::Result<()> {
    // SAFETY: changes this process's namespace only.
    sys::check(unsafe { libc::unshare(libc::CLONE_NEWNS) })?;
    fuse::receive_only()
}

/// An ordinary user's way: a user namespace that gives the right to bind, with the user's own ids and no others.
pub fn enter_as_user() -> io::Result<()> {
    let (uid, gid) = sys::effective_ids();
    // SAFETY: changes this process's namespaces only; it has one thread, as CLONE_NEWUSER demands.
    sys::check(unsafe { libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS) })?;
    // The kernel wants setgroups forbidden before an ordinary user maps a group.
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"))?;
    fuse::receive_only()
}

/// Whether this machine lets its users do that: tries it in a child. Some forbid the namespace, some (AppArmor) the mount.
pub fn user_namespaces_work(directory: &Path) -> io::Result<()> {
    // SAFETY: the launcher has one thread.
    match unsafe { sys::fork() }? {
        sys::Fork::Child => {
            let tried = enter_as_user().and_then(|()| fuse::bind_with_all_below(directory));
            sys::exit_now(tried.err().map_or(0, |cause| cause.raw_os_error().unwrap_or(libc::EIO)))
        }
        sys::Fork::Parent(pid) => match sys::wait_for(pid)? {
            sys::Ending::Exited(0) => Ok(()),
            sys::Ending::Exited(errno) => Err(io::Error::from_raw_os_error(errno)),
            sys::Ending::Killed(_) => Err(io::Error::from_raw_os_error(libc::EINTR)),
        },
    }
}

/// What gave the right to bind must not reach the command.
pub fn drop_capabilities() -> io::Result<()> {
    // SAFETY: prctl with these constants touches no memory.
    sys::check(unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) })?;
    /// _LINUX_CAPABILITY_VERSION_3: two words of 32 bits.
    const VERSION: u32 = 0x2008_0522;
    let header = [VERSION, 0];
    let nothing = [0u32; 6];
    // SAFETY: the header and the two triples of (effective, permitted, inheritable) have the layout the call wants.
    sys::check(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), nothing.as_ptr()) } as libc::c_int)?;
    Ok(())
}

/// A mount lifted out of the tree before the view covers it, to be put back on top.
pub struct Lifted {
    tree: OwnedFd,
    point: PathBuf,
}

const OPEN_TREE_CLONE: libc::c_uint = 1;
const OPEN_TREE_CLOEXEC: libc::c_uint = libc::O_CLOEXEC as libc::c_uint;
const MOVE_MOUNT_F_EMPTY_PATH: libc::c_uint = 4;

/// A copy of the mount at `path`; `deep` takes the mounts below it along.
fn clone_tree(path: &Path, deep: bool) -> io::Result<OwnedFd> {
    let path = sys::c_path(path)?;
    let flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | if deep { libc::AT_RECURSIVE as libc::c_uint } else { 0 };
    // SAFETY: path is a NUL-terminated string that outlives the call; the result is checked before it is owned.
    unsafe {
        let fd = sys::check(libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) as libc::c_int)?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// The directory as its own filesystem has it, without what is mounted inside: so the recorder shows the bare mount
/// points, and the nested mounts can be put back over them.
pub fn without_nested_mounts(directory: &Path) -> io::Result<OwnedFd> {
    clone_tree(directory, false)
}

pub fn lift(point: &Path) -> io::Result<Lifted> {
    Ok(Lifted { tree: clone_tree(point, true)?, point: point.to_owned() })
}

impl Lifted {
    pub fn put_back(self) -> Result<(), (PathBuf, io::Error)> {
        let failed = |cause| (self.point.clone(), cause);
        let point = sys::c_path(&self.point).map_err(failed)?;
        // SAFETY: both paths are NUL-terminated strings that outlive the call, the tree is open.
        let moved = unsafe {
            libc::syscall(
                libc::SYS_move_mount,
                self.tree.as_raw_fd(),
                c"".as_ptr(),
                libc::AT_FDCWD,
                point.as_ptr(),
                MOVE_MOUNT_F_EMPTY_PATH,
            )
        };
        sys::check(moved as libc::c_int).map(drop).map_err(failed)
    }
}
