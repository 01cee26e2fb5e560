//! A container to try: a root of busybox alone, and a Spec like Docker's.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use runtime::{Child, Container, CreateRequest, Stdio};
use types::Mount;
use types::oci::runtime::{Linux, Process, Spec, SpecMount};

pub(crate) const CAPABILITIES: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

/// A directory with a root file system in it, removed at the end.
pub(crate) struct Bundle {
    pub(crate) dir: PathBuf,
    pub(crate) id: String,
    pub(crate) spec: Spec,
}

/// How a process ended and what it said.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Bundle {
    /// Makes one that runs `script` by busybox's shell.
    pub(crate) fn new(script: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let id = format!("wharf-test-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().join(&id);
        for name in ["lower/bin", "lower/etc", "upper", "work", "host"] {
            fs::create_dir_all(dir.join(name)).unwrap();
        }
        let busybox = dir.join("lower/bin/busybox");
        fs::copy("/bin/busybox", &busybox).expect("busybox-static is installed");
        for name in [
            "sh", "cat", "ls", "id", "sleep", "env", "hostname", "grep", "stat", "mount", "touch",
            "head", "wc", "tty", "stty", "readlink", "nproc", "ip", "ulimit", "true",
        ] {
            symlink("busybox", dir.join("lower/bin").join(name)).unwrap();
        }
        let passwd = "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n";
        write(&dir.join("lower/etc/passwd"), passwd);
        write(&dir.join("lower/etc/plain"), "no program\n");
        Self {
            spec: spec(&id, script),
            dir,
            id,
        }
    }

    pub(crate) fn process(&mut self) -> &mut Process {
        self.spec.process.as_mut().unwrap()
    }

    pub(crate) fn linux(&mut self) -> &mut Linux {
        self.spec.linux.as_mut().unwrap()
    }

    pub(crate) fn bind(&mut self, source: &str, destination: &str, options: &[&str]) {
        self.spec.mounts.push(SpecMount {
            destination: destination.to_owned(),
            kind: "bind".to_owned(),
            source: source.to_owned(),
            options: options.iter().map(|&word| word.to_owned()).collect(),
            ..SpecMount::default()
        });
    }

    pub(crate) fn root(&self) -> Mount {
        Mount::Overlay {
            lower: vec![self.dir.join("lower")],
            upper: self.dir.join("upper"),
            work: self.dir.join("work"),
            volatile: false,
        }
    }

    pub(crate) fn create(&self, stdio: Stdio) -> runtime::Result<(Container, Child)> {
        let root = self.root();
        Container::create(CreateRequest {
            id: &self.id,
            spec: &self.spec,
            root: &root,
            stdio,
            netns: None,
        })
    }

    /// Creates, starts, waits, destroys.
    pub(crate) fn run(&self) -> runtime::Result<Output> {
        let (stdio, pipes) = pipes();
        let (mut container, child) = self.create(stdio)?;
        container.start()?;
        let output = pipes.finish(&child);
        container.destroy()?;
        Ok(output)
    }

    /// What stdout says, of a process that must succeed.
    pub(crate) fn stdout(&self) -> String {
        let output = self.run().unwrap();
        assert_eq!(output.code, 0, "{output:?}");
        output.stdout
    }

    /// What the failed creation says. Nothing may be left of it.
    pub(crate) fn error(&self) -> String {
        let (stdio, _pipes) = pipes();
        let error = self.create(stdio).map(drop).unwrap_err().to_string();
        self.assert_nothing_left();
        error
    }

    /// The same, while containers of this program live.
    pub(crate) fn error_while_others_run(&self) -> String {
        let (stdio, _pipes) = pipes();
        self.create(stdio).map(drop).unwrap_err().to_string()
    }

    pub(crate) fn assert_nothing_left(&self) {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(&self.id), "{mounts}");
        let unified = PathBuf::from("/sys/fs/cgroup");
        let entries = fs::read_dir(&unified)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        for hierarchy in entries.chain([unified]) {
            let group = hierarchy.join("wharf-test").join(&self.id);
            assert!(!group.exists(), "{}", group.display());
        }
        let children = fs::read_to_string("/proc/thread-self/children").unwrap();
        for child in children.split_ascii_whitespace() {
            let cgroup = fs::read_to_string(format!("/proc/{child}/cgroup")).unwrap();
            assert!(!cgroup.contains(&self.id), "{child} is left: {cgroup}");
        }
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        self.assert_nothing_left_unless_panicking();
        // The work directory of overlayfs has mode 000, which is nothing to root.
        remove(&self.dir);
    }
}

