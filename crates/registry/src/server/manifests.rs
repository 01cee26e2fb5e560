//! Manifests: given out, taken in byte by byte as they came, and removed with the tags that name them.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use hyper::header;
use hyper::{Method, StatusCode};
use serde_json::json;
use types::digest::Digest;

use super::answer::{self, Answer, Ask, names, put};
use super::blobs::not_allowed;
use super::cache::Manifest;
use super::fault::{Code, Fault};
use super::manifest::{self, Document, MANIFEST_MAX, Referrer};
use super::names::{Repository, Tag, Target};
use super::state::Registry;
use super::store::Key;

/// What every client may send at once; for more it waits until few others do.
const SMALL: usize = 64 << 10;
/// Longest time for a manifest to come.
const PATIENCE: Duration = Duration::from_mins(1);

/// `GET`, `HEAD`, `PUT`, `DELETE` of a manifest.
pub(crate) async fn manifest(
    registry: &Registry,
    ask: Ask,
    repository: &Repository,
    target: Result<Target, String>,
) -> Answer {
    match ask.method {
        Method::GET | Method::HEAD => {
            let target = target.map_err(|text| unknown(repository, &text))?;
            get(registry, &ask, repository, &target).await
        }
        Method::PUT => {
            registry.may_push()?;
            let target = target.map_err(|text| bad_reference(&text))?;
            put_manifest(registry, ask, repository, &target).await
        }
        Method::DELETE => {
            registry.settings.may_delete()?;
            let target = target.map_err(|text| unknown(repository, &text))?;
            delete(registry, repository, &target).await
        }
        _ => Err(not_allowed("GET, HEAD, PUT, DELETE")),
    }
}

async fn get(registry: &Registry, ask: &Ask, repository: &Repository, target: &Target) -> Answer {
    let found = find(registry, repository, target).await?;
    let found = found.ok_or_else(|| unknown(repository, &target.to_string()))?;
    let mut response = if ask.has(found.digest) {
        answer::empty(StatusCode::NOT_MODIFIED)
    } else {
        answer::whole(StatusCode::OK, &found.media_type, found.bytes.clone())
    };
    put(&mut response, header::ETAG, &answer::etag(found.digest));
    put(
        &mut response,
        names::CONTENT_DIGEST,
        &found.digest.to_string(),
    );
    Ok(response)
}

/// Finds a manifest by tag or digest, in memory first.
pub(crate) async fn find(
    registry: &Registry,
    repository: &Repository,
    target: &Target,
) -> Result<Option<Arc<Manifest>>, Fault> {
    if let Some(mirror) = &registry.mirror {
        mirror.manifest(registry, repository, target).await?;
    }
    let name = target.to_string();
    let cached = registry.cache.get(repository, &name);
    registry.metrics.cache(cached.is_some());
    if let Some(found) = cached {
        return Ok(Some(found));
    }
    let moment = registry.cache.moment();
    let digest = match target {
        Target::Digest(digest) => *digest,
        Target::Tag(tag) => match digest_of(registry, repository, tag).await? {
            Some(digest) => digest,
            None => return Ok(None),
        },
    };
    let found = load(registry, repository, digest).await?.map(Arc::new);
    if let Some(found) = &found {
        let kept = Arc::clone(found);
        registry.cache.put(moment, repository, &name, kept);
    }
    Ok(found)
}

/// Returns the digest that a tag names.
pub(crate) async fn digest_of(
    registry: &Registry,
    repository: &Repository,
    tag: &Tag,
) -> Result<Option<Digest>, Fault> {
    let text = registry.store.read(Key::tag(repository, tag)).await?;
    Ok(text.and_then(|text| std::str::from_utf8(&text).ok()?.parse().ok()))
}

/// Reads a manifest of the repository from the storage.
pub(crate) async fn load(
    registry: &Registry,
    repository: &Repository,
    digest: Digest,
) -> Result<Option<Manifest>, Fault> {
    let link = Key::manifest(repository, digest);
    let Some(media_type) = registry.store.read(link).await? else {
        return Ok(None);
    };
    let Some(bytes) = registry.store.read(Key::content(digest)).await? else {
        return Ok(None);
    };
    Ok(Some(Manifest {
        digest,
        media_type: String::from_utf8_lossy(&media_type).into_owned(),
        bytes,
    }))
}

async fn put_manifest(
    registry: &Registry,
    ask: Ask,
    repository: &Repository,
    target: &Target,
) -> Answer {
    let content_type = ask.header(&header::CONTENT_TYPE).map(str::to_owned);
    let took = tokio::time::timeout(PATIENCE, take(registry, ask.body)).await;
    let bytes = took.map_err(|_| {
        Fault::new(
            Code::ManifestInvalid,
            "the manifest took longer than a minute",
        )
        .with_status(StatusCode::REQUEST_TIMEOUT)
    })??;
    let digest = Digest::of(&bytes);
    if let Target::Digest(said) = target
        && *said != digest
    {
        let words = "provided digest did not match uploaded content";
        return Err(Fault::new(Code::DigestInvalid, words)
            .with_detail(json!({"digest": said, "uploaded": digest})));
    }
    let document = manifest::read(content_type.as_deref(), &bytes)
        .map_err(|why| Fault::new(Code::ManifestInvalid, why))?;
    let _added = registry.gate.read().await;
    let _turn = registry.turn(repository).await;
    check(registry, repository, &document).await?;
    keep(registry, repository, &document, (digest, bytes)).await?;
    registry.cache.forget(repository, &digest.to_string());
    if let Target::Tag(tag) = target {
        let text = digest.to_string().into_bytes();
        let written = registry.store.write(Key::tag(repository, tag), text.into());
        written.await?;
        registry.cache.forget(repository, tag.as_str());
    }
    let mut response = answer::empty(StatusCode::CREATED);
    let location = format!("/v2/{repository}/manifests/{digest}");
    put(&mut response, header::LOCATION, &location);
    put(&mut response, names::CONTENT_DIGEST, &digest.to_string());
    if let Some(subject) = document.subject {
        put(&mut response, names::SUBJECT, &subject.to_string());
    }
    Ok(response)
}

