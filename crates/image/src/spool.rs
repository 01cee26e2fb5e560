//! An image archive taken apart: every file of it in `ingest`, by name, whatever the order was.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use archive::{Entry, EntryKind, Reader, decompress};
use sys::dir::Dir;
use types::Digest;
use types::digest::Hasher;

use crate::error::{Error, Result, at};
use crate::layout::INGEST;
use crate::store::Store;

/// Files of one image archive.
const MAX_FILES: usize = 100_000;
/// Links from one name to another that are followed.
const MAX_LINKS: usize = 8;

/// The files of an archive. Dropped, they are removed.
pub(crate) struct Spool {
    store: Store,
    n: String,
    dir: Dir,
    parts: BTreeMap<String, Part>,
}

enum Part {
    File { number: String, size: u64 },
    Link { target: String },
}

impl Spool {
    /// Reads a whole archive in any compression.
    pub(crate) fn read(store: &Store, from: impl Read) -> Result<Self> {
        let (n, dir) = store.make(INGEST)?;
        let mut spool = Self {
            store: store.clone(),
            n,
            dir,
            parts: BTreeMap::new(),
        };
        let mut reader = Reader::new(decompress(from)?);
        while let Some(entry) = reader.next_entry()? {
            spool.entry(&entry, &mut reader)?;
        }
        reader.finish()?;
        Ok(spool)
    }

    fn entry(&mut self, entry: &Entry, reader: &mut impl Read) -> Result<()> {
        let bad = |reason: &str| invalid(&entry.path, reason);
        if self.parts.len() >= MAX_FILES {
            return Err(bad("too many files"));
        }
        let text = std::str::from_utf8(&entry.path).map_err(|_| bad("the name is not UTF-8"))?;
        let name = resolve("", text).ok_or_else(|| bad("the name leaves the archive"))?;
        let part = match &entry.kind {
            EntryKind::Directory => return Ok(()),
            EntryKind::File { .. } => {
                let number = self.parts.len().to_string();
                let size = self.store_file(&number, &name, reader)?;
                Part::File { number, size }
            }
            // Old archives share layers by links.
            EntryKind::Symlink { target } | EntryKind::HardLink { target } => {
                let base = match entry.kind {
                    EntryKind::Symlink { .. } => name.rsplit_once('/').map_or("", |(dir, _)| dir),
                    _ => "",
                };
                let target = std::str::from_utf8(target)
                    .ok()
                    .and_then(|text| resolve(base, text));
                Part::Link {
                    target: target.ok_or_else(|| bad("the link leaves the archive"))?,
                }
            }
            _ => return Err(bad("not a file, directory or link")),
        };
        if let Some(Part::File { number, .. }) = self.parts.insert(name, part) {
            self.dir
                .unlink(OsStr::new(&number))
                .map_err(at(Path::new(INGEST).join(&self.n)))?;
        }
        Ok(())
    }

    /// Writes one file; a blob must be what its name says.
    fn store_file(&self, number: &str, name: &str, from: &mut impl Read) -> Result<u64> {
        let path = Path::new(INGEST).join(&self.n).join(number);
        let file = self
            .dir
            .create_file(OsStr::new(number), 0o600)
            .map_err(at(&path))?;
        let mut hasher = Hasher::default();
        copy(from, file, &mut hasher).map_err(|error| match error {
            CopyError::Read(error) => Error::Archive(archive::Error::Read(error)),
            CopyError::Write(error) => at(&path)(sys::Error::from_io("write", &error)),
        })?;
        let size = hasher.len();
        let wanted = name
            .strip_prefix("blobs/sha256/")
            .and_then(Digest::from_hex);
        let digest = hasher.finish();
        if wanted.is_some_and(|wanted| wanted != digest) {
            return Err(invalid(
                name.as_bytes(),
                &format!("the content has digest {digest}"),
            ));
        }
        Ok(size)
    }

    /// Opens a file by its name in the archive.
    pub(crate) fn open(&self, name: &str) -> Result<Option<(File, u64)>> {
        let Some(mut name) = resolve("", name) else {
            return Ok(None);
        };
        for _ in 0..MAX_LINKS {
            match self.parts.get(&name) {
                None => return Ok(None),
                Some(Part::Link { target }) => name.clone_from(target),
                Some(Part::File { number, size }) => {
                    let path = Path::new(INGEST).join(&self.n).join(number);
                    let file = self.dir.open_file(Path::new(number)).map_err(at(path))?;
                    return Ok(Some((file, *size)));
                }
            }
        }
        Ok(None)
    }

    /// Returns a small file by its name as text.
    pub(crate) fn text(&self, name: &str, limit: u64) -> Result<Option<String>> {
        let Some((file, size)) = self.open(name)? else {
            return Ok(None);
        };
        if size > limit {
            return Err(invalid(name.as_bytes(), "too long"));
        }
        let mut text = String::new();
        io::BufReader::new(file)
            .read_to_string(&mut text)
            .map_err(|error| invalid(name.as_bytes(), &error.to_string()))?;
        Ok(Some(text))
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        // What cannot be removed now is swept at the next start.
        drop(self.store.remove_now(INGEST, &self.n));
    }
}

enum CopyError {
    Read(io::Error),
    Write(io::Error),
}

fn copy(from: &mut impl Read, mut to: impl Write, hasher: &mut Hasher) -> Result<(), CopyError> {
    let mut buffer = vec![0; 1 << 17];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(CopyError::Read(error)),
        };
        hasher.update(&buffer[..read]);
        sys::failpoint::pass("write").map_err(|error| CopyError::Write(error.into()))?;
        to.write_all(&buffer[..read]).map_err(CopyError::Write)?;
    }
}

/// Cleans a path within the archive, relative to a directory of it; `None` if it leaves.
fn resolve(base: &str, path: &str) -> Option<String> {
    let mut names: Vec<&str> = Vec::new();
    let base = if path.starts_with('/') { "" } else { base };
    for name in base.split('/').chain(path.split('/')) {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()?),
            _ => names.push(name),
        }
    }
    Some(names.join("/"))
}

/// Makes the error that names a part of the archive.
pub(crate) fn invalid(part: &[u8], reason: &str) -> Error {
    let part = String::from_utf8_lossy(part).into_owned();
    Error::InvalidArchive {
        part,
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::resolve;

    #[test]
    fn names() {
        for (base, path, expect) in [
            ("", "./a//b", Some("a/b")),
            ("", "../a", None),
            ("x", "../y/layer.tar", Some("y/layer.tar")),
            ("x", "../../y", None),
            ("x", "/y", Some("y")),
        ] {
            assert_eq!(resolve(base, path).as_deref(), expect, "{base} {path}");
        }
    }
}
