//! A cache of another registry: fetched once, given out also when the origin is gone.

use serde_json::json;
use types::digest::Digest;

use crate::server::{Server, digest, location, refused};

fn cache(origin: &Server, keep: u64) -> Server {
    let addr = origin.addr;
    Server::with(&format!(
        "[upstream]\nregistry = \"{addr}\"\nkeep = {keep}\n"
    ))
}

#[test]
fn what_is_asked_for_is_fetched_once() {
    let origin = Server::start();
    let document = origin.image("team/app", "latest", "layer");
    let cache = cache(&origin, 3600);
    for reference in ["latest", &digest(&document).to_string()] {
        let path = format!("/v2/team/app/manifests/{reference}");
        let reply = cache.get(&path);
        assert_eq!(reply.is(200).text(), document.to_string());
        let wanted = digest(&document).to_string();
        assert_eq!(reply.header("Docker-Content-Digest"), Some(&*wanted));
    }
    let layer = format!("/v2/team/app/blobs/{}", Digest::of(b"layer"));
    assert_eq!(cache.get(&layer).is(200).text(), "layer");
    let part = cache.ask("GET", &layer, &["Range: bytes=1-2"], b"");
    assert_eq!(part.is(206).text(), "ay");
    assert_eq!(
        cache.get("/v2/team/app/tags/list").json()["tags"],
        json!(["latest"])
    );
    refused(
        &cache.get("/v2/team/app/manifests/no"),
        404,
        "MANIFEST_UNKNOWN",
    );
    refused(
        &cache.get("/v2/no/manifests/latest"),
        404,
        "MANIFEST_UNKNOWN",
    );
    let absent = format!("/v2/team/app/blobs/{}", Digest::of(b"absent"));
    refused(&cache.get(&absent), 404, "BLOB_UNKNOWN");
    // What is here stays when the origin loses it.
    let path = format!("/v2/team/app/manifests/{}", digest(&document));
    origin.ask("DELETE", &path, &[], b"").is(202);
    origin.ask("DELETE", &layer, &[], b"").is(202);
    assert_eq!(
        cache.get("/v2/team/app/manifests/latest").is(200).text(),
        document.to_string()
    );
    assert_eq!(cache.get(&layer).is(200).text(), "layer");
    refused(
        &cache.ask("POST", "/v2/a/blobs/uploads/", &[], b""),
        405,
        "UNSUPPORTED",
    );
    refused(&cache.put("team/app", "new", &document), 405, "UNSUPPORTED");
}

#[test]
fn a_tag_is_asked_for_again() {
    let origin = Server::start();
    origin.image("a", "latest", "one");
    let cache = cache(&origin, 0);
    cache.get("/v2/a/manifests/latest").is(200);
    let second = origin.image("a", "latest", "two");
    assert_eq!(
        cache.get("/v2/a/manifests/latest").is(200).text(),
        second.to_string()
    );
    origin
        .ask("DELETE", "/v2/a/manifests/latest", &[], b"")
        .is(202);
    refused(
        &cache.get("/v2/a/manifests/latest"),
        404,
        "MANIFEST_UNKNOWN",
    );
}

#[test]
fn many_ask_for_one_blob() {
    let origin = Server::start();
    let content = vec![9; 3_000_000];
    let digest = origin.blob("a", &content);
    let cache = cache(&origin, 0);
    let path = format!("/v2/a/blobs/{digest}");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert!(cache.get(&path).is(200).body == content));
        }
    });
    let page = origin.get("/metrics").text();
    let sent = "wharf_registry_sent_bytes_total 3000000";
    assert!(page.lines().any(|line| line == sent), "{page}");
}

#[test]
fn an_origin_that_lies_or_is_away() {
    let origin = Server::start();
    let away = Server::with("[upstream]\nregistry = \"127.0.0.1:1\"\n");
    refused(&away.get("/v2/a/manifests/latest"), 502, "UNAVAILABLE");
    let absent = format!("/v2/a/blobs/{}", Digest::of(b"x"));
    refused(&away.get(&absent), 502, "UNAVAILABLE");
    // Bytes that are not those of the digest are not kept.
    let digest = origin.blob("a", b"good content");
    let hex = digest.hex();
    let place = origin
        .dir
        .at(&format!("root/blobs/sha256/{}/{hex}", &hex[..2]));
    sys::durable::replace(place.as_ref(), b"evil content", 0o600).unwrap();
    let cache = cache(&origin, 0);
    let path = format!("/v2/a/blobs/{digest}");
    let reply = cache.get(&path);
    assert!(matches!(reply.status, 400 | 502), "{}", reply.head);
    let left = std::fs::read_dir(cache.dir.at("root/uploads")).unwrap();
    assert_eq!(left.count(), 0);
    let at = location(origin.ask("POST", "/v2/a/blobs/uploads/", &[], b"").is(202));
    origin.ask("DELETE", &at, &[], b"").is(204);
}
