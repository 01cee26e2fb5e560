//! Published ports: who reaches a container by this machine, and who does not. Packets say so.

use testkit::{BOX, Engine, Manner, Output, case, eventually};

/// The bridge's own address.
const GATEWAY: &str = "10.213.0.1";
/// A program that says `hello` to everybody at port 80, and to whom it said so.
const SERVER: &str = "echo hello > /tmp/index.html; httpd -f -vv -p 80 -h /tmp";

/// Starts a server with options and returns its name.
#[track_caller]
fn server(e: &Engine, suffix: &str, options: &[&str]) -> String {
    let name = e.name(suffix);
    let mut words = vec!["run", "-d", "--name", &name];
    words.extend(options);
    words.extend([BOX, "sh", "-c", SERVER]);
    e.cli(&words).exits(0);
    name
}

/// Asks by HTTP, in a container with `options`; nobody there is an empty answer.
fn ask(e: &Engine, options: &[&str], at: &str) -> String {
    let mut words = vec!["run", "--rm"];
    words.extend(options);
    // More than one attempt, for a server needs a moment to begin.
    let script = format!(
        "for i in 1 2 3 4 5 6; do timeout 2 wget -q -O - http://{at}/ 2>/dev/null && exit; sleep 0.2; done"
    );
    words.extend([BOX, "sh", "-c", &script]);
    e.cli(&words).stdout
}

/// Asks once, and gives up soon.
fn ask_in_vain(e: &Engine, options: &[&str], at: &str) -> String {
    let mut words = vec!["run", "--rm"];
    words.extend(options);
    let script = format!("timeout 1 wget -q -O - http://{at}/ 2>/dev/null");
    words.extend([BOX, "sh", "-c", &script]);
    e.cli(&words).stdout
}

fn remove(e: &Engine, names: &[&str]) {
    let mut words = vec!["rm", "-f"];
    words.extend(names);
    e.cli(&words).exits(0);
}

case!(
    everybody_reaches_a_published_port,
    Manner::on_a_bridge(),
    |e| {
        let name = server(e, "s", &["-p", "18080:80"]);
        let host = ["--network", "host"];
        for at in ["127.0.0.1:18080", "10.213.0.1:18080", "[::1]:18080"] {
            assert_eq!(ask(e, &host, at), "hello\n", "the machine itself, by {at}");
        }
        let at = format!("{GATEWAY}:18080");
        assert_eq!(ask(e, &[], &at), "hello\n", "a neighbour");
        let script = format!("timeout 5 wget -q -O - http://{at}/");
        e.cli(&["exec", &name, "sh", "-c", &script])
            .exits(0)
            .says("hello\n");
        e.cli(&["stop", "-t", "0", &name]).exits(0);
        for at in ["127.0.0.1:18080", "10.213.0.1:18080", "[::1]:18080"] {
            assert_eq!(
                ask_in_vain(e, &host, at),
                "",
                "nobody is there any more: {at}"
            );
        }
        e.cli(&["start", &name]).exits(0);
        assert_eq!(ask(e, &host, "127.0.0.1:18080"), "hello\n", "again");
        remove(e, &[&name]);
    }
);

case!(what_is_told_of_ports, Manner::on_a_bridge(), |e| {
    let options = [
        "-p",
        "18081:80",
        "-p",
        "127.0.0.1:18082:81/udp",
        "--expose",
        "90",
    ];
    let name = server(e, "s", &options);
    e.cli(&["port", &name])
        .exits(0)
        .says("80/tcp -> 0.0.0.0:18081\n80/tcp -> [::]:18081\n81/udp -> 127.0.0.1:18082\n");
    e.cli(&["port", &name, "80"])
        .exits(0)
        .says("0.0.0.0:18081\n[::]:18081\n");
    e.cli(&["port", &name, "81/udp"]).says("127.0.0.1:18082\n");
    e.cli(&["port", &name, "90"])
        .exits(1)
        .complains("No public port '90' published for");
    let filter = format!("name={name}");
    let format = ["ps", "--filter", &filter, "--format", "{{.Ports}}"];
    e.cli(&format)
        .exits(0)
        .says("90/tcp, 0.0.0.0:18081->80/tcp, [::]:18081->80/tcp, 127.0.0.1:18082->81/udp\n");
    let seen = e.inspect(&name);
    let ports = &seen["NetworkSettings"]["Ports"];
    assert_eq!(
        ports["80/tcp"][1],
        serde_json::json!({"HostIp": "::", "HostPort": "18081"})
    );
    assert_eq!(ports["81/udp"].as_array().map(Vec::len), Some(1));
    assert!(ports["90/tcp"].is_null() && ports.get("90/tcp").is_some());
    e.cli(&["stop", "-t", "0", &name]).exits(0);
    e.cli(&["port", &name]).exits(0).says("");
    eventually("a container that does not run has no ports", || {
        let ports = e.inspect(&name)["NetworkSettings"]["Ports"].clone();
        (ports == serde_json::json!({})).then_some(())
    });
    remove(e, &[&name]);
});

