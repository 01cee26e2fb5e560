//! `exec`: another process in a running container.

use serde_json::json;
use testkit::{BOX, case};

case!(exit_code_and_streams, |e| {
    let name = e.background("x", &[], "sleep 100");
    let output = e.cli(&["exec", &name, "sh", "-c", "echo out; echo err >&2; exit 5"]);
    output.exits(5).says("out\n");
    assert_eq!(output.stderr, "err\n");
});

case!(a_signal_is_128_and_its_number, |e| {
    let name = e.background("x", &[], "sleep 100");
    e.cli(&["exec", &name, "sh", "-c", "kill -9 $$"]).exits(137);
});

case!(stdin, |e| {
    let name = e.background("x", &[], "sleep 100");
    e.cli_with(
        "hello\n",
        &["exec", "-i", &name, "sh", "-c", "cat; echo end"],
    )
    .exits(0)
    .says("hello\nend\n");
});

case!(an_absent_program_is_127, |e| {
    let name = e.background("x", &[], "sleep 100");
    let output = e.cli(&["exec", &name, "no-such-program"]);
    output.exits(127);
    assert!(
        output
            .stdout
            .contains(r#"exec: "no-such-program": executable file not found in $PATH"#),
        "{output:?}"
    );
});

case!(a_directory_is_126, |e| {
    let name = e.background("x", &[], "sleep 100");
    e.cli(&["exec", &name, "/a-directory"]).exits(126);
});

case!(options, |e| {
    let name = e.background("x", &["-e", "A=1"], "sleep 100");
    let words = [
        "exec", "-e", "B=2", "-w", "/tmp", "-u", "tester", &name, "sh", "-c",
    ];
    let mut words = words.to_vec();
    words.push("echo $A $B; pwd; id -u; id -G");
    e.cli(&words).exits(0).says("1 2\n/tmp\n1234\n1235 1300\n");
});

case!(it_is_inside, |e| {
    let name = e.background("x", &["-h", "harbour"], "touch /mark; sleep 100; exit 1");
    let script =
        "hostname; ls /mark; tr '\\0' ' ' < /proc/1/cmdline | cut -c1-5; ls /sys/class/net";
    testkit::eventually("the mark", || {
        (e.cli(&["exec", &name, "ls", "/mark"]).code == 0).then_some(())
    });
    e.cli(&["exec", &name, "sh", "-c", script])
        .exits(0)
        .says("harbour\n/mark\nsh -c\nlo\n");
});

case!(detached, |e| {
    let name = e.background("x", &[], "sleep 100");
    e.cli(&["exec", "-d", &name, "sh", "-c", "echo out; touch /mark"])
        .exits(0)
        .says("");
    testkit::eventually("the mark", || {
        (e.cli(&["exec", &name, "ls", "/mark"]).code == 0).then_some(())
    });
});

case!(into_a_stopped_container, |e| {
    let name = e.name("x");
    let id = e
        .cli(&["create", "--network", "none", "--name", &name, BOX, "true"])
        .ok()
        .to_owned();
    e.cli(&["exec", &name, "true"]).exits(1).complains(&format!(
        "Error response from daemon: container {id} is not running"
    ));
});

case!(of_nothing, |e| {
    e.cli(&["exec", "no-such", "true"])
        .exits(1)
        .complains("No such container: no-such");
    e.get_path("/exec/zz/json")
        .refuses(404, "No such exec instance: zz");
});

case!(inspect, |e| {
    let name = e.background("x", &[], "sleep 100");
    let body = json!({"Cmd": ["sh", "-c", "exit 3"], "AttachStdout": true, "AttachStderr": true});
    let reply = e.post(&format!("/containers/{name}/exec"), &body);
    let id = reply.is(201).json()["Id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let seen = e.get_path(&format!("/exec/{id}/json")).is(200).json();
    assert_eq!(seen["Running"], false);
    assert_eq!(seen["ExitCode"], json!(null));
    assert_eq!(seen["ProcessConfig"]["entrypoint"], "sh");
    assert_eq!(seen["ProcessConfig"]["arguments"], json!(["-c", "exit 3"]));
    e.post(&format!("/exec/{id}/start"), &json!({"Detach": true}))
        .is(200);
    testkit::eventually("its end", || {
        let seen = e.get_path(&format!("/exec/{id}/json")).is(200).json();
        (seen["ExitCode"] == 3 && seen["Running"] == false).then_some(())
    });
    e.post(&format!("/exec/{id}/start"), &json!({"Detach": true}))
        .is(409);
});

case!(without_a_command, |e| {
    let name = e.background("x", &[], "sleep 100");
    e.post(&format!("/containers/{name}/exec"), &json!({"Cmd": []}))
        .refuses(400, "No exec command specified");
});

case!(it_ends_with_its_container, |e| {
    let name = e.background("x", &[], "sleep 100");
    let exec = e.spawn(&["exec", &name, "sleep", "100"]);
    testkit::eventually("two sleeps", || {
        let top = e.get_path(&format!("/containers/{name}/top")).json();
        (top["Processes"].as_array().map_or(0, Vec::len) >= 2).then_some(())
    });
    e.cli(&["kill", &name]).exits(0);
    exec.finish().exits(137);
});

case!(the_size_of_its_terminal, |e| {
    let name = e.background("x", &[], "sleep 100");
    let script = r#"until [ "$(stty size)" = "44 99" ]; do sleep 0.05; done; exit 5"#;
    let body = json!({"Cmd": ["sh", "-c", script], "Tty": true, "AttachStdout": true});
    let reply = e.post(&format!("/containers/{name}/exec"), &body);
    let id = reply.is(201).json()["Id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let start = json!({"Detach": true, "Tty": true});
    e.post(&format!("/exec/{id}/start"), &start).is(200);
    e.post(&format!("/exec/{id}/resize?h=44&w=99"), &json!(null))
        .is(200);
    testkit::eventually("its end", || {
        let seen = e.get_path(&format!("/exec/{id}/json")).is(200).json();
        (seen["ExitCode"] == 5).then_some(())
    });
});
