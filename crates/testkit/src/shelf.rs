//! Images by digest, given out as a registry would: the well-behaved part of a fake registry.

use std::collections::BTreeMap;
use std::net::TcpStream;

use types::Digest;

use crate::fake::{Asked, reply};
use crate::oci::{Image, layout};
use crate::temp::TempDir;

/// What a repository `app` with the one tag `1` holds.
#[derive(Clone, Debug)]
pub struct Shelf {
    /// The manifest or index that the tag names: its media type and its bytes.
    pub top: (String, Vec<u8>),
    blobs: BTreeMap<String, Vec<u8>>,
}

impl Shelf {
    /// Makes images; several become an index.
    pub fn new(images: &[Image]) -> Shelf {
        let temp = TempDir::new("wharf-shelf");
        let place = temp.path().join("oci");
        layout(&place, images);
        let mut blobs = BTreeMap::new();
        for entry in std::fs::read_dir(place.join("blobs/sha256")).expect("a layout has blobs") {
            let path = entry.expect("a readable directory").path();
            let bytes = std::fs::read(&path).expect("a blob");
            blobs.insert(Digest::of(&bytes).to_string(), bytes);
        }
        let index = std::fs::read_to_string(place.join("index.json")).expect("an index");
        let index: serde_json::Value = serde_json::from_str(&index).expect("JSON");
        let text = |key: &str| {
            index["manifests"][0][key]
                .as_str()
                .expect("a text")
                .to_owned()
        };
        let top = (text("mediaType"), blobs[&text("digest")].clone());
        Shelf { top, blobs }
    }

    /// Returns the digest and size of the largest blob.
    pub fn largest(&self) -> (String, usize) {
        let largest = self.blobs.iter().max_by_key(|(_, bytes)| bytes.len());
        let (digest, bytes) = largest.expect("an image has blobs");
        (digest.clone(), bytes.len())
    }

    /// Returns a blob.
    pub fn blob(&self, digest: &str) -> &[u8] {
        &self.blobs[digest]
    }

    /// Answers as a registry should.
    pub fn answer(&self, asked: &Asked, stream: &mut TcpStream) {
        let path = asked.line.split_once(' ').map_or("", |(_, path)| path);
        let name = path.rsplit('/').next().unwrap_or_default();
        let head = asked.line.starts_with("HEAD");
        let body = |bytes: &[u8]| if head { Vec::new() } else { bytes.to_vec() };
        if path == "/v2/" {
            reply(stream, "200 OK", &[], b"{}");
        } else if path.contains("/manifests/") {
            let known = self.blobs.get(name).cloned();
            let (kind, bytes) = match known {
                Some(bytes) => {
                    let document: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
                    let kind = document["mediaType"]
                        .as_str()
                        .unwrap_or_default()
                        .to_owned();
                    (kind, bytes)
                }
                None if name == "1" => self.top.clone(),
                None => {
                    let text =
                        br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#;
                    return reply(stream, "404 Not Found", &[], text);
                }
            };
            let digest = format!("Docker-Content-Digest: {}", Digest::of(&bytes));
            let headers = [format!("Content-Type: {kind}"), digest];
            reply(stream, "200 OK", &headers, &body(&bytes));
        } else if let Some(bytes) = self.blobs.get(name) {
            let from = asked.header("range").and_then(|range| {
                let first = range.strip_prefix("bytes=")?.split('-').next()?;
                first.parse::<usize>().ok()
            });
            match from {
                Some(from) if from < bytes.len() => {
                    let last = bytes.len() - 1;
                    let range = format!("Content-Range: bytes {from}-{last}/{}", bytes.len());
                    reply(
                        stream,
                        "206 Partial Content",
                        &[range],
                        &body(&bytes[from..]),
                    );
                }
                _ => reply(stream, "200 OK", &[], &body(bytes)),
            }
        } else {
            let text = br#"{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown"}]}"#;
            reply(stream, "404 Not Found", &[], text);
        }
    }
}
