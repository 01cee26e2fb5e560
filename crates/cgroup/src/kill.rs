//! The end of everything in a group.

use std::os::fd::AsFd;
use std::time::Duration;

use sys::{Errno, cgroupfs};

use crate::freeze::naps;
use crate::group::Group;
use crate::{Error, Result};

/// How long killed processes may take to be gone.
const LIMIT: Duration = Duration::from_secs(2);

impl Group {
    /// Kills everything in it, also what is frozen and what is being forked meanwhile; returns
    /// when nothing runs in it.
    pub fn kill(&self) -> Result<()> {
        for nap in naps(LIMIT) {
            if self.pids()?.is_empty() {
                return Ok(());
            }
            self.kill_once()?;
            if self.pids()?.is_empty() {
                return Ok(());
            }
            std::thread::sleep(nap);
        }
        if self.pids()?.is_empty() {
            Ok(())
        } else {
            Err(Error::Busy {
                path: self.path.clone(),
            })
        }
    }

    fn kill_once(&self) -> Result<()> {
        if let Some(place) = self.unified() {
            match cgroupfs::write(place.dir.as_fd(), "cgroup.kill", "1") {
                Ok(()) => return Ok(()),
                // Kernels before 5.14 have no such file.
                Err(error) if error.errno == Errno::NOENT => {}
                Err(error) => return Err(place.error(&self.path, error)),
            }
        }
        // Nothing can fork itself out of the list while it is frozen; if the freezer fails, the
        // caller's loop is what catches up with those who fork.
        let frozen = self.freeze(true);
        let killed = self.pids().and_then(|pids| {
            for pid in pids {
                match cgroupfs::kill(pid) {
                    Err(error) if error.errno != Errno::SRCH => {
                        return Err(Error::kernel(format_args!("{}: process {pid}", self.path))(
                            error,
                        ));
                    }
                    _ => {}
                }
            }
            Ok(())
        });
        // v1's frozen tasks die only when they are thawed.
        if frozen.is_ok() {
            self.freeze(false)?;
        }
        killed
    }
}
