//! How a connection is made: names are looked up without the C library, proxies are obeyed.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use hickory_resolver::TokioResolver;
use hyper::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use super::settings::Settings;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Boxed<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

/// Looks names up: a static program has no `getaddrinfo`.
#[derive(Clone, Debug)]
pub(crate) struct Names;

impl Service<Name> for Names {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Boxed<Self::Response, io::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(async move { look_up(name.as_str()).await.map(Vec::into_iter) })
    }
}

async fn look_up(name: &str) -> io::Result<Vec<SocketAddr>> {
    if name == "localhost" {
        return Ok(vec![
            (Ipv4Addr::LOCALHOST, 0).into(),
            (Ipv6Addr::LOCALHOST, 0).into(),
        ]);
    }
    let unknown = |server: &str, error: String| {
        tracing::debug!(name, error, "looking a name up");
        let text = format!("lookup {name}{server}: no such host");
        io::Error::new(io::ErrorKind::NotFound, text)
    };
    // Read each time: the machine may have moved to another network.
    let resolver = TokioResolver::builder_tokio()
        .map_err(|error| unknown("", error.to_string()))?
        .build();
    let servers = resolver.config().name_servers();
    let server = servers
        .first()
        .map(|first| format!(" on {}", first.socket_addr));
    let found = resolver.lookup_ip(name).await;
    let found =
        found.map_err(|error| unknown(server.as_deref().unwrap_or_default(), error.to_string()))?;
    Ok(found.iter().map(|address| (address, 0).into()).collect())
}

/// Connects to a host, or to the proxy in front of it.
#[derive(Clone, Debug)]
pub(super) struct Dial {
    http: HttpConnector<Names>,
    proxies: Option<std::sync::Arc<Matcher>>,
}

impl Dial {
    pub(super) fn new(settings: &Settings) -> Self {
        let mut http = HttpConnector::new_with_resolver(Names);
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(settings.patience));
        let any = !settings.http_proxy.is_empty() || !settings.https_proxy.is_empty();
        let proxies = any.then(|| {
            let matcher = Matcher::builder()
                .http(settings.http_proxy.clone())
                .https(settings.https_proxy.clone())
                .no(settings.no_proxy.clone())
                .build();
            std::sync::Arc::new(matcher)
        });
        Self { http, proxies }
    }
}

impl Service<Uri> for Dial {
    type Response = Stream;
    type Error = BoxError;
    type Future = Boxed<Stream, BoxError>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.http.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let mut http = self.http.clone();
        let proxy = self.proxies.as_ref().and_then(|known| known.intercept(&to));
        Box::pin(async move {
            let Some(proxy) = proxy else {
                return Ok(Stream {
                    inner: http.call(to).await?,
                    proxied: false,
                });
            };
            if to.scheme_str() != Some("https") {
                return Ok(Stream {
                    inner: http.call(proxy.uri().clone()).await?,
                    proxied: true,
                });
            }
            let mut tunnel = Tunnel::new(proxy.uri().clone(), http);
            if let Some(auth) = proxy.basic_auth() {
                tunnel = tunnel.with_auth(auth.clone());
            }
            Ok(Stream {
                inner: tunnel.call(to).await?,
                proxied: false,
            })
        })
    }
}

/// A connection that knows whether a proxy reads its requests.
#[derive(Debug)]
pub(super) struct Stream {
    inner: TokioIo<TcpStream>,
    proxied: bool,
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        self.inner.connected().proxy(self.proxied)
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
