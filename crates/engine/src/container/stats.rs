//! `stats`: what a container uses, as its cgroup and its network namespace count it.

use super::cell::Cell;
use super::record::Network;
use super::state::Status;
use crate::error::{Error, Result};
use crate::{Engine, blocking, now_ns};

/// What was counted at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// When, in nanoseconds since 1970.
    pub time_ns: i64,
    /// What the cgroup counted.
    pub group: cgroup::Stats,
    /// The machine counts by cgroup v2.
    pub unified: bool,
    /// CPU time of the whole machine in nanoseconds.
    pub system_ns: u64,
    /// Processors of the machine.
    pub cpus: u32,
    /// Bytes of memory that the container may use at most.
    pub memory_limit: u64,
    /// Its interfaces but loopback; none in the host's namespace.
    pub interfaces: Vec<Interface>,
}

/// The counters of one interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// `eth0`.
    pub name: String,
    /// Bytes, packets, errors and drops, received.
    pub received: [u64; 4],
    /// The same, sent.
    pub sent: [u64; 4],
}

impl Engine {
    /// Counts what a container uses; none while it does not run.
    pub async fn sample(&self, typed: &str) -> Result<Option<Sample>> {
        let cell = self.find(typed)?;
        if !matches!(cell.state().status, Status::Running | Status::Paused) {
            return Ok(None);
        }
        let engine = self.clone();
        let sampled = {
            let cell = std::sync::Arc::clone(&cell);
            blocking::run(move || engine.sample_now(&cell)).await
        };
        match sampled {
            // It ended this moment, and its cgroup with it.
            Err(_) if !cell.state().status.is_running() => Ok(None),
            Err(error) => Err(error),
            Ok(sample) => Ok(Some(sample)),
        }
    }

    fn sample_now(&self, cell: &Cell) -> Result<Sample> {
        let group = cgroup::Group::open(&self.0.topology, &self.cgroups_path(cell.id))
            .and_then(|group| group.stats())
            .map_err(|e| Error::internal("counting what a container uses", e))?;
        let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let (system_ns, cpus) = machine_time(&text("/proc/stat"));
        let interfaces = if cell.record().host.network == Network::Host {
            Vec::new()
        } else {
            interfaces(&text(&format!("/proc/{}/net/dev", cell.state().pid)))
        };
        Ok(Sample {
            time_ns: now_ns(),
            memory_limit: group.memory_limit.min(self.memory()),
            group,
            unified: self.0.topology.is_unified(),
            system_ns,
            cpus,
            interfaces,
        })
    }
}

/// Returns the time of all processors in nanoseconds, and how many there are, from /proc/stat: the
/// first seven fields, as moby sums them.
fn machine_time(text: &str) -> (u64, u32) {
    /// USER_HZ is 100 on every architecture.
    const TICK_NS: u64 = 10_000_000;
    let mut ticks = 0;
    let mut cpus = 0;
    for line in text.lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("cpu") => {
                ticks = words
                    .take(7)
                    .filter_map(|word| word.parse::<u64>().ok())
                    .sum();
            }
            Some(word) if word.starts_with("cpu") => cpus += 1,
            _ => break,
        }
    }
    (ticks * TICK_NS, cpus)
}

/// Returns the counters of /proc/PID/net/dev, without loopback.
fn interfaces(text: &str) -> Vec<Interface> {
    let lines = text.lines().skip(2).filter_map(|line| line.split_once(':'));
    lines
        .map(|(name, numbers)| {
            let numbers: Vec<u64> = numbers
                .split_whitespace()
                .map(|word| word.parse().unwrap_or(0))
                .collect();
            let four = |from: usize| {
                let at = |index: usize| numbers.get(from + index).copied().unwrap_or(0);
                [at(0), at(1), at(2), at(3)]
            };
            Interface {
                name: name.trim().to_owned(),
                received: four(0),
                sent: four(8),
            }
        })
        .filter(|one| one.name != "lo")
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_s_time() {
        let text = "cpu  1 2 3 4 5 6 7 8 9 0\ncpu0 1 1 1 1\ncpu1 1 1 1 1\nintr 5\ncpu9 1\n";
        assert_eq!(machine_time(text), (280_000_000, 2));
    }

    #[test]
    fn counters_of_interfaces() {
        let text = "Inter-|   Receive\n face |bytes\n    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n  \
                    eth0: 10 2 0 1 0 0 0 0 30 4 0 0 0 0 0 0\n";
        let found = interfaces(text);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].name, "eth0");
        assert_eq!(
            (found[0].received, found[0].sent),
            ([10, 2, 0, 1], [30, 4, 0, 0])
        );
    }
}
