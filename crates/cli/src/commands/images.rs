//! `images` and the verbs of one request per image.

use api::image::{ImageDelete, ImageHistory, ImageSummary, ImagesPruned};

use crate::client::parse;
use crate::commands::lifecycle::{confirm, reclaimed};
use crate::commands::ps::{ellipsis, short_id};
use crate::error::{Error, Result};
use crate::flags::Parsed;
use crate::format::value::Value;
use crate::format::{Listing, row, time};
use crate::http::{Query, escape_path};
use crate::session::Session;

const HEADERS: &[(&str, &str)] = &[
    ("Repository", "REPOSITORY"),
    ("Tag", "TAG"),
    ("Digest", "DIGEST"),
    ("ID", "IMAGE ID"),
    ("CreatedSince", "CREATED"),
    ("CreatedAt", "CREATED AT"),
    ("Size", "SIZE"),
    ("Containers", "CONTAINERS"),
    ("VirtualSize", "SIZE"),
    ("SharedSize", "SHARED SIZE"),
    ("UniqueSize", "UNIQUE SIZE"),
];

const RAW: &str = "repository: {{.Repository}}\ntag: {{.Tag}}\nimage_id: {{.ID}}\ncreated_at: {{.CreatedAt}}\nvirtual_size: {{.Size}}\n";

/// `images`
pub(crate) fn list(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    if parsed.is_set("tree") {
        return Err(Error::text("--tree is not built yet"));
    }
    let mut filters = parsed.filters();
    if let Some(name) = parsed.args.first() {
        filters.add("reference", name);
    }
    let query = Query::default()
        .with_flag("all", parsed.is_set("all"))
        .with_filters(&filters)
        .render();
    let images: Vec<ImageSummary> = session.client.get_json(&format!("/images/json{query}"))?;
    let format = parsed.text("format");
    let digests = parsed.is_set("digests");
    let truncate = !parsed.is_set("no-trunc");
    let by_digest = digests || format.contains("{{.Digest}}");
    let with_digest = ["Repository", "Tag", "Digest", "ID", "CreatedSince", "Size"];
    let plain = ["Repository", "Tag", "ID", "CreatedSince", "Size"];
    let listing = Listing {
        headers: HEADERS,
        columns: if digests { &with_digest } else { &plain },
        quiet: parsed.is_set("quiet").then_some("ID"),
        raw: RAW,
        kind: "*formatter.imageContext",
        complaint: "template parsing error",
        rows: images
            .iter()
            .flat_map(|image| rows(image, by_digest, truncate))
            .collect(),
    };
    listing.show(session, format)?;
    Ok(0)
}

/// One row per tag; with digests one per tag and digest.
fn rows(image: &ImageSummary, by_digest: bool, truncate: bool) -> Vec<Value> {
    let mut names: Vec<(String, String, String)> = Vec::new();
    let digest_of = |repository: &str| {
        let known = |text: &&String| {
            text.split_once('@')
                .is_some_and(|(name, _)| name == repository)
        };
        let found = image.repo_digests.iter().find(known);
        found
            .and_then(|text| text.split_once('@'))
            .map(|(_, digest)| digest.to_owned())
    };
    for name in image
        .repo_tags
        .iter()
        .filter(|name| *name != "<none>:<none>")
    {
        let (repository, tag) = name.rsplit_once(':').unwrap_or((name, "<none>"));
        let digest = digest_of(repository).unwrap_or_else(|| "<none>".to_owned());
        names.push((repository.to_owned(), tag.to_owned(), digest));
    }
    for name in &image.repo_digests {
        let (repository, digest) = name.split_once('@').unwrap_or((name, "<none>"));
        if repository != "<none>" && !names.iter().any(|(known, ..)| known == repository) {
            names.push((
                repository.to_owned(),
                "<none>".to_owned(),
                digest.to_owned(),
            ));
        }
    }
    if names.is_empty() {
        let none = || "<none>".to_owned();
        names.push((none(), none(), none()));
    }
    names
        .into_iter()
        .map(|(repository, tag, digest)| {
            context(
                image,
                &repository,
                &tag,
                if by_digest { &digest } else { "<none>" },
                truncate,
            )
        })
        .collect()
}

fn context(
    image: &ImageSummary,
    repository: &str,
    tag: &str,
    digest: &str,
    truncate: bool,
) -> Value {
    let size = |bytes: i64| {
        if bytes == -1 {
            "N/A".to_owned()
        } else {
            types::units::human_size(bytes, 3)
        }
    };
    let unique = if image.shared_size == -1 {
        -1
    } else {
        image.size - image.shared_size
    };
    let containers = if image.containers == -1 {
        "N/A".to_owned()
    } else {
        image.containers.to_string()
    };
    row(vec![
        ("Repository", Value::text(repository)),
        ("Tag", Value::text(tag)),
        ("Digest", Value::text(digest)),
        (
            "ID",
            Value::text(if truncate {
                short_id(&image.id)
            } else {
                &image.id
            }),
        ),
        ("CreatedSince", Value::text(time::ago(image.created))),
        ("CreatedAt", Value::text(time::go_time(image.created))),
        ("Size", Value::text(size(image.size))),
        ("Containers", Value::text(containers)),
        (
            "VirtualSize",
            Value::text(types::units::human_size(image.size, 4)),
        ),
        ("SharedSize", Value::text(size(image.shared_size))),
        ("UniqueSize", Value::text(size(unique))),
    ])
}