/// Returns the port of this machine that leads to `port`.
fn port_of(e: &Engine, name: &str, port: &str) -> u16 {
    let said = e.cli(&["port", name, port]);
    let first = said.ok().lines().next().expect("a port").to_owned();
    let (_, number) = first.rsplit_once(':').expect("an address and a port");
    number.parse().expect("a number")
}

case!(ports_that_the_engine_chooses, Manner::on_a_bridge(), |e| {
    let any = server(e, "any", &["-p", "80"]);
    let number = port_of(e, &any, "80");
    assert!(number >= 1024, "{number}");
    let at = format!("127.0.0.1:{number}");
    assert_eq!(ask(e, &["--network", "host"], &at), "hello\n");
    let all = server(e, "all", &["-P", "--expose", "80", "--expose", "81/udp"]);
    let at = format!("{GATEWAY}:{}", port_of(e, &all, "80"));
    assert_eq!(ask(e, &[], &at), "hello\n");
    port_of(e, &all, "81/udp");
    // One of a range, then the next of it.
    let first = server(e, "r1", &["-p", "18090-18092:80"]);
    let second = server(e, "r2", &["-p", "18090-18092:80"]);
    assert_eq!(port_of(e, &first, "80"), 18090);
    assert_eq!(port_of(e, &second, "80"), 18091);
    let range = server(e, "r3", &["-p", "18093-18094:80-81"]);
    assert_eq!(port_of(e, &range, "81"), 18094);
    let one = server(e, "one", &["-p", "127.0.0.1::80"]);
    let at = format!("127.0.0.1:{}", port_of(e, &one, "80"));
    assert_eq!(ask(e, &["--network", "host"], &at), "hello\n");
    let at = format!("{GATEWAY}:{}", port_of(e, &one, "80"));
    assert_eq!(
        ask_in_vain(e, &["--network", "host"], &at),
        "",
        "one address only"
    );
    remove(e, &[&any, &all, &first, &second, &range, &one]);
});

case!(ports_that_are_taken, Manner::on_a_bridge(), |e| {
    let name = server(e, "s", &["-p", "18095:80"]);
    let fails = |suffix: &str, publish: &str, text: &str| -> Output {
        let other = e.name(suffix);
        let words = ["run", "-d", "--name", &other, "-p", publish, BOX, "true"];
        let output = e.cli(&words);
        output.exits(125);
        let begins = format!(
            "docker: Error response from daemon: failed to set up container networking: driver \
             failed programming external connectivity on endpoint {other} ("
        );
        assert!(output.stderr.starts_with(&begins), "{output:?}");
        output.complains(text);
        remove(e, &[&other]);
        output
    };
    // Docker looks at both families in any order, and names what it met.
    for publish in ["18095:80", "127.0.0.1:18095:80"] {
        let output = fails("t", publish, ":18095 failed: port is already allocated\n");
        assert!(output.stderr.contains("): Bind for "), "{output:?}");
    }
    let free = server(e, "u", &["-p", "18095:80/udp"]);
    remove(e, &[&free, &name]);
    // Another program of this machine's.
    let other = e.name("p");
    let words = ["run", "-d", "--name", &other, "--network", "host", BOX];
    e.cli(&[&words[..], &["nc", "-ll", "-p", "18096", "-e", "true"]].concat())
        .exits(0);
    eventually("it listens", || {
        let script = "netstat -ltn | grep -q :18096";
        let seen = e.cli(&["exec", &other, "sh", "-c", script]);
        (seen.code == 0).then_some(())
    });
    fails(
        "v",
        "18096:80",
        "): failed to bind host port for 0.0.0.0:18096:",
    );
    fails("v", "18096:80", ":80/tcp: address already in use\n");
    fails(
        "w",
        "10.9.9.9:18097:80",
        ":80/tcp: cannot assign requested address\n",
    );
    remove(e, &[&other]);
});

