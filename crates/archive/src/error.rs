//! What can be wrong with an archive.

use std::io;
use std::path::PathBuf;

use types::ErrorKind;

/// An archive cannot be read, written or extracted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stream ended or failed.
    #[error("cannot read the archive")]
    Read(#[source] io::Error),
    /// The stream ends within something.
    #[error("the archive is cut off at byte {offset}")]
    Truncated {
        /// Where.
        offset: u64,
    },
    /// A header breaks the format.
    #[error("invalid tar header at byte {offset}: {rule}")]
    Header {
        /// Where the header begins.
        offset: u64,
        /// What is wrong.
        rule: &'static str,
    },
    /// An entry breaks a rule.
    #[error("invalid tar entry {path:?}: {rule}")]
    Entry {
        /// As the archive writes it.
        path: PathBuf,
        /// What is wrong.
        rule: &'static str,
    },
    /// An entry could not be written.
    #[error("cannot extract {path:?}")]
    Extract {
        /// As the archive writes it.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: sys::Error,
    },
    /// A directory is where something else is to come, or the other way round.
    #[error("cannot overwrite {there} {name:?} with {new}")]
    Conflict {
        /// Its name.
        name: String,
        /// What is there.
        there: &'static str,
        /// What is to come.
        new: &'static str,
    },
    /// An object could not be read while packing.
    #[error("cannot pack {path:?}")]
    Pack {
        /// Relative to the packed directory.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: sys::Error,
    },
    /// The receiver of an archive failed.
    #[error("cannot write the archive")]
    Write(#[source] io::Error),
    /// A compression that is known, and not read yet.
    #[error("{0} compression is not supported yet")]
    Compression(&'static str),
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Returns what kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Header { .. }
            | Self::Entry { .. }
            | Self::Truncated { .. }
            | Self::Conflict { .. } => ErrorKind::InvalidArgument,
            Self::Read(source) if is_bad_data(source) => ErrorKind::InvalidArgument,
            Self::Read(_) | Self::Extract { .. } | Self::Pack { .. } | Self::Write(_) => {
                ErrorKind::Internal
            }
            Self::Compression(_) => ErrorKind::Unimplemented,
        }
    }
}

/// Decompressors report broken input so.
fn is_bad_data(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof
    )
}
