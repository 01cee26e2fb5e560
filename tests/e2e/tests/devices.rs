//! Devices of the host in a container, by path, by rule, by name; limits of block devices.

use serde_json::json;
use testkit::{BOX, Engine, case, eventually};

use crate::flags::{both, create, first_of, recorded};

/// The machine's first disk, as `--device-read-bps` takes it: its path and numbers.
fn disk() -> (String, String) {
    let all = std::fs::read_to_string("/proc/partitions").expect("a kernel");
    let disks = all.lines().filter_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let [major, minor, _, name] = words[..] else {
            return None;
        };
        let whole = std::path::Path::new("/sys/block").join(name).exists();
        let path = format!("/dev/{name}");
        let known = std::path::Path::new(&path).exists() && major != "7";
        (whole && known).then(|| (path, format!("{major}:{minor}")))
    });
    disks.min().expect("a machine has a disk")
}

/// `run` with `options` fails in the engine with `text`.
#[track_caller]
fn refused(e: &Engine, options: &[&str], code: i32, text: &str) {
    let text = format!("docker: Error response from daemon: {text}\n\nRun 'docker run --help'");
    let output = e.sh(options, "true");
    output.exits(code).says("");
    assert!(output.stderr.starts_with(&text), "{output:?}");
}

case!(by_path, |e| {
    both(
        e,
        &["--device", "/dev/net/tun"],
        "stat -c '%t:%T' /dev/net/tun",
        "a:c8\n",
    );
    both(
        e,
        &["--device", "/dev/zero:/dev/other:r"],
        "head -c 3 /dev/other | wc -c; stat -c '%t:%T %F' /dev/other",
        "3\n1:5 character special file\n",
    );
    both(
        e,
        &["--device", "/dev/net:/dev/nets"],
        "ls /dev/nets",
        "tun\n",
    );
});

case!(what_may_be_done_with_it, |e| {
    let one = "/dev/loop0:/dev/disk:r";
    both(
        e,
        &["--device", one],
        "cat /dev/disk && echo read; true 2>/dev/null > /dev/disk || echo refused",
        "read\nrefused\n",
    );
    let wanted = json!([{
        "PathOnHost": "/dev/loop0", "PathInContainer": "/dev/disk", "CgroupPermissions": "r"
    }]);
    recorded(e, &["--device", one], "/HostConfig/Devices", &wanted);
});

case!(by_rule, |e| {
    let script = "mknod /tmp/core c 1 11 && cat /dev/null > /tmp/core 2>/dev/null && echo open || \
                  echo refused";
    both(e, &[], script, "refused\n");
    both(e, &["--device-cgroup-rule", "c 1:11 rwm"], script, "open\n");
    for rule in ["bad", "c 1:11 x", "c 1 rwm"] {
        let output = e.sh(&["--device-cgroup-rule", rule], "true");
        output.exits(125).complains(&format!(
            "invalid argument \"{rule}\" for \"--device-cgroup-rule\" flag: invalid device cgroup \
             format '{rule}'\n"
        ));
    }
});

case!(that_are_none, |e| {
    let why = "error gathering device information while adding custom device";
    refused(
        e,
        &["--device", "/dev/nope"],
        127,
        &format!("{why} \"/dev/nope\": no such file or directory"),
    );
    refused(
        e,
        &["--device", "/etc/passwd"],
        125,
        &format!("{why} \"/etc/passwd\": not a device node"),
    );
    for (device, text) in [
        ("a:b:c:d", "bad format for path: a:b:c:d"),
        ("/dev/null:/dev/x:zz", "bad mode specified: zz"),
        ("rel", "rel is not an absolute path"),
    ] {
        let output = e.sh(&["--device", device], "true");
        output.exits(125).complains(&format!("docker: {text}\n"));
    }
});

case!(block_rates, |e| {
    let (disk, numbers) = disk();
    for (option, rate, value, files) in [
        ("--device-read-bps", "1mb", "1048576", "read_bps"),
        ("--device-write-bps", "2mb", "2097152", "write_bps"),
        ("--device-read-iops", "100", "100", "read_iops"),
        ("--device-write-iops", "200", "200", "write_iops"),
    ] {
        let given = format!("{disk}:{rate}");
        let file = format!("blkio/blkio.throttle.{files}_device");
        let output = e.sh(&[option, &given], &first_of(&["io.max", &file]));
        let line = output.ok();
        assert!(
            line.starts_with(&numbers) && line.contains(value),
            "{output:?}"
        );
        both(
            e,
            &[option, &given],
            &first_of(&["io.max", &file]),
            &output.stdout,
        );
        refused(
            e,
            &[option, &format!("/dev/nope:{rate}")],
            127,
            "stat /dev/nope: no such file or directory",
        );
        let output = e.sh(&[option, "vda:1"], "true");
        output
            .exits(125)
            .complains("bad format for device path: vda:1\n");
    }
});

