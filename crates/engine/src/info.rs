//! What the engine says about itself and its machine.

use crate::container::state::Status;
use crate::error::Result;
use crate::{Engine, blocking};

/// Counts and facts; the face adds its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Containers that run.
    pub running: usize,
    /// Containers that are frozen.
    pub paused: usize,
    /// All other containers.
    pub stopped: usize,
    /// Images.
    pub images: usize,
    /// Release of the kernel.
    pub kernel: String,
    /// Name and version of the distribution, as /etc/os-release has it.
    pub operating_system: String,
    /// Version of the distribution.
    pub os_version: String,
    /// Machine, as uname has it.
    pub machine: String,
    /// The host's name.
    pub host_name: String,
    /// CPUs that we may use.
    pub cpus: usize,
    /// Bytes of memory.
    pub memory: u64,
    /// Only cgroup v2 is mounted.
    pub unified: bool,
    /// Open descriptors of the daemon.
    pub descriptors: usize,
    /// IPv4 packets are forwarded.
    pub forwarding: bool,
}

impl Engine {
    /// Returns counts and facts.
    pub async fn info(&self) -> Result<Info> {
        let engine = self.clone();
        blocking::run(move || engine.info_blocking()).await
    }

    /// Returns the bytes of memory of this machine.
    #[expect(clippy::unused_self, reason = "a fact of the engine's machine")]
    pub(crate) fn memory(&self) -> u64 {
        let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kilobytes.unwrap_or(0) * 1024
    }

    fn info_blocking(&self) -> Result<Info> {
        let containers = self.list();
        let count = |status| {
            containers
                .iter()
                .filter(|one| one.state.status == status)
                .count()
        };
        let (running, paused) = (count(Status::Running), count(Status::Paused));
        let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let release = text("/etc/os-release");
        let field = |key: &str| {
            release
                .lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
                .map(|value| value.trim_matches('"').to_owned())
                .unwrap_or_default()
        };
        Ok(Info {
            running,
            paused,
            stopped: containers.len() - running - paused,
            images: self.images().list(&self.meta().read()?)?.len(),
            kernel: text("/proc/sys/kernel/osrelease").trim().to_owned(),
            operating_system: field("PRETTY_NAME"),
            os_version: field("VERSION_ID"),
            machine: std::env::consts::ARCH.to_owned(),
            host_name: text("/proc/sys/kernel/hostname").trim().to_owned(),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            memory: self.memory(),
            unified: self.0.topology.is_unified(),
            descriptors: std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count),
            forwarding: text("/proc/sys/net/ipv4/ip_forward").trim() == "1",
        })
    }
}
