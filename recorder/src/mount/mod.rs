//! Mounting: what may be mounted where, by whom, how it lasts, and how it goes away again. Knows no requests and no
//! trace format.

mod door;
pub mod fuse;
pub mod fusermount;
mod holders;
pub mod mountinfo;
pub mod place;
pub mod point;
pub mod source;
mod survey;
mod umount;
mod verb;

pub use umount::umount;
pub use verb::mount;
