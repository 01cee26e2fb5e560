//! Reading small files out of a tree that a stranger made: no link is followed, nothing but a
//! regular file is opened for reading, and no more than a bound is read.

use std::io::Read;
use std::os::fd::AsRawFd;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};

use crate::{Errno, Error, Result, failpoint};

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A regular file, with its first bytes up to the bound.
    Bytes(Vec<u8>),
    /// Something else: a link, a device, a directory.
    Other,
    /// Nothing.
    Nothing,
}

/// Reads the regular file `path` (relative) below `dir`, at most `max` bytes.
pub fn read_in(dir: &Path, path: &str, max: usize) -> Result<Found> {
    failpoint::pass("openat2")?;
    let failed = |errno| Error::new("openat2", errno);
    let dir = rustix::fs::openat(
        CWD,
        dir,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(failed)?;
    // O_PATH first: opening a device or a FIFO does things.
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let found = match rustix::fs::openat2(&dir, path, flags, Mode::empty(), resolve) {
        Ok(found) => found,
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(Found::Nothing),
        Err(Errno::LOOP) => return Ok(Found::Other),
        Err(errno) => return Err(failed(errno)),
    };
    let stat = rustix::fs::fstat(&found).map_err(failed)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Ok(Found::Other);
    }
    let again = format!("/proc/self/fd/{}", found.as_raw_fd());
    let file = std::fs::File::open(again).map_err(|e| Error::from_io("open", &e))?;
    let mut bytes = Vec::new();
    file.take(max as u64)
        .read_to_end(&mut bytes)
        .map_err(|e| Error::from_io("read", &e))?;
    Ok(Found::Bytes(bytes))
}

/// Returns the major part of a device number.
pub fn major(device: u64) -> u32 {
    rustix::fs::major(device)
}

/// Returns the minor part of a device number.
pub fn minor(device: u64) -> u32 {
    rustix::fs::minor(device)
}
