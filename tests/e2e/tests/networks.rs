//! Networks of the user's: made, listed, removed, joined and left; who reaches whom.

use serde_json::json;
use testkit::{BOX, Engine, Manner, case, eventually};

#[track_caller]
fn network(e: &Engine, suffix: &str, options: &[&str]) -> String {
    let name = e.name(suffix);
    let mut words = vec!["network", "create"];
    words.extend(options);
    words.push(&name);
    assert_eq!(e.cli(&words).ok().len(), 64);
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

fn address(e: &Engine, container: &str, network: &str) -> String {
    let seen = e.inspect(container);
    let address = seen["NetworkSettings"]["Networks"][network]["IPAddress"].as_str();
    address.expect("an address").to_owned()
}

fn clear(e: &Engine, containers: &[&str], networks: &[&str]) {
    if !containers.is_empty() {
        e.cli(&[&["rm", "-f"], containers].concat()).exits(0);
    }
    if !networks.is_empty() {
        e.cli(&[&["network", "rm"], networks].concat()).exits(0);
    }
}

/// Tells whether a container reaches an address.
fn reaches(e: &Engine, container: &str, address: &str) -> bool {
    let ping = ["exec", container, "ping", "-c", "1", "-W", "1", address];
    e.cli(&ping).code == 0
}

fn links(e: &Engine, container: &str) -> String {
    let script = "ls /sys/class/net | sort | tr '\\n' ' '";
    e.cli(&["exec", container, "sh", "-c", script]).stdout
}

case!(made_shown_and_removed, Manner::on_a_bridge(), |e| {
    let options = [
        "--subnet",
        "10.221.0.0/24",
        "--gateway",
        "10.221.0.9",
        "--ip-range",
        "10.221.0.128/25",
        "--aux-address",
        "a=10.221.0.128",
        "--label",
        "color=blue",
        "--opt",
        "com.docker.network.driver.mtu=1400",
        "--attachable",
        "--driver",
        "bridge",
    ];
    let name = network(e, "n", &options);
    let said = e.cli(&["network", "inspect", &name]);
    let seen: serde_json::Value = serde_json::from_str(said.ok()).expect("JSON");
    let seen = &seen[0];
    assert_eq!(seen["Name"], name.as_str());
    assert_eq!(
        (&seen["Scope"], &seen["Driver"]),
        (&json!("local"), &json!("bridge"))
    );
    assert_eq!(
        seen["IPAM"]["Config"],
        json!([{
            "Subnet": "10.221.0.0/24", "IPRange": "10.221.0.128/25", "Gateway": "10.221.0.9",
            "AuxiliaryAddresses": {"a": "10.221.0.128"},
        }])
    );
    assert_eq!(seen["Labels"], json!({"color": "blue"}));
    assert_eq!(seen["Attachable"], json!(true));
    let container = sleeper(e, "c", &["--network", &name]);
    assert_eq!(address(e, &container, &name), "10.221.0.129");
    let script = "ip route | head -1; cat /sys/class/net/eth0/mtu";
    e.cli(&["exec", &container, "sh", "-c", script])
        .exits(0)
        .says("default via 10.221.0.9 dev eth0 \n1400\n");
    assert!(
        reaches(e, &container, "10.221.0.9"),
        "the bridge has its address"
    );
    let format = "{{range .Containers}}{{.Name}} {{.IPv4Address}}{{end}}";
    e.cli(&["network", "inspect", "-f", format, &name])
        .exits(0)
        .says(&format!("{container} 10.221.0.129/24\n"));
    e.cli(&["network", "rm", &name]).exits(1).complains(&format!(
        "error while removing network: network {name} has active endpoints (name:\"{container}\" id:\""
    ));
    clear(e, &[&container], &[&name]);
    e.cli(&["network", "inspect", &name])
        .exits(1)
        .complains(&format!("network {name} not found"));
});

case!(listed_and_filtered, Manner::on_a_bridge(), |e| {
    let (one, two) = (e.name("one"), e.name("two"));
    let id = e
        .cli(&["network", "create", "--label", "k=1", &one])
        .ok()
        .to_owned();
    e.cli(&["network", "create", "--internal", &two]).exits(0);
    let base = e.name("");
    let list = |filters: &[&str]| {
        let own = format!("name={base}");
        let mut words = vec![
            "network",
            "ls",
            "--format",
            "{{.Name}} {{.Driver}} {{.Internal}}",
            "-f",
            &own,
        ];
        for filter in filters {
            words.extend(["--filter", filter]);
        }
        e.cli(&words).ok().to_owned()
    };
    let both = format!("{one} bridge false\n{two} bridge true");
    assert_eq!(list(&[]), both);
    assert_eq!(list(&["type=custom", "driver=bridge", "scope=local"]), both);
    assert_eq!(list(&["type=builtin"]), "");
    assert_eq!(list(&["label=k=1"]), format!("{one} bridge false"));
    assert_eq!(list(&["dangling=true"]), both);
    assert_eq!(list(&["dangling=false"]), "");
    e.cli(&[
        "network",
        "ls",
        "-q",
        "--filter",
        &format!("id={}", &id[..20]),
    ])
    .exits(0)
    .says(&format!("{}\n", &id[..12]));
    e.cli(&["network", "ls", "-q", "--no-trunc", "--filter", "label=k=1"])
        .exits(0)
        .says(&format!("{id}\n"));
    let builtin = [
        "network",
        "ls",
        "--filter",
        "type=builtin",
        "--format",
        "{{.Name}}/{{.Driver}}",
    ];
    e.cli(&builtin)
        .exits(0)
        .says("bridge/bridge\nhost/host\nnone/null\n");
    e.cli(&["network", "ls", "--filter", "type=zz"])
        .exits(1)
        .complains("invalid filter: 'type'='zz'");
    e.cli(&["network", "ls", "--filter", "zz=zz"])
        .exits(1)
        .complains("invalid filter 'zz'");
    clear(e, &[], &[&id[..15], &two]);
});

case!(networks_that_are_refused, Manner::on_a_bridge(), |e| {
    let name = network(e, "n", &["--subnet", "10.222.0.0/24"]);
    let refused = |words: &[&str], text: &str| {
        let words = [&["network", "create"], words].concat();
        e.cli(&words).exits(1).complains(text);
    };
    let daemon = |words: &[&str], text: &str| {
        refused(words, &format!("Error response from daemon: {text}\n"));
    };
    daemon(
        &[&name],
        &format!("network with name {name} already exists"),
    );
    let overlap = "invalid pool request: Pool overlaps with other one on this address space";
    daemon(&["--subnet", "10.222.0.128/25", "x"], overlap);
    let bad = "invalid network config:\ninvalid subnet 10.6.0.5/16: it should be 10.6.0.0/16";
    daemon(&["--subnet", "10.6.0.5/16", "x"], bad);
    daemon(&["-d", "nope", "x"], "plugin \"nope\" not found");
    daemon(&["--ipam-driver", "nope", "x"], "plugin \"nope\" not found");
    daemon(
        &["-d", "host", "x"],
        "only one instance of \"host\" network is allowed",
    );
    daemon(
        &["bridge"],
        "operation is not permitted on predefined bridge network",
    );
    daemon(&[""], "invalid name: name is empty");
    refused(
        &["--subnet", "10.6.0.0/16", "--gateway", "10.7.0.1", "x"],
        "no matching subnet for gateway 10.7.0.1",
    );
    refused(
        &["--subnet", "10.6.0.0/16", "--ip-range", "10.7.0.0/24", "x"],
        "no matching subnet for range 10.7.0.0/24",
    );
    refused(
        &[
            "--subnet",
            "10.6.0.0/16",
            "--aux-address",
            "x=10.7.0.1",
            "x",
        ],
        "no matching subnet for aux-address 10.7.0.1",
    );
    refused(
        &["--gateway", "10.6.0.1", "x"],
        "every ip-range or gateway must have a corresponding subnet",
    );
    e.cli(&["network", "rm", "bridge"])
        .exits(1)
        .complains("bridge is a pre-defined network and cannot be removed");
    e.cli(&["network", "rm", "no-such"])
        .exits(1)
        .complains("network no-such not found");
    e.cli(&["network", "rm", "-f", "no-such"]).exits(0).says("");
    clear(e, &[], &[&name]);
});

case!(one_does_not_reach_another, Manner::on_a_bridge(), |e| {
    let (n1, n2) = (network(e, "n1", &[]), network(e, "n2", &[]));
    let a = sleeper(e, "a", &["--network", &n1]);
    let b = sleeper(e, "b", &["--network", &n1]);
    let other = sleeper(e, "c", &["--network", &n2]);
    assert!(reaches(e, &a, &address(e, &b, &n1)), "its neighbour");
    assert!(
        !reaches(e, &a, &address(e, &other, &n2)),
        "nobody elsewhere"
    );
    let default = sleeper(e, "d", &[]);
    assert!(!reaches(e, &default, &address(e, &a, &n1)));
    assert!(!reaches(e, &a, &address(e, &default, "bridge")));
    let both = sleeper(e, "e", &["--network", &n1, "--network", &n2]);
    assert_eq!(links(e, &both), "eth0 eth1 lo ");
    assert!(reaches(e, &a, &address(e, &both, &n1)));
    assert!(reaches(e, &other, &address(e, &both, &n2)));
    clear(e, &[&a, &b, &other, &default, &both], &[&n1, &n2]);
});

case!(come_and_go_while_it_runs, Manner::on_a_bridge(), |e| {
    let (n1, n2) = (
        network(e, "n1", &[]),
        network(e, "n2", &["--subnet", "10.223.0.0/24"]),
    );
    let a = sleeper(e, "a", &["--network", &n1]);
    let b = sleeper(e, "b", &["--network", &n2]);
    let connect = [
        "network",
        "connect",
        "--ip",
        "10.223.0.77",
        "--alias",
        "al",
        &n2,
        &a,
    ];
    e.cli(&connect).exits(0).says("");
    assert_eq!(address(e, &a, &n2), "10.223.0.77");
    assert_eq!(links(e, &a), "eth0 eth1 lo ");
    assert!(reaches(e, &b, "10.223.0.77"));
    assert!(reaches(e, &b, "al"), "by its other name");
    assert!(reaches(e, &a, &b), "by name");
    e.cli(&["exec", &a, "grep", "-c", "10.223.0.77", "/etc/hosts"])
        .exits(0)
        .says("1\n");
    e.cli(&["network", "connect", &n2, &a])
        .exits(1)
        .complains(&format!(
            "endpoint with name {a} already exists in network {n2}"
        ));
    e.cli(&["network", "disconnect", &n2, &a]).exits(0).says("");
    assert_eq!(links(e, &a), "eth0 lo ");
    assert!(!reaches(e, &b, "10.223.0.77"));
    e.cli(&["exec", &a, "grep", "-c", "10.223.0.77", "/etc/hosts"])
        .exits(1);
    e.cli(&["network", "disconnect", &n2, &a])
        .exits(1)
        .complains(&format!("is not connected to network {n2}"));
    // For the next start.
    e.cli(&["stop", "-t", "0", &a]).exits(0);
    e.cli(&["network", "connect", &n2, &a]).exits(0);
    e.cli(&["start", &a]).exits(0);
    assert!(reaches(e, &b, &address(e, &a, &n2)));
    for (words, text) in [
        ([n1.as_str(), "no-such"], "No such container: no-such"),
        (["no-such", a.as_str()], "network no-such not found"),
        (
            ["host", a.as_str()],
            "cannot connect container to host network - container must be created in host network mode",
        ),
        (
            ["none", a.as_str()],
            "container cannot be connected to multiple networks with one of the networks in private (none) mode",
        ),
    ] {
        e.cli(&["network", "connect", words[0], words[1]])
            .exits(1)
            .complains(text);
    }
    clear(e, &[&a, &b], &[&n1, &n2]);
});

case!(
    the_way_out_is_the_highest_one_s,
    Manner::on_a_bridge(),
    |e| {
        let n1 = network(e, "n1", &["--subnet", "10.224.1.0/24"]);
        let n2 = network(e, "n2", &["--subnet", "10.224.2.0/24"]);
        let route = |name: &str| {
            let script = "ip route | grep default | cut -d' ' -f3";
            e.cli(&["exec", name, "sh", "-c", script]).stdout
        };
        let second = format!("name={n2},gw-priority=5");
        let a = sleeper(e, "a", &["--network", &n1, "--network", &second]);
        assert_eq!(route(&a), "10.224.2.1\n");
        e.cli(&["network", "disconnect", &n2, &a]).exits(0);
        assert_eq!(route(&a), "10.224.1.1\n");
        e.cli(&["network", "connect", "--gw-priority", "1", &n2, &a])
            .exits(0);
        assert_eq!(route(&a), "10.224.2.1\n");
        clear(e, &[&a], &[&n1, &n2]);
    }
);

case!(addresses_of_ones_own, Manner::on_a_bridge(), |e| {
    let name = network(e, "n", &["--subnet", "10.225.0.0/24"]);
    let options = [
        "--network",
        &name,
        "--ip",
        "10.225.0.50",
        "--mac-address",
        "02:00:00:00:00:05",
    ];
    let a = sleeper(e, "a", &options);
    assert_eq!(address(e, &a, &name), "10.225.0.50");
    let script = "ip -4 -o addr show eth0 | awk '{print $4}'; cat /sys/class/net/eth0/address";
    e.cli(&["exec", &a, "sh", "-c", script])
        .exits(0)
        .says("10.225.0.50/24\n02:00:00:00:00:05\n");
    let refused = |options: &[&str], text: &str| {
        let other = e.name("b");
        let words = [&["run", "--rm", "--name", &other], options, &[BOX, "true"]].concat();
        e.cli(&words).exits(125).complains(text);
    };
    refused(
        &["--network", &name, "--ip", "10.225.0.50"],
        "Address already in use",
    );
    let invalid = |network: &str, why: &str| {
        format!("invalid config for network {network}: invalid endpoint settings:\n{why}\n")
    };
    let outside = invalid(
        &name,
        "no configured subnet or ip-range contain the IP address 10.99.0.1",
    );
    refused(&["--network", &name, "--ip", "10.99.0.1"], &outside);
    let default = invalid(
        "bridge",
        "user specified IP address is supported on user defined networks only",
    );
    refused(&["--ip", "10.213.0.9"], &default);
    // After a restart too.
    e.cli(&["restart", "-t", "0", &a]).exits(0);
    assert_eq!(address(e, &a, &name), "10.225.0.50");
    clear(e, &[&a], &[&name]);
});

case!(
    nothing_leads_out_of_an_internal_one,
    Manner::on_a_bridge(),
    |e| {
        let name = network(e, "n", &["--internal"]);
        let a = sleeper(e, "a", &["--network", &name]);
        let b = sleeper(e, "b", &["--network", &name]);
        assert!(reaches(e, &a, &address(e, &b, &name)));
        e.cli(&["exec", &a, "sh", "-c", "ip route | grep -c default"])
            .exits(1)
            .says("0\n");
        assert!(!reaches(e, &a, "10.213.0.1"));
        clear(e, &[&a, &b], &[&name]);
    }
);

case!(not_together, Manner::on_a_bridge(), |e| {
    let option = ["--opt", "com.docker.network.bridge.enable_icc=false"];
    let name = network(e, "n", &option);
    let a = sleeper(e, "a", &["--network", &name]);
    let b = sleeper(e, "b", &["--network", &name]);
    assert!(!reaches(e, &a, &address(e, &b, &name)));
    clear(e, &[&a, &b], &[&name]);
});

case!(
    the_network_of_another_container,
    Manner::on_a_bridge(),
    |e| {
        let name = network(e, "n", &[]);
        let a = sleeper(e, "a", &["--network", &name]);
        let shared = format!("container:{a}");
        let script =
            "hostname; hostname -i; grep -c . /etc/resolv.conf > /dev/null; ls /sys/class/net";
        let own = e.cli(&["exec", &a, "sh", "-c", script]).ok().to_owned();
        let words = ["run", "--rm", "--network", &shared, BOX, "sh", "-c", script];
        assert_eq!(e.cli(&words).ok(), own);
        let published = [
            "run",
            "--rm",
            "--network",
            &shared,
            "-p",
            "80:80",
            BOX,
            "true",
        ];
        e.cli(&published)
            .exits(125)
            .complains("conflicting options: port publishing and the container type network mode");
        e.cli(&["stop", "-t", "0", &a]).exits(0);
        e.cli(&["run", "--rm", "--network", &shared, BOX, "true"])
            .exits(125)
            .complains(&format!(
                "cannot join network namespace of a non running container: container {a} is exited"
            ));
        clear(e, &[&a], &[&name]);
    }
);

case!(those_that_nobody_uses_go, Manner::on_a_bridge(), |e| {
    let label = e.name("label");
    let used = network(e, "used", &["--label", &label]);
    let unused = network(e, "unused", &["--label", &label]);
    let a = sleeper(e, "a", &["--network", &used]);
    let other = network(e, "other", &[]);
    let filter = format!("label={label}");
    let words = ["network", "prune", "-f", "--filter", &filter];
    e.cli(&words)
        .exits(0)
        .says(&format!("Deleted Networks:\n{unused}\n\n"));
    e.cli(&words).exits(0).says("");
    let asked = e.cli_with("n\n", &["network", "prune", "--filter", &filter]);
    assert!(asked.stdout.starts_with(
        "WARNING! This will remove all custom networks not used by at least one container.\n"
    ));
    clear(e, &[&a], &[&used, &other]);
});

case!(what_happens_is_told, Manner::on_a_bridge(), |e| {
    let begin = e
        .cli(&["run", "--rm", "--network", "none", BOX, "date", "+%s"])
        .ok()
        .to_owned();
    let name = network(e, "n", &[]);
    let a = sleeper(e, "a", &["--network", &name]);
    e.cli(&["network", "disconnect", &name, &a]).exits(0);
    clear(e, &[&a], &[&name]);
    eventually("they are told", || {
        let end = e
            .cli(&["run", "--rm", "--network", "none", BOX, "date", "+%s"])
            .ok()
            .to_owned();
        let network = format!("network={name}");
        let format = "{{.Type}} {{.Action}} {{.Actor.Attributes.name}} {{.Actor.Attributes.type}}";
        let words = [
            "events", "--since", &begin, "--until", &end, "--filter", &network, "--format", format,
        ];
        let said = e.cli(&words).ok().to_owned();
        let wanted: Vec<_> = ["create", "connect", "disconnect", "destroy"]
            .map(|action| format!("network {action} {name} bridge"))
            .into();
        (said.lines().collect::<Vec<_>>() == wanted).then_some(())
    });
});

/// A link of the engine's machine, whose other end is in a container: another machine on the same
/// wire. Returns the link, and the other machine.
fn wire(e: &Engine, net: &str) -> (String, String) {
    let far = sleeper(e, "far", &["--network", "none", "--cap-add", "NET_ADMIN"]);
    let id = e.inspect(&far)["State"]["Pid"].to_string();
    let link = format!("m{id}");
    let script = format!(
        "ip link add name {link} type veth && \
         far=$(ip link | sed -n 's/.*: \\(veth[0-9]*\\)@{link}.*/\\1/p') && \
         ip link set $far netns {id} name far0 && ip link set {link} up"
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
    let script = format!("ip link set far0 up && ip addr add {net}.2/24 dev far0");
    e.cli(&["exec", &far, "sh", "-c", &script]).exits(0);
    (link, far)
}

case!(on_the_machine_s_own_lan, Manner::on_a_bridge(), |e| {
    let (link, far) = wire(e, "198.51.101");
    let parent = format!("parent={link}");
    let options = [
        "-d",
        "macvlan",
        "--subnet",
        "198.51.101.0/24",
        "-o",
        &parent,
    ];
    let name = network(e, "n", &options);
    let a = sleeper(e, "a", &["--network", &name, "--ip", "198.51.101.7"]);
    let b = sleeper(e, "b", &["--network", &name]);
    assert!(
        reaches(e, &a, "198.51.101.2"),
        "another machine on the wire"
    );
    assert!(reaches(e, &b, "198.51.101.7"), "a neighbour");
    assert!(reaches(e, &b, &a), "by name");
    e.cli(&["exec", &a, "ip", "-o", "link", "show", "eth0"])
        .exits(0);
    clear(e, &[&a, &b, &far], &[&name]);
    e.cli(&[
        "network",
        "create",
        "-d",
        "macvlan",
        "-o",
        "parent=no-such",
        "x",
    ])
    .exits(1)
    .complains("Error response from daemon: ");
});
