//! `push`: what the registry has is left, what it has elsewhere is mounted, the rest is sent from any
//! byte on; the manifest comes last.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use image::{LayerBlob, ToPush};
use registry::client::{Access, Begun, Credentials, Repository, Upload};
use tokio::sync::{Semaphore, mpsc};
use types::{Digest, Reference};

use crate::error::{Error, Result, chain};
use crate::pull::{backoff, retried};
use crate::{Engine, blocking};

/// Bytes that are read at once.
const PIECE: usize = 256 << 10;
/// Pieces that wait for the network.
const PIECES: usize = 4;

/// `docker push`.
#[derive(Clone, Debug)]
pub struct PushRequest {
    /// With a tag, or all tags of a repository.
    pub reference: Reference,
    /// Who asks.
    pub credentials: Option<Credentials>,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PushStep {
    /// It begins: the repository with its registry.
    To(String),
    /// Something about a layer.
    Layer {
        /// The first digits of its diff id.
        id: String,
        /// What.
        doing: SendStep,
    },
    /// A tag is there now.
    Tag {
        /// Which.
        tag: String,
        /// The digest of its manifest.
        digest: Digest,
        /// Bytes of its manifest.
        size: usize,
    },
}

/// What is done with a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendStep {
    /// It is looked at.
    Preparing,
    /// Others go before it.
    Waiting,
    /// The registry has it.
    Exists,
    /// The registry took it from this repository.
    Mounted(String),
    /// It goes.
    Pushing {
        /// Bytes that went.
        current: u64,
        /// Bytes in all.
        total: u64,
    },
    /// The registry failed; it is asked again after so many seconds.
    Retrying(u64),
    /// It went.
    Pushed,
}

/// Takes the steps of a push.
pub type PushSteps = Arc<dyn Fn(PushStep) + Send + Sync>;

/// One layer's way out.
struct Sending {
    engine: Engine,
    repository: Repository,
    /// `registry/repository`
    to: String,
    layer: Digest,
    blob: Option<LayerBlob>,
    slots: Arc<Semaphore>,
    steps: PushSteps,
}

impl Engine {
    /// Sends an image, or all tags of a repository.
    pub async fn image_push(&self, request: PushRequest, steps: PushSteps) -> Result<()> {
        let reference = &request.reference;
        let to = format!("{}/{}", reference.registry(), reference.repository());
        steps(PushStep::To(to.clone()));
        let tags = self.tags_to_push(reference).await?;
        let repository =
            self.registry()
                .repository(reference, request.credentials.clone(), Access::Push);
        for (tag, id) in tags {
            self.push_one(&repository, &to, &tag, id, &steps).await?;
        }
        Ok(())
    }

    async fn tags_to_push(&self, reference: &Reference) -> Result<Vec<(Reference, Digest)>> {
        let (engine, reference) = (self.clone(), reference.clone());
        blocking::run(move || {
            let view = engine.meta().read()?;
            let mut tags = engine.images().tags_of(&view, &reference)?;
            if tags.is_empty() {
                return Err(Error::not_found(format!(
                    "An image does not exist locally with the tag: {}",
                    reference.familiar_name()
                )));
            }
            if let Some(tag) = reference.tag() {
                tags.retain(|(one, _)| one.tag() == Some(tag));
                if tags.is_empty() {
                    let name = reference.familiar();
                    return Err(Error::not_found(format!("tag does not exist: {name}")));
                }
            }
            Ok(tags)
        })
        .await
    }

