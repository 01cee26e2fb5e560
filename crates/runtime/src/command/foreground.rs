//! Staying with a process until it ends: its terminal is ours, and our signals are its.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use sys::pidfd;
use sys::poll::{Interest, Poll, Signals};
use sys::tty::{self, Raw};

use super::error::{Error, Result};
use crate::Child;
use crate::error::unheard;

/// Signals that are passed on (signal(7)): those that somebody may mean for the process.
const PASSED_ON: [i32; 12] = [1, 2, 3, 6, 10, 12, 14, 15, 18, 23, 28, 30];
/// The terminal's size changed.
const WINCH: i32 = 28;

const PROCESS: u64 = 0;
const SIGNAL: u64 = 1;
const MASTER: u64 = 2;
const STDIN: u64 = 3;

/// Takes signals from before the process is there, so that none is lost.
#[derive(Debug)]
pub(super) struct Keeper {
    signals: Signals,
}

impl Keeper {
    /// Begins to take signals.
    pub(super) fn begin() -> Result<Self> {
        let signals = Signals::new(&PASSED_ON).map_err(Error::kernel("take signals"))?;
        Ok(Self { signals })
    }

    /// Stays until the process ended; returns its exit code.
    pub(super) fn keep(self, child: Child) -> Result<i32> {
        let failed = || Error::kernel("stay with the process");
        let poll = Poll::new().map_err(failed())?;
        poll.add(child.pidfd.as_fd(), PROCESS, Interest::Read)
            .map_err(failed())?;
        poll.add(self.signals.as_fd(), SIGNAL, Interest::Read)
            .map_err(failed())?;
        let terminal = child
            .console
            .map(|master| Terminal::begin(master, &poll))
            .transpose()?;
        loop {
            for event in poll.wait(None).map_err(failed())? {
                match (event.token, &terminal) {
                    (PROCESS, terminal) => {
                        if let Some(terminal) = terminal {
                            terminal.drain();
                        }
                        let status = pidfd::wait(child.pidfd.as_fd()).map_err(failed())?;
                        return Ok(status.code());
                    }
                    (SIGNAL, terminal) => {
                        self.pass_on(child.pidfd.as_fd(), terminal.as_ref())
                            .map_err(failed())?;
                    }
                    (token, Some(terminal)) => terminal.copy(token, &poll).map_err(failed())?,
                    (_, None) => {}
                }
            }
        }
    }

    fn pass_on(&self, process: BorrowedFd<'_>, terminal: Option<&Terminal>) -> sys::Result<()> {
        while let Some(signal) = self.signals.read()? {
            match (signal, terminal) {
                (WINCH, Some(terminal)) => terminal.fit(),
                // It may have ended this moment.
                _ => unheard(pidfd::send_signal(process, signal)),
            }
        }
        Ok(())
    }
}

/// The container's terminal, shown on ours.
#[derive(Debug)]
struct Terminal {
    master: OwnedFd,
    _raw: Option<Raw>,
}

impl Terminal {
    fn begin(master: OwnedFd, poll: &Poll) -> Result<Self> {
        let failed = || Error::kernel("terminal");
        let stdin = std::io::stdin();
        let raw = tty::is_terminal(&stdin)
            .then(|| Raw::enter(stdin.as_fd()))
            .transpose();
        sys::fd::set_nonblocking(master.as_fd(), true).map_err(failed())?;
        poll.add(master.as_fd(), MASTER, Interest::Read)
            .map_err(failed())?;
        let terminal = Self {
            master,
            _raw: raw.map_err(failed())?,
        };
        terminal.fit();
        match poll.add(stdin.as_fd(), STDIN, Interest::Read) {
            // A file is always ready: it is copied as far as the terminal takes it.
            Err(error) if error.errno == sys::Errno::PERM => {
                terminal.type_in().map_err(failed())?;
            }
            done => done.map_err(failed())?,
        }
        Ok(terminal)
    }

    /// Gives it our terminal's size.
    fn fit(&self) {
        // Without a terminal of ours there is no size to have.
        if let Ok((width, height)) = tty::size(std::io::stdin()) {
            unheard(tty::set_size(&self.master, width, height));
        }
    }

    fn copy(&self, token: u64, poll: &Poll) -> sys::Result<()> {
        if token == STDIN {
            let more = self.type_in()?;
            if !more {
                poll.remove(std::io::stdin().as_fd())?;
            }
        } else if !self.show() {
            poll.remove(self.master.as_fd())?;
        }
        Ok(())
    }

    /// Copies once from our stdin; false at its end.
    fn type_in(&self) -> sys::Result<bool> {
        let mut buffer = [0; 4096];
        let count = sys::fd::read(std::io::stdin().as_fd(), &mut buffer)?;
        // A terminal that is full or gone loses what is typed.
        unheard(sys::fd::write_all(self.master.as_fd(), &buffer[..count]));
        Ok(count > 0)
    }

    /// Copies once to our stdout; false when the other end is closed.
    fn show(&self) -> bool {
        let mut buffer = [0; 4096];
        match sys::fd::read(self.master.as_fd(), &mut buffer) {
            Ok(0) => false,
            Ok(count) => sys::fd::write_all(std::io::stdout().as_fd(), &buffer[..count]).is_ok(),
            Err(error) => error.errno == sys::Errno::AGAIN,
        }
    }

    /// Shows what was said last.
    fn drain(&self) {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = sys::fd::read(self.master.as_fd(), &mut buffer) {
            unheard(sys::fd::write_all(
                std::io::stdout().as_fd(),
                &buffer[..count],
            ));
        }
    }
}
