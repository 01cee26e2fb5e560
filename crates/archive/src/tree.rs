//! An archive into a directory that is in use, for `cp`.
//!
//! The archive is hostile, and so is whoever else writes there: every step into a directory goes
//! through a descriptor of it, no symbolic link is followed, and what is replaced is unlinked and
//! never opened.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use sys::dir::{Dir, Kind, Time};

use crate::entry::{Entry, EntryKind, display};
use crate::error::{Error, Result};
use crate::read::Reader;

/// How the first component of every path of an archive is treated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rename {
    /// It stays.
    Keep,
    /// It becomes this name; an archive of a directory's content gets it in front.
    To(OsString),
}

/// Whose the objects become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owners {
    /// As the archive says.
    Archive,
    /// Whoever unpacks.
    Unpacker,
    /// This user and group.
    Fixed(u32, u32),
}

/// Returns the components that an archive's path has after renaming; empty for the root itself.
/// Ways up are refused.
fn components(path: &[u8], rename: &Rename) -> Result<Vec<OsString>> {
    let mut parts: Vec<OsString> = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                return Err(Error::Entry {
                    path: display(path),
                    rule: "the path leads up",
                });
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

/// Unpacks an archive below the directory `root`, which may hold other things: a directory is gone
/// into, anything else is replaced, but never one kind by the other.
pub fn unpack(from: impl Read, root: &Dir, rename: &Rename, owners: Owners) -> Result<()> {
    let mut reader = Reader::new(from);
    while let Some(entry) = reader.next_entry()? {
        let path = components(&entry.path, rename)?;
        let Some((name, parents)) = path.split_last() else {
            continue;
        };
        let failed = |source| Error::Extract {
            path: path.iter().collect(),
            source,
        };
        let parent = open_parents(root, parents).map_err(failed)?;
        conflict(&parent, name, &entry).map_err(failed)??;
        place(root, &parent, name, (&entry, rename), &mut reader)
            .and_then(|()| finish(&parent, name, &entry, owners).map_err(failed))?;
    }
    Ok(())
}

/// A directory and something else do not take each other's place.
fn conflict(parent: &Dir, name: &OsStr, entry: &Entry) -> sys::Result<Result<()>> {
    let there = parent.find(name)?.map(|stat| stat.kind == Kind::Directory);
    let words = match (there, entry.kind == EntryKind::Directory) {
        (Some(true), false) => ["directory", "non-directory"],
        (Some(false), true) => ["non-directory", "directory"],
        _ => return Ok(Ok(())),
    };
    Ok(Err(Error::Conflict {
        name: name.to_string_lossy().into_owned(),
        there: words[0],
        new: words[1],
    }))
}

fn open_parents(root: &Dir, parents: &[OsString]) -> sys::Result<Dir> {
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
    (entry, rename): (&Entry, &Rename),
    content: &mut impl Read,
) -> Result<()> {
    let failed = |source| Error::Extract {
        path: display(&entry.path),
        source,
    };
    match parent.find(name).map_err(failed)?.map(|stat| stat.kind) {
        Some(Kind::Directory) => return Ok(()),
        Some(_) => parent.unlink(name).map_err(failed)?,
        None => {}
    }
    match &entry.kind {
        EntryKind::Directory => parent.make_dir(name, 0o755),
        EntryKind::File { .. } => parent.create_file(name, 0o600).and_then(|mut file| {
            let copied = io::copy(content, &mut file);
            copied
                .map(drop)
                .map_err(|error| sys::Error::from_io("write", &error))
        }),
        EntryKind::Symlink { target } => parent.symlink(OsStr::from_bytes(target), name),
        EntryKind::HardLink { target } => {
            let target = components(target, rename)?;
            let Some((old, parents)) = target.split_last() else {
                return Ok(());
            };
            open_parents(root, parents).and_then(|dir| dir.link(old, parent, name))
        }
        EntryKind::CharDevice { device } => {
            parent.make_node(name, Kind::CharDevice, 0o600, *device)
        }
        EntryKind::BlockDevice { device } => {
            parent.make_node(name, Kind::BlockDevice, 0o600, *device)
        }
        EntryKind::Fifo => parent.make_node(name, Kind::Fifo, 0o600, (0, 0)),
    }
    .map_err(failed)
}

/// Gives an object its owner, mode and time.
fn finish(parent: &Dir, name: &OsStr, entry: &Entry, owners: Owners) -> sys::Result<()> {
    match owners {
        Owners::Archive => parent.chown(name, entry.uid, entry.gid)?,
        Owners::Fixed(user, group) => parent.chown(name, user, group)?,
        Owners::Unpacker => {}
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
    parent.set_times(name, time, time)
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
}
