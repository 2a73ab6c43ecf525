//! `mount`, `umount`, and what is refused.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use support::*;

/// A mount that is taken away when the test fails.
struct Mounted {
    point: PathBuf,
    told: serde_json::Value,
}

impl Mounted {
    fn by(command: std::process::Command) -> Mounted {
        let done = finish(command);
        assert_eq!(done.code(), Some(0), "{}", done.err);
        let told: serde_json::Value = serde_json::from_str(&done.out).unwrap();
        Mounted { point: PathBuf::from(told["mount_point"].as_str().unwrap()), told }
    }

    fn pid(&self) -> i32 {
        self.told["pid"].as_i64().unwrap() as i32
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if is_mounted(&self.point) {
            let _ = std::process::Command::new("umount").arg("-l").arg(&self.point).status();
        }
    }
}

fn umount(point: &Path) -> Done {
    let mut command = recorder();
    command.arg("umount").arg(point);
    finish(command)
}

fn with_mount_point() -> (Scratch, PathBuf) {
    let scratch = Scratch::new();
    let point = scratch.path("mnt");
    fs::create_dir(&point).unwrap();
    (scratch, point)
}

/// Refused with this code; the message has these words and a next step; nothing was mounted or written.
fn refused(scratch: &Scratch, arguments: &[&Path], code: i32, words: &str) {
    let done = finish(scratch.mount(arguments));
    assert_eq!(done.code(), Some(code), "{}", done.err);
    assert!(done.err.contains(words) && done.err.contains("\n  next: "), "{}", done.err);
    assert!(!scratch.trace().exists(), "{}", done.err);
}

#[test]
fn a_mount_shows_the_source_and_umount_waits_for_its_trace() {
    if cannot_mount() {
        return;
    }
    let (scratch, point) = with_mount_point();
    let mounted = Mounted::by(scratch.mount(&[&scratch.tree(), &point]));
    assert_eq!(mounted.told["source"], scratch.tree().to_str().unwrap());
    assert_eq!(mounted.told["trace"], scratch.trace().to_str().unwrap());
    assert_eq!(mounted.told["private"], false);
    assert_eq!(fs::read_to_string(point.join("hello")).unwrap(), "hello\n");
    fs::write(point.join("made"), "x").unwrap();
    assert_eq!(fs::read_to_string(scratch.tree().join("made")).unwrap(), "x");
    let done = umount(&point);
    assert_eq!(done.code(), Some(0), "{}", done.err);
    assert!(!is_mounted(&point));
    // No waiting here: it was closed when umount returned.
    let about = scratch.about().unwrap();
    assert!(!about["end_ns"].is_null());
    assert_eq!(about["end_reason"], "unmounted");
}

#[test]
fn a_mount_over_the_source_itself_keeps_its_paths() {
    if cannot_mount() {
        return;
    }
    let scratch = Scratch::new();
    let mounted = Mounted::by(scratch.mount(&[&scratch.tree()]));
    assert_eq!(mounted.point, scratch.tree());
    fs::write(scratch.tree().join("made"), "x").unwrap();
    assert_eq!(umount(&scratch.tree()).code(), Some(0));
    assert_eq!(fs::read_to_string(scratch.tree().join("made")).unwrap(), "x");
}

#[test]
fn a_busy_mount_stays_and_who_keeps_it_is_named() {
    if cannot_mount() {
        return;
    }
    let (scratch, point) = with_mount_point();
    let mounted = Mounted::by(scratch.mount(&[&scratch.tree(), &point]));
    let mut command = std::process::Command::new("sleep");
    command.arg("60").current_dir(&point);
    let holder = start(command);
    let done = umount(&point);
    assert_eq!(done.code(), Some(3));
    assert!(done.err.contains(&format!("sleep ({}) has its working directory there", holder.pid())), "{}", done.err);
    assert!(is_mounted(&point) && is_alive(mounted.pid()));
    drop(holder);
    wait_for("the mount to be free", || (umount(&point).code() == Some(0)).then_some(()));
}