case!(datagrams_find_there_and_back, Manner::on_a_bridge(), |e| {
    let name = e.name("s");
    // The test's own image has no program that speaks UDP; this machine has one.
    let host = ["-v", "/:/host:ro", BOX, "chroot", "/host", "perl", "-e"];
    let echo = "use IO::Socket::INET; \
        $s = IO::Socket::INET->new(Proto => 'udp', LocalPort => 53) or die; \
        while ($s->recv($m, 99)) { $s->send(\"re $m\") }";
    let words = ["run", "-d", "--name", &name, "-p", "18098:53/udp"];
    e.cli(&[&words[..], &host, &[echo]].concat()).exits(0);
    let ask = |options: &[&str], at: &str| {
        let program = format!(
            "use IO::Socket::INET; $SIG{{ALRM}} = sub {{ die }}; for (1..10) {{ \
             $s = IO::Socket::INET->new(Proto => 'udp', PeerAddr => '{at}', PeerPort => 18098); \
             $s->send('ahoy'); eval {{ alarm 1; $s->recv($m, 99); alarm 0 }}; \
             if ($m) {{ print $m; last }} select(undef, undef, undef, 0.2) }}"
        );
        let words = [&["run", "--rm"], options, &host, &[program.as_str()]].concat();
        e.cli(&words).stdout
    };
    for at in ["127.0.0.1", GATEWAY] {
        assert_eq!(ask(&["--network", "host"], at), "re ahoy", "{at}");
    }
    assert_eq!(ask(&[], GATEWAY), "re ahoy", "a neighbour");
    remove(e, &[&name]);
});

/// Another machine with a wire to this one: a container without network that gets one. Its address
/// ends with 2, this machine's with 1.
fn another_machine(e: &Engine, net: &str) -> String {
    let name = e.name("far");
    let words = [
        "run",
        "-d",
        "--name",
        &name,
        "--network",
        "none",
        "--cap-add",
        "NET_ADMIN",
    ];
    e.cli(&[&words[..], &[BOX, "sleep", "1000"]].concat())
        .exits(0);
    let id = e.inspect(&name)["State"]["Pid"].to_string();
    let link = format!("w{id}");
    let script = format!(
        "ip link add name {link} type veth && far=$(ip link | sed -n 's/.*: \\(veth[0-9]*\\)@{link}.*/\\1/p') \
         && ip link set $far netns {id} name far0 && ip addr add {net}.1/24 dev {link} && ip link set {link} up"
    );
    let words = [
        "run",
        "--rm",
        "--network",
        "host",
        "--pid",
        "host",
        "--privileged",
    ];
    e.cli(&[&words[..], &[BOX, "sh", "-c", &script]].concat())
        .exits(0);
    let script = format!(
        "ip link set far0 up && ip addr add {net}.2/24 dev far0 && ip route add default via {net}.1"
    );
    e.cli(&["exec", &name, "sh", "-c", &script]).exits(0);
    name
}

case!(
    the_world_comes_in_by_published_ports_only,
    Manner::on_a_bridge(),
    |e| {
        let far = another_machine(e, "198.51.100");
        let name = server(e, "s", &["-p", "18099:80", "-p", "127.0.0.1:18100:80"]);
        let address = e.inspect(&name)["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
            .as_str()
            .expect("an address")
            .to_owned();
        let ask = |at: &str| {
            let script = format!("timeout 2 wget -q -O - http://{at}/ 2>/dev/null");
            e.cli(&["exec", &far, "sh", "-c", &script]).stdout
        };
        eventually("the world reaches the published port", || {
            (ask("198.51.100.1:18099") == "hello\n").then_some(())
        });
        let seen = e.cli(&["logs", &name]);
        let guest = "[::ffff:198.51.100.2]:";
        assert!(
            seen.stderr.contains(guest),
            "it keeps its address: {seen:?}"
        );
        assert_eq!(ask("198.51.100.1:18100"), "", "loopback is not the world");
        assert_eq!(ask(&address), "", "not by routing to the published port");
        let ping = format!("ping -c 1 -W 1 {address}");
        e.cli(&["exec", &far, "sh", "-c", &ping]).exits(1);
        let out = "ping -c 1 -W 2 198.51.100.2 > /dev/null && echo out";
        e.cli(&["exec", &name, "sh", "-c", out])
            .exits(0)
            .says("out\n");
        remove(e, &[&name, &far]);
    }
);

case!(
    a_flushed_firewall_is_made_whole,
    Manner::on_a_bridge(),
    |e| {
        if e.kind() != testkit::Kind::Wharf {
            // It is ours to heal; a reference engine's stays flushed.
            return;
        }
        let name = server(e, "s", &["-p", "18101:80"]);
        let at = format!("{GATEWAY}:18101");
        assert_eq!(ask(e, &["--network", "host"], &at), "hello\n");
        let id = e.daemon_id().to_string();
        let nft = |words: &[&str]| {
            let said = std::process::Command::new("nsenter")
                .args(["-t", &id, "-n", "nft"])
                .args(words)
                .output()
                .expect("nftables is installed");
            assert!(said.status.success(), "{said:?}");
            String::from_utf8_lossy(&said.stdout).into_owned()
        };
        let before = nft(&["list", "ruleset"]);
        assert!(before.contains("18101"), "{before}");
        nft(&["flush", "ruleset"]);
        eventually("the table is whole again", || {
            (nft(&["list", "ruleset"]) == before).then_some(())
        });
        assert_eq!(ask(e, &[], &at), "hello\n");
        remove(e, &[&name]);
    }
);
