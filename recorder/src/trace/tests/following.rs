//! Readers that follow a trace while segments are added, merged and removed under them.

use std::collections::BTreeSet;
use std::time::Duration;

use super::reader::{self, Follower};
use super::{DEADLINE, created, events, place, small_segments, wait_until};
use crate::trace::Settings;
use crate::trace::manifest::Line;

/// Follows until `count` events have come, and says which.
fn follow(folder: &std::path::Path, count: usize) -> Vec<(u16, u64)> {
    let (mut follower, mut seen) = (Follower::new(folder), Vec::new());
    wait_until("all events have come", || {
        seen.extend(follower.poll());
        seen.len() >= count
    });
    seen
}

fn each_once_while_merging(merged_files_stay: Duration) {
    const EVENTS: u64 = 16_000;
    let place = place();
    let settings = Settings { merged_files_stay, ..small_segments(place.path(), 50) };
    let mut trace = created(settings);
    let folder = trace.folder().to_owned();
    let seen = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2).map(|_| scope.spawn(|| follow(&folder, EVENTS as usize))).collect();
        for seq in 0..EVENTS {
            let stream = (seq % 2) as u16;
            trace.push(&crate::event::Event { stream, seq: seq / 2, ..events::plain(seq) });
            // As fast as the disk takes it, and no faster: nothing is to be dropped here.
            if seq % 2_000 == 0 {
                assert!(trace.flush(DEADLINE));
            }
        }
        assert!(trace.close("done"));
        readers.into_iter().map(|reader| reader.join().expect("a reader")).collect::<Vec<_>>()
    });
    for seen in seen {
        assert_eq!(seen.len() as u64, EVENTS);
        assert_eq!(seen.into_iter().collect::<BTreeSet<_>>().len() as u64, EVENTS);
    }
    let merges = reader::read(&folder).lines.iter().filter(|line| matches!(line, Line::Merge { .. })).count();
    assert!(merges > 10, "only {merges} merges");
}

#[test]
fn a_reader_sees_each_event_once_while_segments_are_added_and_merged() {
    each_once_while_merging(Duration::from_secs(60));
}

#[test]
fn a_reader_sees_each_event_once_even_if_merged_files_vanish_at_once() {
    each_once_while_merging(Duration::ZERO);
}

#[test]
fn sixteen_small_neighbours_are_merged_while_the_trace_is_written_and_stay_a_while() {
    let place = place();
    let mut trace = created(small_segments(place.path(), 10));
    let folder = trace.folder().to_owned();
    (0..160).for_each(|seq| trace.push(&events::plain(seq)));
    assert!(trace.flush(DEADLINE));
    let merged = |table: &str| reader::live(&reader::lines(&folder, &mut 0), table).len() == 1;
    wait_until("events are merged", || merged("events"));
    wait_until("totals are merged", || merged("totals"));
    wait_until("the ledger is merged", || merged("ledger"));
    assert!(folder.join("events/000001.parquet").exists());
    let contents = reader::read(&folder);
    assert_eq!(contents.events, (0..160).map(events::plain).collect::<Vec<_>>());
    assert!(trace.close("done"));
    assert!(!folder.join("events/000001.parquet").exists());
}

#[test]
fn a_finished_trace_holds_no_file_that_its_manifest_does_not_name() {
    let place = place();
    let mut trace = created(small_segments(place.path(), 10));
    let folder = trace.folder().to_owned();
    (0..500).for_each(|seq| trace.push(&events::plain(seq)));
    assert!(trace.close("done"));
    let lines = reader::lines(&folder, &mut 0);
    for table in ["events", "totals", "ledger", "processes"] {
        let entries = std::fs::read_dir(folder.join(table)).expect("a table's folder");
        let files: BTreeSet<_> = entries.map(|entry| entry.expect("an entry").file_name()).collect();
        let live = reader::live(&lines, table);
        let named = live.iter().map(|name| name.split_once('/').expect("a folder").1.into()).collect();
        assert_eq!(files, named, "{table}");
    }
    let in_root: BTreeSet<_> =
        std::fs::read_dir(&folder).expect("a trace").map(|e| e.expect("an entry").file_name()).collect();
    let expected = ["events", "ledger", "manifest", "processes", "totals", "trace.json"];
    assert_eq!(in_root, expected.into_iter().map(Into::into).collect());
}
