//! The recorder of a run: a session of its own that serves the views until the last process of the namespace is gone,
//! whatever becomes of the launcher. It lives outside the namespace, so it never keeps it alive.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::plan::{Plan, Way};
use super::words::{Facts, Order, Report};
use crate::channel::{Channel, Heard};
use crate::error::Error;
use crate::mount::fusermount;
use crate::mount::source::{Note, Source};
use crate::plane::Choice;
use crate::procfs::{self, Pid};
use crate::serve::{self, Recording, Traced};
use crate::sys::{self, Fork};

/// How often a mount that cannot be private is tried to be taken away, and a launcher's silence is looked into.
const LOOK: Duration = Duration::from_millis(500);
/// The view of a command goes in the midst of its end, some time before the launcher can tell of it: as long as a large
/// process may take for the rest.
const END: Duration = Duration::from_secs(10);
/// The last segment onto a disk that is stalled.
const FLUSH: Duration = Duration::from_secs(25);

/// One connection: the open device and what it shows.
pub struct Seat {
    pub device: OwnedFd,
    pub source: Source,
    pub is_private: bool,
}

pub struct Assignment {
    way: Way,
    trace: PathBuf,
    exact: bool,
    choice: Choice,
    arguments: Vec<OsString>,
    seats: Vec<Seat>,
    notes: Vec<Note>,
    cwd: PathBuf,
}

impl Assignment {
    pub fn new(plan: &Plan, seats: Vec<Seat>) -> Assignment {
        Assignment {
            way: plan.way,
            trace: plan.trace.clone(),
            exact: plan.exact,
            choice: plan.choice.clone(),
            arguments: plan.arguments.clone(),
            seats,
            notes: plan.notes.clone(),
            cwd: std::env::current_dir().unwrap_or_default(),
        }
    }
}

type Launcher = Channel<Report, Order>;

/// In a fresh fork of the launcher: forks once more, so that the recorder is nobody's child, and lives.
pub fn detach_and_live(assignment: Assignment, mut launcher: Launcher) -> ! {
    // SAFETY: the launcher, whose copy this is, has one thread.
    match unsafe { sys::fork() } {
        Ok(Fork::Child) => {}
        Ok(Fork::Parent(_)) => sys::exit_now(0),
        Err(_) => sys::exit_now(1),
    }
    let lived = std::panic::catch_unwind(AssertUnwindSafe(|| live(assignment, &mut launcher)));
    if let Ok(Err(error)) = &lived {
        let (message, next, details) = (error.to_string(), error.next(), error.details());
        let _ = launcher.send(&Report::Failed { message, next, details });
    }
    sys::exit_now(i32::from(!matches!(lived, Ok(Ok(())))))
}

fn live(assignment: Assignment, launcher: &mut Launcher) -> Result<(), Error> {
    detach(&assignment, launcher.as_raw_fd()).map_err(|cause| Error::system("cannot detach", "the recorder", cause))?;
    for seat in &assignment.seats {
        seat.source.guard_against_a_second()?;
    }
    let points = assignment.seats.iter().map(|seat| seat.source.path.clone()).collect();
    let traced = assignment.seats.into_iter().map(|seat| Traced {
        mount_point: seat.source.path.clone(),
        device: seat.device,
        source: seat.source,
        is_private: seat.is_private,
    });
    let recording = Recording::prepare(serve::Settings {
        trace: assignment.trace,
        exact: assignment.exact,
        choice: assignment.choice,
        traced: traced.collect(),
        notes: assignment.notes,
        command: Some(serve::command(&assignment.arguments, &assignment.cwd)),
    })?;
    let _ = launcher.send(&Report::Ready { pid: std::process::id() as Pid });
    let mut watch = Watch {
        recording,
        in_place: if assignment.way == Way::InPlace { points } else { Vec::new() },
        users: Vec::new(),
        is_over: false,
        is_alone: false,
        next_look: Instant::now() + LOOK,
    };
    watch.until_the_end(launcher);
    let reason = watch.recording.close();
    let _ = launcher.send(&Report::Closed { reason });
    Ok(())
}

