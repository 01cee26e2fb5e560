//! From options to a served address: connections, requests, and a clean end.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::header::HeaderName;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;

use super::answer::{self, Answer, Ask, Caller, names, put};
use super::body::Body;
use super::door::Door;
use super::fault::{Code, Fault};
use super::mirror::Mirror;
use super::options::{Options, People};
use super::patience::Patient;
use super::query::{Query, decode};
use super::rights::{Identity, Right};
use super::route::{self, Route};
use super::secret::Secrets;
use super::state::Registry;
use super::store::{self, Bucket, Directory, Key, Store};
use super::uploads::Uploads;
use super::{blobs, collect, lists, manifests, people, tls};

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
    #[error("{0}")]
    Tls(#[from] tls::Error),
    #[error("cannot count what is used: {0:?}")]
    Count(Fault),
}

/// What every connection shares.
#[derive(Clone)]
struct Serving {
    registry: Arc<Registry>,
    tls: Option<TlsAcceptor>,
    /// Closed when the end was asked for.
    stopping: watch::Receiver<()>,
}

/// Serves until SIGTERM or SIGINT; `ready` is called with the address once it is listened on.
pub(crate) async fn run(options: Options, ready: impl FnOnce(&str)) -> Result<(), Error> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Signals)?;
    let directory = Directory::open_root(&options.root)?;
    let directory = Arc::new(directory);
    let store = match &options.bucket {
        // The root's lock is held all the same: uploads are there.
        Some(place) => Store::Bucket(Arc::new(Bucket::open(place)?)),
        None => Store::Directory(Arc::clone(&directory)),
    };
    let uploads = Uploads::new(&options.root);
    let tls = options.tls.as_ref();
    let tls = tls
        .map(|(cert, key)| tls::acceptor(cert, key))
        .transpose()?;
    let People {
        htpasswd,
        accounts,
        rules,
        challenge,
        url,
    } = options.people;
    let mirror = options.upstream.map(Mirror::new);
    let secrets = Secrets::open(&options.root, htpasswd, accounts)?;
    let door = Door::new(secrets, (rules, challenge), (url, tls.is_some()));
    let registry = Registry::new(store, uploads, options.settings, door, mirror);
    registry
        .quotas
        .recount(&registry)
        .await
        .map_err(Error::Count)?;
    let listening = |source| Error::Listen {
        addr: options.addr,
        source,
    };
    let listener = TcpListener::bind(options.addr).await.map_err(listening)?;
    let addr = listener.local_addr().map_err(listening)?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    ready(&format!("{scheme}://{addr}"));
    tokio::spawn(sweep(Arc::clone(&registry)));
    tokio::spawn(collect::run(Arc::clone(&registry)));
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let (stop, stopping) = watch::channel(());
    let serving = Serving {
        registry,
        tls,
        stopping,
    };
    tokio::select! {
        () = accept(&listener, &serving, &places) => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    drop(listener);
    drop(stop);
    // Whoever is being answered is answered; what is cut off resumes.
    let all = u32::try_from(CONNECTIONS).unwrap_or(u32::MAX);
    drop(tokio::time::timeout(LAST_WORDS, places.acquire_many(all)).await);
    drop(directory);
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
async fn accept(listener: &TcpListener, serving: &Serving, places: &Arc<Semaphore>) {
    loop {
        let place = Arc::clone(places).acquire_owned().await;
        let place = place.expect("invariant: the semaphore is never closed");
        match listener.accept().await {
            Ok((stream, peer)) => {
                let serving = serving.clone();
                tokio::spawn(async move {
                    greet(stream, peer.ip(), serving).await;
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

async fn greet(stream: TcpStream, peer: IpAddr, serving: Serving) {
    // Small answers go out at once; that it cannot be switched changes only their time.
    drop(stream.set_nodelay(true));
    let Some(tls) = serving.tls.clone() else {
        return connection(stream, peer, serving).await;
    };
    // Who does not finish the greeting in time is nobody.
    if let Ok(Ok(stream)) = tokio::time::timeout(HEAD_TIME, tls.accept(stream)).await {
        connection(stream, peer, serving).await;
    }
}

async fn connection<T>(stream: T, peer: IpAddr, serving: Serving)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Serving {
        registry,
        mut stopping,
        ..
    } = serving;
    let service = service_fn(move |request| {
        let registry = Arc::clone(&registry);
        async move { Ok::<_, Infallible>(respond(registry, request, peer).await) }
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
    let served = builder.serve_connection(io, service);
    let mut served = std::pin::pin!(served);
    // A client that went away in the middle is its own business.
    tokio::select! {
        ended = served.as_mut() => return drop(ended),
        _ = stopping.changed() => {}
    }
    served.as_mut().graceful_shutdown();
    drop(served.await);
}

async fn respond(
    registry: Arc<Registry>,
    request: Request<Incoming>,
    peer: IpAddr,
) -> Response<Body> {
    let begin = Instant::now();
    registry.metrics.begin();
    let (head, body) = request.into_parts();
    let path = decode(head.uri.path(), false);
    let host = head.headers.get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok()).map(str::to_owned);
    let host = host.or_else(|| head.uri.authority().map(ToString::to_string));
    let mut ask = Ask {
        method: head.method,
        headers: head.headers,
        query: Query::parse(head.uri.query().unwrap_or_default()),
        body,
        caller: Caller {
            peer,
            host: host.filter(|host| is_host(host)),
        },
        who: Identity::Anonymous,
    };
    let method = ask.method.clone();
    let said = ask.header(&header::AUTHORIZATION).map(str::to_owned);
    let who = registry.door.identify(&ask.caller, said.as_deref()).await;
    let answered = match who {
        Err(fault) => Err(fault),
        Ok(who) => {
            ask.who = who;
            answer_it(&registry, ask, path).await
        }
    };
    let mut response = answered.unwrap_or_else(|fault| answer::refused(&fault));
    if method == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    put(&mut response, names::VERSION, "registry/2.0");
    put(&mut response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    let took = begin.elapsed();
    registry.metrics.end(&method, response.status(), took);
    response
}

async fn answer_it(registry: &Arc<Registry>, ask: Ask, path: String) -> Answer {
    if matches!(ask.method, Method::GET | Method::HEAD) {
        return dispatch(registry, ask, &path).await;
    }
    // What changes something goes on to its end even when the client is gone.
    let registry = Arc::clone(registry);
    let task = tokio::spawn(async move { dispatch(&registry, ask, &path).await });
    match task.await {
        Ok(answer) => answer,
        Err(_panic) => Err(Fault::new(Code::Unknown, "the registry failed")),
    }
}

/// Tells whether a client's word for us may stand in an address that we give back.
fn is_host(host: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    !host.is_empty() && host.len() <= 261 && host.bytes().all(fits)
}

async fn dispatch(registry: &Registry, ask: Ask, path: &str) -> Answer {
    // To read what cannot be there is not to find it; to write it is to be told why.
    let reads = matches!(ask.method, Method::GET | Method::HEAD);
    let route = route::parse(path).map_err(|fault| match fault.code {
        Code::NameInvalid if reads => fault.with_status(StatusCode::NOT_FOUND),
        _ => fault,
    })?;
    admit(registry, &ask, &route)?;
    match route {
        Route::Base => {
            lists::only_get(&ask)?;
            Ok(answer::json(&serde_json::json!({})))
        }
        Route::Catalog => lists::catalog(registry, &ask).await,
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
        Route::Token => registry.door.token(ask).await,
        Route::Search => lists::search(registry, &ask).await,
        Route::Ping => {
            let mut response = answer::json(&true);
            let standalone = HeaderName::from_static("x-docker-registry-standalone");
            put(&mut response, standalone, "true");
            Ok(response)
        }
        Route::Health => {
            registry.store.names(Key::repositories()).await?;
            Ok(answer::json(&serde_json::json!({"status": "ok"})))
        }
        Route::Metrics => {
            let kind = "text/plain; version=0.0.4; charset=utf-8";
            let page = registry.metrics.page();
            Ok(answer::whole(StatusCode::OK, kind, page))
        }
        Route::Front => people::front(registry, &ask).await,
        Route::Page(repository) => people::repository(registry, &ask, &repository).await,
    }
}

/// Refuses what the asker may not do: every route has its line here.
fn admit(registry: &Registry, ask: &Ask, route: &Route) -> Result<(), Fault> {
    let door = &registry.door;
    let right = match ask.method {
        Method::GET | Method::HEAD => Right::Pull,
        Method::DELETE => Right::Delete,
        _ => Right::Push,
    };
    match route {
        // What there is to see is cut down to what the asker may see.
        Route::Token | Route::Ping | Route::Health | Route::Search | Route::Front => Ok(()),
        Route::Base | Route::Catalog | Route::Metrics => door.require_name(ask),
        Route::Page(repository) | Route::Tags(repository) | Route::Referrers(repository, _) => {
            door.require(ask, repository, Right::Pull)
        }
        Route::Manifest(repository, _) | Route::Blob(repository, _) => {
            door.require(ask, repository, right)
        }
        // To look at one's upload, and to give it up, is a part of pushing.
        Route::Uploads(repository) | Route::Upload(repository, _) => {
            door.require(ask, repository, Right::Push)
        }
    }
}
