//! The private directory in which an ordinary user's mounts are made before they are bound over what they trace, and
//! the mounts that have to be taken away again. Removes what it made when it is
//! dropped, or when its process is killed.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::keeper::Keeper;
use crate::error::Error;
use crate::mount::fusermount;
use crate::mount::source::Source;
use crate::sys;

pub struct HiddenPlace {
    base: PathBuf,
    points: usize,
    keeper: Option<Keeper>,
}

impl HiddenPlace {
    /// Mode 0700, in XDG_RUNTIME_DIR if that is the user's own, else in /tmp.
    pub fn make() -> Result<HiddenPlace, Error> {
        let parent = parent();
        let failed = |cause| Error::system("cannot make a private directory", parent.to_string_lossy(), cause);
        let base = sys::unguessable_name(&parent).map_err(failed)?;
        // First who cleans up, then what is to be cleaned up.
        let keeper = Keeper::start(|| remove(&base)).map_err(failed)?;
        sys::make_private_directory(&base).map_err(failed)?;
        Ok(HiddenPlace { base, points: 0, keeper: Some(keeper) })
    }

    /// Mounts at a new place in it.
    pub fn mount(&mut self, source: &Source) -> Result<(OwnedFd, PathBuf), Error> {
        let point = self.base.join(self.points.to_string());
        sys::make_private_directory(&point)
            .map_err(|cause| Error::system("cannot make a mount point", point.to_string_lossy(), cause))?;
        self.points += 1;
        let mount = || fusermount::mount(&source.path, &point, source.flags);
        let device = match &self.keeper {
            Some(keeper) => keeper.during(mount)?,
            None => mount()?,
        };
        Ok((device, point))
    }
}

impl Drop for HiddenPlace {
    fn drop(&mut self) {
        remove(&self.base);
        if let Some(keeper) = self.keeper.take() {
            keeper.release();
        }
    }
}

fn remove(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        // What cannot be unmounted now goes with its last user.
        let _ = fusermount::unmount_ours(&entry.path(), true);
        let _ = fs::remove_dir(entry.path());
    }
    let _ = fs::remove_dir(base);
}

fn parent() -> PathBuf {
    let (uid, _) = sys::effective_ids();
    let own = |path: &PathBuf| fs::metadata(path).is_ok_and(|data| data.is_dir() && data.uid() == uid);
    std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(own).unwrap_or_else(|| "/tmp".into())
}
