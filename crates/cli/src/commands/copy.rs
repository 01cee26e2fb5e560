//! `cp`: files between a container and this machine.

use std::ffi::OsString;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use api::container::PathStat;
use base64::Engine as _;

use crate::commands::container_path;
use crate::error::{Error, Result, go_text};
use crate::flags::{Parsed, quote};
use crate::http::{Head, Query};
use crate::local_tree::{self, Counted};
use crate::session::Session;
use crate::stream::is_terminal;
use archive::{Owners, Rename};

/// Go's bits of a file mode.
const GO_DIRECTORY: u32 = 1 << 31;
const GO_SYMLINK: u32 = 1 << 27;

/// `cp`
pub(crate) fn copy(session: &mut Session, parsed: &Parsed) -> Result<i32> {
    let [from, to] = &parsed.args[..] else {
        return Ok(1);
    };
    match (split(from), split(to)) {
        ((Some(_), _), (Some(_), _)) => {
            Err(Error::text("copying between containers is not supported"))
        }
        ((Some(container), path), (None, local)) => {
            from_container(session, parsed, container, path, local)
        }
        ((None, local), (Some(container), path)) => {
            to_container(session, parsed, local, container, path)
        }
        ((None, _), (None, _)) => Err(Error::text("must specify at least one container source")),
    }
}

/// Splits `CONTAINER:PATH`; a path that looks local has no container.
fn split(text: &str) -> (Option<&str>, &str) {
    if text.starts_with(['/', '.']) {
        return (None, text);
    }
    match text.split_once(':') {
        Some((container, path)) if !container.is_empty() => (Some(container), path),
        _ => (None, text),
    }
}

fn path_stat(head: &Head) -> Result<PathStat> {
    let text = head
        .header("X-Docker-Container-Path-Stat")
        .unwrap_or_default();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(text)
        .map_err(|error| {
            Error::text(format!(
                "unable to decode container path stat header: {error}"
            ))
        })?;
    crate::client::parse(&bytes)
}

fn archive_path(container: &str, path: &str) -> String {
    let query = Query::default().with("path", path).render();
    container_path(container, &format!("/archive{query}"))
}

fn from_container(
    session: &mut Session,
    parsed: &Parsed,
    container: &str,
    path: &str,
    local: &str,
) -> Result<i32> {
    let mut source = path.to_owned();
    let mut rebase = None;
    if parsed.is_set("follow-link")
        && let Ok(head) = session.client.head(&archive_path(container, path))
    {
        let stat = path_stat(&head.head)?;
        session.client.recycle(head);
        if stat.mode & GO_SYMLINK != 0 {
            rebase = Path::new(path).file_name().map(OsString::from);
            source = linked(path, &stat.link_target);
        }
    }
    if local != "-" {
        check_parent(local)?;
    }
    let response = session
        .client
        .stream("GET", &archive_path(container, &source))?;
    let stat = path_stat(&response.head)?;
    let mut content = Counted {
        inner: response,
        count: 0,
    };
    if local == "-" {
        let mut out = std::io::stdout().lock();
        std::io::copy(&mut content, &mut out)?;
        out.flush()?;
        return Ok(0);
    }
    let (directory, rename) = placed(local, stat.mode & GO_DIRECTORY != 0, rebase)?;
    let root = sys::dir::Dir::open(&directory)?;
    let owners = if parsed.is_set("archive") {
        Owners::Archive
    } else {
        Owners::Unpacker
    };
    archive::unpack(&mut content, &root, &rename, owners)
        .map_err(|error| Error::text(chain(&error)))?;
    // The padding behind the end mark belongs to what was copied.
    std::io::copy(&mut content, &mut std::io::sink())?;
    report(parsed, content.count, local);
    Ok(0)
}

