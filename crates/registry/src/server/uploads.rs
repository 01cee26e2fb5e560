//! Uploads: what comes of a blob, kept on disk as it comes, so that it goes on where it stopped.
//!
//! An upload is a directory with the bytes that came and the name of its repository. Its memory here
//! (the hash so far) is only a saving: after a restart the hash is made again from the bytes.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body as HyperBody, Incoming};
use tokio::sync::{Mutex as AsyncMutex, MutexGuard};
use types::digest::{Digest, Hasher};

use super::blocking;
use super::fault::{Code, Fault};
use super::names::{Repository, UploadId};
use super::store::{self, Error};

/// What is gathered before it is hashed and written.
const BATCH: usize = 64 << 10;
/// Longest wait for a client's next bytes.
const PATIENCE: Duration = Duration::from_mins(1);
/// Uploads whose hash is kept in memory; beyond it the idle ones are hashed again.
const REMEMBERED: usize = 1024;

/// All uploads of a registry.
#[derive(Debug)]
pub(crate) struct Uploads {
    root: PathBuf,
    known: Mutex<HashMap<UploadId, Arc<Upload>>>,
}

/// One upload.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) id: UploadId,
    repository: Repository,
    dir: PathBuf,
    /// Bytes that came; for those who only ask.
    len: AtomicU64,
    work: AsyncMutex<Work>,
}

/// What only one request at a time may touch.
#[derive(Debug)]
pub(crate) struct Work {
    /// The hash of all that came; `None` until it is made again from the file.
    hasher: Option<Hasher>,
    /// Finished or cancelled while this request waited.
    over: bool,
}

