//! The table: method, path, handler. `crates/daemon/operations.tsv` lists the same operations with
//! their state; `cargo xtask tidy` compares the two.

use api::ApiVersion;
use engine::Engine;
use hyper::Method;
use hyper::body::Incoming;
use hyper::http::request::Parts;

use crate::query::Query;
use crate::request::{Answer, Boxed, Request, Result};
use crate::routes::{
    absent, archive, attach, build, container, container_create, container_list, event, exec,
    files, image, logs, network, not_yet, prune, registry, stats, swarm, system, trace, update,
    volume,
};
use crate::upload::Upload;

type Handler = fn(Request) -> Boxed<Result>;

struct Route {
    method: Method,
    path: &'static str,
    handler: Handler,
}

macro_rules! route {
    ($method:ident, $path:literal, $handler:path) => {
        Route {
            method: Method::$method,
            path: $path,
            handler: |request| Box::pin($handler(request)),
        }
    };
}

static ROUTES: &[Route] = &[
    route!(GET, "/containers/json", container_list::list),
    route!(POST, "/containers/create", container_create::create),
    route!(POST, "/containers/prune", prune::containers),
    route!(DELETE, "/containers/{id}", container::remove),
    route!(GET, "/containers/{id}/json", container_list::inspect),
    route!(GET, "/containers/{id}/top", container::top),
    route!(GET, "/containers/{id}/logs", logs::logs),
    route!(GET, "/containers/{id}/changes", files::changes),
    route!(GET, "/containers/{id}/export", files::export),
    route!(GET, "/containers/{id}/stats", stats::stats),
    route!(POST, "/containers/{id}/resize", container::resize),
    route!(POST, "/containers/{id}/start", container::start),
    route!(POST, "/containers/{id}/stop", container::stop),
    route!(POST, "/containers/{id}/restart", container::restart),
    route!(POST, "/containers/{id}/kill", container::kill),
    route!(POST, "/containers/{id}/update", update::update),
    route!(POST, "/containers/{id}/rename", container::rename),
    route!(POST, "/containers/{id}/pause", container::pause),
    route!(POST, "/containers/{id}/unpause", container::unpause),
    route!(POST, "/containers/{id}/attach", attach::attach),
    route!(GET, "/containers/{id}/attach/ws", not_yet::refused),
    route!(POST, "/containers/{id}/wait", container::wait),
    route!(HEAD, "/containers/{id}/archive", archive::stat),
    route!(GET, "/containers/{id}/archive", archive::get),
    route!(PUT, "/containers/{id}/archive", archive::put),
    route!(GET, "/images/json", image::list),
    route!(POST, "/images/create", image::create),
    route!(GET, "/images/search", registry::search),
    route!(POST, "/images/prune", prune::images),
    route!(GET, "/images/get", files::save),
    route!(POST, "/images/load", image::load),
    route!(DELETE, "/images/{name}", image::remove),
    route!(GET, "/images/{name}/json", image::inspect),
    route!(GET, "/images/{name}/attestations", not_yet::refused),
    route!(GET, "/images/{name}/history", image::history),
    route!(POST, "/images/{name}/push", registry::push),
    route!(POST, "/images/{name}/tag", image::tag),
    route!(GET, "/images/{name}/get", files::save_one),
    route!(POST, "/commit", files::commit),
    route!(POST, "/build", build::build),
    route!(POST, "/build/cancel", not_yet::refused),
    route!(POST, "/build/prune", prune::build),
    route!(POST, "/auth", registry::auth),
    route!(GET, "/info", system::info),
    route!(GET, "/version", system::version),
    route!(GET, "/_ping", system::ping),
    route!(HEAD, "/_ping", system::ping_head),
    route!(GET, "/events", event::events),
    route!(GET, "/system/df", prune::disk_usage),
    route!(POST, "/containers/{id}/exec", exec::create),
    route!(POST, "/exec/{id}/start", exec::start),
    route!(POST, "/exec/{id}/resize", exec::resize),
    route!(GET, "/exec/{id}/json", exec::inspect),
    route!(GET, "/volumes", volume::list),
    route!(POST, "/volumes/create", volume::create),
    route!(GET, "/volumes/{name}", volume::inspect),
    route!(PUT, "/volumes/{name}", not_yet::refused),
    route!(DELETE, "/volumes/{name}", volume::remove),
    route!(POST, "/volumes/prune", volume::prune),
    route!(GET, "/networks", network::list),
    route!(GET, "/networks/{id}", network::inspect),
    route!(DELETE, "/networks/{id}", network::remove),
    route!(POST, "/networks/create", network::create),
    route!(POST, "/networks/{id}/connect", network::connect),
    route!(POST, "/networks/{id}/disconnect", network::disconnect),
    route!(POST, "/networks/prune", network::prune),
    route!(GET, "/distribution/{name}/json", registry::distribution),
    route!(POST, "/session", not_yet::refused),
    route!(POST, "/grpc", not_yet::refused),
    route!(POST, "/containers/{id}/checkpoints", not_yet::refused),
    route!(GET, "/containers/{id}/checkpoints", not_yet::refused),
    route!(
        DELETE,
        "/containers/{id}/checkpoints/{checkpoint}",
        not_yet::refused
    ),
    route!(GET, "/plugins", system::plugins),
    route!(GET, "/plugins/privileges", not_yet::refused),
    route!(POST, "/plugins/pull", not_yet::refused),
    route!(GET, "/plugins/{name}/json", absent::plugin),
    route!(DELETE, "/plugins/{name}", not_yet::refused),
    route!(POST, "/plugins/{name}/enable", not_yet::refused),
    route!(POST, "/plugins/{name}/disable", not_yet::refused),
    route!(POST, "/plugins/{name}/upgrade", not_yet::refused),
    route!(POST, "/plugins/create", not_yet::refused),
    route!(POST, "/plugins/{name}/push", not_yet::refused),
    route!(POST, "/plugins/{name}/set", not_yet::refused),
    route!(GET, "/nodes", swarm::refused),
    route!(GET, "/nodes/{id}", swarm::refused),
    route!(DELETE, "/nodes/{id}", swarm::refused),
    route!(POST, "/nodes/{id}/update", swarm::refused),
    route!(GET, "/swarm", swarm::refused),
    route!(POST, "/swarm/init", swarm::refused),
    route!(POST, "/swarm/join", swarm::refused),
    route!(POST, "/swarm/leave", swarm::refused),
    route!(POST, "/swarm/update", swarm::refused),
    route!(GET, "/swarm/unlockkey", swarm::refused),
    route!(POST, "/swarm/unlock", swarm::refused),
    route!(GET, "/services", swarm::refused),
    route!(POST, "/services/create", swarm::refused),
    route!(GET, "/services/{id}", swarm::refused),
    route!(DELETE, "/services/{id}", swarm::refused),
    route!(POST, "/services/{id}/update", swarm::refused),
    route!(GET, "/services/{id}/logs", swarm::refused),
    route!(GET, "/tasks", swarm::refused),
    route!(GET, "/tasks/{id}", swarm::refused),
    route!(GET, "/tasks/{id}/logs", swarm::refused),
    route!(GET, "/secrets", swarm::refused),
    route!(POST, "/secrets/create", swarm::refused),
    route!(GET, "/secrets/{id}", swarm::refused),
    route!(DELETE, "/secrets/{id}", swarm::refused),
    route!(POST, "/secrets/{id}/update", swarm::refused),
    route!(GET, "/configs", swarm::refused),
    route!(POST, "/configs/create", swarm::refused),
    route!(GET, "/configs/{id}", swarm::refused),
    route!(DELETE, "/configs/{id}", swarm::refused),
    route!(POST, "/configs/{id}/update", swarm::refused),
    route!(POST, "/wharf/v1/images/from-host", image::from_host),
    route!(GET, "/wharf/v1/containers/{id}/trace", trace::trace),
    route!(GET, "/wharf/v1/volumes/{name}/export", volume::export),
    route!(POST, "/wharf/v1/volumes/{name}/import", volume::import),
    route!(POST, "/wharf/v1/volumes/{name}/clone", volume::clone),
    route!(POST, "/wharf/v1/volumes/{name}/snapshot", volume::snapshot),
    route!(POST, "/wharf/v1/volumes/{name}/rename", volume::rename),
];

