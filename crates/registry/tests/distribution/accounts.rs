//! Accounts: who may do what, by password and by token.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use testkit::http::Reply;
use types::digest::Digest;

use crate::server::{Server, digest, image, location, refused};

/// Settings with the accounts alice and bob, whose passwords are their names.
fn people(rest: &str) -> String {
    let mut text = rest.to_owned();
    for name in ["alice", "bob"] {
        let hash = bcrypt::hash(name, 4).unwrap();
        text = format!("{text}\n[[account]]\nname = \"{name}\"\npassword = \"{hash}\"\n");
    }
    for (who, repositories, rights) in [
        ("alice", "*", r#"["pull", "push", "delete"]"#),
        ("*", "team/*", r#"["pull"]"#),
        ("bob", "bob/*", r#"["pull", "push"]"#),
        ("anonymous", "public/*", r#"["pull"]"#),
    ] {
        let head = format!("[[access]]\nwho = \"{who}\"\nrepositories = \"{repositories}\"");
        text = format!("{text}\n{head}\nrights = {rights}\n");
    }
    text
}

fn basic(name: &str, password: &str) -> String {
    let pair = BASE64_STANDARD.encode(format!("{name}:{password}"));
    format!("Authorization: Basic {pair}")
}

/// Puts an image into a repository as somebody.
fn fill(server: &Server, repository: &str, who: &str) {
    for content in [b"{}".as_slice(), b"layer"] {
        let digest = Digest::of(content);
        let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        server.ask("POST", &path, &[who], content).is(201);
    }
    let document = image(&["layer"]).to_string();
    let path = format!("/v2/{repository}/manifests/latest");
    server
        .ask("PUT", &path, &[who], document.as_bytes())
        .is(201);
}

#[test]
fn a_name_is_asked_for() {
    let server = Server::with(&people(""));
    let reply = server.get("/v2/");
    refused(&reply, 401, "UNAUTHORIZED");
    assert_eq!(
        reply.header("WWW-Authenticate"),
        Some("Basic realm=\"wharf registry\"")
    );
    server
        .ask("GET", "/v2/", &[&basic("alice", "alice")], b"")
        .is(200);
    for wrong in [
        basic("alice", "bob"),
        basic("nobody", "alice"),
        "Authorization: Basic !!!".to_owned(),
        "Authorization: Bearer x".to_owned(),
        "Authorization: Digest x".to_owned(),
    ] {
        refused(
            &server.ask("GET", "/v2/", &[&wrong], b""),
            401,
            "UNAUTHORIZED",
        );
        // Not even for what everybody may see: a wrong name is not nobody's.
        server
            .ask("GET", "/v2/public/a/tags/list", &[&wrong], b"")
            .is(401);
    }
}

#[test]
fn passwords_are_not_guessed() {
    let server = Server::with(&people(""));
    let tries = (0..20).map(|n| {
        let guess = basic("alice", &n.to_string());
        server.ask("GET", "/v2/", &[&guess], b"").status
    });
    let tries: Vec<u16> = tries.collect();
    assert!(tries.contains(&429), "{tries:?}");
    assert!(
        tries.iter().all(|status| matches!(status, 401 | 429)),
        "{tries:?}"
    );
    // It passes.
    testkit::eventually("the right password is taken again", || {
        let reply = server.ask("GET", "/v2/", &[&basic("alice", "alice")], b"");
        (reply.status == 200).then_some(())
    });
}

#[test]
fn rights_of_an_account() {
    let server = Server::with(&people(""));
    let (alice, bob) = (basic("alice", "alice"), basic("bob", "bob"));
    fill(&server, "team/app", &alice);
    fill(&server, "public/app", &alice);
    fill(&server, "bob/own", &bob);
    let ask = |who: Option<&String>, method: &str, path: &str| {
        let headers: Vec<&str> = who.map(String::as_str).into_iter().collect();
        server.ask(method, path, &headers, b"")
    };
    let manifest = digest(&image(&["layer"]));
    for (who, method, path, status) in [
        (Some(&bob), "GET", "/v2/team/app/manifests/latest", 200),
        (Some(&bob), "PUT", "/v2/team/app/manifests/latest", 403),
        (Some(&bob), "POST", "/v2/team/app/blobs/uploads/", 403),
        (Some(&bob), "DELETE", "/v2/team/app/manifests/latest", 403),
        (Some(&bob), "DELETE", "/v2/bob/own/manifests/latest", 403),
        (Some(&bob), "GET", "/v2/secret/tags/list", 403),
        (Some(&alice), "GET", "/v2/bob/own/manifests/latest", 200),
        (None, "GET", "/v2/team/app/manifests/latest", 401),
        (None, "GET", "/v2/public/app/manifests/latest", 200),
        (None, "GET", "/v2/public/app/tags/list", 200),
        (None, "POST", "/v2/public/app/blobs/uploads/", 401),
        (None, "GET", "/v2/_catalog", 401),
        (None, "GET", "/metrics", 401),
        (None, "GET", "/healthz", 200),
        (
            Some(&alice),
            "DELETE",
            "/v2/public/app/manifests/latest",
            202,
        ),
    ] {
        let reply = ask(who, method, path);
        assert_eq!(reply.status, status, "{method} {path}: {}", reply.head);
    }
    let path = format!("/v2/bob/own/referrers/{manifest}");
    ask(None, "GET", &path).is(401);
    let seen = |who: &String| ask(Some(who), "GET", "/v2/_catalog").json()["repositories"].clone();
    assert_eq!(
        seen(&bob),
        serde_json::json!(["bob/own", "public/app", "team/app"])
    );
    // A blob of a repository that one may not read is not to be had by a mount.
    let layer = Digest::of(b"layer");
    fill(&server, "secret", &alice);
    let path = format!("/v2/bob/other/blobs/uploads/?mount={layer}&from=secret");
    ask(Some(&bob), "POST", &path).is(202);
    let path = path.replace("secret", "team/app");
    ask(Some(&bob), "POST", &path).is(201);
    let found = ask(None, "GET", "/v1/search?q=app").json();
    assert_eq!(found["num_results"], 1);
    assert_eq!(found["results"][0]["name"], "public/app");
    assert_eq!(
        ask(Some(&bob), "GET", "/v1/search?q=app").json()["num_results"],
        2
    );
}

/// Asks for a token; `who` gives a name.
fn token(server: &Server, who: Option<&str>, scope: &str) -> String {
    let path = format!("/token?service=wharf&scope={scope}");
    let headers: Vec<&str> = who.into_iter().collect();
    let reply = server.ask("GET", &path, &headers, b"");
    let token = reply.is(200).json()["token"].as_str().unwrap().to_owned();
    format!("Authorization: Bearer {token}")
}

#[test]
fn tokens() {
    let server = Server::with(&people("challenge = \"token\""));
    let reply = server.get("/v2/team/app/manifests/latest");
    refused(&reply, 401, "UNAUTHORIZED");
    let realm = format!("http://{}/token", "engine");
    let expected =
        format!("Bearer realm=\"{realm}\",service=\"wharf\",scope=\"repository:team/app:pull\"");
    assert_eq!(reply.header("WWW-Authenticate"), Some(&*expected));
    let (alice, bob) = (basic("alice", "alice"), basic("bob", "bob"));
    let both = token(&server, Some(&alice), "repository:team/app:pull,push");
    fill(&server, "team/app", &both);
    let reads = token(&server, Some(&bob), "repository:team/app:pull,push");
    let path = "/v2/team/app/manifests/latest";
    server.ask("GET", path, &[&reads], b"").is(200);
    let reply = server.ask("PUT", path, &[&reads], b"{}");
    refused(&reply, 401, "UNAUTHORIZED");
    let how = reply.header("WWW-Authenticate").unwrap();
    assert!(
        how.ends_with(":pull,push\",error=\"insufficient_scope\""),
        "{how}"
    );
    // A token is good for what it was given for.
    let other = token(&server, Some(&alice), "repository:other:pull");
    server.ask("GET", path, &[&other], b"").is(401);
    let nobody = token(&server, None, "repository:team/app:pull");
    server.ask("GET", path, &[&nobody], b"").is(401);
    server.ask("GET", "/v2/", &[&nobody], b"").is(200);
    fill(&server, "public/a", &alice);
    let open = token(&server, None, "repository:public/a:pull,push");
    server
        .ask("GET", "/v2/public/a/manifests/latest", &[&open], b"")
        .is(200);
    server
        .ask("PUT", "/v2/public/a/manifests/latest", &[&open], b"{}")
        .is(401);
    let begged = server.ask("GET", "/token?scope=repository:other:*", &[&reads], b"");
    let begged = begged.is(200).json()["token"].as_str().unwrap().to_owned();
    let begged = format!("Authorization: Bearer {begged}");
    server
        .ask("GET", "/v2/other/tags/list", &[&begged], b"")
        .is(401);
    // By OAuth's form, as some clients do it.
    let form = "grant_type=password&username=bob&password=bob&service=wharf&scope=repository%3Ateam%2Fapp%3Apull";
    let reply = server.ask("POST", "/token", &[], form.as_bytes());
    let token = reply.is(200).json()["access_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let bearer = format!("Authorization: Bearer {token}");
    server.ask("GET", path, &[&bearer], b"").is(200);
    for wrong in [
        form.replace("password=bob", "password=x"),
        "grant_type=other".to_owned(),
    ] {
        let reply = server.ask("POST", "/token", &[], wrong.as_bytes());
        assert!(matches!(reply.status, 400 | 401), "{}", reply.head);
    }
}

#[test]
fn cve_2025_24976_a_token_is_ours_or_none() {
    let server = Server::with(&people("challenge = \"token\""));
    let alice = basic("alice", "alice");
    let good = token(&server, Some(&alice), "repository:a:pull,push");
    fill(&server, "a", &good);
    let good = good.strip_prefix("Authorization: Bearer ").unwrap();
    let (claims, tag) = good.split_once('.').unwrap();
    let encode = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    let root =
        encode(r#"{"sub":"root","exp":99999999999,"access":[{"name":"a","actions":["pull"]}]}"#);
    let none = encode(r#"{"alg":"none","typ":"JWT"}"#);
    let keyed = encode(r#"{"alg":"HS256","jwk":{"kty":"oct","k":"eA"},"x5c":["x"]}"#);
    for forged in [
        format!("{root}.{tag}"),
        format!("{root}."),
        format!("{none}.{root}."),
        format!("{keyed}.{root}.{tag}"),
        format!("{claims}.{claims}"),
        claims.to_owned(),
    ] {
        let bearer = format!("Authorization: Bearer {forged}");
        let reply = server.ask("GET", "/v2/a/manifests/latest", &[&bearer], b"");
        refused(&reply, 401, "UNAUTHORIZED");
    }
}

#[test]
fn a_password_file_is_read_again() {
    let place = testkit::TempDir::new("wharf-htpasswd");
    let line = |name: &str| format!("{name}:{}\n", bcrypt::hash(name, 4).unwrap());
    let file = place.file("htpasswd", &line("alice"));
    let server = Server::with(&format!("htpasswd = \"{file}\""));
    let ask = |name: &str| server.ask("GET", "/v2/", &[&basic(name, name)], b"").status;
    assert_eq!((ask("alice"), ask("bob")), (200, 401));
    std::thread::sleep(std::time::Duration::from_millis(20));
    place.file("htpasswd", &line("bob"));
    testkit::eventually("bob is known", || (ask("bob") == 200).then_some(()));
    let alice: Reply = server.ask("GET", "/v2/", &[&basic("alice", "alice")], b"");
    alice.is(401);
    // Without rules every account may do everything.
    fill(&server, "any/thing", &basic("bob", "bob"));
    let begun = server.ask("POST", "/v2/x/blobs/uploads/", &[&basic("bob", "bob")], b"");
    location(begun.is(202));
}
