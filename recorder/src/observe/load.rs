//! Loads and attaches the program, and tells it which mounts are ours.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use aya::maps::{Array, Map, MapData, MapFd};
use aya::programs::BtfTracePoint;
use aya::{Btf, Ebpf, EbpfLoader, Pod};

use super::calls::{TABLE, names_by_number};
use super::compat;
use super::failure::Failure;
use super::maps::Maps;
use super::ring::{CONTROL_BYTES, REPORT_BYTES, Ring};
use super::shed::Sheds;

static WITH_CASTS: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/program.casts.o"));
static WITH_READS: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/program.reads.o"));

/// What the program calls where it means bpf_rdonly_cast; see `cast` there.
const CAST_PLACEHOLDER: [u8; 8] = [0x85, 0x20, 0, 0, 0x01, 0x7a, 0x7a, 0x7a];

/// Each program, and the tracepoint of its name. Without the last calls that need the recorder stay requests.
const CALLS: [(&str, &str); 2] = [("call_begins", "sys_enter"), ("call_ends", "sys_exit")];
const REQUESTS: (&str, &str) = ("request_sent", "fuse_request_send");

/// Their arguments are these since Linux 6.11; without them reads and writes by io_uring are not seen.
const IO_URING: [(&str, &str); 2] = [("io_submitted", "io_uring_submit_req"), ("io_completed", "io_uring_complete")];

/// What becomes of processes; without them the recorder finds it by looking, later.
const CHANGES: [(&str, &str); 3] =
    [("task_ends", "sched_process_exit"), ("task_executes", "sched_process_exec"), ("task_renamed", "task_rename")];

/// MOUNTS and SLOTS in the program.
const MOUNTS: u32 = 4096;
const SLOTS: u32 = 16384;

/// Four calls, each with durations of 100 different buckets, make 400 sums a second: the reader may be away for 20 s.
const SUMS: u32 = 8192;

/// For all rings together: memory of the kernel's, charged to our cgroup.
const RINGS_BYTES: usize = 256 << 20;
/// A ring on two CPUs: 0.2 s of 600,000 calls a second, for a reader that runs at nice -15 (measured: with 400 threads
/// nothing is lost). And the least that is of use.
const MOST_REPORTS: usize = 1 << 17;
const LEAST_REPORTS: usize = 1 << 12;

/// How much room there is: reports in each ring, slots for calls under way, those for calls whose slot is taken, and
/// different sums of what a full ring refuses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub reports: usize,
    pub slots: u32,
    pub crowded: u32,
    pub sums: u32,
}

impl Room {
    fn for_cpus(cpus: usize) -> Room {
        let fitting = (RINGS_BYTES / REPORT_BYTES / cpus.max(1)).max(1);
        let power = 1 << fitting.ilog2();
        let room = Room { reports: power.clamp(LEAST_REPORTS, MOST_REPORTS), slots: SLOTS, crowded: SLOTS, sums: SUMS };
        #[cfg(feature = "failpoints")]
        let room = super::failpoint::room(room);
        room
    }
}

/// The program, attached for as long as this lives.
pub struct Observer {
    ebpf: Ebpf,
    maps: Maps,
    without: Vec<String>,
}

#[derive(Clone, Copy)]
#[repr(C)]
struct Mount {
    dev: u32,
    connection: u32,
}

// SAFETY: two plain numbers, no padding.
unsafe impl Pod for Mount {}

impl Observer {
    /// Loads and attaches; nothing is reported until a mount is watched.
    pub fn load() -> Result<(Observer, Ring), Failure> {
        if TABLE.is_empty() {
            return Err(Failure::Architecture);
        }
        if !Path::new("/sys/kernel/btf/vmlinux").exists() {
            return Err(Failure::Types("there is none".into()));
        }
        let btf = Btf::from_sys_fs().map_err(|cause| Failure::Types(cause.to_string()))?;
        let cpus = aya::util::nr_cpus().map_err(|(_, cause)| Failure::Map(cause))?;
        let room = Room::for_cpus(cpus);
        let mut without = Vec::new();
        let mut ebpf = load_object(&btf, cpus, room, &mut without)?;
        attach(&mut ebpf, &btf, &mut without)?;
        if let Err(cause) = attach_io_uring(&mut ebpf, &btf) {
            without.push(format!("reads and writes by io_uring are not seen: {cause}"));
        }
        for (program, tracepoint) in CHANGES {
            if let Err(cause) = attach_one(&mut ebpf, &btf, program, tracepoint) {
                without.push(format!("what becomes of processes is found later: {cause}"));
            }
        }
        let ring = ring(&mut ebpf, cpus, room.reports)?;
        let maps = Maps::new(array(&ebpf, "mapped")?).map_err(Failure::Map)?;
        Ok((Observer { ebpf, maps, without }, ring))
    }

