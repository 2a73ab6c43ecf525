//! From served requests to events: the bounded queue that workers push into, the table of names, and the one collector
//! thread that makes events of records and feeds the trace. Knows no FUSE structs and no Parquet.

pub mod names;
pub mod observe;
pub mod record;
