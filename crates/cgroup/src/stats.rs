//! Pure: the texts of a group's files become measures.

/// What a group used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// CPU time in nanoseconds.
    pub cpu_usage_ns: u64,
    /// CPU time in user mode in nanoseconds.
    pub cpu_user_ns: u64,
    /// CPU time in the kernel in nanoseconds.
    pub cpu_system_ns: u64,
    /// CPU time per processor in nanoseconds; v1 only.
    pub cpu_per_cpu_ns: Vec<u64>,
    /// What the CPU quota did.
    pub throttling: Throttling,
    /// Bytes of memory.
    pub memory_usage: u64,
    /// Highest bytes of memory; 0 where the kernel does not keep it.
    pub memory_max_usage: u64,
    /// Limit in bytes; v1 without a limit: almost 2^63, v2: [`u64::MAX`].
    pub memory_limit: u64,
    /// How often usage hit the limit.
    pub memory_failures: u64,
    /// The kernel's own words: `total_inactive_file`, …
    pub memory_stats: Vec<(String, u64)>,
    /// Bytes per block device and operation.
    pub io_bytes: Vec<IoCount>,
    /// Operations per block device and operation.
    pub io_operations: Vec<IoCount>,
    /// Processes and threads.
    pub pids_current: u64,
    /// Limit on them; 0 is none.
    pub pids_limit: u64,
}

/// What a CPU quota did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Throttling {
    /// Periods in which something wanted to run.
    pub periods: u64,
    /// Periods in which the quota ran out.
    pub throttled_periods: u64,
    /// Time spent waiting, in nanoseconds.
    pub throttled_ns: u64,
}

/// A count for one block device and operation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IoCount {
    /// Major number.
    pub major: u64,
    /// Minor number.
    pub minor: u64,
    /// v1: `Read`, `Write`, `Sync`, `Async`, `Discard`, `Total`; v2: `read`, `write`.
    pub operation: String,
    /// Bytes or operations.
    pub value: u64,
}

impl Stats {
    /// Docker's idea of the memory in use: without the file cache that is not needed soon.
    pub fn memory_in_use(&self) -> u64 {
        let stat = |key: &str| self.memory_stats.iter().find(|(own, _)| own == key);
        let inactive = stat("total_inactive_file").or_else(|| stat("inactive_file"));
        let inactive = inactive.map_or(0, |(_, value)| *value);
        self.memory_usage
            .checked_sub(inactive)
            .unwrap_or(self.memory_usage)
    }
}

/// Length of the kernel's clock tick for user space (USER_HZ is 100 on every architecture) in ns.
const TICK_NS: u64 = 10_000_000;

/// The number after `key` in lines of `key number`; 0 if it is not there.
pub(crate) fn keyed(text: &str, key: &str) -> u64 {
    let found = pairs(text).find(|(own, _)| *own == key);
    found.map(|(_, value)| value).unwrap_or_default()
}

/// Lines of `key number`.
pub(crate) fn pairs(text: &str) -> impl Iterator<Item = (&str, u64)> {
    text.lines().filter_map(|line| {
        let (key, number) = line.split_once(' ')?;
        Some((key, number.trim().parse().ok()?))
    })
}

/// A file with one number, or `max`, which is `unlimited`.
pub(crate) fn single(text: &str, unlimited: u64) -> u64 {
    match text.trim() {
        "max" => unlimited,
        number => number.parse().unwrap_or_default(),
    }
}

/// v1's cpuacct.stat: `user` and `system` in ticks, as nanoseconds.
pub(crate) fn cpuacct_stat(text: &str) -> (u64, u64) {
    let ns = |key| keyed(text, key).saturating_mul(TICK_NS);
    (ns("user"), ns("system"))
}

/// v1's cpuacct.usage_percpu: one line of numbers.
pub(crate) fn per_cpu(text: &str) -> Vec<u64> {
    text.split_whitespace()
        .filter_map(|number| number.parse().ok())
        .collect()
}

/// v1's cpu.stat.
pub(crate) fn throttling_v1(text: &str) -> Throttling {
    Throttling {
        periods: keyed(text, "nr_periods"),
        throttled_periods: keyed(text, "nr_throttled"),
        throttled_ns: keyed(text, "throttled_time"),
    }
}

/// v2's cpu.stat, which counts microseconds.
pub(crate) fn cpu_stat_v2(text: &str, stats: &mut Stats) {
    let ns = |key| keyed(text, key).saturating_mul(1000);
    stats.cpu_usage_ns = ns("usage_usec");
    stats.cpu_user_ns = ns("user_usec");
    stats.cpu_system_ns = ns("system_usec");
    stats.throttling = Throttling {
        periods: keyed(text, "nr_periods"),
        throttled_periods: keyed(text, "nr_throttled"),
        throttled_ns: ns("throttled_usec"),
    };
}

