//! News of a group: the kernel killed for memory in it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use sys::poll::Interest;
use sys::{Errno, cgroupfs};

use crate::Result;
use crate::group::{Group, Place, gone};
use crate::hierarchy::Version;
use crate::stats::keyed;

/// A descriptor for a poll loop that wakes when memory ran out in a group.
#[derive(Debug)]
pub struct OomWatch {
    /// v1: an eventfd. v2: `memory.events` itself.
    wake: OwnedFd,
    /// Where the kills are counted.
    counter: OwnedFd,
    version: Version,
    seen: u64,
}

/// What an [`OomWatch`] woke for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OomNews {
    /// Nothing that matters here.
    Nothing,
    /// Memory ran out: the kernel killed something, or is about to.
    OutOfMemory,
    /// The group was removed: the watch must be dropped, for it may wake for ever now.
    Gone,
}

impl Group {
    /// Watches for kills for lack of memory; none where memory is not limited by a controller.
    pub fn watch_oom(&self) -> Result<Option<OomWatch>> {
        let Some(place) = self.place("memory") else {
            return Ok(None);
        };
        match watch(place) {
            Ok(watch) => Ok(Some(watch)),
            // Not passed on to this group, or a v1 without notifications.
            Err(error) if error.errno == Errno::NOENT => Ok(None),
            Err(error) => Err(place.error(&self.path, error)),
        }
    }
}

fn watch(place: &Place) -> sys::Result<OomWatch> {
    let dir = place.dir.as_fd();
    let version = place.hierarchy.version;
    let counter = cgroupfs::open_for_read(dir, counter_file(version))?;
    let wake = match version {
        Version::V1 => cgroupfs::register_event(dir, "memory.oom_control")?,
        Version::V2 => cgroupfs::open_for_read(dir, "memory.events")?,
    };
    // Also marks v2's file as read: it wakes for what comes from here on.
    let source = if version == Version::V2 {
        &wake
    } else {
        &counter
    };
    let seen = keyed(&cgroupfs::read_value(source.as_fd())?, "oom_kill");
    Ok(OomWatch {
        wake,
        counter,
        version,
        seen,
    })
}

/// Where the kernel counts `oom_kill`.
pub(crate) fn counter_file(version: Version) -> &'static str {
    match version {
        Version::V1 => "memory.oom_control",
        Version::V2 => "memory.events",
    }
}

impl OomWatch {
    /// What to poll for on [`OomWatch::as_fd`]: v2's file is always readable, its news are
    /// reported like an error.
    pub fn interest(&self) -> Interest {
        match self.version {
            Version::V1 => Interest::Read,
            Version::V2 => Interest::Nothing,
        }
    }

    /// Takes the news; the descriptor sleeps again, unless the group is gone.
    pub fn take(&mut self) -> Result<OomNews> {
        self.look().map_err(crate::Error::kernel("memory events"))
    }

    fn look(&mut self) -> sys::Result<OomNews> {
        let (woken, source) = match self.version {
            Version::V1 => (cgroupfs::take_events(self.wake.as_fd())? > 0, &self.counter),
            Version::V2 => (false, &self.wake),
        };
        let kills = match cgroupfs::read_value(source.as_fd()) {
            Ok(text) => keyed(&text, "oom_kill"),
            Err(error) if gone(error) => return Ok(OomNews::Gone),
            Err(error) => return Err(error),
        };
        let risen = kills > self.seen;
        self.seen = kills;
        // v1 wakes before it kills, so its counter may still be the old one.
        Ok(if woken || risen {
            OomNews::OutOfMemory
        } else {
            OomNews::Nothing
        })
    }
}

impl AsFd for OomWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}
