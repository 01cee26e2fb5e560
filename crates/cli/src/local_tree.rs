//! Local files into an archive, for `cp`.

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use archive::{Entry, EntryKind, Writer};
use sys::dir::{self, Kind};

use crate::error::{Error, Result};

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
    use std::ffi::OsString;

    use archive::{Owners, Rename, unpack};
    use sys::dir::Dir;

    use super::*;

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
            &Dir::open(&into).unwrap(),
            &Rename::To(OsString::from("there")),
            Owners::Unpacker,
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
            &Dir::open(&into).unwrap(),
            &Rename::To(OsString::from("there")),
            Owners::Unpacker,
        )
        .unwrap();
        // A link that leads out is not followed by what comes behind it.
        std::os::unix::fs::symlink(&from, into.join("evil")).unwrap();
        let mut hostile = Writer::new(Vec::new());
        let file = Entry::new("evil/sub/file", EntryKind::File { size: 3 });
        hostile.entry(&file, &b"bad"[..]).unwrap();
        let hostile = hostile.finish().unwrap();
        assert!(
            unpack(
                &hostile[..],
                &Dir::open(&into).unwrap(),
                &Rename::Keep,
                Owners::Unpacker
            )
            .is_err()
        );
        assert_eq!(fs::read(from.join("sub/file")).unwrap(), b"hello");
        #[expect(clippy::disallowed_methods, reason = "a directory of this test's own")]
        fs::remove_dir_all(&base).unwrap();
    }
}
