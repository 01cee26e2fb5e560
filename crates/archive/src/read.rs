//! Reading a tar stream: ustar, PAX, GNU long names and base-256 numbers.
//!
//! The reader holds one entry at a time and never looks at a path. PAX records count for exactly
//! one entry, and the size they give counts for reading and skipping alike (CVE-2025-62518).

use std::io::{self, Read};

use crate::entry::{Entry, EntryKind, Time};
use crate::error::{Error, Result};
use crate::header::{self, BLOCK, Block, Header};
use crate::pax::{self, Overrides};
use crate::recipe::Recorder;

/// Bytes that an extended header or a long name may have (storage reference §8 rule 10).
const MAX_EXTENDED: u64 = 1 << 20;

/// A tar stream. Between two calls of [`Reader::next_entry`] it reads as the content of the entry.
#[derive(Debug)]
pub struct Reader<R> {
    inner: R,
    /// Bytes taken from `inner`.
    offset: u64,
    /// Content bytes of the entry that were not read yet.
    remaining: u64,
    /// Bytes that pad the content to whole blocks.
    padding: u64,
    ended: bool,
    recorder: Option<Recorder>,
    /// The recipe points at the content, so that its bytes are not part of it.
    referred: bool,
}

/// What headers before an entry say about it.
#[derive(Default)]
struct Before {
    pax: Option<Overrides>,
    long_path: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
}

impl<R: Read> Reader<R> {
    /// Begins to read.
    pub fn new(inner: R) -> Self {
        Self {
            inner,
            offset: 0,
            remaining: 0,
            padding: 0,
            ended: false,
            recorder: None,
            referred: false,
        }
    }

    /// Begins to read, and writes down how to make the same bytes again.
    pub fn recorded(inner: R, recorder: Recorder) -> Self {
        Self {
            recorder: Some(recorder),
            ..Self::new(inner)
        }
    }

    /// Says that the content of the entry, which must now be read whole, will be found at `path`.
    pub(crate) fn refer(&mut self, path: &[u8]) -> Result<()> {
        if let Some(recorder) = &mut self.recorder {
            recorder.file(path, self.remaining).map_err(Error::Write)?;
            self.referred = true;
        }
        Ok(())
    }

    /// Returns the next entry; `None` at the end mark, or where the stream ends between entries.
    pub fn next_entry(&mut self) -> Result<Option<Entry>> {
        if self.ended {
            return Ok(None);
        }
        self.skip_content()?;
        let mut before = Before::default();
        loop {
            let start = self.offset;
            let bad = |rule| Error::Header {
                offset: start,
                rule,
            };
            let Some(block) = self.block()? else {
                self.ended = true;
                return Ok(None);
            };
            // One zero block is the end too: many writers leave the second out.
            let header = match header::parse(&block).map_err(bad)? {
                Block::Zero => {
                    self.ended = true;
                    return Ok(None);
                }
                Block::Header(header) => header,
            };
            match header.flag {
                b'x' => {
                    let bytes = self.extended(&header, start)?;
                    before.pax = Some(pax::parse(&bytes).map_err(bad)?);
                }
                // Global records would outlive their entry; git writes a comment there.
                b'g' => drop(self.extended(&header, start)?),
                b'L' => before.long_path = Some(until_nul(self.extended(&header, start)?)),
                b'K' => before.long_link = Some(until_nul(self.extended(&header, start)?)),
                _ => return self.entry(header, before, start).map(Some),
            }
        }
    }

    /// Reads what follows the end mark up to the end of the stream, so that a digest of the stream
    /// is complete. Returns the inner reader and the recipe.
    pub fn finish(mut self) -> Result<(R, Option<Recorder>)> {
        self.skip_content()?;
        let mut buffer = vec![0; 1 << 16];
        loop {
            let read = match self.inner.read(&mut buffer) {
                Ok(0) => return Ok((self.inner, self.recorder)),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::Read(error)),
            };
            if let Some(recorder) = &mut self.recorder {
                recorder.bytes(&buffer[..read]).map_err(Error::Write)?;
            }
        }
    }

    fn entry(&mut self, header: Header, before: Before, start: u64) -> Result<Entry> {
        let bad = |rule| Error::Header {
            offset: start,
            rule,
        };
        let pax = before.pax.unwrap_or_default();
        if pax.sparse || header.flag == b'S' {
            return Err(bad("sparse files are not supported yet"));
        }
        let path = pax.path.or(before.long_path).unwrap_or(header.path);
        let target = pax.link.or(before.long_link).unwrap_or(header.link);
        let size = pax.size.unwrap_or(header.size);
        let device = header.device;
        let kind = match header.flag {
            // Before ustar a directory was a file whose name ends in a slash.
            b'0' | 0 if path.ends_with(b"/") && size == 0 => EntryKind::Directory,
            b'0' | b'7' | 0 => EntryKind::File { size },
            b'1' => EntryKind::HardLink { target },
            b'2' => EntryKind::Symlink { target },
            b'3' => EntryKind::CharDevice { device },
            b'4' => EntryKind::BlockDevice { device },
            b'5' => EntryKind::Directory,
            b'6' => EntryKind::Fifo,
            _ => return Err(bad("the type of the entry is unknown")),
        };
        // Other kinds have no content, whatever their size field says (as GNU tar and Go).
        self.remaining = if matches!(kind, EntryKind::File { .. }) {
            size
        } else {
            0
        };
        self.padding = pad(self.remaining);
        let id = |number: u64| {
            u32::try_from(number)
                .ok()
                .filter(|id| *id != u32::MAX)
                .ok_or(bad("the owner is out of range"))
        };
        Ok(Entry {
            path,
            kind,
            mode: header.mode,
            uid: id(pax.uid.unwrap_or(header.uid))?,
            gid: id(pax.gid.unwrap_or(header.gid))?,
            mtime: pax.mtime.unwrap_or(Time {
                seconds: header.mtime,
                nanos: 0,
            }),
            xattrs: pax.xattrs,
        })
    }

    /// Reads the whole content of a header that describes the next one.
    fn extended(&mut self, header: &Header, start: u64) -> Result<Vec<u8>> {
        if header.size > MAX_EXTENDED {
            return Err(Error::Header {
                offset: start,
                rule: "an extended header is too long",
            });
        }
        self.remaining = header.size;
        self.padding = pad(header.size);
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes).map_err(|e| self.failed(e))?;
        self.skip_content()?;
        Ok(bytes)
    }

    fn block(&mut self) -> Result<Option<[u8; BLOCK]>> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self.inner.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => {
                    return Err(Error::Truncated {
                        offset: self.offset,
                    });
                }
                Ok(read) => {
                    filled += read;
                    self.offset += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::Read(error)),
            }
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.bytes(&block).map_err(Error::Write)?;
        }
        Ok(Some(block))
    }

    fn skip_content(&mut self) -> Result<()> {
        self.referred = false;
        let rest = self
            .remaining
            .saturating_add(std::mem::take(&mut self.padding));
        self.remaining = rest;
        io::copy(self, &mut io::sink()).map_err(|e| self.failed(e))?;
        Ok(())
    }

    /// Tells a failure of the content: cut off, or what the stream said.
    pub(crate) fn failed(&self, error: io::Error) -> Error {
        match error.get_ref() {
            Some(inner) if inner.is::<CutOff>() => Error::Truncated {
                offset: self.offset,
            },
            Some(inner) if inner.is::<RecorderFailed>() => Error::Write(error),
            _ => Error::Read(error),
        }
    }
}

impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.remaining)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let read = self.inner.read(&mut buffer[..most])?;
        if read == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, CutOff));
        }
        self.remaining -= read as u64;
        self.offset += read as u64;
        if let Some(recorder) = self.recorder.as_mut().filter(|_| !self.referred) {
            let bytes = &buffer[..read];
            recorder
                .bytes(bytes)
                .map_err(|e| io::Error::other(RecorderFailed(e)))?;
        }
        Ok(read)
    }
}

/// The stream ended within a content.
#[derive(Debug, thiserror::Error)]
#[error("the archive is cut off")]
struct CutOff;

/// The recipe could not be written.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct RecorderFailed(io::Error);

fn pad(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    let length = bytes
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(bytes.len());
    bytes.truncate(length);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(path: &str, flag: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = header::write(&Header {
            path: path.into(),
            link: Vec::new(),
            flag,
            mode: 0o644,
            uid: 0,
            gid: 0,
            size: content.len() as u64,
            mtime: 0,
            device: (0, 0),
        })
        .to_vec();
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        bytes
    }

    fn list(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>> {
        let mut reader = Reader::new(bytes);
        let mut list = Vec::new();
        while let Some(entry) = reader.next_entry()? {
            let mut content = Vec::new();
            reader
                .read_to_end(&mut content)
                .map_err(|e| reader.failed(e))?;
            list.push((String::from_utf8_lossy(&entry.path).into_owned(), content));
        }
        Ok(list)
    }

    #[test]
    fn gnu_long_names_and_pax_count_once() {
        let long = "x/".repeat(100) + "end";
        let mut pax = Vec::new();
        pax::write(&mut pax, b"path", b"from-pax");
        let bytes = [
            raw("././@LongLink", b'L', format!("{long}\0").as_bytes()),
            raw("cut", b'0', b"one"),
            raw("PaxHeader", b'x', &pax),
            raw("y", b'0', b"two"),
            raw("z", b'0', b""),
            vec![0; 1024],
        ]
        .concat();
        let expect = [(long.as_str(), "one"), ("from-pax", "two"), ("z", "")];
        let expect = expect.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()));
        assert_eq!(list(&bytes).unwrap(), expect);
    }

    #[test]
    fn size_from_pax_rules_the_skip() {
        // The content holds a header: a reader that skips by the ustar size would find it.
        let smuggled = raw("evil", b'0', b"");
        let mut pax = Vec::new();
        pax::write(&mut pax, b"size", b"512");
        let mut outer = raw("outer", b'0', b"");
        outer.extend_from_slice(&smuggled);
        let bytes = [raw("p", b'x', &pax), outer, vec![0; 1024]].concat();
        assert_eq!(list(&bytes).unwrap(), [("outer".to_owned(), smuggled)]);
    }

    #[test]
    fn broken_streams() {
        let whole = [raw("a", b'0', &[7; 700]), vec![0; 1024]].concat();
        for cut in [100, 513, 1100, 1300] {
            let error = list(&whole[..cut]).unwrap_err();
            assert!(matches!(error, Error::Truncated { .. }), "{cut}: {error:?}");
        }
        assert_eq!(
            list(&whole[..1536]).unwrap().len(),
            1,
            "no end mark is legal"
        );
        assert!(list(&raw("a", b'Z', b"")).is_err());
        assert!(list(b"").unwrap().is_empty());
        let huge = raw("a", b'x', &vec![0; (1 << 20) + 1]);
        assert!(matches!(list(&huge), Err(Error::Header { .. })));
    }

    #[test]
    fn finish_reads_the_tail() {
        let bytes = [raw("a", b'0', b"x"), vec![0; 1024], b"tail".to_vec()].concat();
        let mut reader = Reader::new(&bytes[..]);
        while reader.next_entry().unwrap().is_some() {}
        assert!(reader.finish().unwrap().0.is_empty());
    }
}
