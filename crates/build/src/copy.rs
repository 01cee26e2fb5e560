//! Files from one tree into another: what `COPY` and `ADD` do, and the digest of what they would do.
//!
//! Both trees may be a stranger's: every step goes through a descriptor, and no link is followed but
//! inside its own root.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use archive::ignore::{Ignore, Pattern, clean};
use sys::Errno;
use sys::dir::{Dir, Kind, Stat, Time};
use types::digest::Hasher;

use crate::error::{Error, Result, object};
use crate::mode::Mode;

/// Where files come from.
#[derive(Debug)]
pub(crate) struct From<'a> {
    /// The root of the tree.
    pub(crate) root: &'a Dir,
    /// What a context leaves out.
    pub(crate) ignore: Option<&'a Ignore>,
    /// What the instruction leaves out.
    pub(crate) exclude: &'a [Pattern],
}

/// How files arrive.
#[derive(Clone, Debug, Default)]
pub(crate) struct As {
    /// Their owner; none: as in the source.
    pub(crate) owner: Option<(u32, u32)>,
    /// Their mode; none: as in the source.
    pub(crate) mode: Option<Mode>,
}

/// One thing to copy: a path in the source tree, and its path below the destination; empty: a
/// directory's content goes into the destination itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) path: String,
    pub(crate) to: String,
}

