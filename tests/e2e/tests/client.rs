//! The client itself: words before the command, signals, streams.

use testkit::{BOX, Terminal, case, eventually};

/// Says that it is ready, then ends with 3 when it is told to end.
const PATIENT: &str = "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.05; done";

case!(keys_that_leave_an_exec, |e| {
    let name = e.background("x", &[], "sleep 100");
    let script = "echo ready; read line; touch /line";
    let words = [
        "exec",
        "-it",
        "--detach-keys",
        "ctrl-x",
        &name,
        "sh",
        "-c",
        script,
    ];
    let mut terminal = Terminal::start(&e.command(&words), 33, 77);
    terminal.shows("ready\r\n");
    terminal.types("\x18");
    terminal.shows("read escape sequence");
    assert_eq!(terminal.ends(), 1);
    e.cli(&["exec", &name, "ls", "/line"]).exits(1);
});

case!(signals_that_stay_with_the_client, |e| {
    let name = e.name("s");
    let words = [
        "run",
        "--sig-proxy=false",
        "--network",
        "none",
        "--name",
        &name,
        BOX,
        "sh",
        "-c",
        PATIENT,
    ];
    let client = e.spawn(&words);
    eventually("it is ready", || {
        client.stdout().contains("ready").then_some(())
    });
    client.signal(rustix::process::Signal::TERM);
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(e.inspect(&name)["State"]["Running"], true);
    e.cli(&["kill", &name]).exits(0);
    client.finish();
});

case!(signals_that_stay_with_an_attached_client, |e| {
    let name = e.background(
        "s",
        &[],
        "trap 'exit 3' TERM; while :; do echo x; sleep 0.05; done",
    );
    let client = e.spawn(&["attach", "--sig-proxy=false", &name]);
    eventually("it is attached", || {
        client.stdout().contains('x').then_some(())
    });
    client.signal(rustix::process::Signal::TERM);
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(e.inspect(&name)["State"]["Running"], true);
    e.cli(&["kill", &name]).exits(0);
    client.finish();
});

case!(attached_without_stdin, |e| {
    let name = e.background("n", &["-i"], "cat; sleep 100");
    let mut client = e.spawn(&["attach", "--no-stdin", &name]);
    std::thread::sleep(std::time::Duration::from_millis(300));
    client.write("hello\n");
    std::thread::sleep(std::time::Duration::from_millis(300));
    e.cli(&["kill", &name]).exits(0);
    client.finish().exits(137).says("");
});

case!(start_with_stdin, |e| {
    let name = e.name("i");
    e.cli(&[
        "create",
        "-i",
        "--network",
        "none",
        "--name",
        &name,
        BOX,
        "cat",
    ])
    .exits(0);
    e.cli_with("hello\n", &["start", "-i", &name])
        .exits(0)
        .says("hello\n");
});

case!(exec_as_told, |e| {
    let list = e.temp().at("list");
    std::fs::write(&list, "ONE=1\n").expect("a new file");
    let name = e.background("x", &[], "sleep 100");
    e.cli(&["exec", "--env-file", &list, &name, "sh", "-c", "echo $ONE"])
        .exits(0)
        .says("1\n");
    e.cli(&["exec", "-t", &name, "sh", "-c", "test -t 1 && echo yes"])
        .exits(0)
        .says("yes\r\n");
    let words = [
        "exec",
        "--privileged",
        &name,
        "grep",
        "CapEff",
        "/proc/self/status",
    ];
    let output = e.cli(&words);
    assert!(output.ok() > "CapEff:\t000001ff00000000", "{output:?}");
});

case!(a_signal_to_stop_with, |e| {
    let script = "trap 'exit 7' INT; echo ready; while :; do sleep 0.05; done";
    for words in [["stop", "-s", "INT"], ["stop", "--signal", "SIGINT"]] {
        let name = e.background("s", &[], script);
        eventually("it is ready", || {
            (e.cli(&["logs", &name]).stdout == "ready\n").then_some(())
        });
        e.cli(&[words[0], words[1], words[2], &name]).exits(0);
        e.cli(&["wait", &name]).exits(0).says("7\n");
        e.cli(&["rm", &name]).exits(0);
    }
});

case!(an_old_word_for_the_time_to_stop, |e| {
    let name = e.background("s", &[], "trap '' TERM; while :; do sleep 0.05; done");
    let output = e.cli(&["stop", "--time", "1", &name]);
    assert!(
        output
            .exits(0)
            .stdout
            .contains("Flag --time has been deprecated, use --timeout instead"),
        "{output:?}"
    );
    e.cli(&["wait", &name]).exits(0).says("137\n");
});

case!(words_before_the_command, |e| {
    let output = e.cli(&["--version"]);
    assert!(output.ok().contains("version"), "{output:?}");
    e.cli(&["--log-level", "nosuch", "ps"])
        .exits(1)
        .complains("Unable to parse logging level: nosuch");
    e.cli(&["--context", "nosuch", "ps"])
        .exits(1)
        .complains("conflicting options: cannot specify both --host and --context");
});

case!(restart_as_told, |e| {
    let script =
        "trap 'echo int; exit 7' INT; trap '' TERM; echo ready; while :; do sleep 0.05; done";
    let name = e.background("r", &[], script);
    let says = |wanted: &str| {
        eventually(wanted, || {
            (e.cli(&["logs", &name]).stdout == wanted).then_some(())
        });
    };
    says("ready\n");
    e.cli(&["restart", "-s", "INT", &name]).exits(0);
    says("ready\nint\nready\n");
    let output = e.cli(&["restart", "--time", "0", &name]);
    assert!(
        output
            .exits(0)
            .stdout
            .contains("Flag --time has been deprecated, use --timeout instead"),
        "{output:?}"
    );
});

case!(a_commit_that_does_not_pause, |e| {
    let name = e.background("c", &[], "sleep 100");
    let moment = || {
        e.cli(&["info", "--format", "{{.SystemTime}}"])
            .ok()
            .to_owned()
    };
    for (pause, wanted) in [("--pause=false", 0), ("--pause=true", 1)] {
        let since = moment();
        let image = e.name("image");
        e.cli(&["commit", pause, &name, &image]).exits(0);
        let (until, filter) = (moment(), format!("container={name}"));
        let words = [
            "events",
            "--since",
            &since,
            "--until",
            &until,
            "--filter",
            &filter,
            "--format",
            "{{.Action}}",
        ];
        let seen = e.cli(&words);
        let pauses = seen.ok().lines().filter(|line| *line == "pause").count();
        assert_eq!(pauses, wanted, "{seen:?}");
        e.cli(&["rmi", &image]).exits(0);
    }
});
