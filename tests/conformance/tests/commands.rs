//! Commands, flags, exit codes and output, beside Debian's runc.

use conformance::{Bundle, Runtime, Said, unique};
use serde_json::{Value, json};

/// The same steps on both runtimes; what each said.
fn both(steps: impl Fn(&Runtime, &str, &Bundle) -> Vec<Said>) -> (Vec<Said>, Vec<Said>) {
    let run = |runtime: Runtime| {
        let bundle = Bundle::new("sleep 60");
        let id = unique(&runtime);
        bundle.write(&id);
        let said = steps(&runtime, &id, &bundle);
        runtime.clear(&id);
        conformance::assert_nothing_left(&id);
        let clean = |text: &str| {
            text.replace(&id, "ID")
                .replace(&bundle.dir().display().to_string(), "BUNDLE")
        };
        said.iter()
            .map(|one| Said {
                code: one.code,
                out: clean(&one.out),
                err: clean(&one.err),
            })
            .collect()
    };
    (run(Runtime::ours()), run(Runtime::runc()))
}

/// The message of a log line.
fn message(text: &str) -> String {
    text.split("msg=")
        .nth(1)
        .unwrap_or(text)
        .trim()
        .trim_matches('"')
        .to_owned()
}

/// Codes, output and messages are the same.
fn same(steps: impl Fn(&Runtime, &str, &Bundle) -> Vec<Said>) {
    let (ours, theirs) = both(steps);
    assert_eq!(ours.len(), theirs.len());
    for (at, (own, other)) in ours.iter().zip(&theirs).enumerate() {
        assert_eq!(own.code, other.code, "step {at}: {own:?} {other:?}");
        assert_eq!(own.out, other.out, "step {at}: {own:?} {other:?}");
        assert_eq!(message(&own.err), message(&other.err), "step {at}");
    }
}

fn create(runtime: &Runtime, id: &str, bundle: &Bundle) -> Said {
    runtime.run_in(bundle.dir(), &["create", id])
}

fn status(runtime: &Runtime, id: &str) -> Said {
    let said = runtime.run(&["state", id]);
    let state: Value = serde_json::from_str(&said.out).unwrap_or_default();
    let pid = state["pid"].as_i64().unwrap_or(-1);
    Said {
        out: format!("{} {}", state["status"], if pid > 0 { 1 } else { pid }),
        ..said
    }
}

#[test]
fn root_life() {
    same(|runtime, id, bundle| {
        let run = |words: &[&str]| runtime.run(words);
        vec![
            status(runtime, id),
            create(runtime, id, bundle),
            status(runtime, id),
            create(runtime, id, bundle),
            run(&["start", id]),
            status(runtime, id),
            run(&["start", id]),
            run(&["exec", id, "echo", "hi"]),
            run(&["exec", id, "sh", "-c", "exit 5"]),
            run(&["pause", id]),
            status(runtime, id),
            run(&["exec", id, "true"]),
            run(&["delete", id]),
            run(&["resume", id]),
            run(&["resume", id]),
            run(&["delete", id]),
            run(&["kill", id, "NOSUCH"]),
            run(&["kill", id, "KILL"]),
            wait_stopped(runtime, id),
            run(&["start", id]),
            run(&["exec", id, "true"]),
            run(&["kill", id]),
            run(&["pause", id]),
            run(&["delete", id]),
            run(&["delete", id]),
            run(&["delete", "--force", id]),
        ]
    });
}

fn wait_stopped(runtime: &Runtime, id: &str) -> Said {
    testkit::eventually("the container stops", || {
        let said = status(runtime, id);
        said.out.contains("stopped").then_some(said)
    })
}

