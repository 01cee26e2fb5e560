//! `rm`, `rename`: a container leaves, or gets another name.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::cell::Cell;
use super::create::{checked_name, name_conflict};
use super::record::{CONTAINERS, NAMES, Record, STATES};
use super::state::Status;
use crate::error::{Error, Result};
use crate::volume::{self, VolumeRecord};
use crate::{Engine, blocking, to_its_end};
use image::Garbage;
use meta::{Read, Txn};

/// What becomes of the anonymous volumes of a container that goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Volumes {
    /// They stay, for nobody in particular.
    Keep,
    /// Those that no other container names go too.
    Remove,
}

impl Engine {
    /// Removes a container; a running one only by force.
    pub async fn remove(&self, typed: &str, force: bool, volumes: Volumes) -> Result<()> {
        let (engine, typed) = (self.clone(), typed.to_owned());
        to_its_end(async move { engine.remove_whole(&typed, force, volumes).await }).await
    }

    async fn remove_whole(&self, typed: &str, force: bool, volumes: Volumes) -> Result<()> {
        let cell = self.find(typed)?;
        let _verb = cell.verb.lock().await;
        let state = cell.state();
        if state.removed {
            return Err(Error::not_found(format!("No such container: {typed}")));
        }
        if state.status.is_running() {
            if !force {
                let how = match state.status {
                    Status::Paused => "container is paused and must be unpaused first",
                    Status::Restarting => {
                        "container is restarting: stop the container before removing or force \
                         remove"
                    }
                    _ => "container is running: stop the container before removing or force remove",
                };
                let sentence = format!(
                    "cannot remove container \"{}\": {how}",
                    typed.trim_start_matches('/')
                );
                return Err(Error::conflict(sentence));
            }
            self.thaw_and_kill(&cell).await?;
        }
        self.remove_locked(&cell, volumes).await
    }

    async fn thaw_and_kill(&self, cell: &Arc<Cell>) -> Result<()> {
        if let Some(shim) = cell.shim() {
            // A frozen process cannot die; that it is not frozen is no error here.
            drop(
                shim.ask(shim::protocol::Request::Freeze { frozen: false }, &[])
                    .await,
            );
        }
        self.hold(cell).await?;
        self.kill_locked(cell).await
    }

    pub(crate) async fn remove_locked(&self, cell: &Arc<Cell>, volumes: Volumes) -> Result<()> {
        if cell.state().removed {
            // It removed itself at its end.
            return Ok(());
        }
        self.forget(cell, volumes).await
    }

    /// One commit takes the container out of the records; then everybody is told; the rest is
    /// cleaning.
    pub(crate) async fn forget(&self, cell: &Arc<Cell>, volumes: Volumes) -> Result<()> {
        self.make_room();
        // Before the address is given back: nothing may answer there any more.
        let _given_back_with_the_record = self.detach_network(cell);
        let record = cell.record();
        let engine = self.clone();
        let gone = Arc::clone(&record);
        let (layers, gone) = blocking::run(move || engine.delete_records(&gone, volumes)).await?;
        for volume in &gone {
            self.volume_event(volume, "destroy", &[]);
        }
        self.cells_mut(|cells| cells.remove(cell.id));
        self.container_event(cell, "destroy", &[]);
        let mut state = cell.state();
        state.removed = true;
        cell.set_state(state);
        super::start::dismiss(cell.take_shim()).await;
        let engine = self.clone();
        blocking::run(move || {
            if let Err(error) = engine.images().discard(layers) {
                tracing::warn!(%error, id = %record.id, "removing layers");
            }
            engine.discard(&record);
            engine.keep_room();
        })
        .await;
        Ok(())
    }

    /// Returns what goes with the container: the layers of an image that was removed before, and
    /// volumes, whose directories are gone already.
    pub(super) fn delete_records(
        &self,
        record: &Record,
        volumes: Volumes,
    ) -> Result<(Garbage, Vec<VolumeRecord>)> {
        let anonymous = match volumes {
            Volumes::Keep => BTreeSet::new(),
            Volumes::Remove => volume::mounts::anonymous(record).cloned().collect(),
        };
        let _held = self.volumes().locks.lock(anonymous);
        let (garbage, gone) = self.meta().write(|txn| {
            let garbage = self.delete_rows(txn, record)?;
            let gone = match volumes {
                Volumes::Keep => Vec::new(),
                Volumes::Remove => volume::mounts::doom_anonymous(txn, record)?,
            };
            Ok::<_, Error>((garbage, gone))
        })?;
        let names: Vec<String> = gone.iter().map(|one| one.name.clone()).collect();
        self.bury_all(&names);
        Ok((garbage, gone))
    }

    fn delete_rows(&self, txn: &Txn<'_>, record: &Record) -> Result<Garbage> {
        let id = record.id.to_string();
        txn.delete(&CONTAINERS, &id)?;
        txn.delete(&STATES, &id)?;
        // The name as it is now: the record may be older than a rename.
        for (name, owner) in txn.scan(&NAMES)? {
            if owner == record.id {
                txn.delete(&NAMES, &name)?;
            }
        }
        for endpoint in &record.endpoints {
            self.networks()
                .release(txn, endpoint)
                .map_err(|e| Error::internal("giving an address back", e))?;
        }
        if self.images().has(txn, record.image_id)? {
            return Ok(Garbage::default());
        }
        let others = txn.scan(&CONTAINERS)?;
        let snapshots = others.iter().flat_map(|(_, other)| {
            let shown = other
                .host
                .images
                .iter()
                .filter_map(|one| one.found.as_ref());
            shown.map(|(_, view)| view).chain([&other.snapshot])
        });
        Ok(self.images().collect(txn, snapshots)?)
    }

    /// Gives a container another name.
    pub async fn rename(&self, typed: &str, new: &str) -> Result<()> {
        let (engine, typed, new) = (self.clone(), typed.to_owned(), new.to_owned());
        to_its_end(async move { engine.rename_whole(&typed, &new).await }).await
    }

    async fn rename_whole(&self, typed: &str, new: &str) -> Result<()> {
        let cell = self.find(typed)?;
        if new.is_empty() || new == "/" {
            return Err(Error::invalid("Neither old nor new names may be empty"));
        }
        let prefix = "Error when allocating new name: ";
        let new = checked_name(new).map_err(|e| Error::new(e.kind(), format!("{prefix}{e}")))?;
        let _verb = cell.verb.lock().await;
        let old = cell.record().name.clone();
        if old == new {
            return Err(Error::invalid(
                "Renaming a container with the same name as its current name",
            ));
        }
        let engine = self.clone();
        let (id, former, name) = (cell.id, old.clone(), new.clone());
        blocking::run(move || {
            engine.meta().write(|txn| {
                if let Some(owner) = txn.get(&NAMES, &name)? {
                    let error = name_conflict(&name, owner);
                    return Err(Error::new(error.kind(), format!("{prefix}{error}")));
                }
                let mut record: Record = txn
                    .get(&CONTAINERS, &id.to_string())?
                    .ok_or_else(|| Error::not_found(format!("No such container: {id}")))?;
                record.name.clone_from(&name);
                txn.delete(&NAMES, &former)?;
                txn.put(&NAMES, &name, &id)?;
                txn.put(&CONTAINERS, &id.to_string(), &record)?;
                Ok(())
            })
        })
        .await?;
        cell.change_record(|record| record.name.clone_from(&new));
        self.cells_mut(|cells| cells.rename(cell.id, new));
        self.rename_on_networks(&cell).await?;
        self.container_event(&cell, "rename", &[("oldName", &format!("/{old}"))]);
        Ok(())
    }
}
