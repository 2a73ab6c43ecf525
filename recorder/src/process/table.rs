//! Which program a thread is at the moment of a request: remembered per thread, looked at again when it may have changed.
//! Asked by the workers while the caller waits for its reply, so /proc still knows it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustc_hash::FxHashMap;

use super::look::{Look, Mark, comm, comm_mark, start_ticks, status};
use crate::event::escape;

/// The task of requests that the kernel makes on its own: it is nobody.
pub const KERNEL_TASK: u32 = 0;

/// A thread that opens a file is looked at again: sh becomes gcc by exec, and a new program opens files first.
const OPEN_LOOK_NS: u64 = 5_000_000;

/// Any thread is looked at again after this: titles change (`postgres: checkpointer`), and so do thread names.
const LOOK_NS: u64 = 1_000_000_000;

/// Most threads that change do so right after they are first seen (fork, then exec): until then the name is compared at
/// each open, and at other requests when `YOUNG_LOOK_NS` have passed.
const YOUNG_NS: u64 = 100_000_000;
const YOUNG_LOOK_NS: u64 = 1_000_000;

/// PostgreSQL writes into its titles what it does, thousands of times a second: one row a second must do, and half as
/// many after each, down to one in a minute, since a server runs for weeks.
const TITLE_NS: u64 = 1_000_000_000;
const MAX_TITLE_DOUBLINGS: u32 = 6;

/// Threads remembered: 65,536 of some 100 bytes. The least recently seen go first, and cost one more look if they return.
const MAX_THREADS: usize = 1 << 16;

/// Workers rarely meet in one of sixteen.
const SHARDS: usize = 16;

/// One program in one thread, from `seen_ns` on.
#[derive(Clone, Debug)]
pub struct Task {
    pub id: u32,
    pub tid: u32,
    /// CLOCK_MONOTONIC.
    pub seen_ns: u64,
    /// None: it was gone, or lives outside our pid namespace.
    pub program: Option<Program>,
}

/// Texts are escaped, secrets masked.
#[derive(Clone, Debug)]
pub struct Program {
    pub pid: u32,
    pub ppid: Option<u32>,
    pub uid: Option<u32>,
    /// Since boot (CLOCK_BOOTTIME). None: only a glance was possible.
    pub started_boot_ns: Option<u64>,
    pub comm: Arc<str>,
    pub exe: Option<String>,
    pub cmdline: Option<String>,
}

struct Thread {
    task: u32,
    /// None: could not be looked at.
    mark: Option<Mark>,
    /// When the program was first seen, and when it first had its present title.
    since_ns: u64,
    titled_ns: u64,
    titles: u32,
    looked_ns: u64,
    whole_look_ns: u64,
    used_ns: u64,
}

#[derive(PartialEq)]
enum Due {
    Nothing,
    Name,
    Everything,
}

/// How a thread differs from what it was when last looked at.
#[derive(Debug, PartialEq)]
enum Change {
    Nothing,
    Title,
    Program,
}

impl Thread {
    fn new(task: u32, mark: Option<Mark>, now_ns: u64) -> Thread {
        Thread {
            task,
            mark,
            since_ns: now_ns,
            titled_ns: now_ns,
            titles: 0,
            looked_ns: now_ns,
            whole_look_ns: now_ns,
            used_ns: now_ns,
        }
    }

    /// The same program under another title; those it goes through as it starts do not count.
    fn retitled(self, before: &Thread) -> Thread {
        Thread {
            since_ns: before.since_ns,
            titles: before.titles + u32::from(!before.is_young(self.titled_ns)),
            ..self
        }
    }

    fn is_young(&self, now_ns: u64) -> bool {
        now_ns.saturating_sub(self.since_ns) < YOUNG_NS
    }

    fn due(&self, opens: bool, now_ns: u64) -> Due {
        let since_whole = now_ns.saturating_sub(self.whole_look_ns);
        if since_whole >= LOOK_NS || (opens && since_whole >= OPEN_LOOK_NS) {
            Due::Everything
        } else if self.is_young(now_ns) && (opens || now_ns.saturating_sub(self.looked_ns) >= YOUNG_LOOK_NS) {
            Due::Name
        } else {
            Due::Nothing
        }
    }

