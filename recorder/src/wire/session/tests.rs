//! The pool over a transport in memory: what is held stays held, what is not is answered, and the bounds hold.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::*;
use crate::wire::parse::samples::{fsync, init, lookup, message, read, write};
use crate::wire::requests::opcode;
use crate::wire::{Answer, Errno, Handle, Payload, ReplyBuffer, Request, flag};

/// Far beyond what any of this takes, so that only a hang reaches it.
const DEADLINE: Duration = Duration::from_secs(10);

#[derive(Default)]
struct Memory {
    inbox: Mutex<VecDeque<Vec<u8>>>,
    arrived: Condvar,
    ended: AtomicBool,
    taken: AtomicUsize,
    outbox: Mutex<HashMap<u64, Result<Vec<u8>, Errno>>>,
    answered: Condvar,
}

impl Transport for Memory {
    type Token = u64;

    fn receive(&self, buffer: &mut ReceiveBuffer) -> Received<u64> {
        let mut inbox = self.inbox.lock().unwrap();
        loop {
            if let Some(bytes) = inbox.pop_front() {
                self.taken.fetch_add(1, SeqCst);
                buffer.space()[..bytes.len()].copy_from_slice(&bytes);
                let token = u64::from_ne_bytes(bytes[8..16].try_into().unwrap());
                return Received::Message { len: bytes.len(), token };
            }
            if self.ended.load(SeqCst) {
                return Received::Ended(Disconnect::Unmounted);
            }
            inbox = self.arrived.wait(inbox).unwrap();
        }
    }

    fn complete(&self, token: u64, outcome: Outcome<'_>) {
        let answer = match outcome {
            Outcome::Silence => return,
            Outcome::Payload(payload) => Ok(payload.to_vec()),
            Outcome::Error(errno) => Err(errno),
        };
        let before = self.outbox.lock().unwrap().insert(token, answer);
        assert!(before.is_none(), "request {token} was answered twice");
        self.answered.notify_all();
    }
}

impl Memory {
    fn send(&self, bytes: Vec<u8>) {
        self.inbox.lock().unwrap().push_back(bytes);
        self.arrived.notify_one();
    }

    fn end(&self) {
        let inbox = self.inbox.lock().unwrap();
        self.ended.store(true, SeqCst);
        drop(inbox);
        self.arrived.notify_all();
    }

    /// Waits until `count` requests have been answered.
    fn wait_for_answers(&self, count: usize) {
        let (outbox, _) =
            self.answered.wait_timeout_while(self.outbox.lock().unwrap(), DEADLINE, |done| done.len() < count).unwrap();
        assert_eq!(outbox.len(), count, "answered before the deadline");
    }

    fn answer(&self, unique: u64) -> Result<Vec<u8>, Errno> {
        let (outbox, _) = self
            .answered
            .wait_timeout_while(self.outbox.lock().unwrap(), DEADLINE, |done| !done.contains_key(&unique))
            .unwrap();
        outbox.get(&unique).expect("answered before the deadline").clone()
    }
}

/// Holds what it is told to hold until the gate opens; counts.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
    held: AtomicUsize,
    most_held: AtomicUsize,
    started: AtomicUsize,
}

impl Gate {
    fn pass(&self) {
        let held = self.held.fetch_add(1, SeqCst) + 1;
        self.most_held.fetch_max(held, SeqCst);
        let open = self.open.lock().unwrap();
        drop(self.opened.wait_while(open, |open| !*open).unwrap());
        self.held.fetch_sub(1, SeqCst);
    }

    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

impl Serve for Gate {
    fn serve(&self, request: &Request<'_>, reply: &mut ReplyBuffer) -> Answer {
        match request.operation {
            Operation::Fsync { handle: Handle(9), .. } | Operation::Write(_) | Operation::Lookup { name: b"held" } => {
                self.pass();
                Ok(Payload::Bytes(0))
            }
            Operation::Lookup { name: b"broken" } => panic!("a bug in serving"),
            Operation::Read(read) => reply.put_bytes_at(0, &read.offset.to_ne_bytes()),
            _ => Ok(Payload::Bytes(0)),
        }
    }

