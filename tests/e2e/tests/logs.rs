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

case!(follow_over_rotations, |e| {
    let script = "while [ ! -e /go ]; do sleep 0.05; done
i=0; while [ $i -lt 1500 ]; do echo line-$i; i=$((i+1)); [ $((i % 50)) = 0 ] && sleep 0.1; done; true";
    let options = ["--log-opt", "max-size=8k", "--log-opt", "max-file=10"];
    let name = e.background("w", &options, script);
    let follower = e.spawn(&["logs", "-f", &name]);
    std::thread::sleep(std::time::Duration::from_millis(500));
    e.cli(&["exec", &name, "touch", "/go"]).exits(0);
    let wanted: Vec<_> = (0..1500).map(|n| format!("line-{n}\n")).collect();
    let wanted = wanted.concat();
    follower.finish().exits(0).says(&wanted);
    if e.kind() == testkit::Kind::Wharf {
        // Where the files are is our own affair; that there are several is the point.
        let dir = e.data_root().join("containers");
        let count = std::fs::read_dir(dir)
            .expect("containers")
            .flatten()
            .flat_map(|dir| std::fs::read_dir(dir.path()).expect("a container"))
            .flatten()
            .filter(|file| file.file_name().to_string_lossy().contains("-json.log"))
            .count();
        assert_eq!(count, 10);
    }
});

case!(until_and_details, |e| {
    let name = e.background("u", &[], "echo a; sleep 1.2; echo b");
    e.cli(&["wait", &name]).exits(0);
    let stamped = e.cli(&["logs", "-t", &name]);
    let first = stamped.ok().lines().next().expect("two lines");
    let time = first.split(' ').next().expect("a time");
    e.cli(&["logs", "--until", time, &name])
        .exits(0)
        .says("a\n");
    e.cli(&["logs", "--details", &name])
        .exits(0)
        .says(" a\n b\n");
});

case!(a_thousand_followers, |e| {
    const FOLLOWERS: usize = 1000;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let wanted = rustix::process::Rlimit {
        current: limit.maximum.or(Some(4096)),
        maximum: limit.maximum,
    };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, wanted).expect("up to the most");
    let script = "while [ ! -e /go ]; do sleep 0.05; done; for i in 1 2 3; do echo line-$i; done";
    let name = e.background("m", &[], script);
    let path = format!("/containers/{name}/logs?follow=1&stdout=1&stderr=1");
    let head = testkit::http::head("GET", &path, &[], None);
    let streams: Vec<_> = (0..FOLLOWERS)
        .map(|_| {
            use std::io::Write;
            let mut stream = testkit::http::connect(e.socket());
            stream.write_all(head.as_bytes()).expect("sent");
            stream
        })
        .collect();
    let filter = format!("name={name}");
    e.cli(&["ps", "-q", "--filter", &filter]).exits(0);
    assert_eq!(e.inspect(&name)["State"]["Running"], true);
    e.cli(&["exec", &name, "touch", "/go"]).exits(0);
    for mut stream in streams {
        use std::io::Read;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("the log and its end");
        let reply = testkit::http::parse(&bytes);
        let frames = testkit::http::frames(&reply.is(200).body);
        let text: String = frames.iter().map(|frame| frame.text.as_str()).collect();
        assert_eq!(text, "line-1\nline-2\nline-3\n");
    }
    e.cli(&["ps", "-aq", "--filter", &filter]).exits(0);
});
