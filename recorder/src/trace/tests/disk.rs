//! Disks that stall, fill up, fail and recover, and the limits of a trace's size. The program that is traced never
//! notices; what is lost is counted.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use super::reader::{self, Contents};
use super::{DEADLINE, LOOK, about, created, events, place, small_segments, wait_until};
use crate::trace::manifest::Line;
use crate::trace::{BeforeWrite, Ledger, Reason, Settings, Stage, Totals, Trace};

/// Holds every write from the moment it is closed until it is opened.
#[derive(Default)]
struct Gate {
    closed: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn set(&self, closed: bool) {
        *self.closed.lock().expect("the gate") = closed;
        self.opened.notify_all();
    }

    fn hook(self: &Arc<Gate>) -> BeforeWrite {
        let gate = self.clone();
        Arc::new(move |_name: &str| {
            let closed = gate.closed.lock().expect("the gate");
            drop(gate.opened.wait_while(closed, |closed| *closed).expect("the gate"));
            Ok(())
        })
    }
}

fn dropped(ledger: &Ledger, reason: Reason) -> u64 {
    let of_reason = ledger.rows().into_iter().filter(|(entry, _)| entry.loss == Some((reason, Stage::Trace)));
    of_reason.map(|(_, counts)| counts.dropped).sum()
}

fn balances(contents: &Contents, pushed: u64) {
    let sum = contents.ledger.sum();
    assert_eq!((sum.seen, sum.stored + sum.dropped), (pushed, pushed));
    assert_eq!(sum.stored - sum.removed, contents.events.len() as u64);
    assert_eq!(contents.totals.counted(), pushed);
}

/// Pushes as a collector does, at most `per_second`.
fn push_for(trace: &mut Trace, from: u64, span: Duration, per_second: u64) -> u64 {
    let (started, mut pushed) = (Instant::now(), 0);
    while started.elapsed() < span {
        let due = started.elapsed().as_micros() as u64 * per_second / 1_000_000;
        while pushed < due {
            trace.push(&events::plain(from + pushed));
            pushed += 1;
        }
        trace.tick();
        std::thread::park_timeout(LOOK);
    }
    pushed
}

/// Of this process, with all tests that run beside.
fn resident_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1_024
}

#[test]
fn a_disk_that_stalls_for_3_seconds_at_200_000_events_a_second_loses_nothing() {
    let (place, gate) = (place(), Arc::new(Gate::default()));
    let mut settings = Settings::new(place.path().join("trace"));
    settings.before_write = Some(gate.hook());
    let mut trace = created(settings);
    let folder = trace.folder().to_owned();
    let mut pushed = push_for(&mut trace, 0, Duration::from_millis(200), 200_000);
    gate.set(true);
    pushed += push_for(&mut trace, pushed, Duration::from_secs(3), 200_000);
    assert!(resident_mb() < 250, "{} MB", resident_mb());
    gate.set(false);
    pushed += push_for(&mut trace, pushed, Duration::from_millis(200), 200_000);
    assert!(pushed >= 600_000, "{pushed}");
    assert!(trace.close("done"));
    let contents = reader::read(&folder);
    balances(&contents, pushed);
    assert_eq!(contents.ledger.sum().dropped, 0);
}

#[test]
fn a_disk_that_stalls_for_too_long_costs_what_is_beyond_the_bound_and_no_more() {
    let (place, gate) = (place(), Arc::new(Gate::default()));
    let mut settings = small_segments(place.path(), 100);
    settings.waiting_rows = 1_000;
    settings.before_write = Some(gate.hook());
    let mut trace = created(settings);
    let folder = trace.folder().to_owned();
    gate.set(true);
    let started = Instant::now();
    (0..2_500).for_each(|seq| trace.push(&events::plain(seq)));
    assert!(started.elapsed() < Duration::from_secs(1), "pushing waited for the disk");
    assert!(!trace.flush(Duration::from_millis(1)));
    gate.set(false);
    assert!(trace.flush(DEADLINE));
    trace.push(&events::plain(2_500));
    assert!(trace.close("done"));
    let contents = reader::read(&folder);
    balances(&contents, 2_501);
    assert_eq!(dropped(&contents.ledger, Reason::QueueFull), 1_500);
    let kept: Vec<u64> = contents.events.iter().map(|event| event.seq).collect();
    assert_eq!(kept, (0..1_000).chain([2_500]).collect::<Vec<_>>());
}

