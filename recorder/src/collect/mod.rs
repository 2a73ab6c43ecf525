//! From served requests to events: the bounded queue that workers push into, the table of names, and the one collector
//! thread that makes events of records and feeds the trace. Knows no FUSE structs and no Parquet.

mod awake;
mod calls;
mod collector;
mod connection;
#[cfg(feature = "failpoints")]
mod failpoint;
mod looker;
mod memo;
mod names;
mod observe;
mod open_files;
mod parts;
mod queue;
pub mod record;
mod reported;
#[cfg(test)]
mod samples;
mod shed;
mod tasks;

pub use awake::{Awake, cpus_halt_at_once};
pub use collector::Collector;
pub use connection::Connection;
pub use observe::{observe, opens};
pub use queue::{Drained, MAX_RECORDS, Queue};
