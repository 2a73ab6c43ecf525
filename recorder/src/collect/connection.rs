//! One mount's way into the queue: what its server tells of each request it has served.

use std::sync::Arc;

use super::observe::{is_event, listed, observe, opens};
use super::queue::Queue;
use super::record::{Facts, Listed, Record};
use crate::process::{KERNEL_TASK, Processes};
use crate::wire::{Answer, Node, Operation, ReplyBuffer, Request, now_ns};

/// `number` tells the mounts of one recorder apart: the place of its mount point in what the collector was started with.
#[derive(Clone)]
pub struct Connection {
    queue: Arc<Queue>,
    processes: Arc<Processes>,
    number: u8,
}

impl Connection {
    pub fn new(queue: Arc<Queue>, processes: Arc<Processes>, number: u8) -> Connection {
        Connection { queue, processes, number }
    }

    /// Puts a served request down. To be called before its answer is written: so records stand in causal order, and the
    /// caller, who still waits, can be looked at without that time counting as the request's.
    pub fn served(&self, request: &Request<'_>, facts: &Facts, answer: &Answer, reply: &ReplyBuffer) {
        let finished_ns = now_ns();
        if let Some(entries) = listed(request, answer, reply.bytes()) {
            self.queue.listed(Listed { connection: self.number, ..entries });
        }
        if !is_event(&request.operation) {
            return;
        }
        let task = match request.operation {
            Operation::Flush { .. } => self.processes.task_at_a_glance(request.tid, finished_ns),
            _ => self.processes.task(request.tid, opens(&request.operation), finished_ns),
        };
        if let Some(record) = observe(request, facts, answer, finished_ns, task) {
            self.queue.push(Record { connection: self.number, ..record });
        }
    }

    /// As `served`, of a request that we have caused ourselves: only its names are learned.
    pub fn own(&self, request: &Request<'_>, facts: &Facts, answer: &Answer) {
        if let Some(record) = observe(request, facts, answer, now_ns(), KERNEL_TASK) {
            self.queue.learned(Record { connection: self.number, ..record });
        }
    }

    /// The kernel has forgotten the node for good.
    pub fn gone(&self, node: Node) {
        self.queue.gone(self.number, node);
    }
}