    async fn push_one(
        &self,
        repository: &Repository,
        to: &str,
        tag: &Reference,
        id: Digest,
        steps: &PushSteps,
    ) -> Result<()> {
        let engine = self.clone();
        let image: ToPush = blocking::run(move || {
            let view = engine.meta().read()?;
            Ok::<_, Error>(engine.images().to_push(&view, id)?)
        })
        .await?;
        let slots = Arc::new(Semaphore::new(self.config().uploads.max(1)));
        let mut running = tokio::task::JoinSet::new();
        let mut blobs: BTreeMap<Digest, LayerBlob> = BTreeMap::new();
        let mut seen = std::collections::BTreeSet::new();
        for (layer, blob) in image.layers.iter().rev() {
            if !seen.insert(*layer) {
                continue;
            }
            let sending = Sending {
                engine: self.clone(),
                repository: repository.clone(),
                to: to.to_owned(),
                layer: *layer,
                blob: blob.clone(),
                slots: Arc::clone(&slots),
                steps: Arc::clone(steps),
            };
            sending.tell(SendStep::Preparing);
            running.spawn(sending.whole());
        }
        while let Some(done) = running.join_next().await {
            let (layer, blob) = done.map_err(|e| Error::internal("an upload broke off", e))??;
            blobs.insert(layer, blob);
        }
        let in_order: Vec<LayerBlob> = image
            .layers
            .iter()
            .filter_map(|(layer, _)| blobs.get(layer).cloned())
            .collect();
        let manifest = image.manifest(&in_order);
        send_config(repository, &image.config).await?;
        let name = tag.tag().unwrap_or("latest");
        let put = || repository.put_manifest(name, &manifest.media_type, &manifest.text);
        retried(repository, put).await.map_err(|e| refused(&e))?;
        steps(PushStep::Tag {
            tag: name.to_owned(),
            digest: manifest.digest,
            size: manifest.text.len(),
        });
        let by_digest: Reference = format!("{to}@{}", manifest.digest)
            .parse()
            .map_err(|e| Error::internal("naming what was pushed", e))?;
        let (engine, to) = (self.clone(), to.to_owned());
        blocking::run(move || {
            let blobs: Vec<_> = blobs.into_iter().collect();
            engine.meta().write(|txn| {
                engine.images().record_blobs(txn, &blobs, &to)?;
                engine
                    .images()
                    .record_digest(txn, id, &by_digest, vec![manifest])?;
                Ok::<_, Error>(())
            })
        })
        .await?;
        let attributes = BTreeMap::from([("name".to_owned(), tag.familiar_name())]);
        self.publish("image", "push", tag.familiar(), attributes);
        Ok(())
    }
}

/// Sends the config, which is small.
async fn send_config(repository: &Repository, config: &str) -> Result<()> {
    let digest = Digest::of(config.as_bytes());
    let has = retried(repository, || repository.has_blob(digest)).await;
    if has.map_err(|e| refused(&e))? {
        return Ok(());
    }
    let send = || async {
        let Begun::Upload(mut upload) = repository.begin(None).await? else {
            return Ok(());
        };
        let (sender, pieces) = mpsc::channel(1);
        let bytes = Bytes::copy_from_slice(config.as_bytes());
        let count = bytes.len() as u64;
        // The other side is the request below.
        drop(sender.try_send(Ok(bytes)));
        drop(sender);
        upload.send(0, count, pieces).await?;
        upload.finish(digest).await
    };
    retried(repository, send).await.map_err(|e| refused(&e))
}

impl Sending {
    fn tell(&self, doing: SendStep) {
        (self.steps)(PushStep::Layer {
            id: self.layer.short(),
            doing,
        });
    }

