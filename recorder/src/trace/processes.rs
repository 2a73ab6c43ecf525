//! What a pid was, and when: the rows of the processes table.

use std::sync::Arc;

/// One thing known of one thread, from `ts_ns` on. Names are escaped and secrets masked before they come here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessRow {
    pub ts_ns: i64,
    pub pid: u32,
    pub tid: u32,
    pub ppid: Option<u32>,
    pub started_ns: Option<i64>,
    pub comm: Arc<str>,
    pub exe: Option<Arc<str>>,
    pub cmdline: Option<Arc<str>>,
    pub uid: Option<u32>,
    /// None: not known to have ended.
    pub exited_ns: Option<i64>,
}
