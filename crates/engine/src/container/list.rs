//! `ps`, `inspect`, `top`: what a container is.

use std::sync::Arc;

use super::cell::Cell;
use super::record::Record;
use super::state::State;
use crate::Engine;
use crate::error::{Error, Result};

/// A container as it stands now.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// What was decided when it was created.
    pub record: Arc<Record>,
    /// How it is.
    pub state: State,
    /// Exec instances that were made in it and still run.
    pub execs: Vec<String>,
    /// Its directory on the host.
    pub dir: std::path::PathBuf,
    /// Where each of its volumes is on the host, in the order of the record's.
    pub volumes: Vec<std::path::PathBuf>,
}

/// The processes of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Processes {
    /// Column heads.
    pub titles: Vec<String>,
    /// One row per process.
    pub rows: Vec<Vec<String>>,
}

impl Engine {
    /// Returns all containers, the newest first.
    pub fn list(&self) -> Vec<Snapshot> {
        let cells = self.cells(super::super::names::Cells::all);
        let mut all: Vec<Snapshot> = cells.iter().map(|cell| self.snapshot(cell)).collect();
        all.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.record.created_ns));
        all
    }

    /// Returns one container.
    pub fn inspect(&self, typed: &str) -> Result<Snapshot> {
        Ok(self.snapshot(&*self.find(typed)?))
    }

    fn snapshot(&self, cell: &Cell) -> Snapshot {
        let record = cell.record();
        Snapshot {
            state: cell.state(),
            execs: cell.running_execs(),
            dir: self.layout().container(record.id),
            volumes: record
                .host
                .volumes
                .iter()
                .map(|one| self.volume_place(&one.name, &one.driver))
                .collect(),
            record,
        }
    }

    /// Returns what `ps` would show of a container.
    pub async fn top(&self, typed: &str, ps_args: &str) -> Result<Processes> {
        let cell = self.find(typed)?;
        if !cell.state().status.is_running() {
            return Err(Error::conflict(format!(
                "container {} is not running",
                cell.id
            )));
        }
        if cell.state().status == super::state::Status::Restarting {
            return Err(super::stop::is_restarting(typed));
        }
        let columns = super::top::columns(ps_args)?;
        let engine = self.clone();
        let id = cell.id;
        let processes = crate::blocking::run(move || {
            let pids = engine.cgroup_pids(id)?;
            Ok::<_, Error>(super::top::table(&columns, &pids))
        })
        .await?;
        self.container_event(&cell, "top", &[]);
        Ok(processes)
    }
}
