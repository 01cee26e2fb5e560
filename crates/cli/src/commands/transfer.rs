//! Verbs that move archives: load, import, save, export, pull, from-host.

use std::io::{Read, Write};
use std::os::fd::AsFd;

use api::image::FromHostRequest;

use crate::commands::commit::canonical_name;
use crate::commands::container_path;
use crate::credentials;
use crate::error::{Error, Result, go_text};
use crate::flags::Parsed;
use crate::http::{Query, Response, escape};
use crate::progress::{self, To};
use crate::session::Session;
use crate::stream::is_terminal;

pub(crate) const TAR: &str = "application/x-tar";

pub(crate) fn open(path: &str) -> Result<std::fs::File> {
    std::fs::File::open(path)
        .map_err(|error| Error::text(format!("open {path}: {}", go_text(&error))))
}

/// `load`
pub(crate) fn load(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let mut from: Box<dyn Read> = match parsed.text("input") {
        "" | "-" if is_terminal(std::io::stdin().as_fd()) => {
            return Err(Error::text("requested load from stdin, but stdin is empty"));
        }
        "" | "-" => Box::new(std::io::stdin().lock()),
        path => Box::new(open(path)?),
    };
    let quiet = parsed.is_set("quiet") || !is_terminal(std::io::stdout().as_fd());
    let query = Query::default()
        .with("quiet", if quiet { "1" } else { "0" })
        .render();
    let path = format!("/images/load{query}");
    let mut response = session.client.upload("POST", &path, TAR, &mut from)?;
    progress::show(&mut response, To::Stdout, false)?;
    Ok(0)
}

/// `import`
pub(crate) fn import(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let source = &parsed.args[0];
    let mut query = Query::default().with_text("message", parsed.text("message"));
    if let Some(name) = parsed.args.get(1) {
        name.parse::<types::Reference>()
            .map_err(|error| Error::text(error.to_string()))?;
        query = query.with("repo", name.as_str());
    }
    for change in parsed.all("change") {
        query = query.with("changes", change);
    }
    query = query.with_text("platform", parsed.text("platform"));
    if source.contains("://") {
        let query = query.with("fromSrc", source.as_str()).render();
        let mut response = session
            .client
            .stream("POST", &format!("/images/create{query}"))?;
        progress::show(&mut response, To::Stdout, false)?;
        return Ok(0);
    }
    let mut from: Box<dyn Read> = match source.as_str() {
        "-" => Box::new(std::io::stdin().lock()),
        path => Box::new(open(path)?),
    };
    let path = format!("/images/create{}", query.with("fromSrc", "-").render());
    let mut response = session.client.upload("POST", &path, TAR, &mut from)?;
    progress::show(&mut response, To::Stdout, false)?;
    Ok(0)
}

/// `image from-host`
pub(crate) fn from_host(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let request = FromHostRequest {
        tag: parsed.text("tag").to_owned(),
        programs: parsed.args.clone(),
    };
    let mut response = session
        .client
        .stream_json("/wharf/v1/images/from-host", &request)?;
    progress::show(&mut response, To::Stdout, false)?;
    Ok(0)
}

/// `pull`
pub(crate) fn pull(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let name = &parsed.args[0];
    let reference: types::Reference = name
        .parse()
        .map_err(|error: types::reference::InvalidReference| Error::text(error.to_string()))?;
    let all = parsed.is_set("all-tags");
    if all && (reference.tag().is_some() || reference.digest().is_some()) {
        return Err(Error::text("tag can't be used with --all-tags/-a"));
    }
    let given = reference.tag().is_some() || reference.digest().is_some();
    let reference = if all {
        reference
    } else {
        reference.or_latest()
    };
    let quiet = parsed.is_set("quiet");
    if !given && !all && !quiet {
        session.line("Using default tag: latest")?;
    }
    let tag = reference.digest().map_or_else(
        || reference.tag().unwrap_or_default().to_owned(),
        |digest| digest.to_string(),
    );
    let query = Query::default()
        .with("fromImage", canonical_name(&reference))
        .with("tag", tag)
        .with_text("platform", parsed.text("platform"))
        .render();
    let shown = credentials::header(&session.config, reference.registry())?;
    let path = format!("/images/create{query}");
    let mut response = session
        .client
        .stream_shown("POST", &path, shown.as_deref())?;
    progress::show(&mut response, To::Stdout, quiet)?;
    session.line(&reference.to_string())?;
    Ok(0)
}

