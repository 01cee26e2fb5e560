//! The daemon itself: its flags, and what it says when it cannot begin.

use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use testkit::{BOX, Engine, Output, Program, case, eventually, http};

/// Places for another daemon beside the case's own.
pub(crate) struct Place(pub(crate) PathBuf);

impl Place {
    pub(crate) fn new(e: &Engine, name: &str) -> Place {
        let path = e.temp().path().join(name);
        std::fs::create_dir_all(&path).expect("a new directory");
        Place(path)
    }

    pub(crate) fn at(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// The flags that give a daemon places of its own, but no bridge.
    fn flags(&self) -> Vec<String> {
        [
            ("-H", format!("unix://{}", self.at("s"))),
            ("--data-root", self.at("d")),
            ("--exec-root", self.at("x")),
            ("-b", "none".to_owned()),
        ]
        .into_iter()
        .flat_map(|(flag, value)| [flag.to_owned(), value])
        .collect()
    }

    /// Starts `command` with these flags and `more`, and waits until it answers.
    pub(crate) fn start(&self, mut command: Command, more: &[&str]) -> Program {
        command.args(self.flags()).args(more);
        let mut program = Program::start(&mut command);
        eventually("the daemon answers", || {
            assert!(program.runs(), "it ended: {}", program.stderr());
            UnixStream::connect(self.at("s")).ok()
        });
        program
    }

    fn get(&self, path: &str) -> serde_json::Value {
        let socket = self.at("s");
        http::request(Path::new(&socket), "GET", path, &[], b"")
            .is(200)
            .json()
    }
}

pub(crate) fn stop(daemon: Program) -> Output {
    daemon.signal(Signal::TERM);
    let output = daemon.finish();
    output.exits(0);
    output
}

fn daemon(e: &Engine) -> Command {
    let mut command = Command::new(e.program());
    command.arg("daemon");
    command
}

/// Runs a daemon that cannot begin.
fn refused(e: &Engine, words: &[&str]) -> Output {
    let output = Program::start(daemon(e).args(words)).finish();
    output.exits(1).says("");
    output
}

/// A program in mount and other namespaces of its own, behind a shell script.
pub(crate) fn unshared(namespaces: &[&str], script: &str, program: &Path) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(namespaces)
        .args(["--mount", "--propagation", "private", "sh", "-c"])
        .args([&format!("set -e; {script}; exec \"$@\""), "sh"])
        .arg(program);
    command
}

case!(a_second_one_on_the_data_root, |e| {
    let place = Place::new(e, "other");
    let mut words = place.flags();
    words.extend([
        "--data-root".to_owned(),
        e.data_root().display().to_string(),
    ]);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    refused(e, &words).errs(&format!(
        "failed to start daemon: the data root {} is in use by the daemon with pid {}; stop it, or \
         choose another --data-root\n",
        e.data_root().display(),
        e.daemon_id()
    ));
    e.get_path("/_ping").is(200);
});

case!(a_socket_in_use, |e| {
    let place = Place::new(e, "other");
    let ours = e.socket().display().to_string();
    let host = format!("unix://{ours}");
    let words = ["-H", &host, "--data-root", &place.at("d"), "--exec-root"];
    let mut words = words.to_vec();
    let exec = place.at("x");
    words.extend([&exec, "-b", "none"]);
    refused(e, &words).errs(&format!(
        "failed to start daemon: cannot listen on {host}: the socket {ours} is in use by another \
         daemon; stop it, or choose another -H\n"
    ));
    e.get_path("/_ping").is(200);
});

case!(a_socket_that_nobody_serves_is_replaced, |e| {
    let place = Place::new(e, "stale");
    drop(std::os::unix::net::UnixListener::bind(place.at("s")).expect("a socket"));
    stop(place.start(daemon(e), &[]));
});

