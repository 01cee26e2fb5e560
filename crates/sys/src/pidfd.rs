//! Processes by descriptor: open, signal, wait. A pid is never signalled by its number.

#![allow(unsafe_code, reason = "signals by number, real-time ones too")]

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions};

use crate::{Errno, Error, Result, failpoint};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It called exit with this code, 0-255.
    Exited(i32),
    /// This signal ended it.
    Signaled(i32),
}

impl Status {
    /// Returns the code as a shell gives it: 0-255, or 128 + signal.
    pub const fn code(self) -> i32 {
        match self {
            Self::Exited(code) => code,
            Self::Signaled(signal) => 128 + signal,
        }
    }
}

/// Opens a descriptor of the process `pid`; it becomes readable when the process ended.
pub fn open(pid: i32) -> Result<OwnedFd> {
    failpoint::pass("pidfd_open")?;
    let pid = Pid::from_raw(pid).ok_or(Error::new("pidfd_open", Errno::SRCH))?;
    rustix::process::pidfd_open(pid, PidfdFlags::empty())
        .map_err(|errno| Error::new("pidfd_open", errno))
}

/// Sends `signal`; 0 only asks whether the process is there.
pub fn send_signal(pidfd: impl AsFd, signal: i32) -> Result<()> {
    failpoint::pass("pidfd_send_signal")?;
    let (fd, info, flags) = (
        pidfd.as_fd().as_raw_fd(),
        std::ptr::null::<libc::siginfo_t>(),
        0,
    );
    // SAFETY: a live descriptor, an allowed null pointer and two integers.
    match unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal, info, flags) } {
        0 => Ok(()),
        _ => Err(Error::last("pidfd_send_signal")),
    }
}

/// Waits for a child of this process to end and takes its status.
pub fn wait(pidfd: BorrowedFd<'_>) -> Result<Status> {
    loop {
        if let Some(status) = waitid(pidfd, WaitIdOptions::EXITED)? {
            return Ok(status);
        }
    }
}

/// Takes the status of a child of this process, if it has ended.
pub fn try_wait(pidfd: BorrowedFd<'_>) -> Result<Option<Status>> {
    waitid(pidfd, WaitIdOptions::EXITED | WaitIdOptions::NOHANG)
}

fn waitid(pidfd: BorrowedFd<'_>, options: WaitIdOptions) -> Result<Option<Status>> {
    failpoint::pass("waitid")?;
    loop {
        match rustix::process::waitid(WaitId::PidFd(pidfd), options) {
            Ok(status) => {
                return Ok(status.and_then(|status| {
                    let exited = status.exit_status().map(Status::Exited);
                    exited.or_else(|| status.terminating_signal().map(Status::Signaled))
                }));
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(Error::new("waitid", errno)),
        }
    }
}

/// Reads field 22 of /proc/PID/stat: with the pid it names the process for ever.
pub fn start_time(pid: i32) -> Result<u64> {
    failpoint::pass("start_time")?;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .map_err(|error| Error::from_io("start_time", &error))?;
    parse_start_time(&stat).ok_or(Error::new("start_time", Errno::IO))
}

/// The name may hold spaces and brackets, so fields are counted from behind the last bracket.
fn parse_start_time(stat: &str) -> Option<u64> {
    stat.rsplit_once(')')?
        .1
        .split_ascii_whitespace()
        .nth(19)?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_shift_fields() {
        let stat = "7 (a) b) (c) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 123456 9 10";
        assert_eq!(parse_start_time(stat), Some(123_456));
        assert_eq!(parse_start_time("7 (x) S 1"), None);
    }

    #[test]
    fn own_process_is_there() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let pidfd = open(pid).unwrap();
        send_signal(&pidfd, 0).unwrap();
        assert!(start_time(pid).unwrap() > 0);
        assert_eq!(open(0).unwrap_err().errno, Errno::SRCH);
    }

    #[test]
    fn codes_are_the_shell_s() {
        assert_eq!(Status::Exited(7).code(), 7);
        assert_eq!(Status::Signaled(9).code(), 137);
    }
}
