//! The binary's command line. People use Python's `glassfs`; this one is its servant, and alone the agent of a container.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

#[derive(Parser)]
#[command(name = "glassfs-recorder", about = "Serves a transparent filesystem and records what programs do to it")]
pub struct Cli {
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Subcommand)]
pub enum Verb {
    /// Run a command with a private, traced view of its directory
    Run(RunOptions),
    /// Mount a traced view of SOURCE at MOUNT_POINT, or over SOURCE itself
    Mount(MountOptions),
    /// Unmount, and wait until the trace is closed
    Umount(UmountOptions),
    /// What works on this machine, as JSON
    Probe(ProbeOptions),
    /// The words and columns of a trace, as JSON
    Schema,
    /// The version
    Version,
    /// What `probe --cost` times: reads of a file, 4 KiB each; prints nanoseconds per read
    #[command(hide = true)]
    TimeReads(TimeReadsOptions),
}

#[derive(Args)]
pub struct RunOptions {
    /// The folder the trace is written to; must not exist
    #[arg(long)]
    pub trace: PathBuf,
    /// A directory to trace; the current one if none is given
    #[arg(short = 'd', value_name = "DIR")]
    pub directories: Vec<PathBuf>,
    /// Let the kernel cache nothing, so that every call is seen
    #[arg(long)]
    pub exact: bool,
    /// How to see: requests (daemon), system calls (kernel), or what is possible here
    #[arg(long, value_enum, default_value_t = Wish::Auto)]
    pub plane: Wish,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

#[derive(Args)]
pub struct MountOptions {
    /// The folder the trace is written to; must not exist
    #[arg(long)]
    pub trace: PathBuf,
    /// Let the kernel cache nothing, so that every call is seen
    #[arg(long)]
    pub exact: bool,
    /// How to see: requests (daemon), system calls (kernel), or what is possible here
    #[arg(long, value_enum, default_value_t = Wish::Auto)]
    pub plane: Wish,
    /// Stay in the foreground, until unmounted or told to end
    #[arg(long)]
    pub foreground: bool,
    pub source: PathBuf,
    pub mount_point: Option<PathBuf>,
}

/// Which plane is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Wish {
    Auto,
    Daemon,
    Kernel,
}

#[derive(Args)]
pub struct UmountOptions {
    pub mount_point: PathBuf,
}

#[derive(Args)]
pub struct ProbeOptions {
    /// Also measure what one traced 4 KiB read costs here
    #[arg(long)]
    pub cost: bool,
}

#[derive(Args)]
pub struct TimeReadsOptions {
    pub file: PathBuf,
    #[arg(long, default_value_t = 5000)]
    pub count: u32,
}
