//! Registries that break off, lie, stall or lead astray; and what a pull makes of them.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use testkit::fake::{Asked, Fake, reply};
use testkit::{Engine, Image, Packed, Shelf, case, eventually};

fn shelf() -> Shelf {
    Shelf::new(&[Image::new(Packed::Gzip, "from the shelf").heavy(3 << 20)])
}

fn name(fake: &Fake) -> String {
    format!("{}/app:1", fake.address())
}

/// Returns what was asked of a blob.
fn of_blob(fake: &Fake, digest: &str) -> Vec<Asked> {
    let asked = fake.asked();
    asked
        .into_iter()
        .filter(|one| one.line.ends_with(digest))
        .collect()
}

/// Writes the head of a blob's answer and its first bytes.
fn begin(stream: &mut TcpStream, blob: &[u8], count: usize) {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", blob.len());
    drop(stream.write_all(head.as_bytes()));
    drop(stream.write_all(&blob[..count]));
    drop(stream.flush());
}

fn refused(e: &Engine, fake: &Fake, text: &str) {
    let output = e.cli(&["pull", &name(fake)]);
    output.exits(1);
    assert!(
        output.stderr.contains(text),
        "expected {text:?}: {output:?}"
    );
    e.get_path(&format!("/images/{}/json", name(fake))).is(404);
}

case!(a_cut_connection, |e| {
    let shelf = shelf();
    let (digest, size) = shelf.largest();
    let times = AtomicUsize::new(0);
    let big = digest.clone();
    let fake = e.fake_registry(Box::new(move |asked, stream| {
        if asked.line.ends_with(&big) && times.fetch_add(1, Ordering::SeqCst) == 0 {
            return begin(stream, shelf.blob(&big), size / 2);
        }
        shelf.answer(asked, stream);
    }));
    e.cli(&["pull", &name(&fake)]).exits(0);
    let output = e.cli(&["run", "--rm", "--network", "none", &name(&fake)]);
    assert_eq!(output.ok(), "from the shelf");
    let asked = of_blob(&fake, &digest);
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert_eq!(
        asked[1].header("range"),
        Some(format!("bytes={}-", size / 2).as_str())
    );
    e.cli(&["rmi", &name(&fake)]).exits(0);
});

case!(a_killed_daemon_goes_on_where_it_stopped, |e| {
    let shelf = shelf();
    let (digest, size) = shelf.largest();
    let times = AtomicUsize::new(0);
    let big = digest.clone();
    let fake = e.fake_registry(Box::new(move |asked, stream| {
        if asked.line.ends_with(&big) && times.fetch_add(1, Ordering::SeqCst) == 0 {
            begin(stream, shelf.blob(&big), size / 2);
            // Held open until the daemon is gone.
            let mut end = [0];
            drop(std::io::Read::read(stream, &mut end));
            return;
        }
        shelf.answer(asked, stream);
    }));
    let pull = e.spawn(&["pull", &name(&fake)]);
    let file = e
        .data_root()
        .join("ingest")
        .join(format!("blob-{}", &digest["sha256:".len()..]));
    eventually("the first half is here", || {
        let here = std::fs::metadata(&file).ok()?.len();
        (here >= 256 << 10).then_some(())
    });
    e.kill_daemon();
    drop(pull.finish());
    e.start_daemon(&[]);
    let here = std::fs::metadata(&file)
        .expect("it outlives the daemon")
        .len();
    e.cli(&["pull", &name(&fake)]).exits(0);
    let asked = of_blob(&fake, &digest);
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert_eq!(
        asked[1].header("range"),
        Some(format!("bytes={here}-").as_str())
    );
    let output = e.cli(&["run", "--rm", "--network", "none", &name(&fake)]);
    assert_eq!(output.ok(), "from the shelf");
    assert!(!file.exists());
    e.cli(&["rmi", &name(&fake)]).exits(0);
});

