//! From settings to a served socket, and to a clean end.

use std::convert::Infallible;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use api::ApiVersion;
use engine::Engine;
use hyper::body::Incoming;
use hyper::header::{HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use tokio::signal::unix::{SignalKind, signal};

use crate::activity::Activity;
use crate::body::Body;
use crate::config::{Config, Environment};
use crate::error::Failure;
use crate::listener::{Listener, Stream};
use crate::request::{Answer, Takeover};
use crate::{router, version};

/// What stands in the `Server` header.
pub(crate) const SERVER: &str = concat!("Wharf/", env!("CARGO_PKG_VERSION"), " (linux)");
/// Longest head of a request: some clients repeat the body of create in the query.
const HEAD_MAX: usize = 2 << 20;

/// The daemon could not begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot start the async runtime: {0}")]
    Runtime(#[source] std::io::Error),
    #[error("{0}")]
    Engine(#[from] engine::Error),
    #[error("cannot listen on {host}: {}", words(source))]
    Listen {
        host: String,
        source: std::io::Error,
    },
    #[error("cannot write the pid file {}: {source}", path.display())]
    Pidfile { path: PathBuf, source: sys::Error },
    #[error("cannot watch signals: {0}")]
    Signals(#[source] std::io::Error),
    #[error("the daemon needs root: it makes namespaces, mounts and cgroups (try sudo)")]
    NotRoot,
}

/// The kernel's words, or ours where the error is of our own making.
fn words(error: &std::io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => sys::errno_text(sys::Errno::from_raw_os_error(number)),
        None => error.to_string(),
    }
}

/// Serves until SIGTERM or SIGINT.
pub(crate) async fn run(config: Config, environment: &Environment) -> Result<(), Error> {
    if !sys::credentials::is_root() {
        return Err(Error::NotRoot);
    }
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Signals)?;
    // One that is not watched ends the process.
    let mut hangup = signal(SignalKind::hangup()).map_err(Error::Signals)?;
    for sentence in &config.ignored {
        tracing::warn!("{sentence}");
    }
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Signals)?;
    let engine = Engine::open(engine_config(&config), shim_environment(environment)).await?;
    let listeners = listen(&config, environment).await?;
    if let Some(path) = &config.pidfile {
        let text = format!("{}\n", std::process::id());
        sys::durable::replace_volatile(path, text.as_bytes(), 0o644).map_err(|source| {
            Error::Pidfile {
                path: path.clone(),
                source,
            }
        })?;
    }
    if let Some(address) = config.metrics {
        let failed = |source| Error::Listen {
            host: format!("tcp://{address}"),
            source,
        };
        let listener = tokio::net::TcpListener::bind(address)
            .await
            .map_err(failed)?;
        tokio::spawn(crate::metrics::serve(listener, engine.clone()));
    }
    let activity = Arc::<Activity>::default();
    for listener in listeners {
        tokio::spawn(accept(listener, engine.clone(), Arc::clone(&activity)));
    }
    tracing::info!(
        engine = engine.id(),
        on_demand = config.on_demand,
        "API is served"
    );
    crate::notify::tell(environment, "READY=1");
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            tracing::warn!("SIGHUP: the configuration is read at the start only");
        }
    });
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = activity.idle(&engine), if config.on_demand => {}
        () = activity.rest() => {}
    }
    tracing::info!("stopping; containers go on");
    crate::notify::tell(environment, "STOPPING=1");
    engine.close().await;
    for host in &config.hosts {
        if let crate::config::Host::Unix(path) = host {
            // A socket that is gone already is as good.
            drop(std::fs::remove_file(path));
        }
    }
    if let Some(path) = &config.pidfile {
        drop(std::fs::remove_file(path));
    }
    Ok(())
}

/// What a shim finds in its environment.
fn shim_environment(environment: &Environment) -> Vec<OsString> {
    let mut env = vec![OsString::from(
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    )];
    if let Some(order) = &environment.failpoints {
        let mut entry = OsString::from("WHARF_FAILPOINTS=");
        entry.push(order);
        env.push(entry);
    }
    env
}

/// Opens every place where clients come.
async fn listen(config: &Config, environment: &Environment) -> Result<Vec<Listener>, Error> {
    let mut listeners = Vec::new();
    for host in &config.hosts {
        let failed = |source| Error::Listen {
            host: host.to_string(),
            source,
        };
        let bound = Listener::bind(host, environment.listen_fds).await;
        listeners.extend(bound.map_err(failed)?);
    }
    Ok(listeners)
}

fn engine_config(config: &Config) -> engine::Config {
    engine::Config {
        data_root: config.data_root.clone(),
        exec_root: config.exec_root.clone(),
        bridge: config.bridge.clone(),
        firewall: config.firewall,
        debug: config.debug,
        registries: config.registries.clone(),
        downloads: config.downloads,
        uploads: config.uploads,
        labels: config.labels.clone(),
    }
}

