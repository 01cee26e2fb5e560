//! The default bridge, as the program inside sees it.

use testkit::{BOX, Engine, Manner, case, eventually};

/// The beginning of every address on the bridge, and the bridge's own.
const NET: &str = "10.213.0.";
const GATEWAY: &str = "10.213.0.1";

/// Runs `script` on the default network.
fn sh(e: &Engine, options: &[&str], script: &str) -> testkit::Output {
    let mut words = vec!["run", "--rm"];
    words.extend(options);
    words.extend([BOX, "sh", "-c", script]);
    e.cli(&words)
}

/// Starts a container on the default network and returns its name.
fn background(e: &Engine, suffix: &str, script: &str) -> String {
    let name = e.name(suffix);
    e.cli(&["run", "-d", "--name", &name, BOX, "sh", "-c", script])
        .exits(0);
    name
}

/// Returns the address that inspect tells.
fn address(e: &Engine, name: &str) -> String {
    let seen = e.inspect(name);
    let address = seen["NetworkSettings"]["Networks"]["bridge"]["IPAddress"].as_str();
    let address = address.expect("an address").to_owned();
    assert!(address.starts_with(NET), "{address}");
    address
}

case!(an_address_and_a_route, Manner::on_a_bridge(), |e| {
    for options in [&[][..], &["--network", "bridge"], &["--network", "default"]] {
        let output = sh(
            e,
            options,
            "ip -4 -o addr show eth0 | awk '{print $4}'; ip route; ls /sys/class/net | sort",
        );
        let lines: Vec<_> = output.ok().lines().map(str::trim_end).collect();
        let own = lines[0].strip_suffix("/24").expect("a prefix length");
        assert!(own.starts_with(NET) && own != GATEWAY, "{own}");
        let wanted = [
            format!("{own}/24"),
            format!("default via {GATEWAY} dev eth0"),
            format!("{NET}0/24 dev eth0 scope link  src {own}"),
            "eth0".to_owned(),
            "lo".to_owned(),
        ];
        assert_eq!(lines, wanted);
    }
});

case!(what_inspect_tells_is_so, Manner::on_a_bridge(), |e| {
    let name = background(e, "i", "sleep 100");
    let own = address(e, &name);
    let seen = e.inspect(&name);
    let settings = &seen["NetworkSettings"]["Networks"]["bridge"];
    assert_eq!(settings["Gateway"], GATEWAY);
    assert_eq!(settings["IPPrefixLen"], 24);
    assert_eq!(seen["HostConfig"]["NetworkMode"], "bridge");
    let inside = e.cli(&["exec", &name, "cat", "/sys/class/net/eth0/address"]);
    assert_eq!(settings["MacAddress"], inside.ok());
    let inside = e.cli(&["exec", &name, "hostname", "-i"]);
    assert_eq!(inside.ok(), own);
    e.cli(&["kill", &name]).exits(0);
    e.cli(&["wait", &name]).exits(0);
    eventually("the address is given back", || {
        let seen = e.inspect(&name);
        let settings = &seen["NetworkSettings"]["Networks"]["bridge"];
        (settings["IPAddress"] == "").then_some(())
    });
    e.cli(&["start", &name]).exits(0);
    address(e, &name);
    e.cli(&["rm", "-f", &name]).exits(0);
});

case!(names_and_resolvers, Manner::on_a_bridge(), |e| {
    let script = "tail -1 /etc/hosts; hostname; cat /etc/hostname; hostname -i";
    let output = sh(e, &["-h", "harbour"], script);
    let lines: Vec<_> = output.ok().lines().collect();
    assert_eq!(lines[0], format!("{}\tharbour", lines[3]));
    assert_eq!(lines[1..3], ["harbour", "harbour"]);
    let ours = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let loopback = |line: &&str| !line.contains(" 127.") && !line.contains(" ::1");
    let servers: Vec<_> = ours
        .lines()
        .filter(|line| line.starts_with("nameserver"))
        .filter(loopback)
        .collect();
    if !servers.is_empty() {
        let inside = sh(e, &[], "grep ^nameserver /etc/resolv.conf");
        assert_eq!(inside.ok().lines().collect::<Vec<_>>(), servers);
    }
    let options = ["--dns", "1.1.1.1", "--dns-search", "ex.org"];
    let inside = sh(e, &options, "grep -v '^#' /etc/resolv.conf | grep .");
    inside.exits(0).says("nameserver 1.1.1.1\nsearch ex.org\n");
    sh(e, &["--add-host", "up:host-gateway"], "grep up$ /etc/hosts")
        .exits(0)
        .says(&format!("{GATEWAY}\tup\n"));
});

case!(neighbours_reach_each_other, Manner::on_a_bridge(), |e| {
    let name = background(e, "s", "echo hello | nc -l -p 77; sleep 100");
    let own = address(e, &name);
    let script =
        format!("for i in 1 2 3 4 5 6 7 8 9; do nc -w 5 {own} 77 && exit; sleep 0.3; done");
    sh(e, &[], &script).exits(0).says("hello\n");
    sh(
        e,
        &[],
        &format!("ping -c 1 -W 5 {GATEWAY} > /dev/null && echo up"),
    )
    .exits(0)
    .says("up\n");
    e.cli(&["rm", "-f", &name]).exits(0);
});

case!(everybody_has_another_address, Manner::on_a_bridge(), |e| {
    let running: Vec<_> = (0..8)
        .map(|n| {
            e.spawn(&[
                "run",
                "-d",
                "--name",
                &e.name(&n.to_string()),
                BOX,
                "sleep",
                "100",
            ])
        })
        .collect();
    for program in running {
        program.finish().exits(0);
    }
    let mut addresses: Vec<_> = (0..8)
        .map(|n| address(e, &e.name(&n.to_string())))
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    assert_eq!(addresses.len(), 8, "{addresses:?}");
    for n in 0..8 {
        e.cli(&["rm", "-f", &e.name(&n.to_string())]).exits(0);
    }
});

case!(
    a_container_without_one_has_none,
    Manner::on_a_bridge(),
    |e| {
        sh(e, &["--network", "none"], "ls /sys/class/net")
            .exits(0)
            .says("lo\n");
        sh(
            e,
            &["--network", "host"],
            "ip -4 -o addr | grep -c '10.213.0.1/24'",
        )
        .exits(0)
        .says("1\n");
    }
);
