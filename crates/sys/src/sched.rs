//! What a process may use: resource limits, and its place in the queue of the OOM killer.

#![allow(unsafe_code, reason = "setrlimit by number")]

use crate::{Errno, Error, Result, failpoint};

/// A resource limit (getrlimit(2)); `u64::MAX` is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Number of the resource, `RLIMIT_…`.
    pub resource: u32,
    /// Soft limit.
    pub soft: u64,
    /// Hard limit.
    pub hard: u64,
}

/// Returns the number of a resource by its name, `RLIMIT_NOFILE`.
pub fn resource(name: &str) -> Option<u32> {
    let name = name.strip_prefix("RLIMIT_")?;
    let found = match name {
        "CPU" => libc::RLIMIT_CPU,
        "FSIZE" => libc::RLIMIT_FSIZE,
        "DATA" => libc::RLIMIT_DATA,
        "STACK" => libc::RLIMIT_STACK,
        "CORE" => libc::RLIMIT_CORE,
        "RSS" => libc::RLIMIT_RSS,
        "NPROC" => libc::RLIMIT_NPROC,
        "NOFILE" => libc::RLIMIT_NOFILE,
        "MEMLOCK" => libc::RLIMIT_MEMLOCK,
        "AS" => libc::RLIMIT_AS,
        "LOCKS" => libc::RLIMIT_LOCKS,
        "SIGPENDING" => libc::RLIMIT_SIGPENDING,
        "MSGQUEUE" => libc::RLIMIT_MSGQUEUE,
        "NICE" => libc::RLIMIT_NICE,
        "RTPRIO" => libc::RLIMIT_RTPRIO,
        "RTTIME" => libc::RLIMIT_RTTIME,
        _ => return None,
    };
    Some(found)
}

/// Returns this process's limit on a resource.
pub fn limit(resource: u32) -> Result<Limit> {
    failpoint::pass("getrlimit")?;
    let mut found = libc::rlimit64 {
        rlim_cur: 0,
        rlim_max: 0,
    };
    let none = std::ptr::null::<libc::rlimit64>();
    // SAFETY: the kernel fills one rlimit64.
    match unsafe { libc::syscall(libc::SYS_prlimit64, 0, resource, none, &raw mut found) } {
        0 => Ok(Limit {
            resource,
            soft: found.rlim_cur,
            hard: found.rlim_max,
        }),
        _ => Err(Error::last("getrlimit")),
    }
}

/// Sets a limit of this process.
pub fn set_limit(limit: Limit) -> Result<()> {
    failpoint::pass("setrlimit")?;
    let wanted = libc::rlimit64 {
        rlim_cur: limit.soft,
        rlim_max: limit.hard,
    };
    let none = std::ptr::null_mut::<libc::rlimit64>();
    let resource = limit.resource;
    // SAFETY: the kernel reads one rlimit64.
    match unsafe { libc::syscall(libc::SYS_prlimit64, 0, resource, &raw const wanted, none) } {
        0 => Ok(()),
        _ => Err(Error::last("setrlimit")),
    }
}

/// Sets a limit of the process `pid`.
pub fn set_limit_of(pid: i32, limit: Limit) -> Result<()> {
    failpoint::pass("setrlimit")?;
    let wanted = libc::rlimit64 {
        rlim_cur: limit.soft,
        rlim_max: limit.hard,
    };
    let none = std::ptr::null_mut::<libc::rlimit64>();
    let resource = limit.resource;
    // SAFETY: the kernel reads one rlimit64.
    match unsafe { libc::syscall(libc::SYS_prlimit64, pid, resource, &raw const wanted, none) } {
        0 => Ok(()),
        _ => Err(Error::last("setrlimit")),
    }
}

/// Sets the oom_score_adj of the process `pid`.
pub fn set_oom_score_adj_of(pid: i32, value: i32) -> Result<()> {
    failpoint::pass("oom_score_adj")?;
    let failed = |errno: Errno| Error::new("oom_score_adj", errno);
    let flags = rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::CLOEXEC;
    let mode = rustix::fs::Mode::empty();
    let path = format!("/proc/{pid}/oom_score_adj");
    let file = rustix::fs::open(path, flags, mode).map_err(failed)?;
    rustix::io::write(&file, decimal(value, &mut [0; 12])).map_err(failed)?;
    Ok(())
}

