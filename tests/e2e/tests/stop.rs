//! `stop` and `kill`: how a container is ended.

use serde_json::json;
use testkit::{BOX, case};

const PATIENT: &str = "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.05; done";

fn ready(e: &testkit::Engine, name: &str) {
    testkit::eventually("it is ready", || {
        e.cli(&["logs", name])
            .stdout
            .contains("ready")
            .then_some(())
    });
}

case!(stop_asks_first, |e| {
    let name = e.background("p", &[], PATIENT);
    ready(e, &name);
    e.cli(&["stop", &name]).exits(0).says(&format!("{name}\n"));
    assert_eq!(e.inspect(&name)["State"]["ExitCode"], 3);
    e.cli(&["logs", &name]).exits(0).says("ready\nbye\n");
    e.post(&format!("/containers/{name}/stop"), &json!(null))
        .is(304);
});

case!(stop_kills_then, |e| {
    let name = e.background(
        "d",
        &[],
        "trap '' TERM; echo ready; while :; do sleep 0.1; done",
    );
    ready(e, &name);
    e.cli(&["stop", "-t", "1", &name]).exits(0);
    assert_eq!(e.inspect(&name)["State"]["ExitCode"], 137);
});

case!(kill, |e| {
    let name = e.background("k", &[], "sleep 100");
    e.cli(&["kill", &name]).exits(0).says(&format!("{name}\n"));
    e.cli(&["wait", &name]).exits(0).says("137\n");
});

case!(kill_with_a_signal, |e| {
    let script = "trap 'exit 42' USR1; echo ready; while :; do sleep 0.05; done";
    for signal in ["USR1", "SIGUSR1", "10"] {
        let name = e.background(signal, &[], script);
        ready(e, &name);
        e.cli(&["kill", "-s", signal, &name]).exits(0);
        e.cli(&["wait", &name]).exits(0).says("42\n");
    }
});

case!(kill_with_a_bad_signal, |e| {
    let name = e.background("b", &[], "sleep 100");
    e.cli(&["kill", "-s", "FOO", &name])
        .exits(1)
        .complains("invalid signal: FOO");
    assert_eq!(e.inspect(&name)["State"]["Running"], true);
});

case!(kill_when_not_running, |e| {
    let name = e.name("n");
    let id = e
        .cli(&["create", "--network", "none", "--name", &name, BOX, "true"])
        .ok()
        .to_owned();
    e.cli(&["kill", &name]).exits(1).complains(&format!(
        "cannot kill container: {name}: container {id} is not running"
    ));
});

case!(the_stop_signal_of_the_container, |e| {
    let script = "trap 'exit 9' USR2; echo ready; while :; do sleep 0.05; done";
    let name = e.background("s", &["--stop-signal", "USR2"], script);
    ready(e, &name);
    e.cli(&["stop", &name]).exits(0);
    assert_eq!(e.inspect(&name)["State"]["ExitCode"], 9);
});

case!(the_whole_tree_ends, |e| {
    let name = e.background("t", &[], "sleep 1000 & sleep 1000 & echo ready; wait");
    ready(e, &name);
    e.cli(&["kill", &name]).exits(0);
    e.cli(&["wait", &name]).exits(0).says("137\n");
});

case!(a_client_forwards_its_signals, |e| {
    let name = e.name("c");
    let words = [
        "run",
        "--network",
        "none",
        "--name",
        &name,
        BOX,
        "sh",
        "-c",
        PATIENT,
    ];
    let client = e.spawn(&words);
    testkit::eventually("it is ready", || {
        client.stdout().contains("ready").then_some(())
    });
    // Output comes before the answer to start, and until it has that Docker's client ends by itself.
    std::thread::sleep(std::time::Duration::from_millis(500));
    client.signal(rustix::process::Signal::TERM);
    client.finish().exits(3).says("ready\nbye\n");
});
