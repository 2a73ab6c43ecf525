//! Whatever is written comes back, and what is counted adds up, also when the disk refuses at any moment.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::collection::vec;
use proptest::prelude::*;

use super::events::any_event;
use super::reader::{self, Contents};
use super::{DEADLINE, created, place, small_segments};
use crate::event::Event;
use crate::trace::manifest::Line;
use crate::trace::{Key, Sample, Sums, Totals};

/// Dense numbers within each stream, in order of appearance.
fn numbered(mut events: Vec<Event>) -> Vec<Event> {
    let mut next = [0u64; 3];
    for event in &mut events {
        let next = &mut next[usize::from(event.stream)];
        event.seq = *next;
        *next += 1;
    }
    events
}

fn counted(events: &[Event]) -> Totals {
    let mut totals = Totals::default();
    events.iter().for_each(|event| totals.count(&Sample::from(event)));
    totals
}

fn rows(totals: &Totals) -> Vec<(Key, Sums)> {
    let mut rows = totals.rows().to_vec();
    rows.sort_by_key(|(key, _)| (key.second_ns, key.op, key.errno, key.kind as u8));
    rows
}

/// What must hold of every trace at every moment.
fn balances(contents: &Contents) {
    let sum = contents.ledger.sum();
    assert_eq!(sum.seen, sum.stored + sum.dropped);
    assert_eq!(sum.stored - sum.removed, contents.events.len() as u64);
    assert_eq!(sum.seen, contents.totals.counted());
}

/// Appends of one moment are in one write, so a reader may stop at any of these: after the last line of an append.
fn moments(lines: &[Line]) -> Vec<usize> {
    let ends = |at: usize| match lines.get(at) {
        Some(Line::Add { add, .. }) => add.starts_with("events") || !matches!(lines[at - 1], Line::Add { .. }),
        Some(_) => true,
        None => true,
    };
    (1..=lines.len()).filter(|at| ends(*at)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_events_come_back_and_totals_are_a_count_over_them(events in vec(any_event(), 0..120), rows_each in 1..40usize) {
        let (events, place) = (numbered(events), place());
        let mut trace = created(small_segments(place.path(), rows_each));
        let folder = trace.folder().to_owned();
        events.iter().for_each(|event| trace.push(event));
        prop_assert!(trace.close("done"));
        let contents = reader::read(&folder);
        balances(&contents);
        prop_assert_eq!(rows(&contents.totals), rows(&counted(&events)));
        let mut expected = events;
        expected.sort_by_key(|event| (event.stream, event.seq));
        prop_assert_eq!(contents.events, expected);
    }

    #[test]
    fn seen_is_stored_plus_dropped_whenever_the_disk_refuses(
        events in vec(any_event(), 1..80),
        refusals in vec(any::<bool>(), 0..60),
    ) {
        let (events, place) = (numbered(events), place());
        let mut settings = small_segments(place.path(), 4);
        settings.before_write = Some(refusing(refusals));
        let mut trace = created(settings);
        let folder = trace.folder().to_owned();
        for part in events.chunks(6) {
            part.iter().for_each(|event| trace.push(event));
            trace.flush(DEADLINE);
        }
        // The refusals end: what was held back comes out.
        while !trace.flush(DEADLINE) {}
        trace.close("done");
        let lines = reader::read(&folder).lines;
        let contents = reader::contents(&folder, lines);
        balances(&contents);
        prop_assert_eq!(rows(&contents.totals), rows(&counted(&events)));
    }
}

/// Refuses the writes that `refusals` say, in turn, with a full disk; the first two make the trace.
fn refusing(refusals: Vec<bool>) -> crate::trace::BeforeWrite {
    let writes = AtomicUsize::new(0);
    Arc::new(move |_name: &str| {
        let write = writes.fetch_add(1, Ordering::Relaxed);
        match write.checked_sub(1).and_then(|write| refusals.get(write)) {
            Some(true) => Err(io::Error::from_raw_os_error(libc::ENOSPC)),
            _ => Ok(()),
        }
    })
}

#[test]
fn a_trace_balances_at_every_moment_of_its_manifest() {
    let place = place();
    let mut settings = small_segments(place.path(), 5);
    settings.merged_files_stay = DEADLINE;
    let mut trace = created(settings);
    let folder = trace.folder().to_owned();
    for seq in 0..100 {
        trace.push(&super::events::plain(seq));
    }
    assert!(trace.flush(DEADLINE));
    let lines = reader::read(&folder).lines;
    for moment in moments(&lines) {
        balances(&reader::contents(&folder, lines[..moment].to_vec()));
    }
    assert!(trace.close("done"));
}

#[test]
fn more_names_and_numbers_than_a_dictionary_takes_come_back() {
    let place = place();
    let mut trace = created(small_segments(place.path(), 200_000));
    let folder = trace.folder().to_owned();
    let name = |what: &str, seq: u64| Some(Arc::from(format!("/data/{what}/directory-{}/{seq}", seq % 7)));
    // Of each kind of column more than the megabyte that its dictionary may have: some 130,000 numbers.
    let events: Vec<Event> = (0..150_000)
        .map(|seq: u64| Event {
            path: if seq.is_multiple_of(1000) { None } else { name("old", seq) },
            path2: if seq.is_multiple_of(3) { name("new", seq) } else { None },
            ino: Some(u64::MAX - seq * seq),
            fh: Some(seq << 33),
            size: if seq < 9_000 { Some(7) } else { Some(seq * 13) },
            result: Some(if seq.is_multiple_of(2) { i64::MIN } else { i64::MAX } ^ seq as i64),
            mode: if seq > 140_000 { Some(0o100_644) } else { None },
            ..super::events::plain(seq)
        })
        .collect();
    events.iter().for_each(|event| trace.push(event));
    assert!(trace.close("done"));
    assert_eq!(reader::live(&reader::lines(&folder, &mut 0), "events").len(), 1);
    let read = reader::read(&folder).events;
    let differing = read.iter().zip(&events).find(|(read, event)| read != event);
    assert!(read.len() == events.len() && differing.is_none(), "{differing:?}");
}
