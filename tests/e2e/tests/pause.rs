//! `pause`, `unpause`, `restart`.

use crate::events::{actions, now};
use testkit::{Engine, case, eventually};

/// Counts the lines of a container's log.
fn lines(e: &Engine, name: &str) -> usize {
    e.cli(&["logs", name]).stdout.lines().count()
}

case!(a_paused_container_does_nothing, |e| {
    let name = e.background("p", &[], "while :; do echo x; sleep 0.05; done");
    eventually("it speaks", || (lines(e, &name) > 0).then_some(()));
    e.cli(&["pause", &name]).exits(0).says(&format!("{name}\n"));
    assert_eq!(e.inspect(&name)["State"]["Status"], "paused");
    assert_eq!(e.inspect(&name)["State"]["Paused"], true);
    let filter = format!("name={name}");
    let shown = e.cli(&["ps", "--filter", &filter, "--format", "{{.Status}}"]);
    assert!(shown.ok().ends_with(" (Paused)"), "{shown:?}");
    // What was written before it froze may still be on its way.
    std::thread::sleep(std::time::Duration::from_millis(300));
    let before = lines(e, &name);
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(lines(e, &name), before);
    e.cli(&["unpause", &name])
        .exits(0)
        .says(&format!("{name}\n"));
    eventually("it speaks again", || {
        (lines(e, &name) > before).then_some(())
    });
    assert_eq!(e.inspect(&name)["State"]["Paused"], false);
    e.cli(&["rm", "-f", &name]).exits(0);
});

case!(what_a_paused_container_refuses, |e| {
    let name = e.background("q", &[], "sleep 100");
    e.cli(&["pause", &name]).exits(0);
    let id = e.inspect(&name)["Id"].as_str().expect("an id").to_owned();
    let says = |words: &[&str], text: &str| {
        e.cli(words)
            .exits(1)
            .errs(&format!("Error response from daemon: {text}\n"));
    };
    says(
        &["pause", &name],
        &format!("Container {id} is already paused"),
    );
    says(
        &["exec", &name, "true"],
        &format!("Container {name} is paused, unpause the container before exec"),
    );
    says(
        &["rm", &name],
        &format!(
            "cannot remove container \"{name}\": container is paused and must be unpaused first"
        ),
    );
    e.cli(&["start", &name]).exits(1).errs(&format!(
        "Error response from daemon: cannot start a paused container, try unpause instead\n\
         Error: failed to start containers: {name}\n"
    ));
    e.cli(&["rm", "-f", &name]).exits(0);
});

case!(not_paused, |e| {
    let name = e.background("n", &[], "sleep 100");
    let id = e.inspect(&name)["Id"].as_str().expect("an id").to_owned();
    e.cli(&["unpause", &name]).exits(1).errs(&format!(
        "Error response from daemon: Container {id} is not paused\n"
    ));
    e.cli(&["kill", &name]).exits(0);
    e.cli(&["wait", &name]).exits(0);
    e.cli(&["pause", &name]).exits(1).errs(&format!(
        "Error response from daemon: container {id} is not running\n"
    ));
    e.cli(&["rm", &name]).exits(0);
    for verb in ["pause", "unpause", "restart"] {
        e.cli(&[verb, "no-such"])
            .exits(1)
            .errs("Error response from daemon: No such container: no-such\n");
    }
});

case!(a_paused_container_can_be_killed_and_stopped, |e| {
    for verb in [&["kill"][..], &["stop", "-t", "1"], &["rm", "-f"]] {
        let name = e.background("k", &[], "sleep 100");
        e.cli(&["pause", &name]).exits(0);
        let mut words = verb.to_vec();
        words.push(&name);
        e.cli(&words).exits(0);
        if verb[0] != "rm" {
            e.cli(&["wait", &name]).exits(0).says("137\n");
            e.cli(&["rm", &name]).exits(0);
        }
    }
});

case!(restart, |e| {
    let name = e.background("r", &[], "echo hello; sleep 100");
    let first = e.inspect(&name)["State"]["Pid"].clone();
    e.cli(&["restart", "-t", "0", &name])
        .exits(0)
        .says(&format!("{name}\n"));
    let state = e.inspect(&name);
    assert_eq!(state["State"]["Running"], true);
    assert_ne!(state["State"]["Pid"], first);
    assert_eq!(state["RestartCount"], 0, "by hand is not by policy");
    eventually("both runs spoke", || (lines(e, &name) == 2).then_some(()));
    e.cli(&["rm", "-f", &name]).exits(0);
});

case!(restart_starts_what_is_stopped, |e| {
    let script = "[ -e /again ] && sleep 100; touch /again; exit 3";
    let name = e.background("s", &[], script);
    e.cli(&["wait", &name]).exits(0).says("3\n");
    e.cli(&["restart", &name]).exits(0);
    assert_eq!(e.inspect(&name)["State"]["Running"], true);
    e.cli(&["rm", "-f", &name]).exits(0);
});

case!(their_events, |e| {
    let since = now();
    let name = e.background("e", &[], "sleep 100");
    e.cli(&["pause", &name]).exits(0);
    e.cli(&["unpause", &name]).exits(0);
    e.cli(&["restart", "-t", "0", &name]).exits(0);
    let seen = eventually("the restart is told", || {
        let seen = actions(e, &name, since);
        seen.contains(&"restart".to_owned()).then_some(seen)
    });
    for action in ["create", "start", "pause", "unpause", "die"] {
        assert!(seen.contains(&action.to_owned()), "{action} in {seen:?}");
    }
    assert_eq!(seen.last().map(String::as_str), Some("restart"), "{seen:?}");
    e.cli(&["rm", "-f", &name]).exits(0);
});
