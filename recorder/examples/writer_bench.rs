//! How fast the trace's writer is and how small an event becomes, for events as db_bench makes them: half appends to a
//! log, half reads of blocks in forty tables. `writer_bench [MILLIONS] [FOLDER]`; under `taskset -c 0` on a quiet machine
//! both rates are that of one core, on a busy one `events_per_cpu_s` still is.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use glassfs_recorder::event::{Event, FileType, Kind, Op, Origin, Plane};
use glassfs_recorder::trace::{About, Settings, Trace};

/// Small pseudo-random numbers, the same on each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    /// With a long tail, as latencies have.
    fn latency_ns(&mut self, typical: u64) -> u64 {
        let tail = if self.below(64) == 0 { 40 } else { 1 };
        typical * tail / 2 + self.below(typical * tail)
    }
}

struct Database {
    tables: Vec<Arc<str>>,
    log: Arc<str>,
    foreground: Arc<str>,
    background: Arc<str>,
    log_end: u64,
    ts_ns: i64,
    numbers: Numbers,
}

impl Database {
    fn new() -> Database {
        Database {
            tables: (0..40).map(|table| Arc::from(format!("/home/ana/projects/rocks/db/{table:06}.sst"))).collect(),
            log: Arc::from("/home/ana/projects/rocks/db/000041.log"),
            foreground: Arc::from("db_bench"),
            background: Arc::from("rocksdb:low"),
            log_end: 0,
            ts_ns: 1_700_000_000_000_000_000,
            numbers: Numbers(42),
        }
    }

    /// (op, path, offset, size, ino)
    fn call(&mut self, seq: u64) -> (Op, Arc<str>, u64, u64, u64) {
        if seq.is_multiple_of(2) {
            let size = 100 + self.numbers.below(60);
            self.log_end += size;
            return (Op::Write, self.log.clone(), self.log_end - size, size, 77);
        }
        let table = self.numbers.below(self.tables.len() as u64);
        let (offset, size) = (self.numbers.below(60_000_000), 4_000 + self.numbers.below(200));
        (Op::Read, self.tables[table as usize].clone(), offset, size, 1_000 + table)
    }

    fn event(&mut self, seq: u64) -> Event {
        let (op, path, offset, size, ino) = self.call(seq);
        let (backing_ns, around_ns) = (self.numbers.latency_ns(2_000), self.numbers.latency_ns(9_000));
        let background = self.numbers.below(16) == 0;
        self.ts_ns += 8_000 + self.numbers.below(10_000) as i64;
        Event {
            stream: 0,
            seq,
            // Some were begun before their neighbours and ended after them.
            ts_ns: self.ts_ns - self.numbers.below(4) as i64 * 6_000,
            duration_ns: backing_ns + around_ns,
            backing_ns: Some(backing_ns),
            requests: 1,
            op,
            kind: Kind::Request,
            syscall_nr: None,
            origin: Origin::Program,
            plane: Plane::Daemon,
            path: Some(path),
            path2: None,
            offset: Some(offset),
            size: Some(size),
            result: Some(size as i64),
            errno: 0,
            flags: Some(0o100002),
            mode: None,
            ino: Some(ino),
            dev: Some(45),
            fh: Some(ino * 3),
            file_type: Some(FileType::Regular),
            pid: Some(4711),
            tid: Some(4711 + u32::from(background)),
            uid: Some(1_000),
            gid: Some(1_000),
            comm: Some(if background { self.background.clone() } else { self.foreground.clone() }),
        }
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let millions: u64 = arguments.next().map_or(4, |number| number.parse().expect("a number of millions"));
    let folder = arguments.next().map_or_else(|| std::env::temp_dir().join("writer-bench"), PathBuf::from);
    let mut trace = Trace::create(Settings::new(&folder), About::new("writer-bench")).expect("a new trace");
    let mut database = Database::new();
    let (started, mut making, mut count) = (Instant::now(), Duration::ZERO, 0);
    // In small parts, so that making them does not push the writer out of the cache.
    for part in 1..=millions * 1_000_000 / PART {
        let before = cpu_time(libc::CLOCK_THREAD_CPUTIME_ID);
        let events: Vec<Event> = (count..count + PART).map(|seq| database.event(seq)).collect();
        making += cpu_time(libc::CLOCK_THREAD_CPUTIME_ID) - before;
        count += PART;
        events.iter().for_each(|event| trace.push(event));
        trace.tick();
        if part % PARTS_AHEAD == 0 {
            assert!(trace.flush(Duration::from_secs(60)), "the disk takes it");
        }
    }
    assert!(trace.close("bench"), "the disk takes it");
    // On one core, what was not spent on making the events was spent on writing them, by whichever thread.
    let cpu = cpu_time(libc::CLOCK_PROCESS_CPUTIME_ID) - making;
    report(count, started.elapsed() - making, cpu, &folder);
}

/// What this thread or process has had of the processors.
fn cpu_time(clock: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec for the duration of the call.
    unsafe { libc::clock_gettime(clock, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

const PART: u64 = 4_000;

/// The writer may fall behind by so many parts: 200,000 events.
const PARTS_AHEAD: u64 = 50;

fn report(count: u64, wall: Duration, cpu: Duration, folder: &std::path::Path) {
    let segments = std::fs::read_dir(folder.join("events")).expect("a folder of events");
    let bytes: u64 = segments.filter_map(|file| file.ok()?.metadata().ok()).map(|file| file.len()).sum();
    println!(
        "{{\"events\": {count}, \"events_per_s\": {:.0}, \"events_per_cpu_s\": {:.0}, \"bytes_per_event\": {:.2}}}",
        count as f64 / wall.as_secs_f64(),
        count as f64 / cpu.as_secs_f64(),
        bytes as f64 / count as f64,
    );
}
