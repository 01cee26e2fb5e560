//! A connection that is passed on: two sockets, and the bytes that wait for one of them.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddrV4, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use sys::poll::{Interest, Poll};

/// Reads of one direction before others get their turn.
const READS: usize = 16;

/// The one who came and the container, in this order.
#[derive(Debug)]
pub(super) struct Pair {
    ends: [TcpStream; 2],
    /// What waits to be written to each end.
    waiting: [Vec<u8>; 2],
    /// Each end has said its last word.
    ended: [bool; 2],
    /// Each end was told that the other has.
    told: [bool; 2],
    /// What each end is watched for.
    watched: [Interest; 2],
    connected: bool,
}

impl Pair {
    /// Begins the connection to `target` for who came as `guest`; `token` is the guest's, the next
    /// one the container's.
    pub(super) fn open(
        guest: TcpStream,
        target: SocketAddrV4,
        poll: &Poll,
        token: u64,
    ) -> sys::Result<Self> {
        let host = TcpStream::from(sys::inet::connect_tcp(target.into())?);
        // Small answers must not wait for one another; that it is refused costs time only.
        drop(guest.set_nodelay(true));
        drop(host.set_nodelay(true));
        poll.add(guest.as_fd(), token, Interest::Nothing)?;
        poll.add(host.as_fd(), token + 1, Interest::Write)?;
        Ok(Self {
            ends: [guest, host],
            waiting: [Vec::new(), Vec::new()],
            ended: [false; 2],
            told: [false; 2],
            watched: [Interest::Nothing, Interest::Write],
            connected: false,
        })
    }

    /// Moves what can be moved; false when it is over. `room` is where bytes are for a moment.
    pub(super) fn turn(&mut self, poll: &Poll, token: u64, room: &mut [u8]) -> bool {
        if !self.connected {
            let failed = self.ends[1].take_error();
            if !matches!(failed, Ok(None)) || self.ends[1].peer_addr().is_err() {
                return false;
            }
            self.connected = true;
        }
        let moved = self.pass(0, room).and_then(|()| self.pass(1, room));
        if moved.is_err() || self.told == [true; 2] {
            return false;
        }
        (0..2).all(|end| self.watch(poll, token, end).is_ok())
    }

    /// From one end to the other.
    fn pass(&mut self, from: usize, room: &mut [u8]) -> std::io::Result<()> {
        let to = 1 - from;
        for _ in 0..READS {
            while !self.waiting[to].is_empty() {
                match self.ends[to].write(&self.waiting[to]) {
                    Ok(count) => drop(self.waiting[to].drain(..count)),
                    Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                    Err(e) if e.kind() == ErrorKind::Interrupted => {}
                    Err(e) => return Err(e),
                }
            }
            if self.ended[from] {
                if !self.told[to] {
                    // It may be gone already, which is as good.
                    drop(self.ends[to].shutdown(Shutdown::Write));
                    self.told[to] = true;
                }
                return Ok(());
            }
            match self.ends[from].read(room) {
                Ok(0) => self.ended[from] = true,
                Ok(count) => self.waiting[to].extend_from_slice(&room[..count]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn watch(&mut self, poll: &Poll, token: u64, end: usize) -> sys::Result<()> {
        let read = !self.ended[end] && self.waiting[1 - end].is_empty();
        let wanted = Interest::of(read, !self.waiting[end].is_empty());
        if self.watched[end] == wanted {
            return Ok(());
        }
        self.watched[end] = wanted;
        let token = token + u64::from(end == 1);
        poll.modify(self.fd(end), token, wanted)
    }

    fn fd(&self, end: usize) -> BorrowedFd<'_> {
        self.ends[end].as_fd()
    }
}
