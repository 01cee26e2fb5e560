//! What a container did to its files: changes, export, commit; and images as an archive.

use api::container::Change;
use api::exec::IdResponse;
use engine::ChangeKind;
use engine::container::CommitRequest;
use hyper::StatusCode;
use types::oci::image::{ContainerDefaults, Empty};

use super::container_list;
use super::image::reference;
use crate::body;
use crate::error::Failure;
use crate::request::{Answer, Request, Result};

const TAR: &str = "application/x-tar";

pub(crate) async fn changes(request: Request) -> Result {
    let changes = request.engine.changes(&request.name).await?;
    let rows: Vec<Change> = changes
        .into_iter()
        .map(|change| Change {
            kind: match change.kind {
                ChangeKind::Modified => 0,
                ChangeKind::Added => 1,
                ChangeKind::Deleted => 2,
            },
            path: change.path.to_string_lossy().into_owned(),
        })
        .collect();
    Ok(Answer::ok(&rows))
}

pub(crate) async fn export(request: Request) -> Result {
    let (engine, name) = (request.engine, request.name);
    let body = body::file(|to| async move { engine.export(&name, to).await }).await?;
    Ok(Answer::Stream("application/octet-stream", body))
}

/// `GET /images/get`: several.
pub(crate) async fn save(request: Request) -> Result {
    let names = request.query.all("names").map(str::to_owned).collect();
    archive(request, names).await
}

/// `GET /images/{name}/get`.
pub(crate) async fn save_one(request: Request) -> Result {
    let names = vec![request.name.clone()];
    archive(request, names).await
}

async fn archive(request: Request, names: Vec<String>) -> Result {
    if !request.query.get("platform").is_empty() {
        return Err(Failure::not_yet("save of one platform"));
    }
    let engine = request.engine;
    let body = body::file(|to| async move { engine.image_save(names, to).await }).await?;
    Ok(Answer::Stream(TAR, body))
}

pub(crate) async fn commit(request: Request) -> Result {
    let container = request.query.get("container").to_owned();
    let config = container_list::config_of(&request.engine.inspect(&container)?);
    let query = &request.query;
    let tag = match query.get("repo") {
        "" => None,
        repository => Some(reference(repository, query.get("tag"))?),
    };
    let commit = CommitRequest {
        tag,
        defaults: defaults(config),
        changes: query.all("changes").map(str::to_owned).collect(),
        author: query.get("author").to_owned(),
        comment: query.get("comment").to_owned(),
        pause: query.find("pause").is_none() || query.is_on("pause"),
    };
    let id = request.engine.commit(&container, commit).await?;
    let id = id.to_string();
    Ok(Answer::json(StatusCode::CREATED, &IdResponse { id }))
}

fn defaults(config: api::container::Config) -> ContainerDefaults {
    let names = |keys: api::json::Keys| keys.0.into_iter().map(|key| (key, Empty {})).collect();
    ContainerDefaults {
        user: config.user,
        exposed_ports: names(config.exposed_ports),
        env: config.env.unwrap_or_default(),
        entrypoint: config.entrypoint.map(|words| words.0),
        cmd: config.cmd.map(|words| words.0),
        volumes: config.volumes.map(names).unwrap_or_default(),
        working_dir: config.working_dir,
        labels: config.labels.filter(|labels| !labels.is_empty()),
        stop_signal: config.stop_signal,
        on_build: None,
        healthcheck: None,
        shell: None,
    }
}
