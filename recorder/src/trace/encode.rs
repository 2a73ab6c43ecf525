//! Arrow batches into the bytes of one Parquet file: which encoding each column gets, and the metadata every file bears. Events
//! that are written for the first time have a way of their own, `event_columns.rs`.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::SchemaRef;
use parquet::arrow::arrow_writer::{ArrowRowGroupWriterFactory, ArrowWriterOptions, compute_leaves};
use parquet::arrow::{ArrowSchemaConverter, ArrowWriter};
use parquet::basic::Encoding;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;

use super::clock::Reading;
use super::columns::{SCHEMA_MAJOR, SCHEMA_MINOR};
use super::pages::compression;

/// Rows that are turned into columns at a time: what they touch (800 kB) stays in a core's own cache.
pub(super) const BATCH_ROWS: usize = 8_192;

/// One row group a file: the most rows that a merged segment can have, and more.
const ROW_GROUP_ROWS: usize = 4_000_000;

/// Numbers that grow or wander: small as differences to the one before.
const DIFFERENCES: [&str; 9] =
    ["seq", "ts_ns", "duration_ns", "backing_ns", "offset", "second_ns", "min_ns", "max_ns", "count"];

/// Numbers that mostly are the one before: as differences they need no look into a dictionary, and hardly a bit.
const STEADY: [&str; 10] = ["stream", "requests", "syscall_nr", "errno", "mode", "dev", "pid", "tid", "uid", "gid"];

/// Numbers that repeat, but may be many: a dictionary first, and differences when it overflows.
const REPEATED: [&str; 5] = ["size", "result", "ino", "fh", "flags"];

/// Names: a dictionary first, and only what differs from the name before when it overflows.
const NAMES: [&str; 2] = ["path", "path2"];

/// What readers skip whole files by; the least and greatest of other columns are not worth their cost.
const SKIPPED_BY: [&str; 4] = ["seq", "ts_ns", "duration_ns", "second_ns"];

pub(super) fn encode(
    trace_id: &str,
    schema: SchemaRef,
    batches: impl IntoIterator<Item = Result<RecordBatch, ParquetError>>,
) -> Result<Vec<u8>, ParquetError> {
    let options = ArrowWriterOptions::new().with_properties(properties()).with_skip_arrow_metadata(true);
    let mut writer = ArrowWriter::try_new_with_options(Vec::new(), schema, options)?;
    for batch in batches {
        writer.write(&batch?)?;
    }
    for entry in metadata(trace_id) {
        writer.append_key_value_metadata(entry);
    }
    writer.into_inner()
}

/// As `encode`, but asks for one column after the other, so that only one is in memory. Flat columns only.
pub(super) fn encode_by_column<C: IntoIterator<Item = Result<ArrayRef, ParquetError>>>(
    trace_id: &str,
    schema: &SchemaRef,
    mut column: impl FnMut(usize) -> Result<C, ParquetError>,
) -> Result<Vec<u8>, ParquetError> {
    let parquet_schema = ArrowSchemaConverter::new().convert(schema)?;
    let mut file = SerializedFileWriter::new(Vec::new(), parquet_schema.root_schema_ptr(), Arc::new(properties()))?;
    let columns = ArrowRowGroupWriterFactory::new(&file, schema.clone()).create_column_writers(0)?;
    let mut row_group = file.next_row_group()?;
    for (at, mut writer) in columns.into_iter().enumerate() {
        for part in column(at)? {
            for leaf in compute_leaves(schema.field(at), &part?)? {
                writer.write(&leaf)?;
            }
        }
        writer.close()?.append_to_row_group(&mut row_group)?;
    }
    row_group.close()?;
    finished(file, trace_id)
}

/// The bytes of a file whose columns are written.
pub(super) fn finished(mut file: SerializedFileWriter<Vec<u8>>, trace_id: &str) -> Result<Vec<u8>, ParquetError> {
    for entry in metadata(trace_id) {
        file.append_key_value_metadata(entry);
    }
    file.into_inner()
}

fn metadata(trace_id: &str) -> [KeyValue; 3] {
    let clocks = serde_json::to_string(&Reading::now()).unwrap_or_default();
    [
        KeyValue::new("glassfs.schema".to_owned(), format!("{SCHEMA_MAJOR}.{SCHEMA_MINOR}")),
        KeyValue::new("glassfs.trace".to_owned(), trace_id.to_owned()),
        KeyValue::new("glassfs.clocks".to_owned(), clocks),
    ]
}

pub(super) fn properties() -> WriterProperties {
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("glassfs-recorder ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(compression())
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::None)
        .set_offset_index_disabled(true);
    let path = |name: &str| ColumnPath::from(name);
    for name in DIFFERENCES.into_iter().chain(STEADY) {
        builder = builder
            .set_column_dictionary_enabled(path(name), false)
            .set_column_encoding(path(name), Encoding::DELTA_BINARY_PACKED);
    }
    for name in REPEATED {
        builder = builder.set_column_encoding(path(name), Encoding::DELTA_BINARY_PACKED);
    }
    for name in NAMES {
        builder = builder.set_column_encoding(path(name), Encoding::DELTA_BYTE_ARRAY);
    }
    for name in SKIPPED_BY {
        builder = builder.set_column_statistics_enabled(path(name), EnabledStatistics::Chunk);
    }
    builder.build()
}
