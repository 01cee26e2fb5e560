//! Blobs: pulled, pushed at once and in chunks, mounted, removed.

use testkit::http::Reply;
use types::digest::Digest;

use crate::server::{Server, location, refused};

/// "A GET request to an existing blob URL MUST provide the expected blob, with a response code that
/// MUST be 200 OK"; "HEAD … MUST return 200 OK"; "not found … MUST be 404 Not Found".
#[test]
fn pull_and_check() {
    let server = Server::start();
    let content = vec![7; 300_000];
    let digest = server.blob("a/b", &content);
    let path = format!("/v2/a/b/blobs/{digest}");
    let reply = server.get(&path);
    assert!(reply.is(200).body == content);
    assert_eq!(
        reply.header("Docker-Content-Digest"),
        Some(&*digest.to_string())
    );
    let head = server.ask("HEAD", &path, &[], b"");
    assert_eq!(head.is(200).header("Content-Length"), Some("300000"));
    assert_eq!(
        head.header("Docker-Content-Digest"),
        Some(&*digest.to_string())
    );
    assert!(head.body.is_empty());
    let other = Digest::of(b"other");
    for path in [
        format!("/v2/a/b/blobs/{other}"),
        format!("/v2/no/blobs/{digest}"),
    ] {
        refused(&server.get(&path), 404, "BLOB_UNKNOWN");
        server.ask("HEAD", &path, &[], b"").is(404);
    }
    // An empty blob is one as well.
    let empty = server.blob("a/b", b"");
    let reply = server.get(&format!("/v2/a/b/blobs/{empty}"));
    assert_eq!(reply.is(200).header("Content-Length"), Some("0"));
}

#[test]
fn ranges() {
    let server = Server::start();
    let digest = server.blob("r", b"0123456789");
    let path = format!("/v2/r/blobs/{digest}");
    for (range, status, said, body) in [
        ("bytes=0-3", 206, "bytes 0-3/10", "0123"),
        ("bytes=4-", 206, "bytes 4-9/10", "456789"),
        ("bytes=-2", 206, "bytes 8-9/10", "89"),
        ("bytes=9-100", 206, "bytes 9-9/10", "9"),
        ("bytes=10-", 416, "bytes */10", ""),
        ("bytes=-0", 416, "bytes */10", ""),
        ("bytes=5-2", 200, "", "0123456789"),
        ("bytes=0-1,3-4", 200, "", "0123456789"),
        ("bytes=x-y", 200, "", "0123456789"),
    ] {
        let reply = server.ask("GET", &path, &[&format!("Range: {range}")], b"");
        reply.is(status);
        assert_eq!(
            reply.header("Content-Range").unwrap_or_default(),
            said,
            "{range}"
        );
        if status == 416 {
            refused(&reply, 416, "RANGE_INVALID");
        } else {
            assert_eq!(reply.text(), body, "{range}");
            assert_eq!(reply.header("Accept-Ranges"), Some("bytes"));
        }
    }
    // What the client has of another content is not gone on with.
    let stale = ["Range: bytes=4-", "If-Range: \"other\""];
    assert_eq!(
        server.ask("GET", &path, &stale, b"").is(200).text(),
        "0123456789"
    );
    let fresh = ["Range: bytes=4-", &format!("If-Range: \"{digest}\"")];
    assert_eq!(
        server.ask("GET", &path, &fresh, b"").is(206).text(),
        "456789"
    );
    let known = format!("If-None-Match: \"{digest}\"");
    server.ask("GET", &path, &[&known], b"").is(304);
}

/// "Upon success, the response MUST have a code of 202 Accepted, and MUST include … Location"; "The
/// location MUST contain a UUID"; then "MUST have code 201 Created and MUST have … Location".
#[test]
fn post_then_put() {
    let server = Server::start();
    let at = server.begin("a");
    let id = at.rsplit('/').next().unwrap();
    let shape: Vec<usize> = id.split('-').map(str::len).collect();
    assert_eq!(shape, [8, 4, 4, 4, 12]);
    let digest = Digest::of(b"content");
    let reply = server.ask("PUT", &format!("{at}?digest={digest}"), &[], b"content");
    assert_eq!(
        server.get(&location(reply.is(201))).is(200).text(),
        "content"
    );
    // The session is closed.
    refused(&server.get(&at), 404, "BLOB_UPLOAD_UNKNOWN");
}

