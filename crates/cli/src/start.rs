//! Starting the engine when nobody answers at the default address.
//!
//! Two clients may do so at once: both start a daemon, the one that gets the lock of the data root
//! serves, the other one ends, and both clients wait for the one socket.

use std::ffi::{OsStr, OsString};
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::{Duration, Instant};

use sys::process::{Program, Spawn};

use crate::config::Host;
use crate::error::{Error, Result, go_text};
use crate::http::Socket;

/// Where a daemon that nobody watches writes what it has to say.
const LOG: &str = "/run/wharf/daemon.log";

/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the socket may be missing after the daemon that we started has ended: another one may
/// be about to answer.
const GRACE: Duration = Duration::from_secs(1);

/// Starts a daemon for `host` and waits until it answers; returns whether it does. Only root can.
pub(crate) fn daemon(host: &Host, env: &[(OsString, OsString)]) -> Result<bool> {
    if !sys::credentials::is_root() {
        return Ok(false);
    }
    let child = spawn(env)?;
    let started = Instant::now();
    let mut ended: Option<Instant> = None;
    let mut pause = Duration::from_millis(1);
    while started.elapsed() < PATIENCE {
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(10));
        if Socket::connect(host, &[]).is_ok() {
            return Ok(true);
        }
        if ended.is_none() && sys::pidfd::try_wait(child.pidfd.as_fd())?.is_some() {
            ended = Some(Instant::now());
        }
        if ended.is_some_and(|at| at.elapsed() > GRACE) {
            break;
        }
    }
    let log = std::fs::read_to_string(LOG).unwrap_or_default();
    let last = log.lines().last().unwrap_or("it said nothing");
    Err(Error::text(format!(
        "the engine did not start ({LOG}): {last}"
    )))
}

fn spawn(env: &[(OsString, OsString)]) -> Result<sys::process::Child> {
    let failed = |what: &str, error: &std::io::Error| {
        Error::text(format!(
            "cannot start the engine: {what}: {}",
            go_text(error)
        ))
    };
    let log = Path::new(LOG);
    let directory = log.parent().unwrap_or(Path::new("/"));
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o711)
        .create(directory)
        .map_err(|error| failed(&directory.display().to_string(), &error))?;
    let output = std::fs::File::options()
        .append(true)
        .create(true)
        .open(log)
        .map_err(|error| failed(LOG, &error))?;
    let null = std::fs::File::open("/dev/null").map_err(|error| failed("/dev/null", &error))?;
    let joined = |(name, value): &(OsString, OsString)| {
        let mut pair = name.clone();
        pair.push("=");
        pair.push(value);
        pair
    };
    let variables: Vec<OsString> = env.iter().map(joined).collect();
    let variables: Vec<&OsStr> = variables.iter().map(OsString::as_os_str).collect();
    let args = ["wharf", "daemon", "--on-demand"].map(OsStr::new);
    let child = Spawn {
        program: Program::Path(Path::new("/proc/self/exe")),
        args: &args,
        env: &variables,
        cwd: Path::new("/"),
        fds: &[null.as_fd(), output.as_fd(), output.as_fd()],
        // Ctrl-C at our terminal is not for the engine.
        session: true,
        foreground: false,
        death_signal: None,
    };
    Ok(child.start()?)
}
