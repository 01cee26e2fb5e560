//! Limits, measures and events on this machine's hierarchies.

#![allow(
    clippy::tests_outside_test_module,
    reason = "this whole file is a test"
)]
#![allow(
    clippy::unwrap_used,
    reason = "clippy knows only functions marked as tests"
)]

mod common;

use std::time::{Duration, Instant};

use cgroup::{Error, Group, OomNews, Topology};
use common::{Cleanup, Sleeper, topology};
use sys::poll::Poll;
use types::oci::runtime::Resources;

/// Makes a group with the limits of `json`.
fn limited(cleanup: &Cleanup, json: &str) -> Group {
    let group = Group::create(&topology(), &cleanup.path("one")).unwrap();
    limit(&group, json).unwrap();
    group
}

fn limit(group: &Group, json: &str) -> cgroup::Result<()> {
    let resources: Resources = serde_json::from_str(json).unwrap();
    let (plan, warnings) = cgroup::plan(&resources, &topology())?;
    assert!(warnings.is_empty(), "{warnings:?}");
    group.apply(&plan)
}

/// The text of a file: v1's name, or v2's.
fn text(group: &Group, controller: &str, v1: &str, v2: &str) -> String {
    let topology: Topology = topology();
    let hierarchy = topology.hierarchy(controller).unwrap();
    let file = if hierarchy.version == cgroup::Version::V1 {
        v1
    } else {
        v2
    };
    let path = hierarchy.directory(group.path()).join(file);
    std::fs::read_to_string(path).unwrap().trim().to_owned()
}

