//! `--health-cmd` and its like: containers are asked how they feel.

use serde_json::{Value, json};
use testkit::{BOX, Engine, case, eventually};

use crate::events::{actions, now};

fn health(e: &Engine, name: &str) -> Value {
    e.inspect(name)["State"]["Health"].clone()
}

fn feels(e: &Engine, name: &str, word: &str) -> Value {
    eventually(word, || {
        let health = health(e, name);
        (health["Status"] == word).then_some(health)
    })
}

case!(well_and_ill, |e| {
    let since = now();
    let flags = [
        "--health-cmd",
        "cat /ok && echo fine",
        "--health-interval",
        "100ms",
        "--health-retries",
        "2",
    ];
    let name = e.background("w", &flags, "echo yes >/ok; exec sleep 100");
    let well = feels(e, &name, "healthy");
    assert_eq!(well["FailingStreak"], 0);
    let last = well["Log"].as_array().and_then(|log| log.last()).cloned();
    let last = last.expect("a probe");
    assert_eq!(last["ExitCode"], 0);
    assert_eq!(last["Output"], "yes\nfine\n");
    e.cli(&[
        "ps",
        "--format",
        "{{.Status}}",
        "-f",
        "health=healthy",
        "-f",
        &format!("name={name}"),
    ])
    .exits(0)
    .shows("(healthy)");
    e.cli(&["exec", &name, "rm", "/ok"]).exits(0);
    let ill = feels(e, &name, "unhealthy");
    assert!(ill["FailingStreak"].as_u64() >= Some(2), "{ill}");
    let ill = eventually("five answers", || {
        let health = health(e, &name);
        (health["FailingStreak"].as_u64() >= Some(6)).then_some(health)
    });
    assert_eq!(ill["Log"].as_array().map(Vec::len), Some(5));
    assert_eq!(ill["Log"][4]["ExitCode"], 1);
    e.cli(&[
        "ps",
        "-q",
        "-f",
        "health=healthy",
        "-f",
        &format!("name={name}"),
    ])
    .exits(0)
    .says("");
    // It is not ended for it.
    assert_eq!(e.inspect(&name)["State"]["Running"], true);
    let seen = actions(e, &name, since);
    let told = |word: &str| seen.contains(&format!("health_status: {word}"));
    assert!(told("healthy") && told("unhealthy"), "{seen:?}");
});

case!(not_known_yet, |e| {
    let flags = ["--health-cmd", "true", "--health-interval", "1h"];
    let name = e.background("s", &flags, "sleep 100");
    assert_eq!(
        health(e, &name),
        json!({"Status": "starting", "FailingStreak": 0, "Log": []})
    );
    e.cli(&[
        "ps",
        "--format",
        "{{.Status}}",
        "-f",
        &format!("name={name}"),
    ])
    .exits(0)
    .shows("(health: starting)");
    assert_eq!(
        e.inspect(&name)["Config"]["Healthcheck"],
        json!({"Test": ["CMD-SHELL", "true"], "Interval": 3_600_000_000_000_i64})
    );
});

case!(a_probe_that_takes_too_long, |e| {
    let flags = [
        "--health-cmd",
        "echo begun; sleep 100",
        "--health-interval",
        "100ms",
        "--health-timeout",
        "500ms",
        "--health-retries",
        "1",
    ];
    let name = e.background("t", &flags, "sleep 100");
    let ill = feels(e, &name, "unhealthy");
    assert_eq!(ill["Log"][0]["ExitCode"], -1);
    let output = ill["Log"][0]["Output"].as_str().unwrap_or_default();
    assert!(
        output.starts_with("Health check exceeded timeout (500ms)"),
        "{output}"
    );
});

case!(a_probe_that_cannot_run, |e| {
    let body = json!({"Image": BOX, "Cmd": ["sleep", "100"], "Healthcheck": {
        "Test": ["CMD", "/nosuch"], "Interval": 100_000_000, "Retries": 1}});
    let name = e.name("x");
    e.post(&format!("/containers/create?name={name}"), &body)
        .is(201);
    e.cli(&["start", &name]).exits(0);
    let ill = feels(e, &name, "unhealthy");
    assert!(
        ill["Log"][0]["Output"].to_string().contains("/nosuch"),
        "{ill}"
    );
});

