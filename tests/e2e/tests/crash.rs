//! The daemon is killed: containers, their output and their exit codes go on.

use testkit::{case, eventually};

case!(a_container_outlives_the_daemon, |e| {
    let script = "i=0; while [ ! -e /stop ]; do echo $i; i=$((i+1)); sleep 0.02; done; exit 11";
    let name = e.background("w", &[], script);
    eventually("some lines", || {
        (e.cli(&["logs", &name]).stdout.lines().count() > 5).then_some(())
    });
    for _ in 0..3 {
        e.kill_daemon();
        std::thread::sleep(std::time::Duration::from_millis(200));
        e.start_daemon(&[]);
        assert_eq!(e.inspect(&name)["State"]["Running"], true);
    }
    e.cli(&["exec", &name, "touch", "/stop"]).exits(0);
    e.cli(&["wait", &name]).exits(0).says("11\n");
    let output = e.cli(&["logs", &name]);
    let lines: Vec<_> = output.ok().lines().collect();
    for (number, line) in lines.iter().enumerate() {
        assert_eq!(*line, number.to_string(), "a line is lost or doubled");
    }
});

case!(an_end_while_no_daemon_runs_is_known, |e| {
    let name = e.background("e", &[], "echo before; sleep 0.5; echo after; exit 12");
    e.kill_daemon();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    e.start_daemon(&[]);
    eventually("the end is known", || {
        (e.inspect(&name)["State"]["Status"] == "exited").then_some(())
    });
    assert_eq!(e.inspect(&name)["State"]["ExitCode"], 12);
    e.cli(&["logs", &name]).exits(0).says("before\nafter\n");
    e.cli(&["rm", &name]).exits(0);
});

case!(a_clean_stop_leaves_containers_running, |e| {
    let name = e.background("s", &[], "sleep 100");
    e.stop_daemon();
    e.start_daemon(&[]);
    assert_eq!(e.inspect(&name)["State"]["Running"], true);
    e.cli(&["kill", &name]).exits(0);
    e.cli(&["wait", &name]).exits(0).says("137\n");
});
