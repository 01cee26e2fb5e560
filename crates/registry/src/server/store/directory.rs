//! Content in a directory of this machine.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::{Content, Entry, Error, Key, SMALL_MAX, Source};

/// Mode of what is written: a registry's content is for its server.
const MODE: u32 = 0o600;

/// A root that is ours alone as long as this lives.
#[derive(Debug)]
pub(crate) struct Directory {
    root: PathBuf,
    _lock: File,
}

impl Directory {
    /// Takes the directory `root`, made if it is missing.
    pub(crate) fn open_root(root: &Path) -> Result<Self, Error> {
        fs::create_dir_all(root).map_err(|e| Error::io("mkdir", root, e))?;
        let path = root.join("lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|e| Error::io("open", &path, e))?;
        if !sys::dir::try_lock(lock.as_fd()).map_err(|e| Error::sys(&path, e))? {
            return Err(Error::Locked {
                root: root.to_owned(),
            });
        }
        Ok(Self {
            root: root.to_owned(),
            _lock: lock,
        })
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.root.join(key.as_str())
    }

    pub(super) fn read(&self, key: &Key) -> Result<Option<Bytes>, Error> {
        let path = self.path(key);
        let Some(file) = found(File::open(&path)).map_err(|e| Error::io("open", &path, e))? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        let limit = SMALL_MAX;
        file.take(limit + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| Error::io("read", &path, e))?;
        if bytes.len() as u64 > limit {
            return Err(Error::TooLong {
                key: key.as_str().to_owned(),
                limit,
            });
        }
        Ok(Some(bytes.into()))
    }

    pub(super) fn write(&self, key: &Key, bytes: &[u8]) -> Result<(), Error> {
        let path = self.path(key);
        let mut tries = 8;
        loop {
            self.make_parent(&path)?;
            tries -= 1;
            match sys::durable::replace(&path, bytes, MODE) {
                Ok(()) => return Ok(()),
                // The sweeper took the empty directory meanwhile.
                Err(error) if error.errno == sys::Errno::NOENT && tries > 0 => {}
                Err(error) => return Err(Error::sys(&path, error)),
            }
        }
    }

    pub(super) fn remove(&self, key: &Key) -> Result<bool, Error> {
        let path = self.path(key);
        if found(fs::remove_file(&path))
            .map_err(|e| Error::io("unlink", &path, e))?
            .is_none()
        {
            return Ok(false);
        }
        sync_parent(&path)?;
        Ok(true)
    }

    pub(super) fn size(&self, key: &Key) -> Result<Option<u64>, Error> {
        let path = self.path(key);
        let found = found(fs::metadata(&path)).map_err(|e| Error::io("stat", &path, e))?;
        Ok(found.map(|stat| stat.len()))
    }

    pub(super) fn names(&self, key: &Key) -> Result<Vec<String>, Error> {
        let path = self.path(key);
        let failed = |e| Error::io("readdir", &path, e);
        let Some(listing) = found(fs::read_dir(&path)).map_err(failed)? else {
            return Ok(Vec::new());
        };
        let mut names = Vec::new();
        for entry in listing {
            // Names of ours are ASCII and do not begin with a dot: those are being written.
            match entry.map_err(failed)?.file_name().into_string() {
                Ok(name) if !name.starts_with('.') => names.push(name),
                _ => {}
            }
        }
        Ok(names)
    }

    pub(super) fn entries(&self, key: &Key) -> Result<Vec<Entry>, Error> {
        let path = self.path(key);
        let mut entries = Vec::new();
        for name in self.names(key)? {
            let path = path.join(&name);
            let stat = found(fs::metadata(&path)).map_err(|e| Error::io("stat", &path, e))?;
            let Some(stat) = stat else { continue };
            let modified = stat.modified().map_err(|e| Error::io("stat", &path, e))?;
            entries.push(Entry {
                name,
                size: stat.len(),
                modified,
            });
        }
        Ok(entries)
    }

    pub(super) fn prune(&self, key: &Key) -> Result<(), Error> {
        let path = self.path(key);
        for name in self.names(key)? {
            let below = path.join(name);
            if below.is_dir() {
                for name in fs::read_dir(&below).map_err(|e| Error::io("readdir", &below, e))? {
                    let name = name.map_err(|e| Error::io("readdir", &below, e))?;
                    // Fails on what is not an empty directory, which stays.
                    drop(fs::remove_dir(name.path()));
                }
                drop(fs::remove_dir(&below));
            }
        }
        drop(fs::remove_dir(&path));
        Ok(())
    }

    pub(super) fn open(&self, key: &Key) -> Result<Option<Content>, Error> {
        let path = self.path(key);
        let Some(file) = found(File::open(&path)).map_err(|e| Error::io("open", &path, e))? else {
            return Ok(None);
        };
        let size = file
            .metadata()
            .map_err(|e| Error::io("stat", &path, e))?
            .len();
        Ok(Some(Content {
            size,
            source: Source::File(Arc::new(file)),
        }))
    }

    pub(super) fn adopt(&self, file: &Path, key: &Key) -> Result<(), Error> {
        let path = self.path(key);
        let open = File::open(file).map_err(|e| Error::io("open", file, e))?;
        open.sync_data()
            .map_err(|e| Error::io("fdatasync", file, e))?;
        self.make_parent(&path)?;
        fs::rename(file, &path).map_err(|e| Error::io("rename", &path, e))?;
        sync_parent(&path)
    }

    /// Makes the directories above `path`; each is on disk before something is put into it.
    fn make_parent(&self, path: &Path) -> Result<(), Error> {
        let Some(parent) = path.parent() else {
            return Ok(());
        };
        if parent.is_dir() || !parent.starts_with(&self.root) {
            return Ok(());
        }
        self.make_parent(parent)?;
        match fs::create_dir(parent) {
            Ok(()) => sync_parent(parent),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(e) => Err(Error::io("mkdir", parent, e)),
        }
    }
}

/// Not being there is an answer, not an error.
fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e)
            if matches!(
                e.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(e) => Err(e),
    }
}

fn sync_parent(path: &Path) -> Result<(), Error> {
    let parent = path.parent().unwrap_or(path);
    // A directory that was swept meanwhile has no entry to lose.
    let Some(dir) = found(File::open(parent)).map_err(|e| Error::io("open", parent, e))? else {
        return Ok(());
    };
    sys::durable::sync_dir(dir.as_fd()).map_err(|e| Error::sys(parent, e))
}
