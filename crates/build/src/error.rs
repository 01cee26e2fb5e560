//! Why a build fails.

use crate::dockerfile;

/// Why a build fails.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request or the file is wrong; nothing was done.
    #[error("{0}")]
    Request(String),
    /// The Dockerfile cannot be understood.
    #[error(transparent)]
    Dockerfile(#[from] dockerfile::Error),
    /// A program of the build ended badly.
    #[error("The command '{command}' returned a non-zero code: {code}")]
    Run {
        /// What ran.
        command: String,
        /// How it ended.
        code: i32,
    },
    /// An instruction cannot be carried out.
    #[error("{0}")]
    Step(String),
    /// The engine refuses.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// An object of a context or of a tree.
    #[error("{path}: {source}")]
    Object {
        /// Where.
        path: String,
        /// What the kernel said.
        source: sys::Error,
    },
    /// The context is no archive.
    #[error("the build context cannot be unpacked: {0}")]
    Context(#[from] archive::Error),
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Returns the exit code that Docker's client ends with, when the failure has one.
    pub fn code(&self) -> Option<i32> {
        match self {
            Self::Run { code, .. } => Some(*code),
            _ => None,
        }
    }
}

/// Adds the path to what the kernel said.
pub(crate) fn object(path: impl Into<String>) -> impl FnOnce(sys::Error) -> Error {
    let path = path.into();
    move |source| Error::Object { path, source }
}
