//! What happened, one JSON line each, for a daemon that was away.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::STATE_LOG;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Which life of the container: 0 is the one that its user started.
    pub generation: u32,
    /// `start`, `die`, `healthy`, `unhealthy`.
    pub event: String,
    /// The exit code of a `die`.
    pub code: i32,
    /// When, in nanoseconds since 1970.
    pub time_ns: i64,
}

/// A list that has grown so long begins anew: a container that fails for ever.
const LEN_MAX: u64 = 64 * 1024;

/// Appends a line. It is a help, not the record: a failure is not the container's.
pub(crate) fn append(dir: &Path, line: &Line) {
    let path = dir.join(STATE_LOG);
    if std::fs::metadata(&path).is_ok_and(|found| found.len() > LEN_MAX) {
        forget(dir);
    }
    let mut text = serde_json::to_vec(line).expect("a flat record has no failing serializer");
    text.push(b'\n');
    let _best_effort = sys::durable::append(&path, &text, 0o600);
}

/// Begins the list anew.
pub(crate) fn forget(dir: &Path) {
    let _usually_absent = std::fs::remove_file(dir.join(STATE_LOG));
}

/// Reads the list; a line that is cut is left out.
pub fn read(dir: &Path) -> Vec<Line> {
    let text = std::fs::read_to_string(dir.join(STATE_LOG)).unwrap_or_default();
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}
