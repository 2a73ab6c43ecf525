//! The launcher: starts recorder and command, passes signals on, looks at what the command does elsewhere, waits, and
//! tells the recorder how it ended. One thread, so that its I/O counters and its children's can be told apart.

use std::io;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use glassfs_recorder::event::Plane;

use super::command::{self, Overlay, Start};
use super::cover::Cover;
use super::members::{self, Members};
use super::plan::{Plan, Way};
use super::recorder::{self, Seat};
use super::running::{Child, Recorder, Running};
use super::sampler::Sampler;
use super::signals::{Arrived, Before, NoStops, Signals};
use super::words::{Facts, Go, Order, Progress, Remaining, Report};
use crate::channel::{self, Heard};
use crate::cli::RunOptions;
use crate::error::Error;
use crate::mount::mountinfo::Mount;
use crate::mount::{fuse, source};
use crate::procfs::Pid;
use crate::sys::{self, Ending, Fork};
use crate::{say, wall_ns};

/// Making a folder and a few threads takes milliseconds; a disk in trouble gets this long.
const RECORDER_START: Duration = Duration::from_secs(20);
/// Mounting and entering the namespace; a fusermount3 or a slow automount in between.
const VIEW_START: Duration = Duration::from_secs(20);
/// The last segment onto a disk that is stalled.
const FLUSH: Duration = Duration::from_secs(30);
/// The namespace's end, what is queued, small segments merged.
const CLOSE: Duration = Duration::from_secs(60);
/// Runs the command and says how it ended. Errors are our own failures.
pub fn run(options: RunOptions) -> Result<Ending, Error> {
    let mut plan = Plan::make(options)?;
    source::tell(&plan.notes);
    let (signals, before) =
        Signals::take_over().map_err(|cause| Error::system("cannot take signals", "signalfd", cause))?;
    let mut cover = Cover::make(&plan)?;
    let seats = cover.seats(&mut plan);
    let (recorder, recorder_pid) = start_recorder(&plan, seats)?;
    cover.recorder_is_there();
    become_subreaper();
    let mut launcher = Launcher { plan, signals, recorder, recorder_pid, recorder_gone: false };
    let ending = launcher.launch(&mut cover, before);
    if !launcher.recorder_gone {
        cover.leave_to_recorder();
    }
    ending
}

/// Forks the recorder, so that it is no child of ours (its bytes are not the command's), and waits until it is ready.
fn start_recorder(plan: &Plan, seats: Vec<Seat>) -> Result<(Recorder, Pid), Error> {
    let failed = |cause| Error::system("cannot start the recorder", "fork", cause);
    let (mut ours, theirs) = channel::pair::<Order, Report>().map_err(failed)?;
    // Until it has a session of its own, a stop meant for the command would stop it too.
    let no_stops = NoStops::now();
    // SAFETY: the launcher has one thread.
    match unsafe { sys::fork() }.map_err(failed)? {
        Fork::Child => {
            drop(ours);
            let assignment = recorder::Assignment::new(plan, seats);
            recorder::detach_and_live(assignment, theirs)
        }
        Fork::Parent(between) => {
            drop((seats, theirs));
            sys::wait_for(between).map_err(failed)?;
            drop(no_stops);
            match ours.hear(Some(sys::deadline_in(RECORDER_START))).map_err(failed)? {
                Heard::Message(Report::Ready { pid }) => Ok((ours, pid)),
                Heard::Message(Report::Failed { message, next, details }) => {
                    Err(Error::Recorder { message, next, details })
                }
                Heard::Nothing => Err(Error::RecorderSilent { pid: 0, seconds: RECORDER_START.as_secs() }),
                _ => Err(failed(io::Error::from_raw_os_error(libc::ECONNRESET))),
            }
        }
    }
}

/// Orphans of the command become our children: reaped, their bytes are counted, and none is left behind as a zombie.
fn become_subreaper() {
    // SAFETY: touches no memory.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
}

struct Launcher {
    plan: Plan,
    signals: Signals,
    recorder: Recorder,
    recorder_pid: Pid,
    recorder_gone: bool,
}

impl Launcher {
    fn launch(&mut self, cover: &mut Cover, before: Before) -> Result<Ending, Error> {
        let moved_before = members::moved_by_children();
        let directories: Vec<PathBuf> = cover.overlays.iter().map(|(directory, _)| directory.clone()).collect();
        let early = cover.mounted_at();
        if let Some(places) = &early {
            // Binding a mount asks for its root.
            let mounts =
                places.iter().map(|place| fuse::seen_by("self", place)).collect::<Result<Vec<Mount>, Error>>()?;
            self.order(&Order::Serve { devs: mounts.iter().map(Mount::st_dev).collect() });
        }
        let (pid, mut child) = self.fork_command(std::mem::take(&mut cover.overlays), before)?;
        let mounts = self.wait_for_view(pid, &mut child, &directories)?;
        if early.is_none() {
            self.order(&Order::Serve { devs: mounts.iter().map(Mount::st_dev).collect() });
        }
        cover.unhide();
        let members = Members::of(pid, self.plan.way != Way::InPlace);
        let sampler = Sampler::new(&mounts);
        let mut running = Running { pid, child: Some(child), failure: None, members, sampler };
        self.let_go(&mut running);
        let ending = self.wait_for_end(&mut running);
        let moved = members::moved_by_children().zip(moved_before).map(|(now, before)| now.minus(before));
        self.finish(ending, &running, moved);
        running.failure.map_or(Ok(ending), Err)
    }

