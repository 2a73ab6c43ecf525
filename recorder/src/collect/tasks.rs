//! The collector's side of the process table: what each task id stands for, until no record can bear it any more.

use std::collections::VecDeque;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::event::escape;
use crate::observe::{Change, Report};
use crate::process::{News, Program, Task};
use crate::trace::{Clock, ProcessRow, Reading};

/// How long a retired id is kept. A request that was looked at before is put down when it has been performed, and a call
/// on a bad disk can take that long; later ones lack their pid and name, not their tid.
const RETIRED_STAYS_NS: u64 = 60_000_000_000;

/// How often it is looked which processes are gone.
const GONE_LOOK_NS: u64 = 1_000_000_000;

/// Of some 16 bytes each; older ones are forgotten.
const MAX_ENDED: usize = 1 << 14;

#[derive(Clone, Debug)]
pub struct Who {
    pub pid: u32,
    pub comm: Arc<str>,
}

pub struct Tasks {
    known: FxHashMap<u32, Who>,
    retired: VecDeque<(u64, Vec<u32>)>,
    /// Of each process that was not found gone the newest row, of its first thread if that was seen.
    living: FxHashMap<u32, ProcessRow>,
    /// Processes that the kernel has told the end of, and when; /proc may be asked for one a little later.
    ended: FxHashMap<u32, i64>,
    gone_looked_ns: u64,
    clock: Clock,
    /// Turns /proc's start times, which count suspended time too, into the trace's. Fixed, so that one process has one.
    wall_minus_boot_ns: i64,
}

impl Tasks {
    pub fn new(clock: Clock) -> Tasks {
        let now = Reading::now();
        let wall_minus_boot_ns = clock.ts_ns(now.mono_ns as u64) - now.boot_ns;
        Tasks {
            known: FxHashMap::default(),
            retired: VecDeque::new(),
            living: FxHashMap::default(),
            ended: FxHashMap::default(),
            gone_looked_ns: 0,
            clock,
            wall_minus_boot_ns,
        }
    }

    pub fn who(&self, task: u32) -> Option<&Who> {
        self.known.get(&task)
    }

    /// The rows that the news make.
    pub fn learn(&mut self, news: News, now_ns: u64) -> Vec<ProcessRow> {
        if !news.retired.is_empty() {
            self.retired.push_back((now_ns, news.retired));
        }
        while let Some((retired_ns, _)) = self.retired.front()
            && retired_ns + RETIRED_STAYS_NS <= now_ns
        {
            let (_, ids) = self.retired.pop_front().unwrap_or_default();
            ids.iter().for_each(|id| drop(self.known.remove(id)));
        }
        let mut rows = Vec::new();
        for task in news.tasks {
            let seen_ns = task.seen_ns;
            let Some(row) = self.add(task) else { continue };
            if let Some(end) = self.end_of(&row) {
                rows.extend([row, end]);
            } else if !self.is_known(&row) {
                rows.extend(self.replaced(&row, seen_ns));
                rows.push(row);
            }
        }
        if now_ns >= self.gone_looked_ns + GONE_LOOK_NS {
            rows.extend(self.gone(now_ns));
        }
        rows
    }

    /// What the kernel tells of a process: None, if it is known already or the process is not.
    pub fn change(&mut self, told: &Report) -> Option<ProcessRow> {
        let ts_ns = self.clock.ts_ns(told.start_ns);
        if told.change() == Change::Ended {
            if self.ended.len() >= MAX_ENDED {
                self.ended.retain(|_, end_ns| *end_ns >= ts_ns - RETIRED_STAYS_NS as i64);
            }
            self.ended.insert(told.pid, ts_ns);
        }
        // What was seen later is newer, or of another process.
        let known = self.living.get(&told.pid).filter(|row| row.ts_ns <= ts_ns)?;
        let end = told.comm.iter().position(|byte| *byte == 0).unwrap_or(told.comm.len());
        let comm: Arc<str> = escape(&told.comm[..end]).into();
        let row = ProcessRow { ts_ns, ..known.clone() };
        let row = match told.change() {
            Change::Ended => return self.living.remove(&told.pid).map(|row| exited(row, ts_ns)),
            Change::Executed => ProcessRow { tid: told.tid, comm, exe: None, cmdline: None, ..row },
            Change::Renamed => ProcessRow { tid: told.tid, comm, ..row },
        };
        if row.tid == row.pid {
            self.living.insert(row.pid, row.clone());
        }
        Some(row)
    }

    /// The end of a process that had ended before it was looked at.
    fn end_of(&self, row: &ProcessRow) -> Option<ProcessRow> {
        let end_ns = *self.ended.get(&row.pid)?;
        row.started_ns.is_some_and(|started_ns| started_ns <= end_ns).then(|| exited(row.clone(), end_ns))
    }

    /// Nothing but the time is new.
    fn is_known(&self, row: &ProcessRow) -> bool {
        self.living.get(&row.pid).is_some_and(|known| *row == ProcessRow { ts_ns: row.ts_ns, ..known.clone() })
    }

    /// A row for each process that is gone since this was last asked.
    pub fn gone(&mut self, now_ns: u64) -> Vec<ProcessRow> {
        self.gone_looked_ns = now_ns;
        let now_ts_ns = self.clock.ts_ns(now_ns);
        let gone = self.living.extract_if(|pid, _| is_gone(*pid)).map(|(_, row)| exited(row, now_ts_ns));
        let mut rows: Vec<_> = gone.collect();
        rows.sort_unstable_by_key(|row| row.pid);
        rows
    }

