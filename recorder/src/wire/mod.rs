//! The kernel's FUSE protocol: structs, one request in, one reply out, and the classic device that carries them.
//! Knows no paths, no trace and no filesystem: whoever serves implements `Serve`.

pub mod answers;
pub mod operation;
mod reply;

pub use operation::{Handle, Name, Node, Operation, Request};
pub use reply::ReplyBuffer;

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
pub trait Serve: Send + Sync {
    /// Performs `request` and leaves what the kernel expects after the out header in `reply`.
    fn serve(&self, request: &Request<'_>, reply: &mut ReplyBuffer) -> Answer;
}
