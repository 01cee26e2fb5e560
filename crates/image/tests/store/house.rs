//! A store below a temporary data root, and archives to feed it.

use std::ffi::{CStr, CString};
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use archive::{Entry, EntryKind, Writer};
use image::{Error, ImageId, ImportOptions, RemovedItem, Snapshot, Store, User};
use meta::Meta;
use types::{Mount, Reference};

/// A data root that goes with its test.
pub(crate) struct House {
    pub(crate) root: PathBuf,
    pub(crate) meta: Meta,
    pub(crate) store: Store,
}

impl House {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("image-test-{}-{number}", std::process::id()));
        fs::create_dir(&root).unwrap();
        let meta = Meta::open(&root.join("meta.redb")).unwrap();
        let store = Store::open(&root).unwrap();
        Self { root, meta, store }
    }

    pub(crate) fn import(&self, tar: &[u8], tag: &str) -> Result<ImageId, Error> {
        let staged = self.store.import(tar, &ImportOptions::default())?;
        let tag: Reference = tag.parse().unwrap();
        self.meta
            .write(|txn| self.store.publish(txn, staged, Some(&tag)))
    }

    pub(crate) fn remove(
        &self,
        name: &str,
        force: bool,
        users: &[User<'_>],
    ) -> Result<Vec<RemovedItem>, Error> {
        let removed = self
            .meta
            .write(|txn| self.store.remove(txn, name, force, users))?;
        self.store.discard(removed.garbage)?;
        Ok(removed.items)
    }

    /// Mounts what a container sees; the mount is attached nowhere and goes with its descriptor.
    pub(crate) fn mounted(&self, snapshot: &Snapshot) -> OwnedFd {
        let view = self.meta.read().unwrap();
        overlay(self.store.mount(&view, snapshot, false).unwrap()).unwrap()
    }

    pub(crate) fn names(&self, area: &str) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.root.join(area))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// The directory of the only layer of an image.
    pub(crate) fn layer(&self, name: &str) -> PathBuf {
        let view = self.meta.read().unwrap();
        let snapshot = self
            .store
            .prepare(&view, self.store.resolve(&view, name).unwrap())
            .unwrap();
        let Mount::Overlay { lower, .. } = self.store.mount(&view, &snapshot, false).unwrap()
        else {
            panic!("no overlay")
        };
        self.store.remove_snapshot(&snapshot).unwrap();
        lower[0].clone()
    }
}

/// Mounts an overlay that is attached nowhere.
pub(crate) fn overlay(mount: Mount) -> sys::Result<OwnedFd> {
    let Mount::Overlay {
        lower,
        upper,
        work,
        volatile,
    } = mount
    else {
        panic!("no overlay")
    };
    let context = sys::mount::fsopen(c"overlay").unwrap();
    let option = |key: &CStr, path: &Path| {
        let path = CString::new(path.as_os_str().as_bytes()).unwrap();
        sys::mount::set_option(context.as_fd(), key, Some(&path)).unwrap();
    };
    let lower: Vec<_> = lower.iter().map(|path| path.to_str().unwrap()).collect();
    option(c"lowerdir", Path::new(&lower.join(":")));
    option(c"upperdir", &upper);
    option(c"workdir", &work);
    if volatile {
        sys::mount::set_option(context.as_fd(), c"volatile", None).unwrap();
    }
    sys::mount::create(context.as_fd())?;
    sys::mount::fsmount(context.as_fd(), 0)
}

impl Drop for House {
    fn drop(&mut self) {
        let parent = sys::dir::Dir::open(self.root.parent().unwrap()).unwrap();
        parent.remove_tree(self.root.file_name().unwrap()).unwrap();
    }
}

pub(crate) fn tar(entries: &[(Entry, &str)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (entry, content) in entries {
        writer.entry(entry, content.as_bytes()).unwrap();
    }
    writer.finish().unwrap()
}

pub(crate) fn file(path: &str, content: &'static str) -> (Entry, &'static str) {
    (
        Entry::new(
            path,
            EntryKind::File {
                size: content.len() as u64,
            },
        ),
        content,
    )
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    io::Write::write_all(&mut to, bytes).unwrap();
    to.finish().unwrap()
}
