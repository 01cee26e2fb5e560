//! `stats`: what a container uses.

use serde_json::Value;
use testkit::{BOX, Engine, case, eventually};

/// A number below a path of keys.
fn number(stats: &Value, path: &str) -> f64 {
    stats.pointer(path).and_then(Value::as_f64).unwrap_or(-1.0)
}

fn one_shot(e: &Engine, name: &str) -> Value {
    e.get_path(&format!("/containers/{name}/stats?stream=0&one-shot=1"))
        .is(200)
        .json()
}

case!(one_sample_and_two, |e| {
    let name = e.background(
        "s",
        &["-m", "64m", "--pids-limit", "30"],
        "sleep 100 & sleep 100",
    );
    let one = one_shot(e, &name);
    assert_eq!(one["memory_stats"]["limit"], 64 << 20);
    assert!(number(&one, "/memory_stats/usage") > 0.0, "{one}");
    assert!(
        number(&one, "/cpu_stats/cpu_usage/total_usage") > 0.0,
        "{one}"
    );
    assert!(number(&one, "/cpu_stats/system_cpu_usage") > 0.0, "{one}");
    assert!(number(&one, "/cpu_stats/online_cpus") > 0.0, "{one}");
    assert_eq!(one["precpu_stats"]["cpu_usage"]["total_usage"], 0);
    eventually("both processes are counted", || {
        (number(&one_shot(e, &name), "/pids_stats/current") >= 2.0).then_some(())
    });
    let two = e
        .get_path(&format!("/containers/{name}/stats?stream=0"))
        .is(200)
        .json();
    assert_eq!(two["name"], format!("/{name}"));
    assert_eq!(two["id"], e.inspect(&name)["Id"]);
    let earlier = number(&two, "/precpu_stats/system_cpu_usage");
    let later = number(&two, "/cpu_stats/system_cpu_usage");
    assert!(earlier > 0.0 && later > earlier, "{two}");
});

case!(as_the_cgroup_counts, |e| {
    let script = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo done; exec sleep 100";
    let name = e.background("c", &[], script);
    eventually("it has worked", || {
        e.cli(&["logs", &name])
            .stdout
            .contains("done")
            .then_some(())
    });
    let used = || number(&one_shot(e, &name), "/cpu_stats/cpu_usage/total_usage");
    let look = "cat /sys/fs/cgroup/cpuacct/cpuacct.usage 2>/dev/null || \
                sed -n 's/^usage_usec \\(.*\\)/\\1000/p' /sys/fs/cgroup/cpu.stat";
    let before = used();
    let inside = e.cli(&["exec", &name, "sh", "-c", look]);
    let counted: f64 = inside.ok().trim().parse().expect("a number");
    let after = used();
    assert!(
        before <= counted && counted <= after,
        "{before} {counted} {after}"
    );
});

case!(a_stream_of_samples, |e| {
    let name = e.background("t", &[], "sleep 100");
    let mut program = e.command(&["stats", "--format", "{{.Name}} {{.PIDs}}", &name]);
    program.stdout(std::process::Stdio::piped());
    let mut child = program.spawn().expect("the client starts");
    let output = child.stdout.take().expect("a pipe");
    let lines = std::io::BufRead::lines(std::io::BufReader::new(output));
    let wanted = format!("{name} 1");
    let seen = lines
        .map_while(Result::ok)
        .filter(|line| line.contains(&wanted))
        .take(2)
        .count();
    drop(child.kill());
    drop(child.wait());
    assert_eq!(seen, 2);
});

case!(on_the_command_line, |e| {
    let name = e.background("l", &["-m", "64m"], "sleep 100");
    let id = e.inspect(&name)["Id"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let table = e.cli(&["stats", "--no-stream", &name]);
    let lines: Vec<&str> = table.ok().lines().collect();
    let [head, line] = lines[..] else {
        panic!("two lines: {table:?}")
    };
    assert_eq!(
        head.split_whitespace().collect::<Vec<_>>().join(" "),
        "CONTAINER ID NAME CPU % MEM USAGE / LIMIT MEM % NET I/O BLOCK I/O PIDS"
    );
    assert!(
        line.starts_with(&id[..12]) && line.contains("/ 64MiB"),
        "{line}"
    );
    e.cli(&[
        "stats",
        "--no-stream",
        "--format",
        "{{.Name}} {{.PIDs}} {{.Container}}",
        &name,
    ])
    .exits(0)
    .says(&format!("{name} 1 {name}\n"));
    e.cli(&[
        "stats",
        "--no-stream",
        "--no-trunc",
        "--format",
        "{{.ID}}",
        &name,
    ])
    .exits(0)
    .says(&format!("{id}\n"));
    let json = e.cli(&["stats", "--no-stream", "--format", "json", &name]);
    let json: Value = serde_json::from_str(json.ok()).expect("JSON");
    assert_eq!(json["Name"], name);
    e.cli(&["stats", "--no-stream", "no-such"])
        .exits(1)
        .complains("No such container: no-such");
});

case!(those_that_run_or_all, |e| {
    let runs = e.background("r", &[], "sleep 100");
    let created = e.name("n");
    e.cli(&[
        "create",
        "--name",
        &created,
        "--network",
        "none",
        BOX,
        "true",
    ])
    .exits(0);
    let names = |flags: &[&str]| {
        let mut words = vec!["stats", "--no-stream", "--format", "{{.Name}}"];
        words.extend_from_slice(flags);
        e.cli(&words).ok().to_owned()
    };
    let some = names(&[]);
    assert!(some.contains(&runs) && !some.contains(&created), "{some}");
    let all = names(&["--all"]);
    assert!(all.contains(&runs) && all.contains(&created), "{all}");
});

case!(of_one_that_does_not_run, |e| {
    let name = e.name("c");
    e.cli(&["create", "--name", &name, BOX, "true"]).exits(0);
    let stats = e
        .get_path(&format!("/containers/{name}/stats?stream=0"))
        .is(200)
        .json();
    assert_eq!(stats["read"], "0001-01-01T00:00:00Z");
    assert_eq!(stats["memory_stats"], serde_json::json!({}));
    assert_eq!(stats["pids_stats"], serde_json::json!({}));
    e.get_path("/containers/no-such/stats?stream=0")
        .refuses(404, "No such container: no-such");
});
