//! Lists: tags, repositories, referrers.

use serde_json::{Value, json};
use types::digest::Digest;

use crate::server::{CONFIG, INDEX, MANIFEST, Server, descriptor, digest, image, refused};

#[test]
fn version_check() {
    let server = Server::start();
    let reply = server.get("/v2/");
    assert_eq!(
        reply.is(200).header("Docker-Distribution-API-Version"),
        Some("registry/2.0")
    );
    refused(&server.ask("PUT", "/v2/", &[], b""), 405, "UNSUPPORTED");
}

/// "Assuming a repository is found, this request MUST return a 200 OK"; "the tags MUST be in lexical
/// order (i.e. case-insensitive alphanumeric order)"; "Otherwise, the response MUST include <int>
/// results"; "When n is zero, this endpoint MUST return an empty list, and MUST NOT include a Link
/// header"; the link "MUST be set according to RFC5988 with the Relation Type rel=next".
#[test]
fn tags() {
    let server = Server::start();
    let document = server.image("t", "b", "layer");
    for tag in ["C", "a", "d", "10", "9"] {
        server.put("t", tag, &document).is(201);
    }
    let list = |query: &str| server.get(&format!("/v2/t/tags/list{query}"));
    let all = ["10", "9", "a", "b", "C", "d"];
    let reply = list("");
    assert_eq!(reply.is(200).json(), json!({"name": "t", "tags": all}));
    assert_eq!(reply.header("Link"), None);
    assert!(
        reply
            .header("Content-Type")
            .unwrap()
            .starts_with("application/json")
    );
    let mut path = "/v2/t/tags/list?n=4".to_owned();
    let mut seen = Vec::new();
    for expected in [4, 2] {
        let reply = server.get(&path);
        let tags = reply.is(200).json()["tags"].as_array().unwrap().clone();
        assert_eq!(tags.len(), expected);
        seen.extend(tags);
        let Some(link) = reply.header("Link") else {
            break;
        };
        let link = link.strip_suffix(">; rel=\"next\"").expect("a next link");
        link.strip_prefix('<').unwrap().clone_into(&mut path);
    }
    assert_eq!(json!(seen), json!(all));
    let none = list("?n=0");
    assert_eq!(
        (none.json()["tags"].clone(), none.header("Link")),
        (json!([]), None)
    );
    assert_eq!(list("?last=b").json()["tags"], json!(["C", "d"]));
    assert_eq!(list("?n=1&last=b").json()["tags"], json!(["C"]));
    assert_eq!(list("?last=bb").json()["tags"], json!(["C", "d"]));
    assert_eq!(list("?n=100").json()["tags"], json!(all));
    refused(&server.get("/v2/nowhere/tags/list"), 404, "NAME_UNKNOWN");
    // A repository without a tag has an empty list.
    server.blob("untagged", b"x");
    assert_eq!(
        server.get("/v2/untagged/tags/list").is(200).json()["tags"],
        json!([])
    );
}

#[test]
fn cve_2023_2253_a_number_of_results() {
    let server = Server::start();
    server.image("t", "a", "layer");
    for list in ["/v2/t/tags/list", "/v2/_catalog"] {
        for bad in ["-1", "abc", "", "1e3", "0x10", "99999999999999999999999999"] {
            let reply = server.get(&format!("{list}?n={bad}"));
            refused(&reply, 400, "PAGINATION_NUMBER_INVALID");
        }
        server.get(&format!("{list}?n=2147483648")).is(200);
    }
}

#[test]
fn catalog() {
    let server = Server::start();
    assert_eq!(
        server.get("/v2/_catalog").is(200).json(),
        json!({"repositories": []})
    );
    for repository in ["b", "a/z", "a/b/c"] {
        server.blob(repository, b"x");
    }
    let all = json!({"repositories": ["a/b/c", "a/z", "b"]});
    assert_eq!(server.get("/v2/_catalog").json(), all);
    let first = server.get("/v2/_catalog?n=1");
    assert_eq!(first.json()["repositories"], json!(["a/b/c"]));
    assert_eq!(
        first.header("Link"),
        Some("</v2/_catalog?n=1&last=a%2Fb%2Fc>; rel=\"next\"")
    );
    let next = server.get("/v2/_catalog?n=1&last=a%2Fb%2Fc");
    assert_eq!(next.json()["repositories"], json!(["a/z"]));
}

/// "the registry MUST NOT return a 404 Not Found to a referrers API requests"; "a 400 Bad Request MUST
/// be returned"; "MUST be a JSON body with an image index"; "Content-Type header MUST be set to …";
/// "an empty manifest list MUST be returned".
#[test]
fn no_referrers() {
    let server = Server::start();
    server.blob("r", b"x");
    let digest = Digest::of(b"nobody");
    for repository in ["r", "nowhere"] {
        let reply = server.get(&format!("/v2/{repository}/referrers/{digest}"));
        assert_eq!(reply.is(200).header("Content-Type"), Some(INDEX));
        let empty = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": []});
        assert_eq!(reply.json(), empty);
    }
    for bad in [
        "latest",
        "sha256:12",
        "sha256:ZZ",
        "md5:d41d8cd98f00b204e9800998ecf8427e",
    ] {
        let reply = server.get(&format!("/v2/r/referrers/{bad}"));
        refused(&reply, 400, "DIGEST_INVALID");
    }
}

