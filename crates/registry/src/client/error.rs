//! What can go wrong with a registry. Texts that clients compare are Docker's.

use types::{Digest, ErrorKind};

use crate::protocol::errors::{self, Item};

/// A request to a registry failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No answer came: `Get "https://…": dial tcp …: connect: connection refused`.
    #[error("{method} \"{url}\": {reason}")]
    NoAnswer {
        /// As Go writes it: `Get`.
        method: String,
        /// What was asked.
        url: String,
        /// Why none came.
        reason: String,
        /// Nobody listens, or does not speak TLS: another endpoint may.
        refused: bool,
    },
    /// The registry refused.
    #[error("{}", refusal(*.status, .url, .items))]
    Refused {
        /// The answer's status.
        status: u16,
        /// What was asked.
        url: String,
        /// What it said.
        items: Vec<Item>,
    },
    /// The registry wants credentials and there are none.
    #[error("{method} \"{url}\": no basic auth credentials")]
    NoCredentials {
        /// As Go writes it.
        method: String,
        /// What was asked.
        url: String,
    },
    /// The registry did not like what it was shown by `login`; dockerd's words.
    #[error("login attempt to {url} failed with status: {}", status_text(*.status))]
    LogIn {
        /// The answer's status.
        status: u16,
        /// What was asked.
        url: String,
    },
    /// The server of tokens refused.
    #[error("{0}")]
    Token(String),
    /// An answer is longer than any of its kind.
    #[error("{url}: the answer is longer than {limit} bytes")]
    TooLong {
        /// What was asked.
        url: String,
        /// How long it may be.
        limit: usize,
    },
    /// The bytes are not those that were asked for.
    #[error("{url}: the content has digest {got}, not {wanted}")]
    Digest {
        /// What was asked.
        url: String,
        /// What was asked for.
        wanted: Digest,
        /// What came.
        got: Digest,
    },
    /// An answer ended too early.
    #[error("unexpected EOF: {got} of {wanted} bytes came")]
    Short {
        /// How many bytes are here.
        got: u64,
        /// How many there should be.
        wanted: u64,
    },
    /// The answer breaks a rule of the protocol.
    #[error("{url}: {reason}")]
    Protocol {
        /// What was asked.
        url: String,
        /// Which rule.
        reason: String,
    },
    /// A setting cannot be obeyed: a certificate that is none, …
    #[error("{0}")]
    Setting(String),
}

/// Result of this side.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Returns what kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Refused { status: 404, .. } => ErrorKind::NotFound,
            Self::Refused { status: 401, .. } | Self::Token(_) => ErrorKind::Unauthorized,
            _ => ErrorKind::Internal,
        }
    }

    /// Tells whether the same request may succeed when it is made again.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::NoAnswer { refused, .. } => !refused,
            Self::Short { .. } => true,
            Self::Refused { status, .. } => matches!(status, 408 | 429 | 500..),
            _ => false,
        }
    }

    /// Returns what the registry said, if it was that.
    pub fn items(&self) -> &[Item] {
        match self {
            Self::Refused { items, .. } => items,
            _ => &[],
        }
    }
}

fn refusal(status: u16, url: &str, items: &[Item]) -> String {
    if !items.is_empty() {
        return errors::text(items);
    }
    match status {
        401 => "unauthorized: authentication required".to_owned(),
        404 => format!("{url}: 404 Not Found"),
        429 => format!("toomanyrequests: {url}: the registry allows no more requests for now"),
        _ => format!("received unexpected HTTP status: {}", status_text(status)),
    }
}

/// `401 Unauthorized`
fn status_text(status: u16) -> String {
    let known = hyper::StatusCode::from_u16(status).ok();
    let reason = known.and_then(|status| status.canonical_reason());
    format!("{status} {}", reason.unwrap_or_default())
}
