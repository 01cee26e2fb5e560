//! `-t`: a program in a container on the terminal of the client.

use std::time::Duration;

use testkit::{BOX, Engine, Terminal, case, eventually};

/// Starts the client with `words` on a terminal of 33 rows and 77 columns.
fn on_terminal(e: &Engine, words: &[&str]) -> Terminal {
    Terminal::start(&e.command(words), 33, 77)
}

/// `run -it` with `options` and `script`.
fn run(e: &Engine, options: &[&str], script: &str) -> Terminal {
    let mut words = vec!["run", "-it", "--network", "none"];
    words.extend(options);
    words.extend([BOX, "sh", "-c", script]);
    on_terminal(e, &words)
}

case!(it_is_one_and_has_its_size, |e| {
    let mut terminal = run(
        e,
        &["--rm"],
        "read go; tty; stty size; echo $TERM; echo err >&2; exit 9",
    );
    // Size goes along after the start, so the program waits for a word.
    std::thread::sleep(Duration::from_millis(700));
    terminal.types("go\r");
    terminal.shows("go\r\n/dev/pts/0\r\n33 77\r\nxterm\r\nerr\r\n");
    assert_eq!(terminal.ends(), 9);
});

case!(a_new_size_reaches_it, |e| {
    let script = "trap 'stty size; exit 4' WINCH; echo ready; while :; do sleep 0.1; done";
    let mut terminal = run(e, &["--rm"], script);
    terminal.shows("ready\r\n");
    // The first size may still be on its way; it comes once.
    std::thread::sleep(Duration::from_millis(700));
    terminal.resize(44, 99);
    terminal.shows("\r\n");
    let code = terminal.ends();
    assert_eq!(code, 4, "{}", terminal.screen());
});

case!(ctrl_c_and_ctrl_d, |e| {
    let mut terminal = run(
        e,
        &["--rm"],
        "trap 'echo caught; exit 7' INT; echo ready; while :; do sleep 0.1; done",
    );
    terminal.shows("ready\r\n");
    terminal.types("\x03");
    terminal.shows("caught\r\n");
    assert_eq!(terminal.ends(), 7);
    let mut terminal = run(e, &["--rm"], "cat; echo over");
    terminal.types("line\r");
    terminal.shows("line\r\nline\r\n");
    terminal.types("\x04");
    terminal.shows("over\r\n");
    assert_eq!(terminal.ends(), 0);
});

case!(the_detach_keys_of_run, |e| {
    let name = e.name("d");
    let mut terminal = run(e, &["--name", &name], "echo ready; cat");
    terminal.shows("ready\r\n");
    terminal.types("\x10\x11");
    assert_eq!(terminal.ends(), 0);
    assert_eq!(e.inspect(&name)["State"]["Running"], true);
    e.cli(&["rm", "-f", &name]).exits(0);
});

case!(detach_keys_of_ones_own, |e| {
    let name = e.name("o");
    let options = ["--name", &name, "--detach-keys", "ctrl-a,x"];
    let mut terminal = run(e, &options, "echo ready; cat");
    terminal.shows("ready\r\n");
    terminal.types("\x01x");
    assert_eq!(terminal.ends(), 0);
    let mut terminal = on_terminal(e, &["attach", "--detach-keys", "ctrl-b", &name]);
    std::thread::sleep(Duration::from_millis(500));
    terminal.types("word\r");
    terminal.shows("word\r\nword\r\n");
    terminal.types("\x02");
    terminal.shows("read escape sequence");
    assert_eq!(terminal.ends(), 1);
    e.cli(&["stop", "-t", "0", &name]).exits(0);
    let words = ["start", "-ai", "--detach-keys", "ctrl-c", &name];
    let mut terminal = on_terminal(e, &words);
    terminal.shows("ready\r\n");
    terminal.types("\x03");
    assert_eq!(terminal.ends(), 0);
    assert_eq!(e.inspect(&name)["State"]["Running"], true);
    e.cli(&["rm", "-f", &name]).exits(0);
});

case!(half_of_the_keys_is_only_keys, |e| {
    let mut terminal = run(
        e,
        &["--rm"],
        "stty raw -echo; echo ready; head -c 2 | od -c; exit 3",
    );
    terminal.shows("ready");
    terminal.types("\x10z");
    terminal.shows("020   z");
    assert_eq!(terminal.ends(), 3);
});

case!(exec_on_a_terminal, |e| {
    let name = e.background("x", &[], "sleep 100");
    let script = "read go; tty; stty size; exit 6";
    let mut terminal = on_terminal(e, &["exec", "-it", &name, "sh", "-c", script]);
    std::thread::sleep(Duration::from_millis(700));
    terminal.types("go\r");
    terminal.shows("/dev/pts/0\r\n33 77\r\n");
    assert_eq!(terminal.ends(), 6);
    let words = ["exec", "-it", "--detach-keys", "ctrl-a", &name, "cat"];
    let mut terminal = on_terminal(e, &words);
    terminal.types("word\r");
    terminal.shows("word\r\nword\r\n");
    terminal.types("\x01");
    terminal.shows("read escape sequence");
    assert_eq!(terminal.ends(), 1);
    let script = "trap 'stty size; exit 4' WINCH; echo ready; while :; do sleep 0.1; done";
    let mut terminal = on_terminal(e, &["exec", "-it", &name, "sh", "-c", script]);
    terminal.shows("ready\r\n");
    std::thread::sleep(Duration::from_millis(700));
    terminal.resize(45, 98);
    assert_eq!(terminal.ends(), 4);
    e.cli(&["rm", "-f", &name]).exits(0);
});

case!(a_terminal_without_a_keyboard, |e| {
    let words = ["run", "--rm", "-t", "--network", "none", BOX, "sh", "-c"];
    let mut words = words.to_vec();
    words.push("tty; echo err >&2");
    e.cli(&words)
        .exits(0)
        .says("/dev/pts/0\r\nerr\r\n")
        .errs("");
    let name = e.background("x", &[], "sleep 100");
    e.cli(&["exec", "-t", &name, "tty"])
        .exits(0)
        .says("/dev/pts/0\r\n");
    e.cli(&["rm", "-f", &name]).exits(0);
});

case!(two_at_one_terminal, |e| {
    let name = e.name("two");
    let mut first = run(e, &["--name", &name], "echo ready; cat");
    first.shows("ready\r\n");
    let mut second = on_terminal(e, &["attach", &name]);
    std::thread::sleep(Duration::from_millis(500));
    second.types("hello\r");
    first.shows("hello\r\nhello\r\n");
    second.shows("hello\r\nhello\r\n");
    first.types("\x04");
    assert_eq!((first.ends(), second.ends()), (0, 0));
    eventually("it ended", || {
        (e.inspect(&name)["State"]["Status"] == "exited").then_some(())
    });
    e.cli(&["rm", &name]).exits(0);
});
