//! What goes wrong for a client: a status, a code of the specification, and words.

use hyper::StatusCode;
use hyper::header::{HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::store;

/// The code of an error: those of the distribution specification, and of Docker's registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    BlobUnknown,
    BlobUploadInvalid,
    BlobUploadUnknown,
    DigestInvalid,
    ManifestBlobUnknown,
    ManifestInvalid,
    ManifestUnknown,
    NameInvalid,
    NameUnknown,
    SizeInvalid,
    TagInvalid,
    Unauthorized,
    Denied,
    Unsupported,
    TooManyRequests,
    RangeInvalid,
    PageNumberInvalid,
    NotFound,
    Unavailable,
    Unknown,
}

impl Code {
    /// Returns the word that a client sees.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::BlobUnknown => "BLOB_UNKNOWN",
            Self::BlobUploadInvalid => "BLOB_UPLOAD_INVALID",
            Self::BlobUploadUnknown => "BLOB_UPLOAD_UNKNOWN",
            Self::DigestInvalid => "DIGEST_INVALID",
            Self::ManifestBlobUnknown => "MANIFEST_BLOB_UNKNOWN",
            Self::ManifestInvalid => "MANIFEST_INVALID",
            Self::ManifestUnknown => "MANIFEST_UNKNOWN",
            Self::NameInvalid => "NAME_INVALID",
            Self::NameUnknown => "NAME_UNKNOWN",
            Self::SizeInvalid => "SIZE_INVALID",
            Self::TagInvalid => "TAG_INVALID",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::Denied => "DENIED",
            Self::Unsupported => "UNSUPPORTED",
            Self::TooManyRequests => "TOOMANYREQUESTS",
            Self::RangeInvalid => "RANGE_INVALID",
            Self::PageNumberInvalid => "PAGINATION_NUMBER_INVALID",
            Self::NotFound => "NOT_FOUND",
            Self::Unavailable => "UNAVAILABLE",
            Self::Unknown => "UNKNOWN",
        }
    }

    const fn status(self) -> StatusCode {
        match self {
            Self::BlobUnknown
            | Self::BlobUploadUnknown
            | Self::ManifestUnknown
            | Self::NameUnknown
            | Self::NotFound => StatusCode::NOT_FOUND,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Denied => StatusCode::FORBIDDEN,
            Self::Unsupported => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            Self::RangeInvalid => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unknown => StatusCode::INTERNAL_SERVER_ERROR,
            Self::BlobUploadInvalid
            | Self::DigestInvalid
            | Self::ManifestBlobUnknown
            | Self::ManifestInvalid
            | Self::NameInvalid
            | Self::SizeInvalid
            | Self::TagInvalid
            | Self::PageNumberInvalid => StatusCode::BAD_REQUEST,
        }
    }
}

/// A request that is not obeyed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) status: StatusCode,
    pub(crate) code: Code,
    /// What is said, with the detail of each if there are several.
    pub(crate) said: Vec<(String, Value)>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
}

impl Fault {
    /// Makes a fault with its code's own status.
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            status: code.status(),
            code,
            said: vec![(message.into(), Value::Null)],
            headers: Vec::new(),
        }
    }

    /// Gives it another status than its code's.
    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Tells more of it than words.
    pub(crate) fn with_detail(mut self, detail: Value) -> Self {
        if let Some((_, place)) = self.said.last_mut() {
            *place = detail;
        }
        self
    }

    /// Adds a header; a value that cannot be one is left out.
    pub(crate) fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    /// Returns the document of the specification.
    pub(crate) fn document(&self) -> Vec<u8> {
        let errors: Vec<Value> = self
            .said
            .iter()
            .map(|(message, detail)| {
                json!({"code": self.code.word(), "message": message, "detail": detail})
            })
            .collect();
        json!({"errors": errors}).to_string().into_bytes()
    }
}

impl From<store::Error> for Fault {
    fn from(error: store::Error) -> Self {
        tracing::error!(error = %error, "storage");
        let full = error.is_full();
        let fault = Self::new(
            Code::Unknown,
            if full {
                "the registry has no space left"
            } else {
                "the registry cannot reach its storage"
            },
        );
        if full {
            fault.with_status(StatusCode::INSUFFICIENT_STORAGE)
        } else {
            fault
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_the_specifications_document() {
        let fault = Fault::new(Code::BlobUnknown, "no blob").with_detail(json!({"digest": "x"}));
        assert_eq!(fault.status, 404);
        let document: Value = serde_json::from_slice(&fault.document()).unwrap();
        assert_eq!(
            document,
            json!({"errors": [{"code": "BLOB_UNKNOWN", "message": "no blob", "detail": {"digest": "x"}}]})
        );
    }
}
