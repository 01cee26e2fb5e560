//! The files that are read for measures.

use std::os::fd::AsFd;

use sys::{Errno, cgroupfs};

use crate::Result;
use crate::group::Group;
use crate::hierarchy::Version;
use crate::stats::{Stats, keyed};

impl Group {
    /// How often the kernel killed for memory here.
    pub fn oom_kills(&self) -> Result<u64> {
        let Some(place) = self.place("memory") else {
            return Ok(0);
        };
        let file = match place.hierarchy.version {
            Version::V1 => "memory.oom_control",
            Version::V2 => "memory.events",
        };
        match cgroupfs::read(place.dir.as_fd(), file) {
            Ok(text) => Ok(keyed(&text, "oom_kill")),
            // The controller was not passed on to this group.
            Err(error) if error.errno == Errno::NOENT => Ok(0),
            Err(error) => Err(place.error(&self.path, error)),
        }
    }

    /// Measures.
    pub fn stats(&self) -> Result<Stats> {
        Ok(Stats::default())
    }
}
