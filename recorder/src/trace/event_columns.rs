//! A segment's events as Arrow batches, in order of start.

use std::sync::Arc;

use arrow_array::builder::NullBufferBuilder;
use arrow_array::types::{ArrowPrimitiveType, Int32Type, Int64Type, UInt64Type};
use arrow_array::{ArrayRef, DictionaryArray, PrimitiveArray, RecordBatch, StringArray};
use arrow_schema::{DataType, SchemaRef};
use parquet::errors::ParquetError;

use super::columns::{Table, schema};
use super::encode::BATCH_ROWS;
use super::segment::{File, Row, Segment, Who, has};
use crate::event::{FileType, Kind, Op, Origin, Plane};

/// How the strings of events lie in memory on their way to the file.
fn text() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

pub(super) fn events_schema() -> SchemaRef {
    schema(Table::Events, &text())
}

/// The words of an enumeration, in order of its numbers.
fn words<T: Copy>(all: &[T], word: impl Fn(T) -> &'static str) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(all.iter().map(|one| word(*one))))
}

/// The dictionaries of a segment, made once and shared by its batches.
struct Dictionaries {
    ops: ArrayRef,
    kinds: ArrayRef,
    origins: ArrayRef,
    planes: ArrayRef,
    file_types: ArrayRef,
    paths: ArrayRef,
    path2s: ArrayRef,
    comms: ArrayRef,
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

impl Dictionaries {
    fn of(segment: &Segment) -> Dictionaries {
        fn names<'a>(names: impl Iterator<Item = &'a Option<Arc<str>>>) -> ArrayRef {
            Arc::new(StringArray::from_iter_values(names.map(|name| name.as_deref().unwrap_or(""))))
        }
        Dictionaries {
            ops: words(Op::ALL, Op::word),
            kinds: words(Kind::ALL, Kind::word),
            origins: words(&[Origin::Program, Origin::Kernel], Origin::word),
            planes: words(&[Plane::Daemon, Plane::Kernel], Plane::word),
            file_types: words(&FILE_TYPES, FileType::word),
            paths: names(segment.files().iter().map(|file| &file.path)),
            path2s: Arc::new(StringArray::from_iter_values(segment.path2s())),
            comms: names(segment.whos().iter().map(|who| &who.comm)),
        }
    }
}

/// All events of `segment` as batches of the schema `events_schema`.
pub(super) fn batches(segment: &Segment) -> impl Iterator<Item = Result<RecordBatch, ParquetError>> {
    let (schema, dictionaries, order) = (events_schema(), Dictionaries::of(segment), segment.by_start());
    let count = order.len().div_ceil(BATCH_ROWS);
    (0..count).map(move |batch| {
        let end = order.len().min((batch + 1) * BATCH_ROWS);
        let part = Part { segment, dictionaries: &dictionaries, order: &order[batch * BATCH_ROWS..end] };
        Ok(RecordBatch::try_new(schema.clone(), part.columns())?)
    })
}

/// The rows of one batch.
struct Part<'a> {
    segment: &'a Segment,
    dictionaries: &'a Dictionaries,
    order: &'a [u32],
}

