//! A connection from its first message to its end: agrees with the kernel, starts the workers, and watches that a blocked
//! call never leaves nobody receiving.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use zerocopy::IntoBytes;

use super::Serve;
use super::device::Device;
use super::init::{self, Negotiated, Refusal, Wishes};
use super::limits::Limits;
use super::operation::Operation;
use super::parse::parse;
use super::pool::Pool;
use super::requests::MAJOR;
use super::transport::{Disconnect, Outcome, ReceiveBuffer, Received, Transport};

/// How often the supervisor looks while nobody receives: two looks without a message between them mean that a call blocks.
const LOOK_EVERY: Duration = Duration::from_micros(500);
/// Looks in a row that find a receiver before it sleeps until it is called again.
const QUIET_LOOKS: u32 = 40;
/// How long workers that are still in a call get to end after the connection has. They then go on alone: what they use
/// stays alive with them, and their answers still reach the kernel if it waits.
const GRACE: Duration = Duration::from_secs(2);
/// Between two signals to receivers that are to end: one may come in the moment before the read it is meant for.
const WAKE_EVERY: Duration = Duration::from_millis(5);

/// Why serving ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    Disconnected(Disconnect),
    /// On our own wish; requests not yet taken wait in the kernel for another server.
    Stopped,
    /// There was no agreement with the kernel.
    Refused(Refusal),
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    pub wishes: Wishes,
    /// The connection has had its first message; go on with this agreement.
    pub initialised: Option<Negotiated>,
    pub limits: Limits,
}

pub struct Session<T: Transport> {
    pool: Arc<Pool<T>>,
    options: Options,
}

/// Ends a session from another thread; a session that still waits for its first message ends when that has come.
#[derive(Clone)]
pub struct Stopper {
    stop: Arc<dyn Fn() + Send + Sync>,
}

impl Stopper {
    pub fn stop(&self) {
        (self.stop)();
    }
}

impl Session<Device> {
    /// Serves until the mount is gone.
    pub fn serve(device: Arc<Device>, serve: Arc<dyn Serve>, options: Options) -> End {
        Session::new(device, serve, options).run()
    }
}

impl<T: Transport> Session<T> {
    pub fn new(transport: Arc<T>, serve: Arc<dyn Serve>, options: Options) -> Session<T> {
        Session { pool: Pool::new(transport, serve, options.limits), options }
    }

    pub fn stopper(&self) -> Stopper {
        let pool = self.pool.clone();
        Stopper { stop: Arc::new(move || pool.end(End::Stopped)) }
    }

    /// Serves on threads of its own; the calling thread becomes the supervisor.
    pub fn run(self) -> End {
        self.pool.supervised_by(thread::current());
        if let Err(end) = self.agree() {
            self.pool.end(end);
        } else {
            for _ in 0..self.options.limits.receivers {
                self.pool.add_receiver();
            }
            if self.pool.lock().workers() == 0 {
                self.pool.end(End::Disconnected(Disconnect::Failed(super::Errno(libc::EAGAIN))));
            }
            self.supervise();
        }
        self.wait_for_workers()
    }

    /// With the kernel, on the protocol.
    fn agree(&self) -> Result<(), End> {
        let negotiated = match self.options.initialised {
            Some(negotiated) => negotiated,
            None => self.first_message()?,
        };
        self.pool.serve.negotiated(&negotiated);
        Ok(())
    }

    fn first_message(&self) -> Result<Negotiated, End> {
        let transport = &self.pool.transport;
        let mut buffer = ReceiveBuffer::new();
        loop {
            let (len, token) = match transport.receive(&mut buffer) {
                Received::Message { len, token } => (len, token),
                Received::Interrupted if self.pool.has_ended() => return Err(End::Stopped),
                Received::Interrupted => continue,
                Received::Ended(why) => return Err(End::Disconnected(why)),
            };
            let agreed = match parse(buffer.message(len), super::now_ns()) {
                Ok(request) => self.agree_on(&request.operation, request.opcode),
                Err(error) => Err(Refusal::NoInit { opcode: error.opcode }),
            };
            match agreed {
                Ok(Some(negotiated)) => {
                    transport.complete(token, Outcome::Payload(negotiated.answer().as_bytes()));
                    return Ok(negotiated);
                }
                // The kernel asks again, in our version.
                Ok(None) => transport.complete(token, Outcome::Payload(init::other_major().as_bytes())),
                Err(refusal) => {
                    transport.complete(token, Outcome::Error(super::Errno(libc::EPROTO)));
                    return Err(End::Refused(refusal));
                }
            }
        }
    }

    fn agree_on(&self, operation: &Operation<'_>, opcode: u32) -> Result<Option<Negotiated>, Refusal> {
        match *operation {
            Operation::Init { major, .. } if major > MAJOR => Ok(None),
            Operation::Init { major, .. } if major < MAJOR => Err(Refusal::OtherMajor { major }),
            Operation::Init { minor, max_readahead, flags, .. } => {
                init::negotiate(minor, max_readahead, flags, self.options.wishes).map(Some)
            }
            _ => Err(Refusal::NoInit { opcode }),
        }
    }

    fn supervise(&self) {
        while !self.pool.has_ended() {
            if self.pool.is_watched() {
                self.watch();
            } else {
                thread::park();
            }
        }
    }

    /// Adds a receiver whenever nobody has received and nothing has come for a while.
    fn watch(&self) {
        let (mut quiet, mut before) = (0, self.pool.traffic.look());
        while quiet < QUIET_LOOKS && !self.pool.has_ended() {
            thread::sleep(LOOK_EVERY);
            let now = self.pool.traffic.look();
            if now.receivers() > 0 {
                quiet += 1;
            } else {
                quiet = 0;
                if now == before {
                    self.pool.forgive();
                    self.pool.add_receiver();
                }
            }
            before = now;
        }
        self.pool.unwatch();
    }

    fn wait_for_workers(&self) -> End {
        let deadline = Instant::now() + GRACE;
        let mut state = self.pool.lock();
        while state.workers() > 0 && Instant::now() < deadline {
            // After an unmount each receiver learns of it by itself.
            for thread in state.threads().filter(|thread| thread.receiving.load(Relaxed)) {
                thread.thread.wake();
            }
            state = self.pool.changed.wait_timeout(state, WAKE_EVERY).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.end().cloned().unwrap_or(End::Stopped)
    }
}

#[cfg(test)]
mod tests;
