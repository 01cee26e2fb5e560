//! The daemon as the commands see it: requests over one kept connection, streams, hijacks.

use std::ffi::OsString;
use std::io::{self, Read, Write};

use api::ApiVersion;
use serde::de::DeserializeOwned;

use crate::config::{Config, Host};
use crate::error::{Error, Result, go_text};
use crate::http::{Connection, Response, Socket};
use crate::text::append;

/// A connection to the daemon, made at the first request.
#[derive(Debug)]
pub(crate) struct Client {
    host: Host,
    version: ApiVersion,
    /// The version was said by the user or by the daemon.
    agreed: bool,
    pinned: bool,
    /// Nobody chose the host: an engine may be started there, with these variables.
    start_env: Option<Vec<(OsString, OsString)>>,
    /// Headers of the user's, as they are written.
    headers: String,
    /// For programs that make the connection.
    env: Vec<(OsString, OsString)>,
    idle: Option<Connection>,
}

/// A hijacked connection.
#[derive(Debug)]
pub(crate) struct Hijacked {
    /// The raw socket.
    pub(crate) socket: Socket,
    /// What came with the head.
    pub(crate) early: Vec<u8>,
}

/// Writes a body of unknown length.
pub(crate) type Produce<'a> = dyn FnMut(&mut dyn Write) -> io::Result<()> + 'a;

