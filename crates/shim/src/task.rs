//! Init or an exec, with its stdio: output goes to the log and the clients, input comes from the
//! clients.

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use logs::lines::Lines;
use logs::{Stream, Writer};
use runtime::{Stdio, Took};
use sys::Errno;
use sys::poll::{Event, Interest, Poll, SIGKILL};

use crate::client::{Client, Input};
use crate::error::Result;
use crate::health::Capture;
use crate::outbox::{Outbox, Via};
use crate::token::Token;
use crate::watched::{Watched, may_pass};

/// How long output is waited for when the task has ended but somebody still holds its pipes.
const DRAIN_LIMIT: Duration = Duration::from_secs(2);
/// How long after a stream could not be watched it is tried again.
pub(crate) const WATCH_AGAIN: Duration = Duration::from_millis(50);
/// Bytes read at once; on the stack.
const READ_MAX: usize = 16 * 1024;
/// Reads of one stream before others have their turn.
const READS: usize = 4;

/// Our ends of a task's stdio, made before the task.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    stdin: Option<OwnedFd>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
}

/// Which streams a task without a terminal has; the others are /dev/null.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) stdin: bool,
    pub(crate) stdout: bool,
    pub(crate) stderr: bool,
}

impl Ends {
    /// Makes pipes, or lets the runtime make a terminal.
    pub(crate) fn make(terminal: bool, wanted: Wanted) -> sys::Result<(Self, Stdio)> {
        if terminal {
            return Ok((Self::default(), Stdio::Terminal));
        }
        let (stdin, our_stdin) = if wanted.stdin {
            sys::fd::pipe().map(|(theirs, ours)| (theirs, Some(ours)))?
        } else {
            (null()?, None)
        };
        let output = |wanted: bool| {
            if wanted {
                sys::fd::pipe().map(|(ours, theirs)| (theirs, Some(ours)))
            } else {
                null().map(|null| (null, None))
            }
        };
        let (stdout, our_stdout) = output(wanted.stdout)?;
        let (stderr, our_stderr) = output(wanted.stderr)?;
        let ends = Self {
            stdin: our_stdin,
            stdout: our_stdout,
            stderr: our_stderr,
        };
        Ok((
            ends,
            Stdio::Pipes {
                stdin,
                stdout,
                stderr,
            },
        ))
    }
}

fn null() -> sys::Result<OwnedFd> {
    std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")
        .map(OwnedFd::from)
        .map_err(|error| sys::Error::from_io("open", &error))
}

/// Who a task is.
#[derive(Debug)]
pub(crate) struct Identity {
    /// As events find it.
    pub(crate) number: u32,
    /// None is init.
    pub(crate) exec_id: Option<String>,
    /// Ends of clients close stdin.
    pub(crate) stdin_once: bool,
}

/// A process with its stdio.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) identity: Identity,
    pub(crate) pid: i32,
    pub(crate) start_time: u64,
    /// Where the time of its making went.
    pub(crate) steps: Vec<Took>,
    pidfd: OwnedFd,
    /// The keeper's end of its terminal; stdin and stdout are duplicates of it.
    console: Option<OwnedFd>,
    stdin: Option<Watched>,
    input: Outbox,
    /// Close stdin when everything is written.
    stdin_ends: bool,
    stdout: Option<Watched>,
    stderr: Option<Watched>,
    pub(crate) clients: Vec<Client>,
    log: Option<Log>,
    /// What it says, if it is a probe.
    pub(crate) capture: Option<Capture>,
    ended: Option<Ended>,
    /// A stream could not be watched: it is tried again then.
    watch_at: Option<Instant>,
    /// Nothing more comes from it.
    is_over: bool,
}

/// How it ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    /// 0-255, or 128 + signal.
    pub(crate) code: i32,
    /// In nanoseconds since 1970.
    pub(crate) time_ns: i64,
    drain_until: Instant,
}

#[derive(Debug)]
struct Log {
    writer: Writer,
    stdout: Lines,
    stderr: Lines,
}

impl Task {
    /// Takes a new process and our ends of its stdio.
    pub(crate) fn new(
        identity: Identity,
        child: runtime::Child,
        ends: Ends,
        log: Option<Writer>,
        poll: &Rc<Poll>,
    ) -> Result<Self> {
        let [stdin, stdout, stderr] = watch(ends, child.console.as_ref(), identity.number, poll)
            .inspect_err(|_| kill(&child.pidfd))?;
        Ok(Self {
            identity,
            pid: child.pid,
            start_time: child.start_time,
            steps: child.steps,
            pidfd: child.pidfd,
            console: child.console,
            stdin,
            input: Outbox::default(),
            stdin_ends: false,
            stdout,
            stderr,
            clients: Vec::new(),
            log: log.map(|writer| Log {
                writer,
                stdout: Lines::default(),
                stderr: Lines::default(),
            }),
            capture: None,
            ended: None,
            watch_at: None,
            is_over: false,
        })
    }

