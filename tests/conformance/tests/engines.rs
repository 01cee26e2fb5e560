//! Other engines with our runtime: podman, containerd, dockerd. A call is skipped only where the
//! same call with Debian's runc fails on this machine, and says so.
//!
//! A story is a file of lines: words, exit code, and what the output holds. `LIMITS`, `RUNTIME`,
//! `NAME` and `TAR` stand for what differs.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use conformance::Runtime;
use testkit::TempDir;

/// No network, and limits that this machine may not raise.
const LIMITS: [&str; 6] = [
    "--network",
    "none",
    "--ulimit",
    "nofile=512:512",
    "--ulimit",
    "nproc=1024:1024",
];

/// A program that runs as long as this value.
struct Running(Child);

impl Running {
    fn start(program: &str, words: &[&str], log: &str) -> Self {
        let log = std::fs::File::create(log).unwrap();
        let mut command = Command::new(program);
        command.args(words).stdin(Stdio::null());
        let streams = command.stdout(log.try_clone().unwrap()).stderr(log);
        Self(streams.spawn().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.0);
        let told = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        if told.is_err() || self.0.wait().is_err() {
            println!("it ended by itself");
        }
    }
}

/// What a program said.
#[derive(Clone, Debug)]
struct Answer {
    code: i32,
    text: String,
}

fn call(program: &str, words: &[&str]) -> Answer {
    let output = Command::new("timeout")
        .args(["-k", "1", "50", program])
        .args(words)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Answer {
        code: output.status.code().unwrap_or(-1),
        text: text(&output.stdout) + &text(&output.stderr),
    }
}

fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut dirs = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let found = dirs.any(|dir| dir.join(program).exists());
    if !found {
        println!("skipped: {program} is not installed");
    }
    found
}

/// The archive of the box image.
fn archive(temp: &TempDir) -> String {
    let path = temp.path().join("box.tar");
    testkit::box_tar(temp.path(), &path);
    path.to_string_lossy().into_owned()
}