#[test]
fn root_words_that_are_wrong() {
    for words in [
        &["start"][..],
        &["delete"],
        &["kill"],
        &["state"],
        &["exec"],
        &["create"],
        &["start", "a", "b"],
        &["state", "nosuch"],
        &["start", "nosuch"],
        &["exec", "nosuch", "true"],
        &["kill", "nosuch"],
        &["pause", "nosuch"],
        &["resume", "nosuch"],
        &["ps", "nosuch"],
        &["update", "nosuch"],
        &["events", "nosuch"],
        &["nosuch"],
        &["state", "--nosuch", "x"],
        &["state", "a/b"],
        &["list", "--format", "x"],
        &["list", "x"],
        &["create", "--bundle", "/nonexistent", "x"],
        &["run", "--preserve-fds", "x", "y"],
    ] {
        let (own, other) = (Runtime::ours().run(words), Runtime::runc().run(words));
        assert_eq!(own.code, other.code, "{words:?}: {own:?} {other:?}");
        // The usage that is printed with it is each program's own.
        let (own, other) = (message(&own.err), message(&other.err));
        let other = other
            .replace("/usr/sbin/runc", "wharf-runc")
            .replace("runc: ", "wharf-runc: ");
        if !SENTENCES.iter().any(|(word, _)| words.contains(word)) {
            assert_eq!(
                own.replace("wharf-wharf", "wharf"),
                other.replace("wharf-wharf", "wharf"),
                "{words:?}"
            );
        }
    }
}

/// Words whose sentence is ours, and why.
const SENTENCES: &[(&str, &str)] = &[
    ("/nonexistent", "runc says the same behind its own prefix"),
    ("--preserve-fds", "Go's parser names the type"),
    ("a/b", "runc 1.1 quotes nothing"),
    ("list", "runc 1.1 has no maximum in its sentence"),
];

