//! A recorder that is killed: what was closed stays readable.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use super::{DEADLINE, created, events, place, reader, small_segments};
use crate::trace::About;

/// Tells the child that runs this very test where to write.
const CHILD: &str = "GLASSFS_TEST_KILLED_TRACE";

/// Writes, flushes, writes on, and dies in the middle of it.
fn write_and_die(place: &Path) -> ! {
    let mut trace = created(small_segments(place, 20));
    (0..1_000).for_each(|seq| trace.push(&events::plain(seq)));
    assert!(trace.flush(DEADLINE));
    (1_000..1_500).for_each(|seq| trace.push(&events::plain(seq)));
    // SAFETY: no memory is involved.
    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    unreachable!("killed")
}

#[test]
fn a_killed_recorder_leaves_every_closed_segment_readable() {
    if let Ok(place) = std::env::var(CHILD) {
        write_and_die(Path::new(&place));
    }
    let place = place();
    let this_test = "trace::tests::damage::a_killed_recorder_leaves_every_closed_segment_readable";
    let mut child = Command::new(std::env::current_exe().expect("this test"));
    child.args(["--exact", this_test]).env(CHILD, place.path());
    let output = child.output().expect("a child");
    assert_eq!(output.status.signal(), Some(libc::SIGKILL), "{output:?}");

    let folder = place.path().join("trace");
    let contents = reader::read(&folder);
    assert!(contents.events.len() >= 1_000, "{}", contents.events.len());
    contents.events.iter().enumerate().for_each(|(at, event)| assert_eq!(*event, events::plain(at as u64)));
    let sum = contents.ledger.sum();
    assert_eq!((sum.stored, sum.dropped), (contents.events.len() as u64, 0));
    assert_eq!(contents.totals.counted(), sum.seen);
    let about: About =
        serde_json::from_slice(&std::fs::read(folder.join("trace.json")).expect("trace.json")).expect("JSON");
    assert_eq!((about.end_ns, about.end_reason), (None, None));
}
