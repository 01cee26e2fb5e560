//! The default bridge against the kernel, in a network namespace of the test's own that plays the
//! host. A second engine without rules plays the world outside.

#![allow(
    clippy::tests_outside_test_module,
    clippy::unwrap_used,
    reason = "all of it is a test"
)]

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use meta::Meta;
use net::netd::NetdSetup;
use net::{
    Config, Driver, EndpointRecord, EndpointRequest, Error, NetworkRecord, Networks, Publication,
    Running,
};
use sys::namespace::{self, NETWORK};
use types::id::ContainerId;
use types::port::Protocol;

/// How long an answer that shall come may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long we listen for what shall not come.
const SILENCE: Duration = Duration::from_millis(300);

/// Runs `work` on a thread of its own in `netns`, or in a fresh namespace.
fn inside<T: Send>(netns: Option<&OwnedFd>, work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let enter = move || {
            match netns {
                Some(netns) => namespace::enter(netns, NETWORK).unwrap(),
                None => namespace::unshare(NETWORK).expect("needs root"),
            }
            work()
        };
        scope.spawn(enter).join().expect("the test panicked")
    })
}

/// A record file that goes with the test.
struct Records(Meta, PathBuf);

impl Records {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("wharf-net-{name}-{}", std::process::id()));
        Self(Meta::open(&path).unwrap(), path)
    }

    fn attach(&self, networks: &Networks, container: u8) -> (EndpointRecord, OwnedFd) {
        let planned = self
            .0
            .write(|txn| networks.plan_endpoint(txn, &request(id(container))));
        let endpoint = planned.unwrap();
        let netns = networks.attach(std::slice::from_ref(&endpoint)).unwrap();
        (endpoint, netns)
    }

    fn release(&self, networks: &Networks, endpoint: &EndpointRecord) {
        self.0.write(|txn| networks.release(txn, endpoint)).unwrap();
    }
}

impl Drop for Records {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.1));
    }
}

fn id(byte: u8) -> ContainerId {
    format!("{byte:02x}").repeat(32).parse().unwrap()
}

/// What the default bridge is on record as.
fn bridge() -> NetworkRecord {
    NetworkRecord {
        id: "b".repeat(64),
        name: "bridge".into(),
        created_ns: 0,
        driver: Driver::Bridge,
        subnet: None,
        internal: false,
        attachable: false,
        options: BTreeMap::new(),
        ipam_options: BTreeMap::new(),
        labels: BTreeMap::new(),
    }
}

fn open(config: Config) -> Result<Networks, Error> {
    let netd = NetdSetup {
        socket: "/nowhere/netd".into(),
        start: Box::new(|_| Err(std::io::Error::other("not in this test"))),
    };
    Networks::open(config, vec![bridge()], netd)
}

fn request(container: ContainerId) -> EndpointRequest {
    EndpointRequest {
        network: bridge().id,
        container,
        address: None,
        mac: None,
        link: "eth0".into(),
        priority: 0,
        names: Vec::new(),
        settings: Vec::new(),
    }
}

/// As a new daemon finds the container of `endpoint`.
fn running(endpoint: &EndpointRecord, ports: &[Publication]) -> Running {
    Running {
        container: endpoint.container,
        endpoints: vec![endpoint.clone()],
        ports: ports.to_vec(),
        names: None,
    }
}

fn detach(networks: &Networks, endpoint: &EndpointRecord, netns: OwnedFd) {
    let container = endpoint.container;
    networks.detach(container, std::slice::from_ref(endpoint), &[], Some(netns));
}

fn gateway(endpoint: &EndpointRecord) -> Ipv4Addr {
    endpoint.gateway.unwrap()
}

fn config(engine: &str, bridge: &str, bip: Option<&str>, firewall: bool) -> Config {
    Config {
        engine_id: engine.into(),
        bridge: Some(bridge.into()),
        bip: bip.map(|text| text.parse().unwrap()),
        firewall,
        mtu: 1500,
    }
}

