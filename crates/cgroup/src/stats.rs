//! Pure: the texts of a group's files become measures.

/// What a group used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// CPU time in nanoseconds.
    pub cpu_usage_ns: u64,
    /// CPU time in user mode in nanoseconds.
    pub cpu_user_ns: u64,
    /// CPU time in the kernel in nanoseconds.
    pub cpu_system_ns: u64,
    /// Bytes of memory.
    pub memory_usage: u64,
    /// Highest bytes of memory.
    pub memory_max_usage: u64,
    /// Limit in bytes.
    pub memory_limit: u64,
    /// The kernel's own words: `total_inactive_file`, …
    pub memory_stats: Vec<(String, u64)>,
    /// Processes and threads.
    pub pids_current: u64,
    /// Limit on them; 0 is none.
    pub pids_limit: u64,
}

/// The number after `key` in lines of `key number`; 0 if it is not there.
pub(crate) fn keyed(text: &str, key: &str) -> u64 {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(own, _)| *own == key)
        .and_then(|(_, number)| number.trim().parse().ok())
        .unwrap_or_default()
}
