//! Volume plugins by Docker's protocol: a program of the administrator's that keeps volumes and is
//! asked over a unix socket, one document for each question (docs.docker.com, "Volume plugins").
//!
//! A plugin is found by its name: a socket in `/run/docker/plugins`, or a file that tells its address
//! in `/etc/docker/plugins` or `/usr/lib/docker/plugins` (`NAME.spec`, `NAME.json`).

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::LOCAL;
use crate::error::{Error, Result};

const SOCKETS: &str = "/run/docker/plugins";
const SPECS: [&str; 2] = ["/etc/docker/plugins", "/usr/lib/docker/plugins"];

/// How long a plugin may think: mounting may wait for a server.
const PATIENCE: Duration = Duration::from_mins(1);
/// Longest answer.
const ANSWER_MAX: u64 = 4 << 20;

/// Where a plugin listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plugin {
    name: String,
    socket: PathBuf,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Question<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(rename = "ID", skip_serializing_if = "str::is_empty")]
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    opts: Option<&'a BTreeMap<String, String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Answer {
    err: String,
    mountpoint: String,
    implements: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct JsonSpec {
    addr: String,
}

impl Plugin {
    /// Finds a plugin that keeps volumes.
    pub(crate) fn find(name: &str) -> Result<Self> {
        let missing = || {
            Error::not_found(format!(
                "error looking up volume plugin {name}: plugin {name:?} not found"
            ))
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        if name == LOCAL || !name.bytes().all(plain) || name.starts_with('.') {
            return Err(missing());
        }
        let socket = Path::new(SOCKETS).join(format!("{name}.sock"));
        let plugin = |socket| Self {
            name: name.to_owned(),
            socket,
        };
        let found = if socket.exists() {
            plugin(socket)
        } else {
            let address = SPECS
                .iter()
                .find_map(|dir| address_in(Path::new(dir), name))
                .ok_or_else(missing)?;
            let path = address.strip_prefix("unix://").ok_or_else(|| {
                Error::new(
                    types::ErrorKind::Unimplemented,
                    format!("volume plugin {name} is at {address}: only unix:// is built yet"),
                )
            })?;
            plugin(PathBuf::from(path))
        };
        let answer = found.ask("Plugin.Activate", "", "", None)?;
        if answer.implements.iter().any(|one| one == "VolumeDriver") {
            Ok(found)
        } else {
            Err(Error::invalid(format!(
                "error looking up volume plugin {name}: plugin {name:?} does not implement \
                 VolumeDriver"
            )))
        }
    }

    /// Tells the plugin of a new volume.
    pub(crate) fn create(&self, name: &str, options: &BTreeMap<String, String>) -> Result<()> {
        self.ask("VolumeDriver.Create", name, "", Some(options))
            .map(drop)
    }

    /// The volume goes.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        self.ask("VolumeDriver.Remove", name, "", None).map(drop)
    }

    /// A container needs the volume; returns where it is on the host.
    pub(crate) fn mount(&self, name: &str, user: &str) -> Result<PathBuf> {
        let answer = self.ask("VolumeDriver.Mount", name, user, None)?;
        Ok(answer.mountpoint.into())
    }

    /// It needs it no longer.
    pub(crate) fn unmount(&self, name: &str, user: &str) -> Result<()> {
        self.ask("VolumeDriver.Unmount", name, user, None).map(drop)
    }

    /// Returns where a volume is on the host, if it is anywhere now.
    pub(crate) fn path(&self, name: &str) -> Result<PathBuf> {
        let answer = self.ask("VolumeDriver.Path", name, "", None)?;
        Ok(answer.mountpoint.into())
    }

    fn ask(
        &self,
        method: &str,
        name: &str,
        id: &str,
        opts: Option<&BTreeMap<String, String>>,
    ) -> Result<Answer> {
        let question = serde_json::to_vec(&Question { name, id, opts })
            .map_err(|e| Error::internal(method, e))?;
        let answer = self.talk(method, &question).map_err(|e| {
            Error::internal(
                format_args!("asking volume plugin {} ({method})", self.name),
                e,
            )
        })?;
        let answer: Answer = serde_json::from_slice(&answer)
            .map_err(|e| Error::internal(format_args!("volume plugin {}", self.name), e))?;
        if answer.err.is_empty() {
            Ok(answer)
        } else {
            Err(Error::new(types::ErrorKind::Internal, answer.err))
        }
    }

    fn talk(&self, method: &str, question: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut socket = UnixStream::connect(&self.socket)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let head = format!(
            "POST /{method} HTTP/1.1\r\nHost: plugin\r\nUser-Agent: wharf\r\nAccept: \
             application/vnd.docker.plugins.v1.2+json\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n",
            question.len()
        );
        socket.write_all(&[head.as_bytes(), question].concat())?;
        let mut answer = Vec::new();
        (&socket).take(ANSWER_MAX).read_to_end(&mut answer)?;
        body(&answer).ok_or_else(|| std::io::Error::other("the answer is not HTTP"))
    }
}

/// Reads the address out of a plugin's file.
fn address_in(dir: &Path, name: &str) -> Option<String> {
    // As dockerd: the file lies there, or in a directory of the plugin's own.
    for dir in [dir.to_owned(), dir.join(name)] {
        if let Ok(text) = std::fs::read_to_string(dir.join(format!("{name}.spec"))) {
            return Some(text.trim().to_owned());
        }
        if let Ok(text) = std::fs::read_to_string(dir.join(format!("{name}.json"))) {
            let spec: JsonSpec = serde_json::from_str(&text).unwrap_or_default();
            return Some(spec.addr);
        }
    }
    None
}

/// Returns the body of an HTTP answer whose connection was closed behind it.
fn body(answer: &[u8]) -> Option<Vec<u8>> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let rest = &answer[end + 4..];
    let mut lines = head.split("\r\n");
    if !lines.next()?.starts_with("HTTP/1.") {
        return None;
    }
    let chunked = lines
        .filter_map(|line| line.split_once(':'))
        .any(|(key, value)| {
            key.eq_ignore_ascii_case("transfer-encoding")
                && value.trim().eq_ignore_ascii_case("chunked")
        });
    if chunked {
        unchunk(rest)
    } else {
        Some(rest.to_vec())
    }
}

fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..end]).ok()?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(whole);
        }
        let from = end.checked_add(2)?;
        let to = from.checked_add(size)?;
        whole.extend_from_slice(rest.get(from..to)?);
        rest = rest.get(to.checked_add(2)?..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        let plain = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(body(plain).unwrap(), b"{}");
        let chunked =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{\"\r\n3;x\r\na\":\r\n0\r\n\r\n";
        assert_eq!(body(chunked).unwrap(), b"{\"a\":");
        for bad in [
            &b""[..],
            b"HTTP/1.1 200 OK\r\n",
            b"FTP\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        ] {
            assert!(body(bad).is_none());
        }
    }

    #[test]
    fn names_that_are_no_files() {
        for name in ["../x", "a/b", "", ".hidden", "local"] {
            assert!(Plugin::find(name).is_err(), "{name}");
        }
    }
}
