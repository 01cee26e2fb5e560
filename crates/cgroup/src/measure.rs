//! The files that are read for measures.

use std::os::fd::AsFd;

use sys::{Errno, cgroupfs};

use crate::Result;
use crate::events::counter_file;
use crate::group::{Group, Place};
use crate::hierarchy::Version;
use crate::stats::{
    Stats, blkio, cpu_stat_v2, cpuacct_stat, io_stat, keyed, pairs, per_cpu, single, throttling_v1,
};

impl Group {
    /// How often the kernel killed for memory here.
    pub fn oom_kills(&self) -> Result<u64> {
        let Some(place) = self.place("memory") else {
            return Ok(0);
        };
        Ok(keyed(
            &self.text(place, counter_file(place.hierarchy.version))?,
            "oom_kill",
        ))
    }

    /// Measures; what no controller of the group counts is zero.
    pub fn stats(&self) -> Result<Stats> {
        let mut stats = Stats::default();
        self.read_cpu(&mut stats)?;
        if let Some(place) = self.place("memory") {
            self.read_memory(place, &mut stats)?;
        }
        if let Some(place) = self.place("pids") {
            stats.pids_current = single(&self.text(place, "pids.current")?, 0);
            stats.pids_limit = single(&self.text(place, "pids.max")?, 0);
        }
        if let Some(place) = self.place("io") {
            (stats.io_bytes, stats.io_operations) = io_stat(&self.text(place, "io.stat")?);
        } else if let Some(place) = self.place("blkio") {
            self.read_blkio(place, &mut stats)?;
        }
        Ok(stats)
    }

    fn read_cpu(&self, stats: &mut Stats) -> Result<()> {
        match self.place("cpuacct") {
            // v2 counts in every group, with or without the controller.
            None => {
                if let Some(place) = self.unified() {
                    cpu_stat_v2(&self.text(place, "cpu.stat")?, stats);
                }
            }
            Some(place) => {
                stats.cpu_usage_ns = single(&self.text(place, "cpuacct.usage")?, 0);
                (stats.cpu_user_ns, stats.cpu_system_ns) =
                    cpuacct_stat(&self.text(place, "cpuacct.stat")?);
                stats.cpu_per_cpu_ns = per_cpu(&self.text(place, "cpuacct.usage_percpu")?);
            }
        }
        if let Some(place) = self
            .place("cpu")
            .filter(|one| one.hierarchy.version == Version::V1)
        {
            stats.throttling = throttling_v1(&self.text(place, "cpu.stat")?);
        }
        Ok(())
    }

    fn read_memory(&self, place: &Place, stats: &mut Stats) -> Result<()> {
        let (usage, peak, limit) = match place.hierarchy.version {
            Version::V1 => (
                "memory.usage_in_bytes",
                "memory.max_usage_in_bytes",
                "memory.limit_in_bytes",
            ),
            Version::V2 => ("memory.current", "memory.peak", "memory.max"),
        };
        stats.memory_usage = single(&self.text(place, usage)?, 0);
        stats.memory_max_usage = single(&self.text(place, peak)?, 0);
        stats.memory_limit = single(&self.text(place, limit)?, u64::MAX);
        stats.memory_failures = match place.hierarchy.version {
            Version::V1 => single(&self.text(place, "memory.failcnt")?, 0),
            Version::V2 => keyed(&self.text(place, "memory.events")?, "max"),
        };
        let text = self.text(place, "memory.stat")?;
        stats.memory_stats = pairs(&text)
            .map(|(key, value)| (key.to_owned(), value))
            .collect();
        Ok(())
    }

    /// The scheduler's own counts where a disk has the BFQ scheduler, else the throttler's.
    fn read_blkio(&self, place: &Place, stats: &mut Stats) -> Result<()> {
        for kind in ["bfq", "throttle"] {
            let read = |what| self.text(place, &format!("blkio.{kind}.{what}_recursive"));
            stats.io_bytes = blkio(&read("io_service_bytes")?);
            stats.io_operations = blkio(&read("io_serviced")?);
            if !stats.io_bytes.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// A file's text; empty where the kernel or the group's controllers do not have it.
    fn text(&self, place: &Place, file: &str) -> Result<String> {
        match cgroupfs::read(place.dir.as_fd(), file) {
            Ok(text) => Ok(text),
            Err(error) if matches!(error.errno, Errno::NOENT | Errno::OPNOTSUPP) => {
                Ok(String::new())
            }
            Err(error) => Err(place.error(&self.path, error)),
        }
    }
}
