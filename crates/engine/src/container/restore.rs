//! What a new daemon does before it answers: it believes the disk, asks the shims, and repairs the
//! difference. Nothing that runs is disturbed.

use std::sync::Arc;

use meta::Read;
use shim::protocol::{Exit, Phase, Reply, Request};
use types::ContainerId;

use super::cell::Cell;
use super::record::{CONTAINERS, Record, STATES};
use super::state::{State, Status};
use crate::error::{Error, Result};
use crate::shim_client::Shim;
use crate::{Engine, blocking, now_ns};

impl Engine {
    /// Reads all records and adopts what runs.
    pub(crate) async fn restore(&self) -> Result<()> {
        let engine = self.clone();
        let records = blocking::run(move || engine.read_records()).await?;
        let mut running = Vec::new();
        for (record, state) in records {
            let alive = state.status.is_running();
            let name = record.name.clone();
            let cell = Cell::new(record, state);
            self.cells_mut(|cells| cells.insert(name, Arc::clone(&cell)));
            if alive || cell.record().host.auto_remove {
                running.push(cell);
            }
        }
        for cell in running {
            self.adopt(&cell).await;
        }
        self.send_shims_away().await;
        let engine = self.clone();
        blocking::run(move || {
            engine.repair_network()?;
            engine.sweep()
        })
        .await?;
        for cell in self.cells(crate::names::Cells::all) {
            self.start_by_rule(&cell);
        }
        Ok(())
    }

    /// Ends the shims of containers that do not run: the last daemon died before it started them,
    /// or after they had ended.
    async fn send_shims_away(&self) {
        let running = self.running();
        let dir = self.layout().shims();
        let names = std::fs::read_dir(dir).into_iter().flatten().flatten();
        for entry in names {
            let id = entry.file_name().to_string_lossy().parse();
            if let Ok(id) = id
                && !running.contains(&id)
            {
                self.send_shim_away(id).await;
            }
        }
    }

    /// Ends the shim of a container that does not run, if it has one, and what it held.
    pub(crate) async fn send_shim_away(&self, id: ContainerId) {
        let path = self.layout().shim_socket(id);
        if let Ok(socket) = Shim::connect(&path)
            && let Ok((shim, _events)) = Shim::new(socket)
        {
            // It may be about to go by itself; either way it has let go of everything then.
            drop(shim.ask(Request::Delete, &[]).await);
        }
        let engine = self.clone();
        blocking::run(move || {
            engine.kill_cgroup(id);
            let (dir, name) = (engine.layout().shims(), id.to_string());
            if let Err(error) = super::world::remove_tree(&dir, &name) {
                tracing::warn!(%error, %id, "removing a shim's socket");
            }
        })
        .await;
    }

    /// Returns the containers that run.
    fn running(&self) -> Vec<ContainerId> {
        self.cells(crate::names::Cells::all)
            .iter()
            .filter(|cell| cell.state().status.is_running())
            .map(|cell| cell.id)
            .collect()
    }

    /// Brings the wires, ports and names of what runs back, and forgets the addresses of what does
    /// not.
    fn repair_network(&self) -> Result<()> {
        let running: Vec<_> = self
            .cells(crate::names::Cells::all)
            .iter()
            .filter(|cell| cell.state().status.is_running())
            .map(|cell| self.as_running(cell))
            .collect();
        self.meta().write(|txn| {
            self.networks()
                .repair(txn, &running)
                .map(drop)
                .map_err(|e| Error::internal("repairing the network", e))
        })?;
        if let Err(error) = self.networks().adopt(running) {
            tracing::warn!(%error, "loopback ports and names do not work");
        }
        Ok(())
    }

    fn read_records(&self) -> Result<Vec<(Record, State)>> {
        let view = self.meta().read()?;
        let mut all = Vec::new();
        for (key, record) in view.scan(&CONTAINERS)? {
            let state = view.get(&STATES, &key)?.unwrap_or_else(State::created);
            all.push((record, state));
        }
        Ok(all)
    }

