//! Volumes: data that outlives containers.
//!
//! A volume is a row; its directory is made after the commit, and again when it is missing. Removing
//! takes the row out and notes the name as doomed in one commit, then the directory is renamed and
//! unlinked: a crash in between is finished by the next start. A volume that any container names is
//! never removed, and that is looked at in the very transaction that would remove it.

pub(crate) mod local;
pub(crate) mod locks;
pub(crate) mod mounts;
mod own;
mod plugin;
mod record;
pub(crate) mod shown;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use meta::{Read, Txn};
use sys::dir::{self, Dir};

pub use mounts::VolumeMount;
pub use own::{SNAPSHOT_LABEL, Writers};
pub use record::{ANONYMOUS_LABEL, LOCAL, VolumeRecord};
pub(crate) use record::{DOOMED, VOLUMES, check_name, new_name};

use crate::container::record::{CONTAINERS, Host};
use crate::error::{Error, Result};
use crate::{Engine, blocking, now_ns, to_its_end};

/// Names of doomed directories begin so: no volume's name does.
const DOOMED_PREFIX: &str = ".gone-";

/// What the engine keeps of volumes beside the records.
#[derive(Debug, Default)]
pub(crate) struct Volumes {
    pub(crate) locks: locks::Locks,
    /// Volumes that show another file system now, and for whom.
    pub(crate) mounted: Mutex<BTreeMap<String, local::InUse>>,
}

/// `volume create`.
#[derive(Clone, Debug, Default)]
pub struct CreateVolume {
    /// Empty: a name is drawn.
    pub name: String,
    /// Empty: the built-in one.
    pub driver: String,
    /// The driver's options.
    pub options: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// A volume as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// What is recorded.
    pub record: VolumeRecord,
    /// Where its files are on the host.
    pub mountpoint: PathBuf,
    /// Ids of the containers that name it.
    pub users: Vec<String>,
}

impl Engine {
    /// Makes a volume; one that is there already is given back.
    pub async fn volume_create(&self, request: CreateVolume) -> Result<Volume> {
        let engine = self.clone();
        to_its_end(
            async move { blocking::run(move || engine.volume_create_blocking(request)).await },
        )
        .await
    }

    fn volume_create_blocking(&self, request: CreateVolume) -> Result<Volume> {
        let mut wanted = VolumeRecord {
            name: request.name,
            driver: request.driver,
            created_ns: now_ns(),
            labels: request.labels,
            options: request.options,
        };
        if wanted.name.is_empty() {
            wanted.name = new_name()?;
            wanted
                .labels
                .insert(ANONYMOUS_LABEL.to_owned(), String::new());
        }
        Self::check_volume(&wanted)
            .map_err(|e| Error::caused(e.kind(), format!("create {}: {e}", wanted.name), e))?;
        let held = self.volumes().locks.lock_one(&wanted.name);
        self.bury_doomed(&wanted.name)?;
        let (record, new) = self.meta().write(|txn| put(txn, &wanted))?;
        let made = if new {
            self.make_volume(&record)
        } else {
            Ok(())
        };
        if let Err(error) = made {
            if new {
                drop(self.take_row_back(&record.name));
            }
            return Err(error);
        }
        drop(held);
        if new {
            self.volume_event(&record, "create", &[]);
        }
        self.volume_get(&record.name)
    }

    /// Checks what a volume to be is asked to be.
    pub(crate) fn check_volume(wanted: &VolumeRecord) -> Result<()> {
        // Of a plugin's as well: it is a name of ours.
        check_name(&wanted.name)?;
        if !matches!(wanted.driver.as_str(), "" | LOCAL) {
            return plugin::Plugin::find(&wanted.driver).map(drop);
        }
        local::check_options(&wanted.options)
    }

    /// Makes what a new row stands for. The caller holds the name.
    pub(crate) fn make_volume(&self, record: &VolumeRecord) -> Result<()> {
        let name = &record.name;
        if record.driver == LOCAL {
            return self.make_volume_directory(name);
        }
        plugin::Plugin::find(&record.driver)?
            .create(name, &record.options)
            .map_err(|e| Error::caused(e.kind(), format!("create {name}: {e}"), e))
    }

