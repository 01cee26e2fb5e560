//! The state directory: one directory per container, with what the next command needs to know.
//!
//! `state.json` has runc's keys, which other tools read, and ours under `wharf`; `config.json` is
//! the bundle's as it was at creation; `exec.fifo` is there until the container was started.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use types::oci::runtime::Spec;

use super::error::{Error, Result};

/// The gate that init waits at.
pub(super) const GATE: &str = "exec.fifo";

/// What is known of a container.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Record {
    pub(super) id: String,
    pub(super) init_process_pid: i32,
    pub(super) init_process_start: u64,
    pub(super) created: String,
    pub(super) config: Config,
    /// Controller → directory.
    pub(super) cgroup_paths: BTreeMap<String, String>,
    /// `NEWPID` → file.
    pub(super) namespace_paths: BTreeMap<String, String>,
    /// What only we need.
    pub(super) wharf: Own,
}

/// What other tools read of runc's own configuration.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Config {
    pub(super) version: String,
    pub(super) rootfs: String,
    pub(super) labels: Vec<String>,
}

/// What only this runtime needs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Own {
    pub(super) bundle: String,
    /// Below each hierarchy's mount.
    pub(super) cgroup: String,
    pub(super) annotations: BTreeMap<String, String>,
    /// `CLONE_NEW…` of the namespaces that are not the host's.
    pub(super) namespaces: u64,
    /// It has a pid namespace of its own, which ends with its init.
    pub(super) has_pid_namespace: bool,
    /// Creation is over.
    pub(super) is_made: bool,
}

/// Where a container is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Creating,
    Created,
    Running,
    Paused,
    Stopped,
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        })
    }
}

/// All containers of one root.
#[derive(Clone, Debug)]
pub(super) struct Store {
    root: PathBuf,
}

/// One container.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) dir: PathBuf,
    pub(super) record: Record,
}

impl Store {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Makes the directory of a new container. Its lock is held until the creation is over: a
    /// container without init is being made as long as somebody holds it.
    pub(super) fn add(&self, id: &str) -> Result<(PathBuf, OwnedFd)> {
        let dir = self.dir(id)?;
        let mut builder = fs::DirBuilder::new();
        builder
            .recursive(true)
            .mode(0o700)
            .create(&self.root)
            .map_err(|error| Error::file(&self.root, &error))?;
        match fs::DirBuilder::new().mode(0o711).create(&dir) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(Error::Exists),
            Err(error) => return Err(Error::file(&dir, &error)),
        }
        let lock = fs::File::open(&dir).map_err(|error| Error::file(&dir, &error))?;
        let lock = OwnedFd::from(lock);
        sys::dir::try_lock(lock.as_fd()).map_err(Error::kernel("lock of the state directory"))?;
        Ok((dir, lock))
    }

    /// Finds a container.
    pub(super) fn find(&self, id: &str) -> Result<Entry> {
        let dir = self.dir(id)?;
        let text = match fs::read(dir.join("state.json")) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(Error::Missing),
            Err(error) => return Err(Error::file(&dir, &error)),
        };
        let record: Record = serde_json::from_slice(&text)
            .map_err(|error| Error::Said(format!("state of container {id}: {error}")))?;
        if record.wharf.bundle.is_empty() {
            return Err(Error::Said(format!(
                "container {id} in {} was made by another runtime",
                self.root.display()
            )));
        }
        Ok(Entry { dir, record })
    }

    /// Removes what is left of a container that cannot be read.
    pub(super) fn forget(&self, id: &str) -> Result<()> {
        let dir = self.dir(id)?;
        if dir.is_dir() { remove(&dir) } else { Ok(()) }
    }

    /// All containers that can be read, by id.
    pub(super) fn list(&self) -> Result<Vec<Entry>> {
        let entries = match fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::file(&self.root, &error)),
        };
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        names.sort();
        // One that goes or comes meanwhile is not there.
        Ok(names.iter().filter_map(|id| self.find(id).ok()).collect())
    }

    fn dir(&self, id: &str) -> Result<PathBuf> {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-.".contains(&byte);
        if id.is_empty() || id.len() > 1024 || matches!(id, "." | "..") || !id.bytes().all(good) {
            return Err(Error::Said("invalid container ID format".to_owned()));
        }
        Ok(self.root.join(id))
    }
}

