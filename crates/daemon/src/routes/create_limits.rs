//! `Resources`: memory, processor time and processes, checked as Docker checks them.

use std::collections::BTreeSet;

use api::host_config::HostConfig;
use types::oci::runtime::{Cpu, Memory, Pids, Resources};

use crate::error::Failure;
use crate::request::Result;

const MEMORY_MIN: i64 = 6 << 20;
const CPU_PERIOD_US: u64 = 100_000;

pub(super) fn resources(given: &HostConfig) -> Result<Resources> {
    check(given)?;
    let limits = &given.resources;
    let some = |value: i64| (value != 0).then_some(value);
    let (quota, period) = cpu_time(given)?;
    let memory = Memory {
        limit: some(limits.memory),
        swap: some(limits.memory_swap),
        reservation: some(limits.memory_reservation),
        swappiness: limits
            .memory_swappiness
            .and_then(|value| u64::try_from(value).ok()),
        disable_oom_killer: limits.oom_kill_disable,
        ..Memory::default()
    };
    let cpu = Cpu {
        shares: u64::try_from(limits.cpu_shares)
            .ok()
            .filter(|shares| *shares != 0),
        quota,
        period,
        burst: None,
        realtime_runtime: some(limits.cpu_realtime_runtime),
        realtime_period: u64::try_from(limits.cpu_realtime_period)
            .ok()
            .filter(|period| *period != 0),
        cpus: limits.cpuset_cpus.clone(),
        mems: limits.cpuset_mems.clone(),
        ..Cpu::default()
    };
    Ok(Resources {
        memory: (memory != Memory::default()).then_some(memory),
        cpu: (cpu != Cpu::default()).then_some(cpu),
        pids: limits.pids_limit.map(|limit| Pids { limit }),
        ..Resources::default()
    })
}

/// Refuses what Docker refuses of limits that are to be changed.
pub(super) fn check_alone(given: &HostConfig) -> Result<()> {
    check(given)?;
    cpu_time(given).map(drop)
}

/// Refuses what Docker refuses.
fn check(given: &HostConfig) -> Result<()> {
    let limits = &given.resources;
    check_memory(given)?;
    if limits.cpu_realtime_period != 0 && limits.cpu_realtime_runtime > limits.cpu_realtime_period {
        return Err(Failure::bad_request(
            "cpu real-time runtime cannot be higher than cpu real-time period",
        ));
    }
    if limits.cpu_realtime_period < 0 || limits.cpu_realtime_runtime < 0 {
        return Err(Failure::bad_request(
            "cpu real-time period and runtime cannot be less than 0",
        ));
    }
    if limits.cpu_shares < 0 {
        return Err(Failure::bad_request(format!(
            "invalid CPU shares ({}): value must be a positive integer",
            limits.cpu_shares
        )));
    }
    check_set(
        "cpus",
        "CPUs",
        &limits.cpuset_cpus,
        "/sys/devices/system/cpu/online",
    )?;
    check_set(
        "mems",
        "memory nodes",
        &limits.cpuset_mems,
        "/sys/devices/system/node/online",
    )
}

fn check_memory(given: &HostConfig) -> Result<()> {
    let limits = &given.resources;
    let bad = |sentence: &str| Err(Failure::bad_request(sentence));
    if limits.memory != 0 && limits.memory < MEMORY_MIN {
        return bad("Minimum memory limit allowed is 6MB");
    }
    if limits.memory_swap > 0 && limits.memory == 0 {
        return bad(
            "You should always set the Memory limit when using Memoryswap limit, see usage",
        );
    }
    if limits.memory_swap > 0 && limits.memory_swap < limits.memory {
        return bad("Minimum memoryswap limit should be larger than memory limit, see usage");
    }
    if limits.memory_reservation > 0 && limits.memory_reservation < MEMORY_MIN {
        return bad("Minimum memory reservation allowed is 6MB");
    }
    if limits.memory_reservation > 0
        && limits.memory > 0
        && limits.memory < limits.memory_reservation
    {
        return bad(
            "Minimum memory limit can not be less than memory reservation limit, see usage",
        );
    }
    Ok(())
}