#[test]
fn a_signal_to_the_recorder_unmounts_and_closes_the_trace() {
    if cannot_mount() {
        return;
    }
    let (scratch, point) = with_mount_point();
    let mounted = Mounted::by(scratch.mount(&[&scratch.tree(), &point]));
    kill(mounted.pid(), libc::SIGTERM);
    scratch.closed();
    assert!(!is_mounted(&point));
}

#[test]
fn a_signal_while_busy_serves_those_inside_until_they_leave() {
    if cannot_mount() {
        return;
    }
    let (scratch, point) = with_mount_point();
    let mounted = Mounted::by(scratch.mount(&[&scratch.tree(), &point]));
    let mut inside = std::process::Command::new("sh");
    inside.args(["-c", "echo ready; read line; cat hello"]).current_dir(&point).stdin(std::process::Stdio::piped());
    let mut child = inside.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    kill(mounted.pid(), libc::SIGTERM);
    wait_for("the mount to vanish", || (!is_mounted(&point)).then_some(()));
    drop(child.stdin.take());
    line.clear();
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    assert_eq!(line, "hello\n");
    child.wait().unwrap();
    assert_eq!(scratch.closed()["end_reason"], "unmounted");
}

#[test]
fn in_the_foreground_it_lasts_until_it_is_told_to_end() {
    if cannot_mount() {
        return;
    }
    let (scratch, point) = with_mount_point();
    let mut command = scratch.mount(&[&scratch.tree(), &point]);
    command.arg("--foreground");
    let recorder = start(command);
    wait_for("the mount", || is_mounted(&point).then_some(()));
    wait_for("its line", || recorder.out().contains("\"mount_point\"").then_some(()));
    recorder.kill(libc::SIGINT);
    assert_eq!(recorder.finish().code(), Some(0));
    assert!(!is_mounted(&point));
    assert!(!scratch.about().unwrap()["end_ns"].is_null());
}

#[test]
fn a_dead_mount_is_told_from_a_missing_directory_and_can_be_unmounted() {
    if cannot_mount() {
        return;
    }
    let (scratch, point) = with_mount_point();
    let mounted = Mounted::by(scratch.mount(&[&scratch.tree(), &point]));
    kill(mounted.pid(), libc::SIGKILL);
    wait_for("its death", || (!is_alive(mounted.pid())).then_some(()));
    assert_eq!(fs::read_dir(&point).unwrap_err().raw_os_error(), Some(libc::ENOTCONN));
    let mut command = recorder();
    command.arg("mount").arg("--trace").arg(scratch.path("trace2")).arg(scratch.tree()).arg(&point);
    let done = finish(command);
    assert_eq!(done.code(), Some(3));
    assert!(done.err.contains("dead mount") && done.err.contains("glassfs umount"), "{}", done.err);
    let done = umount(&point);
    assert_eq!(done.code(), Some(0), "{}", done.err);
    assert!(fs::read_dir(&point).is_ok());
    assert!(scratch.about().unwrap()["end_ns"].is_null(), "it ended without a goodbye");
}

#[test]
fn a_cut_connection_ends_the_trace_and_the_directory_comes_back() {
    if cannot_mount() {
        return;
    }
    let scratch = Scratch::new();
    let mounted = Mounted::by(scratch.mount(&[&scratch.tree()]));
    let dev = wait_for("the device", || scratch.about()?["mounts"][0]["dev"].as_u64().filter(|dev| *dev != 0));
    let control = PathBuf::from(format!("/sys/fs/fuse/connections/{}", libc::minor(dev)));
    if !control.exists() && !mount_fusectl() {
        eprintln!("skipped: no fusectl here");
        return;
    }
    fs::write(control.join("abort"), "1").unwrap();
    let about = scratch.closed();
    assert_eq!(about["end_reason"], "device error: the connection was aborted");
    wait_for("the bare directory", || fs::read(mounted.point.join("hello")).ok());
}

fn mount_fusectl() -> bool {
    let mount = std::process::Command::new("mount").args(["-t", "fusectl", "none", "/sys/fs/fuse/connections"]).status();
    mount.is_ok_and(|status| status.success())
}

