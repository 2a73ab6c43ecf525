//! Which processes belong to the traced command: all that share its mount namespace, or, where there is none of its
//! own, all that descend from the launcher.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use super::words::Remaining;
use crate::procfs::{self, Moved, Pid};

pub enum Members {
    Namespace(PathBuf),
    Descendants,
}

impl Members {
    /// Of the process that becomes the command, once it is in its namespace.
    pub fn of(command: Pid, is_private: bool) -> Members {
        match procfs::link(command, "ns/mnt") {
            Some(namespace) if is_private => Members::Namespace(namespace),
            _ => Members::Descendants,
        }
    }

    pub fn list(&self) -> Vec<Pid> {
        match self {
            Members::Namespace(namespace) => {
                let shares = |pid: &Pid| procfs::link(*pid, "ns/mnt").as_ref() == Some(namespace);
                procfs::pids().into_iter().filter(shares).collect()
            }
            Members::Descendants => descendants(std::process::id() as Pid),
        }
    }

    /// Those still alive, by name.
    pub fn remaining(&self) -> Vec<Remaining> {
        let alive = self.list().into_iter().filter(|pid| procfs::is_alive(*pid));
        alive.map(|pid| Remaining { pid, comm: procfs::comm(pid) }).collect()
    }
}

fn descendants(of: Pid) -> Vec<Pid> {
    let mut children: HashMap<Pid, Vec<Pid>> = HashMap::new();
    for pid in procfs::pids() {
        if let Some((_, parent)) = procfs::state_and_parent(pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = HashSet::new();
    let mut waiting = vec![of];
    while let Some(pid) = waiting.pop() {
        for child in children.remove(&pid).unwrap_or_default() {
            if found.insert(child) {
                waiting.push(child);
            }
        }
    }
    found.into_iter().collect()
}

/// What the reaped children of this process, and theirs, have moved. As the launcher has one thread, that is all of it
/// less the thread's own.
pub fn moved_by_children() -> Option<Moved> {
    Some(procfs::moved("self")?.minus(procfs::moved("thread-self")?))
}

/// What those that go on have moved so far.
pub fn moved_by(remaining: &[Remaining]) -> Moved {
    remaining.iter().filter_map(|process| procfs::moved(&process.pid.to_string())).fold(Moved::default(), Moved::plus)
}
