//! A request taken apart, and answers put together.

use std::net::IpAddr;

use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Response, StatusCode};
use serde::Serialize;
use types::digest::Digest;

use super::body::Body;
use super::fault::Fault;
use super::query::Query;
use super::rights::Identity;

/// An answer; what is refused becomes one too, at one place.
pub(crate) type Answer = Result<Response<Body>, Fault>;

/// A request without its address.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) query: Query,
    pub(crate) body: Incoming,
    pub(crate) caller: Caller,
    pub(crate) who: Identity,
}

/// Where a request comes from, and what it calls us.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) peer: IpAddr,
    /// The host and port that the client used, if they can stand in an address.
    pub(crate) host: Option<String>,
}

impl Ask {
    /// Returns a header that is text.
    pub(crate) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Tells whether the client has this content already.
    pub(crate) fn has(&self, digest: Digest) -> bool {
        let tag = etag(digest);
        self.header(&header::IF_NONE_MATCH)
            .is_some_and(|have| have.split(',').any(|one| one.trim() == tag))
    }
}

/// Returns the entity tag of content.
pub(crate) fn etag(digest: Digest) -> String {
    format!("\"{digest}\"")
}

/// Makes an answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// Makes an answer with a whole body.
pub(crate) fn whole(
    status: StatusCode,
    content_type: &str,
    bytes: impl Into<bytes::Bytes>,
) -> Response<Body> {
    let bytes = bytes.into();
    let len = bytes.len();
    let mut response = Response::new(Body::whole(bytes));
    *response.status_mut() = status;
    put(&mut response, header::CONTENT_TYPE, content_type);
    put(&mut response, header::CONTENT_LENGTH, &len.to_string());
    response
}

/// Makes an answer of a document.
pub(crate) fn json(value: &impl Serialize) -> Response<Body> {
    let bytes = serde_json::to_vec(value).expect("invariant: our documents have string keys");
    whole(StatusCode::OK, "application/json", bytes)
}

/// Makes the answer that says what was wrong.
pub(crate) fn refused(fault: &Fault) -> Response<Body> {
    let mut response = whole(fault.status, "application/json", fault.document());
    for (name, value) in &fault.headers {
        response.headers_mut().insert(name.clone(), value.clone());
    }
    response
}

/// Sets a header; a value that cannot be one is left out.
pub(crate) fn put(response: &mut Response<Body>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// Names of headers that HTTP does not have.
pub(crate) mod names {
    use hyper::header::HeaderName;

    pub(crate) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
    pub(crate) const UPLOAD: HeaderName = HeaderName::from_static("docker-upload-uuid");
    pub(crate) const VERSION: HeaderName =
        HeaderName::from_static("docker-distribution-api-version");
    pub(crate) const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
    pub(crate) const FILTERS: HeaderName = HeaderName::from_static("oci-filters-applied");
}