case!(failures_at_the_start_do_not_count, |e| {
    let flags = [
        "--health-cmd",
        "exit 7",
        "--health-interval",
        "1h",
        "--health-start-period",
        "1h",
        "--health-start-interval",
        "100ms",
        "--health-retries",
        "1",
    ];
    let name = e.background("p", &flags, "sleep 100");
    let young = eventually("some answers", || {
        let health = health(e, &name);
        let count = health["Log"].as_array().map_or(0, Vec::len);
        (count >= 3).then_some(health)
    });
    assert_eq!(young["Status"], "starting");
    assert_eq!(young["FailingStreak"], 0);
    assert_eq!(young["Log"][0]["ExitCode"], 7);
});

case!(of_the_image, |e| {
    let made = e.background("m", &[], "sleep 100");
    let image = e.name("img");
    let check = "HEALTHCHECK --interval=100ms --retries=1 CMD test -e /well";
    e.cli(&["commit", "-c", check, &made, &image]).exits(0);
    let run = |suffix: &str, flags: &[&str]| {
        let name = e.name(suffix);
        let mut words = vec!["run", "-d", "--network", "none", "--name", &name];
        words.extend_from_slice(flags);
        words.extend_from_slice(&[&image, "sleep", "100"]);
        e.cli(&words).exits(0);
        name
    };
    feels(e, &run("i", &[]), "unhealthy");
    // What is said on the command line counts more.
    feels(e, &run("o", &["--health-cmd", "true"]), "healthy");
    let none = run("n", &["--no-healthcheck"]);
    assert_eq!(health(e, &none), Value::Null);
    for suffix in ["i", "o", "n"] {
        e.cli(&["rm", "-f", &e.name(suffix)]).exits(0);
    }
    e.cli(&["rmi", &image]).exits(0);
});

case!(a_frozen_one_is_not_asked, |e| {
    let flags = [
        "--health-cmd",
        "echo x >>/asked",
        "--health-interval",
        "100ms",
    ];
    let name = e.background("z", &flags, "sleep 100");
    feels(e, &name, "healthy");
    e.cli(&["pause", &name]).exits(0);
    let before = health(e, &name);
    std::thread::sleep(std::time::Duration::from_millis(600));
    let after = health(e, &name);
    assert_eq!(before["Status"], after["Status"]);
    e.cli(&["unpause", &name]).exits(0);
    let last = |health: &Value| health["Log"].as_array().and_then(|log| log.last()).cloned();
    eventually("it is asked again", || {
        (last(&health(e, &name)) != last(&after)).then_some(())
    });
});

case!(asked_without_the_daemon, |e| {
    let flags = [
        "--health-cmd",
        "test -e /ok",
        "--health-interval",
        "100ms",
        "--health-retries",
        "1",
    ];
    let name = e.background("d", &flags, "touch /ok; sleep 1; rm /ok; exec sleep 100");
    feels(e, &name, "healthy");
    e.kill_daemon();
    std::thread::sleep(std::time::Duration::from_secs(2));
    e.start_daemon(&[]);
    let ill = feels(e, &name, "unhealthy");
    assert!(ill["FailingStreak"].as_u64() >= Some(2), "{ill}");
});

case!(what_is_not_a_check, |e| {
    let create = |check: Value| {
        let body = json!({"Image": BOX, "Cmd": ["true"], "Healthcheck": check});
        e.post("/containers/create", &body)
    };
    create(json!({"Test": ["CMD", "true"], "Interval": 5}))
        .refuses(400, "Interval in Healthcheck cannot be less than 1ms");
    create(json!({"Test": ["CMD", "true"], "Retries": -1}))
        .refuses(400, "Retries in Healthcheck cannot be negative");
    e.cli(&["create", "--health-cmd", "true", "--no-healthcheck", BOX])
        .complains("--no-healthcheck conflicts with --health-* options");
});

case!(every_flag, |e| {
    let flags = [
        "--health-cmd",
        "true",
        "--health-interval",
        "2m",
        "--health-timeout",
        "3s",
        "--health-retries",
        "4",
        "--health-start-period",
        "5s",
        "--health-start-interval",
        "600ms",
    ];
    for verb in [&["create"][..], &["run", "-d"]] {
        let name = e.name(verb[0]);
        let mut words = verb.to_vec();
        words.extend_from_slice(&flags);
        words.extend_from_slice(&["--network", "none", "--name", &name, BOX, "sleep", "100"]);
        e.cli(&words).exits(0);
        assert_eq!(
            e.inspect(&name)["Config"]["Healthcheck"],
            json!({"Test": ["CMD-SHELL", "true"], "Interval": 120_000_000_000_u64,
                   "Timeout": 3_000_000_000_u64, "StartPeriod": 5_000_000_000_u64,
                   "StartInterval": 600_000_000, "Retries": 4})
        );
        e.cli(&["start", &name]).exits(0);
        feels(e, &name, "healthy");
    }
});
