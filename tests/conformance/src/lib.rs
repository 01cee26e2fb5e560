//! Runtimes under test and what they are given: one bundle, any runtime, its words and its code.

#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    reason = "tests run programs and make throw-away files"
)]
#![allow(clippy::print_stdout, reason = "tests report on their output")]
#![allow(clippy::panic, reason = "a test fails by a panic")]
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use testkit::TempDir;

/// A runtime by its command line.
#[derive(Debug)]
pub struct Runtime {
    /// `wharf-runc`, `runc`.
    pub name: &'static str,
    /// What is executed.
    pub program: PathBuf,
    temp: TempDir,
}

/// What a command said and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// Where our program lies: as the harness says, or beside the test's own.
pub fn our_program() -> PathBuf {
    if let Some(path) = std::env::var_os("WHARF_BIN") {
        return PathBuf::from(path);
    }
    let own = std::env::current_exe().unwrap();
    let found = own
        .ancestors()
        .skip(1)
        .map(|dir| dir.join("wharf"))
        .find(|path| path.is_file());
    found.expect("the program is built: cargo build -p wharf")
}

impl Runtime {
    /// Ours, by the name that other engines are given.
    pub fn ours() -> Self {
        let temp = TempDir::new("wharf-oci");
        let program = temp.path().join("wharf-runc");
        symlink(our_program(), &program).unwrap();
        Self {
            name: "wharf-runc",
            program,
            temp,
        }
    }

    /// Debian's runc.
    pub fn runc() -> Self {
        Self {
            name: "runc",
            program: PathBuf::from("/usr/sbin/runc"),
            temp: TempDir::new("wharf-oci"),
        }
    }

    /// Its state directory.
    pub fn root(&self) -> String {
        self.temp.at("root")
    }

    /// Runs a command of it.
    pub fn run(&self, words: &[&str]) -> Said {
        self.run_in(Path::new("/"), words)
    }

    /// Runs a command of it in a directory.
    pub fn run_in(&self, dir: &Path, words: &[&str]) -> Said {
        let mut command = Command::new("timeout");
        command
            .args(["-k", "1", "30"])
            .arg(&self.program)
            .args(["--root", &self.root()])
            .args(words)
            .current_dir(dir)
            .stdin(Stdio::null());
        // A container's init keeps what it was given: files, for pipes would never end.
        let (out, err) = (self.temp.at("out"), self.temp.at("err"));
        command.stdout(std::fs::File::create(&out).unwrap());
        command.stderr(std::fs::File::create(&err).unwrap());
        let status = command.status().unwrap();
        let read = |path: &str| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
        Said {
            code: status.code().unwrap_or(-1),
            out: read(&out),
            err: read(&err),
        }
    }

    /// Ends and removes a container, whatever it is.
    pub fn clear(&self, id: &str) {
        self.run(&["delete", "--force", id]);
    }
}

/// A directory with a root of busybox alone and a config.json.
#[derive(Debug)]
pub struct Bundle {
    temp: TempDir,
    /// config.json.
    pub spec: Value,
}

impl Bundle {
    /// Makes one that runs `script`.
    pub fn new(script: &str) -> Self {
        let temp = TempDir::new("wharf-bundle");
        let root = temp.path().join("rootfs");
        for dir in ["bin", "etc", "tmp", "full/inner", "root"] {
            std::fs::create_dir_all(root.join(dir)).unwrap();
        }
        std::fs::copy("/bin/busybox", root.join("bin/busybox"))
            .expect("busybox-static is installed");
        for name in APPLETS {
            symlink("busybox", root.join("bin").join(name)).unwrap();
        }
        let passwd = "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n";
        std::fs::write(root.join("etc/passwd"), passwd).unwrap();
        std::fs::write(root.join("etc/plain"), "no program\n").unwrap();
        std::fs::write(root.join("full/file"), "content\n").unwrap();
        symlink("file", root.join("full/link")).unwrap();
        symlink("/full", root.join("tolink")).unwrap();
        let mut bundle = Self { temp, spec: base() };
        bundle.set("/process/args", json!(["sh", "-c", script]));
        bundle
    }

    /// Where it lies.
    pub fn dir(&self) -> &Path {
        self.temp.path()
    }

