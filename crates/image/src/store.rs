//! The store's directories: made, numbered, thrown away and swept.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use meta::{Read, Txn};
use sys::dir::{self, Dir};
use types::Digest;

use crate::error::{Result, at};
use crate::layout::{self, DIFF, INIT, LAYERS, Layout, RW, TRASH, base36, parse_base36};
use crate::record;
use crate::snapshot::Snapshot;

/// What the root of every container must have for the engine's mounts: a directory (with slash)
/// or an empty file.
const MOUNT_POINTS: [&str; 10] = [
    "dev/",
    "dev/console",
    "dev/pts/",
    "dev/shm/",
    "etc/",
    "proc/",
    "sys/",
    "etc/hosts",
    "etc/hostname",
    "etc/resolv.conf",
];

/// The image store below one data root. Clones are the same store.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    layout: Layout,
    root: Dir,
    /// The next name of a directory.
    next: AtomicU64,
}

/// Directories that no row names any more. Hand it to [`Store::discard`] after the commit; what is
/// forgotten is swept at the next start.
#[derive(Debug, Default, PartialEq, Eq)]
#[must_use = "the directories stay on disk until the next start"]
pub struct Garbage(pub(crate) Vec<(&'static str, String)>);

impl Store {
    /// Opens the store below a data root that exists, or makes its directories there.
    pub fn open(root: &Path) -> Result<Self> {
        let layout = Layout::new(root);
        let root = Dir::open(root).map_err(at(root))?;
        let mut next = 1;
        for area in layout::ALL {
            let name = OsStr::new(area);
            if root.find(name).map_err(at(area))?.is_none() {
                root.make_dir(name, 0o700).map_err(at(area))?;
            }
            let names = root.open_dir(Path::new(area)).and_then(|dir| dir.names());
            for name in names.map_err(at(area))? {
                let used = name.to_str().and_then(|name| name.rsplit('-').next());
                next = next.max(used.and_then(parse_base36).map_or(0, |number| number + 1));
            }
        }
        let store = Self(Arc::new(Inner {
            layout,
            root,
            next: AtomicU64::new(next),
        }));
        store.make_init_layer()?;
        Ok(store)
    }

    /// Removes what no row names: directories of layers without a row, and whatever was being loaded.
    /// Rows are not touched.
    pub fn sweep(&self, read: &impl Read) -> Result<()> {
        let mut known: BTreeSet<OsString> = read
            .scan(&record::LAYERS)?
            .into_iter()
            .map(|(_, row)| row.k.into())
            .collect();
        known.insert(INIT.into());
        self.sweep_area(LAYERS, &known)?;
        self.sweep_ingest()
    }

    /// Removes directories of containers that are not in `live`.
    pub fn sweep_snapshots(&self, live: &[Snapshot]) -> Result<()> {
        let live = live.iter().map(|snapshot| snapshot.key().into()).collect();
        self.sweep_area(RW, &live)
    }

    fn sweep_area(&self, area: &'static str, known: &BTreeSet<OsString>) -> Result<()> {
        for name in self.area(area)?.names().map_err(at(area))? {
            if !known.contains(&name) {
                self.trash(area, &name)?;
            }
        }
        Ok(())
    }

    /// Empties the trash. Takes as long as unlinking takes; meant for a thread of its own.
    pub fn reap(&self) -> Result<()> {
        let trash = self.area(TRASH)?;
        for name in trash.names().map_err(at(TRASH))? {
            trash
                .remove_tree(&name)
                .map_err(at(Path::new(TRASH).join(&name)))?;
        }
        Ok(())
    }

    /// Moves directories to the trash, after the commit that removed their rows.
    #[expect(clippy::needless_pass_by_value, reason = "what is discarded is gone")]
    pub fn discard(&self, garbage: Garbage) -> Result<()> {
        garbage
            .0
            .iter()
            .try_for_each(|(area, name)| self.trash(area, OsStr::new(name)).map(drop))
    }

    /// Removes the rows of layers that neither an image nor a container in `users` has.
    pub fn collect<'a>(
        &self,
        txn: &Txn<'_>,
        users: impl IntoIterator<Item = &'a Snapshot>,
    ) -> Result<Garbage> {
        let mut used: BTreeSet<Digest> = users
            .into_iter()
            .flat_map(Snapshot::layers)
            .copied()
            .collect();
        for (_, row) in txn.scan(&record::IMAGES)? {
            used.extend(record::parse_config(&row.config)?.rootfs.diff_ids);
        }
        let mut garbage = Garbage::default();
        for (key, row) in txn.scan(&record::LAYERS)? {
            if !key.parse().is_ok_and(|layer| used.contains(&layer)) {
                txn.delete(&record::LAYERS, &key)?;
                garbage.0.push((LAYERS, row.k));
            }
        }
        Ok(garbage)
    }

    /// Returns the free and total bytes of the file system of the store.
    pub fn space(&self) -> Result<dir::Space> {
        dir::space(self.0.root.as_fd()).map_err(at(self.layout().root()))
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.0.layout
    }

    /// Opens one of the store's directories.
    pub(crate) fn area(&self, area: &'static str) -> Result<Dir> {
        self.0.root.open_dir(Path::new(area)).map_err(at(area))
    }

    /// Makes a directory with a new name in an area.
    pub(crate) fn make(&self, area: &'static str) -> Result<(String, Dir)> {
        let k = base36(self.0.next.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(area).join(&k);
        let parent = self.area(area)?;
        parent.make_dir(OsStr::new(&k), 0o700).map_err(at(&path))?;
        match parent.open_dir(Path::new(&k)) {
            Ok(made) => Ok((k, made)),
            Err(error) => {
                drop(self.remove_now(area, &k));
                Err(at(path)(error))
            }
        }
    }

    /// Moves a directory to the trash and returns its name there; one that is missing is no error.
    pub(crate) fn trash(&self, area: &'static str, name: &OsStr) -> Result<OsString> {
        let number = base36(self.0.next.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(area).join(name);
        let new = OsString::from(format!("{area}-{number}"));
        match self.area(area)?.rename(name, &self.area(TRASH)?, &new) {
            Err(error) if error.errno == sys::Errno::NOENT => Ok(new),
            result => result.map(|()| new).map_err(at(path)),
        }
    }

    /// Removes a directory now: for what failed half-way, whose space may be missing.
    pub(crate) fn remove_now(&self, area: &'static str, name: &str) -> Result<()> {
        let name = self.trash(area, OsStr::new(name))?;
        self.area(TRASH)?
            .remove_tree(&name)
            .map_err(at(Path::new(TRASH).join(&name)))
    }

    /// Writes everything of the store's file system to the disk.
    pub(crate) fn sync(&self) -> Result<()> {
        dir::syncfs(self.as_fd()).map_err(at(self.layout().root()))
    }

    /// Makes the layer with the mount points, complete or not at all.
    fn make_init_layer(&self) -> Result<()> {
        let layers = self.area(LAYERS)?;
        if layers.find(OsStr::new(INIT)).map_err(at(LAYERS))?.is_some() {
            return Ok(());
        }
        let (k, dir) = self.make(LAYERS)?;
        make_mount_points(&dir).map_err(at(Path::new(LAYERS).join(&k)))?;
        layers
            .rename_noreplace(OsStr::new(&k), &layers, OsStr::new(INIT))
            .map_err(at(Path::new(LAYERS).join(INIT)))
    }
}

impl AsFd for Store {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.root.as_fd()
    }
}

/// Makes a directory with exactly this mode, whatever the umask is.
pub(crate) fn make_dir(parent: &Dir, name: &str, mode: u32) -> sys::Result<Dir> {
    parent.make_dir(OsStr::new(name), 0o700)?;
    let dir = parent.open_dir(Path::new(name))?;
    dir::fchmod(dir.as_fd(), mode)?;
    Ok(dir)
}

fn make_mount_points(parent: &Dir) -> sys::Result<()> {
    let root = make_dir(parent, DIFF, 0o755)?;
    for path in MOUNT_POINTS.iter().copied().chain([".dockerenv"]) {
        let name = path.trim_end_matches('/');
        let (parent, name) = name.rsplit_once('/').unwrap_or(("", name));
        let here = root.open_dir(Path::new(parent))?;
        if path.ends_with('/') {
            make_dir(&here, name, 0o755)?;
        } else {
            let file = here.create_file(OsStr::new(name), 0o600)?;
            dir::fchmod(
                file.as_fd(),
                if name == ".dockerenv" { 0o755 } else { 0o644 },
            )?;
        }
    }
    // What `df` and `mount` of an image without it read.
    root.open_dir(Path::new("etc"))?
        .symlink(OsStr::new("/proc/mounts"), OsStr::new("mtab"))
}

impl Garbage {
    /// Tells whether there is nothing to discard.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
