//! `run`: what the command, its terminal and its parent notice of being traced, which is nothing.

mod support;

use std::fs;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::Stdio;

use support::*;

#[test]
fn the_exit_status_is_the_commands() {
    if cannot_mount() {
        return;
    }
    for status in [0, 7, 125] {
        let scratch = Scratch::new();
        let done = finish(scratch.run(&format!("exit {status}")));
        assert_eq!((done.code(), done.err.as_str()), (Some(status), ""));
        let about = scratch.closed();
        assert_eq!(about["command"]["exit_status"], status);
        assert_eq!(about["end_reason"], "unmounted");
    }
}

#[test]
fn a_command_that_is_not_there_is_127_and_one_that_cannot_run_is_126() {
    if cannot_mount() {
        return;
    }
    let scratch = Scratch::new();
    fs::write(scratch.tree().join("script"), "#!/bin/sh\n").unwrap();
    let try_command = |name: &str| {
        let mut command = recorder();
        command.current_dir(scratch.tree()).arg("run").arg("--trace").arg(scratch.trace()).args(["--", name]);
        finish(command)
    };
    for (name, code) in
        [("no-such-command", 127), ("./no-such-file", 127), ("./script", 126), ("./", 126), ("./hello/x", 127)]
    {
        let done = try_command(name);
        assert_eq!(done.code(), Some(code), "{name}: {}", done.err);
        assert!(done.err.contains(name) && done.err.contains("\n  next: "), "{}", done.err);
    }
    assert!(!scratch.trace().exists(), "nothing ran, so there is nothing to keep");
}

#[test]
fn a_script_whose_interpreter_is_missing_is_told_by_exec_itself() {
    if cannot_mount() {
        return;
    }
    let scratch = Scratch::new();
    let script = scratch.tree().join("script");
    fs::write(&script, "#!/no/such/interpreter\n").unwrap();
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut command = recorder();
    command.current_dir(scratch.tree()).arg("run").arg("--trace").arg(scratch.trace()).args(["--", "./script"]);
    assert_eq!(finish(command).code(), Some(127));
    scratch.closed();
}

#[test]
fn the_command_finds_its_directory_its_ids_and_its_files_as_they_were() {
    if cannot_mount() {
        return;
    }
    let scratch = Scratch::new();
    fs::create_dir(scratch.tree().join("sub")).unwrap();
    let mut command = recorder();
    command.current_dir(scratch.tree().join("sub")).arg("run").arg("--trace").arg(scratch.trace());
    command.arg("-d").arg(scratch.tree()).args([
        "--",
        "sh",
        "-c",
        "pwd -P; umask; id -u; id -G; cat ../hello; echo new > ../made; findmnt -n -o FSTYPE -T .",
    ]);
    // SAFETY: only async-signal-safe calls.
    unsafe {
        command.pre_exec(|| {
            libc::umask(0o027);
            Ok(())
        });
    }
    let done = finish(command);
    let here = scratch.tree().join("sub");
    let groups = String::from_utf8(std::process::Command::new("id").arg("-G").output().unwrap().stdout).unwrap();
    assert_eq!(done.out, format!("{}\n0027\n0\n{groups}hello\nfuse.glassfs\n", here.display()), "{}", done.err);
    assert_eq!(fs::read_to_string(scratch.tree().join("made")).unwrap(), "new\n");
    assert!(!is_mounted(&scratch.tree()), "the view is the command's alone");
}

#[test]
fn standard_input_and_other_descriptors_pass_through() {
    if cannot_mount() {
        return;
    }
    let scratch = Scratch::new();
    let mut command = scratch.run("cat; cat <&9");
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let extra = fs::File::open(scratch.tree().join("hello")).unwrap();
    let number = std::os::fd::AsRawFd::as_raw_fd(&extra);
    // SAFETY: dup2 is async-signal-safe.
    unsafe {
        command
            .pre_exec(move || if libc::dup2(number, 9) == 9 { Ok(()) } else { Err(std::io::Error::last_os_error()) });
    }
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"in\x00\xff\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.stdout, b"in\x00\xff\nhello\n");
}

