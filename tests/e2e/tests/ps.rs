//! `ps`, `top`, `info`, `version`: what there is.

use serde_json::json;
use testkit::{BOX, case};

case!(columns, |e| {
    let name = e.background("c", &[], "sleep 100");
    let output = e.cli(&["ps", "--filter", &format!("name={name}")]);
    let lines: Vec<_> = output.ok().lines().collect();
    assert_eq!(lines.len(), 2, "{output:?}");
    assert!(
        lines[0].starts_with("CONTAINER ID   IMAGE     COMMAND"),
        "{output:?}"
    );
    let id = e.inspect(&name)["Id"].as_str().expect("an id")[..12].to_owned();
    assert!(lines[1].starts_with(&id), "{output:?}");
    for word in [BOX, "\"sh -c 'sleep 100'\"", "Up ", &name] {
        assert!(lines[1].contains(word), "{word}: {output:?}");
    }
});

case!(all_and_quiet, |e| {
    let name = e.name("a");
    let id = e
        .cli(&["create", "--network", "none", "--name", &name, BOX, "true"])
        .ok()
        .to_owned();
    let filter = format!("name={name}");
    e.cli(&["ps", "-q", "--filter", &filter]).exits(0).says("");
    e.cli(&["ps", "-aq", "--filter", &filter])
        .exits(0)
        .says(&format!("{}\n", &id[..12]));
    e.cli(&["ps", "-aq", "--no-trunc", "--filter", &filter])
        .exits(0)
        .says(&format!("{id}\n"));
});

case!(the_documents, |e| {
    let name = e.background("d", &["--label", "k=v"], "sleep 100");
    let filters = format!("%7B%22name%22%3A%5B%22{name}%22%5D%7D");
    let list = e
        .get_path(&format!("/containers/json?filters={filters}"))
        .is(200)
        .json();
    let seen = &list[0];
    assert_eq!(seen["Names"], json!([format!("/{name}")]));
    assert_eq!(seen["Image"], BOX);
    assert_eq!(seen["Command"], "sh -c 'sleep 100'");
    assert_eq!(seen["State"], "running");
    assert!(
        seen["Status"]
            .as_str()
            .is_some_and(|status| status.starts_with("Up ")),
        "{seen}"
    );
    assert_eq!(seen["Labels"]["k"], "v");
    assert_eq!(seen["HostConfig"]["NetworkMode"], "none");
});

case!(the_status_of_an_ended_container, |e| {
    let name = e.background("e", &[], "exit 3");
    e.cli(&["wait", &name]).exits(0);
    let output = e.cli(&[
        "ps",
        "-a",
        "--filter",
        &format!("name={name}"),
        "--format",
        "{{.Status}}",
    ]);
    assert!(output.ok().starts_with("Exited (3) "), "{output:?}");
});

case!(an_unknown_filter, |e| {
    e.get_path("/containers/json?filters=%7B%22nope%22%3A%5B%22x%22%5D%7D")
        .refuses(400, "invalid filter 'nope'");
});

case!(top, |e| {
    let name = e.background("t", &[], "sleep 100 & wait");
    testkit::eventually("two processes", || {
        let seen = e
            .get_path(&format!("/containers/{name}/top"))
            .is(200)
            .json();
        assert_eq!(
            seen["Titles"],
            json!(["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"])
        );
        (seen["Processes"].as_array().map(Vec::len) == Some(2)).then_some(())
    });
    let output = e.cli(&["top", &name]);
    assert!(output.ok().contains("sleep 100"), "{output:?}");
});

case!(top_of_a_stopped_container, |e| {
    let name = e.name("s");
    let id = e
        .cli(&["create", "--network", "none", "--name", &name, BOX, "true"])
        .ok()
        .to_owned();
    e.cli(&["top", &name])
        .exits(1)
        .complains(&format!("container {id} is not running"));
});

case!(version, |e| {
    let seen = e.get_path("/version").is(200).json();
    assert!(
        seen["ApiVersion"]
            .as_str()
            .is_some_and(|version| version.starts_with("1.")),
        "{seen}"
    );
    assert_eq!(seen["Os"], "linux");
    assert_eq!(seen["Components"][0]["Name"], "Engine");
});

case!(info, |e| {
    let seen = e.get_path("/info").is(200).json();
    for (key, wanted) in [("OSType", "linux"), ("LoggingDriver", "json-file")] {
        assert_eq!(seen[key], wanted);
    }
    assert!(seen["NCPU"].as_u64().is_some_and(|cpus| cpus > 0), "{seen}");
    assert!(seen["Containers"].is_u64(), "{seen}");
});