    /// The same for a volume that comes with a container: its directory is made when it is filled.
    pub(crate) fn make_plugins(&self, record: &VolumeRecord) -> Result<()> {
        if record.driver == LOCAL {
            return Ok(());
        }
        self.make_volume(record)
    }

    /// A volume whose directory could not be made is none.
    fn take_row_back(&self, name: &str) -> Result<()> {
        self.meta().write(|txn| {
            if users_of(txn)?.contains_key(name) {
                return Ok(());
            }
            Ok(txn.delete(&VOLUMES, name)?)
        })
    }

    /// Returns all volumes by name.
    pub async fn volume_list(&self) -> Result<Vec<Volume>> {
        let engine = self.clone();
        blocking::run(move || {
            let mut users = engine.volume_users();
            let all = engine.meta().read()?.scan(&VOLUMES)?.into_iter();
            let all = all.map(|(name, record)| Volume {
                mountpoint: engine.volume_place(&name, &record.driver),
                users: users.remove(&name).unwrap_or_default(),
                record,
            });
            Ok(all.collect())
        })
        .await
    }

    /// Returns one volume.
    pub async fn volume_inspect(&self, name: &str) -> Result<Volume> {
        let (engine, name) = (self.clone(), name.to_owned());
        blocking::run(move || engine.volume_get(&name)).await
    }

    fn volume_get(&self, name: &str) -> Result<Volume> {
        let record = self.meta().read()?.get(&VOLUMES, name)?;
        let record = record.ok_or_else(|| absent(name))?;
        let mountpoint = if record.driver == LOCAL {
            self.layout().volume_data(name)
        } else {
            // A plugin that does not answer knows of no place.
            plugin::Plugin::find(&record.driver)
                .and_then(|plugin| plugin.path(name))
                .unwrap_or_default()
        };
        Ok(Volume {
            record,
            mountpoint,
            users: self.volume_users().remove(name).unwrap_or_default(),
        })
    }

    /// Returns who names which volume, as far as containers are known to everybody.
    pub(crate) fn volume_users(&self) -> BTreeMap<String, Vec<String>> {
        let mut users = BTreeMap::new();
        for cell in self.cells(crate::names::Cells::all) {
            add_users(&mut users, &cell.id.to_string(), &cell.record().host);
        }
        users
    }

    /// Removes a volume that no container names; by `force` even if its plugin does not want to.
    pub async fn volume_remove(&self, name: &str, force: bool) -> Result<()> {
        let (engine, name) = (self.clone(), name.to_owned());
        to_its_end(async move {
            blocking::run(move || engine.volume_remove_blocking(&name, force)).await
        })
        .await
    }

    fn volume_remove_blocking(&self, name: &str, force: bool) -> Result<()> {
        let held = self.volumes().locks.lock_one(name);
        self.tell_keeper_gone(name, force)?;
        let record = self.meta().write(|txn| {
            let record = txn.get(&VOLUMES, name)?.ok_or_else(|| absent(name))?;
            if let Some(users) = users_of(txn)?.get(name) {
                let sentence = format!("remove {name}: volume is in use - [{}]", users.join(", "));
                return Err(Error::conflict(sentence));
            }
            doom(txn, name)?;
            Ok(record)
        })?;
        self.bury(name)?;
        drop(held);
        self.volume_event(&record, "destroy", &[]);
        Ok(())
    }

    /// A volume's plugin goes first: what it keeps on keeping must not be forgotten.
    fn tell_keeper_gone(&self, name: &str, force: bool) -> Result<()> {
        let view = self.meta().read()?;
        let Some(record) = view.get(&VOLUMES, name)? else {
            return Ok(());
        };
        if record.driver == LOCAL || users_of(&view)?.contains_key(name) {
            return Ok(());
        }
        drop(view);
        match plugin::Plugin::find(&record.driver).and_then(|plugin| plugin.remove(name)) {
            Err(error) if force => {
                tracing::warn!(%error, %name, "removing a plugin's volume by force");
                Ok(())
            }
            done => done.map_err(|e| Error::caused(e.kind(), format!("remove {name}: {e}"), e)),
        }
    }

