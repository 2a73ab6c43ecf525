//! The kernel plane's half of the collector: joins what the eBPF program reports of system calls with the requests that the
//! workers have served for them, and makes one event of each call. Knows call numbers and columns; no FUSE and no Parquet.
//!
//! A call that took no request is complete as reported: its file is known by handle. One that took requests waits until their
//! records have come, which tell its path and backing time. Requests that belong to no call stay requests.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::memo::Memo;
use super::names::{Names, Paths};
use super::open_files::{File, OpenFiles};
use super::parts::{Part, Parts};
use super::record::{Record, present};
use super::reported::{self, Side, Table, call_of, op_of, sides, value};
use super::shed;
use crate::event::{Event, Kind, Op, Origin, Plane, escape};
use crate::observe::calls::{Argument, Call, by_number, names};
use crate::observe::{self, Lost, Report, Ring};
use crate::trace::{Clock, Totals};
use crate::wire::now_ns;

/// The stream of everything in this plane: the collector numbers it, since it comes from many queues.
pub const STREAM: u16 = 1;

/// A call's records are in the queue before it ends, so the next look into the queue finds them; what is missing then was
/// dropped there.
pub const LOOKS: u8 = 2;

/// Calls whose requests are remembered at most, but for those of the last minute: nothing follows for a call whose own report
/// the ring refused.
const MAX_PARTS: usize = 10_000;
const PARTS_STAY_NS: u64 = 60_000_000_000;

/// Different names of threads remembered as text.
const MAX_COMMS: usize = 4096;

/// Which call: its thread, and when it began.
type Key = (u32, u64);

struct Ended {
    report: Report,
    looks: u8,
    /// Of the files that it names by descriptor, once something is about to change names.
    paths: Option<Paths>,
}

/// What the numbers in a report stand for.
struct Named {
    /// Of the files that it names by descriptor.
    paths: Paths,
    file: Option<File>,
    comm: Arc<str>,
}

pub struct Calls {
    ring: Ring,
    table: Box<Table>,
    files: OpenFiles,
    /// Requests that the program has reported and whose record has not come: (connection, unique).
    asked: FxHashMap<(u8, u32), Key>,
    parts: FxHashMap<Key, Parts>,
    /// By their start; those up to `settled` know the paths of their files.
    ended: Vec<Ended>,
    settled: usize,
    /// Calls without requests, by their start; those up to `taken` are events already.
    plain: Vec<Report>,
    taken: usize,
    /// What became of processes since the last look.
    changes: Vec<Report>,
    comms: FxHashMap<[u8; 16], Arc<str>>,
    memo: Memo,
    next_seq: u64,
    lost: Lost,
}

/// What the collector lends.
pub struct Context<'a> {
    pub names: &'a [Names],
    pub clock: Clock,
}

impl Calls {
    pub fn new(ring: Ring, clock: Clock) -> Calls {
        ring.set_clock(clock.wall_minus_mono_ns);
        Calls {
            ring,
            table: by_number(),
            files: OpenFiles::default(),
            asked: FxHashMap::default(),
            parts: FxHashMap::default(),
            ended: Vec::new(),
            settled: 0,
            plain: Vec::new(),
            taken: 0,
            changes: Vec::new(),
            comms: FxHashMap::default(),
            memo: Memo::new(),
            next_seq: 0,
            lost: Lost::default(),
        }
    }

    /// The number of the next event; dropped ones use numbers up too.
    pub fn number(&mut self, events: u64) -> u64 {
        let seq = self.next_seq;
        self.next_seq += events;
        seq
    }

    /// Takes what the rings hold. To be called after the queue has been drained: then each record drained has its report.
    pub fn look(&mut self) -> usize {
        self.files.age();
        self.plain.drain(..self.taken);
        self.taken = 0;
        self.settled = 0;
        let Calls { ring, asked, ended, plain, changes, .. } = self;
        let found = ring.drain(|report| match report.kind() {
            observe::Kind::Request => {
                asked.insert((report.connection, report.file as u32), (report.tid, report.start_ns));
            }
            observe::Kind::Task => changes.push(*report),
            _ if report.requests > 0 => ended.push(Ended { report: *report, looks: 0, paths: None }),
            _ => plain.push(*report),
        });
        plain.sort_by_key(|report| report.start_ns);
        ended.sort_by_key(|ended| ended.report.start_ns);
        found
    }

    /// What became of processes, in the order of time.
    pub fn changes(&mut self) -> Vec<Report> {
        let mut changes = std::mem::take(&mut self.changes);
        changes.sort_by_key(|report| report.start_ns);
        changes
    }

    /// Totals of the calls that the rings could not hold since the last time.
    pub fn shed(&mut self) -> Totals {
        let mut totals = Totals::default();
        let Calls { ring, table, .. } = self;
        ring.take_shed(|shed| shed::count(&mut totals, table, &shed));
        totals
    }

    /// How many calls more nothing is known of.
    pub fn newly_lost(&mut self) -> u64 {
        let calls = |lost: Lost| lost.uncounted + lost.unended;
        let lost = self.ring.lost();
        calls(lost) - calls(std::mem::replace(&mut self.lost, lost))
    }

