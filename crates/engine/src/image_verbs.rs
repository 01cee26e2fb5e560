//! The verbs of images. The store does the work; here a transaction is opened, committed, and told.

use std::collections::{BTreeMap, BTreeSet};

use image::{ImageRecord, RemovedItem};
use meta::Read as _;
use types::{Digest, Reference};

use crate::container::record::CONTAINERS;
use crate::error::{Error, Result};
use crate::input::Input;
use crate::{Engine, blocking};

/// The built-in image: made at first use from this machine's own programs.
const HOST_IMAGE: &str = "docker.io/wharf/host:latest";

/// `docker import`.
#[derive(Clone, Debug, Default)]
pub struct ImportRequest {
    /// Its name; none: only the id.
    pub tag: Option<Reference>,
    /// Dockerfile instructions for the config.
    pub changes: Vec<String>,
    /// The comment.
    pub message: String,
}

impl Engine {
    /// Returns all images, the newest first.
    pub async fn images_list(&self) -> Result<Vec<ImageRecord>> {
        let engine = self.clone();
        blocking::run(move || Ok(engine.images().list(&engine.meta().read()?)?)).await
    }

    /// Returns one image.
    pub async fn image_inspect(&self, name: &str) -> Result<ImageRecord> {
        let (engine, name) = (self.clone(), name.to_owned());
        blocking::run(move || engine.image_get(&name)).await
    }

    pub(crate) fn image_get(&self, name: &str) -> Result<ImageRecord> {
        let view = self.meta().read()?;
        let id = self.images().resolve(&view, name)?;
        Ok(self.images().get(&view, id)?)
    }

    /// Finds the image of a container to be; the built-in one is made when it is first asked for.
    pub(crate) fn image_for(&self, name: &str) -> Result<ImageRecord> {
        match self.image_get(name) {
            Err(error)
                if error.kind() == types::ErrorKind::NotFound
                    && name
                        .parse::<Reference>()
                        .is_ok_and(|reference| reference.or_latest().to_string() == HOST_IMAGE) =>
            {
                let staged = self.images().from_host_default()?;
                let tag = HOST_IMAGE.parse().ok();
                self.publish_image(staged, tag.as_ref(), "import")?;
                self.image_get(name)
            }
            other => other,
        }
    }

    fn publish_image(
        &self,
        staged: image::Staged,
        tag: Option<&Reference>,
        action: &str,
    ) -> Result<Digest> {
        let id = self
            .meta()
            .write(|txn| Ok::<_, Error>(self.images().publish(txn, staged, tag)?))?;
        if let Some(tag) = tag {
            self.image_event("tag", id, &tag.clone().or_latest().familiar());
        }
        self.image_event(action, id, &id.to_string());
        Ok(id)
    }

    pub(crate) fn image_event(&self, action: &str, id: Digest, name: &str) {
        let attributes = BTreeMap::from([("name".to_owned(), name.to_owned())]);
        self.publish("image", action, id.to_string(), attributes);
    }

    /// Makes an image of one layer from a tarball.
    pub async fn image_import(&self, input: Input, request: ImportRequest) -> Result<Digest> {
        let engine = self.clone();
        blocking::run(move || {
            let options = image::ImportOptions {
                changes: request.changes,
                message: request.message,
            };
            let staged = engine.images().import(input, &options)?;
            engine.publish_image(staged, request.tag.as_ref(), "import")
        })
        .await
    }

    /// Takes images out of an archive; returns Docker's lines about them. `progress` is called from
    /// the thread that unpacks.
    pub async fn image_load(
        &self,
        input: Input,
        mut progress: impl FnMut(image::LoadProgress) + Send + 'static,
    ) -> Result<Vec<String>> {
        let engine = self.clone();
        blocking::run(move || {
            let view = engine.meta().read()?;
            let staged = engine.images().load(input, &view, &mut progress)?;
            drop(view);
            let loaded = engine
                .meta()
                .write(|txn| Ok::<_, Error>(engine.images().publish_loaded(txn, staged)?))?;
            for id in &loaded.ids {
                engine.image_event("load", *id, &id.to_string());
            }
            Ok(loaded.lines)
        })
        .await
    }

