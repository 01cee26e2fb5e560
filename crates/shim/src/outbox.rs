//! Bytes on their way to a stream that may not take them now.

use std::os::fd::BorrowedFd;

use sys::Errno;

use crate::watched::may_pass;

/// What a stream has not taken yet; empty, it holds no memory.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    bytes: Vec<u8>,
    sent: usize,
}

/// How bytes leave.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Via {
    /// A socket: no `SIGPIPE`.
    Socket,
    /// A pipe or terminal.
    File,
}

impl Outbox {
    /// Returns how many bytes wait.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts bytes behind those that wait.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Gives the stream what it takes. True: it took something. An error means that it never will.
    pub(crate) fn flush(&mut self, to: BorrowedFd<'_>, via: Via) -> sys::Result<bool> {
        let before = self.len();
        while !self.is_empty() {
            match transfer(to, via, &self.bytes[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.errno == Errno::AGAIN => break,
                // A terminal that nobody has open any more takes nothing for ever.
                Err(error) if matches!(via, Via::Socket) && may_pass(error) => break,
                Err(error) => return Err(error),
            }
        }
        let moved = self.len() < before;
        if self.is_empty() {
            *self = Self::default();
        } else if self.sent > self.bytes.len() / 2 {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
        Ok(moved)
    }
}

fn transfer(to: BorrowedFd<'_>, via: Via, bytes: &[u8]) -> sys::Result<usize> {
    match via {
        Via::Socket => sys::socket::send(to, &[bytes], &[]),
        Via::File => sys::fd::write(to, bytes),
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use super::*;

    #[test]
    fn nothing_is_lost_when_the_stream_is_full() {
        let (a, b) = sys::socket::pair(sys::socket::Kind::Stream).unwrap();
        sys::fd::set_nonblocking(a.as_fd(), true).unwrap();
        let sent: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
        let mut outbox = Outbox::default();
        outbox.push(&sent);
        assert!(outbox.flush(a.as_fd(), Via::Socket).unwrap());
        assert!(!outbox.is_empty());
        let mut got = Vec::new();
        let mut buffer = [0; 16_000];
        while got.len() < sent.len() {
            let count = sys::fd::read(b.as_fd(), &mut buffer).unwrap();
            got.extend_from_slice(&buffer[..count]);
            outbox.flush(a.as_fd(), Via::Socket).unwrap();
        }
        assert!(got == sent && outbox.is_empty());
        drop(b);
        outbox.push(b"x");
        assert_eq!(
            outbox.flush(a.as_fd(), Via::Socket).unwrap_err().errno,
            Errno::PIPE
        );
    }
}
