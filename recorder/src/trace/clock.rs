//! The trace's clock: monotonic time plus a wall offset that is fixed when the trace starts, so that a step of the wall
//! clock is a fact in the segments and never a jump in the events. Knows nothing of files.

/// What one reading of the three clocks said, taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Reading {
    pub mono_ns: i64,
    /// Goes on while the machine is suspended: mono and boot drift apart by the time asleep.
    pub boot_ns: i64,
    pub wall_ns: i64,
}

impl Reading {
    pub fn now() -> Reading {
        Reading {
            mono_ns: read(libc::CLOCK_MONOTONIC),
            boot_ns: read(libc::CLOCK_BOOTTIME),
            wall_ns: read(libc::CLOCK_REALTIME),
        }
    }
}

/// Turns monotonic times into the `ts_ns` of one trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Clock {
    pub wall_minus_mono_ns: i64,
}

impl Clock {
    /// Fixes the offset. Of several readings the one taken fastest counts: a thread that is interrupted between two
    /// clocks would shift every event of the trace.
    pub fn start() -> Clock {
        let wall_minus_mono_ns = (0..READINGS).map(|_| measured_offset()).min().map_or(0, |(_, offset)| offset);
        Clock { wall_minus_mono_ns }
    }

    pub fn ts_ns(self, mono_ns: u64) -> i64 {
        (mono_ns as i64).saturating_add(self.wall_minus_mono_ns)
    }

    pub fn now_ns(self) -> i64 {
        read(libc::CLOCK_MONOTONIC).saturating_add(self.wall_minus_mono_ns)
    }
}

/// Enough that one of them is not interrupted; each takes some 100 ns.
const READINGS: usize = 8;

/// (how long the reading took, wall minus mono).
fn measured_offset() -> (i64, i64) {
    let before = read(libc::CLOCK_MONOTONIC);
    let wall = read(libc::CLOCK_REALTIME);
    let after = read(libc::CLOCK_MONOTONIC);
    (after - before, wall - (before + (after - before) / 2))
}

fn read(clock: libc::clockid_t) -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec for the duration of the call; the clocks asked for exist since Linux 2.6.39,
    // so the call cannot fail.
    unsafe { libc::clock_gettime(clock, &mut time) };
    time.tv_sec * NS_PER_SECOND + time.tv_nsec
}

pub const NS_PER_SECOND: i64 = 1_000_000_000;

/// The start of the second that a time lies in; right before 1970 too.
pub fn second_of(ts_ns: i64) -> i64 {
    ts_ns.div_euclid(NS_PER_SECOND).saturating_mul(NS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_leads_from_monotonic_to_wall_time() {
        let clock = Clock::start();
        let reading = Reading::now();
        let difference = clock.ts_ns(reading.mono_ns as u64) - reading.wall_ns;
        assert!(difference.abs() < NS_PER_SECOND / 10, "off by {difference} ns");
        assert!(reading.boot_ns >= reading.mono_ns);
    }

    #[test]
    fn a_second_begins_at_or_before_its_times() {
        assert_eq!(second_of(1_999_999_999), 1_000_000_000);
        assert_eq!(second_of(2_000_000_000), 2_000_000_000);
        assert_eq!(second_of(-1), -1_000_000_000);
        assert_eq!(second_of(i64::MIN), i64::MIN);
    }
}
