//! What share of a busy core a thread gets beside others. Knows no thread's work.

/// Of the calling thread, from -20 (most) to 19. A refusal (below 0 it takes root) costs only priority.
pub fn set_nice(nice: libc::c_int) {
    // SAFETY: plain integers; 0 is the calling thread, and no other (Linux).
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) };
}
