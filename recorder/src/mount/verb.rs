//! `mount`: a lasting mount and the daemon that serves it. Returns when the mount is there; errors until then are the
//! caller's, later ones stand in trace.json.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::door::{Door, Mounted};
use super::source::{self, Note, Source};
use super::{fuse, fusermount, place, point};
use crate::channel::{self, Channel, Heard};
use crate::cli::MountOptions;
use crate::error::Error;
use crate::plane::{self, Choice};
use crate::serve::{Recording, Settings, Traced};
use crate::sys::{self, Fork};
use crate::{print, say};

/// Making the trace's folder on a slow disk, mounting.
const START: Duration = Duration::from_secs(20);

/// What the daemon tells the process that started it.
#[derive(Serialize, Deserialize)]
enum Told {
    /// And what there is to say.
    Mounted(Mounted, Option<String>),
    Failed {
        message: String,
        next: String,
        details: Vec<String>,
    },
}

struct Plan {
    source: Source,
    point: PathBuf,
    trace: PathBuf,
    exact: bool,
    choice: Choice,
    notes: Vec<Note>,
}

pub fn mount(options: MountOptions) -> Result<(), Error> {
    let foreground = options.foreground;
    let plan = Plan::make(options)?;
    source::tell(&plan.notes);
    if foreground {
        return live(plan, |mounted, said| tell(&mounted, said));
    }
    let failed = |cause| Error::system("cannot start the recorder", "fork", cause);
    let (mut ours, theirs) = channel::pair::<(), Told>().map_err(failed)?;
    // SAFETY: nothing has started a thread.
    match unsafe { sys::fork() }.map_err(failed)? {
        Fork::Child => {
            drop(ours);
            live_detached(plan, theirs)
        }
        Fork::Parent(pid) => {
            drop((plan, theirs));
            match ours.hear(Some(sys::deadline_in(START))).map_err(failed)? {
                Heard::Message(Told::Mounted(mounted, said)) => tell(&mounted, said),
                Heard::Message(Told::Failed { message, next, details }) => {
                    // With its end the directory's lock goes: what is tried next finds it free.
                    let _ = sys::wait_for(pid);
                    return Err(Error::Recorder { message, next, details });
                }
                _ => return Err(Error::RecorderSilent { pid, seconds: START.as_secs() }),
            }
            Ok(())
        }
    }
}

fn tell(mounted: &Mounted, said: Option<String>) {
    said.iter().for_each(|text| say(text));
    // Strings and numbers always are JSON.
    print(&serde_json::to_string(mounted).unwrap_or_default());
}

impl Plan {
    fn make(options: MountOptions) -> Result<Plan, Error> {
        fuse::open_device()?;
        let source = Source::open(&options.source)?;
        let point = match &options.mount_point {
            Some(path) => point::check(path, &source)?,
            None => source.path.clone(),
        };
        let no_place = |cause| Error::system("no such place", "--trace", cause);
        let point_identity = place::open(&point).and_then(|fd| place::identity(fd.as_fd())).map_err(no_place)?;
        point::trace_lies_outside(&options.trace, &[(&source.path, source.identity), (&point, point_identity)])?;
        let mut notes = source.look_around()?;
        notes.extend(source.nested.iter().map(|nested| {
            let text = format!(
                "{} is a mount of its own: it cannot be entered through the traced view (EXDEV)",
                nested.display()
            );
            Note::new("nested mount", text, nested)
        }));
        let trace = std::path::absolute(&options.trace).map_err(no_place)?;
        let choice = plane::choose(options.plane, std::slice::from_ref(&source))?;
        Ok(Plan { source, point, trace, exact: options.exact, choice, notes })
    }
}

fn live_detached(plan: Plan, mut caller: Channel<Told, ()>) -> ! {
    let keep = [plan.source.fd.as_raw_fd(), plan.source.guard.as_raw_fd(), caller.as_raw_fd()];
    let lived = std::panic::catch_unwind(AssertUnwindSafe(|| {
        sys::become_daemon(&keep).map_err(|cause| Error::system("cannot detach", "the recorder", cause))?;
        // If nobody listens any more, the mount is there all the same.
        live(plan, |mounted, said| drop(caller.send(&Told::Mounted(mounted, said))))
    }));
    if let Ok(Err(error)) = &lived {
        let (message, next, details) = (error.to_string(), error.next(), error.details());
        let _ = caller.send(&Told::Failed { message, next, details });
    }
    sys::exit_now(i32::from(!matches!(lived, Ok(Ok(())))))
}

