//! Records for tests, as a worker would leave them.

use super::record::{Names, Record, present};
use crate::event::{FileType, Op, Origin};

/// A record as a worker would leave it, one microsecond after `start_ns`.
pub fn record(op: Op, node: u64) -> Record {
    Record {
        seq: 0,
        start_ns: 0,
        duration_ns: 1000,
        backing_ns: 0,
        node,
        fh: 0,
        offset: 0,
        size: 0,
        result: 0,
        ino: 0,
        names: None,
        dev: 0,
        flags: 0,
        mode: 0,
        uid: 0,
        gid: 0,
        tid: 7,
        task: 0,
        errno: 0,
        op,
        file_type: None,
        origin: Origin::Program,
        present: 0,
        connection: 0,
        unique: 0,
    }
}

pub fn named(op: Op, parent: u64, name: &str, child: Option<u64>) -> Record {
    let names = Names { name: name.as_bytes().into(), child, ..Names::default() };
    Record { names: Some(Box::new(names)), ..record(op, parent) }
}

pub fn rename(from: (u64, &str), to: (u64, &str), exchange: bool) -> Record {
    let names = Names {
        name: from.1.as_bytes().into(),
        child: None,
        new_parent: Some(to.0),
        new_name: Some(to.1.as_bytes().into()),
        exchange,
    };
    Record { names: Some(Box::new(names)), ..record(Op::Rename, from.0) }
}

pub fn by_handle(op: Op, node: u64, fh: u64) -> Record {
    Record { fh, present: present::FH, ..record(op, node) }
}

pub fn as_directory(record: Record) -> Record {
    Record { file_type: Some(FileType::Directory), ..record }
}

pub fn failed(record: Record, errno: i32) -> Record {
    Record { errno: errno as u16, ..record }
}
