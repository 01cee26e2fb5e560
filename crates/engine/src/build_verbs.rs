//! What a builder needs of the engine: the tree of an image to read and write, new images on top of
//! others, a place for a context, and a memory of what made what.

use std::ffi::OsStr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use image::Snapshot;
use meta::{Read, Table};
use serde::{Deserialize, Serialize};
use sys::dir::Dir;
use types::oci::image::{History, ImageConfig};
use types::{Digest, Mount, Reference};

use crate::error::{Error, Result};
use crate::{Engine, blocking, now_ns};

/// Steps by the digest of all that went into them.
const STEPS: Table<Step> = Table::new("build_step");

/// What a step of a build came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Step {
    image: Digest,
    /// In nanoseconds since 1970.
    used_ns: i64,
}

/// The tree of a stack of layers, mounted where nobody sees it. Dropped, what was written to it is
/// gone.
#[derive(Debug)]
pub struct Tree {
    engine: Engine,
    snapshot: Snapshot,
    mount: Mount,
    /// Closed before the directories go.
    root: Option<Dir>,
}

impl Tree {
    /// Returns its root directory.
    pub fn root(&self) -> &Dir {
        self.root
            .as_ref()
            .expect("invariant: only the end takes it")
    }

    /// Looks a user and a group up in its own files (`user[:group]`).
    pub fn user(&self, user: &str) -> Result<(u32, u32)> {
        let found = crate::container::user::resolve(&self.mount, user, &[])?.user;
        Ok((found.uid, found.gid))
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        self.root = None;
        if let Err(error) = self.engine.images().remove_snapshot(&self.snapshot) {
            tracing::warn!(%error, "removing the tree of a build");
        }
    }
}

/// A directory of a build's own; it goes with this value.
#[derive(Debug)]
pub struct Place {
    builds: PathBuf,
    name: String,
    dir: Dir,
}

impl Place {
    /// Returns it.
    pub fn dir(&self) -> &Dir {
        &self.dir
    }

    /// Returns where it is.
    pub fn path(&self) -> PathBuf {
        self.builds.join(&self.name)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let removed = Dir::open(&self.builds)
            .and_then(|builds| builds.remove_tree(OsStr::new(&self.name)))
            .map_err(|e| e.to_string());
        // The last one takes the directory of all with it.
        let _still_used = std::fs::remove_dir(&self.builds);
        if let Err(error) = removed {
            tracing::warn!(error, "removing the context of a build");
        }
    }
}

/// Removes what builds left that were killed.
pub(crate) fn sweep(layout: &crate::layout::Layout) {
    let swept =
        Dir::open(layout.data_root()).and_then(|root| root.remove_tree(OsStr::new("builds")));
    if let Err(error) = swept {
        tracing::warn!(%error, "removing the contexts of builds");
    }
}

/// Returns the config of an image of nothing.
pub fn scratch_config() -> ImageConfig {
    image::Store::scratch()
}

impl Engine {
    /// Finds the image that a build begins with.
    pub async fn image_of_name(&self, name: &str) -> Result<image::ImageRecord> {
        let (engine, name) = (self.clone(), name.to_owned());
        blocking::run(move || engine.image_for(&name)).await
    }

    /// Mounts layers, the lowest first, as a tree that can be written.
    pub async fn tree(&self, layers: Vec<Digest>) -> Result<Tree> {
        let engine = self.clone();
        blocking::run(move || {
            let view = engine.meta().read()?;
            let snapshot = engine.images().prepare_on(&view, layers)?;
            let mount = engine.images().mount_bare(&view, &snapshot)?;
            let mut tree = Tree {
                engine: engine.clone(),
                snapshot,
                mount,
                root: None,
            };
            let root = runtime::mount_root(&tree.mount)
                .map_err(|e| Error::internal("mounting the tree of a build", e))?;
            // Opened anew: a descriptor of a mount only names.
            let root = Dir::from(root)
                .open_dir(Path::new(""))
                .map_err(|e| Error::internal("opening the tree of a build", e))?;
            tree.root = Some(root);
            Ok(tree)
        })
        .await
    }

