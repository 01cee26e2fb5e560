//! Uploads: begun or spared by a mount, sent from any byte on, finished with a digest.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::Method;
use hyper::body::{Body as HyperBody, Frame, SizeHint};
use hyper::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderName, LOCATION, RANGE};
use tokio::sync::mpsc;
use types::Digest;

use super::error::{Error, Result};
use super::repository::{Answer, Ask, Repository, resolve};
use crate::protocol::{path, range};

/// How an upload began.
#[derive(Debug)]
pub enum Begun {
    /// The registry took the blob from another repository.
    Mounted,
    /// It waits for bytes.
    Upload(Upload),
}

/// An upload that waits for bytes.
#[derive(Clone, Debug)]
pub struct Upload {
    repository: Repository,
    url: String,
}

impl Repository {
    /// Begins an upload; `mount`: the blob may be in this other repository of the registry.
    pub async fn begin(&self, mount: Option<(Digest, &str)>) -> Result<Begun> {
        let target = match mount {
            Some((digest, from)) => path::mount(self.name(), digest, from),
            None => path::uploads(self.name()),
        };
        let ask = Ask::new(Method::POST, target).with(CONTENT_LENGTH, "0");
        let answer = self.ask(&ask).await?;
        if answer.status() == hyper::StatusCode::CREATED {
            return Ok(Begun::Mounted);
        }
        let url = location(&answer)?;
        Ok(Begun::Upload(Upload {
            repository: self.clone(),
            url,
        }))
    }
}

impl Upload {
    /// Sends `count` bytes that begin at byte `from`.
    pub async fn send(
        &mut self,
        from: u64,
        count: u64,
        pieces: mpsc::Receiver<io::Result<Bytes>>,
    ) -> Result<()> {
        if count == 0 {
            return Ok(());
        }
        let ask = Ask::new(Method::PATCH, self.url.clone())
            .with(CONTENT_TYPE, "application/octet-stream")
            .with(CONTENT_RANGE, format!("{from}-{}", from + count - 1));
        let body = Pieces {
            pieces,
            left: count,
        };
        let answer = self.repository.upload(&ask, body.boxed_unsync()).await?;
        self.url = location(&answer)?;
        Ok(())
    }

    /// Asks how many bytes have arrived.
    pub async fn received(&mut self) -> Result<u64> {
        let answer = self
            .repository
            .ask(&Ask::new(Method::GET, self.url.clone()))
            .await?;
        let count = answer.header(RANGE.as_str()).and_then(range::received);
        if let Ok(url) = location(&answer) {
            self.url = url;
        }
        Ok(count.unwrap_or(0))
    }

    /// Ends the upload: the bytes have this digest.
    pub async fn finish(self, digest: Digest) -> Result<()> {
        let join = if self.url.contains('?') { '&' } else { '?' };
        let digest = path::escape(&digest.to_string());
        let url = format!("{}{join}digest={digest}", self.url);
        let ask = Ask::new(Method::PUT, url).with(CONTENT_LENGTH, "0");
        self.repository.ask(&ask).await.map(drop)
    }
}

fn location(answer: &Answer) -> Result<String> {
    let header: HeaderName = LOCATION;
    let to = answer
        .header(header.as_str())
        .ok_or_else(|| Error::Protocol {
            url: answer.url.clone(),
            reason: "an upload without a place".to_owned(),
        })?;
    resolve(&answer.url, to)
}

/// A body of known length that somebody else produces.
struct Pieces {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    left: u64,
}

impl HyperBody for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.pieces.poll_recv(context).map(|piece| {
            Some(piece?.map(|bytes| {
                self.left = self.left.saturating_sub(bytes.len() as u64);
                Frame::data(bytes)
            }))
        })
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
