//! The tree of names as the kernel has been told it: nodes and their links, each link in its directory.
//! Paths are never stored as truth: they are rendered from the links and remembered until a directory moves.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::link::{Link, Place, join};

/// The mount's own directory.
pub const ROOT: u64 = 1;

/// How long a forgotten node keeps its names: a record that was under way may still come, and within one drain of the
/// queue it does. A second is longer than any drain.
const GRACE_NS: u64 = 1_000_000_000;

/// Directories in one path, more than any that can be named has: a source that is rearranged from outside could make a
/// circle of names that were each true once.
const MAX_DEPTH: usize = 4096;

type Children = FxHashMap<Rc<[u8]>, Rc<Link>>;

#[derive(Default)]
struct Node {
    /// The living link by which it was last reached; if none lives, the last one that did.
    current: Option<Rc<Link>>,
    /// Other living links: only of files with several.
    others: Vec<Rc<Link>>,
    children: Option<Box<Children>>,
    /// When the last change of one of its names was done.
    changed_ns: u64,
}

/// Who looked when: a lookup that began before a change was done may tell of the time before it.
#[derive(Clone, Copy)]
pub struct Sight {
    pub started_ns: u64,
    pub tid: u32,
    pub is_directory: bool,
}

pub struct Tree {
    root: Arc<str>,
    nodes: FxHashMap<u64, Node>,
    /// Counts moves of directories that hold known names: each makes every rendered path doubtful.
    moves: u64,
    looks: u64,
    graves: VecDeque<(u64, u64)>,
}

impl Tree {
    pub fn new(root: Arc<str>) -> Tree {
        Tree { root, nodes: FxHashMap::default(), moves: 0, looks: 0, graves: VecDeque::new() }
    }

    /// The path of a link: one comparison if it is known, else rendered upwards from the nearest known directory.
    pub fn path(&self, link: &Rc<Link>) -> Option<Arc<str>> {
        if let Some(path) = link.known_path(self.moves) {
            return path;
        }
        let mut unknown = vec![link.clone()];
        let mut path = loop {
            let lowest = unknown.last().filter(|link| link.is_alive())?;
            let parent = lowest.parent();
            if parent == ROOT {
                break self.root.clone();
            }
            let above = self.nodes.get(&parent)?.current.as_ref()?;
            match above.known_path(self.moves) {
                Some(Some(path)) => break path,
                None if unknown.len() < MAX_DEPTH => unknown.push(above.clone()),
                _ => {
                    link.set_too_deep(self.moves);
                    return None;
                }
            }
        };
        for link in unknown.iter().rev() {
            path = link.render(&path, self.moves)?;
        }
        Some(path)
    }

    pub fn path_of_node(&self, node: u64, tid: u32) -> Option<Arc<str>> {
        if node == ROOT {
            return Some(self.root.clone());
        }
        self.path(&self.link_of_node(node, tid)?)
    }

    /// The path of a name, whether anything bears it or not.
    pub fn path_of_name(&self, parent: u64, name: &[u8]) -> Option<Arc<str>> {
        match self.link(parent, name) {
            Some(link) => self.path(link),
            None => join(&self.path_of_node(parent, 0)?, name),
        }
    }

    /// The link by which `tid` most likely reached the node.
    pub fn link_of_node(&self, node: u64, tid: u32) -> Option<Rc<Link>> {
        let node = self.nodes.get(&node)?;
        let current = node.current.as_ref()?;
        let likeliest = node.others.iter().chain([current]).max_by_key(|link| link.likelihood(tid));
        likeliest.cloned()
    }

    fn link(&self, parent: u64, name: &[u8]) -> Option<&Rc<Link>> {
        self.nodes.get(&parent)?.children.as_ref()?.get(name)
    }

    /// A lookup or listing told that `name` is `child`. None if it may have been overtaken by a change.
    pub fn found(&mut self, place: (u64, &[u8]), child: u64, sight: Sight) -> Option<Rc<Link>> {
        match self.link(place.0, place.1).cloned() {
            Some(link) if link.child == child => {
                self.look(&link, sight.tid);
                return Some(link);
            }
            Some(link) if link.changed_ns() > sight.started_ns => return None,
            Some(link) => self.kill(&link, 0),
            None if self.changed_ns(child) > sight.started_ns => return None,
            None => {}
        }
        Some(self.add(place, child, 0, sight))
    }

    /// `name` was made to be `child`, whatever was there before.
    pub fn made(&mut self, place: (u64, &[u8]), child: u64, finished_ns: u64, sight: Sight) -> Rc<Link> {
        match self.link(place.0, place.1).cloned() {
            Some(link) if link.child == child => {
                self.look(&link, sight.tid);
                return link;
            }
            Some(link) => self.kill(&link, finished_ns),
            None => {}
        }
        self.add(place, child, finished_ns, sight)
    }

    /// A lookup told that nothing bears the name.
    pub fn missing(&mut self, parent: u64, name: &[u8], sight: Sight) {
        if let Some(link) = self.link(parent, name).filter(|link| link.changed_ns() <= sight.started_ns).cloned() {
            self.kill(&link, 0);
        }
    }

    /// unlink, rmdir.
    pub fn removed(&mut self, parent: u64, name: &[u8], finished_ns: u64) {
        if let Some(link) = self.link(parent, name).cloned() {
            self.kill(&link, finished_ns);
        }
    }

