//! Images: list, inspect, history, create (import), load, tag, remove, from-host.

use std::collections::{BTreeMap, BTreeSet};

use api::Filters;
use api::image::{
    FromHostRequest, GraphDriver, ImageConfig, ImageDelete, ImageHistory, ImageInspect,
    ImageMetadata, ImageSummary, RootFs,
};
use api::progress::Progress;
use api::{ApiVersion, Keys, Words};
use engine::{ImageRecord, ImportRequest, Input, RemovedItem};
use hyper::StatusCode;
use types::{Digest, Reference};

use super::container_list::{DRIVER, is_named};
use crate::body::{Body, Sender};
use crate::error::Failure;
use crate::request::{Answer, Request, Result, line};
use crate::upload::Upload;

pub(crate) async fn list(request: Request) -> Result {
    let filters = Filters::parse(request.query.get("filters"))
        .map_err(|_| Failure::bad_request("invalid filter"))?;
    for key in filters.0.keys() {
        match key.as_str() {
            "dangling" | "reference" | "label" | "before" | "since" => {}
            "until" => return Err(Failure::not_yet("the filter \"until\"")),
            _ => return Err(Failure::bad_request(format!("invalid filter '{key}'"))),
        }
    }
    let images = request.engine.images_list().await?;
    let users = request.engine.image_users();
    let created = |key: &str| -> Result<Option<String>> {
        let Some(name) = filters.get(key).first() else {
            return Ok(None);
        };
        let image = images
            .iter()
            .find(|image| is_named(image, name))
            .ok_or_else(|| Failure::new(StatusCode::NOT_FOUND, format!("No such image: {name}")))?;
        Ok(image.config.created.clone())
    };
    let (before, since) = (created("before")?, created("since")?);
    // A step of a build is shown when all are asked for, and never as dangling.
    let parents: BTreeSet<Digest> = images.iter().filter_map(|image| image.parent).collect();
    let dangling = filters.get("dangling").first();
    let only_dangling = dangling.is_some_and(|value| value == "1" || value == "true");
    let with_steps = request.query.is_on("all") && !only_dangling;
    let rows: Vec<ImageSummary> = images
        .iter()
        .filter(|image| wanted(image, &filters))
        .filter(|image| with_steps || !nameless(image) || !parents.contains(&image.id))
        .filter(|image| before.is_none() || image.config.created < before)
        .filter(|image| since.is_none() || image.config.created > since)
        .map(|image| {
            let image = &shown(image, &filters);
            summary(
                image,
                users.get(&image.id).copied().unwrap_or(0),
                request.version,
            )
        })
        .collect();
    Ok(Answer::ok(&rows))
}

fn nameless(image: &ImageRecord) -> bool {
    image.tags.is_empty() && image.digests.is_empty()
}

fn wanted(image: &ImageRecord, filters: &Filters) -> bool {
    let dangling = match filters.get("dangling").first().map(String::as_str) {
        Some("1" | "true") => image.tags.is_empty(),
        Some(_) => !image.tags.is_empty(),
        None => true,
    };
    let references = filters.get("reference");
    let named = references.is_empty()
        || image.tags.iter().any(|tag| {
            references.iter().any(|pattern| {
                glob(pattern, &tag.familiar()) || glob(pattern, &tag.familiar_name())
            })
        });
    let none = BTreeMap::new();
    let defaults = image.config.config.as_ref();
    let labels = defaults
        .and_then(|defaults| defaults.labels.as_ref())
        .unwrap_or(&none);
    dangling && named && super::event::labels(labels, filters.get("label"))
}

/// With a filter of references, a row names the matching ones only.
fn shown(image: &ImageRecord, filters: &Filters) -> ImageRecord {
    let mut image = image.clone();
    let references = filters.get("reference");
    if !references.is_empty() {
        image.tags.retain(|tag| {
            references.iter().any(|pattern| {
                glob(pattern, &tag.familiar()) || glob(pattern, &tag.familiar_name())
            })
        });
    }
    image
}