#[test]
fn names_too_are_bounded_while_the_disk_stalls() {
    let (place, gate) = (place(), Arc::new(Gate::default()));
    let mut settings = Settings::new(place.path().join("trace"));
    settings.waiting_bytes = 1 << 20;
    settings.before_write = Some(gate.hook());
    let mut trace = created(settings);
    let folder = trace.folder().to_owned();
    gate.set(true);
    for seq in 0..2_000 {
        let path = Some(Arc::from(format!("/{seq:04000}")));
        trace.push(&crate::event::Event { path, ..events::plain(seq) });
    }
    gate.set(false);
    assert!(trace.close("done"));
    let contents = reader::read(&folder);
    balances(&contents, 2_000);
    assert!((200..270).contains(&contents.events.len()), "{}", contents.events.len());
}

#[test]
fn a_disk_that_fails_is_counted_and_written_to_again_when_it_works() {
    let (place, fails) = (place(), Arc::new(AtomicBool::new(false)));
    let mut settings = small_segments(place.path(), 10);
    let failing = fails.clone();
    settings.before_write = Some(Arc::new(move |_: &str| match failing.load(Ordering::Relaxed) {
        true => Err(io::Error::from_raw_os_error(libc::EIO)),
        false => Ok(()),
    }));
    let mut trace = created(settings);
    let folder = trace.folder().to_owned();
    (0..20).for_each(|seq| trace.push(&events::plain(seq)));
    assert!(trace.flush(DEADLINE));
    fails.store(true, Ordering::Relaxed);
    (20..50).for_each(|seq| trace.push(&events::plain(seq)));
    assert!(!trace.flush(DEADLINE), "a flush that wrote nothing says so");
    fails.store(false, Ordering::Relaxed);
    (50..60).for_each(|seq| trace.push(&events::plain(seq)));
    assert!(trace.close("done"));
    let contents = reader::read(&folder);
    balances(&contents, 60);
    assert_eq!(dropped(&contents.ledger, Reason::TraceDiskError), 30);
    assert_eq!(contents.events.len(), 30);
}

/// A small disk of its own; None: mounting is not allowed here.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mounted(bytes: u64) -> Option<SmallDisk> {
        let place = place();
        let target = std::ffi::CString::new(place.path().to_str()?).ok()?;
        let size = std::ffi::CString::new(format!("size={bytes}")).ok()?;
        let tmpfs = c"tmpfs".as_ptr();
        // SAFETY: all four strings are NUL-terminated and live until the call has returned.
        let mounted = unsafe { libc::mount(tmpfs, target.as_ptr(), tmpfs, 0, size.as_ptr().cast()) };
        (mounted == 0).then_some(SmallDisk(place))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let target = std::ffi::CString::new(self.0.path().to_str().unwrap_or_default()).unwrap_or_default();
        // SAFETY: the path is NUL-terminated and lives until the call has returned.
        unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) };
    }
}

/// Takes all but nothing of a disk.
fn fill(path: &Path) {
    use std::io::Write;
    let mut ballast = std::fs::File::create(path.join("ballast")).expect("a ballast");
    for size in [64 << 10, 4 << 10, 1] {
        while ballast.write_all(&vec![1; size]).is_ok() {}
    }
}

#[test]
fn a_full_disk_costs_single_events_and_neither_totals_nor_the_account_of_the_loss() {
    let Some(disk) = SmallDisk::mounted(4 << 20) else {
        eprintln!("skipped: only root may mount a small disk");
        return;
    };
    let mut trace = created(small_segments(disk.0.path(), 1_000));
    let folder = trace.folder().to_owned();
    (0..5_000).for_each(|seq| trace.push(&events::plain(seq)));
    assert!(trace.flush(DEADLINE));
    fill(disk.0.path());
    (5_000..10_000).for_each(|seq| trace.push(&events::plain(seq)));
    // The reserve takes what must be said even so.
    assert!(trace.close("done"));
    let contents = reader::read(&folder);
    balances(&contents, 10_000);
    assert_eq!(dropped(&contents.ledger, Reason::TraceDiskFull), 5_000);
    let about: crate::trace::About =
        serde_json::from_slice(&std::fs::read(folder.join("trace.json")).expect("trace.json")).expect("JSON");
    assert_eq!(about.end_reason.as_deref(), Some("done"));
}

