//! The sockets at which a container asks for names, and what is answered at once.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use sys::namespace;

use super::protocol::{Sandbox, Upstream};
use crate::dns::message::{self, Question};
use crate::dns::zone::{Known, Zones};
use crate::nft::{commit, rules};
use crate::{Error, Result};

/// Where a container's programs ask.
pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
/// The table in the container's namespace.
const TABLE: &str = "wharf-names";
/// How long another resolver may take, as Docker's.
pub(super) const PATIENCE: Duration = Duration::from_secs(4);
/// How many of them are asked.
pub(super) const UPSTREAMS_ASKED: usize = 3;
/// Names that are asked for by TCP at one time.
const CONVERSATIONS_MAX: usize = 64;
/// Bytes of such a thread's stack.
const STACK_BYTES: usize = 192 << 10;

/// Everything about a container's questions.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) sandbox: Sandbox,
    /// Its network namespace, and this process's.
    netns: OwnedFd,
    own: Arc<OwnedFd>,
    names: Arc<RwLock<Zones>>,
}

/// What is to be done with a question.
pub(super) enum Verdict {
    /// This is the answer.
    Answer(Vec<u8>),
    /// Others are to be asked.
    Forward(Question),
    /// Nothing: it is no question.
    Silence,
}

impl Place {
    /// Opens the sockets in the container's namespace and leads port 53 to them.
    pub(super) fn open(
        sandbox: Sandbox,
        netns: OwnedFd,
        own: &Arc<OwnedFd>,
        names: &Arc<RwLock<Zones>>,
    ) -> Result<(Self, UdpSocket, TcpListener)> {
        let place = Self {
            sandbox,
            netns,
            own: Arc::clone(own),
            names: Arc::clone(names),
        };
        let (udp, tcp) = place.inside(|| {
            let any = SocketAddr::from((SERVER, 0));
            let udp = UdpSocket::from(sys::inet::bind_udp(any).map_err(Error::Socket)?);
            let tcp = TcpListener::from(sys::inet::listen_tcp(any).map_err(Error::Socket)?);
            let port = |address: std::io::Result<SocketAddr>| {
                address.map(|at| at.port()).map_err(Error::Thread)
            };
            let ports = (port(udp.local_addr())?, port(tcp.local_addr())?);
            commit::ensure(&rules::resolver(TABLE, SERVER, ports.0, ports.1))?;
            Ok((udp, tcp))
        })?;
        Ok((place, udp, tcp))
    }

    /// Works in the container's namespace. A thread that cannot come back must not go on.
    fn inside<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        namespace::enter(self.netns.as_fd(), namespace::NETWORK).map_err(Error::Namespace)?;
        let done = work();
        let back = namespace::enter(self.own.as_fd(), namespace::NETWORK);
        if back.is_err() {
            std::process::abort();
        }
        done
    }

    /// Looks a question up.
    pub(super) fn judge(&self, query: &[u8], whole: bool) -> Verdict {
        let Some(question) = message::parse(query) else {
            return message::complaint(query).map_or(Verdict::Silence, Verdict::Answer);
        };
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        let (code, data) = match names.answer(&self.sandbox, &question) {
            Known::Data(data) => (message::NO_ERROR, data),
            Known::Nothing => (message::NO_ERROR, Vec::new()),
            Known::Not if self.may_ask_others(&question) => return Verdict::Forward(question),
            Known::Not => (message::SERVER_FAILURE, Vec::new()),
        };
        let answer = message::answer(query, &question, code, &data);
        Verdict::Answer(if whole {
            answer
        } else {
            message::fitted(answer, &question)
        })
    }

    fn may_ask_others(&self, question: &Question) -> bool {
        let short = !question.name.contains('.');
        !self.sandbox.upstreams.is_empty() && (self.sandbox.forward_short || !short)
    }

    /// Returns a socket that asks one of the others.
    pub(super) fn socket_to(&self, upstream: &Upstream) -> Result<UdpSocket> {
        let open = || {
            let any = match upstream.address {
                std::net::IpAddr::V4(_) => SocketAddr::from(([0, 0, 0, 0], 0)),
                std::net::IpAddr::V6(_) => SocketAddr::from(([0_u16; 8], 0)),
            };
            let socket = UdpSocket::from(sys::inet::bind_udp(any).map_err(Error::Socket)?);
            socket
                .connect((upstream.address, 53))
                .map_err(Error::Thread)?;
            Ok(socket)
        };
        if upstream.inside {
            self.inside(open)
        } else {
            open()
        }
    }

    fn stream_to(&self, upstream: &Upstream) -> Result<TcpStream> {
        let open = || {
            TcpStream::connect_timeout(&(upstream.address, 53).into(), PATIENCE)
                .map_err(Error::Thread)
        };
        if upstream.inside {
            self.inside(open)
        } else {
            open()
        }
    }

    /// Answers one who came by TCP, on a thread of its own, until it has no more questions. `places`
    /// counts who does.
    pub(super) fn converse(place: &Arc<Self>, stream: TcpStream) {
        // Each thread holds the place; so many may.
        if Arc::strong_count(place) > CONVERSATIONS_MAX {
            return;
        }
        let place = Arc::clone(place);
        let thread = std::thread::Builder::new()
            .name("wharf-names".to_owned())
            .stack_size(STACK_BYTES);
        // Without a thread the asker sees its connection end.
        drop(thread.spawn(move || {
            drop(place.conversation(stream));
        }));
    }

    fn conversation(&self, mut stream: TcpStream) -> std::io::Result<()> {
        stream.set_nonblocking(false)?;
        for set in [TcpStream::set_read_timeout, TcpStream::set_write_timeout] {
            set(&stream, Some(PATIENCE))?;
        }
        loop {
            let query = read_message(&mut stream)?;
            let answer = match self.judge(&query, true) {
                Verdict::Answer(answer) => answer,
                Verdict::Forward(question) => self.ask_others(&query).unwrap_or_else(|| {
                    message::answer(&query, &question, message::SERVER_FAILURE, &[])
                }),
                Verdict::Silence => return Ok(()),
            };
            write_message(&mut stream, &answer)?;
        }
    }

    fn ask_others(&self, query: &[u8]) -> Option<Vec<u8>> {
        let upstreams = self.sandbox.upstreams.iter().take(UPSTREAMS_ASKED);
        for upstream in upstreams {
            let asked = self.stream_to(upstream).and_then(|mut stream| {
                let mut ask = || {
                    stream.set_read_timeout(Some(PATIENCE))?;
                    write_message(&mut stream, query)?;
                    read_message(&mut stream)
                };
                ask().map_err(Error::Thread)
            });
            if let Ok(answer) = asked
                && is_final(&answer)
            {
                return Some(answer);
            }
        }
        None
    }
}

/// Tells whether an answer is one, not a reason to ask the next.
pub(super) fn is_final(answer: &[u8]) -> bool {
    !matches!(
        message::code(answer),
        None | Some(message::SERVER_FAILURE | message::REFUSED)
    )
}

fn read_message(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn write_message(stream: &mut TcpStream, message: &[u8]) -> std::io::Result<()> {
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    let framed = [&length.to_be_bytes()[..], message].concat();
    stream.write_all(&framed)
}
