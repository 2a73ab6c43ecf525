//! Which file each open handle stands for: what a call that only names a descriptor is about.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::record::{Record, present};
use crate::event::{FileType, Op};

#[derive(Clone, Copy, Debug)]
pub struct File {
    pub ino: u64,
    pub dev: u32,
    pub file_type: Option<FileType>,
}

/// A handle that has been released, and the last path it had: the call that closed it may be reported after that.
#[derive(Clone)]
pub struct Released {
    file: File,
    pub path: Option<Arc<str>>,
}

type Key = (u8, u64);

/// By connection and handle.
#[derive(Default)]
pub struct OpenFiles {
    open: FxHashMap<Key, File>,
    released: FxHashMap<Key, Released>,
    released_before: FxHashMap<Key, Released>,
}

impl OpenFiles {
    /// `path`: the record's own.
    pub fn follow(&mut self, record: &Record, path: &Option<Arc<str>>) {
        let key = (record.connection, record.fh);
        match record.op {
            Op::Open | Op::Create | Op::Tmpfile | Op::Opendir if record.errno == 0 && record.has(present::FH) => {
                let Record { ino, dev, file_type, .. } = *record;
                self.open.insert(key, File { ino, dev, file_type });
            }
            Op::Release | Op::Releasedir => {
                if let Some(file) = self.open.remove(&key) {
                    self.released.insert(key, Released { file, path: path.clone() });
                }
            }
            _ => {}
        }
    }

    pub fn find(&self, connection: u8, handle: u64) -> Option<File> {
        let key = (connection, handle);
        self.open.get(&key).copied().or_else(|| self.released(connection, handle).map(|released| released.file))
    }

    pub fn released(&self, connection: u8, handle: u64) -> Option<&Released> {
        let key = (connection, handle);
        self.released.get(&key).or_else(|| self.released_before.get(&key))
    }

    /// To be called at each look into the rings: what was released before the last one is not reported on any more.
    pub fn age(&mut self) {
        self.released_before = std::mem::take(&mut self.released);
    }
}
