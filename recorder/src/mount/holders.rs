//! Who already has something open in a directory: those go past a mount made later, and locks held there do not cross it.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::survey::{Survey, look_through};
use crate::error::Culprit;
use crate::procfs::{self, Pid};

/// More names than anybody reads.
const MAX_HOLDERS: usize = 20;

/// What processes were found to hold.
#[derive(Debug, Default)]
pub struct Holders {
    pub open: Vec<Culprit>,
    pub locking: Vec<Culprit>,
}

/// Looks at every process but ours and those we descend from (a shell's working directory is no surprise; its locks are).
pub fn holders(directory: &Path, dev: u64) -> Holders {
    let own = procfs::ancestors();
    let mut found = Holders::default();
    for pid in procfs::pids() {
        let held = held_by(pid, directory, Some(dev));
        if held.is_empty() {
            continue;
        }
        if let Some(file) = &held.locked {
            found.locking.push(culprit(pid, format!("a lock on {}", file.display())));
        }
        if !own.contains(&pid) && found.open.len() < MAX_HOLDERS {
            found.open.push(culprit(pid, held.words()));
        }
    }
    found
}

/// Who keeps a mount busy.
pub fn users_of(mount_point: &Path) -> Vec<Culprit> {
    let describe = |pid| {
        let held = held_by(pid, mount_point, None);
        (!held.is_empty()).then(|| culprit(pid, held.words()))
    };
    procfs::pids()
        .into_iter()
        .filter(|pid| *pid != std::process::id() as Pid)
        .filter_map(describe)
        .take(MAX_HOLDERS)
        .collect()
}

/// The directory's symlinks that leave it, and locks on its files by processes whose descriptors we may not see.
pub fn survey(directory: &Path, dev: u64) -> (Survey, Vec<Culprit>) {
    let hidden: Vec<procfs::Lock> = procfs::locks()
        .into_iter()
        .filter(|lock| libc::makedev(lock.dev.0, lock.dev.1) == dev && !can_look_into(lock.pid))
        .collect();
    let survey = look_through(directory, &hidden.iter().map(|lock| lock.ino).collect::<HashSet<u64>>());
    let file_of = |ino| survey.matched.iter().find(|(matched, _)| *matched == ino).map(|(_, path)| path);
    let locking = hidden
        .iter()
        .filter_map(|lock| Some(culprit(lock.pid, format!("a lock on {}", file_of(lock.ino)?.display()))))
        .collect();
    (survey, locking)
}

fn can_look_into(pid: Pid) -> bool {
    std::fs::read_dir(format!("/proc/{pid}/fd")).is_ok()
}

fn culprit(pid: Pid, how: String) -> Culprit {
    let comm = if pid > 0 { procfs::comm(pid) } else { "an unknown process".into() };
    Culprit { pid, comm, how }
}

#[derive(Default)]
struct Held {
    cwd: bool,
    root: bool,
    files: usize,
    maps: usize,
    locked: Option<PathBuf>,
}

impl Held {
    fn is_empty(&self) -> bool {
        !self.cwd && !self.root && self.files == 0 && self.maps == 0
    }

    fn words(&self) -> String {
        let count = |number: usize, one: &str, many: &str| match number {
            0 => None,
            1 => Some(one.to_owned()),
            n => Some(format!("{n} {many}")),
        };
        let words = [
            self.cwd.then(|| "its working directory".to_owned()),
            self.root.then(|| "its root".to_owned()),
            count(self.files, "an open file", "open files"),
            count(self.maps, "a mapped file", "mapped files"),
        ];
        format!("{} there", words.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}

/// `dev`: only files of that device count, so that a container's directory of the same name does not. Not to be
/// given for a mount of our own, which would have to answer.
fn held_by(pid: Pid, directory: &Path, dev: Option<u64>) -> Held {
    let inside = |link: &Path, proc_path: &str| {
        procfs::without_deleted_mark(link).starts_with(directory)
            && dev.is_none_or(|dev| std::fs::metadata(proc_path).is_ok_and(|data| data.dev() == dev))
    };
    let linked = |name: &str| procfs::link(pid, name).is_some_and(|link| inside(&link, &format!("/proc/{pid}/{name}")));
    let mut held = Held { cwd: linked("cwd"), root: linked("root"), ..Held::default() };
    for file in procfs::open_files(pid) {
        if inside(&file.link, &format!("/proc/{pid}/fd/{}", file.number)) {
            held.files += 1;
            let locks = procfs::file_info(pid, file.number).map_or(0, |info| info.locks);
            if locks > 0 && file.link != directory {
                held.locked = Some(procfs::without_deleted_mark(&file.link));
            }
        }
    }
    let maps: HashSet<PathBuf> = procfs::mapped_files(pid)
        .into_iter()
        .filter(|mapped| {
            mapped.path.starts_with(directory) && dev.is_none_or(|dev| libc::makedev(mapped.dev.0, mapped.dev.1) == dev)
        })
        .map(|mapped| mapped.path)
        .collect();
    held.maps = maps.len();
    held
}
