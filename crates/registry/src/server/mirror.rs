//! A cache of another registry: what is asked for is fetched once, and kept.
//!
//! A tag is asked for again when what is known of it is old; when the other registry does not answer,
//! what is here is given out all the same. Content is verified before it is kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::StatusCode;
use serde::Deserialize;
use tokio::sync::Mutex as AsyncMutex;
use types::Reference;
use types::digest::Digest;

use super::fault::{Code, Fault};
use super::manifest;
use super::names::{Repository, Tag, Target};
use super::state::Registry;
use super::store::Key;
use super::{blobs, manifests};
use crate::client::{
    Access, BlobStream, Client, Credentials, Error, Fetched, Repository as Remote, Settings,
};

/// Tags whose age is known; beyond it all are asked for again.
const TAGS: usize = 10_000;
/// How often a blob is gone on with after it broke off.
const ATTEMPTS: u32 = 3;

/// The other registry, as the file of settings says it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Upstream {
    /// `docker.io`, `HOST[:PORT]`
    registry: String,
    username: Option<String>,
    password: Option<String>,
    /// Whether it may be talked to without verified TLS.
    #[serde(default)]
    insecure: bool,
    /// Seconds for which a tag is believed.
    keep: Option<u64>,
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Upstream({}, ***)", self.registry)
    }
}

/// A cache's way to its origin.
#[derive(Debug)]
pub(crate) struct Mirror {
    client: Client,
    upstream: Upstream,
    /// When a tag was last asked for.
    asked: Mutex<HashMap<(Repository, Tag), Instant>>,
    /// One fetch at a time for each blob.
    fetching: Mutex<HashMap<Digest, Arc<AsyncMutex<()>>>>,
}

impl Mirror {
    pub(crate) fn new(upstream: Upstream) -> Self {
        let insecure = upstream.insecure.then(|| upstream.registry.clone());
        let settings = Settings {
            insecure: insecure.into_iter().collect(),
            ..Settings::default()
        };
        Self {
            client: Client::new(settings),
            upstream,
            asked: Mutex::default(),
            fetching: Mutex::default(),
        }
    }

    fn remote(&self, repository: &Repository) -> Result<Remote, Fault> {
        let name = format!("{}/{repository}", self.upstream.registry);
        let reference: Reference = name.parse().map_err(|_| {
            let words = format!("the origin has no repository {name:?}");
            Fault::new(Code::NameInvalid, words)
        })?;
        let named = self.upstream.username.as_deref();
        let credentials = named.map(|name| {
            let password = self.upstream.password.as_deref().unwrap_or_default();
            Credentials::new(name, password, "")
        });
        Ok(self
            .client
            .repository(&reference, credentials, Access::Pull))
    }

    /// Sees to it that a manifest is here, if the origin has it.
    pub(crate) async fn manifest(
        &self,
        registry: &Registry,
        repository: &Repository,
        target: &Target,
    ) -> Result<(), Fault> {
        let known = match target {
            Target::Digest(digest) => Some(*digest),
            Target::Tag(tag) => manifests::digest_of(registry, repository, tag).await?,
        };
        let here = match known {
            Some(digest) => {
                let size = registry.store.size(Key::manifest(repository, digest));
                size.await?.is_some()
            }
            None => false,
        };
        let fresh = match target {
            Target::Digest(_) => true,
            Target::Tag(tag) => self.is_fresh(repository, tag),
        };
        if here && fresh {
            return Ok(());
        }
        let fetched = self.remote(repository)?.manifest(&target.to_string()).await;
        match fetched {
            Ok(fetched) => self.keep(registry, repository, target, fetched).await,
            Err(error) if is_absent(&error) => {
                if let Target::Tag(tag) = target {
                    registry.store.remove(Key::tag(repository, tag)).await?;
                    registry.cache.forget(repository, tag.as_str());
                }
                Ok(())
            }
            Err(error) if here => {
                tracing::warn!(error = %error, "the origin does not answer: giving what is here");
                Ok(())
            }
            Err(error) => Err(unreachable(&error)),
        }
    }

