//! A small HTTP client on a unix socket: what a case must see of the wire, it sees.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(40);

/// An answer, taken apart.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Status line and headers as they came.
    pub head: String,
    /// The body, without its transfer coding.
    pub body: Vec<u8>,
}

impl Reply {
    /// Returns a header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Returns the body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Returns the body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {}\n{}", self.head, self.text()))
    }

    /// Checks the status.
    #[track_caller]
    pub fn is(&self, status: u16) -> &Reply {
        assert!(
            self.status == status,
            "expected {status}: {}\n{}",
            self.head,
            self.text()
        );
        self
    }

    /// Checks that this is an error with exactly that message.
    #[track_caller]
    pub fn refuses(&self, status: u16, message: &str) -> &Reply {
        self.is(status);
        assert_eq!(self.json()["message"], message);
        self
    }
}

/// Sends one request and reads the whole answer.
pub fn request(socket: &Path, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Reply {
    let mut bytes = head(method, path, headers, Some(body.len())).into_bytes();
    bytes.extend_from_slice(body);
    parse(&exchange(socket, &bytes, false))
}

/// Sends one request to an engine that may die meanwhile; returns its answer if one came whole.
pub fn attempt(
    socket: &Path,
    method: &str,
    path: &str,
    headers: &[&str],
    body: &[u8],
) -> Option<Reply> {
    let mut bytes = head(method, path, headers, Some(body.len())).into_bytes();
    bytes.extend_from_slice(body);
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(LIMIT)).ok()?;
    stream.write_all(&bytes).ok()?;
    let mut all = Vec::new();
    stream.read_to_end(&mut all).ok()?;
    let whole = all.windows(4).any(|four| four == b"\r\n\r\n");
    whole.then(|| parse(&all))
}

/// Returns the head of a request.
pub fn head(method: &str, path: &str, headers: &[&str], length: Option<usize>) -> String {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: engine\r\n");
    if !headers
        .iter()
        .any(|header| header.starts_with("Connection:"))
    {
        text.push_str("Connection: close\r\n");
    }
    for header in headers {
        text.push_str(header);
        text.push_str("\r\n");
    }
    if let Some(length) = length.filter(|length| *length > 0 || method == "POST") {
        text = format!("{text}Content-Length: {length}\r\n");
    }
    text.push_str("\r\n");
    text
}

/// Opens a connection that gives up after a while.
pub fn connect(socket: &Path) -> UnixStream {
    let stream = UnixStream::connect(socket)
        .unwrap_or_else(|error| panic!("connect {}: {error}", socket.display()));
    stream
        .set_read_timeout(Some(crate::patience(LIMIT)))
        .expect("a limit above zero");
    stream
}

/// Sends `bytes`, half-closes if asked to, and returns everything up to the end.
pub fn exchange(socket: &Path, bytes: &[u8], half_close: bool) -> Vec<u8> {
    let mut stream = connect(socket);
    stream
        .write_all(bytes)
        .unwrap_or_else(|error| panic!("send: {error}"));
    if half_close {
        stream
            .shutdown(Shutdown::Write)
            .unwrap_or_else(|error| panic!("half-close: {error}"));
    }
    let mut all = Vec::new();
    if let Err(error) = stream.read_to_end(&mut all) {
        panic!("receive: {error} after {:?}", String::from_utf8_lossy(&all));
    }
    all
}

/// Takes an answer apart.
#[track_caller]
pub fn parse(all: &[u8]) -> Reply {
    let end = all.windows(4).position(|four| four == b"\r\n\r\n");
    let Some(end) = end else {
        panic!("no head: {:?}", String::from_utf8_lossy(all))
    };
    let head = String::from_utf8_lossy(&all[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let mut reply = Reply {
        status: status.expect("a status code"),
        head,
        body: all[end + 4..].to_vec(),
    };
    if reply
        .header("Transfer-Encoding")
        .is_some_and(|coding| coding.contains("chunked"))
    {
        reply.body = unchunk(&reply.body);
    }
    reply
}

fn unchunk(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&rest[..end]).ok();
        let size = size
            .and_then(|hex| usize::from_str_radix(hex.trim(), 16).ok())
            .unwrap_or(0);
        let start = end + 2;
        if size == 0 || rest.len() < start + size + 2 {
            break;
        }
        body.extend_from_slice(&rest[start..start + size]);
        rest = &rest[start + size + 2..];
    }
    body
}

/// One piece of a multiplexed stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// 0 stdin, 1 stdout, 2 stderr.
    pub stream: u8,
    /// The bytes.
    pub text: String,
}

/// Cuts a multiplexed stream into frames.
pub fn frames(mut bytes: &[u8]) -> Vec<Frame> {
    let mut found = Vec::new();
    while let Some((header, rest)) = bytes.split_first_chunk::<8>() {
        let length = u32::from_be_bytes([header[4], header[5], header[6], header[7]]) as usize;
        let end = length.min(rest.len());
        found.push(Frame {
            stream: header[0],
            text: String::from_utf8_lossy(&rest[..end]).into_owned(),
        });
        bytes = &rest[end..];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{frames, parse};

    #[test]
    fn answers_are_taken_apart() {
        let reply = parse(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n",
        );
        assert_eq!((reply.status, reply.text().as_str()), (200, "abcd"));
        let cut = frames(b"\x01\0\0\0\0\0\0\x02ab\x02\0\0\0\0\0\0\x01c");
        assert_eq!(cut.len(), 2);
        assert_eq!((cut[1].stream, cut[1].text.as_str()), (2, "c"));
    }
}
