//! Which plane a trace is made in: what the kernel plane needs, what is missing here, and what was chosen why.
//! A start that fails later is `serve`'s affair.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use glassfs_recorder::event::Plane;
use glassfs_recorder::observe::Observer;
use glassfs_recorder::passthrough;

use crate::cli::Wish;
use crate::error::Error;
use crate::mount::source::{Note, Source};
use crate::sys;

mod trial;

/// FUSE passthrough came with it.
pub const OLDEST_KERNEL: (u32, u32) = (6, 9);
/// The kernel's types, which the eBPF program needs to find their fields.
pub const TYPES: &str = "/sys/kernel/btf/vmlinux";

/// What was chosen, and why.
#[derive(Clone, Debug)]
pub struct Choice {
    pub plane: Plane,
    pub reason: String,
    wish: Wish,
    /// It was chosen, and did not start.
    has_failed: bool,
}

impl Choice {
    /// The kernel plane does not start: requests are recorded instead, unless that is no choice.
    pub fn fall_back(&mut self, cause: &str, log: Vec<String>) -> Result<(), Error> {
        if self.wish == Wish::Kernel {
            return Err(Error::PlaneFailed { cause: cause.to_owned(), log });
        }
        let reason = format!("the kernel plane did not start: {cause}");
        *self = Choice { plane: Plane::Daemon, reason, has_failed: true, ..*self };
        Ok(())
    }

    /// In one line; the trace has the whole reason.
    pub fn note_of_failure(&self) -> Option<Note> {
        self.has_failed.then(|| self.as_note())
    }

    fn as_note(&self) -> Note {
        let why = self.reason.lines().next().unwrap_or_default();
        let text = format!("requests are recorded, not system calls: {why}");
        Note { kind: "plane", text, path: None, target: None }
    }
}

/// A thing the kernel plane needs and does not find, and the next step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    pub what: String,
    pub next: String,
}

impl Missing {
    fn new(what: impl Into<String>, next: impl Into<String>) -> Missing {
        Missing { what: what.into(), next: next.into() }
    }
}

/// Chooses, or says what is missing for the plane that was asked for.
pub fn choose(wish: Wish, sources: &[Source]) -> Result<Choice, Error> {
    let choice = |plane, reason: String| Ok(Choice { plane, reason, wish, has_failed: false });
    if wish == Wish::Daemon {
        return choice(Plane::Daemon, "asked for".into());
    }
    match (wish, missing().or_else(|| sources.iter().find_map(stacked))) {
        (Wish::Kernel, Some(missing)) => Err(Error::PlaneImpossible { missing }),
        (Wish::Kernel, None) => choice(Plane::Kernel, "asked for".into()),
        (_, None) => choice(Plane::Kernel, "all it needs is here".into()),
        (_, Some(missing)) => choice(Plane::Daemon, format!("no kernel plane here: {}", missing.what)),
    }
}

/// What this machine and this process lack.
pub fn missing() -> Option<Missing> {
    let (release, version) = sys::kernel_release();
    if cfg!(not(target_arch = "x86_64")) {
        return Some(Missing::new("only x86-64 has a table of system calls yet", "--plane daemon"));
    }
    if version < OLDEST_KERNEL {
        let what = format!("Linux {release} is older than 6.9, which brought FUSE passthrough");
        return Some(Missing::new(what, "boot a newer kernel (Debian 13, Ubuntu 24.10), or --plane daemon"));
    }
    missing_right().or_else(|| {
        let next = "boot a kernel built with CONFIG_DEBUG_INFO_BTF (distributions' are), or --plane daemon";
        let what = format!("the kernel does not show its types ({TYPES})");
        (!Path::new(TYPES).exists()).then(|| Missing::new(what, next))
    })
}

/// As far as it can be tried without a mount.
pub fn does_not_start() -> Option<Missing> {
    let cause = Observer::load().err()?;
    Some(Missing::new(format!("it does not start: {cause}"), "--plane daemon"))
}

fn missing_right() -> Option<Missing> {
    const ROOT: &str = "run it as root (sudo), in a container with --privileged; or --plane daemon";
    if !sys::has_capability(sys::CAP_SYS_ADMIN) || !is_first_user_namespace() {
        return Some(Missing::new("FUSE passthrough needs CAP_SYS_ADMIN in the first user namespace", ROOT));
    }
    if !sys::has_capability(sys::CAP_BPF) || !sys::has_capability(sys::CAP_PERFMON) {
        return Some(Missing::new("eBPF needs CAP_BPF and CAP_PERFMON", ROOT));
    }
    if lockdown().as_deref() == Some("confidentiality") {
        let next = "boot with lockdown=integrity, or --plane daemon";
        return Some(Missing::new("the kernel is locked down: eBPF may not read its memory", next));
    }
    let (part, cause) = trial::ebpf().err()?;
    let next = "in a container: --privileged, whose seccomp profile allows bpf; or --plane daemon";
    Some(Missing::new(format!("this process may make no eBPF {part}: {cause}"), next))
}

/// How far the kernel keeps its memory from root: the word in brackets.
fn lockdown() -> Option<String> {
    let states = fs::read_to_string("/sys/kernel/security/lockdown").ok()?;
    Some(states.split_once('[')?.1.split_once(']')?.0.to_owned())
}

/// A source whose filesystem stands on another: the kernel takes no backing file from it (ELOOP).
fn stacked(source: &Source) -> Option<Missing> {
    let stacked = passthrough::is_stacked(&source.fd);
    stacked.then(|| {
        let what = format!("{} lies on {}, which FUSE passthrough cannot use", source.path.display(), source.fs_type);
        Missing::new(what, "trace a directory of the filesystem below, or --plane daemon")
    })
}

fn is_first_user_namespace() -> bool {
    /// PROC_USER_INIT_INO of the kernel: the same on every machine.
    const FIRST: u64 = 0xEFFF_FFFD;
    fs::metadata("/proc/self/ns/user").is_ok_and(|of| of.ino() == FIRST)
}
