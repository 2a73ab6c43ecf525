//! The kernel plane's eyes: a small eBPF program reports each system call that touches a traced mount, and which FUSE requests
//! it took, through one ring a CPU. Knows calls, descriptors and numbers; no paths and no trace.

pub mod calls;
mod load;
mod ring;

pub use load::{Failure, Observer};
pub use ring::{Kind, Lost, Report, Ring};