/// v1's blkio files: `8:0 Read 4096` per device and operation, then a sum of all.
pub(crate) fn blkio(text: &str) -> Vec<IoCount> {
    let count = |line: &str| {
        let mut parts = line.split(' ');
        let (major, minor) = parts.next()?.split_once(':')?;
        let operation = parts.next()?.to_owned();
        let value = parts.next()?.parse().ok()?;
        Some(IoCount {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
            operation,
            value,
        })
    };
    text.lines().filter_map(count).collect()
}

/// v2's io.stat: `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0` → bytes, operations.
pub(crate) fn io_stat(text: &str) -> (Vec<IoCount>, Vec<IoCount>) {
    let (mut bytes, mut operations) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let mut parts = line.split(' ');
        let device = parts.next().and_then(|device| device.split_once(':'));
        let Some((Ok(major), Ok(minor))) = device.map(|(a, b)| (a.parse(), b.parse())) else {
            continue;
        };
        for (key, value) in parts.filter_map(|part| part.split_once('=')) {
            let (list, operation) = match key {
                "rbytes" => (&mut bytes, "read"),
                "wbytes" => (&mut bytes, "write"),
                "rios" => (&mut operations, "read"),
                "wios" => (&mut operations, "write"),
                _ => continue,
            };
            let (operation, value) = (operation.to_owned(), value.parse().unwrap_or_default());
            list.push(IoCount {
                major,
                minor,
                operation,
                value,
            });
        }
    }
    (bytes, operations)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(major: u64, minor: u64, operation: &str, value: u64) -> IoCount {
        IoCount {
            major,
            minor,
            operation: operation.to_owned(),
            value,
        }
    }

    #[test]
    fn keys_and_numbers() {
        assert_eq!(
            keyed("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n", "oom_kill"),
            3
        );
        assert_eq!(keyed("low 0\noom 1\n", "oom_kill"), 0);
        assert_eq!(keyed("oom_kill x\n", "oom_kill"), 0);
        assert_eq!(single("max\n", 7), 7);
        assert_eq!(single("4096\n", 7), 4096);
        assert_eq!(single("", 7), 0);
    }

    #[test]
    fn cpu_of_v1() {
        assert_eq!(
            cpuacct_stat("user 12\nsystem 3\n"),
            (120_000_000, 30_000_000)
        );
        assert_eq!(per_cpu("100 200 \n"), [100, 200]);
        assert_eq!(
            throttling_v1("nr_periods 5\nnr_throttled 2\nthrottled_time 900\nnr_bursts 0\n"),
            Throttling {
                periods: 5,
                throttled_periods: 2,
                throttled_ns: 900
            }
        );
    }

    #[test]
    fn cpu_of_v2() {
        let mut stats = Stats::default();
        let text = "usage_usec 9\nuser_usec 5\nsystem_usec 4\nnr_periods 3\nnr_throttled 1\nthrottled_usec 7\n";
        cpu_stat_v2(text, &mut stats);
        let times = (stats.cpu_usage_ns, stats.cpu_user_ns, stats.cpu_system_ns);
        assert_eq!(times, (9000, 5000, 4000));
        assert_eq!(
            stats.throttling,
            Throttling {
                periods: 3,
                throttled_periods: 1,
                throttled_ns: 7000
            }
        );
    }

    #[test]
    fn block_devices() {
        let text = "8:0 Read 4096\n8:0 Total 4096\n259:1 Write 1\nTotal 4097\n";
        let expect = [
            count(8, 0, "Read", 4096),
            count(8, 0, "Total", 4096),
            count(259, 1, "Write", 1),
        ];
        assert_eq!(blkio(text), expect);

        let text = "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n(unknown) rbytes=1\n";
        let (bytes, operations) = io_stat(text);
        assert_eq!(bytes, [count(8, 0, "read", 1), count(8, 0, "write", 2)]);
        assert_eq!(
            operations,
            [count(8, 0, "read", 3), count(8, 0, "write", 4)]
        );
    }

    #[test]
    fn memory_in_use_is_without_idle_cache() {
        let mut stats = Stats {
            memory_usage: 100,
            ..Stats::default()
        };
        assert_eq!(stats.memory_in_use(), 100);
        stats.memory_stats = vec![("inactive_file".to_owned(), 30)];
        assert_eq!(stats.memory_in_use(), 70);
        stats
            .memory_stats
            .push(("total_inactive_file".to_owned(), 40));
        assert_eq!(stats.memory_in_use(), 60);
        stats.memory_usage = 10;
        assert_eq!(stats.memory_in_use(), 10);
    }
}
