//! A group: its directories are made, opened and handed to those who act on them.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use sys::{Errno, cgroupfs};

use crate::hierarchy::{Hierarchy, Topology, Version, unified_mount, words};
use crate::{Error, Result};

impl Topology {
    /// Reads /proc/self/mountinfo, /proc/self/cgroup and v2's list of controllers.
    pub fn detect() -> Result<Self> {
        let read = |file: &str| {
            std::fs::read_to_string(file)
                .map_err(|error| sys::Error::from_io("read", &error))
                .map_err(Error::kernel(file))
        };
        let mountinfo = read("/proc/self/mountinfo")?;
        let own = read("/proc/self/cgroup")?;
        let v2_controllers = match unified_mount(&mountinfo) {
            None => String::new(),
            Some(mount) => {
                let root = cgroupfs::open_dir(&mount).map_err(Error::kernel(mount.display()))?;
                cgroupfs::read(root.as_fd(), "cgroup.controllers")
                    .map_err(Error::kernel(mount.display()))?
            }
        };
        let topology = Self::parse(&mountinfo, &own, &v2_controllers);
        if topology.hierarchies().is_empty() {
            return Err(Error::NotMounted);
        }
        Ok(topology)
    }
}

/// A cgroup: one directory per hierarchy.
#[derive(Debug)]
pub struct Group {
    /// From the root of each mount, without a slash at either end.
    pub(crate) path: String,
    pub(crate) places: Vec<Place>,
}

/// The group in one hierarchy.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) hierarchy: Hierarchy,
    pub(crate) dir: OwnedFd,
}

/// How a new process enters a group.
#[derive(Debug)]
pub struct Entry {
    /// v2: the directory for `CLONE_INTO_CGROUP`.
    pub into: Option<OwnedFd>,
    /// v1: the open `tasks` files; the new process writes `0` to each.
    pub tasks: Vec<OwnedFd>,
}

impl Group {
    /// Makes the directories of `path` (relative to this machine's roots) in every hierarchy;
    /// undone on failure. Parents are made when they are missing, and stay.
    pub fn create(topology: &Topology, path: &str) -> Result<Self> {
        let path = checked(path)?;
        let mut group = Self {
            path,
            places: Vec::new(),
        };
        for hierarchy in topology.hierarchies() {
            if let Err(error) = group.enter(hierarchy) {
                // The first failure is what the caller must hear about.
                drop(group.destroy());
                return Err(error);
            }
        }
        Ok(group)
    }

    /// As [`Group::create`], but a group that is there already is taken where no process is in it: the
    /// callers of a runtime make some of them.
    pub fn create_or_take(topology: &Topology, path: &str) -> Result<Self> {
        let path = checked(path)?;
        let mut group = Self {
            path,
            places: Vec::new(),
        };
        for hierarchy in topology.hierarchies() {
            match group.enter(hierarchy) {
                Err(Error::Exists { .. }) => group.take(hierarchy)?,
                Err(error) => {
                    // The first failure is what the caller must hear about.
                    drop(group.destroy());
                    return Err(error);
                }
                Ok(()) => {}
            }
        }
        Ok(group)
    }

    /// Opens a directory that is there, and makes it ready.
    fn take(&mut self, hierarchy: &Hierarchy) -> Result<()> {
        let directory = hierarchy.directory(&self.path);
        let failed = |error| Error::kernel(directory.display())(error);
        let dir = cgroupfs::open_dir(&directory).map_err(failed)?;
        let inside = cgroupfs::read(dir.as_fd(), "cgroup.procs").map_err(failed)?;
        if !inside.trim().is_empty() {
            return Err(Error::Occupied {
                path: directory.display().to_string(),
            });
        }
        self.places.push(Place {
            hierarchy: hierarchy.clone(),
            dir,
        });
        self.ready(hierarchy).map_err(failed)
    }

