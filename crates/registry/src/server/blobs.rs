//! Blobs: given out, removed, and taken in.

use std::sync::Arc;

use hyper::header::{self, HeaderValue};
use hyper::{Method, Response, StatusCode};
use serde_json::json;
use types::digest::Digest;

use super::answer::{self, Answer, Ask, names, put};
use super::body::Body;
use super::fault::{Code, Fault};
use super::names::{Repository, UploadId};
use super::range::{self, Wanted};
use super::rights::Right;
use super::route::parse_digest;
use super::state::Registry;
use super::store::Key;
use super::uploads::{Upload, Work};

/// `GET`, `HEAD`, `DELETE` of a blob.
pub(crate) async fn blob(
    registry: &Registry,
    ask: &Ask,
    repository: &Repository,
    digest: Digest,
) -> Answer {
    match ask.method {
        Method::GET | Method::HEAD => get(registry, ask, repository, digest).await,
        Method::DELETE => {
            registry.settings.may_delete()?;
            if !registry.store.remove(Key::blob(repository, digest)).await? {
                return Err(unknown(digest));
            }
            Ok(answer::empty(StatusCode::ACCEPTED))
        }
        _ => Err(not_allowed("GET, HEAD, DELETE")),
    }
}

async fn get(registry: &Registry, ask: &Ask, repository: &Repository, digest: Digest) -> Answer {
    let (link, key) = (Key::blob(repository, digest), Key::content(digest));
    let mut content = registry
        .store
        .open_linked(link.clone(), key.clone())
        .await?;
    if content.is_none()
        && let Some(mirror) = &registry.mirror
    {
        mirror.blob(registry, repository, digest).await?;
        content = registry.store.open_linked(link, key).await?;
    }
    let content = content.ok_or_else(|| unknown(digest))?;
    // Whoever looks whether it is there is about to refer to it.
    registry.touched.touch(digest);
    let (size, tag) = (content.size, answer::etag(digest));
    // A range of something else than the client has a part of is worthless to it.
    let same = ask
        .header(&header::IF_RANGE)
        .is_none_or(|have| have.trim() == tag);
    let range = ask.header(&header::RANGE).filter(|_| same);
    let (status, from, len) = match range::wanted(range, size) {
        _ if ask.has(digest) => (StatusCode::NOT_MODIFIED, 0, 0),
        Wanted::All => (StatusCode::OK, 0, size),
        Wanted::Part { from, len } => (StatusCode::PARTIAL_CONTENT, from, len),
        Wanted::Nothing => {
            let words = format!("the blob has {size} bytes");
            return Err(Fault::new(Code::RangeInvalid, words)
                .with_header(header::CONTENT_RANGE, &format!("bytes */{size}")));
        }
    };
    let mut response = Response::new(if ask.method == Method::HEAD || len == 0 {
        Body::empty()
    } else {
        content.body(from, len).await?
    });
    *response.status_mut() = status;
    put(&mut response, header::ETAG, &tag);
    put(&mut response, names::CONTENT_DIGEST, &digest.to_string());
    if ask.method == Method::GET {
        registry.metrics.sent(len);
    }
    if status != StatusCode::NOT_MODIFIED {
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(len));
        let kind = HeaderValue::from_static("application/octet-stream");
        headers.insert(header::CONTENT_TYPE, kind);
        let units = HeaderValue::from_static("bytes");
        headers.insert(header::ACCEPT_RANGES, units);
        // Content of a digest never changes, but who may see it may.
        let keep = HeaderValue::from_static("private, max-age=31536000, immutable");
        headers.insert(header::CACHE_CONTROL, keep);
    }
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {from}-{}/{size}", from + len - 1);
        put(&mut response, header::CONTENT_RANGE, &range);
    }
    Ok(response)
}

/// `POST` to begin an upload: a mount, a whole blob at once, or a session.
pub(crate) async fn begin(registry: &Registry, ask: Ask, repository: &Repository) -> Answer {
    if ask.method != Method::POST {
        return Err(not_allowed("POST"));
    }
    registry.may_push()?;
    if let Some(digest) = ask.query.find("mount")
        && let Ok(digest) = digest.parse()
        && mount(registry, &ask, repository, digest).await?
    {
        return Ok(created(repository, digest));
    }
    let digest = ask.query.find("digest").map(parse_digest).transpose()?;
    let upload = registry.uploads.begin(repository).await?;
    let Some(digest) = digest else {
        return Ok(status(&upload, StatusCode::ACCEPTED));
    };
    let mut work = upload.work().await?;
    let limit = limit(registry, repository);
    let received = upload.receive(&mut work, ask.body, None, limit).await;
    if let Err(fault) = received {
        registry.uploads.remove(&upload, &mut work).await?;
        return Err(fault);
    }
    finish(registry, &upload, &mut work, digest).await?;
    Ok(created(repository, digest))
}

/// Gives a repository a blob that another one has; tells whether it could.
async fn mount(
    registry: &Registry,
    ask: &Ask,
    repository: &Repository,
    digest: Digest,
) -> Result<bool, Fault> {
    let from = ask.query.find("from").and_then(|from| from.parse().ok());
    let Some(from): Option<Repository> = from else {
        return Ok(false);
    };
    if !registry.door.may(&ask.who, &from, Right::Pull) {
        return Ok(false);
    }
    let _added = registry.gate.read().await;
    let (link, content) = (Key::blob(&from, digest), Key::content(digest));
    let Some(found) = registry.store.open_linked(link, content).await? else {
        return Ok(false);
    };
    link_blob(registry, repository, digest, (found.size, 0)).await?;
    Ok(true)
}

