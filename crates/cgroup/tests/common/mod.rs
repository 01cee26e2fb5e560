//! What the tests of this room share: a path of their own that is always cleaned up, and
//! processes that enter a group by themselves.

#![expect(
    clippy::disallowed_methods,
    reason = "a test starts plain programs by their names"
)]
#![expect(
    clippy::unwrap_used,
    reason = "clippy knows only functions marked as tests"
)]
#![allow(dead_code, reason = "each test binary uses another part")]

use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cgroup::{Group, Topology};

/// This machine's.
pub(crate) fn topology() -> Topology {
    Topology::detect().unwrap()
}

/// A parent group of this process and test alone, removed with all below it at the end.
pub(crate) struct Cleanup(String);

impl Cleanup {
    pub(crate) fn new(name: &str) -> Self {
        Self(format!("wharf-test-{}-{name}", std::process::id()))
    }

    /// The path of a group below the parent.
    pub(crate) fn path(&self, name: &str) -> String {
        format!("/{}/{name}", self.0)
    }

    /// Where the group exists.
    pub(crate) fn directories(&self, name: &str) -> Vec<PathBuf> {
        let all = topology();
        let all = all
            .hierarchies()
            .iter()
            .map(|one| one.directory(&self.path(name)));
        all.filter(|directory| directory.exists()).collect()
    }
}

impl Drop for Cleanup {
    fn drop(&mut self) {
        if let Ok(group) = Group::open(&topology(), &self.0) {
            let done = group.kill().and_then(|()| group.destroy());
            if !std::thread::panicking() {
                done.unwrap();
            }
        }
    }
}

/// Writes a value into a file of a group.
pub(crate) fn write(file: &Path, value: &str) {
    std::fs::write(file, value).unwrap();
}

/// A process in a group.
pub(crate) struct Sleeper(Child);

impl Sleeper {
    /// Sleeps.
    pub(crate) fn enter(group: &Group) -> Self {
        Self::script(group, "exec sleep 60")
    }

    /// Uses a processor.
    pub(crate) fn count(group: &Group) -> Self {
        Self::script(group, "while :; do :; done")
    }

    /// Runs a shell script that enters the group first, by the descriptors of its entry.
    pub(crate) fn script(group: &Group, script: &str) -> Self {
        let entry = group.entry().unwrap();
        let own = std::process::id();
        let mut enter = String::from("set -e; ");
        for tasks in &entry.tasks {
            let file = format!("/proc/{own}/fd/{}", tasks.as_raw_fd());
            enter.extend(["echo 0 > ", &file, "; "]);
        }
        if let Some(into) = &entry.into {
            let file = format!("/proc/{own}/fd/{}/cgroup.procs", into.as_raw_fd());
            enter.extend(["echo 0 > ", &file, "; "]);
        }
        enter += "set +e; echo in; ";
        let mut child = Command::new("/bin/sh")
            .args(["-c", &(enter + script)])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut word = [0; 3];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut word).unwrap();
        assert_eq!(&word, b"in\n");
        Self(child)
    }

    pub(crate) fn pid(&self) -> i32 {
        self.0.id().cast_signed()
    }

    /// Its lines of /proc/PID/cgroup.
    pub(crate) fn groups(&self) -> Vec<String> {
        let text = std::fs::read_to_string(format!("/proc/{}/cgroup", self.pid())).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// User time so far.
    pub(crate) fn cpu_ticks(&self) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        text.rsplit(')')
            .next()
            .unwrap()
            .split(' ')
            .nth(12)
            .unwrap()
            .parse()
            .unwrap()
    }

    pub(crate) fn wait_for_cpu_beyond(&self, ticks: u64) {
        while self.cpu_ticks() <= ticks {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for its end: the signal that ended it.
    pub(crate) fn signal(&mut self) -> Option<i32> {
        self.0.wait().unwrap().signal()
    }

    /// Waits for its end: its exit code.
    pub(crate) fn code(&mut self) -> Option<i32> {
        self.0.wait().unwrap().code()
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
