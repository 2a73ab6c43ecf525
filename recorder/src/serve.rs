//! The glue: one recording is a trace, and for each traced directory a connection whose requests are performed, timed
//! and put down.

use std::ffi::OsString;
use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use glassfs_recorder::wire::{self, Answer, Device, Errno, Operation, Payload, ReplyBuffer, Request, Session};

use crate::error::Error;
use crate::mount::source::{Note, Source};
use crate::run::Facts;

pub struct Traced {
    pub device: OwnedFd,
    pub source: Source,
    pub mount_point: PathBuf,
    pub is_private: bool,
}

pub struct Settings {
    pub trace: PathBuf,
    pub exact: bool,
    pub traced: Vec<Traced>,
    pub notes: Vec<Note>,
    pub command: Option<Command>,
}

#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Command { pub pid: u32, pub start_ns: i64, pub argv: Vec<String>, pub facts: Option<String> }

pub fn command(arguments: &[OsString], _cwd: &Path) -> Command {
    Command { argv: arguments.iter().map(|a| a.to_string_lossy().into_owned()).collect(), ..Command::default() }
}

pub fn complete(command: &mut Command, facts: Facts) { command.facts = Some(serde_json::to_string(&facts).unwrap_or_default()); }

pub struct Recording { traced: Vec<Traced>, trace: PathBuf, command: Command, serving: usize, ended: Arc<AtomicUsize>, event: Arc<OwnedFd>, reasons: Arc<Mutex<Vec<String>>> , gave_up: bool}

struct Empty(Source);
impl wire::Serve for Empty {
    fn serve(&self, request: &Request<'_>, reply: &mut ReplyBuffer) -> Answer {
        let attr = wire::answers::Attr { ino: 1, mode: 0o40755, nlink: 2, blksize: 4096, ..Default::default() };
        match request.operation {
            Operation::Getattr { .. } => reply.put(&wire::answers::AttrOut { attr, ..Default::default() }),
            Operation::Forget { .. } | Operation::BatchForget { .. } => Ok(Payload::Silence),
            Operation::Lookup { .. } => { Err(Errno(libc::ENOENT)) }
            Operation::Opendir { .. } => reply.put(&[0u64, 0u64]),
            Operation::Readdir { .. } => Ok(Payload::Bytes(0)),
            Operation::Releasedir { .. } => Ok(Payload::Bytes(0)),
            _ => Err(Errno(libc::ENOSYS)),
        }
    }
}

impl Recording {
    pub fn prepare(settings: Settings) -> Result<Recording, Error> {
        std::fs::create_dir(&settings.trace).map_err(|cause| Error::Trace { path: settings.trace.clone(), cause: cause.to_string(), next: "x".into() })?;
        let event = unsafe { OwnedFd::from_raw_fd(libc::eventfd(0, libc::EFD_CLOEXEC)) };
        Ok(Recording { traced: settings.traced, trace: settings.trace, command: settings.command.unwrap_or_default(), serving: 0, ended: Arc::default(), event: Arc::new(event), reasons: Arc::default(), gave_up: false })
    }
    pub fn serve(&mut self, _devs: &[u64]) {
        for traced in self.traced.drain(..) {
            self.serving += 1;
            let (ended, event, reasons) = (self.ended.clone(), self.event.clone(), self.reasons.clone());
            std::thread::spawn(move || {
                let device = Arc::new(Device::from_fd(traced.device).unwrap());
                let end = Session::serve(device, Arc::new(Empty(traced.source)), Default::default());
                reasons.lock().unwrap().push(format!("{end:?}"));
                ended.fetch_add(1, Ordering::SeqCst);
                let one = 1u64;
                unsafe { libc::write(event.as_raw_fd(), (&raw const one).cast(), 8) };
            });
        }
    }
    pub fn is_serving(&self) -> bool { self.serving > 0 }
    pub fn give_up(&mut self) { self.gave_up = true; }
    pub fn has_ended(&self) -> bool { self.gave_up || self.serving > 0 && self.ended.load(Ordering::SeqCst) >= self.serving }
    pub fn was_unmounted(&self) -> bool { true }
    pub fn ended_fd(&self) -> RawFd { self.event.as_raw_fd() }
    pub fn update_command(&mut self, change: impl FnOnce(&mut Command)) { change(&mut self.command); }
    pub fn flush(&mut self, _timeout: Duration) -> bool { true }
    pub fn close(&mut self) -> String {
        let mut f = std::fs::File::create(self.trace.join("trace.json")).unwrap();
        let _ = f.write_all(serde_json::to_string(&(&self.command, &*self.reasons.lock().unwrap())).unwrap().as_bytes());
        "unmounted".into()
    }
}