    /// Removes the volumes that no container names and that `wanted` picks. Returns their names and
    /// how many bytes were given back.
    pub async fn volume_prune(
        &self,
        wanted: impl Fn(&VolumeRecord) -> bool + Send + 'static,
    ) -> Result<(Vec<String>, u64)> {
        let engine = self.clone();
        to_its_end(async move { blocking::run(move || engine.volume_prune_blocking(wanted)).await })
            .await
    }

    fn volume_prune_blocking(
        &self,
        wanted: impl Fn(&VolumeRecord) -> bool,
    ) -> Result<(Vec<String>, u64)> {
        let users = self.volume_users();
        let all = self.meta().read()?.scan(&VOLUMES)?;
        let (mut names, mut bytes) = (Vec::new(), 0);
        for (name, record) in all {
            // One that shows something from elsewhere is not looked at, as in Docker.
            let own = record.driver == LOCAL && record.options.is_empty();
            if users.contains_key(&name) || !own || !wanted(&record) {
                continue;
            }
            let size = self.volume_size(&record);
            match self.volume_remove_blocking(&name, false) {
                Ok(()) => {
                    bytes += size;
                    names.push(name);
                }
                // Somebody uses or removed it meanwhile.
                Err(error)
                    if matches!(
                        error.kind(),
                        types::ErrorKind::Conflict | types::ErrorKind::NotFound
                    ) => {}
                Err(error) => return Err(error),
            }
        }
        let attributes = BTreeMap::from([("reclaimed".to_owned(), bytes.to_string())]);
        self.publish("volume", "prune", String::new(), attributes);
        Ok((names, bytes))
    }

    /// Returns the bytes on disk of each volume whose files are its own, by name: nothing is said of
    /// what a plugin keeps or what is elsewhere.
    pub async fn volume_sizes(&self) -> Result<BTreeMap<String, u64>> {
        let engine = self.clone();
        blocking::run(move || {
            let all = engine.meta().read()?.scan(&VOLUMES)?.into_iter();
            let own = all.filter(|(_, record)| record.driver == LOCAL && record.options.is_empty());
            Ok(own
                .map(|(name, record)| (name, engine.volume_size(&record)))
                .collect())
        })
        .await
    }

    /// What cannot be read has no size that is known.
    fn volume_size(&self, record: &VolumeRecord) -> u64 {
        Dir::open(&self.layout().volume_data(&record.name))
            .and_then(|dir| archive::tree_size(&dir))
            .unwrap_or_default()
    }

    pub(crate) fn volume_event(&self, record: &VolumeRecord, action: &str, more: &[(&str, &str)]) {
        let mut attributes = BTreeMap::from([("driver".to_owned(), record.driver.clone())]);
        for &(key, value) in more {
            attributes.insert(key.to_owned(), value.to_owned());
        }
        self.publish("volume", action, record.name.clone(), attributes);
    }

    /// Makes the directory of a volume's files, if it is not there.
    pub(crate) fn make_volume_directory(&self, name: &str) -> Result<()> {
        made_dir(&self.volume_home(name)?, OsStr::new(mounts::DATA), 0o755).map_err(|e| {
            let path = self.layout().volume_data(name);
            Error::internal(format_args!("making {}", path.display()), e)
        })
    }

    /// Opens the directory of a volume, made when it is missing. It lets everybody through to what is
    /// mounted in containers, and nobody list it.
    pub(crate) fn volume_home(&self, name: &str) -> Result<Dir> {
        let path = self.layout().volumes();
        let opened = || {
            let all = Dir::open(&path)?;
            made_dir(&all, OsStr::new(name), 0o701)?;
            all.open_dir(Path::new(name))
        };
        opened().map_err(|e| Error::internal(format_args!("making {}/{name}", path.display()), e))
    }