    fn fork_command(&mut self, overlays: Vec<(PathBuf, Overlay)>, before: Before) -> Result<(Pid, Child), Error> {
        let failed = |cause| Error::system("cannot start the command", "fork", cause);
        let (ours, theirs) = channel::pair::<Go, Progress>().map_err(failed)?;
        let start = Start {
            overlays,
            directory: self.plan.directory.clone(),
            arguments: std::mem::take(&mut self.plan.arguments),
            before,
        };
        // SAFETY: the launcher has one thread.
        match unsafe { sys::fork() }.map_err(failed)? {
            Fork::Child => {
                drop(ours);
                command::become_command(start, theirs)
            }
            // `start` is dropped here with our copies of the devices: a dead recorder's mount must fail, not hang.
            Fork::Parent(pid) => Ok((pid, ours)),
        }
    }

    /// Until the command's process sees its view.
    fn wait_for_view(&mut self, pid: Pid, child: &mut Child, directories: &[PathBuf]) -> Result<Vec<Mount>, Error> {
        let end_it = |cause: Error| {
            // SAFETY: our own child, not yet reaped.
            unsafe { libc::kill(pid, libc::SIGKILL) };
            cause
        };
        let heard = child.hear(Some(sys::deadline_in(VIEW_START)));
        match heard.map_err(|cause| end_it(Error::system("cannot prepare the view", "the command's process", cause)))? {
            Heard::Message(Progress::Mounted) => {
                let process = pid.to_string();
                let seen = directories.iter().map(|directory| fuse::seen_by(&process, directory));
                seen.collect::<Result<_, _>>().map_err(end_it)
            }
            Heard::Message(Progress::Failed { what, place, errno }) => Err(command::explain(what, place, errno)),
            _ => Err(end_it(Error::MountRefused {
                target: directories[0].clone(),
                cause: "the process that was to make the view did not answer".into(),
            })),
        }
    }

    /// From the view to exec. What it takes to enter is ours; from exec on everything is the command's, and recorded.
    fn let_go(&mut self, running: &mut Running) {
        let Some(child) = &mut running.child else { return };
        self.order(&Order::Prepare { tid: running.pid });
        // If it has died, that is learnt from its end.
        let _ = child.send(&Go::Enter);
        match child.hear(Some(sys::deadline_in(VIEW_START))) {
            Ok(Heard::Message(Progress::Entered)) => {}
            Ok(Heard::Message(Progress::Failed { what, place, errno })) => {
                running.failure = Some(command::explain(what, place, errno));
                running.child = None;
                return;
            }
            _ => {
                running.fail(Error::RecorderSilent { pid: self.recorder_pid, seconds: VIEW_START.as_secs() });
                return;
            }
        }
        self.order(&Order::Record);
        match self.recorder.hear(Some(sys::deadline_in(VIEW_START))) {
            Ok(Heard::Message(Report::Recording { said })) => self.say_of_the_plane(said),
            Ok(Heard::Message(Report::Failed { message, next, details })) => {
                running.fail(Error::Recorder { message, next, details });
                return self.let_the_recorder_end();
            }
            other => self.note_end(other),
        }
        self.hand_over_early_signals(running.pid);
        let _ = child.send(&Go::Exec);
    }

    /// Until its end, and with it that of the lock on the directory.
    fn let_the_recorder_end(&mut self) {
        self.recorder_gone = true;
        while let Ok(Heard::Message(_)) = self.hear_patiently(CLOSE) {}
    }

    fn say_of_the_plane(&mut self, said: Option<String>) {
        if let Some(text) = said {
            self.plan.choice.plane = Plane::Daemon;
            say(&text);
        }
    }

    /// What came before there was a command is the command's too, the terminal's as well: so Ctrl-C ends a run at any
    /// moment. Its process holds signals back until exec, so it gets none twice.
    fn hand_over_early_signals(&self, command: Pid) {
        while let Some(arrived) = self.signals.next() {
            if let Arrived::Forward(signal) | Arrived::FromTerminal(signal) = arrived {
                // SAFETY: the command's process is our child and has not been reaped.
                unsafe { libc::kill(command, signal) };
            }
        }
    }

    fn order(&mut self, order: &Order) {
        // A recorder that is gone is noticed by its channel's end.
        let _ = self.recorder.send(order);
    }