/// Removes a state directory with all in it.
pub(super) fn remove(dir: &Path) -> Result<()> {
    let (Some(parent), Some(name)) = (dir.parent(), dir.file_name()) else {
        return Ok(());
    };
    let done = sys::dir::Dir::open(parent).and_then(|parent| parent.remove_tree(name));
    match done {
        Err(error) if error.errno != sys::Errno::NOENT => {
            Err(Error::kernel("remove the state directory")(error))
        }
        _ => Ok(()),
    }
}

impl Entry {
    /// Writes the record: whole or not at all.
    pub(super) fn save(&self) -> Result<()> {
        let text = serde_json::to_vec(&self.record)
            .map_err(|error| Error::Said(format!("state: {error}")))?;
        sys::durable::replace_volatile(&self.dir.join("state.json"), &text, 0o600)
            .map_err(Error::kernel("write state.json"))
    }

    /// Keeps the configuration, for additional processes.
    pub(super) fn save_spec(&self, text: &[u8]) -> Result<()> {
        sys::durable::replace_volatile(&self.dir.join("config.json"), text, 0o600)
            .map_err(Error::kernel("write config.json"))
    }

    /// The configuration as it was at creation.
    pub(super) fn spec(&self) -> Result<Spec> {
        let path = self.dir.join("config.json");
        let text = fs::read(&path).map_err(|error| Error::file(&path, &error))?;
        serde_json::from_slice(&text).map_err(|error| Error::Said(format!("config.json: {error}")))
    }

    /// Tells where the container is in its life.
    pub(super) fn status(&self) -> Status {
        let own = &self.record.wharf;
        if !self.is_alive() {
            return if !own.is_made && self.is_locked() {
                Status::Creating
            } else {
                Status::Stopped
            };
        }
        if !own.is_made {
            return Status::Creating;
        }
        // One whose group is gone is not frozen.
        if self
            .group()
            .is_ok_and(|group| group.is_frozen().unwrap_or(false))
        {
            return Status::Paused;
        }
        if self.dir.join(GATE).exists() {
            Status::Created
        } else {
            Status::Running
        }
    }

    fn is_locked(&self) -> bool {
        let Ok(file) = fs::File::open(&self.dir) else {
            return false;
        };
        matches!(sys::dir::try_lock(file.as_fd()), Ok(false))
    }

    /// Tells whether init lives; a zombie does not.
    pub(super) fn is_alive(&self) -> bool {
        let (pid, start) = (self.record.init_process_pid, self.record.init_process_start);
        if pid <= 0 {
            return false;
        }
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
            return false;
        };
        let Some((_, fields)) = stat.rsplit_once(')') else {
            return false;
        };
        let mut fields = fields.split_ascii_whitespace();
        let state = fields.next().unwrap_or_default();
        let found = fields.nth(18).and_then(|field| field.parse().ok());
        !matches!(state, "Z" | "X") && (start == 0 || found == Some(start))
    }

    /// A descriptor of init, if it is the one that was recorded.
    pub(super) fn init(&self) -> Option<OwnedFd> {
        let pidfd = sys::pidfd::open(self.record.init_process_pid).ok()?;
        self.is_alive().then_some(pidfd)
    }

    /// Its control group.
    pub(super) fn group(&self) -> Result<cgroup::Group> {
        let topology = crate::create::topology()?;
        Ok(cgroup::Group::open(topology, &self.record.wharf.cgroup)?)
    }

    /// The user that made it, by number.
    pub(super) fn owner(&self) -> u32 {
        fs::metadata(&self.dir).map_or(0, |found| found.uid())
    }
}
