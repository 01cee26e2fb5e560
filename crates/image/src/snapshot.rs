//! Snapshots: the writable directory pair of one container over the layers of its image.
//!
//! Nothing is mounted here: a snapshot says what to mount. The init layer with the engine's mount
//! points lies below all layers of the image, so that an image's own `/etc` keeps its owner and
//! mode, and the mount points never show up in `diff` or `commit`.

use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use meta::{Read, Txn};
use serde::{Deserialize, Serialize};
use sys::Errno;
use sys::dir::{self, Dir, Kind};
use types::{Digest, Mount};

use crate::error::{Result, at};
use crate::layout::{DIFF, INIT, LAYERS, RW, WORK};
use crate::record::{self, ImageId};
use crate::store::{Garbage, Store, make_dir};

/// A container's own directories. It is part of the container's record: a directory that no record
/// names is swept at start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    key: String,
    layers: Vec<Digest>,
}

impl Snapshot {
    /// Returns the name of its directory.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Returns the layers below it, lowest first.
    pub fn layers(&self) -> &[Digest] {
        &self.layers
    }
}

/// Bytes of a container's files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SnapshotSize {
    /// Written by the container: Docker's `SizeRw`.
    pub written: u64,
    /// With the layers below: Docker's `SizeRootFs`.
    pub root: u64,
}

impl Store {
    /// Makes the directories of a container of `image`. They have the owner and mode of the
    /// image's root directory, for overlayfs shows those of the upper one.
    pub fn prepare(&self, read: &impl Read, image: ImageId) -> Result<Snapshot> {
        let row = record::find_image(read, image)?;
        self.prepare_layers(read, record::parse_config(&row.config)?.rootfs.diff_ids)
    }

    pub(crate) fn prepare_layers(&self, read: &impl Read, layers: Vec<Digest>) -> Result<Snapshot> {
        let mut root = (0o755, 0, 0);
        for layer in layers.iter().rev() {
            let row = record::find_layer(read, *layer)?;
            if row.has_root {
                let path = Path::new(&row.k).join(DIFF);
                let stat = self
                    .area(LAYERS)?
                    .open_dir(&path)
                    .and_then(|dir| dir.stat_self());
                let stat = stat.map_err(at(path))?;
                root = (stat.mode, stat.uid, stat.gid);
                break;
            }
        }
        let (key, parent) = self.make(RW)?;
        let made = make_dir(&parent, DIFF, root.0).and_then(|diff| {
            dir::fchown(diff.as_fd(), root.1, root.2)?;
            dir::fchmod(diff.as_fd(), root.0)?;
            make_dir(&parent, WORK, 0o700)
        });
        if let Err(error) = made {
            drop(self.remove_now(RW, &key));
            return Err(at(Path::new(RW).join(key))(error));
        }
        Ok(Snapshot { key, layers })
    }

    /// Returns an image's layers as a snapshot without directories of its own: only to be looked at.
    pub fn view(&self, read: &impl Read, image: ImageId) -> Result<Snapshot> {
        let row = record::find_image(read, image)?;
        Ok(Snapshot {
            key: String::new(),
            layers: record::parse_config(&row.config)?.rootfs.diff_ids,
        })
    }

    /// Makes sure that the layers below a snapshot are still there. Call it in the transaction that
    /// writes the container's record: since `prepare` the image may have been removed.
    pub fn hold(&self, txn: &Txn<'_>, snapshot: &Snapshot) -> Result<()> {
        snapshot
            .layers
            .iter()
            .try_for_each(|layer| record::find_layer(txn, *layer).map(drop))
    }

    /// Returns what to mount as the container's root, which must not be mounted now. `volatile`
    /// skips syncs: only for containers that go when they end.
    pub fn mount(&self, read: &impl Read, snapshot: &Snapshot, volatile: bool) -> Result<Mount> {
        if volatile {
            self.clear_volatile(snapshot)?;
        }
        Ok(Mount::Overlay {
            lower: self.lower(read, snapshot)?,
            upper: self.layout().rw_diff(&snapshot.key),
            work: self.layout().rw_work(&snapshot.key),
            volatile,
        })
    }

    /// Removes the mark that a volatile mount leaves, for the kernel refuses the next mount while it
    /// is there (`overlay with incompat feature 'volatile' cannot be mounted`). It would be needed
    /// after a crash of the machine; but such a container does not outlive that.
    fn clear_volatile(&self, snapshot: &Snapshot) -> Result<()> {
        let path = Path::new(RW).join(&snapshot.key).join(WORK).join("work");
        match Dir::open(&self.layout().root().join(&path)) {
            Ok(work) => work.remove_tree(OsStr::new("incompat")).map_err(at(path)),
            // Never mounted.
            Err(error) if error.errno == Errno::NOENT => Ok(()),
            Err(error) => Err(at(path)(error)),
        }
    }

    /// Returns how much a container wrote, and how much its whole root has: bytes of file contents.
    pub fn size(&self, read: &impl Read, snapshot: &Snapshot) -> Result<SnapshotSize> {
        let path = Path::new(RW).join(&snapshot.key);
        let upper = self.upper(snapshot)?;
        let mut written = 0;
        let mut waiting = vec![PathBuf::new()];
        while let Some(directory) = waiting.pop() {
            let sum = || {
                let dir = upper.open_dir(&directory)?;
                let mut sum = 0;
                for name in dir.names()? {
                    match dir.find(&name)? {
                        Some(stat) if stat.kind == Kind::Directory => {
                            waiting.push(directory.join(name));
                        }
                        Some(stat) if stat.kind == Kind::File => sum += stat.size,
                        _ => {}
                    }
                }
                sys::Result::Ok(sum)
            };
            match only_present(sum) {
                Ok(sum) => written += sum,
                Err(error) => return Err(at(path)(error)),
            }
        }
        let mut root = written;
        for layer in &snapshot.layers {
            root += record::find_layer(read, *layer)?.size;
        }
        Ok(SnapshotSize { written, root })
    }

    /// Moves a container's directories to the trash, after the commit that removed its record.
    pub fn remove_snapshot(&self, snapshot: &Snapshot) -> Result<()> {
        self.discard(Garbage(vec![(RW, snapshot.key.clone())]))
    }

    /// Returns the directories below a snapshot, the topmost first: the image's files, which nobody
    /// writes.
    pub fn layers_below(&self, read: &impl Read, snapshot: &Snapshot) -> Result<Vec<PathBuf>> {
        self.lower(read, snapshot)
    }

    /// Returns the directories below a snapshot, the topmost first.
    pub(crate) fn lower(&self, read: &impl Read, snapshot: &Snapshot) -> Result<Vec<PathBuf>> {
        let mut lower = Vec::new();
        for layer in snapshot.layers.iter().rev() {
            lower.push(
                self.layout()
                    .layer_diff(&record::find_layer(read, *layer)?.k),
            );
        }
        lower.push(self.layout().layer_diff(INIT));
        Ok(lower)
    }
}

/// A directory that went away while it was looked for holds nothing: the container runs.
fn only_present(sum: impl FnOnce() -> sys::Result<u64>) -> sys::Result<u64> {
    match sum() {
        Err(error) if error.errno == Errno::NOENT => Ok(0),
        result => result,
    }
}
