//! Bodies of answers: whole, or read from a file piece by piece as the client takes them.

use std::fs::File;
use std::future::Future as _;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use hyper::body::{Body as HyperBody, Frame, SizeHint};
use tokio::task::JoinHandle;

/// What is read at once: enough to hide the way to a thread, little enough for hundreds of clients.
const PIECE: usize = 64 << 10;

/// The body of an answer.
#[derive(Debug)]
pub(crate) enum Body {
    Whole(Option<Bytes>),
    File(Reader),
    Stream(Stream),
}

/// Bytes that come from elsewhere, and how many are still to come.
pub(crate) struct Stream {
    pieces: BoxStream<'static, io::Result<Bytes>>,
    left: u64,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Stream({} bytes)", self.left)
    }
}

/// A part of a file on its way.
#[derive(Debug)]
pub(crate) struct Reader {
    file: Arc<File>,
    at: u64,
    left: u64,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl Body {
    pub(crate) fn empty() -> Self {
        Self::Whole(None)
    }

    pub(crate) fn whole(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self::Whole((!bytes.is_empty()).then_some(bytes))
    }

    /// Makes a body of `left` bytes that come from elsewhere.
    pub(crate) fn stream(pieces: BoxStream<'static, io::Result<Bytes>>, left: u64) -> Self {
        Self::Stream(Stream { pieces, left })
    }

    /// Makes a body of `left` bytes of a file from the position `at`.
    pub(crate) fn file(file: Arc<File>, at: u64, left: u64) -> Self {
        Self::File(Reader {
            file,
            at,
            left,
            reading: None,
        })
    }
}

impl Stream {
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let piece = ready!(self.pieces.poll_next_unpin(context));
        Poll::Ready(match piece {
            Some(Ok(bytes)) => {
                self.left = self.left.saturating_sub(bytes.len() as u64);
                Some(Ok(bytes))
            }
            // The connection breaks off rather than end early.
            None if self.left > 0 => Some(Err(io::ErrorKind::UnexpectedEof.into())),
            other => other,
        })
    }
}

impl Reader {
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let (file, at) = (Arc::clone(&self.file), self.at);
        let want = usize::try_from(self.left).unwrap_or(PIECE).min(PIECE);
        let reading = self.reading.get_or_insert_with(|| {
            #[expect(
                clippy::disallowed_methods,
                reason = "a poll function cannot await blocking::run"
            )]
            tokio::task::spawn_blocking(move || read(&file, at, want))
        });
        let done = ready!(Pin::new(reading).poll(context));
        self.reading = None;
        let piece = done.map_err(io::Error::other).flatten();
        if let Ok(bytes) = &piece {
            self.at += bytes.len() as u64;
            self.left -= bytes.len() as u64;
        }
        Poll::Ready(Some(piece))
    }
}

fn read(file: &File, at: u64, want: usize) -> io::Result<Bytes> {
    let mut bytes = vec![0; want];
    let got = file.read_at(&mut bytes, at)?;
    if got == 0 {
        // Shorter than it was: the connection breaks off rather than end early.
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    bytes.truncate(got);
    Ok(bytes.into())
}

impl HyperBody for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::File(reader) => reader
                .poll_piece(context)
                .map(|piece| piece.map(|bytes| bytes.map(Frame::data))),
            Self::Stream(stream) => stream
                .poll_piece(context)
                .map(|piece| piece.map(|bytes| bytes.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::File(reader) => reader.left == 0,
            Self::Stream(stream) => stream.left == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::File(reader) => SizeHint::with_exact(reader.left),
            Self::Stream(stream) => SizeHint::with_exact(stream.left),
        }
    }
}
