//! What must be gone when an engine has gone: processes, mounts, sockets, cgroups, files.
//!
//! The case's process is the reaper of every process that its daemon leaves behind, so an orphan
//! shows up as a child. Mounts and sockets are known by the directory of the case, cgroups by the
//! container's id.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, WaitOptions};

use crate::eventually;

/// Makes this process the parent of every process that loses its own below it.
pub(crate) fn adopt_orphans() {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).expect("Linux ≥ 3.4");
}

/// Checks that nothing of the engine below `root` is left.
pub(crate) fn check(root: &Path) {
    let place = root.to_string_lossy().into_owned();
    let mut left = String::new();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
    loop {
        reap();
        let found = find(&place);
        if found.is_empty() {
            return;
        }
        if std::time::Instant::now() > deadline {
            left.push_str(&found.join("\n  "));
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    kill_orphans();
    panic!("left after a clean stop:\n  {left}");
}

fn find(place: &str) -> Vec<String> {
    let mut found = Vec::new();
    for child in children() {
        let line = fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        found.push(format!("process {child}: {line}"));
    }
    for line in fs::read_to_string("/proc/self/mountinfo")
        .unwrap_or_default()
        .lines()
    {
        if line.contains(place) {
            found.push(format!("mount {line}"));
        }
    }
    for line in fs::read_to_string("/proc/net/unix")
        .unwrap_or_default()
        .lines()
    {
        if line.contains(place) {
            found.push(format!("socket {line}"));
        }
    }
    found.extend(files(&Path::new(place).join("d")));
    found.extend(files(&Path::new(place).join("x")));
    found
}

/// Finds files that name a container: a 64-hex name outside the image store.
fn files(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in entries(&folder) {
            let name = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned());
            let name = name.unwrap_or_default();
            if name == "image" || name == "images" {
                continue;
            }
            if name.len() == 64 && name.chars().all(|c| c.is_ascii_hexdigit()) {
                found.push(format!("file {}", path.display()));
            } else if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            }
        }
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
        std::thread::sleep(std::time::Duration::from_millis(10));
        reap();
    }
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

fn children() -> Vec<i32> {
    let mut found = Vec::new();
    for task in entries(Path::new("/proc/self/task")) {
        let text = fs::read_to_string(task.join("children")).unwrap_or_default();
        found.extend(
            text.split_whitespace()
                .filter_map(|id| id.parse::<i32>().ok()),
        );
    }
    found
}

/// Returns the cgroups of container `id` that still exist, in every hierarchy.
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

/// Waits until no cgroup of container `id` is left.
pub(crate) fn no_cgroups(id: &str) {
    eventually(&format!("the cgroups of {id} are removed"), || {
        cgroups(id).is_empty().then_some(())
    });
}