/// `push`
pub(crate) fn push(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let reference: types::Reference = parsed.args[0]
        .parse()
        .map_err(|error: types::reference::InvalidReference| Error::text(error.to_string()))?;
    let all = parsed.is_set("all-tags");
    let quiet = parsed.is_set("quiet");
    if reference.digest().is_some() {
        return Err(Error::text("cannot push a digest reference"));
    }
    if all && reference.tag().is_some() {
        return Err(Error::text("tag can't be used with --all-tags/-a"));
    }
    if !all && reference.tag().is_none() && !quiet {
        session.line("Using default tag: latest")?;
    }
    let reference = if all {
        reference
    } else {
        reference.or_latest()
    };
    let query = Query::default()
        .with_text("platform", parsed.text("platform"))
        .with_text("tag", reference.tag().unwrap_or_default())
        .render();
    let shown = credentials::header(&session.config, reference.registry())?;
    let name = crate::http::escape_path(&canonical_name(&reference));
    let path = format!("/images/{name}/push{query}");
    let mut response = session
        .client
        .stream_shown("POST", &path, shown.as_deref())?;
    progress::show(&mut response, To::Stdout, quiet)?;
    if quiet {
        session.line(&reference.to_string())?;
    }
    Ok(0)
}

/// Writes an archive to a file that appears only when it is whole, or to stdout.
pub(crate) fn receive(response: &mut Response, output: &str) -> Result<()> {
    if output.is_empty() {
        let mut out = std::io::stdout().lock();
        std::io::copy(response, &mut out)?;
        out.flush()?;
        return Ok(());
    }
    let partial = format!("{output}.partial-{}", std::process::id());
    let failed = |error: std::io::Error| {
        Error::text(format!("failed to write {output}: {}", go_text(&error)))
    };
    let written = std::fs::File::create(&partial)
        .and_then(|mut file| std::io::copy(response, &mut file))
        .and_then(|_| std::fs::rename(&partial, output));
    written.map_err(|error| {
        // Nothing half-written stays; that it cannot be removed is not the news.
        drop(std::fs::remove_file(&partial));
        failed(error)
    })
}

pub(crate) fn check_output(output: &str, what: &str) -> Result<()> {
    if output.is_empty() {
        if is_terminal(std::io::stdout().as_fd()) {
            return Err(Error::text(
                "cowardly refusing to save to a terminal. Use the -o flag or redirect",
            ));
        }
        return Ok(());
    }
    let parent = std::path::Path::new(output)
        .parent()
        .unwrap_or(std::path::Path::new(""));
    if !parent.as_os_str().is_empty() && !parent.exists() {
        return Err(Error::text(format!(
            "failed to {what}: invalid output path: stat {}: no such file or directory",
            parent.display()
        )));
    }
    Ok(())
}

/// `save`
pub(crate) fn save(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let output = parsed.text("output");
    check_output(output, "save image")?;
    let names: Vec<String> = parsed
        .args
        .iter()
        .map(|name| format!("names={}", escape(name)))
        .collect();
    let path = format!("/images/get?{}", names.join("&"));
    let mut response = session.client.stream("GET", &path)?;
    receive(&mut response, output)?;
    Ok(0)
}

/// `export`
pub(crate) fn export(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let output = parsed.text("output");
    check_output(output, "export container")?;
    let path = container_path(&parsed.args[0], "/export");
    let mut response = session.client.stream("GET", &path)?;
    receive(&mut response, output)?;
    Ok(0)
}
