//! The requests that a call took, and what they tell of it that its own arguments do not: paths, where it wrote, how much.
//! Knows records; no rings and no descriptors.

use super::names::Paths;
use super::record::{Record, present};
use crate::event::Op;

/// A request's record and what its path was.
pub struct Part {
    pub record: Record,
    pub paths: Paths,
}

/// The requests of a call under way, in their order.
#[derive(Default)]
pub struct Parts {
    pub own: Vec<Part>,
    /// That do not count as the program's: page faults in the middle of a call, and those whose record was not kept.
    pub foreign: u32,
}

impl Parts {
    pub fn come(&self) -> u32 {
        self.own.len() as u32 + self.foreign
    }

    pub fn backing_ns(&self) -> Option<u64> {
        Some(self.own.iter().map(|part| part.record.backing_ns).sum()).filter(|ns| *ns > 0)
    }

    /// The request that says most about a call: of an exec the program's open; else the last that did something, else the
    /// last look at a name, else the last.
    pub fn main(&self, op: Op) -> Option<&Part> {
        let looks = |op: Op| matches!(op, Op::Lookup | Op::Getattr | Op::Statx | Op::Readlink | Op::Access);
        if op == Op::Execve
            && let Some(part) = self.own.iter().find(|part| part.record.op == Op::Open)
        {
            return Some(part);
        }
        let did = self.own.iter().rfind(|part| !looks(part.record.op));
        let looked = self.own.iter().rfind(|part| part.record.op == Op::Lookup);
        did.or(looked).or(self.own.last())
    }

    /// What it asked for as a whole, which may have taken several requests: from where, and how much.
    pub fn range(&self, op: Op) -> (Option<u64>, Option<u64>) {
        let of_it = || self.own.iter().map(|part| &part.record).filter(|record| record.op == op);
        let offset = of_it().filter(|record| record.has(present::OFFSET)).map(|record| record.offset).min();
        let size = of_it().filter(|record| record.has(present::SIZE)).map(|record| record.size);
        (offset, size.reduce(|sum, size| sum + size))
    }

    /// The paths of a call on two names that the kernel refused, as it has looked at them; `errno`: why. Where one is missing,
    /// or the directory of one, it is not known which.
    pub fn both_names(&self, op: Op, errno: u16) -> Option<Paths> {
        let lookups: Vec<&Part> = self.own.iter().filter(|part| part.record.op == Op::Lookup).collect();
        let is_refused = self.own.iter().all(|part| part.record.op != op) && i32::from(errno) != libc::ENOENT;
        let last = lookups.len().checked_sub(1).filter(|_| is_refused)?;
        let before = last.checked_sub(1)?;
        match op {
            // Directories first, then the old name and the new one.
            Op::Rename if !leads_to(lookups[before], lookups[last]) => Some(pair(lookups[before], lookups[last])),
            // The existing file, then the way to the new name.
            Op::Link => {
                let first = (1..=last).rev().find(|at| !leads_to(lookups[at - 1], lookups[*at]))?;
                Some(pair(lookups[last], lookups[first - 1]))
            }
            _ => None,
        }
    }
}

/// Whether the second was looked up in the directory that the first is.
fn leads_to(first: &Part, second: &Part) -> bool {
    let child = first.record.names.as_ref().and_then(|names| names.child);
    child.is_some_and(|child| child == second.record.node)
}

fn pair(one: &Part, other: &Part) -> Paths {
    Paths { path: one.paths.path.clone(), path2: other.paths.path.clone() }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    fn lookup(parent: u64, name: &str, child: u64) -> Part {
        let record = samples::named(Op::Lookup, parent, name, Some(child));
        Part { record, paths: Paths { path: Some(name.into()), path2: None } }
    }

    fn both(op: Op, errno: i32, own: Vec<Part>) -> Option<(String, String)> {
        let names = Parts { own, foreign: 0 }.both_names(op, errno as u16)?;
        Some((names.path?.to_string(), names.path2?.to_string()))
    }

    #[test]
    fn a_refused_rename_has_looked_at_both_names_last() {
        let looks = || vec![lookup(1, "a", 2), lookup(1, "b", 3), lookup(2, "old", 4), lookup(3, "new", 5)];
        assert_eq!(both(Op::Rename, libc::EEXIST, looks()), Some(("old".into(), "new".into())));
        assert_eq!(both(Op::Rename, libc::ENOENT, looks()), None, "one of the names on the way was missing");
        assert_eq!(both(Op::Rename, libc::EXDEV, vec![lookup(1, "a", 2), lookup(2, "b", 3)]), None);
    }

    #[test]
    fn a_refused_link_has_walked_to_the_file_and_then_to_the_new_name() {
        let to_file = || vec![lookup(1, "a", 2), lookup(2, "file", 4)];
        assert_eq!(both(Op::Link, libc::EXDEV, to_file()), None);
        let both_ways = to_file().into_iter().chain([lookup(1, "b", 3), lookup(3, "new", 5)]);
        assert_eq!(both(Op::Link, libc::EEXIST, both_ways.collect()), Some(("new".into(), "file".into())));
    }

    #[test]
    fn a_transfer_of_several_requests_begins_where_the_first_does() {
        let write = |offset, size| Part {
            record: Record { offset, size, present: present::OFFSET | present::SIZE, ..samples::record(Op::Write, 2) },
            paths: Paths::default(),
        };
        let own = vec![write(100, 10), write(110, 7)];
        let parts = Parts { own, foreign: 0 };
        assert_eq!(parts.range(Op::Write), (Some(100), Some(17)));
        assert_eq!(parts.range(Op::Read), (None, None));
    }
}
