//! Images made by hand, as an OCI layout: what a registry is filled with.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use types::Digest;

use crate::boxes::box_tar;
use crate::temp::TempDir;

/// How a layer is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packed {
    /// Not at all.
    Plain,
    /// gzip
    Gzip,
    /// zstd
    Zstd,
}

/// An image of two layers: the box, and one file `/note`.
#[derive(Clone, Debug)]
pub struct Image {
    /// `linux/arm64`
    pub platform: &'static str,
    /// How both layers are compressed.
    pub packed: Packed,
    /// What stands in `/note`.
    pub note: String,
    /// Bytes in `/ballast`, which no compression makes fewer.
    pub ballast: usize,
}

impl Image {
    /// Makes one for the usual platform.
    pub fn new(packed: Packed, note: &str) -> Image {
        let architecture = match std::env::consts::ARCH {
            "aarch64" => "linux/arm64",
            _ => "linux/amd64",
        };
        Image {
            platform: architecture,
            packed,
            note: note.to_owned(),
            ballast: 0,
        }
    }

    /// Returns it with a heavy layer that no other image has.
    #[must_use]
    pub fn heavy(mut self, bytes: usize) -> Image {
        self.ballast = bytes;
        self
    }

    /// Returns it for another platform.
    #[must_use]
    pub fn on(mut self, platform: &'static str) -> Image {
        self.platform = platform;
        self
    }
}

/// Writes images into a new layout; several become an index. The name is `it`.
pub(crate) fn layout(place: &Path, images: &[Image]) {
    let blobs = place.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).expect("a new directory");
    let entries: Vec<Value> = images
        .iter()
        .map(|image| put_image(&blobs, image))
        .collect();
    let mut top = match &entries[..] {
        [one] => one.clone(),
        several => {
            let kind = "application/vnd.oci.image.index.v1+json";
            let index = json!({"schemaVersion": 2, "mediaType": kind, "manifests": several});
            put(&blobs, kind, index.to_string().as_bytes())
        }
    };
    top["annotations"] = json!({"org.opencontainers.image.ref.name": "it"});
    let index = json!({"schemaVersion": 2, "manifests": [top]});
    std::fs::write(place.join("index.json"), index.to_string()).expect("a new file");
    let version = r#"{"imageLayoutVersion":"1.0.0"}"#;
    std::fs::write(place.join("oci-layout"), version).expect("a new file");
}

fn put_image(blobs: &Path, image: &Image) -> Value {
    let temp = TempDir::new("wharf-oci");
    let tar = temp.path().join("box.tar");
    box_tar(temp.path(), &tar);
    let tree = temp.path().join("note-tree");
    std::fs::create_dir_all(&tree).expect("a new directory");
    std::fs::write(tree.join("note"), &image.note).expect("a new file");
    let note = temp.path().join("note.tar");
    let mut command = Command::new("tar");
    command
        .args(["--owner=0:0", "--mtime=@0", "-C"])
        .arg(&tree)
        .arg("-cf")
        .arg(&note)
        .arg("note");
    if image.ballast > 0 {
        let mut bytes = vec![0; image.ballast];
        let mut random = std::fs::File::open("/dev/urandom").expect("every Linux has it");
        std::io::Read::read_exact(&mut random, &mut bytes).expect("it does not end");
        std::fs::write(tree.join("ballast"), bytes).expect("a new file");
        command.arg("ballast");
    }
    assert!(command.status().expect("tar runs").success());
    // No other image's first layer is this one, however quickly they are made.
    let mut command = Command::new("tar");
    command
        .args(["--owner=0:0", "--mtime=@0", "-C"])
        .arg(&tree)
        .arg("-rf")
        .arg(&tar)
        .arg("note");
    assert!(command.status().expect("tar runs").success());
    let (mut layers, mut diff_ids) = (Vec::new(), Vec::new());
    for tar in [tar, note] {
        let bytes = std::fs::read(&tar).expect("the archive was just made");
        diff_ids.push(Digest::of(&bytes).to_string());
        let (kind, packed) = pack(image.packed, &tar, bytes);
        layers.push(put(blobs, kind, &packed));
    }
    let (os, architecture) = image.platform.split_once('/').expect("os/architecture");
    let (architecture, variant) = architecture.split_once('/').unwrap_or((architecture, ""));
    let mut platform = json!({"os": os, "architecture": architecture});
    if !variant.is_empty() {
        platform["variant"] = json!(variant);
    }
    let mut config = platform.clone();
    config["created"] = json!("2024-01-02T03:04:05Z");
    config["config"] = json!({"Cmd": ["cat", "/note"], "Env": ["PATH=/bin"]});
    config["rootfs"] = json!({"type": "layers", "diff_ids": diff_ids});
    let kind = "application/vnd.oci.image.config.v1+json";
    let config = put(blobs, kind, config.to_string().as_bytes());
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let manifest =
        json!({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": layers});
    let mut entry = put(blobs, kind, manifest.to_string().as_bytes());
    entry["platform"] = platform;
    entry
}

fn pack(packed: Packed, tar: &Path, plain: Vec<u8>) -> (&'static str, Vec<u8>) {
    let (kind, program) = match packed {
        Packed::Plain => return ("application/vnd.oci.image.layer.v1.tar", plain),
        Packed::Gzip => ("application/vnd.oci.image.layer.v1.tar+gzip", "gzip"),
        Packed::Zstd => ("application/vnd.oci.image.layer.v1.tar+zstd", "zstd"),
    };
    let output = Command::new(program).arg("-c").arg(tar).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program}: {output:?}");
    (kind, output.stdout)
}

fn put(blobs: &Path, kind: &str, bytes: &[u8]) -> Value {
    let digest = Digest::of(bytes);
    std::fs::write(blobs.join(digest.hex()), bytes).expect("a new file");
    json!({"mediaType": kind, "digest": digest.to_string(), "size": bytes.len()})
}
