//! Extended attributes of open files and directories.

use std::ffi::{OsStr, OsString};
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use rustix::fs::XattrFlags;
use rustix::io::Errno;

use crate::failpoint::pass;
use crate::{Error, Result};

/// Sets an attribute, replacing an older value.
pub fn set(fd: BorrowedFd<'_>, name: &OsStr, value: &[u8]) -> Result<()> {
    pass("fsetxattr")?;
    rustix::fs::fsetxattr(fd, name, value, XattrFlags::empty())
        .map_err(|errno| Error::new("fsetxattr", errno))
}

/// Returns the value of an attribute; `None` where it or the whole mechanism is missing.
pub fn get(fd: BorrowedFd<'_>, name: &OsStr) -> Result<Option<Vec<u8>>> {
    pass("fgetxattr")?;
    let mut value = vec![0; 256];
    loop {
        match rustix::fs::fgetxattr(fd, name, &mut value[..]) {
            Ok(length) => {
                value.truncate(length);
                return Ok(Some(value));
            }
            // The kernel's limit is 64 KiB (XATTR_SIZE_MAX).
            Err(Errno::RANGE) if value.len() < 1 << 16 => value.resize(1 << 16, 0),
            Err(Errno::NODATA | Errno::OPNOTSUPP) => return Ok(None),
            Err(errno) => return Err(Error::new("fgetxattr", errno)),
        }
    }
}

/// Returns the names of all attributes, sorted.
pub fn names(fd: BorrowedFd<'_>) -> Result<Vec<OsString>> {
    pass("flistxattr")?;
    let mut list = vec![0; 256];
    let length = loop {
        match rustix::fs::flistxattr(fd, &mut list[..]) {
            Ok(length) => break length,
            Err(Errno::RANGE) if list.len() < 1 << 16 => list.resize(1 << 16, 0),
            Err(Errno::OPNOTSUPP) => break 0,
            Err(errno) => return Err(Error::new("flistxattr", errno)),
        }
    };
    let mut names: Vec<OsString> = list[..length]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| OsString::from_vec(name.to_vec()))
        .collect();
    names.sort_unstable_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    Ok(names)
}
