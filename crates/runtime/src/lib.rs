//! A bundle becomes a process.
//!
//! Vocabulary: *init* is process 1 of the container, and our code in it up to execve.
//!
//! Invariants: one thread, by type; nothing allocates, logs or reads a locale between clone and
//! execve; the environment is never read; no image, network or log driver is known here.

#![forbid(unsafe_code)]

use std::os::fd::{BorrowedFd, OwnedFd};

use types::Mount;
use types::oci::runtime::{Process, Spec};

/// Standard streams of a new process.
#[derive(Debug)]
pub enum Stdio {
    /// Three descriptors that become 0, 1 and 2.
    Pipes {
        /// Becomes 0.
        stdin: OwnedFd,
        /// Becomes 1.
        stdout: OwnedFd,
        /// Becomes 2.
        stderr: OwnedFd,
    },
    /// A new terminal of the container; its other end is returned.
    Terminal,
}

/// What a container is made from.
#[derive(Debug)]
pub struct CreateRequest<'a> {
    /// The id, for messages and the cgroup.
    pub id: &'a str,
    /// config.json.
    pub spec: &'a Spec,
    /// The root file system; `spec.root.path` is not looked at.
    pub root: &'a Mount,
    /// Standard streams of process 1.
    pub stdio: Stdio,
    /// A network namespace to enter in place of making one.
    pub netns: Option<BorrowedFd<'a>>,
}

/// A container failure. The text is runc's where Docker's exit codes depend on it
/// (`exec: "nosuch": executable file not found in $PATH`).
#[derive(Debug, thiserror::Error)]
#[error("not yet")]
pub struct Error;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A created container; its init waits for [`Container::start`]. Dropping it does not end it.
#[derive(Debug)]
pub struct Container {}

/// A process in a container.
#[derive(Debug)]
pub struct Child {
    /// Host pid.
    pub pid: i32,
    /// Field 22 of /proc/PID/stat: with the pid it names the process for ever.
    pub start_time: u64,
    /// Readable when the process ended; `sys::pidfd::wait` gives the status.
    pub pidfd: OwnedFd,
    /// The other end of its terminal.
    pub console: Option<OwnedFd>,
}

impl Container {
    /// Makes cgroup, namespaces, mounts and init, up to the point before execve. On failure
    /// nothing is left.
    pub fn create(_request: CreateRequest<'_>) -> Result<(Self, Child)> {
        Err(Error)
    }

    /// Lets init execve; returns when it did, or why it did not.
    pub fn start(&mut self) -> Result<()> {
        Err(Error)
    }

    /// Starts an additional process.
    pub fn exec(&self, _process: &Process, _stdio: Stdio) -> Result<Child> {
        Err(Error)
    }

    /// The root directory of the container, for cp, diff, export and commit.
    pub fn root(&self) -> BorrowedFd<'_> {
        unimplemented!()
    }

    /// Its cgroup.
    pub fn cgroup(&self) -> &cgroup::Group {
        unimplemented!()
    }

    /// Kills what still runs and removes the cgroup.
    pub fn destroy(self) -> Result<()> {
        Err(Error)
    }
}
