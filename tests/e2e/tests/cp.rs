//! `cp`: files between a container and this machine.

use std::fs;

use testkit::{BOX, Engine, Terminal, case};

/// Makes a container that ran to its end and left files.
fn stopped(e: &Engine) -> String {
    let name = e.background(
        "c",
        &[],
        "mkdir -p /d/sub; echo one > /d/one; echo two > /d/sub/two; ln -s one /d/link; \
         ln -s /etc/passwd /d/out; chmod 640 /d/one",
    );
    e.cli(&["wait", &name]).exits(0);
    name
}

/// Returns a directory of this case's own.
fn place(e: &Engine) -> String {
    let path = e.temp().path().join("to");
    fs::create_dir_all(&path).expect("a new directory");
    path.display().to_string()
}

case!(out_of_a_stopped_container, |e| {
    let (name, to) = (stopped(e), place(e));
    let read = |path: &str| fs::read_to_string(format!("{to}/{path}")).expect("a file");
    e.cli(&["cp", &format!("{name}:/d/one"), &to])
        .exits(0)
        .says("");
    assert_eq!(read("one"), "one\n");
    e.cli(&["cp", &format!("{name}:/d/one"), &format!("{to}/new")])
        .exits(0);
    assert_eq!(read("new"), "one\n");
    e.cli(&["cp", &format!("{name}:/d"), &to]).exits(0);
    assert_eq!(read("d/sub/two"), "two\n");
    let link = fs::read_link(format!("{to}/d/link")).expect("a link");
    assert_eq!(link.to_string_lossy(), "one");
    e.cli(&[
        "cp",
        "-L",
        &format!("{name}:/d/link"),
        &format!("{to}/followed"),
    ])
    .exits(0);
    assert_eq!(read("followed"), "one\n");
    e.cli(&["cp", &format!("{name}:/d/."), &format!("{to}/content")])
        .exits(0);
    assert_eq!(read("content/one"), "one\n");
    let output = e.cli(&["cp", &format!("{name}:/d/sub"), "-"]);
    assert!(output.exits(0).stdout.contains("sub/two"), "a tarball");
    // A link to an absolute path leads to the container's file, not to ours.
    e.cli(&[
        "cp",
        "-L",
        &format!("{name}:/d/out"),
        &format!("{to}/users"),
    ])
    .exits(0);
    assert!(read("users").contains("tester"), "{}", read("users"));
    e.cli(&["rm", &name]).exits(0);
});

case!(into_a_container, |e| {
    let name = e.background("i", &[], "mkdir /t; sleep 100");
    let from = e.temp().file("note", "hello\n");
    let tree = e.temp().path().join("tree/sub");
    fs::create_dir_all(&tree).expect("a new directory");
    fs::write(tree.join("deep"), "deep\n").expect("a new file");
    let tree = e.temp().at("tree");
    testkit::eventually("the directory is there", || {
        (e.cli(&["exec", &name, "ls", "/t"]).code == 0).then_some(())
    });
    e.cli(&["cp", &from, &format!("{name}:/t")])
        .exits(0)
        .says("");
    e.cli(&["cp", &from, &format!("{name}:/t/other")]).exits(0);
    e.cli(&["cp", &tree, &format!("{name}:/t")]).exits(0);
    e.cli(&[
        "exec",
        &name,
        "cat",
        "/t/note",
        "/t/other",
        "/t/tree/sub/deep",
    ])
    .exits(0)
    .says("hello\nhello\ndeep\n");
    e.cli(&["cp", &tree, &format!("{name}:/t/note")])
        .exits(1)
        .complains("cannot copy directory");
    e.cli(&["kill", &name]).exits(0);
    e.cli(&["wait", &name]).exits(0);
    // It need not run.
    e.cli(&["cp", &from, &format!("{name}:/root/late")])
        .exits(0);
    let to = place(e);
    e.cli(&["cp", &format!("{name}:/root/late"), &to]).exits(0);
    let text = fs::read_to_string(format!("{to}/late")).expect("a file");
    assert_eq!(text, "hello\n");
    e.cli(&["rm", &name]).exits(0);
});

case!(what_is_mounted_is_copied_too, |e| {
    e.temp().file("note", "from the host\n");
    let bind = format!("{}:/m", e.temp().path().display());
    let name = e.background("m", &["-v", &bind], "sleep 100");
    let to = place(e);
    e.cli(&["cp", &format!("{name}:/m/note"), &format!("{to}/copy")])
        .exits(0);
    let text = fs::read_to_string(format!("{to}/copy")).expect("a file");
    assert_eq!(text, "from the host\n");
    e.cli(&["rm", "-f", &name]).exits(0);
});

case!(bad_copies, |e| {
    let name = e.name("b");
    e.cli(&[
        "create",
        "--network",
        "none",
        "--read-only",
        "--name",
        &name,
        BOX,
        "true",
    ])
    .exits(0);
    let from = e.temp().file("note", "x");
    let fails = |words: &[&str], text: &str| {
        e.cli(words).exits(1).says("").errs(&format!("{text}\n"));
    };
    fails(
        &["cp", &format!("{name}:/no/such"), "/tmp"],
        &format!(
            "Error response from daemon: Could not find the file /no/such in container {name}"
        ),
    );
    fails(
        &["cp", "no-such:/x", "/tmp"],
        "Error response from daemon: No such container: no-such",
    );
    fails(
        &["cp", &from, &format!("{name}:/")],
        "Error response from daemon: container rootfs is marked read-only",
    );
    fails(
        &["cp", "a:/x", "b:/y"],
        "copying between containers is not supported",
    );
    fails(
        &["cp", "a", "b"],
        "must specify at least one container source",
    );
    e.cli(&["rm", &name]).exits(0);
});

case!(whose_it_becomes, |e| {
    let file = e.temp().file("mine", "x");
    std::os::unix::fs::chown(&file, Some(77), Some(78)).expect("we are root");
    for (options, wanted) in [
        (&[][..], "77 78\n77 78\n"),
        (&["-u", "tester"], "1234 1235\n77 78\n"),
    ] {
        let name = e.background("o", options, "sleep 100");
        e.cli(&["cp", "-a", &file, &format!("{name}:/tmp/kept")])
            .exits(0);
        e.cli(&["cp", &file, &format!("{name}:/tmp/plain")])
            .exits(0);
        e.cli(&[
            "exec",
            &name,
            "stat",
            "-c",
            "%u %g",
            "/tmp/kept",
            "/tmp/plain",
        ])
        .exits(0)
        .says(wanted);
        e.cli(&["rm", "-f", &name]).exits(0);
    }
});

case!(what_a_person_is_told, |e| {
    let name = e.background("q", &[], "echo x > /file");
    e.cli(&["wait", &name]).exits(0);
    let (from, to) = (format!("{name}:/file"), place(e));
    let mut loud = Terminal::start(&e.command(&["cp", &from, &to]), 25, 200);
    assert_eq!(loud.ends(), 0);
    loud.shows("Successfully copied ");
    let mut quiet = Terminal::start(&e.command(&["cp", "-q", &from, &to]), 25, 200);
    assert_eq!(quiet.ends(), 0);
    assert_eq!(quiet.screen(), "");
    e.cli(&["rm", &name]).exits(0);
});
