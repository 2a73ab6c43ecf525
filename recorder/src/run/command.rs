//! The process that becomes the command: finding it, making its view, handing over signals and directory untouched, exec.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::namespace::{self, Lifted};
use super::signals::Before;
use super::words::{Go, Progress, Step};
use crate::channel::{Channel, Heard};
use crate::error::{Error, exit};
use crate::mount::fuse;
use crate::sys;

/// How the view is laid over one directory.
pub enum Overlay {
    /// Mount the connection behind this device.
    Device { device: OwnedFd, flags: libc::c_ulong, nested: Vec<PathBuf> },
    /// Bind a mount that is served already.
    Bind { hidden: PathBuf },
    /// It lies there already, for everybody to see.
    Nothing,
}

pub struct Start {
    /// Directory and how it is covered, in the order of the mounts.
    pub overlays: Vec<(PathBuf, Overlay)>,
    /// To be entered again, through the view; None if it lies in no traced directory.
    pub directory: Option<PathBuf>,
    pub arguments: Vec<OsString>,
    pub before: Before,
}

type Failure = (Step, PathBuf, io::Error);

/// Refuses what exec would refuse, before anything is started: 127 and 126 as shells have them.
pub fn check_exists(name: &OsStr) -> Result<(), Error> {
    let shown = name.to_string_lossy().into_owned();
    let mut refused = None;
    for candidate in candidates(name) {
        match runnable(&candidate) {
            Ok(()) => return Ok(()),
            Err(cause) if matches!(cause.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => {}
            Err(cause) => refused = Some(cause),
        }
    }
    Err(match refused {
        Some(cause) => Error::CommandNotExecutable { name: shown, cause },
        None => Error::CommandNotFound { name: shown },
    })
}

/// As execvp searches: a name with a slash is a path.
fn candidates(name: &OsStr) -> Vec<PathBuf> {
    if name.as_encoded_bytes().contains(&b'/') {
        return vec![PathBuf::from(name)];
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/bin:/usr/bin".into());
    std::env::split_paths(&path).map(|place| place.join(name)).collect()
}

fn runnable(path: &Path) -> io::Result<()> {
    let data = std::fs::metadata(path)?;
    let path = sys::c_path(path)?;
    // SAFETY: path is a NUL-terminated string that outlives the call.
    sys::check(unsafe { libc::faccessat(libc::AT_FDCWD, path.as_ptr(), libc::X_OK, libc::AT_EACCESS) })?;
    // Root may "execute" anything by access(2); exec wants one x bit, and a file.
    if !data.is_file() || data.permissions().mode() & 0o111 == 0 {
        return Err(io::Error::from_raw_os_error(libc::EACCES));
    }
    Ok(())
}

/// Never returns: becomes the command, or ends with 125, 126 or 127 after telling the launcher why.
pub fn become_command(start: Start, mut launcher: Channel<Progress, Go>) -> ! {
    let (step, place, cause) = match attempt(start, &mut launcher) {
        Ok(never) => match never {},
        Err(failure) => failure,
    };
    let errno = cause.raw_os_error().unwrap_or(libc::EIO);
    // If the launcher is gone, nobody is left to tell.
    let _ = launcher.send(&Progress::Failed { what: step, place, errno });
    let code = match (step, errno) {
        (Step::Exec, libc::ENOENT) => exit::NOT_FOUND,
        (Step::Exec, _) => exit::NOT_EXECUTABLE,
        _ => exit::RUN_FAILED,
    };
    sys::exit_now(i32::from(code))
}

fn attempt(start: Start, launcher: &mut Channel<Progress, Go>) -> Result<std::convert::Infallible, Failure> {
    let lifted = make_view(start.overlays)?;
    let silent = |cause| (Step::Mount, PathBuf::from("the launcher"), cause);
    let mut report = |progress| launcher.send(&progress).and_then(|()| wait_for_word(launcher)).map_err(silent);
    report(Progress::Mounted)?;
    for nested in lifted {
        nested.put_back().map_err(|(place, cause)| (Step::Rebind, place, cause))?;
    }
    if let Some(directory) = start.directory {
        std::env::set_current_dir(&directory).map_err(|cause| (Step::Chdir, directory, cause))?;
    }
    report(Progress::Entered)?;
    take_name(&start.arguments[0]);
    start.before.restore();
    exec(&start.arguments).map_err(|cause| (Step::Exec, PathBuf::from(&start.arguments[0]), cause))
}

fn wait_for_word(launcher: &mut Channel<Progress, Go>) -> io::Result<()> {
    match launcher.hear(None)? {
        Heard::Message(Go::Enter | Go::Exec) => Ok(()),
        _ => Err(io::Error::from_raw_os_error(libc::EPIPE)),
    }
}

/// The name that exec will give: what the kernel reads to execute a traced file already bears it.
fn take_name(command: &OsStr) {
    let name = Path::new(command).file_name().unwrap_or(command);
    if let Ok(name) = sys::c_string(name) {
        // SAFETY: a NUL-terminated string that outlives the call; the kernel cuts it to 15 bytes.
        unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
    }
}

/// Enters the namespace and covers the directories. The devices are closed on return: if this process kept one, a dead
/// recorder's mount would hang instead of failing.
fn make_view(overlays: Vec<(PathBuf, Overlay)>) -> Result<Vec<Lifted>, Failure> {
    let entering = |cause| (Step::Namespace, PathBuf::from("/proc/self/ns/mnt"), cause);
    match overlays.first().map(|(_, overlay)| overlay) {
        Some(Overlay::Device { .. }) => namespace::enter_as_root().map_err(entering)?,
        Some(Overlay::Bind { .. }) => namespace::enter_as_user().map_err(entering)?,
        Some(Overlay::Nothing) | None => return Ok(Vec::new()),
    }
    let mut lifted = Vec::new();
    for (directory, overlay) in &overlays {
        let failed = |cause| (Step::Mount, directory.clone(), cause);
        match overlay {
            Overlay::Device { device, flags, nested } => {
                for point in nested {
                    lifted.push(namespace::lift(point).map_err(|cause| (Step::Rebind, point.clone(), cause))?);
                }
                fuse::mount(device.as_fd(), directory, directory, *flags).map_err(failed)?;
            }
            Overlay::Bind { hidden } => fuse::bind(hidden, directory).map_err(failed)?,
            Overlay::Nothing => {}
        }
    }
    if matches!(overlays.first(), Some((_, Overlay::Bind { .. }))) {
        namespace::drop_capabilities().map_err(entering)?;
    }
    Ok(lifted)
}

/// execvp, which also runs a script without a first line through the shell, as people are used to.
fn exec(arguments: &[OsString]) -> io::Result<std::convert::Infallible> {
    let strings = arguments.iter().map(|argument| sys::c_string(argument)).collect::<io::Result<Vec<CString>>>()?;
    let mut pointers: Vec<_> = strings.iter().map(|string| string.as_ptr()).collect();
    pointers.push(std::ptr::null());
    // SAFETY: a NULL-terminated array of NUL-terminated strings that outlive the call.
    unsafe { libc::execvp(pointers[0], pointers.as_ptr()) };
    Err(io::Error::last_os_error())
}

/// What the launcher says of a failure.
pub fn explain(step: Step, place: PathBuf, errno: i32) -> Error {
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