    pub fn renamed(&mut self, from: (u64, &[u8]), to: (u64, &[u8]), finished_ns: u64) {
        let moved = self.link(from.0, from.1).cloned();
        let replaced = self.link(to.0, to.1).cloned();
        match (moved, replaced) {
            // Two names of one file: rename(2) leaves both.
            (Some(moved), Some(replaced)) if moved.child == replaced.child => {}
            (moved, replaced) => {
                replaced.inspect(|link| self.kill(link, finished_ns));
                moved.inspect(|link| self.move_link(link, to, finished_ns));
            }
        }
    }

    pub fn exchanged(&mut self, one: (u64, &[u8]), other: (u64, &[u8]), finished_ns: u64) {
        let first = self.link(one.0, one.1).cloned();
        let second = self.link(other.0, other.1).cloned();
        first.inspect(|link| self.move_link(link, other, finished_ns));
        second.inspect(|link| self.move_link(link, one, finished_ns));
    }

    /// The kernel has forgotten the node for good.
    pub fn gone(&mut self, node: u64, now_ns: u64) {
        self.graves.push_back((now_ns, node));
    }

    /// Erases what was forgotten long enough ago.
    pub fn bury(&mut self, now_ns: u64) {
        while let Some((gone_ns, node)) = self.graves.front().copied() {
            if gone_ns + GRACE_NS > now_ns {
                break;
            }
            self.graves.pop_front();
            self.erase(node);
        }
    }

    /// Nothing that is known can be trusted any more.
    pub fn forget_all(&mut self) {
        *self = Tree { moves: self.moves + 1, looks: self.looks, ..Tree::new(self.root.clone()) };
    }

    #[cfg(test)]
    pub fn known_nodes(&self) -> usize {
        self.nodes.len()
    }

    fn changed_ns(&self, node: u64) -> u64 {
        self.nodes.get(&node).map_or(0, |node| node.changed_ns)
    }

    fn add(&mut self, place: (u64, &[u8]), child: u64, changed_ns: u64, sight: Sight) -> Rc<Link> {
        if sight.is_directory {
            self.kill_all_links(child);
        }
        let name: Rc<[u8]> = place.1.into();
        let link = Link::new(child, Place { parent: place.0, name: name.clone() }, changed_ns);
        self.children_of(place.0).insert(name, link.clone());
        let node = self.nodes.entry(child).or_default();
        node.changed_ns = node.changed_ns.max(changed_ns);
        let previous = node.current.replace(link.clone()).filter(|previous| previous.is_alive());
        node.others.extend(previous);
        self.looks += 1;
        link.set_looked_up(sight.tid, self.looks);
        link
    }

    /// A directory has one name: finding it elsewhere means that it was moved behind our back.
    fn kill_all_links(&mut self, node: u64) {
        let Some(node) = self.nodes.get(&node) else { return };
        let living: Vec<_> = node.others.iter().chain(&node.current).filter(|link| link.is_alive()).cloned().collect();
        let holds_names = node.children.as_ref().is_some_and(|children| !children.is_empty());
        living.iter().for_each(|link| self.kill(link, 0));
        if holds_names {
            self.moves += 1;
        }
    }

    fn look(&mut self, link: &Rc<Link>, tid: u32) {
        self.looks += 1;
        link.set_looked_up(tid, self.looks);
        let Some(node) = self.nodes.get_mut(&link.child) else { return };
        if let Some(place) = node.others.iter().position(|other| Rc::ptr_eq(other, link)) {
            node.others.swap_remove(place);
            let previous = node.current.replace(link.clone());
            node.others.extend(previous);
        }
    }

    /// The name is no more; handles opened by it keep its last path.
    fn kill(&mut self, link: &Rc<Link>, finished_ns: u64) {
        self.path(link);
        self.unlist(link);
        link.die();
        let Some(node) = self.nodes.get_mut(&link.child) else { return };
        node.changed_ns = node.changed_ns.max(finished_ns);
        node.others.retain(|other| !Rc::ptr_eq(other, link));
        if node.current.as_ref().is_some_and(|current| Rc::ptr_eq(current, link)) && !node.others.is_empty() {
            node.current = node.others.pop();
        }
    }

    fn move_link(&mut self, link: &Rc<Link>, to: (u64, &[u8]), finished_ns: u64) {
        self.unlist(link);
        let place = Place { parent: to.0, name: to.1.into() };
        self.children_of(to.0).insert(place.name.clone(), link.clone());
        link.move_to(place);
        link.set_changed(finished_ns);
        let Some(node) = self.nodes.get_mut(&link.child) else { return };
        node.changed_ns = node.changed_ns.max(finished_ns);
        if node.children.as_ref().is_some_and(|children| !children.is_empty()) {
            self.moves += 1;
        }
    }

    fn children_of(&mut self, parent: u64) -> &mut Children {
        self.nodes.entry(parent).or_default().children.get_or_insert_default()
    }

    /// Takes the link out of its directory, unless another has taken its place there.
    fn unlist(&mut self, link: &Rc<Link>) {
        let Place { parent, name } = link.place();
        let Some(children) = self.nodes.get_mut(&parent).and_then(|node| node.children.as_mut()) else { return };
        if children.get(&name).is_some_and(|listed| Rc::ptr_eq(listed, link)) {
            children.remove(&name);
        }
    }

    fn erase(&mut self, node: u64) {
        let children = self.nodes.get_mut(&node).and_then(|node| node.children.take());
        // The kernel forgets a directory after what is in it; the two messages may have overtaken each other.
        for link in children.into_iter().flat_map(|children| children.into_values()) {
            self.kill(&link, 0);
        }
        let Some(erased) = self.nodes.remove(&node) else { return };
        for link in erased.others.iter().chain(&erased.current) {
            self.unlist(link);
            link.die();
        }
    }
}