/// A shell's pattern: `*` and `?` within one part of a path.
fn glob(pattern: &str, text: &str) -> bool {
    match (pattern.chars().next(), text.chars().next()) {
        (None, None) => true,
        (Some('*'), _) => {
            glob(&pattern[1..], text)
                || text
                    .chars()
                    .next()
                    .is_some_and(|c| c != '/' && glob(pattern, &text[c.len_utf8()..]))
        }
        (Some('?'), Some(c)) if c != '/' => glob(&pattern[1..], &text[c.len_utf8()..]),
        (Some(p), Some(c)) if p == c => glob(&pattern[p.len_utf8()..], &text[c.len_utf8()..]),
        _ => false,
    }
}

pub(super) fn summary(image: &ImageRecord, containers: i64, version: ApiVersion) -> ImageSummary {
    let size = i64::try_from(image.size).unwrap_or(i64::MAX);
    let old = nameless(image) && !version.at_least(43);
    let labels = image
        .config
        .config
        .as_ref()
        .and_then(|defaults| defaults.labels.clone());
    ImageSummary {
        containers: if version.at_least(51) { containers } else { -1 },
        created: unix_seconds(image.config.created.as_deref()),
        id: image.id.to_string(),
        labels,
        parent_id: image
            .parent
            .map(|parent| parent.to_string())
            .unwrap_or_default(),
        repo_digests: if old {
            vec!["<none>@<none>".to_owned()]
        } else {
            image.digests.iter().map(Reference::familiar).collect()
        },
        repo_tags: if old {
            vec!["<none>:<none>".to_owned()]
        } else {
            image.tags.iter().map(Reference::familiar).collect()
        },
        shared_size: -1,
        size,
        virtual_size: if version.at_least(44) { 0 } else { size },
    }
}

fn unix_seconds(moment: Option<&str>) -> i64 {
    moment
        .and_then(|text| text.parse::<jiff::Timestamp>().ok())
        .map_or(-62_135_596_800, jiff::Timestamp::as_second)
}

pub(crate) async fn inspect(request: Request) -> Result {
    let image = request.engine.image_inspect(&request.name).await?;
    let size = i64::try_from(image.size).unwrap_or(i64::MAX);
    let version = request.version;
    let config = &image.config;
    let document = ImageInspect {
        id: image.id.to_string(),
        repo_tags: image.tags.iter().map(Reference::familiar).collect(),
        repo_digests: image.digests.iter().map(Reference::familiar).collect(),
        parent: image
            .parent
            .map(|parent| parent.to_string())
            .unwrap_or_default(),
        comment: config.comment.clone().unwrap_or_default(),
        created: config
            .created
            .clone()
            .unwrap_or_else(|| crate::time::ZERO.to_owned()),
        docker_version: String::new(),
        author: config.author.clone().unwrap_or_default(),
        architecture: config.architecture.clone(),
        variant: config.variant.clone().unwrap_or_default(),
        os: config.os.clone(),
        size,
        virtual_size: if version.at_least(44) { 0 } else { size },
        graph_driver: GraphDriver {
            data: None,
            name: DRIVER.to_owned(),
        },
        root_fs: RootFs {
            kind: "layers".to_owned(),
            layers: image.layers().iter().map(ToString::to_string).collect(),
        },
        metadata: ImageMetadata {
            last_tag_time: image
                .last_tagged
                .clone()
                .unwrap_or_else(|| crate::time::ZERO.to_owned()),
        },
        config: defaults(&image),
    };
    Ok(Answer::ok(&document))
}

