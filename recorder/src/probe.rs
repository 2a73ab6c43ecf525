//! `probe`: what works on this machine, as facts; `doctor` makes advice of them. Changes nothing; with `--cost` it traces
//! a private directory of its own for a moment.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use glassfs_recorder::collect::{Awake, cpus_halt_at_once};
use serde_json::{Value, json};

use crate::error::Error;
use crate::mount::{fuse, fusermount};
use crate::{plane, run, sys};

/// FUSE_NOTIFY_PRUNE came with it.
const PRUNE_KERNEL: (u32, u32) = (6, 18);
const READ_BYTES: usize = 4096;

pub fn probe(cost: bool) -> Result<String, Error> {
    let (release, version) = sys::kernel_release();
    let (uid, _) = sys::effective_ids();
    let (soft, hard) = descriptor_limits();
    let mut facts = json!({
        "recorder": env!("CARGO_PKG_VERSION"),
        "kernel": {"release": release, "version": [version.0, version.1], "new_enough": version >= fuse::OLDEST_KERNEL},
        "uid": uid,
        "fuse_device": fuse_device(),
        "fusermount3": fusermount3(),
        "user_namespaces": user_namespaces(),
        "capabilities": {
            "sys_admin": sys::has_capability(sys::CAP_SYS_ADMIN),
            "dac_read_search": sys::has_capability(sys::CAP_DAC_READ_SEARCH),
            "bpf": sys::has_capability(sys::CAP_BPF),
            "sys_admin_by_setuid": sys::may_regain(sys::CAP_SYS_ADMIN),
            "perfmon": sys::has_capability(sys::CAP_PERFMON),
        },
        "descriptors": {"soft": soft, "hard": hard},
        "file_handles": file_handles().is_ok(),
        "notify_prune": version >= PRUNE_KERNEL,
        "fuse_io_uring": module_switch("/sys/module/fuse/parameters/enable_uring"),
        "kernel_plane": plane::missing().or_else(plane::does_not_start).map_or_else(
            || json!({"works": true, "missing": null, "next": null}),
            |missing| json!({"works": false, "missing": missing.what, "next": missing.next}),
        ),
        "idle_cpus": {"halt_at_once": cpus_halt_at_once(), "kept_awake": Awake::works_here()},
        "btf": Path::new("/sys/kernel/btf/vmlinux").exists(),
    });
    facts["way"] = json!(way(&facts));
    if cost {
        facts["cost"] = measure()?;
    }
    Ok(facts.to_string())
}

fn outcome(result: io::Result<()>) -> Value {
    json!({"works": result.is_ok(), "error": result.err().map(|cause| cause.to_string())})
}

fn fuse_device() -> Value {
    let path = Path::new(fuse::DEVICE);
    let data = fs::metadata(path).ok().filter(fuse::is_device);
    let mode = data.map(|data| format!("{:04o}", data.permissions().mode() & 0o7777));
    let mut facts = outcome(fuse::device().map(drop));
    facts["path"] = json!(path);
    facts["present"] = json!(mode.is_some());
    facts["mode"] = json!(mode);
    facts
}

fn fusermount3() -> Value {
    let path = fusermount::find();
    let is_setuid = path
        .as_deref()
        .and_then(|path| fs::metadata(path).ok())
        .map(|data| data.mode() & libc::S_ISUID != 0 && data.uid() == 0);
    json!({"path": path, "setuid_root": is_setuid})
}

fn user_namespaces() -> Value {
    let place = std::env::temp_dir();
    outcome(run::user_namespaces_work(&place))
}

/// How `run` would cover a directory here.
fn way(facts: &Value) -> &'static str {
    let works = |name: &str| facts[name]["works"] == true;
    match () {
        _ if !works("fuse_device") => "none",
        _ if fuse::may_mount() => "private mount namespace",
        // Then fusermount3 gets no further either.
        _ if !sys::may_regain(sys::CAP_SYS_ADMIN) => "none",
        _ if facts["fusermount3"]["setuid_root"] != true => "none",
        _ if works("user_namespaces") => "user namespace",
        _ => "in place",
    }
}

fn descriptor_limits() -> (u64, u64) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: limit is ours.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    (limit.rlim_cur, limit.rlim_max)
}

