//! Namespaces: make, enter, tell their kind.

#![allow(
    unsafe_code,
    reason = "setns with several kinds at once; ioctls on a socket"
)]

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::fs::{Mode, OFlags};

use crate::{Error, Result, failpoint};

/// Mounts.
pub const MOUNT: u64 = libc::CLONE_NEWNS as u64;
/// cgroup root.
pub const CGROUP: u64 = libc::CLONE_NEWCGROUP as u64;
/// Host name.
pub const UTS: u64 = libc::CLONE_NEWUTS as u64;
/// System V and POSIX queues.
pub const IPC: u64 = libc::CLONE_NEWIPC as u64;
/// Ids.
pub const USER: u64 = libc::CLONE_NEWUSER as u64;
/// Process numbers.
pub const PID: u64 = libc::CLONE_NEWPID as u64;
/// Network.
pub const NETWORK: u64 = libc::CLONE_NEWNET as u64;

/// Clocks.
pub const TIME: u64 = 0x80;

/// Writes the ids of the user namespace of the process `pid`: lines of inside, outside, count.
pub fn write_ids(pid: i32, users: &str, groups: &str) -> Result<()> {
    failpoint::pass("write_ids")?;
    for (file, text) in [("uid_map", users), ("gid_map", groups)] {
        write_proc(&format!("/proc/{pid}/{file}"), text, "write_ids")?;
    }
    Ok(())
}

/// Sets the clocks of the time namespace that the next child is born into.
pub fn write_clocks(offsets: &str) -> Result<()> {
    failpoint::pass("write_clocks")?;
    write_proc("/proc/self/timens_offsets", offsets, "write_clocks")
}

fn write_proc(path: &str, text: &str, call: &'static str) -> Result<()> {
    let failed = |errno| Error::new(call, errno);
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(failed)?;
    rustix::io::write(&file, text.as_bytes()).map_err(failed)?;
    Ok(())
}

/// Opens a namespace file.
pub fn open(path: &std::path::Path) -> Result<OwnedFd> {
    failpoint::pass("open_namespace")?;
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| Error::new("open_namespace", errno))
}

/// Enters `kinds` of what `fd` names: a namespace file (one kind), or a process (any).
/// [`PID`] is entered by children only.
pub fn enter(fd: impl AsFd, kinds: u64) -> Result<()> {
    failpoint::pass("setns")?;
    // SAFETY: a live descriptor and an integer; all kinds are below bit 31.
    match unsafe { libc::syscall(libc::SYS_setns, fd.as_fd().as_raw_fd(), kinds) } {
        0 => Ok(()),
        _ => Err(Error::last("setns")),
    }
}

/// Moves this process into new namespaces.
pub fn unshare(kinds: u64) -> Result<()> {
    failpoint::pass("unshare")?;
    // SAFETY: an integer.
    match unsafe { libc::syscall(libc::SYS_unshare, kinds) } {
        0 => Ok(()),
        _ => Err(Error::last("unshare")),
    }
}

/// Returns the kind of a namespace file.
pub fn kind(fd: BorrowedFd<'_>) -> Result<u64> {
    const NS_GET_NSTYPE: libc::Ioctl = 0xb703;
    failpoint::pass("namespace_kind")?;
    // SAFETY: this ioctl takes no argument.
    match unsafe { libc::ioctl(fd.as_raw_fd(), NS_GET_NSTYPE) } {
        -1 => Err(Error::last("namespace_kind")),
        kind => Ok(u64::from(kind.unsigned_abs())),
    }
}

/// Sets the loopback link of this process's network namespace up.
pub fn loopback_up() -> Result<()> {
    // <net/if.h>; libc has it wider than the field.
    const IFF_UP: i16 = 1;
    failpoint::pass("loopback_up")?;
    let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC;
    // SAFETY: three integers.
    let socket = match unsafe { libc::socket(libc::AF_INET, kind, 0) } {
        -1 => return Err(Error::last("loopback_up")),
        // SAFETY: a new descriptor that nobody else owns.
        fd => unsafe { OwnedFd::from_raw_fd(fd) },
    };
    // SAFETY: ifreq is plain bytes, for which zero is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l'.cast_signed();
    request.ifr_name[1] = b'o'.cast_signed();
    request.ifr_ifru.ifru_flags = IFF_UP;
    // SAFETY: the request lives through the call and is what SIOCSIFFLAGS reads.
    match unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) } {
        0 => Ok(()),
        _ => Err(Error::last("loopback_up")),
    }
}

/// Sets the host name of this process's uts namespace.
pub fn set_hostname(name: &std::ffi::CStr) -> Result<()> {
    failpoint::pass("sethostname")?;
    rustix::system::sethostname(name.to_bytes()).map_err(|errno| Error::new("sethostname", errno))
}

/// Sets the NIS domain name of this process's uts namespace.
pub fn set_domainname(name: &std::ffi::CStr) -> Result<()> {
    failpoint::pass("setdomainname")?;
    rustix::system::setdomainname(name.to_bytes())
        .map_err(|errno| Error::new("setdomainname", errno))
}
