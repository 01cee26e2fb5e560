//! A connected daemon: packets in, packets out.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use sys::Errno;
use sys::poll::{Interest, Poll};

use crate::protocol::{self, HEADER_LEN, INLINE_MAX, Message, Packet};
use crate::token::Token;
use crate::watched::{Watched, may_pass};

/// Packets that wait for a daemon that does not read; one more and it is taken for dead. It finds
/// out what it missed by Hello.
const QUEUE_MAX: usize = 64;
/// Longest body in a memory file. A Create is some kilobytes; environment and mounts may be many.
const BODY_MAX: usize = 16 << 20;

/// Longest packet.
const PACKET_MAX: usize = HEADER_LEN + INLINE_MAX;

/// A connection.
#[derive(Debug)]
pub(crate) struct Daemon {
    socket: Watched,
    queue: VecDeque<(Packet, Option<OwnedFd>)>,
}

/// What came in.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// A message and its descriptors.
    Message(Box<Message>, Vec<OwnedFd>),
    /// Nothing now.
    Nothing,
    /// It is gone, or does not speak our language.
    Gone,
}

impl Daemon {
    pub(crate) fn new(socket: OwnedFd, number: u32, poll: &Rc<Poll>) -> sys::Result<Self> {
        let mut socket = Watched::new(socket, Token::Daemon(number), poll)?;
        socket.watch(Some(Interest::Read))?;
        Ok(Self {
            socket,
            queue: VecDeque::new(),
        })
    }

    /// Takes the next packet.
    pub(crate) fn receive(&self) -> Incoming {
        // No larger than this packet: most are some bytes, and a shim is small.
        let len = match sys::socket::next_len(self.socket.as_fd()) {
            Ok(len @ 1..=PACKET_MAX) => len,
            // It is still there to be read at the next turn.
            Err(error) if error.errno == Errno::AGAIN || may_pass(error) => {
                return Incoming::Nothing;
            }
            Ok(_) | Err(_) => return Incoming::Gone,
        };
        let mut buffer = vec![0; len];
        let received = match sys::socket::receive(self.socket.as_fd(), &mut buffer) {
            Ok(received) if !received.truncated => received,
            Err(error) if may_pass(error) => return Incoming::Nothing,
            Ok(_) | Err(_) => return Incoming::Gone,
        };
        decode(&buffer[..received.len], received.fds).map_or(Incoming::Gone, |(message, fds)| {
            Incoming::Message(Box::new(message), fds)
        })
    }

    /// Sends a message, now or when there is room. False: it is gone.
    pub(crate) fn send(&mut self, message: &Message, fd: Option<OwnedFd>) -> bool {
        if self.queue.len() == QUEUE_MAX {
            return false;
        }
        self.queue.push_back((protocol::encode(message), fd));
        self.flush()
    }

    /// Sends what waits. False: it is gone.
    pub(crate) fn flush(&mut self) -> bool {
        while let Some((packet, fd)) = self.queue.front() {
            match transmit(&self.socket, packet, fd.as_ref()) {
                Ok(()) => drop(self.queue.pop_front()),
                Err(error) if error.errno == Errno::AGAIN || may_pass(error) => break,
                Err(_) => return false,
            }
        }
        self.socket
            .watch(Some(Interest::of(true, !self.queue.is_empty())))
            .is_ok()
    }
}

fn decode(packet: &[u8], mut fds: Vec<OwnedFd>) -> Option<(Message, Vec<OwnedFd>)> {
    let header = protocol::decode_header(packet).ok()?;
    let message = if header.in_memfd {
        let body = sys::fd::read_sealed(fds.pop()?.as_fd(), header.len.min(BODY_MAX)).ok()?;
        protocol::decode(header, &body)
    } else {
        protocol::decode(header, packet.get(HEADER_LEN..)?)
    };
    Some((message.ok()?, fds))
}

fn transmit(socket: &Watched, packet: &Packet, fd: Option<&OwnedFd>) -> sys::Result<()> {
    let mut fds: Vec<_> = fd.iter().map(|fd| fd.as_fd()).collect();
    if packet.body.len() <= INLINE_MAX {
        return sys::socket::send(socket.as_fd(), &[&packet.header, &packet.body], &fds).map(drop);
    }
    let body = sys::fd::memfd_sealed("wharf-packet", &packet.body)?;
    fds.push(body.as_fd());
    sys::socket::send(socket.as_fd(), &[&packet.header], &fds).map(drop)
}
