//! Who a process is: ids, capabilities, no_new_privs, keyring.

#![allow(
    unsafe_code,
    reason = "raw calls: libc's wrappers signal all threads, and capset has none"
)]

use std::ffi::CStr;

use crate::{Errno, Error, Result, failpoint};

/// Sets of capabilities, one bit each (capabilities(7)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Permitted.
    pub permitted: u64,
    /// Effective.
    pub effective: u64,
    /// Inheritable.
    pub inheritable: u64,
}

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const VERSION_3: u32 = 0x2008_0522;

/// Tells whether this process is root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Returns this process's capabilities.
pub fn capabilities() -> Result<Capabilities> {
    failpoint::pass("capget")?;
    let header = Header {
        version: VERSION_3,
        pid: 0,
    };
    let mut data = [Data::default(); 2];
    // SAFETY: version 3 reads the header and fills two elements.
    match unsafe { libc::syscall(libc::SYS_capget, &raw const header, data.as_mut_ptr()) } {
        0 => {
            let join = |low: u32, high: u32| u64::from(low) | (u64::from(high) << 32);
            Ok(Capabilities {
                permitted: join(data[0].permitted, data[1].permitted),
                effective: join(data[0].effective, data[1].effective),
                inheritable: join(data[0].inheritable, data[1].inheritable),
            })
        }
        _ => Err(Error::last("capget")),
    }
}

/// Sets this process's capabilities.
pub fn set_capabilities(sets: Capabilities) -> Result<()> {
    failpoint::pass("capset")?;
    let header = Header {
        version: VERSION_3,
        pid: 0,
    };
    let part = |shift: u32| Data {
        effective: ((sets.effective >> shift) & 0xffff_ffff) as u32,
        permitted: ((sets.permitted >> shift) & 0xffff_ffff) as u32,
        inheritable: ((sets.inheritable >> shift) & 0xffff_ffff) as u32,
    };
    let data = [part(0), part(32)];
    // SAFETY: version 3 reads the header and two elements.
    match unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) } {
        0 => Ok(()),
        _ => Err(Error::last("capset")),
    }
}

fn prctl(call: &'static str, option: libc::c_int, args: [libc::c_ulong; 2]) -> Result<i32> {
    // SAFETY: only options whose arguments are integers come here, and unused ones are 0.
    match unsafe {
        libc::prctl(
            option,
            args[0],
            args[1],
            0 as libc::c_ulong,
            0 as libc::c_ulong,
        )
    } {
        -1 => Err(Error::last(call)),
        value => Ok(value),
    }
}

/// Drops a capability from the bounding set; `EINVAL` for a number that this kernel does not know.
pub fn drop_from_bounding_set(capability: u32) -> Result<()> {
    failpoint::pass("capbset_drop")?;
    prctl(
        "capbset_drop",
        libc::PR_CAPBSET_DROP,
        [capability.into(), 0],
    )
    .map(drop)
}

/// Empties the ambient set.
pub fn clear_ambient_set() -> Result<()> {
    failpoint::pass("cap_ambient")?;
    let clear = libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong;
    prctl("cap_ambient", libc::PR_CAP_AMBIENT, [clear, 0]).map(drop)
}

/// Adds a capability to the ambient set.
pub fn raise_ambient(capability: u32) -> Result<()> {
    failpoint::pass("cap_ambient")?;
    let raise = libc::PR_CAP_AMBIENT_RAISE as libc::c_ulong;
    prctl(
        "cap_ambient",
        libc::PR_CAP_AMBIENT,
        [raise, capability.into()],
    )
    .map(drop)
}

/// Keeps the permitted set over the next change of user, or not.
pub fn keep_capabilities(keep: bool) -> Result<()> {
    failpoint::pass("keepcaps")?;
    prctl("keepcaps", libc::PR_SET_KEEPCAPS, [keep.into(), 0]).map(drop)
}

/// Forbids to gain privileges by execve, for ever.
pub fn set_no_new_privs() -> Result<()> {
    failpoint::pass("no_new_privs")?;
    prctl("no_new_privs", libc::PR_SET_NO_NEW_PRIVS, [1, 0]).map(drop)
}

/// Sets the supplementary groups of this thread.
pub fn set_groups(groups: &[u32]) -> Result<()> {
    failpoint::pass("setgroups")?;
    // SAFETY: as many numbers as are given.
    match unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) } {
        0 => Ok(()),
        _ => Err(Error::last("setgroups")),
    }
}

/// Sets the three group ids of this thread.
pub fn set_gid(gid: u32) -> Result<()> {
    failpoint::pass("setresgid")?;
    // SAFETY: three integers.
    match unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) } {
        0 => Ok(()),
        _ => Err(Error::last("setresgid")),
    }
}

/// Sets the three user ids of this thread.
pub fn set_uid(uid: u32) -> Result<()> {
    failpoint::pass("setresuid")?;
    // SAFETY: three integers.
    match unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) } {
        0 => Ok(()),
        _ => Err(Error::last("setresuid")),
    }
}

/// Joins a session keyring of its own; a kernel without keyrings, or a spent quota, is no error.
pub fn join_session_keyring(name: &CStr) -> Result<()> {
    failpoint::pass("keyctl")?;
    let join = libc::KEYCTL_JOIN_SESSION_KEYRING;
    // SAFETY: a string that ends with NUL.
    if unsafe { libc::syscall(libc::SYS_keyctl, join, name.as_ptr()) } != -1 {
        return Ok(());
    }
    match Error::last("keyctl") {
        Error {
            errno: Errno::NOSYS | Errno::DQUOT | Errno::PERM,
            ..
        } => Ok(()),
        error => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_own_sets_are_read() {
        let own = capabilities().unwrap();
        assert_ne!(own.permitted, 0);
        assert_eq!(own.effective & !own.permitted, 0);
        assert_eq!(drop_from_bounding_set(63).unwrap_err().errno, Errno::INVAL);
    }
}