    /// Connects to the shim of a container that ran when the last daemon ended, or when it was heard
    /// of last.
    pub(crate) async fn adopt(&self, cell: &Arc<Cell>) {
        let state = cell.state();
        if !state.status.is_running() {
            // `--rm` and ended, or never started: the daemon died before it could remove it.
            if state.status == Status::Exited
                && let Err(error) = self.forget(cell, super::remove::Volumes::Remove).await
            {
                tracing::warn!(%error, id = %cell.id, "removing a leftover container");
            }
            return;
        }
        match self.greet(cell).await {
            Some(exit) => self.ended(cell, exit).await,
            None if cell.shim().is_some() => {
                tracing::info!(id = %cell.id, "adopted");
            }
            None => match self.exit_record(cell.id) {
                Some(exit) if exit.finished_ns >= state.started_ns.unwrap_or(0) => {
                    self.catch_up(cell, Some(exit));
                    self.ended(cell, exit).await;
                }
                _ => self.shim_died(cell).await,
            },
        }
    }

    /// Says hello; returns the end of the container if it ended meanwhile.
    async fn greet(&self, cell: &Arc<Cell>) -> Option<Exit> {
        let path = self.layout().shim_socket(cell.id);
        let socket = Shim::connect(&path).ok()?;
        let (shim, events) = Shim::new(socket).ok()?;
        let shim = Arc::new(shim);
        let (Reply::Hello(status), _) = shim.call(Request::Hello, &[]).await.ok()? else {
            return None;
        };
        if status.id != cell.id.to_string() {
            return None;
        }
        cell.set_shim(Some(Arc::clone(&shim)));
        match status.phase {
            Phase::Running | Phase::Restarting => {
                let execs = status.execs.clone();
                self.catch_up(cell, None);
                self.take_over(cell, *status).await;
                for id in cell.running_execs() {
                    if !execs.contains(&id) {
                        // It ended while nobody listened.
                        self.exec_ended(cell, &id, 137);
                    }
                }
                self.mind(Arc::clone(cell), events, None);
                None
            }
            Phase::Stopped => status.exit.or_else(|| self.exit_record(cell.id)),
            // The daemon died between create and start: nobody was told that it runs.
            Phase::Empty | Phase::Created => {
                drop(shim.ask(Request::Delete, &[]).await);
                cell.set_shim(None);
                Some(Exit {
                    code: 137,
                    oom: false,
                    finished_ns: now_ns(),
                })
            }
        }
    }

    /// Removes what no record owns: directories, cgroups and sockets that a killed daemon left.
    fn sweep(&self) -> Result<()> {
        self.sweep_containers()?;
        self.recount_volumes();
        self.sweep_volumes()?;
        Ok(self.images().sweep(&self.meta().read()?)?)
    }

    /// The same without what images may be made of now.
    pub(crate) fn sweep_containers(&self) -> Result<()> {
        let known: std::collections::HashSet<String> = self
            .cells(crate::names::Cells::all)
            .iter()
            .map(|cell| cell.id.to_string())
            .collect();
        for dir in [self.layout().containers(), self.layout().shims()] {
            for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                if known.contains(&name) {
                    continue;
                }
                if let Ok(id) = name.parse() {
                    self.kill_cgroup(id);
                }
                if let Err(error) = super::world::remove_tree(&dir, &name) {
                    tracing::warn!(%error, path = %entry.path().display(), "sweeping");
                }
            }
        }
        let running = self.running().iter().map(ToString::to_string).collect();
        self.sweep_cgroups(&running);
        let live = self.cells(crate::names::Cells::all);
        let keys: Vec<_> = live
            .iter()
            .map(|cell| cell.record().snapshot.clone())
            .collect();
        Ok(self.images().sweep_snapshots(&keys)?)
    }
}
