//! Fault doors: every call of this crate passes one, and a test decides what happens there.
//!
//! Compiled in by the feature `failpoints`; without it [`pass`] is an empty inline function.
//! The order is given once per process by [`configure`], as text:
//!
//! ```text
//! [PERSONALITY/]CALL[:N]=ACTION[;…]      CALL may be *; N counts from 1 (default: every time)
//! ACTION: kill | errno:NUMBER | delay:MS
//! count=PATH                             appends "personality call\n" for every call passed
//! board=PATH                             a page shared with the test, which orders as it goes on
//!                                        (`failpoint/board.rs`)
//! ```
//!
//! Invariant: [`pass`] allocates nothing and takes no lock, for the child of `clone3` passes it
//! too, between clone and execve.

#[cfg(feature = "failpoints")]
pub use armed::{configure, pass};

/// Passes the fault door of `call`.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub const fn pass(_call: &'static str) -> crate::Result<()> {
    Ok(())
}

/// Passes the fault door of `place`, which is no call: somebody can die there, nothing can fail.
#[inline]
pub fn reach(place: &'static str) {
    // An ordered error has nowhere to go.
    let _unused = pass(place);
}

/// Takes the order for this process; without the feature it only says whether one was given.
#[cfg(not(feature = "failpoints"))]
pub const fn configure(_personality: &'static str, _order: &str) {}

#[cfg(feature = "failpoints")]
#[allow(unsafe_code, reason = "a page shared with the test")]
mod board;

#[cfg(feature = "failpoints")]
#[allow(unsafe_code, reason = "kill, nanosleep and write without allocation")]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use rustix::io::Errno;

    use super::board::{Board, Verdict};
    use crate::Error;

    #[derive(Debug)]
    enum Action {
        Kill,
        Errno(i32),
        Delay(u64),
    }

    #[derive(Debug)]
    struct Point {
        call: String,
        nth: u64,
        seen: AtomicU64,
        action: Action,
    }

    #[derive(Debug)]
    struct Order {
        personality: &'static str,
        points: Vec<Point>,
        count: Option<std::os::fd::OwnedFd>,
        board: Option<Board>,
    }

    static ORDER: OnceLock<Order> = OnceLock::new();

    /// Takes the order for this process, once; later calls change nothing.
    pub fn configure(personality: &'static str, order: &str) {
        let mut points = Vec::new();
        let mut count = None;
        let mut board = None;
        for part in order.split(';').filter(|part| !part.is_empty()) {
            let Some((left, right)) = part.split_once('=') else {
                continue;
            };
            if left == "count" {
                count = std::fs::OpenOptions::new()
                    .append(true)
                    .create(true)
                    .open(right)
                    .ok()
                    .map(Into::into);
                continue;
            }
            if left == "board" {
                board = Board::open(right, personality);
                continue;
            }
            let (wanted, left) = left.split_once('/').unwrap_or((personality, left));
            if wanted != personality {
                continue;
            }
            let (call, nth) = left.split_once(':').unwrap_or((left, "0"));
            let action = match right.split_once(':') {
                Some(("errno", number)) => Action::Errno(number.parse().unwrap_or(5)),
                Some(("delay", ms)) => Action::Delay(ms.parse().unwrap_or(0)),
                _ => Action::Kill,
            };
            points.push(Point {
                call: call.to_owned(),
                nth: nth.parse().unwrap_or(0),
                seen: AtomicU64::new(0),
                action,
            });
        }
        // Ignored: a second order for one process is a caller's mistake that changes nothing.
        drop(ORDER.set(Order {
            personality,
            points,
            count,
            board,
        }));
    }

    /// Passes the fault door of `call`.
    pub fn pass(call: &'static str) -> crate::Result<()> {
        let Some(order) = ORDER.get() else {
            return Ok(());
        };
        if let Some(count) = &order.count {
            record(count, order.personality, call);
        }
        match order
            .board
            .as_ref()
            .map_or(Verdict::Go, |board| board.pass(call))
        {
            Verdict::Go => {}
            Verdict::Die => die(),
            Verdict::Fail(errno) => return Err(Error::new(call, errno)),
        }
        for point in &order.points {
            if point.call != "*" && point.call != call {
                continue;
            }
            let seen = point.seen.fetch_add(1, Ordering::Relaxed) + 1;
            if point.nth != 0 && point.nth != seen {
                continue;
            }
            match point.action {
                Action::Kill => die(),
                Action::Errno(number) => {
                    return Err(Error::new(call, Errno::from_raw_os_error(number)));
                }
                Action::Delay(ms) => std::thread::sleep(std::time::Duration::from_millis(ms)),
            }
        }
        Ok(())
    }

    fn die() {
        // SAFETY: getpid takes nothing.
        let own = unsafe { libc::getpid() };
        // SAFETY: kill(2) takes two integers; the process ends here.
        unsafe { libc::kill(own, libc::SIGKILL) };
        // The first process of a pid namespace does not die by its own hand.
        // SAFETY: _exit(2) takes an integer and does not return.
        unsafe { libc::_exit(137) };
    }

    /// One write of a line built on the stack, so that lines of several processes never mix.
    fn record(count: &std::os::fd::OwnedFd, personality: &str, call: &str) {
        use std::os::fd::AsRawFd;
        let mut line = [0_u8; 96];
        let mut used = 0;
        for part in [personality, " ", call, "\n"] {
            let room = line.len() - used;
            let part = &part.as_bytes()[..part.len().min(room)];
            line[used..used + part.len()].copy_from_slice(part);
            used += part.len();
        }
        // SAFETY: the buffer is `used` bytes long and outlives the call.
        unsafe { libc::write(count.as_raw_fd(), line.as_ptr().cast(), used) };
    }
}