    async fn whole(self) -> Result<(Digest, LayerBlob)> {
        let _slot = if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
            slot
        } else {
            self.tell(SendStep::Waiting);
            let slot = Arc::clone(&self.slots).acquire_owned().await;
            slot.map_err(|e| Error::internal("waiting for others", e))?
        };
        let blob = self.blob().await?;
        let has = retried(&self.repository, || self.repository.has_blob(blob.digest)).await;
        if has.map_err(|e| refused(&e))? {
            self.tell(SendStep::Exists);
            return Ok((self.layer, blob));
        }
        let mount = self.source(&blob);
        let begin = || {
            self.repository
                .begin(mount.as_deref().map(|from| (blob.digest, from)))
        };
        match retried(&self.repository, begin)
            .await
            .map_err(|e| refused(&e))?
        {
            Begun::Mounted => self.tell(SendStep::Mounted(mount.unwrap_or_default())),
            Begun::Upload(upload) => {
                self.send(upload, &blob).await?;
                self.tell(SendStep::Pushed);
            }
        }
        Ok((self.layer, blob))
    }

    /// Returns the layer as it goes out; made now where it is not here.
    async fn blob(&self) -> Result<LayerBlob> {
        if let Some(blob) = &self.blob {
            return Ok(blob.clone());
        }
        let (engine, layer) = (self.engine.clone(), self.layer);
        blocking::run(move || {
            let view = engine.meta().read()?;
            let blob = engine.images().make_blob(&view, layer)?;
            drop(view);
            // Kept at once: whoever pushes again after a failure does not compress again.
            engine.meta().write(|txn| {
                let blobs = [(layer, blob.clone())];
                Ok::<_, Error>(engine.images().keep_blobs(txn, &blobs)?)
            })?;
            Ok(blob)
        })
        .await
    }

    /// Returns another repository of the same registry that has the blob.
    fn source(&self, blob: &LayerBlob) -> Option<String> {
        let (registry, own) = self.to.split_once('/')?;
        blob.sources.iter().rev().find_map(|source| {
            let (theirs, name) = source.split_once('/')?;
            (theirs == registry && name != own).then(|| name.to_owned())
        })
    }

    /// Sends from the byte that the registry has, as often as it may help.
    async fn send(&self, upload: Upload, blob: &LayerBlob) -> Result<()> {
        let mut upload = upload;
        let mut attempt = 0;
        let mut from = 0;
        loop {
            let sent = self.send_once(&mut upload, blob, from).await?;
            let error = match sent {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            attempt += 1;
            if !error.may_pass() || attempt >= self.repository.attempts() {
                return Err(refused(&error));
            }
            tracing::debug!(%error, attempt, "sending a blob again");
            for left in (1..=backoff(attempt).as_secs()).rev() {
                self.tell(SendStep::Retrying(left));
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            }
            from = match upload.received().await {
                Ok(received) => received.min(blob.size),
                // The upload is forgotten: another one.
                Err(_) => match self.repository.begin(None).await {
                    Ok(Begun::Upload(fresh)) => {
                        upload = fresh;
                        0
                    }
                    Ok(Begun::Mounted) => return Ok(()),
                    Err(error) => return Err(refused(&error)),
                },
            };
        }
    }

    async fn send_once(
        &self,
        upload: &mut Upload,
        blob: &LayerBlob,
        from: u64,
    ) -> Result<registry::client::Result<()>> {
        let (engine, layer) = (self.engine.clone(), self.layer);
        let file = blocking::run(move || {
            let view = engine.meta().read()?;
            let mut file = engine.images().open_blob(&view, layer)?;
            std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(from))
                .map_err(|e| Error::internal("reading a blob", e))?;
            Ok::<_, Error>(file)
        })
        .await?;
        let (sender, pieces) = mpsc::channel(PIECES);
        let reading = self.read(file, from, blob.size, sender);
        let sending = upload.send(from, blob.size - from, pieces);
        let ((), sent) = tokio::join!(reading, sending);
        if let Err(error) = sent {
            return Ok(Err(error));
        }
        Ok(upload.clone().finish(blob.digest).await)
    }

    /// Reads the file for the network, a piece ahead.
    async fn read(
        &self,
        file: File,
        from: u64,
        total: u64,
        to: mpsc::Sender<std::io::Result<Bytes>>,
    ) {
        let mut file = file;
        let mut current = from;
        while current < total {
            let (back, piece) = blocking::run(move || {
                let mut piece = vec![0; PIECE];
                let count = file.read(&mut piece);
                (file, count.map(|count| Bytes::from(piece).slice(..count)))
            })
            .await;
            file = back;
            let end = match &piece {
                Ok(bytes) => {
                    current += bytes.len() as u64;
                    self.tell(SendStep::Pushing { current, total });
                    bytes.is_empty()
                }
                Err(_) => true,
            };
            if to.send(piece).await.is_err() || end {
                return;
            }
        }
    }
}

/// What a refusal means for somebody who wanted to push; the words are dockerd's.
fn refused(error: &registry::client::Error) -> Error {
    let text = match error {
        // dockerd leaves out what it asked.
        registry::client::Error::NoCredentials { .. } => "no basic auth credentials".to_owned(),
        other => chain(other),
    };
    Error::new(error.kind(), text)
}
