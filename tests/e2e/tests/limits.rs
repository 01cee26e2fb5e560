//! Memory, processes, cpu: limits as the kernel has them.

use testkit::{Engine, case};

/// Returns the words of a script that prints the first of the files which exists.
fn first_of(files: &[&str]) -> String {
    let files = files.join(" ");
    format!("for f in {files}; do [ -e /sys/fs/cgroup/$f ] && cat /sys/fs/cgroup/$f && break; done")
}

fn says(e: &Engine, options: &[&str], files: &[&str], wanted: &str) {
    e.sh(options, &first_of(files))
        .exits(0)
        .says(&format!("{wanted}\n"));
}

case!(memory, |e| {
    says(
        e,
        &["-m", "64m"],
        &["memory.max", "memory/memory.limit_in_bytes"],
        "67108864",
    );
});

case!(processes, |e| {
    says(
        e,
        &["--pids-limit", "20"],
        &["pids.max", "pids/pids.max"],
        "20",
    );
    let script = "i=0; while [ $i -lt 40 ]; do sleep 5 & i=$((i+1)); done; echo all";
    let output = e.sh(&["--pids-limit", "20"], script);
    assert_ne!(output.code, 0, "{output:?}");
    output.complains("can't fork");
});

case!(cpus, |e| {
    let script = first_of(&["cpu.max", "cpu/cpu.cfs_quota_us"]);
    let output = e.sh(&["--cpus", "0.5"], &script);
    assert!(
        ["50000 100000", "50000"].contains(&output.ok()),
        "{output:?}"
    );
});

case!(too_little_memory, |e| {
    e.sh(&["-m", "5m"], "true")
        .exits(125)
        .complains("Minimum memory limit allowed is 6MB");
});

case!(a_bad_size, |e| {
    e.sh(&["-m", "5x"], "true")
        .exits(125)
        .complains(r#"invalid argument "5x" for "-m, --memory" flag: invalid suffix: 'x'"#);
});

case!(too_much_memory_is_137, |e| {
    let name = e.name("oom");
    let script = "x=a; while :; do x=$x$x; done";
    let output = e.cli(&[
        "run",
        "--network",
        "none",
        "--name",
        &name,
        "-m",
        "16m",
        "--memory-swap",
        "16m",
        testkit::BOX,
        "sh",
        "-c",
        script,
    ]);
    output.exits(137);
    assert_eq!(e.inspect(&name)["State"]["OOMKilled"], true);
});

case!(shared_memory_has_a_size, |e| {
    e.sh(&[], "df -k /dev/shm | tail -1 | awk '{print $2}'")
        .exits(0)
        .says("65536\n");
});
