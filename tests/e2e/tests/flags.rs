//! Flags of `run` and `create` that are one setting each: what the program inside sees of them.

use serde_json::{Value, json};
use testkit::{BOX, Engine, case};

/// Runs `script` with `options` by `run`, and by `create` and `start`; it says `wanted` each time.
#[track_caller]
pub(crate) fn both(e: &Engine, options: &[&str], script: &str, wanted: &str) {
    e.sh(options, script).exits(0).says(wanted);
    let name = create(e, options, script);
    e.cli(&["start", "-a", &name]).exits(0).says(wanted);
    e.cli(&["rm", &name]).exits(0);
}

/// Creates a container and returns its name.
#[track_caller]
pub(crate) fn create(e: &Engine, options: &[&str], script: &str) -> String {
    let name = e.name("flag");
    let mut words = vec!["create", "--network", "none", "--name", &name];
    words.extend(options);
    words.extend([BOX, "sh", "-c", script]);
    e.cli(&words).exits(0);
    name
}

/// Checks what inspect says of containers of `create` and of `run`.
#[track_caller]
pub(crate) fn recorded(e: &Engine, options: &[&str], pointer: &str, wanted: &Value) {
    let name = create(e, options, "true");
    assert_eq!(e.inspect(&name).pointer(pointer), Some(wanted));
    e.cli(&["rm", &name]).exits(0);
    let mut words = vec!["run", "--network", "none", "--name", &name];
    words.extend(options);
    words.extend([BOX, "true"]);
    e.cli(&words);
    assert_eq!(e.inspect(&name).pointer(pointer), Some(wanted));
    e.cli(&["rm", &name]).exits(0);
}

/// Returns the words of a script that prints the first of the files which exists.
pub(crate) fn first_of(files: &[&str]) -> String {
    let files = files.join(" ");
    format!("for f in {files}; do [ -e /sys/fs/cgroup/$f ] && cat /sys/fs/cgroup/$f && break; done")
}

case!(names_and_addresses, |e| {
    let options = ["--add-host", "a.b:1.2.3.4", "--add-host", "c=5.6.7.8"];
    both(
        e,
        &options,
        "grep -E '1.2.3.4|5.6.7.8' /etc/hosts",
        "1.2.3.4\ta.b\n5.6.7.8\tc\n",
    );
    let options = ["--dns", "1.1.1.1", "--dns-search", "ex.org"];
    let mut options = options.to_vec();
    options.extend(["--dns-opt", "ndots:2", "--dns-option", "rotate"]);
    both(
        e,
        &options,
        "grep -v '^#' /etc/resolv.conf | grep .",
        "nameserver 1.1.1.1\nsearch ex.org\noptions ndots:2 rotate\n",
    );
    both(
        e,
        &["-h", "h", "--domainname", "d.e"],
        "hostname; cat /proc/sys/kernel/domainname",
        "h\nd.e\n",
    );
});

case!(capabilities, |e| {
    let script = "grep CapEff /proc/self/status | cut -f2";
    both(e, &["--cap-add", "NET_ADMIN"], script, "00000000a80435fb\n");
    both(e, &["--cap-drop", "ALL"], script, "0000000000000000\n");
    both(
        e,
        &["--cap-drop", "ALL", "--cap-add", "CHOWN"],
        script,
        "0000000000000001\n",
    );
    both(
        e,
        &["--privileged"],
        "grep -c 'Seccomp:.0' /proc/self/status; [ -e /dev/kmsg ] && echo all",
        "1\nall\n",
    );
});

case!(processor, |e| {
    let quota = first_of(&["cpu.max", "cpu/cpu.cfs_quota_us"]);
    let options = ["--cpu-period", "50000", "--cpu-quota", "20000"];
    let output = e.sh(&options, &quota);
    assert!(["20000 50000", "20000"].contains(&output.ok()));
    both(e, &options, &quota, &output.stdout);
    recorded(e, &options, "/HostConfig/CpuPeriod", &json!(50_000));
    both(
        e,
        &["--cpuset-cpus", "0"],
        "grep Cpus_allowed_list /proc/self/status | cut -f2",
        "0\n",
    );
    both(
        e,
        &["--cpuset-mems", "0"],
        "grep Mems_allowed_list /proc/self/status | cut -f2",
        "0\n",
    );
    recorded(
        e,
        &["--cpuset-cpus", "0", "--cpuset-mems", "0"],
        "/HostConfig/CpusetMems",
        &json!("0"),
    );
    let shares = first_of(&["cpu.weight", "cpu/cpu.shares"]);
    let output = e.sh(&["--cpu-shares", "512"], &shares);
    assert!(["20", "59", "512"].contains(&output.ok()), "{output:?}");
    both(e, &["--cpu-shares", "512"], &shares, &output.stdout);
    let cpus = e.sh(&["--cpus", "0.5"], &quota);
    both(e, &["--cpus", "0.5"], &quota, &cpus.stdout);
    recorded(
        e,
        &["--cpus", "0.5"],
        "/HostConfig/NanoCpus",
        &json!(500_000_000),
    );
});

