//! `create`, `start`, `wait`, `rename`, `rm`: a container's life in single steps.

use serde_json::json;
use testkit::{BOX, case};

case!(create_start_wait_logs_rm, |e| {
    let name = e.name("life");
    let words = [
        "create",
        "--network",
        "none",
        "--name",
        &name,
        BOX,
        "sh",
        "-c",
        "echo hi; exit 3",
    ];
    let id = e.cli(&words).ok().to_owned();
    assert_eq!(id.len(), 64);
    assert_eq!(e.inspect(&name)["State"]["Status"], "created");
    e.cli(&["start", "-a", &name]).exits(3).says("hi\n");
    e.cli(&["wait", &name]).exits(0).says("3\n");
    e.cli(&["logs", &name]).exits(0).says("hi\n");
    e.cli(&["rm", &name]).exits(0).says(&format!("{name}\n"));
    e.get_path(&format!("/containers/{name}/json"))
        .refuses(404, &format!("No such container: {name}"));
});

case!(start_again, |e| {
    let name = e.name("again");
    let script = "echo $(cat /count 2>/dev/null)x > /count; cat /count";
    e.cli(&[
        "create",
        "--network",
        "none",
        "--name",
        &name,
        BOX,
        "sh",
        "-c",
        script,
    ])
    .exits(0);
    e.cli(&["start", "-a", &name]).exits(0).says("x\n");
    e.cli(&["start", "-a", &name]).exits(0).says("xx\n");
    e.cli(&["logs", &name]).exits(0).says("x\nxx\n");
});

case!(start_prints_the_name, |e| {
    let name = e.name("s");
    e.cli(&[
        "create",
        "--network",
        "none",
        "--name",
        &name,
        BOX,
        "sleep",
        "100",
    ])
    .exits(0);
    e.cli(&["start", &name]).exits(0).says(&format!("{name}\n"));
    e.post(&format!("/containers/{name}/start"), &json!(null))
        .is(304);
});

case!(start_of_nothing, |e| {
    let output = e.cli(&["start", "no-such"]);
    output
        .exits(1)
        .complains("Error response from daemon: No such container: no-such\n");
    output.complains("failed to start containers: no-such");
});

case!(a_taken_name, |e| {
    let name = e.name("taken");
    let words = ["create", "--network", "none", "--name", &name, BOX, "true"];
    let id = e.cli(&words).ok().to_owned();
    let output = e.cli(&words);
    output.exits(1).complains(&format!(
        "Conflict. The container name \"/{name}\" is already in use by container \"{id}\". You have to remove (or rename) that container to be able to reuse that name."
    ));
});

case!(rm_of_a_running_container, |e| {
    let name = e.background("busy", &[], "sleep 100");
    let output = e.cli(&["rm", &name]);
    output.exits(1).complains(&format!(
        "cannot remove container \"{name}\": container is running: stop the container before removing or force remove"
    ));
    e.cli(&["rm", "-f", &name])
        .exits(0)
        .says(&format!("{name}\n"));
    e.get_path(&format!("/containers/{name}/json")).is(404);
});

case!(rm_of_nothing, |e| {
    e.cli(&["rm", "no-such"])
        .exits(1)
        .complains("No such container: no-such");
});

case!(rename, |e| {
    let (old, new) = (e.name("old"), e.name("new"));
    let id = e
        .cli(&["create", "--network", "none", "--name", &old, BOX, "true"])
        .ok()
        .to_owned();
    e.cli(&["rename", &old, &new]).exits(0).says("");
    assert_eq!(e.inspect(&new)["Id"], id);
    assert_eq!(e.inspect(&new)["Name"], format!("/{new}"));
    e.get_path(&format!("/containers/{old}/json")).is(404);
    e.cli(&["create", "--network", "none", "--name", &old, BOX, "true"])
        .exits(0);
    let output = e.cli(&["rename", &old, &new]);
    output.exits(1).complains(&format!(
        "Error when allocating new name: Conflict. The container name \"/{new}\" is already in use by container \"{id}\"."
    ));
});

case!(an_id_may_be_short, |e| {
    let name = e.name("short");
    let words = ["create", "--network", "none", "--name", &name, BOX, "true"];
    let id = e.cli(&words).ok().to_owned();
    assert_eq!(e.inspect(&id[..12])["Id"], id);
    assert_eq!(e.inspect(&id[..20])["Name"], format!("/{name}"));
});