    fn change(&self, mark: Option<Mark>, now_ns: u64) -> Change {
        let (Some(was), Some(is)) = (self.mark, mark) else {
            // What can no longer be looked at is still what it was.
            return if self.mark.is_none() && mark.is_some() { Change::Program } else { Change::Nothing };
        };
        // A process that is ending has lost its exe and its arguments before it closes its files.
        if was.start_ticks != is.start_ticks || was.comm != is.comm || (was.exe != is.exe && is.exe != 0) {
            Change::Program
        } else if was.title != is.title && is.title != 0 && self.may_change_title(now_ns) {
            Change::Title
        } else {
            Change::Nothing
        }
    }

    /// A title that was not there yet (exec sets the name first) is always news.
    fn may_change_title(&self, now_ns: u64) -> bool {
        self.mark.is_some_and(|mark| mark.title == 0)
            || self.is_young(now_ns)
            || now_ns.saturating_sub(self.titled_ns) >= TITLE_NS << self.titles.min(MAX_TITLE_DOUBLINGS)
    }
}

/// What the collector has not heard of yet.
#[derive(Default)]
pub struct News {
    pub tasks: Vec<Task>,
    /// Ids that no later request will bear.
    pub retired: Vec<u32>,
}

pub struct Processes {
    shards: [Mutex<FxHashMap<u32, Thread>>; SHARDS],
    news: Mutex<News>,
    next: AtomicU32,
    ns_per_tick: u64,
}

impl Default for Processes {
    fn default() -> Processes {
        Processes::new()
    }
}

impl Processes {
    pub fn new() -> Processes {
        Processes {
            shards: Default::default(),
            news: Mutex::default(),
            next: AtomicU32::new(KERNEL_TASK + 1),
            ns_per_tick: ns_per_tick(),
        }
    }

    /// The task that thread `tid` is now. `opens`: the request opens a file. Some 30 ns if nothing is due.
    pub fn task(&self, tid: u32, opens: bool, now_ns: u64) -> u32 {
        if tid == 0 {
            return KERNEL_TASK;
        }
        let known = lock(self.shard(tid)).get_mut(&tid).map(|thread| {
            thread.used_ns = now_ns;
            (thread.task, thread.mark, thread.due(opens, now_ns))
        });
        match known {
            Some((task, _, Due::Nothing)) => task,
            Some((task, mark, Due::Name)) if self.has_same_name(tid, mark, now_ns) => task,
            _ => self.look(tid, now_ns),
        }
    }

    /// The same for a request that a thread may make in the midst of its exec, where it closes files. Whoever then asks
    /// /proc for its stat, exe or arguments waits for that exec (`exec_update_lock`), and the exec waits for our reply.
    pub fn task_at_a_glance(&self, tid: u32, now_ns: u64) -> u32 {
        if tid == 0 {
            return KERNEL_TASK;
        }
        let known = lock(self.shard(tid)).get_mut(&tid).map(|thread| {
            thread.used_ns = now_ns;
            (thread.task, thread.mark, thread.due(false, now_ns))
        });
        match known {
            Some((task, _, Due::Nothing)) => task,
            Some((task, mark, _)) if self.has_same_name(tid, mark, now_ns) => task,
            known => self.glance(tid, now_ns, known.map(|(task, ..)| task)),
        }
    }

