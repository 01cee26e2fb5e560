//! The volumes of a container: decided when it is created, filled from its image once, shown to it
//! when it starts, and let go with it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CString, OsStr};
use std::os::fd::AsFd;
use std::path::Path;

use meta::{Read, Txn};
use serde::{Deserialize, Serialize};
use sys::dir::Dir;
use types::oci::image::ImageConfig;
use types::oci::runtime::SpecMount;

use super::local::is_elsewhere;
use super::{ANONYMOUS_LABEL, LOCAL, VOLUMES, VolumeRecord, doom, new_name, put, users_of};
use crate::container::cell::Cell;
use crate::container::record::{Config, Host, Record};
use crate::error::{Error, Result};
use crate::{Engine, blocking};

/// A volume's files, within its directory.
pub(super) const DATA: &str = "_data";
/// What is being copied from an image.
const FILL: &str = ".fill";

/// A volume in a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VolumeMount {
    /// The volume; in a request empty for a new one.
    pub name: String,
    /// In the container, absolute and clean.
    pub target: String,
    /// Cannot be written.
    pub read_only: bool,
    /// What inspect shows.
    pub mode: String,
    /// Not filled from the image.
    pub no_copy: bool,
    /// It got its name from us, and goes with its last container when that is asked for.
    pub anonymous: bool,
    /// Who keeps it; in a request empty for the built-in one.
    pub driver: String,
    /// A directory in the volume in place of all of it.
    pub subpath: String,
    /// Options of a volume that is made with the container.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
    /// Labels of such a volume.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// Returns whether a mode behind `--volumes-from NAME:` takes writing away.
fn from_mode(mode: &str) -> Result<bool> {
    let bad = || Error::invalid(format!("invalid mode: {mode}"));
    let mut read_only = None;
    for word in mode.split(',').filter(|_| !mode.is_empty()) {
        match word {
            "ro" | "rw" if read_only.is_none() => read_only = Some(word == "ro"),
            "z" | "Z" | "nocopy" => {}
            _ => return Err(bad()),
        }
    }
    Ok(read_only.unwrap_or(false))
}

/// Where a volume that the request or the image declares by its target alone stands already.
fn is_taken(host: &Host, target: &str) -> bool {
    host.binds.iter().any(|one| one.target == target)
        || host.volumes.iter().any(|one| one.target == target)
        || host.images.iter().any(|one| one.target == target)
        || host.tmpfs.contains_key(target)
}

impl Engine {
    /// Decides the volumes of a container to be: those that are asked for get names, those that only
    /// a target asks for come with it. Returns the records that must be there.
    pub(crate) fn plan_volumes(
        &self,
        config: &mut Config,
        host: &mut Host,
        image: &ImageConfig,
        now_ns: i64,
    ) -> Result<Vec<VolumeRecord>> {
        self.volumes_from(host)?;
        let declared = image.config.iter().flat_map(|config| config.volumes.keys());
        for path in declared {
            let target = absolute(path);
            if target == "/" || is_the_kernels(&target) {
                return Err(Error::invalid(format!(
                    "invalid volume specification: '{path}': the image declares a volume where none \
                     can be"
                )));
            }
            if !config.volumes.contains(path) {
                config.volumes.push(path.clone());
            }
        }
        for path in &config.volumes {
            let target = absolute(path);
            if !is_taken(host, &target) {
                host.volumes.push(VolumeMount {
                    target,
                    anonymous: true,
                    ..VolumeMount::default()
                });
            }
        }
        let mut wanted = Vec::with_capacity(host.volumes.len());
        for volume in &mut host.volumes {
            let given = VolumeRecord {
                name: volume.name.clone(),
                driver: volume.driver.clone(),
                created_ns: now_ns,
                labels: std::mem::take(&mut volume.labels),
                options: std::mem::take(&mut volume.options),
            };
            wanted.push(Self::named_volume(volume, given)?);
        }
        Ok(wanted)
    }

    /// Finds the images whose files are shown.
    pub(crate) fn plan_images(&self, host: &mut Host) -> Result<()> {
        for one in &mut host.images {
            let image = self.image_for(&one.image)?;
            let snapshot = self.images().view(&self.meta().read()?, image.id)?;
            one.found = Some((image.id, snapshot));
        }
        Ok(())
    }

    /// Returns the mounts that show images. An image of one layer has our own empty one beside it:
    /// overlayfs wants two.
    pub(crate) fn open_images(&self, record: &Record) -> Result<Vec<SpecMount>> {
        let mut mounts = Vec::new();
        for one in &record.host.images {
            let Some((_, snapshot)) = &one.found else {
                continue;
            };
            let layers = self.images().layers_below(&self.meta().read()?, snapshot)?;
            let layers = layers.iter();
            let options = layers.map(|layer| format!("lowerdir+={}", layer.display()));
            mounts.push(SpecMount {
                destination: one.target.clone(),
                kind: "overlay".to_owned(),
                source: "overlay".to_owned(),
                options: std::iter::once("ro".to_owned()).chain(options).collect(),
                ..SpecMount::default()
            });
        }
        Ok(mounts)
    }

