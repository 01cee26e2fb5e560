//! A tarball becomes an image of one layer.

use std::io::Read;

use types::oci::image::{ContainerDefaults, History, ImageConfig, RootFs};

use crate::changes;
use crate::error::Result;
use crate::stage::{Staged, StagedLayer, now};
use crate::store::Store;

/// What `docker import` takes beside the tarball.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// Dockerfile instructions.
    pub changes: Vec<String>,
    /// The commit message; Docker's default is `Imported from -`.
    pub message: String,
}

impl Store {
    /// Unpacks a tarball in any compression as the one layer of a new image.
    pub fn import(&self, from: impl Read, options: &ImportOptions) -> Result<Staged> {
        // Before the work, so that a bad instruction costs nothing.
        let mut defaults = ContainerDefaults::default();
        changes::apply(&mut defaults, &options.changes)?;
        let layer = self.unpack(from)?;
        let created = now();
        let config = one_layer(&layer, defaults, created, &options.message);
        Staged::new(self, &config, vec![layer], None)
    }
}

/// Returns the config of an image that has one layer.
pub(crate) fn one_layer(
    layer: &StagedLayer,
    defaults: ContainerDefaults,
    created: String,
    message: &str,
) -> ImageConfig {
    ImageConfig {
        architecture: architecture().to_owned(),
        os: "linux".to_owned(),
        created: Some(created.clone()),
        comment: Some(message.to_owned()),
        config: Some(defaults),
        rootfs: RootFs {
            kind: "layers".to_owned(),
            diff_ids: vec![layer.diff_id],
        },
        history: vec![History {
            created: Some(created),
            comment: Some(message.to_owned()),
            ..History::default()
        }],
        ..ImageConfig::default()
    }
}

/// Returns this machine's architecture in Go's words.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    }
}