#[test]
fn bad_sources_and_mount_points_are_refused_with_the_next_step() {
    if cannot_mount() {
        return;
    }
    let (scratch, point) = with_mount_point();
    let tree = scratch.tree();
    let inside = tree.join("inside");
    fs::create_dir(&inside).unwrap();
    refused(&scratch, &[&scratch.path("missing"), &point], 2, "no such directory");
    refused(&scratch, &[&tree.join("hello"), &point], 2, "not a directory");
    refused(&scratch, &[Path::new("/"), &point], 2, "the root directory cannot be traced");
    refused(&scratch, &[&tree, &scratch.path("missing")], 2, "no mount point");
    refused(&scratch, &[&tree, &tree.join("hello")], 2, "mount point is not a directory");
    refused(&scratch, &[&tree, &inside], 2, "mount point is inside the source");
    refused(&scratch, &[&inside, &tree], 2, "source is inside the mount point");
    fs::write(point.join("file"), "").unwrap();
    refused(&scratch, &[&tree, &point], 2, "mount point is not empty");
}

#[test]
fn a_trace_inside_what_it_traces_is_refused() {
    if cannot_mount() {
        return;
    }
    let (scratch, point) = with_mount_point();
    let link = scratch.path("link");
    std::os::unix::fs::symlink(scratch.tree(), &link).unwrap();
    for place in [scratch.tree().join("trace"), scratch.tree().join("a/b/c"), link.join("trace"), point.join("trace")] {
        let mut command = recorder();
        command.arg("mount").arg("--trace").arg(&place).arg(scratch.tree()).arg(&point);
        let done = finish(command);
        assert_eq!(done.code(), Some(2), "{}", place.display());
        assert!(done.err.contains("must not lie in what it traces"), "{}", done.err);
    }
}

#[test]
fn a_trace_that_cannot_be_written_or_is_there_is_refused_before_anything_is_mounted() {
    if cannot_mount() {
        return;
    }
    let (scratch, point) = with_mount_point();
    fs::create_dir(scratch.trace()).unwrap();
    fs::write(scratch.trace().join("old"), "").unwrap();
    let done = finish(scratch.mount(&[&scratch.tree(), &point]));
    assert_eq!(done.code(), Some(3));
    assert!(done.err.contains("already there"), "{}", done.err);
    let mut command = recorder();
    command.arg("mount").arg("--trace").arg("/proc/trace").arg(scratch.tree()).arg(&point);
    let done = finish(command);
    assert_eq!(done.code(), Some(3));
    assert!(!is_mounted(&point));
}

#[test]
fn a_second_tracer_on_the_same_source_is_refused_and_the_first_is_named() {
    if cannot_mount() {
        return;
    }
    let (scratch, point) = with_mount_point();
    let mounted = Mounted::by(scratch.mount(&[&scratch.tree(), &point]));
    let mut command = recorder();
    command.current_dir(scratch.tree()).arg("run").arg("--trace").arg(scratch.path("trace2")).args(["--", "true"]);
    let done = finish(command);
    assert_eq!(done.code(), Some(125));
    assert!(done.err.contains(&format!("already traced: {}: by glassfs-recorde ({})", scratch.tree().display(), mounted.pid())), "{}", done.err);
    for place in [&point, &point.join(".")] {
        let mut command = recorder();
        command.arg("mount").arg("--trace").arg(scratch.path("trace2")).arg(place);
        let done = finish(command);
        assert_eq!(done.code(), Some(2));
        assert!(done.err.contains("already a glassfs mount"), "{}", done.err);
    }
    let mut command = recorder();
    let other = scratch.path("other");
    fs::create_dir(&other).unwrap();
    command.arg("mount").arg("--trace").arg(scratch.path("trace2")).arg(other).arg(&point);
    let done = finish(command);
    assert!(done.code() == Some(3) && done.err.contains("already mounted"), "{}", done.err);
    assert_eq!(umount(&point).code(), Some(0));
}

