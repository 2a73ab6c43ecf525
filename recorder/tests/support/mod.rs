//! For tests of the binary: scratch directories, processes with deadlines, conditions that are waited for.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Nothing here takes longer, on a busy machine too.
pub const DEADLINE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(5);

pub fn recorder() -> Command {
    Command::new(env!("CARGO_BIN_EXE_glassfs-recorder"))
}

/// Says why and answers true where a test cannot run.
pub fn cannot_mount() -> bool {
    // SAFETY: cannot fail.
    let is_root = unsafe { libc::geteuid() } == 0;
    let cannot = !is_root || !Path::new("/dev/fuse").exists();
    if cannot {
        eprintln!("skipped: needs root and /dev/fuse");
    }
    cannot
}

/// Waits until `condition` gives something.
pub fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::sleep(LOOK);
    }
}

/// A directory to be traced, `tree`, and room beside it.
pub struct Scratch {
    directory: tempfile::TempDir,
}

impl Scratch {
    pub fn new() -> Scratch {
        let directory = tempfile::Builder::new().prefix("glassfs-test-").tempdir().unwrap();
        // Ordinary users are to get in too.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let scratch = Scratch { directory };
        fs::create_dir(scratch.tree()).unwrap();
        fs::write(scratch.tree().join("hello"), "hello\n").unwrap();
        scratch
    }

    pub fn path(&self, name: &str) -> PathBuf {
        fs::canonicalize(self.directory.path()).unwrap().join(name)
    }

    pub fn tree(&self) -> PathBuf {
        self.path("tree")
    }

    pub fn trace(&self) -> PathBuf {
        self.path("trace")
    }

    pub fn about(&self) -> Option<Value> {
        serde_json::from_slice(&fs::read(self.trace().join("trace.json")).ok()?).ok()
    }

    /// Waits for the trace's goodbye.
    pub fn closed(&self) -> Value {
        wait_for("the trace's end", || self.about().filter(|about| !about["end_ns"].is_null()))
    }

    /// `glassfs-recorder run` in the tree, of this shell script.
    pub fn run(&self, script: &str) -> Command {
        let mut command = recorder();
        command.current_dir(self.tree());
        command.arg("run").arg("--trace").arg(self.trace()).args(["--", "sh", "-c", script]);
        command
    }

    pub fn mount(&self, arguments: &[&Path]) -> Command {
        let mut command = recorder();
        command.arg("mount").arg("--trace").arg(self.trace()).args(arguments);
        command
    }
}

pub struct Done {
    pub status: ExitStatus,
    pub out: String,
    pub err: String,
}

impl Done {
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    pub fn signal(&self) -> Option<i32> {
        self.status.signal()
    }
}

/// A process that is killed when the test fails.
pub struct Started {
    child: Child,
    out: tempfile::NamedTempFile,
    err: tempfile::NamedTempFile,
}

/// Output goes to files, so that background processes which keep it open hold nobody up.
pub fn start(mut command: Command) -> Started {
    let (out, err) = (tempfile::NamedTempFile::new().unwrap(), tempfile::NamedTempFile::new().unwrap());
    command.stdout(out.reopen().unwrap()).stderr(err.reopen().unwrap());
    let child = command.process_group(0).spawn().unwrap();
    Started { child, out, err }
}

pub fn finish(command: Command) -> Done {
    start(command).finish()
}

/// With nothing on stdin.
pub fn finish_quietly(mut command: Command) -> Done {
    command.stdin(Stdio::null());
    finish(command)
}

impl Started {
    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    pub fn out(&self) -> String {
        text(self.out.path())
    }

    pub fn err(&self) -> String {
        text(self.err.path())
    }

    pub fn wait_for_line(&self, line: &str) {
        wait_for(line, || self.out().lines().any(|told| told == line).then_some(()));
    }

    pub fn kill(&self, signal: i32) {
        kill(self.pid(), signal);
    }

    pub fn kill_group(&self, signal: i32) {
        kill(-self.pid(), signal);
    }

    pub fn finish(mut self) -> Done {
        let status = wait_for("a process's end", || self.child.try_wait().unwrap());
        Done { status, out: self.out(), err: self.err() }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn text(path: &Path) -> String {
    let mut bytes = Vec::new();
    fs::File::open(path).unwrap().read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

pub fn kill(pid: i32, signal: i32) {
    // SAFETY: a process of the test's own.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0, "kill {pid}");
}

pub fn is_alive(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().and_then(|rest| rest.trim().chars().next()).is_some_and(|state| state != 'Z')
}

/// The recorder's pid, once the trace has been made.
pub fn recorder_pid(scratch: &Scratch) -> i32 {
    wait_for("the trace", || Some(scratch.about()?["recorder"]["pid"].as_i64()? as i32))
}

/// Whether this process sees a mount of ours there.
pub fn is_mounted(point: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    mounts.lines().any(|line| line.contains("fuse.glassfs") && line.split(' ').nth(4) == point.to_str())
}
