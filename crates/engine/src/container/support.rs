//! What this kernel cannot do for a container: discarded with a sentence, as Docker does.

use std::path::Path;

use cgroup::Topology;

use super::record::Host;

/// Takes away what the kernel lacks and returns what the user should know.
pub(crate) fn fit(host: &mut Host, topology: &Topology) -> Vec<String> {
    let mut warnings = Vec::new();
    let lacks = |file: &str| {
        format!("Your kernel does not support Block I/O {file} or the cgroup is not mounted.")
    };
    if host.block_io.weight != 0 && !has_block_file(topology, "weight") {
        host.block_io.weight = 0;
        warnings.push(format!("{} Weight discarded.", lacks("weight")));
    }
    let weighs = |(path, _): &(String, u16)| has_weights(topology, path);
    if !host.block_io.weights.iter().all(weighs) {
        host.block_io.weights.clear();
        warnings.push(format!(
            "{} Weight-device discarded.",
            lacks("weight_device")
        ));
    }
    warnings.extend(clamped(host));
    warnings
}

/// Tells whether groups of the block controller have a file. The root has none, so any group below
/// it is asked; on v2 the file of weights has both.
fn has_block_file(topology: &Topology, file: &str) -> bool {
    let names = [
        format!("blkio.{file}"),
        format!("blkio.bfq.{file}"),
        "io.weight".to_owned(),
        "io.bfq.weight".to_owned(),
    ];
    let has = |dir: &Path| names.iter().any(|name| dir.join(name).exists());
    let blocks = topology
        .hierarchies()
        .iter()
        .filter(|one| one.has("blkio") || one.has("io"));
    blocks
        .filter_map(|one| std::fs::read_dir(one.directory("/")).ok())
        .flatten()
        .flatten()
        .any(|entry| has(&entry.path()))
}

/// Tells whether a device can have a weight of its own: its scheduler must be the one that weighs.
fn has_weights(topology: &Topology, path: &str) -> bool {
    use std::os::unix::fs::MetadataExt;
    if !has_block_file(topology, "weight_device") {
        return false;
    }
    let Ok(meta) = std::fs::metadata(path) else {
        return false;
    };
    let (major, minor) = (
        sys::regular::major(meta.rdev()),
        sys::regular::minor(meta.rdev()),
    );
    let scheduler = format!("/sys/dev/block/{major}:{minor}/queue/scheduler");
    let scheduler = std::fs::read_to_string(scheduler).unwrap_or_default();
    scheduler.contains("[bfq]") || scheduler.contains("[cfq]")
}

/// Resource limits above what this process may give are lowered at the start.
fn clamped(host: &Host) -> Vec<String> {
    const SYS_RESOURCE: u64 = 1 << 24;
    let may_raise =
        sys::credentials::capabilities().is_ok_and(|own| own.effective & SYS_RESOURCE != 0);
    let most_files = std::fs::read_to_string("/proc/sys/fs/nr_open")
        .ok()
        .and_then(|text| text.trim().parse::<u64>().ok());
    let ceiling = |kind: &str| -> Option<u64> {
        if kind == "RLIMIT_NOFILE" && may_raise {
            return most_files;
        }
        if may_raise {
            return None;
        }
        let own = sys::sched::limit(sys::sched::resource(kind)?).ok()?;
        Some(own.hard)
    };
    let too_much = host.rlimits.iter().filter_map(|limit| {
        let most = ceiling(&limit.kind).filter(|most| limit.hard > *most)?;
        let name = limit.kind.trim_start_matches("RLIMIT_").to_lowercase();
        Some(format!(
            "The kernel does not allow the ulimit {name} above {most}: it is lowered to that."
        ))
    });
    too_much.collect()
}