    /// Adds what other containers have, where the request has nothing.
    fn volumes_from(&self, host: &mut Host) -> Result<()> {
        for text in host.volumes_from.clone() {
            let (name, mode) = text.split_once(':').unwrap_or((&text, ""));
            if name.is_empty() {
                return Err(Error::invalid(
                    "volumes-from specification cannot be an empty string",
                ));
            }
            let read_only = from_mode(mode)?;
            // No 404: to clients that is an image to be pulled.
            let other = self
                .find(name)
                .map_err(|e| Error::invalid(e.to_string()))?
                .record();
            for bind in &other.host.binds {
                if !is_taken(host, &bind.target) {
                    let mut bind = bind.clone();
                    bind.read_only |= read_only;
                    bind.create = false;
                    host.binds.push(bind);
                }
            }
            for volume in &other.host.volumes {
                if !is_taken(host, &volume.target) {
                    let mut volume = volume.clone();
                    volume.read_only |= read_only;
                    volume.mode.clear();
                    volume.no_copy = true;
                    host.volumes.push(volume);
                }
            }
        }
        Ok(())
    }

    fn named_volume(volume: &mut VolumeMount, mut wanted: VolumeRecord) -> Result<VolumeRecord> {
        if volume.name.is_empty() {
            volume.name = new_name()?;
            volume.anonymous = true;
            wanted.name.clone_from(&volume.name);
            let label = ANONYMOUS_LABEL.to_owned();
            wanted.labels.insert(label, String::new());
        }
        Self::check_volume(&wanted)
            .map_err(|e| Error::caused(e.kind(), format!("create {}: {e}", wanted.name), e))?;
        if volume.driver.is_empty() {
            LOCAL.clone_into(&mut volume.driver);
        }
        Ok(wanted)
    }

    /// Makes the directories of a new container's volumes, and fills the empty ones from its image.
    /// The caller holds the names.
    pub(crate) fn fill_volumes(&self, record: &Record) -> Result<()> {
        if record.host.volumes.is_empty() {
            return Ok(());
        }
        let view = self.image_view(record)?;
        for volume in &record.host.volumes {
            let source = match &view {
                Some(view) => directory_in(view, volume)?,
                None => None,
            };
            let whole = !volume.no_copy && volume.subpath.is_empty();
            let source = source.filter(|_| whole);
            if let Some(source) = source {
                self.fill_one(record, volume, &source)?;
            }
            if volume.driver == LOCAL {
                self.make_volume_directory(&volume.name)?;
            }
        }
        Ok(())
    }

    /// Returns the files of a container's image, read-only; none if it has no layer.
    fn image_view(&self, record: &Record) -> Result<Option<Dir>> {
        if record.snapshot.layers().is_empty() {
            return Ok(None);
        }
        let view = self.meta().read()?;
        let layers = self.images().layers_below(&view, &record.snapshot)?;
        let root = runtime::mount_view(&layers)
            .map_err(|e| Error::internal("looking into the image", e))?;
        Ok(Some(root.into()))
    }

    fn fill_one(&self, record: &Record, volume: &VolumeMount, source: &Dir) -> Result<()> {
        let row = self.meta().read()?.get(&VOLUMES, &volume.name)?;
        if !row.as_ref().is_some_and(is_elsewhere) {
            return self.fill_volume(volume, source);
        }
        let path = self.use_volume(&volume.name, record.id)?;
        let failed = |e| Error::internal(format_args!("filling {}", path.display()), e);
        let filled = Dir::open(&path).map_err(failed).and_then(|to| {
            if to.names().map_err(failed)?.is_empty() {
                archive::copy_tree(source, &to)
                    .map_err(|e| Error::internal(format_args!("filling {}", path.display()), e))?;
            }
            Ok(())
        });
        self.release_volumes(&BTreeSet::from([volume.name.clone()]), record.id);
        filled
    }

