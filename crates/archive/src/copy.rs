//! A tree into an empty directory, object by object: owners, modes, times, attributes and hard links
//! are kept, and contents are shared with the original where the file system can (FICLONE).
//!
//! Every step goes through a descriptor, and no symbolic link is followed on either side.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use sys::dir::{self, Dir, Kind, Stat};
use sys::xattr;

use crate::error::{Error, Result};

/// Copies all that is below `from` into `to`, which is empty and gets the owner, mode, attributes and
/// times of `from` itself. Returns the number of entries.
pub fn copy_tree(from: &Dir, to: &Dir) -> Result<u64> {
    let mut copier = Copier {
        from,
        to,
        links: HashMap::new(),
        directories: Vec::new(),
        waiting: vec![PathBuf::new()],
        entries: 0,
    };
    while let Some(path) = copier.waiting.pop() {
        copier.directory(&path)?;
    }
    copier.finish()
}

struct Copier<'a> {
    from: &'a Dir,
    to: &'a Dir,
    /// First name by device and inode, of objects with several.
    links: HashMap<(u64, u64), PathBuf>,
    /// Their owners, modes and times come last: what is made in them changes those.
    directories: Vec<PathBuf>,
    waiting: Vec<PathBuf>,
    entries: u64,
}

/// A place in both trees.
struct Pair<'a> {
    from: &'a Dir,
    to: &'a Dir,
    name: &'a OsStr,
}

impl Copier<'_> {
    fn directory(&mut self, path: &Path) -> Result<()> {
        let (from, to) = (self.from, self.to);
        let failed = |source| Error::Extract {
            path: path.to_owned(),
            source,
        };
        let from = from.open_dir(path).map_err(failed)?;
        let to = to.open_dir(path).map_err(failed)?;
        for name in from.names().map_err(failed)? {
            let pair = Pair {
                from: &from,
                to: &to,
                name: &name,
            };
            self.object(path, &pair).map_err(|source| Error::Extract {
                path: path.join(&name),
                source,
            })?;
            self.entries += 1;
        }
        self.directories.push(path.to_owned());
        Ok(())
    }

    fn object(&mut self, parent: &Path, pair: &Pair<'_>) -> sys::Result<()> {
        let stat = pair.from.stat(pair.name)?;
        if stat.kind != Kind::Directory && stat.links > 1 {
            let key = (stat.device, stat.inode);
            if let Some(first) = self.links.get(&key) {
                let dir = self.to.open_dir(first.parent().unwrap_or(Path::new("")))?;
                return dir.link(first.file_name().unwrap_or_default(), pair.to, pair.name);
            }
            self.links.insert(key, parent.join(pair.name));
        }
        match stat.kind {
            Kind::Directory => {
                pair.to.make_dir(pair.name, 0o700)?;
                self.waiting.push(parent.join(pair.name));
                return Ok(());
            }
            Kind::File => {
                let from = pair.from.open_file(Path::new(pair.name))?;
                let to = pair.to.create_file(pair.name, 0o600)?;
                content(&from, &to)?;
                dir::fchown(to.as_fd(), stat.uid, stat.gid)?;
                attributes(from.as_fd(), to.as_fd())?;
                dir::fchmod(to.as_fd(), stat.mode)?;
                return dir::futimens(to.as_fd(), stat.modified, stat.modified);
            }
            Kind::Symlink => pair
                .to
                .symlink(&pair.from.read_link(pair.name)?, pair.name)?,
            kind => pair.to.make_node(pair.name, kind, 0o600, stat.rdev)?,
        }
        pair.to.chown(pair.name, stat.uid, stat.gid)?;
        if stat.kind != Kind::Symlink {
            pair.to.chmod(pair.name, stat.mode)?;
        }
        pair.to.set_times(pair.name, stat.modified, stat.modified)
    }

    fn finish(self) -> Result<u64> {
        for path in self.directories.iter().rev() {
            let copied = || {
                let (from, to) = (self.from.open_dir(path)?, self.to.open_dir(path)?);
                like(&from, &to, from.stat_self()?)
            };
            copied().map_err(|source| Error::Extract {
                path: path.clone(),
                source,
            })?;
        }
        Ok(self.entries)
    }
}

