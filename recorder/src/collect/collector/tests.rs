//! The collector, from records in the queue to rows in a trace on disk.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::*;
use crate::collect::record::{Facts, Listed, Names as Carried, PackedEntries};
use crate::collect::samples::{as_directory, by_handle, failed, named, record, rename};
use crate::collect::{Connection, MAX_RECORDS};
use crate::event::{Op, Origin};
use crate::trace::Settings;
use crate::trace::tests::reader::{Contents, read};
use crate::wire::operation::Read;
use crate::wire::{Answer, Handle, Node, Operation, Payload, ReplyBuffer, Request};

const DEADLINE: Duration = Duration::from_secs(30);

/// A recorder without a mount: what tests push comes out of a real trace.
struct Bench {
    place: tempfile::TempDir,
    queue: Arc<Queue>,
    processes: Arc<Processes>,
    collector: Collector,
}

impl Bench {
    fn start(limit_records: usize) -> Bench {
        let place = tempfile::tempdir().expect("a temporary folder");
        let mut about = About::new("test");
        about.options.min_free_percent = 0;
        let trace = Trace::create(Settings::new(place.path().join("trace")), about).expect("a new trace");
        let queue = Arc::new(Queue::new(limit_records, trace.clock()));
        let processes = Arc::new(Processes::new());
        let mount_points = [PathBuf::from("/one"), PathBuf::from("/two")];
        let collector = Collector::start(queue.clone(), trace, processes.clone(), &mount_points).expect("a thread");
        Bench { place, queue, processes, collector }
    }

    fn contents(&self) -> Contents {
        read(&self.place.path().join("trace"))
    }

    fn stop(self) -> Contents {
        assert!(self.collector.stop("test"));
        read(&self.place.path().join("trace"))
    }
}

fn paths(contents: &Contents) -> Vec<(Op, Option<&str>)> {
    contents.events.iter().map(|event| (event.op, event.path.as_deref())).collect()
}

#[test]
fn records_become_events_with_the_names_of_their_time() {
    let bench = Bench::start(MAX_RECORDS);
    for record in [
        as_directory(named(Op::Mkdir, 1, "d", Some(2))),
        Record { fh: 7, present: present::FH, ..named(Op::Create, 2, "f", Some(3)) },
        by_handle(Op::Write, 3, 7),
        rename((1, "d"), (1, "e"), false),
        by_handle(Op::Write, 3, 7),
        failed(named(Op::Unlink, 2, "g", None), libc::ENOENT),
        by_handle(Op::Release, 3, 7),
    ] {
        bench.queue.push(record);
    }
    let contents = bench.stop();
    let expected = [
        (Op::Mkdir, Some("/one/d")),
        (Op::Create, Some("/one/d/f")),
        (Op::Write, Some("/one/d/f")),
        (Op::Rename, Some("/one/d")),
        (Op::Write, Some("/one/e/f")),
        (Op::Unlink, Some("/one/e/g")),
        (Op::Release, Some("/one/e/f")),
    ];
    assert_eq!(paths(&contents), expected);
    assert_eq!(contents.events[3].path2.as_deref(), Some("/one/e"));
    assert!(contents.events.iter().map(|event| event.seq).eq(0..7));
}

#[test]
fn what_was_pushed_before_a_flush_is_in_the_trace_after_it() {
    let bench = Bench::start(MAX_RECORDS);
    for turn in 1..4 {
        (0..1000).for_each(|_| bench.queue.push(record(Op::Getattr, 1)));
        assert!(bench.collector.flush(DEADLINE));
        assert_eq!(bench.contents().events.len(), turn * 1000);
    }
    assert!(bench.collector.stop("test"));
}

#[test]
fn each_connection_has_nodes_of_its_own() {
    let bench = Bench::start(MAX_RECORDS);
    bench.queue.push(named(Op::Lookup, 1, "a", Some(2)));
    bench.queue.push(Record { connection: 1, ..named(Op::Lookup, 1, "b", Some(2)) });
    bench.queue.push(record(Op::Getattr, 2));
    bench.queue.push(Record { connection: 1, ..record(Op::Getattr, 2) });
    let contents = bench.stop();
    let names: Vec<_> = contents.events.iter().map(|event| event.path.as_deref()).collect();
    assert_eq!(names, [Some("/one/a"), Some("/two/b"), Some("/one/a"), Some("/two/b")]);
}

#[test]
fn what_the_queue_dropped_is_in_totals_and_ledger() {
    let bench = Bench::start(16);
    let pushed = 200_000;
    (0..pushed).for_each(|_| bench.queue.push(record(Op::Read, 1)));
    let contents = bench.stop();
    let sum = contents.ledger.sum();
    assert_eq!((sum.seen, sum.stored), (pushed, contents.events.len() as u64));
    assert_eq!(sum.seen, sum.stored + sum.dropped);
    assert_eq!(contents.totals.counted(), pushed);
    assert!(sum.dropped > 0);
    let reasons = contents.ledger.rows().into_iter().filter_map(|(entry, _)| entry.loss);
    assert!(reasons.into_iter().all(|loss| loss == (Reason::QueueFull, Stage::Queue)));
}

