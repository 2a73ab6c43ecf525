//! The table of names of one connection: says under which path each record's event is shown, and learns from it what
//! has a name now. Knows nodes and handles only as numbers; nothing of FUSE, processes or the trace.

mod link;
mod tree;

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::record::{Listed, Names as Carried, Record, present};
use crate::event::{FileType, Op, escape};
use link::Link;
use tree::{Sight, Tree};

/// What an event is shown under.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Paths {
    pub path: Option<Arc<str>>,
    pub path2: Option<Arc<str>>,
}

pub struct Names {
    tree: Tree,
    /// Open handles: the link each was opened by, and its node. None: a file without a name (tmpfile), until it gets one.
    handles: FxHashMap<u64, (Option<Rc<Link>>, u64)>,
}

impl Names {
    /// `mount_point` as the program names it.
    pub fn new(mount_point: &Path) -> Names {
        let root = escape(mount_point.as_os_str().as_bytes());
        Names { tree: Tree::new(root.into()), handles: FxHashMap::default() }
    }

    /// The paths as they were when the request was served, and what its success has changed.
    pub fn follow(&mut self, record: &Record) -> Paths {
        match (&record.names, record.op) {
            (Some(names), op) => self.follow_named(op, names, record),
            (None, Op::Open | Op::Opendir) => self.opened(record),
            (None, Op::Release | Op::Releasedir) => {
                let path = self.path_of(record);
                self.handles.remove(&record.fh);
                Paths { path, path2: None }
            }
            _ => Paths { path: self.path_of(record), path2: None },
        }
    }

    /// The names that a readdirplus told.
    pub fn listed(&mut self, listed: &Listed) {
        for (node, is_directory, name) in listed.entries.iter() {
            let sight = Sight { started_ns: listed.start_ns, tid: 0, is_directory };
            self.tree.found((listed.parent, name), node, sight);
        }
    }

    pub fn gone(&mut self, node: u64, now_ns: u64) {
        self.tree.gone(node, now_ns);
    }

    pub fn bury(&mut self, now_ns: u64) {
        self.tree.bury(now_ns);
    }

    pub fn forget_all(&mut self) {
        self.tree.forget_all();
        self.handles.clear();
    }

    pub fn path_of_handle(&self, fh: u64, tid: u32) -> Option<Arc<str>> {
        let (link, node) = self.handles.get(&fh)?;
        link.as_ref().map_or_else(|| self.tree.path_of_node(*node, tid), |link| self.tree.path(link))
    }

    pub fn path_of_node(&self, node: u64, tid: u32) -> Option<Arc<str>> {
        self.tree.path_of_node(node, tid)
    }

    #[cfg(test)]
    pub fn known_nodes(&self) -> usize {
        self.tree.known_nodes()
    }

    fn follow_named(&mut self, op: Op, names: &Carried, record: &Record) -> Paths {
        match op {
            Op::Lookup => self.looked_up(names, record),
            Op::Create | Op::Mkdir | Op::Mknod => self.made(names, record),
            Op::Symlink => Paths {
                path2: names.new_name.as_deref().map(|target| escape(target).into()),
                ..self.made(names, record)
            },
            Op::Link => {
                let path2 = names.new_parent.and_then(|existing| self.tree.path_of_node(existing, record.tid));
                Paths { path2, ..self.made(names, record) }
            }
            Op::Tmpfile => self.made_nameless(record),
            Op::Rename => self.renamed(names, record),
            Op::CopyFileRange => Paths {
                path: self.path_of(record),
                path2: names.new_parent.and_then(|read| self.tree.path_of_node(read, record.tid)),
            },
            _ => self.removed(names, record),
        }
    }

    /// By handle if there is one: it remembers by which of a file's names it was opened.
    fn path_of(&self, record: &Record) -> Option<Arc<str>> {
        if record.has(present::FH)
            && let Some((Some(link), _)) = self.handles.get(&record.fh)
        {
            return self.tree.path(link);
        }
        self.tree.path_of_node(record.node, record.tid)
    }

    fn opened(&mut self, record: &Record) -> Paths {
        let link = self.tree.link_of_node(record.node, record.tid);
        let path = match &link {
            Some(link) => self.tree.path(link),
            None => self.tree.path_of_node(record.node, record.tid),
        };
        self.remember_handle(record, link);
        Paths { path, path2: None }
    }

    fn remember_handle(&mut self, record: &Record, link: Option<Rc<Link>>) {
        if record.errno == 0 && record.has(present::FH) {
            let child = record.names.as_ref().and_then(|names| names.child);
            self.handles.insert(record.fh, (link, child.unwrap_or(record.node)));
        }
    }

    fn looked_up(&mut self, names: &Carried, record: &Record) -> Paths {
        let sight = sight(record);
        let link = match (names.child, i32::from(record.errno)) {
            (Some(child), 0) => self.tree.found((record.node, &names.name), child, sight),
            (None, 0 | libc::ENOENT) => {
                let path = self.tree.path_of_name(record.node, &names.name);
                self.tree.missing(record.node, &names.name, sight);
                return Paths { path, path2: None };
            }
            _ => None,
        };
        self.paths_of(link, names, record)
    }

    fn made(&mut self, names: &Carried, record: &Record) -> Paths {
        let child = names.child.filter(|_| record.errno == 0);
        let link =
            child.map(|child| self.tree.made((record.node, &names.name), child, record.finished_ns(), sight(record)));
        if record.op == Op::Create {
            self.remember_handle(record, link.clone());
        }
        self.paths_of(link, names, record)
    }

    fn paths_of(&self, link: Option<Rc<Link>>, names: &Carried, record: &Record) -> Paths {
        let path = match link {
            Some(link) => self.tree.path(&link),
            None => self.tree.path_of_name(record.node, &names.name),
        };
        Paths { path, path2: None }
    }

    /// Shown under its directory, which is all that the program named.
    fn made_nameless(&mut self, record: &Record) -> Paths {
        self.remember_handle(record, None);
        Paths { path: self.tree.path_of_node(record.node, record.tid), path2: None }
    }

    fn renamed(&mut self, names: &Carried, record: &Record) -> Paths {
        let (Some(new_parent), Some(new_name)) = (names.new_parent, &names.new_name) else { return Paths::default() };
        let (from, to) = ((record.node, &names.name[..]), (new_parent, &new_name[..]));
        let path = self.tree.path_of_name(from.0, from.1);
        let path2 = self.tree.path_of_name(to.0, to.1);
        match (record.errno, names.exchange) {
            (0, false) => self.tree.renamed(from, to, record.finished_ns()),
            (0, true) => self.tree.exchanged(from, to, record.finished_ns()),
            _ => {}
        }
        Paths { path, path2 }
    }

    fn removed(&mut self, names: &Carried, record: &Record) -> Paths {
        let path = self.tree.path_of_name(record.node, &names.name);
        if record.errno == 0 {
            self.tree.removed(record.node, &names.name, record.finished_ns());
        }
        Paths { path, path2: None }
    }
}

fn sight(record: &Record) -> Sight {
    Sight { started_ns: record.start_ns, tid: record.tid, is_directory: record.file_type == Some(FileType::Directory) }
}

#[cfg(test)]
mod tests;