    /// Sets the value at a JSON pointer; `/-` appends, `null` removes.
    pub fn set(&mut self, pointer: &str, value: Value) {
        let mut at = &mut self.spec;
        let mut parts = pointer.split('/').skip(1).peekable();
        while let Some(part) = parts.next() {
            let last = parts.peek().is_none();
            if part == "-" {
                if at.is_null() {
                    *at = json!([]);
                }
                let list = at.as_array_mut().unwrap();
                list.push(Value::Null);
                at = list.last_mut().unwrap();
            } else if at.is_array() {
                let index: usize = part.parse().unwrap();
                if last && value.is_null() {
                    at.as_array_mut().unwrap().remove(index);
                    return;
                }
                at = &mut at[index];
            } else {
                if last && value.is_null() {
                    if let Some(map) = at.as_object_mut() {
                        map.remove(part);
                    }
                    return;
                }
                at = &mut at[part];
            }
        }
        *at = value;
    }

    /// Writes config.json for a container of a runtime.
    pub fn write(&self, id: &str) {
        let mut spec = self.spec.clone();
        if spec["linux"].is_object() && spec["linux"]["cgroupsPath"].is_null() {
            spec["linux"]["cgroupsPath"] = json!(format!("/wharf-conformance/{id}"));
        }
        let text = serde_json::to_vec(&spec).unwrap();
        std::fs::write(self.dir().join("config.json"), text).unwrap();
    }

    /// Runs it on a runtime to its end.
    pub fn run(&self, runtime: &Runtime) -> Said {
        let id = unique(runtime);
        self.write(&id);
        let said = runtime.run_in(self.dir(), &["run", &id]);
        runtime.clear(&id);
        let said = Said {
            out: said.out.replace(&id, "ID"),
            err: said.err.replace(&id, "ID"),
            ..said
        };
        assert_nothing_left(&id);
        said
    }
}

/// A name for a container that no other test has.
pub fn unique(runtime: &Runtime) -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("c-{}-{}-{number}", runtime.name, std::process::id())
}

/// No group and no mount may bear the name any more.
pub fn assert_nothing_left(id: &str) {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(id), "{mounts}");
    for hierarchy in std::fs::read_dir("/sys/fs/cgroup").unwrap() {
        let group = hierarchy.unwrap().path().join("wharf-conformance").join(id);
        assert!(!group.exists(), "left behind: {}", group.display());
    }
}

const APPLETS: [&str; 37] = [
    "sh",
    "cat",
    "ls",
    "id",
    "sleep",
    "env",
    "hostname",
    "grep",
    "stat",
    "mount",
    "touch",
    "head",
    "wc",
    "tty",
    "stty",
    "readlink",
    "nproc",
    "ip",
    "true",
    "false",
    "echo",
    "sed",
    "cut",
    "uname",
    "mkdir",
    "dd",
    "mknod",
    "chmod",
    "pwd",
    "test",
    "sort",
    "umount",
    "dnsdomainname",
    "ps",
    "kill",
    "chown",
    "tail",
];

/// Like `runc spec`'s, without a terminal and with a root that can be written.
fn base() -> Value {
    let caps = json!(["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]);
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": { "uid": 0, "gid": 0 },
            "env": ["PATH=/bin:/sbin", "TERM=xterm"],
            "cwd": "/",
            "capabilities": { "bounding": caps, "effective": caps, "permitted": caps },
            "noNewPrivileges": true,
        },
        "root": { "path": "rootfs" },
        "hostname": "runc",
        "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc" },
            { "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
              "options": ["nosuid", "strictatime", "mode=755", "size=65536k"] },
            { "destination": "/dev/pts", "type": "devpts", "source": "devpts",
              "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"] },
            { "destination": "/dev/shm", "type": "tmpfs", "source": "shm",
              "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"] },
            { "destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
              "options": ["nosuid", "noexec", "nodev"] },
            { "destination": "/sys", "type": "sysfs", "source": "sysfs",
              "options": ["nosuid", "noexec", "nodev", "ro"] },
        ],
        "linux": {
            "resources": { "devices": [{ "allow": false, "access": "rwm" }] },
            "namespaces": [
                { "type": "pid" }, { "type": "network" }, { "type": "ipc" },
                { "type": "uts" }, { "type": "mount" },
            ],
            "maskedPaths": ["/proc/acpi", "/proc/keys", "/sys/firmware"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"],
        },
    })
}
