//! Sockets that clients come to, and the stream that can be taken away from HTTP.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::config::Host;

/// The first descriptor that systemd hands over.
const LISTEN_FDS_START: u8 = 3;

/// A listening socket.
#[derive(Debug)]
pub(crate) enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// A client's stream. When a handler has taken the connection for itself, what HTTP still wants to
/// write is swallowed: the handler writes the head of the answer, byte for byte as dockerd does.
#[derive(Debug)]
pub(crate) struct Stream {
    io: Either,
    taken: Arc<AtomicBool>,
}

#[derive(Debug)]
enum Either {
    Unix(TokioIo<UnixStream>),
    Tcp(TokioIo<TcpStream>),
}

impl Listener {
    /// Binds a socket, or takes those that were handed over, of which there are `inherited`; a socket
    /// file that nobody serves any more is replaced.
    pub(crate) async fn bind(host: &Host, inherited: u8) -> io::Result<Vec<Self>> {
        match host {
            Host::Unix(path) => Ok(vec![Self::Unix(bind_unix(path).await?)]),
            Host::Tcp(address) => Ok(vec![Self::Tcp(TcpListener::bind(address).await?)]),
            Host::Inherited if inherited == 0 => Err(io::Error::other(
                "no sockets found via socket activation: make sure the service was started by \
                 systemd",
            )),
            Host::Inherited => (0..inherited).map(Self::inherited).collect(),
        }
    }

    /// Takes a socket that was handed over (sd_listen_fds(3)).
    fn inherited(index: u8) -> io::Result<Self> {
        let fd = sys::fd::take_inherited(LISTEN_FDS_START.saturating_add(index))?;
        let unix = std::os::unix::net::UnixListener::from(fd);
        if unix.local_addr().is_ok() {
            unix.set_nonblocking(true)?;
            return UnixListener::from_std(unix).map(Self::Unix);
        }
        let tcp = std::net::TcpListener::from(OwnedFd::from(unix));
        // Who reaches the API is root: not the network without TLS.
        if !tcp.local_addr()?.ip().is_loopback() {
            return Err(io::Error::other(
                "a TCP socket without TLS is served on loopback only",
            ));
        }
        tcp.set_nonblocking(true)?;
        TcpListener::from_std(tcp).map(Self::Tcp)
    }

    pub(crate) async fn accept(&self, taken: Arc<AtomicBool>) -> io::Result<Stream> {
        let io = match self {
            Self::Unix(listener) => Either::Unix(TokioIo::new(listener.accept().await?.0)),
            Self::Tcp(listener) => {
                let stream = listener.accept().await?.0;
                stream.set_nodelay(true)?;
                Either::Tcp(TokioIo::new(stream))
            }
        };
        Ok(Stream { io, taken })
    }
}

async fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    if let Some(dir) = path.parent() {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(dir)?;
    }
    match UnixStream::connect(path).await {
        Ok(_) => {
            let sentence = format!(
                "the socket {} is in use by another daemon; stop it, or choose another -H",
                path.display()
            );
            return Err(io::Error::new(io::ErrorKind::AddrInUse, sentence));
        }
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path)?,
        Err(_) => {}
    }
    let listener = UnixListener::bind(path)?;
    // Root only: the socket is as good as root (the docker group comes with the package).
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

impl Stream {
    /// Returns the bare descriptor.
    pub(crate) fn into_fd(self) -> io::Result<OwnedFd> {
        Ok(match self.io {
            Either::Unix(io) => io.into_inner().into_std()?.into(),
            Either::Tcp(io) => io.into_inner().into_std()?.into(),
        })
    }
}

impl Read for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Either::Unix(io) => Pin::new(io).poll_read(context, buffer),
            Either::Tcp(io) => Pin::new(io).poll_read(context, buffer),
        }
    }
}

impl Write for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let stream = self.get_mut();
        if stream.taken.load(Ordering::Acquire) {
            return Poll::Ready(Ok(bytes.len()));
        }
        match &mut stream.io {
            Either::Unix(io) => Pin::new(io).poll_write(context, bytes),
            Either::Tcp(io) => Pin::new(io).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Either::Unix(io) => Pin::new(io).poll_flush(context),
            Either::Tcp(io) => Pin::new(io).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Either::Unix(io) => Pin::new(io).poll_shutdown(context),
            Either::Tcp(io) => Pin::new(io).poll_shutdown(context),
        }
    }
}
