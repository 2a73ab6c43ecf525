//! For tests of the whole binary: a disk that stalls once. GLASSFS_FAILPOINT_TRACE_STALL_MS says for how long; it does so
//! when the first events are to be written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::folder::BeforeWrite;

pub(super) fn stall() -> Option<BeforeWrite> {
    let stall_ms = std::env::var("GLASSFS_FAILPOINT_TRACE_STALL_MS").ok()?.parse().ok()?;
    let stalled = AtomicBool::new(false);
    Some(Arc::new(move |name: &str| {
        if name.starts_with("events") && !stalled.swap(true, Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(stall_ms));
        }
        Ok(())
    }))
}