/// Sends a datagram from one namespace to port 7 in another, and an answer back. Returns whom the
/// receiver saw.
fn datagram(from: &OwnedFd, to: &OwnedFd, address: Ipv4Addr, wait: Duration) -> Option<SocketAddr> {
    datagram_by(from, to, (address, 7), wait)
}

/// As [`datagram`], sent to an address that may be another than the receiver's own.
fn datagram_by(
    from: &OwnedFd,
    to: &OwnedFd,
    by: (Ipv4Addr, u16),
    wait: Duration,
) -> Option<SocketAddr> {
    let receiver = inside(Some(to), || UdpSocket::bind("0.0.0.0:7").unwrap());
    receiver.set_read_timeout(Some(wait)).unwrap();
    let sender = inside(Some(from), || UdpSocket::bind("0.0.0.0:0").unwrap());
    sender.set_read_timeout(Some(wait)).unwrap();
    sender.send_to(b"ahoy", by).unwrap();
    let mut bytes = [0; 8];
    let (length, seen) = receiver.recv_from(&mut bytes).ok()?;
    assert_eq!(&bytes[..length], b"ahoy");
    receiver.send_to(b"hello", seen).unwrap();
    let (length, answerer) = sender.recv_from(&mut bytes).unwrap();
    assert_eq!((&bytes[..length], answerer), (&b"hello"[..], by.into()));
    Some(seen)
}

