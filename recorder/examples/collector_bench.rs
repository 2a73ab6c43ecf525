//! What recording costs, without a mount: of a worker to put a record down, and of the collector to make an event of it.
//! CPU time of each thread, so that a busy machine does not blur it. The trace lies in /dev/shm.
//! `cargo run --release --example collector_bench`

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use glassfs_recorder::collect::record::{Facts, Record};
use glassfs_recorder::collect::{Collector, MAX_RECORDS, Queue, observe};
use glassfs_recorder::event::FileType;
use glassfs_recorder::process::Processes;
use glassfs_recorder::trace::{About, Settings, Trace};
use glassfs_recorder::wire::operation::Read;
use glassfs_recorder::wire::{Answer, Errno, Handle, Node, Operation, Payload, Request, now_ns};

const FILES: u64 = 1000;
const RECORDS: u64 = 5_000_000;
/// Between two pauses of the producer: far below the queue's limit.
const BURST: u64 = 50_000;

fn main() {
    let processes = Arc::new(Processes::new());
    let tid = std::process::id();
    task_cost(&processes, tid);
    observe_cost();
    push_cost(1);
    push_cost(2);
    through_collector(&processes, "reads by handle", read_of);
    through_collector(&processes, "metadata: lookup, create, getattr, release, unlink", storm_of);
}

fn task_cost(processes: &Processes, tid: u32) {
    let now = now_ns();
    processes.task(tid, true, now);
    report("clock", per_item(RECORDS, || black_box(now_ns()) as usize & 1));
    report("process table, hit", per_item(RECORDS, || black_box(processes.task(tid, false, now)) as usize & 1));
}

fn observe_cost() {
    let request = request(Node(2), read(7, 4096));
    let facts = Facts { backing_ns: 900, ino: 9, dev: 1, result: 4096, ..Facts::default() };
    let answer = Ok(Payload::Bytes(4096));
    report(
        "observe a read",
        per_item(RECORDS, || {
            black_box(observe(&request, &facts, &answer, request.arrived_ns + 1000, 1)).is_some() as usize
        }),
    );
}

/// The queue alone: each thread pushes, somebody drains now and then.
fn push_cost(threads: u64) {
    let queue = Queue::new(MAX_RECORDS, About::new("bench").clock);
    let started = Instant::now();
    let ns: u64 = std::thread::scope(|scope| {
        let pushing = || {
            let before = thread_ns();
            for n in 0..RECORDS / threads {
                queue.push(read_now(n, 1));
                if n % 500 == 0 {
                    queue.drain().chunks.into_iter().for_each(|chunk| queue.recycle(chunk));
                }
            }
            thread_ns() - before
        };
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(pushing)).collect();
        handles.into_iter().map(|handle| handle.join().expect("no panic")).sum()
    });
    let wall = started.elapsed().as_nanos() as u64 / RECORDS;
    report(&format!("clock, observe and push a read, {threads} thread(s), with drains ({wall} ns wall)"), ns / RECORDS);
}