impl From<'_> {
    /// Finds what a source names: one object, or all that a pattern matches.
    pub(crate) fn items(&self, source: &str, parents: bool) -> Result<Vec<Item>> {
        let wanted = clean(source);
        let pivot = source
            .find("/./")
            .map_or(0, |at| clean(&source[..at]).len());
        let found = if wanted.contains(['*', '?', '[']) {
            let pattern = Pattern::parse(&wanted).map_err(|e| Error::Step(e.to_string()))?;
            let mut found = Vec::new();
            let directory = parents || wanted.contains('/');
            glob(
                &Dir::try_clone(self.root).map_err(object("/"))?,
                "",
                &pattern,
                directory,
                &mut found,
            )?;
            found
        } else {
            self.stat(&wanted)?;
            vec![wanted]
        };
        let items = found
            .into_iter()
            .filter(|path| !self.is_out(path) && !self.is_excluded(path, path));
        items
            .map(|path| {
                let stat = self.stat(&path)?;
                let to = if parents {
                    path[pivot.min(path.len())..]
                        .trim_start_matches('/')
                        .to_owned()
                } else if stat.kind == Kind::Directory {
                    String::new()
                } else {
                    path.rsplit('/').next().unwrap_or_default().to_owned()
                };
                Ok(Item { path, to })
            })
            .collect()
    }

    fn is_out(&self, path: &str) -> bool {
        !path.is_empty() && self.ignore.is_some_and(|ignore| ignore.leaves_out(path))
    }

    /// Tells whether the instruction leaves an object of a source out: patterns are about paths below
    /// the source, or about the name of a source that is a file.
    fn is_excluded(&self, source: &str, path: &str) -> bool {
        let below = path[source.len().min(path.len())..].trim_start_matches('/');
        let below = if below.is_empty() {
            path.rsplit('/').next().unwrap_or_default()
        } else {
            below
        };
        let out = |pattern: &Pattern| pattern.matches_or_parent(below);
        !below.is_empty() && self.exclude.iter().any(out)
    }

    /// A directory that is left out may hold what is not.
    fn may_hold(&self, path: &str) -> bool {
        !self.is_out(path) || self.ignore.is_some_and(Ignore::has_exceptions)
    }

    /// Describes a source; a link that leads to it is followed, inside the root.
    fn stat(&self, path: &str) -> Result<Stat> {
        if self.is_out(path) {
            return Err(missing(path));
        }
        match find(self.root, path) {
            Ok(found) => sys::dir::stat_fd(found.as_fd()).map_err(object(path)),
            Err(error) if matches!(error.errno, Errno::NOENT | Errno::NOTDIR) => Err(missing(path)),
            Err(error) => Err(object(path)(error)),
        }
    }

    /// Feeds everything that decides what a copy of this would be.
    pub(crate) fn digest(&self, item: &Item, as_: &As, hasher: &mut Hasher) -> Result<()> {
        hasher.update(item.to.as_bytes());
        self.walk(&item.path, &mut |step| {
            let Step {
                dir,
                name,
                path,
                stat,
            } = step;
            let below = &path[item.path.len().min(path.len())..];
            let (uid, gid) = as_.owner.unwrap_or((stat.uid, stat.gid));
            let mode = as_.mode.as_ref().map_or(stat.mode, |mode| {
                mode.apply(stat.mode, stat.kind == Kind::Directory)
            });
            hasher.update(format!("\0{below}\0{:?} {mode:o} {uid} {gid}\0", stat.kind).as_bytes());
            match stat.kind {
                Kind::File => {
                    let mut file = dir.open_file(Path::new(name)).map_err(object(path))?;
                    let mut content = Hasher::default();
                    io::copy(&mut file, &mut Feed(&mut content))
                        .map_err(|e| object(path)(sys::Error::from_io("read", &e)))?;
                    hasher.update(content.finish().to_string().as_bytes());
                }
                Kind::Symlink => {
                    let target = dir.read_link(name).map_err(object(path))?;
                    hasher.update(target.as_bytes());
                }
                _ => {}
            }
            Ok(())
        })
    }

    /// Calls `visit` for an object and everything below it, parents first, in order of names.
    fn walk(&self, path: &str, visit: &mut dyn FnMut(Step<'_>) -> Result<()>) -> Result<()> {
        let stat = self.stat(path)?;
        if stat.kind == Kind::Directory {
            let dir = open_in(self.root, path)?;
            return self.walk_dir(&dir, (path, path), visit);
        }
        let (dir, name) = self.parent_of(path)?;
        let stat = dir.stat(&name).map_err(object(path))?;
        visit(Step {
            dir: &dir,
            name: &name,
            path,
            stat,
        })
    }

    fn walk_dir(
        &self,
        dir: &Dir,
        (source, at): (&str, &str),
        visit: &mut dyn FnMut(Step<'_>) -> Result<()>,
    ) -> Result<()> {
        for name in sorted(dir, at)? {
            let path = join(at, &name);
            let stat = dir.stat(&name).map_err(object(&path))?;
            let directory = stat.kind == Kind::Directory;
            if self.is_excluded(source, &path) {
                continue;
            }
            if !self.is_out(&path) {
                visit(Step {
                    dir,
                    name: &name,
                    path: &path,
                    stat,
                })?;
            }
            if directory && self.may_hold(&path) {
                let below = dir.open_dir(Path::new(&name)).map_err(object(&path))?;
                self.walk_dir(&below, (source, &path), visit)?;
            }
        }
        Ok(())
    }

    /// Opens the directory that an object is in once links are followed; the last name is real.
    fn parent_of(&self, path: &str) -> Result<(Dir, OsString)> {
        let mut path = path.to_owned();
        for _ in 0..40 {
            let (parent, name) = path.rsplit_once('/').unwrap_or(("", &path));
            let (dir, name) = (open_in(self.root, parent)?, OsString::from(name));
            if dir.stat(&name).map_err(object(&path))?.kind != Kind::Symlink {
                return Ok((dir, name));
            }
            let target = dir.read_link(&name).map_err(object(&path))?;
            let target = target.to_string_lossy();
            path = if target.starts_with('/') {
                clean(&target)
            } else {
                clean(&format!("{parent}/{target}"))
            };
        }
        Err(object(path)(sys::Error::new("openat2", Errno::LOOP)))
    }

    /// Copies an item to a path of another tree.
    pub(crate) fn copy(&self, item: &Item, to: &Dir, target: &str, as_: &As) -> Result<()> {
        let stat = self.stat(&item.path)?;
        if stat.kind != Kind::Directory {
            let (dir, name) = self.parent_of(&item.path)?;
            let (parent, new) = target.rsplit_once('/').unwrap_or(("", target));
            let parent = make_dirs(to, parent, as_.owner)?;
            let stat = dir.stat(&name).map_err(object(&item.path))?;
            return place(
                &Step {
                    dir: &dir,
                    name: &name,
                    path: &item.path,
                    stat,
                },
                &parent,
                OsStr::new(new),
                as_,
            );
        }
        let base = make_dirs(to, target, as_.owner)?;
        self.walk(&item.path, &mut |step| {
            let below = step.path[item.path.len()..]
                .trim_start_matches('/')
                .to_owned();
            let (parent, new) = below.rsplit_once('/').unwrap_or(("", &below));
            // A parent that was left out is made all the same for what is not.
            let parent = make_dirs(&base, parent, as_.owner)?;
            place(&step, &parent, OsStr::new(new), as_)
        })
    }
}

/// Finds what a pattern matches.
fn glob(dir: &Dir, at: &str, pattern: &Pattern, deep: bool, found: &mut Vec<String>) -> Result<()> {
    for name in sorted(dir, at)? {
        let path = join(at, &name);
        if pattern.matches(&path) {
            found.push(path);
            continue;
        }
        let stat = dir.stat(&name).map_err(object(&path))?;
        if deep && stat.kind == Kind::Directory {
            let below = dir.open_dir(Path::new(&name)).map_err(object(&path))?;
            glob(&below, &path, pattern, deep, found)?;
        }
    }
    Ok(())
}

/// An object on the way.
struct Step<'a> {
    dir: &'a Dir,
    name: &'a OsStr,
    path: &'a str,
    stat: Stat,
}