#[test]
fn the_command_finds_open_what_its_caller_left_open_and_nothing_of_ours() {
    if cannot_mount() {
        return;
    }
    let scratch = Scratch::new();
    let recorder = env!("CARGO_BIN_EXE_glassfs-recorder");
    let traced = format!("{recorder} run --trace {} -d {} --", scratch.trace().display(), scratch.tree().display());
    // ls opens the directory that it lists. A closed stream stays closed.
    let listed = |prefix: &str| {
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &format!("{prefix} /bin/ls /proc/self/fd <&- | cat")]);
        finish(command).out
    };
    assert_eq!(listed(&traced), listed(""));
    assert_eq!(scratch.closed()["command"]["exit_status"], 0);
}

#[test]
fn what_cannot_be_traced_is_refused_before_anything_runs() {
    if cannot_mount() {
        return;
    }
    let scratch = Scratch::new();
    let missing = scratch.path("missing");
    let inside = scratch.tree().join("trace");
    let (tree, trace) = (scratch.tree(), scratch.trace());
    let cases: [(&[&std::path::Path], &str); 5] = [
        (&["--trace".as_ref(), &trace, "-d".as_ref(), &missing, "--".as_ref(), "true".as_ref()], "no such directory"),
        (
            &["--trace".as_ref(), &trace, "-d".as_ref(), "/".as_ref(), "--".as_ref(), "true".as_ref()],
            "the root directory",
        ),
        (&["--trace".as_ref(), &inside, "--".as_ref(), "true".as_ref()], "must not lie in what it traces"),
        (
            &["--trace".as_ref(), &tree, "-d".as_ref(), &scratch.path("."), "--".as_ref(), "true".as_ref()],
            "must not lie",
        ),
        (&["--trace".as_ref(), &trace], "required arguments"),
    ];
    for (arguments, words) in cases {
        let mut command = recorder();
        command.current_dir(scratch.tree()).arg("run").args(arguments);
        let done = finish(command);
        assert_eq!(done.code(), Some(125), "{}", done.err);
        assert!(done.err.contains(words), "{}", done.err);
    }
    assert!(!trace.exists() && !inside.exists());
}

#[test]
fn a_background_process_outlives_the_command_and_is_traced_to_its_end() {
    if cannot_mount() {
        return;
    }
    let scratch = Scratch::new();
    let go = scratch.path("go");
    let done =
        finish(scratch.run(&format!("while [ ! -e {} ]; do sleep 0.05; done > late & echo started", go.display())));
    assert_eq!((done.code(), done.out.as_str()), (Some(0), "started\n"));
    assert!(done.err.starts_with("glassfs: still running in the traced view: sh ("), "{}", done.err);
    let about = scratch.about().unwrap();
    assert!(about["end_ns"].is_null());
    assert_eq!(about["command"]["remaining"][0]["comm"], "sh");
    fs::write(go, "").unwrap();
    scratch.closed();
    assert!(scratch.tree().join("late").exists());
}

#[test]
fn a_killed_launcher_leaves_the_view_to_the_command_and_the_trace_is_closed_after_it() {
    if cannot_mount() {
        return;
    }
    let scratch = Scratch::new();
    let go = scratch.path("go");
    let launcher = start(
        scratch.run(&format!("echo ready; while [ ! -e {} ]; do sleep 0.05; done; cat hello > copy", go.display())),
    );
    launcher.wait_for_line("ready");
    launcher.kill(libc::SIGKILL);
    assert_eq!(launcher.finish().signal(), Some(libc::SIGKILL));
    assert!(is_alive(recorder_pid(&scratch)));
    fs::write(go, "").unwrap();
    let about = scratch.closed();
    assert_eq!(about["end_reason"], "unmounted");
    assert_eq!(fs::read_to_string(scratch.tree().join("copy")).unwrap(), "hello\n");
}

#[test]
fn a_killed_recorder_gives_the_command_errors_and_the_launcher_says_so() {
    if cannot_mount() {
        return;
    }
    let scratch = Scratch::new();
    let go = scratch.path("go");
    let launcher = start(
        scratch.run(&format!("echo ready; while [ ! -e {} ]; do sleep 0.05; done; cat hello; exit 9", go.display())),
    );
    launcher.wait_for_line("ready");
    let recorder = recorder_pid(&scratch);
    kill(recorder, libc::SIGKILL);
    wait_for("the launcher's words", || launcher.err().contains("was killed").then_some(()));
    fs::write(go, "").unwrap();
    let done = launcher.finish();
    assert_eq!(done.code(), Some(9));
    assert!(done.err.contains("Transport endpoint is not connected"), "{}", done.err);
    assert!(scratch.about().unwrap()["end_ns"].is_null(), "it ended without a goodbye");
    assert_eq!(fs::read_to_string(scratch.tree().join("hello")).unwrap(), "hello\n");
}

