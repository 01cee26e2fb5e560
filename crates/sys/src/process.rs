//! Starting a program with everything given explicitly, and what a keeper of processes needs.

#![allow(
    unsafe_code,
    reason = "clone(CLONE_VM | CLONE_VFORK) and the child's few calls until execve"
)]

use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::process::{WaitOptions, WaitStatus};

use crate::pidfd::{self, Status};
use crate::{Errno, Error, Result, failpoint};

/// What to execute.
#[derive(Clone, Copy, Debug)]
pub enum Program<'a> {
    /// A file; `PATH` is not searched.
    Path(&'a Path),
    /// An open file, such as a sealed memory file. A script does not work here.
    File(BorrowedFd<'a>),
}

/// A program to start. Nothing is inherited but the identity, the cgroup and the root directory:
/// every descriptor not named is closed, signals are as after boot.
#[derive(Clone, Copy, Debug)]
pub struct Spawn<'a> {
    /// What to execute.
    pub program: Program<'a>,
    /// `argv`, the program's name first.
    pub args: &'a [&'a OsStr],
    /// `NAME=value`.
    pub env: &'a [&'a OsStr],
    /// Where it starts.
    pub cwd: &'a Path,
    /// They become 0, 1, 2, …
    pub fds: &'a [BorrowedFd<'a>],
    /// In a session of its own.
    pub session: bool,
    /// In a process group of its own, which is the foreground of the terminal at 0, if one is there.
    pub foreground: bool,
    /// Sent to it when the *thread* that started it ends (prctl(2), `PR_SET_PDEATHSIG`).
    pub death_signal: Option<i32>,
}

/// A started program.
#[derive(Debug)]
pub struct Child {
    /// Its process id; it stays ours until it is waited for.
    pub pid: i32,
    /// Readable when it ended, close-on-exec.
    pub pidfd: OwnedFd,
}

/// The child's work between clone and execve, all prepared; the memory is shared with the parent,
/// which is stopped meanwhile.
struct Stage<'a> {
    program: Option<&'a CStr>,
    file: i32,
    argv: Vec<*const libc::c_char>,
    envp: Vec<*const libc::c_char>,
    cwd: &'a CStr,
    sources: Vec<i32>,
    session: bool,
    foreground: bool,
    death_signal: i32,
    /// What failed, for the parent.
    failed: Option<(&'static str, i32)>,
}

/// Stack of the child until execve: it calls thin wrappers of kernel calls only.
const STACK: usize = 64 * 1024;

impl Spawn<'_> {
    /// Starts it; when this returns, the program is executing, or the reason is given by the call
    /// that failed (`chdir`, `execve`, …).
    pub fn start(&self) -> Result<Child> {
        failpoint::pass("clone")?;
        let invalid = |_| Error::new("execve", Errno::INVAL);
        let text = |text: &&OsStr| CString::new(text.as_bytes()).map_err(invalid);
        let args = self.args.iter().map(text).collect::<Result<Vec<_>>>()?;
        let env = self.env.iter().map(text).collect::<Result<Vec<_>>>()?;
        let cwd = CString::new(self.cwd.as_os_str().as_bytes()).map_err(invalid)?;
        let (program, file) = match self.program {
            Program::Path(path) => (
                Some(CString::new(path.as_os_str().as_bytes()).map_err(invalid)?),
                -1,
            ),
            Program::File(file) => (None, file.as_raw_fd()),
        };
        let mut stage = Stage {
            program: program.as_deref(),
            file,
            argv: pointers(&args),
            envp: pointers(&env),
            cwd: &cwd,
            sources: self.fds.iter().map(AsRawFd::as_raw_fd).collect(),
            session: self.session,
            foreground: self.foreground,
            death_signal: self.death_signal.unwrap_or(0),
            failed: None,
        };
        let (pid, pidfd) = clone_stage(&mut stage)?;
        if let Some((call, errno)) = stage.failed {
            // It exited already; nobody else may ever see its pid.
            let _unreported = pidfd::wait(pidfd.as_fd());
            return Err(Error::new(call, Errno::from_raw_os_error(errno)));
        }
        Ok(Child { pid, pidfd })
    }
}

