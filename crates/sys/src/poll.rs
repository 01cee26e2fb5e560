//! epoll, signalfd and timerfd: the loop of the processes that have one thread.

#![allow(unsafe_code, reason = "signal sets and signalfd")]

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use rustix::event::epoll;
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};

use crate::{Errno, Error, Result, failpoint};

/// What to wait for on a descriptor. Its end and its errors are always reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// End and errors only.
    Nothing,
    /// Something to read.
    Read,
    /// Room to write.
    Write,
    /// Both.
    ReadWrite,
}

impl Interest {
    /// The interest in reading, in writing, or in both.
    pub const fn of(read: bool, write: bool) -> Self {
        match (read, write) {
            (false, false) => Self::Nothing,
            (true, false) => Self::Read,
            (false, true) => Self::Write,
            (true, true) => Self::ReadWrite,
        }
    }

    const fn flags(self) -> epoll::EventFlags {
        match self {
            Self::Nothing => epoll::EventFlags::empty(),
            Self::Read => epoll::EventFlags::IN,
            Self::Write => epoll::EventFlags::OUT,
            Self::ReadWrite => epoll::EventFlags::IN.union(epoll::EventFlags::OUT),
        }
    }
}

/// What happened on a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// As given to [`Poll::add`].
    pub token: u64,
    /// Something to read, or the end.
    pub readable: bool,
    /// Room to write.
    pub writable: bool,
    /// Both directions are over, or it is broken.
    pub closed: bool,
}

/// An epoll instance, level-triggered.
#[derive(Debug)]
pub struct Poll(OwnedFd);

/// Most events that one [`Poll::wait`] returns.
pub const MAX_EVENTS: usize = 16;

impl Poll {
    /// Makes one.
    pub fn new() -> Result<Self> {
        failpoint::pass("epoll_create1")?;
        epoll::create(epoll::CreateFlags::CLOEXEC)
            .map(Self)
            .map_err(|errno| Error::new("epoll_create1", errno))
    }

    /// Watches `fd`. Closing every descriptor of that open file ends the watch.
    pub fn add(&self, fd: BorrowedFd<'_>, token: u64, interest: Interest) -> Result<()> {
        failpoint::pass("epoll_ctl")?;
        epoll::add(
            &self.0,
            fd,
            epoll::EventData::new_u64(token),
            interest.flags(),
        )
        .map_err(|errno| Error::new("epoll_ctl", errno))
    }

    /// Watches `fd` for something else.
    pub fn modify(&self, fd: BorrowedFd<'_>, token: u64, interest: Interest) -> Result<()> {
        failpoint::pass("epoll_ctl")?;
        epoll::modify(
            &self.0,
            fd,
            epoll::EventData::new_u64(token),
            interest.flags(),
        )
        .map_err(|errno| Error::new("epoll_ctl", errno))
    }

    /// Watches `fd` no longer.
    pub fn remove(&self, fd: BorrowedFd<'_>) -> Result<()> {
        failpoint::pass("epoll_ctl")?;
        epoll::delete(&self.0, fd).map_err(|errno| Error::new("epoll_ctl", errno))
    }

    /// Waits until something happens or `timeout` is over; without one for ever. An interrupting
    /// signal returns no events.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<Vec<Event>> {
        failpoint::pass("epoll_wait")?;
        let timeout = timeout.map(timespec);
        let mut buffer = [epoll::Event {
            flags: epoll::EventFlags::empty(),
            data: epoll::EventData::new_u64(0),
        }; MAX_EVENTS];
        let count = match epoll::wait(&self.0, &mut buffer[..], timeout.as_ref()) {
            Ok(count) => count,
            Err(Errno::INTR) => 0,
            Err(errno) => return Err(Error::new("epoll_wait", errno)),
        };
        Ok(buffer[..count].iter().map(event).collect())
    }
}

