//! `run`'s options, as the container or the kernel has them.

use serde_json::json;
use testkit::{BOX, Engine, case};

/// Runs `script` with `options` and compares what it says.
#[track_caller]
fn inside(e: &Engine, options: &[&str], script: &str, wanted: &str) {
    e.sh(options, script).exits(0).says(&format!("{wanted}\n"));
}

/// As [`inside`], with the first of the cgroup's `files` that exists: names of version 2, then of 1.
#[track_caller]
fn limit(e: &Engine, options: &[&str], files: &[&str], wanted: &[&str]) {
    let files = files.join(" ");
    let script =
        format!("cd /sys/fs/cgroup; for f in {files}; do [ -e $f ] && cat $f && break; done");
    let output = e.sh(options, &script);
    assert!(wanted.contains(&output.ok()), "{output:?}");
}

/// Two containers that share what `ns` names have one of it; one that does not has another.
#[track_caller]
fn shared(e: &Engine, options: &[&str], ns: &str) {
    let script = format!("readlink /proc/self/ns/{ns}");
    let first = e.sh(options, &script).ok().to_owned();
    assert_eq!(e.sh(options, &script).ok(), first);
    assert_ne!(e.sh(&[], &script).ok(), first);
}

case!(hosts, |e| {
    inside(
        e,
        &["--add-host", "beacon:1.2.3.4"],
        "grep beacon /etc/hosts",
        "1.2.3.4\tbeacon",
    );
});

case!(only_the_attached_stream, |e| {
    let output = e.sh(&["-a", "stdout"], "echo out; echo err >&2");
    output.exits(0).says("out\n");
    assert_eq!(output.stderr, "");
});

case!(capabilities, |e| {
    let set = "grep CapEff /proc/self/status | cut -f2";
    inside(e, &["--cap-drop", "ALL"], set, "0000000000000000");
    inside(e, &["--cap-add", "NET_ADMIN"], set, "00000000a80435fb");
    inside(
        e,
        &["--cap-drop", "ALL", "--cap-add", "CHOWN"],
        set,
        "0000000000000001",
    );
    let all = e.sh(&["--privileged"], set);
    assert!(all.ok() > "000001ff00000000", "{all:?}");
    e.sh(&["--cap-add", "NOSUCH"], "true").exits(125);
});

case!(control_group_namespace, |e| {
    let script = "grep -c ':/$' /proc/self/cgroup";
    let output = e.sh(&["--cgroupns", "private"], script);
    let count: u32 = output.ok().parse().expect("a number");
    assert!(count >= 1, "{output:?}");
    e.sh(
        &["--cgroupns", "host"],
        "grep -c ':/$' /proc/self/cgroup | grep -qx 0",
    )
    .exits(0);
});

case!(processor_time, |e| {
    let both = ["--cpu-period", "50000", "--cpu-quota", "20000"];
    limit(
        e,
        &both,
        &["cpu.max", "cpu/cpu.cfs_period_us"],
        &["20000 50000", "50000"],
    );
    limit(
        e,
        &both,
        &["cpu.max", "cpu/cpu.cfs_quota_us"],
        &["20000 50000", "20000"],
    );
    limit(
        e,
        &["-c", "512"],
        &["cpu.weight", "cpu/cpu.shares"],
        &["20", "59", "512"],
    );
    inside(
        e,
        &["--cpuset-cpus", "0"],
        "grep Cpus_allowed_list /proc/self/status | cut -f2",
        "0",
    );
    e.sh(&["--cpuset-mems", "77"], "true").exits(125);
});

case!(names_of_the_resolver, |e| {
    let options = [
        "--dns",
        "192.0.2.9",
        "--dns-option",
        "ndots:3",
        "--dns-search",
        "harbour.test",
    ];
    let output = e.sh(&options, "cat /etc/resolv.conf");
    for line in [
        "nameserver 192.0.2.9",
        "options ndots:3",
        "search harbour.test",
    ] {
        assert!(
            output.ok().lines().any(|seen| seen == line),
            "{line}: {output:?}"
        );
    }
    let output = e.sh(&["--dns-opt", "ndots:4"], "cat /etc/resolv.conf");
    assert!(output.ok().contains("ndots:4"), "{output:?}");
});

case!(domain_name, |e| {
    inside(
        e,
        &["--domainname", "harbour.test"],
        "cat /proc/sys/kernel/domainname",
        "harbour.test",
    );
});

case!(files_of_variables_and_labels, |e| {
    let file = e.temp().at("list");
    std::fs::write(&file, "# a comment\nONE=1\nTWO=two words\n").expect("a new file");
    inside(
        e,
        &["--env-file", &file],
        "echo $ONE; echo $TWO",
        "1\ntwo words",
    );
    let name = e.background("l", &["--label-file", &file], "sleep 100");
    assert_eq!(e.inspect(&name)["Config"]["Labels"]["TWO"], "two words");
});

case!(groups, |e| {
    inside(e, &["--group-add", "1300"], "id -G", "0 1300");
    inside(e, &["--group-add", "extra"], "id -G", "0 1300");
});

