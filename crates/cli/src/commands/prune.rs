//! `system prune`: everything that nobody uses, kind after kind.

use api::container::ContainersPruned;
use api::image::ImagesPruned;

use serde_json::Value;

use crate::client::parse;
use crate::commands::images::deleted_small;
use crate::commands::lifecycle::{confirm, reclaimed};
use crate::error::{Error, Result};
use crate::flags::Parsed;
use crate::http::Query;
use crate::session::Session;

/// `system prune`
pub(crate) fn system(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let (all, volumes) = (parsed.is_set("all"), parsed.is_set("volumes"));
    let filters = parsed.filters();
    if volumes && filters.contains("until") {
        return Err(Error::text(
            "ERROR: The \"until\" filter is not supported with \"--volumes\"",
        ));
    }
    if !parsed.is_set("force") && !confirm(session, &warning(all, volumes, &filters))? {
        return Err(Error::text("system prune has been cancelled"));
    }
    let query = |filters: &api::Filters| Query::default().with_filters(filters).render();
    let plain = query(&filters);
    let mut bytes = 0_u64;

    let path = format!("/containers/prune{plain}");
    let containers: ContainersPruned = parse(&session.client.post(&path)?)?;
    bytes = bytes.saturating_add(containers.space_reclaimed);
    let ids = containers.containers_deleted.unwrap_or_default();
    show(session, "Deleted Containers:", &ids)?;

    let path = format!("/networks/prune{plain}");
    let networks: Value = parse(&session.client.post(&path)?)?;
    show(
        session,
        "Deleted Networks:",
        &words(&networks["NetworksDeleted"]),
    )?;

    if volumes {
        let path = format!("/volumes/prune{plain}");
        let pruned: Value = parse(&session.client.post(&path)?)?;
        bytes = bytes.saturating_add(pruned["SpaceReclaimed"].as_u64().unwrap_or(0));
        show(
            session,
            "Deleted Volumes:",
            &words(&pruned["VolumesDeleted"]),
        )?;
    }

    let mut of_images = filters.clone();
    of_images.add("dangling", if all { "false" } else { "true" });
    let path = format!("/images/prune{}", query(&of_images));
    let images: ImagesPruned = parse(&session.client.post(&path)?)?;
    bytes = bytes.saturating_add(images.space_reclaimed);
    let lines: Vec<String> = images
        .images_deleted
        .unwrap_or_default()
        .iter()
        .map(deleted_small)
        .collect();
    show(session, "Deleted Images:", &lines)?;

    let query = Query::default()
        .with_flag("all", all)
        .with_filters(&filters);
    let path = format!("/build/prune{}", query.render());
    let answer: Value = parse(&session.client.post(&path)?)?;
    bytes = bytes.saturating_add(answer["SpaceReclaimed"].as_u64().unwrap_or(0));
    session.print(&reclaimed(bytes))?;
    Ok(0)
}

/// The texts of a list, if it is one.
fn words(list: &Value) -> Vec<String> {
    let texts = list.as_array().into_iter().flatten();
    texts
        .filter_map(|text| Some(text.as_str()?.to_owned()))
        .collect()
}

fn show(session: &mut Session, head: &str, lines: &[String]) -> Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    session.print(&format!("{head}\n{}\n\n", lines.join("\n")))
}

/// What is about to happen, in Docker's words.
fn warning(all: bool, volumes: bool, filters: &api::Filters) -> String {
    let mut lines = vec![
        "  - all stopped containers".to_owned(),
        "  - all networks not used by at least one container".to_owned(),
    ];
    if volumes {
        lines.push("  - all anonymous volumes not used by at least one container".to_owned());
    }
    if all {
        lines.push("  - all images without at least one container associated to them".to_owned());
        lines.push("  - all build cache".to_owned());
    } else {
        lines.push("  - all dangling images".to_owned());
        lines.push("  - unused build cache".to_owned());
    }
    if !filters.is_empty() {
        lines.push("\n  Items to be pruned will be filtered with:".to_owned());
        for (key, values) in &filters.0 {
            lines.extend(values.iter().map(|value| format!("  - {key}={value}")));
        }
    }
    format!("WARNING! This will remove:\n{}\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_warning_names_the_kinds() {
        let text = warning(true, false, &api::Filters::default());
        assert!(text.contains("all build cache") && !text.contains("volumes"));
        let mut filters = api::Filters::default();
        filters.add("label", "a=b");
        assert!(warning(false, true, &filters).contains("filtered with:\n  - label=a=b"));
    }
}
