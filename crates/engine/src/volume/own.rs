//! What Docker's volumes cannot: export, import, clone, snapshot, rename.
//!
//! A clone shares its contents with the original where the file system can (FICLONE). It is made
//! aside; the commit that writes its row says where it lies, and the next start moves it home if this
//! one does not.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;

use meta::{Read, Table};
use sys::dir::Dir;

use super::local::is_elsewhere;
use super::mounts::DATA;
use super::{DOOMED_PREFIX, VOLUMES, Volume, VolumeRecord, absent, check_name, users_of};
use crate::container::state::Status;
use crate::error::{Error, Result, chain};
use crate::input::Input;
use crate::{Engine, blocking, now_ns, to_its_end};

/// Volume → the directory that is to become its own.
pub(super) const MOVED: Table<String> = Table::new("volume_moved");

/// The label that names the original of a snapshot.
pub const SNAPSHOT_LABEL: &str = "wharf.snapshot.of";

/// Whether those who write meanwhile are stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writers {
    /// They go on: what is copied may be of several moments.
    Live,
    /// The containers that use the volume are paused meanwhile.
    Paused,
}

impl Engine {
    /// Writes a volume's files as a tarball. Nothing is written before it is known that it is there.
    pub async fn volume_export(&self, name: &str, to: impl Write + Send + 'static) -> Result<()> {
        let (engine, name) = (self.clone(), name.to_owned());
        blocking::run(move || {
            let dir = engine.own_files(&name)?;
            let mut writer = archive::Writer::new(std::io::BufWriter::with_capacity(1 << 16, to));
            archive::pack_object(&dir, None, &mut writer)
                .and_then(|_| writer.finish())
                .map(drop)
                .map_err(failed)
        })
        .await
    }

    /// Unpacks a tarball into a volume, over what is there already.
    pub async fn volume_import(&self, name: &str, from: Input) -> Result<()> {
        let (engine, name) = (self.clone(), name.to_owned());
        to_its_end(async move {
            blocking::run(move || {
                let _held = engine.volumes().locks.lock_one(&name);
                let dir = engine.own_files(&name)?;
                let from = archive::decompress(from).map_err(failed)?;
                let keep = archive::Rename::Keep;
                archive::unpack(from, &dir, &keep, archive::Owners::Archive).map_err(failed)
            })
            .await
        })
        .await
    }

    /// Opens the files of a volume that has them in its own directory.
    fn own_files(&self, name: &str) -> Result<Dir> {
        let record = self.meta().read()?.get(&VOLUMES, name)?;
        let record = record.ok_or_else(|| absent(name))?;
        if is_elsewhere(&record) {
            return Err(Error::invalid(format!(
                "volume {name} shows {}: its files are not its own",
                record.options.get("device").cloned().unwrap_or_default()
            )));
        }
        self.make_volume_directory(name)?;
        let path = self.layout().volume_data(name);
        Dir::open(&path).map_err(|e| Error::internal(path.display(), e))
    }

    /// Makes a volume with the files, labels and driver of another.
    pub async fn volume_clone(
        &self,
        name: &str,
        new: &str,
        labels: BTreeMap<String, String>,
        writers: Writers,
    ) -> Result<Volume> {
        let (engine, name, new) = (self.clone(), name.to_owned(), new.to_owned());
        to_its_end(async move {
            let paused = engine.pause_users(&name, writers).await;
            let copier = engine.clone();
            let done =
                blocking::run(move || copier.volume_clone_blocking(&name, &new, labels)).await;
            for id in paused {
                if let Err(error) = engine.unpause(&id).await {
                    tracing::warn!(%error, %id, "letting a container go on");
                }
            }
            done
        })
        .await
    }

    /// Pauses the containers that use a volume; returns those that must go on afterwards.
    async fn pause_users(&self, name: &str, writers: Writers) -> Vec<String> {
        let mut paused = Vec::new();
        if writers == Writers::Live {
            return paused;
        }
        for one in self.list() {
            let uses = one.record.host.volumes.iter().any(|used| used.name == name);
            let id = one.record.id.to_string();
            if uses && one.state.status == Status::Running && self.pause(&id).await.is_ok() {
                paused.push(id);
            }
        }
        paused
    }

