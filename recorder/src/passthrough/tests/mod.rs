//! The filesystem asked directly, with hand-made requests on temporary directories. What it needs a kernel for (real mounts,
//! caches, maps) is tested through the mount elsewhere.

mod attributes;
mod creation;
mod data;
mod directories;
mod names;
mod nodes;
mod xattrs;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use super::{Options, Passthrough, Way, open_source};
use crate::collect::record::Facts;
use crate::wire::answers::EntryOut;
use crate::wire::{Answer, Errno, Handle, Node, Operation, Payload, ReplyBuffer, Request};

/// A source directory and the filesystem that serves it.
pub struct Served {
    directory: TempDir,
    pub fs: Passthrough,
    /// The nodes that were reported as gone.
    pub gone: Arc<Mutex<Vec<Node>>>,
}

/// What came back for one request.
pub struct Reply {
    pub answer: Answer,
    pub bytes: Vec<u8>,
    pub facts: Facts,
}

/// As whom, and on one thread: the identity it leaves behind is what the next request finds.
pub struct Asker<'a> {
    fs: &'a Passthrough,
    reply: ReplyBuffer,
    pub uid: u32,
    pub gid: u32,
}

/// Root's tests say so when they are skipped: they prove nothing without the means.
pub fn is_root() -> bool {
    // SAFETY: no arguments, cannot fail.
    let root = unsafe { libc::geteuid() } == 0;
    if !root {
        eprintln!("skipped: needs root (takes on other users' ids)");
    }
    root
}

impl Served {
    pub fn new() -> Served {
        Self::with(Options::default())
    }

    pub fn held(way: Way) -> Served {
        Self::with(Options { way: Some(way), ..Options::default() })
    }

    pub fn with(options: Options) -> Served {
        let directory = tempfile::tempdir().unwrap();
        // Others than root come here too.
        std::fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        let gone: Arc<Mutex<Vec<Node>>> = Arc::default();
        let told = gone.clone();
        let source = open_source(directory.path()).unwrap();
        let fs = Passthrough::new(source, options, Box::new(move |node| told.lock().unwrap().push(node))).unwrap();
        Served { directory, fs, gone }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn root(&self) -> &Path {
        self.directory.path()
    }

    /// One request as root (as ourselves), on a thread of its own.
    pub fn ask(&self, node: Node, operation: Operation<'_>) -> Reply {
        // SAFETY: no arguments, cannot fail.
        let (uid, gid) = unsafe { (libc::getuid(), libc::getgid()) };
        self.ask_as(uid, gid, node, operation)
    }

    pub fn ask_as(&self, uid: u32, gid: u32, node: Node, operation: Operation<'_>) -> Reply {
        self.on_one_thread(|asker| {
            (asker.uid, asker.gid) = (uid, gid);
            asker.ask(node, operation)
        })
    }

    /// Requests that one worker serves after each other.
    pub fn on_one_thread<T: Send>(&self, requests: impl FnOnce(&mut Asker<'_>) -> T + Send) -> T {
        let work = || requests(&mut Asker { fs: &self.fs, reply: ReplyBuffer::new(), uid: 0, gid: 0 });
        std::thread::scope(|scope| scope.spawn(work).join().unwrap())
    }

    pub fn lookup(&self, parent: Node, name: &str) -> Reply {
        self.ask(parent, Operation::Lookup { name: name.as_bytes() })
    }

    /// The node of a name that exists.
    pub fn node(&self, parent: Node, name: &str) -> Node {
        self.lookup(parent, name).node()
    }

    pub fn open(&self, node: Node, flags: i32) -> Handle {
        let reply = self.ask(node, Operation::Open { flags: flags as u32, kill_suid_sgid: false });
        assert!(reply.answer.is_ok(), "{:?}", reply.answer);
        reply.facts.opened.unwrap()
    }

    pub fn opendir(&self, node: Node) -> Handle {
        self.ask(node, Operation::Opendir { flags: 0 }).facts.opened.unwrap()
    }

    pub fn forget(&self, node: Node, lookups: u64) {
        self.ask(node, Operation::Forget { lookups });
    }
}

impl Asker<'_> {
    pub fn ask(&mut self, node: Node, operation: Operation<'_>) -> Reply {
        let (uid, gid) = (self.uid, self.gid);
        let request = Request { unique: 2, opcode: 0, node, uid, gid, tid: 0, arrived_ns: 0, operation };
        let mut facts = Facts::default();
        let answer = self.fs.serve(&request, &mut self.reply, &mut facts);
        let len = if let Ok(Payload::Bytes(len)) = answer { len } else { 0 };
        Reply { answer, bytes: self.reply.bytes()[..len].to_vec(), facts }
    }
}

impl Reply {
    pub fn errno(&self) -> i32 {
        match self.answer {
            Ok(_) => 0,
            Err(Errno(errno)) => errno,
        }
    }

    pub fn u64_at(&self, at: usize) -> u64 {
        u64::from_ne_bytes(self.bytes[at..at + 8].try_into().unwrap())
    }

    pub fn u32_at(&self, at: usize) -> u32 {
        u32::from_ne_bytes(self.bytes[at..at + 4].try_into().unwrap())
    }

    /// The node an entry answer names.
    pub fn node(&self) -> Node {
        assert!(self.answer.is_ok(), "{:?}", self.answer);
        let node = Node(self.u64_at(0));
        assert_eq!(self.facts.child, Some(node));
        node
    }

    /// The handle behind the entry, as create and tmpfile answer it.
    pub fn handle(&self) -> Handle {
        let handle = Handle(self.u64_at(size_of::<EntryOut>()));
        assert_eq!(self.facts.opened, Some(handle));
        handle
    }
}

/// An inode's mode, owner and group below.
pub fn owner(path: &Path) -> (u32, u32, u32) {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::symlink_metadata(path).unwrap();
    (metadata.mode() & 0o7777, metadata.uid(), metadata.gid())
}
