//! Totals, ledger and processes as Arrow batches, and totals and ledger back from them for merging.

use std::sync::Arc;

use arrow_array::builder::{Int32Builder, Int64Builder, ListBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{ArrowError, DataType, Field, SchemaRef};

use super::columns::{Table, schema};
use super::ledger::{Counts, Entry, Ledger, Reason, Stage};
use super::processes::ProcessRow;
use super::totals::{Key, Sums, Totals};
use crate::event::{Kind, Op};

pub(super) fn plain_schema(table: Table) -> SchemaRef {
    schema(table, &DataType::Utf8)
}

fn longs<T>(rows: &[T], value: impl Fn(&T) -> i64) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(rows.iter().map(value)))
}

/// Counts are unsigned in memory and signed on disk, where no reader meets an unsigned sum.
fn counts<T>(rows: &[T], value: impl Fn(&T) -> u64) -> ArrayRef {
    longs(rows, |row| i64::try_from(value(row)).unwrap_or(i64::MAX))
}

fn maybe_longs<T>(rows: &[T], value: impl Fn(&T) -> Option<i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter(rows.iter().map(value)))
}

fn ints<T>(rows: &[T], value: impl Fn(&T) -> i32) -> ArrayRef {
    Arc::new(Int32Array::from_iter_values(rows.iter().map(value)))
}

fn words<T>(rows: &[T], value: impl Fn(&T) -> &str) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(rows.iter().map(value)))
}

fn maybe_words<T>(rows: &[T], value: impl Fn(&T) -> Option<&str>) -> ArrayRef {
    Arc::new(StringArray::from_iter(rows.iter().map(value)))
}

/// In order of second, op, errno, kind.
pub(super) fn totals_batch(totals: &Totals) -> Result<RecordBatch, ArrowError> {
    let mut rows: Vec<&(Key, Sums)> = totals.rows().iter().collect();
    rows.sort_by_key(|(key, _)| (key.second_ns, key.op, key.errno, key.kind as u8));
    let (index, count) = histograms(&rows);
    let columns = vec![
        longs(&rows, |(key, _)| key.second_ns),
        words(&rows, |(key, _)| key.op.word()),
        ints(&rows, |(key, _)| i32::from(key.errno)),
        words(&rows, |(key, _)| key.kind.word()),
        counts(&rows, |(_, sums)| sums.count),
        counts(&rows, |(_, sums)| sums.bytes),
        counts(&rows, |(_, sums)| sums.duration_ns),
        counts(&rows, |(_, sums)| sums.backing_ns),
        counts(&rows, |(_, sums)| sums.min_ns),
        counts(&rows, |(_, sums)| sums.max_ns),
        index,
        count,
    ];
    RecordBatch::try_new(plain_schema(Table::Totals), columns)
}

fn histograms(rows: &[&(Key, Sums)]) -> (ArrayRef, ArrayRef) {
    let element = |kind| Arc::new(Field::new("element", kind, false));
    let mut index = ListBuilder::new(Int32Builder::new()).with_field(element(DataType::Int32));
    let mut count = ListBuilder::new(Int64Builder::new()).with_field(element(DataType::Int64));
    for (_, sums) in rows {
        for (bucket, calls) in sums.histogram.filled() {
            index.values().append_value(bucket);
            count.values().append_value(i64::try_from(calls).unwrap_or(i64::MAX));
        }
        index.append(true);
        count.append(true);
    }
    (Arc::new(index.finish()), Arc::new(count.finish()))
}

pub(super) fn ledger_batch(ledger: &Ledger) -> Result<RecordBatch, ArrowError> {
    let rows = ledger.rows();
    let columns = vec![
        longs(&rows, |(entry, _)| entry.second_ns),
        ints(&rows, |(entry, _)| i32::from(entry.stream)),
        counts(&rows, |(_, counts)| counts.seen),
        counts(&rows, |(_, counts)| counts.stored),
        counts(&rows, |(_, counts)| counts.dropped),
        counts(&rows, |(_, counts)| counts.removed),
        maybe_words(&rows, |(entry, _)| entry.loss.map(|(reason, _)| reason.word())),
        maybe_words(&rows, |(entry, _)| entry.loss.map(|(_, stage)| stage.word())),
    ];
    RecordBatch::try_new(plain_schema(Table::Ledger), columns)
}

