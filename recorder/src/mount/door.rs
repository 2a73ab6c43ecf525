//! Where a lasting mount's recorder can be reached: an abstract socket named after the mount's device number. Whoever
//! connects is told who it is, and that it has ended when the connection does. No file is left behind by any death.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::mem::size_of;
use std::os::fd::{AsRawFd, RawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::sys;

/// Each waits for the end; more than a few umounts at once make no sense.
const MAX_VISITORS: usize = 16;
/// The kernel gives a device number anew as soon as its mount is gone; whoever had it shuts its door a moment later.
const SHUT_AFTER: Duration = Duration::from_secs(2);
const ASK_AGAIN: Duration = Duration::from_millis(2);
/// It answers from memory.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Who serves a mount; also what `mount` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mounted {
    pub trace: String,
    pub mount_point: String,
    pub source: String,
    pub pid: i32,
    pub private: bool,
}

pub struct Door {
    listener: UnixListener,
    visitors: Vec<UnixStream>,
}

fn address(dev: u64) -> io::Result<SocketAddr> {
    SocketAddr::from_abstract_name(format!("glassfs-{}:{}", libc::major(dev), libc::minor(dev)))
}

impl Door {
    pub fn open(dev: u64) -> io::Result<Door> {
        let deadline = Instant::now() + SHUT_AFTER;
        let listener = loop {
            match UnixListener::bind_addr(&address(dev)?) {
                Err(cause) if cause.kind() == io::ErrorKind::AddrInUse && Instant::now() < deadline => sleep(ASK_AGAIN),
                other => break other?,
            }
        };
        listener.set_nonblocking(true)?;
        Ok(Door { listener, visitors: Vec::new() })
    }

    /// Tells who comes; keeps them until the process ends.
    pub fn answer(&mut self, mounted: &Mounted) {
        while let Ok((mut visitor, _)) = self.listener.accept() {
            let told = serde_json::to_string(mounted).map(|line| writeln!(visitor, "{line}"));
            if matches!(told, Ok(Ok(()))) && self.visitors.len() < MAX_VISITORS {
                self.visitors.push(visitor);
            }
        }
    }

    /// The mount is gone, and its number is free for another's door. Who has come still learns of the end: keep them until then.
    pub fn shut(mut self, mounted: &Mounted) -> Vec<UnixStream> {
        self.answer(mounted);
        self.visitors
    }
}

impl AsRawFd for Door {
    fn as_raw_fd(&self) -> RawFd {
        self.listener.as_raw_fd()
    }
}

/// A connection to the recorder of a mount.
pub struct Visit {
    pub mounted: Mounted,
    stream: UnixStream,
}

impl Visit {
    /// None: no recorder is there any more (or it is not to be trusted: another user's, or another mount's).
    pub fn pay(dev: u64, point: &Path) -> Option<Visit> {
        let stream = UnixStream::connect_addr(&address(dev).ok()?).ok()?;
        let (own, _) = sys::effective_ids();
        let owner = peer_uid(&stream)?;
        if own != 0 && owner != own && owner != 0 {
            return None;
        }
        stream.set_read_timeout(Some(ANSWER_TIMEOUT)).ok()?;
        let mut line = String::new();
        BufReader::new(stream.try_clone().ok()?).read_line(&mut line).ok()?;
        let mounted: Mounted = serde_json::from_str(&line).ok()?;
        (mounted.mount_point == point.to_string_lossy()).then_some(Visit { mounted, stream })
    }

    /// Whether the recorder has ended, its trace closed, within `timeout`.
    pub fn wait_for_end(&mut self, timeout: Duration) -> bool {
        let ended = |got: io::Result<usize>| matches!(got, Ok(0));
        self.stream.set_read_timeout(Some(timeout)).is_ok() && ended(self.stream.read(&mut [0]))
    }
}

fn peer_uid(stream: &UnixStream) -> Option<u32> {
    let mut peer = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
    let mut size = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: peer and size are ours and have the layout the option wants.
    let got = unsafe {
        libc::getsockopt(stream.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PEERCRED, (&raw mut peer).cast(), &mut size)
    };
    (got == 0).then_some(peer.uid)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn mounted() -> Mounted {
        let text = |word: &str| word.to_owned();
        Mounted { trace: text("t"), mount_point: text("/mnt"), source: text("/src"), pid: 1, private: false }
    }

    /// No mount has such a number.
    fn dev(minor: u32) -> u64 {
        libc::makedev(4095, minor + std::process::id())
    }

    #[test]
    fn a_number_whose_door_is_being_shut_is_waited_for() {
        let earlier = Door::open(dev(0)).unwrap();
        let shutting = thread::spawn(move || {
            sleep(Duration::from_millis(50));
            drop(earlier.shut(&mounted()));
        });
        assert!(Door::open(dev(0)).is_ok());
        shutting.join().unwrap();
    }

    #[test]
    fn who_came_before_the_door_was_shut_learns_of_the_end() {
        let mut door = Door::open(dev(1 << 10)).unwrap();
        let visit = thread::spawn(|| Visit::pay(dev(1 << 10), Path::new("/mnt")).unwrap());
        while !visit.is_finished() {
            door.answer(&mounted());
        }
        let (mut visit, waiting) = (visit.join().unwrap(), door.shut(&mounted()));
        assert!(!visit.wait_for_end(Duration::from_millis(50)));
        drop(waiting);
        assert!(visit.wait_for_end(Duration::from_secs(5)));
    }

    #[test]
    fn the_recorder_of_another_mount_is_nobody_to_wait_for() {
        let mut door = Door::open(dev(2 << 10)).unwrap();
        let visit = thread::spawn(|| Visit::pay(dev(2 << 10), Path::new("/elsewhere")));
        while !visit.is_finished() {
            door.answer(&mounted());
        }
        assert!(visit.join().unwrap().is_none());
    }
}
