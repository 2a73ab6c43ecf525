//! The manifest: the append-only log that is the only list of segments a reader believes. Lines of one change are
//! appended in one write, so events, their totals and their ledger appear together. Also keeps what is live, in order.

use std::fs::File;
use std::io::{self, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::columns::Table;
use super::folder::Folder;

/// One segment, as the manifest names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    pub rows: u64,
    pub bytes: u64,
    /// Of the file's bytes, as zlib's.
    pub crc32: u32,
    /// (stream, first seq, last seq), inclusive; events only. A range may have holes.
    pub streams: Vec<(u16, u64, u64)>,
    /// First and last start.
    pub from_ns: i64,
    pub to_ns: i64,
}

impl Contents {
    /// Of a file of `bytes`; `times` are its first and last start.
    pub(super) fn of(bytes: &[u8], rows: u64, streams: Vec<(u16, u64, u64)>, times: (i64, i64)) -> Contents {
        let (from_ns, to_ns) = times;
        Contents { rows, bytes: bytes.len() as u64, crc32: crc32fast::hash(bytes), streams, from_ns, to_ns }
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Line {
    Merge {
        merge: String,
        from: Vec<String>,
        #[serde(flatten)]
        contents: Contents,
    },
    Add {
        add: String,
        #[serde(flatten)]
        contents: Contents,
    },
    Remove {
        remove: String,
        rows: u64,
        reason: String,
    },
}

/// A segment that the manifest names and nothing has replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Live {
    pub name: String,
    pub table: Table,
    pub contents: Contents,
    /// How often its rows have been merged.
    pub generation: u32,
}

pub(super) struct Manifest {
    book: Mutex<Book>,
    changed: Condvar,
}

struct Book {
    file: File,
    /// Bytes of whole lines.
    length: u64,
    /// There is more in the file than that.
    torn: bool,
    live: Vec<Live>,
    closing: bool,
}

impl Manifest {
    pub fn create(folder: &Folder) -> io::Result<Manifest> {
        let book = Book { file: folder.open_manifest()?, length: 0, torn: false, live: Vec::new(), closing: false };
        Ok(Manifest { book: Mutex::new(book), changed: Condvar::new() })
    }

    /// Names new segments.
    pub fn add(&self, segments: Vec<Live>) -> io::Result<()> {
        let lines: Vec<Line> = segments.iter().map(add_line).collect();
        let mut book = self.book();
        book.append(&lines)?;
        book.live.extend(segments);
        drop(book);
        self.changed.notify_all();
        Ok(())
    }

    /// Names `merged` in the place of `from`, which are neighbours.
    pub fn replace(&self, from: &[Live], merged: Live) -> io::Result<()> {
        let line = Line::Merge {
            merge: merged.name.clone(),
            from: from.iter().map(|live| live.name.clone()).collect(),
            contents: merged.contents.clone(),
        };
        let mut book = self.book();
        book.append(&[line])?;
        let place = book.live.iter().position(|live| from.contains(live));
        book.live.retain(|live| !from.contains(live));
        let end = book.live.len();
        book.live.insert(place.unwrap_or(end), merged);
        Ok(())
    }

    /// Says that a segment is gone, together with the segment that counts what went with it.
    pub fn remove(&self, gone: &Live, reason: &str, counted: Option<Live>) -> io::Result<()> {
        let removed = Line::Remove { remove: gone.name.clone(), rows: gone.contents.rows, reason: reason.to_owned() };
        let lines: Vec<Line> = std::iter::once(removed).chain(counted.as_ref().map(add_line)).collect();
        let mut book = self.book();
        book.append(&lines)?;
        book.live.retain(|live| live != gone);
        book.live.extend(counted);
        Ok(())
    }

    /// The live segments of one table, oldest first.
    pub fn live(&self, table: Table) -> Vec<Live> {
        self.book().live.iter().filter(|live| live.table == table).cloned().collect()
    }

    pub fn live_bytes(&self) -> u64 {
        self.book().live.iter().map(|live| live.contents.bytes).sum()
    }

    /// Waits until segments were added or `timeout` has passed; whether the trace is closing.
    pub fn wait_for_change(&self, timeout: Duration) -> bool {
        let book = self.book();
        if book.closing {
            return true;
        }
        self.changed.wait_timeout(book, timeout).unwrap_or_else(PoisonError::into_inner).0.closing
    }

    pub fn is_closing(&self) -> bool {
        self.book().closing
    }

    /// No more segments will be added.
    pub fn closing(&self) {
        self.book().closing = true;
        self.changed.notify_all();
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn add_line(live: &Live) -> Line {
    Line::Add { add: live.name.clone(), contents: live.contents.clone() }
}

impl Book {
    /// Appends all lines, or none: a line that a full disk has cut is taken back, or the next would be joined to it.
    fn append(&mut self, lines: &[Line]) -> io::Result<()> {
        let mut text = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut text, line)?;
            text.push(b'\n');
        }
        self.mend()?;
        let written = self.file.write_all(&text);
        match &written {
            Ok(()) => self.length += text.len() as u64,
            Err(_) => {
                self.torn = true;
                drop(self.mend());
            }
        }
        written
    }

    fn mend(&mut self) -> io::Result<()> {
        if self.torn {
            self.file.set_len(self.length)?;
            self.torn = false;
        }
        Ok(())
    }
}
