//! What is typed wrong: Docker's words on stderr, nothing on stdout, and its exit code.

use testkit::{BOX, Engine, Program, case};

/// Runs the client with `words` and checks everything that it says.
#[track_caller]
fn fails(e: &Engine, words: &[&str], code: i32, stderr: &str) {
    e.cli(words).exits(code).says("").errs(stderr);
}

/// `run` with `options` is refused with `text` and the hint.
#[track_caller]
fn refused(e: &Engine, options: &[&str], text: &str) {
    let mut words = vec!["run", "--rm", "--network", "none"];
    words.extend(options);
    words.extend([BOX, "true"]);
    let hint = "\n\nRun 'docker run --help' for more information\n";
    fails(e, &words, 125, &format!("docker: {text}{hint}"));
}

/// `run` with `options` is refused by the engine.
#[track_caller]
fn refused_by_the_engine(e: &Engine, options: &[&str], text: &str) {
    refused(e, options, &format!("Error response from daemon: {text}"));
}

/// The client does not accept a flag: what is wrong comes first, usage and hint behind it.
#[track_caller]
fn unparsed(e: &Engine, words: &[&str], text: &str) {
    let output = e.cli(words);
    output.exits(125).says("");
    let (first, rest) = output.stderr.split_once("\n\n").expect("paragraphs");
    assert_eq!(first, text);
    assert!(rest.starts_with("Usage:  "), "{output:?}");
    assert!(rest.ends_with("for more information\n"), "{output:?}");
}

case!(commands_that_do_not_exist, |e| {
    for words in [
        &["nosuch"][..],
        &["container", "nosuch"],
        &["image", "nosuch"],
    ] {
        let output = e.cli(words);
        output.exits(1).says("");
        let typed = words.join(" ");
        let line = output.stderr.lines().next().expect("a line").to_owned();
        let line = line.replace("wharf", "docker");
        assert_eq!(line, format!("docker: unknown command: docker {typed}"));
    }
    e.cli(&["help", "nosuch"])
        .exits(1)
        .errs("unknown help topic: nosuch\n");
});

case!(flags_that_do_not_exist, |e| {
    for command in ["ps", "run", "create", "logs", "exec", "images", "stop"] {
        unparsed(e, &[command, "--nosuch"], "unknown flag: --nosuch");
    }
    unparsed(e, &["ps", "-aX"], "unknown shorthand flag: 'X' in -X");
    unparsed(e, &["--nosuch", "ps"], "unknown flag: --nosuch");
    unparsed(e, &["nosuch", "--flag"], "unknown flag: --flag");
    unparsed(e, &["logs", "--tail"], "flag needs an argument: --tail");
});

case!(too_few_and_too_many_words, |e| {
    for (words, text) in [
        (&["ps", "extra"][..], "'docker ps' accepts no arguments"),
        (&["info", "extra"], "'docker info' accepts no arguments"),
        (
            &["version", "extra"],
            "'docker version' accepts no arguments",
        ),
        (&["events", "x"], "'docker events' accepts no arguments"),
        (&["load", "x"], "'docker load' accepts no arguments"),
        (&["run"], "'docker run' requires at least 1 argument"),
        (&["create"], "'docker create' requires at least 1 argument"),
        (&["start"], "'docker start' requires at least 1 argument"),
        (&["stop"], "'docker stop' requires at least 1 argument"),
        (&["kill"], "'docker kill' requires at least 1 argument"),
        (&["wait"], "'docker wait' requires at least 1 argument"),
        (&["rm"], "'docker rm' requires at least 1 argument"),
        (&["rmi"], "'docker rmi' requires at least 1 argument"),
        (
            &["inspect"],
            "'docker inspect' requires at least 1 argument",
        ),
        (&["import"], "'docker import' requires at least 1 argument"),
        (&["top"], "'docker top' requires at least 1 argument"),
        (&["pause"], "'docker pause' requires at least 1 argument"),
        (
            &["restart"],
            "'docker restart' requires at least 1 argument",
        ),
        (
            &["exec", "x"],
            "'docker exec' requires at least 2 arguments",
        ),
        (&["logs"], "'docker logs' requires 1 argument"),
        (&["attach"], "'docker attach' requires 1 argument"),
        (&["history"], "'docker history' requires 1 argument"),
        (&["rename", "a"], "'docker rename' requires 2 arguments"),
        (&["tag", "a"], "'docker tag' requires 2 arguments"),
        (
            &["images", "a", "b"],
            "'docker images' requires at most 1 argument",
        ),
        (
            &["commit"],
            "'docker commit' requires at least 1 and at most 2 arguments",
        ),
    ] {
        let output = e.cli(words);
        output.exits(1).says("");
        let line = output.stderr.lines().next().expect("a line");
        assert_eq!(line, format!("docker: {text}"));
        // Docker begins it with "Run", "See" or, by a slip, "SRun".
        let hint = format!(" 'docker {} --help' for more information\n", words[0]);
        assert!(output.stderr.ends_with(&hint), "{output:?}");
    }
});

