//! `--restart`: what happens when a container ends.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::{BOX, Engine, case, eventually};

use crate::events::{actions, now};

/// Counts its lives in a file of its own and ends as `then` says.
fn counting(then: &str) -> String {
    format!("echo x >>/lives; n=$(grep -c x /lives); echo life $n; {then}")
}

fn restarts(e: &Engine, name: &str) -> u64 {
    e.inspect(name)["RestartCount"].as_u64().unwrap_or(0)
}

fn state(e: &Engine, name: &str) -> Value {
    e.inspect(name)["State"].clone()
}

fn ended(e: &Engine, name: &str) -> Value {
    eventually("it has ended for good", || {
        let state = state(e, name);
        (state["Status"] == "exited").then_some(state)
    })
}

case!(on_failure_up_to_a_count, |e| {
    let since = now();
    let name = e.background("f", &["--restart", "on-failure:2"], &counting("exit 9"));
    let state = ended(e, &name);
    assert_eq!(state["ExitCode"], 9);
    assert_eq!(state["Running"], false);
    assert_eq!(restarts(e, &name), 2);
    e.cli(&["logs", &name])
        .exits(0)
        .says("life 1\nlife 2\nlife 3\n");
    let seen = actions(e, &name, since);
    let count = |word: &str| seen.iter().filter(|action| *action == word).count();
    assert_eq!((count("start"), count("die")), (3, 3), "{seen:?}");
    let policy = &e.inspect(&name)["HostConfig"]["RestartPolicy"];
    assert_eq!(
        *policy,
        json!({"Name": "on-failure", "MaximumRetryCount": 2})
    );
});

case!(on_failure_ends_with_success, |e| {
    let script = counting("[ $n = 3 ] && exit 0; exit 5");
    let name = e.background("s", &["--restart", "on-failure"], &script);
    assert_eq!(ended(e, &name)["ExitCode"], 0);
    assert_eq!(restarts(e, &name), 2);
});

case!(always_after_success, |e| {
    let script = counting("[ $n -ge 3 ] && exec sleep 100; exit 0");
    let name = e.background("a", &["--restart", "always"], &script);
    eventually("the third life", || (restarts(e, &name) == 2).then_some(()));
    eventually("it runs", || {
        (state(e, &name)["Status"] == "running").then_some(())
    });
    e.cli(&["stop", "-t", "0", &name]).exits(0);
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(state(e, &name)["Status"], "exited");
    // The count begins anew with the user's start.
    e.cli(&["start", &name]).exits(0);
    assert_eq!(restarts(e, &name), 0);
});

case!(while_it_waits, |e| {
    let name = e.background("w", &["--restart", "always"], "exit 3");
    let waiting = || {
        let state = state(e, &name);
        (state["Status"] == "restarting").then_some(state)
    };
    let seen = eventually("it waits for a restart", waiting);
    assert_eq!(seen["Running"], true);
    assert_eq!(seen["Restarting"], true);
    assert_eq!(seen["ExitCode"], 3);
    // By now it waits for seconds.
    eventually("some restarts", || (restarts(e, &name) >= 5).then_some(()));
    eventually("it waits again", waiting);
    e.cli(&[
        "ps",
        "--format",
        "{{.Status}}",
        "-f",
        &format!("name={name}"),
    ])
    .exits(0)
    .shows("Restarting (3) ");
    e.cli(&[
        "ps",
        "-q",
        "-f",
        "status=restarting",
        "-f",
        &format!("name={name}"),
    ])
    .exits(0)
    .shows(&e.inspect(&name)["Id"].as_str().unwrap_or_default()[..12]);
    e.cli(&["exec", &name, "true"])
        .exits(1)
        .complains("is restarting, wait until the container is running");
    e.cli(&["rm", &name])
        .exits(1)
        .complains("container is restarting: stop the container before removing or force remove");
    e.post(&format!("/containers/{name}/start"), &json!(null))
        .is(304);
    e.cli(&["stop", &name]).exits(0);
    assert_eq!(state(e, &name)["Status"], "exited");
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(state(e, &name)["Status"], "exited");
});

case!(a_killed_one_stays_down, |e| {
    let name = e.background("k", &["--restart", "unless-stopped"], "sleep 100");
    e.cli(&["kill", &name]).exits(0);
    assert_eq!(ended(e, &name)["ExitCode"], 137);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(state(e, &name)["Status"], "exited");
});