case!(inspect, |e| {
    let name = e.name("look");
    e.cli(&[
        "create",
        "--network",
        "none",
        "--name",
        &name,
        "-e",
        "A=1",
        "-w",
        "/tmp",
        "-u",
        "1:2",
        "--label",
        "k=v",
        "-h",
        "harbour",
        "--entrypoint",
        "sh",
        BOX,
        "-c",
        "exit 4",
    ])
    .exits(0);
    let seen = e.inspect(&name);
    assert_eq!(seen["Path"], "sh");
    assert_eq!(seen["Args"], json!(["-c", "exit 4"]));
    assert_eq!(seen["Name"], format!("/{name}"));
    assert_eq!(seen["State"]["Status"], "created");
    assert_eq!(seen["State"]["StartedAt"], "0001-01-01T00:00:00Z");
    assert_eq!(seen["Config"]["Hostname"], "harbour");
    assert_eq!(seen["Config"]["User"], "1:2");
    assert_eq!(seen["Config"]["WorkingDir"], "/tmp");
    assert_eq!(seen["Config"]["Image"], BOX);
    assert_eq!(seen["Config"]["Labels"]["k"], "v");
    assert_eq!(seen["Config"]["Entrypoint"], json!(["sh"]));
    assert_eq!(seen["HostConfig"]["NetworkMode"], "none");
    assert_eq!(seen["HostConfig"]["LogConfig"]["Type"], "json-file");
    assert!(
        seen["Image"]
            .as_str()
            .is_some_and(|image| image.starts_with("sha256:"))
    );
    e.cli(&["start", "-a", &name]).exits(4);
    let seen = e.inspect(&name);
    assert_eq!(seen["State"]["Status"], "exited");
    assert_eq!(seen["State"]["ExitCode"], 4);
    assert_eq!(seen["State"]["Running"], false);
    assert_eq!(seen["State"]["Pid"], 0);
    assert_ne!(seen["State"]["FinishedAt"], "0001-01-01T00:00:00Z");
});

case!(inspect_on_the_command_line, |e| {
    let name = e.name("i");
    e.cli(&["create", "--network", "none", "--name", &name, BOX, "true"])
        .exits(0);
    let output = e.cli(&["inspect", &name]);
    let seen: serde_json::Value = serde_json::from_str(output.ok()).expect("JSON");
    assert_eq!(seen[0]["Name"], format!("/{name}"));
    let output = e.cli(&["inspect", "no-such"]);
    output
        .exits(1)
        .says("[]\n")
        .complains("No such object: no-such");
});

case!(wait_of_several, |e| {
    let first = e.background("first", &[], "exit 5");
    let second = e.background("second", &[], "exit 6");
    e.cli(&["wait", &first, &second]).exits(0).says("5\n6\n");
});

case!(wait_conditions, |e| {
    let name = e.name("w");
    e.cli(&[
        "create",
        "--network",
        "none",
        "--name",
        &name,
        BOX,
        "sh",
        "-c",
        "exit 9",
    ])
    .exits(0);
    let path = |condition: &str| format!("/containers/{name}/wait?condition={condition}");
    let now = e.post(&format!("/containers/{name}/wait"), &json!(null));
    assert_eq!(now.is(200).json()["StatusCode"], 0);
    e.post(&path("never"), &json!(null)).is(400);
    let waiting = std::thread::scope(|scope| {
        let next = scope.spawn(|| e.post(&path("next-exit"), &json!(null)));
        let removed = scope.spawn(|| e.post(&path("removed"), &json!(null)));
        std::thread::sleep(std::time::Duration::from_millis(300));
        e.post(&format!("/containers/{name}/start"), &json!(null))
            .is(204);
        let next = next.join().expect("an answer");
        e.request("DELETE", &format!("/containers/{name}"), &[], b"")
            .is(204);
        [next, removed.join().expect("an answer")]
    });
    for reply in waiting {
        assert_eq!(reply.is(200).json()["StatusCode"], 9);
    }
});

case!(a_start_that_fails_leaves_a_record, |e| {
    let name = e.name("f");
    e.cli(&[
        "create",
        "--network",
        "none",
        "--name",
        &name,
        BOX,
        "no-such-program",
    ])
    .exits(0);
    let reply = e.post(&format!("/containers/{name}/start"), &json!(null));
    reply.is(400);
    let seen = e.inspect(&name);
    assert_eq!(seen["State"]["Status"], "created");
    assert_eq!(seen["State"]["ExitCode"], 127);
    assert!(
        seen["State"]["Error"]
            .as_str()
            .is_some_and(|text| text.contains("no-such-program"))
    );
});