case!(containers_that_do_not_exist, |e| {
    let text = "Error response from daemon: No such container: no-such\n";
    for words in [
        &["stop", "no-such"][..],
        &["wait", "no-such"],
        &["rm", "no-such"],
        &["logs", "no-such"],
        &["attach", "no-such"],
        &["exec", "no-such", "true"],
        &["top", "no-such"],
        &["pause", "no-such"],
        &["restart", "no-such"],
        &["diff", "no-such"],
        &["export", "no-such"],
        &["commit", "no-such"],
        &["port", "no-such"],
    ] {
        fails(e, words, 1, text);
    }
    fails(
        e,
        &["start", "no-such"],
        1,
        &format!("{text}Error: failed to start containers: no-such\n"),
    );
    fails(
        e,
        &["kill", "no-such"],
        1,
        "Error response from daemon: cannot kill container: no-such: No such container: no-such\n",
    );
    fails(
        e,
        &["rename", "no-such", "b"],
        1,
        &format!("{text}Error: failed to rename container named no-such\n"),
    );
    let output = e.cli(&["inspect", "no-such"]);
    output
        .exits(1)
        .says("[]\n")
        .errs("Error: No such object: no-such\n");
    e.cli(&["inspect", "--type", "container", "no-such"])
        .exits(1)
        .says("[]\n")
        .errs(text);
    fails(
        e,
        &["inspect", "--type", "foo", "no-such"],
        1,
        "unknown type: \"foo\": must be one of \"config\", \"container\", \"image\", \"network\", \
         \"node\", \"plugin\", \"secret\", \"service\", \"task\", \"volume\"\n",
    );
});

case!(images_that_do_not_exist, |e| {
    let text = "Error response from daemon: No such image: no-such:latest\n";
    for words in [
        &["rmi", "no-such"][..],
        &["tag", "no-such", "b"],
        &["history", "no-such"],
    ] {
        fails(e, words, 1, text);
    }
    e.cli(&["image", "inspect", "no-such"])
        .exits(1)
        .says("[]\n")
        .errs(text);
    for (target, text) in [
        (
            "A/B",
            "Error parsing reference: \"A/B\" is not a valid repository/tag: invalid reference format: repository name (B) must be lowercase\n",
        ),
        (
            "a:b:c",
            "Error parsing reference: \"a:b:c\" is not a valid repository/tag: invalid reference format\n",
        ),
    ] {
        fails(e, &["tag", BOX, target], 1, text);
    }
    fails(
        e,
        &["tag", BOX, "sha256:abc"],
        1,
        "Error response from daemon: refusing to create an ambiguous tag using digest algorithm as name\n",
    );
});

case!(values_that_the_client_knows, |e| {
    for (option, value, text) in [
        (
            "-m",
            "5x",
            r#"invalid argument "5x" for "-m, --memory" flag: invalid suffix: 'x'"#,
        ),
        (
            "--cpus",
            "x",
            r#"invalid argument "x" for "--cpus" flag: failed to parse x as a rational number"#,
        ),
        (
            "--pids-limit",
            "x",
            r#"invalid argument "x" for "--pids-limit" flag: strconv.ParseInt: parsing "x": invalid syntax"#,
        ),
        (
            "--read-only=zz",
            "",
            r#"invalid argument "zz" for "--read-only" flag: strconv.ParseBool: parsing "zz": invalid syntax"#,
        ),
        (
            "-e",
            "=x",
            r#"invalid argument "=x" for "-e, --env" flag: invalid environment variable: =x"#,
        ),
        (
            "-a",
            "foo",
            r#"invalid argument "foo" for "-a, --attach" flag: valid streams are STDIN, STDOUT and STDERR"#,
        ),
        (
            "--add-host",
            "x",
            r#"invalid argument "x" for "--add-host" flag: bad format for add-host: "x""#,
        ),
        (
            "--dns",
            "x",
            r#"invalid argument "x" for "--dns" flag: IP address is not correctly formatted: x"#,
        ),
    ] {
        let mut words = vec!["run", option];
        words.extend(Some(value).filter(|value| !value.is_empty()));
        words.push(BOX);
        unparsed(e, &words, text);
    }
    refused(e, &["-p", "x"], "Invalid containerPort: x");
    refused(e, &["-p", "80/foo"], "Invalid proto: foo");
    refused(e, &["--network", ""], "no name set for network");
    refused(
        e,
        &["--pull", "nope"],
        r#"invalid pull option: 'nope': must be one of "always", "missing" or "never""#,
    );
    fails(
        e,
        &["run", "--network", "none", "Box", "true"],
        125,
        "docker: invalid reference format: repository name (library/Box) must be lowercase\n\n\
         Run 'docker run --help' for more information\n",
    );
    let words = ["run", "-it", "--rm", "--network", "none", BOX, "true"];
    fails(e, &words, 1, "the input device is not a TTY\n");
});

