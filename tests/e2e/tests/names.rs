//! Names on networks of the user's: who answers to what, and who is asked for the rest.

use testkit::{BOX, Engine, Manner, case};

fn network(e: &Engine) -> String {
    let name = e.name("n");
    e.cli(&["network", "create", &name]).exits(0);
    name
}

#[track_caller]
fn sleeper(e: &Engine, suffix: &str, options: &[&str]) -> String {
    let name = e.name(suffix);
    let mut words = vec!["run", "-d", "--name", &name];
    words.extend(options);
    words.extend([BOX, "sleep", "1000"]);
    e.cli(&words).exits(0);
    name
}

/// What a container is told about a name: addresses, or nothing.
fn look(e: &Engine, container: &str, name: &str) -> Vec<String> {
    let said = e.cli(&["exec", container, "nslookup", name]);
    let answers = said.stdout.split_once("\n\n").unwrap_or_default().1;
    answers
        .lines()
        .filter_map(|line| line.strip_prefix("Address: "))
        .map(str::to_owned)
        .collect()
}

fn clear(e: &Engine, containers: &[&str], network: &str) {
    e.cli(&[&["rm", "-f"], containers].concat()).exits(0);
    e.cli(&["network", "rm", network]).exits(0);
}

case!(containers_find_each_other, Manner::on_a_bridge(), |e| {
    let net = network(e);
    let a = sleeper(
        e,
        "a",
        &[
            "--network",
            &net,
            "--network-alias",
            "al",
            "-h",
            "host-of-a",
        ],
    );
    let b = sleeper(e, "b", &["--network", &net]);
    let seen = e.inspect(&a);
    let place = &seen["NetworkSettings"]["Networks"][&net];
    let address = place["IPAddress"].as_str().expect("an address").to_owned();
    let short = &seen["Id"].as_str().expect("an id")[..12];
    for name in [
        a.as_str(),
        "al",
        "AL",
        short,
        "host-of-a",
        &format!("{a}.{net}"),
    ] {
        assert_eq!(look(e, &b, name), [address.as_str()], "{name}");
    }
    assert_eq!(
        place["DNSNames"],
        serde_json::json!([a, "al", short, "host-of-a"])
    );
    let said = e.cli(&["exec", &b, "nslookup", &address]);
    assert!(
        said.stdout.contains(&format!("name = {a}.{net}")),
        "{said:?}"
    );
    // By TCP as well: what asks so writes the length in front.
    let script = "printf '\\000\\024\\000\\001\\001\\000\\000\\001\\000\\000\\000\\000\\000\\000\\002al\\000\\000\\001\\000\\001' | nc -w 2 127.0.0.11 53 | tail -c 4 | od -An -tu1 | tr -s ' ' . ";
    let said = e.cli(&["exec", &b, "sh", "-c", script]);
    assert_eq!(said.stdout.trim().trim_matches('.'), address, "{said:?}");
    e.cli(&["rename", &a, &e.name("other")]).exits(0);
    assert_eq!(look(e, &b, &e.name("other")), [address.as_str()]);
    assert!(look(e, &b, &a).is_empty());
    e.cli(&["stop", "-t", "0", &e.name("other")]).exits(0);
    assert!(look(e, &b, "al").is_empty(), "who has gone has no name");
    clear(e, &[&b, &e.name("other")], &net);
});

case!(an_alias_of_several, Manner::on_a_bridge(), |e| {
    let net = network(e);
    let options = ["--network", &net, "--network-alias", "all"];
    let (a, b) = (sleeper(e, "a", &options), sleeper(e, "b", &options));
    let found = look(e, &a, "all");
    assert_eq!(found.len(), 2, "{found:?}");
    clear(e, &[&a, &b], &net);
});

case!(links_are_words_of_ones_own, Manner::on_a_bridge(), |e| {
    let net = network(e);
    let a = sleeper(e, "a", &["--network", &net]);
    let link = format!("{a}:db");
    let b = sleeper(e, "b", &["--network", &net, "--link", &link]);
    assert_eq!(look(e, &b, "db").len(), 1);
    assert!(look(e, &a, "db").is_empty(), "nobody else's");
    clear(e, &[&a, &b], &net);
});

case!(links_on_the_default_bridge, Manner::on_a_bridge(), |e| {
    let a = sleeper(e, "a", &[]);
    let link = format!("{a}:db");
    let words = [
        "run", "--rm", "--link", &link, BOX, "ping", "-c", "1", "-W", "2", "db",
    ];
    e.cli(&words).exits(0);
    e.cli(&["rm", "-f", &a]).exits(0);
});

case!(the_files_say_who_is_asked, Manner::on_a_bridge(), |e| {
    let net = network(e);
    let script = "grep -v '^#' /etc/resolv.conf | grep .; grep ExtServers /etc/resolv.conf";
    let words = [
        "run",
        "--rm",
        "--network",
        &net,
        "--dns",
        "10.255.0.9",
        "--dns-search",
        "ex.org",
        BOX,
    ];
    e.cli(&[&words[..], &["sh", "-c", script]].concat())
        .exits(0)
        .says(
            "nameserver 127.0.0.11\nsearch ex.org\noptions ndots:0\n# ExtServers: [10.255.0.9]\n",
        );
    // Port 53 is the container's own.
    let script = "nc -ll -p 53 -e true & sleep 0.3; netstat -ltn | grep -c ':53 '";
    let words = ["run", "--rm", "--network", &net, BOX, "sh", "-c", script];
    let said = e.cli(&words);
    assert_eq!(said.stdout.trim(), "1", "{said:?}");
    e.cli(&["network", "rm", &net]).exits(0);
});

case!(
    another_resolver_is_asked_for_the_rest,
    Manner::on_a_bridge(),
    |e| {
        let net = network(e);
        let other = sleeper(e, "d", &["--network", &net, "-v", "/:/host:ro"]);
        let address = e.inspect(&other)["NetworkSettings"]["Networks"][&net]["IPAddress"]
            .as_str()
            .expect("an address")
            .to_owned();
        // A resolver that knows one address.
        let program = "use IO::Socket::INET; \
        $s = IO::Socket::INET->new(Proto => 'udp', LocalPort => 53) or die; \
        while ($s->recv($q, 512)) { $s->send(substr($q, 0, 2) . pack('H*', '81800001000100000000') . \
        substr($q, 12) . pack('H*', 'c00c000100010000003c0004c0000207')) }";
        e.cli(&[
            "exec", "-d", &other, "chroot", "/host", "perl", "-e", program,
        ])
        .exits(0);
        let words = ["run", "--rm", "--network", &net, "--dns", &address, BOX];
        let script = "for i in 1 2 3 4 5; do nslookup -type=a far.example | grep -q 192.0.2.7 && echo found && exit; sleep 0.3; done";
        e.cli(&[&words[..], &["sh", "-c", script]].concat())
            .exits(0)
            .says("found\n");
        clear(e, &[&other], &net);
    }
);