    /// Lets tasks in: v2's controllers, v1's sets of processors.
    fn ready(&self, hierarchy: &Hierarchy) -> sys::Result<()> {
        match hierarchy.version {
            Version::V2 => enable_controllers(hierarchy, &self.path),
            Version::V1 if hierarchy.has("cpuset") => fill_cpuset(hierarchy, &self.path),
            Version::V1 => Ok(()),
        }
    }

    /// Opens an existing group: wherever it has a directory.
    pub fn open(topology: &Topology, path: &str) -> Result<Self> {
        let path = checked(path)?;
        let mut group = Self {
            path,
            places: Vec::new(),
        };
        let mut missing = None;
        for hierarchy in topology.hierarchies() {
            let directory = hierarchy.directory(&group.path);
            match cgroupfs::open_dir(&directory) {
                Ok(dir) => group.places.push(Place {
                    hierarchy: hierarchy.clone(),
                    dir,
                }),
                Err(error) if error.errno == Errno::NOENT => missing = Some((directory, error)),
                Err(error) => return Err(Error::kernel(directory.display())(error)),
            }
        }
        match missing {
            Some((directory, error)) if group.places.is_empty() => {
                Err(Error::kernel(directory.display())(error))
            }
            _ => Ok(group),
        }
    }

    /// Its path from the root of each mount, without a slash at either end.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its directory in each hierarchy (`O_PATH`), for the container's own view of its group.
    pub fn directories(&self) -> impl Iterator<Item = (&Hierarchy, BorrowedFd<'_>)> {
        self.places
            .iter()
            .map(|place| (&place.hierarchy, place.dir.as_fd()))
    }

    /// Opens the way in for a new process. A v2 group whose processes made sub-groups and gave them
    /// controllers takes no process itself any more (`EBUSY`): it is entered where its oldest
    /// process is.
    pub fn entry(&self) -> Result<Entry> {
        let mut entry = Entry {
            into: None,
            tasks: Vec::with_capacity(self.places.len()),
        };
        for place in &self.places {
            let opened = match place.hierarchy.version {
                Version::V1 => cgroupfs::open_for_write(place.dir.as_fd(), "tasks"),
                Version::V2 => open_for_processes(place.dir.as_fd()),
            };
            let opened = opened.map_err(|error| place.error(&self.path, error))?;
            match place.hierarchy.version {
                Version::V1 => entry.tasks.push(opened),
                Version::V2 => entry.into = Some(opened),
            }
        }
        Ok(entry)
    }

    /// Lists the processes in it (host pids), its sub-groups too. Those of other pid namespaces
    /// that have no number here are left out.
    pub fn pids(&self) -> Result<Vec<i32>> {
        let mut pids = Vec::new();
        let Some(place) = self.core() else {
            return Ok(pids);
        };
        collect(place.dir.as_fd(), &mut pids).map_err(|error| place.error(&self.path, error))?;
        pids.sort_unstable();
        pids.dedup();
        Ok(pids)
    }

    /// The directory in the hierarchy of `controller`: v2's, if it is there, else v1's.
    pub(crate) fn place(&self, controller: &str) -> Option<&Place> {
        self.places
            .iter()
            .rev()
            .find(|place| place.hierarchy.has(controller))
    }

    /// The directory that processes are listed, frozen and killed by.
    pub(crate) fn core(&self) -> Option<&Place> {
        self.unified()
            .or_else(|| self.place("freezer"))
            .or_else(|| self.places.first())
    }

    /// The directory in v2.
    pub(crate) fn unified(&self) -> Option<&Place> {
        self.places
            .last()
            .filter(|place| place.hierarchy.version == Version::V2)
    }

    /// Makes and opens the directory in one hierarchy.
    fn enter(&mut self, hierarchy: &Hierarchy) -> Result<()> {
        let directory = hierarchy.directory(&self.path);
        let failed = |error| Error::kernel(directory.display())(error);
        match make(hierarchy, &self.path) {
            Ok(()) => {}
            Err(error) if error.errno == Errno::EXIST => {
                return Err(Error::Exists {
                    path: directory.display().to_string(),
                });
            }
            Err(error) => return Err(failed(error)),
        }
        let dir = match cgroupfs::open_dir(&directory) {
            Ok(dir) => dir,
            Err(error) => {
                // Not in `places` yet, so the caller's undo does not know it.
                let _undone = cgroupfs::remove_dir(&directory);
                return Err(failed(error));
            }
        };
        self.places.push(Place {
            hierarchy: hierarchy.clone(),
            dir,
        });
        self.ready(hierarchy).map_err(failed)
    }
}

