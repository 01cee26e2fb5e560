//! Network namespaces: leave this thread's for a new one, enter one, name the present one.
//!
//! The calls change one thread. Who has other threads gives the work to a thread made for it.

#![allow(unsafe_code, reason = "unshare and setns")]

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags, openat};

use crate::{Error, Result, failpoint};

/// Moves this thread into a new, empty network namespace.
pub fn unshare() -> Result<()> {
    failpoint::pass("netns_unshare")?;
    // SAFETY: unshare(2) with CLONE_NEWNET changes nothing but this thread's network namespace.
    let done = unsafe { libc::unshare(libc::CLONE_NEWNET) };
    if done == 0 {
        Ok(())
    } else {
        Err(Error::last("netns_unshare"))
    }
}

/// Moves this thread into `netns`.
pub fn enter(netns: BorrowedFd<'_>) -> Result<()> {
    failpoint::pass("netns_enter")?;
    // SAFETY: setns(2) with CLONE_NEWNET changes nothing but this thread's network namespace.
    let done = unsafe { libc::setns(netns.as_raw_fd(), libc::CLONE_NEWNET) };
    if done == 0 {
        Ok(())
    } else {
        Err(Error::last("netns_enter"))
    }
}

/// Opens the network namespace of this thread.
pub fn current() -> Result<OwnedFd> {
    failpoint::pass("netns_current")?;
    openat(
        CWD,
        "/proc/thread-self/ns/net",
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(|errno| Error::new("netns_current", errno))
}
