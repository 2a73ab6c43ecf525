//! A segment's events as the bytes of a Parquet file, in order of start: which of them each column holds and how.

use std::sync::Arc;

use arrow_schema::DataType;
use parquet::arrow::ArrowSchemaConverter;
use parquet::errors::ParquetError;
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::ColumnDescPtr;

use super::columns::{Table, schema};
use super::encode::{BATCH_ROWS, finished, properties};
use super::pages::{Pages, Press};
use super::segment::{File, Row, Segment, Who, has};
use super::values::{Desk, Differences, Part, Repeated, Shape, Shared, Value, Values};
use crate::event::{FileType, Kind, Op, Origin, Plane};

/// In the order of the schema.
fn columns() -> [Box<dyn Values>; 28] {
    [
        of_who(|who| Some(Value::Number(i64::from(who.stream)))),
        Differences::with_range(|row| row.seq as i64),
        Differences::with_range(|row| row.ts_ns),
        Differences::with_range(|row| row.duration_ns as i64),
        Differences::of(has::BACKING, |row| row.backing_ns as i64),
        Differences::of(ALWAYS, |row| i64::from(row.requests)),
        word(|row| row.op as usize, |op| Op::ALL.get(op).map(|op| op.word())),
        word(|row| row.kind() as usize, |kind| Kind::ALL.get(kind).map(|kind| kind.word())),
        Differences::of(has::SYSCALL, |row| i64::from(row.syscall_nr)),
        word(|row| row.origin() as usize, |origin| ORIGINS.get(origin).map(|origin| origin.word())),
        word(|row| row.plane() as usize, |plane| PLANES.get(plane).map(|plane| plane.word())),
        of_file(|file| file.path.as_deref().map(Value::Text)),
        Shared::of(
            |row| if row.has & has::PATH2 == 0 { 0 } else { row.path2 as usize + 1 },
            |segment, place| segment.path2s().get(place.checked_sub(1)?).map(|path2| Value::Text(path2)),
        ),
        Differences::of(has::OFFSET, |row| row.offset as i64),
        Repeated::of(has::SIZE, |row| row.size as i64),
        Repeated::of(has::RESULT, |row| row.result),
        Differences::of(ALWAYS, |row| i64::from(row.errno)),
        Repeated::of(has::FLAGS, |row| i64::from(row.flags)),
        Differences::of(has::MODE, |row| i64::from(row.mode as i32)),
        of_file(|file| file.ino.map(|ino| Value::Number(ino as i64))),
        of_file(|file| file.dev.map(|dev| Value::Number(dev as i64))),
        Repeated::of(has::FH, |row| row.fh as i64),
        of_file(|file| file.file_type.map(FileType::word).map(Value::Text)),
        of_who(|who| who.pid.map(|pid| Value::Number(i64::from(pid as i32)))),
        of_who(|who| who.tid.map(|tid| Value::Number(i64::from(tid as i32)))),
        of_who(|who| who.uid.map(|uid| Value::Number(i64::from(uid)))),
        of_who(|who| who.gid.map(|gid| Value::Number(i64::from(gid)))),
        of_who(|who| who.comm.as_deref().map(Value::Text)),
    ]
}

/// Of `has`: no bit, so that all rows have it.
const ALWAYS: u16 = 0;

const ORIGINS: [Origin; 2] = [Origin::Program, Origin::Kernel];
const PLANES: [Plane; 2] = [Plane::Daemon, Plane::Kernel];

fn word(place: fn(&Row) -> usize, word: fn(usize) -> Option<&'static str>) -> Box<dyn Values> {
    Shared::of(place, move |_, place| word(place).map(Value::Text))
}

fn of_file(value: fn(&File) -> Option<Value<'_>>) -> Box<dyn Values> {
    Shared::of(|row| row.file as usize, move |segment, place| segment.files().get(place).and_then(value))
}

fn of_who(value: fn(&Who) -> Option<Value<'_>>) -> Box<dyn Values> {
    Shared::of(|row| row.who as usize, move |segment, place| segment.whos().get(place).and_then(value))
}

/// A column and what of it is done.
struct Column {
    values: Box<dyn Values>,
    of: ColumnDescPtr,
    pages: Pages,
}

impl Column {
    fn add(&mut self, part: &Part, desk: &mut Desk, press: &mut Press) -> Result<(), ParquetError> {
        let shape = Shape { kind: self.of.physical_type(), optional: self.of.max_def_level() > 0 };
        let encoding = self.values.page(part, desk, shape);
        self.pages.add(press, part.len(), encoding, &desk.body)
    }

    fn join(
        self,
        row_group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
        press: &mut Press,
    ) -> Result<(), ParquetError> {
        let range = self.values.range();
        let statistics = range.map(|(least, most)| Statistics::int64(Some(least), Some(most), None, Some(0), false));
        self.pages.join(row_group, self.of, press, self.values.dictionary(), statistics)
    }
}

pub(super) fn encode_events(trace_id: &str, segment: &Segment) -> Result<Vec<u8>, ParquetError> {
    let parquet_schema = ArrowSchemaConverter::new().convert(&schema(Table::Events, &DataType::Utf8))?;
    let mut file = SerializedFileWriter::new(Vec::new(), parquet_schema.root_schema_ptr(), Arc::new(properties()))?;
    let column = |(values, of): (_, &ColumnDescPtr)| Column { values, of: of.clone(), pages: Pages::new() };
    let mut columns: Vec<Column> = columns().into_iter().zip(parquet_schema.columns()).map(column).collect();
    let (mut desk, mut press, order) = (Desk::default(), Press::new()?, segment.by_start());
    for order in order.chunks(BATCH_ROWS) {
        let part = Part::new(segment, order);
        columns.iter_mut().try_for_each(|column| column.add(&part, &mut desk, &mut press))?;
    }
    let mut row_group = file.next_row_group()?;
    columns.into_iter().try_for_each(|column| column.join(&mut row_group, &mut press))?;
    row_group.close()?;
    finished(file, trace_id)
}
