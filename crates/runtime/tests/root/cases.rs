//! The cases, each from a sentence that somebody relies on.

use std::os::fd::AsFd;

use runtime::Stdio;

use crate::bundle::{Bundle, pipes, read_terminal, write};
use crate::hostile::{self, in_a_process};

type Case = fn();

pub(crate) const ALL: &[(&str, Case)] = &[
    ("root_is_process_one", is_process_one),
    ("root_exit_codes", exit_codes),
    ("root_mounts", mounts),
    ("root_capabilities", capabilities),
    ("root_covered_paths", covered_paths),
    ("root_program_lookup", program_lookup),
    ("root_binds", binds),
    ("root_terminal", terminal),
    ("root_exec", exec),
    ("root_failures_leave_nothing", failures_leave_nothing),
    (
        "root_every_failed_call_leaves_nothing",
        hostile::every_failed_call_leaves_nothing,
    ),
    (
        "root_cve_2024_21626_workdir_fd",
        hostile::cve_2024_21626_workdir_fd,
    ),
    (
        "root_cve_2019_16884_hostile_proc",
        hostile::cve_2019_16884_hostile_proc,
    ),
    (
        "root_cve_2019_19921_links_for_proc",
        hostile::cve_2019_19921_links_for_proc,
    ),
    ("root_frozen", frozen),
    ("root_propagation", propagation),
    ("root_seccomp", seccomp),
    ("root_kernel_parameters", kernel_parameters),
    ("root_readonly_and_nodes", readonly_and_nodes),
    ("root_shared_namespaces", shared_namespaces),
];

fn is_process_one() {
    let bundle =
        Bundle::new("echo $$; hostname; cat /proc/1/comm; ls -l /proc/self/fd | wc -l; env");
    let stdout = bundle.stdout();
    let lines: Vec<&str> = stdout.lines().collect();
    assert_eq!(lines[..3], ["1", "box", "sh"], "{stdout}");
    // total, 0, 1, 2 and the directory itself.
    assert_eq!(lines[3], "5", "{stdout}");
    assert!(lines.contains(&"HOME=/root"), "{stdout}");
}

fn exit_codes() {
    assert_eq!(Bundle::new("exit 7").run().unwrap().code, 7);
    let bundle = Bundle::new("sleep 100");
    let (stdio, pipes) = pipes();
    let (mut container, child) = bundle.create(stdio).unwrap();
    container.start().unwrap();
    assert!(container.start().is_err(), "a second start");
    sys::pidfd::send_signal(child.pidfd.as_fd(), 9).unwrap();
    assert_eq!(pipes.finish(&child).code, 137);
    container.destroy().unwrap();
}

