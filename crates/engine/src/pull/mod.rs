//! `pull`: a reference becomes a manifest, the manifest becomes layers that come in any order, and
//! all of it becomes visible in one commit.

mod choose;
mod flight;
mod steps;

use std::collections::BTreeMap;
use std::sync::Arc;

use image::{LayerBlob, Manifest, Pulled, StagedLayer, Wanted};
use registry::client::{Access, Credentials, Fetched, Repository, SearchResult};
use types::oci::image::{Descriptor, ImageConfig, IndexEntry, PlatformEntry};
use types::{Digest, ErrorKind, Platform, Reference};

pub(crate) use flight::Flights;
pub use steps::{LayerStep, PullStep};

use crate::error::{Error, Result, chain};
use crate::{Engine, blocking, to_its_end};
use choose::Document;

/// Longest config (security reference §6).
const CONFIG_MAX: usize = 8 << 20;
/// Layers of one image: the kernel stacks 500 directories, one of them is the init layer.
const MAX_LAYERS: usize = 499;
/// An index may point at an index.
const MAX_INDEXES: usize = 4;

/// `docker pull`.
#[derive(Clone, Debug)]
pub struct PullRequest {
    /// With a tag or a digest; without both, all tags.
    pub reference: Reference,
    /// For which machines; this one's where nothing is said.
    pub platform: Option<Platform>,
    /// Who asks.
    pub credentials: Option<Credentials>,
}

/// Takes the steps of a pull.
pub type Steps = Arc<dyn Fn(PullStep) + Send + Sync>;

/// One image of a registry, as its documents describe it.
struct Described {
    /// `repository@digest`: of the index, where one led here.
    digest: Reference,
    manifests: Vec<Manifest>,
    config: String,
    layers: Vec<Wanted>,
    /// What is to be said when it is for other machines than was asked for.
    other: Option<String>,
}

impl Engine {
    /// Fetches an image, or all of a repository. Dropped, it ends; what has come so far is kept for
    /// a day.
    pub async fn image_pull(&self, request: PullRequest, steps: Steps) -> Result<()> {
        let reference = &request.reference;
        let repository =
            self.registry()
                .repository(reference, request.credentials.clone(), Access::Pull);
        let all = reference.tag().is_none() && reference.digest().is_none();
        if !all {
            let (newer, notice) = self
                .pull_one(&repository, reference, request.platform.as_ref(), &steps)
                .await?;
            steps(PullStep::Done {
                newer,
                name: reference.familiar(),
            });
            if let Some(notice) = notice {
                steps(PullStep::Notice(notice));
            }
            return Ok(());
        }
        let tags = repository.tags().await;
        let tags = tags.map_err(|error| refusal(&error, reference))?;
        let mut newer = false;
        for tag in tags {
            let Some(one) = reference.clone().with_tag(&tag) else {
                continue;
            };
            let (changed, _) = self
                .pull_one(&repository, &one, request.platform.as_ref(), &steps)
                .await?;
            newer |= changed;
        }
        steps(PullStep::Done {
            newer,
            name: reference.familiar(),
        });
        Ok(())
    }

    async fn pull_one(
        &self,
        repository: &Repository,
        reference: &Reference,
        platform: Option<&Platform>,
        steps: &Steps,
    ) -> Result<(bool, Option<String>)> {
        let target = match (reference.digest(), reference.tag()) {
            (Some(digest), _) => digest.to_string(),
            (None, tag) => tag.unwrap_or("latest").to_owned(),
        };
        let fetched = retried(repository, || repository.manifest(&target)).await;
        let fetched = fetched.map_err(|error| refusal(&error, reference))?;
        steps(PullStep::From {
            repository: reference.repository().to_owned(),
            target,
        });
        let mut described = describe(repository, reference, platform, fetched).await?;
        let notice = described.other.take();
        let digest = described.digest.digest();
        let layers = self.fetch_layers(repository, &described, steps).await?;
        let engine = self.clone();
        let tag = reference
            .digest()
            .is_none()
            .then(|| reference.clone().or_latest());
        let (name, short) = (reference.familiar(), reference.familiar_name());
        let newer = to_its_end(async move {
            engine
                .publish_pulled(described, layers, tag, name, short)
                .await
        })
        .await?;
        if let Some(digest) = digest {
            steps(PullStep::Digest(digest));
        }
        Ok((newer, notice))
    }