case!(namespaces_of_the_host, |e| {
    shared(e, &["--ipc", "host"], "ipc");
    shared(e, &["--pid", "host"], "pid");
    shared(e, &["--uts", "host"], "uts");
});

case!(a_log_that_is_not_kept, |e| {
    let name = e.background("n", &["--log-driver", "none"], "echo lost; sleep 100");
    e.cli(&["logs", &name])
        .exits(1)
        .complains("configured logging driver does not support reading");
});

case!(memory, |e| {
    let options = [
        "-m",
        "64m",
        "--memory-reservation",
        "32m",
        "--memory-swap",
        "96m",
    ];
    limit(
        e,
        &options,
        &["memory.low", "memory/memory.soft_limit_in_bytes"],
        &["33554432"],
    );
    limit(
        e,
        &options,
        &["memory.swap.max", "memory/memory.memsw.limit_in_bytes"],
        &["33554432", "100663296"],
    );
});

case!(memory_of_version_1, |e| {
    let name = e.name("m");
    let options = [
        "--memory-swappiness",
        "10",
        "--oom-kill-disable",
        "-m",
        "64m",
    ];
    let mut words = vec!["create", "--network", "none", "--name", &name];
    words.extend(options);
    words.extend([BOX, "true"]);
    let output = e.cli(&words);
    // Version 2 has neither: the daemon says so and goes on without.
    if output.exits(0).stderr.contains("not support") {
        return;
    }
    limit(e, &options, &["memory/memory.swappiness"], &["10"]);
    inside(
        e,
        &options,
        "grep oom_kill_disable /sys/fs/cgroup/memory/memory.oom_control",
        "oom_kill_disable 1",
    );
});

case!(mounts, |e| {
    std::fs::write(e.temp().path().join("mark"), "here\n").expect("a new file");
    let bind = format!(
        "type=bind,source={},target=/seen,readonly",
        e.temp().path().display()
    );
    inside(
        e,
        &["--mount", &bind],
        "cat /seen/mark; touch /seen/x 2>/dev/null || echo refused",
        "here\nrefused",
    );
    let tmpfs = "df -k /scratch | tail -1 | awk '{print $1, $2}'";
    inside(e, &["--tmpfs", "/scratch:size=1m"], tmpfs, "tmpfs 1024");
    inside(
        e,
        &["--mount", "type=tmpfs,target=/scratch,tmpfs-size=2m"],
        tmpfs,
        "tmpfs 2048",
    );
});

case!(out_of_memory_score, |e| {
    inside(
        e,
        &["--oom-score-adj", "500"],
        "cat /proc/self/oom_score_adj",
        "500",
    );
    e.sh(&["--oom-score-adj", "1001"], "true").exits(125);
});

case!(another_platform, |e| {
    let options = ["--pull", "never", "--platform", "linux/s390x"];
    e.sh(&options, "true").exits(125);
});

case!(an_unknown_runtime, |e| {
    e.sh(&["--runtime", "nosuch"], "true")
        .exits(125)
        .complains("unknown or invalid runtime name: nosuch");
});

case!(shared_memory, |e| {
    inside(
        e,
        &["--shm-size", "1m"],
        "df -k /dev/shm | tail -1 | awk '{print $2}'",
        "1024",
    );
});

case!(kernel_settings, |e| {
    inside(
        e,
        &["--sysctl", "kernel.shmmax=12345"],
        "cat /proc/sys/kernel/shmmax",
        "12345",
    );
});

case!(a_terminal, |e| {
    let script = "test -t 1 && echo yes || echo no";
    e.sh(&["-t"], script).exits(0).says("yes\r\n");
    e.sh(&[], script).exits(0).says("no\n");
});

case!(process_limits, |e| {
    inside(
        e,
        &["--ulimit", "nofile=100:200"],
        "ulimit -n; ulimit -Hn",
        "100\n200",
    );
});

case!(an_old_word_for_network, |e| {
    let output = e.cli(&[
        "run",
        "--rm",
        "--net",
        "host",
        BOX,
        "readlink",
        "/proc/self/ns/net",
    ]);
    let own = e.cli(&[
        "run",
        "--rm",
        "--net",
        "none",
        BOX,
        "readlink",
        "/proc/self/ns/net",
    ]);
    assert_ne!(output.ok(), own.ok());
    let again = e.cli(&[
        "run",
        "--rm",
        "--net",
        "host",
        BOX,
        "readlink",
        "/proc/self/ns/net",
    ]);
    assert_eq!(output.ok(), again.ok());
});

case!(what_only_inspect_shows, |e| {
    let options = [
        "--expose",
        "80",
        "--no-healthcheck",
        "--stop-timeout",
        "3",
        "--cpuset-mems",
        "0",
    ];
    let name = e.background("i", &options, "sleep 100");
    let seen = e.inspect(&name);
    assert_eq!(seen["Config"]["ExposedPorts"], json!({"80/tcp": {}}));
    assert_eq!(seen["Config"]["Healthcheck"]["Test"], json!(["NONE"]));
    assert_eq!(seen["Config"]["StopTimeout"], 3);
    assert_eq!(seen["HostConfig"]["CpusetMems"], "0");
});
