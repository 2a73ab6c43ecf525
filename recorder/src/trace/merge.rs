//! Many segments into one. Rows (events, processes) are put in order of start, one column at a time, so that merging
//! half a million events takes the memory of one column; counts (totals, ledger) are added where their keys are equal.

use std::fs::File;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, SchemaRef};
use arrow_select::concat::concat;
use arrow_select::interleave::interleave;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;

use super::columns::{Table, schema};
use super::count_columns::{ledger_batch, plain_schema, read_ledger, read_totals, totals_batch};
use super::encode::{BATCH_ROWS, encode, encode_by_column};
use super::folder::Folder;
use super::ledger::{Ledger, Tally};
use super::totals::Totals;

/// A segment opened for reading, its footer parsed once.
struct Input {
    file: File,
    metadata: ArrowReaderMetadata,
}

impl Input {
    fn open(folder: &Folder, name: &str, schema: SchemaRef) -> Result<Input, ParquetError> {
        let file = folder.open(name)?;
        let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new().with_schema(schema))?;
        Ok(Input { file, metadata })
    }

    fn read(&self, columns: Option<usize>) -> Result<ParquetRecordBatchReader, ParquetError> {
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(self.file.try_clone()?, self.metadata.clone());
        let mask = match columns {
            Some(column) => ProjectionMask::roots(builder.parquet_schema(), [column]),
            None => ProjectionMask::all(),
        };
        builder.with_projection(mask).with_batch_size(self.rows().max(1)).build()
    }

    fn rows(&self) -> usize {
        self.metadata.metadata().file_metadata().num_rows() as usize
    }

    fn column(&self, column: usize) -> Result<ArrayRef, ParquetError> {
        let parts = self.read(Some(column))?.map(|batch| batch.map(|batch| batch.column(0).clone()));
        let parts = parts.collect::<Result<Vec<_>, _>>()?;
        match parts.as_slice() {
            [one] => Ok(one.clone()),
            parts => Ok(concat(&parts.iter().map(AsRef::as_ref).collect::<Vec<&dyn Array>>())?),
        }
    }
}

/// A merged segment's bytes and how many rows it has.
type Merged = Result<(Vec<u8>, u64), ParquetError>;

pub(super) struct Merge<'a> {
    pub folder: &'a Folder,
    pub trace_id: &'a str,
    pub table: Table,
    /// Asked between columns and files: whether nobody wants it any more.
    pub given_up: &'a dyn Fn() -> bool,
}

impl Merge<'_> {
    /// One segment that holds what the segments of `names` hold.
    pub fn segments(&self, names: &[&str]) -> Merged {
        match self.table {
            Table::Events => self.rows(names, &["ts_ns", "seq"]),
            Table::Processes => self.rows(names, &["ts_ns"]),
            Table::Totals => {
                let mut totals = Totals::default();
                self.for_each_batch(names, |batch| Ok(read_totals(batch, &mut totals)?))?;
                Ok((self.encoded(totals_batch(&totals)?)?, totals.len() as u64))
            }
            Table::Ledger => {
                let mut ledger = Ledger::default();
                self.for_each_batch(names, |batch| Ok(read_ledger(batch, &mut ledger)?))?;
                Ok((self.encoded(ledger_batch(&ledger)?)?, ledger.len() as u64))
            }
        }
    }

    fn encoded(&self, batch: RecordBatch) -> Result<Vec<u8>, ParquetError> {
        encode(self.trace_id, batch.schema(), [Ok(batch)])
    }

    fn still_wanted(&self) -> Result<(), ParquetError> {
        match (self.given_up)() {
            true => Err(ParquetError::General("the merge is no longer wanted".to_owned())),
            false => Ok(()),
        }
    }

    fn for_each_batch(
        &self,
        names: &[&str],
        mut each: impl FnMut(&RecordBatch) -> Result<(), ParquetError>,
    ) -> Result<(), ParquetError> {
        for name in names {
            self.still_wanted()?;
            for batch in Input::open(self.folder, name, plain_schema(self.table))?.read(None)? {
                each(&batch?)?;
            }
        }
        Ok(())
    }

    fn rows(&self, names: &[&str], order_by: &[&str]) -> Merged {
        // Views, so that a name that a million rows share lies in memory once.
        let schema = schema(self.table, &DataType::Utf8View);
        let open = |name: &&str| Input::open(self.folder, name, schema.clone());
        let inputs = names.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        let order = order(&inputs, &schema, order_by)?;
        let bytes = encode_by_column(self.trace_id, &schema, |column| {
            self.still_wanted()?;
            let parts = inputs.iter().map(|input| input.column(column)).collect::<Result<Vec<_>, _>>()?;
            let order = &order;
            Ok((0..order.len()).step_by(BATCH_ROWS).map(move |from| {
                let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
                Ok(interleave(&parts, &order[from..order.len().min(from + BATCH_ROWS)])?)
            }))
        })?;
        Ok((bytes, order.len() as u64))
    }
}

/// (input, row) of all rows, ascending by the columns `order_by`.
fn order(inputs: &[Input], schema: &SchemaRef, order_by: &[&str]) -> Result<Vec<(usize, usize)>, ParquetError> {
    let mut keys = Vec::new();
    for (at, input) in inputs.iter().enumerate() {
        let mut columns = Vec::new();
        for name in order_by {
            columns.push(input.column(schema.index_of(name)?)?);
        }
        let value = |column: usize, row: usize| {
            columns.get(column).map_or(0, |column| column.as_primitive::<Int64Type>().value(row))
        };
        keys.extend((0..input.rows()).map(|row| ((value(0, row), value(1, row)), (at, row))));
    }
    // Stable, and quick on inputs that are each in order and hardly overlap.
    keys.sort_by_key(|(key, _)| *key);
    Ok(keys.into_iter().map(|(_, place)| place).collect())
}

/// How many events of each second and stream a segment holds.
pub(super) fn tally_of(folder: &Folder, name: &str) -> Result<Tally, ParquetError> {
    let schema = schema(Table::Events, &DataType::Utf8View);
    let input = Input::open(folder, name, schema.clone())?;
    let (times, streams) = (input.column(schema.index_of("ts_ns")?)?, input.column(schema.index_of("stream")?)?);
    let (times, streams) = (times.as_primitive::<Int64Type>(), streams.as_primitive::<arrow_array::types::Int32Type>());
    let mut tally = Tally::default();
    for (ts_ns, stream) in times.values().iter().zip(streams.values()) {
        tally.count(*ts_ns, *stream as u16, 1);
    }
    Ok(tally)
}
