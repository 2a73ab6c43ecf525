//! The one collector: takes what the workers put down, gives it its paths and its process, and feeds the trace.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use rustc_hash::FxHashSet;

use super::awake::Awake;
use super::calls::{self, Calls, Context};
use super::looker::Looker;
use super::names::{Names, Paths};
use super::queue::Queue;
use super::record::{Item, Record, present};
use super::tasks::Tasks;
use crate::event::{Event, Kind, Plane};
use crate::observe::{self, Ring};
use crate::priority::{set_nice, set_nice_of_session};
use crate::process::Processes;
use crate::trace::{About, Clock, Error, Flush, Note, Reason, Stage, Trace};
use crate::wire::now_ns;

/// Between two looks into the queue while there is traffic. Nobody wakes the collector: a wake-up would cost the program
/// some microseconds a call, and one look finds some thousand records.
const BUSY_PAUSE: Duration = Duration::from_millis(10);

/// While there is none; the trace wants to be told the time as often as this.
const IDLE_PAUSE: Duration = Duration::from_millis(50);

/// The only stream of this plane: all workers of all connections put down into one queue.
const STREAM: u16 = 0;

type Change = Box<dyn FnOnce(&mut About) + Send>;

enum Command {
    Flush(Sender<Flush>),
    Update(Change),
    Stop(String),
}

/// The running collector. Dropping it without `stop` ends it too.
pub struct Collector {
    commands: Sender<Command>,
    thread: JoinHandle<bool>,
}

impl Collector {
    /// `mount_points`: of each connection by its number, as the traced program names them.
    pub fn start(
        queue: Arc<Queue>,
        trace: Trace,
        processes: Arc<Processes>,
        mount_points: &[PathBuf],
    ) -> Result<Collector, Error> {
        Self::start_with(queue, trace, processes, mount_points, None)
    }

    /// As `start`; system calls come through `ring`, if there is one.
    pub fn start_with(
        queue: Arc<Queue>,
        trace: Trace,
        processes: Arc<Processes>,
        mount_points: &[PathBuf],
        ring: Option<Ring>,
    ) -> Result<Collector, Error> {
        let (commands, receiver) = channel();
        let mount_points = mount_points.to_vec();
        let name = "glassfs-collect";
        // Here, so that the ring knows the clock before any mount is watched.
        let calls = ring.map(|ring| Calls::new(ring, trace.clock()));
        let body = move || {
            if calls.is_some() {
                set_nice(NICE);
                set_nice_of_session(NICE);
            }
            Collecting::new(queue, trace, processes, &mount_points, calls).run(&receiver)
        };
        let thread = Builder::new().name(name.into()).spawn(body).map_err(|cause| Error::Thread { name, cause })?;
        Ok(Collector { commands, thread })
    }

    /// Waits until everything that was put into the queue before is named in the manifest, or in its ledger; false if
    /// that took longer than `timeout` or the disk did not take it.
    pub fn flush(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let (sender, receiver) = channel();
        if self.commands.send(Command::Flush(sender)).is_err() {
            return false;
        }
        let Ok(flush) = receiver.recv_timeout(timeout) else { return false };
        flush.wait(deadline.saturating_duration_since(Instant::now()))
    }

    /// Changes trace.json, soon.
    pub fn update(&self, change: impl FnOnce(&mut About) + Send + 'static) {
        // A collector that is gone has closed its trace: there is nothing left to change.
        let _ = self.commands.send(Command::Update(Box::new(change)));
    }

    /// Takes what is still in the queue, closes the trace and waits for it. False if the disk did not take everything.
    pub fn stop(self, reason: &str) -> bool {
        let _ = self.commands.send(Command::Stop(reason.to_owned()));
        self.thread.join().unwrap_or(false)
    }
}

/// A ring holds a fifth of a second. Behind 400 busy threads an ordinary thread waits longer; without the right to go
/// first it waits, and what is lost is counted. Its session, only in the kernel plane: where every call waits for a worker,
/// preferring that costs (7 % with four callers on two CPUs).
const NICE: libc::c_int = -15;

