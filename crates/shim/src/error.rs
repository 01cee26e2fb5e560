//! What can go wrong in the shim; it is told to the daemon in one sentence.

use std::path::{Path, PathBuf};

/// A failure of a request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The container could not be made, started or removed, or its exec not be started.
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
    /// Its cgroup did not obey.
    #[error(transparent)]
    Cgroup(#[from] cgroup::Error),
    /// Its log.
    #[error(transparent)]
    Log(#[from] logs::Error),
    /// A kernel call that is about nothing with a name.
    #[error(transparent)]
    Kernel(#[from] sys::Error),
    /// A file of the container.
    #[error("{}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: sys::Error,
    },
    /// The request does not fit the state.
    #[error("{0}")]
    State(&'static str),
    /// A packet without the descriptors that belong to it.
    #[error("the request came without its descriptor")]
    NoDescriptor,
    /// A name that is not known here.
    #[error("no such exec: {0}")]
    NoExec(String),
}

/// Result of this crate.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn file(path: &Path, source: sys::Error) -> Self {
        Self::File {
            path: path.to_owned(),
            source,
        }
    }

    /// Returns the sentence, with its causes.
    pub(crate) fn sentence(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    }
}