/// Finds the handler of a request and runs it; `None` when there is no such page.
pub(crate) async fn handle(
    head: &Parts,
    version: ApiVersion,
    path: &str,
    body: Incoming,
    engine: Engine,
) -> Option<Result> {
    if head.method == Method::OPTIONS {
        return Some(Ok(Answer::Empty(hyper::StatusCode::OK)));
    }
    let (route, name) = find(&head.method, path)?;
    if !crate::rows::pass(route.method.as_str(), route.path, &head.headers) {
        return Some(crate::rows::nothing(&head.method, route.path, body).await);
    }
    let (upload, rest) = Upload::new(body);
    let request = Request {
        engine,
        version,
        name,
        query: Query::parse(head.uri.query().unwrap_or_default()),
        headers: head.headers.clone(),
        body: upload,
    };
    let result = (route.handler)(request).await;
    if !matches!(result, Ok(Answer::Takeover(_) | Answer::Stream(..))) {
        rest.read().await;
    }
    Some(result)
}

/// A literal path wins over one with a hole; a hole takes slashes too, for image names have them.
fn find(method: &Method, path: &str) -> Option<(&'static Route, String)> {
    let path = path
        .strip_suffix('/')
        .filter(|rest| !rest.is_empty())
        .unwrap_or(path);
    let mut best: Option<(&'static Route, String)> = None;
    for route in ROUTES.iter().filter(|route| route.method == *method) {
        if route.path == path {
            return Some((route, String::new()));
        }
        let Some(name) = hole(route.path, path) else {
            continue;
        };
        if best
            .as_ref()
            .is_none_or(|(known, _)| route.path.len() > known.path.len())
        {
            best = Some((route, name));
        }
    }
    best
}

/// Returns what stands in the first hole of a pattern.
fn hole(pattern: &str, path: &str) -> Option<String> {
    let (before, rest) = pattern.split_once('{')?;
    let (_, after) = rest.split_once('}')?;
    let tail = path.strip_prefix(before)?;
    let name = match after.split_once('{') {
        None => tail.strip_suffix(after)?,
        // A second hole: what stands before the words between the two.
        Some((between, _)) => tail.split_once(between)?.0,
    };
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_take_slashes() {
        assert_eq!(
            hole("/images/{name}/json", "/images/a/b:c/json").as_deref(),
            Some("a/b:c")
        );
        assert_eq!(
            hole("/containers/{id}", "/containers/x").as_deref(),
            Some("x")
        );
        assert_eq!(hole("/containers/{id}/json", "/containers/json"), None);
        assert_eq!(hole("/c/{id}/p/{p}", "/c/x/p/y").as_deref(), Some("x"));
    }

    #[test]
    fn finds_the_nearest_route() {
        let name = |method, path| find(&method, path).map(|(_, name)| name);
        assert_eq!(name(Method::GET, "/containers/json"), Some(String::new()));
        assert_eq!(
            name(Method::GET, "/containers/json/json"),
            Some("json".to_owned())
        );
        assert_eq!(name(Method::GET, "/networks/"), Some(String::new()));
        assert_eq!(name(Method::PUT, "/containers/json"), None);
        assert_eq!(name(Method::GET, "/nope"), None);
    }
}
