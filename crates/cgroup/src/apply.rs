//! A plan is written.

use std::os::fd::{AsFd, OwnedFd};

use sys::{Errno, bpf, cgroupfs};

use crate::device::{DEVICE_PROGRAM, program};
use crate::group::{Group, Place};
use crate::hierarchy::Version;
use crate::plan::{Fallback, MEMORY_CHECK};
use crate::{Error, Result, Write, v1, v2};

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

    /// One value, or what stands for it where this kernel has no such file.
    fn write<'a>(&self, write: &'a Write, open: &mut Option<(&'a str, OwnedFd)>) -> Result<()> {
        if write.file == DEVICE_PROGRAM {
            return self.attach_device_program(&write.value);
        }
        if write.file == MEMORY_CHECK {
            return self.check_memory(&write.value);
        }
        let error = match self.write_value(write, open) {
            Err(error) if error.errno() == Some(Errno::NOENT) => error,
            done => return done,
        };
        let fallback = match self
            .place(&write.controller)
            .map(|place| place.hierarchy.version)
        {
            Some(Version::V1) => v1::fallback(&write.file, &write.value),
            _ => v2::fallback(&write.file, &write.value),
        };
        match fallback {
            Fallback::Error => Err(error),
            Fallback::Nothing => Ok(()),
            Fallback::Write(file, value) => {
                let controller = write.controller.clone();
                let write = Write {
                    controller,
                    file: file.to_owned(),
                    value,
                };
                self.write_value(&write, &mut None)
            }
        }
    }

    /// Attaches a program for `rules`, then takes off those that were there: never is there none.
    fn attach_device_program(&self, rules: &str) -> Result<()> {
        let no_controller = || Error::NoController {
            controller: "devices".to_owned(),
        };
        let place = self.unified().ok_or_else(no_controller)?;
        let code = program(rules).ok_or_else(|| Error::Resources {
            reason: format!("device rules {rules:?}"),
        })?;
        let dir = place.dir.as_fd();
        let swap = || {
            let old = bpf::device_programs(dir)?;
            let program = bpf::load_device_program(&code)?;
            bpf::attach_device_program(dir, program.as_fd())?;
            old.into_iter()
                .try_for_each(|id| bpf::detach_device_program(dir, id))
        };
        swap().map_err(|error| place.error(&self.path, error))
    }

    /// Refuses a limit below what is in use.
    fn check_memory(&self, limit: &str) -> Result<()> {
        let Some(place) = self.place("memory") else {
            return Ok(());
        };
        let number = |file| {
            // A kernel without the file has nothing to compare.
            let text = cgroupfs::read(place.dir.as_fd(), file).unwrap_or_default();
            text.trim().parse::<u64>().unwrap_or_default()
        };
        let usage = number("memory.current");
        if limit.parse().is_ok_and(|limit: u64| usage <= limit) {
            return Ok(());
        }
        Err(Error::MemoryInUse {
            limit: limit.to_owned(),
            usage,
            peak: number("memory.peak"),
        })
    }

    fn write_value<'a>(
        &self,
        write: &'a Write,
        open: &mut Option<(&'a str, OwnedFd)>,
    ) -> Result<()> {
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
