//! The collector's side of the process table: what each task id stands for, until no record can bear it any more.

use std::collections::VecDeque;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::process::{News, Program, Task};
use crate::trace::{Clock, ProcessRow, Reading};

/// How long a retired id is kept. A request that was looked at before is put down when it has been performed, and a call
/// on a bad disk can take that long; later ones lack their pid and name, not their tid.
const RETIRED_STAYS_NS: u64 = 60_000_000_000;

#[derive(Clone, Debug)]
pub struct Who {
    pub pid: u32,
    pub comm: Arc<str>,
}

pub struct Tasks {
    known: FxHashMap<u32, Who>,
    retired: VecDeque<(u64, Vec<u32>)>,
    clock: Clock,
    /// Turns /proc's start times, which count suspended time too, into the trace's. Fixed, so that one process has one.
    wall_minus_boot_ns: i64,
}

impl Tasks {
    pub fn new(clock: Clock) -> Tasks {
        let now = Reading::now();
        let wall_minus_boot_ns = clock.ts_ns(now.mono_ns as u64) - now.boot_ns;
        Tasks { known: FxHashMap::default(), retired: VecDeque::new(), clock, wall_minus_boot_ns }
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
        news.tasks.into_iter().filter_map(|task| self.add(task)).collect()
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