/// A request's body.
enum Body<'a> {
    Empty,
    /// None, but credentials for the registry that the daemon shall talk to.
    Shown(&'a str),
    Json(&'a [u8]),
    Produce(&'a str, &'a mut Produce<'a>),
    Upgrade(&'a [u8]),
}

impl Client {
    /// Makes a client; nothing is connected yet.
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            host: config.host.clone(),
            version: config.api_version.unwrap_or(ApiVersion::MAX),
            agreed: config.api_version.is_some(),
            pinned: config.api_version.is_some(),
            start_env: (config.default_host && config.program == "wharf")
                .then(|| config.env.clone()),
            headers: config.headers(),
            env: match config.host {
                Host::Ssh(_) => config.env.clone(),
                _ => Vec::new(),
            },
            idle: None,
        }
    }

    /// Returns the version of the API that is spoken.
    pub(crate) fn version(&self) -> ApiVersion {
        self.version
    }

    /// Sends a request without body and reads the whole answer.
    pub(crate) fn get(&mut self, path: &str) -> Result<Vec<u8>> {
        self.whole("GET", path, &mut Body::Empty)
    }

    /// Sends a request and parses the answer.
    pub(crate) fn get_json<T: DeserializeOwned>(&mut self, path: &str) -> Result<T> {
        parse(&self.get(path)?)
    }

    /// Posts without a body.
    pub(crate) fn post(&mut self, path: &str) -> Result<Vec<u8>> {
        self.whole("POST", path, &mut Body::Empty)
    }

    /// Posts a document and reads the whole answer.
    pub(crate) fn post_json(
        &mut self,
        path: &str,
        body: &impl serde::Serialize,
    ) -> Result<Vec<u8>> {
        let body = to_json(body)?;
        self.whole("POST", path, &mut Body::Json(&body))
    }

    /// Deletes.
    pub(crate) fn delete(&mut self, path: &str) -> Result<Vec<u8>> {
        self.whole("DELETE", path, &mut Body::Empty)
    }

    /// Sends a request whose answer has headers only.
    pub(crate) fn head(&mut self, path: &str) -> Result<Response> {
        self.send("HEAD", path, &mut Body::Empty)
    }

    /// Sends a request and leaves the body of the answer to be read; the connection is its own.
    pub(crate) fn stream(&mut self, method: &str, path: &str) -> Result<Response> {
        self.send(method, path, &mut Body::Empty)
    }

    /// As [`Client::stream`], with credentials for a registry.
    pub(crate) fn stream_shown(
        &mut self,
        method: &str,
        path: &str,
        credentials: Option<&str>,
    ) -> Result<Response> {
        match credentials {
            Some(credentials) => self.send(method, path, &mut Body::Shown(credentials)),
            None => self.stream(method, path),
        }
    }

    /// As [`Client::stream`], with a document.
    pub(crate) fn stream_json(
        &mut self,
        path: &str,
        body: &impl serde::Serialize,
    ) -> Result<Response> {
        let body = to_json(body)?;
        self.send("POST", path, &mut Body::Json(&body))
    }

    /// Sends a stream of unknown length and leaves the answer to be read.
    pub(crate) fn upload(
        &mut self,
        method: &str,
        path: &str,
        content_type: &str,
        from: &mut dyn Read,
    ) -> Result<Response> {
        let mut copy = |to: &mut dyn Write| io::copy(&mut *from, to).map(drop);
        self.produce(method, path, content_type, &mut copy)
    }

    /// As [`Client::upload`], with a body that is made while it is sent.
    pub(crate) fn produce<'a>(
        &mut self,
        method: &str,
        path: &str,
        content_type: &'a str,
        produce: &'a mut Produce<'a>,
    ) -> Result<Response> {
        self.agree()?;
        self.send(method, path, &mut Body::Produce(content_type, produce))
    }

    /// Turns a connection into a raw stream.
    pub(crate) fn hijack(&mut self, path: &str, body: &[u8]) -> Result<Hijacked> {
        let (head, connection) = self.exchange("POST", path, &mut Body::Upgrade(body))?;
        match head.status {
            101 => Ok(Hijacked {
                socket: connection.socket,
                early: connection.early,
            }),
            200 if head.header("Content-Length").is_none() => Ok(Hijacked {
                socket: connection.socket,
                early: connection.early,
            }),
            // Docker's words; what the daemon says is not among them.
            status @ 400..=499 if status != 404 => Err(Error::Exit {
                text: format!("unable to upgrade to tcp, received {status}"),
                code: 1,
            }),
            _ => Err(refusal(Response::new(head, connection, false))),
        }
    }

    /// Keeps a connection whose answer was read for the next request.
    pub(crate) fn recycle(&mut self, response: Response) {
        self.idle = response.into_connection();
    }

    fn whole(&mut self, method: &str, path: &str, body: &mut Body<'_>) -> Result<Vec<u8>> {
        let mut response = self.send(method, path, body)?;
        let bytes = response.read_all()?;
        self.recycle(response);
        Ok(bytes)
    }

    fn send(&mut self, method: &str, path: &str, body: &mut Body<'_>) -> Result<Response> {
        loop {
            let (head, connection) = self.exchange(method, path, body)?;
            let status = head.status;
            let response = Response::new(head, connection, method == "HEAD");
            if status < 400 {
                self.agreed = true;
                return Ok(response);
            }
            let error = refusal(response);
            match (&error, &body) {
                (Error::Daemon { message, .. }, Body::Empty | Body::Shown(_) | Body::Json(_))
                    if !self.pinned =>
                {
                    // An older daemon says which version it speaks: no ping is needed before.
                    match spoken_version(message).filter(|version| *version < self.version) {
                        Some(version) => self.version = version,
                        None => return Err(error),
                    }
                }
                _ => return Err(error),
            }
        }
    }

    /// Asks for the daemon's version before a request that cannot be sent twice.
    fn agree(&mut self) -> Result<()> {
        if self.agreed {
            return Ok(());
        }
        let (head, connection) = self.exchange("HEAD", "/_ping", &mut Body::Empty)?;
        if let Some(version) = head
            .header("Api-Version")
            .and_then(|text| text.parse().ok())
        {
            self.version = self.version.min(version);
        }
        self.agreed = true;
        self.recycle(Response::new(head, connection, true));
        Ok(())
    }

    /// Writes a request and reads the head of the answer. An idle connection that the daemon
    /// closed meanwhile is replaced once.
    fn exchange(
        &mut self,
        method: &str,
        path: &str,
        body: &mut Body<'_>,
    ) -> Result<(crate::http::Head, Connection)> {
        let request = self.request(method, path, body);
        if let Some(mut connection) = self.idle.take() {
            let repeatable = !matches!(body, Body::Produce(..));
            if repeatable
                && write_request(&mut connection, &request, body).is_ok()
                && let Ok(head) = connection.read_head()
            {
                return Ok((head, connection));
            }
        }
        let mut connection = self.connect()?;
        // A daemon that refuses early stops reading; its answer tells why.
        let written = write_request(&mut connection, &request, body);
        match (connection.read_head(), written) {
            (Ok(head), _) => Ok((head, connection)),
            (Err(error), Ok(())) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(Error::text("error during connect: EOF"))
            }
            (Err(error), Ok(())) | (Err(_), Err(error)) => Err(error.into()),
        }
    }

    /// Starts an engine if that is ours to do, once; returns whether one answers now.
    fn start(&mut self) -> Result<bool> {
        let env = self.start_env.take();
        env.map_or(Ok(false), |env| crate::start::daemon(&self.host, &env))
    }

    fn connect(&mut self) -> Result<Connection> {
        let socket = match Socket::connect(&self.host, &self.env) {
            Err(_) if self.start()? => Socket::connect(&self.host, &self.env),
            result => result,
        };
        match socket {
            Ok(socket) => Ok(Connection {
                socket,
                early: Vec::new(),
            }),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Err(Error::text(format!(
                    "permission denied while trying to connect to the Docker daemon socket at {}: {}",
                    self.host,
                    go_text(&error)
                )))
            }
            Err(_) => Err(Error::NoDaemon {
                host: self.host.to_string(),
            }),
        }
    }

    fn request(&self, method: &str, path: &str, body: &Body<'_>) -> Vec<u8> {
        let host = match &self.host {
            Host::Unix(_) => "api.moby.localhost",
            Host::Tcp(address) => address,
            Host::Ssh(_) => "docker.example.com",
        };
        // Verbs of our own and the ping have no Docker version.
        let prefix = if path.starts_with("/wharf/") || path == "/_ping" {
            String::new()
        } else {
            format!("/v{}", self.version)
        };
        let mut text =
            format!("{method} {prefix}{path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: wharf\r\n");
        text.push_str(&self.headers);
        match body {
            Body::Shown(credentials) => append(
                &mut text,
                format_args!("Content-Length: 0\r\nX-Registry-Auth: {credentials}\r\n"),
            ),
            Body::Empty if method == "POST" => text.push_str("Content-Length: 0\r\n"),
            Body::Empty => {}
            Body::Json(body) => append(
                &mut text,
                format_args!(
                    "Content-Length: {}\r\nContent-Type: application/json\r\n",
                    body.len()
                ),
            ),
            Body::Produce(kind, _) => append(
                &mut text,
                format_args!("Content-Type: {kind}\r\nTransfer-Encoding: chunked\r\n"),
            ),
            Body::Upgrade(body) => append(
                &mut text,
                format_args!(
                    "Content-Length: {}\r\nContent-Type: {}\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n",
                    body.len(),
                    if body.is_empty() {
                        "text/plain"
                    } else {
                        "application/json"
                    },
                ),
            ),
        }
        text.push_str("\r\n");
        text.into_bytes()
    }
}

