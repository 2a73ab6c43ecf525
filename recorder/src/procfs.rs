//! What /proc tells of other processes: names, links, open files, locks, namespaces. Reads only, and never opens
//! or stats the files behind the links unless told to: they may lie on a mount that we serve ourselves.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

pub type Pid = i32;

/// All processes that can be seen.
pub fn pids() -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

pub fn comm(pid: Pid) -> String {
    let bytes = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    crate::text(bytes.strip_suffix(b"\n").unwrap_or(&bytes))
}

pub fn link(pid: Pid, name: &str) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/{name}")).ok()
}

/// State letter and parent, from /proc/PID/stat (comm may hold anything, so from the last parenthesis on).
pub fn state_and_parent(pid: Pid) -> Option<(char, Pid)> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let after = stat.iter().rposition(|byte| *byte == b')')? + 1;
    let mut fields = std::str::from_utf8(&stat[after..]).ok()?.split_ascii_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

/// A zombie has ended: it holds nothing any more.
pub fn is_alive(pid: Pid) -> bool {
    state_and_parent(pid).is_some_and(|(state, _)| state != 'Z' && state != 'X')
}

/// This process and those it descends from.
pub fn ancestors() -> Vec<Pid> {
    let mut line = vec![std::process::id() as Pid];
    while let Some((_, parent)) = line.last().and_then(|pid| state_and_parent(*pid)) {
        if parent <= 0 || line.contains(&parent) {
            break;
        }
        line.push(parent);
    }
    line
}

/// An open descriptor as /proc/PID/fd shows it: its number and its link's text.
pub struct OpenFile {
    pub number: u32,
    pub link: PathBuf,
}

pub fn open_files(pid: Pid) -> Vec<OpenFile> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let number = entry.file_name().to_str()?.parse().ok()?;
            Some(OpenFile { number, link: fs::read_link(entry.path()).ok()? })
        })
        .collect()
}

/// What /proc/PID/fdinfo/N says of one descriptor.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct FileInfo {
    pub flags: i32,
    pub mount_id: u64,
    /// POSIX, flock or OFD locks held through it.
    pub locks: usize,
}

