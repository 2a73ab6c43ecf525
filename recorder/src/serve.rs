//! The glue: one recording is one trace, and for each traced directory a connection whose requests are performed, timed
//! and put down before they are answered.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder;
use std::time::Duration;

use glassfs_recorder::collect::record::Facts;
use glassfs_recorder::collect::{self, Collector, MAX_RECORDS, Queue};
use glassfs_recorder::passthrough::{self, Passthrough};
use glassfs_recorder::process::Processes;
use glassfs_recorder::trace::{self, About, Trace};
use glassfs_recorder::wire::{
    self, Answer, Device, Disconnect, End, Negotiated, ReplyBuffer, Request, Session, Wishes,
};

use crate::error::Error;
use crate::mount::source::{Note, Source};
use crate::plane::Choice;
use crate::sys;
use kernel_plane::{KernelPlane, Tell};

mod description;
mod kernel_plane;

pub use description::{command, complete};

/// A directory to be served, and the device of its mount.
pub struct Traced {
    pub device: OwnedFd,
    pub source: Source,
    pub mount_point: PathBuf,
    /// Seen by the traced command alone.
    pub is_private: bool,
}

/// The end of a trace that nobody got to use.
const NEVER_STARTED: &str = "never started";

pub struct Settings {
    pub trace: PathBuf,
    pub exact: bool,
    pub choice: Choice,
    pub traced: Vec<Traced>,
    pub notes: Vec<Note>,
    pub command: Option<trace::Command>,
}

/// A trace being made.
pub struct Recording {
    collector: Option<Collector>,
    connections: Vec<Connection>,
    serving: usize,
    ended: Arc<Ended>,
    left_out: Arc<AtomicU32>,
    gave_up: bool,
    choice: Choice,
    kernel_plane: Option<KernelPlane>,
    devs: Vec<u64>,
}

struct Connection {
    device: Arc<Device>,
    server: Arc<Server>,
    posix_acl: bool,
    /// The lock that keeps a second tracer away, until this process ends.
    _guard: OwnedFd,
}

/// Performs and puts down the requests of one connection.
struct Server {
    passthrough: Arc<Passthrough>,
    collected: collect::Connection,
    left_out: Arc<AtomicU32>,
    device: Arc<Device>,
    /// Wanted in the kernel plane.
    tell: Option<Tell>,
}

impl wire::Serve for Server {
    fn negotiated(&self, negotiated: &Negotiated) {
        if let Some(tell) = &self.tell {
            tell.try_on(negotiated, &self.device);
        }
    }

    fn serve(&self, request: &Request<'_>, reply: &mut ReplyBuffer) -> Answer {
        let mut facts = Facts::default();
        let answer = self.passthrough.serve(request, reply, &mut facts);
        // 0 are the kernel's own requests.
        if request.tid != 0 && request.tid == self.left_out.load(Ordering::Relaxed) {
            self.collected.own(request, &facts, &answer);
        } else {
            self.collected.served(request, &facts, &answer, reply);
        }
        answer
    }
}

/// How sessions ended, and a descriptor that becomes readable when one has.
struct Ended {
    event: OwnedFd,
    ends: Mutex<Vec<End>>,
}