    /// Copies what an image has at the target into the volume, if that is empty; the volume's root
    /// gets the owner and mode of the image's directory even when that is empty. A volume that nobody
    /// else names gets all of it at once, so that a crash leaves no half.
    fn fill_volume(&self, volume: &VolumeMount, source: &Dir) -> Result<()> {
        let path = self.layout().volumes().join(&volume.name);
        let failed = |e| Error::internal(format_args!("filling {}", path.display()), e);
        let home = self.volume_home(&volume.name)?;
        let data = match home.open_dir(Path::new(DATA)) {
            Ok(data) if !data.names().map_err(failed)?.is_empty() => return Ok(()),
            Ok(data) => Some(data),
            Err(error) if error.errno == sys::Errno::NOENT => None,
            Err(error) => return Err(failed(error)),
        };
        let copied = |done: archive::Result<u64>| {
            done.map_err(|e| Error::internal(format_args!("filling {}", path.display()), e))
        };
        if let Some(data) = data
            && self.volume_users().contains_key(&volume.name)
        {
            return copied(archive::copy_tree(source, &data)).map(drop);
        }
        let stage = OsStr::new(FILL);
        home.remove_tree(stage)
            .and_then(|()| home.make_dir(stage, 0o700))
            .map_err(failed)?;
        let to = home.open_dir(Path::new(stage)).map_err(failed)?;
        copied(archive::copy_tree(source, &to))?;
        // An empty directory gives way to the full one.
        home.rename(stage, &home, OsStr::new(DATA)).map_err(failed)
    }

    /// Undoes [`Engine::put_volumes`] and what came after it, with the container's record.
    pub(crate) fn take_volumes_back(&self, new: &[VolumeRecord]) {
        let taken = self.meta().write(|txn| {
            let users = users_of(txn)?;
            let free = new.iter().filter(|one| !users.contains_key(&one.name));
            free.map(|one| doom(txn, &one.name).map(|()| one.name.clone()))
                .collect::<Result<Vec<_>>>()
        });
        match taken {
            Ok(names) => self.bury_all(&names),
            Err(error) => tracing::warn!(%error, "taking volumes back"),
        }
    }

    /// Removes the directories of volumes that are gone: what fails is finished at the next start.
    pub(crate) fn bury_all(&self, names: &[String]) {
        for name in names {
            if let Err(error) = self.bury(name) {
                tracing::warn!(%error, %name, "removing a volume");
            }
        }
    }

    /// Returns the mounts that show a container its volumes. What a crash cut off when the container
    /// was created is done before its `first` start.
    pub(crate) fn open_volumes(&self, record: &Record, first: bool) -> Result<Vec<SpecMount>> {
        let _held = self.volumes().locks.lock(names(&record.host));
        if first {
            self.finish_volumes(record)?;
        }
        let mut mounts = Vec::with_capacity(record.host.volumes.len());
        for volume in &record.host.volumes {
            let base = self.use_volume(&volume.name, record.id)?;
            mounts.push(SpecMount {
                destination: volume.target.clone(),
                kind: "bind".to_owned(),
                source: base.display().to_string(),
                options: volume_options(volume, &base)?,
                ..SpecMount::default()
            });
        }
        Ok(mounts)
    }

    fn finish_volumes(&self, record: &Record) -> Result<()> {
        for volume in &record.host.volumes {
            let row = self.meta().read()?.get(&VOLUMES, &volume.name)?;
            let own = row.is_some_and(|row| row.created_ns == record.created_ns);
            if own && !volume.no_copy && !self.layout().volume_data(&volume.name).exists() {
                return self.fill_volumes(record);
            }
        }
        Ok(())
    }

    /// Tells that a container's volumes are in use now.
    pub(crate) fn volumes_mounted(&self, cell: &Cell) {
        let id = cell.id.to_string();
        for volume in &cell.record().host.volumes {
            let write = (!volume.read_only).to_string();
            let more = [
                ("container", id.as_str()),
                ("destination", &volume.target),
                ("propagation", ""),
                ("read/write", &write),
            ];
            self.volume_event(&of(volume), "mount", &more);
        }
    }

    /// They are no longer.
    pub(crate) async fn volumes_unmounted(&self, cell: &Cell) {
        let record = cell.record();
        if record.host.volumes.is_empty() {
            return;
        }
        let (engine, id) = (self.clone(), cell.id);
        let names = names(&record.host);
        blocking::run(move || engine.release_volumes(&names, id)).await;
        let id = id.to_string();
        for volume in &record.host.volumes {
            self.volume_event(&of(volume), "unmount", &[("container", id.as_str())]);
        }
    }
}

/// Writes the rows of a container's volumes that are not there yet, and returns those. The caller
/// holds the names.
pub(crate) fn put_volumes(txn: &Txn<'_>, wanted: &[VolumeRecord]) -> Result<Vec<VolumeRecord>> {
    let mut new = Vec::new();
    for volume in wanted {
        let (record, is_new) = put(txn, volume)?;
        if is_new {
            new.push(record);
        }
    }
    Ok(new)
}

