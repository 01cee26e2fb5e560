//! The registry on a bucket: the same answers, and nothing but uploads on this machine. The bucket's
//! server is a small one of this file's own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use types::digest::Digest;

use crate::server::{MANIFEST, Server, descriptor, digest, image, location, refused};

type Objects = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// As much of S3 as there is to `object_store`.
struct S3 {
    addr: SocketAddr,
    objects: Objects,
}

struct Request {
    method: String,
    key: String,
    query: BTreeMap<String, String>,
    range: Option<(usize, usize)>,
    body: Vec<u8>,
}

impl S3 {
    fn start() -> S3 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (addr, objects) = (listener.local_addr().unwrap(), Objects::default());
        let shared = Arc::clone(&objects);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let objects = Arc::clone(&shared);
                std::thread::spawn(move || serve(&stream.unwrap(), &objects));
            }
        });
        S3 { addr, objects }
    }

    fn keys(&self) -> Vec<String> {
        self.objects.lock().unwrap().keys().cloned().collect()
    }
}

fn serve(stream: &TcpStream, objects: &Objects) {
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader) {
        let (status, headers, body) = answer(&request, objects);
        let length = match headers.get("Content-Length") {
            Some(_) => String::new(),
            None => format!("Content-Length: {}\r\n", body.len()),
        };
        let mut head = format!("HTTP/1.1 {status} x\r\n{length}");
        for (name, value) in &headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        head.push_str("\r\n");
        let mut stream = stream;
        if stream.write_all(head.as_bytes()).is_err() {
            return;
        }
        if request.method != "HEAD" && stream.write_all(&body).is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<&TcpStream>) -> Option<Request> {
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, address) = (words.next()?, words.next()?);
    let (mut length, mut range) = (0, None);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().ok()?;
        } else if let Some(value) = line.strip_prefix("range: bytes=") {
            let (first, last) = value.split_once('-')?;
            range = Some((first.parse().ok()?, last.parse().ok()?));
        } else if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let (path, query) = address.split_once('?').unwrap_or((&address, ""));
    let query = query.split('&').map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key.to_owned(), decode(value))
    });
    let path = decode(path);
    let key = path.strip_prefix("/bucket").expect("our bucket");
    Some(Request {
        method,
        key: key.trim_start_matches('/').to_owned(),
        query: query.collect(),
        range,
        body,
    })
}

fn decode(text: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let hex: Vec<u8> = bytes.by_ref().take(2).collect();
            let hex = std::str::from_utf8(&hex).unwrap();
            out.push(u8::from_str_radix(hex, 16).unwrap());
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).unwrap()
}

