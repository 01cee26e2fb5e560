//! A terminal or pipes joined to a container: one loop over stdin, the raw connection, signals
//! and the answer to wait.

use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

use sys::poll::{Interest, Poll, Signals};
use sys::tty;

use crate::client::{Client, Hijacked};
use crate::demux::Demux;
use crate::error::{Error, Result};
use crate::http::{Query, Response, escape_path};
use crate::keys::Keys;

/// What is joined.
pub(crate) struct Join<'a> {
    /// The raw connection.
    pub(crate) hijacked: Hijacked,
    /// The container has a terminal: bytes are not framed.
    pub(crate) tty: bool,
    /// Our stdin goes in.
    pub(crate) stdin: bool,
    /// What ends it from the keyboard.
    pub(crate) keys: Keys,
    /// The answer to wait.
    pub(crate) wait: Option<Response>,
    /// Where resize goes: `/containers/ID` or `/exec/ID`.
    pub(crate) resize: Option<&'a str>,
    /// Where signals go: a container.
    pub(crate) signals: Option<&'a str>,
}

/// How it ended.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    /// The keys were typed.
    pub(crate) detached: bool,
    /// The answer to wait, if it came.
    pub(crate) waited: Option<Vec<u8>>,
}

/// Signals that are passed on, besides those nobody can catch. A window's change is told by
/// resize instead.
pub(crate) const FORWARDED: [i32; 8] = [1, 2, 3, 10, 12, 14, 15, 18];
const WINDOW_CHANGED: i32 = 28;

const SOCKET: u64 = 0;
const STDIN: u64 = 1;
const SIGNAL: u64 = 2;
const WAIT: u64 = 3;

/// Blocks the signals that a loop will read, early enough that none is lost.
pub(crate) fn catch_signals(forward: bool, window: bool) -> Result<Option<Signals>> {
    let mut wanted = Vec::new();
    if forward {
        wanted.extend(FORWARDED);
    }
    if window {
        wanted.push(WINDOW_CHANGED);
    }
    if wanted.is_empty() {
        Ok(None)
    } else {
        Ok(Some(Signals::new(&wanted)?))
    }
}

/// The loop's state.
struct Loop<'a> {
    join: Join<'a>,
    poll: Poll,
    demux: Demux,
    /// Typed, not yet taken by the connection.
    pending: Vec<u8>,
    /// stdin is over; the connection is to be told once `pending` is gone.
    stdin_over: bool,
    told: bool,
    /// stdin is a file, which no poll watches.
    stdin_is_file: bool,
    output_over: bool,
    ended: Ended,
}

/// Runs until the output is over and the answer to wait, if any, is there, or the keys are typed.
pub(crate) fn run(client: &mut Client, join: Join<'_>, signals: Option<&Signals>) -> Result<Ended> {
    let stdin = std::io::stdin();
    let raw_mode = (join.tty && join.stdin && tty::is_terminal(&stdin))
        .then(|| tty::Raw::enter(stdin.as_fd()))
        .transpose()?;
    let mut state = Loop::new(join, signals)?;
    if state.join.tty {
        send_size(client, state.join.resize);
    }
    let early = std::mem::take(&mut state.join.hijacked.early);
    state.demux.write(&early)?;
    let result = state.turn_until_done(client, signals);
    drop(raw_mode);
    result?;
    Ok(state.ended)
}

/// Tells the daemon how big our terminal is; what it answers does not matter.
pub(crate) fn send_size(client: &mut Client, target: Option<&str>) {
    let Some(target) = target else { return };
    let Ok((width, height)) = tty::size(std::io::stdout()) else {
        return;
    };
    if width == 0 && height == 0 {
        return;
    }
    let query = Query::default()
        .with("h", height.to_string())
        .with("w", width.to_string());
    drop(client.post(&format!("{target}/resize{}", query.render())));
}

impl<'a> Loop<'a> {
    fn new(join: Join<'a>, signals: Option<&Signals>) -> Result<Self> {
        let poll = Poll::new()?;
        sys::fd::set_nonblocking(join.hijacked.socket.as_fd(), true)?;
        poll.add(join.hijacked.socket.as_fd(), SOCKET, Interest::Read)?;
        let mut stdin_is_file = false;
        if join.stdin {
            let added = poll.add(std::io::stdin().as_fd(), STDIN, Interest::Read);
            match added {
                Ok(()) => {}
                Err(error) if error.errno == sys::Errno::PERM => stdin_is_file = true,
                Err(error) => return Err(error.into()),
            }
        }
        if let Some(signals) = signals {
            poll.add(signals.as_fd(), SIGNAL, Interest::Read)?;
        }
        if let Some(wait) = &join.wait
            && !wait.has_early()
        {
            poll.add(wait.as_fd(), WAIT, Interest::Read)?;
        }
        let demux = Demux::new(join.tty);
        let stdin_over = !join.stdin;
        Ok(Self {
            poll,
            demux,
            pending: Vec::new(),
            // A connection without stdin is not half closed: nobody waits for that.
            told: stdin_over,
            stdin_over,
            stdin_is_file,
            output_over: false,
            ended: Ended::default(),
            join,
        })
    }