case!(flags_that_are_wrong, |e| {
    let hint = "See 'wharf daemon --help'.\n";
    for (words, text) in [
        (&["--nosuch"][..], format!("Status: unknown flag: --nosuch\n{hint}")),
        (&["--data-root"], format!("Status: flag needs an argument: --data-root\n{hint}")),
        (
            &["--icc=false"],
            "--icc is not built yet: this daemon cannot obey it\n".to_owned(),
        ),
        (
            &["--userns-remap=x"],
            "--userns-remap is not built yet: this daemon cannot obey it\n".to_owned(),
        ),
        (
            &["-l", "foo"],
            "Status: invalid argument \"foo\" for \"-l, --log-level\": invalid logging level: foo\n"
                .to_owned(),
        ),
        (
            &["-H", "foo"],
            "Status: invalid argument \"foo\" for \"-H, --host\": must be unix:///PATH or \
             tcp://127.0.0.1:PORT\n"
                .to_owned(),
        ),
        (
            &["--data-root", "rel"],
            "Status: invalid argument \"rel\" for \"--data-root\": must be an absolute path\n".to_owned(),
        ),
        (
            &["-b", "a-name-that-is-too-long"],
            "Status: invalid argument \"a-name-that-is-too-long\" for \"-b, --bridge\": must be an \
             interface name of at most 15 characters\n"
                .to_owned(),
        ),
        (
            &["--iptables=zz"],
            "Status: invalid argument \"zz\" for \"--iptables\": must be true or false\n".to_owned(),
        ),
    ] {
        refused(e, words).errs(&text);
    }
    let place = Place::new(e, "bip");
    let mut words = place.flags();
    words.extend(["-b", "wbip0", "--bip", "x"].map(str::to_owned));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    refused(e, &words).errs(
        "failed to start daemon: invalid --bip \"x\": must be an IPv4 address with a prefix \
         length, 10.1.2.1/24\n",
    );
});

case!(several_hosts, |e| {
    let place = Place::new(e, "hosts");
    let port = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port")
        .port();
    let (second, tcp) = (
        format!("unix://{}", place.at("s2")),
        format!("tcp://127.0.0.1:{port}"),
    );
    let running = place.start(daemon(e), &["-H", &second, "-H", &tcp]);
    eventually("all are served", || {
        UnixStream::connect(place.at("s2")).ok()?;
        TcpStream::connect(("127.0.0.1", port)).ok()
    });
    for host in [second, tcp, format!("unix://{}", place.at("s"))] {
        let mut command = Command::new(e.program());
        command.args(["-H", &host, "version", "--format", "{{.Server.Os}}"]);
        Program::start(&mut command)
            .finish()
            .exits(0)
            .says("linux\n");
    }
    stop(running);
    assert!(
        !Path::new(&place.at("s2")).exists(),
        "a clean stop leaves no socket"
    );
});

case!(roots_and_pid_file, |e| {
    let place = Place::new(e, "roots");
    let pid = place.at("pid");
    let running = place.start(daemon(e), &["--pidfile", &pid]);
    // It is written when the socket is there, so a client may be earlier.
    let text = eventually("the pid file", || std::fs::read_to_string(&pid).ok());
    assert_eq!(text.trim(), running.id().to_string());
    assert_eq!(place.get("/info")["DockerRootDir"], place.at("d"));
    assert!(place.0.join("d/meta.redb").exists() && place.0.join("x").is_dir());
    stop(running);
    assert!(!Path::new(&pid).exists());
});

