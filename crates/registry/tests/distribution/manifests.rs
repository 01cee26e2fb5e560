//! Manifests: pulled, pushed, and removed.

use serde_json::json;
use types::digest::Digest;

use crate::server::{
    CONFIG, INDEX, LAYER, MANIFEST, Server, descriptor, digest, image, location, refused,
};

/// "A GET request to an existing manifest URL MUST provide the expected manifest, … MUST be 200 OK";
/// "If the manifest is not found in the repository, the response code MUST be 404 Not Found"; "An
/// attempt to pull a nonexistent repository MUST return response code 404 Not Found".
#[test]
fn pull_and_check() {
    let server = Server::start();
    let document = server.image("a/b", "latest", "layer");
    let digest = digest(&document);
    for reference in ["latest", &digest.to_string()] {
        let path = format!("/v2/a/b/manifests/{reference}");
        for round in 0..2 {
            let reply = server.get(&path);
            assert_eq!(reply.is(200).text(), document.to_string(), "{round}");
            assert_eq!(reply.header("Content-Type"), Some(MANIFEST));
            assert_eq!(
                reply.header("Docker-Content-Digest"),
                Some(&*digest.to_string())
            );
        }
        let head = server.ask("HEAD", &path, &[], b"");
        let length = document.to_string().len().to_string();
        assert_eq!(head.is(200).header("Content-Length"), Some(&*length));
        assert_eq!(head.header("Content-Type"), Some(MANIFEST));
        assert_eq!(
            head.header("Docker-Content-Digest"),
            Some(&*digest.to_string())
        );
        assert!(head.body.is_empty());
        let known = format!("If-None-Match: \"{digest}\"");
        server.ask("GET", &path, &[&known], b"").is(304);
    }
    let other = Digest::of(b"other").to_string();
    for path in [
        "a/b/manifests/no",
        "no/manifests/latest",
        "a/b/manifests/.bad",
    ] {
        refused(&server.get(&format!("/v2/{path}")), 404, "MANIFEST_UNKNOWN");
        server.ask("HEAD", &format!("/v2/{path}"), &[], b"").is(404);
    }
    server.get(&format!("/v2/a/b/manifests/{other}")).is(404);
}

/// "The registry MUST store the manifest in the exact byte representation provided by the client";
/// "MUST return response code 201 Created, and MUST have … Location"; "MUST be equal to the client
/// provided digest".
#[test]
fn exact_bytes() {
    let server = Server::start();
    server.blob("e", b"{}");
    server.blob("e", b"l");
    let spaced = format!("\n {}\t\n", image(&["l"]).to_string().replace(',', " ,\n"));
    let digest = Digest::of(spaced.as_bytes());
    let kind = format!("Content-Type: {MANIFEST}; charset=utf-8");
    for reference in ["tag".to_owned(), digest.to_string()] {
        let path = format!("/v2/e/manifests/{reference}");
        let reply = server.ask("PUT", &path, &[&kind], spaced.as_bytes());
        assert_eq!(
            reply.is(201).header("Docker-Content-Digest"),
            Some(&*digest.to_string())
        );
        let pulled = server.get(&location(&reply));
        assert_eq!(pulled.is(200).text(), spaced);
        assert_eq!(pulled.header("Content-Type"), Some(MANIFEST));
    }
    let wrong = Digest::of(b"wrong");
    let path = format!("/v2/e/manifests/{wrong}");
    let reply = server.ask("PUT", &path, &[&kind], spaced.as_bytes());
    refused(&reply, 400, "DIGEST_INVALID");
}

/// "When a manifest is rejected for this reason, it MUST result in one or more MANIFEST_BLOB_UNKNOWN
/// errors"; "the list of blobs MAY be empty".
#[test]
fn what_a_manifest_needs() {
    let server = Server::start();
    let document = image(&["one", "two"]);
    server.blob("n", b"one");
    let reply = server.put("n", "latest", &document);
    refused(&reply, 400, "MANIFEST_BLOB_UNKNOWN");
    let errors = reply.json()["errors"].as_array().unwrap().clone();
    let missing: Vec<_> = errors
        .iter()
        .map(|e| e["detail"]["digest"].clone())
        .collect();
    let expected = [Digest::of(b"{}"), Digest::of(b"two")];
    assert_eq!(missing, expected.map(|digest| json!(digest.to_string())));
    server.get("/v2/n/manifests/latest").is(404);
    // A blob of another repository is none of this one.
    server.blob("other", b"{}");
    server.blob("other", b"two");
    refused(
        &server.put("n", "latest", &document),
        400,
        "MANIFEST_BLOB_UNKNOWN",
    );
    server.blob("n", b"{}");
    server.blob("n", b"two");
    server.put("n", "latest", &document).is(201);
    server.put("n", "empty", &image(&[])).is(201);
    // Layers that stay with their publisher need not be here.
    let mut foreign = image(&[]);
    let kind = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
    foreign["layers"] = json!([descriptor(kind, b"elsewhere")]);
    server.put("n", "foreign", &foreign).is(201);
}