fn cpu_time(given: &HostConfig) -> Result<(Option<i64>, Option<u64>)> {
    let limits = &given.resources;
    if limits.nano_cpus == 0 {
        if limits.cpu_period != 0 && !(1_000..=1_000_000).contains(&limits.cpu_period) {
            return Err(Failure::bad_request(
                "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
            ));
        }
        if limits.cpu_quota > 0 && limits.cpu_quota < 1_000 {
            return Err(Failure::bad_request(
                "CPU cfs quota can not be less than 1ms (i.e. 1000)",
            ));
        }
        let quota = (limits.cpu_quota != 0).then_some(limits.cpu_quota);
        return Ok((
            quota,
            u64::try_from(limits.cpu_period)
                .ok()
                .filter(|period| *period != 0),
        ));
    }
    for (set, name) in [(limits.cpu_period, "Period"), (limits.cpu_quota, "Quota")] {
        if set != 0 {
            return Err(Failure::bad_request(format!(
                "Conflicting options: Nano CPUs and CPU {name} cannot both be set."
            )));
        }
    }
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let most = i64::try_from(cpus)
        .unwrap_or(i64::MAX)
        .saturating_mul(1_000_000_000);
    if limits.nano_cpus < 0 || limits.nano_cpus > most {
        return Err(Failure::bad_request(format!(
            "range of CPUs is from 0.01 to {cpus}.00, as there are only {cpus} CPUs available"
        )));
    }
    Ok((Some(limits.nano_cpus / 10_000), Some(CPU_PERIOD_US)))
}

/// Checks a list such as `0-2,4` against what the machine has; a machine that does not tell is
/// left to the kernel.
fn check_set(name: &str, what: &str, text: &str, online: &str) -> Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    let wanted = numbers(text).ok_or_else(|| {
        let why = format!("Invalid value {text} for cpuset {name}: invalid format: {text}");
        Failure::bad_request(why)
    })?;
    let there = std::fs::read_to_string(online).unwrap_or_default();
    let there = there.trim();
    match numbers(there) {
        Some(have) if !wanted.is_subset(&have) => Err(Failure::bad_request(format!(
            "Requested {what} are not available - requested {text}, available: {there}"
        ))),
        _ => Ok(()),
    }
}

fn numbers(text: &str) -> Option<BTreeSet<u16>> {
    let mut all = BTreeSet::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
        if first > last {
            return None;
        }
        all.extend(first..=last);
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use api::ApiVersion;

    use super::super::create_host::{host, with_defaults};
    use super::*;

    #[test]
    fn limits() {
        let mut given = with_defaults(HostConfig::default(), ApiVersion::MAX);
        given.resources.nano_cpus = 500_000_000;
        given.resources.memory = 64 << 20;
        let limited = host(&given).map_err(|e| e.message).unwrap();
        let cpu = limited.resources.cpu.unwrap();
        assert_eq!((cpu.quota, cpu.period), (Some(50_000), Some(100_000)));
        given.resources.memory = 1 << 20;
        let refused = host(&given).unwrap_err();
        assert_eq!(refused.message, "Minimum memory limit allowed is 6MB");
    }

    #[test]
    fn sets_of_numbers() {
        assert_eq!(numbers("0-2,4"), Some(BTreeSet::from([0, 1, 2, 4])));
        for text in ["x", "2-1", "1,", "-1", ""] {
            assert_eq!(numbers(text), None, "{text:?}");
        }
        let refused = check_set("cpus", "CPUs", "x", "/nothing").unwrap_err();
        assert_eq!(
            refused.message,
            "Invalid value x for cpuset cpus: invalid format: x"
        );
    }
}