/// `GET`, `PATCH`, `PUT`, `DELETE` of an upload.
pub(crate) async fn upload(
    registry: &Registry,
    ask: Ask,
    repository: &Repository,
    id: Option<UploadId>,
) -> Answer {
    let allowed = [Method::GET, Method::PATCH, Method::PUT, Method::DELETE];
    if !allowed.contains(&ask.method) {
        return Err(not_allowed("GET, PATCH, PUT, DELETE"));
    }
    let upload = registry.uploads.find(repository, id).await?;
    match ask.method {
        Method::GET => Ok(status(&upload, StatusCode::NO_CONTENT)),
        Method::PATCH => {
            let mut work = upload.work().await?;
            let exact = expected(&ask, &upload)?;
            let limit = limit(registry, repository);
            upload.receive(&mut work, ask.body, exact, limit).await?;
            Ok(status(&upload, StatusCode::ACCEPTED))
        }
        Method::PUT => {
            let digest = ask.query.find("digest");
            let digest = digest.ok_or_else(|| {
                Fault::new(Code::DigestInvalid, "the query must say digest=sha256:…")
            })?;
            let digest = parse_digest(digest)?;
            let mut work = upload.work().await?;
            let exact = expected(&ask, &upload)?;
            let limit = limit(registry, repository);
            upload.receive(&mut work, ask.body, exact, limit).await?;
            finish(registry, &upload, &mut work, digest).await?;
            Ok(created(repository, digest))
        }
        _ => {
            let mut work = upload.work().await?;
            registry.uploads.remove(&upload, &mut work).await?;
            Ok(answer::empty(StatusCode::NO_CONTENT))
        }
    }
}

/// Returns how many bytes a chunk must have; one that does not begin where the last ended, or whose
/// range is none, is out of order.
fn expected(ask: &Ask, upload: &Arc<Upload>) -> Result<Option<u64>, Fault> {
    let Some(range) = ask.header(&header::CONTENT_RANGE) else {
        return Ok(None);
    };
    let (from, len) = match range::chunk(range) {
        Some((from, len)) if from == upload.len() => (from, len),
        _ => {
            let words = format!("the next byte is number {}", upload.len());
            return Err(Fault::new(Code::RangeInvalid, words)
                .with_header(header::LOCATION, &upload.location())
                .with_header(header::RANGE, &came(upload))
                .with_header(names::UPLOAD, &upload.id.to_string()));
        }
    };
    let said = ask.header(&header::CONTENT_LENGTH);
    if said.is_some_and(|said| said != len.to_string()) {
        let words = format!("Content-Length is not the {len} bytes from {from}");
        return Err(Fault::new(Code::SizeInvalid, words));
    }
    Ok(Some(len))
}

/// Checks what came and makes it a blob of the repository.
pub(crate) async fn finish(
    registry: &Registry,
    upload: &Arc<Upload>,
    work: &mut Work,
    digest: Digest,
) -> Result<(), Fault> {
    let came = upload.digest(work).await?;
    if came != digest {
        registry.uploads.remove(upload, work).await?;
        let words = "provided digest did not match uploaded content";
        return Err(Fault::new(Code::DigestInvalid, words)
            .with_detail(json!({"digest": digest, "uploaded": came})));
    }
    let repository = upload.repository();
    let _added = registry.gate.read().await;
    let (key, size) = (Key::content(digest), upload.len());
    registry.metrics.received(size);
    // What is there already is the same, and may be being read.
    let known = registry.store.size(key.clone()).await? == Some(size);
    if !known {
        let file = upload.data_for_store().await?;
        registry.store.adopt(file, key).await?;
    }
    let new = if known { 0 } else { size };
    let linked = link_blob(registry, repository, digest, (size, new)).await;
    registry.uploads.remove(upload, work).await?;
    linked
}

/// Gives a repository content that is there; `size` counts for the repository, `new` for the whole.
async fn link_blob(
    registry: &Registry,
    repository: &Repository,
    digest: Digest,
    (size, new): (u64, u64),
) -> Result<(), Fault> {
    let link = Key::blob(repository, digest);
    registry.touched.touch(digest);
    if registry.store.size(link.clone()).await?.is_none() {
        registry.quotas.take(repository, size, new)?;
    }
    Ok(registry.store.write(link, bytes::Bytes::new()).await?)
}

/// Returns how many bytes a blob may have: no more than the quota has left.
fn limit(registry: &Registry, repository: &Repository) -> u64 {
    registry
        .settings
        .blob_max
        .min(registry.quotas.left(repository))
}

fn status(upload: &Upload, status: StatusCode) -> Response<Body> {
    let mut response = answer::empty(status);
    put(&mut response, header::LOCATION, &upload.location());
    put(&mut response, header::RANGE, &came(upload));
    put(&mut response, names::UPLOAD, &upload.id.to_string());
    response
}

/// The range of what came, both ends included; an empty one cannot be said, and is `0-0` as in
/// Docker's registry.
fn came(upload: &Upload) -> String {
    format!("0-{}", upload.len().saturating_sub(1))
}

fn created(repository: &Repository, digest: Digest) -> Response<Body> {
    let mut response = answer::empty(StatusCode::CREATED);
    let location = format!("/v2/{repository}/blobs/{digest}");
    put(&mut response, header::LOCATION, &location);
    put(&mut response, names::CONTENT_DIGEST, &digest.to_string());
    response
}

fn unknown(digest: Digest) -> Fault {
    Fault::new(Code::BlobUnknown, "blob unknown to registry").with_detail(json!({"digest": digest}))
}

/// The address is there, but not for this method.
pub(crate) fn not_allowed(methods: &'static str) -> Fault {
    Fault::new(
        Code::Unsupported,
        format!("this address knows only {methods}"),
    )
    .with_header(header::ALLOW, methods)
}
