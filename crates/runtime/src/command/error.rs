//! What a command of the runtime says when it fails: runc's sentences where engines look for them.

use std::path::Path;

use crate::error::{Failure, chain};

/// A command that failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// No such container.
    #[error("container does not exist")]
    Missing,
    /// The id is taken.
    #[error("container with given ID already exists")]
    Exists,
    /// Whole sentence.
    #[error("{0}")]
    Said(String),
    /// The library's.
    #[error("{0}")]
    Failure(#[from] Failure),
    /// A kernel call.
    #[error("{what}: {source}")]
    Kernel {
        /// What was done.
        what: &'static str,
        /// The call.
        source: sys::Error,
    },
    /// The control group.
    #[error("{}", chain(.0))]
    Cgroup(cgroup::Error),
}

/// Result of a command.
pub(super) type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Adds to a kernel error what was done.
    pub(super) fn kernel(what: &'static str) -> impl FnOnce(sys::Error) -> Self {
        move |source| Self::Kernel { what, source }
    }

    /// A file that could not be read or made.
    pub(super) fn file(path: &Path, error: &std::io::Error) -> Self {
        let words = sys::errno_text(sys::Error::from_io("open", error).errno);
        Self::Said(format!("open {}: {words}", path.display()))
    }

    /// A whole sentence.
    pub(super) fn said(text: impl Into<String>) -> Self {
        Self::Said(text.into())
    }
}

impl From<cgroup::Error> for Error {
    fn from(error: cgroup::Error) -> Self {
        Self::Cgroup(error)
    }
}
