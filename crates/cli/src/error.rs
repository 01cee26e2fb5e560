//! What can go wrong in the client: the text for stderr and the exit code.

/// A command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The daemon refused.
    #[error("Error response from daemon: {message}")]
    Daemon {
        /// HTTP status.
        status: u16,
        /// The daemon's words.
        message: String,
    },
    /// Nobody listens.
    #[error("Cannot connect to the Docker daemon at {host}. Is the docker daemon running?")]
    NoDaemon {
        /// The address.
        host: String,
    },
    /// Said in full; exit code 1.
    #[error("{0}")]
    Text(String),
    /// Said in full, or already said when the text is empty.
    #[error("{text}")]
    Exit {
        /// For stderr.
        text: String,
        /// The exit code.
        code: i32,
    },
    /// A call of the kernel.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Result of a command or a part of one.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Says nothing more and exits with `code`.
    pub(crate) fn code(code: i32) -> Self {
        Self::Exit {
            text: String::new(),
            code,
        }
    }

    /// Makes an error of a text.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Returns the exit code.
    pub(crate) fn exit_code(&self) -> i32 {
        match self {
            Self::Exit { code, .. } => *code,
            _ => 1,
        }
    }

    /// Returns whether the daemon does not know the object.
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Daemon { status: 404, .. })
    }
}

impl From<sys::Error> for Error {
    fn from(error: sys::Error) -> Self {
        Self::Text(error.to_string())
    }
}

/// Returns an error of the operating system as Go words it.
pub(crate) fn go_text(error: &std::io::Error) -> String {
    match error.raw_os_error() {
        Some(errno) => sys::errno_text(sys::Errno::from_raw_os_error(errno)),
        None => error.to_string(),
    }
}
