//! Test builds only: the collecting thread dies with what it has just taken, when that were as many reports as
//! GLASSFS_FAILPOINT_COLLECT_DIES says.

const DIES: &str = "GLASSFS_FAILPOINT_COLLECT_DIES";

#[derive(Default)]
pub(super) struct Failpoint {
    taken: usize,
}

impl Failpoint {
    pub(super) fn took(&mut self, reports: usize) {
        self.taken += reports;
        let limit = std::env::var(DIES).ok().and_then(|number| number.parse().ok()).unwrap_or(usize::MAX);
        assert!(self.taken < limit, "{DIES}: {limit} are taken");
    }
}