    /// Fetches and unpacks the layers that are not here.
    async fn fetch_layers(
        &self,
        repository: &Repository,
        image: &Described,
        steps: &Steps,
    ) -> Result<Vec<Arc<StagedLayer>>> {
        let engine = self.clone();
        let id = Digest::of(image.config.as_bytes());
        let diff_ids: Vec<Digest> = image.layers.iter().map(|layer| layer.diff_id).collect();
        let (whole, here) = blocking::run(move || {
            let view = engine.meta().read()?;
            let has = |layer: &Digest| Ok(engine.images().has_layer(&view, *layer)?);
            let here = diff_ids.iter().map(has).collect::<Result<Vec<bool>>>()?;
            Ok::<_, Error>((engine.images().has(&view, id)?, here))
        })
        .await?;
        if whole {
            // As dockerd: of an image that is here, its layers are not told.
            return Ok(Vec::new());
        }
        let mut flights: Vec<flight::Followed> = Vec::new();
        for (wanted, here) in image.layers.iter().zip(here) {
            let known = flights.iter().any(|one| one.diff_id() == wanted.diff_id);
            let doing = if here || known {
                LayerStep::Exists
            } else {
                LayerStep::Fetching
            };
            steps(PullStep::Layer {
                id: wanted.blob.digest.short(),
                doing,
            });
            if !here && !known {
                flights.push(self.flights().join(self, repository, wanted, steps));
            }
        }
        // All at once: the first that fails ends the others, as they are dropped with it.
        let mut running = tokio::task::JoinSet::new();
        for flight in flights {
            running.spawn(flight.landed());
        }
        let mut layers = Vec::new();
        while let Some(done) = running.join_next().await {
            let done = done.map_err(|e| Error::internal("a download broke off", e))?;
            layers.push(done?);
        }
        Ok(layers)
    }

    async fn publish_pulled(
        &self,
        image: Described,
        layers: Vec<Arc<StagedLayer>>,
        tag: Option<Reference>,
        name: String,
        short: String,
    ) -> Result<bool> {
        let engine = self.clone();
        let (id, newer) = blocking::run(move || {
            let blobs: Vec<Digest> = image.layers.iter().map(|one| one.blob.digest).collect();
            let staged = engine.images().stage_pulled(image.config, layers)?;
            let pulled = Pulled {
                staged,
                tag,
                digest: image.digest,
                manifests: image.manifests,
            };
            let done = engine
                .meta()
                .write(|txn| Ok::<_, Error>(engine.images().publish_pulled(txn, pulled)?))?;
            engine.images().forget_ingests(blobs);
            Ok::<_, Error>(done)
        })
        .await?;
        tracing::debug!(%id, "pulled");
        let attributes = BTreeMap::from([("name".to_owned(), short)]);
        self.publish("image", "pull", name, attributes);
        Ok(newer)
    }
}

impl Engine {
    /// Shows credentials to a registry: `server` is its name or an address of it, empty is docker.io.
    pub async fn log_in(&self, server: &str, credentials: Credentials) -> Result<()> {
        let rest = server.split_once("://").map_or(server, |(_, rest)| rest);
        let host = rest.split('/').next().unwrap_or(rest);
        let host = match host {
            "" | "index.docker.io" | "registry-1.docker.io" => "docker.io",
            host => host,
        };
        let named: Reference = format!("{host}/x")
            .parse()
            .map_err(|_| Error::invalid(format!("invalid registry {server:?}")))?;
        if named.registry() != host {
            return Err(Error::invalid(format!("invalid registry {server:?}")));
        }
        let registry = self.registry().log_in(named.registry(), credentials);
        Ok(registry.await?)
    }
}

