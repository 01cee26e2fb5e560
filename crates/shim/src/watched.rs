//! A descriptor and what the poll loop wants of it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use sys::Errno;
use sys::poll::{Interest, Poll};

use crate::token::Token;

/// A descriptor that leaves the poll loop before it is closed: a daemon may hold another
/// descriptor of the same open file, which would keep the watch alive.
#[derive(Debug)]
pub(crate) struct Watched {
    fd: OwnedFd,
    token: Token,
    poll: Rc<Poll>,
    wanted: Option<Interest>,
}

/// Tells whether a call on a pipe or a socket may succeed a little later. They have no device behind
/// them: an input/output error is not the end either.
pub(crate) fn may_pass(error: sys::Error) -> bool {
    error.is_passing() || error.errno == Errno::IO
}

impl Watched {
    /// Takes a descriptor; it is made nonblocking and not watched yet.
    pub(crate) fn new(fd: OwnedFd, token: Token, poll: &Rc<Poll>) -> sys::Result<Self> {
        sys::fd::set_nonblocking(fd.as_fd(), true)?;
        Ok(Self {
            fd,
            token,
            poll: Rc::clone(poll),
            wanted: None,
        })
    }

    /// Watches for something else. `None` is not to be told even of the end: an end that cannot be
    /// acted on yet would wake the loop for ever.
    pub(crate) fn watch(&mut self, wanted: Option<Interest>) -> sys::Result<()> {
        let (fd, token) = (self.fd.as_fd(), self.token.encode());
        match (self.wanted, wanted) {
            (before, after) if before == after => return Ok(()),
            (_, None) => self.poll.remove(fd)?,
            (None, Some(interest)) => self.poll.add(fd, token, interest)?,
            (Some(_), Some(interest)) => self.poll.modify(fd, token, interest)?,
        }
        self.wanted = wanted;
        Ok(())
    }
}

impl AsFd for Watched {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // Removing can only fail for a descriptor that is not watched.
        let _not_watched = self.watch(None);
    }
}
