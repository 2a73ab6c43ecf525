//! Whether this process may use eBPF at all: a container's seccomp profile, a security module or lockdown refuse it with all
//! capabilities there, and a loader's own words for that lead nowhere. Leaves nothing behind.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

/// Commands of bpf(2).
const MAP_CREATE: libc::c_int = 0;
const PROG_LOAD: libc::c_int = 5;
/// A map of one number; a program for a tracepoint, which answers 0.
const MAP_TYPE_ARRAY: u32 = 2;
const PROG_TYPE_RAW_TRACEPOINT: u32 = 17;
const ANSWER_0: [u64; 2] = [0xb7, 0x95];

/// The beginning of union bpf_attr, for each command.
#[repr(C)]
struct Map {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
}

#[repr(C)]
struct Program {
    prog_type: u32,
    instructions: u32,
    code: *const u64,
    licence: *const libc::c_char,
}

/// What is refused, and why.
pub fn ebpf() -> Result<(), (&'static str, io::Error)> {
    let map = Map { map_type: MAP_TYPE_ARRAY, key_size: 4, value_size: 8, max_entries: 1 };
    bpf(MAP_CREATE, &map).map_err(|cause| ("map", cause))?;
    let program = Program {
        prog_type: PROG_TYPE_RAW_TRACEPOINT,
        instructions: ANSWER_0.len() as u32,
        code: ANSWER_0.as_ptr(),
        licence: c"GPL".as_ptr(),
    };
    bpf(PROG_LOAD, &program).map_err(|cause| ("program", cause))
}

fn bpf<T>(command: libc::c_int, attributes: &T) -> io::Result<()> {
    // SAFETY: the kernel reads `attributes`, which is as long as it is told, and what it points to, which is static.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, command, &raw const *attributes, size_of::<T>()) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: bpf has just returned it.
    drop(unsafe { OwnedFd::from_raw_fd(fd as libc::c_int) });
    Ok(())
}