    /// What is to be said of the whole trace, at its end.
    pub fn remark(&self) -> Option<String> {
        shed::remark(self.lost, self.ring.flying())
    }

    /// Learns from a record which file a handle stands for.
    pub fn follow(&mut self, record: &Record, paths: &Paths) {
        self.files.follow(record, &paths.path);
    }

    /// Takes a record that is part of a call. Else it comes back, and whether any program waited for it is known.
    pub fn claim(&mut self, mut record: Record, paths: Paths) -> Option<(Record, Paths)> {
        match self.asked.remove(&(record.connection, record.unique)) {
            Some(key @ (_, start_ns)) if start_ns != 0 => {
                let parts = self.parts.entry(key).or_default();
                if record.origin == Origin::Program {
                    parts.own.push(Part { record, paths });
                    return None;
                }
                parts.foreign += 1;
            }
            Some(_) => record.origin = Origin::Kernel,
            None => {}
        }
        Some((record, paths))
    }

    /// A record that does not become an event: its call must not wait for it.
    pub fn disclaim(&mut self, record: &Record) {
        if let Some(key @ (_, start_ns)) = self.asked.remove(&(record.connection, record.unique))
            && start_ns != 0
        {
            self.parts.entry(key).or_default().foreign += 1;
        }
    }

    /// Gives `each` the calls without requests that began before. Names may have changed since the last time.
    pub fn take_until(&mut self, before_ns: u64, context: &Context<'_>, mut each: impl FnMut(&Event)) {
        self.memo.forget();
        while let Some(&report) = self.plain.get(self.taken).filter(|report| report.start_ns < before_ns) {
            self.taken += 1;
            let seq = self.number(1);
            let event = match self.memo.take(&report) {
                Some(mut event) => {
                    self.tell(&mut event, &report, context, seq);
                    event
                }
                None => {
                    let named = self.named(&report, self.paths_of_files(&report, context));
                    Box::new(self.event(&report, named, context, seq))
                }
            };
            each(&event);
            self.memo.keep(&report, event);
        }
    }

    /// Names are about to change: calls that began before keep the paths that their files have now.
    pub fn settle(&mut self, before_ns: u64, context: &Context<'_>) {
        while let Some(ended) = self.ended.get(self.settled).filter(|ended| ended.report.start_ns < before_ns) {
            if ended.paths.is_none() {
                let paths = self.paths_of_files(&ended.report, context);
                self.ended[self.settled].paths = Some(paths);
            }
            self.settled += 1;
        }
    }

    /// Calls whose requests have all come; and requests that turned out to belong to none.
    pub fn complete(&mut self, context: &Context<'_>) -> (Vec<Event>, Vec<(Record, Paths)>) {
        let (mut events, mut requests) = (Vec::new(), Vec::new());
        let mut waiting = Vec::new();
        for mut ended in std::mem::take(&mut self.ended) {
            let key = (ended.report.tid, ended.report.start_ns);
            let come = self.parts.get(&key).map_or(0, Parts::come);
            ended.looks += 1;
            if come < ended.report.requests && ended.looks < LOOKS {
                waiting.push(ended);
                continue;
            }
            let parts = self.parts.remove(&key).unwrap_or_default();
            let names_a_file = ended.report.file != 0 || ended.report.other != 0;
            // An exec of another file that only closes ours is no call on them.
            if !names_a_file && self.only_closes(&ended.report, &parts) {
                requests.extend(parts.own.into_iter().map(|part| (part.record, part.paths)));
                continue;
            }
            // Page faults alone make no call of a mount's.
            if names_a_file || parts.foreign < ended.report.requests {
                let seq = self.number(1);
                let paths = ended.paths.unwrap_or_else(|| self.paths_of_files(&ended.report, context));
                let named = self.named(&ended.report, paths);
                let mut event = self.event(&ended.report, named, context, seq);
                self.add_parts(&mut event, &ended.report, &parts);
                events.push(event);
            }
        }
        self.ended = waiting;
        self.forget_parts();
        requests.iter_mut().for_each(|(record, _)| record.origin = Origin::Kernel);
        (events, requests)
    }

    fn forget_parts(&mut self) {
        if self.parts.len() > MAX_PARTS {
            let since_ns = now_ns().saturating_sub(PARTS_STAY_NS);
            self.parts.retain(|(_, start_ns), _| *start_ns >= since_ns);
        }
    }

    fn only_closes(&self, report: &Report, parts: &Parts) -> bool {
        let is_exec = call_of(&self.table, report).0.is_some_and(|call| call.op == Op::Execve);
        is_exec && parts.own.iter().all(|part| part.record.op == Op::Flush)
    }

    fn named(&mut self, report: &Report, paths: Paths) -> Named {
        let file = match sides(call_of(&self.table, report).0, report).0 {
            Side::Handle(handle) => self.files.find(report.connection, handle),
            _ => None,
        };
        Named { paths, file, comm: self.comm(&report.comm) }
    }

