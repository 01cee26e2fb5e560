//! The file below the records: redb's own, with a fault door in front of each of its calls.

use std::fs::{OpenOptions, TryLockError};
use std::io::Result;
use std::ops::Bound;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};
use sys::failpoint::pass;

type Locked<T> = std::result::Result<T, BackendError>;

/// The open file, locked for this process.
#[derive(Debug)]
pub(crate) struct File(FileBackend);

impl File {
    /// Opens the file, or makes it empty.
    pub(crate) fn open(path: &Path) -> std::result::Result<Self, redb::DatabaseError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(|error| redb::DatabaseError::Storage(error.into()))?;
        // redb locks only files that it opens itself.
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => redb::DatabaseError::DatabaseAlreadyOpen,
            TryLockError::Error(error) => redb::DatabaseError::Storage(error.into()),
        })?;
        FileBackend::new(file).map(Self)
    }
}

impl StorageBackend for File {
    fn len(&self) -> Result<u64> {
        pass("meta_len")?;
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        pass("meta_read")?;
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<()> {
        pass("meta_set_len")?;
        self.0.set_len(len)
    }

    fn sync_data(&self) -> Result<()> {
        pass("meta_sync")?;
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        pass("meta_write")?;
        self.0.write(offset, data)
    }

    fn close(&self) -> Result<()> {
        self.0.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<bool> {
        self.0.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<bool> {
        self.0.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<()> {
        self.0.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<()> {
        self.0.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<()> {
        self.0.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<bool> {
        self.0.query_lock_range(start, end)
    }
}