/// An error with its cause.
fn chain(error: &archive::Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// Decides where an archive is unpacked and what its top is called then.
fn placed(local: &str, source_is_dir: bool, rebase: Option<OsString>) -> Result<(PathBuf, Rename)> {
    let path = Path::new(local);
    if local_tree::is_directory(path) {
        return Ok((path.to_owned(), rebase.map_or(Rename::Keep, Rename::To)));
    }
    let exists = path.symlink_metadata().is_ok();
    if exists && source_is_dir {
        return Err(Error::text("cannot copy directory"));
    }
    if !exists && !source_is_dir && local.ends_with('/') {
        return Err(Error::text("no such directory"));
    }
    // A link to a file stands for that file.
    let path = if exists {
        path.canonicalize()?
    } else {
        path.to_owned()
    };
    let name = path.file_name().map(OsString::from);
    let name = name.ok_or_else(|| Error::text(format!("invalid output path: {local}")))?;
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    Ok((
        parent.unwrap_or(Path::new(".")).to_owned(),
        Rename::To(name),
    ))
}

fn check_parent(local: &str) -> Result<()> {
    let parent = Path::new(local.trim_end_matches('/')).parent();
    let parent = parent
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    if local_tree::is_directory(parent) {
        return Ok(());
    }
    let shown = std::path::absolute(parent)?;
    let shown = quote(&shown.to_string_lossy());
    Err(Error::text(format!(
        "invalid output path: directory {shown} does not exist"
    )))
}

/// Returns where a link in a container leads.
fn linked(path: &str, target: &str) -> String {
    if target.starts_with('/') {
        return target.to_owned();
    }
    let parent = Path::new(path).parent().unwrap_or(Path::new("/"));
    parent.join(target).to_string_lossy().into_owned()
}

fn to_container(
    session: &mut Session,
    parsed: &Parsed,
    local: &str,
    container: &str,
    path: &str,
) -> Result<i32> {
    let mut target = path.to_owned();
    let mut stat = stat_in(session, container, &target)?;
    if let Some(link) = stat.as_ref().filter(|stat| stat.mode & GO_SYMLINK != 0) {
        target = linked(&target, &link.link_target);
        stat = stat_in(session, container, &target)?;
    }
    let exists = stat.is_some();
    let is_dir = stat.is_some_and(|stat| stat.mode & GO_DIRECTORY != 0);
    if local == "-" {
        if !is_dir {
            let shown = quote(&format!("{container}:{path}"));
            return Err(Error::text(format!(
                "destination {shown} must be a directory"
            )));
        }
        let url = put_path(parsed, container, &target);
        let mut from = std::io::stdin().lock();
        let response = session
            .client
            .upload("PUT", &url, "application/x-tar", &mut from)?;
        session.client.recycle(response);
        return Ok(0);
    }
    let source = local_source(local, parsed.is_set("follow-link"))?;
    let (directory, name) = if is_dir {
        (target.clone(), source.name.clone())
    } else {
        if exists && source.is_dir {
            return Err(Error::text("cannot copy directory"));
        }
        if !exists && !source.is_dir && target.ends_with('/') {
            return Err(Error::text("no such directory"));
        }
        let trimmed = target.trim_end_matches('/');
        let (parent, name) = trimmed.rsplit_once('/').unwrap_or(("", trimmed));
        let parent = if parent.is_empty() { "/" } else { parent };
        (parent.to_owned(), OsString::from(name))
    };
    let url = put_path(parsed, container, &directory);
    let mut count = 0;
    let mut produce = |to: &mut dyn Write| {
        count = local_tree::pack(&source.path, &name, source.follow, to)
            .map_err(|error| std::io::Error::other(error.to_string()))?;
        Ok(())
    };
    let response = session
        .client
        .produce("PUT", &url, "application/x-tar", &mut produce)?;
    session.client.recycle(response);
    report(parsed, count, &format!("{container}:{path}"));
    Ok(0)
}

fn put_path(parsed: &Parsed, container: &str, directory: &str) -> String {
    let mut query = Query::default()
        .with("path", directory)
        .with("noOverwriteDirNonDir", "true");
    if parsed.is_set("archive") {
        query = query.with("copyUIDGID", "true");
    }
    container_path(container, &format!("/archive{}", query.render()))
}

/// Returns what is known of a path in a container; nothing if it is not there.
fn stat_in(session: &mut Session, container: &str, path: &str) -> Result<Option<PathStat>> {
    match session.client.head(&archive_path(container, path)) {
        Ok(response) => {
            let stat = path_stat(&response.head)?;
            session.client.recycle(response);
            Ok(Some(stat))
        }
        Err(Error::Daemon { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A local file or tree to be sent.
struct Source {
    path: PathBuf,
    /// Its name in the archive; empty = only what is in it.
    name: OsString,
    is_dir: bool,
    follow: bool,
}

fn local_source(local: &str, follow: bool) -> Result<Source> {
    let content_only = local.ends_with("/.") || local == "." || local.ends_with("/./");
    let path = std::path::absolute(local)?;
    let metadata = if follow || local.ends_with('/') || content_only {
        path.metadata()
    } else {
        path.symlink_metadata()
    };
    let metadata = metadata.map_err(|error| {
        if error.kind() == std::io::ErrorKind::NotADirectory {
            return Error::text("not a directory");
        }
        let parent = path
            .parent()
            .unwrap_or(Path::new("/"))
            .display()
            .to_string();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Error::text(format!("lstat {parent}/{name}: {}", go_text(&error)))
    })?;
    if !metadata.is_dir() && (local.ends_with('/') || content_only) {
        return Err(Error::text("not a directory"));
    }
    let name = if content_only {
        OsString::new()
    } else {
        OsString::from(path.file_name().unwrap_or_default())
    };
    Ok(Source {
        is_dir: metadata.is_dir(),
        path,
        name,
        follow: follow || content_only,
    })
}

/// Says what was copied, to people only.
fn report(parsed: &Parsed, bytes: u64, to: &str) {
    let quiet = if parsed.given("quiet") {
        parsed.is_set("quiet")
    } else {
        !is_terminal(std::io::stdout().as_fd())
    };
    if !quiet {
        let size = types::units::human_size(i64::try_from(bytes).unwrap_or(i64::MAX), 3);
        crate::session::warn(&format!("Successfully copied {size} to {to}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_side_is_the_container_s() {
        for (text, container, path) in [
            ("c:/x", Some("c"), "/x"),
            ("c:", Some("c"), ""),
            ("./c:x", None, "./c:x"),
            ("/c:x", None, "/c:x"),
            ("x", None, "x"),
            (":x", None, ":x"),
            ("-", None, "-"),
        ] {
            assert_eq!(split(text), (container, path));
        }
        assert_eq!(linked("/a/b", "c"), "/a/c");
        assert_eq!(linked("/a/b", "/c"), "/c");
    }
}
