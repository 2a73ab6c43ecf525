//! Whether one directory lies inside another, by identity and not by name: symlinks and bind mounts do not deceive it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use crate::sys;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    pub dev: u64,
    pub ino: u64,
}

pub fn identity(fd: BorrowedFd<'_>) -> io::Result<Identity> {
    let stat = sys::stat(fd)?;
    Ok(Identity { dev: stat.st_dev, ino: stat.st_ino })
}

/// A directory, only as a place: needs no right to read it.
pub fn open(path: &Path) -> io::Result<OwnedFd> {
    sys::open_at(None, path, libc::O_PATH | libc::O_DIRECTORY)
}

/// Whether `directory` is `tree` or lies somewhere below it: walks up.
pub fn lies_in(directory: BorrowedFd<'_>, tree: Identity) -> io::Result<bool> {
    let mut here = directory.try_clone_to_owned()?;
    let mut last = None;
    loop {
        let now = (identity(here.as_fd())?, sys::mount_id(here.as_fd())?);
        if now.0 == tree {
            return Ok(true);
        }
        // The parent of the root is the root.
        if last == Some(now) {
            return Ok(false);
        }
        last = Some(now);
        here = sys::open_at(Some(here.as_fd()), Path::new(".."), libc::O_PATH | libc::O_DIRECTORY)?;
    }
}

/// The nearest directory on the way up from `path` that is there: where a folder of that name would come to lie.
pub fn nearest_existing(path: &Path) -> io::Result<OwnedFd> {
    let absolute = std::path::absolute(path)?;
    let mut candidate: Option<PathBuf> = Some(absolute);
    while let Some(path) = candidate {
        match open(&path) {
            Err(cause) if matches!(cause.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => {
                candidate = path.parent().map(Path::to_owned);
            }
            other => return other,
        }
    }
    Err(io::Error::from_raw_os_error(libc::ENOENT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_below_another_is_found_through_a_symlink_and_a_sibling_is_not() {
        let base = tempfile::tempdir().unwrap();
        let tree = base.path().join("tree");
        std::fs::create_dir_all(tree.join("a/b")).unwrap();
        std::fs::create_dir(base.path().join("tree2")).unwrap();
        std::os::unix::fs::symlink(tree.join("a"), base.path().join("link")).unwrap();
        let tree = identity(open(&tree).unwrap().as_fd()).unwrap();
        let inside = |path: &str| lies_in(nearest_existing(&base.path().join(path)).unwrap().as_fd(), tree).unwrap();
        assert!(inside("tree"));
        assert!(inside("link/b/not/yet/there"));
        assert!(!inside("tree2/x"));
        assert!(!inside("x"));
    }
}