fn detach(assignment: &Assignment, launcher: RawFd) -> io::Result<()> {
    let own = assignment
        .seats
        .iter()
        .flat_map(|seat| [seat.device.as_raw_fd(), seat.source.fd.as_raw_fd(), seat.source.guard.as_raw_fd()]);
    sys::become_daemon(&own.chain([launcher]).collect::<Vec<_>>())?;
    sys::raise_descriptor_limit();
    Ok(())
}

/// What the recorder waits for while the workers serve.
struct Watch {
    recording: Recording,
    /// Mounts that end only when somebody takes them away.
    in_place: Vec<PathBuf>,
    /// The command, and when it has ended those that remain: while they live, an idle mount is not an unused one.
    users: Vec<Pid>,
    /// The command has ended, as far as anybody can tell.
    is_over: bool,
    /// The launcher is gone.
    is_alone: bool,
    next_look: Instant,
}

impl Watch {
    /// Until every connection has ended and the launcher has had its chance to tell how the command ended.
    fn until_the_end(&mut self, launcher: &mut Launcher) {
        while !(self.recording.has_ended() && (self.is_over || self.is_alone)) {
            let ended = if self.recording.has_ended() { -1 } else { self.recording.ended_fd() };
            let heard = if self.is_alone { -1 } else { launcher.as_raw_fd() };
            let needs_looks = !self.in_place.is_empty() || self.recording.has_ended();
            let deadline = needs_looks.then_some(self.next_look);
            let had_ended = self.recording.has_ended();
            let [_, from_launcher] = sys::wait_readable([ended, heard], deadline);
            if !had_ended && self.recording.has_ended() {
                self.next_look = Instant::now() + if self.recording.was_unmounted() { END } else { LOOK };
            }
            if from_launcher {
                self.obey(launcher);
            }
            if Instant::now() >= self.next_look {
                self.next_look = Instant::now() + LOOK;
                self.look();
            }
        }
    }

    /// Does everything that has been said: what was read along with an order no poll will tell of.
    fn obey(&mut self, launcher: &mut Launcher) {
        while !self.is_alone {
            match launcher.hear_now() {
                Ok(Heard::Nothing) => return,
                Ok(Heard::Message(order)) => self.perform(order, launcher),
                Ok(Heard::Closed) | Err(_) => self.launcher_is_gone(),
            }
        }
    }

    fn perform(&mut self, order: Order, launcher: &mut Launcher) {
        match order {
            Order::Serve { devs } => self.recording.serve(&devs),
            Order::Prepare { tid } => self.recording.leave_out(tid as u32),
            Order::Record => {
                let report = match self.recording.start() {
                    Ok(said) => Report::Recording { said },
                    Err(error) => {
                        self.recording.give_up();
                        self.is_over = true;
                        Report::Failed { message: error.to_string(), next: error.next(), details: error.details() }
                    }
                };
                // A launcher that is gone is noticed by its channel's end.
                let _ = launcher.send(&report);
            }
            Order::Started { pid, start_ns } => {
                self.users = vec![pid];
                self.recording.update_command(move |command| {
                    command.pid = pid as u32;
                    command.start_ns = start_ns;
                });
            }
            Order::Ended(facts) => self.command_ended(facts, launcher),
        }
    }

    fn command_ended(&mut self, facts: Facts, launcher: &mut Launcher) {
        self.is_over = true;
        self.users = facts.remaining.iter().map(|process| process.pid).collect();
        let is_unused = self.users.is_empty();
        self.recording.update_command(move |command| serve::complete(command, facts));
        let complete = self.recording.flush(FLUSH);
        let _ = launcher.send(&Report::Flushed { complete });
        // Strangers may still be in it: they are served until they leave.
        if is_unused {
            self.take_away(true);
        }
    }

    fn launcher_is_gone(&mut self) {
        self.is_alone = true;
        if !self.recording.is_serving() {
            // It failed before there was a view: nobody will ever use this one.
            self.recording.give_up();
        }
    }

    fn look(&mut self) {
        let is_used = self.users.iter().any(|pid| procfs::is_alive(*pid));
        if self.recording.has_ended() && is_used {
            // The connection was cut while the command runs; waiting for the launcher would hold the trace open.
            self.is_over = true;
        }
        if (self.is_over || self.is_alone) && !is_used {
            self.take_away(false);
        }
    }

    fn take_away(&mut self, lazily: bool) {
        self.in_place.retain(|point| fusermount::unmount_ours(point, lazily).is_err());
    }
}