    /// Ends a process that cannot be kept.
    pub(crate) fn abandon(&self) {
        kill(&self.pidfd);
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: i32) -> sys::Result<()> {
        if self.ended.is_some() {
            return Err(sys::Error::new("pidfd_send_signal", Errno::SRCH));
        }
        sys::pidfd::send_signal(&self.pidfd, signal)
    }

    /// Sets the size of its terminal; without one it does nothing.
    pub(crate) fn resize(&self, width: u16, height: u16) -> sys::Result<()> {
        self.console
            .as_ref()
            .map_or(Ok(()), |console| sys::tty::set_size(console, width, height))
    }

    /// Attaches a client. True: it detached at once.
    pub(crate) fn attach(&mut self, mut client: Client) -> bool {
        if self.is_over {
            // It reads the end, as from a stream that was attached in time.
            client.close();
        }
        let early = std::mem::take(&mut client.attach.early_input);
        let typed = client.typed(&early);
        let number = client.number;
        self.clients.push(client);
        self.take_input(number, typed)
    }

    /// Notes that the process ended.
    pub(crate) fn end(&mut self, code: i32) {
        let drain_until = Instant::now() + DRAIN_LIMIT;
        self.ended.get_or_insert(Ended {
            code,
            time_ns: now_ns(),
            drain_until,
        });
    }

    /// Its exit code, if it ended.
    pub(crate) fn code(&self) -> Option<i32> {
        self.ended.map(|ended| ended.code)
    }

    /// Returns how it ended, once its output is drained or was waited for long enough.
    pub(crate) fn finished(&self, now: Instant) -> Option<Ended> {
        let drained = self.stdout.is_none() && self.stderr.is_none();
        self.ended
            .filter(|ended| drained || ended.drain_until <= now)
    }

    /// Writes the last line to the log and lets go of everything but the clients.
    pub(crate) fn finish(&mut self) {
        self.is_over = true;
        (self.stdin, self.stdout, self.stderr, self.console) = (None, None, None, None);
        self.input = Outbox::default();
        if let Some(Log {
            mut writer,
            mut stdout,
            mut stderr,
        }) = self.log.take()
        {
            stdout.finish(now_ns, |time, bytes| {
                writer.push(time, Stream::Stdout, bytes);
            });
            stderr.finish(now_ns, |time, bytes| {
                writer.push(time, Stream::Stderr, bytes);
            });
            writer.flush();
        }
    }

    /// Serves an event of stdin.
    pub(crate) fn on_stdin(&mut self) {
        self.write_input();
    }

    /// Serves an event of stdout or stderr.
    pub(crate) fn on_output(&mut self, stream: Stream) {
        let mut scratch = [0; READ_MAX];
        for _ in 0..READS {
            let end = match stream {
                Stream::Stdout => &mut self.stdout,
                Stream::Stderr => &mut self.stderr,
            };
            let Some(fd) = end else { break };
            match sys::fd::read(fd.as_fd(), &mut scratch) {
                Ok(count @ 1..) => self.deliver(stream, &scratch[..count]),
                Err(error) if error.errno == Errno::AGAIN => break,
                // A terminal that nobody has open any more reads EIO; a pipe never does.
                Err(error) if self.console.is_none() && may_pass(error) => break,
                Ok(0) | Err(_) => *end = None,
            }
            if self.is_held_back() {
                break;
            }
        }
        if let Some(log) = &mut self.log {
            log.writer.flush();
        }
    }

    fn deliver(&mut self, stream: Stream, bytes: &[u8]) {
        if let Some(Log {
            writer,
            stdout,
            stderr,
        }) = &mut self.log
        {
            let lines = match stream {
                Stream::Stdout => stdout,
                Stream::Stderr => stderr,
            };
            lines.feed(bytes, now_ns, |time, line| writer.push(time, stream, line));
        }
        if let Some(capture) = &mut self.capture {
            capture.push(bytes);
        }
        self.clients.retain_mut(|client| client.send(stream, bytes));
    }

    /// Some client is too far behind for more output. What a task that ended left in its pipes is
    /// little, and is read at once.
    fn is_held_back(&self) -> bool {
        self.ended.is_none() && self.clients.iter().any(Client::is_behind)
    }