    fn worker_started(&self) {
        self.started.fetch_add(1, SeqCst);
    }
}

struct Running {
    memory: Arc<Memory>,
    gate: Arc<Gate>,
    pool: Arc<Pool<Memory>>,
    thread: JoinHandle<End>,
}

fn agreed() -> Option<Negotiated> {
    Some(Negotiated { minor: 45, offered: 0, flags: 0, max_readahead: 0 })
}

fn start(limits: Limits) -> Running {
    let (memory, gate) = (Arc::new(Memory::default()), Arc::new(Gate::default()));
    let options = Options { initialised: agreed(), limits, ..Options::default() };
    let session = Session::new(memory.clone(), gate.clone(), options);
    let pool = session.pool.clone();
    Running { memory, gate, pool, thread: thread::spawn(move || session.run()) }
}

impl Running {
    /// Waits until `held` requests are in calls and `taken` have been received in all, then sees that it stays so.
    fn wait_for_bounds(&self, held: usize, taken: usize) {
        let counts = |run: &Running| (run.gate.held.load(SeqCst), run.memory.taken.load(SeqCst));
        self.wait_until("the bounds are reached", |run| counts(run) == (held, taken));
        let supervisor_would_have_acted = 10 * LOOK_EVERY;
        thread::sleep(supervisor_would_have_acted);
        assert_eq!((counts(self), self.gate.most_held.load(SeqCst)), ((held, taken), held));
    }

    fn wait_until(&self, what: &str, condition: impl Fn(&Running) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !condition(self) {
            let counts = (self.gate.held.load(SeqCst), self.memory.taken.load(SeqCst));
            assert!(Instant::now() < deadline, "{what} (held, taken: {counts:?})");
            thread::yield_now();
        }
    }

