//! A container's changes become a layer, and with its config an image; a tree becomes a tarball.

use std::io::{self, Write};

use archive::{Source, Writer, pack};
use meta::Read;
use sys::dir::Dir;
use types::oci::image::{ContainerDefaults, History, ImageConfig};

use crate::changes;
use crate::error::{Error, Result};
use crate::record::{self, ImageId};
use crate::snapshot::Snapshot;
use crate::stage::{Staged, StagedLayer, now};
use crate::store::Store;

/// What `docker commit` takes.
#[derive(Clone, Debug)]
pub struct CommitOptions {
    /// The image that the container was made from; it becomes the parent.
    pub parent: ImageId,
    /// The container's config.
    pub defaults: ContainerDefaults,
    /// Dockerfile instructions on top of it.
    pub changes: Vec<String>,
    /// Who.
    pub author: String,
    /// Why.
    pub comment: String,
    /// The container's command, for the history.
    pub created_by: String,
}

impl Store {
    /// Makes an image of a container's changes on top of its own image.
    pub fn commit(
        &self,
        read: &impl Read,
        snapshot: &Snapshot,
        options: &CommitOptions,
    ) -> Result<Staged> {
        let row = record::find_image(read, options.parent)?;
        let base = record::parse_config(&row.config)?;
        let mut defaults = options.defaults.clone();
        changes::apply(&mut defaults, &options.changes)?;
        let layer = self.commit_layer(snapshot)?;
        let config = committed(base, layer.as_ref(), defaults, options);
        Staged::new(
            self,
            &config,
            layer.into_iter().collect(),
            Some(options.parent),
        )
    }

    /// Packs a container's changes and unpacks them as a layer; `None` if there are none.
    pub(crate) fn commit_layer(&self, snapshot: &Snapshot) -> Result<Option<StagedLayer>> {
        let upper = self.upper(snapshot)?;
        let (layer, entries) = self.unpack_from(|to| {
            let mut writer = Writer::new(to);
            let entries = pack(&upper, Source::Upper, &mut writer)?;
            writer.finish()?;
            Ok(entries)
        })?;
        Ok((entries > 0).then_some(layer))
    }

    /// Unpacks a layer while `write` writes its tar on a thread of its own.
    pub(crate) fn unpack_from<T: Send>(
        &self,
        write: impl FnOnce(io::BufWriter<io::PipeWriter>) -> Result<T> + Send,
    ) -> Result<(StagedLayer, T)> {
        let (from, to) = io::pipe().map_err(archive::Error::Write)?;
        let to = io::BufWriter::with_capacity(1 << 16, to);
        let (layer, written) = std::thread::scope(|scope| {
            let writer = scope.spawn(|| write(to));
            let layer = self.unpack(from);
            let written = writer
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (layer, written)
        });
        match (layer, written) {
            (Ok(layer), Ok(value)) => Ok((layer, value)),
            // The reader went away: its reason counts.
            (Err(error), Ok(_) | Err(Error::Archive(archive::Error::Write(_))))
            | (_, Err(error)) => Err(error),
        }
    }
}

/// Writes a tree as a tarball: `docker export`, from the merged view of a container.
pub fn export(root: &Dir, to: impl Write) -> Result<()> {
    let mut writer = Writer::new(io::BufWriter::with_capacity(1 << 16, to));
    pack(root, Source::Tree, &mut writer)?;
    writer.finish()?;
    Ok(())
}

fn committed(
    mut config: ImageConfig,
    layer: Option<&StagedLayer>,
    defaults: ContainerDefaults,
    options: &CommitOptions,
) -> ImageConfig {
    let some = |text: &String| (!text.is_empty()).then(|| text.clone());
    let created = now();
    config.created = Some(created.clone());
    config.author = some(&options.author);
    config.comment = some(&options.comment);
    config.config = Some(defaults);
    config
        .rootfs
        .diff_ids
        .extend(layer.map(|layer| layer.diff_id));
    config.history.push(History {
        created: Some(created),
        created_by: some(&options.created_by),
        author: some(&options.author),
        comment: some(&options.comment),
        empty_layer: layer.is_none(),
    });
    config
}
