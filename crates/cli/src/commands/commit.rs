//! `commit`: a container's files as an image.

use api::exec::IdResponse;

use crate::client::parse;
use crate::error::{Error, Result};
use crate::flags::Parsed;
use crate::http::Query;
use crate::session::Session;

/// `commit`
pub(crate) fn commit(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let (repo, tag) = match parsed.args.get(1) {
        Some(text) => repository_and_tag(text)?,
        None => (String::new(), String::new()),
    };
    let pause = parsed.is_set_or_default("pause");
    let mut query = Query::default()
        .with("author", parsed.text("author"))
        .with("comment", parsed.text("message"))
        .with("container", parsed.args[0].as_str())
        .with("repo", repo)
        .with("tag", tag);
    for change in parsed.all("change") {
        query = query.with("changes", change);
    }
    if !pause {
        query = query.with("pause", "0");
    }
    let answer = session.client.post(&format!("/commit{}", query.render()))?;
    session.line(&parse::<IdResponse>(&answer)?.id)?;
    Ok(0)
}

/// Splits a reference for the queries that take both parts.
pub(crate) fn repository_and_tag(text: &str) -> Result<(String, String)> {
    let reference: types::Reference = text
        .parse()
        .map_err(|error| Error::text(format!("{error}")))?;
    let reference = if reference.digest().is_some() {
        reference
    } else {
        reference.or_latest()
    };
    Ok((
        canonical_name(&reference),
        reference.tag().unwrap_or_default().to_owned(),
    ))
}

/// Returns a reference's name in full, as the daemon is told it.
pub(crate) fn canonical_name(reference: &types::Reference) -> String {
    format!("{}/{}", reference.registry(), reference.repository())
}
