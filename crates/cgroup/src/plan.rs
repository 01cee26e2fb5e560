//! Pure: limits become values for files.
//!
//! What is absent or zero is not written; −1 is unlimited. The file names and conversions of each
//! interface are in `v1.rs` and `v2.rs`; a hybrid machine uses both, controller by controller.

use std::fmt::Display;

use types::oci::runtime::{Cpu, Memory, Resources};

use crate::hierarchy::{Topology, Version};
use crate::{Error, Result, device, v1, v2};

/// One value for one file of a group, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// `memory`, `cpu`, … or empty for a file of the core.
    pub controller: String,
    /// `memory.max`; [`crate::DEVICE_PROGRAM`] is no file but a program attached to the group.
    pub file: String,
    /// What is written.
    pub value: String,
}

/// No file, but a question: is as much memory in use? v1 refuses a limit below that by itself, v2
/// kills until it fits.
pub(crate) const MEMORY_CHECK: &str = "memory.current <";

/// What to write for `resources` here, and what cannot be obeyed, in one sentence each.
pub fn plan(resources: &Resources, topology: &Topology) -> Result<(Vec<Write>, Vec<String>)> {
    let mut draft = Draft {
        topology,
        writes: Vec::new(),
        warnings: Vec::new(),
    };
    device::plan(&resources.devices, &mut draft)?;
    if let Some(cpu) = &resources.cpu {
        cpu_time(cpu, &mut draft)?;
        cpuset(cpu, &mut draft)?;
    }
    if let Some(memory) = &resources.memory {
        limit_memory(memory, &mut draft)?;
    }
    if let Some(pids) = &resources.pids {
        draft.version("pids")?;
        draft.write("pids", "pids.max", or_max(pids.limit));
    }
    if let Some(block_io) = &resources.block_io {
        if block_io.leaf_weight.is_some_and(|weight| weight > 0) {
            return Err(invalid("blockIO.leafWeight: no kernel has it any more"));
        }
        match draft.topology.version("io") {
            Some(_) => v2::block_io(block_io, &mut draft),
            None => v1::block_io(block_io, &mut draft)?,
        }
    }
    for limit in &resources.hugepage_limits {
        if limit.page_size.contains(['/', '\0']) || limit.page_size.is_empty() {
            return Err(invalid(format!("huge page size {:?}", limit.page_size)));
        }
        let suffix = match draft.version("hugetlb")? {
            Version::V1 => "limit_in_bytes",
            Version::V2 => "max",
        };
        for part in ["", "rsvd."] {
            let file = format!("hugetlb.{}.{part}{suffix}", limit.page_size);
            draft.write("hugetlb", &file, limit.limit);
        }
    }
    for (device, limit) in &resources.rdma {
        draft.version("rdma")?;
        let number = |number: Option<u32>| number.map_or("max".to_owned(), |n| n.to_string());
        let (handles, objects) = (number(limit.hca_handles), number(limit.hca_objects));
        draft.write(
            "rdma",
            "rdma.max",
            format!("{device} hca_handle={handles} hca_object={objects}"),
        );
    }
    if let Some(network) = &resources.network {
        v1::network(network, &mut draft)?;
    }
    unified(resources, &mut draft)?;
    Ok((draft.writes, draft.warnings))
}

/// A plan in the making.
pub(crate) struct Draft<'a> {
    pub(crate) topology: &'a Topology,
    pub(crate) writes: Vec<Write>,
    pub(crate) warnings: Vec<String>,
}

impl Draft<'_> {
    pub(crate) fn write(&mut self, controller: &str, file: &str, value: impl Display) {
        self.writes.push(Write {
            controller: controller.to_owned(),
            file: file.to_owned(),
            value: value.to_string(),
        });
    }

    pub(crate) fn warn(&mut self, sentence: impl Into<String>) {
        self.warnings.push(sentence.into());
    }

    /// Which interface `controller` speaks; an error where it is not mounted.
    pub(crate) fn version(&self, controller: &str) -> Result<Version> {
        let version = self.topology.version(controller);
        version.ok_or_else(|| Error::NoController {
            controller: controller.to_owned(),
        })
    }
}