    /// Serves an event of a client. True: it pressed its detach keys.
    pub(crate) fn on_client(&mut self, number: u32, event: Event) -> bool {
        let Some(index) = self
            .clients
            .iter()
            .position(|client| client.number == number)
        else {
            return false;
        };
        if event.writable && !self.clients[index].flush() {
            self.lose(index);
            return false;
        }
        let has_room = self.input.is_empty();
        let mut detached = false;
        if event.readable && (has_room || !self.clients[index].attach.stdin) {
            let mut scratch = [0; READ_MAX];
            let typed = self.clients[index].receive(&mut scratch);
            detached = self.take_input(number, typed);
        }
        if event.closed
            && let Some(index) = self
                .clients
                .iter()
                .position(|client| client.number == number)
            && self.clients[index].hang_up()
        {
            self.lose(index);
        }
        detached
    }

    fn take_input(&mut self, number: u32, typed: Input) -> bool {
        match typed {
            Input::Nothing => {}
            Input::Bytes(bytes) => {
                self.input.push(&bytes);
                self.write_input();
            }
            Input::End => self.client_ended(number),
            Input::Detach(bytes) => {
                self.input.push(&bytes);
                self.write_input();
                self.clients.retain(|client| client.number != number);
                return true;
            }
        }
        false
    }

    /// A client's side ended: that is the end of stdin when the container wants it so. Else, and
    /// for a terminal, which has no end, it is the end of the client, as under Docker.
    fn client_ended(&mut self, number: u32) {
        let speaks = |client: &&mut Client| client.number == number && client.attach.stdin;
        let Some(client) = self.clients.iter_mut().find(speaks) else {
            return;
        };
        if self.identity.stdin_once && self.console.is_none() {
            self.stdin_ends = true;
            self.write_input();
        } else {
            client.leave_soon();
        }
    }

    /// Drops a client that is gone without having said so.
    fn lose(&mut self, index: usize) {
        self.client_ended(self.clients[index].number);
        self.clients.remove(index);
    }

    fn write_input(&mut self) {
        let Some(stdin) = &self.stdin else {
            self.input = Outbox::default();
            return;
        };
        // The process closed its end: the rest goes nowhere, and the process is not disturbed.
        let broken = self.input.flush(stdin.as_fd(), Via::File).is_err();
        if broken || (self.stdin_ends && self.input.is_empty()) {
            self.stdin = None;
            self.input = Outbox::default();
        }
    }

    /// Watches for what is wanted now, and drops clients that are done with.
    pub(crate) fn settle(&mut self, now: Instant) {
        let stdin_has_room = self.input.is_empty();
        self.clients
            .retain_mut(|client| !client.is_done(now) && client.settle(stdin_has_room));
        let output = (!self.is_held_back()).then_some(Interest::Read);
        let input = (!stdin_has_room).then_some(Interest::Write);
        self.watch_at = None;
        for (end, wanted) in [
            (&mut self.stdin, input),
            (&mut self.stdout, output),
            (&mut self.stderr, output),
        ] {
            if end.as_mut().is_some_and(|fd| fd.watch(wanted).is_err()) {
                // No kernel memory, say. To close it would end the process by SIGPIPE.
                self.watch_at = Some(now + WATCH_AGAIN);
            }
        }
    }

    /// When the loop must look again even if nothing happens.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let drain = self
            .ended
            .filter(|_| self.stdout.is_some() || self.stderr.is_some());
        let clients = self.clients.iter().filter_map(Client::deadline);
        let drain = drain.map(|ended| ended.drain_until);
        clients.chain(drain).chain(self.watch_at).min()
    }

    /// Closes every client's stream once everything is sent to it.
    pub(crate) fn close_clients(&mut self) {
        self.clients.iter_mut().for_each(Client::close);
    }
}

/// Hands our ends, or duplicates of the console, to the poll loop.
fn watch(
    ends: Ends,
    console: Option<&OwnedFd>,
    number: u32,
    poll: &Rc<Poll>,
) -> sys::Result<[Option<Watched>; 3]> {
    let Ends {
        mut stdin,
        mut stdout,
        stderr,
    } = ends;
    if let Some(console) = console {
        stdin = Some(sys::fd::duplicate(console.as_fd())?);
        stdout = Some(sys::fd::duplicate(console.as_fd())?);
    }
    let watched =
        |fd: Option<OwnedFd>, token| fd.map(|fd| Watched::new(fd, token, poll)).transpose();
    Ok([
        watched(stdin, Token::Stdin(number))?,
        watched(stdout, Token::Stdout(number))?,
        watched(stderr, Token::Stderr(number))?,
    ])
}

fn kill(pidfd: &OwnedFd) {
    let _ended_already = sys::pidfd::send_signal(pidfd, SIGKILL);
}

/// Returns the time in nanoseconds since 1970.
pub(crate) fn now_ns() -> i64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_nanos()).ok())
        .unwrap_or(0)
}

#[cfg(test)]
#[path = "task_tests.rs"]
mod tests;