case!(one_that_ends_by_a_signal_comes_back, |e| {
    let script = "trap 'exit 5' USR1; echo ready; while :; do sleep 0.05; done";
    let name = e.background("o", &["--restart", "unless-stopped"], script);
    eventually("it is ready", || {
        e.cli(&["logs", &name])
            .stdout
            .contains("ready")
            .then_some(())
    });
    let pid = state(e, &name)["Pid"].clone();
    e.cli(&["exec", &name, "kill", "-USR1", "1"]).exits(0);
    eventually("it is back", || {
        let state = state(e, &name);
        (state["Status"] == "running" && state["Pid"] != pid).then_some(())
    });
    assert_eq!(restarts(e, &name), 1);
    e.cli(&["rm", "-f", &name]).exits(0);
});

case!(a_wait_ends_with_the_first_life, |e| {
    let name = e.background("n", &["--restart", "always"], "sleep 1; exit 6");
    e.cli(&["wait", &name]).exits(0).says("6\n");
});

case!(what_is_not_a_policy, |e| {
    let create = |policy: &str| e.cli(&["create", "--restart", policy, BOX, "true"]);
    create("always:3")
        .exits(1)
        .complains("maximum retry count can only be used with 'on-failure'");
    create("on-failure:-1")
        .exits(1)
        .complains("maximum retry count cannot be negative");
    create("on-failure:x")
        .exits(125)
        .complains("maximum retry count must be an integer");
    e.post(
        "/containers/create",
        &json!({"Image": BOX, "Cmd": ["true"], "HostConfig": {
            "AutoRemove": true, "RestartPolicy": {"Name": "always"}}}),
    )
    .refuses(
        400,
        "can't create 'AutoRemove' container with restart policy",
    );
});

case!(restarts_go_on_without_the_daemon, |e| {
    let since = now();
    let script = counting("[ $n -ge 4 ] && exec sleep 100; sleep 0.2; exit 1");
    let name = e.background("d", &["--restart", "on-failure"], &script);
    e.kill_daemon();
    std::thread::sleep(Duration::from_secs(4));
    e.start_daemon(&[]);
    let state = eventually("it runs", || {
        let state = state(e, &name);
        (state["Status"] == "running").then_some(state)
    });
    assert_eq!(restarts(e, &name), 3, "{state}");
    e.cli(&["logs", &name])
        .exits(0)
        .says("life 1\nlife 2\nlife 3\nlife 4\n");
    e.cli(&["exec", &name, "true"]).exits(0);
    let seen = actions(e, &name, since);
    let count = |word: &str| seen.iter().filter(|action| *action == word).count();
    assert!(count("die") >= 2 && count("start") >= 2, "{seen:?}");
    e.cli(&["rm", "-f", &name]).exits(0);
});

case!(a_new_daemon_starts_what_should_run, |e| {
    let always = e.background("a", &["--restart", "always"], "sleep 100");
    let unless = e.background("u", &["--restart", "unless-stopped"], "sleep 100");
    let never = e.background("n", &[], "sleep 100");
    let created = e.name("c");
    e.cli(&[
        "create",
        "--restart",
        "always",
        "--name",
        &created,
        BOX,
        "true",
    ])
    .exits(0);
    e.cli(&["stop", "-t", "0", &always, &unless, &never])
        .exits(0);
    e.stop_daemon();
    e.start_daemon(&[]);
    eventually("it is started", || {
        (state(e, &always)["Status"] == "running").then_some(())
    });
    assert_eq!(state(e, &unless)["Status"], "exited");
    assert_eq!(state(e, &never)["Status"], "exited");
    assert_eq!(state(e, &created)["Status"], "created");
});

case!(said_at_create, |e| {
    let name = e.name("c");
    let script = counting("exit 4");
    e.cli(&[
        "create",
        "--restart",
        "on-failure:1",
        "--network",
        "none",
        "--name",
        &name,
        BOX,
        "sh",
        "-c",
        &script,
    ])
    .exits(0);
    e.cli(&["start", &name]).exits(0);
    eventually("the second life ended", || {
        let one = e.inspect(&name);
        (one["RestartCount"] == 1 && one["State"]["Status"] == "exited").then_some(())
    });
});
