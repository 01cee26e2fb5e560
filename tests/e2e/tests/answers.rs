//! What lists and inspections show, and how: `ps`, `images`, `history`, `inspect`, `info`, `version`.

use serde_json::Value;
use testkit::{BOX, Engine, case, eventually};

/// Creates a container that is not started.
fn create(e: &Engine, suffix: &str, options: &[&str]) -> String {
    let name = e.name(suffix);
    let mut words = vec!["create", "--network", "none", "--name", &name];
    words.extend(options);
    words.extend([BOX, "true"]);
    e.cli(&words).exits(0);
    name
}

/// Returns the names that `ps` with `options` shows of this case, sorted.
fn names(e: &Engine, options: &[&str]) -> String {
    let mut words = vec!["ps", "--format", "{{.Names}}"];
    words.extend(options);
    let output = e.cli(&words);
    let own = e.name("");
    let mut names: Vec<_> = output
        .ok()
        .lines()
        .filter(|name| name.starts_with(&own))
        .map(str::to_owned)
        .collect();
    names.sort_unstable();
    names.join(" ")
}

case!(filters_of_containers, |e| {
    let one = create(e, "one", &["-l", "kind=x"]);
    let two = e.background("two", &["-l", "kind=y"], "exit 3");
    let three = e.background("three", &["-l", "other"], "sleep 100");
    e.cli(&["wait", &two]).exits(0);
    let own = format!("name={}", e.name(""));
    let filtered = |filter: &str| names(e, &["-a", "-f", &own, "-f", filter]);
    assert_eq!(filtered("label=kind"), format!("{one} {two}"));
    assert_eq!(filtered("label=kind=y"), two);
    assert_eq!(filtered("status=exited"), two);
    assert_eq!(filtered("status=running"), three);
    assert_eq!(filtered("status=created"), one);
    assert_eq!(filtered("exited=3"), two);
    assert_eq!(filtered(&format!("ancestor={BOX}")).split(' ').count(), 3);
    assert_eq!(filtered("ancestor=no-such"), "");
    assert_eq!(filtered(&format!("before={two}")), one);
    assert_eq!(filtered(&format!("since={two}")), three);
    let id = e.inspect(&two)["Id"].as_str().expect("an id").to_owned();
    assert_eq!(filtered(&format!("id={}", &id[..12])), two);
    assert_eq!(filtered("network=none").split(' ').count(), 3);
    assert_eq!(names(e, &["-f", &own]), three);
    let last = ["ps", "-q", "-n", "1"];
    assert_eq!(e.cli(&last).ok().lines().count(), 1);
    assert_eq!(e.cli(&["ps", "-q", "-l"]).ok().lines().count(), 1);
    assert_eq!(e.cli(&["ps", "-aq", "-n", "2"]).ok().lines().count(), 2);
    for name in [one, two, three] {
        e.cli(&["rm", "-f", &name]).exits(0);
    }
});

case!(the_last_and_their_size, |e| {
    let name = e.background("s", &[], "head -c 5000 /dev/zero > /file; sleep 100");
    let filter = format!("name={name}");
    eventually("the file counts", || {
        let words = ["ps", "-s", "-f", &filter, "--format", "{{.Size}}"];
        let size = e.cli(&words).ok().to_owned();
        (size.starts_with("5kB (virtual ")).then_some(())
    });
    let reply = e.get_path(&format!("/containers/{name}/json?size=1"));
    let seen = reply.is(200).json();
    assert_eq!(seen["SizeRw"], 5000);
    for command in [&["inspect"][..], &["container", "inspect"]] {
        let mut words = command.to_vec();
        words.extend(["--size", "-f", "{{.SizeRw}}", &name]);
        e.cli(&words).exits(0).says("5000\n");
    }
    assert!(seen["SizeRootFs"].as_u64() > Some(5000), "{seen}");
    e.cli(&["rm", "-f", &name]).exits(0);
});

