//! glassfs-recorder: serves a transparent filesystem over FUSE and writes what programs do to it into a trace.

pub mod collect;
pub mod event;
pub mod observe;
pub mod passthrough;
mod priority;
pub mod process;
pub mod trace;
pub mod wire;
