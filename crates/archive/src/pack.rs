//! A directory into canonical bytes (storage reference §4): names sorted bytewise, hard links after
//! their first name, whole seconds, no names of owners. The same tree gives the same archive.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use sys::dir::{Dir, Kind, Stat};
use sys::xattr;

use crate::OPAQUE;
use crate::entry::{Entry, EntryKind, Time, display};
use crate::error::{Error, Result};
use crate::path;
use crate::write::Writer;

/// What is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A tree as it is. What is mounted in it is an empty directory or file in the archive.
    Tree,
    /// A tree with all that is mounted in it.
    Mounts,
    /// The upper directory of an overlay: its whiteouts and opaque directories become those of a
    /// layer archive.
    Upper,
}

/// Writes everything below `root`, without an entry for the root itself; returns the number of
/// entries.
pub fn pack<W: Write>(root: &Dir, source: Source, writer: &mut Writer<W>) -> Result<u64> {
    let device = root.stat_self().map_err(failed(b""))?.device;
    let mut packer = Packer {
        root,
        source,
        device,
        writer,
        links: HashMap::new(),
        entries: 0,
        waiting: vec![],
    };
    packer.directory(b"")?;
    packer.rest()
}

/// Writes the object `name` of `root`, or `root` itself as `./`, with all that is below and mounted
/// in it.
pub fn pack_object<W: Write>(
    root: &Dir,
    name: Option<&OsStr>,
    writer: &mut Writer<W>,
) -> Result<u64> {
    let path = name.map_or(&b"."[..], OsStrExt::as_bytes);
    let stat = match name {
        Some(name) => root.stat(name),
        None => root.stat_self(),
    };
    let stat = stat.map_err(failed(path))?;
    let packer = Packer {
        root,
        source: Source::Mounts,
        device: stat.device,
        writer,
        links: HashMap::new(),
        entries: 0,
        waiting: vec![(path.to_vec(), stat)],
    };
    packer.rest()
}

struct Packer<'a, W: Write> {
    root: &'a Dir,
    source: Source,
    device: u64,
    writer: &'a mut Writer<W>,
    /// First name by device and inode, of objects with several.
    links: HashMap<(u64, u64), Vec<u8>>,
    entries: u64,
    /// What comes next is last.
    waiting: Vec<(Vec<u8>, Stat)>,
}

