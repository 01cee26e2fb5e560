//! `create`'s options: each is kept, and inspect shows it as Docker's does.

use serde_json::{Value, json};
use testkit::{BOX, Engine, case};

/// Creates a container with `options` and compares what inspect says at each of the pointers.
#[track_caller]
fn kept(e: &Engine, options: &[&str], wanted: &[(&str, Value)]) {
    let name = e.name("kept");
    let mut words = vec!["create", "--name", &name];
    words.extend(options);
    words.extend([BOX, "true"]);
    e.cli(&words).exits(0);
    let seen = e.inspect(&name);
    for (pointer, value) in wanted {
        assert_eq!(seen.pointer(pointer), Some(value), "{pointer}");
    }
    e.cli(&["rm", &name]).exits(0);
}

case!(network, |e| {
    kept(
        e,
        &["--network", "host"],
        &[("/HostConfig/NetworkMode", json!("host"))],
    );
    kept(
        e,
        &["--net", "host"],
        &[("/HostConfig/NetworkMode", json!("host"))],
    );
    kept(
        e,
        &["--network", "none", "--add-host", "beacon:1.2.3.4"],
        &[("/HostConfig/ExtraHosts", json!(["beacon:1.2.3.4"]))],
    );
    kept(
        e,
        &[
            "--network",
            "none",
            "--dns",
            "192.0.2.9",
            "--dns-option",
            "ndots:3",
            "--dns-search",
            "harbour.test",
        ],
        &[
            ("/HostConfig/Dns", json!(["192.0.2.9"])),
            ("/HostConfig/DnsOptions", json!(["ndots:3"])),
            ("/HostConfig/DnsSearch", json!(["harbour.test"])),
        ],
    );
    kept(
        e,
        &["--network", "none", "--dns-opt", "ndots:4"],
        &[("/HostConfig/DnsOptions", json!(["ndots:4"]))],
    );
    kept(
        e,
        &["--network", "none", "--expose", "80", "--expose", "9/udp"],
        &[("/Config/ExposedPorts", json!({"80/tcp": {}, "9/udp": {}}))],
    );
});

case!(streams, |e| {
    kept(
        e,
        &["--network", "none", "-a", "stdout"],
        &[
            ("/Config/AttachStdout", json!(true)),
            ("/Config/AttachStderr", json!(false)),
        ],
    );
    kept(
        e,
        &["--network", "none", "-i", "-t"],
        &[
            ("/Config/OpenStdin", json!(true)),
            ("/Config/Tty", json!(true)),
        ],
    );
    kept(
        e,
        &["--network", "none", "--log-driver", "none"],
        &[("/HostConfig/LogConfig/Type", json!("none"))],
    );
    kept(
        e,
        &["--network", "none", "--log-opt", "max-size=1m"],
        &[("/HostConfig/LogConfig/Config/max-size", json!("1m"))],
    );
});

case!(rights, |e| {
    kept(
        e,
        &[
            "--network",
            "none",
            "--cap-add",
            "NET_ADMIN",
            "--cap-drop",
            "chown",
            "--security-opt",
            "no-new-privileges",
            "--group-add",
            "1300",
            "--read-only",
        ],
        &[
            ("/HostConfig/CapAdd", json!(["CAP_NET_ADMIN"])),
            ("/HostConfig/CapDrop", json!(["CAP_CHOWN"])),
            ("/HostConfig/SecurityOpt", json!(["no-new-privileges"])),
            ("/HostConfig/GroupAdd", json!(["1300"])),
            ("/HostConfig/ReadonlyRootfs", json!(true)),
        ],
    );
    kept(
        e,
        &["--network", "none", "--privileged"],
        &[
            ("/HostConfig/Privileged", json!(true)),
            ("/HostConfig/MaskedPaths", json!(null)),
        ],
    );
});

case!(namespaces, |e| {
    kept(
        e,
        &[
            "--network",
            "none",
            "--ipc",
            "host",
            "--pid",
            "host",
            "--uts",
            "host",
            "--cgroupns",
            "private",
        ],
        &[
            ("/HostConfig/IpcMode", json!("host")),
            ("/HostConfig/PidMode", json!("host")),
            ("/HostConfig/UTSMode", json!("host")),
            ("/HostConfig/CgroupnsMode", json!("private")),
        ],
    );
});