    /// Writes images as an archive. Nothing is written before it is known that all are there.
    pub async fn image_save(
        &self,
        names: Vec<String>,
        to: impl std::io::Write + Send + 'static,
    ) -> Result<()> {
        let engine = self.clone();
        blocking::run(move || {
            let view = engine.meta().read()?;
            Ok(engine.images().save(&view, &names, to)?)
        })
        .await
    }

    /// Makes an image from programs of this machine.
    pub async fn image_from_host(
        &self,
        programs: Vec<String>,
        tag: Option<Reference>,
    ) -> Result<Digest> {
        let engine = self.clone();
        blocking::run(move || {
            let staged = if programs.is_empty() {
                engine.images().from_host_default()?
            } else {
                engine.images().from_host(&programs)?
            };
            engine.publish_image(staged, tag.as_ref(), "import")
        })
        .await
    }

    /// Gives an image another name.
    pub async fn image_tag(&self, name: &str, tag: Reference) -> Result<()> {
        let (engine, name) = (self.clone(), name.to_owned());
        let familiar = tag.clone().or_latest().familiar();
        let id = blocking::run(move || {
            engine.meta().write(|txn| {
                let id = engine.images().resolve(txn, &name)?;
                engine.images().tag(txn, id, &tag)?;
                Ok::<_, Error>(id)
            })
        })
        .await?;
        self.image_event("tag", id, &familiar);
        Ok(())
    }

    /// Removes a name, and the image with its last one.
    pub async fn image_remove(&self, name: &str, force: bool) -> Result<Vec<RemovedItem>> {
        let (engine, name) = (self.clone(), name.to_owned());
        let (id, removed) =
            blocking::run(move || engine.image_remove_blocking(&name, force)).await?;
        for item in &removed {
            let action = match item {
                RemovedItem::Untagged(_) => "untag",
                RemovedItem::Deleted(layer) if *layer == id => "delete",
                RemovedItem::Deleted(_) => continue,
            };
            self.image_event(action, id, &id.to_string());
        }
        Ok(removed)
    }

    fn image_remove_blocking(&self, name: &str, force: bool) -> Result<(Digest, Vec<RemovedItem>)> {
        self.make_room();
        let running: BTreeSet<_> = self
            .list()
            .into_iter()
            .filter(|one| one.state.status.is_running())
            .map(|one| one.record.id)
            .collect();
        let (id, removed) = self.meta().write(|txn| {
            // Read here and not from the cells: a container that is being created has its row
            // first, and its layers must not go meanwhile.
            let containers = txn.scan(&CONTAINERS)?;
            let ids: Vec<String> = containers.iter().map(|(_, one)| one.id.short()).collect();
            let users: Vec<image::User<'_>> = containers
                .iter()
                .zip(&ids)
                .flat_map(|((_, record), container)| {
                    let shown = record.host.images.iter();
                    let shown = shown.filter_map(|one| one.found.as_ref());
                    let shown = shown.map(|(id, view)| (*id, view));
                    let all = shown.chain([(record.image_id, &record.snapshot)]);
                    let running = running.contains(&record.id);
                    all.map(move |(image, snapshot)| image::User {
                        container,
                        image,
                        running,
                        snapshot,
                    })
                })
                .collect();
            let id = self.images().resolve(txn, name)?;
            Ok::<_, Error>((id, self.images().remove(txn, name, force, &users)?))
        })?;
        self.images().discard(removed.garbage)?;
        self.images().reap()?;
        self.keep_room();
        Ok((id, removed.items))
    }

    /// Counts the containers of each image.
    pub fn image_users(&self) -> BTreeMap<Digest, i64> {
        let mut users = BTreeMap::new();
        for container in self.list() {
            *users.entry(container.record.image_id).or_insert(0) += 1;
        }
        users
    }
}
