//! trace.json: what a trace is. Written when it starts, replaced whole when something becomes known, and at its end.
//! Names and arguments in it are escaped as in the columns.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::clock::Clock;
use super::columns::{SCHEMA_MAJOR, SCHEMA_MINOR};
use crate::event::Op;

/// The whole of trace.json.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct About {
    pub format: String,
    pub schema: SchemaVersion,
    /// 32 hex digits, drawn anew for each trace.
    pub id: String,
    pub name: String,
    pub host: Host,
    pub recorder: Recorder,
    pub plane: String,
    pub plane_reason: String,
    /// "default" or "exact".
    pub mode: String,
    pub mounts: Vec<Mount>,
    /// Op to class.
    pub ops: BTreeMap<String, String>,
    pub options: Limits,
    pub clock: Clock,
    pub start_ns: i64,
    /// None: still running, or ended without a goodbye.
    pub end_ns: Option<i64>,
    pub end_reason: Option<String>,
    pub command: Option<Command>,
    pub notes: Vec<Note>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaVersion {
    pub major: u32,
    pub minor: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    pub name: String,
    pub kernel: String,
    pub cpus: usize,
    pub boot_id: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorder {
    pub version: String,
    pub pid: u32,
    /// Field 22 of /proc/PID/stat. With pid and boot id it names one process: is the recorder still there?
    pub start_ticks: Option<u64>,
}

/// One connection: a directory and where it is seen traced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    pub connection: u32,
    pub source: String,
    pub mount_point: String,
    pub fs_type: String,
    pub dev: u64,
    /// Seen by the traced command alone.
    pub private: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Beyond it the oldest event segments go.
    pub max_bytes: u64,
    /// Below it single events are no longer stored; totals are.
    pub min_free_percent: u8,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { max_bytes: 10 << 30, min_free_percent: 10 }
    }
}

/// What `run` ran; filled in when it has ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// Secrets masked.
    pub argv: Vec<String>,
    pub cwd: String,
    pub pid: u32,
    pub uid: u32,
    pub start_ns: i64,
    pub end_ns: Option<i64>,
    pub exit_status: Option<i32>,
    pub signal: Option<i32>,
    /// rchar and wchar of the whole process tree; None: unknown.
    pub read_bytes: Option<u64>,
    pub written_bytes: Option<u64>,
    pub io_uring: bool,
    pub open_elsewhere: Vec<OpenElsewhere>,
    pub mapped: Vec<String>,
    pub remaining: Vec<Remaining>,
}

/// A file that was seen open outside the traced directories.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenElsewhere {
    pub path: String,
    pub directory: String,
    pub samples: u64,
}

/// A process that was still there when the command had ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remaining {
    pub pid: u32,
    pub comm: String,
}

/// Something a reader of the trace should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    pub kind: String,
    pub text: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub target: Option<String>,
}

impl About {
    /// A trace that begins now, on this host, by this process, in the daemon plane. Mounts and the rest are the caller's.
    pub fn new(name: impl Into<String>) -> About {
        let clock = Clock::start();
        About {
            format: "glassfs-trace".to_owned(),
            schema: SchemaVersion { major: SCHEMA_MAJOR, minor: SCHEMA_MINOR },
            id: random_id(),
            name: name.into(),
            host: Host::here(),
            recorder: Recorder::this(),
            plane: "daemon".to_owned(),
            plane_reason: String::new(),
            mode: "default".to_owned(),
            mounts: Vec::new(),
            ops: Op::ALL.iter().map(|op| (op.word().to_owned(), op.class().word().to_owned())).collect(),
            options: Limits::default(),
            clock,
            start_ns: clock.now_ns(),
            end_ns: None,
            end_reason: None,
            command: None,
            notes: Vec::new(),
        }
    }

    pub(super) fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        Ok(text)
    }
}

impl Host {
    pub fn here() -> Host {
        let kernel_file = |name: &str| {
            let text = std::fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap_or_default();
            text.trim_end().to_owned()
        };
        Host {
            name: kernel_file("hostname"),
            kernel: kernel_file("osrelease"),
            cpus: std::thread::available_parallelism().map_or(1, |cpus| cpus.get()),
            boot_id: kernel_file("random/boot_id"),
        }
    }
}

impl Recorder {
    pub fn this() -> Recorder {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        Recorder {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            start_ticks: start_ticks(&stat),
        }
    }
}

/// Field 22 of a /proc/PID/stat. The second field is the name in parentheses and may hold anything, also `)`.
fn start_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_ascii_whitespace().nth(22 - 3)?.parse().ok()
}

fn random_id() -> String {
    let mut bytes = [0u8; 16];
    // SAFETY: the buffer is writable for its whole length. 16 bytes are never short once the pool is ready, and a
    // failure leaves zeros, which the time below still tells apart.
    let filled = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    let mut id = u128::from_ne_bytes(bytes);
    if filled != bytes.len() as isize {
        id = (u128::from(std::process::id()) << 64) | super::clock::Reading::now().wall_ns as u128;
    }
    format!("{id:032x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read_back() {
        let mut about = About::new("db_bench-1");
        about.command = Some(Command { argv: vec!["db_bench".into()], signal: Some(9), ..Command::default() });
        about.notes.push(Note { kind: "symlink".into(), text: "leaves".into(), path: Some("/a".into()), target: None });
        let read: About = serde_json::from_slice(&about.to_json().expect("as JSON")).expect("read back");
        assert_eq!(read, about);
        assert_eq!(read.ops["fsync"], "sync");
    }

    #[test]
    fn ids_are_32_hex_digits_and_differ() {
        let (one, other) = (random_id(), random_id());
        assert!(one.len() == 32 && one.chars().all(|digit| digit.is_ascii_hexdigit()));
        assert_ne!(one, other);
    }

    #[test]
    fn the_start_of_a_process_with_a_strange_name_is_found() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 100 200";
        assert_eq!(start_ticks(stat), Some(98765));
        assert!(Recorder::this().start_ticks.is_some_and(|ticks| ticks > 0));
        assert_eq!(start_ticks("7 (cut"), None);
    }
}