fn entry(document: &Value, artifact_type: Option<&str>) -> Value {
    let mut entry = descriptor(
        document["mediaType"].as_str().unwrap(),
        document.to_string().as_bytes(),
    );
    if let Some(kind) = artifact_type {
        entry["artifactType"] = json!(kind);
    }
    if !document["annotations"].is_null() {
        entry["annotations"] = document["annotations"].clone();
    }
    entry
}

/// "The descriptors MUST include an artifactType field … of the image manifest or index, if present";
/// "If … missing in the image manifest, … MUST be set to the config descriptor mediaType value"; "…
/// missing in an index, the artifactType MUST be omitted"; "MUST include annotations"; "the response
/// MUST include a header OCI-Filters-Applied"; "MUST include all newly pushed image manifests with a
/// valid subject".
#[test]
fn referrers() {
    let server = Server::start();
    let subject = server.image("r", "subject", "layer");
    let names = |document: &mut Value| {
        document["subject"] = descriptor(MANIFEST, subject.to_string().as_bytes());
    };
    let (mut plain, mut typed) = (image(&[]), image(&[]));
    names(&mut plain);
    names(&mut typed);
    plain["annotations"] = json!({"org.example": "kept"});
    typed["artifactType"] = json!("application/vnd.example.sbom");
    let mut index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": []});
    names(&mut index);
    let mut typed_index = index.clone();
    typed_index["artifactType"] = json!("application/vnd.example.sbom");
    let sbom = Some("application/vnd.example.sbom");
    let mut expected = Vec::new();
    for (document, kind) in [
        (&plain, Some(CONFIG)),
        (&typed, sbom),
        (&index, None),
        (&typed_index, sbom),
    ] {
        server
            .put("r", &digest(document).to_string(), document)
            .is(201);
        expected.push(entry(document, kind));
    }
    expected.sort_by_key(|entry| entry["digest"].as_str().unwrap().to_owned());
    let path = format!("/v2/r/referrers/{}", digest(&subject));
    let reply = server.get(&path);
    assert_eq!(reply.is(200).json()["manifests"], json!(expected));
    assert_eq!(reply.header("OCI-Filters-Applied"), None);
    let filtered = server.get(&format!(
        "{path}?artifactType=application%2Fvnd.example.sbom"
    ));
    assert_eq!(filtered.header("OCI-Filters-Applied"), Some("artifactType"));
    let wanted = expected
        .iter()
        .filter(|entry| entry["artifactType"] == json!(sbom));
    assert_eq!(
        filtered.json()["manifests"],
        json!(wanted.collect::<Vec<_>>())
    );
    let none = server.get(&format!("{path}?artifactType=application%2Fx"));
    assert_eq!(none.json()["manifests"], json!([]));
    assert_eq!(none.header("OCI-Filters-Applied"), Some("artifactType"));
    // Others do not see them, and what is removed refers no more.
    let elsewhere = server.get(&path.replace("/r/", "/other/"));
    assert_eq!(elsewhere.json()["manifests"], json!([]));
    let gone = format!("/v2/r/manifests/{}", digest(&typed));
    server.ask("DELETE", &gone, &[], b"").is(202);
    let left = server.get(&path).json()["manifests"]
        .as_array()
        .unwrap()
        .len();
    assert_eq!(left, 3);
}

/// "A Link header MUST be included in the response when the descriptor list cannot be returned in a
/// single manifest."
#[test]
fn a_long_list_of_referrers() {
    let server = Server::start();
    server.blob("r", b"{}");
    let subject = Digest::of(b"subject");
    for number in 0..3 {
        let mut document = image(&[]);
        document["subject"] = descriptor(MANIFEST, b"subject");
        document["annotations"] = json!({"n": number, "long": "x".repeat(2_000_000)});
        document["annotations"]["n"] = json!(number.to_string());
        server
            .put("r", &digest(&document).to_string(), &document)
            .is(201);
    }
    let mut path = format!("/v2/r/referrers/{subject}");
    let mut seen = Vec::new();
    loop {
        let reply = server.get(&path);
        assert!(reply.is(200).body.len() <= 4 << 20);
        let page = reply.json()["manifests"].as_array().unwrap().clone();
        assert!(!page.is_empty());
        seen.extend(page.iter().map(|entry| entry["digest"].to_string()));
        let Some(link) = reply.header("Link") else {
            break;
        };
        let next = link
            .strip_prefix('<')
            .and_then(|l| l.strip_suffix(">; rel=\"next\""));
        next.expect("a next link").clone_into(&mut path);
    }
    seen.dedup();
    assert_eq!(seen.len(), 3);
}