case!(block_weights, |e| {
    // A kernel without weights says so; one with them obeys.
    let (disk, numbers) = disk();
    let one = format!("{disk}:400");
    for (options, files, wanted, word) in [
        (
            ["--blkio-weight", "300"],
            ["io.bfq.weight", "blkio/blkio.bfq.weight"],
            "300".to_owned(),
            "Block I/O weight or the cgroup is not mounted. Weight discarded.",
        ),
        (
            ["--blkio-weight-device", &one],
            ["io.bfq.weight", "blkio/blkio.bfq.weight_device"],
            format!("{numbers} 400"),
            "Block I/O weight_device or the cgroup is not mounted. Weight-device discarded.",
        ),
    ] {
        let script = format!("{}; true", first_of(&files));
        let output = e.sh(&options, &script);
        output.exits(0);
        let warned = output.stderr.contains(word);
        assert!(warned || output.stdout.contains(&wanted), "{output:?}");
        let mut words = vec!["create", "--network", "none", "--name"];
        let name = e.name("weight");
        words.push(&name);
        words.extend(options);
        words.extend([BOX, "sh", "-c", &script]);
        let output = e.cli(&words);
        let warned = output.exits(0).stderr.contains(word);
        let output = e.cli(&["start", "-a", &name]);
        assert!(warned || output.stdout.contains(&wanted), "{output:?}");
        e.cli(&["rm", &name]).exits(0);
    }
    let output = e.sh(&["--blkio-weight", "70000"], "true");
    output.exits(125).complains(
        "invalid argument \"70000\" for \"--blkio-weight\" flag: strconv.ParseUint: parsing \
         \"70000\": value out of range",
    );
    let output = e.sh(&["--blkio-weight-device", "/dev/x:5"], "true");
    output
        .exits(125)
        .complains("invalid weight for device: /dev/x:5");
});

case!(of_graphics, |e| {
    let text = "could not select device driver \"\" with capabilities: [[gpu]]";
    refused(e, &["--gpus", "all"], 125, text);
    let name = create(e, &["--gpus", "2"], "true");
    let seen = e.inspect(&name)["HostConfig"]["DeviceRequests"].clone();
    assert_eq!(
        (&seen[0]["Count"], &seen[0]["Capabilities"]),
        (&json!(2), &json!([["gpu"]]))
    );
    e.cli(&["start", &name]).exits(1).errs(&format!(
        "Error response from daemon: {text}\nError: failed to start containers: {name}\n"
    ));
    e.cli(&["rm", &name]).exits(0);
    e.sh(&["--gpus", "x"], "true").exits(125).complains(
        "invalid argument \"x\" for \"--gpus\" flag: invalid count (x): value must be either \
         \"all\" or an integer: invalid syntax\n",
    );
});

/// A file of the Container Device Interface, as long as it lives.
struct DeviceFile(std::path::PathBuf);

impl DeviceFile {
    fn write(kind: &str) -> Self {
        let edits = json!({"cdiVersion": "0.6.0", "kind": kind, "devices": [{
            "name": "one",
            "containerEdits": {
                "env": ["FOUND=yes"],
                "deviceNodes": [{"path": "/dev/named", "hostPath": "/dev/zero"}],
                "mounts": [{"hostPath": "/etc/hostname", "containerPath": "/named",
                            "options": ["bind", "ro"]}]
            }
        }]});
        let place = std::path::PathBuf::from("/var/run/cdi");
        std::fs::create_dir_all(&place).expect("a directory");
        let path = place.join(format!("{}.json", kind.replace('/', "-")));
        std::fs::write(&path, edits.to_string()).expect("a file");
        Self(path)
    }
}

impl Drop for DeviceFile {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

case!(by_name, |e| {
    let engine = format!("{}.{}", e.kind().name(), e.client().name());
    let kind = format!(
        "e2e.test/{}-{}",
        engine.replace('.', "-"),
        std::process::id()
    );
    let _file = DeviceFile::write(&kind);
    let device = format!("{kind}=one");
    let script = "echo $FOUND; head -c 2 /dev/named | wc -c; test -s /named && echo mounted";
    eventually("the device has a name", || {
        let output = e.sh(&["--device", &device], script);
        (output.stdout == "yes\n2\nmounted\n").then_some(())
    });
    refused(
        e,
        &["--device", "e2e.test/absent=one"],
        125,
        "CDI device injection failed: unresolvable CDI devices e2e.test/absent=one",
    );
});