case!(what_a_container_cannot_be, |e| {
    for (options, text) in [
        (
            &["-w", "rel"][..],
            "the working directory 'rel' is invalid, it needs to be an absolute path",
        ),
        (
            &["--name", "a b"],
            "Invalid container name (a b), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
        ),
        (
            &["--name", "x"],
            "Invalid container name (x), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
        ),
        (
            &["-u", "nobodyx"],
            "unable to find user nobodyx: no matching entries in passwd file",
        ),
        (
            &["-u", "0:nogrp"],
            "unable to find group nogrp: no matching entries in group file",
        ),
        (&["-u", "-1"], "uids and gids must be in range 0-2147483647"),
        (&["--stop-signal", "FOO"], "invalid signal: FOO"),
        (&["--ipc", "foo"], "invalid IPC mode: foo"),
        (
            &["--uts", "host", "-h", "x"],
            "conflicting options: hostname and the UTS mode",
        ),
        (
            &["--runtime", "foo"],
            "unknown or invalid runtime name: foo",
        ),
        (
            &["--cap-add", "FOO"],
            "invalid CapAdd: unknown capability: \"CAP_FOO\"",
        ),
        (
            &["--oom-score-adj", "7777"],
            "Invalid value 7777, range for oom score adj is [-1000, 1000]",
        ),
        (
            &["--isolation", "hyperv"],
            "invalid isolation (hyperv): linux only supports 'default'",
        ),
    ] {
        refused_by_the_engine(e, options, text);
    }
});

case!(limits_that_cannot_be, |e| {
    for (options, text) in [
        (&["-m", "1"][..], "Minimum memory limit allowed is 6MB"),
        (
            &["--memory-reservation", "1"],
            "Minimum memory reservation allowed is 6MB",
        ),
        (
            &["-m", "10m", "--memory-reservation", "20m"],
            "Minimum memory limit can not be less than memory reservation limit, see usage",
        ),
        (
            &["-m", "10m", "--memory-swap", "7m"],
            "Minimum memoryswap limit should be larger than memory limit, see usage",
        ),
        (
            &["--memory-swap", "20m"],
            "You should always set the Memory limit when using Memoryswap limit, see usage",
        ),
        (
            &["--cpu-period", "5"],
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        ),
        (
            &["--cpu-quota", "5"],
            "CPU cfs quota can not be less than 1ms (i.e. 1000)",
        ),
        (
            &["--cpu-shares", "-1"],
            "invalid CPU shares (-1): value must be a positive integer",
        ),
        (
            &["--cpuset-cpus", "x"],
            "Invalid value x for cpuset cpus: invalid format: x",
        ),
        (
            &["--cpuset-mems", "y"],
            "Invalid value y for cpuset mems: invalid format: y",
        ),
    ] {
        refused_by_the_engine(e, options, text);
    }
    let output = e.sh(&["--cpuset-cpus", "777"], "true");
    output
        .exits(125)
        .complains("Requested CPUs are not available - requested 777, available: 0");
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    refused_by_the_engine(
        e,
        &["--cpus", "1000"],
        &format!(
            "range of CPUs is from 0.01 to {cpus}.00, as there are only {cpus} CPUs available"
        ),
    );
});

case!(mounts_that_cannot_be, |e| {
    for (option, value, text) in [
        (
            "-v",
            "/x:rel",
            "invalid volume specification: '/x:rel': invalid mount config for type \"bind\": invalid mount path: 'rel' mount path must be absolute",
        ),
        (
            "-v",
            "/tmp:/",
            "invalid volume specification: '/tmp:/': invalid mount config for type \"bind\": invalid specification: destination can't be '/'",
        ),
        ("-v", "/tmp:/x:bad", "invalid mode: bad"),
        ("--tmpfs", "/t:foo", "invalid tmpfs option \"foo\""),
        (
            "--tmpfs",
            "rel",
            "invalid mount path: 'rel' mount path must be absolute",
        ),
        (
            "--mount",
            "type=bind,src=/no/such,dst=/m",
            "invalid mount config for type \"bind\": bind source path does not exist: /no/such",
        ),
    ] {
        refused_by_the_engine(e, &[option, value], text);
    }
    refused_by_the_engine(
        e,
        &["-v", "/tmp:/m", "-v", "/var:/m"],
        "Duplicate mount point: /m",
    );
});

