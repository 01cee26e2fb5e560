//! `--init`: a small init is process 1, passes signals on and reaps.

use serde_json::json;
use testkit::{case, eventually};

use crate::flags::{both, create, recorded};

case!(it_is_process_1, |e| {
    both(
        e,
        &["--init"],
        "tr '\\0' ' ' < /proc/1/cmdline | cut -d' ' -f1-4; [ $$ -ne 1 ] && echo another",
        "/sbin/docker-init -- sh -c\nanother\n",
    );
    recorded(e, &["--init"], "/HostConfig/Init", &json!(true));
});

case!(it_ends_as_the_program_does, |e| {
    e.sh(&["--init"], "exit 7").exits(7);
    e.sh(&["--init"], "kill -9 $$").exits(137);
    let name = create(e, &["--init"], "exit 9");
    e.cli(&["start", "-a", &name]).exits(9);
    e.cli(&["rm", &name]).exits(0);
    let words = ["run", "--rm", "--network", "none", "--init", testkit::BOX];
    let output = e.cli(&[&words[..], &["nosuch"]].concat());
    output.exits(127).complains("exec nosuch failed:");
});

case!(it_passes_signals_on, |e| {
    // Process 1 without a handler would not hear SIGTERM.
    let name = e.background("quick", &["--init"], "exec sleep 1000");
    e.cli(&["stop", "-t", "30", &name]).exits(0);
    assert_eq!(e.inspect(&name)["State"]["ExitCode"], 143);
    let script = "trap 'echo heard; exit 5' USR1; while :; do sleep 0.1; done";
    let name = e.background("trap", &["--init"], script);
    eventually("the signal is heard", || {
        e.cli(&["kill", "-s", "USR1", &name]);
        (e.inspect(&name)["State"]["ExitCode"] == 5).then_some(())
    });
});

case!(it_reaps_orphans, |e| {
    let script = "for n in 1 2 3; do (sleep 0.05 & ); done; sleep 1; ps -o stat | grep -c Z; true";
    e.sh(&["--init"], script).exits(0).says("0\n");
});

case!(with_a_terminal_the_program_is_in_front, |e| {
    // Its process group is the terminal's foreground.
    let script = "read a b c d group session tty front rest < /proc/$$/stat; [ $group = $front ] && \
                  [ $front -gt 1 ] && echo front";
    let output = e.cli(&[
        "run",
        "--rm",
        "--network",
        "none",
        "--init",
        "-t",
        testkit::BOX,
        "sh",
        "-c",
        script,
    ]);
    output.exits(0).says("front\r\n");
});