impl Uploads {
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            known: Mutex::default(),
        }
    }

    /// Begins an upload; it is on disk when this returns.
    pub(crate) async fn begin(&self, repository: &Repository) -> Result<Arc<Upload>, Fault> {
        let mut random = [0; 16];
        sys::random::fill(&mut random).map_err(|e| Error::sys(&self.root, e))?;
        let id = UploadId::of_random(random);
        let dir = self.root.join(store::upload(id));
        let (made, name) = (dir.clone(), repository.as_str().to_owned());
        blocking::run(move || -> Result<(), Error> {
            fs::create_dir_all(&made).map_err(|e| Error::io("mkdir", &made, e))?;
            let path = made.join("repository");
            sys::durable::replace_volatile(&path, name.as_bytes(), 0o600)
                .map_err(|e| Error::sys(&path, e))
        })
        .await?;
        Ok(self.remember(Upload {
            id,
            repository: repository.clone(),
            dir,
            len: AtomicU64::new(0),
            work: AsyncMutex::new(Work {
                hasher: Some(Hasher::default()),
                over: false,
            }),
        }))
    }

    /// Finds an upload of a repository; after a restart on disk.
    pub(crate) async fn find(
        &self,
        repository: &Repository,
        id: Option<UploadId>,
    ) -> Result<Arc<Upload>, Fault> {
        let unknown = || Fault::new(Code::BlobUploadUnknown, "blob upload unknown to registry");
        let id = id.ok_or_else(unknown)?;
        let known = self.lock().get(&id).map(Arc::clone);
        if let Some(upload) = known {
            return (upload.repository == *repository)
                .then_some(upload)
                .ok_or_else(unknown);
        }
        let dir = self.root.join(store::upload(id));
        let (looked, name) = (dir.clone(), repository.clone());
        let len = blocking::run(move || stored(&looked, &name)).await?;
        let len = len.ok_or_else(unknown)?;
        Ok(self.remember(Upload {
            id,
            repository: repository.clone(),
            dir,
            len: AtomicU64::new(len),
            work: AsyncMutex::new(Work {
                hasher: (len == 0).then(Hasher::default),
                over: false,
            }),
        }))
    }

    /// Removes an upload and what came of it.
    pub(crate) async fn remove(&self, upload: &Upload, work: &mut Work) -> Result<(), Fault> {
        work.over = true;
        self.lock().remove(&upload.id);
        let dir = upload.dir.clone();
        blocking::run(move || remove_dir(&dir)).await?;
        Ok(())
    }

    /// Removes uploads that nobody touched for `age`; returns how many.
    pub(crate) async fn sweep(&self, age: Duration) -> Result<u64, Error> {
        let root = self.root.join(store::UPLOADS);
        let busy: Vec<String> = self
            .lock()
            .iter()
            .filter(|(_, upload)| Arc::strong_count(upload) > 1)
            .map(|(id, _)| id.to_string())
            .collect();
        let gone = blocking::run(move || sweep(&root, &busy, age)).await?;
        let mut known = self.lock();
        for name in &gone {
            if let Ok(id) = name.parse() {
                known.remove(&id);
            }
        }
        Ok(gone.len() as u64)
    }

    /// Two requests that find one upload after a restart share it: the first wins.
    fn remember(&self, upload: Upload) -> Arc<Upload> {
        let mut known = self.lock();
        if known.len() >= REMEMBERED {
            known.retain(|_, upload| Arc::strong_count(upload) > 1);
        }
        let place = known.entry(upload.id);
        Arc::clone(place.or_insert_with(|| Arc::new(upload)))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<UploadId, Arc<Upload>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Upload {
    /// Returns how many bytes came.
    pub(crate) fn len(&self) -> u64 {
        self.len.load(Ordering::SeqCst)
    }

    /// Returns the address of the upload.
    pub(crate) fn location(&self) -> String {
        format!("/v2/{}/blobs/uploads/{}", self.repository, self.id)
    }

    /// Returns whose upload it is.
    pub(crate) fn repository(&self) -> &Repository {
        &self.repository
    }

    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Returns the file of what came; an empty one is made, for nothing came.
    pub(crate) async fn data_for_store(&self) -> Result<PathBuf, Fault> {
        let path = self.data();
        let made = path.clone();
        blocking::run(move || {
            let file = File::options().create(true).append(true).open(&made);
            file.map(drop).map_err(|e| Error::io("open", &made, e))
        })
        .await?;
        Ok(path)
    }

    /// Waits until no other request works on it.
    pub(crate) async fn work(&self) -> Result<MutexGuard<'_, Work>, Fault> {
        let work = self.work.lock().await;
        if work.over {
            let words = "blob upload unknown to registry";
            return Err(Fault::new(Code::BlobUploadUnknown, words));
        }
        Ok(work)
    }

    /// Takes a body and appends it. Bytes that came before it broke off stay; more than `limit` in
    /// all are refused, and if `exact` says how many must come, so are fewer or more.
    pub(crate) async fn receive(
        &self,
        work: &mut Work,
        mut body: Incoming,
        exact: Option<u64>,
        limit: u64,
    ) -> Result<(), Fault> {
        let begin = self.len();
        if exact == Some(0) && body.is_end_stream() {
            return Ok(());
        }
        let mut batch = Vec::new();
        let mut gathered = 0;
        loop {
            let frame = tokio::time::timeout(PATIENCE, body.frame()).await;
            let frame = match frame {
                Ok(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
                Ok(None) => break,
                Ok(Some(Err(error))) => {
                    self.append(work, batch).await?;
                    let words = format!("the body broke off: {error}");
                    return Err(Fault::new(Code::BlobUploadInvalid, words));
                }
                Err(_) => {
                    self.append(work, batch).await?;
                    let fault = Fault::new(Code::BlobUploadInvalid, "no byte came for a minute");
                    return Err(fault.with_status(hyper::StatusCode::REQUEST_TIMEOUT));
                }
            };
            gathered += frame.len();
            let total = self.len() + gathered as u64;
            let beyond = exact.is_some_and(|exact| total - begin > exact);
            if beyond || total > limit {
                self.truncate(work, begin).await?;
                return Err(if beyond {
                    Fault::new(Code::SizeInvalid, "more came than Content-Range says")
                } else {
                    let words = format!("a blob may have {limit} bytes here");
                    Fault::new(Code::SizeInvalid, words)
                        .with_status(hyper::StatusCode::PAYLOAD_TOO_LARGE)
                });
            }
            batch.push(frame);
            if gathered >= BATCH {
                self.append(work, std::mem::take(&mut batch)).await?;
                gathered = 0;
            }
        }
        self.append(work, batch).await?;
        if exact.is_some_and(|exact| self.len() - begin != exact) {
            self.truncate(work, begin).await?;
            let words = "fewer came than Content-Range says";
            return Err(Fault::new(Code::SizeInvalid, words));
        }
        Ok(())
    }

    /// Returns the digest of all that came.
    pub(crate) async fn digest(&self, work: &mut Work) -> Result<Digest, Fault> {
        self.hash(work).await?;
        let hasher = work.hasher.clone().unwrap_or_default();
        Ok(hasher.finish())
    }

    /// Appends bytes that are here already.
    pub(crate) async fn append(&self, work: &mut Work, batch: Vec<Bytes>) -> Result<(), Fault> {
        if batch.is_empty() {
            return Ok(());
        }
        self.hash(work).await?;
        let mut hasher = work.hasher.take().unwrap_or_default();
        let (path, at) = (self.data(), self.len());
        let done = blocking::run(move || -> Result<Hasher, Error> {
            let failed = |e| Error::io("write", &path, e);
            let file = File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&path)
                .map_err(failed)?;
            let mut at = at;
            for piece in batch {
                file.write_all_at(&piece, at).map_err(failed)?;
                hasher.update(&piece);
                at += piece.len() as u64;
            }
            Ok(hasher)
        });
        // On an error the hash stays away, and is made again of what is known to be there.
        let hasher = done.await?;
        self.len.store(hasher.len(), Ordering::SeqCst);
        work.hasher = Some(hasher);
        Ok(())
    }

    /// Forgets what came after the first `len` bytes.
    pub(crate) async fn truncate(&self, work: &mut Work, len: u64) -> Result<(), Fault> {
        let path = self.data();
        blocking::run(move || -> Result<(), Error> {
            let file = File::options().write(true).open(&path);
            match file.and_then(|file| file.set_len(len)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    Err(Error::io("truncate", &path, e))
                }
                _ => Ok(()),
            }
        })
        .await?;
        self.len.store(len, Ordering::SeqCst);
        work.hasher = (len == 0).then(Hasher::default);
        Ok(())
    }

    /// Makes the hash of what is on disk, if it is not known.
    async fn hash(&self, work: &mut Work) -> Result<(), Fault> {
        if work.hasher.is_none() {
            let (path, len) = (self.data(), self.len());
            work.hasher = Some(blocking::run(move || hash(&path, len)).await?);
        }
        Ok(())
    }
}