/// A module's Y or N; None: this kernel has no such switch.
fn module_switch(path: &str) -> Option<bool> {
    Some(fs::read_to_string(path).ok()?.trim() == "Y")
}

/// Whether inodes can be held by handle here (name_to_handle_at, open_by_handle_at).
fn file_handles() -> io::Result<()> {
    /// MAX_HANDLE_SZ; the kernel fills at most that.
    const MAX_HANDLE_BYTES: usize = 128;
    #[repr(C)]
    struct Handle {
        bytes: libc::c_uint,
        kind: libc::c_int,
        space: [u8; MAX_HANDLE_BYTES],
    }
    let file = std::env::current_exe()?;
    let path = sys::c_path(&file)?;
    let mut handle = Handle { bytes: MAX_HANDLE_BYTES as libc::c_uint, kind: 0, space: [0; MAX_HANDLE_BYTES] };
    let mut mount = 0;
    let directory = sys::open_at(None, file.parent().unwrap_or(Path::new("/")), libc::O_RDONLY | libc::O_DIRECTORY)?;
    // SAFETY: handle has the layout of struct file_handle with MAX_HANDLE_BYTES behind it; the path outlives the calls.
    unsafe {
        let pointer = (&raw mut handle).cast::<libc::file_handle>();
        sys::check(libc::name_to_handle_at(libc::AT_FDCWD, path.as_ptr(), pointer, &mut mount, 0))?;
        let fd = sys::check(libc::open_by_handle_at(directory.as_raw_fd(), pointer, libc::O_PATH | libc::O_CLOEXEC))?;
        drop(<OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(fd));
    }
    Ok(())
}

/// The same reads of one file, bare and traced, each in a process of its own.
fn measure() -> Result<Value, Error> {
    let place = TemporaryDirectory::make()
        .map_err(|cause| Error::system("cannot make a directory", "the temporary directory", cause))?;
    let failed = |cause| Error::system("cannot measure", place.0.to_string_lossy(), cause);
    let directory = place.0.join("traced");
    let file = directory.join("file");
    fs::create_dir(&directory).and_then(|()| fs::write(&file, [1; 64 * READ_BYTES])).map_err(failed)?;
    let binary = std::env::current_exe().map_err(failed)?;
    let mut bare = Command::new(&binary);
    bare.arg("time-reads").arg(&file);
    let mut traced = Command::new(&binary);
    traced
        .arg("run")
        .arg("--trace")
        .arg(place.0.join("trace"))
        .arg("-d")
        .arg(&directory)
        .arg("--")
        .arg(&binary)
        .arg("time-reads")
        .arg(&file);
    let (bare, traced) = (nanoseconds(bare).map_err(failed)?, nanoseconds(traced).map_err(failed)?);
    Ok(json!({"read_bytes": READ_BYTES, "bare_ns": bare, "traced_ns": traced}))
}

fn nanoseconds(mut command: Command) -> io::Result<u64> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::piped()).output()?;
    let told = String::from_utf8_lossy(&output.stdout).trim().parse();
    told.map_err(|_| io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

struct TemporaryDirectory(PathBuf);

impl TemporaryDirectory {
    fn make() -> io::Result<TemporaryDirectory> {
        let path = sys::unguessable_name(&std::env::temp_dir())?;
        sys::make_private_directory(&path)?;
        Ok(TemporaryDirectory(path))
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Reads of 4 KiB at changing places, and what one took: the fastest of several rounds, since others use the machine too.
pub fn time_reads(path: &Path, count: u32) -> Result<String, Error> {
    const ROUNDS: u32 = 5;
    let failed = |cause| Error::system("cannot read", path.to_string_lossy(), cause);
    let file = fs::File::open(path).map_err(failed)?;
    let blocks = (file.metadata().map_err(failed)?.len() / READ_BYTES as u64).max(1);
    let mut buffer = [0; READ_BYTES];
    let mut fastest = u64::MAX;
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        for number in 0..u64::from(count) {
            file.read_exact_at(&mut buffer, number * 7 % blocks * READ_BYTES as u64).map_err(failed)?;
        }
        fastest = fastest.min(begin.elapsed().as_nanos() as u64 / u64::from(count.max(1)));
    }
    Ok(fastest.to_string())
}
