//! The rows of the list of past holes that belong to a runtime, one test each, named after them.

use std::os::unix::fs::{PermissionsExt, symlink};

use conformance::{Bundle, Runtime, our_program, unique};
use serde_json::{Value, json};

/// A directory of the host that nothing in a container may see, make, change or remove.
struct Marker(testkit::TempDir);

impl Marker {
    fn new() -> Self {
        let temp = testkit::TempDir::new("wharf-marker");
        temp.file("here", "host\n");
        Self(temp)
    }

    fn path(&self) -> String {
        self.0.path().to_string_lossy().into_owned()
    }

    /// Nothing in it has changed.
    fn assert_untouched(&self) {
        let names: Vec<_> = std::fs::read_dir(self.0.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["here"], "in {}", self.path());
        assert_eq!(
            std::fs::read_to_string(self.0.path().join("here")).unwrap(),
            "host\n"
        );
    }
}

/// Puts a link to `to` where the image has `path`.
fn link(bundle: &Bundle, path: &str, to: &str) {
    let place = bundle.dir().join("rootfs").join(path);
    std::fs::create_dir_all(place.parent().unwrap()).unwrap();
    drop(std::fs::remove_dir(&place));
    symlink(to, place).unwrap();
}

/// Runs it on ours.
fn run(bundle: &Bundle) -> conformance::Said {
    bundle.run(&Runtime::ours())
}

/// A line of /proc/self/status, as the container's process sees it.
fn status(bundle: &mut Bundle, key: &str) -> String {
    bundle.set("/process/args", json!(["grep", key, "/proc/self/status"]));
    run(bundle).out
}

#[test]
fn root_cve_2019_19921_2023_27561_procfs_link() {
    let marker = Marker::new();
    for place in ["proc", "sys"] {
        let bundle = Bundle::new("echo ran");
        link(&bundle, place, &marker.path());
        let said = run(&bundle);
        assert_ne!(said.code, 0, "/{place}: {said:?}");
        marker.assert_untouched();
    }
}

#[test]
fn root_cve_2019_16884_mount_over_proc() {
    for target in ["/proc", "/proc/self"] {
        let mut bundle = Bundle::new(
            "cat /proc/self/status >/dev/null && grep -c ' /proc ' /proc/self/mountinfo",
        );
        let fake = bundle.dir().join("fake");
        std::fs::create_dir_all(fake.join("self/attr")).unwrap();
        bundle.set(
            "/mounts/-",
            json!({"destination": target, "type": "bind", "source": fake, "options": ["bind"]}),
        );
        bundle.set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1"}));
        let said = run(&bundle);
        // Whatever lies there, nothing of ours was written to it.
        assert_eq!(
            std::fs::read_dir(fake.join("self/attr")).unwrap().count(),
            0,
            "{said:?}"
        );
    }
}

#[test]
fn root_cve_2025_31133_masks_are_the_null_device() {
    let bundle = Bundle::new(
        "stat -c '%t:%T' /proc/keys; cat /proc/keys | wc -c; ls -l /dev/null | cut -c 1",
    );
    let said = run(&bundle);
    assert_eq!(said.out, "1:3\n0\nc\n", "{said:?}");
    let marker = Marker::new();
    let bundle = Bundle::new("cat /proc/keys | wc -c");
    // The image's own /dev/null is a link; /dev is a fresh tmpfs all the same.
    link(&bundle, "dev/null", &format!("{}/here", marker.path()));
    assert_eq!(run(&bundle).out, "0\n");
    marker.assert_untouched();
}

#[test]
fn root_cve_2025_52565_console_by_descriptor() {
    let marker = Marker::new();
    let bundle = Bundle::new("ls /dev/pts");
    link(&bundle, "dev/pts", &marker.path());
    link(&bundle, "dev/console", &format!("{}/here", marker.path()));
    let said = run(&bundle);
    assert_eq!(said.out, "ptmx\n", "{said:?}");
    marker.assert_untouched();
}

#[test]
fn root_cve_2026_41579_dev_is_a_link() {
    let marker = Marker::new();
    let bundle = Bundle::new("ls /dev");
    link(&bundle, "dev", &marker.path());
    let said = run(&bundle);
    marker.assert_untouched();
    assert!(!said.out.contains("here"), "{said:?}");
}

#[test]
fn root_cve_2021_30465_mount_target_links_out() {
    let marker = Marker::new();
    let mut bundle = Bundle::new("ls /vol");
    link(
        &bundle,
        "vol",
        &format!("../../../../../../../{}", marker.path()),
    );
    bundle.set(
        "/mounts/-",
        json!({"destination": "/vol/sub/tmp", "type": "tmpfs", "source": "tmpfs"}),
    );
    let said = run(&bundle);
    marker.assert_untouched();
    assert!(!said.out.contains("here"), "{said:?}");
}

