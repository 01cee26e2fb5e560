//! Answers' bodies: whole, or piece by piece from a channel.

use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body as HyperBody, Frame, SizeHint};
use tokio::sync::mpsc;

/// Pieces that wait for a slow client before its producer waits too.
const PIECES: usize = 16;

/// The body of an answer.
#[derive(Debug)]
pub(crate) enum Body {
    Whole(Option<Bytes>),
    Pieces(mpsc::Receiver<Bytes>),
    /// A file for the client: an error breaks the connection off, so that half of it is not taken
    /// for the whole.
    File(Option<Bytes>, mpsc::Receiver<io::Result<Bytes>>),
}

/// Where a producer puts the pieces; sending fails when the client is gone.
pub(crate) type Sender = mpsc::Sender<Bytes>;

impl Body {
    pub(crate) fn empty() -> Self {
        Self::Whole(None)
    }

    pub(crate) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::Whole(Some(bytes.into()))
    }

    pub(crate) fn channel() -> (Sender, Self) {
        let (sender, receiver) = mpsc::channel(PIECES);
        (sender, Self::Pieces(receiver))
    }
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
            Self::Pieces(receiver) => receiver
                .poll_recv(context)
                .map(|piece| piece.map(|bytes| Ok(Frame::data(bytes)))),
            Self::File(first, rest) => match first.take() {
                Some(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                None => rest
                    .poll_recv(context)
                    .map(|piece| piece.map(|bytes| bytes.map(Frame::data))),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Pieces(_) | Self::File(..) => SizeHint::default(),
        }
    }
}

/// The sync side of a [`Body::File`]: what is written goes to the client.
#[derive(Debug)]
pub(crate) struct FileSender(mpsc::Sender<io::Result<Bytes>>);

impl Write for FileSender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .blocking_send(Ok(Bytes::copy_from_slice(bytes)))
            .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs what writes a file; a failure before the first byte is the answer, a later one breaks the
/// connection off.
pub(crate) async fn file<F, E>(produce: impl FnOnce(FileSender) -> F) -> Result<Body, E>
where
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: std::fmt::Display + Send + 'static,
{
    let (sender, mut receiver) = mpsc::channel(PIECES);
    let (failed, failure) = tokio::sync::oneshot::channel();
    let work = produce(FileSender(sender.clone()));
    tokio::spawn(async move {
        if let Err(error) = work.await {
            tracing::warn!(%error, "writing a file to a client");
            // Both may be gone with the client.
            drop(sender.send(Err(io::Error::other(error.to_string()))).await);
            drop(failed.send(error));
        }
    });
    match receiver.recv().await {
        Some(Ok(first)) => Ok(Body::File(Some(first), receiver)),
        Some(Err(_)) => match failure.await {
            Ok(error) => Err(error),
            Err(_) => Ok(Body::empty()),
        },
        None => Ok(Body::empty()),
    }
}