/// How a process is scheduled (sched_setattr(2)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scheduling {
    /// `SCHED_OTHER` (0), `SCHED_FIFO` (1), …
    pub policy: u32,
    /// `SCHED_FLAG_…`.
    pub flags: u64,
    /// Nice value.
    pub nice: i32,
    /// Static priority.
    pub priority: u32,
    /// Nanoseconds.
    pub runtime: u64,
    /// Nanoseconds.
    pub deadline: u64,
    /// Nanoseconds.
    pub period: u64,
}

/// What the kernel reads (linux/sched/types.h).
#[repr(C)]
struct SchedAttr {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// Sets how this process is scheduled.
pub fn set_scheduling(wanted: Scheduling) -> Result<()> {
    failpoint::pass("sched_setattr")?;
    let attr = SchedAttr {
        size: u32::try_from(size_of::<SchedAttr>()).unwrap_or_default(),
        policy: wanted.policy,
        flags: wanted.flags,
        nice: wanted.nice,
        priority: wanted.priority,
        runtime: wanted.runtime,
        deadline: wanted.deadline,
        period: wanted.period,
    };
    // SAFETY: the kernel reads as many bytes as the structure says that it has.
    match unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attr, 0) } {
        0 => Ok(()),
        _ => Err(Error::last("sched_setattr")),
    }
}

/// Sets how this process waits for disks: a class (1 real time, 2 best effort, 3 idle) and a level.
pub fn set_io_priority(class: u16, level: u16) -> Result<()> {
    const THIS_PROCESS: i32 = 1;
    failpoint::pass("ioprio_set")?;
    let value = (i32::from(class) << 13) | i32::from(level);
    // SAFETY: three integers.
    match unsafe { libc::syscall(libc::SYS_ioprio_set, THIS_PROCESS, 0, value) } {
        0 => Ok(()),
        _ => Err(Error::last("ioprio_set")),
    }
}

/// Sets on which processors this process runs: one bit each.
pub fn set_affinity(processors: &[u64]) -> Result<()> {
    failpoint::pass("sched_setaffinity")?;
    let (size, start) = (size_of_val(processors), processors.as_ptr());
    // SAFETY: as many bytes as are given.
    match unsafe { libc::syscall(libc::SYS_sched_setaffinity, 0, size, start) } {
        0 => Ok(()),
        _ => Err(Error::last("sched_setaffinity")),
    }
}

/// Makes this process believe to run on another system (`PER_LINUX` 0, `PER_LINUX32` 8).
pub fn set_personality(persona: u32) -> Result<()> {
    failpoint::pass("personality")?;
    // SAFETY: an integer.
    match unsafe { libc::personality(libc::c_ulong::from(persona)) } {
        -1 => Err(Error::last("personality")),
        _ => Ok(()),
    }
}

/// Sets this process's oom_score_adj, through the /proc that it sees.
pub fn set_oom_score_adj(value: i32) -> Result<()> {
    failpoint::pass("oom_score_adj")?;
    let mut buffer = [0_u8; 12];
    let text = decimal(value, &mut buffer);
    let failed = |errno: Errno| Error::new("oom_score_adj", errno);
    let flags = rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::CLOEXEC;
    let mode = rustix::fs::Mode::empty();
    let file = rustix::fs::open(c"/proc/self/oom_score_adj", flags, mode).map_err(failed)?;
    rustix::io::write(&file, text).map_err(failed)?;
    Ok(())
}

/// Prints a number without an allocator.
fn decimal(value: i32, buffer: &mut [u8; 12]) -> &[u8] {
    let mut rest = value.unsigned_abs();
    let mut at = buffer.len();
    loop {
        at -= 1;
        buffer[at] = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        at -= 1;
        buffer[at] = b'-';
    }
    &buffer[at..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_numbers() {
        for value in [0, 7, -1, 1000, -1000, i32::MIN, i32::MAX] {
            assert_eq!(decimal(value, &mut [0; 12]), value.to_string().as_bytes());
        }
    }

    #[test]
    fn limits_are_read_by_name() {
        let files = limit(resource("RLIMIT_NOFILE").unwrap()).unwrap();
        assert!(files.soft <= files.hard);
        assert_eq!(resource("NOFILE"), None);
        assert_eq!(resource("RLIMIT_NOSUCH"), None);
    }
}
