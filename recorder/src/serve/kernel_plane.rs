//! The start of the kernel plane, in three steps of which each may fail: the eBPF program is loaded, the kernel takes backing
//! files on each connection, the mounts are watched. Until all have been taken every call is a request, so nothing is missed.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use glassfs_recorder::event::Plane;
use glassfs_recorder::observe::{Observer, Ring};
use glassfs_recorder::passthrough::Passthrough;
use glassfs_recorder::wire::{Device, Negotiated, flag, takes_backing_files};

use crate::error::Error;
use crate::plane::Choice;

/// From the mount to the kernel's first message: it sends it at once.
const FIRST_MESSAGE: Duration = Duration::from_secs(10);

/// What a connection has found out, or why data cannot go past us there.
type Trial = Result<(), String>;

pub struct KernelPlane {
    observer: Observer,
    connections: Vec<(Arc<Passthrough>, Arc<Device>)>,
    trials: Receiver<Trial>,
}

/// Each connection's way to tell how its trial went; all are in use when the last but theirs is dropped.
#[derive(Clone)]
pub struct Tell(Sender<Trial>);

impl KernelPlane {
    /// The first step, if this plane was chosen. What the kernel does not show joins the reason.
    pub fn load(choice: &mut Choice) -> Result<Option<(KernelPlane, Tell, Ring)>, Error> {
        if choice.plane != Plane::Kernel {
            return Ok(None);
        }
        match Observer::load() {
            Ok((observer, ring)) => {
                observer.without().iter().for_each(|what| choice.reason += &format!("; {what}"));
                let (sender, trials) = channel();
                Ok(Some((KernelPlane { observer, connections: Vec::new(), trials }, Tell(sender), ring)))
            }
            Err(cause) => choice.fall_back(&cause.to_string(), cause.log()).map(|()| None),
        }
    }

    pub fn add(&mut self, files: Arc<Passthrough>, device: Arc<Device>) {
        self.connections.push((files, device));
    }

    /// The other steps. `devs`: st_dev of each mount, in the order of the connections.
    pub fn start(&mut self, devs: &[u64]) -> Result<(), String> {
        let deadline = Instant::now() + FIRST_MESSAGE;
        for _ in &self.connections {
            match self.trials.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(trial) => trial?,
                Err(RecvTimeoutError::Timeout) => return Err("the kernel has not sent its first message".into()),
                Err(RecvTimeoutError::Disconnected) => return Err("the connection has ended".into()),
            }
        }
        for (number, dev) in devs.iter().enumerate() {
            self.observer.watch(number as u8, *dev).map_err(|failure| failure.to_string())?;
        }
        for (number, (files, device)) in self.connections.drain(..).enumerate() {
            files.pass_through(device, Arc::new(self.observer.shared_maps(number as u8)));
        }
        Ok(())
    }
}

impl Tell {
    /// To be called when the connection has had its first message.
    pub fn try_on(&self, negotiated: &Negotiated, device: &Device) {
        let trial = if negotiated.has(flag::PASSTHROUGH) {
            takes_backing_files(device).map_err(|errno| {
                format!("the kernel takes no backing files: {}", std::io::Error::from_raw_os_error(errno.0))
            })
        } else {
            Err("this kernel's FUSE has no passthrough (CONFIG_FUSE_PASSTHROUGH)".into())
        };
        // Whoever does not listen any more has given up.
        let _ = self.0.send(trial);
    }
}
