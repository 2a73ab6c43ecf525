//! Events for tests: plain ones by number, and any that the types allow.

use std::sync::{Arc, LazyLock};

use proptest::option;
use proptest::prelude::*;

use crate::event::{Event, FileType, Kind, Op, Origin, Plane};

// Shared as the collector shares them.
static PATH: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from("/data/file"));
static COMM: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from("program"));

/// One millisecond apart, all fields filled but those of rare calls.
pub fn plain(seq: u64) -> Event {
    Event {
        stream: 0,
        seq,
        ts_ns: 1_700_000_000_000_000_000 + seq as i64 * 1_000_000,
        duration_ns: 1_000 + seq % 7,
        backing_ns: Some(500),
        requests: 1,
        op: if seq.is_multiple_of(3) { Op::Write } else { Op::Read },
        kind: Kind::Request,
        syscall_nr: None,
        origin: Origin::Program,
        plane: Plane::Daemon,
        path: Some(PATH.clone()),
        path2: None,
        offset: Some(seq * 4096),
        size: Some(4096),
        result: Some(4096),
        errno: 0,
        flags: Some(2),
        mode: None,
        ino: Some(12),
        dev: Some(45),
        fh: Some(3),
        file_type: Some(FileType::Regular),
        pid: Some(100),
        tid: Some(101),
        uid: Some(1000),
        gid: Some(1000),
        comm: Some(COMM.clone()),
    }
}

fn name() -> impl Strategy<Value = Option<Arc<str>>> {
    let few = prop::sample::select(vec!["", "/a", "/a/b", "/ä\n\u{1b}[0m", "/\\xff"]);
    let text = prop_oneof![few.prop_map(str::to_owned), any::<String>()];
    option::of(text.prop_map(|text| Arc::from(text.as_str())))
}

fn positive() -> impl Strategy<Value = u64> {
    prop_oneof![0..10u64, 0..=i64::MAX as u64]
}

/// Small enough that a hundred of them add up to what a column holds.
fn amount() -> impl Strategy<Value = u64> {
    prop_oneof![0..10u64, 0..1u64 << 50]
}

fn number32() -> impl Strategy<Value = u32> {
    0..=i32::MAX as u32
}

type What = (Op, Kind, Origin, Plane, Option<u16>, u16);

fn what() -> impl Strategy<Value = What> {
    (
        prop::sample::select(Op::ALL),
        prop::sample::select(Kind::ALL),
        prop::sample::select(vec![Origin::Program, Origin::Kernel]),
        prop::sample::select(vec![Plane::Daemon, Plane::Kernel]),
        option::of(any::<u16>()),
        0..3u16,
    )
}

type Numbers = (Option<u64>, Option<u64>, Option<i64>, u16, Option<u32>, Option<u32>, Option<u64>);

fn numbers() -> impl Strategy<Value = Numbers> {
    (
        option::of(positive()),
        option::of(positive()),
        option::of(-(1i64 << 50)..1i64 << 50),
        prop_oneof![Just(0), any::<u16>()],
        option::of(any::<u32>()),
        option::of(any::<u32>()),
        option::of(any::<u64>()),
    )
}

type File = (Option<Arc<str>>, Option<Arc<str>>, Option<u64>, Option<u64>, u32);

fn file() -> impl Strategy<Value = File> {
    let types =
        [libc::S_IFREG, libc::S_IFDIR, libc::S_IFLNK, libc::S_IFIFO, libc::S_IFSOCK, libc::S_IFCHR, libc::S_IFBLK, 0];
    (name(), name(), option::of(any::<u64>()), option::of(any::<u64>()), prop::sample::select(types.to_vec()))
}

type Who = (Option<u32>, Option<u32>, Option<u32>, Option<u32>, Option<Arc<str>>);

fn who() -> impl Strategy<Value = Who> {
    (option::of(number32()), option::of(number32()), option::of(any::<u32>()), option::of(any::<u32>()), name())
}

/// Any event, of one of three streams; its seq is to be set by who pushes it.
pub fn any_event() -> impl Strategy<Value = Event> {
    let times = (0..5_000_000_000i64, amount(), option::of(amount()), number32());
    (what(), times, numbers(), file(), who()).prop_map(|(what, times, numbers, file, who)| {
        let (op, kind, origin, plane, syscall_nr, stream) = what;
        let (ts_ns, duration_ns, backing_ns, requests) = times;
        let (offset, size, result, errno, flags, mode, fh) = numbers;
        let (path, path2, ino, dev, file_mode) = file;
        let (pid, tid, uid, gid, comm) = who;
        let file_type = FileType::from_mode(file_mode);
        let seq = 0;
        #[rustfmt::skip]
        let event = Event {
            stream, seq, ts_ns, duration_ns, backing_ns, requests, op, kind, syscall_nr, origin, plane, path, path2,
            offset, size, result, errno, flags, mode, ino, dev, fh, file_type, pid, tid, uid, gid, comm,
        };
        event
    })
}