case!(memory, |e| {
    let mib = |n: u64| json!(n << 20);
    let options = ["-m", "20m", "--memory-reservation", "10m"];
    let mut options = options.to_vec();
    options.extend(["--memory-swap", "40m", "--memory-swappiness", "7"]);
    for (files, wanted) in [
        (["memory.max", "memory/memory.limit_in_bytes"], "20971520\n"),
        (
            ["memory.low", "memory/memory.soft_limit_in_bytes"],
            "10485760\n",
        ),
    ] {
        both(e, &options, &first_of(&files), wanted);
    }
    recorded(e, &options, "/HostConfig/MemorySwap", &mib(40));
    recorded(e, &options, "/HostConfig/MemoryReservation", &mib(10));
    recorded(e, &options, "/HostConfig/MemorySwappiness", &json!(7));
    let killer = ["-m", "20m", "--oom-kill-disable"];
    recorded(e, &killer, "/HostConfig/OomKillDisable", &json!(true));
    both(
        e,
        &["--pids-limit", "20"],
        &first_of(&["pids.max", "pids/pids.max"]),
        "20\n",
    );
});

case!(namespaces, |e| {
    let ours = |name: &str| {
        let link = std::fs::read_link(format!("/proc/self/ns/{name}")).expect("a namespace");
        format!("{}\n", link.display())
    };
    both(
        e,
        &["--ipc", "host"],
        "readlink /proc/self/ns/ipc",
        &ours("ipc"),
    );
    both(
        e,
        &["--uts", "host"],
        "readlink /proc/self/ns/uts",
        &ours("uts"),
    );
    both(
        e,
        &["--pid", "host"],
        "[ $$ -ne 1 ] && echo another",
        "another\n",
    );
    both(
        e,
        &["--cgroupns", "private"],
        "grep -vc ':/$' /proc/self/cgroup; true",
        "0\n",
    );
    both(e, &["--userns", "host"], "echo $$", "1\n");
});

case!(files_of_words, |e| {
    let file = e.temp().file("words", "A=1\n# a comment\nB\nC=x y\n");
    let mut command = e.command(&["run", "--rm", "--network", "none", "--env-file", &file]);
    command
        .args([BOX, "sh", "-c", "echo $A $B $C"])
        .env("B", "two");
    testkit::Program::start(&mut command)
        .finish()
        .exits(0)
        .says("1 two x y\n");
    both(e, &["--env-file", &file], "echo $A; echo $C", "1\nx y\n");
    both(e, &["-e", "D=4"], "echo $D", "4\n");
    let labels = json!({"A": "1", "C": "x y", "z": "9"});
    recorded(
        e,
        &["--label-file", &file, "-l", "z=9"],
        "/Config/Labels",
        &labels,
    );
    recorded(
        e,
        &["--expose", "80", "--expose", "90-91/udp"],
        "/Config/ExposedPorts",
        &json!({"80/tcp": {}, "90/udp": {}, "91/udp": {}}),
    );
});

case!(groups_and_scores, |e| {
    both(
        e,
        &["--group-add", "55", "--group-add", "extra"],
        "id -G",
        "0 55 1300\n",
    );
    both(
        e,
        &["--oom-score-adj", "77"],
        "cat /proc/self/oom_score_adj",
        "77\n",
    );
    both(
        e,
        &["--ulimit", "nofile=100:200", "--ulimit", "core=0"],
        "ulimit -n; ulimit -H -n; ulimit -c",
        "100\n200\n0\n",
    );
    both(
        e,
        &["--sysctl", "kernel.msgmax=9000"],
        "cat /proc/sys/kernel/msgmax",
        "9000\n",
    );
    both(
        e,
        &["--security-opt", "no-new-privileges"],
        "grep NoNewPrivs /proc/self/status | cut -f2",
        "1\n",
    );
});

