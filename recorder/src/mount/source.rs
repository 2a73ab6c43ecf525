//! A directory about to be traced: opened before anything is laid over it, checked, and guarded against a second tracer.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use super::mountinfo::{self, Mount};
use super::place::{self, Identity};
use super::{holders, survey};
use crate::error::{Culprit, Error, list};
use crate::{procfs, sys};

#[derive(Debug)]
pub struct Source {
    /// Canonical.
    pub path: PathBuf,
    /// O_PATH.
    pub fd: OwnedFd,
    /// Open for reading, for the flock that keeps a second tracer away.
    pub guard: OwnedFd,
    pub identity: Identity,
    pub fs_type: String,
    /// MS_* flags that the mount is to have as its source has them.
    pub flags: libc::c_ulong,
    /// Mount points below it.
    pub nested: Vec<PathBuf>,
}

/// Something a person should know before tracing starts; goes to stderr and into trace.json.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub kind: &'static str,
    pub text: String,
    pub path: Option<PathBuf>,
    pub target: Option<PathBuf>,
}

impl Note {
    pub fn new(kind: &'static str, text: String, path: &Path) -> Note {
        Note { kind, text, path: Some(path.to_owned()), target: None }
    }
}

impl Source {
    pub fn open(path: &Path) -> Result<Source, Error> {
        let missing = |cause: io::Error| match cause.raw_os_error() {
            Some(libc::ENOTCONN) => Error::DeadMount { path: path.to_owned(), cause },
            Some(libc::EACCES) => Error::SourceUnreadable { path: path.to_owned(), cause },
            Some(libc::ENOTDIR) => Error::SourceNotDirectory { path: path.to_owned() },
            _ => Error::SourceMissing { path: path.to_owned(), cause },
        };
        let path = fs::canonicalize(path).map_err(missing)?;
        let unreadable = |cause| match missing(cause) {
            Error::SourceMissing { path, cause } => Error::SourceUnreadable { path, cause },
            other => other,
        };
        let fd = place::open(&path).map_err(unreadable)?;
        let guard = sys::open_at(None, &path, libc::O_RDONLY | libc::O_DIRECTORY).map_err(unreadable)?;
        if path == Path::new("/") {
            return Err(Error::SourceIsRoot);
        }
        let identity = place::identity(fd.as_fd()).map_err(unreadable)?;
        let mounts = mountinfo::mounts("self");
        let fs_type = not_ours(&path, &fd, &mounts)?;
        let flags = flags_of(&guard);
        let nested = outermost(mountinfo::below(&mounts, &path));
        Ok(Source { path, fd, guard, identity, fs_type, flags, nested })
    }

    /// Who has it open already, what leads out of it, what is mounted inside. Refuses where locks are held there.
    pub fn look_around(&self) -> Result<Vec<Note>, Error> {
        // Only asked here: the recorder takes it for good.
        self.guard_against_a_second()?;
        // SAFETY: the descriptor is ours.
        unsafe { libc::flock(self.guard.as_raw_fd(), libc::LOCK_UN) };
        let held = holders::holders(&self.path, self.identity.dev);
        let (survey, hidden_locks) = holders::survey(&self.path, self.identity.dev);
        let locking: Vec<Culprit> = held.locking.into_iter().chain(hidden_locks).collect();
        if !locking.is_empty() {
            return Err(Error::SourceLocked { path: self.path.clone(), holders: locking });
        }
        let mut notes = Vec::new();
        if !held.open.is_empty() {
            let text = format!("{}: already open, past the trace: {}", self.path.display(), list(&held.open));
            notes.push(Note::new("holder", text, &self.path));
        }
        notes.extend(survey.leaving.into_iter().map(|(link, target)| leaving_note(link, target)));
        Ok(notes)
    }

    /// Takes the lock that one tracer holds for its life. Filesystems that cannot lock are traced without a guard.
    pub fn guard_against_a_second(&self) -> Result<(), Error> {
        // SAFETY: the descriptor is ours; LOCK_NB never blocks.
        match sys::check(unsafe { libc::flock(self.guard.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) }) {
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {
                Err(Error::SourceTraced { path: self.path.clone(), by: self.guard_holder() })
            }
            _ => Ok(()),
        }
    }

    fn guard_holder(&self) -> Option<Culprit> {
        let mut locks = procfs::locks().into_iter();
        let ours = |lock: &procfs::Lock| {
            lock.kind == "FLOCK"
                && lock.ino == self.identity.ino
                && libc::makedev(lock.dev.0, lock.dev.1) == self.identity.dev
        };
        let lock = locks.find(ours)?;
        Some(Culprit { pid: lock.pid, comm: procfs::comm(lock.pid), how: String::new() })
    }
}

fn leaving_note(link: PathBuf, target: PathBuf) -> Note {
    let add = survey::directory_to_add(&target);
    let text = format!(
        "{} leads out of the traced directory, to {}: add -d {}",
        link.display(),
        target.display(),
        add.display()
    );
    Note { kind: "symlink", text, path: Some(link), target: Some(target) }
}

/// The filesystem's type; an error if it is a glassfs mount itself.
fn not_ours(path: &Path, fd: &OwnedFd, mounts: &[Mount]) -> Result<String, Error> {
    let id = sys::mount_id(fd.as_fd())
        .map_err(|cause| Error::system("cannot tell the mount of", path.to_string_lossy(), cause))?;
    match mounts.iter().find(|mount| mount.id == id) {
        Some(mount) if mount.is_ours() => {
            Err(Error::SourceIsGlassfs { path: path.to_owned(), mount_point: mount.point.clone() })
        }
        Some(mount) => Ok(mount.fs_type.clone()),
        // Mounted in a way that this process cannot see (a chroot's root).
        None => Ok("unknown".to_owned()),
    }
}

fn flags_of(directory: &OwnedFd) -> libc::c_ulong {
    // SAFETY: all-zero is a valid value that the call overwrites.
    let mut facts = unsafe { std::mem::zeroed::<libc::statvfs>() };
    // SAFETY: the descriptor is open, facts is ours. If it fails, facts stays zero: no flags.
    unsafe { libc::fstatvfs(directory.as_raw_fd(), &mut facts) };
    let pairs = [
        (libc::ST_NOSUID, libc::MS_NOSUID),
        (libc::ST_NODEV, libc::MS_NODEV),
        (libc::ST_NOEXEC, libc::MS_NOEXEC),
        (libc::ST_RDONLY, libc::MS_RDONLY),
    ];
    // Access times are the source's affair: the mount itself must not ask for updates of its own.
    pairs.iter().filter(|(have, _)| facts.f_flag & have != 0).fold(libc::MS_NOATIME, |flags, (_, want)| flags | want)
}

/// Of nested mounts only those that lie in no other of them: moving one takes what is below along.
fn outermost(mounts: Vec<&Mount>) -> Vec<PathBuf> {
    let mut kept: Vec<PathBuf> = Vec::new();
    for mount in mounts {
        if !kept.iter().any(|outer| mount.point.starts_with(outer)) {
            kept.push(mount.point.clone());
        }
    }
    kept
}
