//! Processes, as /proc tells of them: which program a request's thread is, and who holds which files.
//! The only place that knows /proc of traced processes. Knows no requests and no trace.
//! Thread and process ids are as the recorder's own pid namespace sees them.

mod look;
mod mask;
mod table;

pub use mask::{mask, mask_arguments};
pub use table::{KERNEL_TASK, News, Processes, Program, Task};
