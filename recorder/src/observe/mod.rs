//! The kernel plane's eyes: a small eBPF program reports each system call that touches a traced mount, and which FUSE requests
//! it took, through one ring a CPU. Knows calls, descriptors and numbers; no paths and no trace.
//! load.rs, shed.rs and failure.rs know the loader's library.

pub mod calls;
mod compat;
#[cfg(feature = "failpoints")]
mod failpoint;
mod failure;
mod load;
mod maps;
mod ring;
mod shed;

pub use failure::Failure;
pub use load::Observer;
pub use maps::Maps;
pub use ring::{Change, Kind, Lost, Report, Ring};
pub use shed::Shed;
