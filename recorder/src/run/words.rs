//! What the three processes of `run` say to each other: launcher, recorder, and the command before it is one.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Launcher to recorder.
#[derive(Debug, Serialize, Deserialize)]
pub enum Order {
    /// The mounts are made (st_dev of each, in order): answer requests.
    Serve { devs: Vec<u64> },
    /// This thread's requests are our own preparations, until `Record`.
    Prepare { tid: i32 },
    /// The next requests are the command's. Answered by `Recording` or `Failed`.
    Record,
    /// The command runs.
    Started { pid: i32, start_ns: i64 },
    /// The command has ended: put everything on disk and say `Flushed`.
    Ended(Facts),
}

/// Recorder to launcher.
#[derive(Debug, Serialize, Deserialize)]
pub enum Report {
    Ready {
        pid: i32,
    },
    /// The answer to `Record`. `said`: system calls were to be recorded, and it is requests.
    Recording {
        said: Option<String>,
    },
    Failed {
        message: String,
        next: String,
        details: Vec<String>,
    },
    /// `complete`: everything up to now is on disk.
    Flushed {
        complete: bool,
    },
    /// The trace is closed; the process ends now.
    Closed {
        reason: String,
    },
}

/// What the launcher found out about the command and its descendants.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Facts {
    pub end_ns: i64,
    pub exit_status: Option<i32>,
    pub signal: Option<i32>,
    pub read_bytes: Option<u64>,
    pub written_bytes: Option<u64>,
    pub io_uring: bool,
    pub open_elsewhere: Vec<Elsewhere>,
    pub mapped: Vec<String>,
    pub remaining: Vec<Remaining>,
}

/// A file seen open outside the traced directories.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Elsewhere {
    pub path: String,
    pub directory: String,
    pub samples: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remaining {
    pub pid: i32,
    pub comm: String,
}

/// Launcher to the process that becomes the command.
#[derive(Debug, Serialize, Deserialize)]
pub enum Go {
    /// Into the view.
    Enter,
    Exec,
}

/// The process that becomes the command to the launcher. That it has become it is told by the channel's end.
#[derive(Debug, Serialize, Deserialize)]
pub enum Progress {
    Mounted,
    Entered,
    Failed { what: Step, place: PathBuf, errno: i32 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    Namespace,
    Mount,
    Rebind,
    Chdir,
    Exec,
}
