//! What no other engine has: where the time goes, and images of this machine's own programs.

use serde_json::json;
use testkit::case;

/// The steps that every start goes through.
const STEPS: [&str; 6] = [
    "create",
    "start: network",
    "shim: cgroup",
    "shim: init: mounts",
    "shim: init: user",
    "start: start",
];

case!(a_trace_has_each_step, |e| {
    let name = e.background("x", &[], "sleep 100");
    let steps = e.get_path(&format!("/wharf/v1/containers/{name}/trace"));
    let steps = steps.is(200).json();
    let steps = steps.as_array().expect("a list");
    for wanted in STEPS {
        let step = steps.iter().find(|step| step["name"] == wanted);
        let step = step.unwrap_or_else(|| panic!("no step {wanted:?}: {steps:?}"));
        assert!(step["us"].is_u64() && step["at_us"].is_u64(), "{step}");
    }
    let begins: Vec<_> = steps.iter().map(|step| step["at_us"].as_u64()).collect();
    assert!(begins.is_sorted(), "{begins:?}");
    e.get_path("/wharf/v1/containers/nosuch/trace")
        .refuses(404, "No such container: nosuch");
});

case!(a_trace_is_a_table, |e| {
    let name = e.background("x", &[], "sleep 100");
    let output = e.cli(&["system", "trace", &name]);
    let mut lines = output.ok().lines();
    let head: Vec<_> = lines.next().expect("a head").split_whitespace().collect();
    assert_eq!(head, ["STEP", "AT", "TOOK"]);
    let rows: Vec<_> = lines.collect();
    for wanted in STEPS {
        assert!(rows.iter().any(|row| row.starts_with(wanted)), "{output:?}");
    }
    e.cli(&["system", "trace", "nosuch"])
        .exits(1)
        .complains("No such container: nosuch");
});

case!(an_image_of_this_machine, |e| {
    let image = e.name("tools");
    let tag = format!("{image}:mine");
    let asked = json!({"programs": ["/bin/sh", "ls"], "tag": tag});
    e.post("/wharf/v1/images/from-host", &asked).is(200);
    let inside = e.cli(&[
        "run",
        "--rm",
        "--network",
        "none",
        &tag,
        "sh",
        "-c",
        "ls /bin/sh /etc",
    ]);
    inside.exits(0);
    assert!(inside.stdout.contains("/bin/sh"), "{inside:?}");
    // Only what was asked for.
    let absent = e.cli(&[
        "run",
        "--rm",
        "--network",
        "none",
        &tag,
        "cat",
        "/etc/passwd",
    ]);
    absent.exits(127);
    e.cli(&["rmi", &tag]).exits(0);
    e.post(
        "/wharf/v1/images/from-host",
        &json!({"programs": ["no-such-program"], "tag": tag}),
    )
    .refuses(400, "program \"no-such-program\" is not on this machine");
});

case!(an_image_of_this_machine_by_hand, |e| {
    let image = e.name("tools");
    let tag = format!("{image}:mine");
    let made = e.cli(&["image", "from-host", "--tag", &tag, "sh", "id"]);
    let id = made.ok().to_owned();
    assert!(id.starts_with("sha256:") && id.len() == 71, "{made:?}");
    // Without a name it is found by its id; the built-in image keeps its own.
    let built_in = e.cli(&["images", "-q", "wharf/host"]).stdout;
    let nameless = e.cli(&["image", "from-host", "sh", "ls"]).ok().to_owned();
    e.cli(&[
        "run",
        "--rm",
        "--network",
        "none",
        &nameless,
        "ls",
        "-d",
        "/bin",
    ])
    .exits(0)
    .says("/bin\n");
    e.cli(&["images", "-q", "wharf/host"]).says(&built_in);
    e.cli(&["rmi", &nameless]).exits(0);
    e.cli(&["run", "--rm", "--network", "none", &tag, "id", "-u"])
        .exits(0)
        .says("0\n");
    e.cli(&["image", "from-host", "no-such-program"])
        .exits(1)
        .complains("no-such-program");
    e.cli(&["rmi", &tag]).exits(0);
});

case!(a_stop_of_one_that_does_not_hear, |e| {
    // Process 1 has no handler: the kernel drops the signal.
    let name = e.background("deaf", &[], "sleep 100; true");
    let begun = std::time::Instant::now();
    e.cli(&["stop", &name]).exits(0);
    assert_eq!(e.inspect(&name)["State"]["ExitCode"], 137);
    // Docker waits ten seconds before it kills.
    assert!(begun.elapsed().as_secs() < 9, "{:?}", begun.elapsed());
});

case!(lines_of_a_log_that_contain_a_text, |e| {
    let name = e.background(
        "log",
        &[],
        "echo one; echo two >&2; echo three; printf no-end-one",
    );
    e.cli(&["wait", &name]).exits(0);
    let output = e.cli(&["logs", "--grep", "one", &name]);
    output.exits(0).says("one\nno-end-one");
    e.cli(&["logs", "--grep", "two", &name])
        .exits(0)
        .says("")
        .errs("two\n");
});

case!(processes_as_a_tree, |e| {
    let name = e.background("tree", &[], "sleep 100 & sleep 200; true");
    let seen = testkit::eventually("both sleep", || {
        let text = e.cli(&["ps", "--tree"]).ok().to_owned();
        (text.contains("sleep 100") && text.contains("sleep 200")).then_some(text)
    });
    assert!(
        seen.contains(&name) && seen.contains("\u{2514}\u{2500} "),
        "{seen}"
    );
});

case!(a_restart_of_one_that_is_ill, |e| {
    let script = "n=0; [ -e /lives ] && n=1; touch /lives; [ $n = 1 ] && touch /ok; exec sleep 100";
    let flags = [
        "--restart",
        "on-unhealthy",
        "--health-cmd",
        "test -e /ok",
        "--health-interval",
        "100ms",
        "--health-retries",
        "2",
    ];
    let name = e.background("ill", &flags, script);
    testkit::eventually("its second life is healthy", || {
        let one = e.inspect(&name);
        (one["RestartCount"] == 1 && one["State"]["Health"]["Status"] == "healthy").then_some(())
    });
});
