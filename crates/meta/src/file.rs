//! The file below the records: redb's own, with a fault door in front of each of its calls.

use std::fs::{OpenOptions, TryLockError};
use std::io::{Error, Result};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::backends::FileBackend;
use redb::{Database, DatabaseError, StorageBackend, StorageError};
use sys::failpoint::pass;

/// Bytes of redb's page cache: records are few and read once (storage reference §1.1).
const CACHE_BYTES: usize = 1 << 20;

/// One opening of the file. Its owner holds the [`lock`]: redb locks only files that it opens itself.
#[derive(Debug)]
struct File {
    backend: FileBackend,
    closed: Arc<AtomicBool>,
}

/// An open database, and the switch that keeps it from ever touching the file again.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) database: Database,
    closed: Arc<AtomicBool>,
}

impl Opened {
    /// Opens the database of the file, or makes it; repairs what a crash left.
    pub(crate) fn open(path: &Path) -> std::result::Result<Self, DatabaseError> {
        let closed = Arc::new(AtomicBool::new(false));
        let file = File {
            backend: FileBackend::new(open(path)?)?,
            closed: Arc::clone(&closed),
        };
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create_with_backend(file)?;
        Ok(Self { database, closed })
    }

    /// Lets the database go without its last words: another one owns the file from here on.
    pub(crate) fn abandon(self) {
        self.closed.store(true, Ordering::Release);
    }
}

/// Locks the file for this process, for as long as what is returned lives.
pub(crate) fn lock(path: &Path) -> std::result::Result<std::fs::File, DatabaseError> {
    let file = open(path)?;
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => DatabaseError::DatabaseAlreadyOpen,
        TryLockError::Error(error) => DatabaseError::Storage(error.into()),
    })?;
    Ok(file)
}

fn open(path: &Path) -> std::result::Result<std::fs::File, DatabaseError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|error| DatabaseError::Storage(StorageError::Io(error)))
}

impl File {
    fn pass(&self, name: &'static str) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::other("this opening of the record file is over"));
        }
        Ok(pass(name)?)
    }
}

impl StorageBackend for File {
    fn len(&self) -> Result<u64> {
        self.pass("meta_len")?;
        self.backend.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        self.pass("meta_read")?;
        self.backend.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.pass("meta_set_len")?;
        self.backend.set_len(len)
    }

    fn sync_data(&self) -> Result<()> {
        self.pass("meta_sync")?;
        self.backend.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        self.pass("meta_write")?;
        self.backend.write(offset, data)
    }
}
