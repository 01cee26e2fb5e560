//! What a failed kernel call returns: its name and the errno.

use rustix::io::Errno;

/// A kernel call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    /// The call, by the name that failpoints use: `openat2`, `fsmount`, …
    pub call: &'static str,
    /// What the kernel said.
    pub errno: Errno,
}

/// Result of a kernel call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Makes the error of `call`.
    pub const fn new(call: &'static str, errno: Errno) -> Self {
        Self { call, errno }
    }

    /// Tells whether the same call may well succeed a little later: memory or descriptors are short,
    /// or a signal came.
    pub fn is_passing(&self) -> bool {
        matches!(
            self.errno,
            Errno::NOMEM | Errno::NOBUFS | Errno::MFILE | Errno::NFILE | Errno::INTR
        )
    }

    /// Makes the error of `call` from what std returned; an error without errno becomes `EIO`.
    pub fn from_io(call: &'static str, error: &std::io::Error) -> Self {
        Self {
            call,
            errno: Errno::from_io_error(error).unwrap_or(Errno::IO),
        }
    }

    /// Makes the error of `call` from the thread's `errno`, as the libc call just left it.
    pub fn last(call: &'static str) -> Self {
        Self::from_io(call, &std::io::Error::last_os_error())
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.call, errno_text(self.errno))
    }
}

impl std::error::Error for Error {}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        error.errno.into()
    }
}

/// The text of an errno as Docker's messages have it: lower case, without number.
pub fn errno_text(errno: Errno) -> String {
    let text = std::io::Error::from(errno).to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    chars
        .next()
        .map(|first| first.to_ascii_lowercase().to_string() + chars.as_str())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_docker_s() {
        assert_eq!(errno_text(Errno::NOENT), "no such file or directory");
        assert_eq!(
            Error::new("openat2", Errno::ACCESS).to_string(),
            "openat2: permission denied"
        );
    }
}