/// What happens with a value whose file this kernel does not have.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fallback {
    /// It was asked for: an error.
    Error,
    /// Without the file it is as it should be.
    Nothing,
    /// Another file and value mean the same.
    Write(&'static str, String),
}

pub(crate) fn invalid(reason: impl Into<String>) -> Error {
    Error::Resources {
        reason: reason.into(),
    }
}

/// A number above zero, or `max`.
pub(crate) fn or_max(number: i64) -> String {
    if number > 0 {
        number.to_string()
    } else {
        "max".to_owned()
    }
}

/// Zero is as good as absent.
pub(crate) fn given<N: PartialEq + Default>(number: Option<N>) -> Option<N> {
    number.filter(|number| *number != N::default())
}

fn cpu_time(cpu: &Cpu, draft: &mut Draft<'_>) -> Result<()> {
    let any = given(cpu.shares).is_some()
        || given(cpu.quota).is_some()
        || given(cpu.period).is_some()
        || cpu.burst.is_some()
        || cpu.idle.is_some()
        || given(cpu.realtime_runtime).is_some()
        || given(cpu.realtime_period).is_some();
    if !any {
        return Ok(());
    }
    let version = draft.version("cpu")?;
    if let Some(idle) = cpu.idle {
        draft.write("cpu", "cpu.idle", idle);
    }
    let shares = given(cpu.shares).filter(|_| cpu.idle != Some(1));
    if shares.is_none() && given(cpu.shares).is_some() {
        draft.warn("cpu shares have no effect on a group that is idle");
    }
    match version {
        Version::V1 => v1::cpu(cpu, shares, draft),
        Version::V2 => v2::cpu(cpu, shares, draft)?,
    }
    Ok(())
}

/// The same names in both interfaces.
fn cpuset(cpu: &Cpu, draft: &mut Draft<'_>) -> Result<()> {
    for (file, value) in [("cpuset.cpus", &cpu.cpus), ("cpuset.mems", &cpu.mems)] {
        if !value.is_empty() {
            draft.version("cpuset")?;
            draft.write("cpuset", file, value);
        }
    }
    Ok(())
}

/// What no kernel has any more.
fn warn_of_ignored(memory: &Memory, draft: &mut Draft<'_>) {
    for (limit, name) in [
        (memory.kernel, "kernel memory"),
        (memory.kernel_tcp, "TCP memory"),
    ] {
        if given(limit).is_some() {
            draft.warn(format!(
                "no kernel limits {name} separately: the limit is ignored"
            ));
        }
    }
}

fn limit_memory(memory: &Memory, draft: &mut Draft<'_>) -> Result<()> {
    warn_of_ignored(memory, draft);
    let limit = given(memory.limit);
    let mut swap = given(memory.swap);
    if let (Some(limit), Some(swap)) = (limit, swap)
        && limit > 0
        && swap > 0
        && swap < limit
    {
        return Err(invalid(
            "memory and swap together cannot be less than memory",
        ));
    }
    // Unlimited memory with a limit on memory and swap would be refused.
    if limit == Some(-1) && swap.is_none() {
        swap = Some(-1);
    }
    let reservation = given(memory.reservation);
    let swappiness = memory.swappiness;
    let no_killer = memory.disable_oom_killer == Some(true);
    if limit.is_none()
        && swap.is_none()
        && reservation.is_none()
        && swappiness.is_none()
        && !no_killer
    {
        return Ok(());
    }
    if let (Version::V2, Some(true), Some(limit @ 1..)) =
        (draft.version("memory")?, memory.check_before_update, limit)
    {
        draft.write("memory", MEMORY_CHECK, limit);
    }
    match draft.version("memory")? {
        Version::V1 => v1::memory(limit, swap, draft),
        Version::V2 => v2::memory(limit, swap, draft)?,
    }
    let version = draft.version("memory")?;
    if let Some(reservation) = reservation {
        match version {
            Version::V1 => draft.write("memory", "memory.soft_limit_in_bytes", reservation),
            Version::V2 => draft.write("memory", "memory.low", or_max(reservation)),
        }
    }
    if let Some(swappiness) = swappiness {
        match version {
            Version::V1 if swappiness > 100 => {
                return Err(invalid(format!(
                    "swappiness {swappiness} is not in the range 0-100"
                )));
            }
            Version::V1 => draft.write("memory", "memory.swappiness", swappiness),
            Version::V2 => draft.warn("cgroup v2 has no swappiness of a group: it is ignored"),
        }
    }
    if no_killer {
        match version {
            Version::V1 => draft.write("memory", "memory.oom_control", 1),
            Version::V2 => {
                draft.warn("cgroup v2 cannot switch the OOM killer off for a group: it stays on");
            }
        }
    }
    Ok(())
}

