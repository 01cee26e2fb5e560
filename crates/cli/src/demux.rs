//! Output of a container to our stdout and stderr: framed without a terminal, raw with one.

use std::io::Write;

use crate::error::{Error, Result};

/// Takes the stream apart: `{stream, 0, 0, 0, length as big-endian u32}` and so many bytes.
#[derive(Debug)]
pub(crate) struct Demux {
    raw: bool,
    header: Vec<u8>,
    stream: u8,
    left: usize,
    /// The daemon's own words (stream 3).
    complaint: Vec<u8>,
}

impl Demux {
    /// Makes one; `raw` for containers with a terminal.
    pub(crate) fn new(raw: bool) -> Self {
        Self {
            raw,
            header: Vec::new(),
            stream: 0,
            left: 0,
            complaint: Vec::new(),
        }
    }

    /// Writes the next bytes of the stream out.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let (mut out, mut err) = (std::io::stdout().lock(), std::io::stderr().lock());
        if self.raw {
            out.write_all(bytes)?;
            return Ok(out.flush()?);
        }
        self.split(bytes, |stream, part| match stream {
            2 => err.write_all(part),
            _ => out.write_all(part),
        })?;
        out.flush()?;
        Ok(())
    }

    /// Hands every part of a frame to `sink`.
    fn split(
        &mut self,
        mut bytes: &[u8],
        mut sink: impl FnMut(u8, &[u8]) -> std::io::Result<()>,
    ) -> Result<()> {
        while !bytes.is_empty() {
            if self.left == 0 {
                let count = bytes.len().min(8 - self.header.len());
                self.header.extend_from_slice(&bytes[..count]);
                bytes = &bytes[count..];
                let &[stream, _, _, _, a, b, c, d] = &self.header[..] else {
                    return Ok(());
                };
                self.header.clear();
                self.stream = stream;
                self.left = u32::from_be_bytes([a, b, c, d]) as usize;
                if stream > 3 {
                    return Err(Error::text(format!("Unrecognized input header: {stream}")));
                }
                continue;
            }
            let (part, rest) = bytes.split_at(bytes.len().min(self.left));
            self.left -= part.len();
            bytes = rest;
            if self.stream == 3 {
                self.complaint.extend_from_slice(part);
                if self.left == 0 {
                    let text = String::from_utf8_lossy(&self.complaint).into_owned();
                    return Err(Error::text(format!("error from daemon in stream: {text}")));
                }
            } else {
                sink(self.stream, part)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_may_be_cut_anywhere() {
        let stream =
            b"\x01\0\0\0\0\0\0\x03abc\x02\0\0\0\0\0\0\x02de\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\x01f";
        for size in 1..=stream.len() {
            let (mut out, mut err) = (Vec::new(), Vec::new());
            let mut demux = Demux::new(false);
            for part in stream.chunks(size) {
                let sink = |stream, bytes: &[u8]| {
                    if stream == 2 { &mut err } else { &mut out }.extend_from_slice(bytes);
                    Ok(())
                };
                demux.split(part, sink).unwrap();
            }
            assert_eq!((&out[..], &err[..]), (&b"abcf"[..], &b"de"[..]), "{size}");
        }
        let error = Demux::new(false)
            .split(b"\x03\0\0\0\0\0\0\x02no", |_, _| Ok(()))
            .unwrap_err();
        assert_eq!(error.to_string(), "error from daemon in stream: no");
        assert!(
            Demux::new(false)
                .split(b"hello world", |_, _| Ok(()))
                .is_err()
        );
    }
}