/// What the collector's thread owns.
struct Collecting {
    queue: Arc<Queue>,
    trace: Trace,
    processes: Arc<Processes>,
    names: Vec<Names>,
    tasks: Tasks,
    clock: Clock,
    /// The kernel plane's.
    calls: Option<Calls>,
    /// Threads that were looked at since the rings were.
    looked_at: FxHashSet<u32>,
    looker: Looker,
    awake: Awake,
    #[cfg(feature = "failpoints")]
    failpoint: super::failpoint::Failpoint,
}

impl Collecting {
    fn new(
        queue: Arc<Queue>,
        trace: Trace,
        processes: Arc<Processes>,
        mount_points: &[PathBuf],
        calls: Option<Calls>,
    ) -> Collecting {
        let clock = trace.clock();
        let names = mount_points.iter().map(|mount_point| Names::new(mount_point)).collect();
        let looker = if calls.is_some() { Looker::start(processes.clone()) } else { Looker::default() };
        Collecting {
            queue,
            trace,
            processes,
            names,
            tasks: Tasks::new(clock),
            clock,
            calls,
            looked_at: FxHashSet::default(),
            looker,
            awake: Awake::here(),
            #[cfg(feature = "failpoints")]
            failpoint: super::failpoint::Failpoint::default(),
        }
    }

