//! Page-aligned memory that costs nothing until it is touched and can be given back while it is kept.

use std::ptr::NonNull;

pub const PAGE_BYTES: usize = 4096;

/// Anonymous memory straight from the kernel: an allocator would zero it, and so touch all of it.
pub struct Pages {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the pages are owned; nothing else points into them.
unsafe impl Send for Pages {}
// SAFETY: a shared reference only reads.
unsafe impl Sync for Pages {}

impl Pages {
    /// `len`: more than 0, a multiple of PAGE_BYTES. Panics when address space is exhausted.
    pub fn new(len: usize) -> Pages {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a fresh mapping at an address of the kernel's choice overlaps nothing.
        let start =
            unsafe { libc::mmap(std::ptr::null_mut(), len, access, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0) };
        assert!(start != libc::MAP_FAILED, "no address space for a buffer of {len} bytes");
        Pages { start: NonNull::new(start.cast()).expect("the kernel maps nothing at address 0"), len }
    }

    pub fn bytes(&self) -> &[u8] {
        // SAFETY: ours, `len` long and initialised (zero pages) for as long as self lives.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in bytes; exclusive through &mut self.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }

    /// Gives the memory from `keep` on back to the kernel; it then reads as zeros.
    pub fn give_back(&mut self, keep: usize) {
        let keep = keep.next_multiple_of(PAGE_BYTES).min(self.len);
        // SAFETY: the range lies within the mapping, and &mut self means that nobody reads it meanwhile.
        unsafe { libc::madvise(self.start.as_ptr().add(keep).cast(), self.len - keep, libc::MADV_DONTNEED) };
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: mapped in new with this very length; no reference outlives self.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_given_back_read_as_zeros_and_the_kept_ones_stay() {
        let mut pages = Pages::new(4 * PAGE_BYTES);
        pages.bytes_mut().fill(7);
        pages.give_back(PAGE_BYTES + 1);
        assert!(pages.bytes()[..2 * PAGE_BYTES].iter().all(|&byte| byte == 7));
        assert!(pages.bytes()[2 * PAGE_BYTES..].iter().all(|&byte| byte == 0));
    }
}
