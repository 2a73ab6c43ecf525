//! Which files may change through a map: the program notes each shared map before it is made, in memory that both map. Files
//! share bits, so a file may be taken for one that has a map; never the other way round.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::ring::Mapping;
use crate::passthrough::SharedMaps;
use crate::wire::Node;

/// MAPPED_BITS in the program, and how `note_map` there finds a bit.
const BITS: u64 = 1 << 16;
const CONNECTION_SHIFT: u32 = 11;

/// Of one connection.
#[derive(Clone)]
pub struct Maps {
    words: Arc<Mapping>,
    connection: u8,
}

impl Maps {
    pub(super) fn new(map: impl AsFd) -> io::Result<Maps> {
        Ok(Maps { words: Arc::new(Mapping::new(map.as_fd(), BITS as usize / 8, libc::PROT_READ)?), connection: 0 })
    }

    pub(super) fn of(&self, connection: u8) -> Maps {
        Maps { words: self.words.clone(), connection }
    }
}

impl SharedMaps for Maps {
    fn may_have(&self, Node(node): Node) -> bool {
        let bit = node.wrapping_add(u64::from(self.connection) << CONNECTION_SHIFT) % BITS;
        // SAFETY: below the mapping's end, aligned; the kernel sets bits of it by atomic operations.
        let word = unsafe { AtomicU64::from_ptr(self.words.start().cast::<u64>().add(bit as usize / 64)) };
        word.load(Ordering::Acquire) & 1 << (bit % 64) != 0
    }
}