#[test]
fn an_index_holds_its_platforms() {
    let server = Server::start();
    let (one, two) = (image(&["one"]), image(&["two"]));
    let mut entries = Vec::new();
    for (document, layer, arch) in [(&one, "one", "amd64"), (&two, "two", "arm64")] {
        server.blob("i", b"{}");
        server.blob("i", layer.as_bytes());
        let mut entry = descriptor(MANIFEST, document.to_string().as_bytes());
        entry["platform"] = json!({"os": "linux", "architecture": arch});
        entries.push(entry);
    }
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries});
    server.put("i", &digest(&one).to_string(), &one).is(201);
    refused(
        &server.put("i", "latest", &index),
        400,
        "MANIFEST_BLOB_UNKNOWN",
    );
    server.put("i", &digest(&two).to_string(), &two).is(201);
    server.put("i", "latest", &index).is(201);
    let reply = server.get("/v2/i/manifests/latest");
    assert_eq!(reply.is(200).header("Content-Type"), Some(INDEX));
    for child in [&one, &two] {
        let path = format!("/v2/i/manifests/{}", digest(child));
        assert_eq!(server.get(&path).is(200).text(), child.to_string());
    }
}

#[test]
fn a_tag_moves_at_once() {
    let server = Server::start();
    let first = server.image("t", "latest", "one");
    assert_eq!(
        server.get("/v2/t/manifests/latest").text(),
        first.to_string()
    );
    let second = server.image("t", "latest", "two");
    assert_eq!(
        server.get("/v2/t/manifests/latest").text(),
        second.to_string()
    );
    let old = format!("/v2/t/manifests/{}", digest(&first));
    assert_eq!(server.get(&old).is(200).text(), first.to_string());
}

/// "A registry MUST initially accept an otherwise valid manifest with a subject field that references
/// a manifest that does not exist"; "MUST respond with the response header OCI-Subject".
#[test]
fn a_subject_need_not_be_there() {
    let server = Server::start();
    server.blob("s", b"{}");
    let mut document = image(&[]);
    document["subject"] = descriptor(MANIFEST, b"not here");
    let subject = Digest::of(b"not here").to_string();
    for reference in ["tag".to_owned(), digest(&document).to_string()] {
        let reply = server.put("s", &reference, &document);
        assert_eq!(reply.is(201).header("OCI-Subject"), Some(&*subject));
    }
    assert_eq!(
        server
            .put("s", "plain", &image(&[]))
            .is(201)
            .header("OCI-Subject"),
        None
    );
    let mut index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": []});
    index["subject"] = document["subject"].clone();
    let reply = server.put("s", "index", &index);
    assert_eq!(reply.is(201).header("OCI-Subject"), Some(&*subject));
}

/// "Upon success, the registry MUST respond with a 202 Accepted code. … a GET … will return a 404."
#[test]
fn delete_a_tag() {
    let server = Server::start();
    let document = server.image("d", "one", "layer");
    server.put("d", "two", &document).is(201);
    server.get("/v2/d/manifests/one").is(200);
    server
        .ask("DELETE", "/v2/d/manifests/one", &[], b"")
        .is(202);
    refused(&server.get("/v2/d/manifests/one"), 404, "MANIFEST_UNKNOWN");
    let again = server.ask("DELETE", "/v2/d/manifests/one", &[], b"");
    refused(&again, 404, "MANIFEST_UNKNOWN");
    server.get("/v2/d/manifests/two").is(200);
    server
        .get(&format!("/v2/d/manifests/{}", digest(&document)))
        .is(200);
}

/// "… a GET to the digest and any tag pointing to that digest will return a 404"; "If the repository
/// does not exist, the response MUST return 404 Not Found".
#[test]
fn delete_a_manifest() {
    let server = Server::start();
    let document = server.image("d", "one", "layer");
    server.put("d", "two", &document).is(201);
    let other = server.image("d", "other", "another");
    let path = format!("/v2/d/manifests/{}", digest(&document));
    for path in [path.as_str(), "/v2/d/manifests/one", "/v2/d/manifests/two"] {
        server.get(path).is(200);
    }
    server.ask("DELETE", &path, &[], b"").is(202);
    for path in [path.as_str(), "/v2/d/manifests/one", "/v2/d/manifests/two"] {
        refused(&server.get(path), 404, "MANIFEST_UNKNOWN");
    }
    refused(
        &server.ask("DELETE", &path, &[], b""),
        404,
        "MANIFEST_UNKNOWN",
    );
    let nowhere = format!("/v2/nowhere/manifests/{}", digest(&other));
    server.ask("DELETE", &nowhere, &[], b"").is(404);
    assert_eq!(
        server.get("/v2/d/tags/list").json()["tags"],
        json!(["other"])
    );
    // And it can be put again.
    server.put("d", "one", &document).is(201);
    server.get(&path).is(200);
}

