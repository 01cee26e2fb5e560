//! `run`: a container from an image to its exit code.

use testkit::{BOX, case};

case!(exit_code, |e| {
    for code in [0, 1, 7, 125, 127, 255] {
        e.sh(&[], &format!("exit {code}")).exits(code).says("");
    }
});

case!(output_stays_apart, |e| {
    let output = e.sh(&[], "echo out; echo err >&2");
    output.exits(0).says("out\n");
    assert_eq!(output.stderr, "err\n");
});

case!(much_output_is_whole, |e| {
    let output = e.sh(
        &[],
        "i=0; while [ $i -lt 3000 ]; do echo line-$i; i=$((i+1)); done",
    );
    let wanted = (0..3000)
        .map(|n| format!("line-{n}\n"))
        .collect::<Vec<_>>()
        .concat();
    output.exits(0).says(&wanted);
});

case!(an_absent_image_is_125, |e| {
    let output = e.cli(&[
        "run",
        "--rm",
        "--pull=never",
        "--network",
        "none",
        "no-such:1",
        "true",
    ]);
    output
        .exits(125)
        .complains("docker: Error response from daemon: No such image: no-such:1\n");
    output.complains("Run 'docker run --help' for more information");
});

case!(an_absent_program_is_127, |e| {
    let output = e.cli(&["run", "--rm", "--network", "none", BOX, "no-such-program"]);
    output
        .exits(127)
        .complains("docker: Error response from daemon: failed to create task");
    output.complains(r#"exec: "no-such-program": executable file not found in $PATH"#);
});

case!(an_absent_path_is_127, |e| {
    let output = e.cli(&["run", "--rm", "--network", "none", BOX, "/no/such"]);
    output
        .exits(127)
        .complains(r#"exec: "/no/such": stat /no/such: no such file or directory"#);
});

case!(a_directory_is_126, |e| {
    let output = e.cli(&["run", "--rm", "--network", "none", BOX, "/a-directory"]);
    output
        .exits(126)
        .complains(r#"unable to start container process: exec: "/a-directory": "#);
});

case!(a_file_without_the_right_is_126, |e| {
    let output = e.cli(&[
        "run",
        "--rm",
        "--network",
        "none",
        BOX,
        "/etc/not-executable",
    ]);
    output
        .exits(126)
        .complains(r#"exec: "/etc/not-executable": permission denied"#);
});

case!(a_signal_is_128_and_its_number, |e| {
    e.sh(&[], "sh -c 'kill -9 $$'; exit $?").exits(137);
    e.sh(&[], "sh -c 'kill -15 $$'; exit $?").exits(143);
});

case!(detached_prints_the_id, |e| {
    let name = e.name("d");
    let output = e.cli(&[
        "run",
        "-d",
        "--network",
        "none",
        "--name",
        &name,
        BOX,
        "sleep",
        "100",
    ]);
    let id = output.ok();
    assert!(
        id.len() == 64 && id.chars().all(|c| c.is_ascii_hexdigit()),
        "{id}"
    );
    assert_eq!(e.inspect(&name)["Id"], id);
    assert_eq!(e.inspect(&name)["State"]["Running"], true);
});

case!(rm_removes, |e| {
    let name = e.name("r");
    e.sh(&["--name", &name], "true").exits(0);
    testkit::eventually("the container is gone", || {
        (e.get_path(&format!("/containers/{name}/json")).status == 404).then_some(())
    });
});

case!(stdin_reaches_the_program_and_ends, |e| {
    let words = [
        "run",
        "-i",
        "--rm",
        "--network",
        "none",
        BOX,
        "sh",
        "-c",
        "cat; echo end",
    ];
    e.cli_with("hello\nworld\n", &words)
        .exits(0)
        .says("hello\nworld\nend\n");
});

case!(without_i_stdin_is_empty, |e| {
    let words = ["run", "--rm", "--network", "none", BOX, "cat"];
    e.cli_with("hello\n", &words).exits(0).says("");
});

case!(environment, |e| {
    let output = e.sh(
        &["-e", "A=1", "-e", "B=two words"],
        "echo $A; echo \"$B\"; echo $PATH",
    );
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    output.exits(0).says(&format!("1\ntwo words\n{path}\n"));
});

case!(a_variable_without_a_value_takes_the_clients, |e| {
    let mut command = e.command(&["run", "--rm", "--network", "none", "-e", "FROM_HERE", BOX]);
    command
        .args(["sh", "-c", "echo $FROM_HERE"])
        .env("FROM_HERE", "yes");
    testkit::Program::start(&mut command)
        .finish()
        .exits(0)
        .says("yes\n");
});

case!(home_follows_the_user, |e| {
    e.sh(&[], "echo $HOME").exits(0).says("/root\n");
    e.sh(&["-u", "tester"], "echo $HOME")
        .exits(0)
        .says("/home/tester\n");
});

case!(working_directory, |e| {
    e.sh(&["-w", "/tmp"], "pwd").exits(0).says("/tmp\n");
    e.sh(&["-w", "/made/for/me"], "pwd")
        .exits(0)
        .says("/made/for/me\n");
    let output = e.sh(&["-w", "relative"], "pwd");
    output
        .exits(125)
        .complains("the working directory 'relative' is invalid, it needs to be an absolute path");
});

case!(user, |e| {
    e.sh(&["-u", "tester"], "id -u; id -g; id -G")
        .exits(0)
        .says("1234\n1235\n1235 1300\n");
    e.sh(&["-u", "4321"], "id -u; id -g")
        .exits(0)
        .says("4321\n0\n");
    e.sh(&["-u", "4321:4322"], "id -u; id -g")
        .exits(0)
        .says("4321\n4322\n");
    e.sh(&["-u", "nobody-here"], "id")
        .exits(125)
        .complains("unable to find user nobody-here: no matching entries in passwd file");
});

case!(host_name, |e| {
    e.sh(&["-h", "harbour"], "hostname; cat /etc/hostname")
        .exits(0)
        .says("harbour\nharbour\n");
    let name = e.name("h");
    let output = e.cli(&["run", "--network", "none", "--name", &name, BOX, "hostname"]);
    let id = e.inspect(&name)["Id"].as_str().expect("an id").to_owned();
    output.exits(0).says(&format!("{}\n", &id[..12]));
});

case!(hosts_without_network, |e| {
    let output = e.sh(&["-h", "harbour"], "cat /etc/hosts");
    assert!(output.ok().contains("127.0.0.1\tlocalhost"), "{output:?}");
    assert!(
        !output.stdout.contains("harbour"),
        "no address, no line: {output:?}"
    );
});

case!(no_network_has_only_loopback, |e| {
    e.sh(&[], "ls /sys/class/net").exits(0).says("lo\n");
    e.sh(&[], "ip addr show lo | grep -c 'inet 127.0.0.1/8'")
        .exits(0)
        .says("1\n");
});

case!(host_network_is_the_engines, |e| {
    let words = [
        "run",
        "--rm",
        "--network",
        "host",
        "-h",
        "here",
        BOX,
        "sh",
        "-c",
    ];
    let mut words = words.to_vec();
    words.push("readlink /proc/self/ns/net");
    let first = e.cli(&words).ok().to_owned();
    assert_eq!(e.cli(&words).ok(), first);
    assert_ne!(e.sh(&[], "readlink /proc/self/ns/net").ok(), first);
});

case!(entrypoint, |e| {
    let output = e.cli(&[
        "run",
        "--rm",
        "--network",
        "none",
        "--entrypoint",
        "echo",
        BOX,
        "a",
        "b",
    ]);
    output.exits(0).says("a b\n");
});

case!(a_bind_is_the_hosts_directory, |e| {
    e.temp().file("note", "from the host\n");
    let place = e.temp().path().display().to_string();
    let output = e.sh(
        &["-v", &format!("{place}:/mnt")],
        "cat /mnt/note; echo back > /mnt/answer",
    );
    output.exits(0).says("from the host\n");
    let answer = std::fs::read_to_string(e.temp().path().join("answer")).expect("an answer");
    assert_eq!(answer, "back\n");
});

case!(a_read_only_bind_refuses, |e| {
    let place = e.temp().path().display().to_string();
    let output = e.sh(&["-v", &format!("{place}:/mnt:ro")], "echo x > /mnt/no");
    output.exits(1).complains("Read-only file system");
});

case!(an_absent_bind_source_is_made_by_v, |e| {
    let place = e.temp().at("made");
    e.sh(&["-v", &format!("{place}:/mnt")], "ls /mnt")
        .exits(0)
        .says("");
    assert!(e.temp().path().join("made").is_dir());
});

case!(read_only_root, |e| {
    let output = e.sh(&["--read-only"], "echo x > /file");
    output.exits(1).complains("Read-only file system");
    e.sh(&[], "echo x > /file && cat /file")
        .exits(0)
        .says("x\n");
});

case!(the_image_is_not_changed, |e| {
    e.sh(&[], "echo x > /file; rm /etc/passwd").exits(0);
    e.sh(&[], "ls /file").exits(1);
    e.sh(&[], "grep -c root /etc/passwd").exits(0).says("1\n");
});

case!(cidfile, |e| {
    let file = e.temp().at("cid");
    let name = e.name("c");
    e.sh(&["--cidfile", &file, "--name", &name], "true")
        .exits(0);
    let id = std::fs::read_to_string(&file).expect("the file");
    assert!(id.len() == 64, "{id}");
    let output = e.sh(&["--cidfile", &file], "true");
    output.exits(125).complains(
        "container ID file found, make sure the other container isn't running or delete",
    );
});

case!(own_namespaces, |e| {
    e.sh(&[], "echo $$").exits(0).says("1\n");
    let inside = e.sh(
        &[],
        "for n in pid mnt uts ipc net; do readlink /proc/self/ns/$n; done",
    );
    let inside: Vec<_> = inside.ok().lines().map(str::to_owned).collect();
    for (kind, namespace) in ["pid", "mnt", "uts", "ipc", "net"].iter().zip(&inside) {
        let ours = std::fs::read_link(format!("/proc/self/ns/{kind}")).expect("a namespace");
        assert_ne!(&ours.to_string_lossy(), namespace);
    }
    assert_eq!(inside.len(), 5);
});

case!(no_descriptor_leaks_in, |e| {
    e.sh(&[], "ls /proc/self/fd | sort -n | head -c 6")
        .exits(0)
        .says("0\n1\n2\n");
    e.sh(&[], "ls /proc/self/fd | wc -l").exits(0).says("4\n");
});

case!(unknown_flag, |e| {
    let output = e.cli(&["run", "--nosuch", BOX]);
    output.exits(125).complains("unknown flag: --nosuch\n");
});

case!(no_argument, |e| {
    let output = e.cli(&["run"]);
    output
        .exits(1)
        .complains("'docker run' requires at least 1 argument");
});

case!(a_name_that_is_none, |e| {
    let output = e.sh(&["--name", "a/b"], "true");
    output
        .exits(125)
        .complains("Invalid container name (a/b), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed");
});

case!(thirty_at_once, |e| {
    let running: Vec<_> = (0..30)
        .map(|n| {
            let script = format!("echo {n}; exit {n}");
            e.spawn(&["run", "--rm", "--network", "none", BOX, "sh", "-c", &script])
        })
        .collect();
    for (n, program) in running.into_iter().enumerate() {
        let code = i32::try_from(n).expect("a small number");
        program.finish().exits(code).says(&format!("{n}\n"));
    }
});

case!(an_old_word_for_network, |e| {
    let link = |network: &str| {
        let words = [
            "run",
            "--rm",
            "--net",
            network,
            BOX,
            "readlink",
            "/proc/self/ns/net",
        ];
        e.cli(&words).ok().to_owned()
    };
    let host = link("host");
    assert_eq!(link("host"), host);
    assert_ne!(link("none"), host);
    let name = e.name("old");
    e.cli(&["create", "--net", "host", "--name", &name, BOX, "true"])
        .exits(0);
    assert_eq!(e.inspect(&name)["HostConfig"]["NetworkMode"], "host");
    let name = e.name("new");
    e.cli(&["create", "--network", "host", "--name", &name, BOX, "true"])
        .exits(0);
    assert_eq!(e.inspect(&name)["HostConfig"]["NetworkMode"], "host");
});

case!(another_platform, |e| {
    let options = ["--pull", "never", "--platform", "linux/s390x"];
    e.sh(&options, "true").exits(125);
    e.cli(&[
        "create",
        "--pull=never",
        "--platform",
        "linux/s390x",
        BOX,
        "true",
    ])
    .exits(1);
});

case!(an_unknown_runtime, |e| {
    let text = "unknown or invalid runtime name: nosuch";
    e.sh(&["--runtime", "nosuch"], "true")
        .exits(125)
        .complains(text);
    e.cli(&["create", "--runtime", "nosuch", BOX, "true"])
        .exits(1)
        .complains(text);
});

case!(an_image_that_is_not_pulled, |e| {
    let output = e.cli(&["create", "--pull", "never", "no-such:1"]);
    output.exits(1).complains("No such image: no-such:1");
    assert!(
        !output.stderr.contains("Unable to find image"),
        "{output:?}"
    );
});