    /// Makes an image of a config and of what was written to a tree.
    pub async fn image_of_tree(
        &self,
        mut tree: Tree,
        config: ImageConfig,
        step: History,
        parent: Option<Digest>,
    ) -> Result<Digest> {
        let engine = self.clone();
        blocking::run(move || {
            tree.root = None;
            engine.derive(config, Some((&tree.snapshot, step)), parent)
        })
        .await
    }

    /// Makes an image of a config and of what a container that has ended wrote.
    pub async fn image_of_container(
        &self,
        typed: &str,
        config: ImageConfig,
        step: History,
        parent: Option<Digest>,
    ) -> Result<Digest> {
        let record = self.find(typed)?.record();
        let engine = self.clone();
        blocking::run(move || engine.derive(config, Some((&record.snapshot, step)), parent)).await
    }

    /// Makes an image of a config whose layers are there, and gives it names.
    pub async fn image_of_config(
        &self,
        config: ImageConfig,
        parent: Option<Digest>,
        tags: Vec<Reference>,
    ) -> Result<Digest> {
        let engine = self.clone();
        let names: Vec<String> = tags
            .iter()
            .map(|tag| tag.clone().or_latest().familiar())
            .collect();
        let id = blocking::run(move || {
            let staged = engine.images().derive(config, None, parent)?;
            engine.meta().write(|txn| {
                let id = engine.images().publish(txn, staged, None)?;
                for tag in &tags {
                    engine.images().tag(txn, id, tag)?;
                }
                Ok::<_, Error>(id)
            })
        })
        .await?;
        for name in names {
            self.image_event("tag", id, &name);
        }
        Ok(id)
    }

    fn derive(
        &self,
        config: ImageConfig,
        step: Option<(&Snapshot, History)>,
        parent: Option<Digest>,
    ) -> Result<Digest> {
        let staged = self.images().derive(config, step, parent)?;
        self.meta()
            .write(|txn| Ok::<_, Error>(self.images().publish(txn, staged, None)?))
    }

    /// Returns the image that a step with this key came to, if it is still there.
    pub async fn step_image(&self, key: Digest) -> Result<Option<image::ImageRecord>> {
        let engine = self.clone();
        blocking::run(move || {
            let view = engine.meta().read()?;
            let Some(step) = view.get(&STEPS, &key.to_string())? else {
                return Ok(None);
            };
            match engine.images().get(&view, step.image) {
                Ok(image) => Ok(Some(image)),
                Err(image::Error::NoSuchImage { .. }) => Ok(None),
                Err(error) => Err(error.into()),
            }
        })
        .await
    }

    /// Remembers what a step with this key came to.
    pub async fn step_made(&self, key: Digest, image: Digest) -> Result<()> {
        let engine = self.clone();
        let step = Step {
            image,
            used_ns: now_ns(),
        };
        blocking::run(move || {
            engine
                .meta()
                .write(|txn| Ok(txn.put(&STEPS, &key.to_string(), &step)?))
        })
        .await
    }

    /// Forgets all steps; their images are pruned as any that nothing names.
    pub async fn steps_forget(&self) -> Result<Vec<Digest>> {
        let engine = self.clone();
        blocking::run(move || {
            engine.meta().write(|txn| {
                let mut images = Vec::new();
                for (key, step) in txn.scan(&STEPS)? {
                    txn.delete(&STEPS, &key)?;
                    images.push(step.image);
                }
                Ok(images)
            })
        })
        .await
    }

    /// Makes a directory for the context of a build.
    pub async fn build_place(&self) -> Result<Place> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let builds = self.layout().builds();
        blocking::run(move || {
            let name = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
            let failed = |e| Error::internal("making a place for a build", e);
            let mut builder = std::fs::DirBuilder::new();
            builder.recursive(true).mode(0o700);
            builder
                .create(builds.join(&name))
                .map_err(|e| failed(sys::Error::from_io("mkdir", &e)))?;
            let dir = Dir::open(&builds.join(&name)).map_err(failed)?;
            Ok(Place { builds, name, dir })
        })
        .await
    }
}
