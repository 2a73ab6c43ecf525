//! One column's pages, compressed, and how they join a Parquet file. The library writes pages' headers and the file's end. Knows
//! bytes and encodings; no event.

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedPageWriter, SerializedRowGroupWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

use super::dictionary::Dictionary;

pub(super) fn compression() -> Compression {
    Compression::ZSTD(ZstdLevel::default())
}

/// One for all pages of a file: to make it costs more than most pages do.
pub(super) struct Press(zstd::bulk::Compressor<'static>);

impl Press {
    pub fn new() -> Result<Press, ParquetError> {
        Ok(Press(zstd::bulk::Compressor::new(ZstdLevel::default().compression_level())?))
    }
}

/// The pages of a column as they are made.
pub(super) struct Pages {
    written: TrackedWrite<Vec<u8>>,
    encodings: Vec<Encoding>,
    rows: u64,
    uncompressed: usize,
}

impl Pages {
    pub fn new() -> Pages {
        let written = TrackedWrite::new(Vec::new());
        // Of which rows have a value.
        Pages { written, encodings: vec![Encoding::RLE], rows: 0, uncompressed: 0 }
    }

    /// A page of so many rows; `body`: which of them have a value, unless all must, and their values in `encoding`.
    pub fn add(&mut self, press: &mut Press, rows: usize, encoding: Encoding, body: &[u8]) -> Result<(), ParquetError> {
        let page = Page::DataPage {
            buf: Bytes::from(press.0.compress(body)?),
            num_values: rows as u32,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        self.write(page, encoding, body.len())?;
        self.rows += rows as u64;
        Ok(())
    }

    fn write(&mut self, page: Page, encoding: Encoding, uncompressed: usize) -> Result<(), ParquetError> {
        let page = CompressedPage::new(page, uncompressed);
        self.uncompressed += SerializedPageWriter::new(&mut self.written).write_page(page)?.uncompressed_size;
        if !self.encodings.contains(&encoding) {
            self.encodings.push(encoding);
        }
        Ok(())
    }

    /// Makes them the row group's next column, which is `column`. Their dictionary, made last, goes first.
    pub fn join(
        mut self,
        row_group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
        column: ColumnDescPtr,
        press: &mut Press,
        dictionary: Option<&Dictionary>,
        statistics: Option<Statistics>,
    ) -> Result<(), ParquetError> {
        let first_data = std::mem::replace(&mut self.written, TrackedWrite::new(Vec::new())).into_inner()?;
        if let Some(dictionary) = dictionary {
            let buf = Bytes::from(press.0.compress(dictionary.bytes())?);
            let page = Page::DictionaryPage {
                buf,
                num_values: dictionary.count(),
                encoding: Encoding::PLAIN,
                is_sorted: false,
            };
            self.write(page, Encoding::PLAIN, dictionary.bytes().len())?;
        }
        let mut bytes = self.written.into_inner()?;
        let data_at = bytes.len() as i64;
        bytes.extend_from_slice(&first_data);
        let mut metadata = ColumnChunkMetaData::builder(column)
            .set_compression(compression())
            .set_encodings(self.encodings)
            .set_num_values(self.rows as i64)
            .set_total_compressed_size(bytes.len() as i64)
            .set_total_uncompressed_size(self.uncompressed as i64)
            .set_dictionary_page_offset(dictionary.map(|_| 0))
            .set_data_page_offset(data_at);
        if let Some(statistics) = statistics {
            metadata = metadata.set_statistics(statistics);
        }
        let closed = ColumnCloseResult {
            bytes_written: bytes.len() as u64,
            rows_written: self.rows,
            metadata: metadata.build()?,
            bloom_filter: None,
            column_index: None,
            offset_index: None,
        };
        row_group.append_column(&Bytes::from(bytes), closed)
    }
}
