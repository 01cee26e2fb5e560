//! The body of a request, which is read to its end even when nobody wants it.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Bytes, Frame, Incoming};
use tokio::sync::oneshot;

/// Bytes of an unwanted body that are read before the answer, as many as Go's server reads.
const UNWANTED_MAX: usize = 256 << 10;
/// How long they are waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// A body in a handler's hands. What it leaves goes back to [`Rest`].
#[derive(Debug)]
pub(crate) struct Upload {
    body: Option<Incoming>,
    rest: Option<oneshot::Sender<Incoming>>,
}

/// What a handler left of a body.
#[derive(Debug)]
pub(crate) struct Rest(oneshot::Receiver<Incoming>);

impl Upload {
    pub(crate) fn new(body: Incoming) -> (Self, Rest) {
        let (rest, left) = oneshot::channel();
        let upload = Self {
            body: Some(body),
            rest: Some(rest),
        };
        (upload, Rest(left))
    }

    /// Returns the next piece, `None` at the end.
    pub(crate) async fn frame(&mut self) -> Option<hyper::Result<Frame<Bytes>>> {
        let body = self.body.as_mut()?;
        body.frame().await
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let (Some(body), Some(rest)) = (self.body.take(), self.rest.take()) {
            // The answer may be out already.
            drop(rest.send(body));
        }
    }
}

impl Rest {
    /// Reads what is left: a client that is answered while it still writes sees a broken connection
    /// in place of the answer.
    pub(crate) async fn read(self) {
        let read = async {
            let Ok(mut body) = self.0.await else { return };
            let mut len = 0;
            while len <= UNWANTED_MAX
                && let Some(Ok(frame)) = body.frame().await
            {
                len += frame.data_ref().map_or(0, Bytes::len);
            }
        };
        drop(tokio::time::timeout(PATIENCE, read).await);
    }
}
