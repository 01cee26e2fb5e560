//! The small init of `--init`: process 1 of a container that starts the program, passes signals on
//! to it, reaps whatever becomes an orphan, and ends as the program ends.

use std::ffi::{CStr, OsStr, OsString};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use sys::Errno;
use sys::pidfd::{self, Status};
use sys::poll::{Interest, Poll, SIGCHLD, Signals};
use sys::process::{self, Child, Program, Spawn};

const NAME: &CStr = c"docker-init";
/// Where a name without a slash is looked for when the environment does not say (execvp(3)).
const DEFAULT_PATH: &str = "/bin:/usr/bin";
/// Signals of one's own faults and of the terminal's background are not passed on (numbers as on
/// x86 and ARM, signal(7)): ILL, TRAP, ABRT, BUS, FPE, KILL, SEGV, STOP, TTIN, TTOU, SYS.
const KEPT: [i32; 11] = [4, 5, 6, 7, 8, 9, 11, 19, 21, 22, 31];
const LAST_SIGNAL: i32 = 64;
/// Exit codes of a shell for a program that is not there, or not to be run.
const NOT_FOUND: i32 = 127;
const NOT_RUN: i32 = 126;

/// Is process 1 until the program ends; returns its exit code. `words` are the program's, behind
/// an optional `--`.
pub fn init(words: &[OsString], env: &[(OsString, OsString)]) -> i32 {
    let words = match words.split_first() {
        Some((first, rest)) if first == "--" => rest,
        _ => words,
    };
    let Some(name) = words.first() else {
        complain("no program to run");
        return NOT_FOUND;
    };
    // The name is for ps; orphans come by themselves to the first process of a pid namespace, and
    // this way to one that is not the first. Neither is worth an end.
    let _named = process::set_name(NAME);
    let _adopts = process::become_subreaper();
    let caught: Vec<i32> = (1..=LAST_SIGNAL).filter(|n| !KEPT.contains(n)).collect();
    let signals = match Signals::new(&caught) {
        Ok(signals) => signals,
        Err(error) => {
            complain(&error.to_string());
            return NOT_RUN;
        }
    };
    let child = match start(name, words, env) {
        Ok(child) => child,
        Err(error) => {
            let name = name.to_string_lossy();
            complain(&format!(
                "exec {name} failed: {}",
                sys::errno_text(error.errno)
            ));
            return match error.errno {
                Errno::NOENT => NOT_FOUND,
                _ => NOT_RUN,
            };
        }
    };
    keep(&child, &signals).unwrap_or_else(|error| {
        complain(&error.to_string());
        NOT_RUN
    })
}

fn complain(text: &str) {
    // There is nobody else to tell.
    drop(writeln!(std::io::stderr(), "docker-init: {text}"));
}

fn start(name: &OsStr, words: &[OsString], env: &[(OsString, OsString)]) -> sys::Result<Child> {
    let path = env.iter().find(|(name, _)| name == "PATH");
    let path = path.map_or(OsStr::new(DEFAULT_PATH), |(_, value)| value);
    let args: Vec<&OsStr> = words.iter().map(OsString::as_os_str).collect();
    let entries: Vec<OsString> = env
        .iter()
        .map(|(name, value)| {
            let mut entry = name.clone();
            entry.push("=");
            entry.push(value);
            entry
        })
        .collect();
    let entries: Vec<&OsStr> = entries.iter().map(OsString::as_os_str).collect();
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    let fds = [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()];
    let mut reason = sys::Error::new("execve", Errno::NOENT);
    for place in places(name, path) {
        let spawn = Spawn {
            program: Program::Path(&place),
            args: &args,
            env: &entries,
            cwd: Path::new("."),
            fds: &fds,
            session: false,
            foreground: true,
            death_signal: None,
        };
        match spawn.start() {
            // The next directory may have it; that one was there and not to be run is remembered.
            Err(error) if error.errno == Errno::NOENT || error.errno == Errno::NOTDIR => {}
            Err(error) if error.errno == Errno::ACCESS => reason = error,
            done => return done,
        }
    }
    Err(reason)
}

fn places(name: &OsStr, path: &OsStr) -> Vec<PathBuf> {
    if name.as_bytes().contains(&b'/') {
        return vec![PathBuf::from(name)];
    }
    let dirs = path.as_bytes().split(|byte| *byte == b':');
    dirs.map(|dir| {
        let dir = if dir.is_empty() { b"." } else { dir };
        Path::new(OsStr::from_bytes(dir)).join(name)
    })
    .collect()
}

fn keep(child: &Child, signals: &Signals) -> sys::Result<i32> {
    let poll = Poll::new()?;
    poll.add(signals.as_fd(), 0, Interest::Read)?;
    let mut ended = None;
    loop {
        while let Some((pid, status)) = process::reap_any()? {
            if pid == child.pid {
                ended = Some(code(status));
            }
        }
        if let Some(code) = ended {
            return Ok(code);
        }
        poll.wait(None)?;
        while let Some(signal) = signals.read()? {
            if signal != SIGCHLD {
                // One that has just ended needs no signal.
                let _ended = pidfd::send_signal(&child.pidfd, signal);
            }
        }
    }
}

fn code(status: Status) -> i32 {
    match status {
        Status::Exited(code) => code,
        Status::Signaled(signal) => 128 + signal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_searched_and_paths_are_not() {
        let found = |name: &str, path: &str| places(OsStr::new(name), OsStr::new(path));
        assert_eq!(found("/x/y", "/bin"), [PathBuf::from("/x/y")]);
        assert_eq!(
            found("y", "/a::/b"),
            ["/a/y", "./y", "/b/y"].map(PathBuf::from)
        );
    }

    #[test]
    fn ends_are_codes() {
        assert_eq!(code(Status::Exited(7)), 7);
        assert_eq!(code(Status::Signaled(9)), 137);
    }
}