impl Bundle {
    fn assert_nothing_left_unless_panicking(&self) {
        if !std::thread::panicking() {
            self.assert_nothing_left();
        }
    }
}

fn remove(dir: &std::path::Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&path);
        } else {
            fs::remove_file(&path).unwrap();
        }
    }
    fs::remove_dir(dir).unwrap();
}

pub(crate) fn write(path: &std::path::Path, text: &str) {
    fs::File::create(path)
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
}

/// Our ends of a process's streams.
pub(crate) struct Pipes {
    stdout: std::io::PipeReader,
    stderr: std::io::PipeReader,
}

pub(crate) fn pipes() -> (Stdio, Pipes) {
    let stdin = fs::File::open("/dev/null").unwrap();
    let (stdout, out) = std::io::pipe().unwrap();
    let (stderr, err) = std::io::pipe().unwrap();
    let stdio = Stdio::Pipes {
        stdin: stdin.into(),
        stdout: out.into(),
        stderr: err.into(),
    };
    (stdio, Pipes { stdout, stderr })
}

impl Pipes {
    pub(crate) fn finish(mut self, child: &Child) -> Output {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.stdout.read_to_string(&mut stdout).unwrap();
        self.stderr.read_to_string(&mut stderr).unwrap();
        let code = sys::pidfd::wait(child.pidfd.as_fd()).unwrap().code();
        Output {
            code,
            stdout,
            stderr,
        }
    }
}

/// Reads a terminal until its last user is gone.
pub(crate) fn read_terminal(console: OwnedFd) -> String {
    let mut text = Vec::new();
    let mut buffer = [0; 1024];
    let mut file = fs::File::from(console);
    // EIO is how a terminal says that nobody has it open any more.
    while let Ok(count @ 1..) = file.read(&mut buffer) {
        text.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// What dockerd 28 writes for `docker run --network none`.
fn spec(id: &str, script: &str) -> Spec {
    let value = serde_json::json!({
        "ociVersion": "1.2.1",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": ["sh", "-c", script],
            "env": ["PATH=/usr/local/bin:/bin"],
            "cwd": "/",
            "capabilities": {
                "bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES
            },
        },
        "root": {"path": "rootfs"},
        "hostname": "box",
        "mounts": mounts(),
        "linux": {
            "cgroupsPath": format!("/wharf-test/{id}"),
            "namespaces": [{"type": "mount"}, {"type": "pid"}, {"type": "network"},
                {"type": "ipc"}, {"type": "uts"}, {"type": "cgroup"}],
            "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/nosuch",
                "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                "/proc/sysrq-trigger"],
        },
    });
    serde_json::from_value(value).unwrap()
}

fn mounts() -> serde_json::Value {
    serde_json::json!([
        {"destination": "/proc", "type": "proc", "source": "proc",
            "options": ["nosuid", "noexec", "nodev"]},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
            "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
            "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs",
            "options": ["nosuid", "noexec", "nodev", "ro"]},
        {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
            "options": ["ro", "nosuid", "noexec", "nodev"]},
        {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
            "options": ["nosuid", "noexec", "nodev"]},
        {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
            "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=67108864"]},
    ])
}

/// Removes the groups above the containers', unless another test program has some in them.
pub(crate) fn remove_parent_groups() {
    for hierarchy in fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
        if fs::remove_dir(hierarchy.path().join("wharf-test")).is_err() {
            // In use, or never made.
        }
    }
}
