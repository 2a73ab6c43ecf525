//! Everything that can go wrong before a program's first call: what, where, cause, the next step, and the exit code.
//! Must not print: `main` does, once.

use std::io;
use std::path::PathBuf;

use crate::plane::Missing;

/// A process somewhere else that stands in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Culprit {
    pub pid: i32,
    pub comm: String,
    /// In words: "cwd", "3 open files", "a lock on /x/LOCK".
    pub how: String,
}

impl std::fmt::Display for Culprit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.comm, self.pid)?;
        if self.how.is_empty() { Ok(()) } else { write!(f, " has {}", self.how) }
    }
}

/// `a (1) has cwd, b (2) has a lock on /x`: for messages.
pub fn list(culprits: &[Culprit]) -> String {
    culprits.iter().map(Culprit::to_string).collect::<Vec<_>>().join(", ")
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot mount: this machine: Linux {release} is older than 6.6")]
    KernelTooOld { release: String },
    #[error("cannot mount: /dev/fuse: {cause}")]
    NoFuseDevice { cause: io::Error },
    #[error("cannot mount: /dev/fuse: {cause}")]
    FuseDeviceRefused { cause: io::Error },
    #[error("cannot mount as an ordinary user: fusermount3: not found in PATH, /usr/bin or /bin")]
    NoFusermount,
    #[error("the kernel plane is not possible here: {}", missing.what)]
    PlaneImpossible { missing: Missing },
    #[error("the kernel plane did not start: {cause}")]
    PlaneFailed { cause: String, log: Vec<String> },
    #[error("cannot mount: {}: {cause}", target.display())]
    MountRefused { target: PathBuf, cause: String },
    #[error("mounted, but it cannot be seen: {}: /proc/self/mountinfo does not name it", target.display())]
    MountNotSeen { target: PathBuf },
    #[error("no such directory: {}: {cause}", path.display())]
    SourceMissing { path: PathBuf, cause: io::Error },
    #[error("not a directory: {}: only directories can be traced", path.display())]
    SourceNotDirectory { path: PathBuf },
    #[error("cannot read the directory: {}: {cause}", path.display())]
    SourceUnreadable { path: PathBuf, cause: io::Error },
    #[error("already a glassfs mount: {}: it belongs to the one at {}", path.display(), mount_point.display())]
    SourceIsGlassfs { path: PathBuf, mount_point: PathBuf },
    #[error("the root directory cannot be traced: /: a view cannot be laid over it")]
    SourceIsRoot,
    #[error("too many directories: -d: {given}, and one recorder serves {most} at most")]
    TooManyDirectories { given: usize, most: usize },
    #[error("already traced: {}: {}", path.display(), by.as_ref().map_or("another process has its flock".into(), |c| format!("by {c}")))]
    SourceTraced { path: PathBuf, by: Option<Culprit> },
    #[error("locks do not cross the mount: {}: {}", path.display(), list(holders))]
    SourceLocked { path: PathBuf, holders: Vec<Culprit> },
    #[error("no mount point: {}: {cause}", path.display())]
    MountPointMissing { path: PathBuf, cause: io::Error },
    #[error("mount point is not a directory: {}: a directory is needed", path.display())]
    MountPointNotDirectory { path: PathBuf },
    #[error("mount point is not empty: {}: it holds {found}", path.display())]
    MountPointNotEmpty { path: PathBuf, found: String },
    #[error("mount point is inside the source: {}: it lies in {}", path.display(), source_path.display())]
    MountPointInsideSource { path: PathBuf, source_path: PathBuf },
    #[error("source is inside the mount point: {}: it lies in {}", source_path.display(), path.display())]
    SourceInsideMountPoint { path: PathBuf, source_path: PathBuf },
    #[error("already mounted: {}: a glassfs mount is there", path.display())]
    AlreadyMounted { path: PathBuf },
    #[error("dead mount: {}: its filesystem no longer answers ({cause})", path.display())]
    DeadMount { path: PathBuf, cause: io::Error },
    #[error("the trace must not lie in what it traces: {}: it is inside {}", trace.display(), tree.display())]
    TraceInside { trace: PathBuf, tree: PathBuf },
    #[error("no place for the trace: {}: {cause}", path.display())]
    TracePlace { path: PathBuf, cause: io::Error },
    /// It names the place and the next step itself.
    #[error("cannot start the trace: {cause}")]
    Trace { cause: glassfs_recorder::trace::Error },
    #[error("not a glassfs mount: {}: {found}", path.display())]
    NotOurs { path: PathBuf, found: String },
    #[error("busy: {}: {}", path.display(), if holders.is_empty() { "in use by a process that cannot be seen from here".to_owned() } else { list(holders) })]
    Busy { path: PathBuf, holders: Vec<Culprit> },
    #[error("command not found: {name}: not in PATH")]
    CommandNotFound { name: String },
    #[error("cannot run the command: {name}: {cause}")]
    CommandNotExecutable { name: String, cause: io::Error },
    /// Told by the recorder process, already in words.
    #[error("{message}")]
    Recorder { message: String, next: String, details: Vec<String> },
    #[error("the recorder did not answer: process {pid}: nothing within {seconds} s")]
    RecorderSilent { pid: i32, seconds: u64 },
    #[error("{what}: {place}: {cause}")]
    System { what: &'static str, place: String, cause: io::Error },
}

/// Wrong arguments (also a path that makes no sense); what the environment refuses; `run`'s own codes, as `env` has them.
pub mod exit {
    pub const USAGE: u8 = 2;
    pub const ENVIRONMENT: u8 = 3;
    pub const RUN_FAILED: u8 = 125;
    pub const NOT_EXECUTABLE: u8 = 126;
    pub const NOT_FOUND: u8 = 127;
}

impl Error {
    pub fn system(what: &'static str, place: impl Into<String>, cause: io::Error) -> Error {
        Error::System { what, place: place.into(), cause }
    }

    /// The code of every verb but `run`, which answers 125 where this says 2 or 3.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::SourceMissing { .. }
            | Error::SourceNotDirectory { .. }
            | Error::SourceIsGlassfs { .. }
            | Error::SourceIsRoot
            | Error::TooManyDirectories { .. }
            | Error::MountPointMissing { .. }
            | Error::MountPointNotDirectory { .. }
            | Error::MountPointNotEmpty { .. }
            | Error::MountPointInsideSource { .. }
            | Error::SourceInsideMountPoint { .. }
            | Error::TraceInside { .. }
            | Error::NotOurs { .. } => exit::USAGE,
            Error::CommandNotFound { .. } => exit::NOT_FOUND,
            Error::CommandNotExecutable { .. } => exit::NOT_EXECUTABLE,
            _ => exit::ENVIRONMENT,
        }
    }

    /// What to do about it, in one line.
    pub fn next(&self) -> String {
        match self {
            Error::KernelTooOld { .. } => "boot Linux 6.6 or newer (Debian 13, Ubuntu 24.04)".into(),
            Error::NoFuseDevice { .. } => "as root: modprobe fuse; in a container: --device /dev/fuse".into(),
            Error::FuseDeviceRefused { .. } => {
                "as root: chmod 0666 /dev/fuse (the distributions' default), or run as root".into()
            }
            Error::PlaneImpossible { missing } => missing.next.clone(),
            Error::PlaneFailed { .. } => "trace with --plane daemon; see `glassfs doctor`".into(),
            Error::NoFusermount => "as root: apt install fuse3".into(),
            Error::MountRefused { .. } => "see `glassfs doctor`; a container needs --cap-add SYS_ADMIN".into(),
            Error::MountNotSeen { target } => {
                format!("look at `findmnt {}`: something else was mounted there at the same time", target.display())
            }
            Error::Trace { .. } | Error::TracePlace { .. } => "name a place that can be written: -o PATH".into(),
            Error::Recorder { next, .. } => next.clone(),
            Error::CommandNotFound { .. } => "check the name, or give a path".into(),
            Error::CommandNotExecutable { name, .. } => format!("check its mode and first line: ls -l {name}"),
            Error::RecorderSilent { .. } => "look at that process; see `glassfs doctor`".into(),
            _ => self.next_at_a_place(),
        }
    }

    /// Lines for whoever wants to know more.
    pub fn details(&self) -> Vec<String> {
        match self {
            Error::PlaneFailed { log: details, .. } | Error::Recorder { details, .. } => details.clone(),
            _ => Vec::new(),
        }
    }

    /// Where a source or a mount point is the trouble.
    fn next_at_a_place(&self) -> String {
        match self {
            Error::SourceMissing { .. } => "create it, or correct the path".into(),
            Error::SourceNotDirectory { path } => {
                format!("trace its directory: {}", path.parent().unwrap_or(path).display())
            }
            Error::SourceUnreadable { .. } => "run as its owner or as root".into(),
            Error::SourceIsGlassfs { mount_point, .. } => {
                format!("trace the directory behind it, or first: glassfs umount {}", mount_point.display())
            }
            Error::TooManyDirectories { .. } => "trace a directory that holds several of them".into(),
            Error::SourceIsRoot => "choose a directory: -d DIR".into(),
            Error::SourceTraced { .. } => {
                "end that one first (glassfs umount), or read its trace: glassfs report @last".into()
            }
            Error::SourceLocked { .. } => "stop that process and start it through glassfs".into(),
            Error::MountPointMissing { path, .. } => format!("mkdir -p {}", path.display()),
            Error::MountPointNotDirectory { .. } | Error::MountPointNotEmpty { .. } => {
                "choose an empty directory".into()
            }
            Error::MountPointInsideSource { source_path, .. } => {
                format!("choose one outside, or mount over the source itself: glassfs mount {}", source_path.display())
            }
            Error::SourceInsideMountPoint { .. } => "choose a mount point that does not hide the source".into(),
            Error::AlreadyMounted { path } => format!("glassfs umount {}", path.display()),
            Error::DeadMount { path, .. } => format!("glassfs umount {}", path.display()),
            Error::TraceInside { .. } => "name a place outside: -o PATH".into(),
            Error::NotOurs { .. } => "see `findmnt -t fuse.glassfs` for those that are".into(),
            Error::Busy { .. } => "end those processes or let them leave the directory, then again".into(),
            _ => "see `glassfs doctor`".into(),
        }
    }
}