    async fn keep(
        &self,
        registry: &Registry,
        repository: &Repository,
        target: &Target,
        fetched: Fetched,
    ) -> Result<(), Fault> {
        let document = manifest::read(Some(&fetched.media_type), fetched.text.as_bytes())
            .map_err(|why| bad_gateway(format!("the origin's manifest: {why}")))?;
        let _added = registry.gate.read().await;
        let _turn = registry.turn(repository).await;
        let bytes = fetched.text.into_bytes().into();
        let kept = manifests::keep(registry, repository, &document, (fetched.digest, bytes));
        kept.await?;
        if let Target::Tag(tag) = target {
            let text = fetched.digest.to_string().into_bytes();
            let key = Key::tag(repository, tag);
            registry.store.write(key, text.into()).await?;
            registry.cache.forget(repository, tag.as_str());
            self.was_asked(repository, tag);
        }
        Ok(())
    }

    /// Sees to it that a blob is here, if the origin has it.
    pub(crate) async fn blob(
        &self,
        registry: &Registry,
        repository: &Repository,
        digest: Digest,
    ) -> Result<(), Fault> {
        let turn = {
            let mut fetching = lock(&self.fetching);
            fetching.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(fetching.entry(digest).or_default())
        };
        let _alone = turn.lock().await;
        let link = Key::blob(repository, digest);
        if registry.store.size(link).await?.is_some() {
            return Ok(());
        }
        let remote = self.remote(repository)?;
        let upload = registry.uploads.begin(repository).await?;
        let mut work = upload.work().await?;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let from = upload.len();
            let fetched = async {
                let mut stream = remote.blob(digest, from).await?;
                if stream.start() != from {
                    return Ok(Err(stream));
                }
                while let Some(bytes) = stream.next().await? {
                    if let Err(fault) = upload.append(&mut work, vec![bytes]).await {
                        return Ok(Ok(Some(fault)));
                    }
                }
                Ok::<Result<Option<Fault>, BlobStream>, Error>(Ok(None))
            };
            match fetched.await {
                Ok(Ok(None)) => break,
                Ok(Ok(Some(fault))) => {
                    registry.uploads.remove(&upload, &mut work).await?;
                    return Err(fault);
                }
                // It knows no ranges: from the beginning.
                Ok(Err(_)) => upload.truncate(&mut work, 0).await?,
                Err(error) if attempt < ATTEMPTS && error.may_pass() => {}
                Err(error) => {
                    registry.uploads.remove(&upload, &mut work).await?;
                    return if is_absent(&error) {
                        Ok(())
                    } else {
                        Err(unreachable(&error))
                    };
                }
            }
        }
        blobs::finish(registry, &upload, &mut work, digest).await
    }

    /// Returns the origin's tags, if it answers.
    pub(crate) async fn tags(&self, repository: &Repository) -> Option<Vec<String>> {
        self.remote(repository).ok()?.tags().await.ok()
    }

    fn is_fresh(&self, repository: &Repository, tag: &Tag) -> bool {
        let keep = Duration::from_secs(self.upstream.keep.unwrap_or(60));
        let asked = lock(&self.asked);
        let when = asked.get(&(repository.clone(), tag.clone()));
        when.is_some_and(|when| when.elapsed() < keep)
    }

    fn was_asked(&self, repository: &Repository, tag: &Tag) {
        let mut asked = lock(&self.asked);
        if asked.len() >= TAGS {
            asked.clear();
        }
        asked.insert((repository.clone(), tag.clone()), Instant::now());
    }
}

/// The origin does not have it, or does not show it to us: Docker's says 401 to both.
fn is_absent(error: &Error) -> bool {
    error.kind() == types::ErrorKind::NotFound || error.kind() == types::ErrorKind::Unauthorized
}

fn unreachable(error: &Error) -> Fault {
    bad_gateway(format!("the origin: {error}"))
}

fn bad_gateway(words: String) -> Fault {
    tracing::warn!(words, "fetching");
    Fault::new(Code::Unavailable, words).with_status(StatusCode::BAD_GATEWAY)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
