//! Stopping and continuing everything in a group.

use std::os::fd::AsFd;
use std::time::Duration;

use sys::cgroupfs;

use crate::group::{Group, Place};
use crate::hierarchy::Version;
use crate::{Error, Result};

/// How long the freezer may take: a task in an uninterruptible sleep holds it up.
const LIMIT: Duration = Duration::from_secs(1);
/// The longest sleep between two looks.
const LONGEST_NAP: Duration = Duration::from_millis(5);

impl Group {
    /// Stops or continues everything in it; returns when it is so.
    pub fn freeze(&self, frozen: bool) -> Result<()> {
        let Some(place) = self.unified().or_else(|| self.place("freezer")) else {
            return Err(Error::NoController {
                controller: "freezer".to_owned(),
            });
        };
        let done = match (place.hierarchy.version, frozen) {
            (Version::V2, _) => freeze_v2(place, frozen),
            (Version::V1, true) => freeze_v1(place),
            (Version::V1, false) => {
                cgroupfs::write(place.dir.as_fd(), "freezer.state", "THAWED").map(|()| true)
            }
        };
        match done {
            Ok(true) => Ok(()),
            Ok(false) => {
                // What froze must not stay so behind an error.
                drop(self.freeze(false));
                Err(Error::NotFrozen {
                    path: self.path.clone(),
                })
            }
            Err(error) => Err(place.error(&self.path, error)),
        }
    }

    /// Tells whether it is stopped.
    pub fn is_frozen(&self) -> Result<bool> {
        let Some(place) = self.unified().or_else(|| self.place("freezer")) else {
            return Ok(false);
        };
        let (file, yes) = match place.hierarchy.version {
            Version::V1 => ("freezer.state", "FROZEN"),
            Version::V2 => ("cgroup.freeze", "1"),
        };
        let text = cgroupfs::read(place.dir.as_fd(), file);
        Ok(text.map_err(|error| place.error(&self.path, error))?.trim() == yes)
    }
}

fn freeze_v2(place: &Place, frozen: bool) -> sys::Result<bool> {
    let (value, line) = if frozen {
        ("1", "frozen 1")
    } else {
        ("0", "frozen 0")
    };
    cgroupfs::write(place.dir.as_fd(), "cgroup.freeze", value)?;
    let events = cgroupfs::open_for_read(place.dir.as_fd(), "cgroup.events")?;
    for nap in naps(LIMIT) {
        if cgroupfs::read_value(events.as_fd())?
            .lines()
            .any(|own| own == line)
        {
            return Ok(true);
        }
        std::thread::sleep(nap);
    }
    Ok(!frozen)
}

/// v1's freezer can stay `FREEZING` for ever when tasks fork meanwhile: the state is written
/// again at each look, and now and then the group is thawed in between (so does runc).
fn freeze_v1(place: &Place) -> sys::Result<bool> {
    for (round, nap) in naps(LIMIT).enumerate() {
        if round % 32 == 31 {
            cgroupfs::write(place.dir.as_fd(), "freezer.state", "THAWED")?;
        }
        cgroupfs::write(place.dir.as_fd(), "freezer.state", "FROZEN")?;
        if cgroupfs::read(place.dir.as_fd(), "freezer.state")?.trim() == "FROZEN" {
            return Ok(true);
        }
        std::thread::sleep(nap);
    }
    Ok(false)
}

/// Sleeps of 50 µs, doubling to [`LONGEST_NAP`], that add up to `limit`.
pub(crate) fn naps(limit: Duration) -> impl Iterator<Item = Duration> {
    let mut next = Duration::from_micros(50);
    let mut slept = Duration::ZERO;
    std::iter::from_fn(move || {
        let nap = next;
        next = (next * 2).min(LONGEST_NAP);
        slept += nap;
        (slept <= limit).then_some(nap)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn naps_grow_and_end() {
        let naps: Vec<_> = naps(Duration::from_millis(20)).collect();
        assert_eq!(naps[0], Duration::from_micros(50));
        assert_eq!(naps[1], Duration::from_micros(100));
        assert!(naps.iter().all(|nap| *nap <= LONGEST_NAP));
        let sum: Duration = naps.iter().sum();
        assert!(sum <= Duration::from_millis(20) && sum > Duration::from_millis(10));
    }
}