case!(processor, |e| {
    kept(
        e,
        &[
            "--network",
            "none",
            "--cpu-period",
            "50000",
            "--cpu-quota",
            "20000",
            "-c",
            "512",
            "--cpuset-cpus",
            "0",
            "--cpuset-mems",
            "0",
        ],
        &[
            ("/HostConfig/CpuPeriod", json!(50_000)),
            ("/HostConfig/CpuQuota", json!(20_000)),
            ("/HostConfig/CpuShares", json!(512)),
            ("/HostConfig/CpusetCpus", json!("0")),
            ("/HostConfig/CpusetMems", json!("0")),
        ],
    );
    kept(
        e,
        &["--network", "none", "--cpus", "0.5"],
        &[("/HostConfig/NanoCpus", json!(500_000_000))],
    );
});

case!(memory, |e| {
    kept(
        e,
        &[
            "--network",
            "none",
            "-m",
            "64m",
            "--memory-reservation",
            "32m",
            "--memory-swap",
            "96m",
            "--oom-score-adj",
            "500",
            "--pids-limit",
            "20",
            "--shm-size",
            "1m",
        ],
        &[
            ("/HostConfig/Memory", json!(67_108_864)),
            ("/HostConfig/MemoryReservation", json!(33_554_432)),
            ("/HostConfig/MemorySwap", json!(100_663_296)),
            ("/HostConfig/OomScoreAdj", json!(500)),
            ("/HostConfig/PidsLimit", json!(20)),
            ("/HostConfig/ShmSize", json!(1_048_576)),
        ],
    );
});

case!(memory_of_version_1, |e| {
    let name = e.name("kept");
    let words = [
        "create",
        "--network",
        "none",
        "--name",
        &name,
        "--memory-swappiness",
        "10",
        "--oom-kill-disable",
        "-m",
        "64m",
        BOX,
        "true",
    ];
    // Version 2 has neither: the daemon says so and goes on without.
    if e.cli(&words).exits(0).stderr.contains("not support") {
        return;
    }
    let seen = e.inspect(&name);
    assert_eq!(seen["HostConfig"]["MemorySwappiness"], 10);
    assert_eq!(seen["HostConfig"]["OomKillDisable"], true);
});

case!(files, |e| {
    let list = e.temp().at("list");
    std::fs::write(&list, "ONE=1\nTWO=two words\n").expect("a new file");
    let id = e.temp().at("id");
    let bind = format!("{}:/seen:ro", e.temp().path().display());
    kept(
        e,
        &[
            "--network",
            "none",
            "--env-file",
            &list,
            "--label-file",
            &list,
            "--cidfile",
            &id,
            "-v",
            &bind,
            "--tmpfs",
            "/scratch:size=1m",
            "--mount",
            "type=tmpfs,target=/more",
        ],
        &[
            ("/Config/Labels/TWO", json!("two words")),
            ("/Config/Env/0", json!("ONE=1")),
            ("/HostConfig/Binds", json!([bind])),
            ("/HostConfig/Tmpfs", json!({"/scratch": "size=1m"})),
            ("/HostConfig/Mounts/0/Target", json!("/more")),
        ],
    );
    assert_eq!(std::fs::read_to_string(&id).map_or(0, |id| id.len()), 64);
});

case!(process, |e| {
    kept(
        e,
        &[
            "--network",
            "none",
            "-e",
            "A=1",
            "--domainname",
            "harbour.test",
            "--no-healthcheck",
            "--stop-signal",
            "SIGINT",
            "--stop-timeout",
            "3",
            "--sysctl",
            "kernel.shmmax=12345",
            "--ulimit",
            "nofile=100:200",
            "--rm",
        ],
        &[
            ("/Config/Env/0", json!("A=1")),
            ("/Config/Domainname", json!("harbour.test")),
            ("/Config/Healthcheck/Test", json!(["NONE"])),
            ("/Config/StopSignal", json!("SIGINT")),
            ("/Config/StopTimeout", json!(3)),
            ("/HostConfig/Sysctls", json!({"kernel.shmmax": "12345"})),
            (
                "/HostConfig/Ulimits",
                json!([{"Name": "nofile", "Hard": 200, "Soft": 100}]),
            ),
            ("/HostConfig/AutoRemove", json!(true)),
        ],
    );
});

case!(what_is_refused, |e| {
    for options in [
        ["--pull=never", "--platform", "linux/s390x", BOX, "true"],
        ["--pull=never", "--runtime", "nosuch", BOX, "true"],
    ] {
        let mut words = vec!["create", "--network", "none"];
        words.extend(options);
        e.cli(&words).exits(1);
    }
    let output = e.cli(&["create", "--pull", "never", "no-such:1"]);
    output.exits(1).complains("No such image: no-such:1");
});