/// Tells whether this machine has cgroup v2 alone.
fn on_v2() -> bool {
    std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

fn mounts() {
    let bundle = Bundle::new("cat /proc/self/mountinfo; ls /sys/fs/cgroup; ls -l /dev");
    let stdout = bundle.stdout();
    let has = |place: &str, flags: &str, kind: &str| {
        let found = stdout
            .lines()
            .find(|line| line.split(' ').nth(4) == Some(place));
        let line = found.unwrap_or_else(|| panic!("{place} in {stdout}"));
        assert!(line.contains(flags), "{line}");
        assert!(line.contains(&format!(" - {kind} ")), "{line}");
    };
    has("/", " rw,relatime ", "overlay");
    has("/proc", " rw,nosuid,nodev,noexec,relatime ", "proc");
    has("/dev", " rw,nosuid ", "tmpfs");
    has("/dev/pts", " rw,nosuid,noexec,relatime ", "devpts");
    has("/sys", " ro,nosuid,nodev,noexec,relatime ", "sysfs");
    let groups = if on_v2() { "cgroup2" } else { "tmpfs" };
    has("/sys/fs/cgroup", " ro,nosuid,nodev,noexec", groups);
    has("/dev/mqueue", " rw,nosuid,nodev,noexec,relatime ", "mqueue");
    has("/dev/shm", " rw,nosuid,nodev,noexec,relatime ", "tmpfs");
    has("/proc/sys", " ro,", "proc");
    has("/sys/firmware", " ro,", "tmpfs");
    for word in [
        "ptmx -> pts/ptmx",
        "fd -> /proc/self/fd",
        "1,   3",
        "urandom",
    ] {
        assert!(stdout.contains(word), "{word} in {stdout}");
    }
}

fn capabilities() {
    let mut bundle = Bundle::new("cat /proc/self/status; id -u; id -g; id -G");
    let stdout = bundle.stdout();
    let has = |stdout: &str, key: &str, value: &str| {
        let found = stdout.lines().find_map(|line| line.strip_prefix(key));
        assert_eq!(found.map(str::trim), Some(value), "{key}");
    };
    for (key, value) in [
        ("CapInh:", "0"),
        ("CapAmb:", "0"),
        ("CapPrm:", "a80425fb"),
        ("CapEff:", "a80425fb"),
        ("CapBnd:", "a80425fb"),
    ] {
        has(&stdout, key, &format!("{value:0>16}"));
    }
    has(&stdout, "NoNewPrivs:", "0");
    has(&stdout, "SigBlk:", "0000000000000000");
    has(&stdout, "SigIgn:", "0000000000000000");

    bundle.process().user.uid = 1000;
    bundle.process().user.gid = 1001;
    bundle.process().user.additional_gids = vec![1001, 5];
    bundle.process().no_new_privileges = true;
    let stdout = bundle.stdout();
    has(&stdout, "CapEff:", &"0".repeat(16));
    has(&stdout, "CapPrm:", &"0".repeat(16));
    has(&stdout, "CapBnd:", "00000000a80425fb");
    has(&stdout, "NoNewPrivs:", "1");
    let ids: Vec<&str> = stdout.lines().rev().take(3).collect();
    assert_eq!(ids, ["1001 5", "1001", "1000"]);
}

fn covered_paths() {
    let script = "cat /proc/timer_list /proc/kcore | wc -c; ls /sys/firmware /proc/scsi | wc -l
        stat -c '%t:%T' /proc/keys; touch /sys/firmware/x 2>&1; echo 1 > /proc/sys/kernel/pid_max";
    let output = Bundle::new(script).run().unwrap();
    assert!(output.stdout.starts_with('0'), "{output:?}");
    assert!(output.stdout.contains("1:3"), "{output:?}");
    assert!(
        output.stdout.contains("Read-only file system"),
        "{output:?}"
    );
    assert!(
        output.stderr.contains("Read-only file system"),
        "{output:?}"
    );
}

fn program_lookup() {
    let check = |name: &str, expect: &str| {
        let mut bundle = Bundle::new("");
        bundle.process().args = vec![name.to_owned()];
        let error = bundle.error();
        let start = "failed to create shim task: OCI runtime create failed: runc create failed: \
                     unable to start container process: ";
        assert_eq!(error.strip_prefix(start), Some(expect), "{error}");
    };
    check(
        "nosuch",
        r#"exec: "nosuch": executable file not found in $PATH"#,
    );
    check(
        "/nosuch",
        r#"exec: "/nosuch": stat /nosuch: no such file or directory"#,
    );
    check("/etc/plain", r#"exec: "/etc/plain": permission denied"#);
    check("/etc", r#"exec: "/etc": is a directory"#);
    check("", r#"exec: "": executable file not found in $PATH"#);

    // The kernel's own refusal comes at execve: the container ran, and says why it ended.
    let mut bundle = Bundle::new("");
    let script = bundle.dir.join("lower/bin/bad");
    write(&script, "no interpreter line\n");
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    bundle.process().args = vec!["bad".to_owned()];
    let output = bundle.run().unwrap();
    assert_eq!(
        (output.code, output.stderr.as_str()),
        (255, "exec /bin/bad: exec format error\n")
    );
}

fn binds() {
    let mut bundle = Bundle::new(
        "cat /data/f /etc/one; touch /data/new; touch /ro/x; cat /made/deep/file; touch /etc/one",
    );
    let host = bundle.dir.join("host");
    write(&host.join("f"), "hello ");
    let source = host.to_str().unwrap().to_owned();
    let file = host.join("f").to_str().unwrap().to_owned();
    bundle.bind(&source, "/data", &["rbind", "rprivate"]);
    bundle.bind(&source, "/ro", &["rbind", "ro", "rprivate"]);
    bundle.bind(&file, "/etc/one", &["rbind", "ro"]);
    bundle.bind(&file, "/made/deep/file", &["rbind"]);
    let output = bundle.run().unwrap();
    assert_eq!(output.stdout, "hello hello hello ");
    assert!(output.stderr.contains("/ro/x: Read-only"), "{output:?}");
    assert!(output.stderr.contains("/etc/one: Read-only"), "{output:?}");
    assert!(host.join("new").exists());

    // A link in the image cannot lead a mount out of it.
    let mut bundle = Bundle::new("ls -l /; cat /out/etc/wharf-escape");
    std::os::unix::fs::symlink("/..", bundle.dir.join("lower/out")).unwrap();
    let file = bundle
        .dir
        .join("lower/etc/plain")
        .to_str()
        .unwrap()
        .to_owned();
    bundle.bind(&file, "/out/etc/wharf-escape", &["rbind"]);
    assert!(bundle.stdout().contains("no program"));
    assert!(!std::path::Path::new("/etc/wharf-escape").exists());
}

fn terminal() {
    let mut bundle = Bundle::new("tty; stty size; ls -l /dev/console; echo to >/dev/console");
    bundle.process().terminal = true;
    bundle.process().console_size = Some(types::oci::runtime::ConsoleSize {
        height: 43,
        width: 132,
    });
    let (mut container, child) = bundle.create(Stdio::Terminal).unwrap();
    container.start().unwrap();
    let said = read_terminal(child.console.unwrap());
    assert!(said.starts_with("/dev/pts/0\r\n43 132\r\n"), "{said:?}");
    assert!(said.contains("136,   0"), "{said:?}");
    assert!(said.ends_with("to\r\n"), "{said:?}");
    assert_eq!(sys::pidfd::wait(child.pidfd.as_fd()).unwrap().code(), 0);

    container.destroy().unwrap();
}

fn vec<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

fn exec() {
    let mut bundle = Bundle::new("sleep 100");
    let (stdio, own) = pipes();
    let (mut container, child) = bundle.create(stdio).unwrap();
    container.start().unwrap();
    let mut process = bundle.process().clone();
    process.args = vec([
        "sh",
        "-c",
        "echo $$; hostname; cat /proc/1/cmdline; cat /proc/self/status
        cat /proc/self/cgroup; env; exit 3",
    ]);
    let (stdio, pipes_of_exec) = pipes();
    let second = container.exec(&process, stdio).unwrap();
    let output = pipes_of_exec.finish(&second);
    assert_eq!(output.code, 3, "{output:?}");
    let mut lines = output.stdout.lines();
    assert_ne!(lines.next(), Some("1"));
    assert_eq!(lines.next(), Some("box"));
    for word in ["sleep\x00100", "CapEff:\t00000000a80425fb", "HOME=/root"] {
        assert!(output.stdout.contains(word), "{word} in {}", output.stdout);
    }
    // Its group is the root of the container's cgroup namespace.
    let group = if on_v2() { "0::/\n" } else { ":memory:/\n" };
    assert!(output.stdout.contains(group), "{}", output.stdout);

    process.args = vec!["nosuch".to_owned()];
    let (stdio, _pipes) = pipes();
    assert_eq!(
        container.exec(&process, stdio).unwrap_err().to_string(),
        "OCI runtime exec failed: exec failed: unable to start container process: \
         exec: \"nosuch\": executable file not found in $PATH"
    );
    process.args = vec(["true"]);
    "/nosuch".clone_into(&mut process.cwd);
    let (stdio, _pipes) = pipes();
    assert_eq!(
        container.exec(&process, stdio).unwrap_err().to_string(),
        "OCI runtime exec failed: exec failed: unable to start container process: \
         chdir to cwd (\"/nosuch\") set in config.json failed: no such file or directory"
    );
    "/".clone_into(&mut process.cwd);
    process.args = vec(["sh", "-c", "tty; stty size"]);
    process.terminal = true;
    let third = container.exec(&process, Stdio::Terminal).unwrap();
    let said = read_terminal(third.console.unwrap());
    assert!(said.starts_with("/dev/pts/0\r\n"), "{said:?}");
    assert_eq!(sys::pidfd::wait(third.pidfd.as_fd()).unwrap().code(), 0);

    sys::pidfd::send_signal(child.pidfd.as_fd(), 9).unwrap();
    assert_eq!(own.finish(&child).code, 137);
    let (stdio, _pipes) = pipes();
    process.terminal = false;
    let error = container.exec(&process, stdio).unwrap_err().to_string();
    assert!(error.contains("stopped"), "{error}");
    container.destroy().unwrap();
}

fn failures_leave_nothing() {
    let mut bundle = Bundle::new("true");
    bundle.bind("/nosuch-source", "/x", &["rbind"]);
    let error = bundle.error();
    assert!(error.contains("no such file or directory"), "{error}");

    let mut bundle = Bundle::new("true");
    let dir = bundle.dir.to_str().unwrap().to_owned();
    bundle.bind(&dir, "/etc/passwd", &["rbind"]);
    assert!(
        bundle.error().contains("not a directory"),
        "{}",
        bundle.error()
    );

    let mut bundle = Bundle::new("true");
    bundle
        .linux()
        .sysctl
        .insert("kernel.pid_max".to_owned(), "1".to_owned());
    assert!(bundle.error().contains("separate kernel namespace"));

    let mut bundle = Bundle::new("true");
    bundle
        .linux()
        .sysctl
        .insert("net.nosuch.key".to_owned(), "1".to_owned());
    assert!(
        bundle.error().contains("write sysctl key net.nosuch.key"),
        "{}",
        bundle.error()
    );

    let mut bundle = Bundle::new("true");
    "/etc/passwd".clone_into(&mut bundle.process().cwd);
    let error = bundle.error();
    assert!(
        error.contains(r#"chdir to cwd ("/etc/passwd") set in config.json failed"#),
        "{error}"
    );

    // A container that is never started ends with its maker's interest in it.
    let bundle = Bundle::new("true");
    let (stdio, _pipes) = pipes();
    let (container, child) = bundle.create(stdio).unwrap();
    container.destroy().unwrap();
    assert_eq!(sys::pidfd::wait(child.pidfd.as_fd()).unwrap().code(), 137);
}

/// Field of /proc/PID/status.
fn field<'a>(status: &'a str, key: &str) -> &'a str {
    status
        .lines()
        .find_map(|line| line.strip_prefix(key))
        .unwrap_or_default()
        .trim()
}

fn seccomp() {
    // The right capability, but a filter that knows nothing of it: the filter it is that refuses.
    let mut bundle = Bundle::new("cat /proc/self/status; mount -t tmpfs x /etc || echo refused");
    let capabilities = bundle.process().capabilities.as_mut().unwrap();
    let sets = [
        &mut capabilities.bounding,
        &mut capabilities.permitted,
        &mut capabilities.effective,
    ];
    for set in sets {
        set.push("CAP_SYS_ADMIN".to_owned());
    }
    for no_new_privileges in [false, true] {
        bundle.process().no_new_privileges = no_new_privileges;
        bundle.linux().seccomp = None;
        assert!(!bundle.stdout().contains("refused"));
        bundle.linux().seccomp = Some(runtime::seccomp::default_profile(&[]));
        let stdout = bundle.stdout();
        assert_eq!(field(&stdout, "Seccomp:"), "2");
        assert_eq!(field(&stdout, "Seccomp_filters:"), "1");
        assert!(stdout.ends_with("refused\n"), "{stdout}");
    }
    // A capability opens its calls, and a second process has the same filter.
    let names: Vec<String> = ["CAP_SYS_ADMIN".to_owned()].into();
    let mut bundle = Bundle::new("mount -t tmpfs x /etc && sleep 100");
    bundle.linux().seccomp = Some(runtime::seccomp::default_profile(&names));
    let capabilities = bundle.process().capabilities.as_mut().unwrap();
    for set in [
        &mut capabilities.bounding,
        &mut capabilities.permitted,
        &mut capabilities.effective,
    ] {
        set.extend(names.clone());
    }
    let (stdio, own) = pipes();
    let (mut container, child) = bundle.create(stdio).unwrap();
    container.start().unwrap();
    let mut process = bundle.process().clone();
    process.args = vec(["cat", "/proc/self/status"]);
    let (stdio, pipes) = pipes();
    let second = container.exec(&process, stdio).unwrap();
    assert_eq!(field(&pipes.finish(&second).stdout, "Seccomp:"), "2");
    container.destroy().unwrap();
    let output = own.finish(&child);
    assert_eq!((output.code, output.stderr.as_str()), (137, ""));
}

fn kernel_parameters() {
    let mut bundle = Bundle::new(
        "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shmmni; umask
        cat /proc/self/oom_score_adj; ulimit -n; cat /proc/sys/kernel/domainname; ip link show lo",
    );
    let sysctl = &mut bundle.linux().sysctl;
    sysctl.insert(
        "net.ipv4.ip_unprivileged_port_start".to_owned(),
        "7".to_owned(),
    );
    sysctl.insert("kernel/shmmni".to_owned(), "99".to_owned());
    "example".clone_into(&mut bundle.spec.domainname);
    let process = bundle.process();
    process.user.umask = Some(0o27);
    process.oom_score_adj = Some(321);
    process.rlimits = vec![types::oci::runtime::Rlimit {
        kind: "RLIMIT_NOFILE".to_owned(),
        hard: 200,
        soft: 100,
    }];
    let stdout = bundle.stdout();
    let lines: Vec<&str> = stdout.lines().collect();
    assert_eq!(
        lines[..6],
        ["7", "99", "0027", "321", "100", "example"],
        "{stdout}"
    );
    assert!(lines[6].contains("LOOPBACK,UP"), "{stdout}");
}

fn readonly_and_nodes() {
    let mut bundle = Bundle::new(
        "touch /x; touch /dev/x && echo dev; stat -c '%a %u:%g %t:%T' /dev/fuse; pwd
        touch /deep/inner/x; touch /shallow/inner/x && echo shallow",
    );
    bundle.spec.root.as_mut().unwrap().readonly = true;
    "/made/by/us".clone_into(&mut bundle.process().cwd);
    bundle.linux().devices = vec![types::oci::runtime::Device {
        kind: "c".to_owned(),
        path: "/dev/fuse".to_owned(),
        major: 10,
        minor: 229,
        file_mode: Some(0o640),
        uid: Some(5),
        gid: Some(6),
    }];
    // A tree of two mounts of the host, in a mount namespace of this program's own would be
    // cleaner; /dev with its /dev/shm is on every machine.
    bundle.bind("/dev", "/deep", &["rbind", "rro", "rprivate"]);
    let output = bundle.run().unwrap();
    assert!(output.stderr.contains("/x: Read-only"), "{output:?}");
    assert!(
        output
            .stdout
            .starts_with("dev\n640 5:6 a:e5\n/made/by/us\n"),
        "{output:?}"
    );

    let mut bundle = Bundle::new("touch /deep/shm/x; touch /shallow/nosuch");
    bundle.bind("/dev", "/deep", &["rbind", "rro", "rprivate"]);
    bundle.bind("/dev", "/shallow", &["rbind", "ro", "rprivate"]);
    let output = bundle.run().unwrap();
    assert!(
        output.stderr.contains("/deep/shm/x: Read-only"),
        "{output:?}"
    );
    assert!(
        output.stderr.contains("/shallow/nosuch: Read-only"),
        "{output:?}"
    );
}

fn shared_namespaces() {
    let first = Bundle::new("hostname; sleep 100");
    let (stdio, own) = pipes();
    let (mut container, child) = first.create(stdio).unwrap();
    container.start().unwrap();
    let mut second =
        Bundle::new("hostname; cat /proc/1/cmdline; readlink /proc/self/ns/net; echo $$");
    for namespace in &mut second.linux().namespaces {
        if ["pid", "uts", "network"].contains(&namespace.kind.as_str()) {
            let file = if namespace.kind == "network" {
                "net"
            } else {
                &namespace.kind
            };
            namespace.path = format!("/proc/{}/ns/{file}", child.pid);
        }
    }
    second.spec.hostname.clear();
    let net = std::fs::read_link(format!("/proc/{}/ns/net", child.pid)).unwrap();
    let stdout = second.stdout();
    for word in ["box\n", "sleep\x00100", net.to_str().unwrap()] {
        assert!(stdout.contains(word), "{word} in {stdout}");
    }
    assert_ne!(stdout.lines().last(), Some("1"), "{stdout}");

    // Its own children are still where this process is.
    let third = Bundle::new("echo $$");
    assert_eq!(third.stdout(), "1\n");

    let mut fourth = Bundle::new("true");
    let linux = fourth.linux();
    "/proc/self/ns/ipc".clone_into(&mut linux.namespaces[2].path);
    assert!(fourth.error_while_others_run().contains("another kind"));
    container.destroy().unwrap();
    assert_eq!(own.finish(&child).code, 137);
}

fn frozen() {
    let mut bundle = Bundle::new("sleep 100");
    let (stdio, own) = pipes();
    let (mut container, child) = bundle.create(stdio).unwrap();
    container.start().unwrap();
    container.cgroup().freeze(true).unwrap();
    let (stdio, _pipes) = pipes();
    let error = container
        .exec(bundle.process(), stdio)
        .unwrap_err()
        .to_string();
    assert!(error.contains("paused container"), "{error}");
    container.destroy().unwrap();
    assert_eq!(own.finish(&child).code, 137);
}

/// Mounts that the host makes later are seen where `rslave` says so, and only there.
fn propagation() {
    let mut bundle = Bundle::new("sleep 100");
    let shared = bundle.dir.join("host");
    std::fs::create_dir(shared.join("late")).unwrap();
    let source = shared.to_str().unwrap().to_owned();
    bundle.bind(&source, "/slave", &["rbind", "rslave"]);
    bundle.bind(&source, "/private", &["rbind", "rprivate"]);
    let process = bundle.process().clone();
    let code = in_a_process(|| {
        // A mount table of this process's own, with one shared mount in it.
        sys::namespace::unshare(sys::namespace::MOUNT).unwrap();
        sys::mount::make_all_private().unwrap();
        let path = std::ffi::CString::new(source.clone()).unwrap();
        let own = sys::mount::open_host_tree(&path, sys::mount::Tree::Clone).unwrap();
        let at = sys::root::open_host(&path).unwrap();
        sys::mount::move_onto(own.as_fd(), at.as_fd()).unwrap();
        let attributes = sys::mount::Attributes {
            propagation: sys::mount::propagation::SHARED,
            ..sys::mount::Attributes::default()
        };
        sys::mount::set_attributes(own.as_fd(), false, attributes).unwrap();

        let (stdio, own_pipes) = pipes();
        let (mut container, child) = bundle.create(stdio).unwrap();
        container.start().unwrap();
        let context = sys::mount::fsopen(c"tmpfs").unwrap();
        sys::mount::create(context.as_fd()).unwrap();
        let late = sys::mount::fsmount(context.as_fd(), 0).unwrap();
        let path = std::ffi::CString::new(format!("{source}/late")).unwrap();
        let at = sys::root::open_host(&path).unwrap();
        sys::mount::move_onto(late.as_fd(), at.as_fd()).unwrap();
        sys::root::make_file(late.as_fd(), c"seen").unwrap();

        let mut process = process.clone();
        process.args = vec(["ls", "/slave/late", "/private/late"]);
        let (stdio, pipes) = pipes();
        let second = container.exec(&process, stdio).unwrap();
        let output = pipes.finish(&second);
        container.destroy().unwrap();
        assert_eq!(own_pipes.finish(&child).code, 137);
        assert_eq!(
            output.stdout, "/private/late:\n\n/slave/late:\nseen\n",
            "{output:?}"
        );
    });
    assert_eq!(code, 0);
}