/// Returns how many bytes an upload has on disk, if it is one of this repository.
fn stored(dir: &Path, repository: &Repository) -> Result<Option<u64>, Error> {
    let path = dir.join("repository");
    match fs::read_to_string(&path) {
        Ok(name) if name == repository.as_str() => {}
        Ok(_) => return Ok(None),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io("read", &path, e)),
    }
    let path = dir.join("data");
    match fs::metadata(&path) {
        Ok(stat) => Ok(Some(stat.len())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Some(0)),
        Err(e) => Err(Error::io("stat", &path, e)),
    }
}

fn hash(path: &Path, len: u64) -> Result<Hasher, Error> {
    let failed = |e| Error::io("read", path, e);
    let mut hasher = Hasher::default();
    if len == 0 {
        return Ok(hasher);
    }
    let mut file = File::open(path).map_err(failed)?.take(len);
    let mut piece = vec![0; 4 * BATCH];
    loop {
        match file.read(&mut piece).map_err(failed)? {
            0 => return Ok(hasher),
            got => hasher.update(&piece[..got]),
        }
    }
}

fn remove_dir(dir: &Path) -> Result<(), Error> {
    for name in ["data", "repository"] {
        let path = dir.join(name);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(Error::io("unlink", &path, e));
            }
            _ => {}
        }
    }
    match fs::remove_dir(dir) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::io("rmdir", dir, e)),
        _ => Ok(()),
    }
}

fn sweep(root: &Path, busy: &[String], age: Duration) -> Result<Vec<String>, Error> {
    let mut gone = Vec::new();
    let listing = match fs::read_dir(root) {
        Ok(listing) => listing,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(gone),
        Err(e) => return Err(Error::io("readdir", root, e)),
    };
    for entry in listing {
        let entry = entry.map_err(|e| Error::io("readdir", root, e))?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let dir = entry.path();
        let data = fs::metadata(dir.join("data")).or_else(|_| fs::metadata(&dir));
        let touched = data.and_then(|stat| stat.modified());
        let idle = touched
            .ok()
            .and_then(|then| SystemTime::now().duration_since(then).ok());
        if !busy.contains(&name) && idle.is_some_and(|idle| idle >= age) {
            remove_dir(&dir)?;
            gone.push(name);
        }
    }
    Ok(gone)
}
