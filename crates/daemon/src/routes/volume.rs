//! Volumes: create, list, inspect, remove, prune.

use std::collections::BTreeMap;

use api::Filters;
use api::volume::{VolumeCreateRequest, VolumeList, VolumesPruned};
use engine::volume::{CreateVolume, Volume, VolumeRecord};
use hyper::StatusCode;

use super::event::labels;
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
    match request.engine.volume_remove(&request.name).await {
        // That it is gone is what was wanted.
        Err(error)
            if error.kind() == types::ErrorKind::NotFound && request.query.is_on("force") => {}
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