/// Tells one step; a listing is asked for until it says what it must.
fn step(engine: &dyn Fn(&[&str]) -> Answer, words: &[&str], code: i32, text: &str) -> Answer {
    let patience = if words.contains(&"ls") { 50 } else { 1 };
    for _ in 1..patience {
        let answer = engine(words);
        if answer.code == code && answer.text.contains(text) {
            return answer;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    engine(words)
}

/// Tells a story with one runtime; what did not go as it must, by the number of the step.
fn failures(
    story: &str,
    who: &Who<'_>,
    engine: &dyn Fn(&Who<'_>, &[&str]) -> Answer,
    tar: &str,
) -> Vec<(usize, String)> {
    let mut failures = Vec::new();
    for (number, line) in story.lines().enumerate() {
        let (words, code, text): (Vec<String>, i32, String) = serde_json::from_str(line).unwrap();
        let words = who.words(&words, tar);
        let answer = step(&|words| engine(who, words), &words, code, &text);
        if answer.code != code || !answer.text.contains(&text) {
            failures.push((
                number,
                format!("{words:?}: expected {code} {text:?}: {answer:?}"),
            ));
        }
    }
    failures
}

/// Tells a story with ours; where a step fails, with runc too: what fails with both is skipped, and
/// said.
fn tell(story: &str, engine: &dyn Fn(&Who<'_>, &[&str]) -> Answer, tar: &str) {
    let ours = Runtime::ours();
    let own = Who {
        runtime: ours.program.to_str().unwrap(),
        name: "ours",
    };
    let failed = failures(story, &own, engine, tar);
    if failed.is_empty() {
        return;
    }
    let theirs = Who {
        runtime: "/usr/sbin/runc",
        name: "theirs",
    };
    let known = failures(story, &theirs, engine, tar);
    for (number, what) in failed {
        assert!(known.iter().any(|(other, _)| *other == number), "{what}");
        println!("skipped, for it fails with runc too: {what}");
    }
}

/// Whose runtime it is.
struct Who<'a> {
    runtime: &'a str,
    name: &'a str,
}

impl<'a> Who<'a> {
    fn words(&self, words: &'a [String], tar: &'a str) -> Vec<&'a str>
    where
        Self: 'a,
    {
        let expand = |word: &'a String| match word.as_str() {
            "LIMITS" => LIMITS.to_vec(),
            "RUNTIME" => vec![self.runtime],
            "NAME" => vec![self.name],
            "TAR" => vec![tar],
            word => vec![word],
        };
        words.iter().flat_map(expand).collect()
    }
}

#[test]
fn root_host_podman() {
    if !has("podman") {
        return;
    }
    let temp = TempDir::new("wharf-podman");
    let tar = archive(&temp);
    let engine = |who: &Who<'_>, words: &[&str]| {
        let (root, run) = (
            temp.at(&format!("{}-root", who.name)),
            temp.at(&format!("{}-run", who.name)),
        );
        let globals = [
            "--root",
            &root,
            "--runroot",
            &run,
            "--cgroup-manager",
            "cgroupfs",
            "--events-backend",
            "file",
            "--storage-driver",
            "vfs",
            "--log-level",
            "error",
            "--runtime",
            who.runtime,
        ];
        call("podman", &[&globals, words].concat())
    };
    tell(include_str!("../stories/podman.jsonl"), &engine, &tar);
    for name in ["theirs", "ours"] {
        let who = Who {
            runtime: "/usr/sbin/runc",
            name,
        };
        engine(&who, &["system", "reset", "--force"]);
    }
}

#[test]
fn root_host_containerd() {
    if !has("containerd") || !has("ctr") {
        return;
    }
    let temp = TempDir::new("wharf-ctr");
    let socket = temp.at("c.sock");
    let settings = format!(
        "version = 2\nroot = {:?}\nstate = {:?}\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n\
         [grpc]\n  address = {socket:?}\n[ttrpc]\n  address = \"\"\n",
        temp.at("root"),
        temp.at("state")
    );
    let settings = temp.file("config.toml", &settings);
    let daemon = Running::start("containerd", &["--config", &settings], &temp.at("log"));
    let ctr = |words: &[&str]| call("ctr", &[&["-a", socket.as_str()], words].concat());
    testkit::eventually("containerd answers", || {
        (ctr(&["version"]).code == 0).then_some(())
    });
    let folder = temp.at("image");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/image.py");
    let made = call("python3", &[script, &folder, &archive(&temp)]);
    assert_eq!(made.code, 0, "{made:?}");
    let packed = temp.at("image.tar");
    assert_eq!(call("tar", &["-C", &folder, "-cf", &packed, "."]).code, 0);
    let imported = ctr(&["images", "import", &packed]);
    assert_eq!(imported.code, 0, "{imported:?}");
    let engine = |_: &Who<'_>, words: &[&str]| ctr(words);
    tell(include_str!("../stories/containerd.jsonl"), &engine, "");
    drop(daemon);
}

/// `dockerd --add-runtime`, of Debian's own version.
#[test]
fn root_host_dockerd() {
    if !has("dockerd") || !has("docker") {
        return;
    }
    let temp = TempDir::new("wharf-dockerd");
    let ours = Runtime::ours();
    let socket = format!("unix://{}", temp.at("s"));
    let places = [temp.at("data"), temp.at("exec"), temp.at("pid")];
    let [data, exec, pid] = &places;
    let runtimes = [
        format!("ours={}", ours.program.display()),
        "theirs=/usr/sbin/runc".to_owned(),
    ];
    let words = [
        "-b",
        "none",
        "--iptables=false",
        "--ip6tables=false",
        "--storage-driver",
        "vfs",
        "-H",
        &socket,
        "--data-root",
        data,
        "--exec-root",
        exec,
        "-p",
        pid,
        "--add-runtime",
        &runtimes[0],
        "--add-runtime",
        &runtimes[1],
    ];
    let daemon = Running::start("dockerd", &words, &temp.at("log"));
    let docker = |words: &[&str]| call("docker", &[&["-H", socket.as_str()], words].concat());
    testkit::eventually("dockerd answers", || {
        (docker(&["version"]).code == 0).then_some(())
    });
    assert_eq!(docker(&["import", &archive(&temp), "box:1"]).code, 0);
    let engine = |who: &Who<'_>, words: &[&str]| {
        let name = |word: &&str| {
            if *word == who.runtime {
                who.name.to_owned()
            } else {
                (*word).to_owned()
            }
        };
        let words: Vec<String> = words.iter().map(name).collect();
        docker(&words.iter().map(String::as_str).collect::<Vec<_>>())
    };
    tell(include_str!("../stories/dockerd.jsonl"), &engine, "");
    drop(daemon);
}
