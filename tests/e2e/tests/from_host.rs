//! Images of this machine's own programs: the built-in one, and others.

use testkit::{Engine, case};

/// Runs our own client, whoever is under test: Docker's has no such command.
fn ours(e: &Engine, words: &[&str]) -> testkit::Output {
    let mut command = std::process::Command::new(e.program());
    command
        .args(["-H", &format!("unix://{}", e.socket().display())])
        .args(words);
    testkit::Program::start(&mut command).finish()
}

case!(the_built_in_image, |e| {
    let words = ["run", "--rm", "--network", "none", "wharf/host", "sh", "-c"];
    let mut words = words.to_vec();
    words.push("id -u; ls / | head -1; exit 7");
    let output = e.cli(&words);
    output.exits(7).says("0\nbin\n");
    // It is an image like others afterwards.
    let listed = e.cli(&["images", "--format", "{{.Repository}}:{{.Tag}}"]);
    assert!(
        listed.ok().lines().any(|line| line == "wharf/host:latest"),
        "{listed:?}"
    );
    e.cli(&["tag", "wharf/host", "mine:1"]).exits(0);
    e.cli(&["rmi", "mine:1"])
        .exits(0)
        .says("Untagged: mine:1\n");
});

case!(of_ones_own, |e| {
    let name = e.name("tools");
    let output = ours(
        e,
        &["image", "from-host", "-t", &name, "/usr/bin/env", "cat"],
    );
    let id = output.ok();
    assert!(id.starts_with("sha256:"), "{output:?}");
    let run = ["run", "--rm", "--network", "none", "-e", "A=1", &name];
    let mut words = run.to_vec();
    words.push("env");
    let output = e.cli(&words);
    assert!(output.ok().lines().any(|line| line == "A=1"), "{output:?}");
    let mut words = run.to_vec();
    words.push("ls");
    e.cli(&words)
        .exits(127)
        .complains("exec: \"ls\": executable file not found in $PATH");
    e.cli(&["rmi", &name]).exits(0);
});

case!(of_nothing_that_is_there, |e| {
    let output = ours(e, &["image", "from-host", "no-such-program"]);
    output.exits(1).says("").complains("no-such-program");
    assert_eq!(output.stderr.lines().count(), 1, "{output:?}");
    let output = ours(e, &["image", "from-host", "/etc/passwd"]);
    output.exits(1).says("").complains("/etc/passwd");
});
