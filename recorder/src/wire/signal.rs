//! Waking a thread out of the device's read: a signal that does nothing else. Workers take no other signal, so that none
//! interrupts a call below.

use std::mem::MaybeUninit;
use std::sync::Once;

/// A thread that can be woken.
pub(super) struct Wakeable {
    thread: libc::pthread_t,
}

/// Of the real-time signals, which no program sends unasked.
fn wake_signal() -> libc::c_int {
    libc::SIGRTMIN() + 3
}

extern "C" fn nothing(_signal: libc::c_int) {}

impl Wakeable {
    /// The calling thread, which from now on takes the waking signal and no other.
    pub fn this() -> Wakeable {
        install();
        let mut mask = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: sigfillset initialises the set before it is used; the calls touch nothing but it and this thread's mask.
        unsafe {
            libc::sigfillset(mask.as_mut_ptr());
            libc::sigdelset(mask.as_mut_ptr(), wake_signal());
            libc::pthread_sigmask(libc::SIG_SETMASK, mask.as_ptr(), std::ptr::null_mut());
        }
        // SAFETY: always succeeds.
        Wakeable { thread: unsafe { libc::pthread_self() } }
    }

    /// The thread must not have ended: it takes its Wakeable out of the registry, under the lock that the caller holds, first.
    pub fn wake(&self) {
        // SAFETY: the thread exists, as above, and the signal has a handler.
        unsafe { libc::pthread_kill(self.thread, wake_signal()) };
    }
}

/// Without SA_RESTART: an interrupted read returns.
fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // SAFETY: a zeroed sigaction is valid, and the handler does nothing.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = nothing as *const () as usize;
            libc::sigaction(wake_signal(), &action, std::ptr::null_mut());
        }
    });
}