fn through_collector(processes: &Arc<Processes>, name: &str, records: fn(u64, u32) -> Vec<Record>) {
    let folder = PathBuf::from(format!("/dev/shm/glassfs-collector-bench-{}", std::process::id()));
    let trace = Trace::create(Settings::new(&folder), About::new("bench")).expect("a folder in /dev/shm");
    let queue = Arc::new(Queue::new(MAX_RECORDS, trace.clock()));
    let collector =
        Collector::start(queue.clone(), trace, processes.clone(), &[PathBuf::from("/home/ana/db")]).expect("a thread");
    let task = processes.task(std::process::id(), false, now_ns());
    files().into_iter().for_each(|record| queue.push(record));
    collector.flush(Duration::from_secs(10));
    let (before, mut pushed) = (cpu_of("glassfs-collect"), 0);
    for n in 0.. {
        for record in records(n, task) {
            queue.push(record);
            pushed += 1;
            if pushed % BURST == 0 {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        if pushed >= RECORDS {
            break;
        }
    }
    let kept = collector.flush(Duration::from_secs(60));
    let ns = cpu_of("glassfs-collect") - before;
    report(&format!("collector and trace, {name}{}", if kept { "" } else { " (not all written!)" }), ns / pushed);
    collector.stop("bench");
    std::fs::remove_dir_all(&folder).expect("our own folder");
}

/// Every file looked up and opened.
fn files() -> Vec<Record> {
    (0..FILES)
        .flat_map(|n| {
            let name = format!("{n:06}.sst");
            let lookup = request(Node::ROOT, Operation::Lookup { name: name.as_bytes() });
            let found = Facts { child: Some(Node(n + 2)), file_type: Some(FileType::Regular), ..Facts::default() };
            let open = request(Node(n + 2), Operation::Open { flags: 0, kill_suid_sgid: false });
            let opened = Facts { opened: Some(Handle(n)), ..Facts::default() };
            [record(&lookup, &found, &Ok(Payload::Bytes(128))), record(&open, &opened, &Ok(Payload::Bytes(16)))]
        })
        .collect()
}

fn read_of(n: u64, task: u32) -> Vec<Record> {
    vec![read_now(n, task)]
}

fn read_now(n: u64, task: u32) -> Record {
    let file = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % FILES;
    let request = request(Node(file + 2), read(file, n * 4096));
    let facts = Facts { backing_ns: 900 + n % 97, ino: file, dev: 1, result: 4096, ..Facts::default() };
    let finished_ns = request.arrived_ns + 1500 + n % 131;
    observe(&request, &facts, &Ok(Payload::Bytes(4096)), finished_ns, task).expect("an event")
}

/// One file's life; each of it has a name and a node of its own.
fn storm_of(n: u64, task: u32) -> Vec<Record> {
    let (name, node, fh) = (format!("file-{n:08}"), Node(n + FILES + 2), Handle(n + FILES));
    let name = name.as_bytes();
    let made =
        Facts { child: Some(node), opened: Some(fh), file_type: Some(FileType::Regular), ino: n, ..Facts::default() };
    let plain = Facts { ino: n, backing_ns: 800, ..Facts::default() };
    let create = Operation::Create { name, flags: 0o102, mode: 0o100644, umask: 0o22, kill_suid_sgid: false };
    let missing: Answer = Err(Errno(libc::ENOENT));
    let done: Answer = Ok(Payload::Bytes(0));
    let records = [
        record(&request(Node::ROOT, Operation::Lookup { name }), &Facts::default(), &missing),
        record(&request(Node::ROOT, create), &made, &done),
        record(&request(node, Operation::Getattr { handle: Some(fh) }), &plain, &done),
        record(&request(node, Operation::Release { handle: fh, flags: 2 }), &plain, &done),
        record(&request(Node::ROOT, Operation::Unlink { name }), &plain, &done),
    ];
    records.into_iter().map(|record| Record { task, ..record }).collect()
}

fn record(request: &Request<'_>, facts: &Facts, answer: &Answer) -> Record {
    observe(request, facts, answer, request.arrived_ns + 1000, 1).expect("an event")
}

fn request(node: Node, operation: Operation<'_>) -> Request<'_> {
    let tid = 4711;
    Request { unique: 2, opcode: 15, node, uid: 0, gid: 0, tid, arrived_ns: now_ns(), operation }
}

fn read(fh: u64, offset: u64) -> Operation<'static> {
    Operation::Read(Read { handle: Handle(fh), offset, size: 4096, flags: 0, for_page_cache: false })
}

fn per_item(items: u64, mut work: impl FnMut() -> usize) -> u64 {
    let before = thread_ns();
    let sum: usize = (0..items).map(|_| work()).sum();
    black_box(sum);
    (thread_ns() - before) / items
}

fn report(what: &str, ns: u64) {
    println!("{ns:6} ns  {:5.2} M/s  {what}", 1e3 / ns.max(1) as f64);
}

fn thread_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid for the call; a thread may always read its own clock.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// CPU time of the thread of that name.
fn cpu_of(name: &str) -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").expect("proc").flatten();
    let task = tasks
        .map(|task| task.path())
        .find(|task| std::fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim_end() == name));
    let schedstat = std::fs::read_to_string(task.expect("the thread runs").join("schedstat")).expect("proc");
    schedstat.split(' ').next().and_then(|ns| ns.parse().ok()).expect("a number")
}