/// "Successful completion of the request MUST return a 201 Created and MUST include … Location"; "the
/// digest MUST match the blob's digest".
#[test]
fn single_post() {
    let server = Server::start();
    let digest = Digest::of(b"at once");
    let path = format!("/v2/a/blobs/uploads/?digest={digest}");
    let reply = server.ask("POST", &path, &[], b"at once");
    assert_eq!(
        server.get(&location(reply.is(201))).is(200).text(),
        "at once"
    );
    refused(
        &server.ask("POST", &path, &[], b"another"),
        400,
        "DIGEST_INVALID",
    );
    let bad = server.ask("POST", "/v2/a/blobs/uploads/?digest=md5:00", &[], b"x");
    refused(&bad, 400, "DIGEST_INVALID");
}

#[track_caller]
fn patch(server: &Server, at: &str, range: &str, body: &[u8]) -> Reply {
    let range = format!("Content-Range: {range}");
    server.ask("PATCH", at, &[&range], body)
}

/// "Each successful chunk upload MUST have a 202 Accepted response code, and MUST have … Location,
/// Range"; "out of order … MUST respond with a 416"; "active upload … MUST be a 204 … MUST have
/// Location, Range"; "closing … MUST be 201 Created, and MUST contain Location".
#[test]
fn chunks() {
    let server = Server::start();
    let content = b"0123456789";
    let digest = Digest::of(content);
    // The last chunk in the closing PUT, or before it.
    for last in [true, false] {
        let at = server.begin("c");
        let reply = patch(&server, &at, "0-3", &content[..4]);
        assert_eq!(reply.is(202).header("Range"), Some("0-3"));
        let at = location(&reply);
        for out_of_order in ["0-3", "5-6", "3-6", "nonsense", "bytes 4-6/10", "6-4"] {
            let reply = patch(&server, &at, out_of_order, &content[4..7]);
            refused(&reply, 416, "RANGE_INVALID");
            assert_eq!(reply.header("Range"), Some("0-3"), "{out_of_order}");
            assert!(reply.header("Location").is_some());
        }
        let reply = server.get(&at);
        assert_eq!(reply.is(204).header("Range"), Some("0-3"));
        let reply = patch(&server, &location(&reply), "4-6", &content[4..7]);
        assert_eq!(reply.is(202).header("Range"), Some("0-6"));
        let at = location(&reply);
        let reply = if last {
            let path = format!("{at}?digest={digest}");
            let late = ["Content-Range: 3-9"];
            server.ask("PUT", &path, &late, &content[3..]).is(416);
            server.ask("PUT", &path, &["Content-Range: 7-9"], &content[7..])
        } else {
            // Without a range it goes on where the last one ended, as Docker's client does it.
            server.ask("PATCH", &at, &[], &content[7..]).is(202);
            server.ask("PUT", &format!("{at}?digest={digest}"), &[], b"")
        };
        assert_eq!(server.get(&location(reply.is(201))).is(200).body, content);
    }
}

#[test]
fn a_chunk_is_as_long_as_it_says() {
    let server = Server::start();
    let at = server.begin("c");
    refused(&patch(&server, &at, "0-9", b"four"), 400, "SIZE_INVALID");
    // Nothing of it stays, nor of one whose length is known only at its end.
    let chunked = format!(
        "PATCH {at} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Range: 0-1\r\n\
         Transfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n0\r\n\r\n"
    );
    refused(&server.exchange(chunked.as_bytes()), 400, "SIZE_INVALID");
    patch(&server, &at, "0-3", b"four").is(202);
    let digest = Digest::of(b"four");
    server
        .ask("PUT", &format!("{at}?digest={digest}"), &[], b"")
        .is(201);
}