/// Copies one object. A directory that is there stays; anything else is replaced.
fn place(step: &Step<'_>, to: &Dir, name: &OsStr, as_: &As) -> Result<()> {
    let Step {
        dir,
        name: old,
        path,
        stat,
    } = step;
    let failed = |error| object(*path)(error);
    let there = to.find(name).map_err(failed)?;
    match (there.map(|stat| stat.kind), stat.kind) {
        (Some(Kind::Directory), Kind::Directory) | (None, _) => {}
        (Some(Kind::Directory), _) => {
            return Err(Error::Step(format!(
                "cannot replace to directory {} with file",
                name.display()
            )));
        }
        (Some(_), Kind::Directory) => {
            return Err(Error::Step(format!(
                "cannot copy to non-directory: {}",
                name.display()
            )));
        }
        (Some(_), _) => to.unlink(name).map_err(failed)?,
    }
    match stat.kind {
        Kind::Directory if there.is_some() => {}
        Kind::Directory => to.make_dir(name, 0o700).map_err(failed)?,
        Kind::File => {
            let mut from = dir.open_file(Path::new(old)).map_err(failed)?;
            let mut new = to.create_file(name, 0o600).map_err(failed)?;
            if sys::dir::clone_content(from.as_fd(), new.as_fd()).is_err() {
                io::copy(&mut from, &mut new)
                    .map_err(|e| failed(sys::Error::from_io("copy_file_range", &e)))?;
            }
            for key in sys::xattr::names(from.as_fd()).unwrap_or_default() {
                if key.as_bytes().starts_with(b"user.") || key.as_bytes() == b"security.capability"
                {
                    let value = sys::xattr::get(from.as_fd(), &key).map_err(failed)?;
                    sys::xattr::set(new.as_fd(), &key, &value.unwrap_or_default())
                        .map_err(failed)?;
                }
            }
        }
        Kind::Symlink => {
            let target = dir.read_link(old).map_err(failed)?;
            to.symlink(&target, name).map_err(failed)?;
        }
        // A socket belongs to a process; a device or a pipe to a machine.
        _ => return Ok(()),
    }
    let (uid, gid) = as_.owner.unwrap_or((stat.uid, stat.gid));
    to.chown(name, uid, gid).map_err(failed)?;
    if stat.kind != Kind::Symlink {
        let directory = stat.kind == Kind::Directory;
        let mode = as_
            .mode
            .as_ref()
            .map_or(stat.mode, |mode| mode.apply(stat.mode, directory));
        to.chmod(name, mode).map_err(failed)?;
    }
    to.set_times(name, stat.modified, stat.modified)
        .map_err(failed)
}

