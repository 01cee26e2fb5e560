//! `HEAD`, `GET` and `PUT /containers/{id}/archive`: files of a container as an archive.

use api::container::PathStat;
use base64::Engine as _;
use sys::dir::Kind;

use super::image::upload;
use crate::body::{self, Body};
use crate::error::Failure;
use crate::request::{Answer, Request, Result};

/// Returns the path that the client asks for.
fn path(request: &Request) -> Result<String> {
    match request.query.get("path") {
        "" => Err(Failure::bad_request("missing parameter: path")),
        path => Ok(path.to_owned()),
    }
}

/// Describes an object as the header does: JSON in base64.
async fn described(request: &Request, path: &str) -> Result<String> {
    let found = request.engine.path_stat(&request.name, path).await?;
    let stat = found.stat;
    let moment = jiff::Timestamp::from_second(stat.modified.seconds).unwrap_or_default();
    let document = PathStat {
        name: found.name,
        size: i64::try_from(stat.size).unwrap_or(i64::MAX),
        mode: go_mode(stat.kind, stat.mode),
        mtime: moment.to_string(),
        link_target: found.target,
    };
    let text = serde_json::to_vec(&document)
        .expect("API documents have string keys and no failing serializer");
    Ok(base64::engine::general_purpose::STANDARD.encode(text))
}

/// A mode in Go's bits (os.FileMode).
fn go_mode(kind: Kind, mode: u32) -> u32 {
    let kind = match kind {
        Kind::File => 0,
        Kind::Directory => 1 << 31,
        Kind::Symlink => 1 << 27,
        Kind::BlockDevice => 1 << 26,
        Kind::CharDevice => 1 << 26 | 1 << 21,
        Kind::Fifo => 1 << 25,
        Kind::Socket => 1 << 24,
    };
    let special = [(0o4000, 1 << 23), (0o2000, 1 << 22), (0o1000, 1 << 20)];
    let special = special.into_iter().filter(|(bit, _)| mode & bit != 0);
    special.fold(kind | (mode & 0o777), |all, (_, bit)| all | bit)
}

pub(crate) async fn stat(request: Request) -> Result {
    let path = path(&request)?;
    let stat = described(&request, &path).await?;
    Ok(Answer::Archive(stat, Body::empty()))
}

pub(crate) async fn get(request: Request) -> Result {
    let path = path(&request)?;
    let stat = described(&request, &path).await?;
    let (engine, name) = (request.engine, request.name);
    let body = body::file(|to| async move { engine.copy_from(&name, &path, to).await }).await?;
    Ok(Answer::Archive(stat, body))
}

pub(crate) async fn put(request: Request) -> Result {
    let path = path(&request)?;
    let to_user = request.query.is_on("copyUIDGID");
    let input = upload(request.body);
    let engine = request.engine;
    engine.copy_to(&request.name, &path, input, to_user).await?;
    Ok(Answer::Empty(hyper::StatusCode::OK))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_in_go_s_bits() {
        for (kind, mode, wanted) in [
            (Kind::File, 0o644, 0o644),
            (Kind::File, 0o4755, 1 << 23 | 0o755),
            (Kind::Directory, 0o1777, 1 << 31 | 1 << 20 | 0o777),
            (Kind::Symlink, 0o777, 1 << 27 | 0o777),
        ] {
            assert_eq!(go_mode(kind, mode), wanted, "{kind:?} {mode:o}");
        }
    }
}
