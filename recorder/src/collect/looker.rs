//! Looks at the threads whose calls no worker has served (kernel plane): they run on meanwhile, and /proc may keep whoever
//! reads there waiting, for a thread that executes a program even until its files are closed. So nobody waits for this one.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::Builder;

use crate::process::Processes;
use crate::wire::now_ns;

/// Threads to be looked at; what does not fit is seen at its next call.
const WAITING: usize = 1024;

#[derive(Default)]
pub struct Looker(Option<SyncSender<u32>>);

impl Looker {
    /// It ends when this is dropped and nothing waits any more. Without a thread for it, processes lack their arguments.
    pub fn start(processes: Arc<Processes>) -> Looker {
        let (sender, threads) = sync_channel(WAITING);
        let body = move || threads.iter().for_each(|tid| _ = processes.task(tid, false, now_ns()));
        let started = Builder::new().name("glassfs-look".into()).spawn(body);
        Looker(started.ok().map(|_| sender))
    }

    pub fn look_at(&self, tid: u32) {
        if let Some(sender) = &self.0 {
            // Full, or ended: then not this time.
            let _ = sender.try_send(tid);
        }
    }
}
