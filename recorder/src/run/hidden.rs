//! The private directory in which an ordinary user's mounts are made before they are bound over what they trace, and
//! the mounts that have to be taken away again. Removes what it made when it is dropped.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::mount::fusermount;
use crate::sys;

pub struct HiddenPlace {
    base: PathBuf,
    mounted: Vec<PathBuf>,
}

impl HiddenPlace {
    /// Mode 0700, in XDG_RUNTIME_DIR if that is the user's own, else in /tmp.
    pub fn make() -> Result<HiddenPlace, Error> {
        let base = parent().join(format!("glassfs-{}", std::process::id()));
        let failed = |cause| Error::system("cannot make a private directory", base.to_string_lossy(), cause);
        make_private(&base).map_err(failed)?;
        Ok(HiddenPlace { base, mounted: Vec::new() })
    }

    /// A new mount point in it.
    pub fn next_point(&mut self) -> Result<PathBuf, Error> {
        let point = self.base.join(self.mounted.len().to_string());
        make_private(&point)
            .map_err(|cause| Error::system("cannot make a mount point", point.to_string_lossy(), cause))?;
        self.mounted.push(point.clone());
        Ok(point)
    }

    /// For another process that is to clean up if this one cannot.
    pub fn base(&self) -> &Path {
        &self.base
    }
}

impl Drop for HiddenPlace {
    fn drop(&mut self) {
        remove(&self.base);
    }
}

/// Takes away the mounts in a hidden place, and the place. Harmless if that was done already.
pub fn remove(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        // Not mounted (any more) is as good as unmounted.
        let _ = fusermount::unmount(&entry.path(), true);
        let _ = fs::remove_dir(entry.path());
    }
    let _ = fs::remove_dir(base);
}

fn parent() -> PathBuf {
    let (uid, _) = sys::effective_ids();
    let own = |path: &PathBuf| fs::metadata(path).is_ok_and(|data| data.is_dir() && data.uid() == uid);
    std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(own).unwrap_or_else(|| "/tmp".into())
}

fn make_private(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().mode(0o700).create(path)
}
