//! Pure: the files of cgroup v2, and what becomes of v1's numbers there.

use types::oci::runtime::{BlockIo, Cpu, ThrottleDevice};

use crate::Result;
use crate::plan::{Draft, Fallback, given, invalid, or_max};

/// The period that a quota without one means, in microseconds.
const DEFAULT_PERIOD: u64 = 100_000;

pub(crate) fn cpu(cpu: &Cpu, shares: Option<u64>, draft: &mut Draft<'_>) -> Result<()> {
    if given(cpu.realtime_runtime).is_some() || given(cpu.realtime_period).is_some() {
        return Err(invalid("cgroup v2 has no limits for real-time tasks"));
    }
    if let Some(shares) = shares {
        draft.write("cpu", "cpu.weight", weight_of_shares(shares));
    }
    let (quota, period) = (given(cpu.quota), given(cpu.period));
    if quota.is_some() || period.is_some() {
        let value = format!(
            "{} {}",
            or_max(quota.unwrap_or(-1)),
            period.unwrap_or(DEFAULT_PERIOD)
        );
        draft.write("cpu", "cpu.max", value);
    }
    if let Some(burst) = cpu.burst {
        draft.write("cpu", "cpu.max.burst", burst);
    }
    Ok(())
}

/// v1's shares (2-262144, 1024 is everybody's) as a weight (1-10000, 100 is everybody's): the
/// curve through these three points that all runtimes agreed on in 2025.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "shares are below 2^18 and the result is between 1 and 10000"
)]
pub(crate) fn weight_of_shares(shares: u64) -> u64 {
    match shares {
        0..=2 => 1,
        262_144.. => 10_000,
        _ => {
            let log = (shares as f64).log2();
            let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
            10_f64.powf(exponent).ceil() as u64
        }
    }
}

/// Swap before memory: what leaves memory may need the room.
pub(crate) fn memory(limit: Option<i64>, swap: Option<i64>, draft: &mut Draft<'_>) -> Result<()> {
    match (swap, limit) {
        (None, _) => {}
        (Some(..=0), _) | (Some(_), Some(..=0)) => draft.write("memory", "memory.swap.max", "max"),
        // v1 counts both together, v2 swap alone.
        (Some(swap), Some(limit)) => draft.write("memory", "memory.swap.max", swap - limit),
        (Some(_), None) => {
            return Err(invalid("a limit on memory and swap needs one on memory"));
        }
    }
    if let Some(limit) = limit {
        draft.write("memory", "memory.max", or_max(limit));
    }
    Ok(())
}

/// Weights by the names of the BFQ scheduler; [`fallback`] has the general one.
pub(crate) fn block_io(block_io: &BlockIo, draft: &mut Draft<'_>) {
    if let Some(weight) = given(block_io.weight) {
        draft.write("io", "io.bfq.weight", weight);
    }
    for device in &block_io.weight_device {
        if let Some(weight) = given(device.weight) {
            let value = format!("{}:{} {weight}", device.major, device.minor);
            draft.write("io", "io.bfq.weight", value);
        }
    }
    let kinds = [
        ("rbps", &block_io.throttle_read_bps_device),
        ("wbps", &block_io.throttle_write_bps_device),
        ("riops", &block_io.throttle_read_iops_device),
        ("wiops", &block_io.throttle_write_iops_device),
    ];
    // One line per device, in the order in which devices are first named.
    let mut lines: Vec<((i64, i64), String)> = Vec::new();
    for (key, devices) in kinds {
        for ThrottleDevice { major, minor, rate } in devices {
            let rate = if *rate == 0 {
                "max".to_owned()
            } else {
                rate.to_string()
            };
            let number = (*major, *minor);
            let known = lines
                .iter()
                .position(|(own, _)| *own == number)
                .unwrap_or_else(|| {
                    lines.push((number, format!("{major}:{minor}")));
                    lines.len() - 1
                });
            lines[known].1.extend([" ", key, "=", &rate]);
        }
    }
    for (_, line) in lines {
        draft.write("io", "io.max", line);
    }
}

/// What happens where `file` does not exist.
pub(crate) fn fallback(file: &str, value: &str) -> Fallback {
    match file {
        // No swap in this kernel: none can be used, and none can be limited.
        "memory.swap.max" if matches!(value, "0" | "max") => Fallback::Nothing,
        "io.bfq.weight" => {
            let (device, weight) = value.rsplit_once(' ').unwrap_or(("default", value));
            let weight = io_weight(weight.parse().unwrap_or(100));
            Fallback::Write("io.weight", format!("{device} {weight}"))
        }
        _ if file.starts_with("hugetlb.") && file.ends_with(".rsvd.max") => Fallback::Nothing,
        _ => Fallback::Error,
    }
}

/// BFQ's 10-1000 as io.weight's 1-10000.
fn io_weight(weight: u64) -> u64 {
    1 + weight.saturating_sub(10) * 9999 / 990
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_follow_the_curve() {
        for (shares, weight) in [
            (0, 1),
            (2, 1),
            (3, 2),
            (512, 59),
            (1024, 100),
            (2048, 174),
            (262_143, 10_000),
            (262_144, 10_000),
            (u64::MAX, 10_000),
        ] {
            assert_eq!(weight_of_shares(shares), weight, "{shares}");
        }
    }

    #[test]
    fn what_stands_for_missing_files() {
        let io = |value| fallback("io.bfq.weight", value);
        assert_eq!(
            io("10"),
            Fallback::Write("io.weight", "default 1".to_owned())
        );
        assert_eq!(
            io("1000"),
            Fallback::Write("io.weight", "default 10000".to_owned())
        );
        assert_eq!(
            io("8:0 500"),
            Fallback::Write("io.weight", "8:0 4950".to_owned())
        );
        assert_eq!(fallback("memory.swap.max", "0"), Fallback::Nothing);
        assert_eq!(fallback("memory.swap.max", "4096"), Fallback::Error);
        assert_eq!(fallback("hugetlb.2MB.rsvd.max", "0"), Fallback::Nothing);
        assert_eq!(fallback("memory.max", "0"), Fallback::Error);
    }
}