    /// Without a mark: the next request that allows a whole look gets one.
    fn glance(&self, tid: u32, now_ns: u64, retired: Option<u32>) -> u32 {
        let program = comm(tid).map(|comm| {
            let status = status(tid);
            Program {
                pid: status.pid.unwrap_or(tid),
                ppid: status.ppid,
                uid: status.uid,
                started_boot_ns: None,
                comm: escape(&comm).into(),
                exe: None,
                cmdline: None,
            }
        });
        if let (None, Some(task)) = (&program, retired) {
            return task;
        }
        let id = self.announce(tid, program, now_ns, retired);
        let mut shard = lock(self.shard(tid));
        if shard.len() >= MAX_THREADS / SHARDS {
            self.evict(&mut shard);
        }
        // Due at once, so that the next request gets the whole look.
        shard.insert(tid, Thread { whole_look_ns: 0, ..Thread::new(id, None, now_ns) });
        id
    }

    /// Tasks and retirements since the last call. A task is in it before any record that bears its id is queued.
    pub fn news(&self) -> News {
        std::mem::take(&mut *lock(&self.news))
    }

    fn shard(&self, tid: u32) -> &Mutex<FxHashMap<u32, Thread>> {
        &self.shards[tid as usize % SHARDS]
    }

    fn has_same_name(&self, tid: u32, mark: Option<Mark>, now_ns: u64) -> bool {
        let is_same = comm_mark(tid) == mark.map(|mark| mark.comm);
        if is_same && let Some(thread) = lock(self.shard(tid)).get_mut(&tid) {
            thread.looked_ns = now_ns;
        }
        is_same
    }

    /// The whole look. It is taken without the lock: it lasts some 20 us, and only this thread's own requests ask for it.
    fn look(&self, tid: u32, now_ns: u64) -> u32 {
        let look = Look::at(tid);
        let mut shard = lock(self.shard(tid));
        if shard.len() >= MAX_THREADS / SHARDS {
            self.evict(&mut shard);
        }
        let mark = look.as_ref().map(Look::mark);
        let change = shard.get_mut(&tid).map(|thread| {
            thread.looked_ns = now_ns;
            thread.whole_look_ns = now_ns;
            (thread.change(mark, now_ns), thread.task)
        });
        if let Some((Change::Nothing, task)) = change {
            return task;
        }
        let before = shard.remove(&tid);
        let program = look.map(|look| self.program(tid, &look));
        let id = self.announce(tid, program, now_ns, before.as_ref().map(|thread| thread.task));
        let thread = Thread::new(id, mark, now_ns);
        let thread = match (change, before) {
            (Some((Change::Title, _)), Some(before)) => thread.retitled(&before),
            _ => thread,
        };
        shard.insert(tid, thread);
        id
    }

    fn announce(&self, tid: u32, program: Option<Program>, now_ns: u64, retired: Option<u32>) -> u32 {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut news = lock(&self.news);
        news.tasks.push(Task { id, tid, seen_ns: now_ns, program });
        news.retired.extend(retired);
        id
    }

    fn program(&self, tid: u32, look: &Look) -> Program {
        let status = status(tid);
        let pid = status.pid.unwrap_or(tid);
        let ticks = if pid == tid { Some(look.start_ticks) } else { start_ticks(pid) };
        Program {
            pid,
            ppid: status.ppid,
            uid: status.uid,
            started_boot_ns: ticks.map(|ticks| ticks.saturating_mul(self.ns_per_tick)),
            comm: escape(&look.comm).into(),
            exe: look.exe(),
            cmdline: look.cmdline(),
        }
    }

    /// A quarter at once, so that it is rare.
    fn evict(&self, shard: &mut FxHashMap<u32, Thread>) {
        let mut used: Vec<u64> = shard.values().map(|thread| thread.used_ns).collect();
        let quarter = used.len() / 4;
        let (_, oldest_kept, _) = used.select_nth_unstable(quarter);
        let oldest_kept = *oldest_kept;
        let retired = shard.extract_if(|_, thread| thread.used_ns <= oldest_kept).map(|(_, thread)| thread.task);
        lock(&self.news).retired.extend(retired);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic elsewhere leaves the table usable: every change is one step.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn ns_per_tick() -> u64 {
    // SAFETY: sysconf has no conditions.
    let ticks_per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    1_000_000_000 / u64::try_from(ticks_per_second).unwrap_or(100).max(1)
}

#[cfg(test)]
mod tests;