impl<W: Write> Packer<'_, W> {
    fn rest(mut self) -> Result<u64> {
        while let Some((path, stat)) = self.waiting.pop() {
            self.object(&path, stat)?;
        }
        Ok(self.entries)
    }

    fn object(&mut self, path: &[u8], stat: Stat) -> Result<()> {
        let here = stat.device == self.device || self.source == Source::Mounts;
        let upper = self.source == Source::Upper;
        if upper && stat.kind == Kind::CharDevice && stat.rdev == (0, 0) {
            let (parent, name) = split(path);
            let hides = path::join(parent, &[b".wh.", name].concat());
            let entry = Entry {
                mode: 0,
                ..Entry::new(hides, EntryKind::File { size: 0 })
            };
            return self.put(&entry, io::empty());
        }
        let kind = match stat.kind {
            Kind::Socket => return Ok(()),
            Kind::Directory => {
                let path_with_slash = [path, b"/"].concat();
                let mut entry = entry(path_with_slash, EntryKind::Directory, stat);
                let dir = self.root.open_dir(as_path(path)).map_err(failed(path))?;
                entry.xattrs = attributes(&dir).map_err(failed(path))?;
                self.put(&entry, io::empty())?;
                return if here { self.directory(path) } else { Ok(()) };
            }
            _ if stat.links > 1 && here => {
                let id = (stat.device, stat.inode);
                if let Some(target) = self.links.get(&id) {
                    let kind = EntryKind::HardLink {
                        target: target.clone(),
                    };
                    return self.put(&entry(path.to_vec(), kind, stat), io::empty());
                }
                self.links.insert(id, path.to_vec());
                stat.kind
            }
            kind => kind,
        };
        match kind {
            Kind::File if here => self.file(path, stat),
            Kind::File => self.put(
                &entry(path.to_vec(), EntryKind::File { size: 0 }, stat),
                io::empty(),
            ),
            Kind::Symlink => {
                let target = self.in_parent(path, Dir::read_link)?;
                let kind = EntryKind::Symlink {
                    target: target.as_bytes().to_vec(),
                };
                self.put(&entry(path.to_vec(), kind, stat), io::empty())
            }
            Kind::CharDevice => self.node(path, EntryKind::CharDevice { device: stat.rdev }, stat),
            Kind::BlockDevice => {
                self.node(path, EntryKind::BlockDevice { device: stat.rdev }, stat)
            }
            Kind::Fifo => self.node(path, EntryKind::Fifo, stat),
            Kind::Socket | Kind::Directory => Ok(()),
        }
    }

    fn file(&mut self, path: &[u8], stat: Stat) -> Result<()> {
        let file = self.root.open_file(as_path(path)).map_err(failed(path))?;
        // The size of what is open counts, and no more than that is read, while it may be written.
        let stat = Stat {
            size: sys::dir::stat_fd(file.as_fd()).map_err(failed(path))?.size,
            ..stat
        };
        let mut entry = entry(path.to_vec(), EntryKind::File { size: stat.size }, stat);
        entry.xattrs = attributes(&file).map_err(failed(path))?;
        self.put(&entry, file)
    }

    fn node(&mut self, path: &[u8], kind: EntryKind, stat: Stat) -> Result<()> {
        self.put(&entry(path.to_vec(), kind, stat), io::empty())
    }

    /// Puts the content of a directory before everything else that waits.
    fn directory(&mut self, path: &[u8]) -> Result<()> {
        let dir = self.root.open_dir(as_path(path)).map_err(failed(path))?;
        if self.source == Source::Upper
            && !path.is_empty()
            && is_opaque(&dir).map_err(failed(path))?
        {
            let name = path::join(path, b".wh..wh..opq");
            let entry = Entry {
                mode: 0,
                ..Entry::new(name, EntryKind::File { size: 0 })
            };
            self.put(&entry, io::empty())?;
        }
        for name in dir.names().map_err(failed(path))?.into_iter().rev() {
            let child = path::join(path, name.as_bytes());
            // What is gone meanwhile is passed over: a running container writes on.
            if let Some(stat) = dir.find(&name).map_err(failed(&child))? {
                self.waiting.push((child, stat));
            }
        }
        Ok(())
    }

    fn in_parent<T>(
        &self,
        path: &[u8],
        call: impl FnOnce(&Dir, &OsStr) -> sys::Result<T>,
    ) -> Result<T> {
        let (parent, name) = split(path);
        let dir = self.root.open_dir(as_path(parent)).map_err(failed(path))?;
        call(&dir, OsStr::from_bytes(name)).map_err(failed(path))
    }

    fn put(&mut self, entry: &Entry, content: impl io::Read) -> Result<()> {
        self.entries += 1;
        self.writer.entry(entry, content)
    }
}

/// Tells whether a directory of an overlay hides what lower ones have in it.
fn is_opaque(dir: &Dir) -> sys::Result<bool> {
    Ok(xattr::get(dir.as_fd(), OsStr::new(OPAQUE))?.as_deref() == Some(b"y"))
}

fn entry(path: Vec<u8>, kind: EntryKind, stat: Stat) -> Entry {
    let mtime = Time {
        seconds: stat.modified.seconds,
        nanos: 0,
    };
    Entry {
        path,
        kind,
        mode: stat.mode,
        uid: stat.uid,
        gid: stat.gid,
        mtime,
        xattrs: Vec::new(),
    }
}

/// What goes into an archive: `user.*` and capabilities.
fn attributes(of: &impl AsFd) -> sys::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut attributes = Vec::new();
    for name in xattr::names(of.as_fd())? {
        let bytes = name.as_bytes();
        if !bytes.starts_with(b"user.") && bytes != b"security.capability" {
            continue;
        }
        if let Some(value) = xattr::get(of.as_fd(), &name)? {
            attributes.push((bytes.to_vec(), value));
        }
    }
    Ok(attributes)
}

fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

fn as_path(path: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(path))
}

fn failed(path: &[u8]) -> impl Fn(sys::Error) -> Error {
    move |source| Error::Pack {
        path: display(path),
        source,
    }
}
