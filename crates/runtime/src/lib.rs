//! A bundle becomes a process.
//!
//! Vocabulary: *init* is process 1 of the container, and our code in it up to execve.
//!
//! Invariants: one thread, by type; nothing allocates, logs or reads a locale between clone and
//! execve (but for hooks, descriptors that are handed over and copies in a user namespace, which no
//! start of an engine's container has; a child of a process with one thread may); the environment is
//! never read; no image, network or log driver is known here.

#![forbid(unsafe_code)]

pub mod command;
mod copy_up;
mod create;
mod error;
mod exec;
mod foreign;
mod handshake;
mod home;
mod hooks;
mod init;
mod notify;
mod plan;
mod prepare;
pub mod seccomp;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use types::Mount;
use types::oci::runtime::{Process, Spec};

pub use error::{Error, Failure, Reason, Result};
pub use plan::Invalid;

use plan::process::Filter;

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

/// Mounts a root file system that nobody sees; it goes with the descriptor. Not for one that a
/// container uses now: two overlays must not share their upper directory.
pub fn mount_root(root: &Mount) -> Result<OwnedFd> {
    prepare::make_root(root).map_err(Error::Create)
}

/// Mounts layers, the topmost first, as one tree that cannot be written; it lives as long as the
/// descriptor. There must be two at least.
pub fn mount_view(layers: &[std::path::PathBuf]) -> Result<OwnedFd> {
    prepare::make_view(layers).map_err(Error::Create)
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

/// A created container; its init waits for [`Container::start`]. Dropping it does not end one that
/// was started; one that was not ends by itself.
#[derive(Debug)]
pub struct Container {
    id: String,
    group: cgroup::Group,
    root: OwnedFd,
    init: OwnedFd,
    /// To init, until it was started.
    line: Option<UnixStream>,
    /// Namespaces that are not the host's.
    kinds: u64,
    filter: Option<Rc<Filter>>,
    personality: Option<u32>,
}

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
    /// Where the time went.
    pub steps: Vec<Took>,
}

/// A step of making a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Took {
    /// What was done.
    pub name: &'static str,
    /// When it was over, in microseconds since the making began.
    pub end_us: u32,
}

/// Does ahead of the first creation what does not depend on the container, or is the same for
/// nearly all. That something fails is told by the creation.
pub fn warm_up() {
    error::unheard(create::topology());
    Filter::compile_ahead();
}

impl Container {
    /// Makes cgroup, namespaces, mounts and init, up to the point before execve. On failure
    /// nothing is left.
    pub fn create(request: CreateRequest<'_>) -> Result<(Self, Child)> {
        let result = create::create(&request, None).map_err(Error::Create);
        // The process has its own now, and a pipe must end when that ends.
        drop(request.stdio);
        result
    }

    /// Lets init execve; returns when it did, or when it ended: a program that the kernel refuses
    /// is told on the container's own stderr, with status 255.
    pub fn start(&mut self) -> Result<()> {
        let mut line = self.line.take().ok_or(Error::Start(Failure::Running))?;
        exec::go(&mut line).map_err(Error::Start)
    }

    /// Starts an additional process; returns when it became its program.
    pub fn exec(&self, process: &Process, stdio: Stdio) -> Result<Child> {
        let result =
            exec::exec(self, process, &stdio, exec::Manner::default()).map_err(Error::Exec);
        drop(stdio);
        result
    }

    /// The root directory of the container, for cp, diff, export and commit. Mounts of the
    /// container are seen in it as long as it runs.
    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Its cgroup.
    pub fn cgroup(&self) -> &cgroup::Group {
        &self.group
    }

    /// Kills what still runs and removes the cgroup. The caller waits for its children as before.
    pub fn destroy(self) -> Result<()> {
        let Self { id, group, .. } = self;
        let killed = group.kill();
        match group.destroy().and(killed) {
            Ok(()) => Ok(()),
            Err(cause) => Err(Error::Destroy { id, cause }),
        }
    }
}
