//! HTTP/1.1 as a client speaks it: one connection, a head, a body by length or in chunks.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use crate::config::Host;
use crate::text::append;

/// A connected socket.
#[derive(Debug)]
pub(crate) enum Socket {
    /// In the file system.
    Unix(UnixStream),
    /// In the network.
    Tcp(TcpStream),
}

impl Socket {
    /// Connects; `env` is for a program that does so.
    pub(crate) fn connect(host: &Host, env: &[(OsString, OsString)]) -> io::Result<Self> {
        match host {
            Host::Ssh(ssh) => crate::ssh::connect(ssh, env).map(Self::Unix),
            Host::Unix(path) => UnixStream::connect(path).map(Self::Unix),
            Host::Tcp(address) => {
                let stream = TcpStream::connect(address.as_str())?;
                stream.set_nodelay(true)?;
                Ok(Self::Tcp(stream))
            }
        }
    }

    /// Returns another handle of the same socket.
    pub(crate) fn duplicate(&self) -> io::Result<Self> {
        match self {
            Self::Unix(stream) => stream.try_clone().map(Self::Unix),
            Self::Tcp(stream) => stream.try_clone().map(Self::Tcp),
        }
    }

    /// Says that nothing more will be written.
    pub(crate) fn close_write(&self) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.shutdown(std::net::Shutdown::Write),
            Self::Tcp(stream) => stream.shutdown(std::net::Shutdown::Write),
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Unix(stream) => stream.as_fd(),
            Self::Tcp(stream) => stream.as_fd(),
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.read(buffer),
            Self::Tcp(stream) => stream.read(buffer),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.write(bytes),
            Self::Tcp(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A connection with the bytes that were read too early.
#[derive(Debug)]
pub(crate) struct Connection {
    /// The socket.
    pub(crate) socket: Socket,
    /// Read, not yet used.
    pub(crate) early: Vec<u8>,
}

/// The status line and the headers of an answer.
#[derive(Debug, Default)]
pub(crate) struct Head {
    /// HTTP status.
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
}

impl Head {
    /// Returns a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Parses a head; `None` = there is more to come. Returns also its length.
    fn parse(bytes: &[u8]) -> io::Result<Option<(Self, usize)>> {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut response = httparse::Response::new(&mut headers);
        let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, format!("{error}"));
        match response.parse(bytes).map_err(invalid)? {
            httparse::Status::Partial => Ok(None),
            httparse::Status::Complete(length) => {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let headers = response
                    .headers
                    .iter()
                    .map(|h| (h.name.to_owned(), text(h.value)))
                    .collect();
                Ok(Some((
                    Self {
                        status: response.code.unwrap_or(0),
                        headers,
                    },
                    length,
                )))
            }
        }
    }
}

impl Connection {
    /// Reads until the head of an answer is complete; interim answers (1xx but 101) are skipped.
    pub(crate) fn read_head(&mut self) -> io::Result<Head> {
        loop {
            match Head::parse(&self.early)? {
                Some((head, length)) => {
                    self.early.drain(..length);
                    if (100..200).contains(&head.status) && head.status != 101 {
                        continue;
                    }
                    return Ok(head);
                }
                None => {
                    if self.fill()? == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
            }
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 16 << 10];
        let count = retry(|| self.socket.read(&mut buffer))?;
        self.early.extend_from_slice(&buffer[..count]);
        Ok(count)
    }

    /// Reads what is there: early bytes first.
    fn read_some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.early.is_empty() {
            return retry(|| self.socket.read(buffer));
        }
        let count = self.early.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.early[..count]);
        self.early.drain(..count);
        Ok(count)
    }

    /// Reads a line without its end.
    fn read_line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.early.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.early.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if self.early.len() > 16 << 10 {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "chunk line too long",
                ));
            }
            if self.fill()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

fn retry(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// How much of a body is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// So many bytes.
    Bytes(u64),
    /// So many bytes of this chunk; 0 = a chunk's head comes next.
    Chunk(u64),
    /// Until the connection ends.
    End,
    /// Nothing.
    Done,
}

/// An answer whose body may be read.
#[derive(Debug)]
pub(crate) struct Response {
    /// Status and headers.
    pub(crate) head: Head,
    connection: Connection,
    left: Left,
    fresh_chunk: bool,
    /// The end of the body is the end of the connection.
    to_the_end: bool,
}

impl Response {
    /// Takes the answer from a connection; `bodiless` for HEAD.
    pub(crate) fn new(head: Head, connection: Connection, bodiless: bool) -> Self {
        let chunked = head
            .header("Transfer-Encoding")
            .is_some_and(|value| value.to_ascii_lowercase().contains("chunked"));
        let length = head
            .header("Content-Length")
            .and_then(|value| value.trim().parse().ok());
        let left = match length {
            _ if bodiless || head.status == 204 || head.status == 304 => Left::Done,
            _ if chunked => Left::Chunk(0),
            Some(0) => Left::Done,
            Some(length) => Left::Bytes(length),
            None => Left::End,
        };
        Self {
            head,
            connection,
            left,
            fresh_chunk: true,
            to_the_end: left == Left::End,
        }
    }