    fn volume_clone_blocking(
        &self,
        name: &str,
        new: &str,
        labels: BTreeMap<String, String>,
    ) -> Result<Volume> {
        check_name(new).map_err(|e| Error::new(e.kind(), format!("create {new}: {e}")))?;
        let both = [name.to_owned(), new.to_owned()];
        let _held = self.volumes().locks.lock(both.into());
        let from = self.own_files(name)?;
        if self.meta().read()?.get(&VOLUMES, new)?.is_some() {
            return Err(taken(new));
        }
        self.bury_doomed(new)?;
        let stage = format!("{DOOMED_PREFIX}{:016x}", crate::random_u64()?);
        let home = self.volume_home(&stage)?;
        let path = self.layout().volumes().join(&stage);
        let failed_at = |e| Error::internal(path.display(), e);
        home.make_dir(OsStr::new(DATA), 0o700).map_err(failed_at)?;
        let to = home.open_dir(Path::new(DATA)).map_err(failed_at)?;
        let record = archive::copy_tree(&from, &to)
            .map_err(failed)
            .and_then(|_| self.write_clone(name, new, labels, &stage));
        if record.is_err() {
            let all = Dir::open(&self.layout().volumes()).map_err(failed_at)?;
            all.remove_tree(OsStr::new(&stage)).map_err(failed_at)?;
        }
        let record = record?;
        self.settle(new, &stage)?;
        self.volume_event(&record, "create", &[]);
        self.volume_get(new)
    }

    fn write_clone(
        &self,
        name: &str,
        new: &str,
        labels: BTreeMap<String, String>,
        stage: &str,
    ) -> Result<VolumeRecord> {
        self.meta().write(|txn| {
            let mut record = txn.get(&VOLUMES, name)?.ok_or_else(|| absent(name))?;
            if txn.get(&VOLUMES, new)?.is_some() {
                return Err(taken(new));
            }
            new.clone_into(&mut record.name);
            record.created_ns = now_ns();
            record.labels.remove(super::ANONYMOUS_LABEL);
            record.labels.extend(labels);
            txn.put(&VOLUMES, new, &record)?;
            txn.delete(&super::DOOMED, new)?;
            txn.put(&MOVED, new, &stage.to_owned())?;
            Ok(record)
        })
    }

    /// Gives a volume that no container names another name.
    pub async fn volume_rename(&self, name: &str, new: &str) -> Result<Volume> {
        let (engine, name, new) = (self.clone(), name.to_owned(), new.to_owned());
        to_its_end(async move {
            blocking::run(move || engine.volume_rename_blocking(&name, &new)).await
        })
        .await
    }

    fn volume_rename_blocking(&self, name: &str, new: &str) -> Result<Volume> {
        check_name(new).map_err(|e| Error::new(e.kind(), format!("rename {name}: {e}")))?;
        let both = [name.to_owned(), new.to_owned()];
        let _held = self.volumes().locks.lock(both.into());
        self.bury_doomed(new)?;
        let record = self.meta().write(|txn| {
            let mut record = txn.get(&VOLUMES, name)?.ok_or_else(|| absent(name))?;
            if txn.get(&VOLUMES, new)?.is_some() {
                return Err(taken(new));
            }
            if let Some(users) = users_of(txn)?.get(name) {
                return Err(Error::conflict(format!(
                    "rename {name}: volume is in use - [{}]",
                    users.join(", ")
                )));
            }
            new.clone_into(&mut record.name);
            record.labels.remove(super::ANONYMOUS_LABEL);
            txn.delete(&VOLUMES, name)?;
            txn.put(&VOLUMES, new, &record)?;
            txn.delete(&super::DOOMED, new)?;
            txn.put(&MOVED, new, &name.to_owned())?;
            Ok(record)
        })?;
        self.settle(new, name)?;
        self.volume_event(&record, "rename", &[("oldName", name)]);
        self.volume_get(new)
    }

    /// Moves a directory to where its row says that it belongs; then the row has nothing more to say.
    fn settle(&self, name: &str, from: &str) -> Result<()> {
        let path = self.layout().volumes();
        let all = Dir::open(&path).map_err(|e| Error::internal(path.display(), e))?;
        match all.rename_noreplace(OsStr::new(from), &all, OsStr::new(name)) {
            Ok(()) => {}
            // It is there already, or there never was one.
            Err(error) if matches!(error.errno, sys::Errno::NOENT | sys::Errno::EXIST) => {}
            Err(error) => return Err(Error::internal(path.join(name).display(), error)),
        }
        self.meta().write(|txn| Ok(txn.delete(&MOVED, name)?))
    }

    /// At a start: finishes what broke off.
    pub(crate) fn settle_all(&self) -> Result<()> {
        let moved = self.meta().read()?.scan(&MOVED)?;
        moved
            .iter()
            .try_for_each(|(name, from)| self.settle(name, from))
    }
}

fn taken(name: &str) -> Error {
    Error::conflict(format!("volume {name} already exists"))
}

fn failed(error: archive::Error) -> Error {
    Error::caused(error.kind(), chain(&error), error)
}
