//! The table of inodes the kernel knows: node id <-> backing inode, with the kernel's lookup counts.
//! Node ids come from a counter and are never reused; a backing inode has one node at a time, whatever its names.
//! Knows no requests; how an inode is held it leaves to `held.rs`.

use std::collections::VecDeque;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use rustc_hash::FxHashMap;

use super::backing::Backing;
use super::held::{Descriptor, Held, Holder, lock};
use super::pressure::Pressure;
use super::sys::{self, Result};
use crate::event::FileType;
use crate::wire::{Errno, Node};

/// `order` is cleaned of forgotten nodes when it is this much longer than the table.
const ORDER_SLACK: usize = 1024;

/// What tells a living backing inode from all others. The mount is no part of it: names that lead into another mount
/// are refused, so all inodes lie on one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    pub dev: u64,
    pub ino: u64,
    pub file_type: FileType,
}

impl Identity {
    /// EIO for a file type that Linux does not have.
    pub fn of(attributes: &libc::statx) -> Result<Identity> {
        let file_type = FileType::from_mode(u32::from(attributes.stx_mode)).ok_or(Errno(libc::EIO))?;
        Ok(Identity { dev: sys::device(attributes), ino: attributes.stx_ino, file_type })
    }
}

/// One backing inode that the kernel knows by `node`.
pub struct Inode {
    pub node: Node,
    pub identity: Identity,
    held: Held,
    /// Raised under the table's lock (shared), lowered and compared with 0 under it (exclusive).
    lookups: AtomicU64,
    /// Used since the kernel was last asked to forget old nodes.
    touched: AtomicBool,
    /// Handles of it between open and release.
    opens: AtomicU32,
    /// What the kernel knows of it as a file to read and write itself.
    pub backing: Mutex<Backing>,
    /// A directory and a name in it that led here last: what an entry invalidation has to name.
    seen_as: Mutex<(Node, Box<[u8]>)>,
}

impl Inode {
    pub fn is_directory(&self) -> bool {
        self.identity.file_type == FileType::Directory
    }

    pub fn opened(&self) {
        self.opens.fetch_add(1, Ordering::Relaxed);
    }

    pub fn released(&self) {
        self.opens.fetch_sub(1, Ordering::Relaxed);
    }

    pub fn is_open(&self) -> bool {
        self.opens.load(Ordering::Relaxed) > 0
    }

    pub fn seen_as(&self) -> (Node, Box<[u8]>) {
        lock(&self.seen_as).clone()
    }

    /// It has moved there.
    pub fn is_now(&self, parent: Node, name: &[u8]) {
        *lock(&self.seen_as) = (parent, name.into());
    }
}

pub struct Inodes {
    pub holder: Holder,
    pub pressure: Pressure,
    table: RwLock<Table>,
    gone: Box<dyn Fn(Node) + Send + Sync>,
}

struct Table {
    by_node: FxHashMap<Node, Arc<Inode>>,
    /// Of two inodes with one number (the older is gone below, but the kernel still knows it) the newer.
    by_identity: FxHashMap<Identity, Arc<Inode>>,
    /// Nodes as they came, for finding old ones; forgotten ones linger until cleaned.
    order: VecDeque<Node>,
    next: u64,
}

impl Inodes {
    /// `gone` is told of each node that the kernel has forgotten for good.
    pub fn new(
        root: (Identity, Held),
        holder: Holder,
        pressure: Pressure,
        gone: Box<dyn Fn(Node) + Send + Sync>,
    ) -> Inodes {
        let (identity, held) = root;
        let root = Arc::new(Inode {
            node: Node::ROOT,
            identity,
            held,
            lookups: AtomicU64::new(1),
            touched: AtomicBool::new(true),
            opens: AtomicU32::new(0),
            backing: Mutex::default(),
            seen_as: Mutex::new((Node::ROOT, Box::default())),
        });
        let mut table = Table {
            by_node: FxHashMap::default(),
            by_identity: FxHashMap::default(),
            order: VecDeque::new(),
            next: Node::ROOT.0 + 1,
        };
        table.by_node.insert(Node::ROOT, root.clone());
        table.by_identity.insert(identity, root);
        Inodes { holder, pressure, table: RwLock::new(table), gone }
    }

    /// ESTALE for a node we do not know: the kernel then looks the name up again.
    pub fn get(&self, node: Node) -> Result<Arc<Inode>> {
        let inode = self.read().by_node.get(&node).cloned().ok_or(Errno(libc::ESTALE))?;
        inode.touched.store(true, Ordering::Relaxed);
        Ok(inode)
    }

