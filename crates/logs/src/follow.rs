//! One inotify instance for all followers of all logs.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use sys::inotify::{Change, Inotify};

use crate::error::{Error, Result};

/// Names a watched directory; followers of the same log share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Watch(i32);

/// What may have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// Logs of this watch.
    One(Watch),
    /// Any log: there were more changes than the kernel keeps.
    All,
}

/// Watches the directories of logs. Its descriptor is readable when something changed.
#[derive(Debug)]
pub struct Watcher {
    inotify: Inotify,
    followers: Mutex<HashMap<Watch, usize>>,
}

impl Watcher {
    /// Makes one; a process needs no second.
    pub fn new() -> Result<Self> {
        let inotify = Inotify::new().map_err(Error::Watch)?;
        Ok(Self {
            inotify,
            followers: Mutex::default(),
        })
    }

    /// Watches the log whose newest file is `log`, for one more follower. Read once more after
    /// this: what was written before is not reported.
    pub fn add(&self, log: &Path) -> Result<Watch> {
        let dir = log.parent().unwrap_or(log);
        let mut followers = self
            .followers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let watch = Watch(self.inotify.add_dir(dir).map_err(|e| Error::file(dir, e))?);
        *followers.entry(watch).or_default() += 1;
        Ok(watch)
    }

    /// Takes one follower away; the last one ends the watch.
    pub fn remove(&self, watch: Watch) {
        let mut followers = self
            .followers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let Some(count) = followers.get_mut(&watch) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            followers.remove(&watch);
            // Refused when the directory is gone, and its watch with it.
            let _gone_already = self.inotify.remove(watch.0);
        }
    }

    /// Returns what changed since the last call; empty when nothing did. A log whose directory is
    /// gone is reported once more.
    pub fn read(&self) -> Result<Vec<Changed>> {
        let mut changed = Vec::new();
        for change in self.inotify.read().map_err(Error::Watch)? {
            let one = match change {
                Change::Watch(number) | Change::Ended(number) => Changed::One(Watch(number)),
                Change::Overflow => Changed::All,
            };
            if !changed.contains(&one) {
                changed.push(one);
            }
        }
        Ok(changed)
    }
}

impl AsFd for Watcher {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}