    /// What this kernel does not let us have, and why.
    pub fn without(&self) -> &[String] {
        &self.without
    }

    /// Which files of this mount may have shared maps: to be asked once it is watched.
    pub fn shared_maps(&self, connection: u8) -> Maps {
        self.maps.of(connection)
    }

    /// From now on calls on this mount are reported. `dev`: its st_dev.
    pub fn watch(&mut self, connection: u8, dev: u64) -> Result<(), Failure> {
        let dev = kernel_device(dev);
        let map = self.ebpf.map_mut("mounts").ok_or(Failure::NoTracepoint("mounts"))?;
        let mut mounts: Array<&mut MapData, Mount> = map.try_into().map_err(refused)?;
        let place = dev & (MOUNTS - 1);
        let there = mounts.get(&place, 0).map_err(refused)?;
        if there.dev != 0 && there.dev != dev {
            return Err(Failure::Mounts(dev));
        }
        mounts.set(place, Mount { dev, connection: connection.into() }, 0).map_err(refused)
    }
}

fn refused(cause: impl std::error::Error) -> Failure {
    Failure::refused(cause)
}

/// Casts first: where the kernel has no such function, or its verifier does not take it, the slower way.
fn load_object(btf: &Btf, cpus: usize, room: Room, without: &mut Vec<String>) -> Result<Ebpf, Failure> {
    #[cfg(feature = "failpoints")]
    if super::failpoint::is_refused() {
        return load_bytes(WITH_CASTS, btf, cpus, room);
    }
    match with_casts(btf).map(|object| load_bytes(&object, btf, cpus, room)) {
        Some(Ok(ebpf)) => return Ok(ebpf),
        Some(Err(cause)) => without.push(format!("the program reads the kernel's memory a slower way: {cause}")),
        None => {}
    }
    load_bytes(WITH_READS, btf, cpus, room)
}

/// The library knows no kernel functions: their calls are completed here, by the running kernel's number.
fn with_casts(btf: &Btf) -> Option<Vec<u8>> {
    let id = btf.id_by_type_name_kind("bpf_rdonly_cast", aya_obj::btf::BtfKind::Func).ok()?;
    let mut object = WITH_CASTS.to_vec();
    let mut at = 0;
    while let Some(found) = object[at..].windows(8).position(|bytes| bytes == CAST_PLACEHOLDER) {
        at += found;
        object[at + 4..at + 8].copy_from_slice(&id.to_le_bytes());
        at += 8;
    }
    Some(object)
}

fn load_bytes(object: &[u8], btf: &Btf, cpus: usize, room: Room) -> Result<Ebpf, Failure> {
    let pid_namespace = pid_namespace();
    // In a container the kernel's own number of this process is not known; that it is left out only spares time.
    let self_tgid = if pid_namespace == 0 { std::process::id() } else { 0 };
    let (ring_mask, slot_mask) = (room.reports as u32 - 1, room.slots - 1);
    let (calls, calls_of_32_bits) = (names_by_number(), compat::by_number());
    let mut loader = EbpfLoader::new();
    loader.btf(Some(btf));
    loader.override_global("self_tgid", &self_tgid, true);
    loader.override_global("pid_namespace", &pid_namespace, true);
    loader.override_global("ring_mask", &ring_mask, true);
    loader.override_global("slot_mask", &slot_mask, true);
    loader.override_global("calls", &calls, true);
    loader.override_global("calls_of_32_bits", &calls_of_32_bits, true);
    loader.map_max_entries("crowded", room.crowded);
    loader.map_max_entries("sheds", room.sums);
    loader.map_max_entries("records", (cpus * room.reports) as u32);
    loader.map_max_entries("controls", cpus as u32);
    let mut ebpf = loader.load(object).map_err(refused)?;
    for (program, tracepoint) in CALLS {
        load_program(&mut ebpf, program, tracepoint, btf)?;
    }
    Ok(ebpf)
}

fn program_of<'a>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut BtfTracePoint, Failure> {
    ebpf.program_mut(name).ok_or(Failure::NoTracepoint(name))?.try_into().map_err(refused)
}

fn load_program(ebpf: &mut Ebpf, name: &'static str, tracepoint: &str, btf: &Btf) -> Result<(), Failure> {
    program_of(ebpf, name)?.load(tracepoint, btf).map_err(|cause| Failure::load(name, cause))
}

