//! A reader of traces as docs/trace-format.md describes it: follows the manifest by its offset and the highest seq of
//! each stream. Lists no folder.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type, UInt64Type};
use arrow_array::{Array, RecordBatch};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::event::{Event, FileType, Kind, Op, Origin, Plane};
use crate::trace::count_columns::{read_ledger, read_totals};
use crate::trace::manifest::Line;
use crate::trace::{Ledger, Totals};

/// Batches of one segment; None: it is not there (any more).
pub fn batches(path: &Path) -> Option<Vec<RecordBatch>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(cause) if cause.kind() == ErrorKind::NotFound => return None,
        Err(cause) => panic!("{path:?}: {cause}"),
    };
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet").build().expect("a reader");
    Some(reader.map(|batch| batch.expect("a whole segment")).collect())
}

/// The whole lines of the manifest from `offset`, which moves behind them.
pub fn lines(folder: &Path, offset: &mut u64) -> Vec<Line> {
    let mut file = File::open(folder.join("manifest")).expect("a manifest");
    let mut text = String::new();
    file.seek(SeekFrom::Start(*offset)).expect("seek");
    file.read_to_string(&mut text).expect("text");
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    *offset += whole as u64;
    text[..whole].lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
}

/// Names of the segments of `table` that are live after `lines`.
pub fn live(lines: &[Line], table: &str) -> Vec<String> {
    let mut live: Vec<String> = Vec::new();
    for line in lines {
        match line {
            Line::Add { add, .. } => live.push(add.clone()),
            Line::Merge { merge, from, .. } => {
                live.retain(|name| !from.contains(name));
                live.push(merge.clone());
            }
            Line::Remove { remove, .. } => live.retain(|name| name != remove),
        }
    }
    live.retain(|name| name.starts_with(table));
    live
}

/// What a trace holds, as its manifest says.
pub struct Contents {
    pub lines: Vec<Line>,
    /// By stream and seq.
    pub events: Vec<Event>,
    pub totals: Totals,
    pub ledger: Ledger,
    pub processes: Vec<RecordBatch>,
}

pub fn read(folder: &Path) -> Contents {
    let lines = lines(folder, &mut 0);
    contents(folder, lines)
}

pub fn contents(folder: &Path, lines: Vec<Line>) -> Contents {
    let of = |table: &str| -> Vec<RecordBatch> {
        let names = live(&lines, table);
        names.iter().flat_map(|name| batches(&folder.join(name)).expect("a live segment")).collect()
    };
    let mut events: Vec<Event> = of("events").iter().flat_map(events_of).collect();
    events.sort_by_key(|event| (event.stream, event.seq));
    let (mut totals, mut ledger) = (Totals::default(), Ledger::default());
    of("totals").iter().for_each(|batch| read_totals(batch, &mut totals).expect("totals"));
    of("ledger").iter().for_each(|batch| read_ledger(batch, &mut ledger).expect("ledger"));
    let processes = of("processes");
    Contents { lines, events, totals, ledger, processes }
}

/// Follows a trace while it is written.
pub struct Follower {
    folder: PathBuf,
    offset: u64,
    highest: BTreeMap<u16, u64>,
}

impl Follower {
    pub fn new(folder: &Path) -> Follower {
        Follower { folder: folder.to_owned(), offset: 0, highest: BTreeMap::new() }
    }

    /// (stream, seq) of the events that are new.
    pub fn poll(&mut self) -> Vec<(u16, u64)> {
        let mut new = Vec::new();
        for line in lines(&self.folder, &mut self.offset) {
            if let Line::Add { add: name, .. } | Line::Merge { merge: name, .. } = line
                && name.starts_with("events")
            {
                new.extend(self.take(&name));
            }
        }
        new
    }

    fn take(&mut self, name: &str) -> Vec<(u16, u64)> {
        let mut events = self.events_of(name);
        events.retain(|(stream, seq)| self.highest.get(stream).is_none_or(|highest| seq > highest));
        for (stream, seq) in &events {
            let highest = self.highest.entry(*stream).or_insert(*seq);
            *highest = (*highest).max(*seq);
        }
        events
    }

    /// Of the segment, or of the one it has been merged into: whoever finds a file gone reads the manifest again.
    fn events_of(&self, name: &str) -> Vec<(u16, u64)> {
        let key = |event: &Event| (event.stream, event.seq);
        match batches(&self.folder.join(name)) {
            Some(batches) => batches.iter().flat_map(events_of).map(|event| key(&event)).collect(),
            None => self.events_of(&self.merged_into(name)),
        }
    }

