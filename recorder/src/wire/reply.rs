//! The page-aligned buffer that a reply's payload is built in. One belongs to each worker.

use zerocopy::{Immutable, IntoBytes};

use super::pages::Pages;
use super::{Errno, Payload};

/// The largest read or write one request carries: 256 pages, `fs.fuse.max_pages_limit`'s default.
pub const MAX_TRANSFER_BYTES: usize = 1 << 20;

/// Page-aligned, so that a backing file opened with O_DIRECT can read straight into it.
pub struct ReplyBuffer {
    pages: Pages,
}

impl ReplyBuffer {
    pub fn new() -> ReplyBuffer {
        ReplyBuffer { pages: Pages::new(MAX_TRANSFER_BYTES) }
    }

    /// All of it, MAX_TRANSFER_BYTES long, for calls that fill it themselves.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.pages.bytes_mut()
    }

    pub fn bytes(&self) -> &[u8] {
        self.pages.bytes()
    }

    /// Puts one protocol struct at the start: the whole payload of most replies.
    pub fn put<T: IntoBytes + Immutable>(&mut self, value: &T) -> Result<Payload, Errno> {
        self.put_at(0, value)
    }

    /// Puts a struct at `at`; the payload then ends behind it.
    pub fn put_at<T: IntoBytes + Immutable>(&mut self, at: usize, value: &T) -> Result<Payload, Errno> {
        self.put_bytes_at(at, value.as_bytes())
    }

    /// Puts bytes at `at`; the payload then ends behind them. EIO if they do not fit: a bug, never the caller's fault.
    pub fn put_bytes_at(&mut self, at: usize, value: &[u8]) -> Result<Payload, Errno> {
        let end = at + value.len();
        self.bytes_mut().get_mut(at..end).ok_or(Errno(libc::EIO))?.copy_from_slice(value);
        Ok(Payload::Bytes(end))
    }

    /// Gives its memory from `keep` on back to the kernel.
    pub(super) fn give_back(&mut self, keep: usize) {
        self.pages.give_back(keep);
    }
}

impl Default for ReplyBuffer {
    fn default() -> Self {
        Self::new()
    }
}