/// Takes the body of a manifest: no more than it may have, and no more of large ones at once than
/// memory is set aside for.
async fn take(registry: &Registry, mut body: Incoming) -> Result<Bytes, Fault> {
    let too_large = || {
        let words = format!("a manifest may have {MANIFEST_MAX} bytes");
        Fault::new(Code::ManifestInvalid, words).with_status(StatusCode::PAYLOAD_TOO_LARGE)
    };
    if body.size_hint().lower() > MANIFEST_MAX as u64 {
        return Err(too_large());
    }
    let mut bytes = BytesMut::new();
    let mut permit = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Fault::new(
                Code::ManifestInvalid,
                format!("the body broke off: {error}"),
            )
        })?;
        let Some(data) = frame.data_ref() else {
            continue;
        };
        if bytes.len() + data.len() > MANIFEST_MAX {
            return Err(too_large());
        }
        if bytes.len() + data.len() > SMALL && permit.is_none() {
            permit = registry.large.acquire().await.ok();
        }
        bytes.extend_from_slice(data);
    }
    Ok(bytes.freeze())
}

/// Checks that everything a manifest needs is in its repository; its subject need not be.
async fn check(
    registry: &Registry,
    repository: &Repository,
    document: &Document,
) -> Result<(), Fault> {
    let blobs = document
        .blobs
        .iter()
        .map(|d| (*d, Key::blob(repository, *d)));
    let children = document.manifests.iter();
    let children = children.map(|d| (*d, Key::manifest(repository, *d)));
    let needed: Vec<(Digest, Key)> = blobs.chain(children).collect();
    let keys = needed.iter().map(|(_, key)| key.clone()).collect();
    for (digest, _) in &needed {
        registry.touched.touch(*digest);
    }
    let missing = registry.store.missing(keys).await?;
    if missing.is_empty() {
        return Ok(());
    }
    let mut fault = Fault::new(Code::ManifestBlobUnknown, "");
    let said = needed.into_iter().filter(|(_, key)| missing.contains(key));
    fault.said = said
        .map(|(digest, _)| {
            let words = "manifest references a manifest or blob unknown to registry";
            (words.to_owned(), json!({"digest": digest}))
        })
        .take(100)
        .collect();
    Err(fault)
}

/// Writes a manifest: its bytes, that the repository has it, and that its subject is referred to.
pub(crate) async fn keep(
    registry: &Registry,
    repository: &Repository,
    document: &Document,
    (digest, bytes): (Digest, Bytes),
) -> Result<(), Fault> {
    let size = bytes.len() as u64;
    let content = Key::content(digest);
    registry.touched.touch(digest);
    if registry.store.size(content.clone()).await? != Some(size) {
        registry.store.write(content, bytes).await?;
    }
    let media_type = document.media_type.clone();
    let link = Key::manifest(repository, digest);
    registry
        .store
        .write(link, media_type.clone().into())
        .await?;
    if let Some(subject) = document.subject {
        let referrer = Referrer {
            media_type,
            size,
            digest,
            artifact_type: document.artifact_type.clone(),
            annotations: document.annotations.clone(),
        };
        let text = serde_json::to_vec(&referrer).expect("invariant: its keys are texts");
        let key = Key::referrer(repository, subject, digest);
        registry.store.write(key, text.into()).await?;
    }
    Ok(())
}

async fn delete(registry: &Registry, repository: &Repository, target: &Target) -> Answer {
    let _turn = registry.turn(repository).await;
    let gone = match target {
        Target::Tag(tag) => {
            let gone = registry.store.remove(Key::tag(repository, tag)).await?;
            registry.cache.forget(repository, tag.as_str());
            gone
        }
        Target::Digest(digest) => remove(registry, repository, *digest).await?,
    };
    gone.then(|| answer::empty(StatusCode::ACCEPTED))
        .ok_or_else(|| unknown(repository, &target.to_string()))
}

/// Removes a manifest from a repository: first the tags that name it, last that it is there.
pub(crate) async fn remove(
    registry: &Registry,
    repository: &Repository,
    digest: Digest,
) -> Result<bool, Fault> {
    let Some(manifest) = load(registry, repository, digest).await? else {
        return Ok(false);
    };
    for name in registry.store.names(Key::tags(repository)).await? {
        let Ok(tag) = name.parse() else { continue };
        if digest_of(registry, repository, &tag).await? == Some(digest) {
            registry.store.remove(Key::tag(repository, &tag)).await?;
        }
    }
    let document = manifest::read(Some(&manifest.media_type), &manifest.bytes);
    if let Some(subject) = document.ok().and_then(|document| document.subject) {
        let key = Key::referrer(repository, subject, digest);
        registry.store.remove(key).await?;
    }
    let gone = registry.store.remove(Key::manifest(repository, digest));
    let gone = gone.await?;
    registry.cache.forget_all(repository);
    Ok(gone)
}

fn unknown(repository: &Repository, target: &str) -> Fault {
    Fault::new(Code::ManifestUnknown, "manifest unknown")
        .with_detail(json!({"name": repository.as_str(), "reference": target}))
}

fn bad_reference(text: &str) -> Fault {
    if text.contains(':') {
        return Fault::new(Code::DigestInvalid, format!("invalid digest {text:?}"));
    }
    Fault::new(Code::TagInvalid, format!("invalid tag {text:?}"))
}
