//! The socket that a caller gives to get a container's terminal by.

use std::os::fd::BorrowedFd;
use std::path::Path;

use sys::socket::{self, Kind};

use super::error::{Error, Result};

/// Refuses what cannot be: a terminal that nobody keeps, or a socket for none.
pub(super) fn check(terminal: bool, detach: bool, socket: Option<&str>) -> Result<()> {
    match (terminal, detach, socket) {
        (true, true, None | Some("")) => Err(Error::said(
            "cannot allocate tty if runc will detach without setting console socket",
        )),
        (false, _, Some(path)) | (_, false, Some(path)) if !path.is_empty() => Err(Error::said(
            "cannot use console socket if runc will not detach or allocate tty",
        )),
        _ => Ok(()),
    }
}

/// Sends a descriptor and its name.
pub(super) fn send(path: &str, fd: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
    use std::os::fd::AsFd;
    let socket = socket::connect(Kind::Stream, Path::new(path))
        .map_err(Error::kernel("connect to the console socket"))?;
    socket::send(socket.as_fd(), &[name], &[fd])
        .map(drop)
        .map_err(Error::kernel("send to the console socket"))
}
