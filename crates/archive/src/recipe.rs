//! The bytes of an archive again: everything that is no file content, and where the contents are.
//!
//! A layer is unpacked and its tar thrown away; `save` must still give the same bytes, for their
//! digest is part of the image's id. A recipe is the tar with the contents of its files taken out:
//! a few hundred bytes for a file, compressed to a tenth of that.
//!
//! Format: `WRECIPE1`, then a zstd stream of records: `B` length bytes, or `F` length path size;
//! numbers are 64 bit little-endian.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use sys::dir::Dir;

const MAGIC: &[u8; 8] = b"WRECIPE1";
const BYTES: u8 = b'B';
const FILE: u8 = b'F';
/// Literal bytes of one record.
const MAX_BYTES: usize = 1 << 16;
/// The fastest level: headers are zeros for the most part.
const LEVEL: i32 = 1;

/// Writes a recipe while an archive is read.
pub struct Recorder {
    to: zstd::Encoder<'static, Box<dyn Write + Send>>,
    literal: Vec<u8>,
    size: u64,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl Recorder {
    /// Begins a recipe.
    pub fn new(mut to: impl Write + Send + 'static) -> io::Result<Self> {
        to.write_all(MAGIC)?;
        let to: Box<dyn Write + Send> = Box::new(to);
        Ok(Self {
            to: zstd::Encoder::new(to, LEVEL)?,
            literal: Vec::new(),
            size: 0,
        })
    }

    /// Completes the recipe; returns the bytes of the archive.
    pub fn finish(mut self) -> io::Result<u64> {
        self.flush()?;
        self.to.finish()?.flush()?;
        Ok(self.size)
    }

    pub(crate) fn bytes(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.size += bytes.len() as u64;
        while !bytes.is_empty() {
            let (now, rest) = bytes.split_at(bytes.len().min(MAX_BYTES - self.literal.len()));
            self.literal.extend_from_slice(now);
            if self.literal.len() == MAX_BYTES {
                self.flush()?;
            }
            bytes = rest;
        }
        Ok(())
    }

    pub(crate) fn file(&mut self, path: &[u8], size: u64) -> io::Result<()> {
        self.flush()?;
        self.size += size;
        self.to.write_all(&[FILE])?;
        self.to.write_all(&(path.len() as u64).to_le_bytes())?;
        self.to.write_all(path)?;
        self.to.write_all(&size.to_le_bytes())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.literal.is_empty() {
            return Ok(());
        }
        self.to.write_all(&[BYTES])?;
        self.to
            .write_all(&(self.literal.len() as u64).to_le_bytes())?;
        self.to.write_all(&self.literal)?;
        self.literal.clear();
        Ok(())
    }
}

/// An archive that is made again from its recipe and its unpacked files.
pub struct Replay<R: Read> {
    from: zstd::Decoder<'static, BufReader<R>>,
    root: Dir,
    now: Now,
}

enum Now {
    Between,
    Bytes(u64),
    File(File, u64),
    End,
}

impl<R: Read> std::fmt::Debug for Replay<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replay")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

impl<R: Read> Replay<R> {
    /// Begins to read an archive whose files lie below `root`.
    pub fn new(mut recipe: R, root: Dir) -> io::Result<Self> {
        let mut magic = [0; 8];
        recipe.read_exact(&mut magic)?;
        if &magic != MAGIC {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "not a layer recipe",
            ));
        }
        Ok(Self {
            from: zstd::Decoder::new(recipe)?,
            root,
            now: Now::Between,
        })
    }

    /// Reads the next record; the end of the stream is the end of the archive.
    fn next(&mut self) -> io::Result<Now> {
        let bad = || io::Error::new(io::ErrorKind::InvalidData, "the layer recipe is damaged");
        let mut kind = [0];
        if self.from.read(&mut kind)? == 0 {
            return Ok(Now::End);
        }
        let length = self.number()?;
        match kind[0] {
            BYTES => Ok(Now::Bytes(length)),
            FILE => {
                let mut path = vec![
                    0;
                    usize::try_from(length)
                        .ok()
                        .filter(|l| *l <= 4096)
                        .ok_or_else(bad)?
                ];
                self.from.read_exact(&mut path)?;
                let size = self.number()?;
                let file = self.root.open_file(Path::new(OsStr::from_bytes(&path)))?;
                Ok(Now::File(file, size))
            }
            _ => Err(bad()),
        }
    }

    fn number(&mut self) -> io::Result<u64> {
        let mut number = [0; 8];
        self.from.read_exact(&mut number)?;
        Ok(u64::from_le_bytes(number))
    }
}

impl<R: Read> Read for Replay<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let (read, left) = match &mut self.now {
                Now::End => return Ok(0),
                Now::Between | Now::Bytes(0) | Now::File(_, 0) => {
                    self.now = self.next()?;
                    continue;
                }
                Now::Bytes(left) => (self.from.read(limit(buffer, *left))?, left),
                Now::File(file, left) => (file.read(limit(buffer, *left))?, left),
            };
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            *left -= read as u64;
            return Ok(read);
        }
    }
}

fn limit(buffer: &mut [u8], left: u64) -> &mut [u8] {
    let most = usize::try_from(left)
        .unwrap_or(usize::MAX)
        .min(buffer.len());
    &mut buffer[..most]
}