case!(formats_of_containers, |e| {
    let name = create(e, "f", &["-l", "a=b"]);
    let filter = format!("name={name}");
    let shown = |format: &str| {
        e.cli(&["ps", "-a", "-f", &filter, "--format", format])
            .ok()
            .to_owned()
    };
    assert_eq!(shown("{{.Image}} {{.Command}}"), format!("{BOX} \"true\""));
    assert_eq!(
        shown("{{.State}}|{{.Label \"a\"}}|{{.Networks}}"),
        "created|b|none"
    );
    assert_eq!(
        shown("table {{.Names}}\\t{{.Status}}"),
        format!(
            "NAMES{}STATUS\n{name}   Created",
            " ".repeat(name.len() - 2)
        )
    );
    let row: Value = serde_json::from_str(&shown("json")).expect("JSON");
    assert_eq!(
        (&row["Names"], &row["State"]),
        (&name.as_str().into(), &"created".into())
    );
    let output = e.cli(&["ps", "--format", "{{.Nope}}", "-a", "-f", &filter]);
    output.exits(1).complains(
        "failed to execute template: template: :1:2: executing \"\" at <.Nope>: can't evaluate \
         field Nope in type *formatter.ContainerContext",
    );
    e.cli(&["ps", "--format", "{{"])
        .exits(1)
        .errs("failed to parse template: template: :1: unclosed action\n");
    e.cli(&["rm", &name]).exits(0);
});