case!(the_configuration_file, |e| {
    let place = Place::new(e, "file");
    let words = "{\"debug\": true, \"hosts\": [\"unix://SOCKET\"]}";
    let file = e
        .temp()
        .file("daemon.json", &words.replace("SOCKET", &place.at("s")));
    let mut command = daemon(e);
    command.args(["--config-file", &file, "-b", "none"]);
    command.args(["--data-root", &place.at("d"), "--exec-root", &place.at("x")]);
    let mut running = Program::start(&mut command);
    eventually("the daemon answers", || {
        assert!(running.runs(), "it ended: {}", running.stderr());
        UnixStream::connect(place.at("s")).ok()
    });
    assert_eq!(place.get("/info")["Debug"], true);
    stop(running);
    let begin = format!("unable to configure the Docker daemon with file {file}: ");
    for (text, why) in [
        (
            "{\"foo\": 1}",
            "the following directives don't match any configuration option: foo\n",
        ),
        (
            "{\"icc\": false}",
            "\"icc\" is not built yet: this daemon cannot obey it\n",
        ),
    ] {
        e.temp().file("daemon.json", text);
        refused(e, &["--config-file", &file]).errs(&format!("{begin}{why}"));
    }
    e.temp().file("daemon.json", "{");
    refused(e, &["--config-file", &file]).complains(&format!("{begin}invalid JSON: "));
    e.temp().file("daemon.json", "{\"debug\": true}");
    refused(e, &["--config-file", &file, "--debug"]).complains(
        "the following directives are specified both as a flag and in the configuration file: debug",
    );
    refused(e, &["--config-file", "/no/such"]).errs(
        "unable to configure the Docker daemon with file /no/such: open /no/such: no such file or \
         directory\n",
    );
});

case!(how_much_it_says, |e| {
    for (words, debug, served) in [
        (&[][..], false, true),
        (&["--debug"], true, true),
        (&["-D"], true, true),
        (&["-l", "debug"], true, true),
        (&["-l", "error"], false, false),
        (&["--log-level=fatal"], false, false),
    ] {
        let place = Place::new(e, "level");
        let running = place.start(daemon(e), words);
        assert_eq!(place.get("/info")["Debug"], debug, "{words:?}");
        let output = stop(running);
        assert_eq!(
            output.stderr.contains("API is served"),
            served,
            "{output:?}"
        );
        std::fs::remove_dir_all(&place.0).expect("it is ours");
    }
});

case!(a_bridge_of_ones_own, |e| {
    for (firewall, tables) in [("--iptables=true", 1), ("--iptables=false", 0)] {
        let place = Place::new(e, "bridge");
        let command = unshared(&["--net"], "ip link set lo up", e.program());
        let mut command = command;
        command.arg("daemon");
        let flags = ["-b", "wown0", "--bip", "10.214.7.1/24", firewall];
        let running = place.start(command, &flags);
        let net = format!("--net=/proc/{}/ns/net", running.id());
        let inside =
            |words: &[&str]| Program::start(Command::new("nsenter").arg(&net).args(words)).finish();
        let shown = inside(&["ip", "-4", "-o", "addr", "show", "wown0"]);
        assert!(shown.ok().contains("inet 10.214.7.1/24 "), "{shown:?}");
        let shown = inside(&["nft", "list", "tables"]);
        let count = shown
            .ok()
            .lines()
            .filter(|line| line.contains("wharf"))
            .count();
        assert_eq!(count, tables, "{firewall}: {shown:?}");
        stop(running);
        std::fs::remove_dir_all(&place.0).expect("it is ours");
    }
});

case!(as_dockerd, |e| {
    let place = Place::new(e, "dockerd");
    let name = place.0.join("dockerd");
    std::os::unix::fs::symlink(e.program(), &name).expect("a new name");
    let mut command = unshared(&["--net"], "ip link set lo up", &name);
    let host = format!("unix://{}", place.at("s"));
    command.args(["-H", &host, "--data-root", &place.at("d")]);
    command.args(["--exec-root", &place.at("x"), "--pidfile", &place.at("pid")]);
    let mut running = Program::start(&mut command);
    eventually("the daemon answers", || {
        assert!(running.runs(), "it ended: {}", running.stderr());
        UnixStream::connect(place.at("s")).ok()
    });
    let net = format!("--net=/proc/{}/ns/net", running.id());
    let mut nsenter = Command::new("nsenter");
    nsenter.args([&net, "ip", "-4", "-o", "addr", "show", "docker0"]);
    let shown = Program::start(&mut nsenter).finish();
    assert!(shown.ok().contains("inet 172.17.0.1/16 "), "{shown:?}");
    stop(running);
    let output = Program::start(Command::new(&name).arg("--nosuch")).finish();
    output
        .exits(1)
        .errs("Status: unknown flag: --nosuch\nSee 'dockerd --help'.\n");
});

