//! /proc/self/fd, held since the start: the one way from a descriptor to its inode again where a call takes only names
//! (re-open, link, xattrs). Nobody can redirect it: the directory is ours and its links jump straight to the inode.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;

use libc::c_int;

use super::sys::{self, Result};
use crate::wire::Errno;

static DESCRIPTORS: OnceLock<OwnedFd> = OnceLock::new();

/// Opens the directory once for the process; later calls find it.
pub fn prepare() -> Result<()> {
    if DESCRIPTORS.get().is_none() {
        // SAFETY: AT_FDCWD names no owned descriptor; the path is absolute.
        let anywhere = unsafe { BorrowedFd::borrow_raw(libc::AT_FDCWD) };
        let opened = sys::open_at(anywhere, c"/proc/self/fd", libc::O_PATH | libc::O_DIRECTORY, 0)?;
        // A second thread may have been faster: its descriptor is as good, ours closes.
        DESCRIPTORS.get_or_init(|| opened);
    }
    Ok(())
}

/// EBADF before `prepare`.
pub fn directory() -> Result<BorrowedFd<'static>> {
    DESCRIPTORS.get().map(AsFd::as_fd).ok_or(Errno(libc::EBADF))
}

/// A descriptor's name in that directory: its number in decimal.
pub struct Link {
    text: [u8; Link::ROOM],
    start: usize,
}

impl Link {
    /// Ten digits of an i32 and the NUL.
    const ROOM: usize = 11;

    pub fn to(fd: BorrowedFd<'_>) -> Link {
        let mut text = [0; Self::ROOM];
        let mut start = Self::ROOM - 1;
        let mut number = fd.as_raw_fd().unsigned_abs();
        loop {
            start -= 1;
            text[start] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return Link { text, start };
            }
        }
    }

    pub fn as_c_str(&self) -> &CStr {
        // SAFETY: digits, then the zero the array was made with.
        unsafe { CStr::from_bytes_with_nul_unchecked(&self.text[self.start..]) }
    }
}

/// Opens the inode behind `fd` anew with other flags: a new open file with its own position and mode.
pub fn reopen(fd: BorrowedFd<'_>, flags: c_int) -> Result<OwnedFd> {
    sys::open_at(directory()?, Link::to(fd).as_c_str(), flags & !libc::O_NOFOLLOW, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_the_descriptor_number_in_decimal() {
        for number in [0, 7, 10, 20000, i32::MAX] {
            // SAFETY: never used as a descriptor, only printed.
            let fd = unsafe { BorrowedFd::borrow_raw(number) };
            assert_eq!(Link::to(fd).as_c_str().to_str(), Ok(number.to_string().as_str()));
        }
    }
}
