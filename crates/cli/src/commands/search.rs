//! `search`: what an index has under a word.

use api::image::ImageFound;

use crate::client::parse;
use crate::commands::ps::ellipsis;
use crate::credentials;
use crate::error::Result;
use crate::flags::Parsed;
use crate::format::value::Value;
use crate::format::{Listing, row};
use crate::http::Query;
use crate::session::Session;

/// Letters of a description that fit.
const DESCRIPTION: usize = 45;

/// `search`
pub(crate) fn search(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let term = &parsed.args[0];
    let query = Query::default()
        .with_filters(&parsed.filters())
        .with_text("limit", parsed.text("limit"))
        .with("term", term.as_str())
        .render();
    let registry = match term.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
        _ => "docker.io",
    };
    let shown = credentials::header(&session.config, registry)?;
    let path = format!("/images/search{query}");
    let mut response = session
        .client
        .stream_shown("GET", &path, shown.as_deref())?;
    let found: Vec<ImageFound> = parse(&response.read_all()?)?;
    session.client.recycle(response);
    let whole = parsed.is_set("no-trunc");
    let shown = |one: &ImageFound| {
        let plain = one.description.replace(['\n', '\r'], " ");
        let description = if whole {
            plain
        } else {
            ellipsis(&plain, DESCRIPTION)
        };
        let official = if one.is_official { "[OK]" } else { "" };
        row(vec![
            ("Name", Value::text(&one.name)),
            ("Description", Value::text(description)),
            ("StarCount", Value::text(one.star_count.to_string())),
            ("IsOfficial", Value::text(official)),
            ("IsAutomated", Value::text("")),
        ])
    };
    let listing = Listing {
        headers: &[
            ("Name", "NAME"),
            ("Description", "DESCRIPTION"),
            ("StarCount", "STARS"),
            ("IsOfficial", "OFFICIAL"),
            ("IsAutomated", "AUTOMATED"),
        ],
        columns: &["Name", "Description", "StarCount", "IsOfficial"],
        quiet: None,
        raw: "",
        kind: "*search.searchContext",
        complaint: "template parsing error",
        rows: found.iter().map(shown).collect(),
    };
    listing.show(session, parsed.text("format"))?;
    Ok(0)
}
