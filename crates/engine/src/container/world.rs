//! A container's things outside the records: its directory and its cgroup.

use std::ffi::OsStr;
use std::sync::PoisonError;

use shim::protocol::Exit;
use types::ContainerId;
use types::oci::runtime::Spec;

use super::record::Record;
use crate::Engine;
use crate::error::{Error, Result};

/// Removes a file or a directory with all below it; that it is gone already is no error.
pub(crate) fn remove_tree(dir: &std::path::Path, name: &str) -> sys::Result<()> {
    let name = OsStr::new(name);
    let dir = sys::dir::Dir::open(dir)?;
    match dir.find(name)? {
        Some(_) => dir.remove_tree(name),
        None => Ok(()),
    }
}

/// Returns this machine's name.
pub(crate) fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}

impl Engine {
    pub(crate) fn make_directory(&self, record: &Record) -> Result<()> {
        let dir = self.layout().container(record.id);
        sys::dir::Dir::open(&self.layout().containers())
            .and_then(|all| all.make_dir(OsStr::new(&record.id.to_string()), 0o710))
            .map_err(|e| Error::internal(format_args!("making {}", dir.display()), e))
    }

    /// A copy for people and for rebuilding the records; losing it loses nothing.
    pub(crate) fn save_spec(&self, id: ContainerId, spec: &Spec) {
        let Ok(text) = serde_json::to_vec(spec) else {
            return;
        };
        let path = self.layout().container_file(id, "config.json");
        if let Err(error) = sys::durable::replace_volatile(&path, &text, 0o600) {
            tracing::warn!(%error, path = %path.display(), "writing a copy of the spec");
        }
    }

    /// Returns where our program lies for containers with `--init`: a copy, for who replaces the
    /// program of the daemon must not change what runs, and containers must not reach it. In the
    /// data root, for what runs below /run may be mounted without the right to execute.
    pub(crate) fn init_program(&self) -> Result<String> {
        let mut made = self.0.init.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = &*made {
            return Ok(path.clone());
        }
        let path = self.layout().init();
        let program = std::fs::read("/proc/self/exe")
            .map_err(|e| Error::internal("reading our own program", e))?;
        sys::durable::replace_volatile(&path, &program, 0o755)
            .map_err(|e| Error::internal(format_args!("writing {}", path.display()), e))?;
        Ok(made.insert(path.display().to_string()).clone())
    }

    /// Reads what the shim wrote when the container ended.
    pub(crate) fn exit_record(&self, id: ContainerId) -> Option<Exit> {
        let path = self.layout().container_file(id, "exit.json");
        serde_json::from_slice(&std::fs::read(path).ok()?).ok()
    }

    /// Removes what a container leaves on disk: best effort, for the sweep at the next start knows
    /// what is nobody's.
    pub(crate) fn discard(&self, record: &Record) {
        if let Err(error) = self.images().remove_snapshot(&record.snapshot) {
            tracing::warn!(%error, id = %record.id, "removing a writable layer");
        }
        let name = record.id.to_string();
        for dir in [self.layout().containers(), self.layout().shims()] {
            if let Err(error) = remove_tree(&dir, &name) {
                tracing::warn!(%error, id = %record.id, dir = %dir.display(), "removing");
            }
        }
        if let Err(error) = self.images().reap() {
            tracing::warn!(%error, "emptying the trash");
        }
    }

    pub(crate) fn cgroups_path(&self, id: ContainerId) -> String {
        let cell = self.cells(|cells| cells.find(&id.to_string()));
        match cell.map(|cell| cell.record().host.cgroup_parent.clone()) {
            Ok(parent) if !parent.is_empty() => {
                format!("{}/{id}", parent.trim_end_matches('/'))
            }
            _ => format!("{}/{id}", self.0.cgroup_base),
        }
    }

    pub(crate) fn cgroup_pids(&self, id: ContainerId) -> Result<Vec<i32>> {
        let failed = |e| Error::internal("listing the processes of a container", e);
        cgroup::Group::open(&self.0.topology, &self.cgroups_path(id))
            .and_then(|group| group.pids())
            .map_err(failed)
    }

    /// Kills and removes a container's cgroup, if it has one.
    pub(crate) fn kill_cgroup(&self, id: ContainerId) {
        let Ok(group) = cgroup::Group::open(&self.0.topology, &self.cgroups_path(id)) else {
            return;
        };
        if let Err(error) = group.kill().and_then(|()| group.destroy()) {
            tracing::warn!(%error, %id, "removing a cgroup");
        }
    }

    /// Tells whether something of a shim is there that a container which does not run must not have.
    pub(crate) fn has_shim_left(&self, id: ContainerId) -> bool {
        let path = self.cgroups_path(id);
        let mut cgroups = self
            .0
            .topology
            .hierarchies()
            .iter()
            .map(|one| one.directory(&path));
        self.layout().shim_socket(id).exists() || cgroups.any(|cgroup| cgroup.exists())
    }

    /// Removes the cgroups of containers that are not `running`.
    pub(crate) fn sweep_cgroups(&self, running: &std::collections::HashSet<String>) {
        let names: std::collections::HashSet<String> = self
            .0
            .topology
            .hierarchies()
            .iter()
            .filter_map(|hierarchy| {
                std::fs::read_dir(hierarchy.directory(&self.0.cgroup_base)).ok()
            })
            .flatten()
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| !running.contains(name))
            .collect();
        for name in names {
            if let Ok(id) = name.parse() {
                self.kill_cgroup(id);
            }
        }
        // Those that lie elsewhere, because their users wanted it so.
        for cell in self.cells(crate::names::Cells::all) {
            let elsewhere = !cell.record().host.cgroup_parent.is_empty();
            if elsewhere && !running.contains(&cell.id.to_string()) {
                self.kill_cgroup(cell.id);
            }
        }
    }
}