fn defaults(image: &ImageRecord) -> ImageConfig {
    let own = image.config.config.clone().unwrap_or_default();
    let volumes = Keys(own.volumes.into_keys().collect());
    ImageConfig {
        cmd: own.cmd.map(Words),
        entrypoint: own.entrypoint.map(Words),
        env: (!own.env.is_empty()).then_some(own.env),
        exposed_ports: Keys(own.exposed_ports.into_keys().collect()),
        healthcheck: own
            .healthcheck
            .and_then(|check| serde_json::from_value(check).ok()),
        labels: own.labels,
        on_build: own.on_build,
        shell: own.shell.unwrap_or_default(),
        stop_signal: own.stop_signal,
        user: own.user,
        volumes: (!volumes.0.is_empty()).then_some(volumes),
        working_dir: own.working_dir,
    }
}

pub(crate) async fn history(request: Request) -> Result {
    let image = request.engine.image_inspect(&request.name).await?;
    let mut sizes = image.layer_sizes.iter();
    let mut rows: Vec<ImageHistory> = image
        .config
        .history
        .iter()
        .map(|step| ImageHistory {
            comment: step.comment.clone().unwrap_or_default(),
            created: unix_seconds(step.created.as_deref()),
            created_by: step.created_by.clone().unwrap_or_default(),
            id: "<missing>".to_owned(),
            size: if step.empty_layer {
                0
            } else {
                sizes
                    .next()
                    .map_or(0, |size| i64::try_from(*size).unwrap_or(i64::MAX))
            },
            tags: None,
        })
        .collect();
    rows.reverse();
    // As Docker: a row for each image that this one was committed from, as far as they are known.
    let mut ancestor = Some(image);
    for row in &mut rows {
        let Some(image) = ancestor.take() else { break };
        row.id = image.id.to_string();
        let tags: Vec<_> = image.tags.iter().map(Reference::familiar).collect();
        row.tags = (!tags.is_empty()).then_some(tags);
        if let Some(parent) = image.parent {
            ancestor = request.engine.image_inspect(&parent.to_string()).await.ok();
        }
    }
    Ok(Answer::ok(&rows))
}

pub(crate) async fn tag(request: Request) -> Result {
    let reference = reference(request.query.get("repo"), request.query.get("tag"))?;
    request.engine.image_tag(&request.name, reference).await?;
    Ok(Answer::Empty(StatusCode::CREATED))
}

pub(super) fn reference(repository: &str, tag: &str) -> Result<Reference> {
    let bad = |e: types::reference::InvalidReference| Failure::bad_request(e.to_string());
    let reference: Reference = repository.parse().map_err(bad)?;
    if reference.familiar_name() == "sha256" {
        return Err(Failure::bad_request(
            "refusing to create an ambiguous tag using digest algorithm as name",
        ));
    }
    if tag.is_empty() {
        return Ok(reference.or_latest());
    }
    reference
        .with_tag(tag)
        .ok_or_else(|| Failure::bad_request("invalid tag format"))
}

pub(crate) async fn remove(request: Request) -> Result {
    let removed = request
        .engine
        .image_remove(&request.name, request.query.is_on("force"))
        .await?;
    let rows: Vec<ImageDelete> = removed.iter().map(deleted).collect();
    Ok(Answer::ok(&rows))
}

/// A line of what was removed.
pub(super) fn deleted(item: &RemovedItem) -> ImageDelete {
    match item {
        RemovedItem::Untagged(name) => ImageDelete {
            untagged: name.clone(),
            deleted: String::new(),
        },
        RemovedItem::Deleted(digest) => ImageDelete {
            untagged: String::new(),
            deleted: digest.to_string(),
        },
    }
}

/// `POST /images/create`: `fromSrc=-` imports, `fromImage` pulls.
pub(crate) async fn create(request: Request) -> Result {
    if !request.query.get("fromImage").is_empty() {
        return super::registry::pull(request).await;
    }
    let query = &request.query;
    match query.get("fromSrc") {
        "-" => {}
        "" => return Err(Failure::bad_request("fromImage or fromSrc must be given")),
        _ => return Err(Failure::not_yet("import from a URL")),
    }
    let platform = query.get("platform");
    if !platform.is_empty() && !super::container_create::is_ours(platform) {
        return Err(Failure::not_yet("import for another platform"));
    }
    let tag = match query.get("repo") {
        "" => None,
        repository => Some(reference(repository, query.get("tag"))?),
    };
    let import = ImportRequest {
        tag,
        changes: query.all("changes").map(str::to_owned).collect(),
        message: match query.get("message") {
            "" => "Imported from -".to_owned(),
            message => message.to_owned(),
        },
    };
    let input = upload(request.body);
    // Nothing is said before it is done, so that a failure has a status of its own.
    let id = request.engine.image_import(input, import).await?;
    let (sender, body) = Body::channel();
    say(&sender, &status(&id.to_string())).await;
    Ok(Answer::Stream("application/json", body))
}

