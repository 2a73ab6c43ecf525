//! The schema as data: every column of every table, once. The written Parquet, the `schema` command and the docs follow it.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema};
use serde::Serialize;

/// Of the whole trace folder. A newer major is refused by readers, unknown columns are tolerated.
pub const SCHEMA_MAJOR: u32 = 1;
pub const SCHEMA_MINOR: u32 = 0;

/// A kind of segment; also the name of its folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Table {
    Events,
    Totals,
    Ledger,
    Processes,
}

impl Table {
    pub const ALL: [Table; 4] = [Table::Events, Table::Totals, Table::Ledger, Table::Processes];

    pub fn word(self) -> &'static str {
        match self {
            Table::Events => "events",
            Table::Totals => "totals",
            Table::Ledger => "ledger",
            Table::Processes => "processes",
        }
    }
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Type {
    Int32,
    Int64,
    UInt64,
    String,
    #[serde(rename = "list<int32>")]
    ListInt32,
    #[serde(rename = "list<int64>")]
    ListInt64,
}

/// One column of one table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Column {
    pub table: Table,
    pub name: &'static str,
    #[serde(rename = "type")]
    pub kind: Type,
    pub nullable: bool,
    pub description: &'static str,
}

macro_rules! columns {
    ($($table:ident { $($name:literal $kind:ident $null:ident $description:literal)* })*) => {
        const COLUMNS: &[Column] = &[$($(Column {
            table: Table::$table, name: $name, kind: Type::$kind, nullable: columns!(@ $null), description: $description,
        },)*)*];
    };
    (@ always) => { false };
    (@ maybe) => { true };
}

columns! {
    Events {
        "stream" Int32 always "Which producer's first-in-first-out queue it came through"
        "seq" Int64 always "Place in the stream, taken when it was queued; drops use up numbers"
        "ts_ns" Int64 always "Start: nanoseconds since 1970 UTC (monotonic clock plus an offset fixed at the start)"
        "duration_ns" Int64 always "From the request's arrival to its reply; kernel plane: the whole system call"
        "backing_ns" Int64 maybe "Time in the backing filesystem's call alone"
        "requests" Int32 always "FUSE requests it took"
        "op" String always "What was done, in strace's words; an open that made its file is create; a request that is no call keeps FUSE's"
        "kind" String always "call, request, io_uring or aio (libaio)"
        "syscall_nr" Int32 maybe "The exact system call (kernel plane), by its 64-bit number, also of a 32-bit program"
        "origin" String always "program, or kernel (page faults, writeback)"
        "plane" String always "daemon or kernel: which way of seeing it came from"
        "path" String maybe "Absolute path as the program could name it; escaped"
        "path2" String maybe "The other name of a rename, link or symlink; escaped"
        "offset" Int64 maybe "Where in the file, bytes"
        "size" Int64 maybe "Bytes asked for"
        "result" Int64 maybe "Bytes moved, an lseek's new offset, or 0"
        "errno" Int32 always "0 or the positive error number"
        "flags" Int64 maybe "The call's flags (O_* of an open, RENAME_* of a rename ...)"
        "mode" Int32 maybe "Mode bits of a create, mkdir, mknod or chmod"
        "ino" UInt64 maybe "Inode number in the backing filesystem"
        "dev" UInt64 maybe "Device number of the backing filesystem"
        "fh" UInt64 maybe "The open file's number, from open to release"
        "file_type" String maybe "file, directory, symlink, fifo, socket, char_device or block_device"
        "pid" Int32 maybe "Process id"
        "tid" Int32 maybe "Thread id"
        "uid" Int64 maybe "The caller's filesystem user id"
        "gid" Int64 maybe "The caller's filesystem group id"
        "comm" String maybe "The thread's name; escaped"
    }
    Totals {
        "second_ns" Int64 always "Start of the second that the calls started in"
        "op" String always "As in events"
        "errno" Int32 always "As in events"
        "kind" String always "As in events"
        "count" Int64 always "How many"
        "bytes" Int64 always "Bytes moved"
        "duration_ns" Int64 always "Sum of the durations"
        "backing_ns" Int64 always "Sum of the times in the backing calls, as far as known"
        "min_ns" Int64 always "Shortest duration"
        "max_ns" Int64 always "Longest duration"
        "bucket_index" ListInt32 always "Histogram buckets that are not empty, ascending; i covers (2^(i/8), 2^((i+1)/8)] ns"
        "bucket_count" ListInt64 always "How many in each of them"
    }
    Ledger {
        "second_ns" Int64 always "Start of the second that the calls started in"
        "stream" Int32 always "As in events"
        "seen" Int64 always "Observed: seen = stored + dropped"
        "stored" Int64 always "Written into an event segment"
        "dropped" Int64 always "Not written, for the reason given; still in totals"
        "removed" Int64 always "Stored, and later removed by the trace's size limit"
        "reason" String maybe "Why: queue full, trace disk full, trace disk error, low disk space, trace limit"
        "stage" String maybe "Where: queue, trace, retention"
    }
    Processes {
        "ts_ns" Int64 always "From when this holds"
        "pid" Int32 always "Process id"
        "tid" Int32 always "Thread id"
        "ppid" Int32 maybe "The parent's process id"
        "started_ns" Int64 maybe "When the process began"
        "comm" String always "The thread's name; escaped"
        "exe" String maybe "Path of the program; escaped"
        "cmdline" String maybe "Arguments joined by spaces, secrets masked as ***; escaped"
        "uid" Int64 maybe "User id"
        "exited_ns" Int64 maybe "When it ended (kernel plane), or was found gone, at most some seconds late; null: it lived when this was written"
    }
}

/// All columns of all tables, in the order of the files.
pub fn columns() -> &'static [Column] {
    COLUMNS
}

/// The Arrow schema of a table. `text` is how strings lie in memory (plain, dictionary, view): the file is the same.
pub(super) fn schema(table: Table, text: &DataType) -> Arc<Schema> {
    let of_table = COLUMNS.iter().filter(|column| column.table == table);
    Arc::new(Schema::new(of_table.map(|column| field(column, text)).collect::<Vec<_>>()))
}

fn field(column: &Column, text: &DataType) -> Field {
    let list = |of: DataType| DataType::List(Arc::new(Field::new("element", of, false)));
    let kind = match column.kind {
        Type::Int32 => DataType::Int32,
        Type::Int64 => DataType::Int64,
        Type::UInt64 => DataType::UInt64,
        Type::String => text.clone(),
        Type::ListInt32 => list(DataType::Int32),
        Type::ListInt64 => list(DataType::Int64),
    };
    Field::new(column.name, kind, column.nullable)
}
