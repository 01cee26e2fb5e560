//! `POST /containers/prune`, `/images/prune`, `/build/prune`, and `GET /system/df`.

use std::collections::{BTreeMap, BTreeSet};

use api::Filters;
use api::container::{ContainerSummary, ContainersPruned};
use api::image::{ImageSummary, ImagesPruned};
use api::system::DiskUsage;
use api::volume::{UsageData, Volume};
use engine::PruneFilter;
use hyper::StatusCode;

use super::container_list::summary_with_size;
use super::image;
use crate::error::Failure;
use crate::request::{Answer, Request, Result};
use crate::time;

/// Reads the filters of a prune; `more` are keys beside those of every prune.
pub(crate) fn filter(request: &Request, more: &[&str]) -> Result<(PruneFilter, Filters)> {
    let filters = Filters::parse(request.query.get("filters"))
        .map_err(|_| Failure::bad_request("invalid filter"))?;
    for key in filters.0.keys() {
        if !["label", "label!", "until"].contains(&key.as_str()) && !more.contains(&key.as_str()) {
            return Err(Failure::bad_request(format!("invalid filter '{key}'")));
        }
    }
    let until_ns = match filters.get("until") {
        [] => None,
        [text] => Some(time::parse_moment(text, engine::now_ns()).ok_or_else(|| {
            Failure::bad_request(format!(
                "failed to parse value as time or duration: {text:?}"
            ))
        })?),
        _ => return Err(Failure::bad_request("more than one until filter specified")),
    };
    let filter = PruneFilter {
        labels: filters.get("label").to_vec(),
        not_labels: filters.get("label!").to_vec(),
        until_ns,
    };
    Ok((filter, filters))
}

/// The value of a filter that is yes or no.
fn is_yes(filters: &Filters, key: &str, otherwise: bool) -> Result<bool> {
    match filters.get(key) {
        [] => Ok(otherwise),
        [one] if matches!(one.as_str(), "1" | "true") => Ok(true),
        [one] if matches!(one.as_str(), "0" | "false") => Ok(false),
        all => Err(Failure::bad_request(format!(
            "invalid filter '{key}=[{}]'",
            all.join(" ")
        ))),
    }
}

pub(crate) async fn containers(request: Request) -> Result {
    let (filter, _) = filter(&request, &[])?;
    let (gone, bytes) = request.engine.containers_prune(&filter).await?;
    Ok(Answer::ok(&ContainersPruned {
        containers_deleted: (!gone.is_empty()).then_some(gone),
        space_reclaimed: bytes,
    }))
}

pub(crate) async fn images(request: Request) -> Result {
    let (filter, filters) = filter(&request, &["dangling"]).map_err(|failure| {
        if failure.message.starts_with("failed to parse") {
            // Docker's own slip.
            Failure::new(StatusCode::INTERNAL_SERVER_ERROR, failure.message)
        } else {
            failure
        }
    })?;
    let dangling = is_yes(&filters, "dangling", true)?;
    let (gone, bytes) = request.engine.images_prune(&filter, !dangling).await?;
    let gone: Vec<_> = gone.iter().map(image::deleted).collect();
    Ok(Answer::ok(&ImagesPruned {
        images_deleted: (!gone.is_empty()).then_some(gone),
        space_reclaimed: bytes,
    }))
}

/// There is no builder, so there is no cache of one.
pub(crate) async fn build(_request: Request) -> Result {
    Ok(Answer::ok(
        &serde_json::json!({"CachesDeleted": null, "SpaceReclaimed": 0}),
    ))
}

pub(crate) async fn disk_usage(request: Request) -> Result {
    const KINDS: [&str; 4] = ["container", "image", "volume", "build-cache"];
    let asked: Vec<&str> = if request.version.at_least(42) {
        request.query.all("type").collect()
    } else {
        Vec::new()
    };
    if let Some(other) = asked.iter().find(|kind| !KINDS.contains(kind)) {
        return Err(Failure::bad_request(format!(
            "unknown object type: {other}"
        )));
    }
    let wants = |kind: &str| asked.is_empty() || asked.contains(&kind);
    let mut usage = DiskUsage::default();
    if wants("image") {
        let layers = request.engine.layer_space().await?;
        usage.layers_size = number(layers.values().sum());
        usage.images = Some(images_in_use(&request).await?);
    }
    if wants("container") {
        usage.containers = Some(containers_in_use(&request).await?);
    }
    if wants("volume") {
        usage.volumes = Some(volumes_in_use(&request).await?);
    }
    if wants("build-cache") {
        usage.build_cache = Some(Vec::new());
    }
    Ok(Answer::ok(&usage))
}

fn number(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

async fn images_in_use(request: &Request) -> Result<Vec<ImageSummary>> {
    let images = request.engine.images_list().await?;
    let users = request.engine.image_users();
    let mut owners = BTreeMap::new();
    for image in &images {
        for layer in image.layers() {
            *owners.entry(*layer).or_insert(0_u32) += 1;
        }
    }
    let rows = images.iter().map(|one| {
        let containers = users.get(&one.id).copied().unwrap_or(0);
        let layers = one.layers().iter().zip(&one.layer_sizes);
        let shared = layers.filter(|(layer, _)| owners.get(*layer).is_some_and(|n| *n > 1));
        ImageSummary {
            containers,
            shared_size: number(shared.map(|(_, bytes)| bytes).sum()),
            ..image::summary(one, containers, request.version)
        }
    });
    Ok(rows.collect())
}

async fn volumes_in_use(request: &Request) -> Result<Vec<Volume>> {
    let engine = &request.engine;
    let sizes = engine.volume_sizes().await?;
    let mut users = BTreeMap::new();
    for one in engine.list() {
        let names: BTreeSet<_> = one.record.host.volumes.iter().map(|v| &v.name).collect();
        for name in names {
            *users.entry(name.clone()).or_insert(0_i64) += 1;
        }
    }
    let rows = engine.volume_list().await?.into_iter().map(|one| {
        let name = &one.record.name;
        Volume {
            usage_data: Some(UsageData {
                ref_count: users.get(name).copied().unwrap_or(0),
                // Of what another driver keeps nothing is known.
                size: sizes.get(name).map_or(-1, |bytes| number(*bytes)),
            }),
            ..super::volume::volume(&one)
        }
    });
    Ok(rows.collect())
}

async fn containers_in_use(request: &Request) -> Result<Vec<ContainerSummary>> {
    let images = request.engine.images_list().await?;
    let mut rows = Vec::new();
    for one in request.engine.list() {
        let size = request.engine.space_of(&one).await;
        rows.push(summary_with_size(&request.engine, &one, &images, size));
    }
    Ok(rows)
}
