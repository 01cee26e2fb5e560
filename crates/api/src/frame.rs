//! Pure: how stdout and stderr share one connection: `{stream, 0, 0, 0, length as big-endian u32}`,
//! then as many bytes (Docker API, `POST /containers/{id}/attach`).

/// Bytes of a frame's header.
pub const HEADER_LEN: usize = 8;

/// Which stream a frame belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Input; the engine never sends it.
    Stdin,
    /// Output.
    Stdout,
    /// Errors.
    Stderr,
    /// An error of the daemon; clients make an error of it.
    SystemErr,
}

impl Stream {
    const fn number(self) -> u8 {
        match self {
            Self::Stdin => 0,
            Self::Stdout => 1,
            Self::Stderr => 2,
            Self::SystemErr => 3,
        }
    }
}

/// A header that names no stream: the connection carries something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownStream(pub u8);

impl std::fmt::Display for UnknownStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "unrecognized input header: {}", self.0)
    }
}

impl std::error::Error for UnknownStream {}

/// Returns the header of a frame of `len` bytes.
pub fn header(stream: Stream, len: u32) -> [u8; HEADER_LEN] {
    let [a, b, c, d] = len.to_be_bytes();
    [stream.number(), 0, 0, 0, a, b, c, d]
}

/// Returns a whole frame. A payload of more than 4 GiB is a mistake of the caller.
pub fn encode(stream: Stream, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).expect("a frame is far below 4 GiB");
    [&header(stream, len)[..], payload].concat()
}

/// Takes frames apart as the bytes come in; holds a header at most, never a payload.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    header: [u8; HEADER_LEN],
    have: usize,
    left: usize,
}

impl Decoder {
    /// Takes the next piece of payload from the front of `input`; none when more bytes are needed.
    /// A frame may come in several pieces.
    pub fn next<'a>(
        &mut self,
        input: &mut &'a [u8],
    ) -> Result<Option<(Stream, &'a [u8])>, UnknownStream> {
        while self.left == 0 {
            let wanted = (HEADER_LEN - self.have).min(input.len());
            let (taken, rest) = input.split_at(wanted);
            self.header[self.have..self.have + wanted].copy_from_slice(taken);
            self.have += wanted;
            *input = rest;
            if self.have < HEADER_LEN {
                return Ok(None);
            }
            self.stream()?;
            let [_, _, _, _, a, b, c, d] = self.header;
            self.left = u32::from_be_bytes([a, b, c, d]) as usize;
            if self.left == 0 {
                self.have = 0;
            }
        }
        if input.is_empty() {
            return Ok(None);
        }
        let (piece, rest) = input.split_at(self.left.min(input.len()));
        *input = rest;
        self.left -= piece.len();
        let stream = self.stream()?;
        if self.left == 0 {
            self.have = 0;
        }
        Ok(Some((stream, piece)))
    }

    /// Tells whether the bytes ended between two frames.
    pub const fn is_between_frames(&self) -> bool {
        self.have == 0
    }

    const fn stream(&self) -> Result<Stream, UnknownStream> {
        match self.header[0] {
            0 => Ok(Stream::Stdin),
            1 => Ok(Stream::Stdout),
            2 => Ok(Stream::Stderr),
            3 => Ok(Stream::SystemErr),
            other => Err(UnknownStream(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_docker_s() {
        assert_eq!(
            encode(Stream::Stdout, b"hello\n"),
            b"\x01\0\0\0\0\0\0\x06hello\n"
        );
        assert_eq!(
            header(Stream::Stderr, 0x0102_0304),
            [2, 0, 0, 0, 1, 2, 3, 4]
        );
    }

    #[test]
    fn pieces_of_any_size_make_the_same_streams() {
        let mut bytes = encode(Stream::Stdout, b"one");
        bytes.extend(encode(Stream::Stderr, b""));
        bytes.extend(encode(Stream::Stderr, b"two!"));
        bytes.extend(encode(Stream::SystemErr, b"x"));
        for size in 1..=bytes.len() {
            let mut decoder = Decoder::default();
            let (mut out, mut err, mut system) = (Vec::new(), Vec::new(), Vec::new());
            for mut chunk in bytes.chunks(size) {
                while let Some((stream, piece)) = decoder.next(&mut chunk).unwrap() {
                    match stream {
                        Stream::Stdin => panic!("nobody sent stdin"),
                        Stream::Stdout => out.extend_from_slice(piece),
                        Stream::Stderr => err.extend_from_slice(piece),
                        Stream::SystemErr => system.extend_from_slice(piece),
                    }
                }
                assert!(chunk.is_empty());
            }
            assert_eq!(
                (&out[..], &err[..], &system[..]),
                (&b"one"[..], &b"two!"[..], &b"x"[..])
            );
            assert!(decoder.is_between_frames());
        }
    }

    #[test]
    fn a_foreign_stream_is_refused() {
        let mut input = &b"HTTP/1.1 200"[..];
        assert_eq!(
            Decoder::default().next(&mut input),
            Err(UnknownStream(b'H'))
        );
    }
}
