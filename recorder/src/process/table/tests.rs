//! The process table, on real children.

use std::io::Write;
use std::process::{Child, Command, Stdio};

use super::*;

const MS: u64 = 1_000_000;

/// A process of our own that ends with its test, however that ends.
struct Shell(Child);

impl Drop for Shell {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Shell {
    /// Waits for a line before it becomes `sleep`.
    fn start() -> Shell {
        let script = "read line; exec sleep 600";
        let child = Command::new("sh").args(["-c", script, "--password=hunter2"]).stdin(Stdio::piped()).spawn();
        let shell = Shell(child.expect("sh starts"));
        // exec sets the arguments after spawn has returned.
        wait_until(|| Look::at(shell.tid()).is_some_and(|look| look.cmdline().is_some()));
        shell
    }

    fn tid(&self) -> u32 {
        self.0.id()
    }

    fn exec(&mut self) {
        self.0.stdin.take().expect("piped").write_all(b"go\n").expect("sh reads");
        wait_until(|| comm_mark(self.tid()) == Some(super::super::look::hash(b"sleep")));
    }
}

fn wait_until(condition: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !condition() {
        assert!(std::time::Instant::now() < deadline, "waited ten seconds in vain");
        std::thread::yield_now();
    }
}

fn comm_of(news: &News, id: u32) -> String {
    let task = news.tasks.iter().find(|task| task.id == id).expect("announced");
    task.program.as_ref().expect("alive").comm.to_string()
}

#[test]
fn a_thread_is_announced_once_with_its_secrets_masked() {
    let shell = Shell::start();
    let processes = Processes::new();
    let task = processes.task(shell.tid(), true, 0);
    assert_eq!(processes.task(shell.tid(), true, MS), task);
    let news = processes.news();
    assert_eq!(news.tasks.len(), 1);
    let program = news.tasks[0].program.clone().expect("alive");
    assert_eq!((program.pid, program.ppid), (shell.tid(), Some(std::process::id())));
    assert_eq!(&*program.comm, "sh");
    let cmdline = program.cmdline.expect("it has arguments");
    assert!(cmdline.ends_with("--password=***") && !cmdline.contains("hunter2"), "{cmdline}");
    assert!(program.started_boot_ns > Some(0) && program.exe.is_some());
}

#[test]
fn an_exec_is_seen_at_the_next_open_of_a_young_thread() {
    let mut shell = Shell::start();
    let processes = Processes::new();
    let before = processes.task(shell.tid(), false, 0);
    shell.exec();
    assert_eq!(processes.task(shell.tid(), false, MS / 2), before, "too early for another look");
    let after = processes.task(shell.tid(), true, MS / 2);
    assert_ne!(before, after);
    let news = processes.news();
    assert_eq!((comm_of(&news, before), comm_of(&news, after)), ("sh".into(), "sleep".into()));
    assert_eq!(news.retired, [before]);
}

#[test]
fn an_exec_is_seen_at_any_request_after_a_second() {
    let mut shell = Shell::start();
    let processes = Processes::new();
    let before = processes.task(shell.tid(), false, 0);
    assert_eq!(processes.task(shell.tid(), false, 900 * MS), before);
    shell.exec();
    assert_eq!(processes.task(shell.tid(), false, 999 * MS), before);
    assert_ne!(processes.task(shell.tid(), false, 1000 * MS), before);
}

#[test]
fn a_process_that_ended_keeps_what_was_known_of_it() {
    let shell = Shell::start();
    let (tid, processes) = (shell.tid(), Processes::new());
    let task = processes.task(tid, true, 0);
    drop(shell);
    assert_eq!(processes.task(tid, true, 5000 * MS), task);
}

#[test]
fn a_glance_names_a_thread_and_the_next_look_knows_the_rest() {
    let shell = Shell::start();
    let processes = Processes::new();
    let glanced = processes.task_at_a_glance(shell.tid(), 10_000 * MS);
    let looked = processes.task(shell.tid(), false, 10_001 * MS);
    let news = processes.news();
    assert_eq!((comm_of(&news, glanced), comm_of(&news, looked)), ("sh".into(), "sh".into()));
    let whole = |id: u32| news.tasks.iter().any(|task| task.id == id && task.program.as_ref().unwrap().exe.is_some());
    assert_eq!((whole(glanced), whole(looked)), (false, true));
    assert_eq!(processes.task_at_a_glance(shell.tid(), 20_000 * MS), looked, "the same name is the same program");
}

#[test]
fn a_thread_nobody_can_see_has_a_task_without_a_program() {
    let processes = Processes::new();
    let task = processes.task(u32::MAX, true, 0);
    assert_ne!(task, KERNEL_TASK);
    assert_eq!(processes.task(u32::MAX, true, 1), task);
    assert!(processes.news().tasks[0].program.is_none());
    assert_eq!(processes.task(0, true, 0), KERNEL_TASK);
}

fn mark(start_ticks: u64, comm: u64, title: u64) -> Option<Mark> {
    Some(Mark { start_ticks, comm, exe: 1, title })
}

#[test]
fn titles_change_at_most_once_a_second_once_a_thread_is_no_longer_young() {
    let thread = Thread::new(1, mark(1, 1, 1), 0);
    assert_eq!(thread.change(mark(1, 1, 2), 50 * MS), Change::Title);
    assert_eq!(thread.change(mark(1, 1, 2), 500 * MS), Change::Nothing);
    assert_eq!(thread.change(mark(1, 1, 2), 1000 * MS), Change::Title);
    assert_eq!(thread.change(mark(1, 1, 0), 1000 * MS), Change::Nothing, "an ending process has no arguments");
}

#[test]
fn a_title_that_never_rests_is_followed_ever_more_rarely() {
    let mut thread = Thread::new(1, mark(1, 1, 1), 0);
    let changes = (1..3600).filter(|second| {
        let changed = thread.change(mark(1, 1, 1 + second), second * 1000 * MS) == Change::Title;
        if changed {
            thread = Thread::new(1, mark(1, 1, 1 + second), second * 1000 * MS).retitled(&thread);
        }
        changed
    });
    assert_eq!(changes.count(), 6 + (3600 - 64) / 64, "doubling up to 64 s");
}

#[test]
fn a_reused_thread_id_is_another_program() {
    let thread = Thread::new(1, mark(1, 1, 1), 0);
    assert_eq!(thread.change(mark(2, 1, 1), 500 * MS), Change::Program);
    assert_eq!(thread.change(None, 500 * MS), Change::Nothing);
}

#[test]
fn threads_are_forgotten_oldest_first_beyond_the_bound() {
    let processes = Processes::new();
    let first_unused = u32::MAX / 2;
    let threads = MAX_THREADS as u32 + 1000;
    let tasks: Vec<u32> = (0..threads).map(|n| processes.task(first_unused + n, false, u64::from(n))).collect();
    let kept: usize = processes.shards.iter().map(|shard| lock(shard).len()).sum();
    assert!(kept <= MAX_THREADS, "{kept}");
    let news = processes.news();
    assert_eq!(news.tasks.len() - news.retired.len(), kept);
    assert!(news.retired.contains(&tasks[0]) && !news.retired.contains(&tasks[threads as usize - 1]));
}

#[test]
fn a_thread_began_when_its_process_did() {
    let started = |tid| {
        let processes = Processes::new();
        processes.task(tid, true, 0);
        processes.news().tasks[0].program.clone().expect("alive").started_boot_ns
    };
    let pid = std::process::id();
    let of_a_younger_thread = move || {
        // SAFETY: gettid has no conditions.
        let tid = unsafe { libc::gettid() } as u32;
        (start_ticks(tid) > start_ticks(pid)).then(|| started(tid))
    };
    // Until it is not in the same clock tick any more.
    let found =
        std::iter::repeat_with(|| std::thread::spawn(of_a_younger_thread).join().expect("no panic")).flatten().next();
    assert_eq!(found, Some(started(pid)));
}
