//! The removal of a group's directories.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::Duration;

use sys::{Errno, cgroupfs};

use crate::freeze::naps;
use crate::group::{Group, gone};
use crate::{Error, Result};

/// A task that has just ended holds its group for a moment.
const LIMIT: Duration = Duration::from_secs(2);

impl Group {
    /// Removes the directories, sub-groups first; they must be empty of processes. Missing ones
    /// are no error. All are tried; the first failure is returned.
    pub fn destroy(self) -> Result<()> {
        let mut result = Ok(());
        // One budget for all: what holds the group in one hierarchy holds it in every one.
        let mut naps = naps(LIMIT);
        for place in &self.places {
            let directory = place.hierarchy.directory(&self.path);
            let removed = remove(place.dir.as_fd(), &directory, &mut naps);
            result = result.and(removed);
        }
        result
    }
}

fn remove(
    dir: BorrowedFd<'_>,
    path: &Path,
    naps: &mut impl Iterator<Item = Duration>,
) -> Result<()> {
    loop {
        match cgroupfs::remove_dir(path) {
            Ok(()) => return Ok(()),
            Err(error) if gone(error) => return Ok(()),
            Err(error) if error.errno == Errno::BUSY => {}
            Err(error) => return Err(Error::kernel(path.display())(error)),
        }
        remove_children(dir, path)?;
        let Some(nap) = naps.next() else {
            return Err(Error::Busy {
                path: path.display().to_string(),
            });
        };
        std::thread::sleep(nap);
    }
}

/// One try each: what is busy now is met again in the next round.
fn remove_children(dir: BorrowedFd<'_>, path: &Path) -> Result<()> {
    let names = match cgroupfs::children(dir) {
        Ok(names) => names,
        Err(error) if gone(error) => return Ok(()),
        Err(error) => return Err(Error::kernel(path.display())(error)),
    };
    for name in names {
        let Ok(child) = cgroupfs::open_child(dir, &name) else {
            continue;
        };
        let path = path.join(name);
        remove_children(child.as_fd(), &path)?;
        match cgroupfs::remove_dir(&path) {
            Err(error) if error.errno != Errno::BUSY && !gone(error) => {
                return Err(Error::kernel(path.display())(error));
            }
            _ => {}
        }
    }
    Ok(())
}
