//! System call filters: loads a compiled one.

#![allow(unsafe_code, reason = "seccomp(2)")]

use std::os::fd::{FromRawFd, OwnedFd};

use crate::{Error, Result, failpoint};

/// One instruction of a filter (classic BPF, linux/filter.h).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Instruction {
    /// Operation.
    pub code: u16,
    /// Instructions to skip when true.
    pub jt: u8,
    /// Instructions to skip when false.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

/// Loads a filter for this thread and its children. Needs no_new_privs or CAP_SYS_ADMIN.
///
/// `flags` are the `SECCOMP_FILTER_FLAG_…` bits.
pub fn load(program: &[Instruction], flags: u32) -> Result<()> {
    failpoint::pass("seccomp")?;
    let len =
        u16::try_from(program.len()).map_err(|_| Error::new("seccomp", crate::Errno::INVAL))?;
    let filter = libc::sock_fprog {
        len,
        filter: program.as_ptr().cast_mut().cast(),
    };
    let mode = libc::SECCOMP_SET_MODE_FILTER;
    // SAFETY: `Instruction` has the layout of sock_filter, and the kernel only reads `len` of them.
    match unsafe { libc::syscall(libc::SYS_seccomp, mode, flags, &raw const filter) } {
        0 => Ok(()),
        _ => Err(Error::last("seccomp")),
    }
}

/// As [`load`]; returns the descriptor by which calls of `SECCOMP_RET_USER_NOTIF` are heard of.
pub fn load_with_listener(program: &[Instruction], flags: u32) -> Result<OwnedFd> {
    const NEW_LISTENER: u32 = 8;
    failpoint::pass("seccomp_listener")?;
    let len = u16::try_from(program.len());
    let len = len.map_err(|_| Error::new("seccomp_listener", crate::Errno::INVAL))?;
    let filter = libc::sock_fprog {
        len,
        filter: program.as_ptr().cast_mut().cast(),
    };
    let mode = libc::SECCOMP_SET_MODE_FILTER;
    let flags = flags | NEW_LISTENER;
    // SAFETY: as in `load`.
    match unsafe { libc::syscall(libc::SYS_seccomp, mode, flags, &raw const filter) } {
        -1 => Err(Error::last("seccomp_listener")),
        fd => {
            let fd = i32::try_from(fd).map_err(|_| Error::last("seccomp_listener"))?;
            // SAFETY: a new descriptor that nobody else owns.
            Ok(unsafe { OwnedFd::from_raw_fd(fd) })
        }
    }
}

/// Tells whether the kernel knows an action (`SECCOMP_RET_…`).
pub fn has_action(action: u32) -> bool {
    let mode = libc::SECCOMP_GET_ACTION_AVAIL;
    // SAFETY: the kernel reads one u32.
    unsafe { libc::syscall(libc::SYS_seccomp, mode, 0, &raw const action) == 0 }
}