#[test]
fn root_cve_2026_55686_cwd_links_out() {
    let marker = Marker::new();
    let mut bundle = Bundle::new("pwd");
    link(&bundle, "a", &marker.path());
    bundle.set("/process/cwd", json!("/a/b"));
    run(&bundle);
    marker.assert_untouched();
}

#[test]
fn root_cve_2022_23648_target_with_dots() {
    let mut bundle = Bundle::new("ls /etc | grep -c plain");
    bundle.set(
        "/mounts/-",
        json!({"destination": "/../../m", "type": "tmpfs", "source": "tmpfs"}),
    );
    assert_eq!(run(&bundle).out, "1\n");
}

#[test]
fn root_cve_2024_21626_workdir_descriptor() {
    let runtime = Runtime::ours();
    for number in 3..32 {
        let mut bundle = Bundle::new("ls ../../../../../../etc/shadow; pwd; ls .");
        bundle.set("/process/cwd", json!(format!("/proc/self/fd/{number}")));
        let said = bundle.run(&runtime);
        assert_ne!(said.code, 0, "{number}: {said:?}");
    }
    let bundle = Bundle::new("sleep 60");
    let id = unique(&runtime);
    bundle.write(&id);
    assert_eq!(runtime.run_in(bundle.dir(), &["run", "-d", &id]).code, 0);
    for number in 3..32 {
        let said = runtime.run(&[
            "exec",
            "--cwd",
            &format!("/proc/self/fd/{number}"),
            &id,
            "pwd",
        ]);
        assert_ne!(said.code, 0, "{number}: {said:?}");
    }
    let said = runtime.run(&["exec", &id, "sh", "-c", "echo /proc/self/fd/*"]);
    runtime.clear(&id);
    assert_eq!(
        said.out, "/proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 /proc/self/fd/3\n",
        "the last is the glob's own"
    );
}

#[test]
fn root_cve_2016_9962_no_host_descriptors() {
    let bundle = Bundle::new("for f in /proc/1/fd/*; do readlink $f; done; ls /proc/1/fd | wc -l");
    let said = run(&bundle);
    assert!(
        !said.out.contains("exec.fifo") && !said.out.contains("cgroup"),
        "{said:?}"
    );
}