#[test]
fn two_directories_are_one_trace_and_one_inside_another_is_covered() {
    if cannot_mount() {
        return;
    }
    let scratch = Scratch::new();
    for name in ["one", "two", "one/inner"] {
        fs::create_dir(scratch.path(name)).unwrap();
    }
    let mut command = recorder();
    command.arg("run").arg("--trace").arg(scratch.trace());
    for name in ["one", "one/inner", "two"] {
        command.arg("-d").arg(scratch.path(name));
    }
    let script = format!(
        "for d in {0} {1}; do findmnt -n -o FSTYPE -T $d; echo x > $d/f; done",
        scratch.path("one").display(),
        scratch.path("two").display()
    );
    let done = finish({
        command.args(["--", "sh", "-c", &script]);
        command
    });
    assert_eq!(done.out, "fuse.glassfs\nfuse.glassfs\n", "{}", done.err);
    let about = scratch.closed();
    let points: Vec<_> =
        about["mounts"].as_array().unwrap().iter().map(|mount| mount["mount_point"].as_str().unwrap()).collect();
    assert_eq!(points, [scratch.path("one").to_str().unwrap(), scratch.path("two").to_str().unwrap()]);
    assert!(about["mounts"].as_array().unwrap().iter().all(|mount| mount["private"] == true && mount["dev"] != 0));
}

/// Unmounts when dropped.
struct Tmpfs(std::path::PathBuf);

impl Tmpfs {
    fn at(path: std::path::PathBuf) -> Tmpfs {
        fs::create_dir(&path).unwrap();
        let done = std::process::Command::new("mount").args(["-t", "tmpfs", "none"]).arg(&path).status().unwrap();
        assert!(done.success());
        Tmpfs(path)
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_nested_mount_stays_what_it_was() {
    if cannot_mount() {
        return;
    }
    let scratch = Scratch::new();
    let nested = Tmpfs::at(scratch.tree().join("nested"));
    fs::write(nested.0.join("inside"), "inside\n").unwrap();
    let done = finish(scratch.run("cat nested/inside; stat -f -c %T nested; stat -f -c %T ."));
    assert_eq!(done.out, "inside\ntmpfs\nfuseblk\n", "{}", done.err);
    assert!(done.err.contains("nested is a mount of its own"), "{}", done.err);
    assert_eq!(scratch.closed()["notes"][0]["kind"], "nested mount");
}

#[test]
fn what_goes_on_elsewhere_is_named() {
    if cannot_mount() {
        return;
    }
    let scratch = Scratch::new();
    fs::write(scratch.path("elsewhere"), "x").unwrap();
    fs::copy("/bin/sleep", scratch.tree().join("sleeper")).unwrap();
    fs::set_permissions(scratch.tree().join("sleeper"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let done = finish(scratch.run("exec 7< ../elsewhere 8< hello; ./sleeper 0.4"));
    assert_eq!(done.code(), Some(0), "{}", done.err);
    let about = scratch.closed();
    let command = &about["command"];
    let elsewhere: Vec<_> =
        command["open_elsewhere"].as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap()).collect();
    assert!(elsewhere.contains(&scratch.path("elsewhere").to_str().unwrap()), "{elsewhere:?}");
    assert!(!elsewhere.iter().any(|path| path.starts_with(scratch.tree().to_str().unwrap())), "{elsewhere:?}");
    assert_eq!(command["mapped"][0], scratch.tree().join("sleeper").to_str().unwrap());
    assert_eq!(command["io_uring"], false);
}

#[test]
fn the_bytes_of_the_whole_process_tree_are_counted_and_ours_are_not() {
    if cannot_mount() {
        return;
    }
    let scratch = Scratch::new();
    fs::write(scratch.tree().join("large"), vec![7; 10 << 20]).unwrap();
    let done = finish(scratch.run("(cat large; cat large) > /dev/null; cat large > copy"));
    assert_eq!(done.code(), Some(0), "{}", done.err);
    let about = scratch.closed();
    let read = about["command"]["read_bytes"].as_u64().unwrap();
    let written = about["command"]["written_bytes"].as_u64().unwrap();
    let least = 30 << 20;
    // Beside the files: what sh and cat read of themselves and their libraries.
    assert!((least..least + (1 << 20)).contains(&read), "{read}");
    assert!((least..least + (1 << 20)).contains(&written), "{written}");
}
