//! /proc/PID/mountinfo, parsed: which mounts a process sees. Knows the file's format and nothing else.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// How our mounts are called in the third word after the dash.
pub const OUR_TYPE: &str = "fuse.glassfs";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    pub id: u64,
    pub parent: u64,
    pub dev: (u32, u32),
    pub point: PathBuf,
    pub fs_type: String,
    pub source: PathBuf,
}

impl Mount {
    pub fn is_ours(&self) -> bool {
        self.fs_type == OUR_TYPE
    }

    /// As st_dev has it.
    pub fn st_dev(&self) -> u64 {
        libc::makedev(self.dev.0, self.dev.1)
    }
}

/// The mounts that `process` ("self" or a pid) sees, oldest first; empty if it cannot be asked.
pub fn mounts(process: &str) -> Vec<Mount> {
    let bytes = fs::read(format!("/proc/{process}/mountinfo")).unwrap_or_default();
    bytes.split(|byte| *byte == b'\n').filter_map(parse).collect()
}

/// The one on top at exactly this path.
pub fn at<'a>(mounts: &'a [Mount], point: &Path) -> Option<&'a Mount> {
    mounts.iter().rev().find(|mount| mount.point == point)
}

/// Those strictly below a directory, outermost first.
pub fn below<'a>(mounts: &'a [Mount], directory: &Path) -> Vec<&'a Mount> {
    let mut found: Vec<&Mount> =
        mounts.iter().filter(|mount| mount.point != directory && mount.point.starts_with(directory)).collect();
    found.sort_by(|a, b| a.point.cmp(&b.point));
    found
}

/// "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw": a varying number of fields before the dash.
fn parse(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let mut number = || std::str::from_utf8(fields.next()?).ok()?.parse().ok();
    let (id, parent) = (number()?, number()?);
    let dev = std::str::from_utf8(fields.next()?).ok()?.split_once(':')?;
    let _root = fields.next()?;
    let point = unescape(fields.next()?);
    let mut rest = fields.skip_while(|field| *field != b"-").skip(1);
    let fs_type = String::from_utf8_lossy(rest.next()?).into_owned();
    let source = unescape(rest.next()?);
    Some(Mount { id, parent, dev: (dev.0.parse().ok()?, dev.1.parse().ok()?), point, fs_type, source })
}

/// Blank, tab, newline, backslash and hash are written as `\ooo`.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut at = 0;
    while let Some(byte) = field.get(at) {
        let code =
            field.get(at + 1..at + 4).and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        match (byte, code) {
            (b'\\', Some(code)) => {
                bytes.push(code);
                at += 4;
            }
            _ => {
                bytes.push(*byte);
                at += 1;
            }
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_parsed_with_any_number_of_optional_fields() {
        let mount =
            parse(b"36 35 0:45 / /a\\040b rw,noatime shared:1 master:2 - fuse.glassfs /srv/x\\134y rw").unwrap();
        assert_eq!((mount.id, mount.parent, mount.dev), (36, 35, (0, 45)));
        assert_eq!((mount.point.as_path(), mount.source.as_path()), (Path::new("/a b"), Path::new("/srv/x\\y")));
        assert!(mount.is_ours());
        assert!(!parse(b"36 35 0:45 / / rw - ext4 /dev/root rw").unwrap().is_ours());
    }

    #[test]
    fn mounts_below_a_directory_leave_out_itself_and_its_namesakes() {
        let line = |point: &str| parse(format!("1 2 0:1 / {point} rw - tmpfs t rw").as_bytes()).unwrap();
        let mounts = [line("/a"), line("/a/b/c"), line("/ab"), line("/a/b")];
        let found: Vec<_> = below(&mounts, Path::new("/a")).iter().map(|mount| mount.point.clone()).collect();
        assert_eq!(found, [PathBuf::from("/a/b"), PathBuf::from("/a/b/c")]);
    }

    #[test]
    fn this_process_sees_its_root() {
        assert!(at(&mounts("self"), Path::new("/")).is_some());
    }
}