impl Ended {
    fn new() -> std::io::Result<Ended> {
        // SAFETY: eventfd touches no memory; the result is checked before it is owned.
        let event =
            unsafe { OwnedFd::from_raw_fd(sys::check(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK))?) };
        Ok(Ended { event, ends: Mutex::default() })
    }

    fn add(&self, end: End) {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).push(end);
        let one = 1u64;
        // SAFETY: writes the eight bytes of `one`; an eventfd takes them without waiting.
        unsafe { libc::write(self.event.as_raw_fd(), (&raw const one).cast(), size_of::<u64>()) };
    }

    fn list(&self) -> Vec<End> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Recording {
    /// Makes the trace and gets everything ready; requests are answered from `serve` on.
    pub fn prepare(mut settings: Settings) -> Result<Recording, Error> {
        let (mut kernel_plane, tell, ring) = match KernelPlane::load(&mut settings.choice)? {
            Some((kernel_plane, tell, ring)) => (Some(kernel_plane), Some(tell), Some(ring)),
            None => (None, None, None),
        };
        let about = description::about(&settings);
        let untraceable = |cause| Error::Trace { cause };
        let trace = Trace::create(trace::Settings::new(&settings.trace), about).map_err(untraceable)?;
        let queue = Arc::new(Queue::new(MAX_RECORDS, trace.clock()));
        let processes = Arc::new(Processes::new());
        let points: Vec<PathBuf> = settings.traced.iter().map(|traced| traced.mount_point.clone()).collect();
        let collector =
            Collector::start_with(queue.clone(), trace, processes.clone(), &points, ring).map_err(untraceable)?;
        let left_out = Arc::new(AtomicU32::new(0));
        let connections = settings.traced.into_iter().enumerate().map(|(number, traced)| {
            let collected = collect::Connection::new(queue.clone(), processes.clone(), number as u8);
            Connection::prepare(traced, settings.exact, tell.clone(), collected, left_out.clone())
        });
        let connections = match connections.collect::<Result<Vec<Connection>, Error>>() {
            Ok(connections) => connections,
            Err(error) => {
                collector.stop(NEVER_STARTED);
                return Err(error);
            }
        };
        for Connection { server, device, .. } in &connections {
            kernel_plane.iter_mut().for_each(|plane| plane.add(server.passthrough.clone(), device.clone()));
        }
        let ended = Ended::new().map_err(|cause| Error::system("cannot start serving", "eventfd", cause))?;
        Ok(Recording {
            collector: Some(collector),
            connections,
            serving: 0,
            ended: Arc::new(ended),
            left_out,
            gave_up: false,
            choice: settings.choice,
            kernel_plane,
            devs: Vec::new(),
        })
    }

    /// `devs`: st_dev of each mount, in order.
    pub fn serve(&mut self, devs: &[u64]) {
        self.devs = devs.to_vec();
        let shown = devs.to_vec();
        self.about(move |about| {
            for (mount, dev) in about.mounts.iter_mut().zip(shown) {
                mount.dev = dev;
            }
        });
        for (number, (connection, dev)) in self.connections.drain(..).zip(devs).enumerate() {
            connection.server.passthrough.mounted_as(*dev);
            self.serving += 1;
            let ended = self.ended.clone();
            let body = move || {
                let end = connection.run();
                ended.add(end);
            };
            if Builder::new().name(format!("glassfs-{number}")).spawn(body).is_err() {
                self.ended.add(End::Disconnected(Disconnect::Failed(wire::Errno(libc::EAGAIN))));
            }
        }
    }

    pub fn is_serving(&self) -> bool {
        self.serving > 0
    }

    /// This thread's requests are our own preparations, until `start`: they are no events.
    pub fn leave_out(&mut self, tid: u32) {
        self.left_out.store(tid, Ordering::Relaxed);
    }

    /// Whoever is to be traced is let go now. What should be said about the plane comes back; an error, if only one would
    /// have done and cannot be had.
    pub fn start(&mut self) -> Result<Option<String>, Error> {
        self.left_out.store(0, Ordering::Relaxed);
        let started = self.kernel_plane.as_mut().map_or(Ok(()), |plane| plane.start(&self.devs));
        if let Err(cause) = started {
            self.kernel_plane = None;
            self.choice.fall_back(&cause, Vec::new())?;
            self.tell_of_the_choice();
        }
        Ok(self.choice.note_of_failure().map(|note| note.text))
    }

    fn tell_of_the_choice(&self) {
        let (plane, reason) = (self.choice.plane.word().to_owned(), self.choice.reason.clone());
        let note = self.choice.note_of_failure().map(|note| description::note(&note));
        self.about(move |about| {
            (about.plane, about.plane_reason) = (plane, reason);
            about.notes.extend(note);
        });
    }

    /// Nobody will ever use what was prepared.
    pub fn give_up(&mut self) {
        self.gave_up = true;
    }

    pub fn has_ended(&self) -> bool {
        self.gave_up || (self.serving > 0 && self.ended.list().len() >= self.serving)
    }

    /// Readable when a connection has ended.
    pub fn ended_fd(&self) -> RawFd {
        self.ended.event.as_raw_fd()
    }

    /// All connections ended as mounts should.
    pub fn was_unmounted(&self) -> bool {
        self.ended.list().iter().all(|end| *end == End::Disconnected(Disconnect::Unmounted))
    }

    fn about(&self, change: impl FnOnce(&mut About) + Send + 'static) {
        if let Some(collector) = &self.collector {
            collector.update(change);
        }
    }

    pub fn update_command(&self, change: impl FnOnce(&mut trace::Command) + Send + 'static) {
        self.about(|about| {
            if let Some(command) = &mut about.command {
                change(command);
            }
        });
    }

    /// Whether everything up to now is on disk within `timeout`.
    pub fn flush(&self, timeout: Duration) -> bool {
        self.collector.as_ref().is_some_and(|collector| collector.flush(timeout))
    }

    /// Closes the trace and says why it ended.
    pub fn close(&mut self) -> String {
        let reason = self.reason();
        // First: then nobody adds to what the collector takes last.
        self.kernel_plane = None;
        if let Some(collector) = self.collector.take() {
            collector.stop(&reason);
        }
        reason
    }

    fn reason(&self) -> String {
        if self.gave_up {
            return NEVER_STARTED.into();
        }
        let ends = self.ended.list();
        let bad = ends.iter().find(|end| **end != End::Disconnected(Disconnect::Unmounted));
        match bad {
            _ if ends.len() < self.serving => "signal".into(),
            None => "unmounted".into(),
            Some(End::Disconnected(Disconnect::Aborted)) => "device error: the connection was aborted".into(),
            Some(End::Disconnected(Disconnect::Failed(errno))) => {
                format!("device error: {}", std::io::Error::from_raw_os_error(errno.0))
            }
            Some(End::Refused(refusal)) => format!("device error: {refusal}"),
            Some(_) => "stopped".into(),
        }
    }
}

impl Connection {
    fn prepare(
        traced: Traced,
        exact: bool,
        tell: Option<Tell>,
        collected: collect::Connection,
        left_out: Arc<AtomicU32>,
    ) -> Result<Connection, Error> {
        let Traced { device, source, mount_point, .. } = traced;
        let failed = |cause| Error::system("cannot serve", source.path.to_string_lossy(), cause);
        let device = Arc::new(Device::from_fd(device).map_err(failed)?);
        let posix_acl = passthrough::supports_acl(&source.fd);
        // In the view of `run` too everybody else is beside the mount, not below it: only `mount DIR` hides the source.
        let over_source = mount_point == source.path && !traced.is_private;
        let options = passthrough::Options { exact, over_source, way: None };
        let gone = collected.clone();
        let files = Passthrough::new(source.fd, options, Box::new(move |node| gone.gone(node))).map_err(failed)?;
        files.set_notify(device.clone()).map_err(failed)?;
        let server = Server { passthrough: Arc::new(files), collected, left_out, device: device.clone(), tell };
        Ok(Connection { device, server: Arc::new(server), posix_acl, _guard: source.guard })
    }

    fn run(self) -> End {
        let wishes = Wishes { posix_acl: self.posix_acl, passthrough: self.server.tell.is_some() };
        let options = wire::Options { wishes, ..wire::Options::default() };
        Session::serve(self.device, self.server, options)
    }
}
