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
    /// Only some lines are wanted.
    grep: Option<Grep>,
}

/// Lets lines pass that contain a text.
#[derive(Debug)]
struct Grep {
    text: Vec<u8>,
    /// A line of stdout and one of stderr that have not ended.
    begun: [Vec<u8>; 2],
}

impl Grep {
    /// Takes the next bytes of a stream; returns the lines that pass.
    fn pass(&mut self, stream: u8, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let begun = &mut self.begun[usize::from(stream == 2)];
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            begun.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                if contains(begun, &self.text) {
                    out.extend_from_slice(begun);
                }
                begun.clear();
            }
        }
        out
    }

    /// Returns what passes of lines that did not end.
    fn rest(&mut self, stream: u8) -> Vec<u8> {
        let begun = std::mem::take(&mut self.begun[usize::from(stream == 2)]);
        if contains(&begun, &self.text) {
            begun
        } else {
            Vec::new()
        }
    }
}

fn contains(line: &[u8], text: &[u8]) -> bool {
    text.is_empty() || line.windows(text.len()).any(|part| part == text)
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
            grep: None,
        }
    }

    /// Makes one that writes only lines which contain `text`.
    pub(crate) fn grep(raw: bool, text: &str) -> Self {
        Self {
            grep: Some(Grep {
                text: text.as_bytes().to_vec(),
                begun: Default::default(),
            }),
            ..Self::new(raw)
        }
    }

    /// Writes what is left of lines that did not end.
    pub(crate) fn finish(&mut self) -> Result<()> {
        if let Some(grep) = &mut self.grep {
            std::io::stdout().write_all(&grep.rest(1))?;
            std::io::stderr().write_all(&grep.rest(2))?;
        }
        Ok(())
    }

    /// Writes the next bytes of the stream out.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let (mut out, mut err) = (std::io::stdout().lock(), std::io::stderr().lock());
        let mut grep = self.grep.take();
        let mut pass = |stream: u8, part: &[u8]| {
            let kept;
            let part = match &mut grep {
                Some(grep) => {
                    kept = grep.pass(stream, part);
                    &kept
                }
                None => part,
            };
            match stream {
                2 => err.write_all(part),
                _ => out.write_all(part),
            }
        };
        let written = if self.raw {
            pass(1, bytes).map_err(Error::from)
        } else {
            self.split(bytes, &mut pass)
        };
        self.grep = grep;
        written?;
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