/// `rmi`
pub(crate) fn remove(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    refuse_platform(parsed)?;
    let force = parsed.is_set("force");
    let query = Query::default()
        .with_flag("force", force)
        .with_flag("noprune", parsed.is_set("no-prune"))
        .render();
    let mut failed = Vec::new();
    let mut fatal = false;
    for name in &parsed.args {
        let path = format!("/images/{}{query}", escape_path(name));
        match session
            .client
            .delete(&path)
            .and_then(|bytes| parse::<Vec<ImageDelete>>(&bytes))
        {
            Ok(rows) => {
                let lines: String = rows.iter().map(deleted_line).collect();
                session.print(&lines)?;
            }
            Err(error @ Error::NoDaemon { .. }) => return Err(error),
            Err(error) => {
                fatal |= !error.is_not_found();
                failed.push(error.to_string());
            }
        }
    }
    if failed.is_empty() {
        return Ok(0);
    }
    let text = failed.join("\n");
    if force && !fatal {
        session.warn(&text);
        return Ok(0);
    }
    Err(Error::text(text))
}

fn deleted_line(row: &ImageDelete) -> String {
    if row.deleted.is_empty() {
        format!("Untagged: {}\n", row.untagged)
    } else {
        format!("Deleted: {}\n", row.deleted)
    }
}

/// `tag`
pub(crate) fn tag(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let [source, target] = &parsed.args[..] else {
        return Ok(1);
    };
    let refuse = |error: types::reference::InvalidReference| {
        Error::text(format!(
            "Error parsing reference: {} is not a valid repository/tag: {error}",
            crate::flags::quote(target)
        ))
    };
    let reference: types::Reference = target.parse().map_err(refuse)?;
    if reference.digest().is_some() {
        return Err(Error::text(
            "refusing to create a tag with a digest reference",
        ));
    }
    let reference = reference.or_latest();
    let query = Query::default()
        .with("repo", crate::commands::commit::canonical_name(&reference))
        .with("tag", reference.tag().unwrap_or_default())
        .render();
    session
        .client
        .post(&format!("/images/{}/tag{query}", escape_path(source)))?;
    Ok(0)
}

/// `history`
pub(crate) fn history(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    refuse_platform(parsed)?;
    let path = format!("/images/{}/history", escape_path(&parsed.args[0]));
    let layers: Vec<ImageHistory> = session.client.get_json(&path)?;
    let human = parsed.is_set_or_default("human");
    let truncate = !parsed.is_set("no-trunc");
    let context = |layer: &ImageHistory| {
        let command = layer.created_by.replace('\t', " ");
        let id = if truncate {
            short_id(&layer.id)
        } else {
            &layer.id
        };
        let since = if layer.created <= i64::from(i32::MIN) {
            String::new()
        } else {
            time::ago(layer.created)
        };
        let size = if human {
            types::units::human_size(layer.size, 3)
        } else {
            layer.size.to_string()
        };
        row(vec![
            ("ID", Value::text(id)),
            ("CreatedAt", Value::text(time::rfc3339(layer.created))),
            (
                "CreatedSince",
                Value::text(if human {
                    since
                } else {
                    time::rfc3339(layer.created)
                }),
            ),
            (
                "CreatedBy",
                Value::text(if truncate {
                    ellipsis(&command, 45)
                } else {
                    command
                }),
            ),
            ("Size", Value::text(size)),
            ("Comment", Value::text(&layer.comment)),
        ])
    };
    let listing = Listing {
        headers: &[
            ("ID", "IMAGE"),
            ("CreatedSince", if human { "CREATED" } else { "CREATED AT" }),
            ("CreatedAt", "CREATED AT"),
            ("CreatedBy", "CREATED BY"),
            ("Size", "SIZE"),
            ("Comment", "COMMENT"),
        ],
        columns: &["ID", "CreatedSince", "CreatedBy", "Size", "Comment"],
        quiet: parsed.is_set("quiet").then_some("ID"),
        raw: "",
        kind: "*image.historyContext",
        complaint: "template parsing error",
        rows: layers.iter().map(context).collect(),
    };
    listing.show(session, parsed.text("format"))?;
    Ok(0)
}

/// `image prune`
pub(crate) fn prune(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let all = parsed.is_set("all");
    let warning = if all {
        "WARNING! This will remove all images without at least one container associated to them."
    } else {
        "WARNING! This will remove all dangling images."
    };
    if !parsed.is_set("force") && !confirm(session, warning)? {
        return Ok(1);
    }
    let mut filters = parsed.filters();
    filters.add("dangling", if all { "false" } else { "true" });
    let query = Query::default().with_filters(&filters).render();
    let answer: ImagesPruned = parse(&session.client.post(&format!("/images/prune{query}"))?)?;
    let mut text = String::new();
    if let Some(rows) = answer.images_deleted.filter(|rows| !rows.is_empty()) {
        text.push_str("Deleted Images:\n");
        for row in &rows {
            text.push_str(&deleted_small(row));
            text.push('\n');
        }
        text.push('\n');
    }
    text.push_str(&reclaimed(answer.space_reclaimed));
    session.print(&text)?;
    Ok(0)
}

/// A line of what was removed; Docker writes the two words small here.
pub(crate) fn deleted_small(row: &ImageDelete) -> String {
    deleted_line(row)
        .trim_end_matches('\n')
        .replacen("Untagged", "untagged", 1)
        .replacen("Deleted", "deleted", 1)
}

/// Refuses to choose one of an image's platforms: an image has one.
pub(crate) fn refuse_platform(parsed: &Parsed) -> Result<()> {
    if parsed.given("platform") {
        return Err(Error::text("--platform is not built yet"));
    }
    Ok(())
}
