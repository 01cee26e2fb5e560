//! One decoded request, and the ways to answer it.

use std::future::Future;
use std::os::fd::OwnedFd;
use std::pin::Pin;

use api::ApiVersion;
use bytes::Bytes;
use engine::Engine;
use hyper::{HeaderMap, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::body::{Body, Sender};
use crate::error::Failure;
use crate::query::Query;
use crate::upload::Upload;

/// Longest body of a document (archives are streams and have no such bound).
const DOCUMENT_MAX: usize = 4 << 20;

/// What a handler gets.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) engine: Engine,
    pub(crate) version: ApiVersion,
    /// What stood for `{id}` or `{name}` in the path.
    pub(crate) name: String,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Upload,
}

/// A future that a table can hold.
pub(crate) type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;
/// What is done with a connection that left HTTP: the descriptor, and what the client sent already.
pub(crate) type Takeover = Box<dyn FnOnce(OwnedFd, Vec<u8>) -> Boxed<()> + Send>;

/// What a handler gives.
pub(crate) enum Answer {
    /// Nothing but a status.
    Empty(StatusCode),
    /// As that, without the headers of every answer.
    Bare,
    /// A document.
    Json(StatusCode, Vec<u8>),
    /// A text.
    Text(&'static str),
    /// A stream; headers go out at once.
    Stream(&'static str, Body),
    /// Files of a container, and what is known of them, for a header.
    Archive(String, Body),
    /// The connection leaves HTTP.
    Takeover(Takeover),
}

pub(crate) type Result<T = Answer> = std::result::Result<T, Failure>;

impl Answer {
    pub(crate) fn json<T: Serialize>(status: StatusCode, document: &T) -> Self {
        let mut bytes = serde_json::to_vec(document)
            .expect("API documents have string keys and no failing serializer");
        bytes.push(b'\n');
        Self::Json(status, bytes)
    }

    pub(crate) fn ok<T: Serialize>(document: &T) -> Self {
        Self::json(StatusCode::OK, document)
    }

    pub(crate) const fn no_content() -> Self {
        Self::Empty(StatusCode::NO_CONTENT)
    }

    /// Answers with a stream that `produce` fills in a task of its own.
    pub(crate) fn stream<F>(content_type: &'static str, produce: impl FnOnce(Sender) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (sender, body) = Body::channel();
        tokio::spawn(produce(sender));
        Self::Stream(content_type, body)
    }
}

/// Turns a document into one piece of a stream.
pub(crate) fn line<T: Serialize>(document: &T, end: &str) -> Bytes {
    let mut bytes = serde_json::to_vec(document)
        .expect("API documents have string keys and no failing serializer");
    bytes.extend_from_slice(end.as_bytes());
    bytes.into()
}

impl Request {
    /// Reads a document that must be there (API reference §2, "Bodies").
    pub(crate) async fn document<T: DeserializeOwned>(self) -> Result<(T, Self)> {
        let (bytes, request) = self.small_body().await?;
        request.check_content_type(bytes.is_empty())?;
        if bytes.is_empty() {
            return Err(Failure::bad_request(
                "invalid JSON: got EOF while reading request body",
            ));
        }
        let mut reader = serde_json::Deserializer::from_slice(&bytes);
        let document = T::deserialize(&mut reader).map_err(|e| {
            let why = if e.is_eof() {
                "unexpected EOF".to_owned()
            } else {
                e.to_string()
            };
            Failure::bad_request(format!("invalid JSON: {why}"))
        })?;
        if reader.end().is_err() {
            return Err(Failure::bad_request("unexpected content after JSON"));
        }
        Ok((document, request))
    }

    fn check_content_type(&self, empty: bool) -> Result<()> {
        let given = self
            .headers
            .get("content-type")
            .and_then(|value| value.to_str().ok());
        match given {
            Some(text) if text.split(';').next().map(str::trim) == Some("application/json") => {
                Ok(())
            }
            None | Some("") if empty => Ok(()),
            None | Some("") => Err(Failure::bad_request(
                "malformed Content-Type header (): mime: no media type",
            )),
            Some(text) => Err(Failure::bad_request(format!(
                "unsupported Content-Type header ({text}): must be 'application/json'"
            ))),
        }
    }

    /// Reads a body that is expected to be small.
    pub(crate) async fn small_body(mut self) -> Result<(Vec<u8>, Self)> {
        let mut bytes = Vec::new();
        while let Some(frame) = self.body.frame().await {
            let frame = frame
                .map_err(|e| Failure::bad_request(format!("reading the request body: {e}")))?;
            if let Ok(data) = frame.into_data() {
                if bytes.len() + data.len() > DOCUMENT_MAX {
                    let sentence = format!("request body is longer than {DOCUMENT_MAX} bytes");
                    return Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, sentence));
                }
                bytes.extend_from_slice(&data);
            }
        }
        Ok((bytes, self))
    }

    /// Tells whether the client asks to leave HTTP with `Upgrade: tcp`.
    pub(crate) fn upgrades(&self) -> bool {
        self.headers.contains_key("upgrade")
    }
}
