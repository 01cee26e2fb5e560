//! Named pipes: a gate between two processes that do not know each other.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags};

use crate::{Error, Result, failpoint};

/// Makes the named pipe `path`, for its owner only.
pub fn make(path: &Path) -> Result<()> {
    failpoint::pass("mkfifo")?;
    rustix::fs::mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o622), 0)
        .map_err(|errno| Error::new("mkfifo", errno))
}

/// Opens both ends as one descriptor: it never waits for somebody else, and a read from it waits for
/// a byte, not for the end of all writers.
pub fn open(path: &Path) -> Result<OwnedFd> {
    open_with("open_fifo", path, OFlags::RDWR)
}

/// Opens the writing end. `ENXIO`: nobody holds the other one any more.
pub fn open_to_write(path: &Path) -> Result<OwnedFd> {
    open_with(
        "open_fifo_to_write",
        path,
        OFlags::WRONLY | OFlags::NONBLOCK,
    )
}

fn open_with(call: &'static str, path: &Path, flags: OFlags) -> Result<OwnedFd> {
    failpoint::pass(call)?;
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| Error::new(call, errno))
}
