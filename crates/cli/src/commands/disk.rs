//! `system df`: what takes how much space, and how much could be had back.

use api::container::ContainerSummary;
use api::image::ImageSummary;
use api::system::DiskUsage;
use api::volume::{UsageData, Volume};

use crate::error::{Error, Result};
use crate::flags::Parsed;
use crate::format::value::Value;
use crate::format::{Listing, row};
use crate::session::Session;

/// `system df`
pub(crate) fn disk_usage(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    if parsed.is_set("verbose") {
        let program = session.config.program;
        return Err(Error::text(format!(
            "{program}: 'system df -v' is not built yet"
        )));
    }
    let usage: DiskUsage = session.client.get_json("/system/df")?;
    let builds = usage.build_cache.unwrap_or_default().len();
    let listing = Listing {
        headers: &[
            ("Type", "TYPE"),
            ("TotalCount", "TOTAL"),
            ("Active", "ACTIVE"),
            ("Size", "SIZE"),
            ("Reclaimable", "RECLAIMABLE"),
        ],
        columns: &["Type", "TotalCount", "Active", "Size", "Reclaimable"],
        quiet: None,
        raw: "",
        kind: "*formatter.diskUsageImagesContext",
        complaint: "template parsing error",
        rows: vec![
            images(&usage.images.unwrap_or_default(), usage.layers_size),
            containers(&usage.containers.unwrap_or_default()),
            volumes(&usage.volumes.unwrap_or_default()),
            kind("Build Cache", (builds, 0), 0, 0, false),
        ],
    };
    listing.show(session, parsed.text("format"))?;
    Ok(0)
}

/// Makes the row of one kind: how many there are and are used, bytes in all and to be had back.
fn kind(name: &str, (total, active): (usize, usize), bytes: i64, free: i64, share: bool) -> Value {
    let size = |bytes: i64| types::units::human_size(bytes, 4);
    let free = if share && bytes > 0 {
        format!("{} ({}%)", size(free), free.saturating_mul(100) / bytes)
    } else {
        size(free)
    };
    row(vec![
        ("Type", Value::text(name)),
        ("TotalCount", Value::text(total.to_string())),
        ("Active", Value::text(active.to_string())),
        ("Size", Value::text(size(bytes))),
        ("Reclaimable", Value::text(free)),
    ])
}

fn images(images: &[ImageSummary], layers: i64) -> Value {
    let active: Vec<&ImageSummary> = images.iter().filter(|image| image.containers > 0).collect();
    let own = |image: &&ImageSummary| match (image.size, image.shared_size) {
        (-1, _) | (_, -1) => 0,
        (size, shared) => size - shared,
    };
    let used: i64 = active.iter().map(own).sum();
    kind(
        "Images",
        (images.len(), active.len()),
        layers,
        layers - used,
        true,
    )
}

fn containers(containers: &[ContainerSummary]) -> Value {
    let is_active =
        |c: &&ContainerSummary| matches!(c.state.as_str(), "running" | "paused" | "restarting");
    let active = containers.iter().filter(is_active).count();
    let bytes = containers.iter().map(|c| c.size_rw).sum();
    let free = containers
        .iter()
        .filter(|c| !is_active(c))
        .map(|c| c.size_rw)
        .sum();
    kind("Containers", (containers.len(), active), bytes, free, true)
}

fn volumes(volumes: &[Volume]) -> Value {
    let known = || {
        volumes
            .iter()
            .filter_map(|volume| volume.usage_data.as_ref())
    };
    let size = |usage: &UsageData| usage.size.max(0);
    let active = known().filter(|usage| usage.ref_count > 0).count();
    let bytes = known().map(size).sum();
    let free = known().filter(|usage| usage.ref_count <= 0).map(size).sum();
    kind("Local Volumes", (volumes.len(), active), bytes, free, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_had_back() {
        let image = |containers, size, shared_size| ImageSummary {
            containers,
            size,
            shared_size,
            ..ImageSummary::default()
        };
        let row = images(&[image(1, 300, 100), image(0, 800, 0)], 1000);
        assert_eq!(row.get("Active"), Some(&Value::text("1")));
        assert_eq!(row.get("Reclaimable"), Some(&Value::text("800B (80%)")));
        assert_eq!(containers(&[]).get("Reclaimable"), Some(&Value::text("0B")));
    }
}
