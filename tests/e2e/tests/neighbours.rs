//! Containers that share: the namespaces of another container, and of the host.

use serde_json::json;
use testkit::{BOX, Engine, case};

use crate::flags::{both, recorded};

/// `run` with `options` is refused with `text`, wherever it stands.
#[track_caller]
fn refused(e: &Engine, options: &[&str], text: &str) {
    let text = format!("docker: {text}\n\nRun 'docker run --help' for more information\n");
    e.sh(options, "true").exits(125).says("").errs(&text);
}

/// Makes a container that does not run and returns its name.
fn idle(e: &Engine) -> String {
    let name = e.name("idle");
    e.cli(&["create", "--network", "none", "--name", &name, BOX, "true"])
        .exits(0);
    name
}

/// Returns the namespace of a running container.
fn namespace(e: &Engine, name: &str, kind: &str) -> String {
    let link = format!("/proc/self/ns/{kind}");
    e.cli(&["exec", name, "readlink", &link]).ok().to_owned() + "\n"
}

case!(ipc_of_another, |e| {
    let lender = e.background("lender", &["--ipc", "shareable"], "sleep 1000");
    let private = e.background("private", &[], "sleep 1000");
    let idle = idle(e);
    let mode = format!("container:{lender}");
    e.cli(&["exec", &lender, "sh", "-c", "echo lent > /dev/shm/note"])
        .exits(0);
    let wanted = format!("{}lent\n", namespace(e, &lender, "ipc"));
    let script = "readlink /proc/self/ns/ipc; cat /dev/shm/note; echo back > /dev/shm/answer";
    both(e, &["--ipc", &mode], script, &wanted);
    e.cli(&["exec", &lender, "cat", "/dev/shm/answer"])
        .exits(0)
        .says("back\n");
    recorded(
        e,
        &["--ipc", "shareable"],
        "/HostConfig/IpcMode",
        &json!("shareable"),
    );
    let id = |name: &str| e.inspect(name)["Id"].as_str().expect("an id").to_owned();
    refused(
        e,
        &["--ipc", &format!("container:{private}")],
        &format!(
            "Error response from daemon: failed to join IPC namespace: container {}: \
             non-shareable IPC (hint: use IpcMode:shareable for the donor container)",
            id(&private)
        ),
    );
    refused(
        e,
        &["--ipc", &format!("container:{idle}")],
        &format!(
            "Error response from daemon: failed to join IPC namespace: container {} is not running",
            id(&idle)
        ),
    );
    let nobody = "Error response from daemon: No such container: nobody";
    refused(e, &["--ipc", "container:nobody"], nobody);
});

case!(no_shared_memory_and_the_hosts, |e| {
    both(
        e,
        &["--ipc", "none"],
        "[ -e /dev/shm ] || echo none; ls -d /dev/mqueue",
        "none\n/dev/mqueue\n",
    );
    let note = format!("{}-{}", e.name("note"), std::process::id());
    let path = std::path::Path::new("/dev/shm").join(&note);
    std::fs::write(&path, "the host's\n").expect("shared memory");
    let script = format!("cat /dev/shm/{note}");
    both(e, &["--ipc", "host"], &script, "the host's\n");
    std::fs::remove_file(&path).expect("the note");
});

case!(pid_of_another, |e| {
    let lender = e.background("lender", &[], "sleep 1234");
    let idle = idle(e);
    let mode = format!("container:{lender}");
    let wanted = format!("{}sleep\n", namespace(e, &lender, "pid"));
    let script = "readlink /proc/self/ns/pid; cat /proc/1/comm | sed 's/sh/sleep/'";
    both(e, &["--pid", &mode], script, &wanted);
    let name = e.background("guest", &["--pid", &mode], "sleep 4321");
    let seen = e.cli(&["exec", &lender, "ps", "-o", "args"]);
    assert!(seen.ok().contains("sleep 4321"), "{seen:?}");
    let seen = e.cli(&["exec", &name, "ps", "-o", "args"]);
    assert!(seen.ok().contains("sleep 1234"), "{seen:?}");
    e.cli(&["rm", "-f", &name]).exits(0);
    refused(
        e,
        &["--pid", &format!("container:{idle}")],
        &format!(
            "Error response from daemon: failed to join PID namespace: container {} is not running",
            e.inspect(&idle)["Id"].as_str().expect("an id")
        ),
    );
    let nobody = "Error response from daemon: No such container: nobody";
    refused(e, &["--pid", "container:nobody"], nobody);
});

case!(modes_that_are_none, |e| {
    refused(e, &["--pid", "foo"], "--pid: invalid PID mode");
    refused(e, &["--pid", "container:"], "--pid: invalid PID mode");
    refused(e, &["--uts", "foo"], "--uts: invalid UTS mode");
    refused(e, &["--cgroupns", "foo"], "--cgroupns: invalid CGROUP mode");
    refused(e, &["--userns", "foo"], "--userns: invalid USER mode");
    for (key, mode, text) in [
        ("PidMode", "foo", "invalid PID mode: foo"),
        ("PidMode", "container:", "invalid PID mode: container:"),
        ("PidMode", "container:nobody", "No such container: nobody"),
        ("IpcMode", "foo", "invalid IPC mode: foo"),
        ("IpcMode", "container:nobody", "No such container: nobody"),
        ("UTSMode", "foo", "invalid UTS mode: foo"),
        ("CgroupnsMode", "foo", "invalid cgroup namespace mode: foo"),
    ] {
        let body = json!({"Image": BOX, "Cmd": ["true"], "HostConfig": {key: mode}});
        let reply = e.post("/containers/create", &body);
        assert_eq!(reply.is(400).json()["message"], text, "{key} {mode}");
    }
});
