//! Pure: what kind of failure an error is; faces derive status codes and exit codes from it.

/// The kind of a failure. The only mapping to HTTP statuses is in `daemon::error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The object does not exist.
    NotFound,
    /// The request makes no sense as it stands.
    InvalidArgument,
    /// The request contradicts the state of an object.
    Conflict,
    /// Nothing to do: it is already so.
    NotModified,
    /// Credentials are missing or wrong.
    Unauthorized,
    /// Known, and not allowed.
    Forbidden,
    /// Not now.
    Unavailable,
    /// Not built yet, or never.
    Unimplemented,
    /// The client went away or said stop.
    Cancelled,
    /// Anything else: ours, or the kernel's.
    Internal,
}
