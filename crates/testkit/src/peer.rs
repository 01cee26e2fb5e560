//! A reference engine in namespaces of its own: nothing it does reaches the machine's firewall.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;

use crate::leaks::signal;
use crate::program::Program;
use crate::setting::Kind;
use crate::temp::TempDir;
use crate::{BOX, box_tar, eventually};

/// What the first process of the namespaces does; `$1` is the directory, the rest the daemon.
const SCRIPT: &str = r#"
set -e
ip link set lo up
mkdir -p /run/docker
mount -t tmpfs tmpfs /run/docker
here=$1; shift
exec "$@" -H "unix://$here/s" --data-root "$here/d" --exec-root "$here/x" --pidfile "$here/pid" \
  --config-file "$here/config.json" --cgroup-parent /wharf-e2e-peer
"#;

/// A running reference engine; it ends, with all its containers, when this is dropped.
#[derive(Debug)]
pub struct Peer {
    temp: TempDir,
    program: Option<Program>,
    client: PathBuf,
}

impl Peer {
    /// Starts the reference engine with [`BOX`] imported. `oracles` is where the newer one was
    /// unpacked; `client` the official command line.
    pub fn start(kind: Kind, oracles: Option<&Path>, client: &Path, flags: &[&str]) -> Peer {
        let temp = TempDir::new("wharf-peer");
        let mut path = std::env::var("PATH").unwrap_or_default();
        temp.file("config.json", "{}\n");
        let daemon = match (kind, oracles) {
            (Kind::Dockerd28, Some(oracles)) => {
                let first = ["bin", "usr/sbin", "usr/bin"].map(|dir| oracles.join(dir));
                let first: Vec<_> = first.iter().map(|dir| dir.to_string_lossy()).collect();
                path = format!("{}:{path}", first.join(":"));
                oracles.join("usr/sbin/dockerd")
            }
            (Kind::Dockerd, _) => PathBuf::from("/usr/sbin/dockerd"),
            _ => panic!("no reference engine: {kind:?}"),
        };
        let mut command = Command::new("unshare");
        command
            .args([
                "--mount",
                "--net",
                "--pid",
                "--fork",
                "--kill-child",
                "--mount-proc",
            ])
            .args(["--propagation", "private", "sh", "-c", SCRIPT, "sh"])
            .arg(temp.path())
            .arg(daemon)
            .args(flags)
            .env("PATH", path);
        let mut program = Program::start(&mut command);
        let socket = temp.path().join("s");
        eventually("the reference engine answers", || {
            assert!(
                program.runs(),
                "the reference engine ended: {}",
                program.stderr()
            );
            UnixStream::connect(&socket).ok()
        });
        let peer = Peer {
            temp,
            program: Some(program),
            client: client.to_owned(),
        };
        let archive = peer.temp.path().join("box.tar");
        box_tar(peer.temp.path(), &archive);
        Program::start(peer.command().arg("import").arg(archive).arg(BOX))
            .finish()
            .exits(0);
        peer
    }

    /// Returns its address as the client's `-H` takes it.
    pub fn host(&self) -> String {
        format!("unix://{}", self.temp.path().join("s").display())
    }

    /// Returns where it listens.
    pub fn socket(&self) -> PathBuf {
        self.temp.path().join("s")
    }

    /// Returns the daemon's process id as this process sees it, with those of its helpers.
    pub fn ids(&self) -> Vec<u32> {
        let mut all = Vec::new();
        let mut next: Vec<u32> = self.program.iter().map(Program::id).collect();
        while let Some(id) = next.pop() {
            let children = std::fs::read_dir(format!("/proc/{id}/task"))
                .into_iter()
                .flatten();
            for task in children.flatten() {
                let text = std::fs::read_to_string(task.path().join("children"));
                let text = text.unwrap_or_default();
                next.extend(
                    text.split_whitespace()
                        .filter_map(|id| id.parse::<u32>().ok()),
                );
            }
            all.push(id);
        }
        all
    }

    /// Returns the official client, aimed at this engine.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.client);
        command
            .args(["-H", &self.host()])
            .env_remove("DOCKER_HOST")
            .env("DOCKER_CONFIG", self.temp.at("config"));
        command
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let Some(program) = self.program.take() else {
            return;
        };
        // The namespace's first process is the daemon: with it everything below ends.
        if let Some(id) = child_of(program.id()) {
            signal(id, Signal::TERM);
        }
        let mut program = program;
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while program.runs() && std::time::Instant::now() < deadline {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        drop(program);
        remove_cgroups();
    }
}

fn child_of(id: u32) -> Option<i32> {
    let text = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
    text.split_whitespace().next()?.parse().ok()
}

/// Removes the reference engines' empty cgroups.
fn remove_cgroups() {
    let Ok(hierarchies) = std::fs::read_dir("/sys/fs/cgroup") else {
        return;
    };
    for hierarchy in hierarchies.flatten() {
        let top = hierarchy.path().join("wharf-e2e-peer");
        for entry in std::fs::read_dir(&top).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                drop(std::fs::remove_dir(entry.path()));
            }
        }
        drop(std::fs::remove_dir(top));
    }
}