#[expect(
    clippy::infinite_loop,
    reason = "ends with the runtime that it is a task of"
)]
async fn accept(listener: Listener, engine: Engine, activity: Arc<Activity>) {
    loop {
        let taken = Arc::new(AtomicBool::new(false));
        match listener.accept(Arc::clone(&taken)).await {
            Ok(stream) => {
                let (engine, activity) = (engine.clone(), Arc::clone(&activity));
                tokio::spawn(async move {
                    activity.begin();
                    connection(stream, taken, engine).await;
                    activity.end();
                });
            }
            Err(error) => {
                // Out of descriptors, say: others may end meanwhile.
                tracing::warn!(%error, "accepting a client");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn connection(stream: Stream, taken: Arc<AtomicBool>, engine: Engine) {
    let takeover = Arc::<Mutex<Option<Takeover>>>::default();
    let slot = Arc::clone(&takeover);
    let service = service_fn(move |request| {
        let (engine, slot, taken) = (engine.clone(), Arc::clone(&slot), Arc::clone(&taken));
        async move { Ok::<_, Infallible>(respond(request, engine, &slot, &taken).await) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .title_case_headers(true)
        .max_buf_size(HEAD_MAX)
        .serve_connection(stream, service)
        .without_shutdown()
        .await;
    // A client that went away in the middle is its own business.
    let Ok(parts) = served else { return };
    let next = takeover
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    if let Some(next) = next
        && let Ok(fd) = parts.io.into_fd()
    {
        next(fd, parts.read_buf.to_vec()).await;
    }
}

async fn respond(
    request: hyper::Request<Incoming>,
    engine: Engine,
    slot: &Mutex<Option<Takeover>>,
    taken: &AtomicBool,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let path = crate::query::decode(head.uri.path(), false);
    let (version, path) = match version::split(&path) {
        Ok(split) => split,
        Err(refused) if refused.plain => {
            let mut response = Response::new(Body::whole(format!("{}\n", refused.message)));
            *response.status_mut() = StatusCode::BAD_REQUEST;
            put(&mut response, "content-type", "text/plain; charset=utf-8");
            put(&mut response, "x-content-type-options", "nosniff");
            return response;
        }
        Err(refused) => return failure(&Failure::bad_request(refused.message)),
    };
    let ping = path == "/_ping" || path == "/_ping/";
    sys::failpoint::reach("request");
    let handled = router::handle(&head, version, path, body, engine).await;
    sys::failpoint::reach("answer");
    let mut response = match handled {
        // As dockerd: the only answer without its headers.
        None => return failure(&Failure::new(StatusCode::NOT_FOUND, "page not found")),
        Some(Err(error)) => failure(&error),
        Some(Ok(Answer::Takeover(next))) => {
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(next);
            taken.store(true, Ordering::Release);
            let mut response = Response::new(Body::empty());
            put(&mut response, "connection", "close");
            return response;
        }
        Some(Ok(Answer::Bare)) => return Response::new(Body::empty()),
        Some(Ok(answer)) => encode(answer),
    };
    let maximum = ApiVersion::MAX.to_string();
    put(&mut response, "api-version", &maximum);
    put(&mut response, "docker-experimental", "false");
    put(&mut response, "ostype", "linux");
    put(&mut response, "server", SERVER);
    if ping {
        put(&mut response, "builder-version", "1");
        put(
            &mut response,
            "cache-control",
            "no-cache, no-store, must-revalidate",
        );
        put(&mut response, "pragma", "no-cache");
        put(&mut response, "swarm", "inactive");
    }
    response
}

fn encode(answer: Answer) -> Response<Body> {
    let with = |status, content_type: Option<&str>, body| {
        let mut response = Response::new(body);
        *response.status_mut() = status;
        if let Some(content_type) = content_type {
            put(&mut response, "content-type", content_type);
        }
        response
    };
    match answer {
        Answer::Empty(status) => with(status, None, Body::empty()),
        Answer::Json(status, bytes) => with(status, Some("application/json"), Body::whole(bytes)),
        Answer::Text(text) => with(
            StatusCode::OK,
            Some("text/plain; charset=utf-8"),
            Body::whole(text),
        ),
        Answer::Stream(content_type, body) => {
            let named = (!content_type.is_empty()).then_some(content_type);
            with(StatusCode::OK, named, body)
        }
        Answer::Archive(stat, body) => {
            let mut response = with(StatusCode::OK, Some("application/x-tar"), body);
            put(&mut response, "x-docker-container-path-stat", &stat);
            response
        }
        Answer::Takeover(_) | Answer::Bare => with(StatusCode::OK, None, Body::empty()),
    }
}

fn failure(error: &Failure) -> Response<Body> {
    if error.status.is_server_error() && error.status != StatusCode::NOT_IMPLEMENTED {
        tracing::warn!(status = error.status.as_u16(), error = %error.message, "request failed");
    }
    let body = if error.status == StatusCode::NOT_MODIFIED {
        Body::empty()
    } else {
        Body::whole(error.body())
    };
    let mut response = Response::new(body);
    *response.status_mut() = error.status;
    if error.status != StatusCode::NOT_MODIFIED {
        put(&mut response, "content-type", "application/json");
    }
    response
}

fn put(response: &mut Response<Body>, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response
            .headers_mut()
            .insert(HeaderName::from_static(name), value);
    }
}