    fn turn_until_done(&mut self, client: &mut Client, signals: Option<&Signals>) -> Result<()> {
        if self.join.wait.as_ref().is_some_and(Response::has_early) {
            self.take_wait()?;
        }
        while !self.is_done() {
            if self.stdin_is_file && !self.stdin_over && self.pending.is_empty() {
                self.read_stdin()?;
                continue;
            }
            for event in self.poll.wait(None)? {
                match event.token {
                    SOCKET => {
                        if event.writable && !self.pending.is_empty() {
                            self.flush()?;
                        }
                        if event.readable || event.closed {
                            self.read_output()?;
                        }
                    }
                    STDIN => self.read_stdin()?,
                    SIGNAL => self.take_signals(client, signals)?,
                    _ => self.take_wait()?,
                }
            }
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.ended.detached || (self.output_over && self.join.wait.is_none())
    }

    fn read_output(&mut self) -> Result<()> {
        let mut buffer = [0; 16 << 10];
        match self.join.hijacked.socket.read(&mut buffer) {
            Ok(0) => self.end_output(),
            Ok(count) => self.demux.write(&buffer[..count]),
            Err(error) if would_block(&error) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => self.end_output(),
            Err(error) => Err(error.into()),
        }
    }

    fn end_output(&mut self) -> Result<()> {
        if !self.output_over {
            self.output_over = true;
            self.poll.remove(self.join.hijacked.socket.as_fd())?;
            self.stop_stdin()?;
        }
        Ok(())
    }

    fn stop_stdin(&mut self) -> Result<()> {
        if !self.stdin_over {
            self.stdin_over = true;
            if !self.stdin_is_file {
                self.poll.remove(std::io::stdin().as_fd())?;
            }
        }
        self.told = true;
        self.pending.clear();
        Ok(())
    }

    fn read_stdin(&mut self) -> Result<()> {
        if self.stdin_over {
            return Ok(());
        }
        let mut buffer = [0; 16 << 10];
        let count = match sys::fd::read(std::io::stdin().as_fd(), &mut buffer) {
            Ok(count) => count,
            Err(error) if error.errno == sys::Errno::AGAIN => return Ok(()),
            // A terminal that went away is the end of input.
            Err(error) if error.errno == sys::Errno::IO => 0,
            Err(error) => return Err(error.into()),
        };
        if count == 0 {
            self.stdin_over = true;
            if !self.stdin_is_file {
                self.poll.remove(std::io::stdin().as_fd())?;
            }
        } else if self.join.tty {
            let (bytes, detached) = self.join.keys.filter(&buffer[..count]);
            self.pending.extend(bytes);
            self.ended.detached = detached;
        } else {
            self.pending.extend_from_slice(&buffer[..count]);
        }
        self.flush()
    }

    /// Writes what was typed; what does not fit waits, and nothing more is read until then.
    fn flush(&mut self) -> Result<()> {
        while !self.pending.is_empty() {
            match self.join.hijacked.socket.write(&self.pending) {
                Ok(count) => drop(self.pending.drain(..count)),
                Err(error) if would_block(&error) => break,
                // The other side takes no more; its output may go on.
                Err(_) => return self.stop_stdin(),
            }
        }
        if !self.output_over {
            let busy = !self.pending.is_empty();
            let interest = if busy {
                Interest::ReadWrite
            } else {
                Interest::Read
            };
            self.poll
                .modify(self.join.hijacked.socket.as_fd(), SOCKET, interest)?;
            if self.join.stdin && !self.stdin_is_file && !self.stdin_over {
                let interest = if busy {
                    Interest::Nothing
                } else {
                    Interest::Read
                };
                self.poll
                    .modify(std::io::stdin().as_fd(), STDIN, interest)?;
            }
        }
        if self.stdin_over && self.pending.is_empty() && !self.told {
            self.told = true;
            // A connection that is gone needs no end of input.
            drop(self.join.hijacked.socket.close_write());
        }
        Ok(())
    }

    fn take_signals(&mut self, client: &mut Client, signals: Option<&Signals>) -> Result<()> {
        while let Some(signal) = signals.map_or(Ok(None), Signals::read)? {
            if signal == WINDOW_CHANGED {
                send_size(client, self.join.resize);
            } else if let Some(container) = self.join.signals {
                send_signal(client, container, signal);
            }
        }
        Ok(())
    }

    fn take_wait(&mut self) -> Result<()> {
        let Some(mut wait) = self.join.wait.take() else {
            return Ok(());
        };
        let body = wait
            .read_all()
            .map_err(|error| Error::text(format!("error waiting for container: {error}")))?;
        self.ended.waited = Some(body);
        Ok(())
    }
}

/// Passes a signal on to a container; one that has ended needs none.
pub(crate) fn send_signal(client: &mut Client, container: &str, signal: i32) {
    let name = types::signal::name(signal).map_or_else(|| signal.to_string(), str::to_owned);
    let query = Query::default().with("signal", name);
    drop(client.post(&format!(
        "/containers/{}/kill{}",
        escape_path(container),
        query.render()
    )));
}

fn would_block(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::Interrupted
    )
}

/// Returns whether a descriptor is a terminal.
pub(crate) fn is_terminal(fd: BorrowedFd<'_>) -> bool {
    tty::is_terminal(fd)
}