#[test]
fn root_cve_2019_5736_own_program() {
    let digest = || {
        let found = std::process::Command::new("sha256sum")
            .arg(our_program())
            .output()
            .unwrap();
        String::from_utf8_lossy(&found.stdout)
            .split(' ')
            .next()
            .unwrap()
            .to_owned()
    };
    let before = digest();
    let runtime = Runtime::ours();
    let mut bundle = Bundle::new("");
    let script = bundle.dir().join("rootfs/evil");
    std::fs::write(&script, "#!/proc/self/exe\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let all = json!(["CAP_SYS_PTRACE", "CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE"]);
    bundle.set(
        "/process/capabilities",
        json!({"bounding": all, "effective": all, "permitted": all}),
    );
    // In the container: whatever runs as ours for a moment is opened by its exe link and written to.
    let watch = "for i in 1 2 3 4 5 6 7 8 9; do for p in /proc/[0-9]*; do (echo x >> $p/exe) 2>/dev/null && echo WRITTEN; done; done; sleep 30";
    bundle.set("/process/args", json!(["sh", "-c", watch]));
    let id = unique(&runtime);
    bundle.write(&id);
    assert_eq!(runtime.run_in(bundle.dir(), &["run", "-d", &id]).code, 0);
    for _ in 0..10 {
        runtime.run(&["exec", &id, "/evil"]);
    }
    runtime.clear(&id);
    assert_eq!(digest(), before);
}

#[test]
fn root_cve_2022_29162_inheritable_is_empty() {
    let mut bundle = Bundle::new("");
    assert_eq!(
        status(&mut bundle, "CapInh").split_whitespace().last(),
        Some("0000000000000000")
    );
    let runtime = Runtime::ours();
    let bundle = Bundle::new("sleep 60");
    let id = unique(&runtime);
    bundle.write(&id);
    assert_eq!(runtime.run_in(bundle.dir(), &["run", "-d", &id]).code, 0);
    let said = runtime.run(&[
        "exec",
        "--cap",
        "CAP_CHOWN",
        &id,
        "grep",
        "CapInh",
        "/proc/self/status",
    ]);
    runtime.clear(&id);
    assert!(said.out.contains("0000000000000000"), "{said:?}");
}

#[test]
fn root_cve_2014_8989_groups_of_a_user_namespace() {
    let mut bundle = Bundle::new("");
    bundle.set("/linux/namespaces/-", json!({"type": "user"}));
    bundle.set(
        "/linux/uidMappings",
        json!([{"containerID": 0, "hostID": 0, "size": 10}]),
    );
    bundle.set(
        "/linux/gidMappings",
        json!([{"containerID": 0, "hostID": 0, "size": 10}]),
    );
    assert_eq!(status(&mut bundle, "Groups").trim(), "Groups:");
}

#[test]
fn root_cve_2021_43784_many_long_mounts() {
    let mut bundle = Bundle::new("grep -c ' /m' /proc/self/mountinfo");
    let long = "x".repeat(200);
    for number in 0..300 {
        bundle.set("/mounts/-", json!({"destination": format!("/m/{number}/{long}/{long}"), "type": "tmpfs", "source": "tmpfs"}));
    }
    assert_eq!(run(&bundle).out, "300\n");
}

#[test]
fn root_cve_2022_0811_sysctl_with_separators() {
    for (name, value) in [
        ("kernel.shm_rmid_forced", "1+kernel.core_pattern=|/x"),
        ("kernel.shm_rmid_forced=1\nkernel.core_pattern", "x"),
        ("net.ipv4.ip_forward\0x", "1"),
        ("kernel/../kernel/core_pattern", "x"),
    ] {
        let before = std::fs::read("/proc/sys/kernel/core_pattern").unwrap();
        let mut bundle = Bundle::new("true");
        let mut map = serde_json::Map::new();
        map.insert(name.to_owned(), json!(value));
        bundle.set("/linux/sysctl", Value::Object(map));
        assert_ne!(run(&bundle).code, 0, "{name:?}");
        assert_eq!(
            std::fs::read("/proc/sys/kernel/core_pattern").unwrap(),
            before
        );
    }
}

#[test]
fn root_cve_2022_4318_newline_in_names() {
    let mut bundle = Bundle::new("env | grep -c ^EVIL");
    bundle.set("/process/env", json!(["PATH=/bin", "A=1\nEVIL=2"]));
    // One variable, whatever it holds.
    bundle.set(
        "/process/args",
        json!([
            "sh",
            "-c",
            "tr '\\0' '#' < /proc/self/environ 2>/dev/null; [ \"$EVIL\" = \"\" ] && echo none"
        ]),
    );
    assert!(run(&bundle).out.contains("none"));
    let mut bundle = Bundle::new("true");
    bundle.set("/process/env", json!(["PATH=/bin", "A=\0"]));
    assert_ne!(run(&bundle).code, 0);
}

#[test]
fn root_cve_2014_9357_ids_are_names() {
    let runtime = Runtime::ours();
    let bundle = Bundle::new("true");
    bundle.write("x");
    for id in ["../../x", "/abs", "", "..", ".", "a b", "a\nb", "ü"] {
        let said = runtime.run_in(bundle.dir(), &["create", id]);
        assert_eq!(said.code, 1, "{id:?}: {said:?}");
        assert!(said.out.is_empty());
    }
}

#[test]
fn root_cve_2025_47291_all_in_the_group() {
    let runtime = Runtime::ours();
    let bundle = Bundle::new("sleep 50 & sleep 60");
    let id = unique(&runtime);
    bundle.write(&id);
    assert_eq!(runtime.run_in(bundle.dir(), &["run", "-d", &id]).code, 0);
    assert_eq!(runtime.run(&["exec", "-d", &id, "sleep", "70"]).code, 0);
    for controller in ["memory", "pids", "cpu", "devices", "freezer"] {
        let path = format!("/sys/fs/cgroup/{controller}/wharf-conformance/{id}/cgroup.procs");
        let found = testkit::eventually("all are in the group", || {
            let count = std::fs::read_to_string(&path).unwrap().lines().count();
            (count == 3).then_some(count)
        });
        assert_eq!(found, 3, "{controller}");
    }
    runtime.clear(&id);
}

#[test]
fn root_cve_2023_25809_cgroups_are_read_only() {
    let mut bundle = Bundle::new(
        "echo $$ > /sys/fs/cgroup/pids/cgroup.procs; echo $?; mkdir /sys/fs/cgroup/pids/x; echo $?",
    );
    bundle.set("/mounts/-", json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro"]}));
    let said = run(&bundle);
    assert_eq!(said.out, "1\n1\n", "{said:?}");
}
