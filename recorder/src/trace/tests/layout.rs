//! The folder as docs/trace-format.md describes it: schema, metadata, trace.json, modes, and what is refused at the start.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::parser::parse_message_type;
use parquet::schema::printer::print_schema;
use parquet::schema::types::Type;

use super::{DEADLINE, about, created, events, place, reader, small_segments};
use crate::trace::columns::{Table, columns};
use crate::trace::{About, Command, Error, ProcessRow, Settings, Trace};

fn process(pid: u32, ts_ns: i64) -> ProcessRow {
    ProcessRow {
        ts_ns,
        pid,
        tid: pid,
        ppid: Some(1),
        started_ns: None,
        comm: Arc::from("postgres"),
        exe: Some(Arc::from("/usr/lib/postgresql/15/bin/postgres")),
        cmdline: Some(Arc::from("postgres: checkpointer")),
        uid: Some(1000),
        exited_ns: None,
    }
}

/// A finished trace with rows in every table; merged, if it has so many parts.
fn with_all_tables(place: &Path, parts: u64) -> PathBuf {
    let mut trace = created(small_segments(place, 10));
    let folder = trace.folder().to_owned();
    for part in 0..parts {
        (part * 10..part * 10 + 10).for_each(|seq| trace.push(&events::plain(seq)));
        trace.process(process(part as u32 + 1, part as i64));
        assert!(trace.flush(DEADLINE));
    }
    assert!(trace.close("done"));
    folder
}

fn files_of(folder: &Path, table: Table) -> Vec<SerializedFileReader<fs::File>> {
    let names = reader::live(&reader::lines(folder, &mut 0), table.word());
    let open = |name: &String| fs::File::open(folder.join(name)).expect("a segment");
    names.iter().map(|name| SerializedFileReader::new(open(name)).expect("Parquet")).collect()
}

/// A table's columns in the words of a Parquet schema.
fn as_parquet(table: Table) -> Type {
    use crate::trace::columns::Type as Kind;
    let mut message = String::from("message arrow_schema {\n");
    for column in columns().iter().filter(|column| column.table == table) {
        let repetition = if column.nullable { "OPTIONAL" } else { "REQUIRED" };
        let list = |of| {
            format!("REQUIRED GROUP {} (LIST) {{ REPEATED GROUP list {{ REQUIRED {of} element; }} }}", column.name)
        };
        message += &match column.kind {
            Kind::Int32 => format!("{repetition} INT32 {};", column.name),
            Kind::Int64 => format!("{repetition} INT64 {};", column.name),
            Kind::UInt64 => format!("{repetition} INT64 {} (INTEGER(64,false));", column.name),
            Kind::String => format!("{repetition} BYTE_ARRAY {} (STRING);", column.name),
            Kind::ListInt32 => list("INT32"),
            Kind::ListInt64 => list("INT64"),
        };
    }
    parse_message_type(&(message + "}")).expect("a schema")
}

fn printed(schema: &Type) -> String {
    let mut text = Vec::new();
    print_schema(&mut text, schema);
    String::from_utf8(text).expect("text")
}

#[test]
fn the_written_schema_is_the_one_that_is_told() {
    for parts in [1, 40] {
        let place = place();
        let folder = with_all_tables(place.path(), parts);
        for table in Table::ALL {
            let files = files_of(&folder, table);
            assert!(!files.is_empty(), "{table:?}");
            for file in files {
                let written = file.metadata().file_metadata().schema();
                assert_eq!(printed(written), printed(&as_parquet(table)));
            }
        }
    }
}

#[test]
fn every_column_is_described_once() {
    for column in columns() {
        assert!(!column.description.is_empty() && !column.description.contains('\n'), "{}", column.name);
        let same = columns().iter().filter(|other| (other.table, other.name) == (column.table, column.name)).count();
        assert_eq!(same, 1, "{}", column.name);
    }
    let first = serde_json::to_value(columns()[0]).expect("JSON");
    let description = columns()[0].description;
    let told = serde_json::json!({
        "table": "events", "name": "stream", "type": "int32", "nullable": false, "description": description,
    });
    assert_eq!(first, told);
}

