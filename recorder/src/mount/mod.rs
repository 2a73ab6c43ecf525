//! Mounting: what may be mounted where, by whom, and how it goes away again. Knows no requests and no trace format.

pub mod fuse;
pub mod fusermount;
pub mod holders;
pub mod mountinfo;
pub mod place;
pub mod point;
pub mod source;
pub mod survey;
