//! A filesystem that knows every file by its full paths, slowly and surely; the table must agree with it after any calls.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Call {
    Create(String, bool),
    Mkdir(String),
    Link(String, String),
    Remove(String),
    Rename(String, String, bool),
    Lookup(String),
    Open(String),
    Read(usize),
    Release(usize),
    Getattr(String),
}

/// Up to three names deep, of few names, so that calls meet.
fn paths() -> impl Strategy<Value = String> {
    prop::collection::vec("[abc]", 1..4).prop_map(|names| format!("/{}", names.join("/")))
}

fn calls() -> impl Strategy<Value = Call> {
    prop_oneof![
        3 => (paths(), any::<bool>()).prop_map(|(path, keeps_open)| Call::Create(path, keeps_open)),
        3 => paths().prop_map(Call::Mkdir),
        1 => (paths(), paths()).prop_map(|(old, new)| Call::Link(old, new)),
        2 => paths().prop_map(Call::Remove),
        4 => (paths(), paths(), any::<bool>()).prop_map(|(old, new, exchange)| Call::Rename(old, new, exchange)),
        2 => paths().prop_map(Call::Lookup),
        2 => paths().prop_map(Call::Open),
        4 => any::<usize>().prop_map(Call::Read),
        1 => any::<usize>().prop_map(Call::Release),
        2 => paths().prop_map(Call::Getattr),
    ]
}

#[derive(Clone, Copy, PartialEq)]
struct File {
    node: u64,
    is_directory: bool,
}

struct Handle {
    fh: u64,
    node: u64,
    path: String,
    is_linked: bool,
}

struct Model {
    names: Names,
    files: BTreeMap<String, File>,
    handles: Vec<Handle>,
    next: u64,
    clock_ns: u64,
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').expect("starts with a slash")
}