type Answer = (u16, BTreeMap<&'static str, String>, Vec<u8>);

fn answer(request: &Request, objects: &Objects) -> Answer {
    let mut objects = objects.lock().unwrap();
    let mut headers = BTreeMap::from([
        ("ETag", "\"x\"".to_owned()),
        ("Last-Modified", "Sat, 21 Nov 2026 10:00:00 GMT".to_owned()),
    ]);
    let key = &request.key;
    let upload = request.query.get("uploadId");
    match request.method.as_str() {
        "POST" if request.query.contains_key("uploads") => {
            let text = "<InitiateMultipartUploadResult><UploadId>u</UploadId>\
                 </InitiateMultipartUploadResult>";
            (200, headers, text.into())
        }
        "PUT" if upload.is_some() => {
            let number: u32 = request.query["partNumber"].parse().unwrap();
            objects.insert(format!("{key}#{number:05}"), request.body.clone());
            (200, headers, Vec::new())
        }
        "POST" if upload.is_some() => {
            let prefix = format!("{key}#");
            let parts: Vec<String> = objects
                .keys()
                .filter(|k| k.starts_with(&prefix))
                .cloned()
                .collect();
            let parts = parts.iter().filter_map(|part| objects.remove(part));
            let whole: Vec<u8> = parts.flatten().collect();
            objects.insert(key.clone(), whole);
            let text =
                "<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>";
            (200, headers, text.into())
        }
        "PUT" => {
            objects.insert(key.clone(), request.body.clone());
            (200, headers, Vec::new())
        }
        "DELETE" => {
            objects.remove(key);
            (204, headers, Vec::new())
        }
        "GET" if request.query.contains_key("list-type") => (200, headers, list(request, &objects)),
        "GET" | "HEAD" => {
            let Some(object) = objects.get(key) else {
                return (404, headers, Vec::new());
            };
            match request.range {
                None => {
                    headers.insert("Content-Length", object.len().to_string());
                    (200, headers, object.clone())
                }
                Some((first, last)) => {
                    let last = last.min(object.len() - 1);
                    let said = format!("bytes {first}-{last}/{}", object.len());
                    headers.insert("Content-Range", said);
                    (206, headers, object[first..=last].to_vec())
                }
            }
        }
        other => panic!("{other} {key}"),
    }
}

fn list(request: &Request, objects: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let prefix = request.query.get("prefix").cloned().unwrap_or_default();
    let mut text = "<ListBucketResult>".to_owned();
    let mut folders = std::collections::BTreeSet::new();
    for (key, object) in objects {
        let Some(rest) = key.strip_prefix(&prefix) else {
            continue;
        };
        if let Some((folder, _)) = rest.split_once('/') {
            folders.insert(format!("{prefix}{folder}/"));
            continue;
        }
        let size = object.len();
        write!(
            text,
            "<Contents><Key>{key}</Key><Size>{size}</Size>\
             <LastModified>2026-11-21T10:00:00.000Z</LastModified><ETag>x</ETag></Contents>"
        )
        .unwrap();
    }
    for folder in folders {
        write!(
            text,
            "<CommonPrefixes><Prefix>{folder}</Prefix></CommonPrefixes>"
        )
        .unwrap();
    }
    text.push_str("</ListBucketResult>");
    text.into_bytes()
}

fn start(s3: &S3, rest: &str) -> Server {
    let url = format!("s3://bucket/below?endpoint=http://{}", s3.addr);
    Server::with(&format!("s3 = \"{url}\"\n{rest}"))
}

#[test]
fn an_image_lies_in_the_bucket() {
    let s3 = S3::start();
    let server = start(&s3, "");
    let document = server.image("team/app", "latest", "layer");
    for reference in ["latest", &digest(&document).to_string()] {
        let path = format!("/v2/team/app/manifests/{reference}");
        assert_eq!(server.get(&path).is(200).text(), document.to_string());
    }
    let layer = format!("/v2/team/app/blobs/{}", Digest::of(b"layer"));
    assert_eq!(server.get(&layer).is(200).text(), "layer");
    let part = server.ask("GET", &layer, &["Range: bytes=1-3"], b"");
    assert_eq!(part.is(206).text(), "aye");
    assert_eq!(
        server
            .ask("HEAD", &layer, &[], b"")
            .is(200)
            .header("Content-Length"),
        Some("5")
    );
    assert_eq!(
        server.get("/v2/_catalog").json()["repositories"],
        serde_json::json!(["team/app"])
    );
    assert_eq!(
        server.get("/v2/team/app/tags/list").json()["tags"],
        serde_json::json!(["latest"])
    );
    assert!(
        s3.keys().iter().all(|key| key.starts_with("below/")),
        "{:?}",
        s3.keys()
    );
    assert!(!std::path::Path::new(&server.dir.at("root/blobs")).exists());
    let left = std::fs::read_dir(server.dir.at("root/uploads")).unwrap();
    assert_eq!(left.count(), 0);
    let mut signature = image(&[]);
    signature["subject"] = descriptor(MANIFEST, document.to_string().as_bytes());
    server
        .put("team/app", &digest(&signature).to_string(), &signature)
        .is(201);
    let referrers = format!("/v2/team/app/referrers/{}", digest(&document));
    assert_eq!(
        server.get(&referrers).json()["manifests"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    server
        .ask("DELETE", "/v2/team/app/manifests/latest", &[], b"")
        .is(202);
    refused(
        &server.get("/v2/team/app/manifests/latest"),
        404,
        "MANIFEST_UNKNOWN",
    );
    refused(&server.get("/v2/other/tags/list"), 404, "NAME_UNKNOWN");
}

#[test]
fn a_large_blob_goes_in_parts() {
    let s3 = S3::start();
    let server = start(&s3, "");
    let content: Vec<u8> = (0..20_000_000u32).map(|n| n.to_le_bytes()[1]).collect();
    let wanted = Digest::of(&content);
    let at = server.begin("a");
    server
        .ask("PATCH", &at, &[], &content[..12_000_000])
        .is(202);
    let path = format!("{at}?digest={wanted}");
    let reply = server.ask("PUT", &path, &[], &content[12_000_000..]);
    assert!(server.get(&location(reply.is(201))).is(200).body == content);
    let mount = format!("/v2/b/blobs/uploads/?mount={wanted}&from=a");
    server.ask("POST", &mount, &[], b"").is(201);
}

#[test]
fn a_bucket_is_collected() {
    let s3 = S3::start();
    let server = start(&s3, "[collect]\ninterval = 1\ngrace = 1\n");
    server.image("kept", "latest", "layer");
    server.blob("loose", b"nobody refers to it");
    let hex = Digest::of(b"nobody refers to it").hex();
    testkit::eventually("the garbage is gone", || {
        (!s3.keys().iter().any(|key| key.contains(&hex))).then_some(())
    });
    server.get("/v2/kept/manifests/latest").is(200);
    server
        .get(&format!("/v2/kept/blobs/{}", Digest::of(b"layer")))
        .is(200);
}
