//! `ssh://` hosts: `ssh` runs `docker system dial-stdio` over there, which speaks to the daemon.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use sys::process::{Program, Spawn};

use crate::config::Ssh;

/// Connects; the other end of the stream is the program's.
pub(crate) fn connect(to: &Ssh, env: &[(OsString, OsString)]) -> io::Result<UnixStream> {
    let program = find("ssh", env).ok_or_else(|| {
        let why = "ssh: executable file not found in $PATH";
        io::Error::new(io::ErrorKind::NotFound, why)
    })?;
    let (ours, theirs) = UnixStream::pair()?;
    let theirs = OwnedFd::from(theirs);
    let words = arguments(to);
    let words: Vec<&OsStr> = words.iter().map(OsStr::new).collect();
    let variables: Vec<OsString> = env
        .iter()
        .map(|(name, value)| {
            [name.as_os_str(), OsStr::new("="), value]
                .iter()
                .copied()
                .collect()
        })
        .collect();
    let variables: Vec<&OsStr> = variables.iter().map(OsString::as_os_str).collect();
    let stderr = io::stderr();
    let spawn = Spawn {
        program: Program::Path(&program),
        args: &words,
        env: &variables,
        cwd: Path::new("/"),
        fds: &[theirs.as_fd(), theirs.as_fd(), stderr.as_fd()],
        session: false,
        foreground: false,
        death_signal: Some(sys::poll::SIGTERM),
    };
    spawn.start().map_err(io::Error::from)?;
    Ok(ours)
}

/// Docker's own words, so that a wrapper named `ssh` sees what it expects.
fn arguments(to: &Ssh) -> Vec<String> {
    let mut words = vec!["ssh".to_owned()];
    if !to.user.is_empty() {
        words.extend(["-l".to_owned(), to.user.clone()]);
    }
    if let Some(port) = to.port {
        words.extend(["-p".to_owned(), port.to_string()]);
    }
    let rest = ["-o", "ConnectTimeout=30", "-T", "--", &to.host];
    words.extend(rest.map(str::to_owned));
    words.extend(["docker", "system", "dial-stdio"].map(str::to_owned));
    words
}

/// Finds a program in `PATH`.
pub(crate) fn find(name: &str, env: &[(OsString, OsString)]) -> Option<PathBuf> {
    let path = env.iter().find(|(key, _)| key == "PATH");
    let dirs = path.map_or(&b"/usr/bin:/bin"[..], |(_, path)| path.as_bytes());
    dirs.split(|byte| *byte == b':')
        .map(|dir| Path::new(OsStr::from_bytes(dir)).join(name))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_ssh() {
        let ssh = Ssh {
            user: "u".to_owned(),
            host: "h".to_owned(),
            port: Some(2222),
        };
        assert_eq!(
            arguments(&ssh).join(" "),
            "ssh -l u -p 2222 -o ConnectTimeout=30 -T -- h docker system dial-stdio"
        );
    }
}
