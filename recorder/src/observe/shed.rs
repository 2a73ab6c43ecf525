//! What the program has added up of calls that found their ring full: `sheds` there, taken half by half. Knows no
//! totals, which the collector makes of it.

use aya::Pod;
use aya::maps::{Map, MapData, MapError, PerCpuHashMap};

use super::ring::Report;

/// `struct shed_key` there.
#[derive(Clone, Copy)]
#[repr(C)]
struct Key {
    second: u64,
    nr: u16,
    error: u16,
    bucket: i16,
    kind: u8,
    half: u8,
}

/// `struct shed` there: of one CPU.
#[derive(Clone, Copy)]
#[repr(C)]
struct Sum {
    count: u64,
    bytes: u64,
    duration_ns: u64,
    min_ns: u64,
    max_ns: u64,
}

// SAFETY: plain numbers, no padding.
unsafe impl Pod for Key {}
// SAFETY: the same.
unsafe impl Pod for Sum {}

/// Calls of one number, result, second and bucket of the histogram.
#[derive(Clone, Copy, Debug)]
pub struct Shed {
    /// What such a call would have reported, as far as its name and errno depend on it.
    pub report: Report,
    /// Of their start, by the wall clock.
    pub second: u64,
    pub bucket: i16,
    pub count: u64,
    pub bytes: u64,
    pub duration_ns: u64,
    pub min_ns: u64,
    pub max_ns: u64,
}

/// The program's table.
pub struct Sheds(PerCpuHashMap<MapData, Key, Sum>);

impl Sheds {
    pub(super) fn new(map: Map) -> Result<Sheds, MapError> {
        PerCpuHashMap::try_from(map).map(Sheds)
    }

    /// Takes what is in one half, to which nobody may be adding. What cannot be read now stays there.
    pub(super) fn take(&mut self, half: u8, each: &mut impl FnMut(Shed)) -> Result<(), MapError> {
        let keys = self.0.keys().filter(|key| key.as_ref().map_or(true, |key| key.half == half));
        for key in keys.collect::<Result<Vec<Key>, MapError>>()? {
            let sums = self.0.get(&key, 0)?;
            self.0.remove(&key)?;
            each(shed(&key, &sums));
        }
        Ok(())
    }
}

fn shed(key: &Key, sums: &[Sum]) -> Shed {
    let report = Report::like(key.nr, key.kind, -i64::from(key.error));
    let Key { second, bucket, .. } = *key;
    let mut shed = Shed { report, second, bucket, count: 0, bytes: 0, duration_ns: 0, min_ns: u64::MAX, max_ns: 0 };
    for sum in sums.iter().filter(|sum| sum.count > 0) {
        shed.count += sum.count;
        shed.bytes = shed.bytes.saturating_add(sum.bytes);
        shed.duration_ns = shed.duration_ns.saturating_add(sum.duration_ns);
        shed.min_ns = shed.min_ns.min(sum.min_ns);
        shed.max_ns = shed.max_ns.max(sum.max_ns);
    }
    shed
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use crate::trace::bucket_of;

    /// Reads durations, writes the program's bucket of each.
    const MAIN: &str = r#"
        #include <stdio.h>
        typedef unsigned long long u64;
        typedef int s32;
        #define INLINE static inline
        #include "bucket.h"
        int main(void)
        {
            u64 duration;
            while (scanf("%llu", &duration) == 1)
                printf("%d\n", bucket_of(duration));
            return 0;
        }
    "#;

    /// All small ones, and around every edge of every octave.
    fn durations() -> impl Iterator<Item = u64> {
        let edges = (0..8).map(|j| (2f64.powf(63.0 + f64::from(j) / 8.0)) as u64);
        let near = edges.flat_map(|edge| {
            (0..63).flat_map(move |shift| {
                let edge = edge >> shift;
                // A double has 53 bits: the edge itself lies within some thousand of what it says.
                (0..4096)
                    .chain([1 << 20])
                    .flat_map(move |off: u64| [edge.saturating_sub(off), edge.saturating_add(off)])
            })
        });
        let mut random = 1u64;
        let spread = (0..200_000).map(move |turn| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            random >> (turn % 64)
        });
        (0..100_000).chain([u64::MAX]).chain(near).chain(spread)
    }

    #[test]
    fn the_programs_buckets_are_those_of_totals() {
        let place = tempfile::tempdir().expect("a temporary folder");
        let program = place.path().join("bucket");
        let clang = std::env::var("CLANG").unwrap_or_else(|_| "clang".into());
        let mut compile = Command::new(clang);
        compile.args(["-O1", "-x", "c", "-I", concat!(env!("CARGO_MANIFEST_DIR"), "/src/observe"), "-", "-o"]);
        let mut compile = compile.arg(&program).stdin(Stdio::piped()).spawn().expect("clang, which built us");
        compile.stdin.take().expect("piped").write_all(MAIN.as_bytes()).expect("clang reads");
        assert!(compile.wait().expect("clang").success());
        let input = place.path().join("durations");
        let text: Vec<String> = durations().map(|duration| duration.to_string()).collect();
        std::fs::write(&input, text.join("\n")).expect("written");
        let output =
            Command::new(&program).stdin(std::fs::File::open(&input).expect("there")).output().expect("it runs");
        let told = String::from_utf8(output.stdout).expect("numbers");
        let mut compared = 0;
        for (duration, bucket) in durations().zip(told.lines()) {
            assert_eq!(bucket.parse(), Ok(bucket_of(duration)), "{duration}");
            compared += 1;
        }
        assert_eq!(compared, text.len());
    }
}