/// Writes a file of its own into a directory.
pub(crate) fn write(dir: &Dir, name: &str, text: &str, as_: &As) -> Result<()> {
    let text_name = name;
    let (name, failed) = (OsStr::new(name), |error| object(text_name)(error));
    if dir.find(name).map_err(failed)?.is_some() {
        dir.unlink(name).map_err(failed)?;
    }
    let mut file = dir.create_file(name, 0o600).map_err(failed)?;
    io::Write::write_all(&mut file, text.as_bytes())
        .map_err(|e| failed(sys::Error::from_io("write", &e)))?;
    let (uid, gid) = as_.owner.unwrap_or((0, 0));
    dir.chown(name, uid, gid).map_err(failed)?;
    let mode = as_
        .mode
        .as_ref()
        .map_or(0o644, |mode| mode.apply(0o644, false));
    dir.chmod(name, mode).map_err(failed)?;
    // Always the same, that the same text is the same layer.
    dir.set_times(name, Time::default(), Time::default())
        .map_err(failed)
}

/// Makes a path of directories in a tree, links in it followed inside the root, and opens the last.
pub(crate) fn make_dirs(root: &Dir, path: &str, owner: Option<(u32, u32)>) -> Result<Dir> {
    let mut at = PathBuf::new();
    let mut dir = root.try_clone().map_err(object(path))?;
    for name in path.split('/').filter(|name| !name.is_empty()) {
        at.push(name);
        let here = at.to_string_lossy().into_owned();
        dir = match find(root, &here) {
            Ok(found) => open_found(found, &here)?,
            Err(error) if error.errno == Errno::NOENT => {
                dir.make_dir(OsStr::new(name), 0o755)
                    .map_err(object(&here))?;
                dir.chmod(OsStr::new(name), 0o755).map_err(object(&here))?;
                if let Some((uid, gid)) = owner {
                    dir.chown(OsStr::new(name), uid, gid)
                        .map_err(object(&here))?;
                }
                dir.open_dir(Path::new(name)).map_err(object(&here))?
            }
            Err(error) => return Err(object(here)(error)),
        };
    }
    Ok(dir)
}

/// Tells what a path of a tree is, links followed inside the root.
pub(crate) fn kind(root: &Dir, path: &str) -> Option<Kind> {
    let found = find(root, path).ok()?;
    sys::dir::stat_fd(found.as_fd()).ok().map(|stat| stat.kind)
}

fn find(root: &Dir, path: &str) -> sys::Result<OwnedFd> {
    let path =
        CString::new(format!("/{path}")).map_err(|_| sys::Error::new("openat2", Errno::INVAL))?;
    sys::root::find(root.as_fd(), &path)
}

fn open_in(root: &Dir, path: &str) -> Result<Dir> {
    let found = find(root, path).map_err(object(path))?;
    open_found(found, path)
}

/// Opens anew what was only named, to be read.
fn open_found(found: OwnedFd, path: &str) -> Result<Dir> {
    Dir::from(found)
        .open_dir(Path::new(""))
        .map_err(object(path))
}

fn sorted(dir: &Dir, at: &str) -> Result<Vec<OsString>> {
    let mut names = dir.names().map_err(object(at))?;
    names.sort();
    Ok(names)
}

fn join(at: &str, name: &OsStr) -> String {
    let name = name.to_string_lossy();
    if at.is_empty() {
        name.into_owned()
    } else {
        format!("{at}/{name}")
    }
}

fn missing(path: &str) -> Error {
    Error::Step(format!(
        "file not found in build context or excluded by .dockerignore: stat {path}: file does not exist"
    ))
}

struct Feed<'a>(&'a mut Hasher);

impl io::Write for Feed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
