//! The launcher: starts recorder and command, passes signals on, looks at what the command does elsewhere, waits, and
//! tells the recorder how it ended. One thread, so that its I/O counters and its children's can be told apart.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::command::{self, Overlay, Start};
use super::hidden::HiddenPlace;
use super::members::{self, Members};
use super::plan::{Plan, Way};
use super::recorder::{self, Seat};
use super::sampler::Sampler;
use super::signals::{Arrived, Before, Signals};
use super::words::{Facts, Go, Order, Progress, Remaining, Report, Step};
use crate::channel::{self, Channel, Heard};
use crate::cli::RunOptions;
use crate::error::Error;
use crate::mount::mountinfo::Mount;
use crate::mount::{fuse, fusermount};
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
/// Processes that are just ending when their parent has ended are not called remaining.
const GRACE: Duration = Duration::from_millis(50);
const GRACE_LOOK: Duration = Duration::from_millis(2);

type Recorder = Channel<Order, Report>;
type Child = Channel<Go, Progress>;

/// Runs the command and says how it ended. Errors are our own failures.
pub fn run(options: RunOptions) -> Result<Ending, Error> {
    let mut plan = Plan::make(options)?;
    for note in &plan.notes {
        say(&note.text);
    }
    let (signals, before) =
        Signals::take_over().map_err(|cause| Error::system("cannot take signals", "signalfd", cause))?;
    let mut cover = Cover::make(&mut plan)?;
    let seats = cover.seats(&mut plan)?;
    let (recorder, recorder_pid) = start_recorder(&plan, seats, cover.hidden.as_ref())?;
    become_subreaper();
    let own = Launcher { plan, signals, recorder, recorder_pid, recorder_gone: false };
    own.launch(cover, before)
}

/// What lies over the directories already, or will be laid there by the command's process; taken away again if the run
/// does not come about.
struct Cover {
    overlays: Vec<(PathBuf, Overlay)>,
    /// One connection a directory, for the recorder; closed here once it has them.
    devices: Vec<OwnedFd>,
    hidden: Option<HiddenPlace>,
    in_place: InPlace,
}

/// Mounts for all to see, which nobody but us takes away.
#[derive(Default)]
struct InPlace(Vec<PathBuf>);

impl Drop for InPlace {
    fn drop(&mut self) {
        for point in &self.0 {
            // Gone already is well.
            let _ = fusermount::unmount(point, true);
        }
    }
}

impl Cover {
    fn make(plan: &mut Plan) -> Result<Cover, Error> {
        let mut cover = Cover { overlays: Vec::new(), devices: Vec::new(), hidden: None, in_place: InPlace::default() };
        for source in &plan.sources {
            let overlay = match plan.way {
                Way::Root => {
                    let device = fuse::open_device()?;
                    let for_mount =
                        device.try_clone().map_err(|cause| Error::system("cannot copy", "/dev/fuse", cause))?;
                    cover.devices.push(device);
                    Overlay::Device { device: for_mount, flags: source.flags, nested: source.nested.clone() }
                }
                Way::UserNamespace => {
                    fuse::open_device()?;
                    let place = match cover.hidden.take() {
                        Some(place) => cover.hidden.insert(place),
                        None => cover.hidden.insert(HiddenPlace::make()?),
                    };
                    let hidden = place.next_point()?;
                    cover.devices.push(fusermount::mount(&source.path, &hidden, source.flags)?);
                    Overlay::Bind { hidden }
                }
                Way::InPlace => {
                    fuse::open_device()?;
                    cover.devices.push(fusermount::mount(&source.path, &source.path, source.flags)?);
                    cover.in_place.0.push(source.path.clone());
                    Overlay::Nothing
                }
            };
            cover.overlays.push((source.path.clone(), overlay));
        }
        Ok(cover)
    }

