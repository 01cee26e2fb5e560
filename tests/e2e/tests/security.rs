//! What a container may do: capabilities, the system call filter, masked paths.

use testkit::case;

/// The 14 default capabilities as the kernel prints them.
const DEFAULT_CAPABILITIES: &str = "00000000a80425fb";

case!(default_capabilities, |e| {
    let output = e.sh(&[], "grep -E 'Cap(Prm|Eff|Bnd|Inh|Amb)' /proc/self/status");
    let wanted = format!(
        "CapInh:\t0000000000000000\nCapPrm:\t{DEFAULT_CAPABILITIES}\nCapEff:\t{DEFAULT_CAPABILITIES}\nCapBnd:\t{DEFAULT_CAPABILITIES}\nCapAmb:\t0000000000000000\n"
    );
    output.exits(0).says(&wanted);
});

case!(another_user_has_no_capability, |e| {
    let output = e.sh(&["-u", "1234"], "grep -E 'Cap(Prm|Eff)' /proc/self/status");
    output
        .exits(0)
        .says("CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n");
});

case!(the_filter_is_on, |e| {
    e.sh(&[], "grep '^Seccomp:' /proc/self/status")
        .exits(0)
        .says("Seccomp:\t2\n");
    e.sh(&[], "grep NoNewPrivs /proc/self/status")
        .exits(0)
        .says("NoNewPrivs:\t0\n");
    e.sh(
        &["--security-opt", "no-new-privileges"],
        "grep NoNewPrivs /proc/self/status",
    )
    .exits(0)
    .says("NoNewPrivs:\t1\n");
});

case!(the_filter_bites, |e| {
    let output = e.sh(&[], "unshare -U true");
    assert_ne!(output.code, 0, "{output:?}");
    output.complains("Operation not permitted");
    let output = e.sh(&[], "mount -t tmpfs tmpfs /tmp");
    assert_ne!(output.code, 0, "{output:?}");
});

case!(exec_is_held_as_well, |e| {
    let name = e.background("x", &[], "sleep 100");
    let script = "grep CapEff /proc/self/status; grep '^Seccomp:' /proc/self/status";
    e.cli(&["exec", &name, "sh", "-c", script])
        .exits(0)
        .says(&format!("CapEff:\t{DEFAULT_CAPABILITIES}\nSeccomp:\t2\n"));
});

case!(masked_paths, |e| {
    e.sh(&[], "cat /proc/kcore | head -c 1 | wc -c")
        .exits(0)
        .says("0\n");
    e.sh(&[], "ls /sys/firmware 2>/dev/null | wc -l")
        .exits(0)
        .says("0\n");
});

case!(read_only_paths, |e| {
    for path in [
        "/proc/sysrq-trigger",
        "/proc/sys/kernel/hostname",
        "/sys/kernel/mm",
    ] {
        let script = format!("if [ -d {path} ]; then echo x > {path}/x; else echo x > {path}; fi");
        let output = e.sh(&[], &script);
        assert_ne!(output.code, 0, "{path}: {output:?}");
    }
});

case!(default_devices, |e| {
    let wanted = "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero";
    // A terminal has a console, and a kernel that shows its memory has a core.
    let output = e.sh(&[], "ls /dev");
    let seen: Vec<_> = output
        .ok()
        .lines()
        .filter(|line| !["console", "core"].contains(line))
        .collect();
    assert_eq!(seen.join(" "), wanted);
    e.sh(
        &[],
        "head -c 3 /dev/zero | wc -c; echo x > /dev/null; readlink /dev/fd; readlink /dev/ptmx",
    )
    .exits(0)
    .says("3\n/proc/self/fd\npts/ptmx\n");
});

case!(devices_are_walled_off, |e| {
    let output = e.sh(&[], "mknod /disk b 254 0 && head -c 1 /disk");
    assert_ne!(output.code, 0, "{output:?}");
});

case!(default_mounts, |e| {
    let output = e.sh(&[], "while read a b c d; do case $b in /proc|/dev|/dev/pts|/sys|/dev/mqueue|/dev/shm|/sys/fs/cgroup) echo $b $c;; esac; done < /proc/mounts | sort");
    output.exits(0);
    for line in [
        "/dev tmpfs",
        "/dev/mqueue mqueue",
        "/dev/pts devpts",
        "/dev/shm tmpfs",
        "/proc proc",
        "/sys sysfs",
    ] {
        assert!(output.stdout.contains(line), "{line}: {output:?}");
    }
});