case!(logs_that_cannot_be, |e| {
    let start = "failed to create task for container: failed to initialize logging driver: ";
    for (options, text) in [
        (&["max-size=x"][..], "invalid size: 'x'"),
        (&["max-size=0"], "max-size must be a positive number"),
        (&["max-size=-1"], "invalid size: '-1'"),
        (
            &["max-size=1k", "max-file=0"],
            "max-file cannot be less than 1",
        ),
        (
            &["max-size=1k", "max-file=x"],
            "strconv.Atoi: parsing \"x\": invalid syntax",
        ),
    ] {
        let options: Vec<_> = options
            .iter()
            .flat_map(|text| ["--log-opt", text])
            .collect();
        refused_by_the_engine(e, &options, &format!("{start}{text}"));
    }
    refused_by_the_engine(
        e,
        &["--log-opt", "nope=1"],
        "unknown log opt 'nope' for json-file log driver",
    );
    refused_by_the_engine(
        e,
        &["--log-driver", "nope"],
        "error looking up logging plugin nope: plugin \"nope\" not found",
    );
});

case!(networks_that_cannot_be, |e| {
    let run = |networks: &[&str], text: &str| {
        let mut words = vec!["run", "--rm"];
        for network in networks {
            words.extend(["--network", network]);
        }
        words.extend([BOX, "true"]);
        let hint = "\n\nRun 'docker run --help' for more information\n";
        let text = format!("docker: Error response from daemon: {text}{hint}");
        fails(e, &words, 125, &text);
    };
    run(
        &["no-such"],
        "failed to set up container networking: network no-such not found",
    );
    run(
        &["container:no-such"],
        "joining network namespace of container: No such container: no-such",
    );
    // Docker looks at the two in any order, and each has its own sentence.
    let words = [
        "run",
        "--rm",
        "--network",
        "none",
        "--network",
        "host",
        BOX,
        "true",
    ];
    let output = e.cli(&words);
    output
        .exits(125)
        .complains("docker: Error response from daemon: failed to set up container networking: ");
    let sentences = [
        "cannot connect container to host network - container must be created in host network mode\n",
        "container sharing network namespace with another container or host cannot be connected to any other network\n",
    ];
    let said = |sentence: &&str| output.stderr.contains(*sentence);
    assert!(sentences.iter().any(said), "{output:?}");
});

case!(detach_keys_that_cannot_be, |e| {
    let run = ["run", "--network", "none", "--detach-keys", "zzz"];
    let mut words = run.to_vec();
    words.extend([BOX, "true"]);
    fails(e, &words, 1, "unable to upgrade to tcp, received 400\n");
    let name = e.background("k", &[], "sleep 100");
    fails(
        e,
        &["exec", "--detach-keys", "zzz", &name, "true"],
        1,
        "Error response from daemon: Invalid escape keys (zzz) provided\n",
    );
    e.cli(&["rm", "-f", &name]).exits(0);
});

case!(moments_and_filters, |e| {
    let text = "failed to parse value as time or duration: \"zzz\"\n";
    fails(e, &["events", "--since", "zzz"], 1, text);
    let name = e.background("t", &[], "true");
    fails(
        e,
        &["logs", "--since", "zzz", &name],
        1,
        &format!("invalid value for \"since\": {text}"),
    );
    fails(
        e,
        &["images", "--filter", "foo=bar"],
        1,
        "Error response from daemon: invalid filter 'foo'\n",
    );
    unparsed(
        e,
        &["ps", "--filter", "foo"],
        "invalid argument \"foo\" for \"-f, --filter\" flag: bad format of filter (expected name=value)",
    );
    unparsed(
        e,
        &["stop", "-t", "x", &name],
        "invalid argument \"x\" for \"-t, --timeout\" flag: strconv.ParseInt: parsing \"x\": invalid syntax",
    );
    e.cli(&["wait", &name]).exits(0);
    e.cli(&["rm", &name]).exits(0);
});

case!(without_an_engine, |e| {
    let mut command = e.command(&[]);
    let program = command.get_program().to_owned();
    command = std::process::Command::new(program);
    let place = e.temp().at("nobody");
    let text = format!(
        "Cannot connect to the Docker daemon at unix://{place}. Is the docker daemon running?"
    );
    command.args(["-H", &format!("unix://{place}"), "ps"]);
    Program::start(&mut command)
        .finish()
        .exits(1)
        .says("")
        .errs(&format!("{text}\n"));
});
