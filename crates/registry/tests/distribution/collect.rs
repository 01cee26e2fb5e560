//! Garbage goes while the registry serves, and nothing else; quotas are kept.

use std::time::{Duration, Instant};

use testkit::eventually;
use types::digest::Digest;

use crate::server::{Server, digest, image, refused};

const OFTEN: &str = "[collect]\ninterval = 1\ngrace = 1\n";

/// Tells whether content lies in the root.
fn lies(server: &Server, digest: Digest) -> bool {
    let hex = digest.hex();
    let path = server
        .dir
        .at(&format!("root/blobs/sha256/{}/{hex}", &hex[..2]));
    std::path::Path::new(&path).exists()
}

#[test]
fn what_nobody_needs_goes() {
    let server = Server::with(OFTEN);
    let kept = server.image("kept", "latest", "layer");
    let untagged = image(&["layer", "untagged"]);
    server.blob("kept", b"untagged");
    server
        .put("kept", &digest(&untagged).to_string(), &untagged)
        .is(201);
    let loose = server.blob("loose", b"nobody refers to it");
    let gone = server.image("gone", "latest", "another");
    let path = format!("/v2/gone/manifests/{}", digest(&gone));
    server.ask("DELETE", &path, &[], b"").is(202);
    eventually("the garbage is gone", || {
        let garbage = [loose, digest(&gone), Digest::of(b"another")];
        (!garbage.iter().any(|digest| lies(&server, *digest))).then_some(())
    });
    server.get(&format!("/v2/loose/blobs/{loose}")).is(404);
    // Repositories that hold nothing are gone too.
    eventually("the empty repositories are gone", || {
        let seen = server.get("/v2/_catalog").json()["repositories"].clone();
        (seen == serde_json::json!(["kept"])).then_some(())
    });
    for content in ["{}", "layer", "untagged"] {
        let path = format!("/v2/kept/blobs/{}", Digest::of(content.as_bytes()));
        assert_eq!(server.get(&path).is(200).text(), content);
    }
    for document in [&kept, &untagged] {
        let path = format!("/v2/kept/manifests/{}", digest(document));
        server.get(&path).is(200);
    }
}

#[test]
fn untagged_manifests_go_where_that_was_said() {
    use serde_json::json;
    let server = Server::with(&format!("{OFTEN}untagged = true\n"));
    let kept = server.image("r", "latest", "layer");
    // An index's platforms and what refers to it stay with it.
    let child = image(&["layer", "layer"]);
    server.put("r", &digest(&child).to_string(), &child).is(201);
    let kind = crate::server::MANIFEST;
    let entry = crate::server::descriptor(kind, child.to_string().as_bytes());
    let index =
        json!({"schemaVersion": 2, "mediaType": crate::server::INDEX, "manifests": [entry]});
    server.put("r", "index", &index).is(201);
    let mut signature = image(&[]);
    signature["subject"] = crate::server::descriptor(kind, kept.to_string().as_bytes());
    server
        .put("r", &digest(&signature).to_string(), &signature)
        .is(201);
    let lost = image(&[]);
    server.put("r", &digest(&lost).to_string(), &lost).is(201);
    let path = |document| format!("/v2/r/manifests/{}", digest(document));
    eventually("what no tag leads to is gone", || {
        (server.get(&path(&lost)).status == 404).then_some(())
    });
    for document in [&kept, &child, &index, &signature] {
        server.get(&path(document)).is(200);
    }
}

#[test]
fn pushes_go_on_while_it_collects() {
    let server = Server::with(OFTEN);
    let end = Instant::now() + Duration::from_secs(5);
    let mut number = 0;
    while Instant::now() < end {
        // The same layer is referred to and let go again and again, from many repositories.
        let repository = format!("r{}", number % 3);
        let own = format!("own {number}");
        server.blob(&repository, b"shared");
        server.blob(&repository, own.as_bytes());
        server.blob(&repository, b"{}");
        let document = image(&["shared", &own]);
        server.put(&repository, "latest", &document).is(201);
        for layer in ["shared", own.as_str(), "{}"] {
            let path = format!("/v2/{repository}/blobs/{}", Digest::of(layer.as_bytes()));
            assert_eq!(server.get(&path).is(200).text(), layer);
        }
        let path = format!("/v2/{repository}/manifests/{}", digest(&document));
        if number % 2 == 0 {
            server.ask("DELETE", &path, &[], b"").is(202);
        }
        number += 1;
    }
    let page = server.get("/metrics").text();
    let collected = page
        .lines()
        .find(|l| l.starts_with("wharf_registry_collected_total "));
    assert!(!collected.unwrap().ends_with(" 0"), "{page}");
}

#[test]
fn an_upload_that_rests_is_dropped() {
    let server = Server::with("upload-age = 1");
    let at = server.begin("a");
    server.ask("PATCH", &at, &[], b"some").is(202);
    eventually("it is gone", || {
        let left = std::fs::read_dir(server.dir.at("root/uploads")).ok()?;
        (left.count() == 0).then_some(())
    });
    refused(&server.get(&at), 404, "BLOB_UPLOAD_UNKNOWN");
}

#[test]
fn quotas() {
    let server = Server::with("[quota]\ntotal = 2000\nrepository = 1000\n");
    server.blob("a", &[1; 600]);
    let at = server.begin("a");
    let digest = Digest::of(&[2; 600]);
    let reply = server.ask("PUT", &format!("{at}?digest={digest}"), &[], &[2; 600]);
    refused(&reply, 413, "SIZE_INVALID");
    server.blob("a", &[3; 400]);
    server.blob("b", &[1; 600]);
    server.blob("c", &[4; 1000]);
    let mount = format!(
        "/v2/b/blobs/uploads/?mount={}&from=c",
        Digest::of(&[4; 1000])
    );
    refused(&server.ask("POST", &mount, &[], b""), 403, "DENIED");
    let at = server.begin("d");
    refused(&server.ask("PATCH", &at, &[], b"x"), 413, "SIZE_INVALID");
}
