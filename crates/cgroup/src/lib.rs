//! Limits and measures: the cgroup of a container on v1, hybrid and v2 hierarchies.
//!
//! Vocabulary: a *controller* is mounted in one *hierarchy* (v1) or listed in the unified one (v2);
//! a *group* is one directory per hierarchy, all with the same path.
//!
//! Invariants: knows no container, no record, no daemon configuration; plans are pure; nothing is
//! ever moved from outside: a process enters by itself (runtime reference §1.2).

#![forbid(unsafe_code)]

use std::os::fd::OwnedFd;

use types::oci::runtime::Resources;

/// What is mounted where on this machine.
#[derive(Clone, Debug)]
pub struct Topology {}

/// A cgroup failure.
#[derive(Debug, thiserror::Error)]
#[error("not yet")]
pub struct Error;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Topology {
    /// Reads /proc/self/mountinfo and /proc/self/cgroup.
    pub fn detect() -> Result<Self> {
        Err(Error)
    }

    /// Tells whether only cgroup v2 is mounted.
    pub fn is_unified(&self) -> bool {
        false
    }
}

/// One value for one file of a group, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// `memory`, `cpu`, … or empty for a file of the core.
    pub controller: String,
    /// `memory.max`
    pub file: String,
    /// What is written.
    pub value: String,
}

/// What to write for `resources` here, and what cannot be obeyed, in one sentence each.
pub fn plan(_resources: &Resources, _topology: &Topology) -> Result<(Vec<Write>, Vec<String>)> {
    Err(Error)
}

/// A cgroup: one directory per hierarchy.
#[derive(Debug)]
pub struct Group {}

/// How a new process enters a group.
#[derive(Debug)]
pub struct Entry {
    /// v2: the directory for `CLONE_INTO_CGROUP`.
    pub into: Option<OwnedFd>,
    /// v1: the open `tasks` files; the new process writes `0` to each.
    pub tasks: Vec<OwnedFd>,
}

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

impl Group {
    /// Makes the directories of `path` (relative to this machine's roots) in every hierarchy;
    /// undone on failure.
    pub fn create(_topology: &Topology, _path: &str) -> Result<Self> {
        Err(Error)
    }

    /// Opens an existing group.
    pub fn open(_topology: &Topology, _path: &str) -> Result<Self> {
        Err(Error)
    }

    /// Writes a plan.
    pub fn apply(&self, _plan: &[Write]) -> Result<()> {
        Err(Error)
    }

    /// Opens the way in for a new process.
    pub fn entry(&self) -> Result<Entry> {
        Err(Error)
    }

    /// Lists the processes in it (host pids), its sub-groups too.
    pub fn pids(&self) -> Result<Vec<i32>> {
        Err(Error)
    }

    /// Kills everything in it.
    pub fn kill(&self) -> Result<()> {
        Err(Error)
    }

    /// Stops or continues everything in it.
    pub fn freeze(&self, _frozen: bool) -> Result<()> {
        Err(Error)
    }

    /// How often the kernel killed for memory here.
    pub fn oom_kills(&self) -> Result<u64> {
        Err(Error)
    }

    /// Measures.
    pub fn stats(&self) -> Result<Stats> {
        Err(Error)
    }

    /// Removes the directories; they must be empty of processes. Missing ones are no error.
    pub fn destroy(self) -> Result<()> {
        Err(Error)
    }
}
