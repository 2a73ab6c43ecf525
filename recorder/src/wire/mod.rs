//! The kernel's FUSE protocol: structs, one request in, one reply out, and the classic device that carries them.
//! Knows no paths, no trace and no filesystem: whoever serves implements `Serve`.

pub mod answers;
mod backing;
mod device;
#[cfg(feature = "failpoints")]
mod failpoint;
mod init;
mod limits;
#[cfg(test)]
mod mounted_tests;
mod notify;
pub mod operation;
mod pages;
mod parse;
mod pool;
mod reply;
mod requests;
mod session;
mod signal;
mod traffic;
mod transport;
mod worker;

pub use backing::{BackingFiles, BackingId, takes_backing_files};
pub use device::Device;
pub use init::{Negotiated, Refusal, Wishes, flag};
pub use limits::Limits;
pub use notify::Notify;
pub use operation::{ForgetEntries, Handle, Name, Node, Operation, Request};
pub use parse::{ParseError, parse};
pub use reply::{MAX_TRANSFER_BYTES, ReplyBuffer};
pub use session::{End, Options, Session, Stopper};
pub use transport::{Disconnect, Outcome, ReceiveBuffer, Received, Transport};

/// An errno on its way to the kernel: positive, as in libc.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

impl Errno {
    /// The calling thread's errno.
    pub fn last() -> Errno {
        Errno(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
    }
}

/// What becomes of a request: its payload lies in the `ReplyBuffer`, an errno goes back, or nothing does
/// (forget, interrupt).
pub type Answer = Result<Payload, Errno>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// `len` bytes of the reply buffer.
    Bytes(usize),
    /// The kernel expects no answer.
    Silence,
}

/// Who answers requests. Called by many threads at once; must not panic (a panic becomes EIO for that request alone).
/// Init, destroy and interrupt never reach it.
pub trait Serve: Send + Sync {
    /// Performs `request` and leaves what the kernel expects after the out header in `reply`.
    fn serve(&self, request: &Request<'_>, reply: &mut ReplyBuffer) -> Answer;

    /// The kernel has agreed; called once, before the first request.
    fn negotiated(&self, _negotiated: &Negotiated) {}

    /// Called by each worker thread before its first request. Its umask and current directory are its own already.
    fn worker_started(&self) {}
}

/// CLOCK_MONOTONIC in nanoseconds.
pub fn now_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes the timespec it is given; this clock always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
