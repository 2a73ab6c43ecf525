//! All of it by an ordinary user, and what such a user is refused.

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use support::*;

/// Anybody but root; it needs no entry in the user database.
const USER: u32 = 1000;
const DEVICE: &str = "/dev/fuse";

/// /dev/fuse as distributions have it, for the time of one test; then as it was.
struct OpenDevice {
    before: fs::Permissions,
    _alone: MutexGuard<'static, ()>,
}

impl OpenDevice {
    fn with_mode(mode: u32) -> OpenDevice {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let before = fs::metadata(DEVICE).unwrap().permissions();
        fs::set_permissions(DEVICE, fs::Permissions::from_mode(mode)).unwrap();
        OpenDevice { before, _alone: alone }
    }
}

impl Drop for OpenDevice {
    fn drop(&mut self) {
        fs::set_permissions(DEVICE, self.before.clone()).unwrap();
    }
}

/// A scratch directory that belongs to the user, with the binary where the user can reach it.
struct Home {
    scratch: Scratch,
    binary: PathBuf,
}

impl Home {
    fn new() -> Home {
        let scratch = Scratch::new();
        let binary = scratch.path("glassfs-recorder");
        fs::copy(env!("CARGO_BIN_EXE_glassfs-recorder"), &binary).unwrap();
        fs::create_dir(scratch.path("runtime")).unwrap();
        for place in [scratch.path("."), scratch.path("runtime"), scratch.tree(), scratch.tree().join("hello")] {
            chown(place, Some(USER), Some(USER)).unwrap();
        }
        Home { scratch, binary }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .args(arguments)
            .current_dir(self.scratch.tree())
            .env("XDG_RUNTIME_DIR", self.scratch.path("runtime"))
            .env("TMPDIR", self.scratch.path("."));
        // SAFETY: only async-signal-safe calls.
        unsafe {
            command.pre_exec(|| {
                let none: [libc::gid_t; 0] = [];
                let became = libc::setgroups(0, none.as_ptr()) == 0
                    && libc::setresgid(USER, USER, USER) == 0
                    && libc::setresuid(USER, USER, USER) == 0;
                if became { Ok(()) } else { Err(std::io::Error::last_os_error()) }
            });
        }
        command
    }

    /// Where runs hide their mounts.
    fn is_tidy(&self) -> bool {
        fs::read_dir(self.scratch.path("runtime")).unwrap().next().is_none()
    }

    fn run(&self, script: &str) -> Command {
        self.command(&["run", "--trace", self.scratch.trace().to_str().unwrap(), "--", "sh", "-c", script])
    }
}

fn cannot_be_a_user() -> bool {
    let lacks_helper = !Path::new("/usr/bin/fusermount3").exists();
    if lacks_helper {
        eprintln!("skipped: needs fusermount3");
    }
    cannot_mount() || lacks_helper
}

#[test]
fn a_user_gets_a_private_view_with_own_ids_and_no_capabilities() {
    if cannot_be_a_user() {
        return;
    }
    let _device = OpenDevice::with_mode(0o666);
    let home = Home::new();
    let shared = home.scratch.tree().join("shared");
    fs::write(&shared, "").unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o666)).unwrap();
    let done = finish(home.run(
        "pwd; id -u; id -g; cat hello; echo new > made; echo more > shared; grep -E 'Cap(Prm|Eff|Amb)' /proc/self/status | cut -f2; stat -f -c %T .; exit 4",
    ));
    let none = "0000000000000000";
    let expected =
        format!("{}\n{USER}\n{USER}\nhello\n{none}\n{none}\n{none}\nfuseblk\n", home.scratch.tree().display());
    assert_eq!((done.code(), done.out, done.err.as_str()), (Some(4), expected, ""));
    assert_eq!(fs::metadata(home.scratch.tree().join("made")).unwrap().uid(), USER);
    // Root's file, writable for all, is written though root is not known inside.
    assert_eq!(fs::read_to_string(shared).unwrap(), "more\n");
    let about = home.scratch.closed();
    assert_eq!((&about["mounts"][0]["private"], &about["command"]["exit_status"]), (&true.into(), &4.into()));
    assert!(home.is_tidy());
    assert!(!is_mounted(&home.scratch.tree()));
}

