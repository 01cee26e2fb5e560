//! Pure: the files of cgroup v1.

use types::oci::runtime::{BlockIo, Cpu, NetworkTags};

use crate::Result;
use crate::plan::{Draft, Fallback, given, invalid};

/// The period goes first: a quota is checked against it.
pub(crate) fn cpu(cpu: &Cpu, shares: Option<u64>, draft: &mut Draft<'_>) {
    let mut write = |file, value: Option<String>| {
        if let Some(value) = value {
            draft.write("cpu", file, value);
        }
    };
    write("cpu.shares", shares.map(|n| n.to_string()));
    write(
        "cpu.cfs_period_us",
        given(cpu.period).map(|n| n.to_string()),
    );
    write("cpu.cfs_quota_us", given(cpu.quota).map(|n| n.to_string()));
    write("cpu.cfs_burst_us", cpu.burst.map(|n| n.to_string()));
    write(
        "cpu.rt_period_us",
        given(cpu.realtime_period).map(|n| n.to_string()),
    );
    write(
        "cpu.rt_runtime_us",
        given(cpu.realtime_runtime).map(|n| n.to_string()),
    );
}

/// In the order that lowers; [`crate::Group::apply`] turns it round where that is refused.
pub(crate) fn memory(limit: Option<i64>, swap: Option<i64>, draft: &mut Draft<'_>) {
    if let Some(limit) = limit {
        draft.write("memory", "memory.limit_in_bytes", limit);
    }
    if let Some(swap) = swap {
        draft.write("memory", "memory.memsw.limit_in_bytes", swap);
    }
}

/// Weights by the names of the BFQ scheduler; [`fallback`] has the older ones.
pub(crate) fn block_io(block_io: &BlockIo, draft: &mut Draft<'_>) -> Result<()> {
    draft.version("blkio")?;
    if let Some(weight) = given(block_io.weight) {
        draft.write("blkio", "blkio.bfq.weight", weight);
    }
    for device in &block_io.weight_device {
        if let Some(weight) = given(device.weight) {
            let value = format!("{}:{} {weight}", device.major, device.minor);
            draft.write("blkio", "blkio.bfq.weight_device", value);
        }
    }
    for (file, devices) in [
        ("read_bps", &block_io.throttle_read_bps_device),
        ("write_bps", &block_io.throttle_write_bps_device),
        ("read_iops", &block_io.throttle_read_iops_device),
        ("write_iops", &block_io.throttle_write_iops_device),
    ] {
        for device in devices {
            let value = format!("{}:{} {}", device.major, device.minor, device.rate);
            draft.write("blkio", &format!("blkio.throttle.{file}_device"), value);
        }
    }
    Ok(())
}

pub(crate) fn network(network: &NetworkTags, draft: &mut Draft<'_>) -> Result<()> {
    let need = |draft: &Draft<'_>, controller: &str| match draft.topology.version(controller) {
        Some(_) => Ok(()),
        None => Err(invalid(format!(
            "{controller} is not mounted, and cgroup v2 has nothing like it"
        ))),
    };
    if let Some(class) = given(network.class_id) {
        need(draft, "net_cls")?;
        draft.write("net_cls", "net_cls.classid", class);
    }
    for priority in &network.priorities {
        need(draft, "net_prio")?;
        let value = format!("{} {}", priority.name, priority.priority);
        draft.write("net_prio", "net_prio.ifpriomap", value);
    }
    Ok(())
}

/// What happens where `file` does not exist.
pub(crate) fn fallback(file: &str, value: &str) -> Fallback {
    match file {
        "blkio.bfq.weight" => Fallback::Write("blkio.weight", value.to_owned()),
        "blkio.bfq.weight_device" => Fallback::Write("blkio.weight_device", value.to_owned()),
        // Kernels before 5.7 count no reservations.
        _ if file.starts_with("hugetlb.") && file.ends_with(".rsvd.limit_in_bytes") => {
            Fallback::Nothing
        }
        _ => Fallback::Error,
    }
}
