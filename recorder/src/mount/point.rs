//! Whether a mount can be made at a place, seen from a source; and whether a trace may lie where it was asked for.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use super::mountinfo;
use super::place::{self, Identity};
use super::source::Source;
use crate::error::Error;
use crate::sys;

/// The mount point's canonical path. The source itself is allowed, also when it is not empty.
pub fn check(point: &Path, source: &Source) -> Result<PathBuf, Error> {
    let missing = |cause: io::Error| match cause.raw_os_error() {
        Some(libc::ENOTCONN) => Error::DeadMount { path: point.to_owned(), cause },
        Some(libc::ENOTDIR) => Error::MountPointNotDirectory { path: point.to_owned() },
        _ => Error::MountPointMissing { path: point.to_owned(), cause },
    };
    let path = fs::canonicalize(point).map_err(missing)?;
    let fd = place::open(&path).map_err(missing)?;
    let identity = place::identity(fd.as_fd()).map_err(missing)?;
    let mount_id = sys::mount_id(fd.as_fd()).map_err(missing)?;
    if mountinfo::mounts("self").iter().any(|mount| mount.id == mount_id && mount.is_ours()) {
        return Err(Error::AlreadyMounted { path });
    }
    if identity == source.identity {
        return Ok(path);
    }
    apart(&path, identity, source)?;
    empty(&path)?;
    Ok(path)
}

fn apart(path: &Path, identity: Identity, source: &Source) -> Result<(), Error> {
    let walk = |cause| Error::system("cannot walk up from", path.to_string_lossy(), cause);
    let fd = place::open(path).map_err(walk)?;
    let source_path = source.path.clone();
    if place::lies_in(fd.as_fd(), source.identity).map_err(walk)? {
        return Err(Error::MountPointInsideSource { path: path.to_owned(), source_path });
    }
    if place::lies_in(source.fd.as_fd(), identity).map_err(walk)? {
        return Err(Error::SourceInsideMountPoint { path: path.to_owned(), source_path });
    }
    Ok(())
}

fn empty(path: &Path) -> Result<(), Error> {
    let refused = |cause| Error::MountPointMissing { path: path.to_owned(), cause };
    match fs::read_dir(path).map_err(refused)?.next() {
        None => Ok(()),
        Some(Err(cause)) => Err(refused(cause)),
        Some(Ok(entry)) => Err(Error::MountPointNotEmpty {
            path: path.to_owned(),
            found: entry.file_name().to_string_lossy().into_owned(),
        }),
    }
}

/// A trace inside what it traces would record its own writing, without end.
pub fn trace_lies_outside(trace: &Path, trees: &[(&Path, Identity)]) -> Result<(), Error> {
    let unreachable = |cause: io::Error| Error::TracePlace { path: trace.to_owned(), cause };
    let place = place::nearest_existing(trace).map_err(unreachable)?;
    for (path, tree) in trees {
        if place::lies_in(place.as_fd(), *tree).map_err(unreachable)? {
            return Err(Error::TraceInside { trace: trace.to_owned(), tree: path.to_path_buf() });
        }
    }
    Ok(())
}