impl Engine {
    /// Searches an index: the Hub's, or that of the registry before the first slash of `term`.
    pub async fn image_search(
        &self,
        term: &str,
        limit: u32,
        credentials: Option<Credentials>,
    ) -> Result<Vec<SearchResult>> {
        let (index, term) = match term.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => {
                (first, rest)
            }
            _ => ("docker.io", term),
        };
        let index = if index == "index.docker.io" {
            "docker.io"
        } else {
            index
        };
        let term = term.strip_prefix("library/").unwrap_or(term);
        let found = self
            .registry()
            .search(index, term, limit, credentials)
            .await?;
        Ok(found.results)
    }
}

/// What a registry says of a reference.
#[derive(Clone, Debug)]
pub struct Distribution {
    /// What it names.
    pub descriptor: Descriptor,
    /// For which machines it is.
    pub platforms: Vec<PlatformEntry>,
}

impl Engine {
    /// Asks a registry what a reference names, without pulling it.
    pub async fn image_distribution(
        &self,
        reference: &Reference,
        credentials: Option<Credentials>,
    ) -> Result<Distribution> {
        let repository = self
            .registry()
            .repository(reference, credentials, Access::Pull);
        let target = match (reference.digest(), reference.tag()) {
            (Some(digest), _) => digest.to_string(),
            (None, tag) => tag.unwrap_or("latest").to_owned(),
        };
        let fetched = retried(&repository, || repository.manifest(&target)).await?;
        let document = choose::read(&fetched.media_type, &fetched.text)?;
        let descriptor = Descriptor {
            media_type: document.media_type().to_owned(),
            digest: fetched.digest,
            size: fetched.text.len() as u64,
        };
        let platforms = match document {
            Document::Index { index, .. } => {
                let platform = |entry: IndexEntry| entry.platform;
                index.manifests.into_iter().filter_map(platform).collect()
            }
            Document::Image { manifest, .. } => {
                let text = fetch_config(&repository, reference, &manifest.config).await?;
                let config: ImageConfig = serde_json::from_str(&text)
                    .map_err(|e| Error::invalid(format!("invalid image config: {e}")))?;
                vec![PlatformEntry {
                    architecture: config.architecture,
                    os: config.os,
                    variant: config.variant.unwrap_or_default(),
                    ..PlatformEntry::default()
                }]
            }
        };
        Ok(Distribution {
            descriptor,
            platforms,
        })
    }
}

/// Follows the documents from a reference to a config and its layers.
async fn describe(
    repository: &Repository,
    reference: &Reference,
    platform: Option<&Platform>,
    fetched: Fetched,
) -> Result<Described> {
    let digest = fetched.digest;
    let machine = Platform::of_machine(std::env::consts::ARCH);
    let mut manifests = Vec::new();
    let mut fetched = fetched;
    for _ in 0..MAX_INDEXES {
        let document = choose::read(&fetched.media_type, &fetched.text)?;
        let kept = Manifest {
            digest: fetched.digest,
            media_type: document.media_type().to_owned(),
            text: fetched.text,
        };
        manifests.insert(0, kept);
        match document {
            Document::Index { index, .. } => {
                let wanted = platform.unwrap_or(&machine);
                let entry = choose::entry(&index, wanted)?;
                let target = entry.to_string();
                let next = retried(repository, || repository.manifest(&target)).await;
                fetched = next.map_err(|error| refusal(&error, reference))?;
            }
            Document::Image { manifest, .. } => {
                if manifest.layers.len() > MAX_LAYERS {
                    return Err(Error::invalid("max depth exceeded"));
                }
                let config = fetch_config(repository, reference, &manifest.config).await?;
                let layers = pair_up(reference, &config, manifest.layers)?;
                let other = other_platform(reference, platform, &config)?;
                let name = format!(
                    "{}/{}@{digest}",
                    reference.registry(),
                    reference.repository()
                );
                return Ok(Described {
                    digest: name
                        .parse()
                        .map_err(|e| Error::internal("naming what was pulled", e))?,
                    manifests,
                    config,
                    layers,
                    other,
                });
            }
        }
    }
    Err(Error::invalid("too many indexes within one another"))
}