    /// Gives the connection back if the body was read and it may be used again.
    pub(crate) fn into_connection(self) -> Option<Connection> {
        let close = self
            .head
            .header("Connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"));
        (self.left == Left::Done && !close && !self.to_the_end).then_some(self.connection)
    }

    /// Returns whether bytes wait that no poll would report.
    pub(crate) fn has_early(&self) -> bool {
        !self.connection.early.is_empty() || self.left == Left::Done
    }

    /// Reads the whole body.
    pub(crate) fn read_all(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn next_chunk(&mut self) -> io::Result<()> {
        if !self.fresh_chunk {
            self.connection.read_line()?;
        }
        self.fresh_chunk = false;
        let line = self.connection.read_line()?;
        let digits = line.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(digits, 16).map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidData, "malformed chunked encoding")
        })?;
        self.left = Left::Chunk(size);
        if size == 0 {
            while !self.connection.read_line()?.is_empty() {}
            self.left = Left::Done;
        }
        Ok(())
    }
}

impl AsFd for Response {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.connection.socket.as_fd()
    }
}

impl Read for Response {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == Left::Chunk(0) {
            self.next_chunk()?;
        }
        let limit = match self.left {
            Left::Done => return Ok(0),
            Left::End => u64::MAX,
            Left::Bytes(left) | Left::Chunk(left) => left,
        };
        let limit = usize::try_from(limit)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let count = self.connection.read_some(&mut buffer[..limit])?;
        let used = count as u64;
        match (self.left, count) {
            (Left::End, 0) => self.left = Left::Done,
            (Left::Bytes(_) | Left::Chunk(_), 0) if limit > 0 => {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            (Left::Bytes(left), _) if left == used => self.left = Left::Done,
            (Left::Bytes(left), _) => self.left = Left::Bytes(left - used),
            (Left::Chunk(left), _) => self.left = Left::Chunk(left - used),
            (Left::End | Left::Done, _) => {}
        }
        Ok(count)
    }
}

/// Encodes a word for a query or a path, as Go's `url.QueryEscape` does.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                escaped.push(char::from(byte));
            }
            b' ' => escaped.push('+'),
            _ => append(&mut escaped, format_args!("%{byte:02X}")),
        }
    }
    escaped
}

/// Encodes a name as a part of a path; slashes stay.
pub(crate) fn escape_path(text: &str) -> String {
    text.split('/')
        .map(|part| escape(part).replace('+', "%20"))
        .collect::<Vec<_>>()
        .join("/")
}

/// A query: keys and values; empty values are kept.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(&'static str, String)>);

impl Query {
    /// Adds a pair.
    #[must_use]
    pub(crate) fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.0.push((key, value.into()));
        self
    }

    /// Adds a pair unless the value is empty.
    #[must_use]
    pub(crate) fn with_text(self, key: &'static str, value: &str) -> Self {
        if value.is_empty() {
            self
        } else {
            self.with(key, value)
        }
    }

    /// Adds `key=1` if it holds.
    #[must_use]
    pub(crate) fn with_flag(self, key: &'static str, on: bool) -> Self {
        if on { self.with(key, "1") } else { self }
    }

    /// Adds filters unless there are none.
    #[must_use]
    pub(crate) fn with_filters(self, filters: &api::Filters) -> Self {
        if filters.is_empty() {
            return self;
        }
        let text = serde_json::to_string(filters).unwrap_or_default();
        self.with("filters", text)
    }

    /// Returns `?a=b&c=d`, sorted by key, or nothing.
    pub(crate) fn render(mut self) -> String {
        self.0.sort_by_key(|(key, _)| *key);
        let pairs: Vec<String> = self
            .0
            .iter()
            .map(|(key, value)| format!("{key}={}", escape(value)))
            .collect();
        if pairs.is_empty() {
            String::new()
        } else {
            format!("?{}", pairs.join("&"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(text: &str, chunk: usize) -> (u16, io::Result<Vec<u8>>, bool) {
        let (mut theirs, ours) = UnixStream::pair().unwrap();
        let text = text.to_owned();
        let writer = std::thread::spawn(move || {
            for part in text.as_bytes().chunks(chunk) {
                theirs.write_all(part).unwrap();
            }
        });
        let mut connection = Connection {
            socket: Socket::Unix(ours),
            early: Vec::new(),
        };
        let head = connection.read_head().unwrap();
        let mut response = Response::new(head, connection, false);
        let body = response.read_all();
        writer.join().unwrap();
        (
            response.head.status,
            body,
            response.into_connection().is_some(),
        )
    }

    #[test]
    fn bodies_by_length_chunks_and_end() {
        for chunk in [1, 3, 1000] {
            let (status, body, again) =
                response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", chunk);
            assert_eq!(
                (status, body.unwrap().as_slice(), again),
                (200, &b"hello"[..], true)
            );
            let (_, body, again) = response(
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
                chunk,
            );
            assert_eq!(
                (body.unwrap().as_slice(), again),
                (&b"abc0123456789"[..], true)
            );
            let (status, body, again) = response("HTTP/1.1 404 No\r\n\r\nbye", chunk);
            assert_eq!(
                (status, body.unwrap().as_slice(), again),
                (404, &b"bye"[..], false)
            );
            let (status, body, again) = response("HTTP/1.1 204 No\r\n\r\n", chunk);
            assert_eq!((status, body.unwrap().len(), again), (204, 0, true));
        }
    }

    #[test]
    fn a_body_that_ends_early_is_an_error() {
        let (_, body, again) = response("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", 5);
        assert!(body.is_err() && !again);
        let (_, body, _) = response(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
            5,
        );
        assert!(body.is_err());
    }

    #[test]
    fn queries() {
        let query = Query::default()
            .with("t", "a b/c")
            .with_flag("all", true)
            .with_text("x", "");
        assert_eq!(query.render(), "?all=1&t=a+b%2Fc");
        assert_eq!(escape_path("a b/c:d"), "a%20b/c%3Ad");
    }
}
