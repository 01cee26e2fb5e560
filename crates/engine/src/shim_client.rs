//! The async side of `shim::protocol`: one socket to one shim, requests in flight by id, events to
//! whoever minds the container.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use shim::protocol::{self, Event, Message, Reply, Request};
use sys::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, oneshot};

use crate::error::{Error, Result};

/// So often in a row may reading from a shim fail before it is given up.
const FAILURES_MAX: u32 = 5;
/// How long after a failure it is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(10);

type Answer = (Reply, Vec<OwnedFd>);

/// A connected shim.
#[derive(Debug)]
pub(crate) struct Shim {
    socket: Arc<AsyncFd<OwnedFd>>,
    pending: Arc<Mutex<Pending>>,
    next: AtomicU64,
}

#[derive(Debug, Default)]
struct Pending {
    waiting: HashMap<u64, oneshot::Sender<Answer>>,
    closed: Option<Closed>,
}

/// Why nothing more comes.
#[derive(Clone, Debug)]
enum Closed {
    /// The shim closed its side.
    ByShim,
    /// It could not be read.
    Unreadable(String),
}

impl Shim {
    /// Takes a connected socket and begins to listen. Events come on the returned channel; it ends
    /// when the shim closes its side.
    pub(crate) fn new(socket: OwnedFd) -> Result<(Self, mpsc::UnboundedReceiver<Event>)> {
        let socket = crate::readiness::register(socket, Interest::READABLE | Interest::WRITABLE)
            .map_err(|e| Error::internal("listening to a shim", e))?;
        let socket = Arc::new(socket);
        let pending = Arc::<Mutex<Pending>>::default();
        let (events, receiver) = mpsc::unbounded_channel();
        tokio::spawn(listen(Arc::clone(&socket), Arc::clone(&pending), events));
        Ok((
            Self {
                socket,
                pending,
                next: AtomicU64::new(1),
            },
            receiver,
        ))
    }

    /// Connects to the socket of a shim that an earlier daemon started.
    pub(crate) fn connect(path: &Path) -> sys::Result<OwnedFd> {
        let socket = sys::socket::connect(sys::socket::Kind::SeqPacket, path)?;
        sys::fd::set_nonblocking(socket.as_fd(), true)?;
        Ok(socket)
    }

    /// Sends a request with descriptors and returns the answer. A `Failed` answer is an error with
    /// the shim's sentence; a closed connection too.
    pub(crate) async fn call(&self, request: Request, fds: &[BorrowedFd<'_>]) -> Result<Answer> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        {
            let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(closed) = &pending.closed {
                let unsent = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
                let error = gone(closed);
                return Err(Error::caused(error.kind(), error.to_string(), unsent));
            }
            pending.waiting.insert(id, sender);
        }
        if let Err(error) = self.send(id, request, fds).await {
            let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
            pending.waiting.remove(&id);
            return Err(error);
        }
        match receiver.await {
            Ok((Reply::Failed { message }, _)) => {
                Err(Error::new(types::ErrorKind::Internal, message))
            }
            Ok(answer) => Ok(answer),
            Err(_) => {
                let pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
                Err(gone(pending.closed.as_ref().unwrap_or(&Closed::ByShim)))
            }
        }
    }

    /// Sends a request that is answered by `Ok`.
    pub(crate) async fn ask(&self, request: Request, fds: &[BorrowedFd<'_>]) -> Result<()> {
        self.call(request, fds).await.map(drop)
    }

    async fn send(&self, id: u64, request: Request, fds: &[BorrowedFd<'_>]) -> Result<()> {
        let packet = protocol::encode(&Message::Request(id, request));
        let memfd;
        let mut all = fds.to_vec();
        let mut body: &[u8] = &packet.body;
        if body.len() > protocol::INLINE_MAX {
            memfd = sys::fd::memfd_sealed("wharf-request", body)
                .map_err(|e| Error::internal("writing a request to a shim", e))?;
            all.push(memfd.as_fd());
            body = &[];
        }
        self.socket
            .async_io(Interest::WRITABLE, |socket| {
                sys::socket::send(socket.as_fd(), &[&packet.header, body], &all)
                    .map_err(std::io::Error::from)
            })
            .await
            .map(drop)
            .map_err(|e| Error::internal("writing to a shim", e))
    }
}

fn gone(closed: &Closed) -> Error {
    let sentence = match closed {
        Closed::ByShim => {
            "the shim of this container ended before it answered (was it killed?)".to_owned()
        }
        Closed::Unreadable(reason) => format!("the shim's answer was lost: {reason}"),
    };
    Error::new(types::ErrorKind::Internal, sentence)
}

/// Reads packets until the shim closes its side; then every waiting request fails.
async fn listen(
    socket: Arc<AsyncFd<OwnedFd>>,
    pending: Arc<Mutex<Pending>>,
    events: mpsc::UnboundedSender<Event>,
) {
    let mut failures = 0;
    let closed = loop {
        let received = receive(&socket).await;
        failures = if received.is_ok() { 0 } else { failures + 1 };
        match received {
            Ok(Some((Message::Reply(id, reply), fds))) => {
                let mut pending = pending.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(waiting) = pending.waiting.remove(&id) {
                    // The caller may have gone away; its answer goes with it.
                    drop(waiting.send((reply, fds)));
                }
            }
            Ok(Some((Message::Event(event), _))) => drop(events.send(event)),
            Ok(Some((Message::Request(..), _))) => tracing::warn!("a shim sent a request"),
            Ok(None) => break Closed::ByShim,
            // Short of memory or descriptors, say; nothing was taken off the socket.
            Err(error) if failures < FAILURES_MAX => {
                tracing::warn!(%error, "reading from a shim");
                tokio::time::sleep(RETRY_AFTER).await;
            }
            Err(error) => break Closed::Unreadable(error.to_string()),
        }
    };
    let mut pending = pending.lock().unwrap_or_else(PoisonError::into_inner);
    pending.closed = Some(closed);
    pending.waiting.clear();
}

async fn receive(socket: &AsyncFd<OwnedFd>) -> Result<Option<(Message, Vec<OwnedFd>)>> {
    let mut buffer = vec![0; protocol::HEADER_LEN + protocol::INLINE_MAX];
    let received = socket
        .async_io(Interest::READABLE, |socket| {
            sys::socket::receive(socket.as_fd(), &mut buffer).map_err(std::io::Error::from)
        })
        .await;
    let sys::socket::Received { len, mut fds, .. } = match received {
        Ok(received) => received,
        Err(e) if e.raw_os_error() == Some(Errno::CONNRESET.raw_os_error()) => return Ok(None),
        Err(e) => return Err(Error::internal("reading from a shim", e)),
    };
    if len == 0 {
        return Ok(None);
    }
    let packet = &buffer[..len];
    let header =
        protocol::decode_header(packet).map_err(|e| Error::internal("reading from a shim", e))?;
    let message = if header.in_memfd {
        let body = fds
            .pop()
            .map(|fd| sys::fd::read_sealed(fd.as_fd(), header.len))
            .transpose();
        let body = body
            .map_err(|e| Error::internal("reading from a shim", e))?
            .unwrap_or_default();
        protocol::decode(header, &body)
    } else {
        protocol::decode(header, &packet[protocol::HEADER_LEN..])
    };
    Ok(Some((
        message.map_err(|e| Error::internal("reading from a shim", e))?,
        fds,
    )))
}
