//! Local files into an archive and an archive into local files, for `cp`.
//!
//! An archive comes from a container and is hostile: every step into a directory goes through a
//! descriptor of it, no symbolic link of the archive is followed, and what is replaced is unlinked
//! and never opened.

use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use archive::{Entry, EntryKind, Reader, Writer};
use sys::dir::{self, Dir, Kind, Time};

use crate::error::{Error, Result, go_text};

/// How the first component of every path of an archive is treated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rename {
    /// It stays.
    Keep,
    /// It becomes this name; an archive of a directory's content gets it in front.
    To(OsString),
}

/// Returns the components that an archive's path has after renaming; empty for the root itself.
/// Ways up are refused.
fn components(path: &[u8], rename: &Rename) -> Result<Vec<OsString>> {
    let mut parts: Vec<OsString> = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                let shown = String::from_utf8_lossy(path);
                return Err(Error::text(format!("invalid path in the archive: {shown}")));
            }
            part => parts.push(OsString::from_vec(part.to_vec())),
        }
    }
    if let Rename::To(name) = rename {
        let content_only = path == b"." || path.starts_with(b"./");
        if content_only || parts.is_empty() {
            parts.insert(0, name.clone());
        } else {
            parts[0].clone_from(name);
        }
    }
    Ok(parts)
}

/// Unpacks an archive below the directory `into`; `owners` keeps user and group.
pub(crate) fn unpack(from: impl Read, into: &Path, rename: &Rename, owners: bool) -> Result<()> {
    let shown = |error: &archive::Error| Error::text(error.to_string());
    let root = Dir::open(into)?;
    let mut reader = Reader::new(from);
    while let Some(entry) = reader.next_entry().map_err(|error| shown(&error))? {
        let path = components(&entry.path, rename)?;
        let Some((name, parents)) = path.split_last() else {
            continue;
        };
        let parent = open_parents(&root, parents)?;
        place(&root, &parent, name, &entry, rename, &mut reader)
            .and_then(|()| finish(&parent, name, &entry, owners))
            .map_err(|error| match error {
                Error::Io(error) => Error::text(format!(
                    "cannot write {}: {}",
                    into.join(path.iter().collect::<std::path::PathBuf>())
                        .display(),
                    go_text(&error)
                )),
                error => error,
            })?;
    }
    Ok(())
}

fn open_parents(root: &Dir, parents: &[OsString]) -> Result<Dir> {
    let mut at = root.try_clone()?;
    for name in parents {
        if at.find(name)?.is_none() {
            at.make_dir(name, 0o755)?;
        }
        at = at.open_dir(Path::new(name))?;
    }
    Ok(at)
}

fn place(
    root: &Dir,
    parent: &Dir,
    name: &OsStr,
    entry: &Entry,
    rename: &Rename,
    content: &mut impl Read,
) -> Result<()> {
    let there = parent.find(name)?.map(|stat| stat.kind);
    let is_directory = entry.kind == EntryKind::Directory;
    match there {
        Some(Kind::Directory) if is_directory => return Ok(()),
        Some(Kind::Directory) => {
            let shown = name.to_string_lossy();
            return Err(Error::text(format!(
                "cannot overwrite directory \"{shown}\" with non-directory"
            )));
        }
        Some(_) if is_directory => {
            let shown = name.to_string_lossy();
            return Err(Error::text(format!(
                "cannot overwrite non-directory \"{shown}\" with directory"
            )));
        }
        Some(_) => parent.unlink(name)?,
        None => {}
    }
    match &entry.kind {
        EntryKind::Directory => parent.make_dir(name, 0o755)?,
        EntryKind::File { .. } => {
            let mut file = parent.create_file(name, 0o600)?;
            io::copy(content, &mut file)?;
        }
        EntryKind::Symlink { target } => parent.symlink(OsStr::from_bytes(target), name)?,
        EntryKind::HardLink { target } => {
            let target = components(target, rename)?;
            let Some((old, parents)) = target.split_last() else {
                return Ok(());
            };
            open_parents(root, parents)?.link(old, parent, name)?;
        }
        EntryKind::CharDevice { device } => {
            parent.make_node(name, Kind::CharDevice, 0o600, *device)?;
        }
        EntryKind::BlockDevice { device } => {
            parent.make_node(name, Kind::BlockDevice, 0o600, *device)?;
        }
        EntryKind::Fifo => parent.make_node(name, Kind::Fifo, 0o600, (0, 0))?,
    }
    Ok(())
}

/// Gives an object its owner, mode and time.
fn finish(parent: &Dir, name: &OsStr, entry: &Entry, owners: bool) -> Result<()> {
    if owners {
        parent.chown(name, entry.uid, entry.gid)?;
    }
    let linked = matches!(
        entry.kind,
        EntryKind::Symlink { .. } | EntryKind::HardLink { .. }
    );
    if !linked {
        parent.chmod(name, entry.mode)?;
    }
    let time = Time {
        seconds: entry.mtime.seconds,
        nanos: entry.mtime.nanos,
    };
    parent.set_times(name, time, time)?;
    Ok(())
}

/// Packs a local file or tree; its top is called `name`, or is left out when `name` is empty.
pub(crate) fn pack(source: &Path, name: &OsStr, follow: bool, to: impl Write) -> Result<u64> {
    let mut counted = Counted {
        inner: to,
        count: 0,
    };
    let mut writer = Writer::new(&mut counted);
    let metadata = if follow {
        fs::metadata(source)
    } else {
        fs::symlink_metadata(source)
    };
    let metadata = metadata?;
    add(&mut writer, source, name.as_bytes(), &metadata)?;
    writer
        .finish()
        .map_err(|error| Error::text(error.to_string()))?;
    Ok(counted.count)
}

