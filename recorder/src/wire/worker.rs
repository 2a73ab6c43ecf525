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
use super::pool::{Parked, Place, Pool, Queued};
use super::requests::opcode;
use super::session::End;
use super::signal::Wakeable;
use super::transport::{Disconnect, Outcome, ReceiveBuffer, Received, Transport};
use super::{Answer, Errno, Payload, ReplyBuffer, Serve, now_ns};

/// A worker keeps this much of each buffer through everything: most messages and answers fit.
const SMALL_BYTES: usize = 64 << 10;
/// The deepest call below formats a path or reads a directory; nothing recurses.
const STACK_BYTES: usize = 512 << 10;

/// What the supervisor knows of a worker.
pub(super) struct Registered {
    pub thread: Wakeable,
    /// True around receiving: only then may a signal reach it, or it would interrupt a call below.
    pub receiving: AtomicBool,
}

/// A message in the receive buffer, and what is known of it.
struct Message<K> {
    len: usize,
    token: K,
    arrived_ns: u64,
    large_bytes: usize,
    slow: bool,
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
            pool.traffic.withdraw();
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
                let others = self.pool.traffic.leave();
                self.received(len, token, others)
            }
            Received::Interrupted if !self.pool.has_ended() => true,
            Received::Interrupted => {
                self.pool.traffic.withdraw();
                self.drain_queue();
                false
            }
            Received::Ended(why) => {
                self.pool.traffic.withdraw();
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
        let large_bytes = large_bytes(len, &parsed).saturating_sub(self.large_bytes);
        match self.pool.place(others, slow, large_bytes) {
            Place::Serve => {}
            place => return self.queue(place, Message { len, token, arrived_ns, large_bytes, slow }),
        }
        self.pool.hold(&mut self.large_bytes, large_bytes);
        perform(&self.pool, parsed, token, &mut self.reply);
        self.let_go();
        self.come_back()
    }

    /// Receives again if receivers are wanted; first does what is queued.
    fn come_back(&mut self) -> bool {
        loop {
            let look = self.pool.traffic.enter();
            if self.pool.has_queued() && self.serve_one_queued_instead() {
                continue;
            }
            if look.receivers() <= self.pool.limits.receivers {
                return true;
            }
            self.pool.traffic.withdraw();
            self.give_back_all();
            match self.pool.park() {
                Parked::Called => return true,
                Parked::Queue => drop(self.serve_one_queued()),
                Parked::Surplus => return false,
            }
        }
    }

    /// Keeps a message for a worker that becomes free, or for when there is memory.
    fn queue(&mut self, mut place: Place, message: Message<T::Token>) -> bool {
        let Message { len, token, arrived_ns, large_bytes, slow } = message;
        while place != Place::Serve {
            let Some((spare, state)) = self.pool.room_in_queue(place, large_bytes) else {
                // A worker has been called back to receive in our stead, or memory has become free.
                let others = usize::from(place == Place::QueueForWorker);
                place = self.pool.place(others, slow, large_bytes);
                continue;
            };
            let buffer = mem::replace(&mut self.receive, spare);
            self.pool.put_queued(state, Queued { buffer, len, token, arrived_ns, large_bytes });
            // A worker that came back in this very moment may have found the queue empty, and nobody would look again.
            let alone = self.pool.traffic.enter().receivers() == 1;
            return alone || !self.serve_one_queued_instead() || self.come_back();
        }
        self.pool.hold(&mut self.large_bytes, large_bytes);
        perform(&self.pool, parse(self.receive.message(len), arrived_ns), token, &mut self.reply);
        self.let_go();
        self.come_back()
    }

    /// A receiver serves what is queued, if there is anything that can be served, and then is no receiver any more.
    fn serve_one_queued_instead(&mut self) -> bool {
        let Some(queued) = self.pool.take_queued() else { return false };
        self.pool.traffic.withdraw();
        self.serve_queued(queued);
        true
    }

    fn serve_one_queued(&mut self) -> bool {
        let taken = self.pool.take_queued();
        taken.map(|queued| self.serve_queued(queued)).is_some()
    }

    fn serve_queued(&mut self, queued: Queued<T::Token>) {
        let Queued { buffer, len, token, arrived_ns, large_bytes } = queued;
        self.pool.hold(&mut self.large_bytes, large_bytes);
        perform(&self.pool, parse(buffer.message(len), arrived_ns), token, &mut self.reply);
        self.pool.put_spare(buffer);
        self.give_back_large();
    }

    /// What has been taken from the kernel is answered, also at the end.
    fn drain_queue(&mut self) {
        while self.serve_one_queued() {}
    }

    fn let_go(&mut self) {
        if self.large_bytes > 0 && !self.pool.keeps_large_bytes() {
            self.give_back_large();
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
