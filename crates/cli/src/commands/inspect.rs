//! `inspect`: objects as the daemon describes them, or through a template.

use crate::commands::container_path;
use crate::error::{Error, Result};
use crate::flags::Parsed;
use crate::format::template::{Over, Template};
use crate::format::unescape;
use crate::format::value::{Value, indent};
use crate::http::{Query, escape_path};
use crate::session::Session;

/// The kinds of objects, in the order in which `inspect` without `--type` asks for them.
const KINDS: [&str; 6] = ["container", "image", "network", "volume", "service", "task"];

/// `inspect`
pub(crate) fn any(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let wanted = parsed.text("type");
    let known = [
        "config",
        "container",
        "image",
        "network",
        "node",
        "plugin",
        "secret",
        "service",
        "task",
        "volume",
    ];
    if parsed.given("type") && wanted.is_empty() {
        return Err(Error::text(
            "type is empty: must be one of \"config\", \"container\", \"image\", \"network\", \"node\", \"plugin\", \"secret\", \"service\", \"task\", \"volume\"",
        ));
    }
    if !wanted.is_empty() && !known.contains(&wanted) {
        return Err(Error::text(format!(
            "unknown type: {}: must be one of \"config\", \"container\", \"image\", \"network\", \"node\", \"plugin\", \"secret\", \"service\", \"task\", \"volume\"",
            crate::flags::quote(wanted)
        )));
    }
    let size = parsed.is_set("size");
    if !wanted.is_empty() {
        let wanted = wanted.to_owned();
        return show(
            session,
            parsed.text("format"),
            &parsed.args,
            |session, name| fetch(session, &wanted, name, size),
        );
    }
    show(
        session,
        parsed.text("format"),
        &parsed.args,
        |session, name| {
            for kind in KINDS {
                match fetch(session, kind, name, size) {
                    Err(Error::Daemon { status, message })
                        if status == 404
                            || status == 501
                            || message.contains("not a swarm manager") => {}
                    result => return result,
                }
            }
            Err(Error::text(format!("Error: No such object: {name}")))
        },
    )
}

/// `container inspect`
pub(crate) fn containers(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let size = parsed.is_set("size");
    show(
        session,
        parsed.text("format"),
        &parsed.args,
        |session, name| fetch(session, "container", name, size),
    )
}

/// `image inspect`
pub(crate) fn images(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    super::images::refuse_platform(parsed)?;
    show(
        session,
        parsed.text("format"),
        &parsed.args,
        |session, name| fetch(session, "image", name, false),
    )
}

/// `network inspect`
pub(crate) fn networks(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    show(
        session,
        parsed.text("format"),
        &parsed.args,
        |session, name| fetch(session, "network", name, false),
    )
}

/// `volume inspect`
pub(crate) fn volumes(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    show(
        session,
        parsed.text("format"),
        &parsed.args,
        |session, name| fetch(session, "volume", name, false),
    )
}

fn fetch(session: &mut Session, kind: &str, name: &str, size: bool) -> Result<Vec<u8>> {
    if name.trim().is_empty() {
        return Err(match kind {
            "container" => Error::text("invalid container name or ID: value is empty"),
            _ => Error::text(format!("Error: No such {kind}: {name}")),
        });
    }
    let escaped = escape_path(name);
    let path = match kind {
        "container" => {
            let query = Query::default().with_flag("size", size).render();
            container_path(name, &format!("/json{query}"))
        }
        "image" => format!("/images/{escaped}/json"),
        "network" => format!("/networks/{escaped}"),
        "volume" => format!("/volumes/{escaped}"),
        "plugin" => format!("/plugins/{escaped}/json"),
        kind => format!("/{kind}s/{escaped}"),
    };
    session.client.get(&path)
}

/// Shows each named object as `fetch` returns it.
pub(crate) fn show(
    session: &mut Session,
    format: &str,
    names: &[String],
    mut fetch: impl FnMut(&mut Session, &str) -> Result<Vec<u8>>,
) -> Result<i32> {
    let parse_error = |error: String| Error::Exit {
        text: format!("template parsing error: {error}"),
        code: 64,
    };
    let template = match format {
        "" | "json" => None,
        text => Some(Template::parse(&unescape(text)).map_err(parse_error)?),
    };
    let mut found: Vec<Vec<u8>> = Vec::new();
    let mut failed = Vec::new();
    for name in names {
        match fetch(session, name) {
            Ok(bytes) => found.push(bytes),
            Err(error @ Error::NoDaemon { .. }) => return Err(error),
            Err(error) => failed.push(error.to_string()),
        }
    }
    let text = if let Some(template) = &template {
        through(session, template, &found)?
    } else {
        let parts: Vec<String> = found
            .iter()
            .map(|bytes| String::from_utf8_lossy(bytes).trim().to_owned())
            .collect();
        let array = format!("[{}]", parts.join(","));
        (if format == "json" {
            array
        } else {
            indent(&array)
        }) + "\n"
    };
    session.print(&text)?;
    if failed.is_empty() {
        return Ok(0);
    }
    Err(Error::text(failed.join("\n")))
}

/// Returns the objects as a template shows them.
fn through(session: &mut Session, template: &Template, found: &[Vec<u8>]) -> Result<String> {
    let mut text = String::new();
    for bytes in found {
        let value: Value = crate::client::parse(bytes)?;
        let line = template.execute(&value, Over::Document);
        if line.is_err() {
            session.print("\n")?;
        }
        let complain = |error| Error::text(format!("template parsing error: {error}"));
        text.push_str(&(line.map_err(complain)? + "\n"));
    }
    if found.is_empty() {
        text.push('\n');
    }
    Ok(text)
}