#[test]
fn a_lock_on_a_file_there_is_refused_with_its_holder() {
    if cannot_mount() {
        return;
    }
    let (scratch, point) = with_mount_point();
    let mut command = std::process::Command::new("flock");
    command.arg(scratch.tree().join("hello")).args(["-c", "echo locked; exec sleep 60"]);
    let holder = start(command);
    holder.wait_for_line("locked");
    let done = finish(scratch.mount(&[&scratch.tree(), &point]));
    assert_eq!(done.code(), Some(3), "{}", done.err);
    assert!(done.err.contains("locks do not cross the mount") && done.err.contains("hello"), "{}", done.err);
    assert!(done.err.contains("(") && !is_mounted(&point));
    drop(holder);
}

#[test]
fn who_has_the_directory_open_and_links_that_leave_it_are_named() {
    if cannot_mount() {
        return;
    }
    let (scratch, point) = with_mount_point();
    fs::create_dir(scratch.path("wal")).unwrap();
    std::os::unix::fs::symlink("../wal", scratch.tree().join("pg_wal")).unwrap();
    let mut command = std::process::Command::new("sleep");
    command.arg("60").current_dir(scratch.tree());
    let holder = start(command);
    let done = finish(scratch.mount(&[&scratch.tree(), &point]));
    assert_eq!(done.code(), Some(0), "{}", done.err);
    assert!(done.err.contains(&format!("sleep ({})", holder.pid())), "{}", done.err);
    assert!(done.err.contains(&format!("add -d {}", scratch.path("wal").display())), "{}", done.err);
    let kinds: Vec<_> = scratch.about().unwrap()["notes"].as_array().unwrap().iter().map(|note| note["kind"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kinds, ["holder", "symlink"]);
    drop(holder);
    assert_eq!(umount(&point).code(), Some(0));
}

#[test]
fn only_mounts_of_ours_are_unmounted() {
    if cannot_mount() {
        return;
    }
    let scratch = Scratch::new();
    let done = umount(&scratch.tree());
    assert_eq!(done.code(), Some(2));
    assert!(done.err.contains("nothing is mounted there"), "{}", done.err);
    let done = umount(Path::new("/proc"));
    assert_eq!(done.code(), Some(2));
    assert!(done.err.contains("it is proc"), "{}", done.err);
}

#[test]
fn flags_of_the_sources_mount_hold_for_the_view() {
    if cannot_mount() {
        return;
    }
    let (scratch, point) = with_mount_point();
    let tmpfs = scratch.path("tmpfs");
    fs::create_dir(&tmpfs).unwrap();
    let mount = |arguments: &[&str]| std::process::Command::new("mount").args(arguments).arg(&tmpfs).status().unwrap().success();
    assert!(mount(&["-t", "tmpfs", "-o", "nosuid,nodev,noexec", "none"]));
    fs::write(tmpfs.join("x"), "").unwrap();
    assert!(mount(&["-o", "remount,ro,nosuid,nodev,noexec"]));
    let mounted = Mounted::by(scratch.mount(&[&tmpfs, &point]));
    let line = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let line = line.lines().find(|line| line.split(' ').nth(4) == point.to_str()).unwrap().to_owned();
    assert!(line.contains(" ro,nosuid,nodev,noexec,noatime "), "{line}");
    assert_eq!(fs::write(point.join("y"), "").unwrap_err().raw_os_error(), Some(libc::EROFS));
    assert_eq!(umount(&mounted.point).code(), Some(0));
    assert!(std::process::Command::new("umount").arg("-l").arg(&tmpfs).status().unwrap().success());
}

#[test]
fn facts_are_json() {
    for verb in ["probe", "schema"] {
        let mut command = recorder();
        command.arg(verb);
        let done = finish(command);
        assert_eq!(done.code(), Some(0), "{}", done.err);
        assert!(serde_json::from_str::<serde_json::Value>(&done.out).unwrap().is_object());
    }
    let mut command = recorder();
    command.arg("nonsense");
    assert_eq!(finish(command).code(), Some(2));
}
