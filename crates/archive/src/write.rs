//! Writing a tar stream: ustar, with PAX records only where ustar has no room.
//!
//! The same entries give the same bytes: no names of owners, whole seconds, PAX records in one
//! order (storage reference §4).

use std::io::{self, Read, Write};

use crate::entry::{Entry, EntryKind};
use crate::error::{Error, Result};
use crate::header::{self, BLOCK, Header, MAX_OCTAL_ID, MAX_OCTAL_SIZE};
use crate::pax;

/// A tar stream in the making.
#[derive(Debug)]
pub struct Writer<W> {
    inner: W,
}

impl<W: Write> Writer<W> {
    /// Begins to write.
    pub fn new(inner: W) -> Self {
        Self { inner }
    }

    /// Writes an entry; a file's content is read from `content`, exactly as many bytes as its kind
    /// says.
    pub fn entry(&mut self, entry: &Entry, content: impl Read) -> Result<()> {
        let (flag, link, size, device) = match &entry.kind {
            EntryKind::File { size } => (b'0', &[][..], *size, (0, 0)),
            EntryKind::HardLink { target } => (b'1', &target[..], 0, (0, 0)),
            EntryKind::Symlink { target } => (b'2', &target[..], 0, (0, 0)),
            EntryKind::CharDevice { device } => (b'3', &[][..], 0, *device),
            EntryKind::BlockDevice { device } => (b'4', &[][..], 0, *device),
            EntryKind::Directory => (b'5', &[][..], 0, (0, 0)),
            EntryKind::Fifo => (b'6', &[][..], 0, (0, 0)),
        };
        let header = Header {
            path: entry.path.clone(),
            link: link.to_vec(),
            flag,
            mode: entry.mode,
            uid: entry.uid.into(),
            gid: entry.gid.into(),
            size,
            mtime: entry.mtime.seconds,
            device,
        };
        let records = records(&header, &entry.xattrs);
        if !records.is_empty() {
            let extended = Header {
                path: b"PaxHeaders/"
                    .iter()
                    .chain(&entry.path)
                    .copied()
                    .take(100)
                    .collect(),
                link: Vec::new(),
                flag: b'x',
                size: records.len() as u64,
                mode: 0o644,
                uid: 0,
                gid: 0,
                mtime: 0,
                device: (0, 0),
            };
            self.put(&header::write(&extended))?;
            self.put(&records)?;
            self.pad(records.len() as u64)?;
        }
        self.put(&header::write(&header))?;
        if size > 0 {
            self.content(entry, content, size)?;
        }
        Ok(())
    }

    /// Writes the end mark and returns the inner writer.
    pub fn finish(mut self) -> Result<W> {
        self.put(&[0; 2 * BLOCK])?;
        self.inner.flush().map_err(Error::Write)?;
        Ok(self.inner)
    }

    fn content(&mut self, entry: &Entry, content: impl Read, size: u64) -> Result<()> {
        let mut content = content.take(size);
        let mut buffer = vec![0; 1 << 16];
        let mut left = size;
        while left > 0 {
            let read = match content.read(&mut buffer) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::Read(error)),
            };
            if read == 0 {
                let rule = "the file became shorter while it was read";
                return Err(Error::Entry {
                    path: entry.display_path(),
                    rule,
                });
            }
            self.put(&buffer[..read])?;
            left -= read as u64;
        }
        self.pad(size)
    }

    fn pad(&mut self, size: u64) -> Result<()> {
        let rest = usize::try_from(size.wrapping_neg() % BLOCK as u64).unwrap_or(0);
        self.put(&[0; BLOCK][..rest])
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.inner.write_all(bytes).map_err(Error::Write)
    }
}

/// The records for what a ustar header cannot say.
fn records(header: &Header, xattrs: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut records = Vec::new();
    let mut number = |key: &[u8], number: u64, most: u64| {
        if number > most {
            pax::write(&mut records, key, number.to_string().as_bytes());
        }
    };
    number(b"gid", header.gid, MAX_OCTAL_ID);
    number(b"size", header.size, MAX_OCTAL_SIZE);
    number(b"uid", header.uid, MAX_OCTAL_ID);
    if u64::try_from(header.mtime).is_ok_and(|mtime| mtime > MAX_OCTAL_SIZE) || header.mtime < 0 {
        pax::write(&mut records, b"mtime", header.mtime.to_string().as_bytes());
    }
    for (key, text) in [(&b"linkpath"[..], &header.link), (b"path", &header.path)] {
        if text.len() > 100 || !text.is_ascii() {
            pax::write(&mut records, key, text);
        }
    }
    for (name, value) in xattrs {
        pax::write(&mut records, &[b"SCHILY.xattr.", &name[..]].concat(), value);
    }
    records
}

#[cfg(test)]
mod tests {
    use crate::entry::Time;
    use proptest::prelude::*;

    use super::*;
    use crate::read::Reader;

    fn kind() -> impl Strategy<Value = EntryKind> {
        let text = || prop::collection::vec(1_u8.., 1..300);
        let device = || (0_u32..4096, 0_u32..1 << 20);
        prop_oneof![
            (0_u64..2000).prop_map(|size| EntryKind::File { size }),
            text().prop_map(|target| EntryKind::HardLink { target }),
            text().prop_map(|target| EntryKind::Symlink { target }),
            device().prop_map(|device| EntryKind::CharDevice { device }),
            device().prop_map(|device| EntryKind::BlockDevice { device }),
            Just(EntryKind::Directory),
            Just(EntryKind::Fifo),
        ]
    }

    prop_compose! {
        fn entry()(
            path in prop::collection::vec(1_u8.., 1..300), kind in kind(), mode in 0_u32..0o10000,
            uid in 0..u32::MAX, gid in 0..u32::MAX, seconds in -1_000_000_000_i64..1 << 40,
            xattr in prop::option::of(prop::collection::vec(any::<u8>(), 0..100)),
        ) -> Entry {
            // A file whose name ends in a slash is a directory of old times.
            let path = if matches!(kind, EntryKind::File { .. }) { [&path[..], b"f"].concat() } else { path };
            let xattrs = xattr.map(|value| (b"user.x".to_vec(), value)).into_iter().collect();
            Entry { path, kind, mode, uid, gid, mtime: Time { seconds, nanos: 0 }, xattrs }
        }
    }

    proptest! {
        #[test]
        fn reads_what_it_writes(entries in prop::collection::vec(entry(), 0..6)) {
            let mut writer = Writer::new(Vec::new());
            for entry in &entries {
                writer.entry(entry, io::repeat(b'x')).unwrap();
            }
            let bytes = writer.finish().unwrap();
            let mut reader = Reader::new(&bytes[..]);
            for entry in &entries {
                let read = reader.next_entry().unwrap();
                prop_assert_eq!(read.as_ref(), Some(entry));
            }
            prop_assert_eq!(reader.next_entry().unwrap(), None);
        }
    }

    #[test]
    fn short_content_is_an_error() {
        let entry = Entry::new("a", EntryKind::File { size: 10 });
        let error = Writer::new(Vec::new())
            .entry(&entry, &b"short"[..])
            .unwrap_err();
        assert!(error.to_string().contains("became shorter"), "{error}");
    }
}