    /// A call that took no requests, or whose requests are still to be added.
    fn event(&self, report: &Report, named: Named, context: &Context<'_>, seq: u64) -> Event {
        let (call, kind) = call_of(&self.table, report);
        let Named { paths, file, comm } = named;
        let mut event = Event {
            stream: STREAM,
            seq,
            ts_ns: 0,
            duration_ns: 0,
            backing_ns: None,
            requests: report.requests,
            op: op_of(call, report),
            kind,
            syscall_nr: (kind == Kind::Call).then_some(report.nr),
            origin: Origin::Program,
            plane: Plane::Kernel,
            path: paths.path,
            path2: paths.path2,
            offset: None,
            size: None,
            result: None,
            errno: 0,
            flags: None,
            mode: None,
            ino: file.map(|file| file.ino),
            dev: file.map(|file| file.dev.into()),
            fh: (report.file != 0 && !report.is_node()).then_some(report.file),
            file_type: file.and_then(|file| file.file_type),
            pid: None,
            tid: Some(report.tid),
            uid: None,
            gid: None,
            comm: Some(comm),
        };
        self.tell(&mut event, report, context, seq);
        event
    }

    /// What is another's in a report about the same.
    fn tell(&self, event: &mut Event, report: &Report, context: &Context<'_>, seq: u64) {
        let call = call_of(&self.table, report).0;
        let told = |argument: fn(&Call) -> Argument| call.and_then(|call| value(argument(call), report));
        event.seq = seq;
        event.ts_ns = context.clock.ts_ns(report.start_ns);
        event.duration_ns = report.duration_ns;
        event.op = op_of(call, report);
        event.offset = reported::offset(call, report, None);
        event.size = told(|call| call.size);
        event.result = Some(report.result.max(0));
        event.errno = reported::errno(report.result);
        event.flags = told(|call| call.flags).map(|flags| flags as u32);
        event.mode = told(|call| call.mode).map(|mode| mode as u32);
        // A number may have gone to another process.
        event.pid = Some(report.pid);
        event.uid = Some(report.uid);
        event.gid = Some(report.gid);
    }

    /// What its requests tell of a call beside its own report.
    fn add_parts(&self, event: &mut Event, report: &Report, parts: &Parts) {
        let call = call_of(&self.table, report).0;
        let main = parts.main(event.op);
        // As in the daemon plane, so that what makes files is asked for in one way.
        if event.op == Op::Open && report.result >= 0 && main.is_some_and(|part| part.record.op == Op::Create) {
            event.op = Op::Create;
        }
        let files = Paths { path: event.path.take(), path2: event.path2.take() };
        let both_names = parts.both_names(event.op, event.errno);
        Paths { path: event.path, path2: event.path2 } = both_names.unwrap_or_else(|| paths(call, main, files));
        let (offset, size) = parts.range(event.op);
        event.backing_ns = parts.backing_ns();
        event.offset = reported::offset(call, report, offset);
        event.size = event.size.or(size);
        let Some(record) = main.map(|part| &part.record) else { return };
        event.flags = event.flags.or(record.has(present::FLAGS).then_some(record.flags));
        event.mode = event.mode.or(record.has(present::MODE).then_some(record.mode));
        event.ino = event.ino.or(record.has(present::INO).then_some(record.ino));
        event.dev = event.dev.or(record.has(present::INO).then_some(record.dev.into()));
        event.file_type = event.file_type.or(record.file_type);
    }

    /// Of the files that a call names by descriptor, as they are now.
    fn paths_of_files(&self, report: &Report, context: &Context<'_>) -> Paths {
        let names = context.names.get(usize::from(report.connection));
        let of_side = |side: Side| -> Option<Arc<str>> {
            match side {
                Side::None => None,
                Side::Node(node) => names?.path_of_node(node, report.tid),
                Side::Handle(fh) => match self.files.released(report.connection, fh) {
                    Some(released) => released.path.clone(),
                    None => names?.path_of_handle(fh, report.tid),
                },
            }
        };
        let (first, second) = sides(call_of(&self.table, report).0, report);
        Paths { path: of_side(first), path2: of_side(second) }
    }

    fn comm(&mut self, comm: &[u8; 16]) -> Arc<str> {
        if let Some(known) = self.comms.get(comm) {
            return known.clone();
        }
        if self.comms.len() >= MAX_COMMS {
            self.comms.clear();
        }
        let end = comm.iter().position(|byte| *byte == 0).unwrap_or(comm.len());
        let text: Arc<str> = escape(&comm[..end]).into();
        self.comms.insert(*comm, text.clone());
        text
    }
}

/// A call with a descriptor is about its file; one that also names a path, about that, which its requests tell.
fn paths(call: Option<&'static Call>, main: Option<&Part>, files: Paths) -> Paths {
    let Some(Part { paths, .. }) = main else { return files };
    let by_path = call.is_none_or(|call| call.names & names::BY_REQUESTS != 0);
    let or = |file: Option<Arc<str>>, asked: &Option<Arc<str>>| file.filter(|_| !by_path).or_else(|| asked.clone());
    Paths { path: or(files.path, &paths.path), path2: or(files.path2, &paths.path2) }
}