/// v2's files by name, last, so that they overrule what was translated.
fn unified(resources: &Resources, draft: &mut Draft<'_>) -> Result<()> {
    for (file, value) in &resources.unified {
        let controller = file.split_once('.').map(|(controller, _)| controller);
        let Some(controller) = controller.filter(|_| !file.contains(['/', '\0'])) else {
            return Err(invalid(format!("{file:?} is no file of cgroup v2")));
        };
        let core = controller == "cgroup" && draft.topology.is_unified();
        if !core && draft.version(controller)? == Version::V1 {
            return Err(invalid(format!(
                "{file} cannot be set: {controller} is on cgroup v1 here"
            )));
        }
        draft.write(if core { "" } else { controller }, file, value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topology(v1: &[&str], v2: &str) -> Topology {
        let mut mountinfo = String::new();
        let mut own = String::new();
        for one in v1 {
            mountinfo.extend(["1 2 0:3 / /c/", one, " rw - cgroup cgroup rw,", one, "\n"]);
            own.extend(["1:", one, ":/\n"]);
        }
        mountinfo += "1 2 0:3 / /c/unified rw - cgroup2 cgroup2 rw\n";
        Topology::parse(&mountinfo, &(own + "0::/\n"), v2)
    }

    fn v1() -> Topology {
        topology(
            &[
                "cpu", "cpuset", "memory", "pids", "blkio", "devices", "hugetlb", "rdma",
                "net_cls", "net_prio",
            ],
            "",
        )
    }

    fn v2() -> Topology {
        topology(&[], "cpu cpuset memory pids io hugetlb rdma")
    }

    /// What `json` (a `resources` object) becomes: `file=value`, then `! warning`s or the error.
    fn on(topology: &Topology, json: &str) -> Vec<String> {
        let resources: Resources = serde_json::from_str(json).unwrap();
        match plan(&resources, topology) {
            Ok((writes, warnings)) => {
                let writes = writes.into_iter().map(|w| {
                    assert!(
                        w.controller.is_empty() || w.file.starts_with(&w.controller),
                        "{w:?}"
                    );
                    format!("{}={}", w.file, w.value)
                });
                writes
                    .chain(warnings.into_iter().map(|w| format!("! {w}")))
                    .collect()
            }
            Err(error) => vec![format!("error: {error}")],
        }
    }

    fn check(json: &str, on_v1: &[&str], on_v2: &[&str]) {
        assert_eq!(on(&v1(), json), on_v1, "v1: {json}");
        assert_eq!(on(&v2(), json), on_v2, "v2: {json}");
    }

    #[test]
    fn absent_and_zero_are_not_written() {
        check("{}", &[], &[]);
        let zeros = r#"{"cpu":{"shares":0,"quota":0,"period":0},"memory":{"limit":0,"swap":0,"reservation":0,"disableOOMKiller":false}}"#;
        check(zeros, &[], &[]);
        assert_eq!(on(&topology(&[], ""), zeros), [""; 0]);
    }

    #[test]
    fn cpu_shares_become_a_weight() {
        check(
            r#"{"cpu":{"shares":1024}}"#,
            &["cpu.shares=1024"],
            &["cpu.weight=100"],
        );
        check(
            r#"{"cpu":{"shares":512}}"#,
            &["cpu.shares=512"],
            &["cpu.weight=59"],
        );
    }

    #[test]
    fn cpu_quota_period_and_burst() {
        check(
            r#"{"cpu":{"quota":50000}}"#,
            &["cpu.cfs_quota_us=50000"],
            &["cpu.max=50000 100000"],
        );
        check(
            r#"{"cpu":{"quota":5000,"period":20000,"burst":1000}}"#,
            &[
                "cpu.cfs_period_us=20000",
                "cpu.cfs_quota_us=5000",
                "cpu.cfs_burst_us=1000",
            ],
            &["cpu.max=5000 20000", "cpu.max.burst=1000"],
        );
        check(
            r#"{"cpu":{"quota":-1,"period":20000}}"#,
            &["cpu.cfs_period_us=20000", "cpu.cfs_quota_us=-1"],
            &["cpu.max=max 20000"],
        );
    }

    #[test]
    fn cpu_idle_comes_before_the_weight() {
        check(
            r#"{"cpu":{"idle":0,"shares":1024}}"#,
            &["cpu.idle=0", "cpu.shares=1024"],
            &["cpu.idle=0", "cpu.weight=100"],
        );
        let idle = [
            "cpu.idle=1",
            "! cpu shares have no effect on a group that is idle",
        ];
        check(r#"{"cpu":{"idle":1,"shares":1024}}"#, &idle, &idle);
    }

    #[test]
    fn real_time_is_v1_s() {
        check(
            r#"{"cpu":{"realtimeRuntime":5,"realtimePeriod":10}}"#,
            &["cpu.rt_period_us=10", "cpu.rt_runtime_us=5"],
            &["error: invalid resources: cgroup v2 has no limits for real-time tasks"],
        );
    }

    #[test]
    fn cpusets_have_the_same_names() {
        let same = ["cpuset.cpus=0-1,3", "cpuset.mems=0"];
        check(r#"{"cpu":{"cpus":"0-1,3","mems":"0"}}"#, &same, &same);
    }

    #[test]
    fn memory_and_swap() {
        check(
            r#"{"memory":{"limit":100}}"#,
            &["memory.limit_in_bytes=100"],
            &["memory.max=100"],
        );
        check(
            r#"{"memory":{"limit":100,"swap":150}}"#,
            &[
                "memory.limit_in_bytes=100",
                "memory.memsw.limit_in_bytes=150",
            ],
            &["memory.swap.max=50", "memory.max=100"],
        );
        check(
            r#"{"memory":{"limit":100,"swap":100}}"#,
            &[
                "memory.limit_in_bytes=100",
                "memory.memsw.limit_in_bytes=100",
            ],
            &["memory.swap.max=0", "memory.max=100"],
        );
        check(
            r#"{"memory":{"limit":100,"swap":-1}}"#,
            &[
                "memory.limit_in_bytes=100",
                "memory.memsw.limit_in_bytes=-1",
            ],
            &["memory.swap.max=max", "memory.max=100"],
        );
        check(
            r#"{"memory":{"limit":-1}}"#,
            &["memory.limit_in_bytes=-1", "memory.memsw.limit_in_bytes=-1"],
            &["memory.swap.max=max", "memory.max=max"],
        );
        let less = "error: invalid resources: memory and swap together cannot be less than memory";
        check(r#"{"memory":{"limit":100,"swap":99}}"#, &[less], &[less]);
        check(
            r#"{"memory":{"swap":100}}"#,
            &["memory.memsw.limit_in_bytes=100"],
            &["error: invalid resources: a limit on memory and swap needs one on memory"],
        );
    }

    #[test]
    fn what_is_in_use_is_asked_for() {
        check(
            r#"{"memory":{"limit":100,"checkBeforeUpdate":true}}"#,
            &["memory.limit_in_bytes=100"],
            &["memory.current <=100", "memory.max=100"],
        );
    }

    #[test]
    fn the_other_memory_words() {
        check(
            r#"{"memory":{"reservation":50,"swappiness":10,"disableOOMKiller":true}}"#,
            &[
                "memory.soft_limit_in_bytes=50",
                "memory.swappiness=10",
                "memory.oom_control=1",
            ],
            &[
                "memory.low=50",
                "! cgroup v2 has no swappiness of a group: it is ignored",
                "! cgroup v2 cannot switch the OOM killer off for a group: it stays on",
            ],
        );
        let ignored = ["! no kernel limits kernel memory separately: the limit is ignored"];
        check(r#"{"memory":{"kernel":50}}"#, &ignored, &ignored);
        assert_eq!(
            on(&v1(), r#"{"memory":{"swappiness":101}}"#),
            ["error: invalid resources: swappiness 101 is not in the range 0-100"]
        );
    }

    #[test]
    fn pids() {
        check(r#"{"pids":{"limit":7}}"#, &["pids.max=7"], &["pids.max=7"]);
        check(
            r#"{"pids":{"limit":0}}"#,
            &["pids.max=max"],
            &["pids.max=max"],
        );
        check(
            r#"{"pids":{"limit":-1}}"#,
            &["pids.max=max"],
            &["pids.max=max"],
        );
    }

    #[test]
    fn block_devices() {
        check(
            r#"{"blockIO":{"weight":500,"weightDevice":[{"major":8,"minor":16,"weight":10}]}}"#,
            &["blkio.bfq.weight=500", "blkio.bfq.weight_device=8:16 10"],
            &["io.bfq.weight=500", "io.bfq.weight=8:16 10"],
        );
        check(
            r#"{"blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":1000}],
                "throttleWriteBpsDevice":[{"major":8,"minor":0,"rate":2000}],
                "throttleReadIOPSDevice":[{"major":8,"minor":16,"rate":30}],
                "throttleWriteIOPSDevice":[{"major":8,"minor":0,"rate":0}]}}"#,
            &[
                "blkio.throttle.read_bps_device=8:0 1000",
                "blkio.throttle.write_bps_device=8:0 2000",
                "blkio.throttle.read_iops_device=8:16 30",
                "blkio.throttle.write_iops_device=8:0 0",
            ],
            &[
                "io.max=8:0 rbps=1000 wbps=2000 wiops=max",
                "io.max=8:16 riops=30",
            ],
        );
    }

    #[test]
    fn huge_pages_and_rdma() {
        check(
            r#"{"hugepageLimits":[{"pageSize":"2MB","limit":4194304}]}"#,
            &[
                "hugetlb.2MB.limit_in_bytes=4194304",
                "hugetlb.2MB.rsvd.limit_in_bytes=4194304",
            ],
            &["hugetlb.2MB.max=4194304", "hugetlb.2MB.rsvd.max=4194304"],
        );
        let bad = ["error: invalid resources: huge page size \"../x\""];
        check(
            r#"{"hugepageLimits":[{"pageSize":"../x","limit":1}]}"#,
            &bad,
            &bad,
        );
        let rdma = ["rdma.max=mlx5_1 hca_handle=2 hca_object=max"];
        check(r#"{"rdma":{"mlx5_1":{"hcaHandles":2}}}"#, &rdma, &rdma);
    }

    #[test]
    fn tags_of_packets_are_v1_s() {
        check(
            r#"{"network":{"classID":1048577,"priorities":[{"name":"lo","priority":5}]}}"#,
            &["net_cls.classid=1048577", "net_prio.ifpriomap=lo 5"],
            &[
                "error: invalid resources: net_cls is not mounted, and cgroup v2 has nothing like it",
            ],
        );
    }

    #[test]
    fn files_by_name_come_last() {
        check(
            r#"{"unified":{"memory.high":"5"},"memory":{"limit":9}}"#,
            &["error: invalid resources: memory.high cannot be set: memory is on cgroup v1 here"],
            &["memory.max=9", "memory.high=5"],
        );
        let bad = ["error: invalid resources: \"a/b.c\" is no file of cgroup v2"];
        check(r#"{"unified":{"a/b.c":"5"}}"#, &bad, &bad);
        assert_eq!(
            on(&v2(), r#"{"unified":{"cgroup.max.depth":"2"}}"#),
            ["cgroup.max.depth=2"]
        );
        assert_eq!(
            on(&v2(), r#"{"unified":{"nosuch.max":"2"}}"#),
            ["error: cgroup controller nosuch is not mounted"]
        );
    }

    #[test]
    fn a_hybrid_uses_both_interfaces() {
        let hybrid = topology(&["memory", "devices"], "pids cpu");
        assert_eq!(
            on(
                &hybrid,
                r#"{"memory":{"limit":9},"cpu":{"shares":1024},"pids":{"limit":3}}"#
            ),
            ["cpu.weight=100", "memory.limit_in_bytes=9", "pids.max=3"]
        );
        assert_eq!(
            on(&hybrid, r#"{"cpu":{"cpus":"0"}}"#),
            ["error: cgroup controller cpuset is not mounted"]
        );
    }
}
