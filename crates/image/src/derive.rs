//! An image on top of layers that are there: a step of a build.

use std::path::Path;

use meta::Read;
use types::oci::image::{History, ImageConfig};
use types::{Digest, Mount};

use crate::error::{Result, at};
use crate::import::architecture;
use crate::layout::RW;
use crate::record::ImageId;
use crate::snapshot::Snapshot;
use crate::stage::{Staged, now};
use crate::store::{Store, make_dir};

/// A directory that stays empty.
const NOTHING: &str = "nothing";

impl Store {
    /// Makes an image of a config and, where a snapshot is given, of what was written there: its
    /// changes become the topmost layer. `step` is the entry that the history gets for it.
    pub fn derive(
        &self,
        mut config: ImageConfig,
        step: Option<(&Snapshot, History)>,
        parent: Option<ImageId>,
    ) -> Result<Staged> {
        let mut layers = Vec::new();
        if let Some((snapshot, mut history)) = step {
            let layer = self.commit_layer(snapshot)?;
            history.empty_layer = layer.is_none();
            history.created.get_or_insert_with(now);
            config.created.clone_from(&history.created);
            config.history.push(history);
            config
                .rootfs
                .diff_ids
                .extend(layer.iter().map(|layer| layer.diff_id));
            layers.extend(layer);
        }
        Staged::new(self, &config, layers, parent)
    }

    /// Returns the config of an image of nothing (`FROM scratch`).
    pub fn scratch() -> ImageConfig {
        ImageConfig {
            architecture: architecture().to_owned(),
            os: "linux".to_owned(),
            rootfs: types::oci::image::RootFs {
                kind: "layers".to_owned(),
                diff_ids: Vec::new(),
            },
            ..ImageConfig::default()
        }
    }

    /// Makes the directories of a tree on top of `layers`, the lowest first.
    pub fn prepare_on(&self, read: &impl Read, layers: Vec<Digest>) -> Result<Snapshot> {
        self.prepare_layers(read, layers)
    }

    /// Returns what to mount as that tree: what the layers have, without the engine's mount points.
    pub fn mount_bare(&self, read: &impl Read, snapshot: &Snapshot) -> Result<Mount> {
        let mut lower = self.lower(read, snapshot)?;
        lower.pop();
        if lower.is_empty() {
            // The kernel wants one.
            let path = Path::new(RW).join(snapshot.key());
            let parent = self.area(RW)?.open_dir(Path::new(snapshot.key()));
            parent
                .and_then(|parent| make_dir(&parent, NOTHING, 0o755))
                .map_err(at(&path))?;
            lower.push(self.layout().root().join(path).join(NOTHING));
        }
        Ok(Mount::Overlay {
            lower,
            upper: self.layout().rw_diff(snapshot.key()),
            work: self.layout().rw_work(snapshot.key()),
            volatile: false,
        })
    }
}

/// Returns the present moment as image configs write it.
pub fn moment() -> String {
    now()
}