#[test]
fn root_lists_and_states() {
    let (ours, theirs) = both(|runtime, id, bundle| {
        let created = create(runtime, id, bundle);
        assert_eq!(created.code, 0, "{created:?}");
        ["table", "json"]
            .iter()
            .map(|format| runtime.run(&["list", "-f", format]))
            .chain([runtime.run(&["list", "-q"]), runtime.run(&["state", id])])
            .collect()
    });
    let [table, json, quiet, state] = &ours[..] else {
        panic!("four")
    };
    let head = |said: &Said| {
        said.out
            .lines()
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(head(table), head(&theirs[0]));
    assert_eq!(table.out.lines().count(), 2, "{table:?}");
    let keys = |text: &str| -> Vec<String> {
        let value: Value = serde_json::from_str(text).unwrap();
        let object = if value.is_array() {
            value[0].clone()
        } else {
            value
        };
        object.as_object().unwrap().keys().cloned().collect()
    };
    assert_eq!(keys(&json.out), keys(&theirs[1].out));
    assert_eq!(quiet.out, theirs[2].out);
    assert_eq!(keys(&state.out), keys(&theirs[3].out));
    let empty = (
        Runtime::ours().run(&["list"]),
        Runtime::runc().run(&["list"]),
    );
    assert_eq!(empty.0, empty.1);
    let empty = (
        Runtime::ours().run(&["list", "-f", "json"]),
        Runtime::runc().run(&["list", "-f", "json"]),
    );
    assert_eq!(empty.0.out.trim(), empty.1.out.trim());
}

#[test]
fn root_exec_flags() {
    same(|runtime, id, bundle| {
        let run = |words: &[&str]| runtime.run(words);
        let process = bundle.dir().join("process.json");
        let text = json!({"args": ["sh", "-c", "echo $A; id -u; pwd"], "cwd": "/tmp", "env": ["PATH=/bin", "A=b"], "user": {"uid": 7, "gid": 8}});
        std::fs::write(&process, text.to_string()).unwrap();
        let process = process.to_str().unwrap();
        let pid_file = bundle.dir().join("pid");
        let pid_file = pid_file.to_str().unwrap();
        let said = vec![
            create(runtime, id, bundle),
            run(&["start", id]),
            run(&["exec", "--cwd", "/tmp", id, "pwd"]),
            run(&[
                "exec",
                "-e",
                "A=1",
                "-e",
                "B=2",
                id,
                "sh",
                "-c",
                "echo $A$B",
            ]),
            run(&["exec", "--user", "1000:1001", id, "id"]),
            run(&["exec", "-u", "12", id, "id", "-u"]),
            run(&["exec", "-u", "root", id, "id"]).code_only(),
            run(&[
                "exec",
                "-g",
                "7",
                "-g",
                "8",
                id,
                "grep",
                "Groups",
                "/proc/self/status",
            ]),
            run(&[
                "exec",
                "--cap",
                "CAP_CHOWN",
                id,
                "grep",
                "-E",
                "Cap(Prm|Eff|Bnd)",
                "/proc/self/status",
            ]),
            run(&["exec", "--process", process, id]),
            run(&["exec", "--process", "/nosuch", id]).code_only(),
            run(&["exec", "--detach", "--pid-file", pid_file, id, "true"]),
            run(&["exec", id, "nosuch"]),
            run(&["exec", id, "/etc/plain"]).code_only(),
            run(&["exec", id, "/etc"]).code_only(),
            run(&["exec", "--cwd", "/nosuch", id, "true"]).code_only(),
            run(&["exec", id, "sh", "-c", "kill -9 $$"]),
            run(&["exec", id, "cut", "-d", ":", "-f", "2", "/proc/self/cgroup"]),
            run(&["exec", id, "sh", "-c", "ls /proc/self/fd | wc -l"]),
            run(&["exec", "--cwd", "tmp", id, "true"]).code_only(),
        ];
        assert!(
            std::fs::read_to_string(pid_file)
                .unwrap()
                .parse::<i32>()
                .is_ok()
        );
        said
    });
}

trait CodeOnly {
    fn code_only(self) -> Said;
}

impl CodeOnly for Said {
    /// Where the sentence holds what differs from machine to machine.
    fn code_only(self) -> Said {
        Said {
            code: self.code,
            out: String::new(),
            err: String::new(),
        }
    }
}

#[test]
fn root_updates() {
    let file = |controller: &str, id: &str, file: &str| {
        std::fs::read_to_string(format!(
            "/sys/fs/cgroup/{controller}/wharf-conformance/{id}/{file}"
        ))
        .unwrap_or_default()
    };
    same(|runtime, id, bundle| {
        let mut said = vec![create(runtime, id, bundle), runtime.run(&["start", id])];
        for (flag, value, controller, name) in [
            ("--memory", "64M", "memory", "memory.limit_in_bytes"),
            ("--memory", "128M", "memory", "memory.limit_in_bytes"),
            (
                "--memory-reservation",
                "32M",
                "memory",
                "memory.soft_limit_in_bytes",
            ),
            (
                "--memory-swap",
                "256M",
                "memory",
                "memory.memsw.limit_in_bytes",
            ),
            ("--cpu-share", "700", "cpu", "cpu.shares"),
            ("--cpu-quota", "40000", "cpu", "cpu.cfs_quota_us"),
            ("--cpu-period", "80000", "cpu", "cpu.cfs_period_us"),
            ("--cpuset-cpus", "0", "cpuset", "cpuset.cpus"),
            ("--cpuset-mems", "0", "cpuset", "cpuset.mems"),
            ("--pids-limit", "77", "pids", "pids.max"),
            ("--pids-limit", "-1", "pids", "pids.max"),
        ] {
            let words = format!("{flag}={value}");
            let mut one = runtime.run(&["update", &words, id]);
            one.out.push_str(&file(controller, id, name));
            said.push(one);
        }
        let path = bundle.dir().join("resources.json");
        std::fs::write(&path, r#"{"pids": {"limit": 33}, "cpu": {"shares": 300}}"#).unwrap();
        let mut one = runtime.run(&["update", "-r", path.to_str().unwrap(), id]);
        one.out.push_str(&file("pids", id, "pids.max"));
        one.out.push_str(&file("cpu", id, "cpu.shares"));
        said.push(one);
        said
    });
}

#[test]
fn root_pids_and_measures() {
    let (ours, theirs) = both(|runtime, id, bundle| {
        let mut said = vec![create(runtime, id, bundle), runtime.run(&["start", id])];
        let pids = runtime.run(&["ps", "-f", "json", id]);
        let list: Value = serde_json::from_str(&pids.out).unwrap();
        assert_eq!(list.as_array().unwrap().len(), 1, "{pids:?}");
        let table = runtime.run(&["ps", id]);
        assert!(
            table.out.lines().nth(1).unwrap().ends_with("sleep 60"),
            "{table:?}"
        );
        let stats = runtime.run(&["events", "--stats", id]);
        let value: Value = serde_json::from_str(&stats.out).unwrap();
        assert_eq!(value["type"], "stats");
        for pointer in [
            "/data/cpu/usage/total",
            "/data/cpu/usage/percpu",
            "/data/memory/usage/limit",
            "/data/memory/usage/usage",
            "/data/memory/raw/total_cache",
            "/data/pids/current",
            "/data/blkio",
        ] {
            assert!(value.pointer(pointer).is_some(), "{pointer}: {value}");
        }
        said.push(Said {
            code: stats.code,
            out: String::new(),
            err: stats.err,
        });
        said
    });
    assert_eq!(ours, theirs);
}

#[test]
fn root_logs_and_pid_files() {
    for runtime in [Runtime::ours(), Runtime::runc()] {
        let bundle = Bundle::new("sleep 60");
        let log = bundle.dir().join("log");
        let path = log.to_str().unwrap();
        let said = runtime.run(&["--log", path, "--log-format", "json", "state", "nosuch"]);
        assert_eq!(
            (said.code, said.err.as_str()),
            (1, "container does not exist\n")
        );
        let line: Value =
            serde_json::from_str(std::fs::read_to_string(&log).unwrap().trim()).unwrap();
        assert_eq!(
            (&line["level"], &line["msg"]),
            (&json!("error"), &json!("container does not exist"))
        );
        assert!(
            line["time"]
                .as_str()
                .is_some_and(|time| time.ends_with('Z'))
        );
        let said = runtime.run(&["--log", path, "--log-format", "x", "state", "nosuch"]);
        assert_eq!(said.code, 1);
        let id = unique(&runtime);
        bundle.write(&id);
        let pid = bundle.dir().join("pid");
        let said = runtime.run_in(
            bundle.dir(),
            &["create", "--pid-file", pid.to_str().unwrap(), &id],
        );
        assert_eq!(said.code, 0, "{said:?}");
        let pid: u32 = std::fs::read_to_string(pid).unwrap().parse().unwrap();
        let state: Value = serde_json::from_str(&runtime.run(&["state", &id]).out).unwrap();
        assert_eq!(state["pid"], pid);
        let raw = std::fs::read_to_string(format!("{}/{id}/state.json", runtime.root())).unwrap();
        let raw: Value = serde_json::from_str(&raw).unwrap();
        for key in [
            "id",
            "init_process_pid",
            "init_process_start",
            "created",
            "config",
            "cgroup_paths",
            "namespace_paths",
        ] {
            assert!(!raw[key].is_null(), "{key}");
        }
        assert!(
            raw["cgroup_paths"]["memory"]
                .as_str()
                .is_some_and(|path| path.ends_with(&id))
        );
        runtime.clear(&id);
    }
}

#[test]
fn root_spec_and_features() {
    let (ours, theirs) = (Runtime::ours(), Runtime::runc());
    for words in [&["spec"][..], &["spec", "--rootless"]] {
        let read = |runtime: &Runtime| {
            let bundle = Bundle::new("true");
            assert_eq!(runtime.run_in(bundle.dir(), words).code, 0);
            let again = runtime.run_in(bundle.dir(), words);
            assert_eq!(
                (again.code, message(&again.err)),
                (1, "File config.json exists. Remove it first".to_owned())
            );
            let text = std::fs::read_to_string(bundle.dir().join("config.json")).unwrap();
            let mut value: Value = serde_json::from_str(&text).unwrap();
            value["ociVersion"] = Value::Null;
            value
        };
        assert_eq!(read(&ours), read(&theirs));
    }
    let features: Value = serde_json::from_str(&ours.run(&["features"]).out).unwrap();
    let known: Value = serde_json::from_str(&theirs.run(&["features"]).out).unwrap();
    for list in [
        "/hooks",
        "/linux/namespaces",
        "/linux/capabilities",
        "/linux/seccomp/actions",
        "/linux/seccomp/operators",
    ] {
        let all = features.pointer(list).unwrap().as_array().unwrap();
        for word in known.pointer(list).unwrap().as_array().unwrap() {
            assert!(all.contains(word), "{list} has no {word}");
        }
    }
    let version = ours.run(&["--version"]);
    assert!(
        version.out.starts_with("wharf-runc version "),
        "{version:?}"
    );
    assert!(version.out.contains("\nspec: 1."), "{version:?}");
}

#[test]
fn root_other_flags() {
    same(|runtime, id, bundle| {
        let run = |words: &[&str]| runtime.run_in(bundle.dir(), words);
        vec![
            run(&["run", "--detach", id]),
            run(&["kill", "--all", id, "9"]),
            wait_stopped(runtime, id),
            run(&["delete", id]),
            run(&["run", "-d", "--no-pivot", "--no-new-keyring", id]),
            run(&["exec", id, "ls", "/"]),
            run(&["delete", id, "--force"]),
            run(&["create", "--preserve-fds", "9", id]).code_only(),
            run(&["create", "--console-socket", "/nosuch", id]),
            run(&["delete", "--force", id]),
        ]
    });
}