#[test]
fn what_breaks_off_goes_on() {
    use std::io::Write as _;
    let server = Server::start();
    let at = server.begin("c");
    let content = vec![3; 200_000];
    let mut stream = std::net::TcpStream::connect(server.addr).unwrap();
    let head = format!("PATCH {at} HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&content[..150_000]).unwrap();
    drop(stream);
    let came = testkit::eventually("what came is kept", || {
        let range = server.get(&at).header("Range")?.to_owned();
        let last: usize = range.strip_prefix("0-")?.parse().ok()?;
        (last == 149_999).then_some(last + 1)
    });
    let range = format!("{came}-199999");
    patch(&server, &at, &range, &content[came..]).is(202);
    let digest = Digest::of(&content);
    let reply = server.ask("PUT", &format!("{at}?digest={digest}"), &[], b"");
    assert!(server.get(&location(reply.is(201))).is(200).body == content);
}

#[test]
fn a_cancelled_upload_is_gone() {
    let server = Server::start();
    let at = server.begin("c");
    server.ask("PATCH", &at, &[], b"some").is(202);
    server.ask("DELETE", &at, &[], b"").is(204);
    for method in ["GET", "PATCH", "DELETE"] {
        refused(
            &server.ask(method, &at, &[], b""),
            404,
            "BLOB_UPLOAD_UNKNOWN",
        );
    }
    let left = std::fs::read_dir(server.dir.at("root/uploads")).unwrap();
    assert_eq!(left.count(), 0);
}

#[test]
fn a_wrong_digest_leaves_nothing() {
    let server = Server::start();
    let wrong = Digest::of(b"wrong");
    let at = server.begin("w");
    let reply = server.ask("PUT", &format!("{at}?digest={wrong}"), &[], b"right");
    refused(&reply, 400, "DIGEST_INVALID");
    for digest in [wrong, Digest::of(b"right")] {
        server.get(&format!("/v2/w/blobs/{digest}")).is(404);
    }
    let at = server.begin("w");
    refused(
        &server.ask("PUT", &at, &[], b"right"),
        400,
        "DIGEST_INVALID",
    );
}

/// "The response to a successful mount MUST be 201 Created, and MUST contain … Location"; else 202.
#[test]
fn mount() {
    let server = Server::start();
    let digest = server.blob("from", b"shared");
    let path = |digest: &str, from: &str| format!("/v2/to/blobs/uploads/?mount={digest}{from}");
    let reply = server.ask("POST", &path(&digest.to_string(), "&from=from"), &[], b"");
    assert_eq!(location(reply.is(201)), format!("/v2/to/blobs/{digest}"));
    assert_eq!(server.get(&location(&reply)).is(200).text(), "shared");
    let other = Digest::of(b"other").to_string();
    let known = digest.to_string();
    for (digest, from) in [
        (other.as_str(), "&from=from"),
        (&known, "&from=nobody"),
        (&known, "&from=../from"),
        (&known, ""),
        ("nonsense", "&from=from"),
    ] {
        let reply = server.ask("POST", &path(digest, from), &[], b"");
        let at = location(reply.is(202));
        server.get(&at).is(204);
    }
}

/// "Upon success, the registry MUST respond with code 202 Accepted. If the blob is not found, a 404
/// MUST be returned"; "disabled … MUST respond with either a 400 … or a 405".
#[test]
fn delete() {
    let server = Server::start();
    let digest = server.blob("d", b"content");
    server.blob("other", b"content");
    let path = format!("/v2/d/blobs/{digest}");
    server.ask("DELETE", &path, &[], b"").is(202);
    refused(&server.get(&path), 404, "BLOB_UNKNOWN");
    refused(&server.ask("DELETE", &path, &[], b""), 404, "BLOB_UNKNOWN");
    server.get(&format!("/v2/other/blobs/{digest}")).is(200);
    // It can be put again.
    server.blob("d", b"content");
    server.get(&path).is(200);
}

#[test]
fn one_repository_does_not_see_anothers() {
    let server = Server::start();
    let digest = server.blob("mine", b"secret");
    refused(
        &server.get(&format!("/v2/yours/blobs/{digest}")),
        404,
        "BLOB_UNKNOWN",
    );
    let at = server.begin("mine");
    let theirs = at.replace("/mine/", "/yours/");
    for method in ["GET", "PATCH", "PUT", "DELETE"] {
        let path = format!("{theirs}?digest={digest}");
        refused(
            &server.ask(method, &path, &[], b""),
            404,
            "BLOB_UPLOAD_UNKNOWN",
        );
    }
    server.get(&at).is(204);
}