case!(images_by_name_and_label, |e| {
    let image = e.name("image:7");
    let name = create(e, "i", &[]);
    e.cli(&["commit", "-c", "LABEL kind=x", &name, &image])
        .exits(0);
    let shown = |options: &[&str]| {
        let mut words = vec!["images", "--format", "{{.Repository}}:{{.Tag}}"];
        words.extend(options);
        let output = e.cli(&words);
        let own = e.name("image");
        let lines = output.ok().lines().filter(|line| line.starts_with(&own));
        lines.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(shown(&["-f", "label=kind=x"]), image);
    assert_eq!(shown(&["-f", "label=kind=y"]), "");
    assert_eq!(
        shown(&["-f", &format!("reference={}*", e.name("image"))]),
        image
    );
    assert_eq!(shown(&["-f", &format!("since={BOX}")]), image);
    assert_eq!(shown(&["-f", "dangling=true"]), "");
    assert_eq!(shown(&["-a"]), image);
    let words = ["images", "--digests", &image];
    let table = e.cli(&words);
    let mut lines = table.ok().lines();
    assert!(
        lines.next().is_some_and(|head| head.contains("DIGEST")),
        "{table:?}"
    );
    assert!(
        lines.next().is_some_and(|row| row.contains("<none>")),
        "{table:?}"
    );
    e.cli(&["rm", &name]).exits(0);
    e.cli(&["rmi", "--no-prune", &image]).exits(0);
});

case!(forced_out, |e| {
    let (one, two) = (e.name("one:1"), e.name("two:1"));
    let name = create(e, "i", &[]);
    let id = e.cli(&["commit", &name, &one]).ok().to_owned();
    e.cli(&["rm", &name]).exits(0);
    e.cli(&["tag", &one, &two]).exits(0);
    let short = &id["sha256:".len().."sha256:".len() + 12];
    e.cli(&["rmi", short]).exits(1).errs(&format!(
        "Error response from daemon: conflict: unable to delete {short} (must be forced) - image \
         is referenced in multiple repositories\n"
    ));
    let output = e.cli(&["rmi", "-f", short]);
    for line in [
        format!("Untagged: {one}"),
        format!("Untagged: {two}"),
        format!("Deleted: {id}"),
    ] {
        assert!(output.ok().lines().any(|shown| shown == line), "{output:?}");
    }
    e.get_path(&format!("/images/{short}/json")).is(404);
    e.cli(&["rmi", "-f", "no-such"])
        .exits(0)
        .says("")
        .errs("Error response from daemon: No such image: no-such:latest\n");
});

case!(history_in_all_forms, |e| {
    let image = e.name("image");
    let name = create(e, "h", &[]);
    e.cli(&["commit", "-m", "why", &name, &image]).exits(0);
    let id = e.get_path(&format!("/images/{image}/json")).json()["Id"].clone();
    let id = id.as_str().expect("an id").to_owned();
    let shown = |options: &[&str]| {
        let mut words = vec!["history"];
        words.extend(options);
        words.push(&image);
        e.cli(&words).ok().to_owned()
    };
    let short = &id["sha256:".len().."sha256:".len() + 12];
    let base = e.get_path(&format!("/images/{BOX}/json")).json()["Id"].clone();
    let base = base.as_str().expect("an id").to_owned();
    let base_short = &base["sha256:".len().."sha256:".len() + 12];
    assert_eq!(shown(&["-q"]), format!("{short}\n{base_short}"));
    assert_eq!(shown(&["-q", "--no-trunc"]), format!("{id}\n{base}"));
    assert_eq!(
        shown(&["--format", "{{.CreatedBy}}|{{.Comment}}|{{.Size}}"])
            .lines()
            .next(),
        Some("true|why|0B")
    );
    let raw = shown(&["-H=false", "--format", "{{.Size}}|{{.CreatedAt}}"]);
    let second = raw.lines().nth(1).expect("two rows").to_owned();
    let (size, time) = second.split_once('|').expect("two columns");
    assert!(size.parse::<u64>().is_ok_and(|size| size > 1000), "{raw}");
    assert!(time.contains('T'), "{raw}");
    let head = shown(&[]);
    assert!(head.starts_with("IMAGE          CREATED"), "{head}");
    e.cli(&["rm", &name]).exits(0);
    e.cli(&["rmi", &image]).exits(0);
});

case!(inspect_by_template_and_type, |e| {
    let name = create(e, "t", &[]);
    let shown = |words: &[&str]| e.cli(words);
    shown(&["inspect", "-f", "{{.Name}} {{.Config.Image}}", &name])
        .exits(0)
        .says(&format!("/{name} {BOX}\n"));
    shown(&[
        "container",
        "inspect",
        "-f",
        "{{json .State.Running}}",
        &name,
    ])
    .exits(0)
    .says("false\n");
    shown(&["image", "inspect", "-f", "{{.Os}}", BOX])
        .exits(0)
        .says("linux\n");
    shown(&["inspect", "--type", "image", "-f", "{{.Os}}", BOX])
        .exits(0)
        .says("linux\n");
    shown(&["inspect", "--type", "image", &name])
        .exits(1)
        .errs(&format!(
            "Error response from daemon: No such image: {name}:latest\n"
        ));
    shown(&["inspect", "-f", "{{.Nope}}", &name]).exits(1).says("\n").errs(
        "template parsing error: template: :1:2: executing \"\" at <.Nope>: map has no entry for \
         key \"Nope\"\n",
    );
    shown(&["inspect", "-f", "{{", &name])
        .exits(64)
        .errs("template parsing error: template: :1: unclosed action\n");
    shown(&["port", &name]).exits(0).says("");
    shown(&["port", &name, "80"]).exits(1).errs(&format!(
        "Error: No public port '80' published for {name}\n"
    ));
    e.cli(&["rm", &name]).exits(0);
});

case!(the_engine_by_template, |e| {
    e.cli(&["info", "--format", "{{.OSType}} {{.Driver}}"])
        .exits(0)
        .says("linux overlay2\n");
    e.cli(&[
        "version",
        "--format",
        "{{.Server.Os}} {{.Server.APIVersion}}",
    ])
    .exits(0)
    .says("linux 1.51\n");
    let output = e.cli(&["info", "--format", "json"]);
    let info: Value = serde_json::from_str(output.ok()).expect("JSON");
    assert_eq!(info["OSType"], "linux");
});

case!(imports_with_a_config, |e| {
    let image = e.name("i:1");
    let archive = e.temp().path().join("tree.tar");
    let mut tar = std::process::Command::new("tar");
    tar.arg("-cf")
        .arg(&archive)
        .args(["-C", "/etc", "hostname"]);
    testkit::Program::start(&mut tar).finish().exits(0);
    let archive = archive.display().to_string();
    let words = ["import", "-m", "why", "-c", "CMD [\"x\"]", "-c", "ENV A=b"];
    let mut words = words.to_vec();
    words.extend(["--platform", "linux/amd64", &archive, &image]);
    e.cli(&words).exits(0);
    let seen = e.get_path(&format!("/images/{image}/json")).is(200).json();
    assert_eq!(seen["Comment"], "why");
    assert_eq!(seen["Architecture"], "amd64");
    assert_eq!(seen["Config"]["Cmd"], serde_json::json!(["x"]));
    assert_eq!(seen["Config"]["Env"], serde_json::json!(["A=b"]));
    e.cli(&["rmi", &image]).exits(0);
    e.cli(&["import", "-c", "BAD x", &archive, &image])
        .exits(1)
        .errs("Error response from daemon: BAD is not a valid change command\n");
    e.get_path(&format!("/images/{image}/json")).is(404);
});

/// Keys of info whose value is of that type.
const BOOLEANS: &[&str] = &[
    "MemoryLimit",
    "SwapLimit",
    "CpuCfsPeriod",
    "CpuCfsQuota",
    "CPUShares",
    "CPUSet",
    "PidsLimit",
    "IPv4Forwarding",
    "Debug",
    "OomKillDisable",
    "ExperimentalBuild",
    "LiveRestoreEnabled",
];
/// Keys of info whose value is of that type.
const NUMBERS: &[&str] = &[
    "Containers",
    "ContainersRunning",
    "ContainersPaused",
    "ContainersStopped",
    "Images",
    "NFd",
    "NGoroutines",
    "NEventsListener",
    "NCPU",
    "MemTotal",
];
/// Keys of info whose value is of that type.
const TEXTS: &[&str] = &[
    "ID",
    "Driver",
    "SystemTime",
    "LoggingDriver",
    "CgroupDriver",
    "CgroupVersion",
    "KernelVersion",
    "OperatingSystem",
    "OSVersion",
    "OSType",
    "Architecture",
    "IndexServerAddress",
    "DockerRootDir",
    "HttpProxy",
    "HttpsProxy",
    "NoProxy",
    "Name",
    "ServerVersion",
    "DefaultRuntime",
    "Isolation",
    "InitBinary",
];
/// Keys of info whose value is of that type.
const LISTS: &[&str] = &["DriverStatus", "Labels", "SecurityOptions", "CDISpecDirs"];
/// Keys of info whose value is of that type.
const OBJECTS: &[&str] = &[
    "Plugins",
    "RegistryConfig",
    "Runtimes",
    "Swarm",
    "ContainerdCommit",
    "RuncCommit",
    "InitCommit",
];

case!(every_key_of_info, |e| {
    let info = e.get_path("/info").is(200).json();
    let check = |keys: &[&str], name: &str, fits: &dyn Fn(&Value) -> bool| {
        for key in keys {
            let value = info.get(key);
            assert!(value.is_some_and(fits), "{key} is no {name}: {value:?}");
        }
    };
    check(BOOLEANS, "boolean", &Value::is_boolean);
    check(NUMBERS, "number", &Value::is_number);
    check(TEXTS, "text", &Value::is_string);
    check(LISTS, "list", &|value| value.is_array() || value.is_null());
    check(OBJECTS, "object", &Value::is_object);
    let root = std::fs::canonicalize(info["DockerRootDir"].as_str().expect("a path"));
    assert!(root.is_ok_and(|root| root.is_dir()));
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    assert_eq!(info["NCPU"], cpus);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("a kernel");
    assert_eq!(info["KernelVersion"], kernel.trim());
    let sum = |keys: [&str; 3]| {
        keys.iter()
            .filter_map(|key| info[key].as_u64())
            .sum::<u64>()
    };
    let parts = ["ContainersRunning", "ContainersPaused", "ContainersStopped"];
    assert_eq!(info["Containers"], sum(parts));
    let v1 = info["CgroupVersion"] == "1";
    assert_eq!(info["OomKillDisable"], v1);
});

case!(every_key_of_version, |e| {
    let version = e.get_path("/version").is(200).json();
    for key in [
        "Version",
        "ApiVersion",
        "MinAPIVersion",
        "GitCommit",
        "GoVersion",
        "Os",
        "Arch",
        "KernelVersion",
    ] {
        assert!(version[key].is_string(), "{key}: {version}");
    }
    assert_eq!(
        (&version["ApiVersion"], &version["MinAPIVersion"]),
        (&"1.51".into(), &"1.24".into())
    );
    let engine = &version["Components"][0];
    assert_eq!(engine["Name"], "Engine");
    assert_eq!(engine["Version"], version["Version"]);
    for key in [
        "ApiVersion",
        "Arch",
        "Experimental",
        "KernelVersion",
        "MinAPIVersion",
        "Os",
    ] {
        assert!(engine["Details"][key].is_string(), "{key}: {version}");
    }
});
