//! The engine's one error: a kind for the faces, a sentence for the user, a source for the log.

use types::ErrorKind;

/// A verb failed. `message` is the whole sentence that the user reads, in Docker's words where
/// Docker has words for it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: ErrorKind,
    message: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Result of a verb.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Makes an error of a kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// Makes an error of a kind that another error caused; the sentence does not repeat it.
    pub fn caused(
        kind: ErrorKind,
        message: impl Into<String>,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self {
            kind,
            message: message.into(),
            source: Some(Box::new(source)),
        }
    }

    /// Makes an internal error: what was being done, on what, and the cause in the sentence.
    pub fn internal(
        doing: impl std::fmt::Display,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self::caused(
            ErrorKind::Internal,
            format!("{doing}: {}", chain(&source)),
            source,
        )
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, message)
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidArgument, message)
    }

    pub(crate) fn not_modified() -> Self {
        Self::new(ErrorKind::NotModified, "")
    }

    /// Returns what kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl From<meta::Error> for Error {
    fn from(error: meta::Error) -> Self {
        let kind = match error {
            meta::Error::ReadOnly(_) | meta::Error::NotWritten(_) => ErrorKind::Unavailable,
            _ => ErrorKind::Internal,
        };
        Self::caused(kind, chain(&error), error)
    }
}

impl From<registry::client::Error> for Error {
    fn from(error: registry::client::Error) -> Self {
        Self::caused(error.kind(), chain(&error), error)
    }
}

impl From<image::Error> for Error {
    fn from(error: image::Error) -> Self {
        Self::caused(error.kind(), chain(&error), error)
    }
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}