case!(two_pulls_share_a_layer, |e| {
    let shelf = shelf();
    let (digest, size) = shelf.largest();
    let (go, wait) = (Arc::new(AtomicUsize::new(0)), size);
    let (big, gate) = (digest.clone(), Arc::clone(&go));
    let fake = e.fake_registry(Box::new(move |asked, stream| {
        if !asked.line.ends_with(&big) {
            return shelf.answer(asked, stream);
        }
        begin(stream, shelf.blob(&big), wait / 2);
        while gate.load(Ordering::SeqCst) == 0 {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        drop(stream.write_all(&shelf.blob(&big)[wait / 2..]));
    }));
    let pulls = [0, 1].map(|_| e.spawn(&["pull", &name(&fake)]));
    eventually("both have asked", || {
        let manifests =
            |one: &Asked| one.line.contains("/manifests/") && one.line.starts_with("GET");
        let configs = fake.asked().iter().filter(|one| manifests(one)).count();
        (configs >= 2 && !of_blob(&fake, &digest).is_empty()).then_some(())
    });
    // Time for the second to ask too, were it to do so.
    std::thread::sleep(std::time::Duration::from_millis(300));
    go.store(1, Ordering::SeqCst);
    for pull in pulls {
        pull.finish().exits(0);
    }
    assert_eq!(of_blob(&fake, &digest).len(), 1);
    e.cli(&["rmi", &name(&fake)]).exits(0);
});

case!(a_token, |e| {
    let shelf = shelf();
    let fake = e.fake_registry(Box::new(move |asked, stream| {
        let host = asked.header("host").unwrap_or_default();
        if asked.line.contains(" /token?") {
            let service = ["service=the+shelf", "service=the%20shelf"];
            let scope = asked.line.contains("scope=repository%3Aapp%3Apull")
                && service.iter().any(|one| asked.line.contains(one));
            let body = if scope { &br#"{"token":"open-sesame"}"#[..] } else { b"{}" };
            return reply(stream, "200 OK", &["Content-Type: application/json".to_owned()], body);
        }
        if asked.header("authorization") == Some("Bearer open-sesame") {
            return shelf.answer(asked, stream);
        }
        let challenge = format!(
            "WWW-Authenticate: Bearer realm=\"http://{host}/token\",service=\"the shelf\",scope=\"repository:app:pull\""
        );
        let body = br#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#;
        reply(stream, "401 Unauthorized", &[challenge], body);
    }));
    e.cli(&["pull", &name(&fake)]).exits(0);
    let tokens = fake
        .asked()
        .iter()
        .filter(|one| one.line.contains("/token"))
        .count();
    assert!((1..=2).contains(&tokens), "{tokens}");
    e.cli(&["rmi", &name(&fake)]).exits(0);
});

case!(access_denied, |e| {
    let fake = e.fake_registry(Box::new(move |asked, stream| {
        if asked.line.ends_with("/v2/") {
            return reply(stream, "200 OK", &[], b"{}");
        }
        let body = br#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}"#;
        let body = if asked.line.starts_with("HEAD") { &b""[..] } else { body };
        reply(stream, "403 Forbidden", &["Content-Type: application/json".to_owned()], body);
    }));
    let short = format!("{}/app", fake.address());
    refused(
        e,
        &fake,
        &format!(
            "pull access denied for {short}, repository does not exist or may require 'docker login': denied: requested access to the resource is denied"
        ),
    );
});

case!(another_host_is_shown_no_credentials, |e| {
    let shelf = shelf();
    let (digest, _) = shelf.largest();
    let behind = shelf.clone();
    let store = e.fake_registry(Box::new(move |asked, stream| behind.answer(asked, stream)));
    let elsewhere = store.address().to_owned();
    let big = digest.clone();
    let fake = e.fake_registry(Box::new(move |asked, stream| {
        if asked.header("authorization").is_none() {
            let challenge = "WWW-Authenticate: Basic realm=\"x\"".to_owned();
            return reply(stream, "401 Unauthorized", &[challenge], b"{}");
        }
        if asked.line.ends_with(&big) {
            let to = format!("Location: http://{elsewhere}/v2/app/blobs/{big}");
            return reply(stream, "307 Temporary Redirect", &[to], b"");
        }
        shelf.answer(asked, stream);
    }));
    let short = format!("{}/app", fake.address());
    let path = format!("/images/create?fromImage={short}&tag=1");
    // {"username":"user","password":"secret"}
    let right = "X-Registry-Auth: eyJ1c2VybmFtZSI6InVzZXIiLCJwYXNzd29yZCI6InNlY3JldCJ9";
    let reply = e.request("POST", &path, &[right], b"");
    assert!(
        reply.is(200).text().contains("Downloaded newer image"),
        "{}",
        reply.text()
    );
    let asked = store.asked();
    assert!(!asked.is_empty());
    assert!(
        asked
            .iter()
            .all(|one| one.header("authorization").is_none()),
        "{asked:?}"
    );
    assert!(of_blob(&fake, &digest)[0].header("authorization").is_some());
    e.cli(&["rmi", &name(&fake)]).exits(0);
});

case!(other_bytes_than_promised, |e| {
    let shelf = shelf();
    let (digest, _) = shelf.largest();
    let big = digest.clone();
    let fake = e.fake_registry(Box::new(move |asked, stream| {
        if asked.line.ends_with(&big) {
            let mut wrong = shelf.blob(&big).to_vec();
            let middle = wrong.len() / 2;
            wrong[middle] ^= 1;
            return reply(stream, "200 OK", &[], &wrong);
        }
        shelf.answer(asked, stream);
    }));
    refused(
        e,
        &fake,
        &format!("filesystem layer verification failed for digest {digest}"),
    );
    let left = std::fs::read_dir(e.data_root().join("ingest")).expect("a store");
    let left: Vec<_> = left.flatten().map(|one| one.file_name()).collect();
    assert!(
        left.iter()
            .all(|one| !digest.contains(&one.to_string_lossy()[5..])),
        "{left:?}"
    );
});

case!(more_bytes_than_promised, |e| {
    let shelf = shelf();
    let (digest, _) = shelf.largest();
    let fake = e.fake_registry(Box::new(move |asked, stream| {
        if asked.line.ends_with(&digest) {
            drop(stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"));
            // As long as somebody listens: at most a gigabyte.
            for _ in 0..1024 {
                if stream.write_all(&vec![b'x'; 1 << 20]).is_err() {
                    return;
                }
            }
            return;
        }
        shelf.answer(asked, stream);
    }));
    refused(e, &fake, "that were announced");
});

case!(a_manifest_without_end, |e| {
    let fake = e.fake_registry(Box::new(move |asked, stream| {
        if !asked.line.contains("/manifests/") {
            return reply(stream, "200 OK", &[], b"{}");
        }
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n[");
        drop(stream.write_all(head.as_bytes()));
        for _ in 0..10_240 {
            if stream.write_all(&vec![b' '; 1 << 20]).is_err() {
                return;
            }
        }
    }));
    refused(e, &fake, "the answer is longer than 4194304 bytes");
});

case!(a_ring_of_redirects, |e| {
    let shelf = shelf();
    let (digest, _) = shelf.largest();
    let fake = e.fake_registry(Box::new(move |asked, stream| {
        if asked.line.ends_with(&digest) {
            let path = asked.line.split(' ').nth(1).unwrap_or_default();
            return reply(stream, "302 Found", &[format!("Location: {path}")], b"");
        }
        shelf.answer(asked, stream);
    }));
    refused(e, &fake, "redirects");
});

case!(things_that_are_no_images, |e| {
    for (kind, text, complaint) in [
        ("text/html", "<html>".to_owned(), "invalid manifest"),
        (
            "application/vnd.oci.image.manifest.v1+json",
            "{\"schemaVersion\":2,\"manifests\":[],\"layers\":[],\"config\":{}}".to_owned(),
            "only one of both",
        ),
        (
            "application/vnd.docker.distribution.manifest.v1+prettyjws",
            "{\"schemaVersion\":1}".to_owned(),
            "schema 1 support is disabled",
        ),
        (
            "application/vnd.oci.image.manifest.v1+json",
            format!(
                "{{\"schemaVersion\":2,\"config\":{{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"sha256:{0}\",\"size\":2}},\"layers\":[{1}]}}",
                "a".repeat(64),
                vec![format!("{{\"mediaType\":\"x\",\"digest\":\"sha256:{}\",\"size\":1}}", "b".repeat(64)); 20_000].join(",")
            ),
            "max depth exceeded",
        ),
        (
            "application/vnd.oci.image.manifest.v1+json",
            "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"sha256:../../x\",\"size\":2},\"layers\":[]}".to_owned(),
            "invalid manifest",
        ),
    ] {
        let fake = e.fake_registry(Box::new(move |asked, stream| {
            if asked.line.contains("/manifests/") {
                return reply(stream, "200 OK", &[format!("Content-Type: {kind}")], text.as_bytes());
            }
            reply(stream, "200 OK", &[], b"{}");
        }));
        refused(e, &fake, complaint);
    }
});

case!(search, |e| {
    let fake = e.fake_registry(Box::new(|asked, stream| {
        let json = ["Content-Type: application/json".to_owned()];
        if asked.line.contains("/v1/search?") {
            let wanted = asked.line.contains("q=box") && asked.line.contains("n=7");
            let body = br#"{"results":[
                {"name":"library/box","description":"one\nbox","star_count":3,"is_official":false},
                {"name":"a/box","description":"another","star_count":9,"is_official":true}]}"#;
            return reply(stream, "200 OK", &json, if wanted { body } else { b"{}" });
        }
        reply(stream, "200 OK", &json, b"{}");
    }));
    let term = format!("{}/box", fake.address());
    let output = e.cli(&["search", "--limit", "7", &term]);
    let lines: Vec<_> = output.ok().lines().map(str::to_owned).collect();
    assert!(lines[0].starts_with("NAME "), "{output:?}");
    let words: Vec<_> = lines[2].split_whitespace().collect();
    assert_eq!(words, ["a/box", "another", "9", "[OK]"], "{output:?}");
    assert!(
        lines[1].starts_with("library/box ") && lines[1].contains("one box"),
        "{output:?}"
    );
    let format = [
        "search",
        "--limit",
        "7",
        "--format",
        "{{.Name}}",
        "--no-trunc",
    ];
    let output = e.cli(&[&format[..], &["--filter", "is-official=true", &term]].concat());
    assert_eq!(output.ok(), "a/box");
    let output = e.cli(&[&format[..], &["--filter", "stars=4", &term]].concat());
    assert_eq!(output.ok(), "a/box");
    e.cli(&["search", "--limit", "101", &term])
        .exits(1)
        .complains("101 is outside the range of [1, 100]");
});
