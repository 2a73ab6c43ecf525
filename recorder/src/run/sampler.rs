//! What the command does where the trace cannot see it: files open outside the traced directories, maps, io_uring and libaio.
//! Looks at links and counters in /proc alone, never at the files: a stat would be one more traced request.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use glassfs_recorder::event::escape;

use super::words::{Elsewhere, Facts};
use crate::mount::mountinfo::Mount;
use crate::procfs::{self, OpenFile, Pid};

/// Short runs are seen too; afterwards a look each second.
const FIRST_LOOKS: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(200)];
const INTERVAL: Duration = Duration::from_secs(1);
/// A look takes at most this share of the time: with hundreds of processes they become rarer.
const REST_FACTOR: u32 = 20;
/// Files that are remembered by name; more are counted by nobody.
const MAX_FILES: usize = 1000;

/// Not storage, or the system's own.
const NO_STORAGE: &[&str] = &["/proc", "/sys", "/dev"];

/// What the kernel calls the memory in which it tells results to whoever uses libaio.
const AIO_RING: &[u8] = b"/[aio]";

/// Where a descriptor leads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Traced,
    Elsewhere,
    IoUring,
    NoFile,
}

pub struct Sampler {
    start: Instant,
    looks: u32,
    next: Instant,
    mount_ids: Vec<u64>,
    devs: Vec<(u32, u32)>,
    /// By process and descriptor: the link's text when it was judged.
    judged: HashMap<(Pid, u32), (PathBuf, Verdict)>,
    elsewhere: BTreeMap<PathBuf, u64>,
    mapped: BTreeSet<PathBuf>,
    /// Or libaio: neither is in /proc's counters.
    io_uring: bool,
}

impl Sampler {
    /// `mounts`: the traced ones, as the command sees them.
    pub fn new(mounts: &[Mount]) -> Sampler {
        let start = Instant::now();
        Sampler {
            start,
            looks: 0,
            next: start + FIRST_LOOKS[0],
            mount_ids: mounts.iter().map(|mount| mount.id).collect(),
            devs: mounts.iter().map(|mount| mount.dev).collect(),
            judged: HashMap::new(),
            elsewhere: BTreeMap::new(),
            mapped: BTreeSet::new(),
            io_uring: false,
        }
    }

    /// When the next look is due.
    pub fn due(&self) -> Instant {
        self.next
    }

    pub fn look(&mut self, processes: &[Pid]) {
        let begin = Instant::now();
        let mut seen = BTreeSet::new();
        let mut judged = HashMap::new();
        for pid in processes {
            for file in procfs::open_files(*pid) {
                let verdict = self.judge(*pid, &file);
                match verdict {
                    Verdict::IoUring => self.io_uring = true,
                    Verdict::Elsewhere => drop(seen.insert(procfs::without_deleted_mark(&file.link))),
                    Verdict::Traced | Verdict::NoFile => {}
                }
                judged.insert((*pid, file.number), (file.link, verdict));
            }
            self.look_at_maps(*pid);
        }
        self.judged = judged;
        self.remember(seen);
        self.plan_next(begin.elapsed());
    }

    fn judge(&self, pid: Pid, file: &OpenFile) -> Verdict {
        match self.judged.get(&(pid, file.number)) {
            Some((link, verdict)) if *link == file.link => *verdict,
            _ => self.judge_anew(pid, file),
        }
    }

    fn judge_anew(&self, pid: Pid, file: &OpenFile) -> Verdict {
        if file.link == Path::new("anon_inode:[io_uring]") {
            return Verdict::IoUring;
        }
        let is_storage = file.link.is_absolute()
            && !file.link.to_string_lossy().starts_with("/memfd:")
            && !NO_STORAGE.iter().any(|place| file.link.starts_with(place));
        let Some(info) = is_storage.then(|| procfs::file_info(pid, file.number)).flatten() else {
            return Verdict::NoFile;
        };
        if info.flags & (libc::O_DIRECTORY | libc::O_PATH) != 0 {
            return Verdict::NoFile;
        }
        if self.mount_ids.contains(&info.mount_id) { Verdict::Traced } else { Verdict::Elsewhere }
    }

    fn look_at_maps(&mut self, pid: Pid) {
        if self.mapped.len() >= MAX_FILES {
            return;
        }
        let maps = procfs::mapped_files(pid);
        self.io_uring |= maps.iter().any(|mapped| mapped.path.as_os_str().as_encoded_bytes().starts_with(AIO_RING));
        let ours = maps.into_iter().filter(|mapped| self.devs.contains(&mapped.dev));
        self.mapped.extend(ours.map(|mapped| procfs::without_deleted_mark(&mapped.path)));
    }

    fn remember(&mut self, seen: BTreeSet<PathBuf>) {
        for path in seen {
            if let Some(samples) = self.elsewhere.get_mut(&path) {
                *samples += 1;
            } else if self.elsewhere.len() < MAX_FILES {
                self.elsewhere.insert(path, 1);
            }
        }
    }

    fn plan_next(&mut self, took: Duration) {
        self.looks += 1;
        self.next = match FIRST_LOOKS.get(self.looks as usize) {
            Some(after) => self.start + *after,
            None => Instant::now() + INTERVAL.max(took * REST_FACTOR),
        };
    }

    /// Puts what was seen among the facts, the most often seen first.
    pub fn tell(&self, facts: &mut Facts) {
        facts.io_uring = self.io_uring;
        facts.mapped = self.mapped.iter().map(|path| text(path)).collect();
        let mut files: Vec<_> = self.elsewhere.iter().collect();
        files.sort_by_key(|(_, samples)| std::cmp::Reverse(**samples));
        facts.open_elsewhere = files
            .into_iter()
            .map(|(path, samples)| {
                let directory = path.parent().unwrap_or(path);
                Elsewhere { path: text(path), directory: text(directory), samples: *samples }
            })
            .collect();
    }
}

fn text(path: &Path) -> String {
    escape(path.as_os_str().as_encoded_bytes())
}
