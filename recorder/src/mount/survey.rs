//! A bounded look through a directory before it is traced: symlinks that lead out of it, and files that match a set of
//! inode numbers. Reads names only; gives up quietly at its limits, and says that it did.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::DirEntryExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// pg_tblspc/16384 is two deep; deeper links are rarely data.
const MAX_DEPTH: usize = 4;
/// Some 20 ms on a warm directory.
const MAX_ENTRIES: usize = 20_000;
/// `glassfs run -- true` is to start at once, also on a slow disk.
const MAX_TIME: Duration = Duration::from_millis(150);
/// A note each: more would be noise.
const MAX_LINKS: usize = 50;

/// Programs and libraries, not data: links there (a virtual environment's python) are no loss.
const SYSTEM: &[&str] = &["/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", "/dev", "/proc", "/sys", "/run"];

#[derive(Debug, Default)]
pub struct Survey {
    /// (link, what it leads to), both absolute.
    pub leaving: Vec<(PathBuf, PathBuf)>,
    /// Paths of files with one of the wanted inode numbers.
    pub matched: Vec<(u64, PathBuf)>,
}

pub fn look_through(directory: &Path, wanted: &HashSet<u64>) -> Survey {
    let mut survey = Survey::default();
    let end = Instant::now() + MAX_TIME;
    let mut entries = 0;
    let mut waiting = vec![(directory.to_owned(), 0)];
    while let Some((place, depth)) = waiting.pop() {
        let Ok(listing) = fs::read_dir(&place) else { continue };
        for entry in listing.flatten() {
            entries += 1;
            if entries > MAX_ENTRIES || Instant::now() > end {
                return survey;
            }
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() && depth + 1 < MAX_DEPTH {
                waiting.push((entry.path(), depth + 1));
            } else if kind.is_symlink() {
                survey.follow(directory, entry.path());
            } else if wanted.contains(&entry.ino()) {
                survey.matched.push((entry.ino(), entry.path()));
            }
        }
    }
    survey
}

impl Survey {
    fn follow(&mut self, directory: &Path, link: PathBuf) {
        if self.leaving.len() >= MAX_LINKS {
            return;
        }
        let Ok(target) = fs::canonicalize(&link) else { return };
        let of_the_system = SYSTEM.iter().any(|place| target.starts_with(place));
        if !target.starts_with(directory) && !of_the_system {
            self.leaving.push((link, target));
        }
    }
}

/// What to give to -d so that the target is traced too.
pub fn directory_to_add(target: &Path) -> &Path {
    if target.is_dir() { target } else { target.parent().unwrap_or(target) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_leave_are_named_and_those_that_stay_are_not() {
        let base = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(base.path()).unwrap();
        for place in ["db/pg_tblspc", "elsewhere"] {
            fs::create_dir_all(root.join(place)).unwrap();
        }
        fs::write(root.join("db/file"), "x").unwrap();
        let link = |to: &str, at: &str| std::os::unix::fs::symlink(to, root.join(at)).unwrap();
        link("../../elsewhere", "db/pg_tblspc/1");
        link("file", "db/within");
        link("/usr/bin", "db/system");
        link("nowhere", "db/dangling");
        let survey = look_through(&root.join("db"), &HashSet::new());
        assert_eq!(survey.leaving, [(root.join("db/pg_tblspc/1"), root.join("elsewhere"))]);
    }
}