/// Gives a directory the owner, mode, attributes and times of another.
fn like(from: &Dir, to: &Dir, stat: Stat) -> sys::Result<()> {
    dir::fchown(to.as_fd(), stat.uid, stat.gid)?;
    attributes(from.as_fd(), to.as_fd())?;
    dir::fchmod(to.as_fd(), stat.mode)?;
    dir::futimens(to.as_fd(), stat.modified, stat.modified)
}

fn content(mut from: &File, mut to: &File) -> sys::Result<()> {
    if dir::clone_content(from.as_fd(), to.as_fd()).is_ok() {
        return Ok(());
    }
    std::io::copy(&mut from, &mut to)
        .map(drop)
        .map_err(|e| sys::Error::from_io("copy", &e))
}

/// What a file system of another kind has no room for is left out, as peers do; overlayfs's own
/// marks belong to the layer and not to the file.
fn attributes(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> sys::Result<()> {
    for name in xattr::names(from)? {
        let text = name.to_string_lossy();
        if text.starts_with("trusted.overlay.") || text.starts_with("user.overlay.") {
            continue;
        }
        let Some(value) = xattr::get(from, &name)? else {
            continue;
        };
        match xattr::set(to, &name, &value) {
            Err(error) if error.errno == sys::Errno::OPNOTSUPP => {}
            done => done?,
        }
    }
    Ok(())
}

/// Bytes that are allocated for all that is below a directory, on its own file system; an object with
/// several names counts once. What goes away meanwhile counts as nothing.
pub fn tree_size(root: &Dir) -> sys::Result<u64> {
    let device = root.stat_self()?.device;
    let mut seen = std::collections::HashSet::new();
    let mut waiting = vec![PathBuf::new()];
    let mut sum = 0;
    while let Some(path) = waiting.pop() {
        let names: Vec<OsString> = match root.open_dir(&path).and_then(|dir| dir.names()) {
            Ok(names) => names,
            Err(error) if error.errno == sys::Errno::NOENT => continue,
            Err(error) => return Err(error),
        };
        let Ok(dir) = root.open_dir(&path) else {
            continue;
        };
        for name in names {
            let Some(stat) = dir.find(&name)? else {
                continue;
            };
            let is_dir = stat.kind == Kind::Directory;
            if stat.device != device || (!is_dir && stat.links > 1 && !seen.insert(stat.inode)) {
                continue;
            }
            sum += stat.allocated;
            if is_dir {
                waiting.push(path.join(name));
            }
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;

    #[test]
    fn a_copy_has_everything() {
        let base = std::env::temp_dir().join(format!("copy-test-{}", std::process::id()));
        let (from, to) = (base.join("from"), base.join("to"));
        std::fs::create_dir_all(from.join("a/b")).unwrap();
        std::fs::create_dir_all(&to).unwrap();
        for (name, mode) in [("file", 0o4751), ("a/deep", 0o600)] {
            let path = from.join(name);
            std::fs::copy("/proc/self/status", &path).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        std::fs::hard_link(from.join("file"), from.join("a/twin")).unwrap();
        std::os::unix::fs::symlink("/nowhere", from.join("link")).unwrap();
        std::fs::set_permissions(from.join("a"), std::fs::Permissions::from_mode(0o1777)).unwrap();

        let (source, target) = (Dir::open(&from).unwrap(), Dir::open(&to).unwrap());
        assert_eq!(copy_tree(&source, &target).unwrap(), 6);
        for name in ["", "file", "a", "a/b", "a/deep", "a/twin"] {
            let (one, two) = (from.join(name), to.join(name));
            let (one, two) = (one.metadata().unwrap(), two.metadata().unwrap());
            assert_eq!(one.mode(), two.mode(), "{name}");
            assert_eq!(
                (one.mtime(), one.mtime_nsec()),
                (two.mtime(), two.mtime_nsec()),
                "{name}"
            );
        }
        let inode = |name: &str| to.join(name).metadata().unwrap().ino();
        assert_eq!(inode("file"), inode("a/twin"));
        assert_eq!(to.join("link").read_link().unwrap(), Path::new("/nowhere"));
        assert_eq!(
            std::fs::read(from.join("file")).unwrap(),
            std::fs::read(to.join("file")).unwrap()
        );
        let once = tree_size(&target).unwrap();
        std::fs::hard_link(to.join("file"), to.join("third")).unwrap();
        assert_eq!(tree_size(&target).unwrap(), once);
        let parent = Dir::open(base.parent().unwrap()).unwrap();
        parent.remove_tree(base.file_name().unwrap()).unwrap();
    }
}