    /// The end of the process that had this pid before.
    fn replaced(&mut self, row: &ProcessRow, seen_ns: u64) -> Option<ProcessRow> {
        let before = self.living.get(&row.pid);
        let is_another = before.is_some_and(|before| {
            before.started_ns.is_some() && row.started_ns.is_some() && before.started_ns != row.started_ns
        });
        let is_better = before.is_none_or(|before| {
            let is_whole = row.started_ns.is_some() || before.started_ns.is_none();
            is_whole && (row.tid == row.pid || before.tid != before.pid)
        });
        let before = if is_another || is_better { self.living.insert(row.pid, row.clone()) } else { None };
        before.filter(|_| is_another).map(|before| exited(before, self.clock.ts_ns(seen_ns)))
    }

    fn add(&mut self, task: Task) -> Option<ProcessRow> {
        let Program { pid, ppid, uid, started_boot_ns, comm, exe, cmdline } = task.program?;
        self.known.insert(task.id, Who { pid, comm: comm.clone() });
        Some(ProcessRow {
            ts_ns: self.clock.ts_ns(task.seen_ns),
            pid,
            tid: task.tid,
            ppid,
            started_ns: started_boot_ns.map(|ns| (ns as i64).saturating_add(self.wall_minus_boot_ns)),
            comm,
            exe: exe.map(Arc::from),
            cmdline: cmdline.map(Arc::from),
            uid,
            exited_ns: None,
        })
    }
}

fn exited(row: ProcessRow, found_ns: i64) -> ProcessRow {
    ProcessRow { ts_ns: found_ns, exited_ns: Some(found_ns), ..row }
}

/// Nothing of /proc is asked: some of it waits for an exec that may be waiting for us.
fn is_gone(pid: u32) -> bool {
    // SAFETY: plain integers; signal 0 is never sent.
    let asked = unsafe { libc::kill(pid as libc::pid_t, 0) };
    asked < 0 && std::io::Error::last_os_error().raw_os_error() == Some(libc::ESRCH)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;
    use crate::wire::now_ns;

    fn task(pid: u32, started_boot_ns: Option<u64>) -> Task {
        let program =
            Program { pid, ppid: None, uid: None, started_boot_ns, comm: "cat".into(), exe: None, cmdline: None };
        Task { id: pid, tid: pid, seen_ns: now_ns(), program: Some(program) }
    }

    fn learn(tasks: &mut Tasks, task: Task) -> Vec<ProcessRow> {
        // Asked so early, it does not look who is gone.
        tasks.learn(News { tasks: vec![task], retired: Vec::new() }, 0)
    }

    #[test]
    fn a_process_that_has_ended_is_found_gone_once() {
        let mut tasks = Tasks::new(Clock::start());
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().expect("cat");
        assert_eq!(learn(&mut tasks, task(child.id(), Some(1))).len(), 1);
        assert!(tasks.gone(now_ns()).is_empty());
        drop(child.stdin.take());
        child.wait().expect("it ends");
        let [row] = &tasks.gone(now_ns())[..] else { panic!("one row") };
        assert_eq!((row.pid, row.exited_ns, &*row.comm), (child.id(), Some(row.ts_ns), "cat"));
        assert!(tasks.gone(now_ns()).is_empty());
    }

    #[test]
    fn a_pid_that_another_process_bears_ends_the_first() {
        let mut tasks = Tasks::new(Clock::start());
        let pid = std::process::id();
        learn(&mut tasks, task(pid, Some(1)));
        assert_eq!(learn(&mut tasks, task(pid, None)).len(), 1, "only a glance at the same process");
        let rows = learn(&mut tasks, task(pid, Some(2_000_000_000)));
        let ends: Vec<_> =
            rows.iter().map(|row| (row.started_ns == rows[0].started_ns, row.exited_ns.is_some())).collect();
        assert_eq!(ends, [(true, true), (false, false)]);
    }

    /// As the kernel tells it.
    fn told(change: u16, pid: u32, start_ns: u64, comm: &[u8]) -> Report {
        Report::of_task(change, pid, start_ns, comm)
    }

    #[test]
    fn what_the_kernel_tells_has_its_own_time() {
        let clock = Clock::start();
        let mut tasks = Tasks::new(clock);
        let pid = std::process::id();
        learn(&mut tasks, task(pid, Some(1)));
        let at = now_ns();
        let row = tasks.change(&told(2, pid, at, b"worker")).expect("a name");
        assert_eq!((row.ts_ns, &*row.comm), (clock.ts_ns(at), "worker"));
        assert!(tasks.change(&told(2, pid, at - 5_000_000_000, b"older")).is_none());
        assert!(tasks.change(&told(1, pid + 1, at, b"stranger")).is_none());
        let row = tasks.change(&told(0, pid, at + 1, b"worker")).expect("an end");
        assert_eq!((row.exited_ns, &*row.comm), (Some(clock.ts_ns(at + 1)), "worker"));
        assert!(tasks.change(&told(0, pid, at + 1, b"worker")).is_none());
    }

    #[test]
    fn a_process_that_was_looked_at_after_its_end_has_that_end() {
        let clock = Clock::start();
        let mut tasks = Tasks::new(clock);
        let (pid, at) = (std::process::id(), now_ns());
        assert!(tasks.change(&told(0, pid, at, b"cat")).is_none());
        let rows = learn(&mut tasks, task(pid, Some(1)));
        assert_eq!(rows.iter().map(|row| row.exited_ns).collect::<Vec<_>>(), [None, Some(clock.ts_ns(at))]);
        assert!(tasks.gone(now_ns()).is_empty());
    }

    #[test]
    fn nothing_new_is_no_row() {
        let mut tasks = Tasks::new(Clock::start());
        let pid = std::process::id();
        assert_eq!(learn(&mut tasks, task(pid, Some(1))).len(), 1);
        assert!(learn(&mut tasks, task(pid, Some(1))).is_empty());
    }
}