    /// Renames the directory of a volume that is gone, then unlinks it. The caller holds the name.
    pub(crate) fn bury(&self, name: &str) -> Result<()> {
        let path = self.layout().volumes();
        let failed = |e| Error::internal(format_args!("removing {}/{name}", path.display()), e);
        let all = Dir::open(&path).map_err(failed)?;
        let grave = format!("{DOOMED_PREFIX}{:016x}", crate::random_u64()?);
        match all.rename(OsStr::new(name), &all, OsStr::new(&grave)) {
            Ok(()) => {
                // The name is free; what is left of the data goes now, or at the next start.
                if let Err(error) = all.remove_tree(OsStr::new(&grave)) {
                    tracing::warn!(%error, %name, "removing a volume's files");
                }
                Ok(())
            }
            Err(error) if error.errno == sys::Errno::NOENT => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }

    /// Finishes a removal that broke off, before the name is used again.
    pub(crate) fn bury_doomed(&self, name: &str) -> Result<()> {
        if self.meta().read()?.get(&DOOMED, name)?.is_some() {
            self.bury(name)?;
        }
        Ok(())
    }

    /// At a start: finishes the removals that broke off.
    pub(crate) fn sweep_volumes(&self) -> Result<()> {
        self.settle_all()?;
        let doomed = self.meta().read()?.scan(&DOOMED)?;
        for (name, _) in &doomed {
            self.bury(name)?;
        }
        let path = self.layout().volumes();
        let failed = |e| Error::internal(format_args!("sweeping {}", path.display()), e);
        let all = Dir::open(&path).map_err(failed)?;
        for name in all.names().map_err(failed)? {
            if name.to_string_lossy().starts_with(DOOMED_PREFIX) {
                all.remove_tree(&name).map_err(failed)?;
            }
        }
        if doomed.is_empty() {
            return Ok(());
        }
        self.meta().write(|txn| {
            doomed
                .iter()
                .try_for_each(|(name, _)| Ok(txn.delete(&DOOMED, name)?))
        })
    }
}

/// Makes a directory with exactly this mode; one that is there stays as it is.
fn made_dir(parent: &Dir, name: &OsStr, mode: u32) -> sys::Result<()> {
    use std::os::fd::AsFd;
    match parent.make_dir(name, 0o700) {
        Ok(()) => dir::fchmod(parent.open_dir(Path::new(name))?.as_fd(), mode),
        Err(error) if error.errno == sys::Errno::EXIST => Ok(()),
        Err(error) => Err(error),
    }
}

pub(crate) fn absent(name: &str) -> Error {
    Error::not_found(format!("get {name}: no such volume"))
}

/// Writes a volume's row, unless there is one that fits. Returns the row, and whether it is new.
pub(crate) fn put(txn: &Txn<'_>, wanted: &VolumeRecord) -> Result<(VolumeRecord, bool)> {
    let name = &wanted.name;
    if let Some(known) = txn.get(&VOLUMES, name)? {
        if !wanted.driver.is_empty() && wanted.driver != known.driver {
            return Err(Error::conflict(format!(
                "create {name}: driver '{}' already has volume '{name}': volume name must be unique",
                known.driver
            )));
        }
        // Its options and labels stay what they are, as in Docker.
        return Ok((known, false));
    }
    let mut record = wanted.clone();
    if record.driver.is_empty() {
        LOCAL.clone_into(&mut record.driver);
    }
    txn.put(&VOLUMES, name, &record)?;
    // Its directory was buried by who holds the name.
    txn.delete(&DOOMED, name)?;
    Ok((record, true))
}

/// Takes a volume's row out, and remembers that its directory has to go.
pub(crate) fn doom(txn: &Txn<'_>, name: &str) -> Result<()> {
    txn.delete(&VOLUMES, name)?;
    txn.delete(&own::MOVED, name)?;
    Ok(txn.put(&DOOMED, name, &name.to_owned())?)
}

/// Returns who names which volume: name → ids of containers.
pub(crate) fn users_of(read: &impl Read) -> Result<BTreeMap<String, Vec<String>>> {
    let mut users = BTreeMap::new();
    for (id, container) in read.scan(&CONTAINERS)? {
        add_users(&mut users, &id, &container.host);
    }
    Ok(users)
}

fn add_users(users: &mut BTreeMap<String, Vec<String>>, id: &str, host: &Host) {
    let names: BTreeSet<&String> = host.volumes.iter().map(|one| &one.name).collect();
    for name in names {
        users.entry(name.clone()).or_default().push(id.to_owned());
    }
}
