//! What a container changed: its upper directory compared with the layers below.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use meta::Read;
use sys::dir::{Dir, Kind, Stat};
use sys::xattr;

use crate::error::{Result, at};
use crate::snapshot::Snapshot;
use crate::store::Store;

/// How a path changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// `C`: it was there and is another.
    Modified,
    /// `A`: it was not there.
    Added,
    /// `D`: it is there no more.
    Deleted,
}

/// One line of `docker diff`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// From the container's root: `/etc/passwd`.
    pub path: PathBuf,
    /// How.
    pub kind: ChangeKind,
}

impl Store {
    /// Returns what a container changed, sorted by path. A changed object makes its directories
    /// changed too; of a directory that is new only as a whole every object is listed.
    pub fn changes(&self, read: &impl Read, snapshot: &Snapshot) -> Result<Vec<Change>> {
        let upper = self.upper(snapshot)?;
        let lower = self
            .lower(read, snapshot)?
            .iter()
            .map(|path| Dir::open(path).map_err(at(path)))
            .collect::<Result<Vec<_>>>()?;
        let mut scan = Scan {
            upper: &upper,
            lower: &lower,
            changes: Vec::new(),
        };
        let mut waiting = vec![PathBuf::new()];
        while let Some(path) = waiting.pop() {
            scan.directory(&path, &mut waiting)
                .map_err(at(snapshot.key()))?;
        }
        scan.changes.sort();
        Ok(scan.changes)
    }

    /// Opens the directory that a container writes into.
    pub(crate) fn upper(&self, snapshot: &Snapshot) -> Result<Dir> {
        let path = self.layout().rw_diff(snapshot.key());
        Dir::open(&path).map_err(at(path))
    }
}

struct Scan<'a> {
    upper: &'a Dir,
    /// The topmost first.
    lower: &'a [Dir],
    changes: Vec<Change>,
}

impl Scan<'_> {
    fn directory(&mut self, path: &Path, waiting: &mut Vec<PathBuf>) -> sys::Result<()> {
        let dir = self.upper.open_dir(path)?;
        let names = dir.names()?;
        for name in &names {
            let Some(stat) = dir.find(name)? else {
                continue;
            };
            let child = path.join(name);
            let before = self.below(&child)?;
            if is_whiteout(&stat) {
                // A whiteout of nothing is what a removed new file may leave.
                if before.is_some() {
                    self.push(&child, ChangeKind::Deleted);
                }
                continue;
            }
            let kind = if before.is_some() {
                ChangeKind::Modified
            } else {
                ChangeKind::Added
            };
            self.push(&child, kind);
            if stat.kind == Kind::Directory {
                waiting.push(child);
            }
        }
        if is_opaque(&dir)? {
            let kept: BTreeSet<&OsString> = names.iter().collect();
            for name in self.names_below(path)? {
                if !kept.contains(&name) {
                    self.push(&path.join(name), ChangeKind::Deleted);
                }
            }
        }
        Ok(())
    }

    fn push(&mut self, path: &Path, kind: ChangeKind) {
        self.changes.push(Change {
            path: Path::new("/").join(path),
            kind,
        });
    }

    /// What the layers show at a path: the topmost layer that says something about it decides, and
    /// a layer that hides a directory on the way hides what is below it.
    fn below(&self, path: &Path) -> sys::Result<Option<Stat>> {
        for layer in self.lower {
            match look(layer, path)? {
                Look::Object(stat) => return Ok(Some(stat)),
                Look::Hidden => return Ok(None),
                Look::Nothing => {}
            }
        }
        Ok(None)
    }

    /// The names that the layers show in a directory.
    fn names_below(&self, path: &Path) -> sys::Result<BTreeSet<OsString>> {
        let mut names = BTreeSet::new();
        for layer in self.lower {
            if let Ok(dir) = layer.open_dir(path) {
                names.extend(dir.names()?);
            }
        }
        let mut shown = BTreeSet::new();
        for name in names {
            if self.below(&path.join(&name))?.is_some() {
                shown.insert(name);
            }
        }
        Ok(shown)
    }
}

enum Look {
    Object(Stat),
    /// Lower layers do not count for this path.
    Hidden,
    Nothing,
}

fn look(layer: &Dir, path: &Path) -> sys::Result<Look> {
    let mut here = layer.try_clone()?;
    let mut opaque = false;
    let names: Vec<&OsStr> = path.iter().collect();
    for (at, name) in names.iter().enumerate() {
        let missing = if opaque { Look::Hidden } else { Look::Nothing };
        let Some(stat) = here.find(name)? else {
            return Ok(missing);
        };
        if is_whiteout(&stat) {
            return Ok(Look::Hidden);
        }
        if at + 1 == names.len() {
            return Ok(Look::Object(stat));
        }
        if stat.kind != Kind::Directory {
            return Ok(Look::Hidden);
        }
        here = here.open_dir(Path::new(name))?;
        opaque |= is_opaque(&here)?;
    }
    Ok(Look::Nothing)
}

fn is_whiteout(stat: &Stat) -> bool {
    stat.kind == Kind::CharDevice && stat.rdev == (0, 0)
}

fn is_opaque(dir: &Dir) -> sys::Result<bool> {
    Ok(xattr::get(dir.as_fd(), OsStr::new(archive::OPAQUE))?.as_deref() == Some(b"y"))
}
