//! Connections to one endpoint, and what Go's client would say when there are none.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::connect::Dial;
use super::endpoint::Endpoint;
use super::error::{Error, Result};
use super::settings::Settings;
use super::tls;

/// The body of a request.
pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;
/// Idle connections that are kept to one host.
const IDLE: usize = 6;
const IDLE_TIME: Duration = Duration::from_secs(20);

/// Connections to an endpoint. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Transport {
    client: legacy::Client<HttpsConnector<Dial>, Body>,
    patience: Duration,
}

impl Transport {
    pub(super) fn new(endpoint: &Endpoint, settings: &Settings) -> Result<Self> {
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls::config(endpoint, settings)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(Dial::new(settings));
        let client = legacy::Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(IDLE)
            .pool_idle_timeout(IDLE_TIME)
            .http1_max_headers(128)
            .build(connector);
        Ok(Self {
            client,
            patience: settings.patience,
        })
    }

    /// Sends a request and waits for the head of its answer. `upload`: as long as the body goes out,
    /// the answer may wait.
    pub(super) async fn send(
        &self,
        request: Request<Body>,
        upload: bool,
    ) -> Result<Response<Incoming>> {
        let method = go_method(request.method().as_str());
        let url = request.uri().to_string();
        let no_answer = |reason: String, refused| Error::NoAnswer {
            method: method.clone(),
            url: url.clone(),
            reason,
            refused,
        };
        let host = authority(request.uri());
        let sent = self.client.request(request);
        let answer = if upload {
            sent.await
        } else {
            // Connecting and being answered each have that long.
            let answer = tokio::time::timeout(self.patience * 2, sent).await;
            answer.map_err(|_| {
                let reason = "context deadline exceeded (Client.Timeout exceeded while awaiting \
                              headers)";
                no_answer(reason.to_owned(), false)
            })?
        };
        answer.map_err(|error| {
            let (reason, refused) = words(&error, &host);
            no_answer(reason, refused)
        })
    }
}

/// No body.
pub(super) fn nothing() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// A body that is at hand.
pub(super) fn whole(bytes: Bytes) -> Body {
    Full::new(bytes)
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// `GET` as Go writes it in errors: `Get`.
pub(super) fn go_method(method: &str) -> String {
    let mut text = method.to_ascii_lowercase();
    if let Some(first) = text.get_mut(0..1) {
        first.make_ascii_uppercase();
    }
    text
}

/// Returns `host:port`.
fn authority(uri: &hyper::Uri) -> String {
    let port = uri.port_u16().unwrap_or_else(|| {
        if uri.scheme_str() == Some("http") {
            80
        } else {
            443
        }
    });
    format!("{}:{port}", uri.host().unwrap_or_default())
}

/// Returns why no answer came, in Go's words, and whether another endpoint may do better at once.
fn words(error: &legacy::Error, host: &str) -> (String, bool) {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = error.source();
    let mut last = error.to_string();
    while let Some(one) = cause {
        if let Some(tls) = one.downcast_ref::<rustls::Error>() {
            return (tls_words(tls), true);
        }
        if let Some(failed) = one.downcast_ref::<io::Error>() {
            if let Some(words) = io_words(failed, host) {
                return (words, error.is_connect());
            }
            // What an I/O error was made of is no source of it.
            if let Some(inner) = failed.get_ref() {
                cause = Some(inner);
                continue;
            }
        }
        last = one.to_string();
        cause = one.source();
    }
    (last, error.is_connect())
}

fn io_words(error: &io::Error, host: &str) -> Option<String> {
    if let Some(number) = error.raw_os_error() {
        let host = host
            .strip_prefix("localhost:")
            .map_or_else(|| host.to_owned(), |port| format!("127.0.0.1:{port}"));
        let text = sys::errno_text(sys::Errno::from_raw_os_error(number));
        return Some(format!("dial tcp {host}: connect: {text}"));
    }
    match error.kind() {
        io::ErrorKind::TimedOut => Some(format!("dial tcp {host}: i/o timeout")),
        io::ErrorKind::NotFound => Some(format!("dial tcp: {error}")),
        io::ErrorKind::UnexpectedEof => Some("EOF".to_owned()),
        _ => None,
    }
}

fn tls_words(error: &rustls::Error) -> String {
    use rustls::CertificateError as Bad;
    let x509 = |text: &str| format!("tls: failed to verify certificate: x509: {text}");
    match error {
        rustls::Error::InvalidMessage(_) => {
            "http: server gave HTTP response to HTTPS client".to_owned()
        }
        rustls::Error::InvalidCertificate(Bad::UnknownIssuer) => {
            x509("certificate signed by unknown authority")
        }
        rustls::Error::InvalidCertificate(Bad::Expired | Bad::ExpiredContext { .. }) => {
            x509("certificate has expired or is not yet valid")
        }
        rustls::Error::InvalidCertificate(other) => x509(&other.to_string()),
        other => format!("tls: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_go() {
        assert_eq!(go_method("GET"), "Get");
        assert_eq!(authority(&"https://a/v2/".parse().unwrap()), "a:443");
        let refused = io::Error::from_raw_os_error(111);
        assert_eq!(
            io_words(&refused, "localhost:1").as_deref(),
            Some("dial tcp 127.0.0.1:1: connect: connection refused")
        );
    }
}
