//! A plan is written.

use std::os::fd::{AsFd, OwnedFd};

use sys::{Errno, cgroupfs};

use crate::group::{Group, Place};
use crate::{Error, Result, Write};

impl Group {
    /// Writes a plan, in order; a file is opened once for all its values in a row. Where two
    /// values of one controller depend on each other (quota and period, memory with and without
    /// swap), the kernel may want the second first: an `EINVAL` is tried again behind it.
    pub fn apply(&self, plan: &[Write]) -> Result<()> {
        let mut open: Option<(&str, OwnedFd)> = None;
        let mut writes = plan.iter();
        while let Some(write) = writes.next() {
            let Err(error) = self.write(write, &mut open) else {
                continue;
            };
            let rest = writes.clone().next();
            let next = rest.filter(|next| {
                error.errno() == Some(Errno::INVAL) && next.controller == write.controller
            });
            let Some(next) = next else { return Err(error) };
            if self.write(next, &mut open).is_err() {
                return Err(error);
            }
            self.write(write, &mut open)?;
            writes.next();
        }
        Ok(())
    }

    fn write<'a>(&self, write: &'a Write, open: &mut Option<(&'a str, OwnedFd)>) -> Result<()> {
        let place = match &*write.controller {
            "" => self.core(),
            controller => self.place(controller),
        };
        let Some(place) = place else {
            return Err(Error::NoController {
                controller: write.controller.clone(),
            });
        };
        let failed = |source| self.write_error(place, write, source);
        let file = match open {
            Some((name, file)) if *name == write.file => file,
            _ => {
                let file =
                    cgroupfs::open_for_write(place.dir.as_fd(), &write.file).map_err(failed)?;
                &open.insert((&write.file, file)).1
            }
        };
        cgroupfs::write_value(file.as_fd(), &write.value).map_err(failed)
    }

    fn write_error(&self, place: &Place, write: &Write, source: sys::Error) -> Error {
        if write.file == "memory.limit_in_bytes" && source.errno == Errno::BUSY {
            let number = |file| {
                let text = cgroupfs::read(place.dir.as_fd(), file).unwrap_or_default();
                text.trim().parse().unwrap_or_default()
            };
            return Error::MemoryInUse {
                limit: write.value.clone(),
                usage: number("memory.usage_in_bytes"),
                peak: number("memory.max_usage_in_bytes"),
            };
        }
        Error::Write {
            path: place.hierarchy.directory(&self.path).display().to_string(),
            file: write.file.clone(),
            value: write.value.clone(),
            source,
        }
    }
}