fn add<W: Write>(
    writer: &mut Writer<W>,
    source: &Path,
    name: &[u8],
    metadata: &Metadata,
) -> Result<()> {
    let kind = metadata.file_type();
    let entry_kind = if kind.is_dir() {
        EntryKind::Directory
    } else if kind.is_symlink() {
        EntryKind::Symlink {
            target: fs::read_link(source)?.into_os_string().into_vec(),
        }
    } else if kind.is_file() {
        EntryKind::File {
            size: metadata.len(),
        }
    } else if kind.is_char_device() {
        EntryKind::CharDevice {
            device: dir::stat_host(source)?.rdev,
        }
    } else if kind.is_block_device() {
        EntryKind::BlockDevice {
            device: dir::stat_host(source)?.rdev,
        }
    } else if kind.is_fifo() {
        EntryKind::Fifo
    } else {
        // A socket is nothing without its process.
        return Ok(());
    };
    let mut path = if name.is_empty() {
        b".".to_vec()
    } else {
        name.to_vec()
    };
    if entry_kind == EntryKind::Directory {
        path.push(b'/');
    }
    let mut entry = Entry::new(path, entry_kind.clone());
    entry.mode = metadata.mode() & 0o7777;
    entry.uid = metadata.uid();
    entry.gid = metadata.gid();
    entry.mtime.seconds = metadata.mtime();
    let failed = |error: archive::Error| Error::text(error.to_string());
    match entry_kind {
        EntryKind::File { .. } => {
            writer
                .entry(&entry, fs::File::open(source)?)
                .map_err(failed)?;
        }
        EntryKind::Directory => {
            writer.entry(&entry, io::empty()).map_err(failed)?;
            let mut children = fs::read_dir(source)?.collect::<io::Result<Vec<fs::DirEntry>>>()?;
            children.sort_by_key(fs::DirEntry::file_name);
            for child in children {
                let file_name = child.file_name();
                let path = [&entry.path, file_name.as_bytes()].concat();
                add(writer, &child.path(), &path, &child.metadata()?)?;
            }
        }
        _ => writer.entry(&entry, io::empty()).map_err(failed)?,
    }
    Ok(())
}

/// Counts what passes.
pub(crate) struct Counted<T> {
    /// What is read or written.
    pub(crate) inner: T,
    /// Bytes so far.
    pub(crate) count: u64,
}

impl<T: Write> Write for Counted<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.count += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Read> Read for Counted<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count += count as u64;
        Ok(count)
    }
}

/// Returns whether a path is a directory, as a descriptor sees it.
pub(crate) fn is_directory(path: &Path) -> bool {
    fs::File::open(path)
        .is_ok_and(|file| dir::stat_fd(file.as_fd()).is_ok_and(|stat| stat.kind == Kind::Directory))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(path: &[u8], rename: &Rename) -> String {
        let parts = components(path, rename).unwrap();
        parts
            .iter()
            .map(|part| part.to_string_lossy())
            .collect::<Vec<_>>()
            .join("/")
    }

    #[test]
    fn the_first_component_is_renamed() {
        let to = Rename::To(OsString::from("new"));
        for (path, kept, renamed) in [
            (&b"a"[..], "a", "new"),
            (b"a/b/", "a/b", "new/b"),
            (b"./b", "b", "new/b"),
            (b"./", "", "new"),
            (b"/a//b", "a/b", "new/b"),
        ] {
            assert_eq!(joined(path, &Rename::Keep), kept);
            assert_eq!(joined(path, &to), renamed);
        }
        assert!(components(b"a/../../b", &Rename::Keep).is_err());
    }

    #[test]
    fn what_is_packed_comes_out_again() {
        let base = std::env::temp_dir().join(format!("wharf-cp-{}", std::process::id()));
        let (from, into) = (base.join("from"), base.join("into"));
        fs::create_dir_all(from.join("sub")).unwrap();
        fs::create_dir_all(&into).unwrap();
        fs::File::create(from.join("sub/file"))
            .unwrap()
            .write_all(b"hello")
            .unwrap();
        std::os::unix::fs::symlink("sub/file", from.join("link")).unwrap();
        let mut bytes = Vec::new();
        let count = pack(&from, OsStr::new("from"), false, &mut bytes).unwrap();
        assert_eq!(count, bytes.len() as u64);
        unpack(
            &bytes[..],
            &into,
            &Rename::To(OsString::from("there")),
            false,
        )
        .unwrap();
        assert_eq!(fs::read(into.join("there/sub/file")).unwrap(), b"hello");
        assert_eq!(
            fs::read_link(into.join("there/link")).unwrap(),
            Path::new("sub/file")
        );
        // A second time, onto itself: files are replaced.
        unpack(
            &bytes[..],
            &into,
            &Rename::To(OsString::from("there")),
            false,
        )
        .unwrap();
        // A link that leads out is not followed by what comes behind it.
        std::os::unix::fs::symlink(&from, into.join("evil")).unwrap();
        let mut hostile = Writer::new(Vec::new());
        let file = Entry::new("evil/sub/file", EntryKind::File { size: 3 });
        hostile.entry(&file, &b"bad"[..]).unwrap();
        let hostile = hostile.finish().unwrap();
        assert!(unpack(&hostile[..], &into, &Rename::Keep, false).is_err());
        assert_eq!(fs::read(from.join("sub/file")).unwrap(), b"hello");
        #[expect(clippy::disallowed_methods, reason = "a directory of this test's own")]
        fs::remove_dir_all(&base).unwrap();
    }
}
