//! One descriptor that reports changes of many files.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::inotify;

use crate::{Errno, Error, Result, failpoint};

/// An inotify instance, nonblocking.
#[derive(Debug)]
pub struct Inotify(OwnedFd);

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The file or directory of this watch changed.
    Watch(i32),
    /// That watch is over: its file is gone, or [`Inotify::remove`] was called.
    Ended(i32),
    /// Too much happened: anything may have changed.
    Overflow,
}

impl Inotify {
    /// Makes one. `EMFILE`: the user's fs.inotify.max_user_instances are used up.
    pub fn new() -> Result<Self> {
        failpoint::pass("inotify_init1")?;
        inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)
            .map(Self)
            .map_err(|errno| Error::new("inotify_init1", errno))
    }

    /// Watches a file for writes and for its own rename or removal. The same file gives the same
    /// number again.
    pub fn add_file(&self, path: &Path) -> Result<i32> {
        failpoint::pass("inotify_add_watch")?;
        let flags = inotify::WatchFlags::MODIFY | inotify::WatchFlags::MOVE_SELF;
        inotify::add_watch(&self.0, path, flags)
            .map_err(|errno| Error::new("inotify_add_watch", errno))
    }

    /// Watches a directory for entries that are made in it, written to, or renamed into it. The
    /// same directory gives the same number again.
    pub fn add_dir(&self, path: &Path) -> Result<i32> {
        failpoint::pass("inotify_add_watch")?;
        let flags = inotify::WatchFlags::CREATE
            | inotify::WatchFlags::MODIFY
            | inotify::WatchFlags::MOVED_TO
            | inotify::WatchFlags::ONLYDIR;
        inotify::add_watch(&self.0, path, flags)
            .map_err(|errno| Error::new("inotify_add_watch", errno))
    }

    /// Ends a watch.
    pub fn remove(&self, watch: i32) -> Result<()> {
        failpoint::pass("inotify_rm_watch")?;
        inotify::remove_watch(&self.0, watch).map_err(|errno| Error::new("inotify_rm_watch", errno))
    }

    /// Returns what happened; empty when nothing waits.
    pub fn read(&self) -> Result<Vec<Change>> {
        failpoint::pass("read")?;
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&self.0, &mut buffer);
        let mut changes = Vec::new();
        loop {
            match reader.next() {
                Ok(event) if event.events().contains(inotify::ReadFlags::QUEUE_OVERFLOW) => {
                    changes.push(Change::Overflow);
                }
                Ok(event) if event.events().contains(inotify::ReadFlags::IGNORED) => {
                    changes.push(Change::Ended(event.wd()));
                }
                Ok(event) => changes.push(Change::Watch(event.wd())),
                Err(Errno::AGAIN) => return Ok(changes),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(Error::new("read", errno)),
            }
            if reader.is_buffer_empty() && !changes.is_empty() {
                return Ok(changes);
            }
        }
    }
}

impl AsFd for Inotify {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