impl Place {
    /// Makes the error of a call about this directory.
    pub(crate) fn error(&self, path: &str, error: sys::Error) -> Error {
        Error::kernel(self.hierarchy.directory(path).display())(error)
    }
}

/// Takes the slashes off; a path that could name the root or leave it is refused.
fn checked(path: &str) -> Result<String> {
    let trimmed = path.trim_matches('/');
    let good = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(['\n', '\0']);
    if !trimmed.split('/').all(good) {
        return Err(Error::Path {
            path: path.to_owned(),
        });
    }
    Ok(trimmed.to_owned())
}

/// `a/b/c` → `a`, `a/b`, `a/b/c`.
fn levels(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/')
        .map(|(end, _)| end)
        .chain([path.len()])
        .map(|end| &path[..end])
}

/// Makes the directory; its parents only when it turns out that they are missing.
fn make(hierarchy: &Hierarchy, path: &str) -> sys::Result<()> {
    let leaf = hierarchy.directory(path);
    match cgroupfs::make_dir(&leaf) {
        Err(error) if error.errno == Errno::NOENT => {}
        done => return done,
    }
    for level in levels(path).filter(|level| *level != path) {
        match cgroupfs::make_dir(&hierarchy.directory(level)) {
            Err(error) if error.errno != Errno::EXIST => return Err(error),
            _ => {}
        }
    }
    cgroupfs::make_dir(&leaf)
}

/// v1: a task cannot enter a group whose `cpuset.cpus` or `cpuset.mems` is empty (`ENOSPC`), and
/// new groups are: copies the parent's, from the top down where a parent is empty too. Parents of
/// ours are told to do that by themselves from then on, which saves the next group four calls
/// and the kernel two rounds of cpuset locks.
fn fill_cpuset(hierarchy: &Hierarchy, path: &str) -> sys::Result<()> {
    const FILES: [&str; 2] = ["cpuset.cpus", "cpuset.mems"];
    let open = |path: &str| cgroupfs::open_dir(&hierarchy.directory(path));
    let read =
        |dir: &OwnedFd, file| cgroupfs::read(dir.as_fd(), file).map(|text| text.trim().to_owned());
    if !read(&open(path)?, FILES[1])?.is_empty() {
        return Ok(());
    }
    let root = open("")?;
    let mut above = [read(&root, FILES[0])?, read(&root, FILES[1])?];
    for level in levels(path) {
        let dir = open(level)?;
        let mut filled = false;
        for (file, above) in FILES.into_iter().zip(&mut above) {
            let own = read(&dir, file)?;
            if own.is_empty() {
                cgroupfs::write(dir.as_fd(), file, above)?;
                filled = true;
            } else {
                *above = own;
            }
        }
        if filled && level != path {
            cgroupfs::write(dir.as_fd(), "cgroup.clone_children", "1")?;
        }
    }
    Ok(())
}

