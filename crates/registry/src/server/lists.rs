//! Lists: tags of a repository, repositories, and who refers to a manifest.

use hyper::header;
use hyper::{Method, Response, StatusCode};
use serde_json::json;
use types::digest::Digest;

use super::answer::{self, Answer, Ask, names, put};
use super::blobs::not_allowed;
use super::body::Body;
use super::fault::{Code, Fault};
use super::manifest::{OCI_INDEX, Referrer};
use super::names::Repository;
use super::paging::{Page, Wish};
use super::query::encode;
use super::state::Registry;
use super::store::Key;

/// Longest list of referrers in one answer: what clients take for an index at least.
const REFERRERS_MAX: usize = 4 << 20;
/// Results of a search when no number is said, and at most.
const SEARCH: usize = 25;
const SEARCH_MAX: usize = 100;

/// `GET` of a repository's tags.
pub(crate) async fn tags(registry: &Registry, ask: &Ask, repository: &Repository) -> Answer {
    only_get(ask)?;
    let wish = Wish::of(&ask.query)?;
    let origin = match &registry.mirror {
        Some(mirror) => mirror.tags(repository).await,
        None => None,
    };
    let tags = match origin {
        Some(tags) => tags,
        None => registry.store.names(Key::tags(repository)).await?,
    };
    if tags.is_empty() && !exists(registry, repository).await? {
        let fault = Fault::new(Code::NameUnknown, "repository name not known to registry");
        return Err(fault.with_detail(json!({"name": repository.as_str()})));
    }
    let page = wish.page(tags, &format!("/v2/{repository}/tags/list"));
    let document = json!({"name": repository.as_str(), "tags": page.entries});
    Ok(linked(answer::json(&document), &page))
}

/// `GET` of all repositories that the asker may see.
pub(crate) async fn catalog(registry: &Registry, ask: &Ask) -> Answer {
    only_get(ask)?;
    let wish = Wish::of(&ask.query)?;
    let page = wish.page(seen(registry, ask).await?, "/v2/_catalog");
    let document = json!({"repositories": page.entries});
    Ok(linked(answer::json(&document), &page))
}

/// `GET` of `/v1/search`, as `docker search` asks it: repositories whose name holds `q`.
pub(crate) async fn search(registry: &Registry, ask: &Ask) -> Answer {
    only_get(ask)?;
    let wanted = ask.query.find("q").unwrap_or_default().to_ascii_lowercase();
    let count = ask.query.find("n").and_then(|n| n.parse().ok());
    let count = count.unwrap_or(SEARCH).min(SEARCH_MAX);
    let mut names = seen(registry, ask).await?;
    names.retain(|name| name.contains(&wanted));
    // The nearest first: what is the word, what begins with it, what holds it.
    names.sort_by_cached_key(|name| (name != &wanted, !name.starts_with(&wanted), name.clone()));
    names.truncate(count);
    let found = names.iter().map(|name| {
        json!({
            "name": name, "description": "", "star_count": 0,
            "is_official": false, "is_automated": false, "is_trusted": false,
        })
    });
    let results: Vec<_> = found.collect();
    Ok(answer::json(&json!({
        "query": wanted, "num_results": results.len(), "num_pages": 1, "page": 1,
        "page_size": count, "results": results,
    })))
}

/// Returns the names of all repositories that the asker may see.
async fn seen(registry: &Registry, ask: &Ask) -> Result<Vec<String>, Fault> {
    let mut seen = repositories(registry).await?;
    seen.retain(|repository| registry.door.may_see(&ask.who, repository));
    Ok(seen.iter().map(ToString::to_string).collect())
}

/// Returns all repositories, in no order.
pub(crate) async fn repositories(registry: &Registry) -> Result<Vec<Repository>, Fault> {
    let words = registry.store.names(Key::repositories()).await?;
    let names = words.iter().filter_map(|word| Repository::of_word(word));
    Ok(names.collect())
}

/// Tells whether anything was ever put into a repository.
pub(crate) async fn exists(registry: &Registry, repository: &Repository) -> Result<bool, Fault> {
    let below = registry.store.names(Key::repository(repository)).await?;
    Ok(!below.is_empty())
}

/// `GET` of the manifests that name `subject`; an empty list where there are none.
pub(crate) async fn referrers(
    registry: &Registry,
    ask: &Ask,
    repository: &Repository,
    subject: Digest,
) -> Answer {
    only_get(ask)?;
    let filter = ask
        .query
        .find("artifactType")
        .filter(|text| !text.is_empty());
    let last = ask.query.find("last").unwrap_or_default();
    let mut found = registry
        .store
        .names(Key::referrers(repository, subject))
        .await?;
    found.retain(|hex| hex.as_str() > last);
    found.sort();
    let mut manifests = Vec::new();
    let (mut bytes, mut next) = (0, None);
    for hex in &found {
        let Some(digest) = Digest::from_hex(hex) else {
            continue;
        };
        let key = Key::referrer(repository, subject, digest);
        let Some(text) = registry.store.read(key).await? else {
            continue;
        };
        let Ok(referrer) = serde_json::from_slice::<Referrer>(&text) else {
            continue;
        };
        if filter.is_some() && referrer.artifact_type.as_deref() != filter {
            continue;
        }
        if bytes + text.len() > REFERRERS_MAX && !manifests.is_empty() {
            next = manifests.last().map(|last: &Referrer| last.digest.hex());
            break;
        }
        bytes += text.len() + 1;
        manifests.push(referrer);
    }
    let document = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests});
    let text = document.to_string().into_bytes();
    let mut response = answer::whole(StatusCode::OK, OCI_INDEX, text);
    if filter.is_some() {
        put(&mut response, names::FILTERS, "artifactType");
    }
    if let Some(last) = next {
        let kind = filter.map(|kind| format!("&artifactType={}", encode(kind)));
        let kind = kind.unwrap_or_default();
        let link =
            format!("</v2/{repository}/referrers/{subject}?last={last}{kind}>; rel=\"next\"");
        put(&mut response, header::LINK, &link);
    }
    Ok(response)
}

fn linked(mut response: Response<Body>, page: &Page) -> Response<Body> {
    if let Some(link) = &page.link {
        put(&mut response, header::LINK, link);
    }
    response
}

/// Refuses what would change a list.
pub(crate) fn only_get(ask: &Ask) -> Result<(), Fault> {
    if matches!(ask.method, Method::GET | Method::HEAD) {
        return Ok(());
    }
    Err(not_allowed("GET, HEAD"))
}
