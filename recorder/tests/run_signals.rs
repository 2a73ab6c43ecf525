//! `run` and signals: what the terminal, a caller or the command itself sends reaches whom it should, as the real binary does it.

mod support;

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Stdio;

use support::*;

#[test]
fn a_signal_that_ends_the_command_ends_the_launcher() {
    if cannot_mount() {
        return;
    }
    for signal in [libc::SIGTERM, libc::SIGKILL, libc::SIGSEGV, libc::SIGINT] {
        let scratch = Scratch::new();
        let done = finish(scratch.run(&format!("kill -{signal} $$")));
        assert_eq!(done.signal(), Some(signal));
        let about = scratch.closed();
        assert_eq!((&about["command"]["signal"], &about["command"]["exit_status"]), (&signal.into(), &().into()));
    }
}

#[test]
fn the_command_inherits_its_callers_signal_settings() {
    if cannot_mount() {
        return;
    }
    let script = "grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status";
    let settings = |mut command: std::process::Command| {
        // SAFETY: only async-signal-safe calls.
        unsafe {
            command.pre_exec(|| {
                libc::signal(libc::SIGHUP, libc::SIG_IGN);
                libc::signal(libc::SIGPIPE, libc::SIG_DFL);
                let mut set = std::mem::zeroed();
                libc::sigemptyset(&mut set);
                libc::sigaddset(&mut set, libc::SIGUSR2);
                libc::sigprocmask(libc::SIG_SETMASK, &set, std::ptr::null_mut());
                Ok(())
            });
        }
        finish(command).out
    };
    let mut bare = std::process::Command::new("sh");
    bare.args(["-c", script]);
    assert_eq!(settings(Scratch::new().run(script)), settings(bare));
}

#[test]
fn an_interrupt_before_the_command_runs_ends_the_run() {
    if cannot_mount() {
        return;
    }
    let interrupts = std::time::Duration::from_millis(1);
    for number in 0..30 {
        let scratch = Scratch::new();
        // No shell: dash itself can miss an interrupt while it starts a command.
        let mut command = recorder();
        command.current_dir(scratch.tree()).arg("run").arg("--trace").arg(scratch.trace()).args(["--", "sleep", "60"]);
        let launcher = start(command);
        // Any moment will do; the test passes at each.
        std::thread::sleep(interrupts * number);
        launcher.kill_group(libc::SIGINT);
        assert_eq!(launcher.finish().signal(), Some(libc::SIGINT), "after {number} ms");
        if scratch.about().is_some() {
            scratch.closed();
        }
    }
}

#[test]
fn the_terminals_interrupt_is_the_commands_to_handle() {
    if cannot_mount() {
        return;
    }
    let scratch = Scratch::new();
    let launcher = start(scratch.run("trap 'echo caught; exit 42' INT; echo ready; while :; do sleep 0.05; done"));
    launcher.wait_for_line("ready");
    launcher.kill_group(libc::SIGINT);
    let done = launcher.finish();
    assert_eq!((done.code(), done.out.as_str()), (Some(42), "ready\ncaught\n"), "{}", done.err);
    scratch.closed();
}

#[test]
fn an_interrupt_that_nobody_handles_ends_the_command_and_then_the_launcher() {
    if cannot_mount() {
        return;
    }
    let scratch = Scratch::new();
    let mut command = recorder();
    command.current_dir(scratch.tree()).arg("run").arg("--trace").arg(scratch.trace()).args(["--", "cat"]);
    command.stdin(Stdio::piped());
    let launcher = start(command);
    wait_for("the command", || (scratch.about()?["command"]["pid"] != 0).then_some(()));
    launcher.kill_group(libc::SIGINT);
    assert_eq!(launcher.finish().signal(), Some(libc::SIGINT));
    assert_eq!(scratch.closed()["command"]["signal"], libc::SIGINT);
}

#[test]
fn a_signal_to_the_launcher_alone_reaches_the_command() {
    if cannot_mount() {
        return;
    }
    // Started by nohup it is ignored, and a shell cannot trap what was ignored when it began.
    // SAFETY: no handler, and nobody here depends on the disposition.
    unsafe { libc::signal(libc::SIGHUP, libc::SIG_DFL) };
    for (signal, name) in [(libc::SIGTERM, "TERM"), (libc::SIGHUP, "HUP"), (libc::SIGUSR1, "USR1")] {
        let scratch = Scratch::new();
        let launcher = start(scratch.run(&format!("trap 'exit 3' {name}; echo ready; while :; do sleep 0.05; done")));
        launcher.wait_for_line("ready");
        launcher.kill(signal);
        assert_eq!(launcher.finish().code(), Some(3), "{name}");
    }
}

#[test]
fn the_terminals_stop_stops_launcher_and_command_and_both_go_on() {
    if cannot_mount() {
        return;
    }
    let scratch = Scratch::new();
    let go = scratch.path("go");
    let launcher =
        start(scratch.run(&format!("echo ready; while [ ! -e {} ]; do sleep 0.05; done; echo on", go.display())));
    launcher.wait_for_line("ready");
    let state =
        |pid: i32| fs::read_to_string(format!("/proc/{pid}/stat")).unwrap().rsplit(") ").next().unwrap().chars().next();
    // An orphaned group is not stopped by SIGTSTP; ours has its parent, the test, in another group of the same session.
    launcher.kill_group(libc::SIGTSTP);
    wait_for("the launcher to stop", || (state(launcher.pid()) == Some('T')).then_some(()));
    launcher.kill_group(libc::SIGCONT);
    fs::write(go, "").unwrap();
    assert_eq!(launcher.finish().out, "ready\non\n");
}
