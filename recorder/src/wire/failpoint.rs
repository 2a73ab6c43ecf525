//! Test builds only: holds a call for as long as a test wants, as a slow disk would, and knows no more than an older kernel.

use std::ffi::OsString;
use std::path::Path;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use super::Errno;
use super::operation::Operation;

/// Names a file; while it exists, fsync and fdatasync wait.
const HOLD_FSYNC: &str = "GLASSFS_FAIL_FSYNC_HOLD";
/// Set: FUSE_NOTIFY_PRUNE is refused, as before Linux 6.18.
const NO_PRUNE: &str = "GLASSFS_FAIL_PRUNE";
/// Between two looks for the file.
const LOOK_EVERY: Duration = Duration::from_millis(2);

pub(super) fn hold(operation: &Operation<'_>) {
    static HELD_BY: OnceLock<Option<OsString>> = OnceLock::new();
    if !matches!(operation, Operation::Fsync { .. }) {
        return;
    }
    if let Some(path) = HELD_BY.get_or_init(|| std::env::var_os(HOLD_FSYNC)) {
        while Path::new(path).exists() {
            thread::sleep(LOOK_EVERY);
        }
    }
}

/// What a kernel says to a notification that it does not know.
pub(super) fn prune() -> Result<(), Errno> {
    if std::env::var_os(NO_PRUNE).is_some() { Err(Errno(libc::EINVAL)) } else { Ok(()) }
}
