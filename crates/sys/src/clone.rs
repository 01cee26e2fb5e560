//! A new process without exec, and its exec: what runs between the two must not allocate.

#![allow(unsafe_code, reason = "clone3, execve, signals and _exit")]

use std::ffi::{CStr, CString, c_char};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::single_threaded::SingleThreaded;
use crate::{Errno, Error, Result, failpoint};

/// Who came back from [`clone3`].
#[derive(Debug)]
pub enum Cloned {
    /// The caller.
    Parent {
        /// Host pid of the new process.
        pid: i32,
        /// Its descriptor.
        pidfd: OwnedFd,
    },
    /// The new process. It shares no memory with the caller, and has no allocator to rely on.
    Child,
}

/// Makes a process in new namespaces (`CLONE_NEW…` of [`crate::namespace`]) and, on cgroup v2, in
/// the cgroup whose directory is `into_cgroup`. Handlers of signals are reset in it.
pub fn clone3(
    _proof: SingleThreaded,
    namespaces: u64,
    into_cgroup: Option<BorrowedFd<'_>>,
) -> Result<Cloned> {
    // libc's constants of these two are too narrow.
    const CLEAR_SIGHAND: u64 = 1 << 32;
    const INTO_CGROUP: u64 = 1 << 33;
    failpoint::pass("clone3")?;
    let mut pidfd: libc::c_int = -1;
    let mut flags = namespaces | libc::CLONE_PIDFD as u64 | CLEAR_SIGHAND;
    let mut cgroup = 0;
    if let Some(fd) = into_cgroup {
        flags |= INTO_CGROUP;
        cgroup = u64::from(fd.as_raw_fd().unsigned_abs());
    }
    let args = libc::clone_args {
        flags,
        pidfd: (&raw mut pidfd) as u64,
        child_tid: 0,
        parent_tid: 0,
        exit_signal: libc::SIGCHLD as u64,
        stack: 0,
        stack_size: 0,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup,
    };
    // SAFETY: `args` is of the size that is given and points to a live `pidfd`. Without CLONE_VM
    // the child has its own copy of everything, and the proof says that no other thread could have
    // left a lock held in that copy.
    match unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of_val(&args)) } {
        -1 => Err(Error::last("clone3")),
        0 => Ok(Cloned::Child),
        pid => {
            // SAFETY: the kernel stored a new descriptor there that nobody else owns.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            let pid = i32::try_from(pid).map_err(|_| Error::new("clone3", Errno::OVERFLOW))?;
            Ok(Cloned::Parent { pid, pidfd })
        }
    }
}

/// Strings as execve wants them, made before the clone.
#[derive(Debug)]
pub struct Strings {
    strings: Vec<CString>,
    pointers: Vec<*const c_char>,
}

impl Strings {
    /// Lays out `strings`.
    pub fn new(strings: Vec<CString>) -> Self {
        let mut pointers: Vec<_> = strings.iter().map(|string| string.as_ptr()).collect();
        pointers.push(std::ptr::null());
        Self { strings, pointers }
    }

    /// Returns the strings.
    pub fn as_slice(&self) -> &[CString] {
        &self.strings
    }
}

/// Becomes another program; returns only what went wrong.
pub fn execve(path: &CStr, args: &Strings, env: &Strings) -> Error {
    if let Err(error) = failpoint::pass("execve") {
        return error;
    }
    // SAFETY: both lists end with a null pointer and point into strings that their owners keep.
    unsafe { libc::execve(path.as_ptr(), args.pointers.as_ptr(), env.pointers.as_ptr()) };
    Error::last("execve")
}

/// Ends this process at once, without running anything.
pub fn exit(code: i32) -> ! {
    // SAFETY: _exit takes an integer and does not return.
    unsafe { libc::_exit(code) }
}

/// Gives every signal its default action and unblocks all: what a fresh program expects, for
/// ignored signals and the mask live on through execve.
pub fn reset_signals() -> Result<()> {
    failpoint::pass("reset_signals")?;
    // What the kernel reads: handler (0 is the default action), flags, restorer and mask. libc's own
    // function refuses the two signals that it uses itself, and a caller may have ignored those too.
    let default = [0_u64; 4];
    for signal in (1..=64).filter(|signal| ![libc::SIGKILL, libc::SIGSTOP].contains(signal)) {
        let (action, size) = (default.as_ptr(), size_of::<u64>());
        let none = std::ptr::null_mut::<u64>();
        // SAFETY: an action of the size that x86_64 and aarch64 read, and none to fill.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, action, none, size) };
    }
    // SAFETY: sigset_t is plain bytes; sigemptyset below gives them their meaning.
    let mut none: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: a live set.
    unsafe { libc::sigemptyset(&raw mut none) };
    // SAFETY: a live set to read, and no set to fill.
    match unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(Error::last("reset_signals")),
    }
}

/// Asks for SIGKILL when the parent ends (cleared by a change of credentials).
pub fn die_with_parent() -> Result<()> {
    failpoint::pass("die_with_parent")?;
    // SAFETY: this option takes an integer.
    match unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong) } {
        0 => Ok(()),
        _ => Err(Error::last("die_with_parent")),
    }
}

/// Takes [`die_with_parent`] back.
pub fn outlive_parent() -> Result<()> {
    failpoint::pass("outlive_parent")?;
    // SAFETY: this option takes an integer.
    match unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, 0 as libc::c_ulong) } {
        0 => Ok(()),
        _ => Err(Error::last("outlive_parent")),
    }
}

/// Becomes the program in the open file `file`; returns only what went wrong.
pub fn execveat(file: BorrowedFd<'_>, args: &Strings, env: &Strings) -> Error {
    if let Err(error) = failpoint::pass("execveat") {
        return error;
    }
    let (argv, envp) = (args.pointers.as_ptr(), env.pointers.as_ptr());
    let flags = libc::AT_EMPTY_PATH;
    // SAFETY: both lists end with a null pointer and point into strings that their owners keep; the
    // empty path means the file itself.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            file.as_raw_fd(),
            c"".as_ptr(),
            argv,
            envp,
            flags,
        )
    };
    Error::last("execveat")
}

/// Makes `fd` the standard stream `stream` (0, 1 or 2), to be kept through execve.
pub fn set_stream(fd: BorrowedFd<'_>, stream: u8) -> Result<()> {
    failpoint::pass("dup2")?;
    // SAFETY: the standard streams belong to the whole process; no OwnedFd stands for them.
    match unsafe { libc::dup2(fd.as_raw_fd(), libc::c_int::from(stream)) } {
        -1 => Err(Error::last("dup2")),
        _ => Ok(()),
    }
}
