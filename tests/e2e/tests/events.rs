//! `events`: what happens, told as it happens.

use serde_json::Value;
use testkit::{BOX, Engine, case};

/// Returns the events of the container `name` since `since` as `action` words.
pub(crate) fn actions(e: &Engine, name: &str, since: u64) -> Vec<String> {
    let until = now() + 1;
    let path = format!("/events?since={since}&until={until}");
    let text = e.get_path(&path).is(200).text();
    let events = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
    events
        .filter_map(Result::ok)
        .filter(|event| event["Actor"]["Attributes"]["name"] == name)
        .filter(|event| event["Type"] == "container")
        .filter_map(|event| Some(event["Action"].as_str()?.to_owned()))
        .collect()
}

pub(crate) fn now() -> u64 {
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    time.expect("after 1970").as_secs()
}

case!(the_life_of_a_container, |e| {
    let (name, since) = (e.name("life"), now());
    e.sh(&["--name", &name], "exit 4").exits(4);
    let seen = testkit::eventually("it is destroyed", || {
        let seen = actions(e, &name, since);
        seen.contains(&"destroy".to_owned()).then_some(seen)
    });
    assert_eq!(seen, ["create", "attach", "start", "die", "destroy"]);
});

case!(die_tells_the_exit_code, |e| {
    let (name, since) = (e.name("code"), now());
    e.sh(&["--name", &name], "exit 4").exits(4);
    let until = now() + 1;
    let filters =
        format!("%7B%22container%22%3A%5B%22{name}%22%5D%2C%22event%22%3A%5B%22die%22%5D%7D");
    let path = format!("/events?since={since}&until={until}&filters={filters}");
    let event = e.get_path(&path).is(200).json();
    assert_eq!(event["Action"], "die");
    assert_eq!(event["Actor"]["Attributes"]["exitCode"], "4");
    assert_eq!(event["Actor"]["Attributes"]["image"], BOX);
    assert_eq!(event["scope"], "local");
    assert!(event["timeNano"].as_u64() > event["time"].as_u64());
});

case!(kill_tells_the_signal, |e| {
    let since = now();
    let name = e.background("k", &[], "sleep 100");
    e.cli(&["kill", "-s", "USR1", &name]).exits(0);
    let seen = actions(e, &name, since);
    assert!(seen.contains(&"kill".to_owned()), "{seen:?}");
});

case!(rename_and_exec, |e| {
    let since = now();
    let old = e.background("old", &[], "sleep 100");
    e.cli(&["exec", &old, "true"]).exits(0);
    let name = e.name("new");
    e.cli(&["rename", &old, &name]).exits(0);
    let before = actions(e, &old, since);
    assert!(
        before
            .iter()
            .any(|action| action.starts_with("exec_create: true")),
        "{before:?}"
    );
    assert!(
        before
            .iter()
            .any(|action| action.starts_with("exec_start: true")),
        "{before:?}"
    );
    assert!(
        before.iter().any(|action| action == "exec_die"),
        "{before:?}"
    );
    assert_eq!(actions(e, &name, since), ["rename"]);
});

case!(they_come_as_they_happen, |e| {
    let mut follower = e.spawn(&[
        "events",
        "--format",
        "{{.Action}} {{.Actor.Attributes.name}}",
    ]);
    std::thread::sleep(std::time::Duration::from_millis(500));
    let name = e.name("live");
    e.cli(&["create", "--network", "none", "--name", &name, BOX, "true"])
        .exits(0);
    testkit::eventually("the event", || {
        assert!(follower.runs(), "{}", follower.stderr());
        follower
            .stdout()
            .contains(&format!("create {name}\n"))
            .then_some(())
    });
});

case!(what_was_before_the_daemon, |e| {
    let since = now();
    let name = e.background("b", &[], "true");
    e.cli(&["wait", &name]).exits(0);
    let before = actions(e, &name, since);
    e.stop_daemon();
    e.start_daemon(&[]);
    assert_eq!(actions(e, &name, since), before);
    assert!(before.contains(&"die".to_owned()), "{before:?}");
});
