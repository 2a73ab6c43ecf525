//! Messages to the kernel that no request asked for.
//! Never sent by a thread that serves a request: the kernel may need the directory's lock, which that request's caller holds.

use zerocopy::{Immutable, IntoBytes};

use super::device::{Device, OutHeader};
use super::{Errno, Node};

pub trait Notify: Send + Sync {
    /// Asks the kernel to forget nodes that nobody uses (since Linux 6.18; EINVAL or ENOSYS before). Used ones stay.
    fn prune(&self, nodes: &[Node]) -> Result<(), Errno>;

    /// Drops a name from the kernel's cache, and with it what hangs below. ENOENT: the kernel did not know it.
    fn invalidate_entry(&self, parent: Node, name: &[u8]) -> Result<(), Errno>;
}

const INVAL_ENTRY: i32 = 3;
const PRUNE: i32 = 9;

/// Nodes in one prune message; the kernel itself takes them in batches of this size.
const PRUNE_BATCH: usize = 512;

#[derive(Clone, Copy, IntoBytes, Immutable)]
#[repr(C)]
struct InvalEntryOut {
    parent: u64,
    namelen: u32,
    flags: u32,
}

#[derive(Clone, Copy, IntoBytes, Immutable)]
#[repr(C)]
struct PruneOut {
    count: u32,
    padding: u32,
    spare: u64,
}

const _: () = assert!(size_of::<InvalEntryOut>() == 16 && size_of::<PruneOut>() == 16);

impl Notify for Device {
    fn prune(&self, nodes: &[Node]) -> Result<(), Errno> {
        #[cfg(feature = "failpoints")]
        super::failpoint::prune()?;
        for batch in nodes.chunks(PRUNE_BATCH) {
            let ids: Vec<u64> = batch.iter().map(|node| node.0).collect();
            let prune = PruneOut { count: ids.len() as u32, padding: 0, spare: 0 };
            self.notify(PRUNE, &[prune.as_bytes(), ids.as_bytes()])?;
        }
        Ok(())
    }

    fn invalidate_entry(&self, parent: Node, name: &[u8]) -> Result<(), Errno> {
        let entry = InvalEntryOut { parent: parent.0, namelen: name.len() as u32, flags: 0 };
        self.notify(INVAL_ENTRY, &[entry.as_bytes(), name, &[0]])
    }
}

impl Device {
    fn notify(&self, code: i32, parts: &[&[u8]]) -> Result<(), Errno> {
        let payload: usize = parts.iter().map(|part| part.len()).sum();
        let header = OutHeader { len: (size_of::<OutHeader>() + payload) as u32, error: code, unique: 0 };
        self.send(header, parts).map_err(|failure| Errno(failure.raw_os_error().unwrap_or(libc::EIO)))
    }
}