case!(mounts, |e| {
    e.temp().file("note", "from the host\n");
    let place = e.temp().path().display().to_string();
    let bind = format!("type=bind,src={place},dst=/m,readonly");
    both(
        e,
        &["--mount", &bind],
        "cat /m/note; touch /m/x 2>/dev/null || echo refused",
        "from the host\nrefused\n",
    );
    both(
        e,
        &["-v", &format!("{place}:/m:ro")],
        "cat /m/note",
        "from the host\n",
    );
    both(
        e,
        &["--mount", "type=tmpfs,dst=/t,tmpfs-size=64k,tmpfs-mode=700"],
        "stat -c %a /t; df -k /t | tail -1 | awk '{print $2}'",
        "700\n64\n",
    );
    both(
        e,
        &["--tmpfs", "/t:size=64k,mode=711"],
        "stat -c %a /t; df -k /t | tail -1 | awk '{print $2}'",
        "711\n64\n",
    );
    both(
        e,
        &["--shm-size", "5m"],
        "df -k /dev/shm | tail -1 | awk '{print $2}'",
        "5120\n",
    );
    both(
        e,
        &["--read-only"],
        "touch /x 2>/dev/null || echo refused",
        "refused\n",
    );
});

case!(what_runs_it, |e| {
    both(e, &["--runtime", "runc"], "echo hi", "hi\n");
    both(e, &["--platform", "linux/amd64"], "echo hi", "hi\n");
    both(e, &["--pull", "never", "--quiet"], "echo hi", "hi\n");
    both(e, &["--entrypoint", ""], "echo hi", "hi\n");
    both(
        e,
        &["-u", "tester", "-w", "/tmp"],
        "id -u; pwd",
        "1234\n/tmp\n",
    );
    recorded(
        e,
        &["--no-healthcheck"],
        "/Config/Healthcheck/Test",
        &json!(["NONE"]),
    );
    recorded(
        e,
        &["--stop-timeout", "3"],
        "/Config/StopTimeout",
        &json!(3),
    );
    recorded(
        e,
        &["--stop-signal", "USR1"],
        "/Config/StopSignal",
        &json!("USR1"),
    );
    for option in ["--network", "--net"] {
        let words = ["run", "--rm", option, "host", BOX, "readlink"];
        let mut words = words.to_vec();
        words.push("/proc/self/ns/net");
        let host = e.cli(&words).ok().to_owned();
        words[3] = "none";
        assert_ne!(e.cli(&words).ok(), host);
        let name = e.name("net");
        words[0] = "create";
        words.splice(1..2, ["--name", &name]);
        e.cli(&words).exits(0);
        assert_ne!(e.cli(&["start", "-a", &name]).ok(), host);
        e.cli(&["rm", &name]).exits(0);
    }
});

case!(a_stop_waits_as_long_as_it_was_told, |e| {
    let script = "trap '' TERM; while :; do sleep 0.1; done";
    for option in [&["--stop-timeout", "1"][..], &[]] {
        let name = create(e, option, script);
        e.cli(&["start", &name]).exits(0);
        let begun = std::time::Instant::now();
        let more = if option.is_empty() { "-t" } else { "-s" };
        let value = if option.is_empty() { "1" } else { "TERM" };
        e.cli(&["stop", more, value, &name]).exits(0);
        assert!(begun.elapsed().as_secs() < 9, "not ten seconds");
        assert_eq!(e.inspect(&name)["State"]["ExitCode"], 137);
        e.cli(&["rm", &name]).exits(0);
    }
});

case!(which_streams, |e| {
    let script = "echo out; echo err >&2";
    e.sh(&["-a", "stdout"], script)
        .exits(0)
        .says("out\n")
        .errs("");
    e.sh(&["-a", "stderr"], script)
        .exits(0)
        .says("")
        .errs("err\n");
    let name = create(e, &["-i", "-a", "stdin"], "cat");
    assert_eq!(e.inspect(&name)["Config"]["AttachStdin"], true);
    assert_eq!(e.inspect(&name)["Config"]["AttachStdout"], false);
    e.cli_with("hi\n", &["start", "-a", "-i", &name])
        .exits(0)
        .says("hi\n");
    e.cli(&["rm", &name]).exits(0);
    recorded(e, &["-t"], "/Config/Tty", &json!(true));
    let log = ["--log-driver", "none"];
    let name = create(e, &log, "echo x");
    e.cli(&["start", "-a", &name]).exits(0).says("x\n");
    e.cli(&["logs", &name])
        .exits(1)
        .errs("Error response from daemon: configured logging driver does not support reading\n");
    e.cli(&["rm", &name]).exits(0);
    recorded(e, &log, "/HostConfig/LogConfig/Type", &json!("none"));
    recorded(
        e,
        &["--log-opt", "max-size=4k"],
        "/HostConfig/LogConfig/Config/max-size",
        &json!("4k"),
    );
});