case!(without_the_rights, |e| {
    let nobody = |words: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        command.arg(e.program()).args(words);
        Program::start(&mut command).finish()
    };
    // Nobody may look into a root's directory: the program must lie where all can read.
    if !nobody(&["--version"]).stdout.starts_with("Wharf version") {
        let place = e.temp().at("wharf");
        std::fs::copy(e.program(), &place).expect("a copy");
    }
    let host = format!("unix://{}", e.temp().at("elsewhere"));
    let root = e.temp().at("mine");
    nobody(&["daemon", "-H", &host, "--data-root", &root])
        .exits(1)
        .says("")
        .errs(
            "failed to start daemon: the daemon needs root: it makes namespaces, mounts and \
             cgroups (try sudo)\n",
        );
    let ours = format!("unix://{}", e.socket().display());
    nobody(&["-H", &ours, "ps"]).exits(1).complains(&format!(
        "permission denied while trying to connect to the Docker daemon socket at {ours}"
    ));
});

case!(clients_that_start_it_at_once, |e| {
    // The default places, in namespaces where they are empty.
    let script = "mount -t tmpfs tmpfs /run; mount -t tmpfs tmpfs /var/lib; ip link set lo up
for i in 1 2 3 4 5 6; do \"$1\" ps -q & all=\"$all $!\"; done
for one in $all; do wait $one; done
[ $(pgrep -fc '[w]harf daemon --on-demand') -eq 1 ]
[ \"$(cat /var/lib/wharf/lock)\" -gt 0 ]
kill $(cat /var/lib/wharf/lock)
while kill -0 $(cat /var/lib/wharf/lock) 2>/dev/null; do sleep 0.05; done
echo one; set -- true";
    let namespaces = ["--net", "--pid", "--fork", "--kill-child", "--mount-proc"];
    let mut command = unshared(&namespaces, script, e.program());
    Program::start(&mut command).finish().exits(0).says("one\n");
});

case!(a_kernel_without_a_controller, |e| {
    let place = Place::new(e, "pids");
    let script = "umount /sys/fs/cgroup/pids 2>/dev/null || umount -R /sys/fs/cgroup";
    let mut command = unshared(&[], script, e.program());
    command.arg("daemon").args(place.flags());
    let mut running = Program::start(&mut command);
    let answers = eventually("it answers or ends", || {
        (UnixStream::connect(place.at("s")).is_ok() || !running.runs()).then(|| running.runs())
    });
    if !answers {
        // Version 2 has one hierarchy for all: without it nothing can be held together.
        let output = running.finish();
        output.exits(1).errs(
            "failed to start daemon: looking for the cgroup hierarchies: no cgroup hierarchy is \
             mounted\n",
        );
        return;
    }
    let host = format!("unix://{}", place.at("s"));
    let client = |words: &[&str]| {
        let mut command = Command::new(e.program());
        command.args(["-H", &host]).args(words);
        Program::start(&mut command).finish()
    };
    client(&["import", &e.temp().at("box.tar"), BOX]).exits(0);
    let run = ["run", "--rm", "--network", "none"];
    let mut words = run.to_vec();
    words.extend([BOX, "echo", "hi"]);
    client(&words).exits(0).says("hi\n");
    let mut words = run.to_vec();
    words.extend(["--pids-limit", "5", BOX, "echo", "hi"]);
    client(&words)
        .exits(125)
        .says("")
        .complains("cgroup controller pids is not mounted\n");
    stop(running);
});

case!(a_kernel_without_overlayfs, |e| {
    let place = Place::new(e, "overlay");
    let mut command = daemon(e);
    // ENODEV, as fsopen(2) has it where the file system is not known.
    command.env("WHARF_FAILPOINTS", "shim/fsopen:1=errno:19");
    let running = place.start(command, &[]);
    let host = format!("unix://{}", place.at("s"));
    let client = |words: &[&str]| {
        let mut command = Command::new(e.program());
        command.args(["-H", &host]).args(words);
        Program::start(&mut command).finish()
    };
    client(&["import", &e.temp().at("box.tar"), BOX]).exits(0);
    client(&["run", "--rm", "--network", "none", BOX, "true"])
        .exits(125)
        .says("")
        .complains("this kernel has no overlayfs (modprobe overlay): fsopen: no such device\n");
    stop(running);
});

case!(ready_and_stopping_are_told, |e| {
    let place = Place::new(e, "notify");
    let manager = std::os::unix::net::UnixDatagram::bind(place.at("n")).expect("a socket");
    let patience = std::time::Duration::from_secs(20);
    manager.set_read_timeout(Some(patience)).expect("a limit");
    let news = || {
        let mut buffer = [0; 64];
        let count = manager.recv(&mut buffer).expect("news");
        String::from_utf8_lossy(&buffer[..count]).into_owned()
    };
    let mut command = daemon(e);
    command.env("NOTIFY_SOCKET", place.at("n"));
    let daemon = place.start(command, &[]);
    assert_eq!(news(), "READY=1");
    stop(daemon);
    assert_eq!(news(), "STOPPING=1");
});

case!(sockets_that_are_handed_over, |e| {
    let place = Place::new(e, "fd");
    let socket = std::os::unix::net::UnixListener::bind(place.at("s")).expect("a socket");
    // As systemd does: the third descriptor, and whose it is.
    let script = "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"";
    let mut command = Command::new("sh");
    command
        .args(["-c", script, "sh"])
        .arg(e.program())
        .args(["daemon", "-H", "fd://", "-b", "none"])
        .args(["--data-root", &place.at("d"), "--exec-root", &place.at("x")])
        .stdin(std::process::Stdio::from(std::os::fd::OwnedFd::from(
            socket,
        )));
    let mut daemon = command.spawn().expect("it starts");
    assert_eq!(place.get("/containers/json"), serde_json::json!([]));
    let id = rustix::process::Pid::from_child(&daemon);
    rustix::process::kill_process(id, Signal::TERM).expect("it runs");
    assert!(daemon.wait().expect("it ends").success());
    let (data, exec) = (place.at("d2"), place.at("x2"));
    refused(
        e,
        &[
            "-H",
            "fd://",
            "-b",
            "none",
            "--data-root",
            &data,
            "--exec-root",
            &exec,
        ],
    )
    .complains("no sockets found via socket activation");
});

case!(labels_metrics_and_what_has_no_meaning, |e| {
    let place = Place::new(e, "more");
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = free.local_addr().expect("its address").to_string();
    drop(free);
    let flags = [
        "--label",
        "a=b",
        "--metrics-addr",
        &address,
        "--live-restore",
        "--shutdown-timeout=3",
    ];
    let daemon = place.start(daemon(e), &flags);
    assert_eq!(place.get("/info")["Labels"], serde_json::json!(["a=b"]));
    let mut stream = TcpStream::connect(&address).expect("metrics are served");
    std::io::Write::write_all(&mut stream, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        .expect("it reads");
    let mut text = String::new();
    std::io::Read::read_to_string(&mut stream, &mut text).expect("it answers");
    assert!(
        text.starts_with("HTTP/1.1 200 OK\r\n")
            && text.contains("engine_daemon_container_states_containers{state=\"running\"} 0\n")
            && text.contains("process_resident_memory_bytes "),
        "{text}"
    );
    daemon.signal(Signal::HUP);
    assert_eq!(place.get("/info")["Labels"], serde_json::json!(["a=b"]));
    let output = stop(daemon);
    for flag in ["--live-restore", "--shutdown-timeout"] {
        output.complains(&format!("{flag} has no meaning here"));
    }
});

case!(a_configuration_that_is_checked, |e| {
    let place = Place::new(e, "checked");
    let file = place.at("daemon.json");
    std::fs::write(&file, r#"{"labels": ["a=b"], "live-restore": true}"#).expect("a file");
    let check = || Program::start(daemon(e).args(["--validate", "--config-file", &file])).finish();
    check().exits(0).says("configuration OK\n");
    std::fs::write(&file, r#"{"labels": ["a=b", "a=c"]}"#).expect("a file");
    check()
        .exits(1)
        .complains("conflict labels for a=b and a=c");
});
