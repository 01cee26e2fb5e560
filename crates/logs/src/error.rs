//! What can go wrong with log files.

use std::path::PathBuf;

/// A log file failure.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A log file could not be opened, written, renamed or watched.
    #[error("log file {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: std::io::Error,
    },
    /// Changes could not be read.
    #[error("watching log files")]
    Watch(#[source] sys::Error),
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn file(path: &std::path::Path, source: impl Into<std::io::Error>) -> Self {
        Self::File {
            path: path.to_owned(),
            source: source.into(),
        }
    }
}
