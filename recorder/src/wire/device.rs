//! The classic transport: one read of /dev/fuse is one request, one write its answer.

use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::Errno;
use super::requests::InHeader;
use super::transport::{Disconnect, Outcome, ReceiveBuffer, Received, Transport};

/// Before every answer and every notification.
#[derive(Clone, Copy, Debug, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct OutHeader {
    pub len: u32,
    /// 0 or a negative errno; of a notification, its code.
    pub error: i32,
    pub unique: u64,
}

/// Larger errnos are the kernel's own (ERESTARTSYS and its kin), which it does not take from us.
const MAX_ERRNO: i32 = 511;

/// The connection to the kernel.
pub struct Device {
    file: File,
}

/// Names the request that an answer belongs to.
#[derive(Debug)]
pub struct Token {
    unique: u64,
}

impl Device {
    /// `fd`: /dev/fuse, as mounted. It is made to block, since the workers wait in its read.
    pub fn from_fd(fd: OwnedFd) -> io::Result<Device> {
        // SAFETY: fcntl on an open descriptor, without pointers.
        let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) };
        if flags < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: as above.
        if unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags & !libc::O_NONBLOCK) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Device { file: File::from(fd) })
    }

    /// Sends a header and what belongs to it in one piece, as the kernel wants it.
    pub(super) fn send(&self, header: OutHeader, parts: &[&[u8]]) -> io::Result<()> {
        const MOST_PARTS: usize = 4;
        let mut slices = [IoSlice::new(&[]); MOST_PARTS];
        slices[0] = IoSlice::new(header.as_bytes());
        for (slice, part) in slices[1..].iter_mut().zip(parts) {
            *slice = IoSlice::new(part);
        }
        (&self.file).write_vectored(&slices[..=parts.len()]).map(drop)
    }

    fn answer(&self, unique: u64, error: i32, payload: &[u8]) -> io::Result<()> {
        let len = (size_of::<OutHeader>() + payload.len()) as u32;
        let header = OutHeader { len, error, unique };
        if payload.is_empty() { (&self.file).write_all(header.as_bytes()) } else { self.send(header, &[payload]) }
    }

    fn received(&self, message: &[u8]) -> Received<Token> {
        // Less than a header never comes; if it did, there is nobody to answer.
        let unique = InHeader::read_from_prefix(message).map_or(0, |(header, _)| header.unique);
        Received::Message { len: message.len(), token: Token { unique } }
    }
}

impl AsFd for Device {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Transport for Device {
    type Token = Token;

    fn receive(&self, buffer: &mut ReceiveBuffer) -> Received<Token> {
        loop {
            let failure = match (&self.file).read(buffer.space()) {
                Ok(len) => return self.received(buffer.message(len)),
                Err(failure) => failure,
            };
            match failure.raw_os_error() {
                Some(libc::EINTR) => return Received::Interrupted,
                // The request was taken back while it was being read.
                Some(libc::ENOENT) => {}
                // Somebody who shares the descriptor made it non-blocking.
                _ if failure.kind() == ErrorKind::WouldBlock => wait_readable(self.as_fd()),
                Some(libc::ENODEV) => return Received::Ended(Disconnect::Unmounted),
                Some(libc::ECONNABORTED) => return Received::Ended(Disconnect::Aborted),
                errno => return Received::Ended(Disconnect::Failed(Errno(errno.unwrap_or(libc::EIO)))),
            }
        }
    }

    fn complete(&self, token: Token, outcome: Outcome<'_>) {
        let sent = match outcome {
            Outcome::Silence => return,
            Outcome::Payload(payload) => self.answer(token.unique, 0, payload),
            Outcome::Error(Errno(errno @ 1..=MAX_ERRNO)) => self.answer(token.unique, -errno, &[]),
            Outcome::Error(_) => self.answer(token.unique, -libc::EIO, &[]),
        };
        // ENOENT: the request is gone (its connection was aborted). ENODEV: the mount is. Anything else must not leave the
        // caller waiting.
        if let Err(failure) = sent
            && !matches!(failure.raw_os_error(), Some(libc::ENOENT | libc::ENODEV))
        {
            let _gone = self.answer(token.unique, -libc::EIO, &[]);
        }
    }
}

fn wait_readable(fd: BorrowedFd<'_>) {
    let mut wait = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one pollfd that lives across the call. Whatever comes of it, the read that follows tells.
    unsafe { libc::poll(&mut wait, 1, -1) };
}