fn pointers(texts: &[CString]) -> Vec<*const libc::c_char> {
    texts
        .iter()
        .map(|text| text.as_ptr())
        .chain([std::ptr::null()])
        .collect()
}

fn clone_stage(stage: &mut Stage<'_>) -> Result<(i32, OwnedFd)> {
    let mut stack = vec![0_u8; STACK];
    let top = stack.as_mut_ptr_range().end;
    let top = top.wrapping_sub(top.addr() % 16);
    let mut pidfd = -1;
    let mut old = crate::poll::signal_set(&[]);
    let mut all = crate::poll::signal_set(&[]);
    // SAFETY: `all` is an initialised set.
    unsafe { libc::sigfillset(&raw mut all) };
    // No handler of ours may run in the child, which shares our memory.
    // SAFETY: both sets are initialised and outlive the call.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut old) };
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
    // SAFETY: the stack is ours and lives until the child execs or exits, for CLONE_VFORK stops
    // us until then; `stage` and `pidfd` are exclusive borrows that outlive that too.
    let pid = unsafe {
        libc::clone(
            enter,
            top.cast(),
            flags,
            std::ptr::from_mut(stage).cast(),
            &raw mut pidfd,
        )
    };
    let failed = (pid == -1).then(|| Error::last("clone"));
    // SAFETY: `old` is the set that the first call saved.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const old, std::ptr::null_mut()) };
    drop(stack);
    if let Some(error) = failed {
        return Err(error);
    }
    // SAFETY: the kernel made it for us with the child.
    Ok((pid, unsafe { OwnedFd::from_raw_fd(pidfd) }))
}

extern "C" fn enter(stage: *mut libc::c_void) -> libc::c_int {
    // SAFETY: `clone_stage` passes its exclusive borrow and is stopped while we run.
    let stage = unsafe { &mut *stage.cast::<Stage<'_>>() };
    let call = stage.run();
    stage.failed = Some((
        call,
        std::io::Error::last_os_error()
            .raw_os_error()
            .unwrap_or(libc::EIO),
    ));
    // SAFETY: _exit runs nothing of this address space.
    unsafe { libc::_exit(127) }
}

impl Stage<'_> {
    /// Runs in the child; returns the name of the call that failed. Allocates nothing.
    fn run(&mut self) -> &'static str {
        if self.foreground {
            // SAFETY: takes integers only.
            let done = unsafe { libc::setpgid(0, 0) };
            if done == -1 {
                return "setpgid";
            }
            // Every signal is blocked still, so that the terminal does not stop us for asking.
            // SAFETY: takes nothing.
            let own = unsafe { libc::getpid() };
            // Without a terminal there is no foreground to be in.
            // SAFETY: takes integers only.
            unsafe { libc::tcsetpgrp(0, own) };
        }
        reset_signals();
        if self.session {
            // SAFETY: takes nothing.
            let done = unsafe { libc::setsid() };
            if done == -1 {
                return "setsid";
            }
        }
        if self.death_signal != 0 {
            // SAFETY: takes integers only.
            let done = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, self.death_signal) };
            if done == -1 {
                return "prctl";
            }
        }
        // SAFETY: a string with its NUL that outlives us.
        let done = unsafe { libc::chdir(self.cwd.as_ptr()) };
        if done == -1 {
            return "chdir";
        }
        if !self.place_fds() {
            return "dup3";
        }
        if let Some(program) = self.program {
            let (argv, envp) = (self.argv.as_ptr(), self.envp.as_ptr());
            // SAFETY: strings with their NUL, lists with their null, all outlive us.
            unsafe { libc::execve(program.as_ptr(), argv, envp) };
            return "execve";
        }
        let (argv, envp) = (self.argv.as_ptr(), self.envp.as_ptr());
        // SAFETY: as above; the empty path means the file itself.
        unsafe {
            libc::syscall(
                libc::SYS_execveat,
                self.file,
                c"".as_ptr(),
                argv,
                envp,
                libc::AT_EMPTY_PATH,
            )
        };
        "execveat"
    }

    /// Moves the descriptors to 0, 1, 2, …: first all out of the way, then into place.
    fn place_fds(&mut self) -> bool {
        let count = libc::c_int::try_from(self.sources.len()).unwrap_or(libc::c_int::MAX);
        for fd in self
            .sources
            .iter_mut()
            .chain((self.file != -1).then_some(&mut self.file))
        {
            // SAFETY: takes integers only.
            *fd = unsafe { libc::fcntl(*fd, libc::F_DUPFD_CLOEXEC, count) };
            if *fd == -1 {
                return false;
            }
        }
        for (target, fd) in (0..).zip(&self.sources) {
            // SAFETY: takes integers only; the numbers below `count` are ours to replace here,
            // for the descriptor table is the child's own.
            let done = unsafe { libc::dup3(*fd, target, 0) };
            if done == -1 {
                return false;
            }
        }
        // Ours are close-on-exec from birth; this is for those of libraries. ENOSYS before 5.9.
        // SAFETY: takes integers only and closes nothing now.
        unsafe {
            libc::syscall(
                libc::SYS_close_range,
                count,
                libc::c_uint::MAX,
                libc::CLOSE_RANGE_CLOEXEC,
            )
        };
        true
    }
}

