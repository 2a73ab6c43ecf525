//! The command as the launcher knows it: from the process that is to become it to those that outlive it.

use std::time::{Duration, Instant};

use super::command;
use super::members::Members;
use super::sampler::Sampler;
use super::words::{Go, Order, Progress, Remaining, Report};
use crate::channel::{Channel, Heard};
use crate::error::Error;
use crate::procfs::Pid;
use crate::{sys, wall_ns};

/// Processes that are just ending when their parent has ended are not called remaining.
const GRACE: Duration = Duration::from_millis(50);
const GRACE_LOOK: Duration = Duration::from_millis(2);

pub type Recorder = Channel<Order, Report>;
pub type Child = Channel<Go, Progress>;

/// The command, running.
pub struct Running {
    pub pid: Pid,
    pub child: Option<Child>,
    pub failure: Option<Error>,
    pub members: Members,
    pub sampler: Sampler,
}

impl Running {
    /// It does not become the command.
    pub fn fail(&mut self, failure: Error) {
        self.failure = Some(failure);
        // SAFETY: our own child, not yet reaped.
        unsafe { libc::kill(self.pid, libc::SIGKILL) };
    }

    /// What the command's process tells before it is the command: nothing, if exec went well.
    pub fn listen(&mut self, recorder: &mut Recorder) {
        let Some(child) = &mut self.child else { return };
        match child.hear_now() {
            Ok(Heard::Nothing) => return,
            Ok(Heard::Message(Progress::Failed { what, place, errno })) => {
                self.failure = Some(command::explain(what, place, errno))
            }
            Ok(Heard::Message(Progress::Mounted | Progress::Entered)) => return,
            Ok(Heard::Closed) | Err(_) => {
                let _ = recorder.send(&Order::Started { pid: self.pid, start_ns: wall_ns() });
            }
        }
        self.child = None;
    }

    /// Those that outlive the command, after a moment for those about to end.
    pub fn who_remains(&self) -> Vec<Remaining> {
        let end = sys::deadline_in(GRACE);
        loop {
            while sys::reap().is_some() {}
            let remaining = self.members.remaining();
            if remaining.is_empty() || Instant::now() >= end {
                return remaining;
            }
            sys::wait_readable([-1], Some(Instant::now() + GRACE_LOOK));
        }
    }
}