#[test]
fn events_are_stored_again_when_a_full_disk_has_space_again() {
    let Some(disk) = SmallDisk::mounted(4 << 20) else {
        eprintln!("skipped: only root may mount a small disk");
        return;
    };
    let mut trace = created(small_segments(disk.0.path(), 1_000));
    let folder = trace.folder().to_owned();
    fill(disk.0.path());
    let mut pushed = 0;
    let mut push = |trace: &mut Trace, count: u64| {
        (pushed..pushed + count).for_each(|seq| trace.push(&events::plain(seq)));
        pushed += count;
    };
    // Beyond what the reserve holds.
    while trace.flush(DEADLINE) {
        push(&mut trace, 1_000);
    }
    std::fs::remove_file(disk.0.path().join("ballast")).expect("the ballast");
    push(&mut trace, 1_000);
    assert!(trace.close("done"));
    let contents = reader::read(&folder);
    balances(&contents, pushed);
    assert!(dropped(&contents.ledger, Reason::TraceDiskFull) > 0);
    assert_eq!(contents.events.last().map(|event| event.seq), Some(pushed - 1));
}

#[test]
fn below_the_limit_of_free_space_single_events_stop_and_totals_go_on() {
    let place = place();
    let mut scarce = about();
    scarce.options.min_free_percent = 101;
    let mut trace = Trace::create(small_segments(place.path(), 10), scarce).expect("a new trace");
    let folder = trace.folder().to_owned();
    assert!(trace.flush(DEADLINE));
    (0..100).for_each(|seq| trace.push(&events::plain(seq)));
    assert!(trace.close("done"));
    let contents = reader::read(&folder);
    balances(&contents, 100);
    assert_eq!(dropped(&contents.ledger, Reason::LowDiskSpace), 100);
}

#[test]
fn beyond_its_limit_a_trace_loses_its_oldest_events_and_says_how_many() {
    let place = place();
    let mut limited = about();
    limited.options.max_bytes = 40 << 10;
    let mut trace = Trace::create(small_segments(place.path(), 1_000), limited).expect("a new trace");
    let folder = trace.folder().to_owned();
    for part in 0..40 {
        (part * 1_000..part * 1_000 + 1_000).for_each(|seq| trace.push(&events::plain(seq)));
        assert!(trace.flush(DEADLINE));
    }
    wait_until("old events are gone", || {
        reader::lines(&folder, &mut 0).iter().any(|line| matches!(line, Line::Remove { .. }))
    });
    assert!(trace.close("done"));
    let contents = reader::read(&folder);
    balances(&contents, 40_000);
    let sum = contents.ledger.sum();
    assert!(sum.removed > 0 && sum.dropped == 0);
    let kept: Vec<u64> = contents.events.iter().map(|event| event.seq).collect();
    assert_eq!(kept, (sum.removed..40_000).collect::<Vec<_>>());
    let removed = contents.ledger.rows().into_iter().filter(|(_, counts)| counts.removed > 0);
    removed.for_each(|(entry, _)| assert_eq!(entry.loss, Some((Reason::TraceLimit, Stage::Retention))));
}

#[test]
fn what_a_queue_has_dropped_before_counts_in_totals_and_ledger() {
    let place = place();
    let mut trace = created(small_segments(place.path(), 10));
    let folder = trace.folder().to_owned();
    let mut drops = Totals::default();
    (0..30).for_each(|seq| drops.count(&crate::trace::Sample::from(&events::plain(seq))));
    trace.count_dropped(4, &drops, Reason::QueueFull, Stage::Queue);
    trace.push(&events::plain(30));
    assert!(trace.close("done"));
    let contents = reader::read(&folder);
    balances(&contents, 31);
    let lost = contents.ledger.rows().into_iter().find(|(entry, _)| entry.stream == 4).expect("the loss");
    assert_eq!((lost.0.loss, lost.1.dropped), (Some((Reason::QueueFull, Stage::Queue)), 30));
}
