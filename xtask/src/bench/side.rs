//! The engines that are measured, and the clients that drive them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use testkit::peer::Peer;
use testkit::{BOX, Kind, Program, TempDir, box_tar, eventually};

/// The bridge's address, the same for everybody: each has a network of its own.
const BIP: &str = "172.31.77.1/24";

/// An engine with one client.
pub(super) struct Side {
    pub(super) name: &'static str,
    program: PathBuf,
    host: String,
    /// Who measures an engine's own work measures it once, with the client that goes with it.
    pub(super) is_main: bool,
}

impl Side {
    /// Returns the client with its words.
    pub(super) fn command<S: AsRef<std::ffi::OsStr>>(&self, words: &[S]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(["-H", &self.host])
            .args(words)
            .env_remove("DOCKER_HOST")
            .stdin(Stdio::null());
        command
    }

    /// Runs one command of the client's to its end and returns how long that took.
    pub(super) fn once<S: AsRef<std::ffi::OsStr>>(&self, words: &[S]) -> Result<Duration> {
        let mut command = self.command(words);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let started = Instant::now();
        let output = command.spawn()?.wait_with_output()?;
        let time = started.elapsed();
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}: {complaint}", self.name);
        Ok(time)
    }
}

/// Everybody who is measured.
pub(super) struct Engines {
    wharf: PathBuf,
    docker: PathBuf,
    temp: TempDir,
    pub(super) daemon: Program,
    pub(super) newer: Peer,
    older: Option<Peer>,
}

impl Engines {
    /// Starts our daemon and the reference engines, with the image of the cases in each.
    pub(super) fn start(wharf: &Path, oracles: &Path, docker: &Path) -> Engines {
        let flags = ["--bip", BIP];
        let newer = Peer::start(Kind::Dockerd28, Some(oracles), docker, &flags);
        let older = Path::new("/usr/sbin/dockerd")
            .exists()
            .then(|| Peer::start(Kind::Dockerd, None, docker, &flags));
        let temp = TempDir::new("wharf-bench");
        let daemon = daemon(wharf, &temp);
        Engines {
            wharf: wharf.to_owned(),
            docker: docker.to_owned(),
            temp,
            daemon,
            newer,
            older,
        }
    }

    /// Returns who is timed; the last ones are the peers.
    pub(super) fn sides(&self) -> Vec<Side> {
        let ours = format!("unix://{}", self.temp.at("s"));
        let side = |name, program: &Path, host: String, is_main| Side {
            name,
            program: program.to_owned(),
            host,
            is_main,
        };
        let mut sides = vec![
            side("wharf", &self.wharf, ours.clone(), true),
            side("wharf, docker's client", &self.docker, ours, false),
            side("dockerd 28.5", &self.docker, self.newer.host(), true),
        ];
        if let Some(older) = &self.older {
            sides.push(side("dockerd 20.10", &self.docker, older.host(), true));
        }
        sides
    }

    /// Stops our daemon, which must end well; the others end with this value.
    pub(super) fn stop(self) -> Result<()> {
        self.daemon.signal(rustix::process::Signal::TERM);
        let output = self.daemon.finish();
        ensure!(output.code == 0, "our daemon ended with {output:?}");
        Ok(())
    }
}

/// Starts our daemon in a network of its own.
fn daemon(wharf: &Path, temp: &TempDir) -> Program {
    let mut command = Command::new("unshare");
    let script = "ip link set lo up && exec \"$@\"";
    command
        .args(["--net", "sh", "-c", script, "sh"])
        .arg(wharf)
        .args(["daemon", "-H", &format!("unix://{}", temp.at("s"))])
        .args(["-b", "wharfbench0", "--bip", BIP])
        .args(["--data-root", &temp.at("d"), "--exec-root", &temp.at("x")])
        .args(["--pidfile", &temp.at("pid")]);
    let mut daemon = Program::start(&mut command);
    let socket = temp.path().join("s");
    eventually("the daemon answers", || {
        assert!(daemon.runs(), "the daemon ended: {}", daemon.stderr());
        std::os::unix::net::UnixStream::connect(&socket).ok()
    });
    let archive = temp.path().join("box.tar");
    box_tar(temp.path(), &archive);
    let host = format!("unix://{}", temp.at("s"));
    let mut import = Command::new(wharf);
    import.args(["-H", &host, "import"]).arg(archive).arg(BOX);
    Program::start(&mut import).finish().exits(0);
    daemon
}

/// Checks that a container is held as everywhere: the filter, the capabilities, the bridge, a log.
pub(super) fn same_work(side: &Side) -> Result<()> {
    let script = "grep -E '^(Seccomp|CapEff|NoNewPrivs):' /proc/self/status; \
        cat /sys/class/net/eth0/operstate; ip route | head -n 1 | cut -d ' ' -f 1-3";
    let name = "bench-same";
    let output = side
        .command(&["run", "--name", name, BOX, "sh", "-c", script])
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let wanted =
        "CapEff:\t00000000a80425fb\nNoNewPrivs:\t0\nSeccomp:\t2\nup\ndefault via 172.31.77.1\n";
    ensure!(
        said == wanted,
        "{}: a container is not as everywhere: {said:?} {}",
        side.name,
        String::from_utf8_lossy(&output.stderr)
    );
    let log = side.command(&["logs", name]).output()?;
    ensure!(log.stdout == output.stdout, "{}: no log", side.name);
    let driver = side
        .command(&["inspect", "-f", "{{.HostConfig.LogConfig.Type}}", name])
        .output()?;
    ensure!(driver.stdout == b"json-file\n", "{}: no log", side.name);
    side.once(&["rm", name]).context("the container goes")?;
    Ok(())
}
