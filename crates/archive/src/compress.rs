//! Compressions behind one door, told apart by their first bytes.

use std::io::{self, BufReader, Read};

use crate::error::{Error, Result};

/// How a stream is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// RFC 1952, any number of members.
    Gzip,
    /// RFC 8878, any number of frames.
    Zstd,
    /// `.xz`
    Xz,
    /// `.bz2`
    Bzip2,
}

impl Compression {
    /// Tells the compression from the first bytes of a stream; six are enough.
    pub fn detect(head: &[u8]) -> Self {
        let zstd_skippable = matches!(head, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]);
        if head.starts_with(&[0x1f, 0x8b, 0x08]) {
            Self::Gzip
        } else if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) || zstd_skippable {
            Self::Zstd
        } else if head.starts_with(b"\xfd7zXZ\0") {
            Self::Xz
        } else if head.starts_with(b"BZh") {
            Self::Bzip2
        } else {
            Self::None
        }
    }
}

/// Returns the plain bytes of a stream in any compression that is read here.
pub fn decompress<'a>(mut from: impl Read + 'a) -> Result<Box<dyn Read + 'a>> {
    let mut head = Vec::new();
    from.by_ref()
        .take(6)
        .read_to_end(&mut head)
        .map_err(Error::Read)?;
    let compression = Compression::detect(&head);
    let whole = BufReader::with_capacity(1 << 17, io::Cursor::new(head).chain(from));
    Ok(match compression {
        Compression::None => Box::new(whole),
        Compression::Gzip => Box::new(Gunzip::new(whole)),
        Compression::Zstd => Box::new(zstd::Decoder::with_buffer(whole).map_err(Error::Read)?),
        Compression::Xz => return Err(Error::Compression("xz")),
        Compression::Bzip2 => return Err(Error::Compression("bzip2")),
    })
}

/// Returns a writer that compresses with gzip, the same bytes each time.
pub fn gzip<W: io::Write>(to: W) -> flate2::write::GzEncoder<W> {
    flate2::write::GzEncoder::new(to, flate2::Compression::default())
}

/// Gzip members one after the other; zeros behind the last are padding, as gzip(1) takes them.
struct Gunzip<R: io::BufRead> {
    member: Option<flate2::bufread::GzDecoder<R>>,
}

impl<R: io::BufRead> Gunzip<R> {
    fn new(from: R) -> Self {
        Self {
            member: Some(flate2::bufread::GzDecoder::new(from)),
        }
    }
}

impl<R: io::BufRead> Read for Gunzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let read = member.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            let Some(member) = self.member.take() else {
                break;
            };
            let mut rest = member.into_inner();
            if skip_zeros(&mut rest)? {
                self.member = Some(flate2::bufread::GzDecoder::new(rest));
            }
        }
        Ok(0)
    }
}

/// Skips zeros; tells whether something else follows.
fn skip_zeros(from: &mut impl io::BufRead) -> io::Result<bool> {
    loop {
        let bytes = from.fill_buf()?;
        if bytes.is_empty() {
            return Ok(false);
        }
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let more = zeros < bytes.len();
        from.consume(zeros);
        if more {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        to.write_all(bytes).unwrap();
        to.finish().unwrap()
    }

    fn plain(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        decompress(bytes)
            .map_err(io::Error::other)?
            .read_to_end(&mut plain)?;
        Ok(plain)
    }

    #[test]
    fn every_compression() {
        let text = b"some text ".repeat(1000);
        let members = [gzip(&text[..5000]), gzip(&text[5000..]), vec![0; 100]].concat();
        let zstd = zstd::encode_all(&text[..], 3).unwrap();
        let frames = [&b"\x50\x2a\x4d\x18\x01\0\0\0x"[..], &zstd[..]].concat();
        for bytes in [text.clone(), gzip(&text), members, zstd, frames] {
            assert_eq!(plain(&bytes).unwrap(), text);
        }
        assert_eq!(plain(b"").unwrap(), b"");
    }

    #[test]
    fn broken_and_unknown() {
        let whole = gzip(&b"some text ".repeat(1000));
        assert!(plain(&whole[..whole.len() - 9]).is_err(), "cut off");
        assert!(
            plain(&[&whole[..], b"garbage"].concat()).is_err(),
            "garbage behind"
        );
        for (bytes, name) in [(&b"\xfd7zXZ\0"[..], "xz"), (b"BZh9", "bzip2")] {
            let error = plain(bytes).unwrap_err().to_string();
            assert_eq!(error, format!("{name} compression is not supported yet"));
        }
    }
}
