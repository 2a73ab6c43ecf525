//! `umount`: takes a mount of ours away and waits until its trace is closed. A busy one stays, and who keeps it is named.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::door::Visit;
use super::mountinfo::{self, Mount};
use super::{fuse, fusermount, holders};
use crate::cli::UmountOptions;
use crate::error::Error;
use crate::say;

/// Writing and merging what is left, on a slow disk.
const CLOSE: Duration = Duration::from_secs(60);

pub fn umount(options: UmountOptions) -> Result<(), Error> {
    let point = resolve(&options.mount_point);
    let mounts = mountinfo::mounts("self");
    let mount = match mountinfo::at(&mounts, &point) {
        Some(mount) if mount.is_ours() => mount,
        other => {
            let found = other.map_or("nothing is mounted there".into(), |mount| format!("it is {}", mount.fs_type));
            return Err(Error::NotOurs { path: point, found });
        }
    };
    let visit = Visit::pay(mount.st_dev(), &mount.point);
    // Nobody can have any use of a dead one, so it need not be spared.
    let is_dead =
        visit.is_none() && fs::metadata(&point).is_err_and(|cause| cause.raw_os_error() == Some(libc::ENOTCONN));
    unmount(mount, is_dead)?;
    if let Some(mut visit) = visit {
        if !visit.wait_for_end(CLOSE) {
            return Err(Error::RecorderSilent { pid: visit.mounted.pid, seconds: CLOSE.as_secs() });
        }
        say(&format!("unmounted {}; its trace is {}", point.display(), visit.mounted.trace));
    }
    Ok(())
}

fn unmount(mount: &Mount, lazily: bool) -> Result<(), Error> {
    let point = mount.point.as_path();
    let busy = || Error::Busy { path: point.to_owned(), holders: holders::users_of(mount) };
    if fuse::may_mount() {
        return fuse::unmount(point, lazily).map_err(|cause| match cause.raw_os_error() {
            Some(libc::EBUSY) => busy(),
            _ => Error::system("cannot unmount", point.to_string_lossy(), cause),
        });
    }
    fusermount::unmount(point, lazily).map_err(|said| {
        if said.contains("busy") {
            busy()
        } else {
            Error::system("cannot unmount", point.to_string_lossy(), io::Error::other(said))
        }
    })
}

/// The canonical path, also of a mount that no longer answers.
fn resolve(path: &Path) -> PathBuf {
    let whole = fs::canonicalize(path);
    let by_parent = || Some(fs::canonicalize(path.parent()?).ok()?.join(path.file_name()?));
    let absolute = || std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    whole.ok().or_else(by_parent).unwrap_or_else(absolute)
}