/// Takes the anonymous volumes of a container out that nobody else names, in the transaction that
/// took out its own record. Returns them.
pub(crate) fn doom_anonymous(txn: &Txn<'_>, record: &Record) -> Result<Vec<VolumeRecord>> {
    let own: BTreeSet<&String> = anonymous(record).collect();
    let mut gone = Vec::new();
    if own.is_empty() {
        return Ok(gone);
    }
    let users = users_of(txn)?;
    for name in own {
        if users.contains_key(name) {
            continue;
        }
        if let Some(volume) = txn.get(&VOLUMES, name)? {
            doom(txn, name)?;
            gone.push(volume);
        }
    }
    Ok(gone)
}

/// How a volume is mounted. A path in it is looked up by the runtime, beneath the volume; what
/// can be told now is told in Docker's words.
fn volume_options(volume: &VolumeMount, base: &Path) -> Result<Vec<String>> {
    // Not `rw`: what is read-only where it comes from stays so.
    let mut options = vec!["rbind".to_owned(), "rprivate".to_owned()];
    if volume.read_only {
        options.push("rro".to_owned());
    }
    if volume.subpath.is_empty() {
        return Ok(options);
    }
    let (root, path) = match (Dir::open(base), CString::new(volume.subpath.as_str())) {
        (Ok(root), Ok(path)) => (root, path),
        (Err(e), _) => return Err(Error::internal(base.display(), e)),
        (_, Err(_)) => return Err(Error::invalid("a subpath has a NUL byte in it")),
    };
    match sys::root::find_beneath(root.as_fd(), &path) {
        Ok(_) => {
            options.push(format!("wharf.beneath={}", volume.subpath));
            Ok(options)
        }
        Err(error) if error.errno == sys::Errno::XDEV => Err(Error::invalid(format!(
            "path concatenation escapes the base directory, base: {}, subpath: {}",
            base.display(),
            volume.subpath
        ))),
        Err(error) if matches!(error.errno, sys::Errno::NOENT | sys::Errno::NOTDIR) => {
            let path = base.join(&volume.subpath);
            Err(Error::not_found(format!(
                "cannot access path {0}: lstat {0}: no such file or directory",
                path.display()
            )))
        }
        Err(error) => Err(Error::internal(base.join(&volume.subpath).display(), error)),
    }
}

/// The names that go with a container when its volumes are to go too.
pub(crate) fn anonymous(record: &Record) -> impl Iterator<Item = &String> {
    let all = record.host.volumes.iter();
    all.filter(|one| one.anonymous).map(|one| &one.name)
}

/// The names of a container's volumes.
pub(crate) fn names(host: &Host) -> BTreeSet<String> {
    host.volumes.iter().map(|one| one.name.clone()).collect()
}

fn of(volume: &VolumeMount) -> VolumeRecord {
    VolumeRecord {
        name: volume.name.clone(),
        driver: volume.driver.clone(),
        ..VolumeRecord::default()
    }
}

/// Where a volume is that is declared by a path, which need not be a clean one.
fn absolute(path: &str) -> String {
    types::mount_spec::clean(&format!("/{path}"))
}

/// /proc and /sys and what lies in them is the kernel's (CVE-2019-16884): an image has no say there.
fn is_the_kernels(target: &str) -> bool {
    ["/proc", "/sys"].iter().any(|own| {
        target
            .strip_prefix(own)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// Returns the directory that an image has at a volume's target, if it has one. A file there cannot
/// be covered by a volume that the image or the request declares by its target alone.
fn directory_in(view: &Dir, volume: &VolumeMount) -> Result<Option<Dir>> {
    let failed = |e| {
        Error::internal(
            format_args!("looking for {} in the image", volume.target),
            e,
        )
    };
    let path = CString::new(volume.target.as_str())
        .map_err(|_| Error::invalid("a mount path has a NUL byte in it"))?;
    let found = match sys::root::find(view.as_fd(), &path) {
        Ok(found) => found,
        Err(error) if matches!(error.errno, sys::Errno::NOENT | sys::Errno::NOTDIR) => {
            return Ok(None);
        }
        Err(error) => return Err(failed(error)),
    };
    if sys::root::kind(found.as_fd()).map_err(failed)?.is_dir {
        // Opened anew, to be read: a descriptor that only names cannot.
        let dir = Dir::from(found).open_dir(Path::new("")).map_err(failed)?;
        return Ok(Some(dir));
    }
    if volume.anonymous {
        return Err(Error::new(
            types::ErrorKind::Internal,
            format!(
                "cannot mount volume over existing file, file exists {}",
                volume.target
            ),
        ));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_image_has_no_say_in() {
        for (target, own) in [
            ("/proc", true),
            ("/proc/self", true),
            ("/sys/fs", true),
            ("/process", false),
            ("/data", false),
        ] {
            assert_eq!(is_the_kernels(target), own, "{target}");
        }
    }
}