fn attach(ebpf: &mut Ebpf, btf: &Btf, without: &mut Vec<String>) -> Result<(), Failure> {
    let (program, tracepoint) = REQUESTS;
    match load_program(ebpf, program, tracepoint, btf) {
        Ok(()) => {
            program_of(ebpf, program)?.attach().map_err(refused)?;
        }
        Err(cause) => without.push(format!("calls that need the recorder stay requests: {cause}")),
    }
    // The end first: a call that begins before the other is attached is then merely not seen.
    for (program, _) in CALLS.into_iter().rev() {
        program_of(ebpf, program)?.attach().map_err(refused)?;
    }
    Ok(())
}

fn attach_one(ebpf: &mut Ebpf, btf: &Btf, program: &'static str, tracepoint: &str) -> Result<(), Failure> {
    load_program(ebpf, program, tracepoint, btf)?;
    program_of(ebpf, program)?.attach().map(drop).map_err(refused)
}

/// Both or none: what is submitted must be seen to complete.
fn attach_io_uring(ebpf: &mut Ebpf, btf: &Btf) -> Result<(), Failure> {
    for (program, tracepoint) in IO_URING {
        load_program(ebpf, program, tracepoint, btf)?;
    }
    for (program, _) in IO_URING.into_iter().rev() {
        program_of(ebpf, program)?.attach().map_err(refused)?;
    }
    Ok(())
}

fn ring(ebpf: &mut Ebpf, cpus: usize, per_cpu: usize) -> Result<Ring, Failure> {
    let sheds = ebpf.take_map("sheds").ok_or(Failure::NoTracepoint("sheds"))?;
    let sheds = Sheds::new(sheds).map_err(refused)?;
    debug_assert!(CONTROL_BYTES.is_multiple_of(64));
    Ring::map(array(ebpf, "records")?, array(ebpf, "controls")?, sheds, (cpus, per_cpu)).map_err(Failure::Map)
}

fn array<'a>(ebpf: &'a Ebpf, name: &'static str) -> Result<&'a MapFd, Failure> {
    match ebpf.map(name) {
        Some(Map::Array(map)) => Ok(map.fd()),
        _ => Err(Failure::NoTracepoint(name)),
    }
}

/// Whose numbers of processes are ours: its inode, 0 for the first.
fn pid_namespace() -> u32 {
    /// PROC_PID_INIT_INO of the kernel: the same on every machine.
    const FIRST: u64 = 0xEFFF_FFFC;
    let inode = std::fs::metadata("/proc/self/ns/pid").map_or(FIRST, |of| of.ino());
    if inode == FIRST { 0 } else { inode as u32 }
}

/// The kernel's own dev_t: 12 bits of major, 20 of minor.
fn kernel_device(dev: u64) -> u32 {
    libc::major(dev) << 20 | libc::minor(dev) & 0xf_ffff
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Loading needs what `mount` needs too.
    fn cannot_load() -> bool {
        // SAFETY: cannot fail.
        let is_root = unsafe { libc::geteuid() } == 0;
        let cannot = !is_root || !Path::new("/sys/kernel/btf/vmlinux").exists();
        if cannot {
            eprintln!("skipped: needs root and a kernel with BTF");
        }
        cannot
    }

    #[test]
    fn the_verifier_takes_the_program_either_way() {
        if cannot_load() {
            return;
        }
        let btf = Btf::from_sys_fs().unwrap();
        load_whole(WITH_READS, &btf).unwrap();
        if let Some(object) = with_casts(&btf) {
            load_whole(&object, &btf).unwrap();
        }
    }

    /// All of its programs, whatever the tracepoints' arguments are here.
    fn load_whole(object: &[u8], btf: &Btf) -> Result<(), Failure> {
        let mut ebpf = load_bytes(object, btf, 2, Room::for_cpus(2))?;
        for (program, tracepoint) in [REQUESTS].into_iter().chain(IO_URING).chain(CHANGES) {
            load_program(&mut ebpf, program, tracepoint, btf)?;
        }
        Ok(())
    }

    #[test]
    fn a_program_that_the_verifier_refuses_is_named_with_what_it_says() {
        if cannot_load() {
            return;
        }
        // Its casts call a kernel function that there is not.
        let failure = load_bytes(WITH_CASTS, &Btf::from_sys_fs().unwrap(), 2, Room::for_cpus(2)).map(drop).unwrap_err();
        let told = failure.to_string();
        assert!(told.contains("call_begins") && told.contains("btf_id 2054846977"), "{told}");
        assert!(failure.log().iter().any(|line| told.contains(line.trim())), "{:?}", failure.log());
    }
}
