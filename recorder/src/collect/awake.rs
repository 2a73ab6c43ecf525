//! Keeps the CPUs of a small guest from halting while requests flow. A request wakes two threads; where the hypervisor must
//! bring a halted CPU back each time, that is half of a round trip (measured on 2 CPUs of such a guest, 4 KiB reads: 34
//! against 72 thousand a second; a metadata storm: 4.5 against 2.7 s). Holding the kernel's PM QoS request
//! (Documentation/power/pm_qos_interface.rst) makes idle CPUs poll instead, and ends with the descriptor, however we end.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

/// Requests between two looks of the busy collector (10 ms) from which on waking costs more than polling: 5,000 a second.
const FLOW: usize = 50;

/// Looks without such a flow until the CPUs may halt again: a tenth of a second.
const QUIET_LOOKS: u32 = 10;

/// Every idle CPU polls while this holds: a price for a small machine only.
const MAX_CPUS: usize = 8;

/// From here on a guest's CPUs poll long enough on their own (the kernel's own setting is 200,000).
const GUEST_POLLS_NS: u64 = 100_000;

/// "Wake within 0 microseconds": cpuidle's haltpoll governor then only polls (haltpoll_select).
const NO_LATENCY_US: i32 = 0;

const DEVICE: &str = "/dev/cpu_dma_latency";

pub struct Awake {
    device: Option<PathBuf>,
    held: Option<File>,
    quiet: u32,
}

impl Awake {
    /// For this machine; does nothing where halting is cheap, or where we may not say (the device is root's).
    pub fn here() -> Awake {
        Awake::with((cpus_halt_at_once() && cpus() <= MAX_CPUS).then(|| PathBuf::from(DEVICE)))
    }

    /// Whether this process will be able to.
    pub fn works_here() -> bool {
        Awake::here().device.is_some_and(|device| OpenOptions::new().write(true).open(device).is_ok())
    }

    fn with(device: Option<PathBuf>) -> Awake {
        Awake { device, held: None, quiet: 0 }
    }

    /// Tells how many requests have come since the last look.
    pub fn look(&mut self, requests: usize) {
        if requests >= FLOW {
            self.quiet = 0;
            self.hold();
        } else if self.held.is_some() {
            self.quiet += 1;
            if self.quiet >= QUIET_LOOKS {
                self.held = None;
            }
        }
    }

    fn hold(&mut self) {
        let Some(device) = self.device.as_ref().filter(|_| self.held.is_none()) else { return };
        match hold(device) {
            Ok(held) => self.held = Some(held),
            // It would fail again each time.
            Err(_) => self.device = None,
        }
    }
}

fn hold(device: &Path) -> std::io::Result<File> {
    let mut file = OpenOptions::new().write(true).open(device)?;
    file.write_all(&NO_LATENCY_US.to_ne_bytes())?;
    Ok(file)
}

fn cpus() -> usize {
    available_parallelism().map_or(usize::MAX, usize::from)
}

/// Whether idle CPUs of this machine halt at once, and only the hypervisor can wake them.
pub fn cpus_halt_at_once() -> bool {
    idle_is_left_to_the_hypervisor(Path::new("/sys"))
}

/// `sys`: where sysfs is mounted.
fn idle_is_left_to_the_hypervisor(sys: &Path) -> bool {
    let read = |file: &str| fs::read_to_string(sys.join(file)).unwrap_or_default();
    let polls_ns = read("module/haltpoll/parameters/guest_halt_poll_ns").trim().parse::<u64>();
    read("devices/system/cpu/cpuidle/current_driver").trim() == "haltpoll"
        && polls_ns.is_ok_and(|ns| ns < GUEST_POLLS_NS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_a_device() -> (tempfile::TempDir, Awake) {
        let scratch = tempfile::tempdir().unwrap();
        let device = scratch.path().join("cpu_dma_latency");
        fs::write(&device, "").unwrap();
        (scratch, Awake::with(Some(device)))
    }

    #[test]
    fn a_flow_of_requests_holds_the_cpus_awake_and_quiet_lets_them_go() {
        let (scratch, mut awake) = on_a_device();
        awake.look(FLOW - 1);
        assert!(awake.held.is_none());
        awake.look(FLOW);
        assert_eq!(fs::read(scratch.path().join("cpu_dma_latency")).unwrap(), [0; 4]);
        (1..QUIET_LOOKS).for_each(|_| awake.look(0));
        assert!(awake.held.is_some(), "one look too early");
        awake.look(FLOW - 1);
        assert!(awake.held.is_none());
    }

    #[test]
    fn a_flow_that_comes_back_begins_the_quiet_anew() {
        let (_scratch, mut awake) = on_a_device();
        awake.look(FLOW);
        (1..QUIET_LOOKS).for_each(|_| awake.look(0));
        awake.look(FLOW);
        (1..QUIET_LOOKS).for_each(|_| awake.look(0));
        assert!(awake.held.is_some());
    }

    #[test]
    fn a_device_that_is_not_ours_is_asked_once() {
        let mut awake = Awake::with(Some(PathBuf::from("/nonexistent/cpu_dma_latency")));
        awake.look(FLOW);
        assert!(awake.held.is_none() && awake.device.is_none());
    }

    #[test]
    fn only_a_guest_that_halts_at_once_is_kept_awake() {
        let sys = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| {
            let file = sys.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        assert!(!idle_is_left_to_the_hypervisor(sys.path()));
        write("devices/system/cpu/cpuidle/current_driver", "haltpoll\n");
        write("module/haltpoll/parameters/guest_halt_poll_ns", "0\n");
        assert!(idle_is_left_to_the_hypervisor(sys.path()));
        write("module/haltpoll/parameters/guest_halt_poll_ns", "200000\n");
        assert!(!idle_is_left_to_the_hypervisor(sys.path()));
        write("module/haltpoll/parameters/guest_halt_poll_ns", "0\n");
        write("devices/system/cpu/cpuidle/current_driver", "intel_idle\n");
        assert!(!idle_is_left_to_the_hypervisor(sys.path()));
    }
}