#[test]
fn root_limits_reach_the_files() {
    let cleanup = Cleanup::new("files");
    let group = limited(
        &cleanup,
        r#"{"cpu":{"shares":512,"quota":50000,"cpus":"0"},
            "memory":{"limit":67108864,"swap":67108864},"pids":{"limit":12}}"#,
    );
    assert!(["512", "59"].contains(&&*text(&group, "cpu", "cpu.shares", "cpu.weight")));
    assert!(["50000", "50000 100000"].contains(&&*text(
        &group,
        "cpu",
        "cpu.cfs_quota_us",
        "cpu.max"
    )));
    assert_eq!(text(&group, "cpuset", "cpuset.cpus", "cpuset.cpus"), "0");
    assert_eq!(
        text(&group, "memory", "memory.limit_in_bytes", "memory.max"),
        "67108864"
    );
    assert_eq!(text(&group, "pids", "pids.max", "pids.max"), "12");

    // Raised and lowered again: the kernel wants the values in different orders.
    limit(&group, r#"{"memory":{"limit":134217728,"swap":268435456}}"#).unwrap();
    assert_eq!(
        text(&group, "memory", "memory.limit_in_bytes", "memory.max"),
        "134217728"
    );
    limit(&group, r#"{"memory":{"limit":33554432,"swap":33554432}}"#).unwrap();
    assert_eq!(
        text(&group, "memory", "memory.limit_in_bytes", "memory.max"),
        "33554432"
    );
    let stats = group.stats().unwrap();
    assert_eq!((stats.memory_limit, stats.pids_limit), (33_554_432, 12));
    group.destroy().unwrap();
}

#[test]
fn root_a_refused_value_names_file_and_value() {
    let cleanup = Cleanup::new("refused");
    let group = Group::create(&topology(), &cleanup.path("one")).unwrap();
    let error = limit(&group, r#"{"cpu":{"cpus":"4000"}}"#).unwrap_err();
    assert!(
        matches!(&error, Error::Write { file, value, .. }
        if file == "cpuset.cpus" && value == "4000"),
        "{error:?}"
    );
    group.destroy().unwrap();
}

#[test]
fn root_pids_are_limited_and_counted() {
    let cleanup = Cleanup::new("pids");
    let group = limited(&cleanup, r#"{"pids":{"limit":2}}"#);
    // The shell and one more; the next fork fails and the shell gives up with status 2.
    let mut forker = Sleeper::script(&group, "sleep 60 & sleep 60 & sleep 60 & wait");
    assert_ne!(forker.code(), Some(0));
    assert_eq!(group.stats().unwrap().pids_current, 1);
    group.kill().unwrap();
    group.destroy().unwrap();
}

#[test]
fn root_cpu_time_is_measured_and_throttled() {
    let cleanup = Cleanup::new("cpu");
    let group = limited(&cleanup, r#"{"cpu":{"quota":2000,"period":10000}}"#);
    let counter = Sleeper::count(&group);
    let deadline = Instant::now() + Duration::from_secs(20);
    let stats = loop {
        let stats = group.stats().unwrap();
        if stats.throttling.throttled_ns > 0 && stats.cpu_user_ns > 0 {
            break stats;
        }
        assert!(Instant::now() < deadline, "{stats:?}");
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(
        stats.cpu_usage_ns > 0 && stats.throttling.throttled_periods > 0,
        "{stats:?}"
    );
    assert!(
        stats.throttling.periods >= stats.throttling.throttled_periods,
        "{stats:?}"
    );
    assert!(
        stats.memory_usage > 0 && !stats.memory_stats.is_empty(),
        "{stats:?}"
    );
    assert_eq!(stats.pids_current, 1);
    if topology().hierarchy("cpuacct").is_some() {
        assert_eq!(
            stats
                .cpu_per_cpu_ns
                .iter()
                .filter(|ns| **ns > 0)
                .count()
                .min(1),
            1
        );
    }
    drop(counter);
    group.destroy().unwrap();
}

#[test]
fn root_a_kill_for_memory_is_told_and_counted() {
    let cleanup = Cleanup::new("oom");
    let group = limited(&cleanup, r#"{"memory":{"limit":8388608,"swap":8388608}}"#);
    let mut watch = group.watch_oom().unwrap().unwrap();
    let poll = Poll::new().unwrap();
    poll.add(std::os::fd::AsFd::as_fd(&watch), 1, watch.interest())
        .unwrap();
    assert!(poll.wait(Some(Duration::ZERO)).unwrap().is_empty());
    assert_eq!(watch.take().unwrap(), OomNews::Nothing);

    // A buffer of 64 MB.
    let mut eater = Sleeper::script(&group, "exec dd if=/dev/zero of=/dev/null bs=64M count=1");
    let events = poll.wait(Some(Duration::from_secs(20))).unwrap();
    assert_eq!(events.len(), 1);
    let mut news = watch.take().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while news == OomNews::Nothing && Instant::now() < deadline {
        // v2 also wakes for the events that lead to the kill.
        poll.wait(Some(Duration::from_secs(1))).unwrap();
        news = watch.take().unwrap();
    }
    assert_eq!(news, OomNews::OutOfMemory);
    assert_eq!(eater.signal(), Some(9));
    assert_eq!(group.oom_kills().unwrap(), 1);

    // Nothing more comes, until the group is removed.
    watch.take().unwrap();
    assert!(poll.wait(Some(Duration::ZERO)).unwrap().is_empty());
    group.destroy().unwrap();
    assert_eq!(watch.take().unwrap(), OomNews::Gone);
}

#[test]
fn root_devices_are_refused_and_allowed() {
    let cleanup = Cleanup::new("devices");
    let rules = |more: &str| {
        format!(
            r#"{{"devices":[{{"allow":false,"access":"rwm"}},
                {{"allow":true,"type":"c","major":1,"minor":3,"access":"rw"}}{more}]}}"#
        )
    };
    let group = limited(&cleanup, &rules(""));
    // 1:3 is /dev/null, 1:5 /dev/zero.
    let reads = |device: &str| {
        let script = format!("exec 2>&-; head -c 0 {device}");
        Sleeper::script(&group, &script).code() == Some(0)
    };
    assert!(reads("/dev/null"));
    assert!(!reads("/dev/zero"));
    // The new rules take the place of the old ones.
    limit(
        &group,
        &rules(r#",{"allow":true,"type":"c","major":1,"minor":5,"access":"r"}"#),
    )
    .unwrap();
    assert!(reads("/dev/zero"));
    limit(&group, &rules("")).unwrap();
    assert!(!reads("/dev/zero"));
    assert!(reads("/dev/null"));
    group.destroy().unwrap();
}