pub fn file_info(pid: Pid, number: u32) -> Option<FileInfo> {
    Some(parse_file_info(&fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")).ok()?))
}

fn parse_file_info(text: &str) -> FileInfo {
    let mut info = FileInfo::default();
    for line in text.lines() {
        match line.split_once(':') {
            Some(("flags", octal)) => info.flags = i32::from_str_radix(octal.trim(), 8).unwrap_or(0),
            Some(("mnt_id", number)) => info.mount_id = number.trim().parse().unwrap_or(0),
            // "lock:\t1: POSIX  ADVISORY  WRITE 4711 fe:00:12 0 EOF"; leases and delegations are no locks.
            Some(("lock", lock)) => {
                info.locks += usize::from(["POSIX", "FLOCK", "OFDLCK"].iter().any(|kind| lock.contains(kind)))
            }
            _ => {}
        }
    }
    info
}

/// One line of /proc/PID/maps that has a file behind it.
#[derive(Debug, PartialEq, Eq)]
pub struct Mapped {
    pub dev: (u32, u32),
    pub path: PathBuf,
}

/// The mapped files of a process, a file once for each run of neighbouring maps.
pub fn mapped_files(pid: Pid) -> Vec<Mapped> {
    let maps = fs::read(format!("/proc/{pid}/maps")).unwrap_or_default();
    let mut found: Vec<Mapped> = Vec::new();
    for mapped in maps.split(|byte| *byte == b'\n').filter_map(parse_map) {
        if found.last() != Some(&mapped) {
            found.push(mapped);
        }
    }
    found
}

/// "7f..-7f.. r-xp 00000000 fe:00 1234    /usr/lib/x.so": five fields, then the path, which may hold blanks.
fn parse_map(line: &[u8]) -> Option<Mapped> {
    let start = line.iter().position(|byte| *byte == b'/')?;
    let fields = std::str::from_utf8(&line[..start]).ok()?;
    let mut device = fields.split_ascii_whitespace().nth(3)?.split(':');
    let mut number = || u32::from_str_radix(device.next()?, 16).ok();
    Some(Mapped { dev: (number()?, number()?), path: PathBuf::from(OsStr::from_bytes(&line[start..])) })
}

/// rchar and wchar: bytes that passed through read and write calls of a process and the children it has waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    pub read: u64,
    pub written: u64,
}

impl Moved {
    pub fn minus(self, other: Moved) -> Moved {
        Moved { read: self.read.saturating_sub(other.read), written: self.written.saturating_sub(other.written) }
    }

    pub fn plus(self, other: Moved) -> Moved {
        Moved { read: self.read + other.read, written: self.written + other.written }
    }
}

/// `place` is "PID" or "self" or "thread-self".
pub fn moved(place: &str) -> Option<Moved> {
    let text = fs::read_to_string(format!("/proc/{place}/io")).ok()?;
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    Some(Moved { read: field("rchar:")?, written: field("wchar:")? })
}

/// A link's text without the mark of a deleted file.
pub fn without_deleted_mark(link: &Path) -> PathBuf {
    let bytes = link.as_os_str().as_bytes();
    let name = bytes.strip_suffix(b" (deleted)").unwrap_or(bytes);
    PathBuf::from(std::ffi::OsString::from_vec(name.to_vec()))
}

/// One whole-file or range lock of /proc/locks: who (-1: an open file description) and on what.
#[derive(Debug, PartialEq, Eq)]
pub struct Lock {
    pub kind: String,
    pub pid: Pid,
    pub dev: (u32, u32),
    pub ino: u64,
}

pub fn locks() -> Vec<Lock> {
    fs::read_to_string("/proc/locks").unwrap_or_default().lines().filter_map(parse_lock).collect()
}

/// "1: POSIX  ADVISORY  WRITE 4711 fe:00:12 0 EOF"; waiters ("1: -> POSIX ...") hold nothing.
fn parse_lock(line: &str) -> Option<Lock> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let [_, kind @ ("POSIX" | "FLOCK" | "OFDLCK"), _, _, pid, file, ..] = fields[..] else { return None };
    let mut parts = file.split(':');
    let major = u32::from_str_radix(parts.next()?, 16).ok()?;
    let minor = u32::from_str_radix(parts.next()?, 16).ok()?;
    Some(Lock { kind: kind.to_owned(), pid: pid.parse().ok()?, dev: (major, minor), ino: parts.next()?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_read_with_its_holder_and_its_file_and_a_waiter_is_not() {
        let lock = parse_lock("1: POSIX  ADVISORY  WRITE 4711 fe:00:12 0 EOF");
        assert_eq!(lock, Some(Lock { kind: "POSIX".into(), pid: 4711, dev: (0xfe, 0), ino: 12 }));
        assert_eq!(parse_lock("1: -> POSIX  ADVISORY  WRITE 4712 fe:00:12 0 EOF"), None);
        assert_eq!(parse_lock("2: LEASE  ACTIVE    READ 4711 fe:00:12 0 EOF"), None);
    }

    #[test]
    fn fdinfo_gives_flags_mount_and_locks_but_no_leases() {
        let text = "pos:\t0\nflags:\t02100002\nmnt_id:\t29\nino:\t7\nlock:\t1: FLOCK  ADVISORY  WRITE 9 fe:00:7 0 EOF\nlock:\t2: LEASE  ACTIVE    READ 9 fe:00:7 0 EOF\n";
        assert_eq!(parse_file_info(text), FileInfo { flags: 0o2100002, mount_id: 29, locks: 1 });
    }

    #[test]
    fn a_map_with_a_blank_in_its_name_is_read_whole() {
        let line = b"7f00-7f01 r-xp 00000000 00:2d 1234                       /a b/c.so";
        assert_eq!(parse_map(line), Some(Mapped { dev: (0, 0x2d), path: "/a b/c.so".into() }));
        assert_eq!(parse_map(b"7f00-7f01 rw-p 00000000 00:00 0 [heap]"), None);
    }

    #[test]
    fn our_own_line_of_ancestors_starts_with_us() {
        assert_eq!(ancestors().first(), Some(&(std::process::id() as Pid)));
        assert!(is_alive(std::process::id() as Pid));
    }
}
