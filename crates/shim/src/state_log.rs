//! What happened, one JSON line each, for a daemon that was away.

use std::path::Path;

use serde::Serialize;

use crate::STATE_LOG;

#[derive(Serialize)]
struct Line {
    generation: u32,
    event: &'static str,
    code: i32,
    time_ns: i64,
}

/// Appends a line. It is a help, not the record: a failure is not the container's.
pub(crate) fn append(dir: &Path, event: &'static str, code: i32, time_ns: i64) {
    // Restarts by policy, each a generation, do not exist yet.
    let line = Line {
        generation: 1,
        event,
        code,
        time_ns,
    };
    let mut text = serde_json::to_vec(&line).expect("a flat record has no failing serializer");
    text.push(b'\n');
    let _best_effort = sys::durable::append(&dir.join(STATE_LOG), &text, 0o600);
}
