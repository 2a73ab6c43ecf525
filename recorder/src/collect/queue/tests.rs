//! The queue: order, its bound, and that what was seen is stored or counted as dropped.

use proptest::prelude::*;

use super::*;
use crate::collect::samples::{by_handle, named, record};
use crate::event::Op;

fn queue(limit: usize) -> Queue {
    Queue::new(limit, Clock { wall_minus_mono_ns: 0 })
}

fn items(drained: Drained) -> Vec<Item> {
    drained.chunks.into_iter().flatten().collect()
}

fn seqs(items: &[Item]) -> Vec<u64> {
    items.iter().filter_map(|item| if let Item::Served(record) = item { Some(record.seq) } else { None }).collect()
}

#[test]
fn records_come_out_in_order_with_dense_numbers() {
    let queue = queue(100_000);
    (0..10_000).for_each(|_| queue.push(record(Op::Read, 2)));
    let first = queue.drain();
    assert_eq!(first.chunks.len(), 10_000usize.div_ceil(CHUNK_ITEMS));
    queue.push(record(Op::Read, 2));
    assert_eq!(seqs(&items(first)), (0..10_000).collect::<Vec<_>>());
    assert_eq!(seqs(&items(queue.drain())), [10_000]);
    assert!(queue.drain().chunks.is_empty());
}

#[test]
fn a_full_queue_counts_what_it_drops_and_numbers_it() {
    let queue = queue(10);
    for n in 0..25 {
        let start_ns = 1_000_000_000 * (n / 20);
        queue.push(Record { start_ns, duration_ns: 7, backing_ns: 3, result: 5, ..record(Op::Read, 2) });
    }
    let drained = queue.drain();
    let rows: Vec<_> =
        drained.drops.rows().iter().map(|(key, sums)| (key.second_ns, key.op, sums.count, sums.bytes)).collect();
    assert_eq!(rows, [(0, Op::Read, 10, 50), (1_000_000_000, Op::Read, 5, 25)]);
    assert_eq!(drained.drops.rows()[0].1.duration_ns, 70);
    assert_eq!(seqs(&items(drained)), (0..10).collect::<Vec<_>>());
    queue.push(record(Op::Read, 2));
    assert_eq!(seqs(&items(queue.drain())), [25]);
}

#[test]
fn a_full_queue_still_takes_what_is_only_to_be_learned() {
    let queue = queue(32);
    (0..32).for_each(|_| queue.push(record(Op::Read, 2)));
    queue.push(named(Op::Unlink, 1, "a", None));
    queue.gone(0, Node(2));
    let drained = queue.drain();
    assert_eq!(drained.drops.counted(), 1);
    let items = items(drained);
    assert!(
        matches!(&items[32..], [Item::Unstored(record), Item::Gone { .. }] if record.op == Op::Unlink),
        "{items:?}"
    );
}

#[test]
fn names_that_found_no_room_at_all_are_said_to_be_lost_once() {
    let queue = queue(32);
    (0..32).for_each(|_| queue.push(record(Op::Read, 2)));
    (0..100).for_each(|_| queue.push(by_handle(Op::Release, 2, 3)));
    let drained = queue.drain();
    assert_eq!(drained.drops.counted(), 100);
    let items = items(drained);
    assert_eq!(items.len(), 32 + 2 + 1);
    assert!(matches!(items.last(), Some(Item::NamesLost)));
    queue.push(by_handle(Op::Release, 2, 3));
    assert!(matches!(&super::tests::items(queue.drain())[..], [Item::Served(_)]));
}

#[test]
fn long_names_fill_the_queue_sooner() {
    let queue = queue(1000);
    (0..1000).for_each(|_| queue.push(named(Op::Lookup, 1, &"x".repeat(255), None)));
    let drained = queue.drain();
    let held: usize = drained.chunks.iter().flatten().map(heap_and_all).sum();
    assert!(drained.drops.counted() > 500);
    assert!(held <= 1000 * BYTES_PER_RECORD * 17 / 16 + 1000, "{held}");
}

fn heap_and_all(item: &Item) -> usize {
    size_of::<Item>()
        + match item {
            Item::Served(record) => record.heap_bytes(),
            Item::Unstored(record) => record.heap_bytes() + size_of::<Record>(),
            Item::Listed(listed) => listed.entries.heap_bytes() + size_of::<Listed>(),
            Item::Gone { .. } | Item::NamesLost => 0,
        }
}

#[test]
fn emptied_chunks_are_used_again_and_not_hoarded() {
    let queue = queue(1_000_000);
    (0..20 * CHUNK_ITEMS).for_each(|_| queue.push(record(Op::Read, 2)));
    queue.drain().chunks.into_iter().for_each(|chunk| queue.recycle(chunk));
    assert_eq!(queue.lock().spare.len(), SPARE_CHUNKS);
    (0..CHUNK_ITEMS).for_each(|_| queue.push(record(Op::Read, 2)));
    assert!(queue.lock().spare.len() < SPARE_CHUNKS);
}

/// Eight threads push, one drains meanwhile: each thread's records stay in order, and nothing goes uncounted.
#[test]
fn eight_threads_lose_nothing_uncounted() {
    const THREADS: u64 = 8;
    const EACH: u64 = 20_000;
    let queue = queue(5_000);
    let (mut taken, mut dropped) = (Vec::new(), 0);
    std::thread::scope(|scope| {
        let pushing: Vec<_> = (0..THREADS)
            .map(|thread| {
                let queue = &queue;
                scope
                    .spawn(move || (0..EACH).for_each(|n| queue.push(Record { offset: n, ..record(Op::Read, thread) })))
            })
            .collect();
        while !pushing.iter().all(|thread| thread.is_finished()) {
            let drained = queue.drain();
            dropped += drained.drops.counted();
            taken.extend(items(drained));
        }
    });
    let drained = queue.drain();
    dropped += drained.drops.counted();
    taken.extend(items(drained));
    assert_eq!(taken.len() as u64 + dropped, THREADS * EACH);
    assert_eq!(queue.lock().next_seq, THREADS * EACH);
    assert!(seqs(&taken).is_sorted());
    for thread in 0..THREADS {
        let of_thread = taken.iter().filter_map(|item| match item {
            Item::Served(record) if record.node == thread => Some(record.offset),
            _ => None,
        });
        assert!(of_thread.is_sorted_by(|one, next| one < next));
    }
}

proptest! {
    /// Whatever is pushed and however often somebody drains: seen = taken + dropped, in order.
    #[test]
    fn seen_is_taken_and_dropped(limit in 1usize..200, bursts in prop::collection::vec(0usize..100, 1..20)) {
        let queue = queue(limit);
        let (mut seen, mut taken, mut dropped) = (0, Vec::new(), 0);
        for (turn, burst) in bursts.into_iter().enumerate() {
            (0..burst).for_each(|_| queue.push(named(Op::Lookup, 1, "a", None)));
            seen += burst as u64;
            if turn % 2 == 1 {
                let drained = queue.drain();
                dropped += drained.drops.counted();
                taken.extend(seqs(&items(drained)));
            }
        }
        let drained = queue.drain();
        dropped += drained.drops.counted();
        taken.extend(seqs(&items(drained)));
        prop_assert_eq!(taken.len() as u64 + dropped, seen);
        prop_assert!(taken.is_sorted_by(|one, next| one < next));
        prop_assert!(taken.last().is_none_or(|last| *last < seen));
    }
}
