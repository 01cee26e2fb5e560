//! Writes a json-file log and rotates it by rename: `NAME`, `NAME.1` (newer), `NAME.2` (older), …

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::entry::Stream;
use crate::error::{Error, Result};
use crate::json_file;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes per file, after which the next entry begins a new one; 0 is no limit.
    pub max_size: u64,
    /// Files kept, at least 1.
    pub max_file: u32,
}

/// Encoded entries are written together up to this many bytes.
const BATCH: usize = 16 * 1024;

/// The writing end; there is one per log.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    limits: Limits,
    file: File,
    /// Bytes in the file that are whole entries.
    size: u64,
    batch: Vec<u8>,
    lost: u64,
}

impl Writer {
    /// Opens the log at `path` to go on behind what is there.
    pub fn open(path: &Path, limits: Limits) -> Result<Self> {
        let (file, size) = open(path).map_err(|e| Error::file(path, e))?;
        Ok(Self {
            path: path.to_owned(),
            limits,
            file,
            size,
            batch: Vec::new(),
            lost: 0,
        })
    }

    /// Takes an entry; it is in the file after [`Writer::flush`] at the latest. Output is never held
    /// up by a full disk: what cannot be written is counted and dropped.
    pub fn push(&mut self, time_ns: i64, stream: Stream, bytes: &[u8]) {
        let full = self.limits.max_size != 0 && self.next_size() >= self.limits.max_size;
        if full {
            self.flush();
            if self.size >= self.limits.max_size {
                // When it fails the old file goes on being written: too long is better than lost.
                let _too_long = self.rotate();
            }
        }
        json_file::encode(&mut self.batch, time_ns, stream, bytes);
        if self.batch.len() >= BATCH {
            self.flush();
        }
    }

    /// Writes what was pushed; gives its memory back.
    pub fn flush(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        if batch.is_empty() {
            return;
        }
        if self.file.write_all(&batch).is_ok() {
            self.size += batch.len() as u64;
            return;
        }
        // Whole entries only: a reader would skip the cut one, and the one behind it.
        let _kept_as_it_is = self.file.set_len(self.size);
        self.lost += batch.split_inclusive(|byte| *byte == b'\n').count() as u64;
    }

    /// Returns how many entries could not be written.
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    fn next_size(&self) -> u64 {
        self.size + self.batch.len() as u64
    }

    fn rotate(&mut self) -> std::io::Result<()> {
        let oldest = self.limits.max_file.max(1) - 1;
        for number in (1..=oldest).rev() {
            let from = numbered(&self.path, number - 1);
            match std::fs::rename(from, numbered(&self.path, number)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        if oldest == 0 {
            // Followers still read to the end of the file that they have open.
            std::fs::remove_file(&self.path)?;
        }
        (self.file, self.size) = open(&self.path)?;
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.flush();
    }
}

fn open(path: &Path) -> std::io::Result<(File, u64)> {
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .open(path)?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

/// `NAME.3`; 0 is `NAME` itself.
pub(crate) fn numbered(path: &Path, number: u32) -> PathBuf {
    if number == 0 {
        return path.to_owned();
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}
