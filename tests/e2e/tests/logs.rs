//! `logs`: what the container said, kept and read back.

use rustix::process::Signal;
use testkit::{case, eventually};

case!(both_streams, |e| {
    let name = e.background("b", &[], "echo out; echo err >&2");
    e.cli(&["wait", &name]).exits(0);
    let output = e.cli(&["logs", &name]);
    output.exits(0).says("out\n");
    assert_eq!(output.stderr, "err\n");
});

case!(tail, |e| {
    let name = e.background("t", &[], "for i in 1 2 3 4 5; do echo $i; done");
    e.cli(&["wait", &name]).exits(0);
    e.cli(&["logs", "--tail", "2", &name])
        .exits(0)
        .says("4\n5\n");
    e.cli(&["logs", "--tail", "0", &name]).exits(0).says("");
    e.cli(&["logs", "-n", "100", &name])
        .exits(0)
        .says("1\n2\n3\n4\n5\n");
    e.cli(&["logs", "--tail", "foo", &name])
        .exits(0)
        .says("1\n2\n3\n4\n5\n");
});

case!(timestamps, |e| {
    let name = e.background("t", &[], "echo a");
    e.cli(&["wait", &name]).exits(0);
    let output = e.cli(&["logs", "-t", &name]);
    let (time, text) = output.ok().split_once(' ').expect("a time and a text");
    assert_eq!(text, "a");
    // 2026-11-21T09:58:18.455229062Z: always nine digits of a second.
    assert!(
        time.len() == 30 && time.ends_with('Z') && &time[19..20] == ".",
        "{time}"
    );
});

case!(since, |e| {
    let name = e.background("s", &[], "echo a; sleep 1.2; echo b");
    e.cli(&["wait", &name]).exits(0);
    let stamped = e.cli(&["logs", "-t", &name]);
    let last = stamped.ok().lines().last().expect("two lines");
    let time = last.split(' ').next().expect("a time");
    e.cli(&["logs", "--since", time, &name])
        .exits(0)
        .says("b\n");
    e.cli(&["logs", "--since", "1h", &name])
        .exits(0)
        .says("a\nb\n");
});

case!(follow_to_the_end, |e| {
    let name = e.background("f", &[], "echo a; sleep 0.5; echo b; sleep 0.5; echo c");
    e.cli(&["logs", "-f", &name]).exits(0).says("a\nb\nc\n");
    e.cli(&["logs", "-f", &name]).exits(0).says("a\nb\nc\n");
});

case!(follow_goes_on_while_it_runs, |e| {
    let script = "echo a; while [ ! -e /go ]; do sleep 0.05; done; echo b; sleep 100";
    let name = e.background("g", &[], script);
    let mut follower = e.spawn(&["logs", "-f", &name]);
    eventually("the first line", || {
        (follower.stdout() == "a\n").then_some(())
    });
    e.cli(&["exec", &name, "touch", "/go"]).exits(0);
    eventually("the second line", || {
        (follower.stdout() == "a\nb\n").then_some(())
    });
    assert!(follower.runs());
    follower.signal(Signal::KILL);
});

case!(a_line_without_an_end, |e| {
    let name = e.background("n", &[], "printf abc");
    e.cli(&["wait", &name]).exits(0);
    e.cli(&["logs", &name]).exits(0).says("abc");
});

case!(a_long_line, |e| {
    let name = e.background("l", &[], "head -c 40000 /dev/zero | tr '\\0' x; echo");
    e.cli(&["wait", &name]).exits(0);
    e.cli(&["logs", &name])
        .exits(0)
        .says(&format!("{}\n", "x".repeat(40_000)));
});

case!(across_rotation, |e| {
    let script = "i=0; while [ $i -lt 400 ]; do echo line-$i; i=$((i+1)); done";
    let options = ["--log-opt", "max-size=4k", "--log-opt", "max-file=20"];
    let name = e.background("r", &options, script);
    e.cli(&["wait", &name]).exits(0);
    let wanted = (0..400)
        .map(|n| format!("line-{n}\n"))
        .collect::<Vec<_>>()
        .concat();
    e.cli(&["logs", &name]).exits(0).says(&wanted);
});

case!(old_files_are_dropped, |e| {
    let script = "i=0; while [ $i -lt 400 ]; do echo line-$i; i=$((i+1)); done";
    let options = ["--log-opt", "max-size=4k", "--log-opt", "max-file=2"];
    let name = e.background("o", &options, script);
    e.cli(&["wait", &name]).exits(0);
    let output = e.cli(&["logs", &name]);
    let lines: Vec<_> = output.ok().lines().collect();
    assert!(lines.len() < 200, "{} lines", lines.len());
    assert_eq!(lines.last(), Some(&"line-399"));
});

case!(of_nothing, |e| {
    e.cli(&["logs", "no-such"])
        .exits(1)
        .complains("Error response from daemon: No such container: no-such");
});

case!(a_bad_log_option, |e| {
    e.sh(&["--log-opt", "nope=1"], "true")
        .exits(125)
        .complains("unknown log opt 'nope' for json-file log driver");
});
