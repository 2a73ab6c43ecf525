//! The events that reports have become, kept for as long as no name changes: the same threads use the same files again and
//! again, and then only numbers are new.

use crate::event::Event;
use crate::observe::Report;

/// Pairs of thread and file; of two that share a place the newer one is kept.
const PLACES: usize = 256;

struct Kept {
    report: Report,
    event: Box<Event>,
    age: u64,
}

pub struct Memo {
    places: Vec<Option<Kept>>,
    /// How often names have changed.
    age: u64,
}

impl Memo {
    pub fn new() -> Memo {
        Memo { places: (0..PLACES).map(|_| None).collect(), age: 0 }
    }

    /// Names may have changed.
    pub fn forget(&mut self) {
        self.age += 1;
    }

    /// The event of a report about the same.
    pub fn take(&mut self, report: &Report) -> Option<Box<Event>> {
        let kept = self.places[place(report)].take_if(|kept| is_about_the_same(&kept.report, report))?;
        (kept.age == self.age).then_some(kept.event)
    }

    pub fn keep(&mut self, report: &Report, event: Box<Event>) {
        self.places[place(report)] = Some(Kept { report: *report, event, age: self.age });
    }
}

fn is_about_the_same(one: &Report, other: &Report) -> bool {
    let about = |of: &Report| {
        (of.connection, of.kind(), of.is_node(), of.other_is_node(), of.nr, of.file, of.other, of.tid, of.comm)
    };
    about(one) == about(other)
}

fn place(of: &Report) -> usize {
    let mixed = (u64::from(of.tid) << 32 ^ u64::from(of.nr) << 24 ^ of.file).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 32) as usize % PLACES
}