async fn fetch_config(
    repository: &Repository,
    reference: &Reference,
    config: &Descriptor,
) -> Result<String> {
    let limit = usize::try_from(config.size).unwrap_or(usize::MAX);
    if limit > CONFIG_MAX {
        return Err(Error::invalid(format!(
            "the image config {} is longer than {CONFIG_MAX} bytes",
            config.digest
        )));
    }
    let bytes = retried(repository, || repository.small_blob(config.digest, limit)).await;
    let bytes = bytes.map_err(|error| refusal(&error, reference))?;
    if bytes.len() != limit {
        return Err(Error::invalid(format!(
            "the image config {} has {} bytes, not {limit}",
            config.digest,
            bytes.len()
        )));
    }
    String::from_utf8(bytes).map_err(|e| Error::internal("reading an image config", e))
}

/// Says which blob is which layer of the config.
fn pair_up(reference: &Reference, config: &str, blobs: Vec<Descriptor>) -> Result<Vec<Wanted>> {
    let config: ImageConfig = serde_json::from_str(config)
        .map_err(|e| Error::invalid(format!("invalid image config: {e}")))?;
    let diff_ids = config.rootfs.diff_ids;
    if diff_ids.len() != blobs.len() {
        return Err(Error::invalid(
            "layers from manifest don't match image configuration",
        ));
    }
    let source = format!("{}/{}", reference.registry(), reference.repository());
    let wanted = |(blob, diff_id): (Descriptor, Digest)| Wanted {
        blob: LayerBlob {
            digest: blob.digest,
            size: blob.size,
            media_type: blob.media_type,
            sources: vec![source.clone()],
        },
        diff_id,
    };
    Ok(blobs.into_iter().zip(diff_ids).map(wanted).collect())
}

/// An image of one platform is taken whatever was asked for; it is only said, as dockerd does.
fn other_platform(
    reference: &Reference,
    wanted: Option<&Platform>,
    config: &str,
) -> Result<Option<String>> {
    let Some(wanted) = wanted else {
        return Ok(None);
    };
    let config: ImageConfig = serde_json::from_str(config)
        .map_err(|e| Error::invalid(format!("invalid image config: {e}")))?;
    let variant = config.variant.as_deref().unwrap_or_default();
    let found = Platform::new(&config.os, &config.architecture, variant);
    let suits = wanted.runs(&found).is_some();
    Ok((!suits).then(|| {
        format!(
            "WARNING: image with reference {} was found but its platform ({found}) does not match \
             the specified platform ({wanted})",
            reference.familiar()
        )
    }))
}

/// Asks again, a little later each time, when a failure may pass.
pub(crate) async fn retried<T, F>(
    repository: &Repository,
    mut ask: impl FnMut() -> F,
) -> registry::client::Result<T>
where
    F: Future<Output = registry::client::Result<T>>,
{
    let mut attempt = 1;
    loop {
        match ask().await {
            Err(error) if error.may_pass() && attempt < repository.attempts() => {
                tracing::debug!(%error, attempt, "asking a registry again");
                tokio::time::sleep(backoff(attempt)).await;
                attempt += 1;
            }
            other => return other,
        }
    }
}

/// How long is waited before another attempt.
pub(crate) fn backoff(attempt: u32) -> std::time::Duration {
    std::time::Duration::from_secs(1 << attempt.saturating_sub(1).min(4))
}

/// What a refusal means for somebody who wanted to have an image; the words are dockerd's.
pub(crate) fn refusal(error: &registry::client::Error, reference: &Reference) -> Error {
    let about = error.items().first().and_then(|item| {
        let name = reference.familiar_name();
        if item.is("DENIED") {
            Some(format!(
                "pull access denied for {name}, repository does not exist or may require 'docker \
                 login': {item}"
            ))
        } else if item.is("MANIFEST_UNKNOWN") {
            Some(format!(
                "manifest for {} not found: {item}",
                reference.familiar()
            ))
        } else if item.is("NAME_UNKNOWN") {
            Some(format!("repository {name} not found: {item}"))
        } else {
            None
        }
    });
    match about {
        Some(text) => Error::new(ErrorKind::NotFound, text),
        None => Error::new(ErrorKind::Internal, chain(error)),
    }
}