fn wait_for(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn links() -> Vec<String> {
    let text = fs::read_to_string("/proc/thread-self/net/dev").unwrap();
    let names = text
        .lines()
        .skip(2)
        .filter_map(|line| line.split(':').next());
    names.map(|name| name.trim().to_owned()).collect()
}

#[test]
fn root_containers_reach_each_other_and_the_world_but_the_world_not_them() {
    inside(None, || {
        let records = Records::new("reach");
        let world_records = Records::new("reach-world");
        let networks = open(config("", "wharf0", Some("10.99.0.1/24"), true)).unwrap();
        let world = open(config("world", "wan0", Some("198.51.100.1/24"), false)).unwrap();
        let (one, one_ns) = records.attach(&networks, 1);
        let (two, two_ns) = records.attach(&networks, 2);
        let (outside, outside_ns) = world_records.attach(&world, 3);
        assert_eq!(one.address.to_string(), "10.99.0.2/24");
        assert_eq!(one.mac_text(), "02:42:0a:63:00:02");
        assert_eq!(two.address.to_string(), "10.99.0.3/24");

        let seen = datagram(&one_ns, &two_ns, two.address.address(), PATIENCE).unwrap();
        assert_eq!(
            seen.ip(),
            one.address.address(),
            "no translation inside the network"
        );
        let seen = datagram(&one_ns, &outside_ns, outside.address.address(), PATIENCE).unwrap();
        assert_eq!(
            seen.ip(),
            Ipv4Addr::new(198, 51, 100, 1),
            "the host's address outside"
        );
        let direct = datagram(&outside_ns, &one_ns, one.address.address(), SILENCE);
        assert_eq!(direct, None, "nobody gets in by routing");

        // The same way is open when no rules are wanted, so the silence above was the rules'.
        networks.close(false).unwrap();
        drop(networks);
        let remove = open(config("", "wharf0", None, true)).unwrap();
        remove.close(true).unwrap();
        let direct = datagram(&outside_ns, &one_ns, one.address.address(), PATIENCE);
        assert_eq!(
            direct.map(|seen| seen.ip()),
            Some(outside.address.address().into())
        );
        drop((one_ns, two_ns));
    });
}

#[test]
fn root_container_sees_eth0_with_its_address_and_no_ipv6() {
    inside(None, || {
        let records = Records::new("eth0");
        let networks = open(config("", "wharf0", Some("10.98.0.1/16"), true)).unwrap();
        let (endpoint, netns) = records.attach(&networks, 1);
        inside(Some(&netns), || {
            assert_eq!(links(), ["lo", "eth0"]);
            let read = |path: &str| fs::read_to_string(path).unwrap();
            let ipv6 = read("/proc/thread-self/net/if_inet6");
            assert!(ipv6.lines().all(|line| line.ends_with("lo")), "{ipv6}");
            let route = read("/proc/thread-self/net/route");
            let default = route
                .lines()
                .nth(1)
                .unwrap()
                .split_whitespace()
                .collect::<Vec<_>>();
            assert_eq!(&default[..4], ["eth0", "00000000", "0100620A", "0003"]);
            let own = UdpSocket::bind((endpoint.address.address(), 0));
            assert!(own.is_ok(), "the address is the container's");
        });
        // The gateway answers: the host itself.
        let host = namespace::open("/proc/thread-self/ns/net".as_ref()).unwrap();
        let seen = datagram(&netns, &host, gateway(&endpoint), PATIENCE).unwrap();
        assert_eq!(seen.ip(), endpoint.address.address());
    });
}

#[test]
fn root_nothing_is_left_after_detach_and_close() {
    inside(None, || {
        let records = Records::new("left");
        let before = links();
        let networks = open(config("e1", "br-left", None, true)).unwrap();
        let pool = networks.bridge_address().unwrap();
        assert_eq!(pool.length(), 16, "{pool}");
        let taken: Vec<_> = (0..5)
            .map(|number| records.attach(&networks, number))
            .collect();
        assert_eq!(networks.counts().unwrap().wires, 5);
        for (endpoint, netns) in taken {
            detach(&networks, &endpoint, netns);
            records.release(&networks, &endpoint);
        }
        wait_for("wires fall with their namespaces", || {
            networks.counts().unwrap().wires == 0
        });
        // A restart: the old wire of a container falls while its new one works.
        let (old, old_ns) = records.attach(&networks, 9);
        detach(&networks, &old, old_ns);
        records.release(&networks, &old);
        let (again, netns) = records.attach(&networks, 9);
        wait_for("the old wire falls", || {
            networks.counts().unwrap().retiring == 0
        });
        let host = namespace::open("/proc/thread-self/ns/net".as_ref()).unwrap();
        assert!(datagram(&netns, &host, gateway(&again), PATIENCE).is_some());
        detach(&networks, &again, netns);
        records.release(&networks, &again);
        wait_for("all wires fall", || networks.counts().unwrap().wires == 0);
        let (again, netns) = records.attach(&networks, 9);
        assert_eq!(
            again.address.address(),
            Ipv4Addr::from_bits(pool.address().to_bits() + 1)
        );
        detach(&networks, &again, netns);
        records.release(&networks, &again);
        assert!(
            networks
                .endpoints(&records.0.read().unwrap())
                .unwrap()
                .is_empty()
        );
        wait_for("the last wire falls", || {
            networks.counts().unwrap().wires == 0
        });
        networks.close(true).unwrap();
        assert_eq!(links(), before, "the bridge is gone");
        networks.close(true).unwrap();
    });
}

#[test]
fn root_next_daemon_adopts_bridge_and_wires() {
    inside(None, || {
        let records = Records::new("adopt");
        let first = open(config("", "wharf0", Some("10.97.0.1/24"), true)).unwrap();
        let (kept, kept_ns) = records.attach(&first, 1);
        let (lost, lost_ns) = records.attach(&first, 2);
        // Killed: nothing is closed in order. The lost container's namespace is held by others.
        first.close(false).unwrap();
        drop(first);
        let next = open(config("", "wharf0", None, true)).unwrap();
        assert_eq!(next.bridge_address().unwrap().to_string(), "10.97.0.1/24");
        let gone = records
            .0
            .write(|txn| next.repair(txn, &[running(&kept, &[])]))
            .unwrap();
        assert_eq!(gone, [lost]);
        wait_for("the lost wire is removed", || {
            next.counts().unwrap().wires == 1
        });
        inside(Some(&lost_ns), || assert_eq!(links(), ["lo"]));
        let (two, two_ns) = records.attach(&next, 3);
        assert_eq!(two.address.to_string(), "10.97.0.3/24");
        let seen = datagram(&kept_ns, &two_ns, two.address.address(), PATIENCE).unwrap();
        assert_eq!(seen.ip(), kept.address.address());
    });
}

#[test]
fn root_foreign_bridges_are_used_but_not_changed() {
    inside(None, || {
        let records = Records::new("foreign");
        let owner = open(config("owner", "shared0", Some("10.96.0.1/24"), true)).unwrap();
        let guest = open(config("guest", "shared0", None, true)).unwrap();
        assert_eq!(guest.bridge_address(), owner.bridge_address());
        let refused = open(config("guest", "shared0", Some("10.95.0.1/24"), true));
        assert!(
            matches!(refused, Err(Error::BridgeAddress { .. })),
            "{refused:?}"
        );
        let refused = open(config("guest", "lo", None, true));
        assert!(
            matches!(refused, Err(Error::NotABridge { .. })),
            "{refused:?}"
        );
        let (_endpoint, netns) = records.attach(&owner, 1);
        guest.close(true).unwrap();
        assert!(
            links().contains(&"shared0".to_owned()),
            "a guest removes no bridge"
        );
        owner.close(true).unwrap();
        assert!(
            links().contains(&"shared0".to_owned()),
            "nor its owner while it is in use"
        );
        drop(netns);
        wait_for("the wire falls", || owner.counts().unwrap().wires == 0);
        owner.close(true).unwrap();
        assert_eq!(links(), ["lo"]);
    });
}

#[test]
fn root_addresses_run_out_with_docker_s_words() {
    inside(None, || {
        let records = Records::new("full");
        let networks = open(config("", "wharf0", Some("10.94.0.1/29"), false)).unwrap();
        let taken: Vec<_> = (0..5)
            .map(|number| records.attach(&networks, number))
            .collect();
        let full = records
            .0
            .write(|txn| networks.plan_endpoint(txn, &request(id(9))))
            .unwrap_err();
        assert_eq!(
            full.to_string(),
            format!(
                "no available IPv4 addresses on this network's address pools: bridge ({})",
                bridge().id
            )
        );
        let (endpoint, netns) = taken.into_iter().nth(2).unwrap();
        detach(&networks, &endpoint, netns);
        records.release(&networks, &endpoint);
        wait_for("the address is free again", || {
            let planned = records
                .0
                .write(|txn| networks.plan_endpoint(txn, &request(id(9))));
            planned.is_ok_and(|again| again.address == endpoint.address)
        });
    });
}

#[test]
fn root_a_failed_attach_leaves_nothing() {
    inside(None, || {
        let records = Records::new("failed");
        let networks = open(config("", "wharf0", Some("10.93.0.1/24"), true)).unwrap();
        wait_for("the pool is full", || {
            networks.counts().unwrap().prepared == 4
        });
        let (endpoint, netns) = records.attach(&networks, 1);
        wait_for("the pool is full", || {
            networks.counts().unwrap().prepared == 4
        });
        let before = links().len();
        let mut wrong = endpoint.clone();
        wrong.container = id(2);
        // A gateway outside of the network: the kernel refuses the route, the last effect.
        wrong.gateway = Some(Ipv4Addr::new(203, 0, 113, 1));
        let refused = networks.attach(&[wrong]).unwrap_err().to_string();
        assert!(
            refused.starts_with("make default route to 203.0.113.1: "),
            "{refused}"
        );
        wait_for("the pool is full again", || {
            networks.counts().unwrap().prepared == 4
        });
        assert_eq!(links().len(), before);
        assert_eq!(networks.counts().unwrap().wires, 1);
        drop(netns);
    });
}

/// Two networks of one machine: containers, and the world outside.
struct Published {
    records: Records,
    networks: Networks,
    world: (Networks, Records),
    /// 8080 at all addresses, 8081 at one, both lead to 7.
    ports: [Publication; 3],
    /// The machine as the world sees it.
    machine: Ipv4Addr,
}

fn publish_scene(name: &str) -> Published {
    let machine = Ipv4Addr::new(198, 51, 100, 1);
    let port = |host_address: Ipv4Addr, host_port, protocol| Publication {
        protocol,
        host_address: host_address.into(),
        host_port,
        container_port: 7,
    };
    let world = config("world", "wan0", Some("198.51.100.1/24"), false);
    Published {
        records: Records::new(name),
        networks: open(config("", "wharf0", Some("10.92.0.1/24"), true)).unwrap(),
        world: (open(world).unwrap(), Records::new(&format!("{name}-world"))),
        ports: [
            port(Ipv4Addr::UNSPECIFIED, 8080, Protocol::Udp),
            port(machine, 8081, Protocol::Udp),
            port(Ipv4Addr::UNSPECIFIED, 8080, Protocol::Tcp),
        ],
        machine,
    }
}

#[test]
fn root_a_published_port_leads_to_its_container_from_everywhere() {
    inside(None, || {
        let Published {
            records,
            networks,
            world,
            ports,
            machine,
        } = &publish_scene("everywhere");
        let (one, one_ns) = records.attach(networks, 1);
        let (_two, two_ns) = records.attach(networks, 2);
        let (outside, outside_ns) = world.1.attach(&world.0, 3);
        let host = namespace::open("/proc/thread-self/ns/net".as_ref()).unwrap();
        let machine = *machine;
        networks.publish(&one, ports).unwrap();
        for number in [8080, 8081] {
            let by = (machine, number);
            let seen = datagram_by(&outside_ns, &one_ns, by, PATIENCE).unwrap();
            assert_eq!(
                seen.ip(),
                outside.address.address(),
                "the world keeps its address"
            );
            let seen = datagram_by(&two_ns, &one_ns, by, PATIENCE).unwrap();
            assert_eq!(
                seen.ip(),
                gateway(&one),
                "a neighbour comes by this machine"
            );
            let seen = datagram_by(&host, &one_ns, by, PATIENCE).unwrap();
            assert_eq!(seen.ip(), machine);
        }
        let by = (gateway(&one), 8080);
        assert!(
            datagram_by(&two_ns, &one_ns, by, PATIENCE).is_some(),
            "all addresses"
        );
        let by = (gateway(&one), 8081);
        assert_eq!(
            datagram_by(&two_ns, &one_ns, by, SILENCE),
            None,
            "one address only"
        );
    });
}

#[test]
fn root_ports_are_published_all_or_none_and_withdrawn() {
    inside(None, || {
        let Published {
            records,
            networks,
            world,
            ports,
            machine,
        } = &publish_scene("withdrawn");
        let (one, one_ns) = records.attach(networks, 1);
        let (two, two_ns) = records.attach(networks, 2);
        let (_outside, outside_ns) = world.1.attach(&world.0, 3);
        let machine = *machine;
        networks.publish(&one, ports).unwrap();
        let taken = networks.publish(&two, &ports[..1]).unwrap_err();
        assert_eq!(
            taken.to_string(),
            "Bind for 0.0.0.0:8080 failed: port is already allocated"
        );
        let both = [
            Publication {
                host_port: 9090,
                ..ports[0]
            },
            ports[1],
        ];
        let taken = networks.publish(&two, &both).unwrap_err();
        assert_eq!(
            taken.to_string(),
            "Bind for 198.51.100.1:8081 failed: port is already allocated"
        );
        let by = (machine, 9090);
        assert_eq!(
            datagram_by(&outside_ns, &two_ns, by, SILENCE),
            None,
            "all or none"
        );

        networks.withdraw(&one, &ports[1..]).unwrap();
        networks.publish(&two, &ports[1..2]).unwrap();
        let by = (machine, 8081);
        assert!(datagram_by(&outside_ns, &two_ns, by, PATIENCE).is_some());
        // The next daemon withdraws the ports of who is gone, and leaves the others alone.
        records
            .0
            .write(|txn| networks.repair(txn, &[running(&two, &ports[1..2])]))
            .unwrap();
        assert!(datagram_by(&outside_ns, &two_ns, by, PATIENCE).is_some());
        let by = (machine, 8080);
        assert_eq!(datagram_by(&outside_ns, &one_ns, by, SILENCE), None);
    });
}
