//! Descriptors that tasks wait for.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Registers a descriptor with the runtime.
///
/// tokio calls its safe constructors unsound because a type may give another descriptor later than
/// the one it gave first; an `OwnedFd` gives the same one until it is dropped.
#[expect(
    deprecated,
    reason = "sound for OwnedFd, and this crate has no unsafe code"
)]
pub(crate) fn register(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(fd, interest)
}
