//! One worker thread: receives a message, serves it, answers, and again.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool,
    Ordering::{Relaxed, SeqCst},
};
use std::thread;

use super::operation::{Operation, Request};
use super::parse::{ParseError, parse};
use super::pool::{End, Parked, Pool, Queued};
use super::requests::opcode;
use super::signal::Wakeable;
use super::transport::{Disconnect, Outcome, ReceiveBuffer, Received, Transport};
use super::{Answer, Errno, Payload, ReplyBuffer, Serve, now_ns};

/// A worker keeps this much of each buffer through everything: most messages and answers fit.
const SMALL_BYTES: usize = 64 << 10;
/// Large buffers stay filled between requests as long as all together hold less: filling fresh pages costs a quarter
/// microsecond each.
const KEPT_LARGE_BYTES: usize = 8 << 20;
/// The deepest call below formats a path or reads a directory; nothing recurses.
const STACK_BYTES: usize = 512 << 10;

/// What the supervisor knows of a worker.
pub(super) struct Registered {
    pub thread: Wakeable,
    /// True around receiving: only then may a signal reach it, or it would interrupt a call below.
    pub receiving: AtomicBool,
}

struct Worker<T: Transport> {
    pool: Arc<Pool<T>>,
    me: Arc<Registered>,
    receive: ReceiveBuffer,
    reply: ReplyBuffer,
    /// This worker's part of the pool's large_bytes.
    large_bytes: usize,
}

/// Starts a worker that already counts as receiver. False: the system has no thread for it.
pub(super) fn start<T: Transport>(pool: Arc<Pool<T>>, index: usize) -> bool {
    // The kernel cuts a thread's name after 15 bytes.
    let named = thread::Builder::new().name(format!("glassfs-wrk-{index}")).stack_size(STACK_BYTES);
    named.spawn(move || run(pool, index)).is_ok()
}

fn run<T: Transport>(pool: Arc<Pool<T>>, index: usize) {
    let me = Arc::new(Registered { thread: Wakeable::this(), receiving: AtomicBool::new(false) });
    pool.register(index, me.clone());
    match own_filesystem_state() {
        Ok(()) => {
            pool.serve.worker_started();
            let (receive, reply) = (ReceiveBuffer::new(), ReplyBuffer::new());
            Worker { pool: pool.clone(), me, receive, reply, large_bytes: 0 }.work();
        }
        // Without a umask of its own it would set everybody's.
        Err(errno) => {
            pool.withdraw();
            pool.end(End::Disconnected(Disconnect::Failed(errno)));
        }
    }
    pool.deregister(index);
}

/// Umask and current directory become the thread's own.
fn own_filesystem_state() -> Result<(), Errno> {
    // SAFETY: affects the calling thread alone and touches no memory.
    if unsafe { libc::unshare(libc::CLONE_FS) } == 0 { Ok(()) } else { Err(Errno::last()) }
}

impl<T: Transport> Worker<T> {
    fn work(mut self) {
        while self.receive_and_serve() {}
        self.give_back_large();
    }

    /// False: this worker is to end. It counts as a receiver when called, and when it returns true.
    fn receive_and_serve(&mut self) -> bool {
        self.me.receiving.store(true, Relaxed);
        let received =
            if self.pool.has_ended() { Received::Interrupted } else { self.pool.transport.receive(&mut self.receive) };
        self.me.receiving.store(false, Relaxed);
        match received {
            Received::Message { len, token } => {
                let others = self.pool.leave();
                self.received(len, token, others)
            }
            Received::Interrupted if !self.pool.has_ended() => true,
            Received::Interrupted => {
                self.pool.withdraw();
                self.drain_queue();
                false
            }
            Received::Ended(why) => {
                self.pool.withdraw();
                self.pool.end(End::Disconnected(why));
                self.drain_queue();
                false
            }
        }
    }

    fn received(&mut self, len: usize, token: T::Token, others: usize) -> bool {
        let arrived_ns = now_ns();
        let parsed = parse(self.receive.message(len), arrived_ns);
        let slow = parsed.as_ref().is_ok_and(|request| request.operation.is_slow());
        if others == 0 && !self.pool.may_serve(slow) {
            return self.queue(len, token, arrived_ns);
        }
        let large = large_bytes(len, &parsed);
        if large > self.large_bytes {
            self.pool.large_bytes.fetch_add(large - self.large_bytes, SeqCst);
            self.large_bytes = large;
        }
        perform(&self.pool, parsed, token, &mut self.reply);
        if self.large_bytes > 0 && self.pool.large_bytes.load(SeqCst) > KEPT_LARGE_BYTES {
            self.give_back_large();
        }
        self.come_back()
    }

