//! Who already has something open in a directory: those go past a mount made later, and locks held there do not cross it.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::mountinfo::Mount;
use super::survey::{Survey, look_through};
use crate::error::Culprit;
use crate::procfs::{self, Mapped, Pid};
use crate::sys;

/// More names than anybody reads.
const MAX_HOLDERS: usize = 20;
/// Maps are by far the longest lists. On a machine with hundreds of large processes those looked at last go without: a
/// file that is mapped and neither open nor a working directory's neighbour is mostly a program, not data.
const MAPS_TIME: Duration = Duration::from_millis(100);

/// What processes were found to hold.
#[derive(Debug, Default)]
pub struct Holders {
    pub open: Vec<Culprit>,
    pub locking: Vec<Culprit>,
}

/// Looks at every process but ours and those we descend from. Whoever merely has a working directory there and belongs
/// to our terminal (the shell, the rest of a pipeline) is no surprise. Locks are, whoever has them.
pub fn holders(directory: &Path, dev: u64) -> Holders {
    let own = procfs::ancestors();
    let until = Instant::now() + MAPS_TIME;
    let mut found = Holders::default();
    for pid in procfs::pids() {
        let held = held_by(pid, directory, Which::Source { dev }, Instant::now() < until);
        if let Some(file) = &held.locked {
            found.locking.push(culprit(pid, format!("a lock on {}", file.display())));
        }
        let is_expected = own.contains(&pid) || (held.is_only_cwd() && is_of_our_session(pid));
        if !held.is_empty() && !is_expected && found.open.len() < MAX_HOLDERS {
            found.open.push(culprit(pid, held.words()));
        }
    }
    found
}

fn is_of_our_session(pid: Pid) -> bool {
    // SAFETY: getsid touches no memory.
    unsafe { libc::getsid(pid) == libc::getsid(0) }
}

/// Who keeps a mount busy.
pub fn users_of(mount: &Mount) -> Vec<Culprit> {
    let which = Which::Mount { id: mount.id, dev: mount.st_dev() };
    let describe = |pid| {
        let held = held_by(pid, &mount.point, which, true);
        (!held.is_empty()).then(|| culprit(pid, held.words()))
    };
    let others = procfs::pids().into_iter().filter(|pid| *pid != std::process::id() as Pid);
    others.filter_map(describe).take(MAX_HOLDERS).collect()
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

    fn is_only_cwd(&self) -> bool {
        self.cwd && !self.root && self.files == 0 && self.maps == 0
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

/// Of files under a path only those that are meant: another mount or another namespace may show others there.
#[derive(Clone, Copy)]
enum Which {
    /// A container's directory of the same name is another device.
    Source { dev: u64 },
    /// What was open before the mount lies below it. Must not be asked for attributes: we may be who serves them.
    Mount { id: u64, dev: u64 },
}

impl Which {
    /// `link`: one in /proc that leads to the file.
    fn means(self, link: &str) -> bool {
        match self {
            Which::Source { dev } => std::fs::metadata(link).is_ok_and(|data| data.dev() == dev),
            Which::Mount { id, .. } => match sys::mount_id_without_asking(Path::new(link)) {
                Ok(of_link) => of_link == id,
                // A user's mount tells root nothing; its path is evidence enough.
                Err(cause) => cause.kind() == std::io::ErrorKind::PermissionDenied,
            },
        }
    }

    fn means_device(self, (major, minor): (u32, u32)) -> bool {
        let (Which::Source { dev } | Which::Mount { dev, .. }) = self;
        libc::makedev(major, minor) == dev
    }
}

fn held_by(pid: Pid, directory: &Path, which: Which, look_at_maps: bool) -> Held {
    let inside = |link: &Path, proc_path: &str| {
        procfs::without_deleted_mark(link).starts_with(directory) && which.means(proc_path)
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
    if look_at_maps {
        let meant = |mapped: &Mapped| mapped.path.starts_with(directory) && which.means_device(mapped.dev);
        let maps = procfs::mapped_files(pid).into_iter().filter(meant).map(|mapped| mapped.path);
        held.maps = maps.collect::<HashSet<PathBuf>>().len();
    }
    held
}
