//! From options to a served address: connections, requests, and a clean end.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;

use super::answer::{self, Answer, Ask, names, put};
use super::body::Body;
use super::fault::{Code, Fault};
use super::options::Options;
use super::patience::Patient;
use super::query::{Query, decode};
use super::route::{self, Route};
use super::state::Registry;
use super::store::{self, Directory, Store};
use super::uploads::Uploads;
use super::{blobs, lists, manifests};

/// Connections at once; more wait in the kernel.
const CONNECTIONS: usize = 4096;
/// Longest time for the head of a request.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// Longest head, and how much of a body is read ahead.
const HEAD_MAX: usize = 64 << 10;
/// Requests at once on one connection of HTTP/2.
const STREAMS: u32 = 64;
/// How long requests may go on after the end was asked for.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// The registry could not begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot start the async runtime: {0}")]
    Runtime(#[source] std::io::Error),
    #[error("cannot watch signals: {0}")]
    Signals(#[source] std::io::Error),
    #[error("cannot listen on {addr}: {source}")]
    Listen {
        addr: std::net::SocketAddr,
        source: std::io::Error,
    },
    #[error("{0}")]
    Store(#[from] store::Error),
}

/// Serves until SIGTERM or SIGINT; `ready` is called with the address once it is listened on.
pub(crate) async fn run(options: Options, ready: impl FnOnce(&str)) -> Result<(), Error> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Signals)?;
    let directory = Directory::open_root(&options.root)?;
    let store = Store::Directory(Arc::new(directory));
    let uploads = Uploads::new(&options.root);
    let registry = Registry::new(store, uploads, options.settings);
    let listening = |source| Error::Listen {
        addr: options.addr,
        source,
    };
    let listener = TcpListener::bind(options.addr).await.map_err(listening)?;
    let addr = listener.local_addr().map_err(listening)?;
    ready(&format!("http://{addr}"));
    tokio::spawn(sweep(Arc::clone(&registry)));
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    tokio::select! {
        () = accept(&listener, &registry, &places) => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    drop(listener);
    // Whoever is being answered is answered; what is cut off resumes.
    let all = u32::try_from(CONNECTIONS).unwrap_or(u32::MAX);
    drop(tokio::time::timeout(LAST_WORDS, places.acquire_many(all)).await);
    Ok(())
}

#[expect(
    clippy::infinite_loop,
    reason = "ends with the runtime that it is a task of"
)]
async fn sweep(registry: Arc<Registry>) {
    loop {
        let age = registry.settings.upload_age;
        match registry.uploads.sweep(age).await {
            Ok(0) => {}
            Ok(gone) => tracing::info!(gone, "uploads that nobody went on with"),
            Err(error) => tracing::warn!(error = %error, "sweeping uploads"),
        }
        tokio::time::sleep(Duration::from_mins(10).min(age)).await;
    }
}

#[expect(
    clippy::infinite_loop,
    reason = "ends where the caller stops to wait for it"
)]
async fn accept(listener: &TcpListener, registry: &Arc<Registry>, places: &Arc<Semaphore>) {
    loop {
        let place = Arc::clone(places).acquire_owned().await;
        let place = place.expect("invariant: the semaphore is never closed");
        match listener.accept().await {
            Ok((stream, _)) => {
                let registry = Arc::clone(registry);
                tokio::spawn(async move {
                    connection(stream, registry).await;
                    drop(place);
                });
            }
            Err(error) => {
                // Out of descriptors, say: others may end meanwhile.
                tracing::warn!(error = %error, "accepting a client");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, registry: Arc<Registry>) {
    // Small answers go out at once; that it cannot be switched changes only their time.
    drop(stream.set_nodelay(true));
    let service = service_fn(move |request| {
        let registry = Arc::clone(&registry);
        async move { Ok::<_, Infallible>(respond(registry, request).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .keep_alive_interval(Duration::from_mins(1));
    let io = TokioIo::new(Patient::new(stream));
    // A client that went away in the middle is its own business.
    drop(builder.serve_connection(io, service).await);
}

async fn respond(registry: Arc<Registry>, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let path = decode(head.uri.path(), false);
    let ask = Ask {
        method: head.method,
        headers: head.headers,
        query: Query::parse(head.uri.query().unwrap_or_default()),
        body,
    };
    let is_head = ask.method == Method::HEAD;
    let answered = if matches!(ask.method, Method::GET | Method::HEAD) {
        dispatch(&registry, ask, &path).await
    } else {
        // What changes something goes on to its end even when the client is gone.
        match tokio::spawn(async move { dispatch(&registry, ask, &path).await }).await {
            Ok(answer) => answer,
            Err(_panic) => Err(Fault::new(Code::Unknown, "the registry failed")),
        }
    };
    let mut response = answered.unwrap_or_else(|fault| answer::refused(&fault));
    if is_head {
        *response.body_mut() = Body::empty();
    }
    put(&mut response, names::VERSION, "registry/2.0");
    put(&mut response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    response
}

async fn dispatch(registry: &Registry, ask: Ask, path: &str) -> Answer {
    // To read what cannot be there is not to find it; to write it is to be told why.
    let reads = matches!(ask.method, Method::GET | Method::HEAD);
    let route = route::parse(path).map_err(|fault| match fault.code {
        Code::NameInvalid if reads => fault.with_status(StatusCode::NOT_FOUND),
        _ => fault,
    })?;
    match route {
        Route::Base => {
            lists::only_get(&ask)?;
            Ok(answer::json(&serde_json::json!({})))
        }
        Route::Catalog => lists::catalog(registry, &ask, |_| true).await,
        Route::Tags(repository) => lists::tags(registry, &ask, &repository).await,
        Route::Referrers(repository, subject) => {
            lists::referrers(registry, &ask, &repository, subject).await
        }
        Route::Manifest(repository, target) => {
            manifests::manifest(registry, ask, &repository, target).await
        }
        Route::Blob(repository, digest) => blobs::blob(registry, &ask, &repository, digest).await,
        Route::Uploads(repository) => blobs::begin(registry, ask, &repository).await,
        Route::Upload(repository, id) => blobs::upload(registry, ask, &repository, id).await,
    }
}