#[test]
fn a_users_background_process_stays_traced_and_leaves_nothing_behind() {
    if cannot_be_a_user() {
        return;
    }
    let _device = OpenDevice::with_mode(0o666);
    let home = Home::new();
    let go = home.scratch.path("go");
    let done = finish(home.run(&format!("while [ ! -e {} ]; do sleep 0.05; done > late & echo started", go.display())));
    assert_eq!((done.code(), done.out.as_str()), (Some(0), "started\n"));
    assert!(done.err.contains("still running in the traced view: sh ("), "{}", done.err);
    fs::write(go, "").unwrap();
    assert_eq!(home.scratch.closed()["end_reason"], "unmounted");
    assert!(home.is_tidy());
}

#[test]
fn a_users_killed_launcher_and_killed_recorder_leave_no_mount_behind() {
    if cannot_be_a_user() {
        return;
    }
    let _device = OpenDevice::with_mode(0o666);
    for victim in ["launcher", "recorder"] {
        let home = Home::new();
        let go = home.scratch.path("go");
        let launcher =
            start(home.run(&format!("echo ready; while [ ! -e {} ]; do sleep 0.05; done; cat hello", go.display())));
        launcher.wait_for_line("ready");
        let recorder = recorder_pid(&home.scratch);
        kill(if victim == "launcher" { launcher.pid() } else { recorder }, libc::SIGKILL);
        if victim == "launcher" {
            fs::write(&go, "").unwrap();
            home.scratch.closed();
        } else {
            wait_for("the launcher's words", || launcher.err().contains("was killed").then_some(()));
            fs::write(&go, "").unwrap();
            assert_eq!(launcher.finish().code(), Some(1), "cat found the mount dead");
        }
        wait_for("the recorder's end", || (!is_alive(recorder)).then_some(()));
        assert!(home.is_tidy(), "{victim}");
    }
}

#[test]
fn a_launcher_killed_at_any_moment_of_its_start_leaves_no_mount_behind() {
    if cannot_be_a_user() {
        return;
    }
    let _device = OpenDevice::with_mode(0o666);
    for number in 0..25 {
        let home = Home::new();
        let launcher = start(home.run("true"));
        // Any moment will do; the test passes at each.
        std::thread::sleep(std::time::Duration::from_millis(2) * number);
        launcher.kill(libc::SIGKILL);
        launcher.finish();
        wait_for("a tidy runtime directory", || home.is_tidy().then_some(()));
        if home.scratch.about().is_some() {
            home.scratch.closed();
        }
    }
}

/// Forbids user namespaces to the process, as some distributions do: unshare with CLONE_NEWUSER gives EPERM.
fn forbid_user_namespaces(command: &mut Command) {
    const fn instruction(code: u32, yes: u8, no: u8, k: u32) -> libc::sock_filter {
        libc::sock_filter { code: code as u16, jt: yes, jf: no, k }
    }
    const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    const ANSWER: u32 = libc::BPF_RET | libc::BPF_K;
    static FILTER: [libc::sock_filter; 6] = [
        // struct seccomp_data: nr at 0, the low half of the first argument at 16.
        instruction(LOAD, 0, 0, 0),
        instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 3, libc::SYS_unshare as u32),
        instruction(LOAD, 0, 0, 16),
        instruction(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, 0, 1, libc::CLONE_NEWUSER as u32),
        instruction(ANSWER, 0, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
        instruction(ANSWER, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    // SAFETY: only async-signal-safe calls; the filter is static. Root needs no no_new_privs, which would disarm fusermount3.
    unsafe {
        command.pre_exec(|| {
            let program = libc::sock_fprog { len: FILTER.len() as u16, filter: FILTER.as_ptr().cast_mut() };
            let set = libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program);
            if set == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
        });
    }
}

#[test]
fn without_user_namespaces_the_view_lies_over_the_directory_for_all_and_goes_away() {
    if cannot_be_a_user() {
        return;
    }
    let _device = OpenDevice::with_mode(0o666);
    let home = Home::new();
    let go = home.scratch.path("go");
    let script = format!("echo ready; cat hello; while [ ! -e {} ]; do sleep 0.05; done", go.display());
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "1000", "--regid", "1000", "--clear-groups"]).arg(&home.binary);
    command.arg("run").arg("--trace").arg(home.scratch.trace()).args(["--", "sh", "-c", &script]);
    command.current_dir(home.scratch.tree());
    forbid_user_namespaces(&mut command);
    let launcher = start(command);
    launcher.wait_for_line("hello");
    assert!(launcher.err().contains("the traced view is not private"), "{}", launcher.err());
    assert!(is_mounted(&home.scratch.tree()));
    fs::write(go, "").unwrap();
    assert_eq!(launcher.finish().code(), Some(0));
    assert!(!is_mounted(&home.scratch.tree()));
    let about = home.scratch.closed();
    assert_eq!(about["mounts"][0]["private"], false);
    assert_eq!(about["notes"][0]["kind"], "in place");
}

