//! Terminals: the pair of a container, its size, and the raw mode of the client's own.

#![allow(unsafe_code, reason = "TIOCSCTTY")]

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::pty::OpenptFlags;
use rustix::termios::{OptionalActions, Termios, Winsize};

use crate::{Errno, Error, Result, failpoint};

/// The two ends of a terminal.
#[derive(Debug)]
pub struct Pair {
    /// The end that the shim keeps.
    pub master: OwnedFd,
    /// The end that becomes 0, 1 and 2.
    pub peer: OwnedFd,
}

/// Opens a new terminal of the devpts file system whose root `devpts` is. What is opened is the
/// kernel's own `ptmx` in it: neither a link nor a mount on top is followed.
pub fn open_pair(devpts: BorrowedFd<'_>) -> Result<Pair> {
    const DEVPTS_SUPER_MAGIC: u64 = 0x1cd1;
    failpoint::pass("open_pty")?;
    let failed = |errno| Error::new("open_pty", errno);
    let found = rustix::fs::fstatfs(devpts).map_err(failed)?.f_type;
    if u64::try_from(found) != Ok(DEVPTS_SUPER_MAGIC) {
        return Err(failed(Errno::NODEV));
    }
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let resolve = ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS | ResolveFlags::BENEATH;
    let master =
        rustix::fs::openat2(devpts, c"ptmx", flags, Mode::empty(), resolve).map_err(failed)?;
    rustix::pty::unlockpt(&master).map_err(failed)?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let peer = rustix::pty::ioctl_tiocgptpeer(&master, flags).map_err(failed)?;
    Ok(Pair { master, peer })
}

/// Makes `fd` the controlling terminal of this session, which must have none.
pub fn set_controlling(fd: BorrowedFd<'_>) -> Result<()> {
    failpoint::pass("set_controlling_tty")?;
    // SAFETY: TIOCSCTTY takes an integer.
    match unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCSCTTY, 0) } {
        0 => Ok(()),
        _ => Err(Error::last("set_controlling_tty")),
    }
}

/// Sets the size in characters.
pub fn set_size(fd: impl AsFd, width: u16, height: u16) -> Result<()> {
    failpoint::pass("set_tty_size")?;
    let size = Winsize {
        ws_row: height,
        ws_col: width,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    rustix::termios::tcsetwinsize(fd, size).map_err(|errno| Error::new("set_tty_size", errno))
}

/// Returns the size in characters: width, height.
pub fn size(fd: impl AsFd) -> Result<(u16, u16)> {
    failpoint::pass("tty_size")?;
    let size = rustix::termios::tcgetwinsize(fd).map_err(|errno| Error::new("tty_size", errno))?;
    Ok((size.ws_col, size.ws_row))
}

/// Tells whether `fd` is a terminal.
pub fn is_terminal(fd: impl AsFd) -> bool {
    rustix::termios::isatty(fd)
}

/// A terminal in raw mode; it gets its old mode back when this is dropped.
#[derive(Debug)]
pub struct Raw {
    fd: OwnedFd,
    before: Termios,
}

impl Raw {
    /// Puts `fd` into raw mode.
    pub fn enter(fd: BorrowedFd<'_>) -> Result<Self> {
        failpoint::pass("tty_raw")?;
        let failed = |errno| Error::new("tty_raw", errno);
        let before = rustix::termios::tcgetattr(fd).map_err(failed)?;
        let mut raw = before.clone();
        raw.make_raw();
        let fd = fd
            .try_clone_to_owned()
            .map_err(|error| Error::from_io("tty_raw", &error))?;
        rustix::termios::tcsetattr(&fd, OptionalActions::Now, &raw).map_err(failed)?;
        Ok(Self { fd, before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        match rustix::termios::tcsetattr(&self.fd, OptionalActions::Now, &self.before) {
            // A terminal that is gone needs no mode.
            Ok(()) | Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> Pair {
        let devpts = rustix::fs::open(c"/dev/pts", OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
        open_pair(devpts.unwrap().as_fd()).unwrap()
    }

    #[test]
    fn root_size_is_kept() {
        let pair = pair();
        set_size(&pair.master, 132, 43).unwrap();
        assert_eq!(size(&pair.peer).unwrap(), (132, 43));
        assert!(is_terminal(&pair.peer));
    }

    #[test]
    fn root_raw_mode_ends_with_its_guard() {
        let pair = pair();
        let echo = |fd: &OwnedFd| {
            let modes = rustix::termios::tcgetattr(fd).unwrap().local_modes;
            modes.contains(rustix::termios::LocalModes::ECHO)
        };
        assert!(echo(&pair.peer));
        let raw = Raw::enter(pair.peer.as_fd()).unwrap();
        assert!(!echo(&pair.peer));
        drop(raw);
        assert!(echo(&pair.peer));
    }

    #[test]
    fn only_devpts_will_do() {
        let tmp = rustix::fs::open(c"/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap();
        assert_eq!(open_pair(tmp.as_fd()).unwrap_err().errno, Errno::NODEV);
    }
}
