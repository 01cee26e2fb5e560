//! Programs of config.json that run at turns of a container's life, with its state on stdin.

use std::ffi::OsStr;
use std::io::{Seek, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use sys::pidfd::{self, Status};
use sys::poll::{Interest, Poll, SIGKILL};
use sys::process::{Program, Spawn};
use types::oci::runtime::Hook;

use crate::error::unheard;

/// Most bytes that are kept of what a hook says.
const KEPT: usize = 64 * 1024;

/// A hook that failed, in runc's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failed {
    /// Which of its kind.
    pub(crate) number: usize,
    /// `exit status 1`, `signal: killed`, …
    pub(crate) how: String,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            number,
            how,
            stdout,
            stderr,
        } = self;
        write!(
            f,
            "error running hook #{number}: {how}, stdout: {stdout}, stderr: {stderr}"
        )
    }
}

/// Runs hooks one after another; the first failure ends it.
pub(crate) fn run(hooks: &[Hook], state: &[u8], cwd: &Path) -> Result<(), Failed> {
    for (number, hook) in hooks.iter().enumerate() {
        run_one(number, hook, state, cwd)?;
    }
    Ok(())
}

/// Runs one hook.
pub(crate) fn run_one(number: usize, hook: &Hook, state: &[u8], cwd: &Path) -> Result<(), Failed> {
    let fail = |how: String| Failed {
        number,
        how,
        stdout: String::new(),
        stderr: String::new(),
    };
    let said = |error: sys::Error| fail(error.to_string());
    let (stdout, their_stdout) = sys::fd::pipe().map_err(said)?;
    let (stderr, their_stderr) = sys::fd::pipe().map_err(said)?;
    let stdin = in_file(state).map_err(said)?;
    let words = |words: &[String]| words.to_vec();
    let mut args = words(&hook.args);
    if args.is_empty() {
        args.push(hook.path.clone());
    }
    let args: Vec<&OsStr> = args.iter().map(OsStr::new).collect();
    let env: Vec<&OsStr> = hook.env.iter().map(OsStr::new).collect();
    let child = Spawn {
        program: Program::Path(Path::new(&hook.path)),
        args: &args,
        env: &env,
        cwd,
        fds: &[stdin.as_fd(), their_stdout.as_fd(), their_stderr.as_fd()],
        session: true,
        foreground: false,
        death_signal: None,
    }
    .start()
    .map_err(|error| {
        fail(format!(
            "fork/exec {}: {}",
            hook.path,
            sys::errno_text(error.errno)
        ))
    })?;
    drop((their_stdout, their_stderr));
    let limit = hook.timeout.and_then(|seconds| u64::try_from(seconds).ok());
    let mut ends = [(stdout, Vec::new()), (stderr, Vec::new())];
    let how = listen(
        child.pidfd.as_fd(),
        &mut ends,
        limit.map(Duration::from_secs),
    );
    let how = match how.map_err(said)? {
        None => format!(
            "hook ran past specified timeout of {}.0s",
            limit.unwrap_or(0)
        ),
        Some(Status::Exited(0)) => return Ok(()),
        Some(Status::Exited(code)) => format!("exit status {code}"),
        Some(Status::Signaled(signal)) => format!("signal: {signal}"),
    };
    let [stdout, stderr] = ends.map(|(_, bytes)| String::from_utf8_lossy(&bytes).into_owned());
    Err(Failed {
        number,
        how,
        stdout,
        stderr,
    })
}

/// A file that holds the state, read from its start: a hook that does not read blocks nobody.
fn in_file(state: &[u8]) -> sys::Result<OwnedFd> {
    let failed = |error: &std::io::Error| sys::Error::from_io("memfd_create", error);
    let file = sys::fd::memfd_sealed("state", state)?;
    let mut file = std::fs::File::from(file);
    file.rewind().map_err(|error| failed(&error))?;
    Ok(file.into())
}

/// Takes what the hook says until it ends; none: it did not in time, and was killed.
fn listen(
    process: BorrowedFd<'_>,
    ends: &mut [(OwnedFd, Vec<u8>); 2],
    limit: Option<Duration>,
) -> sys::Result<Option<Status>> {
    let deadline = limit.map(|limit| Instant::now() + limit);
    let poll = Poll::new()?;
    poll.add(process, 2, Interest::Read)?;
    for (token, (end, _)) in (0..).zip(ends.iter()) {
        sys::fd::set_nonblocking(end.as_fd(), true)?;
        poll.add(end.as_fd(), token, Interest::Read)?;
    }
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            // It may have ended this moment.
            unheard(pidfd::send_signal(process, SIGKILL));
            pidfd::wait(process)?;
            return Ok(None);
        }
        for event in poll.wait(left)? {
            if event.token == 2 {
                let status = pidfd::wait(process)?;
                for (end, bytes) in ends.iter_mut() {
                    take(end.as_fd(), bytes);
                }
                return Ok(Some(status));
            }
            let at = usize::try_from(event.token).unwrap_or_default();
            if let Some((end, bytes)) = ends.get_mut(at)
                && !take(end.as_fd(), bytes)
            {
                poll.remove(end.as_fd())?;
            }
        }
    }
}

/// Takes what is there; false at the end.
fn take(end: BorrowedFd<'_>, bytes: &mut Vec<u8>) -> bool {
    let mut buffer = [0; 4096];
    loop {
        match sys::fd::read(end, &mut buffer) {
            Ok(0) => return false,
            Ok(count) => {
                let room = KEPT.saturating_sub(bytes.len()).min(count);
                unheard(bytes.write_all(&buffer[..room]));
            }
            Err(error) => return error.errno == sys::Errno::AGAIN,
        }
    }
}