#[test]
fn propagation_between_namespaces_changes_nothing() {
    if cannot_be_a_user() {
        return;
    }
    let _device = OpenDevice::with_mode(0o666);
    let home = Home::new();
    let go = home.scratch.path("go");
    // As systemd has it: everything shared. The mounts made on the way must not show anywhere, nor take others with them.
    let (binary, trace) = (home.binary.display(), home.scratch.trace());
    let (trace, go, base) = (trace.display(), go.display(), home.scratch.path(""));
    let ready = home.scratch.path("ready");
    let ready = ready.display();
    let mounts = format!("grep -c 'fuse.glassfs {}' /proc/self/mountinfo", base.display());
    let script = format!(
        "setpriv --reuid {USER} --regid {USER} --clear-groups {binary} run --trace {trace} -- \
         sh -c 'touch {ready}; while [ ! -e {go} ]; do sleep 0.05; done; cat hello; stat -f -c %T .' & \
         while [ ! -e {ready} ]; do sleep 0.05; done; \
         {mounts}; touch {go}; wait; {mounts}"
    );
    let mut command = Command::new("unshare");
    command.args(["-m", "--propagation", "shared", "sh", "-c", &script]).current_dir(home.scratch.tree());
    command.env("XDG_RUNTIME_DIR", home.scratch.path("runtime"));
    let done = finish(command);
    assert_eq!(done.out, "0\nhello\nfuseblk\n0\n", "{}", done.err);
    home.scratch.closed();
    assert!(home.is_tidy());
}

#[test]
fn root_of_a_user_namespace_mounts_by_itself() {
    if cannot_be_a_user() {
        return;
    }
    let _device = OpenDevice::with_mode(0o666);
    let home = Home::new();
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "1000", "--regid", "1000", "--clear-groups", "unshare", "-Urm"]).arg(&home.binary);
    command.arg("run").arg("--trace").arg(home.scratch.trace()).args([
        "--",
        "sh",
        "-c",
        "cat hello; id -u; echo x > made",
    ]);
    command.current_dir(home.scratch.tree());
    let done = finish(command);
    assert_eq!((done.code(), done.out.as_str()), (Some(0), "hello\n0\n"), "{}", done.err);
    home.scratch.closed();
}

#[test]
fn a_user_mounts_and_unmounts() {
    if cannot_be_a_user() {
        return;
    }
    let _device = OpenDevice::with_mode(0o666);
    let home = Home::new();
    let point = home.scratch.path("mnt,x");
    fs::create_dir(&point).unwrap();
    chown(&point, Some(USER), Some(USER)).unwrap();
    let (tree, trace) = (home.scratch.tree(), home.scratch.trace());
    let done = finish(home.command(&[
        "mount",
        "--trace",
        trace.to_str().unwrap(),
        tree.to_str().unwrap(),
        point.to_str().unwrap(),
    ]));
    assert_eq!(done.code(), Some(0), "{}", done.err);
    assert!(is_mounted(&point));
    let done = finish(home.command(&["umount", point.to_str().unwrap()]));
    assert_eq!(done.code(), Some(0), "{}", done.err);
    assert!(!is_mounted(&point));
    assert_eq!(home.scratch.about().unwrap()["end_reason"], "unmounted");
}

#[test]
fn what_a_user_may_not_do_is_told_with_the_next_step() {
    if cannot_be_a_user() {
        return;
    }
    let _device = OpenDevice::with_mode(0o666);
    let home = Home::new();
    let secret = home.scratch.path("secret");
    fs::create_dir(&secret).unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o700)).unwrap();
    let trace = home.scratch.trace();
    let done = finish(home.command(&[
        "run",
        "--trace",
        trace.to_str().unwrap(),
        "-d",
        secret.to_str().unwrap(),
        "--",
        "true",
    ]));
    assert_eq!(done.code(), Some(125));
    assert!(done.err.contains("cannot read the directory"), "{}", done.err);
    let inside = secret.join("trace");
    let inside = inside.to_str().unwrap();
    let done = finish(home.command(&["run", "--trace", inside, "--", "true"]));
    assert_eq!(done.code(), Some(125));
    assert!(done.err.contains(inside), "{}", done.err);
    assert!(home.is_tidy());
    assert!(!is_mounted(&home.scratch.tree()));
}
