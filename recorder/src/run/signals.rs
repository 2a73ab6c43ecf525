//! The launcher's signals: all are blocked and read from a descriptor, except those that stop jobs; the command gets
//! them as they were before.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use crate::sys;

/// What the launcher found and the command is to have again.
#[derive(Clone, Copy)]
pub struct Before {
    mask: libc::sigset_t,
    /// Ignored by whoever started us, it would make the kernel reap children unseen.
    child: libc::sighandler_t,
}

impl Before {
    /// In the process that becomes the command, last of all.
    pub fn restore(&self) {
        sys::set_disposition(libc::SIGCHLD, self.child);
        sys::block(&self.mask);
    }
}

pub struct Signals {
    fd: OwnedFd,
}

/// One that came in.
#[derive(Debug, PartialEq, Eq)]
pub enum Arrived {
    /// Some child has ended.
    Child,
    /// Meant for the command.
    Forward(i32),
    /// The command has it from the terminal itself, or it is none of its business.
    Ignore,
}

impl Signals {
    pub fn take_over() -> io::Result<(Signals, Before)> {
        let set = sys::all_signals_but_stops();
        let child = sys::set_disposition(libc::SIGCHLD, libc::SIG_DFL);
        let mask = sys::block(&set);
        Ok((Signals { fd: sys::signal_fd(&set)? }, Before { mask, child }))
    }

    pub fn next(&self) -> Option<Arrived> {
        let info = sys::next_signal(self.fd.as_fd())?;
        Some(classify(info.ssi_signo as i32, info.ssi_code))
    }
}

/// The terminal's own (code above 0: from the kernel) reach the whole process group, so the command has them already.
/// SIGINT and SIGQUIT are taken for the terminal's also where a program imitates it.
fn classify(signal: i32, code: i32) -> Arrived {
    match signal {
        libc::SIGCHLD => Arrived::Child,
        libc::SIGINT | libc::SIGQUIT | libc::SIGPIPE | libc::SIGWINCH | libc::SIGCONT => Arrived::Ignore,
        _ if code > 0 => Arrived::Ignore,
        _ => Arrived::Forward(signal),
    }
}

impl AsRawFd for Signals {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// Ends this process as the command ended: of the same signal, without a core of our own, or with its status.
pub fn end_like(ending: sys::Ending) -> ! {
    match ending {
        sys::Ending::Exited(status) => std::process::exit(status),
        sys::Ending::Killed(signal) => die_of(signal),
    }
}

fn die_of(signal: i32) -> ! {
    let no_core = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    sys::set_disposition(signal, libc::SIG_DFL);
    // SAFETY: plain calls on our own process; the set is ours.
    unsafe {
        libc::setrlimit(libc::RLIMIT_CORE, &no_core);
        libc::prctl(libc::PR_SET_DUMPABLE, 0);
        let mut none = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::pthread_sigmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
        libc::kill(libc::getpid(), signal);
    }
    // A signal that does not end a process by default cannot have ended the command; as shells show it.
    std::process::exit(128 + signal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_sends_is_forwarded_and_what_the_terminal_sends_is_not() {
        assert_eq!(classify(libc::SIGTERM, libc::SI_USER), Arrived::Forward(libc::SIGTERM));
        assert_eq!(classify(libc::SIGHUP, libc::SI_KERNEL), Arrived::Ignore);
        assert_eq!(classify(libc::SIGINT, libc::SI_USER), Arrived::Ignore);
        assert_eq!(classify(libc::SIGCHLD, libc::CLD_EXITED), Arrived::Child);
    }
}