case!(removed_and_noted, |e| {
    let file = e.temp().at("cid");
    let name = create(e, &["--rm", "--cidfile", &file], "exit 3");
    let id = std::fs::read_to_string(&file).expect("the file");
    assert_eq!(e.inspect(&name)["Id"], id);
    e.cli(&["start", "-a", &name]).exits(3);
    testkit::eventually("the container is gone", || {
        (e.get_path(&format!("/containers/{name}/json")).status == 404).then_some(())
    });
});

case!(groups_of_its_own_choice, |e| {
    let parent = format!("/{}-{}", e.name("parent"), std::process::id());
    let script =
        "grep -E '^(0:|[0-9]+:pids)' /proc/self/cgroup | tail -1 | cut -d: -f3 | cut -d/ -f2";
    let wanted = format!("{}\n", &parent[1..]);
    both(e, &["--cgroup-parent", &parent], script, &wanted);
    recorded(
        e,
        &["--cgroup-parent", &parent],
        "/HostConfig/CgroupParent",
        &json!(parent),
    );
    // As in Docker it stays, for somebody may have set its limits; here nobody needs it.
    let places = std::fs::read_dir("/sys/fs/cgroup")
        .expect("cgroups")
        .flatten();
    let mut places: Vec<_> = places.map(|one| one.path().join(&parent[1..])).collect();
    places.push(std::path::PathBuf::from(format!("/sys/fs/cgroup{parent}")));
    testkit::eventually("the parent is empty", || {
        for place in &places {
            drop(std::fs::remove_dir(place));
        }
        places.iter().all(|place| !place.exists()).then_some(())
    });
});

case!(real_time, |e| {
    let path = "/sys/fs/cgroup/cpu/cpu.rt_period_us";
    let script = format!("[ -e {path} ] && cat {path} || echo 500000");
    both(e, &["--cpu-rt-period", "500000"], &script, "500000\n");
    recorded(
        e,
        &["--cpu-rt-period", "500000"],
        "/HostConfig/CpuRealtimePeriod",
        &json!(500_000),
    );
    let options = ["--cpu-rt-period", "1000", "--cpu-rt-runtime", "9500"];
    let text = "cpu real-time runtime cannot be higher than cpu real-time period";
    e.sh(&options, "true").exits(125).complains(text);
    let words = [
        "create",
        "--cpu-rt-period",
        "1000",
        "--cpu-rt-runtime",
        "9500",
    ];
    e.cli(&[&words[..], &[BOX, "true"]].concat())
        .exits(1)
        .errs(&format!("Error response from daemon: {text}\n"));
    e.sh(&["--cpu-rt-period", "-1"], "true").exits(125);
});

case!(words_of_ones_own, |e| {
    recorded(
        e,
        &["--annotation", "a.b/c=d", "--annotation", "e"],
        "/HostConfig/Annotations",
        &json!({"a.b/c": "d", "e": ""}),
    );
    e.sh(&["--annotation", "=b"], "true")
        .exits(125)
        .complains("invalid Annotations: the empty string is not permitted as an annotation key");
    recorded(
        e,
        &["--userns", "host"],
        "/HostConfig/UsernsMode",
        &json!("host"),
    );
});

case!(storage_that_cannot_be_limited, |e| {
    for (option, text) in [
        (
            "size=10m",
            "Error response from daemon: --storage-opt is supported only for overlay over xfs \
             with 'pquota' mount option",
        ),
        ("foo=1", "Error response from daemon: Unknown option foo"),
        ("x", "invalid storage option"),
    ] {
        let output = e.sh(&["--storage-opt", option], "true");
        output.exits(125).complains(&format!("docker: {text}\n"));
    }
});

case!(the_engines_socket, |e| {
    let output = e.sh(
        &["--use-api-socket"],
        "test -S /var/run/docker.sock && echo there",
    );
    // A machine without an engine of its own has none to show.
    if std::path::Path::new("/var/run/docker.sock").exists() {
        output.exits(0).says("there\n");
    } else {
        output.exits(125).complains(
            "invalid mount config for type \"bind\": bind source path does not exist: \
             /var/run/docker.sock",
        );
    }
    let output = e.cli(&["create", "--use-api-socket", BOX, "true"]);
    let refused = output.code == 1 && output.stderr.contains("/var/run/docker.sock");
    assert!(
        refused || std::path::Path::new("/var/run/docker.sock").exists(),
        "{output:?}"
    );
});
