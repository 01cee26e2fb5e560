//! A stream attached to a task: output in frames or raw, input with detach keys.

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use api::frame;
use logs::Stream;
use sys::Errno;
use sys::poll::{Interest, Poll};

use crate::detach_keys::DetachKeys;
use crate::outbox::{Outbox, Via};
use crate::protocol::Attach;
use crate::task::WATCH_AGAIN;
use crate::token::Token;
use crate::watched::{Watched, may_pass};

/// Bytes that wait for a client before the task's output is no longer read: the container then
/// waits in its own write, as it does under Docker.
const HIGH_WATER: usize = 64 * 1024;
/// Bytes that may wait when the task has ended and its pipes are emptied; a client that is further
/// behind is dropped.
const LIMIT: usize = 1 << 20;
/// A client that takes nothing for so long while bytes wait is dropped, lest it stop the container
/// for ever. (A pager or a stopped terminal may rest for some minutes.)
const STALL_LIMIT: Duration = Duration::from_mins(10);

/// A client that ended its side, of a task whose stdin goes on, is closed after so long: Docker does
/// so at once, and yet the answer to what was just typed mostly arrives.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// What a client sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// For stdin; perhaps empty.
    Bytes(Vec<u8>),
    /// Nothing now.
    Nothing,
    /// It ended its side.
    End,
    /// It pressed its detach keys, behind these bytes.
    Detach(Vec<u8>),
}

/// An attached client.
#[derive(Debug)]
pub(crate) struct Client {
    /// As events find it.
    pub(crate) number: u32,
    /// How the daemon asked for it.
    pub(crate) attach: Attach,
    stream: Watched,
    keys: DetachKeys,
    out: Outbox,
    /// Its side is open.
    input_open: bool,
    /// Its process is gone, and input that it left waits until stdin has room.
    hung_up: bool,
    /// The task is over: close when everything is sent.
    closing: bool,
    /// Close then, even if the task goes on.
    leaves_at: Option<Instant>,
    progress: Instant,
    /// It could not be watched: it is tried again then.
    watch_at: Option<Instant>,
}

impl Client {
    /// Takes a stream. Early input is still in [`Client::attach`].
    pub(crate) fn new(
        stream: OwnedFd,
        number: u32,
        attach: Attach,
        poll: &Rc<Poll>,
    ) -> sys::Result<Self> {
        let stream = Watched::new(stream, Token::Client(number), poll)?;
        let keys = DetachKeys::new(attach.detach_keys.clone());
        Ok(Self {
            number,
            attach,
            stream,
            keys,
            out: Outbox::default(),
            input_open: true,
            hung_up: false,
            closing: false,
            leaves_at: None,
            progress: Instant::now(),
            watch_at: None,
        })
    }

    /// Sends output that the client wants. False: it is gone.
    pub(crate) fn send(&mut self, stream: Stream, bytes: &[u8]) -> bool {
        let (wanted, name) = match stream {
            Stream::Stdout => (self.attach.stdout, frame::Stream::Stdout),
            Stream::Stderr => (self.attach.stderr, frame::Stream::Stderr),
        };
        if !wanted {
            return true;
        }
        if self.out.is_empty() {
            self.progress = Instant::now();
        }
        if self.attach.framed {
            let len = u32::try_from(bytes.len()).expect("a read buffer is far below 4 GiB");
            self.out.push(&frame::header(name, len));
        }
        self.out.push(bytes);
        self.flush() && self.out.len() <= LIMIT
    }

    /// Sends what waits. False: it is gone.
    pub(crate) fn flush(&mut self) -> bool {
        match self.out.flush(self.stream.as_fd(), Via::Socket) {
            Ok(moved) => {
                if moved {
                    self.progress = Instant::now();
                }
                true
            }
            Err(_) => false,
        }
    }

    /// Reads what the client typed.
    pub(crate) fn receive(&mut self, scratch: &mut [u8]) -> Input {
        match sys::fd::read(self.stream.as_fd(), scratch) {
            Ok(0) => {
                self.input_open = false;
                Input::End
            }
            Ok(count) => self.typed(&scratch[..count]),
            Err(error) if error.errno == Errno::AGAIN || may_pass(error) => Input::Nothing,
            Err(_) => {
                self.input_open = false;
                self.hung_up = true;
                Input::End
            }
        }
    }

    /// Looks at what the client typed.
    pub(crate) fn typed(&mut self, bytes: &[u8]) -> Input {
        if !self.attach.stdin {
            return Input::Bytes(Vec::new());
        }
        let mut passed = Vec::new();
        if self.keys.feed(bytes, &mut passed) {
            Input::Detach(passed)
        } else {
            Input::Bytes(passed)
        }
    }

    /// Notes that the other end is closed. True: nothing more is to be had from it.
    pub(crate) fn hang_up(&mut self) -> bool {
        self.hung_up = true;
        !self.input_open || !self.attach.stdin
    }

    /// Tells whether so much waits that output must not be read.
    pub(crate) fn is_behind(&self) -> bool {
        self.out.len() > HIGH_WATER
    }

    /// Closes it when everything is sent.
    pub(crate) fn close(&mut self) {
        self.closing = true;
    }

    /// Closes it soon, for it said its last word.
    pub(crate) fn leave_soon(&mut self) {
        self.leaves_at
            .get_or_insert_with(|| Instant::now() + LAST_WORDS);
    }

    /// Tells whether it is done with.
    pub(crate) fn is_done(&self, now: Instant) -> bool {
        let leaves = self.closing || self.leaves_at.is_some_and(|at| at <= now);
        (leaves && self.out.is_empty())
            || (self.hung_up && !self.input_open)
            || (!self.out.is_empty() && self.progress + STALL_LIMIT <= now)
    }

    /// When it is to be looked at even if nothing happens.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let own = if self.out.is_empty() {
            self.leaves_at
        } else {
            Some(self.progress + STALL_LIMIT)
        };
        own.into_iter().chain(self.watch_at).min()
    }

    /// Watches for what is wanted now. False: it cannot be served.
    pub(crate) fn settle(&mut self, stdin_has_room: bool) -> bool {
        let read = self.input_open && !self.closing && (stdin_has_room || !self.attach.stdin);
        let wanted = if self.hung_up && !read {
            None
        } else {
            Some(Interest::of(read, !self.out.is_empty()))
        };
        self.watch_at = match self.stream.watch(wanted) {
            Ok(()) => None,
            Err(error) if may_pass(error) => Some(Instant::now() + WATCH_AGAIN),
            Err(_) => return false,
        };
        true
    }
}

impl Drop for Client {
    /// Ends the stream so that the other side reads an end and not a reset, which the kernel sends
    /// when input is left unread. The daemon may hold the stream, too: closing alone ends nothing.
    fn drop(&mut self) {
        let _gone_already = sys::socket::shutdown_write(self.stream.as_fd());
        let mut rest = [0; 1024];
        // A socket's buffer at most: one that is filled meanwhile may read a reset.
        for _ in 0..256 {
            match sys::fd::read(self.stream.as_fd(), &mut rest) {
                Ok(1..) => {}
                Ok(0) | Err(_) => return,
            }
        }
    }
}