/// From the trace's first byte to its last.
fn live(plan: Plan, announce: impl FnOnce(Mounted, Option<String>)) -> Result<(), Error> {
    plan.source.guard_against_a_second()?;
    let signals = sys::signals(&[libc::SIGTERM, libc::SIGINT, libc::SIGHUP]);
    sys::block(&signals);
    sys::raise_descriptor_limit();
    let signals = sys::signal_fd(&signals).map_err(|cause| Error::system("cannot take signals", "signalfd", cause))?;
    let (name, flags) = (plan.source.path.clone(), plan.source.flags);
    let mut place = Place { point: plan.point.clone(), is_mounted: false };
    let device = place.device(&name, flags)?;
    let for_mount = device.try_clone().map_err(|cause| Error::system("cannot copy", "/dev/fuse", cause))?;
    let traced = Traced { device, source: plan.source, mount_point: plan.point.clone(), is_private: false };
    let settings = Settings {
        trace: plan.trace.clone(),
        exact: plan.exact,
        choice: plan.choice,
        traced: vec![traced],
        notes: plan.notes,
        command: None,
    };
    let mut recording = Recording::prepare(settings)?;
    place.mount(for_mount, &name, flags)?;
    let dev = fuse::seen_by("self", &plan.point)?.st_dev();
    recording.serve(&[dev]);
    let said = recording.start().inspect_err(|_| {
        recording.give_up();
        recording.close();
    })?;
    let mounted = Mounted {
        trace: plan.trace.to_string_lossy().into_owned(),
        mount_point: plan.point.to_string_lossy().into_owned(),
        source: name.to_string_lossy().into_owned(),
        pid: std::process::id() as i32,
        private: false,
    };
    // Without a door `umount` only waits less well.
    let mut door = Door::open(dev).ok();
    announce(mounted.clone(), said);
    wait_for_end(&mut recording, &mut place, &signals, door.as_mut(), &mounted);
    let _waiting = door.map(|door| door.shut(&mounted));
    recording.close();
    Ok(())
}

fn wait_for_end(
    recording: &mut Recording,
    place: &mut Place,
    signals: &OwnedFd,
    mut door: Option<&mut Door>,
    mounted: &Mounted,
) {
    let mut was_told = false;
    while !recording.has_ended() {
        let door_fd = door.as_ref().map_or(-1, |door| door.as_raw_fd());
        let [_, signal, visitor] = sys::wait_readable([recording.ended_fd(), signals.as_raw_fd(), door_fd], None);
        if let (true, Some(door)) = (visitor, &mut door) {
            door.answer(mounted);
        }
        while signal && sys::next_signal(signals.as_fd()).is_some() {
            // The second time whoever still uses it is not waited for.
            if was_told {
                return;
            }
            was_told = true;
            place.take_away();
        }
    }
    // Else the connection was cut and the mount is dead. Gone, another may lie at its place by now.
    place.is_mounted &= !recording.was_unmounted();
}

/// The place where the mount is; it is taken away, whatever happens.
struct Place {
    point: PathBuf,
    is_mounted: bool,
}

impl Place {
    /// An ordinary user's helper mounts at once; root mounts later, when the trace is there.
    fn device(&mut self, name: &Path, flags: libc::c_ulong) -> Result<OwnedFd, Error> {
        let device = fuse::open_device()?;
        if fuse::may_mount() {
            return Ok(device);
        }
        let device = fusermount::mount(name, &self.point, flags)?;
        self.is_mounted = true;
        Ok(device)
    }

    fn mount(&mut self, device: OwnedFd, name: &Path, flags: libc::c_ulong) -> Result<(), Error> {
        if !self.is_mounted {
            fuse::mount(device.as_fd(), name, &self.point, flags)
                .map_err(|cause| Error::MountRefused { target: self.point.clone(), cause: cause.to_string() })?;
            self.is_mounted = true;
        }
        Ok(())
    }

    /// At once if nobody uses it; else it vanishes from its place and ends with its last user.
    fn take_away(&mut self) {
        self.is_mounted = false;
        if fuse::may_mount() {
            let _ = fuse::unmount(&self.point, false).or_else(|_| fuse::unmount(&self.point, true));
        } else {
            let _ = fusermount::unmount(&self.point, false).or_else(|_| fusermount::unmount(&self.point, true));
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_mounted {
            self.take_away();
        }
    }
}