fn status(text: &str) -> Progress {
    Progress {
        status: text.to_owned(),
        ..Progress::default()
    }
}

async fn say(sender: &Sender, progress: &Progress) {
    // A client that went away does not stop what it asked for.
    drop(sender.send(line(progress, "\r\n")).await);
}

/// Receives a body in a task of its own and gives the sync side something to read.
pub(super) fn upload(mut body: Upload) -> Input {
    let (sender, input) = Input::channel();
    tokio::spawn(async move {
        while let Some(frame) = body.frame().await {
            let piece = match frame {
                Ok(frame) => match frame.into_data() {
                    Ok(data) => Ok(data.to_vec()),
                    Err(_) => continue,
                },
                Err(error) => Err(std::io::Error::other(error)),
            };
            let broken = piece.is_err();
            if sender.send(piece).await.is_err() || broken {
                return;
            }
        }
    });
    input
}

/// `POST /images/load`: the lines that Docker prints, and how far each layer is.
pub(crate) async fn load(request: Request) -> Result {
    if !request.query.get("platform").is_empty() {
        return Err(Failure::not_yet("load of one platform"));
    }
    let quiet = request.query.is_on("quiet");
    let engine = request.engine;
    let input = upload(request.body);
    let (sender, body) = Body::channel();
    tokio::spawn(async move {
        let live = sender.clone();
        let progress = move |step: engine::LoadProgress| {
            if quiet {
                return;
            }
            let document = Progress {
                status: "Loading layer".to_owned(),
                progress_detail: Some(api::progress::ProgressDetail {
                    current: i64::try_from(step.current).unwrap_or(i64::MAX),
                    total: i64::try_from(step.total).unwrap_or(i64::MAX),
                    ..api::progress::ProgressDetail::default()
                }),
                id: step.layer.short(),
                ..Progress::default()
            };
            // A client that is slow to read misses a step of the bar, not the load its time.
            let _missed = live.try_send(line(&document, "\r\n"));
        };
        match engine.image_load(input, progress).await {
            Ok(lines) => {
                for text in lines {
                    let stream = format!("{text}\n");
                    say(
                        &sender,
                        &Progress {
                            stream,
                            ..Progress::default()
                        },
                    )
                    .await;
                }
            }
            Err(error) => say(&sender, &Progress::error(&error.to_string())).await,
        }
    });
    Ok(Answer::Stream("application/json", body))
}

/// `POST /wharf/v1/images/from-host`: an image of programs of this machine.
pub(crate) async fn from_host(request: Request) -> Result {
    let (document, request) = request.document::<FromHostRequest>().await?;
    let tag = match document.tag.as_str() {
        "" => None,
        text => Some(reference(text, "")?),
    };
    let id = request
        .engine
        .image_from_host(document.programs, tag)
        .await?;
    let (sender, body) = Body::channel();
    say(&sender, &status(&id.to_string())).await;
    Ok(Answer::Stream("application/json", body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stay_within_a_part() {
        for (pattern, text, holds) in [
            ("busy*", "busybox", true),
            ("busybox", "busybox", true),
            ("busybox:*", "busybox:1", true),
            ("*", "a/b", false),
            ("a/?", "a/b", true),
            ("busy", "busybox", false),
        ] {
            assert_eq!(glob(pattern, text), holds, "{pattern} {text}");
        }
    }
}
