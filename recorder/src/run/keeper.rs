//! A process that cleans up for one that is killed: it waits on a pipe which ends when its maker does.

use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use crate::sys::{self, Fork};

/// Released, it does nothing; lost with its maker's life, its process cleans.
pub struct Keeper {
    lifeline: UnixStream,
}

impl Keeper {
    /// Forks: to be called by a process with one thread, and before there is anything to clean up.
    pub fn start(clean: impl FnOnce()) -> io::Result<Keeper> {
        let (lifeline, end) = UnixStream::pair()?;
        // SAFETY: one thread, says the contract.
        match unsafe { sys::fork() }? {
            Fork::Child => {
                drop(lifeline);
                detach_and_wait(end, clean)
            }
            Fork::Parent(between) => {
                sys::wait_for(between)?;
                Ok(Keeper { lifeline })
            }
        }
    }

    /// Programs that `work` starts hold the lifeline too: whoever is killed meanwhile, it ends when they have.
    pub fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        let set_flags = |flags: libc::c_int| {
            // SAFETY: the descriptor is ours.
            unsafe { libc::fcntl(self.lifeline.as_raw_fd(), libc::F_SETFD, flags) };
        };
        set_flags(0);
        let result = work();
        set_flags(libc::FD_CLOEXEC);
        result
    }

    pub fn release(mut self) {
        // A keeper that is gone needs no word.
        let _ = self.lifeline.write_all(b".");
    }
}

/// Forks once more, so that it is nobody's child (nor its reads the command's).
fn detach_and_wait(mut end: UnixStream, clean: impl FnOnce()) -> ! {
    // SAFETY: a fresh fork has one thread.
    if !matches!(unsafe { sys::fork() }, Ok(Fork::Child)) {
        sys::exit_now(0);
    }
    let is_detached = sys::become_daemon(&[end.as_raw_fd()]).is_ok();
    let was_released = loop {
        match end.read(&mut [0]) {
            Ok(n) => break n > 0,
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break false,
        }
    };
    if is_detached && !was_released {
        clean();
    }
    sys::exit_now(0)
}