    fn finish(self) -> End {
        self.gate.open();
        self.memory.end();
        self.thread.join().unwrap()
    }
}

#[test]
fn held_fsyncs_stay_held_until_a_thousand_reads_are_done() {
    let run = start(Limits::default());
    (1..=64).for_each(|unique| run.memory.send(fsync(unique)));
    (1001..=2000).for_each(|unique| run.memory.send(read(unique, 4096)));
    run.memory.wait_for_answers(1000);
    run.wait_until("all fsyncs are under way", |run| run.gate.held.load(SeqCst) == 64);
    assert_eq!(run.memory.answer(1500), Ok(4096_u64.to_ne_bytes().to_vec()));
    run.gate.open();
    run.memory.wait_for_answers(1064);
    assert_eq!(run.finish(), End::Disconnected(Disconnect::Unmounted));
}

#[test]
fn a_call_that_blocks_unexpectedly_gets_a_receiver_beside_it() {
    let run = start(Limits::default());
    (1..=5).for_each(|unique| run.memory.send(lookup(unique, "held")));
    run.wait_until("all five are under way", |run| run.gate.held.load(SeqCst) == 5);
    run.memory.send(read(99, 4096));
    run.memory.wait_for_answers(1);
    run.gate.open();
    run.memory.wait_for_answers(6);
    run.finish();
}

#[test]
fn at_the_bound_the_last_receiver_queues_and_everything_is_answered_in_the_end() {
    const WORKERS: usize = 8;
    const QUEUED: usize = 4;
    let run = start(Limits { workers: WORKERS, queued: QUEUED, ..Limits::default() });
    (1..=40).for_each(|unique| run.memory.send(fsync(unique)));
    // The one in the last receiver's hands waits for room in the queue; the rest stays where it is.
    run.memory.send(read(99, 4096));
    run.wait_for_bounds(WORKERS - 1, WORKERS - 1 + QUEUED + 1);
    assert_eq!(run.pool.lock().workers(), WORKERS);
    run.gate.open();
    run.memory.wait_for_answers(41);
    assert!(run.gate.started.load(SeqCst) <= WORKERS);
    run.finish();
}

#[test]
fn the_bound_of_256_workers_is_kept() {
    let run = start(Limits::default());
    (1..=400).for_each(|unique| run.memory.send(fsync(unique)));
    run.wait_for_bounds(255, 255 + 32 + 1);
    assert_eq!(run.pool.lock().workers(), 256);
    run.gate.open();
    run.memory.wait_for_answers(400);
    run.finish();
}

#[test]
fn large_requests_under_way_are_bounded_by_their_bytes() {
    let run = start(Limits { large_bytes: 4 << 20, queued: 2, ..Limits::default() });
    (1..=32).for_each(|unique| run.memory.send(write(unique, &vec![7; 1 << 20])));
    // Each holds a little more than 1 MiB, so three fit. One more stands before the full queue.
    run.wait_for_bounds(3, 3 + 2 + 1);
    run.gate.open();
    run.memory.wait_for_answers(32);
    run.wait_until("what large requests filled is given back", |run| run.pool.large_bytes.load(SeqCst) <= 1 << 20);
    run.finish();
}

#[test]
fn small_requests_pass_large_ones_that_wait_for_memory() {
    let run = start(Limits { large_bytes: 2 << 20, ..Limits::default() });
    (1..=8).for_each(|unique| run.memory.send(write(unique, &vec![7; 1 << 20])));
    (100..200).for_each(|unique| run.memory.send(read(unique, 4096)));
    run.memory.wait_for_answers(100);
    assert_eq!(run.gate.most_held.load(SeqCst), 1);
    run.gate.open();
    run.memory.wait_for_answers(108);
    run.finish();
}

#[test]
fn surplus_receivers_park_and_are_called_back() {
    let run = start(Limits::default());
    let receivers = |run: &Running| run.pool.traffic.look().receivers();
    (1..=20).for_each(|unique| run.memory.send(fsync(unique)));
    run.wait_until("twenty are held", |run| run.gate.held.load(SeqCst) == 20);
    let started = run.gate.started.load(SeqCst);
    run.gate.open();
    run.memory.wait_for_answers(20);
    run.wait_until("two go on receiving", |run| receivers(run) == 2);
    *run.gate.open.lock().unwrap() = false;
    (21..=40).for_each(|unique| run.memory.send(fsync(unique)));
    run.wait_until("twenty are held again", |run| run.gate.held.load(SeqCst) == 20);
    assert!(run.gate.started.load(SeqCst) <= started + 1, "parked workers were called back, not new ones started");
    run.finish();
}

#[test]
fn a_panic_is_one_requests_affair() {
    let run = start(Limits::default());
    run.memory.send(lookup(1, "broken"));
    run.memory.send(read(2, 4096));
    assert_eq!(run.memory.answer(1), Err(Errno(libc::EIO)));
    assert!(run.memory.answer(2).is_ok());
    run.finish();
}

#[test]
fn malformed_and_foreign_messages_are_answered_and_forgets_are_not() {
    let run = start(Limits::default());
    run.memory.send(lookup(1, "a/b"));
    run.memory.send(message(opcode::WRITE, 2, 1, &[&[0; 8]]));
    run.memory.send(message(opcode::INTERRUPT, 3, 0, &[&[0; 8]]));
    run.memory.send(message(opcode::FORGET, 4, 1, &[&[0; 8]]));
    run.memory.send(message(opcode::FORGET, 5, 1, &[]));
    run.memory.send(read(6, 4096));
    assert_eq!(run.memory.answer(1), Err(Errno(libc::EINVAL)));
    assert_eq!(run.memory.answer(2), Err(Errno(libc::EIO)));
    assert_eq!(run.memory.answer(3), Err(Errno(libc::ENOSYS)));
    run.wait_until("all were taken", |run| run.memory.taken.load(SeqCst) == 6);
    let memory = run.memory.clone();
    run.finish();
    assert_eq!(memory.outbox.lock().unwrap().len(), 4);
}

#[test]
fn destroy_is_answered_and_ends_the_session() {
    let run = start(Limits::default());
    run.memory.send(message(opcode::DESTROY, 7, 0, &[]));
    assert_eq!(run.memory.answer(7), Ok(Vec::new()));
    run.memory.end();
    assert_eq!(run.thread.join().unwrap(), End::Disconnected(Disconnect::Unmounted));
}

#[test]
fn a_call_that_outlives_its_connection_holds_the_end_up_only_for_a_while() {
    let run = start(Limits::default());
    run.memory.send(fsync(1));
    run.wait_until("it is held", |run| run.gate.held.load(SeqCst) == 1);
    run.memory.end();
    let (memory, gate) = (run.memory.clone(), run.gate.clone());
    assert_eq!(run.thread.join().unwrap(), End::Disconnected(Disconnect::Unmounted));
    gate.open();
    assert!(memory.answer(1).is_ok(), "answered late, by a worker on its own");
}

#[test]
fn the_first_message_is_agreed_on_in_our_version() {
    let memory = Arc::new(Memory::default());
    memory.send(init(8, 0));
    let mut again = init(7, 45);
    again[8] = 3;
    memory.send(again);
    let session = Session::new(memory.clone(), Arc::new(Gate::default()), Options::default());
    let thread = thread::spawn(move || session.run());
    let ours = memory.answer(2).unwrap();
    assert_eq!(ours[..4], 7_u32.to_ne_bytes());
    let answer = memory.answer(3).unwrap();
    let flags = u64::from(u32::from_ne_bytes(answer[12..16].try_into().unwrap()));
    assert_eq!(flags & flag::INIT_EXT, flag::INIT_EXT);
    memory.end();
    assert_eq!(thread.join().unwrap(), End::Disconnected(Disconnect::Unmounted));
}

#[test]
fn an_old_kernel_is_refused_and_told_so() {
    let memory = Arc::new(Memory::default());
    memory.send(init(7, 38));
    let end = Session::new(memory.clone(), Arc::new(Gate::default()), Options::default()).run();
    assert_eq!(end, End::Refused(Refusal::TooOld { minor: 38 }));
    assert_eq!(memory.answer(2), Err(Errno(libc::EPROTO)));
}
