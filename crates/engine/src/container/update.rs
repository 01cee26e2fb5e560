//! `update`: other limits and another restart policy for a container, now and for its next lives.

use std::sync::Arc;

use meta::Read;
use shim::protocol::Request;
use types::oci::runtime::Resources;
use types::restart_policy::Rule;

use super::cell::Cell;
use super::record::{CONTAINERS, Network, Record};
use super::state::Status;
use crate::error::{Error, Result};
use crate::{Engine, blocking};

/// What becomes of a container.
#[derive(Clone, Debug)]
pub struct Update {
    /// All its limits; what is no limit of Docker's stays.
    pub resources: Resources,
    /// Another rule.
    pub restart: Option<Rule>,
    /// The face's own documents.
    pub face: serde_json::Value,
}

impl Engine {
    /// Changes a container as `plan` says, which sees it as it is. Returns sentences for the user.
    pub async fn update<E: From<Error>>(
        &self,
        typed: &str,
        plan: impl FnOnce(&Record) -> Result<Update, E>,
    ) -> Result<Vec<String>, E> {
        let cell = self.find(typed)?;
        let _verb = cell.verb.lock().await;
        let state = cell.state();
        if state.removed || state.status == Status::Removing {
            let why = "container is marked for removal and cannot be \"update\"";
            return Err(cannot(&cell, Error::conflict(why)).into());
        }
        let update = plan(&cell.record())?;
        Ok(self.update_locked(&cell, update).await?)
    }

    async fn update_locked(&self, cell: &Arc<Cell>, update: Update) -> Result<Vec<String>> {
        let mut resources = update.resources.clone();
        resources.devices.clear();
        let (engine, of) = (self.clone(), Arc::clone(cell));
        let alive = matches!(cell.state().status, Status::Running | Status::Paused);
        let warnings = blocking::run(move || engine.limit(&of, &resources, alive)).await?;
        let (engine, of) = (self.clone(), Arc::clone(cell));
        blocking::run(move || engine.save_update(&of, &update)).await?;
        let record = cell.record();
        if let Some(shim) = cell.shim() {
            let engine = self.clone();
            let of = Arc::clone(&record);
            let has_netns = record.host.network != Network::Host;
            let create = blocking::run(move || {
                let volumes = engine.open_volumes(&of, false)?;
                engine.request(&of, volumes, has_netns)
            })
            .await?;
            let request = Request::SetRestart {
                rule: record.host.restart,
                create: Box::new(create),
            };
            shim.ask(request, &[]).await?;
        }
        self.container_event(cell, "update", &[]);
        Ok(warnings)
    }

    fn limit(&self, cell: &Cell, resources: &Resources, alive: bool) -> Result<Vec<String>> {
        let failed = |error: cgroup::Error| {
            let sentence = crate::error::chain(&error);
            cannot(cell, Error::new(types::ErrorKind::Internal, sentence))
        };
        let topology = &self.0.topology;
        let (writes, warnings) = cgroup::plan(resources, topology).map_err(failed)?;
        if alive {
            cgroup::Group::open(topology, &self.cgroups_path(cell.id))
                .and_then(|group| group.apply(&writes))
                .map_err(failed)?;
        }
        Ok(warnings)
    }

    fn save_update(&self, cell: &Cell, update: &Update) -> Result<()> {
        let change = |record: &mut Record| {
            let devices = std::mem::take(&mut record.host.resources.devices);
            record.host.resources = Resources {
                devices,
                ..update.resources.clone()
            };
            if let Some(rule) = update.restart {
                record.host.restart = rule;
            }
            record.face = update.face.clone();
        };
        self.meta().write(|txn| {
            let mut record: Record = txn
                .get(&CONTAINERS, &cell.id.to_string())?
                .ok_or_else(|| Error::not_found(format!("No such container: {}", cell.id)))?;
            change(&mut record);
            txn.put(&CONTAINERS, &cell.id.to_string(), &record)?;
            Ok::<_, Error>(())
        })?;
        cell.change_record(change);
        Ok(())
    }
}

/// Docker's sentence of an update that failed.
fn cannot(cell: &Cell, error: Error) -> Error {
    let sentence = format!("Cannot update container {}: {error}", cell.id);
    Error::caused(error.kind(), sentence, error)
}
