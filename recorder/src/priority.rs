//! What share of a busy core a thread gets beside others. Knows no thread's work.

/// Of the calling thread, from -20 (most) to 19. A refusal (below 0 it takes root) costs only priority.
pub fn set_nice(nice: libc::c_int) {
    // SAFETY: plain integers; 0 is the calling thread, and no other (Linux).
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) };
}

/// Of the whole session, where sessions share the CPUs as groups (sched_autogroup_enabled): a thread's nice counts only within
/// its own, and traced programs may have made many. Nothing happens to a session that others may belong to.
pub fn set_nice_of_session(nice: libc::c_int) {
    // SAFETY: plain integers; 0 is the caller.
    let leads = unsafe { libc::getsid(0) == libc::getpid() };
    if leads {
        // Without that grouping, or without the right, there is nothing to be done.
        let _ = std::fs::write("/proc/self/autogroup", nice.to_string());
    }
}