    pub fn descriptor<'a>(&self, inode: &'a Inode) -> Result<Descriptor<'a>> {
        self.holder.descriptor(&inode.held)
    }

    pub fn open(&self, inode: &Inode, flags: libc::c_int) -> Result<std::os::fd::OwnedFd> {
        self.holder.open(&inode.held, flags)
    }

    pub fn pin(&self, inode: &Inode) -> Result<()> {
        self.holder.pin(&inode.held)
    }

    pub fn unpin(&self, inode: &Inode) {
        self.holder.unpin(&inode.held);
    }

    /// The inode of that identity, if the kernel knows it; no lookup is counted.
    pub fn find(&self, identity: Identity) -> Option<Arc<Inode>> {
        self.read().by_identity.get(&identity).cloned()
    }

    /// Counts a lookup of an inode that was seen under that identity after `tick`, if it is certain to be the one we hold.
    pub fn recognise(&self, identity: Identity, tick: u64) -> Option<Arc<Inode>> {
        let table = self.read();
        let inode = table.by_identity.get(&identity).filter(|inode| inode.held.held_since(tick))?;
        inode.lookups.fetch_add(1, Ordering::Relaxed);
        inode.touched.store(true, Ordering::Relaxed);
        Some(inode.clone())
    }

    /// Counts a lookup of the inode that `held` holds, which becomes known if it was not.
    pub fn remember(&self, identity: Identity, held: Held, seen_as: (Node, &[u8])) -> Arc<Inode> {
        let mut table = self.write();
        if let Some(inode) = table.by_identity.get(&identity).filter(|inode| inode.held.is_same(&held)) {
            inode.lookups.fetch_add(1, Ordering::Relaxed);
            inode.touched.store(true, Ordering::Relaxed);
            return inode.clone();
        }
        let inode = table.add(identity, held, seen_as);
        let known = table.by_node.len();
        drop(table);
        self.pressure.grown_to(known);
        inode
    }

    /// Counts a lookup of an inode that a request names by its node.
    pub fn count_lookup(&self, inode: &Inode) {
        let _table = self.read();
        inode.lookups.fetch_add(1, Ordering::Relaxed);
    }

    /// Gives an inode the descriptor that a lookup has left over.
    pub fn keep(&self, inode: &Inode, spare: Option<std::os::fd::OwnedFd>) {
        self.holder.keep(&inode.held, spare);
    }

    /// Takes `lookups` back; the inode goes when none are left.
    pub fn forget(&self, node: Node, lookups: u64) {
        let mut table = self.write();
        let erased = table.forget(node, lookups);
        let known = table.by_node.len();
        drop(table);
        // Outside the lock: the last reference closes a descriptor.
        if erased.is_some() {
            drop(erased);
            (self.gone)(node);
            self.pressure.fallen_to(known);
        }
    }

    pub fn known(&self) -> usize {
        self.read().by_node.len()
    }

    /// Waits for room for one more node; ENFILE if the kernel frees none in time.
    pub fn admit(&self) -> Result<()> {
        self.pressure.admit(|| self.known())
    }

    /// What `pick` tells of up to `count` nodes that came long ago, will do (Some), and were not used since they were
    /// last considered. Not the inodes themselves: holding those would keep open what is to be closed.
    pub fn least_used<T>(&self, count: usize, pick: impl Fn(&Inode) -> Option<T>) -> Vec<T> {
        let mut table = self.write();
        let mut chosen = Vec::with_capacity(count);
        for _ in 0..table.order.len() {
            if chosen.len() == count {
                break;
            }
            let Some(node) = table.order.pop_front() else { break };
            let Some(inode) = table.by_node.get(&node) else { continue };
            if let Some(told) = pick(inode)
                && !inode.touched.swap(false, Ordering::Relaxed)
            {
                chosen.push(told);
            }
            table.order.push_back(node);
        }
        chosen
    }

    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn add(&mut self, identity: Identity, held: Held, (parent, name): (Node, &[u8])) -> Arc<Inode> {
        let node = Node(self.next);
        self.next += 1;
        let inode = Arc::new(Inode {
            node,
            identity,
            held,
            lookups: AtomicU64::new(1),
            touched: AtomicBool::new(true),
            opens: AtomicU32::new(0),
            backing: Mutex::default(),
            seen_as: Mutex::new((parent, name.into())),
        });
        self.by_node.insert(node, inode.clone());
        self.by_identity.insert(identity, inode.clone());
        if self.order.len() > 2 * self.by_node.len() + ORDER_SLACK {
            self.order.retain(|node| self.by_node.contains_key(node));
        }
        self.order.push_back(node);
        inode
    }

    /// Returns the inode if this was its last lookup. More than were counted is the kernel's mistake: taken as all.
    fn forget(&mut self, node: Node, lookups: u64) -> Option<Arc<Inode>> {
        let inode = self.by_node.get_mut(&node).filter(|_| node != Node::ROOT)?;
        let left = inode.lookups.load(Ordering::Relaxed).saturating_sub(lookups);
        inode.lookups.store(left, Ordering::Relaxed);
        if left > 0 {
            return None;
        }
        let inode = self.by_node.remove(&node)?;
        if let Entry::Occupied(entry) = self.by_identity.entry(inode.identity)
            && entry.get().node == node
        {
            entry.remove();
        }
        Some(inode)
    }
}
