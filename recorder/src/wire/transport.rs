//! The seam between requests and what carries them: a message comes in with a token, and whoever holds the token answers,
//! on any thread, once. The classic device is one transport; a ring of queues can be another.

use super::pages::{PAGE_BYTES, Pages};
use super::requests::WRITE_DATA_AT;
use super::{Errno, MAX_TRANSFER_BYTES};

pub trait Transport: Send + Sync + 'static {
    /// What an answer must carry back to reach its request.
    type Token: Send;

    /// Waits for one message. Called by many threads at once, each with its own buffer.
    fn receive(&self, buffer: &mut ReceiveBuffer) -> Received<Self::Token>;

    /// Answers. It cannot fail for the caller's purposes: either the kernel has the answer, or it no longer wants one.
    fn complete(&self, token: Self::Token, outcome: Outcome<'_>);
}

#[derive(Debug)]
pub enum Received<K> {
    /// `len` bytes of the buffer's message.
    Message {
        len: usize,
        token: K,
    },
    /// A signal came instead.
    Interrupted,
    Ended(Disconnect),
}

/// Why no message will come any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disconnect {
    Unmounted,
    /// Through /sys/fs/fuse/connections/N/abort, or `umount -f`.
    Aborted,
    Failed(Errno),
}

/// What an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<'a> {
    Payload(&'a [u8]),
    Error(Errno),
    /// The kernel expects no answer.
    Silence,
}

/// Holds one message. It begins so that a write's data falls on a page: a backing file opened with O_DIRECT takes it from there.
pub struct ReceiveBuffer {
    pages: Pages,
}

impl ReceiveBuffer {
    const START: usize = PAGE_BYTES - WRITE_DATA_AT;

    pub fn new() -> ReceiveBuffer {
        ReceiveBuffer { pages: Pages::new(PAGE_BYTES + MAX_TRANSFER_BYTES) }
    }

    /// Where a message goes. As long as the longest one, which is also the least that the kernel's read takes.
    pub fn space(&mut self) -> &mut [u8] {
        &mut self.pages.bytes_mut()[Self::START..]
    }

    /// The first `len` bytes of the message received last.
    pub fn message(&self, len: usize) -> &[u8] {
        let space = &self.pages.bytes()[Self::START..];
        &space[..len.min(space.len())]
    }

    /// Gives its memory from `keep` bytes of message on back to the kernel.
    pub(super) fn give_back(&mut self, keep: usize) {
        self.pages.give_back(if keep == 0 { 0 } else { Self::START + keep });
    }
}

impl Default for ReceiveBuffer {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_of_a_write_lies_on_a_page_and_a_whole_write_fits() {
        let mut buffer = ReceiveBuffer::new();
        assert_eq!(buffer.space().as_ptr().addr() % 8, 0);
        assert_eq!(buffer.space()[WRITE_DATA_AT..].as_ptr().addr() % PAGE_BYTES, 0);
        assert_eq!(buffer.space().len(), WRITE_DATA_AT + MAX_TRANSFER_BYTES);
    }
}
