//! The binary: reads its command line, does one verb, and ends with its status. Prints every error, once.
#![cfg_attr(not(test), no_main)]

mod channel;
mod cli;
mod error;
mod mount;
mod plane;
mod probe;
mod procfs;
mod run;
mod schema;
mod serve;
mod sys;

use std::io::Write;
use std::panic::AssertUnwindSafe;

use clap::Parser;
use clap::error::ErrorKind;

use cli::{Cli, Verb};
use error::{Error, exit};

/// The C entry point. Rust's own would ignore SIGPIPE before anything of ours runs, and the command that `run` starts
/// would inherit that; so it would never learn that its reader has gone.
#[cfg_attr(not(test), unsafe(export_name = "main"))]
pub extern "C" fn start(_argc: libc::c_int, _argv: *const *const libc::c_char) -> libc::c_int {
    sys::fill_standard_streams();
    // A panic must not cross into C.
    let code = std::panic::catch_unwind(AssertUnwindSafe(act)).unwrap_or(exit::ENVIRONMENT);
    libc::c_int::from(code)
}

fn act() -> u8 {
    match Cli::try_parse() {
        Ok(cli) => perform(cli.verb),
        Err(error) => {
            let _ = error.print();
            let is_run = std::env::args_os().nth(1).is_some_and(|verb| verb == "run");
            match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => 0,
                _ if is_run => exit::RUN_FAILED,
                _ => exit::USAGE,
            }
        }
    }
}

fn perform(verb: Verb) -> u8 {
    match verb {
        Verb::Run(options) => match run::run(options) {
            Ok(ending) => run::end_like(ending),
            Err(error) => {
                complain(&error);
                match error.exit_code() {
                    exit::USAGE | exit::ENVIRONMENT => exit::RUN_FAILED,
                    code => code,
                }
            }
        },
        Verb::Mount(options) => end(mount::mount(options)),
        Verb::Umount(options) => end(mount::umount(options)),
        Verb::Probe(options) => end(probe::probe(options.cost).map(|facts| print(&facts))),
        Verb::TimeReads(options) => end(probe::time_reads(&options.file, options.count).map(|text| print(&text))),
        Verb::Schema => end(Ok(schema::schema()).map(|text| print(&text))),
        Verb::Version => end(Ok(env!("CARGO_PKG_VERSION")).map(print)),
    }
}

fn end(result: Result<(), Error>) -> u8 {
    match result {
        Ok(()) => 0,
        Err(error) => {
            complain(&error);
            error.exit_code()
        }
    }
}

/// stdout is data. A closed one is no reason to fail.
fn print(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// stderr is talk. A closed one is no reason to fail.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "glassfs: {}", shown(text));
}

fn complain(error: &Error) {
    let _ = writeln!(std::io::stderr(), "glassfs: {}\n  next: {}", shown(&error.to_string()), shown(&error.next()));
    for line in error.details() {
        let _ = writeln!(std::io::stderr(), "  | {}", shown(&line));
    }
}

/// Names may hold anything: control characters do not reach a terminal.
fn shown(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] }).collect()
}

/// Bytes as text for a message.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Nanoseconds since 1970.
fn wall_ns() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_nanos()).unwrap_or(i64::MAX)
}