#[test]
fn a_dropped_rename_still_renames() {
    let bench = Bench::start(16);
    bench.queue.push(named(Op::Lookup, 1, "a", Some(2)));
    assert!(bench.collector.flush(DEADLINE));
    // Nothing is taken meanwhile: the collector is held by a change of trace.json.
    let (held, hold) = (channel(), channel::<()>());
    bench.collector.update(move |_| {
        held.0.send(()).expect("somebody waits");
        hold.1.recv().expect("somebody releases");
    });
    held.1.recv().expect("held");
    (0..16).for_each(|_| bench.queue.push(record(Op::Getattr, 2)));
    bench.queue.push(rename((1, "a"), (1, "b"), false));
    hold.0.send(()).expect("held");
    assert!(bench.collector.flush(DEADLINE));
    bench.queue.push(record(Op::Getattr, 2));
    let contents = bench.stop();
    assert_eq!(contents.ledger.sum().dropped, 1);
    assert_eq!(contents.events.last().and_then(|event| event.path.as_deref()), Some("/one/b"));
}

#[test]
fn listed_and_forgotten_nodes_reach_the_names() {
    let bench = Bench::start(MAX_RECORDS);
    let mut entries = PackedEntries::default();
    entries.push(2, true, b"d");
    bench.queue.listed(Listed { connection: 0, parent: 1, start_ns: 0, entries });
    bench.queue.push(by_handle(Op::Opendir, 2, 1));
    bench.queue.gone(0, Node(2));
    bench.queue.push(by_handle(Op::Releasedir, 2, 1));
    let contents = bench.stop();
    assert_eq!(paths(&contents), [(Op::Opendir, Some("/one/d")), (Op::Releasedir, Some("/one/d"))]);
}

#[test]
fn a_connection_puts_down_who_asked_and_what_came_of_it() {
    let bench = Bench::start(MAX_RECORDS);
    let connection = Connection::new(bench.queue.clone(), bench.processes.clone(), 1);
    let (reply, done): (_, Answer) = (ReplyBuffer::new(), Ok(Payload::Bytes(4096)));
    let read = Operation::Read(Read { handle: Handle(3), offset: 0, size: 4096, flags: 0, for_page_cache: false });
    let tid = std::process::id();
    let request = |tid, operation| Request {
        unique: 2,
        opcode: 0,
        node: Node::ROOT,
        uid: 1,
        gid: 2,
        tid,
        arrived_ns: now_ns(),
        operation,
    };
    let facts = Facts { result: 4096, ino: 5, dev: 6, ..Facts::default() };
    connection.served(&request(tid, read), &facts, &done, &reply);
    connection.served(&request(0, read), &facts, &done, &reply);
    connection.served(&request(tid, Operation::Forget { lookups: 1 }), &facts, &Ok(Payload::Silence), &reply);
    connection.gone(Node(9));
    let contents = bench.stop();
    let [program, kernel] = &contents.events[..] else { panic!("two events") };
    assert_eq!((program.pid, program.tid, program.uid, program.gid), (Some(tid), Some(tid), Some(1), Some(2)));
    assert_eq!((program.result, program.ino, program.dev, program.fh), (Some(4096), Some(5), Some(6), Some(3)));
    let comm = std::fs::read_to_string(format!("/proc/{tid}/comm")).expect("our own");
    assert_eq!(program.comm.as_deref(), Some(comm.trim_end()));
    assert_eq!((program.origin, kernel.origin), (Origin::Program, Origin::Kernel));
    assert_eq!((kernel.pid, kernel.tid, kernel.uid, kernel.comm.as_deref()), (None, None, None, None));
    assert_eq!(program.path.as_deref(), Some("/two"));
    assert_eq!(contents.processes.iter().map(|batch| batch.num_rows()).sum::<usize>(), 1);
}

#[test]
fn names_that_are_no_text_survive_the_whole_way() {
    let bench = Bench::start(MAX_RECORDS);
    let name = Path::new(std::ffi::OsStr::from_bytes(b"a\xff\n")).as_os_str().as_bytes().into();
    let names = Carried { name, child: Some(2), ..Carried::default() };
    bench.queue.push(Record { names: Some(Box::new(names)), ..record(Op::Lookup, 1) });
    assert_eq!(paths(&bench.stop()), [(Op::Lookup, Some("/one/a\\xff\n"))]);
}

#[test]
fn what_becomes_known_of_the_trace_is_written_into_it() {
    let bench = Bench::start(MAX_RECORDS);
    bench.collector.update(|about| about.plane_reason = "said later".into());
    let folder = bench.place.path().join("trace");
    assert!(bench.collector.stop("test"));
    let text = std::fs::read(folder.join("trace.json")).expect("written");
    let about: About = serde_json::from_slice(&text).expect("JSON");
    assert_eq!((about.plane_reason.as_str(), about.end_reason.as_deref()), ("said later", Some("test")));
}
