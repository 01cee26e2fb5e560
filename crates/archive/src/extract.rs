//! A hostile archive into a directory descriptor (storage reference §8).
//!
//! The directory belongs to this extraction alone and starts empty, so whatever is found in it was
//! made by the archive itself. No symbolic link is followed, a thing that is replaced is unlinked
//! and never opened, and a device is made and never opened.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use sys::dir::{self, Dir, Kind, Stat};
use sys::{Errno, xattr};

use crate::OPAQUE;
use crate::entry::{Entry, EntryKind, Time};
use crate::error::{Error, Result};
use crate::path::{self, Place};
use crate::read::Reader;

/// Entries of one archive (storage reference §8 rule 11).
const MAX_ENTRIES: u64 = 10_000_000;
/// Extended attributes of one entry, and bytes of one (rule 7).
const MAX_XATTRS: usize = 256;
const MAX_XATTR: usize = 1 << 16;
/// Bytes read at once; a whole buffer of zeros becomes a hole.
const CHUNK: usize = 1 << 16;

/// What an extraction made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extracted {
    /// Bytes of file contents.
    pub size: u64,
    /// Entries.
    pub entries: u64,
    /// The archive has an entry for the root directory itself.
    pub has_root: bool,
    /// The archive holds a file that a later entry replaced: its content is lost, and a recipe
    /// does not give the archive again.
    pub lossy: bool,
}

/// Extracts a layer: whiteouts become overlayfs's. The directory must be empty and nobody else's.
/// On failure what was made so far is left for the caller to remove.
pub fn extract_layer<R: Read>(reader: &mut Reader<R>, root: &Dir) -> Result<Extracted> {
    let mut extractor = Extractor {
        root,
        parent: None,
        times: BTreeMap::new(),
        buffer: vec![0; CHUNK],
        done: Extracted::default(),
    };
    while let Some(entry) = reader.next_entry()? {
        extractor.done.entries += 1;
        if extractor.done.entries > MAX_ENTRIES {
            return Err(rule(&entry, "too many entries"));
        }
        extractor.entry(&entry, reader)?;
    }
    extractor.apply_times()?;
    Ok(extractor.done)
}

struct Extractor<'a> {
    root: &'a Dir,
    /// The directory that the last entry was in.
    parent: Option<(Vec<u8>, Dir)>,
    /// Times of directories are set last, for every change inside would move them.
    times: BTreeMap<Vec<u8>, Time>,
    buffer: Vec<u8>,
    done: Extracted,
}

