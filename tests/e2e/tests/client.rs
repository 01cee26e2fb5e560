//! The client itself: words before the command, signals, terminals and the keys that leave them.

use testkit::{BOX, Engine, Program, case, eventually};

/// Says that it is ready, then ends with 3 when it is told to end.
const PATIENT: &str = "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.05; done";

/// Starts the client on a terminal of its own, of 33 lines and 77 columns.
fn on_a_terminal(e: &Engine, words: &[&str]) -> Program {
    let client = e.command(words);
    let mut line = "stty rows 33 cols 77; exec ".to_owned();
    line += &client.get_program().to_string_lossy();
    for word in client.get_args() {
        line = format!("{line} '{}'", word.to_string_lossy());
    }
    let mut script = std::process::Command::new("script");
    script.args(["-qfec", &line, "/dev/null"]);
    for (name, value) in client.get_envs() {
        match value {
            Some(value) => script.env(name, value),
            None => script.env_remove(name),
        };
    }
    Program::start(&mut script)
}

/// Runs the client on a terminal, types ctrl-x when the container is ready, and waits for its end.
fn leaves(e: &Engine, words: &[&str], name: &str) {
    let mut client = on_a_terminal(e, words);
    eventually("it is ready", || {
        client.stdout().contains("ready").then_some(())
    });
    client.write("\x18");
    client.finish();
    assert_eq!(e.inspect(name)["State"]["Running"], true, "{words:?}");
}

case!(keys_that_leave_a_container, |e| {
    let script = "echo ready; read line; exit 4";
    let name = e.name("run");
    let words = [
        "run",
        "-it",
        "--detach-keys",
        "ctrl-x",
        "--network",
        "none",
        "--name",
        &name,
        BOX,
        "sh",
        "-c",
        script,
    ];
    leaves(e, &words, &name);
    let name = e.name("start");
    let words = [
        "create",
        "-it",
        "--network",
        "none",
        "--name",
        &name,
        BOX,
        "sh",
        "-c",
        script,
    ];
    e.cli(&words).exits(0);
    leaves(
        e,
        &["start", "-ai", "--detach-keys", "ctrl-x", &name],
        &name,
    );
});

case!(keys_that_leave_an_exec, |e| {
    let name = e.background("x", &[], "sleep 100");
    let words = [
        "exec",
        "-it",
        "--detach-keys",
        "ctrl-x",
        &name,
        "sh",
        "-c",
        "echo ready; read line; touch /line",
    ];
    leaves(e, &words, &name);
    // Had the key not been one, the end of the terminal's input would have ended the line.
    std::thread::sleep(std::time::Duration::from_millis(300));
    e.cli(&["exec", &name, "ls", "/line"]).exits(1);
});

case!(keys_that_leave_an_attached, |e| {
    let script = "while :; do echo ready; sleep 0.1; done & read line; exit 4";
    let name = e.background("a", &["-i", "-t"], script);
    leaves(e, &["attach", "--detach-keys", "ctrl-x", &name], &name);
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

case!(the_size_of_an_exec_s_terminal, |e| {
    let name = e.background("x", &[], "sleep 100");
    let script = r#"until [ "$(stty size)" = "33 77" ]; do sleep 0.05; done; echo sized"#;
    let output = on_a_terminal(e, &["exec", "-it", &name, "sh", "-c", script]).finish();
    assert!(output.ok().contains("sized"), "{output:?}");
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
