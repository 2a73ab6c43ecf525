//! What can keep a trace from being started. Once it runs, nothing of it fails but into a counter.

use std::io;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the trace folder {path:?} is already there and not empty; name another place with -o, or remove it")]
    NotEmpty { path: PathBuf },
    #[error("the trace place {path:?} is not a directory; name another with -o")]
    NotADirectory { path: PathBuf },
    #[error("cannot {action} {path:?}: {cause}; {}", next_step(cause))]
    Folder { action: &'static str, path: PathBuf, cause: io::Error },
    #[error(
        "cannot start the thread {name} that writes the trace: {cause}; the limit of processes may be reached (ulimit -u)"
    )]
    Thread { name: &'static str, cause: io::Error },
}

impl Error {
    pub(super) fn folder(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Error {
        let path = path.into();
        move |cause| Error::Folder { action, path, cause }
    }
}

fn next_step(cause: &io::Error) -> &'static str {
    match cause.raw_os_error() {
        Some(libc::EACCES | libc::EPERM) => "name a place you may write to with -o",
        Some(libc::EROFS) => "that disk is read-only: name a place on another with -o",
        Some(libc::ENOSPC | libc::EDQUOT) => "free some space there, or name a place on another disk with -o",
        Some(libc::ENOTDIR | libc::EEXIST) => "a part of that path is not a directory: name another with -o",
        _ => "name another place with -o",
    }
}
