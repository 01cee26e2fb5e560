//! Volumes: create, list, inspect, remove, prune.

use std::collections::BTreeMap;

use api::Filters;
use api::volume::{VolumeCreateRequest, VolumeList, VolumesPruned};
use engine::volume::{CreateVolume, SNAPSHOT_LABEL, Volume, VolumeRecord, Writers};
use hyper::StatusCode;

use super::event::labels;
use super::image::upload;
use crate::body;
use crate::error::Failure;
use crate::request::{Answer, Request, Result};
use crate::time;

/// In nanoseconds.
const SECOND: i64 = 1_000_000_000;

pub(crate) async fn create(request: Request) -> Result {
    let (document, request) = request.document::<VolumeCreateRequest>().await?;
    if document.cluster_volume_spec.is_some() {
        return Err(Failure::not_yet("a cluster volume"));
    }
    let made = request
        .engine
        .volume_create(CreateVolume {
            name: document.name,
            driver: document.driver,
            options: document.driver_opts,
            labels: document.labels,
        })
        .await?;
    Ok(Answer::json(StatusCode::CREATED, &volume(&made)))
}

pub(crate) async fn inspect(request: Request) -> Result {
    let found = request.engine.volume_inspect(&request.name).await?;
    Ok(Answer::ok(&volume(&found)))
}

pub(crate) async fn remove(request: Request) -> Result {
    let force = request.query.is_on("force");
    match request.engine.volume_remove(&request.name, force).await {
        // That it is gone is what was wanted.
        Err(error) if error.kind() == types::ErrorKind::NotFound && force => {}
        done => done?,
    }
    Ok(Answer::no_content())
}

pub(crate) async fn list(request: Request) -> Result {
    let filters = filters(&request, &["dangling", "driver", "label", "name"])?;
    let dangling =
        match filters.get("dangling") {
            [] => None,
            [value] => Some(truth(value).ok_or_else(|| {
                Failure::bad_request(format!("invalid filter 'dangling=[{value}]'"))
            })?),
            many => {
                let many = many.join(" ");
                return Err(Failure::bad_request(format!(
                    "invalid filter 'dangling=[{many}]'"
                )));
            }
        };
    let any = |key: &str, test: &dyn Fn(&str) -> bool| {
        !filters.contains(key) || filters.get(key).iter().any(|value| test(value))
    };
    let mut all = request.engine.volume_list().await?;
    all.retain(|one| {
        dangling.is_none_or(|dangling| dangling == one.users.is_empty())
            && any("driver", &|value| value == one.record.driver)
            && any("name", &|value| one.record.name.contains(value))
            && labels(&one.record.labels, filters.get("label"))
    });
    Ok(Answer::ok(&VolumeList {
        volumes: all.iter().map(volume).collect(),
        warnings: None,
    }))
}

pub(crate) async fn prune(request: Request) -> Result {
    let filters = filters(&request, &["label", "label!", "all"])?;
    // Older clients know of no difference between volumes with names of their own and others.
    let all = match filters.get("all") {
        [] => !request.version.at_least(42),
        [value] => truth(value).ok_or_else(|| {
            Failure::bad_request(format!(
                "invalid filter 'all': strconv.ParseBool: parsing {value:?}: invalid syntax"
            ))
        })?,
        many => {
            let many = many.join(" ");
            return Err(Failure::bad_request(format!(
                "invalid filter 'all=[{many}]'"
            )));
        }
    };
    let wanted = move |record: &VolumeRecord| {
        let without = filters.get("label!");
        (all || record.is_anonymous())
            && labels(&record.labels, filters.get("label"))
            && !without
                .iter()
                .any(|one| labels(&record.labels, std::slice::from_ref(one)))
    };
    let (names, bytes) = request.engine.volume_prune(wanted).await?;
    Ok(Answer::ok(&VolumesPruned {
        volumes_deleted: Some(names),
        space_reclaimed: bytes,
    }))
}

/// `GET /wharf/v1/volumes/{name}/export`.
pub(crate) async fn export(request: Request) -> Result {
    let (engine, name) = (request.engine, request.name);
    let body = body::file(|to| async move { engine.volume_export(&name, to).await }).await?;
    Ok(Answer::Stream("application/x-tar", body))
}

/// `POST /wharf/v1/volumes/{name}/import`.
pub(crate) async fn import(request: Request) -> Result {
    let input = upload(request.body);
    request.engine.volume_import(&request.name, input).await?;
    Ok(Answer::no_content())
}

/// `POST /wharf/v1/volumes/{name}/clone?to=`.
pub(crate) async fn clone(request: Request) -> Result {
    let (engine, to) = (&request.engine, request.query.get("to"));
    let made = engine
        .volume_clone(&request.name, to, BTreeMap::new(), Writers::Live)
        .await?;
    Ok(Answer::json(StatusCode::CREATED, &volume(&made)))
}

/// `POST /wharf/v1/volumes/{name}/snapshot`: `to` is its name, `live` pauses nobody.
pub(crate) async fn snapshot(request: Request) -> Result {
    let name = &request.name;
    let writers = if request.query.is_on("live") {
        Writers::Live
    } else {
        Writers::Paused
    };
    let to = match request.query.get("to") {
        "" => {
            let moment = time::rfc3339_nano(engine::now_ns().div_euclid(SECOND) * SECOND);
            let digits: String = moment.chars().filter(char::is_ascii_digit).collect();
            format!("{name}-{digits}")
        }
        to => to.to_owned(),
    };
    let labels = BTreeMap::from([(SNAPSHOT_LABEL.to_owned(), name.clone())]);
    let made = request
        .engine
        .volume_clone(name, &to, labels, writers)
        .await?;
    Ok(Answer::json(StatusCode::CREATED, &volume(&made)))
}

/// `POST /wharf/v1/volumes/{name}/rename?to=`.
pub(crate) async fn rename(request: Request) -> Result {
    let to = request.query.get("to");
    let made = request.engine.volume_rename(&request.name, to).await?;
    Ok(Answer::ok(&volume(&made)))
}

fn filters(request: &Request, known: &[&str]) -> Result<Filters> {
    let filters = Filters::parse(request.query.get("filters"))
        .map_err(|_| Failure::bad_request("invalid filter"))?;
    match filters.0.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(Failure::bad_request(format!("invalid filter '{key}'"))),
        None => Ok(filters),
    }
}

/// Go's words for true and false.
fn truth(value: &str) -> Option<bool> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Returns a volume as inspect shows it.
pub(super) fn volume(one: &Volume) -> api::volume::Volume {
    let record = &one.record;
    let some = |map: &BTreeMap<String, String>| (!map.is_empty()).then(|| map.clone());
    api::volume::Volume {
        // In whole seconds.
        created_at: time::rfc3339_nano(record.created_ns.div_euclid(SECOND) * SECOND),
        driver: record.driver.clone(),
        labels: some(&record.labels),
        mountpoint: one.mountpoint.display().to_string(),
        name: record.name.clone(),
        options: some(&record.options),
        scope: "local".to_owned(),
        usage_data: None,
    }
}