fn is_within(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Model {
    fn new() -> Model {
        let root = ("".to_owned(), File { node: ROOT, is_directory: true });
        Model { names: table(), files: [root].into(), handles: Vec::new(), next: ROOT + 1, clock_ns: 0 }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Sends the record, at a time of its own, and expects these paths below the mount.
    fn expect(&mut self, record: Record, path: &str, path2: Option<&str>) {
        self.clock_ns += 10;
        let record = Record { start_ns: self.clock_ns - 9, duration_ns: 8, ..record };
        let paths = self.names.follow(&record);
        assert_eq!(paths.path.as_deref(), below(path).as_deref(), "{record:?}");
        assert_eq!(paths.path2.as_deref(), path2.and_then(below).as_deref(), "{record:?}");
    }

    /// The node of the directory that holds `path`, if there is one.
    fn parent(&self, path: &str) -> Option<u64> {
        self.files.get(split(path).0).filter(|file| file.is_directory).map(|file| file.node)
    }

    fn has_children(&self, path: &str) -> bool {
        self.files.keys().any(|other| other != path && is_within(other, path))
    }

    fn call(&mut self, call: Call) {
        match call {
            Call::Create(path, keeps_open) => self.create(&path, keeps_open),
            Call::Mkdir(path) => self.mkdir(&path),
            Call::Link(old, new) => self.link(&old, &new),
            Call::Remove(path) => self.remove(&path),
            Call::Rename(old, new, exchange) => self.rename(&old, &new, exchange),
            Call::Lookup(path) => self.lookup(&path),
            Call::Open(path) => self.open(&path),
            Call::Read(which) => self.with_handle(which, Op::Read),
            Call::Release(which) => self.with_handle(which, Op::Release),
            Call::Getattr(path) => self.getattr(&path),
        }
    }

    fn create(&mut self, path: &str, keeps_open: bool) {
        let Some(parent) = self.parent(path) else { return };
        let create = |node| named(Op::Create, parent, split(path).1, node);
        match self.files.get(path).copied() {
            Some(file) if file.is_directory => return self.expect(failed(create(None), libc::EISDIR), path, None),
            Some(_) => {}
            None => {
                let node = self.number();
                self.files.insert(path.to_owned(), File { node, is_directory: false });
            }
        }
        let node = self.files[path].node;
        let fh = self.number();
        let record = Record { fh, present: present::FH, ..create(Some(node)) };
        self.expect(record, path, None);
        self.handles.push(Handle { fh, node, path: path.to_owned(), is_linked: true });
        if !keeps_open {
            self.with_handle(self.handles.len() - 1, Op::Release);
        }
    }

    fn mkdir(&mut self, path: &str) {
        let Some(parent) = self.parent(path) else { return };
        let mkdir = |node| as_directory(named(Op::Mkdir, parent, split(path).1, node));
        if self.files.contains_key(path) {
            return self.expect(failed(mkdir(None), libc::EEXIST), path, None);
        }
        let node = self.number();
        self.files.insert(path.to_owned(), File { node, is_directory: true });
        self.expect(mkdir(Some(node)), path, None);
    }

    fn link(&mut self, old: &str, new: &str) {
        let (Some(file), Some(parent)) = (self.files.get(old).copied(), self.parent(new)) else { return };
        if file.is_directory || self.files.contains_key(new) {
            return;
        }
        // As the kernel does: looked up first, so that it is clear which of the names is meant.
        self.lookup(old);
        let names = Carried {
            name: split(new).1.as_bytes().into(),
            child: Some(file.node),
            new_parent: Some(file.node),
            ..Carried::default()
        };
        self.files.insert(new.to_owned(), file);
        self.expect(Record { names: Some(Box::new(names)), ..record(Op::Link, parent) }, new, Some(old));
    }

    fn remove(&mut self, path: &str) {
        let Some(parent) = self.parent(path) else { return };
        let is_directory = self.files.get(path).is_some_and(|file| file.is_directory);
        let record = named(if is_directory { Op::Rmdir } else { Op::Unlink }, parent, split(path).1, None);
        if !self.files.contains_key(path) {
            return self.expect(failed(record, libc::ENOENT), path, None);
        }
        if self.has_children(path) {
            return self.expect(failed(record, libc::ENOTEMPTY), path, None);
        }
        self.expect(record, path, None);
        self.unlink(path);
    }

    fn unlink(&mut self, path: &str) {
        self.files.remove(path);
        self.handles.iter_mut().filter(|handle| handle.path == path).for_each(|handle| handle.is_linked = false);
    }

    fn rename(&mut self, old: &str, new: &str, exchange: bool) {
        let (Some(parent), Some(new_parent)) = (self.parent(old), self.parent(new)) else { return };
        let record = rename((parent, split(old).1), (new_parent, split(new).1), exchange);
        match self.may_rename(old, new, exchange) {
            Err(errno) => self.expect(failed(record, errno), old, Some(new)),
            Ok(()) => {
                self.expect(record, old, Some(new));
                let is_same = self.files.get(old) == self.files.get(new);
                if exchange {
                    self.move_all(old, "/exchanged");
                    self.move_all(new, old);
                    self.move_all("/exchanged", new);
                } else if !is_same {
                    self.unlink(new);
                    self.move_all(old, new);
                }
            }
        }
    }

    fn may_rename(&self, old: &str, new: &str, exchange: bool) -> Result<(), i32> {
        let from = self.files.get(old).ok_or(libc::ENOENT)?;
        let to = self.files.get(new);
        match to {
            _ if old != new && (is_within(new, old) || is_within(old, new)) => Err(libc::EINVAL),
            None if exchange => Err(libc::ENOENT),
            Some(to) if !exchange && to.is_directory != from.is_directory => Err(libc::EISDIR),
            Some(to) if !exchange && to.is_directory && self.has_children(new) => Err(libc::ENOTEMPTY),
            _ => Ok(()),
        }
    }

    fn move_all(&mut self, old: &str, new: &str) {
        let moved = |path: &str| format!("{new}{}", &path[old.len()..]);
        let names: Vec<String> = self.files.keys().filter(|path| is_within(path, old)).cloned().collect();
        for path in names {
            let file = self.files.remove(&path).expect("just listed");
            self.files.insert(moved(&path), file);
        }
        let handles = self.handles.iter_mut().filter(|handle| handle.is_linked && is_within(&handle.path, old));
        handles.for_each(|handle| handle.path = moved(&handle.path));
    }

    fn lookup(&mut self, path: &str) {
        let Some(parent) = self.parent(path) else { return };
        let record = match self.files.get(path) {
            None => failed(named(Op::Lookup, parent, split(path).1, None), libc::ENOENT),
            Some(file) => {
                let lookup = named(Op::Lookup, parent, split(path).1, Some(file.node));
                if file.is_directory { as_directory(lookup) } else { lookup }
            }
        };
        self.expect(record, path, None);
    }

    fn open(&mut self, path: &str) {
        self.lookup(path);
        let Some(file) = self.files.get(path).copied() else { return };
        let fh = self.number();
        self.expect(by_handle(if file.is_directory { Op::Opendir } else { Op::Open }, file.node, fh), path, None);
        self.handles.push(Handle { fh, node: file.node, path: path.to_owned(), is_linked: true });
    }

    fn with_handle(&mut self, which: usize, op: Op) {
        if self.handles.is_empty() {
            return;
        }
        let which = which % self.handles.len();
        let Handle { fh, node, path, .. } = &self.handles[which];
        let (record, path) = (by_handle(op, *node, *fh), path.clone());
        if op == Op::Release {
            self.handles.remove(which);
        }
        self.expect(record, &path, None);
    }

    fn getattr(&mut self, path: &str) {
        self.lookup(path);
        let Some(file) = self.files.get(path).copied() else { return };
        self.expect(record(Op::Getattr, file.node), path, None);
    }

    /// Once everything is forgotten, nothing is left.
    fn forget(mut self) {
        while !self.handles.is_empty() {
            self.with_handle(0, Op::Release);
        }
        (ROOT + 1..=self.next).for_each(|node| self.names.gone(node, self.clock_ns));
        self.names.bury(u64::MAX);
        assert!(self.names.known_nodes() <= 1);
        assert_eq!(self.names.handles.len(), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn the_table_agrees_with_full_paths_after_any_calls(calls in prop::collection::vec(calls(), 1..60)) {
        let mut model = Model::new();
        calls.into_iter().for_each(|call| model.call(call));
        model.forget();
    }
}
