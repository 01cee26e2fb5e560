//! What is not the specification's: pages for people, search, health, numbers.

use serde_json::json;
use types::digest::Digest;

use crate::server::{MANIFEST, Server, descriptor, refused};

#[test]
fn pages_for_people() {
    let server = Server::start();
    let page = server.get("/");
    assert!(page.is(200).text().contains("Nothing here yet."));
    let document = server.image("team/app", "v1", "layer");
    server.put("team/app", "v2", &document).is(201);
    let page = server.get("/").text();
    assert!(
        page.contains("<a href=\"/r/team/app\">team/app</a>"),
        "{page}"
    );
    let reply = server.get("/r/team/app");
    let page = reply.is(200).text();
    let short = crate::server::digest(&document).short();
    let layer = Digest::of(b"layer").short();
    for part in [
        "<td>v1</td>",
        "<td>v2</td>",
        &short,
        &layer,
        "5 B",
        "docker pull engine/team/app",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("<script"), "{page}");
    assert_eq!(
        reply.header("Content-Type"),
        Some("text/html; charset=utf-8")
    );
    assert!(
        reply
            .header("Content-Security-Policy")
            .unwrap()
            .contains("default-src 'none'")
    );
    refused(&server.get("/r/no/such"), 404, "NAME_UNKNOWN");
    // A hostile name for us does not become a part of the page.
    let bytes = b"GET /r/team/app HTTP/1.1\r\nHost: <script>\r\nConnection: close\r\n\r\n";
    assert!(!server.exchange(bytes).text().contains("<script"));
    // Nor does what is in a manifest.
    server.blob("x", b"{}");
    let mut entry = descriptor(MANIFEST, b"");
    entry["platform"] = json!({"os": "<script>", "architecture": "\"'"});
    let mut image = crate::server::image(&[]);
    image["platform"] = entry["platform"].clone();
    server.put("x", "a", &image).is(201);
    let child = descriptor(MANIFEST, image.to_string().as_bytes());
    let mut entry = child.clone();
    entry["platform"] = json!({"os": "<script>", "architecture": "a"});
    let index =
        json!({"schemaVersion": 2, "mediaType": crate::server::INDEX, "manifests": [entry]});
    server.put("x", "b", &index).is(201);
    let page = server.get("/r/x").is(200).text();
    assert!(
        page.contains("&lt;script&gt;/a") && !page.contains("<script"),
        "{page}"
    );
}

#[test]
fn a_page_has_a_next_one() {
    let server = Server::start();
    let document = server.image("a", "t0", "layer");
    for number in 1..4 {
        server.put("a", &format!("t{number}"), &document).is(201);
    }
    let page = server.get("/r/a?n=2").text();
    assert!(
        page.contains("<a rel=\"next\" href=\"/r/a?n=2&amp;last=t1\">"),
        "{page}"
    );
    let page = server.get("/r/a?n=2&last=t1").text();
    assert!(
        page.contains("t3") && !page.contains("rel=\"next\""),
        "{page}"
    );
}

#[test]
fn search() {
    let server = Server::start();
    for repository in ["app", "team/app", "apple", "other"] {
        server.blob(repository, b"x");
    }
    let ping = server.get("/v1/_ping");
    assert_eq!(
        ping.is(200).header("X-Docker-Registry-Standalone"),
        Some("true")
    );
    let found = |query: &str| {
        let results = server.get(&format!("/v1/search{query}")).is(200).json()["results"].clone();
        let names = results
            .as_array()
            .unwrap()
            .iter()
            .map(|r| r["name"].clone());
        json!(names.collect::<Vec<_>>())
    };
    assert_eq!(found("?q=app"), json!(["app", "apple", "team/app"]));
    assert_eq!(found("?q=app&n=1"), json!(["app"]));
    assert_eq!(found("?q=nothing"), json!([]));
    assert_eq!(found("?q=APP"), json!(["app", "apple", "team/app"]));
}

#[test]
fn health_and_numbers() {
    let server = Server::start();
    assert_eq!(
        server.get("/healthz").is(200).json(),
        json!({"status": "ok"})
    );
    server.image("a", "latest", "layer");
    server.get("/v2/a/manifests/latest").is(200);
    server.get("/v2/a/manifests/nothing").is(404);
    let page = server.get("/metrics").is(200).text();
    for line in [
        "wharf_registry_requests_total{method=\"GET\",status=\"4xx\"} 1",
        "wharf_registry_received_bytes_total 7",
        "wharf_registry_requests_in_flight 1",
    ] {
        assert!(page.lines().any(|known| known == line), "{line}: {page}");
    }
}
