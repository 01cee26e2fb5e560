//! The daemon is killed: containers, their output and their exit codes go on.

use testkit::{BOX, Manner, case, eventually};

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

/// A bridge in a network namespace that outlives the daemon: a program that sleeps holds it.
fn on_a_lasting_bridge() -> Manner {
    let mut manner = Manner::on_a_bridge();
    let hold = "exec unshare --net sh -c 'ip link set lo up; exec sleep 120'";
    let holder = std::process::Command::new("sh")
        .args(["-c", &format!("({hold}) > /dev/null 2>&1 & echo $!")])
        .output()
        .expect("a shell");
    let id = String::from_utf8_lossy(&holder.stdout).trim().to_owned();
    let own = std::fs::read_link("/proc/self/ns/net").expect("proc is mounted");
    eventually("the namespace is there", || {
        let there = std::fs::read_link(format!("/proc/{id}/ns/net")).ok()?;
        (there != own).then_some(())
    });
    manner.before = ["nsenter", "-t", &id, "-n"].map(str::to_owned).to_vec();
    manner
}

/// Ends what holds the namespace.
fn let_go(e: &testkit::Engine) {
    let id = e.manner().before[2].parse().expect("a process");
    testkit::kill(id);
}

case!(
    ports_and_names_outlive_the_daemon,
    on_a_lasting_bridge(),
    |e| {
        let net = e.name("n");
        e.cli(&["network", "create", &net]).exits(0);
        let (web, asker) = (e.name("web"), e.name("asker"));
        let serve = "echo hello > /tmp/index.html; httpd -f -p 80 -h /tmp";
        let words = [
            "run",
            "-d",
            "--name",
            &web,
            "--network",
            &net,
            "-p",
            "18200:80",
            BOX,
        ];
        e.cli(&[&words[..], &["sh", "-c", serve]].concat()).exits(0);
        let words = ["run", "-d", "--name", &asker, "--network", &net, BOX];
        let ask = format!(
            "touch /out; while true; do timeout 1 wget -q -O - http://{web}/ >> /out; sleep 0.05; done"
        );
        e.cli(&[&words[..], &["sh", "-c", &ask]].concat()).exits(0);
        let loopback = || {
            let id = e.manner().before[2].clone();
            let words = [
                "-t", &id, "-n", "timeout", "2", "busybox", "wget", "-q", "-O", "-",
            ];
            let said = std::process::Command::new("nsenter")
                .args(words)
                .arg("http://127.0.0.1:18200/")
                .output()
                .expect("nsenter");
            String::from_utf8_lossy(&said.stdout).into_owned()
        };
        eventually("it serves", || (loopback() == "hello\n").then_some(()));
        for _ in 0..2 {
            e.kill_daemon();
            assert_eq!(loopback(), "hello\n", "without a daemon");
            e.start_daemon(&[]);
            assert_eq!(loopback(), "hello\n", "with the next one");
        }
        let count = || {
            let said = e.cli(&["exec", &asker, "wc", "-l", "/out"]);
            said.ok()
                .split_whitespace()
                .next()
                .and_then(|n| n.parse::<u32>().ok())
        };
        let before = count();
        eventually("names are answered", || (count() > before).then_some(()));
        // What an earlier daemon began, this one ends.
        e.cli(&["restart", "-t", "0", &web]).exits(0);
        eventually("it serves again", || {
            (loopback() == "hello\n").then_some(())
        });
        e.cli(&["rm", "-f", &web, &asker]).exits(0);
        assert_eq!(loopback(), "");
        e.cli(&["network", "rm", &net]).exits(0);
        let_go(e);
    }
);