/// Sets every signal to its default, then unblocks all.
fn reset_signals() {
    for signal in 1..=64 {
        // SAFETY: SIG_DFL runs no code of ours; numbers that cannot be set are refused.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    let none = crate::poll::signal_set(&[]);
    // SAFETY: an initialised set; the old one is not asked for.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut()) };
}

/// Takes the next child or adopted orphan that ended; nothing when none did. Only for a process
/// that knows all its children, for it takes their ends from every other waiter.
pub fn reap_any() -> Result<Option<(i32, Status)>> {
    failpoint::pass("wait4")?;
    match rustix::io::retry_on_intr(|| rustix::process::wait(WaitOptions::NOHANG)) {
        Ok(found) => Ok(found.and_then(|(pid, status)| Some((pid.as_raw_pid(), ended(status)?)))),
        Err(Errno::CHILD) => Ok(None),
        Err(errno) => Err(Error::new("wait4", errno)),
    }
}

fn ended(status: WaitStatus) -> Option<Status> {
    let exited = status.exit_status().map(Status::Exited);
    exited.or_else(|| status.terminating_signal().map(Status::Signaled))
}

/// Makes orphans below this process its children.
pub fn become_subreaper() -> Result<()> {
    failpoint::pass("prctl_subreaper")?;
    // The kernel takes any value but zero for yes.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(|errno| Error::new("prctl_subreaper", errno))
}

/// Forbids core files and ptrace by processes with fewer rights; /proc/self becomes root's.
pub fn set_not_dumpable() -> Result<()> {
    failpoint::pass("prctl_dumpable")?;
    let behavior = rustix::process::DumpableBehavior::NotDumpable;
    rustix::process::set_dumpable_behavior(behavior)
        .map_err(|errno| Error::new("prctl_dumpable", errno))
}

/// Sets the name that `ps` shows for this thread; the kernel keeps 15 bytes.
pub fn set_name(name: &CStr) -> Result<()> {
    failpoint::pass("prctl_name")?;
    rustix::thread::set_name(name).map_err(|errno| Error::new("prctl_name", errno))
}

/// Makes a session of its own; `EPERM` for a leader of a process group.
pub fn new_session() -> Result<()> {
    failpoint::pass("setsid")?;
    rustix::process::setsid()
        .map(|_| ())
        .map_err(|errno| Error::new("setsid", errno))
}

/// Sets how willingly the kernel kills this process for memory, -1000 to 1000. Children inherit it.
pub fn set_oom_score_adj(value: i32) -> Result<()> {
    failpoint::pass("oom_score_adj")?;
    std::fs::OpenOptions::new()
        .write(true)
        .open("/proc/self/oom_score_adj")
        .and_then(|mut file| std::io::Write::write_all(&mut file, value.to_string().as_bytes()))
        .map_err(|error| Error::from_io("oom_score_adj", &error))
}

/// Sets the umask of this process.
pub fn set_umask(mask: u32) -> Result<()> {
    failpoint::pass("umask")?;
    rustix::process::umask(rustix::fs::Mode::from_bits_truncate(mask));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fd;

    fn sh<'a>(args: &'a [&'a OsStr], fds: &'a [BorrowedFd<'a>]) -> Spawn<'a> {
        Spawn {
            program: Program::Path(Path::new("/bin/sh")),
            args,
            env: &[],
            cwd: Path::new("/"),
            fds,
            session: false,
            foreground: false,
            death_signal: None,
        }
    }

    #[test]
    fn starts_with_what_is_given_and_nothing_else() {
        let (reader, writer) = fd::pipe().unwrap();
        let null = std::fs::File::open("/dev/null").unwrap();
        // Any descriptor that leaks would be listed; ls opens one for itself.
        let script = "echo $0 $A $PWD; cd /proc/self/fd; echo *; trap; kill -PIPE $$";
        let args = ["sh", "-c", script, "arg0"].map(OsStr::new);
        let fds = [null.as_fd(), writer.as_fd(), writer.as_fd()];
        let env = [OsStr::new("A=b")];
        let mut spawn = sh(&args, &fds);
        spawn.env = &env;
        spawn.cwd = Path::new("/usr");
        spawn.session = true;
        let child = spawn.start().unwrap();
        assert_eq!(
            pidfd::wait(child.pidfd.as_fd()).unwrap(),
            Status::Signaled(libc::SIGPIPE)
        );
        drop(writer);
        let mut text = String::new();
        std::io::Read::read_to_string(&mut std::fs::File::from(reader), &mut text).unwrap();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("arg0 b /usr"));
        let numbers = lines.next().unwrap();
        assert!(numbers.starts_with("0 1 2"), "{numbers}");
        assert!(numbers.split(' ').count() <= 4, "{numbers}");
    }

    #[test]
    fn descriptors_may_change_places() {
        let (r0, w0) = fd::pipe().unwrap();
        let (r1, w1) = fd::pipe().unwrap();
        let args = ["sh", "-c", "echo one >&3; echo two >&4"].map(OsStr::new);
        let fds = [r0.as_fd(), r0.as_fd(), r0.as_fd(), w1.as_fd(), w0.as_fd()];
        let child = sh(&args, &fds).start().unwrap();
        assert_eq!(pidfd::wait(child.pidfd.as_fd()).unwrap(), Status::Exited(0));
        let mut buffer = [0; 8];
        assert_eq!(fd::read(r0.as_fd(), &mut buffer).unwrap(), 4);
        assert_eq!(&buffer[..4], b"two\n");
        assert_eq!(fd::read(r1.as_fd(), &mut buffer).unwrap(), 4);
        assert_eq!(&buffer[..4], b"one\n");
    }

    #[test]
    fn executes_a_sealed_memory_file() {
        let binary = std::fs::File::open("/bin/true").unwrap();
        let copy = fd::memfd_sealed_copy("true", binary.as_fd()).unwrap();
        let args = [OsStr::new("true")];
        let mut spawn = sh(&args, &[]);
        spawn.program = Program::File(copy.as_fd());
        assert_eq!(
            pidfd::wait(spawn.start().unwrap().pidfd.as_fd()).unwrap(),
            Status::Exited(0)
        );
    }

    #[test]
    fn says_which_call_failed() {
        let args = [OsStr::new("x")];
        let mut spawn = sh(&args, &[]);
        spawn.program = Program::Path(Path::new("/nonexistent"));
        assert_eq!(
            spawn.start().unwrap_err(),
            Error::new("execve", Errno::NOENT)
        );
        spawn.cwd = Path::new("/nonexistent");
        assert_eq!(
            spawn.start().unwrap_err(),
            Error::new("chdir", Errno::NOENT)
        );
    }
}
