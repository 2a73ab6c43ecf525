//! The page-aligned buffer that a reply's payload is built in. One belongs to each receiver.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};

use zerocopy::{Immutable, IntoBytes};

use super::{Errno, Payload};

/// The largest read or write one request carries: 256 pages, `fs.fuse.max_pages_limit`'s default.
pub const MAX_TRANSFER_BYTES: usize = 1 << 20;

const PAGE_BYTES: usize = 4096;

/// Page-aligned, so that a backing file opened with O_DIRECT can read straight into it.
pub struct ReplyBuffer {
    start: *mut u8,
}

// SAFETY: the buffer is owned memory; nothing else points into it.
unsafe impl Send for ReplyBuffer {}

impl ReplyBuffer {
    fn layout() -> Layout {
        Layout::from_size_align(MAX_TRANSFER_BYTES, PAGE_BYTES).expect("a constant, valid layout")
    }

    pub fn new() -> ReplyBuffer {
        // SAFETY: the layout is not empty. Zeroed pages of this size come from mmap untouched, so an idle buffer costs nothing.
        let start = unsafe { alloc_zeroed(Self::layout()) };
        if start.is_null() {
            handle_alloc_error(Self::layout());
        }
        ReplyBuffer { start }
    }

    /// All of it, MAX_TRANSFER_BYTES long, for calls that fill it themselves.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: start is ours and MAX_TRANSFER_BYTES long for as long as self lives.
        unsafe { std::slice::from_raw_parts_mut(self.start, MAX_TRANSFER_BYTES) }
    }

    pub fn bytes(&self) -> &[u8] {
        // SAFETY: as in bytes_mut; shared.
        unsafe { std::slice::from_raw_parts(self.start, MAX_TRANSFER_BYTES) }
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
}

impl Default for ReplyBuffer {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for ReplyBuffer {
    fn drop(&mut self) {
        // SAFETY: allocated with this very layout in new.
        unsafe { dealloc(self.start, Self::layout()) }
    }
}
