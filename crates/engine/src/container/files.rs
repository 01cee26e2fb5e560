//! `diff`, `export`, `commit`: what a container did to its files.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use image::Change;
use shim::protocol::{Reply, Request};
use sys::dir::Dir;
use types::oci::image::ContainerDefaults;
use types::{Digest, Reference};

use super::cell::Cell;
use super::state::Status;
use crate::error::{Error, Result};
use crate::{Engine, blocking};

/// `docker commit`.
#[derive(Clone, Debug, Default)]
pub struct CommitRequest {
    /// Its name; none: only the id.
    pub tag: Option<Reference>,
    /// The container's config, as the image will have it.
    pub defaults: ContainerDefaults,
    /// Dockerfile instructions on top of it.
    pub changes: Vec<String>,
    /// Who.
    pub author: String,
    /// Why.
    pub comment: String,
    /// Freeze the container meanwhile.
    pub pause: bool,
}

impl Engine {
    /// Returns what a container changed in the files of its image, sorted by path.
    pub async fn changes(&self, typed: &str) -> Result<Vec<Change>> {
        let cell = self.find(typed)?;
        let engine = self.clone();
        blocking::run(move || {
            let view = engine.meta().read()?;
            Ok(engine.images().changes(&view, &cell.record().snapshot)?)
        })
        .await
    }

    /// Returns how much a container wrote, and how much its whole root has.
    pub async fn size(&self, typed: &str) -> Result<image::SnapshotSize> {
        let cell = self.find(typed)?;
        let engine = self.clone();
        blocking::run(move || {
            let view = engine.meta().read()?;
            Ok(engine.images().size(&view, &cell.record().snapshot)?)
        })
        .await
    }

    /// Writes a container's files as a tarball. Nothing is written before it is known that the
    /// container is there.
    pub async fn export(&self, typed: &str, to: impl Write + Send + 'static) -> Result<()> {
        let cell = self.find(typed)?;
        // A stopped one must not be started meanwhile: its root is mounted once only.
        let guard = if cell.state().status.is_running() {
            None
        } else {
            Some(cell.verb.lock().await)
        };
        let root = self.open_root(&cell).await?;
        let written = blocking::run(move || image::export(&root, to)).await;
        drop(guard);
        written?;
        self.container_event(&cell, "export", &[]);
        Ok(())
    }

    /// Opens a container's root directory: the running one's own, or a mount that nobody sees and
    /// that goes with the descriptor.
    pub(super) async fn open_root(&self, cell: &Arc<Cell>) -> Result<Dir> {
        if let Some(shim) = cell.shim().filter(|_| cell.state().status.is_running()) {
            let (reply, mut fds) = shim.call(Request::OpenRoot, &[]).await?;
            return match (reply, fds.pop()) {
                (Reply::Root, Some(root)) => Ok(root.into()),
                (other, _) => Err(Error::new(
                    types::ErrorKind::Internal,
                    format!("shim answered {other:?}"),
                )),
            };
        }
        let (engine, snapshot) = (self.clone(), cell.record().snapshot.clone());
        let root: OwnedFd = blocking::run(move || {
            let view = engine.meta().read()?;
            let mount = engine.images().mount(&view, &snapshot, false)?;
            runtime::mount_root(&mount)
                .map_err(|e| Error::internal("mounting the container's root", e))
        })
        .await?;
        Ok(root.into())
    }

    /// Makes an image of a container's files and config.
    pub async fn commit(&self, typed: &str, request: CommitRequest) -> Result<Digest> {
        let cell = self.find(typed)?;
        let freeze = request.pause && cell.state().status == Status::Running;
        if freeze {
            self.pause(typed).await?;
        }
        let committed = self.commit_frozen(&cell, request).await;
        if freeze && let Err(error) = self.unpause(typed).await {
            // It may have been killed meanwhile: the image is what was asked for.
            tracing::warn!(%error, id = %cell.id, "letting a committed container go on");
        }
        committed
    }

    async fn commit_frozen(&self, cell: &Arc<Cell>, request: CommitRequest) -> Result<Digest> {
        let record = cell.record();
        let engine = self.clone();
        let comment = request.comment.clone();
        let tag = request.tag.clone();
        let id = blocking::run(move || {
            let view = engine.meta().read()?;
            let options = image::CommitOptions {
                parent: record.image_id,
                created_by: record.config.cmd.clone().unwrap_or_default().join(" "),
                defaults: request.defaults,
                changes: request.changes,
                author: request.author,
                comment: request.comment,
            };
            let staged = engine.images().commit(&view, &record.snapshot, &options)?;
            drop(view);
            engine
                .meta()
                .write(|txn| Ok::<_, Error>(engine.images().publish(txn, staged, tag.as_ref())?))
        })
        .await?;
        let name = request
            .tag
            .map(|tag| tag.or_latest().familiar())
            .unwrap_or_default();
        if !name.is_empty() {
            self.image_event("tag", id, &name);
        }
        let more = [
            ("comment", comment.as_str()),
            ("imageID", &id.to_string()),
            ("imageRef", &name),
        ];
        self.container_event(cell, "commit", &more);
        Ok(id)
    }
}
