//! Namespaces without a network, against the kernel, in a namespace of the test's own.

#![allow(
    clippy::tests_outside_test_module,
    clippy::unwrap_used,
    reason = "all of it is a test"
)]

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use net::{Config, Networks};

/// Runs `test` on a thread of its own in a fresh network namespace.
fn in_own_namespace<T: Send>(test: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            sys::namespace::unshare(sys::namespace::NETWORK).expect("needs root");
            test()
        });
        thread.join().expect("the test panicked")
    })
}

fn open(config: Config) -> Result<Networks, net::Error> {
    let netd = net::netd::NetdSetup {
        socket: "/nowhere/netd".into(),
        start: Box::new(|_| Err(std::io::Error::other("not in this test"))),
    };
    Networks::open(config, Vec::new(), netd)
}

fn without_bridge() -> Config {
    Config {
        engine_id: "none-test".into(),
        bridge: None,
        bip: None,
        firewall: false,
        mtu: 1500,
    }
}

/// Names and states of the links in `netns`, from the kernel's own listing.
fn links(netns: &OwnedFd) -> Vec<String> {
    std::thread::scope(|scope| {
        let read = || {
            sys::namespace::enter(netns, sys::namespace::NETWORK).unwrap();
            let text = std::fs::read_to_string("/proc/thread-self/net/dev").unwrap();
            text.lines()
                .skip(2)
                .map(|line| line.split(':').next().unwrap().trim().to_owned())
                .collect()
        };
        scope.spawn(read).join().unwrap()
    })
}

/// Sends a datagram to itself over the loopback of `netns`.
fn loopback_works(netns: &OwnedFd) -> bool {
    std::thread::scope(|scope| {
        let talk = || {
            sys::namespace::enter(netns, sys::namespace::NETWORK).unwrap();
            let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            socket
                .set_read_timeout(Some(Duration::from_secs(5)))
                .unwrap();
            socket.send_to(b"x", socket.local_addr().unwrap()).is_ok()
                && socket.recv(&mut [0; 4]).is_ok()
        };
        scope.spawn(talk).join().unwrap()
    })
}

#[test]
fn root_none_is_a_loopback_that_works_and_nothing_else() {
    in_own_namespace(|| {
        let here = this_namespace();
        let networks = open(without_bridge()).unwrap();
        for _ in 0..12 {
            let netns = networks.none_netns().unwrap();
            assert_eq!(links(&netns), ["lo"]);
            assert!(loopback_works(&netns));
            networks.discard(netns);
        }
        assert_eq!(inode(&here), inode(&this_namespace()), "the caller stays");
        networks.close(false).unwrap();
        let counts = networks.counts().unwrap();
        assert_eq!((counts.prepared, counts.retiring), (0, 0));
    });
}

#[test]
fn root_pool_fills_itself_and_is_used() {
    in_own_namespace(|| {
        let networks = open(without_bridge()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while networks.counts().unwrap().prepared < 2 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(networks.counts().unwrap().prepared, 2);
        let first = networks.none_netns().unwrap();
        let second = networks.none_netns().unwrap();
        assert_ne!(inode(&first), inode(&second));
        while networks.counts().unwrap().prepared < 2 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(networks.counts().unwrap().prepared >= 2, "refilled");
        drop(networks);
    });
}

#[test]
fn root_namespaces_are_let_go_while_others_keep_coming() {
    in_own_namespace(|| {
        let networks = open(without_bridge()).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut most = 0;
        loop {
            let netns = networks.none_netns().unwrap();
            networks.discard(netns);
            let retiring = networks.counts().unwrap().retiring;
            if retiring < most {
                break;
            }
            most = retiring;
            assert!(
                Instant::now() < deadline,
                "{retiring} namespaces and none let go"
            );
        }
    });
}

fn this_namespace() -> OwnedFd {
    sys::namespace::open(Path::new("/proc/thread-self/ns/net")).unwrap()
}

fn inode(netns: &OwnedFd) -> u64 {
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::MetadataExt;
    let path = format!("/proc/self/fd/{}", netns.as_raw_fd());
    std::fs::metadata(Path::new(&path)).unwrap().ino()
}