/// v2: a group has the controllers that every ancestor passes on in `cgroup.subtree_control`.
/// Writing there takes locks of the whole kernel, so it is done only where something is missing;
/// a controller that cannot be passed on is missed later, by the limit that needs it.
fn enable_controllers(hierarchy: &Hierarchy, path: &str) -> sys::Result<()> {
    let open = |path: &str| cgroupfs::open_dir(&hierarchy.directory(path));
    let has = words(&cgroupfs::read(open(path)?.as_fd(), "cgroup.controllers")?);
    if hierarchy
        .controllers
        .iter()
        .all(|controller| has.contains(controller))
    {
        return Ok(());
    }
    for level in [""]
        .into_iter()
        .chain(levels(path))
        .filter(|level| *level != path)
    {
        let dir = open(level)?;
        let available = words(&cgroupfs::read(dir.as_fd(), "cgroup.controllers")?);
        let enabled = words(&cgroupfs::read(dir.as_fd(), "cgroup.subtree_control")?);
        let missing: Vec<_> = available
            .iter()
            .filter(|one| !enabled.contains(one))
            .map(|one| format!("+{one}"))
            .collect();
        if missing.is_empty()
            || cgroupfs::write(dir.as_fd(), "cgroup.subtree_control", &missing.join(" ")).is_ok()
        {
            continue;
        }
        // One controller that is refused (cpu beside real-time tasks) refuses them all.
        for one in missing {
            let _refused = cgroupfs::write(dir.as_fd(), "cgroup.subtree_control", &one);
        }
    }
    Ok(())
}

/// The directory for `CLONE_INTO_CGROUP`.
fn open_for_processes(dir: BorrowedFd<'_>) -> sys::Result<OwnedFd> {
    let passed_on = cgroupfs::read(dir, "cgroup.subtree_control")?;
    let oldest = if passed_on.trim().is_empty() {
        None
    } else {
        oldest(dir)?
    };
    match oldest {
        Some((_, place)) => Ok(place),
        None => cgroupfs::open_child(dir, "."),
    }
}

/// The lowest process number below `dir`, and the sub-group it is in.
fn oldest(dir: BorrowedFd<'_>) -> sys::Result<Option<(i32, OwnedFd)>> {
    let mut best: Option<(i32, OwnedFd)> = None;
    for name in cgroupfs::children(dir)? {
        let child = match cgroupfs::open_child(dir, &name) {
            Ok(child) => child,
            Err(error) if gone(error) => continue,
            Err(error) => return Err(error),
        };
        let below = oldest(child.as_fd())?;
        let own = match cgroupfs::read(child.as_fd(), "cgroup.procs") {
            Ok(text) => text
                .lines()
                .filter_map(|line| line.parse().ok())
                .filter(|pid| *pid > 0)
                .min(),
            Err(error) if gone(error) || error.errno == Errno::OPNOTSUPP => None,
            Err(error) => return Err(error),
        };
        for found in [below, own.map(|pid| (pid, child))].into_iter().flatten() {
            if best.as_ref().is_none_or(|(pid, _)| found.0 < *pid) {
                best = Some(found);
            }
        }
    }
    Ok(best)
}

/// Adds the processes of a directory and of all below it.
fn collect(dir: BorrowedFd<'_>, pids: &mut Vec<i32>) -> sys::Result<()> {
    match cgroupfs::read(dir, "cgroup.procs") {
        Ok(text) => pids.extend(
            text.lines()
                .filter_map(|line| line.parse::<i32>().ok())
                .filter(|pid| *pid > 0),
        ),
        // A threaded sub-group of v2: its processes are listed at the domain above.
        Err(error) if error.errno == Errno::OPNOTSUPP => {}
        Err(error) if gone(error) => return Ok(()),
        Err(error) => return Err(error),
    }
    for name in cgroupfs::children(dir)? {
        match cgroupfs::open_child(dir, &name) {
            Ok(child) => collect(child.as_fd(), pids)?,
            Err(error) if gone(error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The directory was removed meanwhile.
pub(crate) fn gone(error: sys::Error) -> bool {
    matches!(error.errno, Errno::NOENT | Errno::NODEV)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below_the_root() {
        assert_eq!(checked("/wharf/x/").unwrap(), "wharf/x");
        for bad in ["", "/", "a/../b", "./a", "a//b", "a\nb"] {
            assert!(matches!(checked(bad), Err(Error::Path { .. })), "{bad:?}");
        }
    }

    #[test]
    fn levels_go_from_the_top_down() {
        assert_eq!(levels("a/b/c").collect::<Vec<_>>(), ["a", "a/b", "a/b/c"]);
        assert_eq!(levels("a").collect::<Vec<_>>(), ["a"]);
    }
}
