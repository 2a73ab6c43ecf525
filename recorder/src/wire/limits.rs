//! How many threads serve a connection, and how much they may hold.

/// The pool's bounds.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Threads that block in calls below at one time, at most; more would only queue there instead of here.
    pub workers: usize,
    /// Workers that stay receiving when nothing blocks. Two: while one answers, the other takes the next message; with more,
    /// the kernel wakes them in turn and none stays warm (measured: 4 are a quarter slower than 2).
    pub receivers: usize,
    /// Messages taken from the kernel while all workers are busy. The rest waits in the kernel, at no cost to us.
    pub queued: usize,
    /// Bytes of memory that large messages and answers under way may fill; further large ones are queued.
    pub large_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { workers: 256, receivers: 2, queued: 32, large_bytes: 96 << 20 }
    }
}