    /// The launcher's life: until the command has been reaped.
    fn wait_for_end(&mut self, running: &mut Running) -> Ending {
        loop {
            if let Some(ending) = self.reap(running.pid) {
                running.listen(&mut self.recorder);
                return ending;
            }
            let recorder = if self.recorder_gone { -1 } else { self.recorder.as_raw_fd() };
            let child = running.child.as_ref().map_or(-1, AsRawFd::as_raw_fd);
            let [signal, from_recorder, from_child] =
                sys::wait_readable([self.signals.as_raw_fd(), recorder, child], Some(running.sampler.due()));
            if from_child {
                running.listen(&mut self.recorder);
            }
            if signal {
                self.pass_on(running.pid);
            }
            if from_recorder {
                self.hear_recorder();
            }
            if Instant::now() >= running.sampler.due() {
                running.sampler.look(&running.members.list());
            }
        }
    }

    /// Takes every child that has ended; the command's ending, if it is among them.
    fn reap(&mut self, command: Pid) -> Option<Ending> {
        let mut ended = None;
        while let Some((pid, ending)) = sys::reap() {
            if pid == command {
                ended = Some(ending);
            }
        }
        ended
    }

    fn pass_on(&mut self, command: Pid) {
        while let Some(arrived) = self.signals.next() {
            if let Arrived::Forward(signal) = arrived {
                // SAFETY: the command is our child and has not been reaped: the number is still its own.
                unsafe { libc::kill(command, signal) };
            }
        }
    }

    /// While the command runs, the recorder has nothing to say: whatever comes is its end.
    fn hear_recorder(&mut self) {
        let heard = self.recorder.hear_now();
        self.note_end(heard);
    }

    fn note_end(&mut self, heard: io::Result<Heard<Report>>) {
        match heard {
            Ok(Heard::Nothing) => {}
            Ok(Heard::Message(Report::Closed { reason })) => {
                self.recorder_gone = true;
                say(&format!("the recorder has ended while the command runs: {reason}"));
            }
            _ => {
                self.recorder_gone = true;
                let open = if self.plan.choice.plane == Plane::Kernel { "; open files go on, untraced" } else { "" };
                say(&format!(
                    "the recorder (process {}) was killed: in the traced directory the command now gets \"Transport endpoint is not \
                     connected\"{open}; what it has written is safe, the trace ends here",
                    self.recorder_pid
                ));
            }
        }
    }

    /// Everything after the command's end: facts to the recorder, its last words, who remains.
    fn finish(&mut self, ending: Ending, running: &Running, moved: Option<crate::procfs::Moved>) {
        let remaining = running.who_remains();
        let moved = moved.map(|moved| moved.plus(members::moved_by(&remaining)));
        let mut facts = Facts {
            end_ns: wall_ns(),
            exit_status: if let Ending::Exited(status) = ending { Some(status) } else { None },
            signal: if let Ending::Killed(signal) = ending { Some(signal) } else { None },
            remaining: remaining.clone(),
            ..Facts::default()
        };
        running.sampler.tell(&mut facts);
        // /proc counts nothing of what io_uring and libaio move.
        if let Some(moved) = moved.filter(|_| !facts.io_uring) {
            facts.read_bytes = Some(moved.read);
            facts.written_bytes = Some(moved.written);
        }
        if !self.recorder_gone {
            self.order(&Order::Ended(facts));
            self.wait_for_recorder(&remaining);
        }
        if !remaining.is_empty() {
            let end = if self.recorder_gone { "" } else { "; the trace goes on until they end" };
            say(&format!("still running in the traced view: {}{end}", members::names(&remaining)));
        }
    }

    fn wait_for_recorder(&mut self, remaining: &[Remaining]) {
        match self.hear_patiently(FLUSH) {
            Ok(Heard::Message(Report::Flushed { complete: true })) => {}
            Ok(Heard::Message(Report::Flushed { complete: false })) => {
                say("the trace's disk is slow: not everything is written yet; the recorder goes on with it");
            }
            Ok(Heard::Message(Report::Closed { .. })) => return,
            Ok(Heard::Nothing) => return self.say_unfinished(),
            other => return self.note_end(other),
        }
        if remaining.is_empty() && matches!(self.hear_patiently(CLOSE), Ok(Heard::Nothing)) {
            self.say_unfinished();
        }
    }

    fn say_unfinished(&self) {
        say(&format!(
            "the recorder (process {}) is still writing; its trace is complete when it has ended",
            self.recorder_pid
        ));
    }

    /// The recorder's next word. A person who interrupts now means us: then it is not waited for.
    fn hear_patiently(&mut self, patience: Duration) -> io::Result<Heard<Report>> {
        let deadline = sys::deadline_in(patience);
        loop {
            let heard = self.recorder.hear_now()?;
            if !matches!(heard, Heard::Nothing) || Instant::now() >= deadline {
                return Ok(heard);
            }
            sys::wait_readable([self.recorder.as_raw_fd(), self.signals.as_raw_fd()], Some(deadline));
            while let Some(arrived) = self.signals.next() {
                if matches!(arrived, Arrived::FromTerminal(_) | Arrived::Forward(_)) {
                    return Ok(Heard::Nothing);
                }
            }
        }
    }
}