    fn run(mut self, commands: &Receiver<Command>) -> bool {
        let mut pause = IDLE_PAUSE;
        loop {
            let command = commands.recv_timeout(pause);
            let taken = self.gather();
            match command {
                Ok(Command::Flush(reply)) => drop(reply.send(self.trace.flush_soon())),
                Ok(Command::Update(change)) => self.trace.about(change),
                Ok(Command::Stop(reason)) => return self.close(&reason),
                Err(RecvTimeoutError::Disconnected) => return self.close("recorder ended"),
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.trace.tick();
            pause = if taken > 0 { BUSY_PAUSE } else { IDLE_PAUSE };
        }
    }

    fn close(mut self, reason: &str) -> bool {
        // What still waits for its requests, or began while the queue was drained.
        for _ in 0..calls::LOOKS {
            self.gather();
        }
        if let Some(text) = self.calls.as_ref().and_then(Calls::remark) {
            let note = Note { kind: "lost".into(), text, path: None, target: None };
            self.trace.about(|about| about.notes.push(note));
        }
        let gone = self.tasks.gone(now_ns());
        gone.into_iter().for_each(|row| self.trace.process(row));
        self.trace.close(reason)
    }

    /// Takes everything that is in the queue now.
    fn gather(&mut self) -> usize {
        let horizon_ns = now_ns();
        let drained = self.queue.drain();
        let now_ns = now_ns();
        let calls = self.calls.as_mut().map_or(0, Calls::look);
        self.looked_at.clear();
        #[cfg(feature = "failpoints")]
        self.failpoint.took(calls);
        // After the drain: whoever is named in a record was announced before it was put down.
        let rows = self.tasks.learn(self.processes.news(), now_ns);
        rows.into_iter().for_each(|row| self.trace.process(row));
        self.changes_of_processes();
        if !drained.drops.is_empty() {
            self.trace.count_dropped(STREAM, &drained.drops, Reason::QueueFull, Stage::Queue);
        }
        let mut requests = 0;
        for mut chunk in drained.chunks {
            requests += chunk.len();
            chunk.drain(..).for_each(|item| self.take(item, now_ns));
            self.queue.recycle(chunk);
            self.trace.tick();
        }
        self.calls_until(horizon_ns);
        self.calls_with_requests();
        self.calls_without_events();
        self.names.iter_mut().for_each(|names| names.bury(now_ns));
        self.awake.look(requests);
        calls + requests
    }

    fn changes_of_processes(&mut self) {
        let changes = self.calls.as_mut().map(Calls::changes).unwrap_or_default();
        for change in changes {
            if change.change() == observe::Change::Executed {
                self.looker.look_at(change.tid);
            }
            if let Some(row) = self.tasks.change(&change) {
                self.trace.process(row);
            }
        }
    }

    /// Makes events of the calls without requests that began before, and has the others keep their files' paths. They bear
    /// the names of that time: nothing that is done later has been learned yet.
    fn calls_until(&mut self, before_ns: u64) {
        let Some(calls) = &mut self.calls else { return };
        let context = Context { names: &self.names, clock: self.clock };
        let Collecting { trace, looker, looked_at, .. } = self;
        calls.take_until(before_ns, &context, |event| {
            event.tid.into_iter().filter(|tid| looked_at.insert(*tid)).for_each(|tid| looker.look_at(tid));
            trace.push(event);
        });
        calls.settle(before_ns, &context);
    }

    fn calls_with_requests(&mut self) {
        let Some(calls) = &mut self.calls else { return };
        let context = Context { names: &self.names, clock: self.clock };
        let (events, requests) = calls.complete(&context);
        events.iter().for_each(|event| self.trace.push(event));
        requests.into_iter().for_each(|(record, paths)| self.served(record, paths));
    }

    /// What the rings had no room for.
    fn calls_without_events(&mut self) {
        let Some(calls) = &mut self.calls else { return };
        let (shed, lost) = (calls.shed(), calls.newly_lost());
        calls.number(shed.counted() + lost);
        self.trace.count_dropped(calls::STREAM, &shed, Reason::QueueFull, Stage::Queue);
        if lost > 0 {
            self.trace.count_lost(calls::STREAM, self.clock.now_ns(), lost, Reason::QueueFull, Stage::Queue);
        }
    }

    fn take(&mut self, item: Item, now_ns: u64) {
        match item {
            Item::Served(record) => {
                let paths = self.follow(&record);
                self.served(record, paths);
            }
            Item::Unstored(record) => {
                drop(self.follow(&record));
                self.calls.iter_mut().for_each(|calls| calls.disclaim(&record));
            }
            Item::Listed(listed) => {
                self.names.get_mut(usize::from(listed.connection)).into_iter().for_each(|names| names.listed(&listed));
            }
            Item::Gone { connection, node } => {
                self.names.get_mut(usize::from(connection)).into_iter().for_each(|names| names.gone(node.0, now_ns));
            }
            Item::NamesLost => self.names.iter_mut().for_each(Names::forget_all),
        }
    }

    /// A request that is part of a call is no event of its own.
    fn served(&mut self, record: Record, paths: Paths) {
        let event = match &mut self.calls {
            None => self.event(&record, paths),
            Some(calls) => {
                let Some((record, paths)) = calls.claim(record, paths) else { return };
                let seq = calls.number(1);
                Event { stream: calls::STREAM, seq, ..self.event(&record, paths) }
            }
        };
        self.trace.push(&event);
    }

    fn follow(&mut self, record: &Record) -> Paths {
        if self.calls.is_some() && record.concerns_names() {
            self.calls_until(record.finished_ns());
        }
        let names = self.names.get_mut(usize::from(record.connection));
        let paths = names.map_or_else(Paths::default, |names| names.follow(record));
        self.calls.iter_mut().for_each(|calls| calls.follow(record, &paths));
        paths
    }

    fn event(&self, record: &Record, paths: Paths) -> Event {
        let held = |bit, value| record.has(bit).then_some(value);
        let who = self.tasks.who(record.task);
        // The kernel's own requests bear nobody's ids, only zeros.
        let is_somebody = record.tid != 0;
        Event {
            stream: STREAM,
            seq: record.seq,
            ts_ns: self.clock.ts_ns(record.start_ns),
            duration_ns: record.duration_ns,
            backing_ns: held(present::BACKING, record.backing_ns),
            requests: 1,
            op: record.op,
            kind: Kind::Request,
            syscall_nr: None,
            origin: record.origin,
            plane: Plane::Daemon,
            path: paths.path,
            path2: paths.path2,
            offset: held(present::OFFSET, record.offset),
            size: held(present::SIZE, record.size),
            result: Some(record.result),
            errno: record.errno,
            flags: record.has(present::FLAGS).then_some(record.flags),
            mode: record.has(present::MODE).then_some(record.mode),
            ino: held(present::INO, record.ino),
            dev: held(present::INO, record.dev.into()),
            fh: held(present::FH, record.fh),
            file_type: record.file_type,
            pid: who.map(|who| who.pid),
            tid: is_somebody.then_some(record.tid),
            uid: is_somebody.then_some(record.uid),
            gid: is_somebody.then_some(record.gid),
            comm: who.map(|who| who.comm.clone()),
        }
    }
}

#[cfg(test)]
mod tests;