impl Extractor<'_> {
    fn entry<R: Read>(&mut self, entry: &Entry, reader: &mut Reader<R>) -> Result<()> {
        let place = path::clean(&entry.path).map_err(|broken| rule(entry, broken))?;
        let (parent, name, hides) = match place {
            Place::Root => return self.root_entry(entry),
            Place::Ignored => return Ok(()),
            Place::Object { parent, name } => (parent, name, false),
            Place::Whiteout { parent, name } => (parent, name, true),
            Place::Opaque { parent } => {
                let parent = self.ensure(&parent, entry)?;
                return mark_opaque(parent.as_fd()).map_err(failed(entry));
            }
        };
        let here = self.ensure(&parent, entry)?;
        let os_name = OsStr::from_bytes(name);
        if hides {
            whiteout(&here, os_name).map_err(failed(entry))?;
        } else {
            self.object(entry, (&parent, &here), os_name, reader)?;
        }
        if entry.kind == EntryKind::Directory && !hides {
            self.times.insert(path::join(&parent, name), entry.mtime);
        }
        self.parent = Some((parent, here));
        Ok(())
    }

    fn object<R: Read>(
        &mut self,
        entry: &Entry,
        (parent, here): (&[u8], &Dir),
        name: &OsStr,
        reader: &mut Reader<R>,
    ) -> Result<()> {
        let old = here.find(name).map_err(failed(entry))?;
        if let EntryKind::HardLink { target } = &entry.kind {
            return self.hard_link(entry, target, here, name);
        }
        let keep = entry.kind == EntryKind::Directory && is_directory(old);
        if !keep {
            self.replace(here, name, old).map_err(failed(entry))?;
        }
        match &entry.kind {
            EntryKind::Directory => directory(entry, here, name, old),
            EntryKind::File { .. } => {
                reader.refer(&path::join(parent, name.as_bytes()))?;
                self.file(entry, here, name, reader)
            }
            EntryKind::Symlink { target } => symlink(entry, target, here, name),
            EntryKind::CharDevice { device } => {
                node(entry, here, name, (Kind::CharDevice, *device)).map_err(failed(entry))
            }
            EntryKind::BlockDevice { device } => {
                node(entry, here, name, (Kind::BlockDevice, *device)).map_err(failed(entry))
            }
            EntryKind::Fifo => node(entry, here, name, (Kind::Fifo, (0, 0))).map_err(failed(entry)),
            EntryKind::HardLink { .. } => Ok(()),
        }
    }

    /// The entry `./`: only owner, mode and times count, and it must be a directory
    /// (CVE-2021-29136).
    fn root_entry(&mut self, entry: &Entry) -> Result<()> {
        if entry.kind != EntryKind::Directory {
            return Err(rule(entry, "the root must be a directory"));
        }
        attributes(entry, self.root.as_fd())?;
        self.times.insert(Vec::new(), entry.mtime);
        self.done.has_root = true;
        Ok(())
    }

    fn file<R: Read>(
        &mut self,
        entry: &Entry,
        here: &Dir,
        name: &OsStr,
        reader: &mut Reader<R>,
    ) -> Result<()> {
        let mut file = here.create_file(name, 0o600).map_err(failed(entry))?;
        self.done.size += self.content(entry, &mut file, reader)?;
        attributes(entry, file.as_fd())?;
        set_times(file.as_fd(), entry.mtime).map_err(failed(entry))
    }

    fn content<R: Read>(
        &mut self,
        entry: &Entry,
        file: &mut File,
        reader: &mut Reader<R>,
    ) -> Result<u64> {
        let extract = |error: std::io::Error| failed(entry)(sys::Error::from_io("write", &error));
        let mut size = 0;
        let mut hole = false;
        loop {
            let filled = fill(reader, &mut self.buffer)?;
            let chunk = &self.buffer[..filled];
            size += filled as u64;
            hole = filled == CHUNK && chunk.iter().all(|byte| *byte == 0) || filled == 0 && hole;
            if filled == 0 {
                break;
            }
            if hole {
                file.seek(SeekFrom::Start(size)).map_err(extract)?;
            } else {
                sys::failpoint::pass("write").map_err(failed(entry))?;
                file.write_all(chunk).map_err(extract)?;
            }
        }
        if hole {
            file.set_len(size).map_err(extract)?;
        }
        Ok(size)
    }

    /// A second name for something that this archive made before, and nothing else.
    fn hard_link(&mut self, entry: &Entry, target: &[u8], here: &Dir, name: &OsStr) -> Result<()> {
        const MISSING: &str = "the target of the hard link is not in this archive";
        let target =
            path::clean(target).map_err(|_| rule(entry, "the hard link escapes the root"))?;
        let Place::Object {
            parent,
            name: old_name,
        } = target
        else {
            return Err(rule(entry, MISSING));
        };
        let target = path::join(&parent, old_name);
        if let Ok(Place::Object { parent, name }) = path::clean(&entry.path) {
            let own = path::join(&parent, name);
            if target == own {
                return Err(rule(entry, "the hard link links to itself"));
            }
            if target
                .strip_prefix(&own[..])
                .is_some_and(|rest| rest.starts_with(b"/"))
            {
                return Err(rule(
                    entry,
                    "the hard link replaces the directory of its target",
                ));
            }
        }
        let from = self
            .root
            .open_dir(Path::new(OsStr::from_bytes(&parent)))
            .map_err(|_| rule(entry, MISSING))?;
        let old_name = OsStr::from_bytes(old_name);
        match from.find(old_name).map_err(failed(entry))? {
            None => return Err(rule(entry, MISSING)),
            Some(stat) if is_whiteout(stat) => return Err(rule(entry, MISSING)),
            Some(stat) if stat.kind == Kind::Directory => {
                return Err(rule(entry, "the target of the hard link is a directory"));
            }
            Some(_) => {}
        }
        let old = here.find(name).map_err(failed(entry))?;
        self.replace(here, name, old).map_err(failed(entry))?;
        from.link(old_name, here, name).map_err(failed(entry))
    }

    /// Opens the directory of an entry, making what is missing; what is there and is no directory
    /// (a symbolic link above all) is replaced by one.
    fn ensure(&mut self, wanted: &[u8], entry: &Entry) -> Result<Dir> {
        if let Some((path, dir)) = self.parent.take()
            && path == wanted
            && dir.stat_self().is_ok_and(|stat| stat.links > 0)
        {
            return Ok(dir);
        }
        match self.root.open_dir(Path::new(OsStr::from_bytes(wanted))) {
            Ok(dir) => return Ok(dir),
            Err(error) if matches!(error.errno, Errno::NOENT | Errno::LOOP | Errno::NOTDIR) => {}
            Err(error) => return Err(failed(entry)(error)),
        }
        let mut here = self.root.try_clone().map_err(failed(entry))?;
        for name in wanted.split(|byte| *byte == b'/') {
            let name = OsStr::from_bytes(name);
            let old = here.find(name).map_err(failed(entry))?;
            if !is_directory(old) {
                self.replace(&here, name, old).map_err(failed(entry))?;
                make_dir(&here, name, old).map_err(failed(entry))?;
            }
            here = here.open_dir(Path::new(name)).map_err(failed(entry))?;
        }
        Ok(here)
    }

    /// Makes room for something else of this name.
    fn replace(&mut self, here: &Dir, name: &OsStr, old: Option<Stat>) -> sys::Result<()> {
        let Some(old) = old else { return Ok(()) };
        self.done.lossy |= matches!(old.kind, Kind::File | Kind::Directory);
        match old.kind {
            Kind::Directory => here.remove_tree(name),
            _ => here.unlink(name),
        }
    }

    /// Deepest first; what was replaced meanwhile by something else is passed over.
    fn apply_times(&self) -> Result<()> {
        for (path, time) in self.times.iter().rev() {
            let as_path = Path::new(OsStr::from_bytes(path));
            let failed = |source| Error::Extract {
                path: as_path.to_owned(),
                source,
            };
            match self.root.open_dir(as_path) {
                Ok(dir) => set_times(dir.as_fd(), *time).map_err(failed)?,
                Err(error) if matches!(error.errno, Errno::NOENT | Errno::LOOP | Errno::NOTDIR) => {
                }
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(())
    }
}

fn directory(entry: &Entry, here: &Dir, name: &OsStr, old: Option<Stat>) -> Result<()> {
    if !is_directory(old) {
        make_dir(here, name, old).map_err(failed(entry))?;
    }
    let dir = here.open_dir(Path::new(name)).map_err(failed(entry))?;
    attributes(entry, dir.as_fd())
}

/// Hides what lower layers have under this name. An object of this layer wins in any order; a
/// directory of this layer hides the lower one by being opaque.
fn whiteout(here: &Dir, name: &OsStr) -> sys::Result<()> {
    match here.find(name)? {
        None => here.make_node(name, Kind::CharDevice, 0, (0, 0)),
        Some(stat) if stat.kind == Kind::Directory => {
            mark_opaque(here.open_dir(Path::new(name))?.as_fd())
        }
        Some(_) => Ok(()),
    }
}

/// Makes a directory, opaque where a whiteout of this layer stood.
fn make_dir(here: &Dir, name: &OsStr, old: Option<Stat>) -> sys::Result<()> {
    here.make_dir(name, 0o755)?;
    let dir = here.open_dir(Path::new(name))?;
    dir::fchmod(dir.as_fd(), 0o755)?;
    if old.is_some_and(is_whiteout) {
        mark_opaque(dir.as_fd())
    } else {
        Ok(())
    }
}

fn mark_opaque(directory: BorrowedFd<'_>) -> sys::Result<()> {
    xattr::set(directory, OsStr::new(OPAQUE), b"y")
}

fn symlink(entry: &Entry, target: &[u8], here: &Dir, name: &OsStr) -> Result<()> {
    if target.is_empty() || target.contains(&0) {
        return Err(rule(
            entry,
            "the target of the link is empty or holds a NUL byte",
        ));
    }
    here.symlink(OsStr::from_bytes(target), name)
        .and_then(|()| here.chown(name, entry.uid, entry.gid))
        .and_then(|()| here.set_times(name, time(entry.mtime), time(entry.mtime)))
        .map_err(failed(entry))
}

fn node(
    entry: &Entry,
    here: &Dir,
    name: &OsStr,
    (kind, device): (Kind, (u32, u32)),
) -> sys::Result<()> {
    here.make_node(name, kind, 0, device)?;
    here.chown(name, entry.uid, entry.gid)?;
    here.chmod(name, entry.mode)?;
    here.set_times(name, time(entry.mtime), time(entry.mtime))
}

/// Owner, attributes, mode, in this order: a change of owner clears setuid bits and capabilities.
fn attributes(entry: &Entry, fd: BorrowedFd<'_>) -> Result<()> {
    if entry.xattrs.len() > MAX_XATTRS
        || entry
            .xattrs
            .iter()
            .any(|(_, value)| value.len() > MAX_XATTR)
    {
        return Err(rule(entry, "too many or too long extended attributes"));
    }
    dir::fchown(fd, entry.uid, entry.gid).map_err(failed(entry))?;
    for (name, value) in &entry.xattrs {
        let user = name.starts_with(b"user.") && !name.starts_with(b"user.overlay.");
        if !user && name != b"security.capability" {
            continue;
        }
        match xattr::set(fd, OsStr::from_bytes(name), value) {
            // A file system without user attributes loses them, as in Docker.
            Err(error) if user && error.errno == Errno::OPNOTSUPP => {}
            result => result.map_err(failed(entry))?,
        }
    }
    dir::fchmod(fd, entry.mode).map_err(failed(entry))
}

fn set_times(fd: BorrowedFd<'_>, modified: Time) -> sys::Result<()> {
    dir::futimens(fd, time(modified), time(modified))
}

fn time(time: Time) -> dir::Time {
    dir::Time {
        seconds: time.seconds,
        nanos: time.nanos,
    }
}

fn is_directory(stat: Option<Stat>) -> bool {
    stat.is_some_and(|stat| stat.kind == Kind::Directory)
}

fn is_whiteout(stat: Stat) -> bool {
    stat.kind == Kind::CharDevice && stat.rdev == (0, 0)
}

fn fill<R: Read>(reader: &mut Reader<R>, buffer: &mut [u8]) -> Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(reader.failed(error)),
        }
    }
    Ok(filled)
}

fn rule(entry: &Entry, rule: &'static str) -> Error {
    Error::Entry {
        path: entry.display_path(),
        rule,
    }
}

fn failed(entry: &Entry) -> impl Fn(sys::Error) -> Error {
    move |source| Error::Extract {
        path: entry.display_path(),
        source,
    }
}
