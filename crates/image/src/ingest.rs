//! A blob on its way here: its bytes so far lie in `ingest`, and outlive the engine for a day.
//!
//! Who fetches appends; who unpacks follows behind. Nothing is verified here: a follower reads every
//! byte from the first on, so that it is the follower who knows the digest.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use types::Digest;

use crate::error::{Result, at};
use crate::layout::INGEST;
use crate::store::Store;

/// How long the beginning of a blob is kept for somebody who comes back, in seconds.
const KEPT_SECONDS: i64 = 24 * 3600;
/// What the names of blobs on their way begin with.
const PREFIX: &str = "blob-";

/// The side that fetches. Dropped before [`Ingest::finish`], its followers fail.
#[derive(Debug)]
pub struct Ingest {
    file: File,
    path: PathBuf,
    size: u64,
    progress: Arc<Progress>,
}

/// The side that reads: waits for bytes that are not there yet.
#[derive(Debug)]
pub struct Follower {
    file: File,
    taken: u64,
    progress: Arc<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    state: Mutex<State>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct State {
    written: u64,
    finished: bool,
    failed: bool,
}

impl Progress {
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state);
        self.more.notify_all();
    }
}

impl Store {
    /// Opens what is here of a blob of `size` bytes, or begins it; none while somebody else has it.
    pub fn ingest(&self, digest: Digest, size: u64) -> Result<Option<Ingest>> {
        let name = name(digest);
        let path = Path::new(INGEST).join(&name);
        let directory = self.area(INGEST)?;
        let full = self.layout().root().join(&path);
        if directory
            .find(OsStr::new(&name))
            .map_err(at(&path))?
            .is_none()
        {
            let _made = directory
                .create_file(OsStr::new(&name), 0o600)
                .map_err(at(&path))?;
        }
        let mut file = open(&full).map_err(at(&path))?;
        if !sys::dir::try_lock(file.as_fd()).map_err(at(&path))? {
            return Ok(None);
        }
        let failed = |error: io::Error| at(&path)(sys::Error::from_io("lseek", &error));
        let mut written = file.seek(SeekFrom::End(0)).map_err(failed)?;
        if written > size {
            file.set_len(0).map_err(failed)?;
            written = 0;
        }
        let progress = Arc::<Progress>::default();
        progress.change(|state| state.written = written);
        Ok(Some(Ingest {
            file,
            path: full,
            size,
            progress,
        }))
    }

    /// Forgets the bytes of blobs that are published, or that are not what they should be.
    pub fn forget_ingests(&self, digests: impl IntoIterator<Item = Digest>) {
        for digest in digests {
            // What stays is swept after a day.
            drop(self.remove_now(INGEST, &name(digest)));
        }
    }

    /// Removes what was being loaded, and blobs that nobody came back for.
    pub(crate) fn sweep_ingest(&self) -> Result<()> {
        let directory = self.area(INGEST)?;
        let now = jiff::Timestamp::now().as_second();
        for name in directory.names().map_err(at(INGEST))? {
            let blob = name.to_str().is_some_and(|name| name.starts_with(PREFIX));
            let fresh = blob
                && directory
                    .stat(&name)
                    .is_ok_and(|stat| now - stat.modified.seconds < KEPT_SECONDS);
            if !fresh {
                self.trash(INGEST, &name)?;
            }
        }
        Ok(())
    }

    /// Gives a finished blob a second name beside its layer.
    pub(crate) fn link_ingest(&self, digest: Digest, to: &sys::dir::Dir, new: &str) -> Result<()> {
        let name = name(digest);
        let path = Path::new(INGEST).join(&name);
        self.area(INGEST)?
            .link(OsStr::new(&name), to, OsStr::new(new))
            .map_err(at(path))
    }
}

fn name(digest: Digest) -> String {
    format!("{PREFIX}{}", digest.hex())
}

fn open(path: &Path) -> sys::Result<File> {
    sys::failpoint::pass("open")?;
    File::options()
        .read(true)
        .write(true)
        .open(path)
        .map_err(|error| sys::Error::from_io("open", &error))
}

impl Ingest {
    /// Returns how many bytes are here.
    pub fn written(&self) -> u64 {
        let state = self.progress.state.lock();
        state.unwrap_or_else(PoisonError::into_inner).written
    }

    /// Returns how many bytes there will be.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds the next bytes. More than there should be is an error.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.written() + bytes.len() as u64 > self.size {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("more than the {} bytes that were announced", self.size),
            ));
        }
        sys::failpoint::pass("write")?;
        self.file.write_all(bytes)?;
        self.progress
            .change(|state| state.written += bytes.len() as u64);
        Ok(())
    }

    /// Tells the followers that every byte is here.
    pub fn finish(self) {
        self.progress.change(|state| state.finished = true);
    }

    /// Returns somebody who reads from the first byte on.
    pub fn follow(&self) -> io::Result<Follower> {
        Ok(Follower {
            file: File::open(&self.path)?,
            taken: 0,
            progress: Arc::clone(&self.progress),
        })
    }
}

impl Drop for Ingest {
    fn drop(&mut self) {
        self.progress.change(|state| state.failed = !state.finished);
        if self.written() == 0 && self.size > 0 {
            // Nothing to go on from. Ours as long as the lock is held, and that is until the end.
            drop(std::fs::remove_file(&self.path));
        }
    }
}

impl Read for Follower {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let state = self.progress.state.lock();
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        while state.written <= self.taken && !state.finished && !state.failed {
            let woken = self.progress.more.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
        if state.failed {
            return Err(io::Error::other(Broken));
        }
        let there = usize::try_from(state.written - self.taken).unwrap_or(usize::MAX);
        drop(state);
        let most = buffer.len().min(there);
        let count = self.file.read(&mut buffer[..most])?;
        self.taken += count as u64;
        Ok(count)
    }
}

/// The bytes that were followed will not come.
#[derive(Debug, thiserror::Error)]
#[error("the download broke off")]
struct Broken;
