//! What must be gone when an engine has gone: processes, mounts, sockets, cgroups, files.
//!
//! The case's process is the reaper of every process that its daemon leaves behind, so an orphan
//! shows up as a child. Mounts and sockets are known by the directory of the case, cgroups by the
//! engine's id.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions};

/// A clean stop drains the pools within this time.
const DRAINED_WITHIN: Duration = Duration::from_secs(5);

/// Makes this process the parent of every process that loses its own below it.
pub(crate) fn adopt_orphans() {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).expect("Linux ≥ 3.4");
}

/// Checks that nothing is left of the engine `id` that lived below `root`, but for its images.
pub(crate) fn check(root: &Path, id: &str) {
    let place = root.to_string_lossy().into_owned();
    let deadline = Instant::now() + DRAINED_WITHIN;
    let found = loop {
        reap();
        let found = find(&place, id);
        if found.is_empty() {
            return;
        }
        if Instant::now() > deadline {
            break found;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    kill_orphans();
    panic!("left after a clean stop:\n  {}", found.join("\n  "));
}

fn find(place: &str, id: &str) -> Vec<String> {
    let mut found = Vec::new();
    for child in children() {
        let line = fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        found.push(format!("process {child}: {line}"));
    }
    for (what, file) in [
        ("mount", "/proc/self/mountinfo"),
        ("socket", "/proc/net/unix"),
    ] {
        let text = fs::read_to_string(file).unwrap_or_default();
        let lines = text.lines().filter(|line| line.contains(place));
        found.extend(lines.map(|line| format!("{what} {line}")));
    }
    found.extend(
        cgroups(id)
            .iter()
            .map(|path| format!("cgroup {}", path.display())),
    );
    found.extend(files(Path::new(place)));
    found
}

/// Finds what is not an engine's that has images and nothing else.
fn files(place: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut strangers = |folder: &Path, expected: &[&str]| {
        for path in entries(folder) {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            // What has come of a blob is kept for a day, for whoever pulls again.
            let kept = folder.ends_with("ingest") && name.starts_with("blob-");
            if !kept && !expected.contains(&name.as_str()) {
                found.push(format!("file {}", path.display()));
            }
        }
    };
    let data = place.join("d");
    strangers(
        &data,
        &[
            "format",
            "lock",
            "meta.redb",
            "events.jsonl",
            "reserve",
            "layers",
            "rw",
            "ingest",
            "trash",
            "containers",
            "volumes",
            "docker-init",
        ],
    );
    for folder in ["rw", "ingest", "trash", "containers", "volumes"] {
        strangers(&data.join(folder), &[]);
    }
    let exec = place.join("x");
    strangers(&exec, &["shims"]);
    strangers(&exec.join("shims"), &[]);
    for name in ["s", "pid"] {
        if place.join(name).exists() {
            found.push(format!("file {}", place.join(name).display()));
        }
    }
    found
}

/// What a namespace of the machine holds that engines make: counted before one starts and after
/// its end. The campaign's process has mounts and a network of its own, so that all of it is ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ground {
    mounts: Vec<String>,
    links: Vec<String>,
    rules: String,
    networks: BTreeSet<PathBuf>,
}

impl Ground {
    /// Looks.
    pub fn now() -> Ground {
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("proc is mounted");
        let links = fs::read_to_string("/proc/self/net/dev").expect("proc is mounted");
        let rules = std::process::Command::new("nft")
            .args(["list", "ruleset"])
            .output()
            .expect("nftables is installed");
        // Links are numbered and counted; only their names are compared.
        let links = links.lines().filter_map(|line| line.split_once(':'));
        Ground {
            mounts: mounts.lines().map(str::to_owned).collect(),
            links: links.map(|(name, _)| name.trim().to_owned()).collect(),
            rules: String::from_utf8_lossy(&rules.stdout).into_owned(),
            networks: networks(),
        }
    }
}

/// Returns the network namespaces of this process and of all below it, by process and by descriptor.
fn networks() -> BTreeSet<PathBuf> {
    let own = PathBuf::from("/proc/self");
    let below = children()
        .into_iter()
        .map(|id| PathBuf::from(format!("/proc/{id}")));
    let mut found = BTreeSet::new();
    for process in below.chain([own]) {
        found.extend(fs::read_link(process.join("ns/net")));
        let held = entries(&process.join("fd"))
            .into_iter()
            .filter_map(|fd| fs::read_link(fd).ok());
        found.extend(held.filter(|target| target.to_string_lossy().starts_with("net:")));
    }
    found
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect()
}

/// Kills every child, for a case that failed must not disturb the next.
pub(crate) fn kill_orphans() {
    for _ in 0..50 {
        let children = children();
        if children.is_empty() {
            return;
        }
        for child in children {
            signal(child, Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(10));
        reap();
    }
}

/// Kills a process; one that has ended already needs it not.
pub fn kill(id: i32) {
    signal(id, Signal::KILL);
}

/// Signals a process; one that has ended by itself needs none.
pub(crate) fn signal(id: i32, signal: Signal) {
    if let Some(id) = Pid::from_raw(id)
        && let Err(error) = rustix::process::kill_process(id, signal)
    {
        assert!(error == rustix::io::Errno::SRCH, "signal {id:?}: {error}");
    }
}

fn reap() {
    while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
}

/// Returns the shims below this process: its own orphans, and the children of its children.
pub fn shims() -> Vec<i32> {
    let is_shim = |id: &i32| {
        fs::read_to_string(format!("/proc/{id}/comm")).is_ok_and(|name| name.trim() == "wharf-shim")
    };
    let own = children();
    let below = own
        .iter()
        .flat_map(|id| children_of(&format!("/proc/{id}/task")));
    let mut all: Vec<i32> = own.iter().copied().chain(below).filter(is_shim).collect();
    all.sort_unstable();
    all
}

fn children() -> Vec<i32> {
    children_of("/proc/self/task")
}

fn children_of(tasks: &str) -> Vec<i32> {
    let mut found = Vec::new();
    for task in entries(Path::new(tasks)) {
        let text = fs::read_to_string(task.join("children")).unwrap_or_default();
        found.extend(
            text.split_whitespace()
                .filter_map(|id| id.parse::<i32>().ok()),
        );
    }
    found
}

/// Returns the cgroups whose path has `id` in it, in every hierarchy.
fn cgroups(id: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from("/sys/fs/cgroup")];
    while let Some(folder) = folders.pop() {
        for path in entries(&folder)
            .into_iter()
            .filter(|path| path.is_dir() && !path.is_symlink())
        {
            if path.to_string_lossy().contains(id) {
                found.push(path);
            } else {
                folders.push(path);
            }
        }
    }
    found
}