#[test]
fn every_segment_bears_schema_trace_and_clocks() {
    let place = place();
    let folder = with_all_tables(place.path(), 2);
    let about: About = serde_json::from_slice(&fs::read(folder.join("trace.json")).expect("trace.json")).expect("JSON");
    for file in Table::ALL.into_iter().flat_map(|table| files_of(&folder, table)) {
        let entries = file.metadata().file_metadata().key_value_metadata().expect("metadata").clone();
        let value = |key: &str| entries.iter().find(|entry| entry.key == key).and_then(|entry| entry.value.clone());
        assert_eq!(value("glassfs.schema").as_deref(), Some("1.0"));
        assert_eq!(value("glassfs.trace"), Some(about.id.clone()));
        let clocks: crate::trace::Reading =
            serde_json::from_str(&value("glassfs.clocks").expect("clocks")).expect("JSON");
        assert!(clocks.wall_ns > 0 && clocks.mono_ns > 0);
    }
}

#[test]
fn events_lie_in_order_of_start_within_a_segment_merged_or_not() {
    for rows in [7, 1_000] {
        let place = place();
        let mut trace = created(small_segments(place.path(), rows));
        let folder = trace.folder().to_owned();
        for seq in 0..300 {
            let ts_ns = 1_700_000_000_000_000_000 + (seq as i64 * 7_919) % 1_000;
            trace.push(&crate::event::Event { ts_ns, ..events::plain(seq) });
        }
        assert!(trace.close("done"));
        for name in reader::live(&reader::lines(&folder, &mut 0), "events") {
            let batches = reader::batches(&folder.join(name)).expect("a segment");
            let starts: Vec<i64> = batches.iter().flat_map(reader::events_of).map(|event| event.ts_ns).collect();
            assert!(starts.is_sorted());
        }
    }
}

#[test]
fn processes_come_back_merged_or_not() {
    let place = place();
    let folder = with_all_tables(place.path(), 20);
    let rows: usize = reader::read(&folder).processes.iter().map(|batch| batch.num_rows()).sum();
    assert_eq!(rows, 20);
}

#[test]
fn trace_json_is_there_at_once_changes_while_the_trace_lives_and_says_goodbye() {
    let place = place();
    let mut trace = created(small_segments(place.path(), 10));
    let path = trace.folder().join("trace.json");
    let read = || -> About { serde_json::from_slice(&fs::read(&path).expect("trace.json")).expect("JSON") };
    assert_eq!((read().end_ns, read().command), (None, None));
    trace.about(|about| about.command = Some(Command { exit_status: Some(3), ..Command::default() }));
    assert!(trace.flush(DEADLINE));
    assert_eq!(read().command.and_then(|command| command.exit_status), Some(3));
    assert!(trace.close("unmounted"));
    assert_eq!(read().end_reason.as_deref(), Some("unmounted"));
    assert!(read().end_ns >= Some(read().start_ns));
}

#[test]
fn a_trace_is_for_its_owner_alone() {
    let place = place();
    let folder = with_all_tables(place.path(), 1);
    let mode = |path: &Path| fs::metadata(path).expect("metadata").permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    for name in ["trace.json", "manifest", "events/000001.parquet"] {
        assert_eq!(mode(&folder.join(name)), 0o600, "{name}");
    }
}

#[test]
fn an_empty_folder_is_taken_and_made_private() {
    let place = place();
    fs::create_dir(place.path().join("trace")).expect("a folder");
    drop(created(small_segments(place.path(), 10)));
    let mode = fs::metadata(place.path().join("trace")).expect("metadata").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

fn refusal(path: &Path) -> Error {
    Trace::create(Settings::new(path), about()).err().expect("refused")
}

#[test]
fn a_place_that_cannot_be_a_trace_is_refused_with_path_cause_and_next_step() {
    let place = place();
    let file = place.path().join("file");
    fs::write(&file, "kept").expect("a file");
    let in_use = refusal(place.path());
    assert!(matches!(in_use, Error::NotEmpty { .. }), "{in_use}");
    assert!(matches!(refusal(&file), Error::NotADirectory { .. }));
    let below_a_file = refusal(&file.join("trace"));
    let message = below_a_file.to_string();
    assert!(message.contains("/file") && message.contains("not a directory"), "{message}");
    assert!(message.contains("-o"), "{message}");
    assert_eq!(fs::read_to_string(&file).expect("the file"), "kept");
}

#[test]
fn a_place_without_permission_is_refused_with_path_cause_and_next_step() {
    // Nobody, not even root, makes directories there.
    let message = refusal(Path::new("/proc/self/trace")).to_string();
    assert!(message.contains("/proc/self/trace") && message.contains("-o"), "{message}");
}