/// "If … deletion is disabled, the registry MUST respond with either a 400 … or a 405" (and
/// CVE-2026-41888: for each of the three).
#[test]
fn cve_2026_41888_delete_is_off() {
    let server = Server::with("delete = false");
    let document = server.image("d", "tag", "layer");
    let (manifest, layer) = (digest(&document), Digest::of(b"layer"));
    for path in [
        "/v2/d/manifests/tag".to_owned(),
        format!("/v2/d/manifests/{manifest}"),
        format!("/v2/d/blobs/{layer}"),
    ] {
        refused(&server.ask("DELETE", &path, &[], b""), 405, "UNSUPPORTED");
        server.get(&path).is(200);
    }
}

#[test]
fn cve_2021_41190_what_a_manifest_calls_itself() {
    let server = Server::start();
    server.blob("m", b"{}");
    let document = image(&[]);
    let body = document.to_string();
    let put = |kind: &str, body: &str| {
        let kind = format!("Content-Type: {kind}");
        server.ask("PUT", "/v2/m/manifests/x", &[&kind], body.as_bytes())
    };
    let mut both = document.clone();
    both["manifests"] = json!([]);
    for (kind, body) in [
        (INDEX, body.as_str()),
        (MANIFEST, &both.to_string()),
        (
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
            "{}",
        ),
        ("text/html", r#"{"schemaVersion":2}"#),
        (MANIFEST, "{"),
        (MANIFEST, "[]"),
        (MANIFEST, ""),
    ] {
        refused(&put(kind, body), 400, "MANIFEST_INVALID");
    }
    server.get("/v2/m/manifests/x").is(404);
    // Types of somebody else are kept as they are.
    let own = r#"{"schemaVersion":2,"mediaType":"application/vnd.example.own+json"}"#;
    put("application/vnd.example.own+json", own).is(201);
    let reply = server.get("/v2/m/manifests/x");
    assert_eq!(
        reply.header("Content-Type"),
        Some("application/vnd.example.own+json")
    );
    assert_eq!(reply.header("X-Content-Type-Options"), Some("nosniff"));
}

/// "A registry that enforces this limit SHOULD respond … 413"; "at least 4 megabytes".
#[test]
fn cve_2017_11468_a_manifest_has_a_limit() {
    let server = Server::start();
    server.blob("l", b"{}");
    let mut document = image(&[]);
    let rest = document.to_string().len() + r#""annotations":{"k":""},"#.len();
    document["annotations"] = json!({"k": "x".repeat((4 << 20) - rest)});
    assert_eq!(document.to_string().len(), 4 << 20);
    server.put("l", "large", &document).is(201);
    let reply = server.get("/v2/l/manifests/large");
    assert!(reply.is(200).body == document.to_string().as_bytes());
    document["annotations"]["more"] = json!("x");
    refused(
        &server.put("l", "larger", &document),
        413,
        "MANIFEST_INVALID",
    );
    // Also when it does not say how long it is.
    let mut endless = b"PUT /v2/l/manifests/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
        Transfer-Encoding: chunked\r\n\r\n"
        .to_vec();
    for _ in 0..5 {
        endless.extend_from_slice(b"100000\r\n");
        endless.extend_from_slice(&vec![b' '; 1 << 20]);
        endless.extend_from_slice(b"\r\n");
    }
    refused(&server.exchange(&endless), 413, "MANIFEST_INVALID");
}

#[test]
fn all_compressions_are_only_bytes() {
    let server = Server::start();
    server.blob("z", b"{}");
    for kind in [
        LAYER,
        "application/vnd.oci.image.layer.v1.tar+zstd",
        "application/x",
    ] {
        let content = format!("content of {kind}");
        server.blob("z", content.as_bytes());
        let mut document = image(&[]);
        document["config"] = descriptor(CONFIG, b"{}");
        document["layers"] = json!([descriptor(kind, content.as_bytes())]);
        server.put("z", "latest", &document).is(201);
        let pulled = server.get("/v2/z/manifests/latest").is(200).text();
        assert_eq!(pulled, document.to_string());
    }
}
