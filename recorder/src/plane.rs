//! Which plane a trace is made in: what the kernel plane needs, what is missing here, and what was chosen why.
//! Loads nothing; a start that fails later is `serve`'s affair.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use glassfs_recorder::event::Plane;
use glassfs_recorder::passthrough;

use crate::cli::Wish;
use crate::error::Error;
use crate::mount::source::Source;
use crate::sys;

/// FUSE passthrough came with it.
pub const OLDEST_KERNEL: (u32, u32) = (6, 9);
/// The kernel's types, which the eBPF program needs to find their fields.
pub const TYPES: &str = "/sys/kernel/btf/vmlinux";

/// What was chosen, and why, in one line.
#[derive(Clone, Debug)]
pub struct Choice {
    pub plane: Plane,
    pub reason: String,
    /// It was asked for by name: if it cannot be started, nothing else is.
    pub is_binding: bool,
}

impl Choice {
    pub fn daemon(reason: impl Into<String>) -> Choice {
        Choice { plane: Plane::Daemon, reason: reason.into(), is_binding: false }
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
    let kernel = |reason: &str, is_binding| Choice { plane: Plane::Kernel, reason: reason.into(), is_binding };
    match (wish, missing().or_else(|| sources.iter().find_map(stacked))) {
        (Wish::Daemon, _) => Ok(Choice::daemon("asked for")),
        (Wish::Kernel, None) => Ok(kernel("asked for", true)),
        (Wish::Kernel, Some(missing)) => Err(Error::PlaneImpossible { missing }),
        (Wish::Auto, None) => Ok(Choice::daemon("the kernel plane is taken only when asked for (--plane kernel)")),
        (Wish::Auto, Some(missing)) => Ok(Choice::daemon(format!("no kernel plane here: {}", missing.what))),
    }
}

/// What this machine and this process lack.
pub fn missing() -> Option<Missing> {
    let (release, version) = sys::kernel_release();
    let may_observe = sys::has_capability(sys::CAP_BPF) && sys::has_capability(sys::CAP_PERFMON);
    let root = "run it as root (sudo), in a container with --privileged; or --plane daemon";
    if cfg!(not(target_arch = "x86_64")) {
        return Some(Missing::new("only x86-64 has a table of system calls yet", "--plane daemon"));
    }
    if version < OLDEST_KERNEL {
        let what = format!("Linux {release} is older than 6.9, which brought FUSE passthrough");
        return Some(Missing::new(what, "boot a newer kernel (Debian 13, Ubuntu 24.10), or --plane daemon"));
    }
    if !sys::has_capability(sys::CAP_SYS_ADMIN) || !is_first_user_namespace() {
        return Some(Missing::new("FUSE passthrough needs CAP_SYS_ADMIN in the first user namespace", root));
    }
    if !may_observe {
        return Some(Missing::new("eBPF needs CAP_BPF and CAP_PERFMON", root));
    }
    if !Path::new(TYPES).exists() {
        let next = "boot a kernel built with CONFIG_DEBUG_INFO_BTF (distributions' are), or --plane daemon";
        return Some(Missing::new(format!("the kernel does not show its types ({TYPES})"), next));
    }
    None
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