    fn merged_into(&self, name: &str) -> String {
        let mut lines = lines(&self.folder, &mut 0).into_iter();
        let merged = lines.find_map(|line| match line {
            Line::Merge { merge, from, .. } if from.iter().any(|from| from == name) => Some(merge),
            _ => None,
        });
        merged.unwrap_or_else(|| panic!("{name} is gone and was not merged"))
    }
}

fn word_of<T: Copy>(all: &[T], word: impl Fn(T) -> &'static str, written: &str) -> T {
    *all.iter().find(|known| word(**known) == written).unwrap_or_else(|| panic!("unknown word {written}"))
}

/// One column's values.
struct Columns<'a>(&'a RecordBatch);

impl Columns<'_> {
    fn column(&self, name: &str) -> &dyn Array {
        self.0.column_by_name(name).unwrap_or_else(|| panic!("no column {name}"))
    }

    fn int(&self, name: &str, row: usize) -> Option<i32> {
        let column = self.column(name).as_primitive::<Int32Type>();
        column.is_valid(row).then(|| column.value(row))
    }

    fn long(&self, name: &str, row: usize) -> Option<i64> {
        let column = self.column(name).as_primitive::<Int64Type>();
        column.is_valid(row).then(|| column.value(row))
    }

    fn unsigned(&self, name: &str, row: usize) -> Option<u64> {
        let column = self.column(name).as_primitive::<UInt64Type>();
        column.is_valid(row).then(|| column.value(row))
    }

    fn text(&self, name: &str, row: usize) -> Option<&str> {
        let column = self.column(name).as_string::<i32>();
        column.is_valid(row).then(|| column.value(row))
    }

    fn name(&self, name: &str, row: usize) -> Option<Arc<str>> {
        self.text(name, row).map(Arc::from)
    }
}

const FILE_TYPES: [FileType; 7] = [
    FileType::Regular,
    FileType::Directory,
    FileType::Symlink,
    FileType::Fifo,
    FileType::Socket,
    FileType::CharDevice,
    FileType::BlockDevice,
];

pub fn events_of(batch: &RecordBatch) -> Vec<Event> {
    let columns = Columns(batch);
    (0..batch.num_rows()).map(|row| event_of(&columns, row)).collect()
}

fn event_of(columns: &Columns<'_>, row: usize) -> Event {
    let must = "not null";
    let int = |name| columns.int(name, row);
    let long = |name| columns.long(name, row);
    let unsigned = |name| columns.unsigned(name, row);
    let text = |name| columns.text(name, row);
    Event {
        stream: int("stream").expect(must) as u16,
        seq: long("seq").expect(must) as u64,
        ts_ns: long("ts_ns").expect(must),
        duration_ns: long("duration_ns").expect(must) as u64,
        backing_ns: long("backing_ns").map(|ns| ns as u64),
        requests: int("requests").expect(must) as u32,
        op: word_of(Op::ALL, Op::word, text("op").expect(must)),
        kind: word_of(Kind::ALL, Kind::word, text("kind").expect(must)),
        syscall_nr: int("syscall_nr").map(|nr| nr as u16),
        origin: word_of(&[Origin::Program, Origin::Kernel], Origin::word, text("origin").expect(must)),
        plane: word_of(&[Plane::Daemon, Plane::Kernel], Plane::word, text("plane").expect(must)),
        path: columns.name("path", row),
        path2: columns.name("path2", row),
        offset: long("offset").map(|offset| offset as u64),
        size: long("size").map(|size| size as u64),
        result: long("result"),
        errno: int("errno").expect(must) as u16,
        flags: long("flags").map(|flags| flags as u32),
        mode: int("mode").map(|mode| mode as u32),
        ino: unsigned("ino"),
        dev: unsigned("dev"),
        fh: unsigned("fh"),
        file_type: text("file_type").map(|word| word_of(&FILE_TYPES, FileType::word, word)),
        pid: int("pid").map(|pid| pid as u32),
        tid: int("tid").map(|tid| tid as u32),
        uid: long("uid").map(|uid| uid as u32),
        gid: long("gid").map(|gid| gid as u32),
        comm: columns.name("comm", row),
    }
}