    /// Receives again if receivers are wanted; first does what is queued.
    fn come_back(&mut self) -> bool {
        loop {
            let receivers = self.pool.enter();
            if self.pool.has_queued() {
                self.pool.withdraw();
                self.serve_one_queued();
            } else if receivers <= self.pool.limits.receivers {
                return true;
            } else {
                self.pool.withdraw();
                self.give_back_all();
                match self.pool.park() {
                    Parked::Called => return true,
                    Parked::Queue => self.serve_one_queued(),
                    Parked::Surplus => return false,
                }
            }
        }
    }

    /// The last receiver at the bound: keeps the message for a worker that becomes free.
    fn queue(&mut self, len: usize, token: T::Token, arrived_ns: u64) -> bool {
        let Some((spare, state)) = self.pool.room_in_queue() else {
            perform(&self.pool, parse(self.receive.message(len), arrived_ns), token, &mut self.reply);
            return self.come_back();
        };
        let buffer = mem::replace(&mut self.receive, spare);
        self.pool.put_queued(state, Queued { buffer, len, token, arrived_ns });
        // A worker that came back in this very moment may have found the queue empty, and nobody would look again.
        if self.pool.enter() > 1 {
            self.pool.withdraw();
            self.serve_one_queued();
            return self.come_back();
        }
        true
    }

    fn serve_one_queued(&mut self) {
        if let Some(Queued { buffer, len, token, arrived_ns }) = self.pool.take_queued() {
            perform(&self.pool, parse(buffer.message(len), arrived_ns), token, &mut self.reply);
            self.pool.put_spare(buffer);
        }
    }

    /// What has been taken from the kernel is answered, also at the end.
    fn drain_queue(&mut self) {
        while self.pool.has_queued() {
            self.serve_one_queued();
        }
    }

    fn give_back_large(&mut self) {
        self.receive.give_back(SMALL_BYTES);
        self.reply.give_back(SMALL_BYTES);
        self.pool.large_bytes.fetch_sub(mem::take(&mut self.large_bytes), SeqCst);
    }

    fn give_back_all(&mut self) {
        self.give_back_large();
        self.receive.give_back(0);
        self.reply.give_back(0);
    }
}

/// What of a worker's buffers a message and its answer fill beyond the ordinary.
fn large_bytes(len: usize, parsed: &Result<Request<'_>, ParseError>) -> usize {
    let beyond = |bytes: usize| if bytes > SMALL_BYTES { bytes } else { 0 };
    let answer = parsed.as_ref().map_or(0, |request| request.operation.answer_bytes());
    beyond(len) + beyond(answer)
}

fn perform<T: Transport>(
    pool: &Pool<T>,
    parsed: Result<Request<'_>, ParseError>,
    token: T::Token,
    reply: &mut ReplyBuffer,
) {
    let request = match parsed {
        Ok(request) => request,
        Err(error) => return pool.transport.complete(token, refusal(&error)),
    };
    let answer = answer(&*pool.serve, &request, reply);
    let outcome = match answer {
        _ if !request.operation.wants_answer() => Outcome::Silence,
        Ok(Payload::Silence) => Outcome::Silence,
        Ok(Payload::Bytes(len)) => reply.bytes().get(..len).map_or(Outcome::Error(Errno(libc::EIO)), Outcome::Payload),
        Err(errno) => Outcome::Error(errno),
    };
    pool.transport.complete(token, outcome);
    if request.operation == Operation::Destroy {
        pool.end(End::Disconnected(Disconnect::Unmounted));
    }
}

fn refusal(error: &ParseError) -> Outcome<'static> {
    match error.opcode {
        opcode::FORGET | opcode::BATCH_FORGET => Outcome::Silence,
        _ if error.unique == 0 => Outcome::Silence,
        _ => Outcome::Error(error.errno),
    }
}

fn answer(serve: &dyn Serve, request: &Request<'_>, reply: &mut ReplyBuffer) -> Answer {
    match request.operation {
        // Only ever the first message.
        Operation::Init { .. } => Err(Errno(libc::EIO)),
        Operation::Destroy => Ok(Payload::Bytes(0)),
        // No call below can be interrupted halfway and still give its true result. ENOSYS: the kernel asks no more.
        Operation::Interrupt { .. } => Err(Errno(libc::ENOSYS)),
        _ => {
            #[cfg(feature = "failpoints")]
            super::failpoint::hold(&request.operation);
            // A bug in serving one request must not take the mount from all others.
            catch_unwind(AssertUnwindSafe(|| serve.serve(request, reply))).unwrap_or(Err(Errno(libc::EIO)))
        }
    }
}
