//! What no honest client sends: right codes, and nothing outside the root.

use crate::server::{Server, refused};

#[test]
fn names_that_are_none() {
    let server = Server::start();
    let long = "a".repeat(256);
    for name in [
        "A", "a..b", "../x", "a/../b", ".a", "-a", "a_", "a%00b", "%2e%2e/x", &long,
    ] {
        let uploads = format!("/v2/{name}/blobs/uploads/");
        refused(&server.ask("POST", &uploads, &[], b""), 400, "NAME_INVALID");
        let tags = format!("/v2/{name}/tags/list");
        refused(&server.get(&tags), 404, "NAME_INVALID");
        let manifest = format!("/v2/{name}/manifests/x");
        refused(
            &server.ask("PUT", &manifest, &[], b"{}"),
            400,
            "NAME_INVALID",
        );
    }
    assert!(!std::path::Path::new(&server.dir.at("x")).exists());
}

#[test]
fn tags_that_are_none() {
    let server = Server::start();
    let long = "a".repeat(129);
    for tag in [".x", "-x", "a%2Fb", "%20", "a+b", &long] {
        let path = format!("/v2/a/manifests/{tag}");
        let reply = server.ask("PUT", &path, &[], b"{}");
        assert!(matches!(reply.status, 400 | 404), "{tag}: {}", reply.head);
        server.get(&path).is(404);
    }
    for digest in ["sha256:12", "sha512:12", "md5:12", "a:b"] {
        let path = format!("/v2/a/manifests/{digest}");
        refused(&server.ask("PUT", &path, &[], b"{}"), 400, "DIGEST_INVALID");
    }
}

#[test]
fn cve_2024_3727_digests_that_are_none() {
    let server = Server::start();
    server.blob("a", b"x");
    let hex = "0".repeat(64);
    for digest in [
        format!("sha256:{}", "A".repeat(64)),
        format!("sha256:{}", &hex[1..]),
        format!("sha256:{hex}0"),
        format!("SHA256:{hex}"),
        format!("md5:{}", "0".repeat(32)),
        format!("sha512:{}", "0".repeat(128)),
        "sha256:".to_owned(),
        hex,
        "x".to_owned(),
    ] {
        let path = format!("/v2/a/blobs/{digest}");
        refused(&server.get(&path), 400, "DIGEST_INVALID");
        refused(
            &server.ask("DELETE", &path, &[], b""),
            400,
            "DIGEST_INVALID",
        );
        let at = server.begin("a");
        let reply = server.ask("PUT", &format!("{at}?digest={digest}"), &[], b"x");
        refused(&reply, 400, "DIGEST_INVALID");
    }
    for climbing in ["sha256:../x", "sha256:..%2F..%2Fetc%2Fpasswd"] {
        let reply = server.get(&format!("/v2/a/blobs/{climbing}"));
        assert!(matches!(reply.status, 400 | 404), "{}", reply.head);
    }
}

#[test]
fn cve_2026_35172_deleted_here_is_gone_here() {
    let server = Server::start();
    let digest = server.blob("a", b"shared");
    server.blob("b", b"shared");
    let path = format!("/v2/a/blobs/{digest}");
    server.get(&path).is(200);
    server.ask("DELETE", &path, &[], b"").is(202);
    server.get(&path).is(404);
    server.ask("HEAD", &path, &[], b"").is(404);
    server.get(&format!("/v2/b/blobs/{digest}")).is(200);
}

#[test]
fn addresses_and_methods() {
    let server = Server::start();
    for path in ["/v3/", "/v2/a", "/v2/a/b", "/nothing", "/v2/a/tags/other"] {
        refused(&server.get(path), 404, "NOT_FOUND");
    }
    for (method, path) in [
        ("POST", "/v2/a/manifests/x"),
        ("PATCH", "/v2/a/tags/list"),
        ("PUT", "/v2/_catalog"),
        ("GET", "/v2/a/blobs/uploads/"),
        ("OPTIONS", "/v2/"),
        ("BREW", "/v2/"),
    ] {
        let reply = server.ask(method, path, &[], b"");
        refused(&reply, 405, "UNSUPPORTED");
        assert!(reply.header("Allow").is_some(), "{method} {path}");
    }
    for id in ["x", "..", "00000000-0000-4000-8000-000000000000", "%2e%2e"] {
        let reply = server.get(&format!("/v2/a/blobs/uploads/{id}"));
        refused(&reply, 404, "BLOB_UPLOAD_UNKNOWN");
    }
}

#[test]
fn heads_have_a_limit() {
    let server = Server::start();
    let long = format!(
        "GET /v2/ HTTP/1.1\r\nHost: x\r\nA: {}\r\n\r\n",
        "x".repeat(1 << 20)
    );
    let reply = server.exchange(long.as_bytes());
    assert!(matches!(reply.status, 400 | 431), "{}", reply.head);
    let many = format!(
        "GET /v2/ HTTP/1.1\r\nHost: x\r\n{}\r\n",
        "A: b\r\n".repeat(200)
    );
    let reply = server.exchange(many.as_bytes());
    assert!(matches!(reply.status, 400 | 431), "{}", reply.head);
    let smuggled = "POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\
         Content-Length: 2\r\n\r\nab";
    server.exchange(smuggled.as_bytes()).is(400);
    // It serves on.
    server.get("/v2/").is(200);
}

#[test]
fn a_blob_has_the_limit_that_was_set() {
    let server = Server::with("blob-max = 1000");
    server.blob("l", &[1; 1000]);
    let at = server.begin("l");
    let reply = server.ask("PATCH", &at, &[], &[1; 1001]);
    refused(&reply, 413, "SIZE_INVALID");
    // Nothing of what was too much stays.
    assert_eq!(server.get(&at).is(204).header("Range"), Some("0-0"));
}