pub(super) fn processes_batch(rows: &[ProcessRow]) -> Result<RecordBatch, ArrowError> {
    let columns = vec![
        longs(rows, |row| row.ts_ns),
        ints(rows, |row| row.pid as i32),
        ints(rows, |row| row.tid as i32),
        Arc::new(Int32Array::from_iter(rows.iter().map(|row| row.ppid.map(|ppid| ppid as i32)))),
        maybe_longs(rows, |row| row.started_ns),
        words(rows, |row| &row.comm),
        maybe_words(rows, |row| row.exe.as_deref()),
        maybe_words(rows, |row| row.cmdline.as_deref()),
        maybe_longs(rows, |row| row.uid.map(i64::from)),
        maybe_longs(rows, |row| row.exited_ns),
    ];
    RecordBatch::try_new(plain_schema(Table::Processes), columns)
}

/// A batch's column as the type it has in our schema; a file that says otherwise is damaged.
fn column<'a, A: Array + 'static>(batch: &'a RecordBatch, name: &str) -> Result<&'a A, ArrowError> {
    let found = batch.column_by_name(name).and_then(|column| column.as_any().downcast_ref());
    found.ok_or_else(|| ArrowError::SchemaError(format!("no column {name} of the expected type")))
}

fn damaged(what: &str) -> ArrowError {
    ArrowError::ParseError(format!("a segment of this trace holds {what}"))
}

/// Adds the rows of a totals batch to `into`.
pub(super) fn read_totals(batch: &RecordBatch, into: &mut Totals) -> Result<(), ArrowError> {
    let long = |name| column::<Int64Array>(batch, name);
    let (second, count, bytes) = (long("second_ns")?, long("count")?, long("bytes")?);
    let (duration, backing) = (long("duration_ns")?, long("backing_ns")?);
    let (min, max) = (long("min_ns")?, long("max_ns")?);
    let (op, kind) = (column::<StringArray>(batch, "op")?, column::<StringArray>(batch, "kind")?);
    let errno = column::<Int32Array>(batch, "errno")?;
    let lists = |name| batch.column_by_name(name).and_then(|column| column.as_list_opt::<i32>());
    let (Some(index), Some(in_bucket)) = (lists("bucket_index"), lists("bucket_count")) else {
        return Err(damaged("no histograms"));
    };
    for row in 0..batch.num_rows() {
        let mut sums = Sums {
            count: count.value(row) as u64,
            bytes: bytes.value(row) as u64,
            duration_ns: duration.value(row) as u64,
            backing_ns: backing.value(row) as u64,
            min_ns: min.value(row) as u64,
            max_ns: max.value(row) as u64,
            ..Sums::default()
        };
        let (index, in_bucket) = (index.value(row), in_bucket.value(row));
        let buckets = index.as_primitive::<Int32Type>().values().iter();
        for (bucket, calls) in buckets.zip(in_bucket.as_primitive::<Int64Type>().values()) {
            sums.histogram.add(*bucket, *calls as u64);
        }
        let op = Op::ALL.iter().find(|known| known.word() == op.value(row)).ok_or_else(|| damaged("an unknown op"))?;
        let kind =
            Kind::ALL.iter().find(|known| known.word() == kind.value(row)).ok_or_else(|| damaged("a strange kind"))?;
        let key = Key { second_ns: second.value(row), op: *op, errno: errno.value(row) as u16, kind: *kind };
        into.add(key, &sums);
    }
    Ok(())
}

/// Adds the rows of a ledger batch to `into`.
pub(super) fn read_ledger(batch: &RecordBatch, into: &mut Ledger) -> Result<(), ArrowError> {
    let long = |name| column::<Int64Array>(batch, name);
    let (second, seen, stored) = (long("second_ns")?, long("seen")?, long("stored")?);
    let (dropped, removed) = (long("dropped")?, long("removed")?);
    let stream = column::<Int32Array>(batch, "stream")?;
    let (reason, stage) = (column::<StringArray>(batch, "reason")?, column::<StringArray>(batch, "stage")?);
    for row in 0..batch.num_rows() {
        let loss = match reason.is_null(row) {
            true => None,
            false => Some(loss_of(reason.value(row), stage.value(row)).ok_or_else(|| damaged("an unknown reason"))?),
        };
        let counts = Counts {
            seen: seen.value(row) as u64,
            stored: stored.value(row) as u64,
            dropped: dropped.value(row) as u64,
            removed: removed.value(row) as u64,
        };
        into.add(Entry { second_ns: second.value(row), stream: stream.value(row) as u16, loss }, counts);
    }
    Ok(())
}

fn loss_of(reason: &str, stage: &str) -> Option<(Reason, Stage)> {
    let reason = Reason::ALL.into_iter().find(|known| known.word() == reason)?;
    let stage = Stage::ALL.into_iter().find(|known| known.word() == stage)?;
    Some((reason, stage))
}