impl AsFd for Poll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn event(event: &epoll::Event) -> Event {
    // The kernel's record is packed; it is copied before it is looked at.
    let (flags, data) = (event.flags, event.data);
    let closed = flags.intersects(epoll::EventFlags::HUP | epoll::EventFlags::ERR);
    Event {
        token: data.u64(),
        readable: closed || flags.contains(epoll::EventFlags::IN),
        writable: flags.contains(epoll::EventFlags::OUT),
        closed,
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}

/// A child ended.
pub const SIGCHLD: i32 = libc::SIGCHLD;
/// The terminal or the session is gone.
pub const SIGHUP: i32 = libc::SIGHUP;
/// Ctrl-C.
pub const SIGINT: i32 = libc::SIGINT;
/// End, without being asked.
pub const SIGKILL: i32 = libc::SIGKILL;
/// Please end.
pub const SIGTERM: i32 = libc::SIGTERM;

/// A signalfd: the signals are blocked in this thread and read from here. Children inherit the
/// blocked set: who clones without [`crate::process::Spawn`] must reset it.
#[derive(Debug)]
pub struct Signals(OwnedFd);

impl Signals {
    /// Blocks `signals` and opens the descriptor that reports them, nonblocking.
    pub fn new(signals: &[i32]) -> Result<Self> {
        failpoint::pass("signalfd4")?;
        let set = signal_set(signals);
        // SAFETY: `set` is initialised and outlives the call; the old set is not asked for.
        let errno =
            unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
        if errno != 0 {
            return Err(Error::new("signalfd4", Errno::from_raw_os_error(errno)));
        }
        // SAFETY: as above; -1 asks for a new descriptor.
        let fd =
            unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
        if fd == -1 {
            return Err(Error::last("signalfd4"));
        }
        // SAFETY: the kernel just made it for us.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Returns the next signal's number, or nothing when none waits.
    pub fn read(&self) -> Result<Option<i32>> {
        let mut record = [0; size_of::<libc::signalfd_siginfo>()];
        match crate::fd::read(self.0.as_fd(), &mut record) {
            // The record begins with the number, 32 bits (signalfd(2)).
            Ok(_) => Ok(record
                .first_chunk()
                .map(|number| i32::from_ne_bytes(*number))),
            Err(error) if error.errno == Errno::AGAIN => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The set of these signals.
pub(crate) fn signal_set(signals: &[i32]) -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the pointer is to memory of the right size, which the call fills.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: sigemptyset initialised it.
    let mut set = unsafe { set.assume_init() };
    for signal in signals {
        // SAFETY: `set` is initialised; a number that is no signal is refused by the call.
        unsafe { libc::sigaddset(&raw mut set, *signal) };
    }
    set
}

/// Makes this process ignore a signal. Children inherit that through execve, unless they are
/// made by [`crate::process::Spawn`].
pub fn ignore_signal(signal: i32) -> Result<()> {
    failpoint::pass("rt_sigaction")?;
    // SAFETY: SIG_IGN runs no code of ours.
    let old = unsafe { libc::signal(signal, libc::SIG_IGN) };
    if old == libc::SIG_ERR {
        Err(Error::last("rt_sigaction"))
    } else {
        Ok(())
    }
}

/// A timerfd on the monotonic clock.
#[derive(Debug)]
pub struct Timer(OwnedFd);

impl Timer {
    /// Makes one that is not running.
    pub fn new() -> Result<Self> {
        failpoint::pass("timerfd_create")?;
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags)
            .map(Self)
            .map_err(|errno| Error::new("timerfd_create", errno))
    }

    /// Lets it be readable once, after this time; none stops it.
    pub fn set(&self, after: Option<Duration>) -> Result<()> {
        failpoint::pass("timerfd_settime")?;
        // Zero means stop to the kernel; to a caller it means at once.
        let value = after.map_or(
            Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            |after| timespec(after.max(Duration::from_nanos(1))),
        );
        let spec = Itimerspec {
            it_interval: Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            it_value: value,
        };
        rustix::time::timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &spec)
            .map(|_| ())
            .map_err(|errno| Error::new("timerfd_settime", errno))
    }

    /// Takes the expiry; says whether there was one.
    pub fn take(&self) -> Result<bool> {
        match crate::fd::read(self.0.as_fd(), &mut [0; 8]) {
            Ok(_) => Ok(true),
            Err(error) if error.errno == Errno::AGAIN => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_reading_end_and_timer() {
        let poll = Poll::new().unwrap();
        let (reader, writer) = crate::fd::pipe().unwrap();
        poll.add(reader.as_fd(), 7, Interest::Read).unwrap();
        assert_eq!(poll.wait(Some(Duration::ZERO)).unwrap(), []);
        crate::fd::write_all(writer.as_fd(), b"x").unwrap();
        let event = poll.wait(None).unwrap()[0];
        assert_eq!(
            (event.token, event.readable, event.closed),
            (7, true, false)
        );
        poll.modify(reader.as_fd(), 8, Interest::Nothing).unwrap();
        drop(writer);
        let event = poll.wait(None).unwrap()[0];
        assert_eq!((event.token, event.closed), (8, true));
        poll.remove(reader.as_fd()).unwrap();

        let timer = Timer::new().unwrap();
        poll.add(timer.as_fd(), 9, Interest::Read).unwrap();
        assert!(!timer.take().unwrap());
        timer.set(Some(Duration::ZERO)).unwrap();
        assert_eq!(poll.wait(None).unwrap()[0].token, 9);
        assert!(timer.take().unwrap());
    }

    #[test]
    fn signals_are_read() {
        let signals = Signals::new(&[libc::SIGUSR2]).unwrap();
        assert_eq!(signals.read().unwrap(), None);
        // SAFETY: raises a signal that this thread has blocked.
        unsafe { libc::raise(libc::SIGUSR2) };
        assert_eq!(signals.read().unwrap(), Some(libc::SIGUSR2));
    }
}
