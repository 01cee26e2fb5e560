//! Pure: which of a registry's addresses a path is.

use types::digest::Digest;

use super::fault::{Code, Fault};
use super::names::{Repository, Tag, Target, UploadId};

/// What a path addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// `/v2/`
    Base,
    /// `/v2/_catalog`
    Catalog,
    /// `/v2/<name>/tags/list`
    Tags(Repository),
    /// `/v2/<name>/manifests/<reference>`; the reference is checked by who uses it.
    Manifest(Repository, Result<Target, String>),
    /// `/v2/<name>/blobs/<digest>`
    Blob(Repository, Digest),
    /// `/v2/<name>/blobs/uploads/`
    Uploads(Repository),
    /// `/v2/<name>/blobs/uploads/<id>`; `None` is an id that cannot be one of ours.
    Upload(Repository, Option<UploadId>),
    /// `/v2/<name>/referrers/<digest>`
    Referrers(Repository, Digest),
    /// `/token`
    Token,
    /// `/v1/_ping`
    Ping,
    /// `/v1/search`
    Search,
    /// `/healthz`
    Health,
    /// `/metrics`
    Metrics,
    /// `/`: the page of all repositories.
    Front,
    /// `/r/<name>`: the page of one repository.
    Page(Repository),
}

/// Reads a path whose escapes are decoded.
pub(crate) fn parse(path: &str) -> Result<Route, Fault> {
    let route = match path {
        "/v2" | "/v2/" => Route::Base,
        "/v2/_catalog" => Route::Catalog,
        "/" => Route::Front,
        "/token" => Route::Token,
        "/v1/_ping" => Route::Ping,
        "/v1/search" => Route::Search,
        "/healthz" => Route::Health,
        "/metrics" => Route::Metrics,
        _ => {
            if let Some(name) = path.strip_prefix("/r/") {
                return repository(name).map(Route::Page);
            }
            let rest = path.strip_prefix("/v2/").ok_or_else(not_found)?;
            return of_repository(rest);
        }
    };
    Ok(route)
}

/// Names may hold any word of an address, so a path is read from its end.
fn of_repository(rest: &str) -> Result<Route, Fault> {
    let (head, last) = rest.rsplit_once('/').ok_or_else(not_found)?;
    let (name, kind) = head.rsplit_once('/').ok_or_else(not_found)?;
    match (kind, last) {
        ("tags", "list") => repository(name).map(Route::Tags),
        ("manifests", reference) => {
            let target = target(reference).ok_or_else(|| reference.to_owned());
            Ok(Route::Manifest(repository(name)?, target))
        }
        ("referrers", digest) => Ok(Route::Referrers(repository(name)?, parse_digest(digest)?)),
        ("uploads", id) if name.ends_with("/blobs") => {
            let name = name.strip_suffix("/blobs").unwrap_or_default();
            let name = repository(name)?;
            Ok(match id {
                "" => Route::Uploads(name),
                id => Route::Upload(name, id.parse().ok()),
            })
        }
        ("blobs", "uploads") => repository(name).map(Route::Uploads),
        ("blobs", digest) => Ok(Route::Blob(repository(name)?, parse_digest(digest)?)),
        _ => Err(not_found()),
    }
}

/// Reads a digest that a client names.
pub(crate) fn parse_digest(text: &str) -> Result<Digest, Fault> {
    text.parse()
        .map_err(|_| Fault::new(Code::DigestInvalid, format!("invalid digest {text:?}")))
}

fn target(reference: &str) -> Option<Target> {
    if reference.contains(':') {
        return reference.parse().ok().map(Target::Digest);
    }
    reference.parse::<Tag>().ok().map(Target::Tag)
}

fn repository(name: &str) -> Result<Repository, Fault> {
    name.parse().map_err(|_| {
        Fault::new(
            Code::NameInvalid,
            format!("invalid repository name {name:?}"),
        )
    })
}

fn not_found() -> Fault {
    Fault::new(Code::NotFound, "no such page")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Repository {
        text.parse().unwrap()
    }

    #[test]
    fn a_path_is_read_from_its_end() {
        let digest = Digest::of(b"x");
        let id = UploadId::of_random([1; 16]);
        let tag = |text: &str| Ok(Target::Tag(text.parse().unwrap()));
        let cases = [
            ("/v2/".to_owned(), Route::Base),
            ("/v2/a/b/tags/list".to_owned(), Route::Tags(name("a/b"))),
            (
                "/v2/tags/list/tags/list".to_owned(),
                Route::Tags(name("tags/list")),
            ),
            (
                "/v2/a/blobs/uploads/manifests/list".to_owned(),
                Route::Manifest(name("a/blobs/uploads"), tag("list")),
            ),
            (
                format!("/v2/a/manifests/{digest}"),
                Route::Manifest(name("a"), Ok(Target::Digest(digest))),
            ),
            (
                "/v2/a/manifests/.x".to_owned(),
                Route::Manifest(name("a"), Err(".x".to_owned())),
            ),
            (
                format!("/v2/a/blobs/{digest}"),
                Route::Blob(name("a"), digest),
            ),
            ("/v2/a/blobs/uploads/".to_owned(), Route::Uploads(name("a"))),
            ("/v2/a/blobs/uploads".to_owned(), Route::Uploads(name("a"))),
            (
                format!("/v2/a/blobs/uploads/{id}"),
                Route::Upload(name("a"), Some(id)),
            ),
            (
                "/v2/a/blobs/uploads/nonsense".to_owned(),
                Route::Upload(name("a"), None),
            ),
            (
                format!("/v2/a/referrers/{digest}"),
                Route::Referrers(name("a"), digest),
            ),
        ];
        for (path, route) in cases {
            assert_eq!(parse(&path), Ok(route), "{path}");
        }
    }

    #[test]
    fn a_bad_path_says_what_is_bad() {
        for (path, code) in [
            ("/v3/", Code::NotFound),
            ("/v2/a", Code::NotFound),
            ("/v2/a/tags", Code::NotFound),
            ("/v2//tags/list", Code::NameInvalid),
            ("/v2/A/tags/list", Code::NameInvalid),
            ("/v2/a/../b/tags/list", Code::NameInvalid),
            ("/v2/a/blobs/sha256:../x", Code::NotFound),
            ("/v2/a/blobs/sha256:12", Code::DigestInvalid),
            (
                "/v2/a/blobs/md5:d41d8cd98f00b204e9800998ecf8427e",
                Code::DigestInvalid,
            ),
            ("/v2/a/referrers/latest", Code::DigestInvalid),
        ] {
            assert_eq!(parse(path).unwrap_err().code, code, "{path}");
        }
    }
}
