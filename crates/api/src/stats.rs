//! Pure: `GET /containers/{id}/stats`: what a container uses.

use std::collections::BTreeMap;

use crate::json::document;

document! {
    /// One sample, with the CPU times of the one before.
    Stats {
        name: String = "name" omit,
        id: String = "id" omit,
        read: String = "read",
        preread: String = "preread",
        pids_stats: PidsStats = "pids_stats",
        blkio_stats: BlkioStats = "blkio_stats",
        num_procs: u32 = "num_procs",
        storage_stats: BTreeMap<String, u64> = "storage_stats",
        cpu_stats: CpuStats = "cpu_stats",
        precpu_stats: CpuStats = "precpu_stats",
        memory_stats: MemoryStats = "memory_stats",
        networks: BTreeMap<String, NetworkStats> = "networks" omit,
    }
    /// Processes and threads.
    PidsStats { current: u64 = "current" omit, limit: u64 = "limit" omit }
    /// Block devices.
    BlkioStats {
        io_service_bytes_recursive: Option<Vec<BlkioEntry>> = "io_service_bytes_recursive",
        io_serviced_recursive: Option<Vec<BlkioEntry>> = "io_serviced_recursive",
        io_queue_recursive: Option<Vec<BlkioEntry>> = "io_queue_recursive",
        io_service_time_recursive: Option<Vec<BlkioEntry>> = "io_service_time_recursive",
        io_wait_time_recursive: Option<Vec<BlkioEntry>> = "io_wait_time_recursive",
        io_merged_recursive: Option<Vec<BlkioEntry>> = "io_merged_recursive",
        io_time_recursive: Option<Vec<BlkioEntry>> = "io_time_recursive",
        sectors_recursive: Option<Vec<BlkioEntry>> = "sectors_recursive",
    }
    /// A count of one device and operation.
    BlkioEntry { major: u64 = "major", minor: u64 = "minor", op: String = "op", value: u64 = "value" }
    /// CPU time.
    CpuStats {
        cpu_usage: CpuUsage = "cpu_usage",
        system_cpu_usage: u64 = "system_cpu_usage" omit,
        online_cpus: u32 = "online_cpus" omit,
        throttling_data: ThrottlingData = "throttling_data",
    }
    /// CPU time of a container, in nanoseconds.
    CpuUsage {
        total_usage: u64 = "total_usage",
        percpu_usage: Vec<u64> = "percpu_usage" omit,
        usage_in_kernelmode: u64 = "usage_in_kernelmode",
        usage_in_usermode: u64 = "usage_in_usermode",
    }
    /// What a quota did.
    ThrottlingData {
        periods: u64 = "periods",
        throttled_periods: u64 = "throttled_periods",
        throttled_time: u64 = "throttled_time",
    }
    /// Memory, in bytes.
    MemoryStats {
        usage: u64 = "usage" omit,
        max_usage: u64 = "max_usage" omit,
        stats: BTreeMap<String, u64> = "stats" omit,
        failcnt: u64 = "failcnt" omit,
        limit: u64 = "limit" omit,
    }
    /// One interface.
    NetworkStats {
        rx_bytes: u64 = "rx_bytes",
        rx_packets: u64 = "rx_packets",
        rx_errors: u64 = "rx_errors",
        rx_dropped: u64 = "rx_dropped",
        tx_bytes: u64 = "tx_bytes",
        tx_packets: u64 = "tx_packets",
        tx_errors: u64 = "tx_errors",
        tx_dropped: u64 = "tx_dropped",
    }
}