fn write_request(connection: &mut Connection, head: &[u8], body: &mut Body<'_>) -> io::Result<()> {
    match body {
        Body::Empty | Body::Shown(_) => connection.socket.write_all(head),
        Body::Json(body) | Body::Upgrade(body) => {
            connection.socket.write_all(&[head, body].concat())
        }
        Body::Produce(_, produce) => {
            connection.socket.write_all(head)?;
            let mut chunks = io::BufWriter::with_capacity(64 << 10, Chunks(&mut connection.socket));
            produce(&mut chunks)?;
            chunks.flush()?;
            drop(chunks);
            connection.socket.write_all(b"0\r\n\r\n")
        }
    }
}

/// Writes every piece as a chunk.
struct Chunks<'a>(&'a mut Socket);

impl Write for Chunks<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // An empty chunk would end the body.
        if !bytes.is_empty() {
            self.0
                .write_all(format!("{:x}\r\n", bytes.len()).as_bytes())?;
            self.0.write_all(bytes)?;
            self.0.write_all(b"\r\n")?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Makes an error of an answer of 400 or above.
fn refusal(mut response: Response) -> Error {
    let status = response.head.status;
    let bytes = response.read_all().unwrap_or_default();
    let message = match serde_json::from_slice::<api::error::ErrorBody>(&bytes) {
        // As Docker's client: without the blanks around it.
        Ok(body) if !body.message.is_empty() => body.message.trim().to_owned(),
        _ => String::from_utf8_lossy(&bytes).trim().to_owned(),
    };
    Error::Daemon { status, message }
}

/// Takes the version out of `… is too new. Maximum supported API version is 1.41`.
fn spoken_version(message: &str) -> Option<ApiVersion> {
    let (_, version) = message.split_once("Maximum supported API version is ")?;
    version.trim().parse().ok()
}

fn to_json(body: &impl serde::Serialize) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(body).map_err(|error| Error::text(error.to_string()))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Parses the daemon's answer.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes)
        .map_err(|error| Error::text(format!("cannot read the daemon's answer: {error}")))
}
