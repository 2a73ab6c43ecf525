//! One look at a thread through /proc. Everything may be missing: the thread may end, or hide from an ordinary user.

use std::hash::{BuildHasher, Hasher};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;

use rustc_hash::FxBuildHasher;

use super::mask::mask;
use crate::event::escape;

/// Of a command line; longer ones (Java's class paths) are cut. A trace is no place for megabytes of arguments.
const MAX_CMDLINE_BYTES: usize = 4096;

/// Of `stat` and `status`: both are below 2 kB.
const MAX_STAT_BYTES: usize = 4096;

/// What tells one program from the next in the same thread. Texts only as hashes: 65,000 threads are remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Clock ticks since boot; with the tid it names one thread for ever.
    pub start_ticks: u64,
    pub comm: u64,
    pub exe: u64,
    pub title: u64,
}

/// What a look saw, as raw bytes.
#[derive(Debug)]
pub struct Look {
    pub comm: Vec<u8>,
    pub start_ticks: u64,
    cmdline: Vec<u8>,
    exe: Option<Vec<u8>>,
}

/// The parts of `status` that a look at a new program needs.
#[derive(Debug, Default, PartialEq)]
pub struct Status {
    pub pid: Option<u32>,
    pub ppid: Option<u32>,
    pub uid: Option<u32>,
}

impl Look {
    /// None: no such thread (any more), or it lives outside our pid namespace.
    pub fn at(tid: u32) -> Option<Look> {
        let stat = stat(tid)?;
        let (comm, start_ticks) = parse_stat(&stat)?;
        Some(Look {
            comm: comm.to_vec(),
            start_ticks,
            cmdline: read(&format!("/proc/{tid}/cmdline"), MAX_CMDLINE_BYTES).unwrap_or_default(),
            exe: std::fs::read_link(format!("/proc/{tid}/exe")).ok().map(|path| path.as_os_str().as_bytes().to_vec()),
        })
    }

    pub fn mark(&self) -> Mark {
        Mark {
            start_ticks: self.start_ticks,
            comm: hash(&self.comm),
            exe: self.exe.as_deref().map_or(0, hash),
            title: if self.cmdline.is_empty() { 0 } else { hash(&self.cmdline) },
        }
    }

    /// Arguments joined by spaces, secrets masked, escaped. None: it has none (an ending process, a kernel thread).
    pub fn cmdline(&self) -> Option<String> {
        (!self.cmdline.is_empty()).then(|| escape(&mask(&self.cmdline)))
    }

    pub fn exe(&self) -> Option<String> {
        self.exe.as_deref().map(escape)
    }
}

/// Only the name: a third of the cost of a whole look, and exec changes it. Never waits for the thread.
pub fn comm(tid: u32) -> Option<Vec<u8>> {
    let comm = read(&format!("/proc/{tid}/comm"), MAX_STAT_BYTES)?;
    Some(comm.strip_suffix(b"\n").unwrap_or(&comm).to_vec())
}

pub fn comm_mark(tid: u32) -> Option<u64> {
    comm(tid).as_deref().map(hash)
}

pub fn status(tid: u32) -> Status {
    read(&format!("/proc/{tid}/status"), MAX_STAT_BYTES).map_or_else(Status::default, |text| parse_status(&text))
}

pub(super) fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = FxBuildHasher.build_hasher();
    hasher.write(bytes);
    hasher.finish()
}

/// (comm, start time in clock ticks) of `PID (comm) S PPID ...`; a comm may itself contain spaces and brackets.
/// Since boot, in clock ticks: of a process' first thread that of the process.
pub fn start_ticks(tid: u32) -> Option<u64> {
    Some(parse_stat(&stat(tid)?)?.1)
}

/// A thread's own: that of the process sums up the times of all its threads.
fn stat(tid: u32) -> Option<Vec<u8>> {
    read(&format!("/proc/{tid}/task/{tid}/stat"), MAX_STAT_BYTES)
}

fn parse_stat(stat: &[u8]) -> Option<(&[u8], u64)> {
    /// proc(5): field 22 is the start time; the first field behind the comm is number 3.
    const START_TIME: usize = 22 - 3;
    let open = stat.iter().position(|byte| *byte == b'(')?;
    let close = stat.iter().rposition(|byte| *byte == b')')?;
    let fields = str::from_utf8(stat.get(close + 1..)?).ok()?;
    let start = fields.split_ascii_whitespace().nth(START_TIME)?.parse().ok()?;
    Some((stat.get(open + 1..close)?, start))
}

fn parse_status(text: &[u8]) -> Status {
    let field = |name: &[u8], place: usize| {
        let line = text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(name))?;
        str::from_utf8(line).ok()?.split_ascii_whitespace().nth(place)?.parse().ok()
    };
    // Of real, effective, saved and filesystem uid: the effective one, as ps shows it.
    Status { pid: field(b"Tgid:", 0), ppid: field(b"PPid:", 0), uid: field(b"Uid:", 1) }
}

pub(super) fn read(path: &str, limit: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(512);
    std::fs::File::open(path).ok()?.take(limit as u64).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comm_with_brackets_and_spaces_is_read_whole() {
        let stat = b"7 (a) b (c)) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 9 9";
        assert_eq!(parse_stat(stat), Some((&b"a) b (c)"[..], 4711)));
        assert_eq!(parse_stat(b"7 (a"), None);
    }

    #[test]
    fn the_status_of_this_process_is_its_own() {
        let status = status(std::process::id());
        assert_eq!(status.pid, Some(std::process::id()));
        // SAFETY: geteuid has no conditions.
        assert_eq!(status.uid, Some(unsafe { libc::geteuid() }));
        assert!(status.ppid.is_some());
    }

    #[test]
    fn a_thread_that_is_not_there_cannot_be_looked_at() {
        assert!(Look::at(u32::MAX).is_none());
        assert_eq!(super::status(u32::MAX), Status::default());
    }
}
