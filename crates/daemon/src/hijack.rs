//! Leaving HTTP: the head of the answer as dockerd writes it, and the descriptor's way on
//! (API reference §4.1).

use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use api::ApiVersion;

/// Content type of a stream with 8-byte frames.
pub(crate) const MULTIPLEXED: &str = "application/vnd.docker.multiplexed-stream";
/// Content type of a stream of bare bytes.
pub(crate) const RAW: &str = "application/vnd.docker.raw-stream";

/// The head of an answer that leaves HTTP.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    /// The client sent `Upgrade`.
    pub(crate) upgrade: bool,
    /// The stream has a terminal: bare bytes.
    pub(crate) tty: bool,
    pub(crate) version: ApiVersion,
    /// exec start has four more headers than attach.
    pub(crate) with_server: bool,
}

impl Head {
    pub(crate) fn content_type(self) -> &'static str {
        if self.upgrade && !self.tty && self.version.at_least(42) {
            MULTIPLEXED
        } else {
            RAW
        }
    }

    pub(crate) fn text(self) -> String {
        let content_type = self.content_type();
        let mut head = if self.upgrade {
            format!(
                "HTTP/1.1 101 UPGRADED\r\nContent-Type: {content_type}\r\nConnection: Upgrade\r\n\
                 Upgrade: tcp\r\n"
            )
        } else {
            format!("HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n")
        };
        if self.with_server {
            let version = ApiVersion::MAX;
            head = format!(
                "{head}Api-Version: {version}\r\nDocker-Experimental: false\r\nOstype: linux\r\nServer: {}\r\n",
                crate::serve::SERVER
            );
        }
        head.push_str("\r\n");
        head
    }
}

/// Writes to a descriptor that left HTTP; `None` when the client is gone.
pub(crate) fn write(stream: OwnedFd, bytes: &[u8]) -> Option<OwnedFd> {
    // The type does not matter: write(2) is the same for every stream socket.
    let mut stream = UnixStream::from(stream);
    stream.set_nonblocking(false).ok()?;
    let written = stream.write_all(bytes);
    stream.set_nonblocking(true).ok()?;
    written.ok().map(|()| stream.into())
}

/// An error in the place of a stream, as text behind a head of its own.
pub(crate) fn refusal(status: hyper::StatusCode, message: &str) -> String {
    format!(
        "HTTP/1.1 {} {}\r\nContent-Type: {RAW}\r\n\r\n{message}\r\n",
        status.as_u16(),
        status.canonical_reason().unwrap_or("Error")
    )
}

/// One frame of stdout: how exec tells what went wrong once the stream is open.
pub(crate) fn frame(message: &str, tty: bool) -> Vec<u8> {
    let text = format!("{message}\r\n");
    let mut bytes = Vec::new();
    if !tty {
        let len = u32::try_from(text.len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&[1, 0, 0, 0]);
        bytes.extend_from_slice(&len.to_be_bytes());
    }
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

/// Reads detach keys as Docker spells them: `ctrl-p,ctrl-q`, single letters, `ctrl-[`.
pub(crate) fn detach_keys(text: &str) -> Result<Vec<u8>, String> {
    let text = if text.is_empty() {
        "ctrl-p,ctrl-q"
    } else {
        text
    };
    text.split(',')
        .map(|key| {
            let bad = || format!("Invalid detach keys ({text}) provided");
            match key.as_bytes() {
                [byte] => Ok(*byte),
                [b'c', b't', b'r', b'l', b'-', key] => match key {
                    b'a'..=b'z' => Ok(key - b'a' + 1),
                    b'@' => Ok(0),
                    b'[' => Ok(27),
                    b'\\' => Ok(28),
                    b']' => Ok(29),
                    b'^' => Ok(30),
                    b'_' => Ok(31),
                    _ => Err(bad()),
                },
                _ if key == "DEL" => Ok(127),
                _ => Err(bad()),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_as_dockerd_writes_them() {
        let head = Head {
            upgrade: true,
            tty: false,
            version: ApiVersion::MAX,
            with_server: false,
        };
        assert_eq!(
            head.text(),
            "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\n\
             Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
        );
        let head = Head {
            upgrade: false,
            tty: true,
            ..head
        };
        assert_eq!(
            head.text(),
            "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n"
        );
    }

    #[test]
    fn detach_keys_as_people_spell_them() {
        assert_eq!(detach_keys(""), Ok(vec![16, 17]));
        assert_eq!(detach_keys("ctrl-a,x"), Ok(vec![1, b'x']));
        assert_eq!(
            detach_keys("zzz"),
            Err("Invalid detach keys (zzz) provided".to_owned())
        );
    }

    #[test]
    fn frames() {
        assert_eq!(frame("no", false), b"\x01\0\0\0\0\0\0\x04no\r\n");
        assert_eq!(frame("no", true), b"no\r\n");
    }
}