    /// What the recorder gets: a device and a source each.
    fn seats(&mut self, plan: &mut Plan) -> Result<Vec<Seat>, Error> {
        let is_private = plan.way != Way::InPlace;
        let pairs = self.devices.drain(..).zip(plan.sources.drain(..));
        Ok(pairs.map(|(device, source)| Seat { device, source, is_private }).collect())
    }
}

/// Forks the recorder, so that it is no child of ours (its bytes are not the command's), and waits until it is ready.
fn start_recorder(plan: &Plan, seats: Vec<Seat>, hidden: Option<&HiddenPlace>) -> Result<(Recorder, Pid), Error> {
    let failed = |cause| Error::system("cannot start the recorder", "fork", cause);
    let (mut ours, theirs) = channel::pair::<Order, Report>().map_err(failed)?;
    // SAFETY: the launcher has one thread.
    match unsafe { sys::fork() }.map_err(failed)? {
        Fork::Child => {
            drop(ours);
            let assignment = recorder::Assignment::new(plan, seats, hidden.map(HiddenPlace::base));
            recorder::detach_and_live(assignment, theirs)
        }
        Fork::Parent(between) => {
            drop((seats, theirs));
            sys::wait_for(between).map_err(failed)?;
            match ours.hear(Some(sys::deadline_in(RECORDER_START))).map_err(failed)? {
                Heard::Message(Report::Ready { pid }) => Ok((ours, pid)),
                Heard::Message(Report::Failed { message, next }) => Err(Error::Recorder { message, next }),
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

/// The command, running.
struct Running {
    pid: Pid,
    child: Option<Child>,
    failure: Option<Error>,
    members: Members,
    sampler: Sampler,
}

impl Launcher {
    fn launch(mut self, mut cover: Cover, before: Before) -> Result<Ending, Error> {
        let moved_before = members::moved_by_children();
        let directories: Vec<PathBuf> = cover.overlays.iter().map(|(directory, _)| directory.clone()).collect();
        let is_served_early = self.plan.way != Way::Root;
        if is_served_early {
            // The mounts are there; binding them asks for their root.
            self.order_to_serve(&directories, cover.hidden.as_ref())?;
        }
        let (pid, mut child) = self.fork_command(std::mem::take(&mut cover.overlays), before)?;
        let mounts = self.wait_for_view(pid, &mut child, &directories)?;
        if !is_served_early {
            self.order(&Order::Serve { devs: mounts.iter().map(Mount::st_dev).collect() });
        }
        // Bound over the directory: the hidden mounts have done their duty.
        cover.hidden = None;
        let members = Members::of(pid, self.plan.way != Way::InPlace);
        let sampler = Sampler::new(&mounts);
        // If it has died, that is learnt from its end.
        let _ = child.send(&Go::Now);
        let mut running = Running { pid, child: Some(child), failure: None, members, sampler };
        let ending = self.wait_for_end(&mut running);
        let moved = members::moved_by_children().zip(moved_before).map(|(now, before)| now.minus(before));
        self.finish(ending, &running, moved);
        match running.failure {
            Some(failure) => Err(failure),
            None => Ok(ending),
        }
    }

    fn order_to_serve(&mut self, directories: &[PathBuf], hidden: Option<&HiddenPlace>) -> Result<(), Error> {
        let places = directories.iter().enumerate().map(|(number, directory)| match hidden {
            Some(place) => place.base().join(number.to_string()),
            None => directory.clone(),
        });
        let mounts = places.map(|place| fuse::seen_by("self", &place)).collect::<Result<Vec<Mount>, Error>>()?;
        self.order(&Order::Serve { devs: mounts.iter().map(Mount::st_dev).collect() });
        Ok(())
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
            Heard::Message(Progress::Failed { what, place, errno }) => Err(failure(what, place, errno)),
            Heard::Nothing | Heard::Closed => Err(end_it(Error::MountRefused {
                target: directories[0].clone(),
                cause: "the process that was to make the view did not answer".into(),
            })),
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
        match self.recorder.hear_now() {
            Ok(Heard::Nothing) => {}
            Ok(Heard::Message(Report::Closed { reason })) => {
                self.recorder_gone = true;
                say(&format!("the recorder has ended while the command runs: {reason}"));
            }
            _ => {
                self.recorder_gone = true;
                say(&format!(
                    "the recorder (process {}) was killed while the command runs: its files in the traced directory now answer \
                     \"Transport endpoint is not connected\"; the data itself is safe, the trace ends here",
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
            read_bytes: moved.map(|moved| moved.read),
            written_bytes: moved.map(|moved| moved.written),
            remaining: remaining.clone(),
            ..Facts::default()
        };
        running.sampler.tell(&mut facts);
        if !self.recorder_gone {
            self.order(&Order::Ended(facts));
            self.wait_for_recorder(&remaining);
        }
        if !remaining.is_empty() {
            say_who_remains(&remaining, self.recorder_gone);
        }
    }

    fn wait_for_recorder(&mut self, remaining: &[Remaining]) {
        match self.recorder.hear(Some(sys::deadline_in(FLUSH))) {
            Ok(Heard::Message(Report::Flushed { complete: true })) => {}
            Ok(Heard::Message(Report::Flushed { complete: false })) => {
                say("the trace's disk is slow: not everything is written yet; the recorder goes on with it");
            }
            Ok(Heard::Message(Report::Closed { .. })) => return,
            Ok(Heard::Nothing) => {
                return say(&format!(
                    "the recorder (process {}) does not answer; the trace may be incomplete",
                    self.recorder_pid
                ));
            }
            _ => return self.hear_recorder(),
        }
        if remaining.is_empty() {
            let closed = self.recorder.hear(Some(sys::deadline_in(CLOSE)));
            if matches!(closed, Ok(Heard::Nothing)) {
                say(&format!("the recorder (process {}) is still closing the trace", self.recorder_pid));
            }
        }
    }
}

impl Running {
    /// What the command's process tells before it is the command: nothing, if exec went well.
    fn listen(&mut self, recorder: &mut Recorder) {
        let Some(child) = &mut self.child else { return };
        match child.hear_now() {
            Ok(Heard::Nothing) => return,
            Ok(Heard::Message(Progress::Failed { what, place, errno })) => {
                self.failure = Some(failure(what, place, errno))
            }
            Ok(Heard::Message(Progress::Mounted)) => return,
            Ok(Heard::Closed) | Err(_) => {
                let _ = recorder.send(&Order::Started { pid: self.pid, start_ns: wall_ns() });
            }
        }
        self.child = None;
    }

    /// Those that outlive the command, after a moment for those about to end.
    fn who_remains(&self) -> Vec<Remaining> {
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

fn failure(step: Step, place: PathBuf, errno: i32) -> Error {
    let cause = io::Error::from_raw_os_error(errno);
    let name = || place.to_string_lossy().into_owned();
    match step {
        Step::Exec if errno == libc::ENOENT => Error::CommandNotFound { name: name() },
        Step::Exec => Error::CommandNotExecutable { name: name(), cause },
        Step::Mount => Error::MountRefused { target: place, cause: cause.to_string() },
        Step::Namespace => Error::system("cannot make a private view", name(), cause),
        Step::Rebind => Error::system("cannot keep a nested mount", name(), cause),
        Step::Chdir => Error::system("cannot return to the directory", name(), cause),
    }
}

/// Names shown at once; the rest is a number.
const SHOWN: usize = 5;

fn say_who_remains(remaining: &[Remaining], recorder_gone: bool) {
    let mut names: Vec<String> = remaining.iter().take(SHOWN).map(|p| format!("{} ({})", p.comm, p.pid)).collect();
    if remaining.len() > SHOWN {
        names.push(format!("{} more", remaining.len() - SHOWN));
    }
    let end = if recorder_gone { "" } else { "; the trace goes on until they end" };
    say(&format!("still running in the traced view: {}{end}", names.join(", ")));
}
