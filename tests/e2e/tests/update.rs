//! `update`: other limits for a container that runs.

use serde_json::json;
use testkit::{BOX, case, eventually};

case!(memory_of_a_running_one, |e| {
    let name = e.background("m", &["-m", "64m"], "sleep 100");
    e.cli(&["update", "-m", "80m", &name])
        .exits(0)
        .says(&format!("{name}\n"));
    let host = &e.inspect(&name)["HostConfig"];
    assert_eq!(host["Memory"], 80 << 20);
    let stats = e
        .get_path(&format!("/containers/{name}/stats?stream=0&one-shot=1"))
        .is(200)
        .json();
    assert_eq!(stats["memory_stats"]["limit"], 80 << 20);
    e.cli(&["update", "-m", "200m", &name])
        .exits(1)
        .complains("Memory limit should be smaller than already set memoryswap limit");
    e.cli(&["update", "-m", "200m", "--memory-swap", "300m", &name])
        .exits(0);
    let host = &e.inspect(&name)["HostConfig"];
    assert_eq!(
        (&host["Memory"], &host["MemorySwap"]),
        (&json!(200 << 20), &json!(300 << 20))
    );
    e.cli(&["update", "--memory-reservation", "30m", &name])
        .exits(0);
    assert_eq!(
        e.inspect(&name)["HostConfig"]["MemoryReservation"],
        30 << 20
    );
});

case!(processor_time, |e| {
    let show = "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu/cpu.shares \
                /sys/fs/cgroup/cpu.max /sys/fs/cgroup/cpu.weight 2>/dev/null; true";
    let name = e.background("p", &[], "sleep 100");
    e.cli(&["update", "--cpus", "0.5", "--cpu-shares", "512", &name])
        .exits(0);
    let inside = e.cli(&["exec", &name, "sh", "-c", show]);
    let inside = inside.ok();
    assert!(inside.contains("50000"), "{inside}");
    assert!(inside.contains("512") || inside.contains("20"), "{inside}");
    let host = &e.inspect(&name)["HostConfig"];
    assert_eq!(host["NanoCpus"], 500_000_000);
    assert_eq!(host["CpuShares"], 512);
    e.cli(&["update", "--cpu-quota", "5000", &name])
        .exits(1)
        .complains("CPU Quota cannot be updated as NanoCPUs has already been set");
});

case!(periods_and_sets, |e| {
    let name = e.background("q", &[], "sleep 100");
    e.cli(&[
        "update",
        "--cpu-period",
        "50000",
        "--cpu-quota",
        "20000",
        "--cpuset-cpus",
        "0",
        "--cpuset-mems",
        "0",
        &name,
    ])
    .exits(0);
    let host = &e.inspect(&name)["HostConfig"];
    assert_eq!(
        (&host["CpuPeriod"], &host["CpuQuota"]),
        (&json!(50_000), &json!(20_000))
    );
    assert_eq!(
        (&host["CpusetCpus"], &host["CpusetMems"]),
        (&json!("0"), &json!("0"))
    );
    let inside = e.cli(&[
        "exec",
        &name,
        "sh",
        "-c",
        "grep Cpus_allowed_list /proc/self/status",
    ]);
    assert!(inside.ok().ends_with("\t0"), "{inside:?}");
    e.cli(&["update", "--cpuset-cpus", "4096", &name])
        .exits(1)
        .complains("Requested CPUs are not available");
});

case!(processes, |e| {
    let name = e.background("n", &["--pids-limit", "50"], "sleep 100");
    e.cli(&["update", "--pids-limit", "1", &name]).exits(0);
    assert_eq!(e.inspect(&name)["HostConfig"]["PidsLimit"], 1);
    let forks = ["exec", &name, "sh", "-c", "(exit 0) & wait $!"];
    let failed = e.cli(&forks);
    assert!(failed.code != 0, "{failed:?}");
    e.cli(&["update", "--pids-limit", "-1", &name]).exits(0);
    e.cli(&forks).exits(0);
});

case!(of_one_that_does_not_run, |e| {
    let name = e.name("s");
    e.cli(&[
        "create",
        "--network",
        "none",
        "-m",
        "64m",
        "--name",
        &name,
        BOX,
        "sleep",
        "100",
    ])
    .exits(0);
    e.cli(&["update", "-m", "70m", &name]).exits(0);
    e.cli(&["start", &name]).exits(0);
    let stats = e
        .get_path(&format!("/containers/{name}/stats?stream=0&one-shot=1"))
        .is(200)
        .json();
    assert_eq!(stats["memory_stats"]["limit"], 70 << 20);
});

case!(the_restart_policy, |e| {
    let name = e.background("r", &[], "sleep 1; exit 3");
    e.cli(&["update", "--restart", "on-failure:1", &name])
        .exits(0);
    assert_eq!(
        e.inspect(&name)["HostConfig"]["RestartPolicy"],
        json!({"Name": "on-failure", "MaximumRetryCount": 1})
    );
    eventually("it ended twice", || {
        let one = e.inspect(&name);
        (one["RestartCount"] == 1 && one["State"]["Status"] == "exited").then_some(())
    });
    e.cli(&["update", "--restart", "foo", &name])
        .exits(1)
        .complains("unknown policy 'foo'");
});

case!(what_cannot_be, |e| {
    let name = e.background("x", &["--rm"], "sleep 100");
    e.cli(&["update", "--restart", "always", &name])
        .exits(1)
        .complains("Restart policy cannot be updated because AutoRemove is enabled");
    e.cli(&["update", "-m", "1m", &name])
        .exits(1)
        .complains("Minimum memory limit allowed is 6MB");
    e.cli(&["update", "-m", "64m", "no-such"])
        .exits(1)
        .complains("No such container: no-such");
    e.cli(&["update", &name])
        .exits(1)
        .complains("you must provide one or more flags when using this command");
});
