//! The trace as its readers see it: written by the real threads into real folders, read back through the manifest.

mod damage;
mod disk;
mod events;
mod following;
mod layout;
mod properties;
pub mod reader;

use std::path::Path;
use std::time::Duration;

use super::{About, Settings, Trace};

/// Longer than anything here takes, shorter than anybody waits.
const DEADLINE: Duration = Duration::from_secs(30);

/// Between two looks at a condition.
const LOOK: Duration = Duration::from_millis(1);

/// An empty place for a trace, gone with the value.
fn place() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// Settings that make many small segments.
fn small_segments(folder: &Path, rows: usize) -> Settings {
    Settings { segment_rows: rows, ..Settings::new(folder.join("trace")) }
}

fn created(settings: Settings) -> Trace {
    Trace::create(settings, about()).expect("a new trace")
}

/// Of a trace that does not care how full this machine's disk is.
fn about() -> About {
    let mut about = About::new("test");
    about.options.min_free_percent = 0;
    about
}

/// Waits until `condition` holds.
fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + DEADLINE;
    while !condition() {
        assert!(std::time::Instant::now() < deadline, "waited in vain until {what}");
        std::thread::park_timeout(LOOK);
    }
}
