//! Calls of the kernel plane that are no events: what the program has added up because a ring was full, as totals; and what
//! it could not even add up, in words. Knows call numbers; no rings.

use super::reported::{Table, call_of, errno, op_of};
use crate::observe::{Lost, Shed};
use crate::trace::{Histogram, Key, Sums, Totals};

const NS_PER_SECOND: i64 = 1_000_000_000;

/// Adds it where events of the same name, result and second are counted. Their backing time nobody knows.
pub fn count(totals: &mut Totals, table: &Table, shed: &Shed) {
    let (call, kind) = call_of(table, &shed.report);
    let op = op_of(call, &shed.report);
    let errno = errno(shed.report.result);
    let second_ns = (shed.second as i64).saturating_mul(NS_PER_SECOND);
    let mut histogram = Histogram::default();
    histogram.add(shed.bucket.into(), shed.count);
    let sums = Sums {
        count: shed.count,
        bytes: if op.moves_data() { shed.bytes } else { 0 },
        duration_ns: shed.duration_ns,
        backing_ns: 0,
        min_ns: shed.min_ns,
        max_ns: shed.max_ns,
        histogram,
    };
    totals.add(Key { second_ns, op, errno, kind }, &sums);
}

/// What a reader must know who adds up totals and ledger; None: they agree.
/// `flying`: reads and writes by libaio of which no end was seen.
pub fn remark(lost: Lost, flying: u64) -> Option<String> {
    let Lost { uncounted, unended, unjoined } = lost;
    let told = [
        (uncounted, "calls are lost and in no total: the table for what a full buffer refuses was full too"),
        (unended, "calls are lost and in no total: only their beginning was seen, too many were under way at once"),
        (flying, "reads and writes by libaio were submitted and not seen to end"),
        (unjoined, "requests stand beside the calls that they belong to: the buffer was full"),
    ];
    let told: Vec<String> =
        told.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    (!told.is_empty()).then(|| told.join("; "))
}