impl Part<'_> {
    /// In the order of the schema.
    fn columns(&self) -> Vec<ArrayRef> {
        let all = self.dictionaries;
        vec![
            self.who::<Int32Type>(|who| Some(i32::from(who.stream))),
            self.always::<Int64Type>(|row| row.seq as i64),
            self.always::<Int64Type>(|row| row.ts_ns),
            self.always::<Int64Type>(|row| row.duration_ns as i64),
            self.maybe::<Int64Type>(has::BACKING, |row| row.backing_ns as i64),
            self.always::<Int32Type>(|row| row.requests as i32),
            self.words(&all.ops, |row| Some(row.op as i32)),
            self.words(&all.kinds, |row| Some(row.kind() as i32)),
            self.maybe::<Int32Type>(has::SYSCALL, |row| i32::from(row.syscall_nr)),
            self.words(&all.origins, |row| Some(row.origin() as i32)),
            self.words(&all.planes, |row| Some(row.plane() as i32)),
            self.words(&all.paths, |row| self.file_of(row).path.as_ref().map(|_| row.file as i32)),
            self.words(&all.path2s, |row| (row.has & has::PATH2 != 0).then_some(row.path2 as i32)),
            self.maybe::<Int64Type>(has::OFFSET, |row| row.offset as i64),
            self.maybe::<Int64Type>(has::SIZE, |row| row.size as i64),
            self.maybe::<Int64Type>(has::RESULT, |row| row.result),
            self.always::<Int32Type>(|row| i32::from(row.errno)),
            self.maybe::<Int64Type>(has::FLAGS, |row| i64::from(row.flags)),
            self.maybe::<Int32Type>(has::MODE, |row| row.mode as i32),
            self.file::<UInt64Type>(|file| file.ino),
            self.file::<UInt64Type>(|file| file.dev),
            self.maybe::<UInt64Type>(has::FH, |row| row.fh),
            self.words(&all.file_types, |row| self.file_of(row).file_type.map(|kind| kind as i32)),
            self.who::<Int32Type>(|who| who.pid.map(|pid| pid as i32)),
            self.who::<Int32Type>(|who| who.tid.map(|tid| tid as i32)),
            self.who::<Int64Type>(|who| who.uid.map(i64::from)),
            self.who::<Int64Type>(|who| who.gid.map(i64::from)),
            self.words(&all.comms, |row| self.who_of(row).comm.as_ref().map(|_| row.who as i32)),
        ]
    }

    fn rows(&self) -> impl ExactSizeIterator<Item = &Row> {
        let rows = self.segment.rows();
        self.order.iter().map(move |&at| &rows[at as usize])
    }

    fn file_of(&self, row: &Row) -> &File {
        &self.segment.files()[row.file as usize]
    }

    fn who_of(&self, row: &Row) -> &Who {
        &self.segment.whos()[row.who as usize]
    }

    fn always<T: ArrowPrimitiveType>(&self, value: impl Fn(&Row) -> T::Native) -> ArrayRef {
        Arc::new(PrimitiveArray::<T>::from_iter_values(self.rows().map(value)))
    }

    fn maybe<T: ArrowPrimitiveType>(&self, bit: u16, value: impl Fn(&Row) -> T::Native) -> ArrayRef {
        self.optional::<T>(|row| (row.has & bit != 0).then(|| value(row)))
    }

    fn file<T: ArrowPrimitiveType>(&self, value: impl Fn(&File) -> Option<T::Native>) -> ArrayRef {
        self.optional::<T>(|row| value(self.file_of(row)))
    }

    fn who<T: ArrowPrimitiveType>(&self, value: impl Fn(&Who) -> Option<T::Native>) -> ArrayRef {
        self.optional::<T>(|row| value(self.who_of(row)))
    }

    fn words(&self, dictionary: &ArrayRef, place: impl Fn(&Row) -> Option<i32>) -> ArrayRef {
        let places = self.primitive::<Int32Type>(place);
        Arc::new(DictionaryArray::new(places, dictionary.clone()))
    }

    fn optional<T: ArrowPrimitiveType>(&self, value: impl Fn(&Row) -> Option<T::Native>) -> ArrayRef {
        Arc::new(self.primitive::<T>(value))
    }

    fn primitive<T: ArrowPrimitiveType>(&self, value: impl Fn(&Row) -> Option<T::Native>) -> PrimitiveArray<T> {
        let mut missing = 0;
        let values: Vec<T::Native> = self
            .rows()
            .map(|row| {
                let value = value(row);
                missing += usize::from(value.is_none());
                value.unwrap_or_default()
            })
            .collect();
        // Mostly none is missing: asked again for each row only if one is.
        let mut nulls = NullBufferBuilder::new(values.len());
        if missing > 0 {
            self.rows().for_each(|row| nulls.append(value(row).is_some()));
        }
        PrimitiveArray::new(values.into(), nulls.finish())
    }
}
