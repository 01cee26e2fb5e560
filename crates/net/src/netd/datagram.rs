//! Datagrams that are passed on: each asker has a socket of its own to the container, so that the
//! answers find back.

use std::collections::HashMap;
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use sys::poll::{Interest, Poll};

/// An asker is forgotten when nothing came for this long, as by Docker's proxy.
pub(super) const IDLE: Duration = Duration::from_secs(90);
/// Askers at one time; a newer one is not heard while there are so many.
const ASKERS_MAX: usize = 1024;
/// Datagrams taken in one turn.
const READS: usize = 64;

/// A published port.
#[derive(Debug)]
pub(super) struct Port {
    pub(super) socket: UdpSocket,
    target: SocketAddrV4,
    /// Whose answers come at which token.
    askers: HashMap<SocketAddr, u64>,
}

/// Somebody who sent something to a published port.
#[derive(Debug)]
pub(super) struct Asker {
    /// Connected to the container.
    socket: UdpSocket,
    address: SocketAddr,
    /// Token of the published port.
    pub(super) port: u64,
    /// When something came last, from either.
    pub(super) heard: Instant,
}

impl Port {
    pub(super) fn new(socket: UdpSocket, target: SocketAddrV4) -> Self {
        Self {
            socket,
            target,
            askers: HashMap::new(),
        }
    }

    /// Takes what has come: first from whom and how long, then who is to be found for it.
    pub(super) fn receive(&self, room: &mut [u8]) -> Option<(usize, SocketAddr)> {
        self.socket.recv_from(room).ok()
    }

    /// Returns how many may be taken in one turn.
    pub(super) fn reads() -> usize {
        READS
    }

    /// Returns the token of an asker.
    pub(super) fn asker(&self, address: SocketAddr) -> Option<u64> {
        self.askers.get(&address).copied()
    }

    /// Lets somebody new ask; nothing when there are too many, or when there is no socket.
    pub(super) fn admit(
        &mut self,
        address: SocketAddr,
        poll: &Poll,
        tokens: (u64, u64),
    ) -> Option<Asker> {
        let (port, token) = tokens;
        if self.askers.len() >= ASKERS_MAX {
            return None;
        }
        let socket = UdpSocket::from(sys::inet::bind_udp(([0, 0, 0, 0], 0).into()).ok()?);
        socket.connect(self.target).ok()?;
        poll.add(socket.as_fd(), token, Interest::Read).ok()?;
        self.askers.insert(address, token);
        Some(Asker {
            socket,
            address,
            port,
            heard: Instant::now(),
        })
    }

    /// Answers somebody.
    pub(super) fn answer(&self, asker: &Asker, bytes: &[u8]) {
        // A datagram may always be lost.
        drop(self.socket.send_to(bytes, asker.address));
    }

    pub(super) fn forget(&mut self, asker: &Asker) {
        self.askers.remove(&asker.address);
    }
}

impl Asker {
    /// Passes something on to the container.
    pub(super) fn ask(&mut self, bytes: &[u8]) {
        self.heard = Instant::now();
        // A datagram may always be lost.
        drop(self.socket.send(bytes));
    }

    /// Takes an answer of the container's; nothing when there is none. That nobody listens there is
    /// an answer that cannot be passed on.
    pub(super) fn receive(&mut self, room: &mut [u8]) -> Option<usize> {
        let count = self.socket.recv(room).ok()?;
        self.heard = Instant::now();
        Some(count)
    }
}
